// SPDX-License-Identifier: BSD-3-Clause
// calls.c: the torture of system calls that block without telling rt0.
//
// Worker 0 makes each call of the table in turn, beside workers that only spin: its thread is
// interrupted before, in and after the call, and loses its processor while it waits. It must see
// none of that: no EINTR, no short count, no timeout before its time. A helper, a goroutine as
// well, does what ends those calls that wait for something; with one processor it can only run
// because the call has given the processor up.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/futex.h>

#include "torture.h"

enum { WAIT_US = 5000, BIG = 1 << 20, RECEIVED = 10000 };

static int pfd[2], bigfd[2], stream[2], whole[2], listener, eventfd_, timerfd_, epfd;
static int queue, sems, lockfd[2], word;
static sem_t sem;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER, condmu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool signalled; // condmu
static struct sockaddr_in address;
static char big[BIG], sent[BIG], lockpath[64]; // sent: no two blocks alike
static struct iovec pieces[7]; // all of sent; the first and one in the middle empty
static const struct timespec wait_ts = {0, WAIT_US * 1000};

// ---- what the helper does, WAIT_US after it has been asked ----

static rt0_chan *asked;

struct message {
	long type;
	char text[8];
};

static void
writepipe(void)
{
	MUST(write(pfd[1], "x", 1) == 1);
}

static void
drain(int fd)
{
	static char b[65536];
	for (long left = BIG; left > 0;) {
		ssize_t n = RT0_BLOCKING(read(fd, b, sizeof b));
		MUST(n > 0);
		if (memcmp(b, sent + BIG - left, (size_t)n) != 0)
			BAD("calls: %ld bytes before the end there are others than were written", left);
		left -= n;
		nap(200);
	}
}

static void
readbig(void)
{
	drain(bigfd[0]);
}

static void
receivebig(void)
{
	drain(whole[1]);
}

static void
sendstream(void)
{
	MUST(send(stream[1], "x", 1, 0) == 1);
}

static void
sendparts(void)
{
	for (int left = RECEIVED; left > 0; left -= 1000) {
		MUST(send(whole[1], sent + RECEIVED - left, 1000, 0) == 1000);
		nap(500);
	}
}

static void
dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	MUST(RT0_BLOCKING(connect(fd, (struct sockaddr *)&address, sizeof address)) == 0);
	close(fd);
}

static void
postsem(void)
{
	sem_post(&sem);
}

static void
signalcond(void)
{
	MUST(pthread_mutex_lock(&condmu) == 0);
	signalled = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&condmu);
}

static void
wakeword(void)
{
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void
sendmessage(void)
{
	struct message m = {1, "message"};
	MUST(msgsnd(queue, &m, sizeof m.text, 0) == 0);
}

static void
raisesem(void)
{
	struct sembuf s = {0, 1, 0};
	MUST(semop(sems, &s, 1) == 0);
}

static void
addevent(void)
{
	MUST(eventfd_write(eventfd_, 1) == 0);
}

static void
unlockfile(void)
{
	MUST(flock(lockfd[0], LOCK_UN) == 0);
}

static void
helper(void *arg)
{
	void (*act)(void);
	(void)arg;
	RT0_RANGE (asked, act) {
		nap(WAIT_US);
		act();
	}
}

static void
ask(void (*act)(void))
{
	rt0_chan_send(asked, &act);
}

// ---- the calls ----

static struct timespec
later(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	ts.tv_nsec += WAIT_US * 1000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

// A call's number is what it returned, or its negative errno.
static long
is(long x)
{
	return x == -1 ? -errno : x;
}

static long
c_nanosleep(void)
{
	return is(nanosleep(&wait_ts, NULL));
}
static long
c_usleep(void)
{
	return is(usleep(WAIT_US));
}
static long
c_clock(void)
{
	return -clock_nanosleep(CLOCK_MONOTONIC, 0, &wait_ts, NULL);
}
static long
c_clockabs(void)
{
	struct timespec ts = later(CLOCK_MONOTONIC);
	return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}
static long
c_poll(void)
{
	return is(poll(&(struct pollfd){pfd[0], POLLIN, 0}, 1, WAIT_US / 1000));
}
static long
c_ppoll(void)
{
	return is(ppoll(&(struct pollfd){pfd[0], POLLIN, 0}, 1, &wait_ts, NULL));
}
static long
c_select(void)
{
	fd_set set;
	struct timeval tv = {0, WAIT_US};
	FD_ZERO(&set);
	FD_SET(pfd[0], &set);
	return is(select(pfd[0] + 1, &set, NULL, NULL, &tv));
}
static long
c_pselect(void)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(pfd[0], &set);
	return is(pselect(pfd[0] + 1, &set, NULL, NULL, &wait_ts, NULL));
}
static long
c_epoll(void)
{
	return is(epoll_wait(epfd, &(struct epoll_event){0}, 1, WAIT_US / 1000));
}
static long
c_pollever(void)
{
	return is(poll(&(struct pollfd){pfd[0], POLLIN, 0}, 1, -1));
}
static long
c_epollever(void)
{
	return is(epoll_wait(epfd, &(struct epoll_event){0}, 1, -1));
}
static long
c_read(void)
{
	return is(read(pfd[0], big, 1));
}
static long
c_readv(void)
{
	return is(readv(pfd[0], &(struct iovec){big, 1}, 1));
}
static long
c_recv(void)
{
	return is(recv(stream[0], big, 1, 0));
}
static long
c_recvmsg(void)
{
	struct iovec v = {big, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	return is(recvmsg(stream[0], &m, 0));
}
static long
c_recvtimeo(void)
{
	struct timeval tv = {0, WAIT_US}, never = {0, 0};
	setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	long x = is(recv(stream[0], big, 1, 0));
	setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &never, sizeof never);
	return x;
}
// received is is, of a call that has got what sendparts sends.
static long
received(ssize_t n)
{
	long x = is(n);
	if (n == RECEIVED && memcmp(big, sent, RECEIVED) != 0)
		BAD("calls: other bytes were received than were sent");
	return x;
}

static long
c_waitall(void)
{
	memset(big, 0, RECEIVED);
	return received(recv(whole[0], big, RECEIVED, MSG_WAITALL));
}
static long
c_writebig(void)
{
	return is(write(bigfd[1], sent, BIG));
}
static long
c_writevbig(void)
{
	return is(writev(bigfd[1], pieces, 7));
}
static long
c_sendmsgbig(void)
{
	struct msghdr m = {.msg_iov = pieces, .msg_iovlen = 7};
	return is(sendmsg(whole[0], &m, 0));
}
static long
c_waitallmsg(void)
{
	struct iovec v[2] = {{big, RECEIVED / 3}, {big + RECEIVED / 3, RECEIVED - RECEIVED / 3}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	memset(big, 0, RECEIVED);
	return received(recvmsg(whole[0], &m, MSG_WAITALL));
}
static long
c_accept(void)
{
	int fd = accept(listener, NULL, NULL), e = errno;
	if (fd >= 0)
		close(fd);
	errno = e;
	return fd >= 0 ? 0 : -e;
}
static long
c_semwait(void)
{
	return is(sem_wait(&sem));
}
static long
c_semtimed(void)
{
	struct timespec ts = later(CLOCK_REALTIME);
	return is(sem_timedwait(&sem, &ts));
}
static long
c_mutextimed(void)
{
	struct timespec ts = later(CLOCK_REALTIME);
	return -pthread_mutex_timedlock(&mu, &ts); // its own: nobody unlocks it
}
static long
c_cond(void)
{
	int err = 0;
	pthread_mutex_lock(&condmu);
	while (!signalled && !err)
		err = pthread_cond_wait(&cond, &condmu);
	signalled = false;
	pthread_mutex_unlock(&condmu);
	return -err;
}
static long
c_condtimed(void)
{
	struct timespec ts = later(CLOCK_REALTIME);
	int err = 0;
	pthread_mutex_lock(&condmu);
	while (!err) // 0: woken without a reason
		err = pthread_cond_timedwait(&cond, &condmu, &ts);
	pthread_mutex_unlock(&condmu);
	return -err;
}
static long
c_futex(void)
{
	long x = is(syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0));
	MUST(x != 0 || __atomic_load_n(&word, __ATOMIC_SEQ_CST) == 1);
	__atomic_store_n(&word, 0, __ATOMIC_SEQ_CST);
	return x == -EAGAIN ? 0 : x; // the helper was faster
}
static long
c_futextimed(void)
{
	static int never;
	return is(syscall(SYS_futex, &never, FUTEX_WAIT, 0, &wait_ts, NULL, 0));
}
static long
c_msgrcv(void)
{
	struct message m;
	return is(msgrcv(queue, &m, sizeof m.text, 0, 0));
}
static long
c_semop(void)
{
	return is(semop(sems, &(struct sembuf){0, -1, 0}, 1));
}
static long
c_semtimedop(void)
{
	return is(semtimedop(sems, &(struct sembuf){0, -1, 0}, 1, &wait_ts));
}
static long
c_sigtimedwait(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return is(sigtimedwait(&set, NULL, &wait_ts));
}
static long
c_eventfd(void)
{
	eventfd_t v;
	return is(eventfd_read(eventfd_, &v));
}
static long
c_timerfd(void)
{
	struct itimerspec its = {.it_value = wait_ts};
	uint64_t n;
	MUST(timerfd_settime(timerfd_, 0, &its, NULL) == 0);
	return is(read(timerfd_, &n, sizeof n));
}
static long
c_flock(void)
{
	long x = is(flock(lockfd[1], LOCK_EX));
	flock(lockfd[1], LOCK_UN);
	return x;
}
static long
c_waitpid(void)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		nanosleep(&wait_ts, NULL);
		_exit(7);
	}
	MUST(pid > 0);
	long x = is(waitpid(pid, &status, 0));
	return x == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : x;
}
static void *
napper(void *arg)
{
	nanosleep(&wait_ts, NULL);
	return arg;
}
static long
c_join(void)
{
	pthread_t t;
	void *got = NULL;
	MUST(pthread_create(&t, NULL, napper, &word) == 0);
	long x = -pthread_join(t, &got);
	MUST(x != 0 || got == &word);
	return x;
}

// ---- the table ----

static void
drainpipe(void)
{
	MUST(read(pfd[0], big, 1) == 1);
}

static void
lockfile(void)
{
	MUST(flock(lockfd[0], LOCK_EX) == 0);
}

static const struct call {
	const char *name;
	long (*make)(void);
	long want;          // what it returns, or -errno
	void (*help)(void); // what makes it return; NULL: the time, WAIT_US
	void (*before)(void), (*after)(void);
} calls[] = {
    {"nanosleep", c_nanosleep, 0, 0, 0, 0},
    {"usleep", c_usleep, 0, 0, 0, 0},
    {"clock_nanosleep", c_clock, 0, 0, 0, 0},
    {"clock_nanosleep absolute", c_clockabs, 0, 0, 0, 0},
    {"poll with timeout", c_poll, 0, 0, 0, 0},
    {"ppoll with timeout", c_ppoll, 0, 0, 0, 0},
    {"select with timeout", c_select, 0, 0, 0, 0},
    {"pselect with timeout", c_pselect, 0, 0, 0, 0},
    {"epoll_wait with timeout", c_epoll, 0, 0, 0, 0},
    {"poll", c_pollever, 1, writepipe, 0, drainpipe},
    {"epoll_wait", c_epollever, 1, writepipe, 0, drainpipe},
    {"read of a pipe", c_read, 1, writepipe, 0, 0},
    {"readv of a pipe", c_readv, 1, writepipe, 0, 0},
    {"recv", c_recv, 1, sendstream, 0, 0},
    {"recvmsg", c_recvmsg, 1, sendstream, 0, 0},
    {"recv with SO_RCVTIMEO", c_recvtimeo, -EAGAIN, 0, 0, 0},
    {"recv with MSG_WAITALL", c_waitall, RECEIVED, sendparts, 0, 0},
    {"recvmsg with MSG_WAITALL", c_waitallmsg, RECEIVED, sendparts, 0, 0},
    {"write of 1 MiB to a pipe", c_writebig, BIG, readbig, 0, 0},
    {"writev of 1 MiB to a pipe", c_writevbig, BIG, readbig, 0, 0},
    {"sendmsg of 1 MiB", c_sendmsgbig, BIG, receivebig, 0, 0},
    {"accept", c_accept, 0, dial, 0, 0},
    {"sem_wait", c_semwait, 0, postsem, 0, 0},
    {"sem_timedwait", c_semtimed, -ETIMEDOUT, 0, 0, 0},
    {"pthread_mutex_timedlock", c_mutextimed, -ETIMEDOUT, 0, 0, 0},
    {"pthread_cond_wait", c_cond, 0, signalcond, 0, 0},
    {"pthread_cond_timedwait", c_condtimed, -ETIMEDOUT, 0, 0, 0},
    {"futex", c_futex, 0, wakeword, 0, 0},
    {"futex with timeout", c_futextimed, -ETIMEDOUT, 0, 0, 0},
    {"msgrcv", c_msgrcv, 8, sendmessage, 0, 0},
    {"semop", c_semop, 0, raisesem, 0, 0},
    {"semtimedop", c_semtimedop, -EAGAIN, 0, 0, 0},
    {"sigtimedwait", c_sigtimedwait, -EAGAIN, 0, 0, 0},
    {"read of an eventfd", c_eventfd, 0, addevent, 0, 0},
    {"read of a timerfd", c_timerfd, 8, 0, 0, 0},
    {"flock", c_flock, 0, unlockfile, lockfile, 0},
    {"waitpid", c_waitpid, 0, 0, 0, 0},
    {"pthread_join", c_join, 0, 0, 0, 0},
};

static void
callsbegin(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	socklen_t len = sizeof address;
	static const size_t sizes[6] = {0, 1, 70000, 0, 300001, 65536};
	size_t at = 0;

	for (uint32_t i = 0; i < BIG; i++)
		sent[i] = (char)(i % 4 == 0 ? i >> 10 : i * 2654435761u >> 24);
	for (int i = 0; i < 7; i++) {
		pieces[i] = (struct iovec){sent + at, i < 6 ? sizes[i] : BIG - at};
		at += pieces[i].iov_len;
	}
	MUST(pipe2(pfd, O_CLOEXEC) == 0 && pipe2(bigfd, O_CLOEXEC) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, whole) == 0);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	MUST(epfd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, pfd[0], &ev) == 0);
	eventfd_ = eventfd(0, EFD_CLOEXEC);
	timerfd_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	MUST(eventfd_ >= 0 && timerfd_ >= 0);
	sem_init(&sem, 0, 0);
	MUST(pthread_mutex_lock(&mu) == 0);
	queue = msgget(IPC_PRIVATE, 0600);
	sems = semget(IPC_PRIVATE, 1, 0600);
	MUST(queue >= 0 && sems >= 0);
	snprintf(lockpath, sizeof lockpath, "/tmp/torture.%d", (int)getpid());
	for (int i = 0; i < 2; i++)
		MUST((lockfd[i] = open(lockpath, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0);
	unlink(lockpath);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 8) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
	asked = rt0_chan_make(sizeof(void (*)(void)), 0);
	rt0_go(helper, NULL);
}

// callsround makes each call once, or those that CALL in the environment names.
static void
callsround(void)
{
	const char *only = getenv("CALL");
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		const struct call *c = &calls[i];
		if (only && !strstr(c->name, only))
			continue;
		if (c->before)
			c->before();
		if (c->help)
			ask(c->help);
		int64_t t = now();
		long got = c->make();
		t = now() - t;
		if (got != c->want)
			BAD("%s: %ld, want %ld", c->name, got, c->want);
		// The helper's time began when it was asked, a moment before.
		if (!c->help && t < WAIT_US * 1000)
			BAD("%s: back after %ld ns of %d", c->name, (long)t, WAIT_US * 1000);
		if (c->after)
			c->after();
	}
}

static void
callswork(struct worker *w)
{
	while (running(w)) {
		if (w->id == 0)
			callsround();
		else
			spin(20000);
	}
}

static void
callsend(void)
{
	rt0_chan_close(asked);
	msgctl(queue, IPC_RMID, NULL);
	semctl(sems, 0, IPC_RMID);
}
SUBJECT(calls, .workers = 3, .flags = ALONE | NOTSAN, .begin = callsbegin, .work = callswork,
    .end = callsend);

// ---- declared: sleeps between rt0_entersyscall and rt0_exitsyscall, and where preemption is
// forbidden. A request that was meant for the goroutine before must not end them ----

static void
declaredwork(struct worker *w)
{
	while (running(w)) {
		int64_t t = now();
		struct timespec ts = {0, 300000};
		if (w->id < 2) {
			long x = RT0_BLOCKING(nanosleep(&ts, NULL));
			if (x != 0)
				BAD("declared: nanosleep ended early, errno %d", errno);
		} else if (w->id < 4) {
			rt0_preempt_disable();
			if (nanosleep(&ts, NULL) != 0)
				BAD("declared: nanosleep without preemption: errno %d", errno);
			rt0_preempt_enable();
		} else {
			spin(3000);
			continue;
		}
		if (now() - t < 300000)
			BAD("declared: a sleep of 300000 ns took %ld", (long)(now() - t));
		spin(20000);
	}
}
SUBJECT(declared, .workers = 6, .flags = NOTSAN, .work = declaredwork);
