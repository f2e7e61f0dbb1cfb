// SPDX-License-Identifier: BSD-3-Clause
// test_sync.c: mutex, waitgroup, once, as a program sees them.

#include <pthread.h>
#include <stdlib.h>

#include "apiutil.h"

struct shared {
	rt0_mutex m;
	rt0_waitgroup wg;
	rt0_once once;
	int64_t count; // under m
	int flag, n;
};

enum { LOCKERS = 10, LOCKS = 10000 };

static void
lock_and_count(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < LOCKS; i++) {
		if (i % 3 == 0) {
			while (!rt0_mutex_trylock(&s->m))
				rt0_gosched();
		} else {
			rt0_mutex_lock(&s->m);
		}
		int64_t was = s->count;
		if (i % 64 == 0)
			rt0_gosched(); // others try to get in meanwhile
		s->count = was + 1;
		rt0_mutex_unlock(&s->m);
	}
	rt0_waitgroup_done(&s->wg);
}

TEST_T(mutex_excludes, 30000)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct shared s = {0};
		rt0_waitgroup_add(&s.wg, LOCKERS);
		for (int i = 0; i < LOCKERS; i++)
			rt0_go(lock_and_count, &s);
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(s.count, LOCKERS * LOCKS);
	}
}

TEST(mutex_trylock_tells)
{
	rt0_mutex m = {0};
	CHECK(rt0_mutex_trylock(&m));
	CHECK(!rt0_mutex_trylock(&m));
	rt0_mutex_unlock(&m);
	rt0_mutex_lock(&m);
	CHECK(!rt0_mutex_trylock(&m));
	rt0_mutex_unlock(&m);
	CHECK(rt0_mutex_trylock(&m));
}

static void
lock_then_flag(void *arg)
{
	struct shared *s = arg;
	rt0_mutex_lock(&s->m);
	set(&s->flag, 1);
}

static void
unlock_it(void *arg)
{
	rt0_mutex_unlock(&((struct shared *)arg)->m);
}

TEST(mutex_lock_waits_and_any_goroutine_may_unlock)
{
	struct shared s = {0};
	rt0_mutex_lock(&s.m);
	rt0_go(lock_then_flag, &s);
	yield(20);
	CHECK_EQ(get(&s.flag), 0);
	rt0_go(unlock_it, &s);
	await(&s.flag, 1);
	CHECK(!rt0_mutex_trylock(&s.m)); // held by the one that waited
}

static void
hog(void *arg)
{
	struct shared *s = arg;
	while (!get(&s->flag)) {
		rt0_mutex_lock(&s->m);
		blocking_sleep(100);
		rt0_mutex_unlock(&s->m);
	}
	rt0_waitgroup_done(&s->wg);
}

// Whoever has the mutex nearly all the time must let others in; without a hand-off to waiters
// that have waited for long this takes for ever.
TEST_T(mutex_is_fair_to_those_who_wait_long, 30000)
{
	rt0_gomaxprocs(2);
	struct shared s = {0};
	rt0_waitgroup_add(&s.wg, 1);
	rt0_go(hog, &s);
	for (int i = 0; i < 10; i++) {
		blocking_sleep(100);
		rt0_mutex_lock(&s.m);
		rt0_mutex_unlock(&s.m);
	}
	set(&s.flag, 1);
	rt0_waitgroup_wait(&s.wg);
}

static void
lock_across_blocking(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < 20; i++) {
		rt0_mutex_lock(&s->m);
		int64_t was = s->count;
		blocking_sleep(50);
		s->count = was + 1;
		rt0_mutex_unlock(&s->m);
	}
	rt0_waitgroup_done(&s->wg);
}

TEST(mutex_held_across_a_blocking_call)
{
	struct shared s = {0};
	rt0_waitgroup_add(&s.wg, 8);
	for (int i = 0; i < 8; i++)
		rt0_go(lock_across_blocking, &s);
	rt0_waitgroup_wait(&s.wg);
	CHECK_EQ(s.count, 160);
}

// ---- WaitGroup --------------------------------------------------------------------------------

static void
count_and_done(void *arg)
{
	struct shared *s = arg;
	inc(&s->n);
	rt0_waitgroup_done(&s->wg);
}

TEST(waitgroup_waits_for_all)
{
	struct shared s = {0};
	rt0_waitgroup_wait(&s.wg); // nothing to wait for
	for (int round = 1; round <= 100; round++) {
		rt0_waitgroup_add(&s.wg, 20);
		for (int i = 0; i < 20; i++)
			rt0_go(count_and_done, &s);
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(get(&s.n), 20 * round);
	}
}

static void
wait_and_count(void *arg)
{
	struct shared *s = arg;
	rt0_waitgroup_wait(&s->wg);
	CHECK_EQ(get(&s->flag), 1);
	inc(&s->n);
}

TEST(waitgroup_wakes_every_waiter_at_zero_only)
{
	struct shared s = {0};
	rt0_waitgroup_add(&s.wg, 3);
	for (int i = 0; i < 50; i++)
		rt0_go(wait_and_count, &s);
	yield(20);
	rt0_waitgroup_done(&s.wg);
	rt0_waitgroup_add(&s.wg, -1);
	yield(20);
	CHECK_EQ(get(&s.n), 0);
	set(&s.flag, 1);
	rt0_waitgroup_done(&s.wg);
	await(&s.n, 50);
}

static void
add_more(void *arg)
{
	struct shared *s = arg;
	if (inc(&s->n) < 1000) { // still counted itself, so the counter cannot be 0
		rt0_waitgroup_add(&s->wg, 1);
		rt0_go(add_more, s);
	}
	rt0_waitgroup_done(&s->wg);
}

TEST(waitgroup_may_grow_while_waited_for)
{
	struct shared s = {0};
	rt0_waitgroup_add(&s.wg, 1);
	rt0_go(add_more, &s);
	rt0_waitgroup_wait(&s.wg);
	CHECK_EQ(get(&s.n), 1000);
}

// What was written before done is seen after wait: plain stores, read by another thread.
enum { CELLS = 64 };
static int cells[CELLS];

struct cell {
	struct shared *s;
	int i, round;
};

static void
write_cell(void *arg)
{
	struct cell *c = arg;
	cells[c->i] = c->round;
	rt0_waitgroup_done(&c->s->wg);
}

TEST(waitgroup_orders_memory)
{
	rt0_gomaxprocs(4);
	struct shared s = {0};
	struct cell c[CELLS];
	for (int round = 1; round <= 300; round++) {
		rt0_waitgroup_add(&s.wg, CELLS);
		for (int i = 0; i < CELLS; i++) {
			c[i] = (struct cell){&s, i, round};
			rt0_go(write_cell, &c[i]);
		}
		rt0_waitgroup_wait(&s.wg);
		for (int i = 0; i < CELLS; i++)
			CHECK_EQ(cells[i], round);
	}
}

// ---- Once -------------------------------------------------------------------------------------

static void
once_body(void *arg)
{
	struct shared *s = arg;
	yield(10); // the others come and must wait
	blocking_sleep(1000);
	s->count++;
}

static void
do_once(void *arg)
{
	struct shared *s = arg;
	rt0_once_do(&s->once, once_body, s);
	CHECK_EQ(s->count, 1); // the one call has returned, whoever made it
	rt0_waitgroup_done(&s->wg);
}

TEST(once_runs_once_and_all_wait_for_it)
{
	rt0_gomaxprocs(4);
	for (int round = 0; round < 20; round++) {
		struct shared s = {0};
		rt0_waitgroup_add(&s.wg, 50);
		for (int i = 0; i < 50; i++)
			rt0_go(do_once, &s);
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(s.count, 1);
	}
}

static void
count_call(void *arg)
{
	inc((int *)arg);
}

TEST(once_values_are_independent)
{
	rt0_once a = {0}, b = {0};
	int n = 0;
	for (int i = 0; i < 5; i++) {
		rt0_once_do(&a, count_call, &n);
		rt0_once_do(&b, count_call, &n);
	}
	CHECK_EQ(n, 2);
}

// ---- WaitGroup.Go -----------------------------------------------------------------------------

static void
count_or_end(void *arg)
{
	struct shared *s = arg;
	if (inc(&s->n) % 2 == 0)
		rt0_goexit(); // done all the same
}

static void *
foreign_wggo(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < 50; i++)
		rt0_waitgroup_go(&s->wg, count_or_end, s);
	return NULL;
}

TEST(waitgroup_go_counts_for_the_caller)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct shared s = {0};
		for (int i = 0; i < 500; i++)
			rt0_waitgroup_go(&s.wg, count_or_end, &s);
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(get(&s.n), 500);
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, foreign_wggo, &s), 0);
		RT0_BLOCKING(pthread_join(t, NULL));
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(get(&s.n), 550);
	}
}

// ---- Once that panics, OnceFunc ---------------------------------------------------------------

static void
count_and_panic(void *arg)
{
	inc((int *)arg);
	RT0_PANIC("failed");
}

static void
once_panics(void *arg)
{
	struct shared *s = arg;
	rt0_once_do(&s->once, count_and_panic, &s->n);
}

TEST(once_that_panics_was_the_one_call)
{
	struct shared s = {0};
	rt0_value v;
	CHECK(!rt0_try(once_panics, &s, &v));
	CHECK_STREQ(v.v.s, "failed");
	CHECK(rt0_try(once_panics, &s, &v));
	rt0_once_do(&s.once, count_call, &s.n);
	CHECK_EQ(s.n, 1);
}

static void
call_oncefunc(void *f)
{
	rt0_oncefunc_call(f);
}

TEST(oncefunc_calls_once)
{
	static int n;
	static rt0_oncefunc f = RT0_ONCEFUNC(count_call, &n);
	rt0_gomaxprocs(4);
	rt0_waitgroup wg = {0};
	for (int i = 0; i < 50; i++)
		rt0_waitgroup_go(&wg, call_oncefunc, &f);
	rt0_waitgroup_wait(&wg);
	CHECK_EQ(n, 1);
}

TEST(oncefunc_panics_with_the_same_value_every_time)
{
	int n = 0;
	rt0_oncefunc f = RT0_ONCEFUNC(count_and_panic, &n);
	for (int i = 0; i < 5; i++) {
		rt0_value v = {0};
		CHECK(!rt0_try(call_oncefunc, &f, &v));
		CHECK_EQ(v.kind, RT0_STRING);
		CHECK_STREQ(v.v.s, "failed");
	}
	CHECK_EQ(n, 1);
}

static void
end_goroutine(void *arg)
{
	inc((int *)arg);
	rt0_goexit();
}

TEST(oncefunc_that_ends_its_goroutine)
{
	int n = 0;
	rt0_oncefunc f = RT0_ONCEFUNC(end_goroutine, &n);
	rt0_waitgroup wg = {0};
	rt0_waitgroup_go(&wg, call_oncefunc, &f); // the rt0_goexit goes through
	rt0_waitgroup_wait(&wg);
	rt0_value v;
	CHECK(!rt0_try(call_oncefunc, &f, &v));
	CHECK_EQ(v.code, RT0_ERR_NILPANIC);
	CHECK_EQ(n, 1);
}

static void *
foreign_oncefunc(void *f)
{
	rt0_oncefunc_call(f);
	return NULL;
}

TEST(oncefunc_foreign)
{
	int n = 0;
	rt0_oncefunc f = RT0_ONCEFUNC(count_call, &n);
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, foreign_oncefunc, &f), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
	rt0_oncefunc_call(&f);
	CHECK_EQ(n, 1);
}
