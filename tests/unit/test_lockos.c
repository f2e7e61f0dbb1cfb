// SPDX-License-Identifier: BSD-3-Clause
// test_lockos.c: goroutines that are bound to their threads.

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "apiutil.h"

struct locked {
	rt0_waitgroup wg;
	rt0_chan *c;
	int tid, n, stop;
};

static void
spin_yield(void *arg)
{
	struct locked *l = arg;
	while (!get(&l->stop))
		rt0_gosched();
	rt0_waitgroup_done(&l->wg);
}

// TestLockOSThreadNesting: locked until unlocked as often. The yielders would move an unlocked
// goroutine about; a locked one must stay.
static void
nest(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	rt0_lock_os_thread();
	int tid = gettid_();
	for (int i = 0; i < 200; i++) {
		rt0_gosched();
		CHECK_EQ(gettid_(), tid);
	}
	rt0_unlock_os_thread();
	for (int i = 0; i < 200; i++) {
		rt0_gosched();
		CHECK_EQ(gettid_(), tid);
	}
	rt0_unlock_os_thread();
	rt0_unlock_os_thread(); // one too many does nothing
	set(&l->stop, 1);
	rt0_waitgroup_done(&l->wg);
}

TEST(lock_os_thread_nests)
{
	rt0_gomaxprocs(4);
	struct locked l = {0};
	rt0_waitgroup_add(&l.wg, 9);
	for (int i = 0; i < 8; i++)
		rt0_go(spin_yield, &l);
	rt0_go(nest, &l);
	rt0_waitgroup_wait(&l.wg);
}

// TestBlockLocked: a locked goroutine blocks and comes back on its own thread.
static void
locked_sender(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	int tid = gettid_();
	for (int i = 0; i < 1000; i++) {
		rt0_chan_send(l->c, &i);
		CHECK_EQ(gettid_(), tid);
	}
	rt0_unlock_os_thread();
	rt0_chan_close(l->c);
}

TEST(lock_os_thread_block_and_resume)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		for (int cap = 0; cap < 3; cap++) {
			struct locked l = {.c = rt0_chan_make(sizeof(int), cap)};
			rt0_go(locked_sender, &l);
			int v, n = 0;
			RT0_RANGE (l.c, v)
				CHECK_EQ(v, n++);
			CHECK_EQ(n, 1000);
		}
	}
}

static void
keep_own_thread(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	int tid = gettid_();
	for (int i = 0; i < 50; i++) {
		rt0_gosched();
		blocking_sleep(10);
		CHECK_EQ(gettid_(), tid);
	}
	rt0_unlock_os_thread();
	rt0_waitgroup_done(&l->wg);
}

TEST(lock_os_thread_many_with_few_processors)
{
	rt0_gomaxprocs(2);
	struct locked l = {0};
	rt0_waitgroup_add(&l.wg, 20);
	for (int i = 0; i < 20; i++)
		rt0_go(keep_own_thread, &l);
	rt0_waitgroup_wait(&l.wg);
}

// Two locked goroutines that hand a token to each other need their two threads at every turn.
static void
locked_echo(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	int v;
	RT0_RANGE (l->c, v)
		set(&l->n, v);
	rt0_waitgroup_done(&l->wg);
}

TEST(lock_os_thread_both_sides)
{
	rt0_gomaxprocs(1);
	struct locked l = {.c = rt0_chan_make(sizeof(int), 0)};
	rt0_lock_os_thread();
	int tid = gettid_();
	rt0_waitgroup_add(&l.wg, 1);
	rt0_go(locked_echo, &l);
	for (int i = 1; i <= 500; i++) {
		rt0_chan_send(l.c, &i);
		CHECK_EQ(gettid_(), tid);
	}
	rt0_chan_close(l.c);
	rt0_waitgroup_wait(&l.wg);
	CHECK_EQ(get(&l.n), 500);
	rt0_unlock_os_thread();
}

// TestLockOSThreadExit: who ends while locked ends the thread, but never the main one.
static void
lock_and_leave(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	set(&l->tid, gettid_());
	rt0_chan_send(l->c, NULL);
}

static bool
thread_exists(int tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

TEST(lock_os_thread_exit_ends_the_thread)
{
	rt0_lock_os_thread(); // main keeps the main thread, so that the others get threads of their
			      // own
	for (int i = 0; i < 10; i++) {
		struct locked l = {.c = rt0_chan_make(0, 0)};
		rt0_go(lock_and_leave, &l);
		rt0_chan_recv(l.c, NULL);
		CHECK(l.tid != getpid() && l.tid != 0);
		while (thread_exists(l.tid)) // the time limit decides
			blocking_sleep(100);
	}
	rt0_unlock_os_thread();
}

static void
exit_locked_if_main_thread(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	if (gettid_() == getpid()) {
		set(&l->stop, 1);
		return; // locked to the main thread: nobody may run on it from now on
	}
	rt0_unlock_os_thread();
	rt0_waitgroup_done(&l->wg);
}

static void
never_on_main_thread(void *arg)
{
	struct locked *l = arg;
	for (int i = 0; i < 100; i++) {
		CHECK(gettid_() != getpid());
		rt0_gosched();
	}
	rt0_waitgroup_done(&l->wg);
}

TEST(lock_os_thread_exit_on_the_main_thread_parks_it)
{
	rt0_gomaxprocs(4);
	struct locked l = {0};
	// Which thread a goroutine gets is the scheduler's choice: ask until one gets the main
	// thread.
	for (int tries = 0; tries < 20000 && !get(&l.stop); tries++) {
		rt0_waitgroup_add(&l.wg, 1);
		rt0_go(exit_locked_if_main_thread, &l);
		rt0_gosched();
	}
	if (!get(&l.stop))
		SKIP("no goroutine but main ran on the main thread");
	// rt0_num_goroutine drops to 1 when the locked one has ended too.
	while (rt0_num_goroutine() != 1)
		rt0_gosched();
	struct locked others = {0};
	rt0_waitgroup_add(&others.wg, 50);
	for (int i = 0; i < 50; i++)
		rt0_go(never_on_main_thread, &others);
	rt0_waitgroup_wait(&others.wg);
	CHECK(gettid_() != getpid());
	CHECK(thread_exists(getpid())); // parked: its end would make the process a zombie
}

// A goroutine that is started by a locked one is not locked.
static void
note_thread(void *arg)
{
	struct locked *l = arg;
	set(&l->tid, gettid_());
	set(&l->n, 1);
}

TEST(lock_os_thread_is_not_inherited)
{
	rt0_gomaxprocs(2);
	rt0_lock_os_thread();
	for (int i = 0; i < 100; i++) {
		struct locked l = {0};
		rt0_go(note_thread, &l);
		await(&l.n, 1);
		CHECK(l.tid != gettid_());
	}
	rt0_unlock_os_thread();
}

// A thread that a goroutine has locked, changed and ended on is not the parent of new ones.
static void
look_at_name(void *arg)
{
	struct locked *l = arg;
	char name[17] = {0};
	prctl(PR_GET_NAME, name);
	CHECK(strcmp(name, "changed") != 0);
	rt0_waitgroup_done(&l->wg);
}

static void
change_name_and_end(void *arg)
{
	struct locked *l = arg;
	rt0_lock_os_thread();
	prctl(PR_SET_NAME, "changed");
	for (int i = 0; i < 4; i++)
		rt0_go(look_at_name, l);
	rt0_waitgroup_done(&l->wg);
}

TEST(lock_os_thread_changed_thread_is_not_cloned_at_its_end)
{
	struct locked l = {.n = 0};
	rt0_gomaxprocs(1);
	rt0_waitgroup_add(&l.wg, 5);
	rt0_go(change_name_and_end, &l);
	rt0_waitgroup_wait(&l.wg);
}
