// errno, as compilers have it: its address is taken once a function, and kept across calls that park.
//
// Each function below must find the errno of its own call, whatever threads the goroutine has been on, and whatever
// the others have left in the errno of theirs. Compiled with -O2, where gcc and clang keep the address.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <rt0.h>

#ifdef __SANITIZE_THREAD__
enum { PAIRS = 20, ROUNDS = 5 };
#else
enum { PAIRS = 40, ROUNDS = 40 };
#endif

static int wrong, errors;

// timedout: an error that comes after a wait.
static __attribute__((noinline)) int
timedout(int fd)
{
	char c;
	errno = 0;
	ssize_t n = read(fd, &c, 1);
	return n < 0 ? errno : -1;
}

// thenfails: a wait that succeeds, and then an error that comes at once.
static __attribute__((noinline)) int
thenfails(int fd, int bad)
{
	char c;
	errno = 0;
	if (read(fd, &c, 1) != 1)
		return -errno;
	if (read(bad, &c, 1) >= 0)
		return -1;
	return errno;
}

// loops: the address is moved out of the loop.
static __attribute__((noinline)) int
loops(int fd)
{
	char c;
	for (int i = 0; i < 3; i++) {
		struct pollfd p = {fd, POLLIN, 0};
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		if (recv(fd, &c, 1, 0) != 1)
			return -errno;
		if (recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno != EAGAIN)
			return errno;
		usleep(100);
		if (open("/no/such/file", O_RDONLY) < 0 && errno != ENOENT)
			return errno;
	}
	return 0;
}

static void
expect(const char *what, int got, int want)
{
	__atomic_add_fetch(&errors, 1, __ATOMIC_SEQ_CST);
	if (got == want)
		return;
	__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
	fprintf(stderr, "%s: errno %d, want %d\n", what, got, want);
}

static rt0_waitgroup wg;

static __attribute__((noinline)) void
leave(int e)
{
	errno = e;
}

static void
client(void *arg)
{
	int fd = *(int *)arg;
	struct timeval tv = {0, 2000};
	for (int i = 0; i < ROUNDS; i++) {
		leave(ENOTTY);
		expect("success, then an error", thenfails(fd, -1), EBADF);
		leave(EDOM);
		expect("loop", loops(fd), 0);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	for (int i = 0; i < 5; i++) {
		leave(ERANGE);
		expect("timeout", timedout(fd), EAGAIN);
	}
	rt0_waitgroup_done(&wg);
}

static void
server(void *arg)
{
	int fd = *(int *)arg;
	for (int i = 0; i < 4 * ROUNDS; i++) {
		leave(EXDEV);
		usleep((unsigned)(rand() % 300));
		if (write(fd, "x", 1) != 1)
			expect("write", 0, 1);
	}
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	static int s[PAIRS][2];
	rt0_waitgroup_add(&wg, 2 * PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, s[i]) < 0)
			return 1;
		rt0_go(client, &s[i][0]);
		rt0_go(server, &s[i][1]);
	}
	rt0_waitgroup_wait(&wg);
	printf("%d wrong, all %s\n", wrong, errors == PAIRS * (2 * ROUNDS + 5) ? "done" : "not done");
	return wrong != 0;
}
