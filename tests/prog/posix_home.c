// Goroutines that wait in calls of the libc, far more than threads, and are woken by goroutines on other threads:
// each call returns on its own thread, whoever readies it, and nobody is forgotten.
//
// Rings of socket pairs, pipes and sleeps hand tokens around while the threads are mixed: goroutines that block
// their thread in declared calls, that yield, and, in the second half, that lock their thread: then those who are at
// home there go on elsewhere after a while, and only that nobody is forgotten counts.
#include <linux/futex.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rt0.h>
#include <rt0/io.h>

#ifdef __SANITIZE_THREAD__
enum { RINGS = 8, MEMBERS = 6, ROUNDS = 20, CLOSES = 50 };
#else
enum { RINGS = 20, MEMBERS = 12, ROUNDS = 100, CLOSES = 300 };
#endif

static int pairs[RINGS][MEMBERS][2];
static int moved, stop, calls, rounds = ROUNDS;
static rt0_waitgroup wg, others;

static __attribute__((noinline)) int
thread(void)
{
	return (int)syscall(SYS_gettid);
}

static void
same(int before, const char *what)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	if (thread() == before)
		return;
	if (__atomic_add_fetch(&moved, 1, __ATOMIC_RELAXED) < 5)
		fprintf(stderr, "%s returns on another thread\n", what);
}

static void
take(int fd, int how)
{
	char c;
	int t = thread();
	struct pollfd p = {fd, POLLIN, 0};
	switch (how % 3) {
	case 0: break;
	case 1:
		if (poll(&p, 1, -1) != 1)
			_exit(3);
		same(t, "poll");
		t = thread();
		break;
	case 2:
		usleep((unsigned)(how % 200));
		same(t, "usleep");
		t = thread();
		break;
	}
	if (read(fd, &c, 1) != 1)
		_exit(4);
	same(t, "read");
}

static void
member(void *arg)
{
	int *mine = arg;
	int at = (int)(mine - &pairs[0][0][0]) / 2, ring = at / MEMBERS, i = at % MEMBERS;
	int *next = pairs[ring][(i + 1) % MEMBERS];
	for (int n = 0; n < rounds; n++) {
		if (i == 0 && write(next[1], "x", 1) != 1)
			_exit(5);
		take(mine[0], ring * 31 + i * 7 + n);
		if (i != 0 && write(next[1], "x", 1) != 1)
			_exit(6);
		if (n % 16 == 0)
			rt0_gosched(); // may move it: between calls
	}
	rt0_waitgroup_done(&wg);
}

// What is in the way.
static void
declared(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		RT0_BLOCKING(syscall(SYS_nanosleep, &(struct timespec){0, 300000}, NULL));
		rt0_gosched();
	}
	(void)arg;
	rt0_waitgroup_done(&others);
}

static void
yields(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 100; i++)
			rt0_gosched();
		rt0_sleep(50000);
	}
	(void)arg;
	rt0_waitgroup_done(&others);
}

// Through the same poller, and at home nowhere.
static int talk[2];

static void
talks(void *arg)
{
	rt0_fd *fd;
	char c = 'x';
	bool first = arg != NULL;
	if (rt0_fd_new(talk[first], 0, &fd) < 0)
		_exit(10);
	while (!first || !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (first && rt0_fd_write(fd, &c, 1) != 1)
			_exit(11);
		if (rt0_fd_read(fd, &c, 1) != 1)
			break;
		if (!first && rt0_fd_write(fd, &c, 1) != 1)
			_exit(12);
	}
	rt0_fd_close(fd);
	rt0_waitgroup_done(&others);
}

static void
locks(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		rt0_lock_os_thread();
		rt0_sleep(100000);
		rt0_gosched();
		rt0_unlock_os_thread();
		rt0_gosched();
	}
	(void)arg;
	rt0_waitgroup_done(&others);
}

static void
half(bool locking)
{
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, talk) < 0)
		_exit(77);
	rt0_waitgroup_add(&others, 5 + locking);
	rt0_go(talks, NULL);
	rt0_go(talks, &stop);
	rt0_go(declared, NULL);
	rt0_go(declared, NULL);
	rt0_go(yields, NULL);
	if (locking)
		rt0_go(locks, NULL);
	rt0_waitgroup_add(&wg, RINGS * MEMBERS);
	for (int r = 0; r < RINGS; r++)
		for (int i = 0; i < MEMBERS; i++)
			rt0_go(member, pairs[r][i]);
	rt0_waitgroup_wait(&wg);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	rt0_waitgroup_wait(&others);
}

// stuck: the one that is to go home holds a lock, and home sleeps for that lock, where nobody can know of it.
struct stuck {
	int fd[2], declared;
	uint32_t lock;
	rt0_waitgroup wg;
};

static void
holder(void *arg)
{
	struct stuck *s = arg;
	char c;
	__atomic_store_n(&s->lock, 1, __ATOMIC_SEQ_CST);
	if (read(s->fd[0], &c, 1) != 1)
		_exit(7);
	__atomic_store_n(&s->lock, 0, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &s->lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	rt0_waitgroup_done(&s->wg);
}

static void
sleeper(void *arg)
{
	struct stuck *s = arg;
	while (__atomic_load_n(&s->lock, __ATOMIC_SEQ_CST) == 1) {
		if (s->declared)
			RT0_BLOCKING(syscall(SYS_futex, &s->lock, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
		else
			syscall(SYS_futex, &s->lock, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
	}
	rt0_waitgroup_done(&s->wg);
}

static void
writer(void *arg)
{
	struct stuck *s = arg;
	rt0_sleep(2000000);
	if (write(s->fd[1], "x", 1) != 1)
		_exit(8);
	rt0_waitgroup_done(&s->wg);
}

static void
stucks(void)
{
	for (int i = 0; i < 6; i++) {
		struct stuck *s = calloc(1, sizeof *s);
		s->declared = i % 2;
		if (pipe(s->fd) < 0)
			_exit(77);
		rt0_waitgroup_add(&s->wg, 3);
		rt0_go(writer, s);
		rt0_go(holder, s);
		while (__atomic_load_n(&s->lock, __ATOMIC_SEQ_CST) == 0)
			rt0_gosched();
		rt0_go(sleeper, s);
		rt0_waitgroup_wait(&s->wg);
		close(s->fd[0]);
		close(s->fd[1]);
		free(s);
	}
}

// closes: home sleeps in the poller, and it is not the poller that readies the goroutine.
static int closefd[2], reading;

static void
closereader(void *arg)
{
	char c;
	(void)arg;
	__atomic_store_n(&reading, 1, __ATOMIC_SEQ_CST);
	int t = thread();
	if (read(closefd[0], &c, 1) != -1)
		_exit(9);
	same(t, "read");
	rt0_waitgroup_done(&wg);
}

static void
closes(void)
{
	for (int i = 0; i < CLOSES; i++) {
		if (pipe(closefd) < 0)
			_exit(77);
		reading = 0;
		rt0_waitgroup_add(&wg, 1);
		rt0_go(closereader, NULL);
		// Without a wait: this goroutine's thread is not the one that sleeps in the poller.
		while (__atomic_load_n(&reading, __ATOMIC_SEQ_CST) == 0)
			rt0_gosched();
		for (int64_t t = rt0_nanotime(); rt0_nanotime() < t + 100000;)
			rt0_gosched();
		close(closefd[0]);
		rt0_waitgroup_wait(&wg);
		close(closefd[1]);
	}
}

int
main(void)
{
	for (int r = 0; r < RINGS; r++)
		for (int i = 0; i < MEMBERS; i++)
			if ((i % 2 ? pipe(pairs[r][i]) : socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[r][i])) < 0)
				return 77;
	half(false);
	int n = moved;
	if (n > 0)
		fprintf(stderr, "%d of %d moved\n", n, calls);
	// On a busy machine a thread that is at home may seem stuck (home.c): seldom.
	printf("%s on their threads; ", n * 20 <= calls ? "all" : "not all");
	rounds = ROUNDS / 5;
	half(true);
	printf("all came round; ");
	stucks();
	closes();
	printf("none waits for itself\n");
	return 0;
}
