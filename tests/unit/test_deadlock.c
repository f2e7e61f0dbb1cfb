// SPDX-License-Identifier: BSD-3-Clause
// test_deadlock.c: no deadlock is reported as long as one thing, and only one, can still ready a
// goroutine: a thread that is asleep or is being made, a system call, a locked thread that ends.
//
// Main waits all the time, so that each step of the others is one after which the runtime might
// look: threads come and go, in and out of rt0, while nothing else runs. A false report ends the
// test.

#include <pthread.h>
#include <stdlib.h>

#include "../../src/runtime.h"
#include "../../include/rt0/net.h"
#include "apiutil.h"

static rt0_chan *c;

static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
doze(long us)
{
	if (us > 0) {
		struct timespec ts = {0, us * 1000};
		nanosleep(&ts, NULL);
	}
}

static void
detached(void *(*fn)(void *), uint64_t arg)
{
	pthread_t t;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	// A thread that has ended leaves the process's list a moment later.
	while (pthread_create(&t, &attr, fn, (void *)arg) != 0)
		doze(100);
	pthread_attr_destroy(&attr);
}

static void
reply(void *arg)
{
	rt0_chan_send(c, &(uint64_t){(uint64_t)arg});
}

// Outside of rt0, then one call; the thread ends.
static void *
thread_sends(void *arg)
{
	doze((long)((uint64_t)arg % 128));
	reply(arg);
	return NULL;
}

// Several calls before the one that counts, and another thread that does nothing.
static void *
thread_idles(void *arg)
{
	doze((long)(uint64_t)arg % 64);
	return NULL;
}

static void *
thread_spawns(void *arg)
{
	detached(thread_idles, (uint64_t)arg);
	for (uint64_t i = 0; i < (uint64_t)arg % 4; i++)
		CHECK_EQ(rt0_chan_try_recv(c, NULL), -EAGAIN);
	rt0_go(reply, arg);
	return NULL;
}

// Each makes the next one and ends.
static void *
thread_chain(void *arg)
{
	uint64_t n = (uint64_t)arg;
	if (n % 8 == 0)
		return thread_sends((void *)(n / 8));
	detached(thread_chain, n - 1);
	return NULL;
}

static void
sleep_then_reply(void *arg)
{
	blocking_sleep((long)((uint64_t)arg % 128));
	rt0_go(reply, arg);
}

static void *
thread_runs(void *arg)
{
	CHECK_EQ(rt0_run(sleep_then_reply, arg), 0);
	doze((long)((uint64_t)arg % 32));
	return NULL;
}

static void
goroutine_sleeps(void *arg)
{
	blocking_sleep((long)((uint64_t)arg % 128));
	reply(arg);
}

static void
goroutine_locks_and_ends(void *arg)
{
	rt0_lock_os_thread();
	if ((uint64_t)arg % 2 == 0)
		blocking_sleep((long)((uint64_t)arg % 64));
	rt0_go(reply, arg); // by the template thread, perhaps
}

static void
goroutine_makes_thread(void *arg)
{
	detached(thread_sends, (uint64_t)arg);
}

static void
reply_and_exit(void *arg)
{
	rt0_go(reply, arg);
	pthread_exit(NULL);
}

static void *
thread_ends_inside(void *arg)
{
	rt0_run(reply_and_exit, arg);
	return NULL;
}

static void
step(uint64_t r)
{
	uint64_t arg = r >> 16;
	switch (r % (SANITIZED ? 7 : 8)) {
	case 0:
		detached(thread_sends, arg);
		break;
	case 1:
		detached(thread_spawns, arg);
		break;
	case 2:
		detached(thread_chain, arg);
		break;
	case 3:
		detached(thread_runs, arg);
		break;
	case 4:
		rt0_go(goroutine_sleeps, (void *)arg);
		break;
	case 5:
		rt0_go(goroutine_locks_and_ends, (void *)arg);
		break;
	case 6:
		rt0_go(goroutine_makes_thread, (void *)arg);
		break;
	case 7:
		detached(thread_ends_inside, arg);
		break; // a sanitizer refuses that
	}
}

static void
stress(int procs, uint64_t seed)
{
	uint64_t v;
	rt0_gomaxprocs(procs);
	c = rt0_chan_make(sizeof v, 0);
	for (int i = 0; i < (SANITIZED ? 200 : 3000); i++) {
		step(next(&seed));
		CHECK(rt0_chan_recv(c, &v));
	}
}

TEST_T(deadlock_never_false_1_proc, 20000)
{
	stress(1, 0x9e3779b97f4a7c15);
}

TEST_T(deadlock_never_false_2_procs, 20000)
{
	stress(2, 0xbf58476d1ce4e5b9);
}

TEST_T(deadlock_never_false_3_procs, 20000)
{
	stress(3, 0x94d049bb133111eb);
}

TEST_T(deadlock_never_false_8_procs, 20000)
{
	stress(8, 0xd6e8feb86659fd93);
}

static void
reads_and_replies(void *fd)
{
	char b;
	CHECK_EQ(rt0_fd_read(fd, &b, 1), 1);
	reply(NULL);
}

// sysmon takes the only goroutine that anybody could ready out of the poller, and before it has readied it, the only one
// that runs goes to sleep. (A debug build makes that moment longer.)
TEST_T(deadlock_never_false_while_sysmon_polls, 20000)
{
	uint64_t v, seed = 0x9e3779b97f4a7c15;
	rt0_fd *fd[2];
	debug.seed = 1;
	rt0_gomaxprocs(1);
	c = rt0_chan_make(sizeof v, 0);
	CHECK_EQ(rt0_socketpair(0, fd), 0);
	for (int i = 0; i < (RT0_DEBUG ? 60 : 20); i++) {
		rt0_go(reads_and_replies, fd[0]);
		rt0_gosched(); // it waits
		CHECK_EQ(write(rt0_fd_sysfd(fd[1]), "x", 1), 1);
		int64_t until = rt0_nanotime() + 10000000 + (int64_t)(next(&seed) % 12000000);
		while (rt0_nanotime() < until)
			continue;
		CHECK(rt0_chan_recv(c, &v));
	}
	rt0_fd_close(fd[0]);
	rt0_fd_close(fd[1]);
}

static struct m *home;

static void
holds_home(void *arg)
{
	rt0_lock_os_thread();
	atomic_storerel(&home, getg()->m);
	rt0_chan_recv(arg, NULL);
}

static void
replies_from_home(void *arg)
{
	(void)arg;
	getg()->homelost = false; // as posixcall has it
	runtime_gohome(home);     // which is bound to another, and waits
	reply(NULL);
}

// sysmon gives up on a home, and before it has put what was there on another queue, the only one that runs goes to sleep.
TEST_T(deadlock_never_false_while_sysmon_gives_up_a_home, 20000)
{
	uint64_t v, seed = 0x9e3779b97f4a7c15;
	debug.seed = 1;
	rt0_gomaxprocs(1);
	c = rt0_chan_make(sizeof v, 0);
	rt0_chan *never = rt0_chan_make(sizeof v, 0);
	do {
		home = NULL;
		rt0_go(holds_home, never);
		while (atomic_loadacq(&home) == NULL)
			rt0_gosched();
	} while (home == getg()->m);
	for (int i = 0; i < (RT0_DEBUG ? 60 : 20); i++) {
		rt0_go(replies_from_home, NULL);
		rt0_gosched(); // it is there
		int64_t until = rt0_nanotime() + 8000000 + (int64_t)(next(&seed) % 20000000);
		while (rt0_nanotime() < until)
			continue;
		CHECK(rt0_chan_recv(c, &v));
	}
}
