// SPDX-License-Identifier: BSD-3-Clause
// test_preempt.c: goroutines that call nothing, or block without a word, do not keep the processor.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

#include "../../src/runtime.h"

// Under ThreadSanitizer only the program's own code is preempted, not calls into libraries (preempt.c).
#define NOT_UNDER_TSAN()                                                                          \
	do {                                                                                      \
		if (RT0_TSAN)                                                                     \
			SKIP("ThreadSanitizer's library cannot be interrupted");                  \
	} while (0)

struct spin {
	uint32_t stop, started;
	uint64_t n[64];
	rt0_waitgroup wg;
};

static struct spin s;

// No call of anything: only a signal can stop it.
static void
spinner(void *arg)
{
	uint64_t *n = arg;
	__atomic_fetch_add(&s.started, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s.stop, __ATOMIC_RELAXED) == 0)
		__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
	rt0_waitgroup_done(&s.wg);
}

// spun is how often the first n have gone round.
static uint64_t
spun(int n)
{
	uint64_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += __atomic_load_n(&s.n[i], __ATOMIC_RELAXED);
	return sum;
}

static void
startspinners(int n)
{
	rt0_waitgroup_add(&s.wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(spinner, &s.n[i]);
}

static void
stopspinners(void)
{
	__atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
	rt0_waitgroup_wait(&s.wg);
}

TEST(spinner_gives_way_on_one_p)
{
	rt0_gomaxprocs(1);
	startspinners(1);
	while (__atomic_load_n(&s.n[0], __ATOMIC_RELAXED) == 0)
		rt0_gosched();
	uint64_t n = s.n[0];
	while (__atomic_load_n(&s.n[0], __ATOMIC_RELAXED) <= n)
		rt0_gosched();
	stopspinners();
	CHECK(sched.nstops > 0);
}

TEST(spinners_all_get_on)
{
	rt0_gomaxprocs(2);
	startspinners(20);
	for (int i = 0; i < 20; i++)
		while (__atomic_load_n(&s.n[i], __ATOMIC_RELAXED) == 0)
			rt0_gosched();
	stopspinners();
}

TEST(spinners_do_not_hold_up_gomaxprocs)
{
	rt0_gomaxprocs(2);
	startspinners(4);
	for (int i = 0; i < 40; i++)
		rt0_gomaxprocs(i % 3 + 1);
	stopspinners();
}

TEST(preempt_disable_keeps_the_processor)
{
	rt0_gomaxprocs(1);
	startspinners(1);
	while (__atomic_load_n(&s.n[0], __ATOMIC_RELAXED) == 0)
		rt0_gosched();
	rt0_preempt_disable();
	uint64_t n = __atomic_load_n(&s.n[0], __ATOMIC_RELAXED);
	for (int64_t end = rt0_nanotime() + 50 * MS; rt0_nanotime() < end;)
		;
	CHECK_EQ(__atomic_load_n(&s.n[0], __ATOMIC_RELAXED), n);
	rt0_preempt_enable();
	while (__atomic_load_n(&s.n[0], __ATOMIC_RELAXED) == n)
		;
	stopspinners();
}

RT0_NOPREEMPT static uint64_t
unstopped(void)
{
	uint64_t n = __atomic_load_n(&s.n[0], __ATOMIC_RELAXED), ops = 0;
	for (; ops < 200000000; ops++) {
		if (__atomic_load_n(&s.n[0], __ATOMIC_RELAXED) != n)
			return 1;
	}
	return 0;
}

TEST(nopreempt_function_keeps_the_processor)
{
	NOT_UNDER_TSAN();
	rt0_gomaxprocs(1);
	startspinners(1);
	while (__atomic_load_n(&s.n[0], __ATOMIC_RELAXED) == 0)
		rt0_gosched();
	CHECK_EQ(unstopped(), 0);
	stopspinners();
}

TEST(inthread_region_is_switched_without_a_stopped_thread)
{
	rt0_gomaxprocs(1);
	startspinners(1);
	rt0_preempt_inthread_begin();
	uint64_t before = sched.ninthread;
	while (__atomic_load_n(&sched.ninthread, __ATOMIC_RELAXED) < before + (RT0_ASAN || RT0_TSAN ? 0 : 3))
		;
	rt0_preempt_inthread_end();
	stopspinners();
}

TEST(undeclared_sleep_gives_up_the_processor)
{
	NOT_UNDER_TSAN();
	rt0_gomaxprocs(1);
	startspinners(2);
	for (int i = 0; i < 10; i++) {
		struct timespec ts = {0, 20 * 1000000};
		uint64_t n = spun(2);
		do { // on a loaded machine 20 ms may be too short
			int64_t t0 = rt0_nanotime();
			CHECK_EQ(nanosleep(&ts, NULL), 0);
			CHECK(rt0_nanotime() - t0 >= 20 * MS);
		} while (spun(2) == n);
	}
	stopspinners();
	CHECK(sched.nretaken > 0);
}

static int fds[2];

static void
writer(void *arg)
{
	(void)arg;
	CHECK_EQ(write(fds[1], "x", 1), 1);
}

TEST(undeclared_read_gives_up_the_processor)
{
	NOT_UNDER_TSAN();
	rt0_gomaxprocs(1);
	CHECK_EQ(pipe(fds), 0);
	for (int i = 0; i < 5; i++) {
		char c = 0;
		rt0_go(writer, NULL);
		CHECK_EQ(read(fds[0], &c, 1), 1);
		CHECK_EQ(c, 'x');
	}
}

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

static void
locker(void *arg)
{
	uint64_t *n = arg;
	for (int i = 0; i < 30; i++) {
		pthread_mutex_lock(&mu);
		// Longer than a slice now and then: stopped while it holds the lock that the next one wants.
		for (volatile int k = 0; k < 3000000; k++)
			;
		(*n)++;
		pthread_mutex_unlock(&mu);
	}
	rt0_waitgroup_done(&s.wg);
}

TEST(lock_held_by_a_stopped_goroutine_comes_free)
{
	NOT_UNDER_TSAN();
	static uint64_t n;
	rt0_gomaxprocs(1);
	rt0_waitgroup_add(&s.wg, 4);
	for (int i = 0; i < 4; i++)
		rt0_go(locker, &n);
	rt0_waitgroup_wait(&s.wg);
	CHECK_EQ(n, 120);
}

static void
errnokeeper(void *arg)
{
	(void)arg;
	int *e = &errno;
	for (int i = 0; i < 200; i++) {
		errno = 0;
		close(-1);
		for (volatile int k = 0; k < 200000; k++)
			;
		CHECK_EQ(*e, EBADF);
		CHECK_EQ(errno, EBADF);
	}
	rt0_waitgroup_done(&s.wg);
}

TEST(errno_is_the_goroutines_own_while_it_is_stopped)
{
	rt0_gomaxprocs(1);
	rt0_waitgroup_add(&s.wg, 3);
	for (int i = 0; i < 3; i++)
		rt0_go(errnokeeper, NULL);
	rt0_waitgroup_wait(&s.wg);
}

TEST(stopped_threads_are_bounded_by_the_cap_at_first)
{
	rt0_gomaxprocs(2);
	startspinners(64);
	for (int i = 0; i < 64; i++)
		while (__atomic_load_n(&s.n[i], __ATOMIC_RELAXED) == 0)
			rt0_gosched();
	stopspinners();
	CHECK(sched.maxstopped <= 64);
	CHECK_EQ(sched.nstopped, 0);
	CHECK_EQ(sched.nbound, 0);
}
