// SPDX-License-Identifier: BSD-3-Clause
// test_gobehaviour.c: what Go's own tests ask of a scheduler that preempts, asked of this one.
//
// Each test names the test of Go's proc_test.go that it restates. There is no collector to stop the
// world: rt0_gomaxprocs does it. Those that need no preemption are in test_sched.c and
// test_lockos.c. All default to slices of 10 ms; none looks at a clock but to sleep.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>

#include "child.h"
#include "apiutil.h"

#ifdef __SANITIZE_THREAD__
#define NOT_UNDER_TSAN() SKIP("under ThreadSanitizer only the program's own code is preempted")
#else
#define NOT_UNDER_TSAN() ((void)0)
#endif

struct loop {
	rt0_waitgroup wg;
	int stop, up, turn, fd;
	long us;
};

// spin_until calls nothing; a loop over a flag that others set.
static void
spin_until_stop(void *arg)
{
	struct loop *l = arg;
	inc(&l->up);
	while (!get(&l->stop))
		continue;
	rt0_waitgroup_done(&l->wg);
}

static void
start(struct loop *l, int n, void (*fn)(void *))
{
	rt0_waitgroup_add(&l->wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(fn, l);
}

static void
finish(struct loop *l)
{
	set(&l->stop, 1);
	rt0_waitgroup_wait(&l->wg);
}

// ---- TestStopTheWorldDeadlock, TestPreemptionGC
// --------------------------------------------------

static void
respawn(void *arg)
{
	struct loop *l = arg;
	if (get(&l->stop))
		rt0_waitgroup_done(&l->wg);
	else
		rt0_go(respawn, l);
}

// With a goroutine that respawns itself and one that never calls: stopping never deadlocks.
TEST_T(stop_the_world_among_respawning_and_spinning, 60000)
{
	struct loop l = {0};
	start(&l, 1, respawn);
	start(&l, 1, spin_until_stop);
	for (int i = 0; i < 300; i++)
		rt0_gomaxprocs(1 + i % 3);
	finish(&l);
}

TEST_T(stop_the_world_stops_goroutines_that_never_block, 60000)
{
	struct loop l = {0};
	rt0_gomaxprocs(5);
	start(&l, 4, spin_until_stop);
	await(&l.up, 4);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(rt0_gomaxprocs(5 + i % 2), i == 0 ? 5 : 5 + (i - 1) % 2);
		yield(10);
	}
	finish(&l);
}

// ---- TestYieldLockedProgress
// ------------------------------------------------------------------------

static void
poll_locked(void *arg)
{
	rt0_chan *c = arg;
	rt0_lock_os_thread();
	while (rt0_chan_try_recv(c, NULL) == -EAGAIN)
		rt0_gosched();
	rt0_unlock_os_thread();
	rt0_chan_send(c, NULL);
}

TEST(yielding_loop_lets_others_send_when_locked)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	rt0_go(poll_locked, c);
	yield(10);
	rt0_chan_send(c, NULL);
	rt0_chan_recv(c, NULL);
}

// ---- TestGoroutineParallelism and TestPreemption: spinning for another
// -------------------------------

enum { HANDS = 10 };

__attribute__((noinline)) static void
called(void)
{
	__asm__ volatile("");
}

// hand_over waits by spinning for its turn and spins on while it is the other's.
static void
hand_over(void *arg)
{
	struct loop *l = arg;
	int me = inc(&l->up) - 1;
	for (int i = 0; i < HANDS; i++) {
		while (get(&l->turn) != 2 * i + me)
			called();
		inc(&l->turn);
	}
	rt0_waitgroup_done(&l->wg);
}

TEST_T(spinning_hand_over_on_one_processor_ends, 30000)
{
	struct loop l = {0};
	rt0_gomaxprocs(1);
	start(&l, 2, hand_over);
	rt0_waitgroup_wait(&l.wg);
	CHECK_EQ(l.turn, 2 * HANDS);
}

static void
take_turn(void *arg)
{
	inc(&((struct loop *)arg)->turn);
}

// Who has started another may spin until that one has run; no call lets it in.
TEST_T(spinning_for_a_new_goroutine_ends, 30000)
{
	for (int procs = 1; procs <= 4; procs++) {
		struct loop l = {0};
		rt0_gomaxprocs(procs);
		for (int i = 1; i <= 5; i++) {
			rt0_go(take_turn, &l);
			while (get(&l.turn) != i)
				continue;
		}
	}
}

// More spinning goroutines than processors: the token still goes round (TestGoroutineParallelism2
// has as many, which test_sched.c tests).
TEST_T(token_goes_round_more_spinners_than_processors, 60000)
{
	struct loop noise = {0}, l = {0};
	rt0_gomaxprocs(2);
	start(&noise, 3, spin_until_stop);
	start(&l, 2, hand_over);
	rt0_waitgroup_wait(&l.wg);
	CHECK_EQ(l.turn, 2 * HANDS);
	finish(&noise);
}

// ---- TestAsyncPreempt, TestPreemptSplitBig
// -----------------------------------------------------------

static void
empty_loop(void *arg)
{
	inc((int *)arg);
	for (;;)
		__asm__ volatile("");
}

// No frame, no call, all in registers.
static void
register_loop(void *arg)
{
	inc((int *)arg);
	__asm__ volatile("1: inc %%rax\n\t xor %%rcx, %%rdx\n\t jmp 1b"
			 :
			 :
			 : "rax", "rcx", "rdx", "cc");
}

TEST_T(loops_without_calls_let_main_run, 30000)
{
	static int up;
	rt0_gomaxprocs(1);
	rt0_go(empty_loop, &up);
	rt0_go(register_loop, &up);
	rt0_go(empty_loop, &up);
	await(&up, 3);
	rt0_gomaxprocs(2); // the world stops although they never do
	rt0_gomaxprocs(1);
	yield(3);
}

__attribute__((noinline)) static int
big_frame(struct loop *l, int n)
{
	volatile char frame[40000];
	for (int i = 0; i < 40000; i += 100)
		frame[i] = (char)n;
	return get(&l->stop) ? 0 : frame[n % 400 * 100] + 1;
}

static void
loop_big_frames(void *arg)
{
	struct loop *l = arg;
	inc(&l->up);
	for (int n = 0; big_frame(l, n) != 0 || !get(&l->stop); n = (n + 1) % 100)
		continue;
	rt0_waitgroup_done(&l->wg);
}

TEST_T(big_frames_are_stopped_too, 30000)
{
	struct loop l = {0};
	rt0_gomaxprocs(1);
	start(&l, 2, loop_big_frames);
	await(&l.up, 2);
	for (int i = 0; i < 10; i++)
		rt0_gomaxprocs(1 + i % 2);
	finish(&l);
}

// ---- TestGCFairness, TestPreemptionAfterSyscall: calls that nobody declared
// ----------------------------

static void
write_for_ever(void *arg)
{
	struct loop *l = arg;
	while (!get(&l->stop))
		CHECK_EQ(write(l->fd, "x", 1), 1);
	rt0_waitgroup_done(&l->wg);
}

TEST_T(undeclared_short_calls_share_with_a_sleep, 30000)
{
	NOT_UNDER_TSAN();
	struct loop l = {.fd = open("/dev/null", O_WRONLY)};
	CHECK(l.fd >= 0);
	rt0_gomaxprocs(1);
	start(&l, 2, write_for_ever);
	blocking_sleep(10000);
	CHECK_EQ(usleep(10000), 0); // not declared either
	finish(&l);
}

static void
sleep_loop(void *arg)
{
	struct loop *l = arg;
	inc(&l->up);
	while (!get(&l->stop))
		CHECK_EQ(usleep((useconds_t)l->us), 0);
	rt0_waitgroup_done(&l->wg);
}

TEST_T(loops_of_undeclared_calls_stop_when_told, 30000)
{
	NOT_UNDER_TSAN();
	static const long us[] = {10, 100, 1000};
	rt0_gomaxprocs(2);
	for (int k = 0; k < 3; k++) {
		struct loop l = {.us = us[k]};
		start(&l, 8, sleep_loop);
		await(&l.up, 8);
		finish(&l);
	}
}

static void
read_byte(void *arg)
{
	struct loop *l = arg;
	char byte;
	CHECK_EQ(read(l->fd, &byte, 1), 1);
	set(&l->stop, 1);
	rt0_waitgroup_done(&l->wg);
}

// The only processor sits in a read that was not declared: what ends it runs all the same.
TEST_T(undeclared_blocking_read_gives_the_processor_up, 30000)
{
	NOT_UNDER_TSAN();
	int p[2];
	CHECK_EQ(pipe(p), 0);
	struct loop l = {.fd = p[0]};
	rt0_gomaxprocs(1);
	start(&l, 1, read_byte);
	rt0_gosched(); // into the read
	yield(3);
	CHECK_EQ(get(&l.stop), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	rt0_waitgroup_wait(&l.wg);
}

// ---- TestLockOSThread...: locked goroutines are preempted like others
// -----------------------------------

static void
spin_locked(void *arg)
{
	struct loop *l = arg;
	rt0_lock_os_thread();
	int tid = gettid_();
	inc(&l->up);
	while (!get(&l->stop))
		continue;
	CHECK_EQ(gettid_(), tid);
	rt0_gosched();
	CHECK_EQ(gettid_(), tid);
	rt0_unlock_os_thread();
	rt0_waitgroup_done(&l->wg);
}

TEST_T(locked_goroutines_are_preempted_and_stay, 30000)
{
	struct loop l = {0};
	rt0_gomaxprocs(1);
	start(&l, 3, spin_locked);
	await(&l.up, 3);
	finish(&l);
}

static void
spin_and_end_locked(void *arg)
{
	struct loop *l = arg;
	rt0_lock_os_thread();
	inc(&l->up);
	while (!get(&l->stop))
		continue;
	rt0_waitgroup_done(&l->wg); // its thread ends with it
}

TEST_T(locked_goroutines_end_after_preemption, 30000)
{
	rt0_gomaxprocs(2);
	for (int i = 0; i < 5; i++) {
		struct loop l = {0};
		start(&l, 4, spin_and_end_locked);
		await(&l.up, 4);
		finish(&l);
	}
}

// ---- TestNumGoroutine
// ---------------------------------------------------------------------------------

static int
stacks(const char *text)
{
	int n = 0;
	for (const char *s = text; (s = strstr(s, "\ngoroutine ")) != NULL; s++)
		n++;
	return n;
}

static void
park(void *arg)
{
	struct loop *l = arg;
	inc(&l->up);
	rt0_chan_recv(NULL, NULL);
}

static void
die_with_all_stacks(void)
{
	dprintf(2, "counted %d\n", rt0_num_goroutine());
	rt0_fatal("enough");
}

TEST(num_goroutine_is_the_number_of_stacks)
{
	static char text[65536];
	struct loop l = {0};
	for (int i = 0; i < 5; i++)
		rt0_go(park, &l);
	await(&l.up, 5);
	yield(5);
	CHECK_EQ(rt0_num_goroutine(), 6);
	CHECK_EQ(child(die_with_all_stacks, text, sizeof text), 2);
	CHECK(strncmp(text, "counted 6\n", 10) == 0);
	CHECK_EQ(stacks(text), 6);
}
