// SPDX-License-Identifier: BSD-3-Clause
// test_mslot.c: the stacks of our threads: when they are used again, what guards them, what a fork leaves of them.

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/runtime.h"
#include "apiutil.h"

enum { CYCLES = 600, AREA = 16 << 10 };

static pthread_key_t key;
static int32_t begun, ended, torn, dirty; // atomic
static __thread int fresh = 7;
static __thread char zero[300];

// atend runs when the m has ended, and its thread has not: for a while it uses as much of the stack as it may.
static void
atend(void *arg)
{
	(void)arg;
	volatile unsigned char area[AREA];
	unsigned char mine = (unsigned char)runtime_gettid();
	for (size_t i = 0; i < AREA; i++)
		area[i] = mine;
	for (int i = 0; i < 20; i++) {
		usleep(i < 10 ? 0 : 100);
		for (size_t k = 0; k < AREA; k += 64)
			if (area[k] != mine)
				atomic_xadd(&torn, 1);
	}
	atomic_xadd(&ended, 1);
}

static void
lives(void *arg)
{
	rt0_lock_os_thread(); // and never unlocks: the thread ends
	if (fresh != 7 || memcmp(zero, (char[sizeof zero]){0}, sizeof zero) != 0)
		atomic_xadd(&dirty, 1);
	if (getg()->m == &runtime_m0) { // it does not end
		rt0_unlock_os_thread();
	} else {
		fresh = 1;
		memset(zero, 1, sizeof zero);
		CHECK_EQ(pthread_setspecific(key, &key), 0);
		atomic_xadd(&begun, 1);
	}
	rt0_waitgroup_done(arg);
}

static void
cycles(int n, int at_once)
{
	for (int i = 0; i < n; i += at_once) {
		rt0_waitgroup wg = {0};
		rt0_waitgroup_add(&wg, at_once);
		for (int k = 0; k < at_once; k++)
			rt0_go(lives, &wg);
		rt0_waitgroup_wait(&wg);
	}
}

static void
awaitended(void)
{
	while (get(&ended) < get(&begun))
		blocking_sleep(1000);
}

// The thread's own destructors run when the runtime has done with the m, and are slow: no other thread may be on that
// stack meanwhile, and when they are through the stack is used again.
TEST_T(mslot_is_used_again_when_its_thread_has_gone, 60000)
{
	rt0_gomaxprocs(3);
	CHECK_EQ(pthread_key_create(&key, atend), 0);
	cycles(CYCLES, 4);
	awaitended();
	uint64_t before = get(&memstats.stacks_sys);
	for (int i = 0; i < 20; i++) {
		cycles(20, 4);
		awaitended();
	}
	// A few more may have been at once; 400 slots are 46 MiB.
	CHECK(get(&memstats.stacks_sys) - before < 16 << 20);
	CHECK_EQ(get(&torn), 0);
	CHECK_EQ(get(&dirty), 0);
}

static void
looks(void *arg)
{
	rt0_lock_os_thread();
	struct m *mp = getg()->m;
	if (mp != &runtime_m0) {
		char c;
		uintptr_t here = (uintptr_t)mp->g0->stack.hi, lo = mp->thread.lo, sig = mp->gsignal->stack.lo;
		CHECK(here > lo && here <= mp->thread.hi);
		CHECK(mp->g0->stack.lo >= lo && mp->g0->stack.hi - mp->g0->stack.lo >= STACKSYSTEM_WINDOW - 256);
		CHECK(runtime_saferead(&c, lo, 1));
		CHECK(!runtime_saferead(&c, lo - 1, 1));
		CHECK(runtime_saferead(&c, sig, 1));
		CHECK(debug.guardoff || !runtime_saferead(&c, sig - 1, 1));
		CHECK_EQ(mp->gsignal->stack.hi, lo - PAGESIZE);
		atomic_xadd(&ended, 1);
	}
	rt0_unlock_os_thread();
	blocking_sleep(20000); // others need threads of their own
	rt0_waitgroup_done(arg);
}

static void
looksall(void)
{
	rt0_waitgroup wg = {0};
	rt0_gomaxprocs(2);
	rt0_waitgroup_add(&wg, 40);
	for (int i = 0; i < 40; i++)
		rt0_go(looks, &wg);
	rt0_waitgroup_wait(&wg);
	CHECK(get(&ended) > 0);
}

TEST(mslot_stacks_have_guards)
{
	looksall();
}

TEST(mslot_stacks_have_guards_without_markers)
{
	debug.guardoff = 1;
	looksall();
}

static void *
plain(void *arg)
{
	free(memset(malloc(1000), 1, 1000));
	return arg;
}

// The child of a fork may have threads if the libc can give it some: it must not take the stacks that we have lent it
// for its own.
TEST(mslot_fork_child_makes_threads_of_its_own)
{
	if (SANITIZED)
		SKIP("a sanitizer's locks stay as the threads that the fork leaves behind have held them");
	rt0_gomaxprocs(2);
	rt0_waitgroup wg = {0};
	rt0_waitgroup_add(&wg, 20);
	for (int i = 0; i < 20; i++)
		rt0_go(looks, &wg);
	blocking_sleep(1000);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 50; i++) {
			pthread_t th;
			void *r = NULL;
			if (pthread_create(&th, NULL, plain, &key) != 0 || pthread_join(th, &r) != 0 || r != &key)
				_exit(1);
		}
		_exit(0);
	}
	CHECK(pid > 0);
	int status = -1;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	rt0_waitgroup_wait(&wg);
}
