// Every call that librt0_posix stands in front of, on a goroutine and on a foreign thread.
//
// A helper goroutine, or thread, makes ready what the call waits for, a little later: the call has to wait first. On
// goroutines a counter is watched, too: with one processor, others run while the call waits.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rt0.h>

#define CHECK(x)                                                                                  \
	do {                                                                                      \
		if (!(x)) {                                                                       \
			fprintf(stderr, "%s:%d: not true: %s (errno %d, %s)\n", __func__, __LINE__, #x, errno, role); \
			_exit(1);                                                                 \
		}                                                                                 \
	} while (0)

// Functions here wait by rt0's own calls, after which a goroutine may be on another thread; the compiler takes
// errno's address once a function.
static __attribute__((noinline)) int *
errnoaddress(void)
{
	__asm__ volatile("");
	return &errno;
}
#undef errno
#define errno (*errnoaddress())

static const char *role;
static const struct timespec DELAY = {0, 3000000};

// later runs fn(arg) in a while: on a goroutine of its own, whoever asks.
struct later {
	void (*fn)(void *);
	void *arg;
	rt0_waitgroup wg;
};

static void
latermain(void *p)
{
	struct later *l = p;
	rt0_sleep(DELAY.tv_nsec);
	l->fn(l->arg);
	rt0_waitgroup_done(&l->wg);
}

#define LATER(l, f, a)                                                                            \
	struct later l = {.fn = (f), .arg = (a)};                                                 \
	rt0_waitgroup_add(&l.wg, 1);                                                              \
	rt0_go(latermain, &l)
#define DONE(l) rt0_waitgroup_wait(&l.wg)

static void
writex(void *arg)
{
	CHECK(write(*(int *)arg, "x", 1) == 1);
}

static void
drain(void *arg)
{
	char buf[65536];
	int fd = *(int *)arg;
	while (read(fd, buf, sizeof buf) > 0)
		;
}

static void
stream(int s[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
}

static void
closeboth(int s[2])
{
	CHECK(close(s[0]) == 0);
	CHECK(close(s[1]) == 0);
}

static void
reads(void)
{
	int s[2], p[2];
	char c = 0, d = 0;
	struct iovec iov[2] = {{&c, 1}, {&d, 1}};
	stream(s);
	CHECK(pipe(p) == 0);
	{ LATER(l, writex, &s[1]); errno = 77; CHECK(read(s[0], &c, 1) == 1 && c == 'x' && errno == 77); DONE(l); }
	{ LATER(l, writex, &p[1]); c = 0; CHECK(read(p[0], &c, 1) == 1 && c == 'x'); DONE(l); }
	{ LATER(l, writex, &s[1]); c = 0; CHECK(readv(s[0], iov, 2) == 1 && c == 'x'); DONE(l); }
	{ LATER(l, writex, &p[1]); c = 0; CHECK(preadv2(p[0], iov, 2, -1, 0) == 1 && c == 'x'); DONE(l); }
	// The descriptor is as blocking as it was.
	CHECK((fcntl(s[0], F_GETFL) & O_NONBLOCK) == 0 && (fcntl(p[0], F_GETFL) & O_NONBLOCK) == 0);
	CHECK(read(s[0], &c, 0) == 0);
	CHECK(shutdown(s[1], SHUT_WR) == 0 && read(s[0], &c, 1) == 0);
	CHECK(close(p[1]) == 0 && read(p[0], &c, 1) == 0);
	closeboth(s);
	close(p[0]);
	int e = eventfd(0, 0);
	uint64_t n = 8;
	CHECK(e >= 0 && write(e, &n, 8) == 8 && read(e, &n, 8) == 8 && n == 8);
	close(e);
	// Files.
	char name[] = "/tmp/rt0_posix_XXXXXX";
	int f = mkstemp(name);
	CHECK(f >= 0 && unlink(name) == 0);
	CHECK(write(f, "abc", 3) == 3 && pwrite(f, "d", 1, 3) == 1 && pread(f, &c, 1, 1) == 1 && c == 'b');
	CHECK(lseek(f, 0, SEEK_SET) == 0 && readv(f, iov, 2) == 2 && c == 'a' && d == 'b');
	CHECK(preadv(f, iov, 2, 2) == 2 && c == 'c' && d == 'd' && pwritev(f, iov, 2, 4) == 2);
	CHECK(fcntl(f, F_SETFL, O_NONBLOCK) == 0 && read(f, &c, 1) == 1 && c == 'c'); // means nothing for a file
	close(f);
	int null = open("/dev/null", O_RDWR);
	CHECK(read(null, &c, 1) == 0 && write(null, "x", 1) == 1);
	close(null);
	f = open("/proc/self/stat", O_RDONLY);
	CHECK(read(f, &c, 1) == 1);
	close(f);
}

static void
writes(void)
{
	enum { N = 3 << 20 };
	char *big = calloc(1, N);
	int s[2];
	struct iovec iov[3] = {{big, N / 2}, {big, 0}, {big, N / 2}};
	for (int i = 0; i < 5; i++) {
		if (i == 0)
			CHECK(pipe(s) == 0);
		else
			stream(s);
		int out = s[1], in = s[0];
		LATER(l, drain, &in);
		// All of it, not what there is room for.
		switch (i) {
		case 0: case 1: CHECK(write(out, big, N) == N); break;
		case 2: CHECK(writev(out, iov, 3) == N); break;
		case 3: CHECK(send(out, big, N, 0) == N); break;
		case 4: {
			struct msghdr m = {.msg_iov = iov, .msg_iovlen = 3};
			CHECK(sendmsg(out, &m, 0) == N);
			break;
		}
		}
		CHECK(i == 0 || shutdown(out, SHUT_WR) == 0);
		close(out);
		DONE(l);
		close(in);
	}
	free(big);
	// Nobody reads.
	stream(s);
	close(s[0]);
	CHECK(send(s[1], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	close(s[1]);
}

static void
sendlots(void *arg)
{
	for (int i = 0; i < 4; i++) {
		CHECK(send(*(int *)arg, "abcd", 4, 0) == 4);
		rt0_sleep(DELAY.tv_nsec / 4);
	}
}

static void
messages(void)
{
	int s[2];
	char buf[16] = {0};
	struct iovec iov = {buf, sizeof buf};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	stream(s);
	{ LATER(l, writex, &s[1]); CHECK(recv(s[0], buf, 4, 0) == 1); DONE(l); }
	{ LATER(l, writex, &s[1]); CHECK(recvfrom(s[0], buf, 4, 0, NULL, NULL) == 1); DONE(l); }
	{ LATER(l, writex, &s[1]); CHECK(recvmsg(s[0], &m, 0) == 1); DONE(l); }
	{ LATER(l, sendlots, &s[1]); CHECK(recv(s[0], buf, 16, MSG_WAITALL) == 16 && memcmp(buf, "abcdabcdabcdabcd", 16) == 0); DONE(l); }
	{ LATER(l, sendlots, &s[1]); CHECK(recvmsg(s[0], &m, MSG_WAITALL) == 16); DONE(l); }
	{ LATER(l, writex, &s[1]); CHECK(recv(s[0], buf, 4, MSG_PEEK) == 1 && recv(s[0], buf, 4, MSG_DONTWAIT) == 1); DONE(l); }
	CHECK(recv(s[0], buf, 4, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	closeboth(s);
	// Datagrams keep their boundaries; several at once.
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	char in[4][8];
	struct iovec iovs[4];
	struct mmsghdr v[4];
	memset(v, 0, sizeof v);
	for (int i = 0; i < 4; i++) {
		iovs[i] = (struct iovec){in[i], 8};
		v[i].msg_hdr = (struct msghdr){.msg_iov = &iovs[i], .msg_iovlen = 1};
	}
	{ LATER(l, sendlots, &s[1]); CHECK(recvmmsg(s[0], v, 4, 0, NULL) == 4 && v[3].msg_len == 4); DONE(l); }
	{ LATER(l, sendlots, &s[1]); CHECK(recvmmsg(s[0], v, 4, MSG_WAITFORONE, NULL) >= 1); DONE(l); }
	while (recv(s[0], buf, 16, MSG_DONTWAIT) > 0)
		;
	CHECK(sendmmsg(s[1], v, 4, 0) == 4 && v[0].msg_len == 8);
	CHECK(recv(s[0], buf, 16, MSG_WAITALL) == 8);
	closeboth(s);
	CHECK(recv(-1, buf, 1, 0) == -1 && errno == EBADF);
	int null = open("/dev/null", O_RDWR);
	CHECK(recv(null, buf, 1, 0) == -1 && errno == ENOTSOCK && send(null, buf, 1, 0) == -1 && errno == ENOTSOCK);
	CHECK(accept(null, NULL, NULL) == -1 && errno == ENOTSOCK && connect(null, NULL, 0) == -1 && errno == ENOTSOCK);
	close(null);
}

static int
listener(struct sockaddr_in *a)
{
	int l = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof *a;
	*a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(bind(l, (struct sockaddr *)a, len) == 0 && listen(l, 10) == 0 && getsockname(l, (struct sockaddr *)a, &len) == 0);
	return l;
}

static void
dial(void *arg)
{
	int c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(c, arg, sizeof(struct sockaddr_in)) == 0);
	CHECK((fcntl(c, F_GETFL) & O_NONBLOCK) == 0);
	CHECK(connect(c, arg, sizeof(struct sockaddr_in)) == -1 && errno == EISCONN);
	char b;
	CHECK(read(c, &b, 1) == 0);
	close(c);
}

static void
connections(void)
{
	struct sockaddr_in a, from;
	socklen_t len = sizeof from;
	int l = listener(&a);
	{ LATER(w, dial, &a); int c = accept(l, (struct sockaddr *)&from, &len); CHECK(c >= 0 && from.sin_family == AF_INET); close(c); DONE(w); }
	{ LATER(w, dial, &a); int c = accept4(l, NULL, NULL, SOCK_CLOEXEC); CHECK(c >= 0 && fcntl(c, F_GETFD) == FD_CLOEXEC); close(c); DONE(w); }
	struct timeval tv = {0, 5000};
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
	close(l);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == -1 && errno == ECONNREFUSED);
	CHECK((fcntl(c, F_GETFL) & O_NONBLOCK) == 0);
	CHECK(accept(c, NULL, NULL) == -1 && errno == EINVAL);
	close(c);
	c = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(accept(c, NULL, NULL) == -1 && errno == EOPNOTSUPP);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
	close(c);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	l = listener(&a);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS);
	CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	int s;
	while ((s = accept(l, NULL, NULL)) < 0)
		CHECK(errno == EAGAIN);
	CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
	char b;
	CHECK(read(c, &b, 1) == -1 && errno == EAGAIN && (fcntl(c, F_GETFL) & O_NONBLOCK) != 0);
	CHECK(recv(c, &b, 1, 0) == -1 && errno == EAGAIN);
	close(s);
	close(c);
	close(l);
}

static void
polls(void)
{
	int s[40][2], bad;
	struct pollfd p[42];
	struct timespec ms = {0, 5000000};
	struct pollfd *volatile badp = NULL;
	for (int i = 0; i < 40; i++) {
		stream(s[i]);
		p[i] = (struct pollfd){s[i][0], POLLIN, 99};
	}
	p[40] = (struct pollfd){-1, POLLIN, 99};
	p[41] = p[3]; // the same twice
	{ LATER(l, writex, &s[3][1]); CHECK(poll(p, 42, -1) == 2 && p[3].revents == POLLIN && p[41].revents == POLLIN && p[40].revents == 0 && p[0].revents == 0); DONE(l); }
	p[5].events = POLLOUT;
	CHECK(poll(p, 42, -1) == 3 && p[5].revents == POLLOUT);
	char c;
	CHECK(read(s[3][0], &c, 1) == 1);
	p[40].fd = 987;
	CHECK(poll(p, 42, -1) == 2 && p[40].revents == POLLNVAL);
	p[40].fd = -7;
	p[5].events = POLLIN;
	int64_t t = rt0_nanotime();
	CHECK(poll(p, 42, 5) == 0 && rt0_nanotime() - t >= 5000000);
	CHECK(ppoll(p, 1, &ms, NULL) == 0 && poll(NULL, 0, 1) == 0 && poll(&p[40], 1, 1) == 0 && poll(p, 1, 0) == 0);
	sigset_t none;
	sigemptyset(&none);
	CHECK(ppoll(p, 1, &ms, &none) == 0);
	ms.tv_nsec = 1000000000;
	CHECK(ppoll(p, 1, &ms, NULL) == -1 && errno == EINVAL);
	CHECK(poll(badp, 1, 1) == -1 && errno == EFAULT);
	// select
	fd_set r, w, e;
	int top = s[39][1] + 1;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	for (int i = 0; i < 40; i++) {
		FD_SET(s[i][0], &r);
		FD_SET(s[i][0], &e);
	}
	struct timeval tv = {10, 1500000};
	{ LATER(l, writex, &s[7][1]); CHECK(select(top, &r, &w, &e, &tv) == 1 && FD_ISSET(s[7][0], &r) && !FD_ISSET(s[8][0], &r) && !FD_ISSET(s[7][0], &e)); DONE(l); }
	CHECK(tv.tv_sec <= 11 && tv.tv_sec >= 5 && (tv.tv_sec < 11 || tv.tv_usec < 500000));
	CHECK(read(s[7][0], &c, 1) == 1);
	tv = (struct timeval){0, 3000};
	CHECK(select(top, &r, NULL, NULL, &tv) == 0 && tv.tv_sec == 0 && tv.tv_usec == 0 && !FD_ISSET(s[7][0], &r));
	tv = (struct timeval){0, 1000};
	CHECK(select(0, NULL, NULL, NULL, &tv) == 0);
	FD_SET(s[0][0], &w);
	CHECK(pselect(top, NULL, &w, NULL, NULL, NULL) == 1);
	FD_SET(s[0][0], &r);
	ms = (struct timespec){0, 1000000};
	CHECK(pselect(top, &r, NULL, NULL, &ms, NULL) == 0 && ms.tv_nsec == 1000000);
	tv = (struct timeval){-1, 0};
	CHECK(select(1, NULL, NULL, NULL, &tv) == -1 && errno == EINVAL);
	CHECK(select(-1, NULL, NULL, NULL, NULL) == -1 && errno == EINVAL);
	bad = dup(0); // within the kernel's table: what lies beyond it select does not see
	close(bad);
	FD_ZERO(&r);
	FD_SET(bad, &r);
	CHECK(select(bad + 1, &r, NULL, NULL, NULL) == -1 && errno == EBADF);
	// epoll
	int ep = epoll_create1(0);
	struct epoll_event ev = {EPOLLIN, {.u32 = 9}}, got[4];
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, s[9][0], &ev) == 0);
	CHECK(epoll_wait(ep, got, 4, 3) == 0 && epoll_pwait(ep, got, 4, 3, NULL) == 0 && epoll_pwait(ep, got, 4, 3, &none) == 0);
	{ LATER(l, writex, &s[9][1]); CHECK(epoll_wait(ep, got, 4, -1) == 1 && got[0].data.u32 == 9); DONE(l); }
	CHECK(epoll_wait(ep, got, 0, 1) == -1 && errno == EINVAL && epoll_wait(s[0][0], got, 1, 1) == -1 && errno == EINVAL);
	CHECK(epoll_pwait2(ep, got, 4, &ms, NULL) == 1 && read(s[9][0], &c, 1) == 1 && epoll_pwait2(ep, got, 4, &ms, NULL) == 0);
	close(ep);
	CHECK(epoll_wait(ep, got, 1, 1) == -1 && errno == EBADF);
	for (int i = 0; i < 40; i++)
		closeboth(s[i]);
}

static void
sleeps(void)
{
	struct timespec t = {0, 2000000}, now;
	int64_t t0 = rt0_nanotime();
	CHECK(nanosleep(&t, NULL) == 0 && usleep(2000) == 0 && sleep(0) == 0);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == 0 && clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL) == 0);
	static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
	for (int i = 0; i < 3; i++) {
		clock_gettime(clocks[i], &now);
		now.tv_nsec += 2000000;
		if (now.tv_nsec >= 1000000000)
			now.tv_sec++, now.tv_nsec -= 1000000000;
		CHECK(clock_nanosleep(clocks[i], TIMER_ABSTIME, &now, NULL) == 0);
		CHECK(clock_nanosleep(clocks[i], TIMER_ABSTIME, &(struct timespec){1, 0}, NULL) == 0);
	}
	CHECK(rt0_nanotime() - t0 >= 14000000);
	t.tv_nsec = -1;
	CHECK(nanosleep(&t, NULL) == -1 && errno == EINVAL);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == EINVAL && clock_nanosleep(77, 0, &(struct timespec){0}, NULL) == EINVAL);
	CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0}, NULL) == EINVAL);
}

static pid_t
child(int code)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		struct timespec t = DELAY;
		nanosleep(&t, NULL); // plain: no runtime in here
		_exit(code);
	}
	return pid;
}

static void
children(void)
{
	int st;
	struct rusage ru;
	siginfo_t info;
	pid_t pid = child(3);
	CHECK(waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 3);
	CHECK(waitpid(pid, &st, 0) == -1 && errno == ECHILD);
	pid = child(4);
	CHECK(wait4(pid, &st, 0, &ru) == pid && WEXITSTATUS(st) == 4);
	pid = child(5);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 5);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_pid == pid);
	int hold[2];
	CHECK(pipe(hold) == 0);
	pid = fork();
	if (pid == 0) {
		char c;
		close(hold[1]);
		_exit(read(hold[0], &c, 1) == 0 ? 6 : 0);
	}
	CHECK(waitpid(pid, &st, WNOHANG) == 0 && close(hold[1]) == 0 && wait(&st) == pid && WEXITSTATUS(st) == 6);
	close(hold[0]);
	pid = child(7);
	CHECK(wait3(&st, 0, &ru) == pid && WEXITSTATUS(st) == 7);
	CHECK(wait(&st) == -1 && errno == ECHILD);
}

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static sem_t sem;
static int flag;

static int held;
// hold has one of the locks for a while, and waits with it.
static void
hold(void *arg)
{
	bool m = arg == &mu;
	CHECK((m ? pthread_mutex_lock(&mu) : pthread_rwlock_rdlock(&rw)) == 0);
	__atomic_store_n(&held, 1, __ATOMIC_SEQ_CST);
	usleep(4000);
	CHECK((m ? pthread_mutex_unlock(&mu) : pthread_rwlock_unlock(&rw)) == 0);
}
static void
awaitheld(void)
{
	while (!__atomic_load_n(&held, __ATOMIC_SEQ_CST))
		usleep(100);
	held = 0;
}
static void postsem(void *arg) { (void)arg; sem_post(&sem); }
static void unlockfile(void *arg) { CHECK(flock(*(int *)arg, LOCK_UN) == 0); }
static void
signalcond(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mu);
	flag = 1;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mu);
}
static void *nothing(void *arg) { struct timespec t = DELAY; nanosleep(&t, NULL); return arg; }

static void
locks(void)
{
	struct timespec soon, past = {1, 0};
	CHECK(pthread_mutex_lock(&mu) == 0 && pthread_mutex_trylock(&mu) == EBUSY && pthread_mutex_timedlock(&mu, &past) == ETIMEDOUT);
	CHECK(pthread_mutex_unlock(&mu) == 0);
	{ LATER(l, hold, &mu); awaitheld(); CHECK(pthread_mutex_lock(&mu) == 0); DONE(l); }
	flag = 0;
	{
		LATER(l, signalcond, NULL);
		while (!flag)
			CHECK(pthread_cond_wait(&cond, &mu) == 0);
		pthread_mutex_unlock(&mu);
		DONE(l);
		pthread_mutex_lock(&mu);
	}
	clock_gettime(CLOCK_REALTIME, &soon);
	CHECK(pthread_cond_timedwait(&cond, &mu, &soon) == ETIMEDOUT && pthread_mutex_unlock(&mu) == 0);
	CHECK(pthread_rwlock_wrlock(&rw) == 0 && pthread_rwlock_tryrdlock(&rw) == EBUSY && pthread_rwlock_unlock(&rw) == 0);
	CHECK(pthread_rwlock_rdlock(&rw) == 0 && pthread_rwlock_timedwrlock(&rw, &past) == ETIMEDOUT && pthread_rwlock_unlock(&rw) == 0);
	{ LATER(l, hold, &rw); awaitheld(); CHECK(pthread_rwlock_wrlock(&rw) == 0 && pthread_rwlock_unlock(&rw) == 0); DONE(l); }
	sem_init(&sem, 0, 1);
	errno = 55;
	CHECK(sem_wait(&sem) == 0 && errno == 55 && sem_timedwait(&sem, &past) == -1 && errno == ETIMEDOUT);
	{ LATER(l, postsem, NULL); CHECK(sem_wait(&sem) == 0); DONE(l); }
	pthread_t th;
	void *r;
	CHECK(pthread_create(&th, NULL, nothing, &rw) == 0 && pthread_join(th, &r) == 0 && r == &rw);
	// A recursive mutex across a wait: its thread stays its thread.
	pthread_mutexattr_t ma;
	pthread_mutex_t rec;
	pthread_mutexattr_init(&ma);
	for (int kind = PTHREAD_MUTEX_RECURSIVE; kind <= PTHREAD_MUTEX_ERRORCHECK; kind++) {
		pthread_mutexattr_settype(&ma, kind);
		pthread_mutex_init(&rec, &ma);
		for (int i = 0; i < 5; i++) {
			CHECK(pthread_mutex_lock(&rec) == 0);
			struct timespec t = {0, 300000};
			nanosleep(&t, NULL);
			CHECK(pthread_mutex_trylock(&rec) == (kind == PTHREAD_MUTEX_RECURSIVE ? 0 : EBUSY));
			CHECK(kind != PTHREAD_MUTEX_RECURSIVE || pthread_mutex_unlock(&rec) == 0);
			CHECK(pthread_mutex_unlock(&rec) == 0);
#ifndef __SANITIZE_THREAD__ // which reports that
			CHECK(pthread_mutex_unlock(&rec) == EPERM);
#endif
		}
	}
	flockfile(stdout);
	CHECK(ftrylockfile(stdout) == 0);
	usleep(300);
	funlockfile(stdout);
	funlockfile(stdout);
	// Files.
	char name[] = "/tmp/rt0_posix_XXXXXX";
	int f = mkstemp(name), g = open(name, O_RDWR);
	CHECK(flock(f, LOCK_EX) == 0 && flock(g, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
	{ LATER(l, unlockfile, &f); CHECK(flock(g, LOCK_EX) == 0); DONE(l); }
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	CHECK(fcntl(f, F_SETLKW, &fl) == 0);
	fl.l_type = F_UNLCK;
	CHECK(fcntl(f, F_SETLK, &fl) == 0);
	fl.l_type = F_WRLCK;
	CHECK(fcntl(f, F_OFD_SETLKW, &fl) == 0 && fcntl(f, F_GETFD) == 0);
	unlink(name);
	close(f);
	close(g);
}

static void closefd(void *arg) { CHECK(close(*(int *)arg) == 0); }
static void dupover(void *arg) { int null = open("/dev/null", O_RDWR); CHECK(dup2(null, *(int *)arg) == *(int *)arg); close(null); }

static void
closes(void)
{
	int s[2];
	char c;
	if (strcmp(role, "goroutine") == 0) {
		stream(s);
		{ LATER(l, closefd, &s[0]); CHECK(read(s[0], &c, 1) == -1 && errno == EBADF); DONE(l); }
		close(s[1]);
		stream(s);
		{ LATER(l, dupover, &s[0]); CHECK(recv(s[0], &c, 1, 0) == -1 && errno == EBADF); DONE(l); }
		CHECK(read(s[0], &c, 1) == 0); // /dev/null by now
		closeboth(s);
		stream(s);
		struct pollfd p = {s[0], POLLIN, 0};
		{ LATER(l, closefd, &s[0]); CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLNVAL); DONE(l); }
		close(s[1]);
	}
	// The number comes again, as another file: also where nobody told us (fclose closes by itself).
	for (int i = 0; i < 20; i++) {
		stream(s);
		{ LATER(l, writex, &s[1]); CHECK(read(s[0], &c, 1) == 1); DONE(l); }
		if (i % 2 == 0)
			close(s[0]);
		else
			fclose(fdopen(s[0], "r"));
		close(s[1]);
	}
	// A duplicate keeps the file when the number goes.
	stream(s);
	int d = dup(s[0]);
	{ LATER(l, writex, &s[1]); CHECK(read(s[0], &c, 1) == 1); DONE(l); }
	close(s[0]);
	{ LATER(l, writex, &s[1]); CHECK(read(d, &c, 1) == 1); DONE(l); }
	CHECK(dup2(d, s[0]) == s[0]);
	{ LATER(l, writex, &s[1]); CHECK(read(s[0], &c, 1) == 1); DONE(l); }
	CHECK(dup3(d, s[0], O_CLOEXEC) == s[0] && dup2(s[0], s[0]) == s[0] && dup2(-1, s[0]) == -1 && errno == EBADF);
	closeboth(s);
	close(d);
	CHECK(close(-1) == -1 && errno == EBADF && close(1 << 25) == -1 && errno == EBADF);
	stream(s);
	CHECK(close_range((unsigned)s[0], (unsigned)s[1], 0) == 0 && read(s[0], &c, 1) == -1 && errno == EBADF);
}

static void
timeouts(void)
{
	int s[2];
	char c, *big = calloc(1, 1 << 20);
	struct timeval tv = {0, 4000};
	stream(s);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0 && setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
	int64_t t = rt0_nanotime();
	CHECK(read(s[0], &c, 1) == -1 && errno == EAGAIN && recv(s[0], &c, 1, 0) == -1 && errno == EAGAIN);
	CHECK(rt0_nanotime() - t >= 8000000);
	ssize_t n = send(s[0], big, 1 << 20, 0);
	CHECK(n > 0 && n < 1 << 20);
	CHECK(write(s[0], big, 1) == -1 && errno == EAGAIN);
	{ LATER(l, writex, &s[1]); tv.tv_sec = 5; setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv); CHECK(read(s[0], &c, 1) == 1); DONE(l); }
	closeboth(s);
	free(big);
}

static void
names(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *ai;
	char host[64];
	CHECK(getaddrinfo("localhost", "80", &hints, &ai) == 0 && ai != NULL);
	CHECK(getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0 && strcmp(host, "127.0.0.1") == 0);
	freeaddrinfo(ai);
	CHECK(getaddrinfo("no.such.host.invalid", NULL, &hints, &ai) != 0);
	struct hostent he, *r;
	char buf[1024];
	int err;
	CHECK(gethostbyname_r("127.0.0.1", &he, buf, sizeof buf, &r, &err) == 0 && r == &he);
	CHECK(gethostbyname("127.0.0.1") != NULL);
}

static void (*const tests[])(void) = {reads, writes, messages, connections, polls, sleeps, children, locks, closes, timeouts, names};

static void
all(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
		if (getenv("V") != NULL)
			fprintf(stderr, "%s %zu\n", role, i);
		tests[i]();
	}
}

static rt0_waitgroup wg;

static void
onegoroutine(void *arg)
{
	(void)arg;
	all(NULL);
	rt0_waitgroup_done(&wg);
}

static int threaddone;

static void *
thread(void *arg)
{
	all(arg);
	__atomic_store_n(&threaddone, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int
main(int argc, char **argv)
{
#ifdef LIB
	if (argc > 1) {
		setenv("LD_PRELOAD", LIB, 1);
		execl("/proc/self/exe", argv[0], NULL);
	}
	CHECK(getenv("LD_PRELOAD") != NULL);
#endif
	(void)argc, (void)argv;
	signal(SIGPIPE, SIG_IGN);
	role = "goroutine";
	rt0_waitgroup_add(&wg, 1);
	rt0_go(onegoroutine, NULL);
	rt0_waitgroup_wait(&wg);
	all(NULL); // main
	role = "thread";
	pthread_t th;
	CHECK(pthread_create(&th, NULL, thread, NULL) == 0);
	while (!__atomic_load_n(&threaddone, __ATOMIC_SEQ_CST))
		rt0_sleep(1000000);
	pthread_join(th, NULL);
	puts("ok");
	return 0;
}
