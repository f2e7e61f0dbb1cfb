// SPDX-License-Identifier: BSD-3-Clause
// test_signal_storm.c: random signals to random threads, and nothing is lost but what they end.

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "../../src/runtime.h"
#include "apiutil.h"

// Random signals, but for those that end the process by contract, to random threads of this process
// while goroutines communicate, start others, block, allocate and lock. RT0_STORM_MS: how long
// (1000).
static const int storm[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE,
    SIGALRM, SIGCHLD, SIGCONT, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,
    SIGPWR, SIGTRAP, SIGSYS, SIGSEGV, SIGFPE};

static int stop_storm, running, shared, quit;
static rt0_mutex storm_lock;

static void *
sender(void *arg)
{
	uint64_t seed = *(uint64_t *)arg, sent = 0;
	pid_t pid = getpid();
	while (!get(&stop_storm)) {
		// The threads of the moment: they come and go.
		int tids[64], n = 0;
		int fd = runtime_open("/proc/self/task", 0, 0);
		char buf[4096];
		long len = syscall(SYS_getdents64, fd, buf, sizeof buf);
		for (long off = 0; off < len && n < 64;) {
			uint16_t reclen;
			memcpy(&reclen, buf + off + 16, sizeof reclen);
			if (buf[off + 19] != '.')
				tids[n++] = atoi(buf + off + 19);
			off += reclen;
		}
		close(fd);
		for (int i = 0; i < 50 && n > 0; i++, sent++) {
			seed = seed * 6364136223846793005ul + 1442695040888963407ul;
			unsigned r = (unsigned)(seed >> 33);
			int sig = r % 4 == 0 ? 35 + (int)(r / 4 % 30)
					     : storm[r / 4 % (sizeof storm / sizeof storm[0])];
			syscall(SYS_tgkill, pid, tids[r / 512 % (unsigned)n], sig);
		}
		usleep(200);
	}
	*(uint64_t *)arg = sent;
	return NULL;
}

static void
storm_child(void *arg)
{
	rt0_mutex_lock(&storm_lock);
	shared++;
	rt0_mutex_unlock(&storm_lock);
	inc((int *)arg);
}

static void
storm_worker(void *arg)
{
	rt0_chan **c = arg;
	int v, started = 0, ended = 0;
	for (int i = 0; !get(&stop_storm); i++) {
		rt0_chan_send(c[0], &i);
		CHECK(rt0_chan_recv(c[1], &v));
		CHECK_EQ(v, i);
		if (i % 16 == 0) {
			started++;
			rt0_go(storm_child, &ended);
			char *p = rt0_alloc(100, 0);
			memset(p, i, 100);
			char *q = malloc(200);
			memset(q, i, 200);
			CHECK_EQ(p[99], q[199]);
			free(q);
			rt0_free(p);
		}
		if (i % 256 == 0)
			blocking_sleep(20);
	}
	await(&ended, started);
	rt0_chan_close(c[0]);
	CHECK_EQ(rt0_chan_recv(c[1], &v), false);
	dec(&running);
}

static void
storm_drain(void *arg)
{
	int s;
	uint64_t *seen = arg;
	RT0_RANGE ((rt0_chan *)(uintptr_t)seen[0], s)
		__atomic_or_fetch(&seen[1], 1ul << (s - 1), __ATOMIC_SEQ_CST);
	inc(&quit);
}

static void
storms(int procs)
{
	if (RT0_TSAN)
		SKIP("ThreadSanitizer's own code cannot be interrupted anywhere");
	const char *e = getenv("RT0_STORM_MS");
	int64_t until = rt0_nanotime() + (e != NULL ? atoi(e) : 300) * MS;
	rt0_gomaxprocs(procs);
	static rt0_chan *c[4][2];
	static uint64_t seen[2], seed[2] = {1, 2};
	rt0_chan *sigs = rt0_chan_make(sizeof(int), 4);
	seen[0] = (uintptr_t)sigs;
	rt0_go(storm_drain, seen);
	CHECK_EQ(rt0_signal_notify(sigs, NULL, 0), 0);
	CHECK_EQ(RT0_NOTIFY(sigs, SIGSEGV, SIGFPE, SIGTRAP, SIGSYS), 0);
	for (int i = 0; i < 4; i++) {
		c[i][0] = rt0_chan_make(sizeof(int), (size_t)i % 2);
		c[i][1] = rt0_chan_make(sizeof(int), (size_t)i % 3);
		inc(&running);
		rt0_go(pong, c[i]);
		rt0_go(storm_worker, c[i]);
	}
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, sender, &seed[i]), 0);
	rt0_chan *come = rt0_chan_make(sizeof(int), 1);
	while (rt0_nanotime() < until) {
		// Notify and stop in the middle of it.
		CHECK_EQ(RT0_NOTIFY(come, SIGUSR1, SIGWINCH), 0);
		blocking_sleep(500);
		CHECK_EQ(rt0_signal_stop(come), 0);
		rt0_chan_try_recv(come, NULL);
	}
	set(&stop_storm, 1);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(RT0_BLOCKING(pthread_join(t[i], NULL)), 0);
	await(&running, 0);
	CHECK(seed[0] + seed[1] > 100); // sent
	// None is lost if its channel has room. What is left of the storm may take it: then once more. Nobody stops
	// notify here: what was sent to a thread that was stopped may still come.
	while (rt0_chan_len(sigs) > 0)
		rt0_gosched();
	__atomic_store_n(&seen[1], 0, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < sizeof storm / sizeof storm[0]; i++) {
		for (int n = 0; (__atomic_load_n(&seen[1], __ATOMIC_SEQ_CST) & 1ul << (storm[i] - 1)) == 0; n++) {
			if (n % 10000 == 0)
				CHECK_EQ(kill(getpid(), storm[i]), 0);
			rt0_gosched();
		}
	}
}

TEST_T(signal_storm_1p, 90000)
{
	storms(1);
}

TEST_T(signal_storm_2p, 90000)
{
	storms(2);
}
