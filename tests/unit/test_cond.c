// SPDX-License-Identifier: BSD-3-Clause
// test_cond.c: condition variables and semaphores.

#include <pthread.h>
#include <stdlib.h>

#include "apiutil.h"

struct shared {
	rt0_mutex m;
	rt0_cond c;
	rt0_waitgroup wg;
	rt0_semaphore sem;
	int waiting, awake; // m
	int order[200], n;  // m
	int tokens, timeouts, rounds, flag;
};

static uint64_t
rnd(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

// ---- Cond ----

static void
wait_once(void *arg)
{
	struct shared *s = arg;
	rt0_mutex_lock(&s->m);
	s->waiting++;
	rt0_cond_wait(&s->c, &s->m);
	s->awake++;
	rt0_mutex_unlock(&s->m);
	rt0_waitgroup_done(&s->wg);
}

static int
under(struct shared *s, int *p)
{
	rt0_mutex_lock(&s->m);
	int v = *p;
	rt0_mutex_unlock(&s->m);
	return v;
}

static void
start_waiters(struct shared *s, int n)
{
	rt0_waitgroup_add(&s->wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(wait_once, s);
	while (under(s, &s->waiting) != n)
		rt0_gosched();
}

TEST(cond_signal_wakes_one)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct shared s = {0};
		rt0_cond_signal(&s.c); // nobody waits: lost
		rt0_cond_broadcast(&s.c);
		start_waiters(&s, 4);
		CHECK_EQ(under(&s, &s.awake), 0);
		for (int i = 1; i <= 4; i++) {
			rt0_cond_signal(&s.c);
			while (under(&s, &s.awake) != i)
				rt0_gosched();
			yield(20);
			CHECK_EQ(under(&s, &s.awake), i);
		}
		rt0_waitgroup_wait(&s.wg);
		rt0_cond_signal(&s.c);
	}
}

TEST(cond_broadcast_wakes_all_that_wait)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct shared s = {0};
		start_waiters(&s, 200);
		rt0_mutex_lock(&s.m);
		rt0_cond_broadcast(&s.c);
		CHECK_EQ(s.awake, 0); // we have the mutex
		rt0_mutex_unlock(&s.m);
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(s.awake, 200);
	}
}

struct numbered {
	struct shared *s;
	int i;
};

static void
wait_in_order(void *arg)
{
	struct numbered *w = arg;
	struct shared *s = w->s;
	rt0_mutex_lock(&s->m);
	s->waiting++;
	rt0_cond_wait(&s->c, &s->m);
	s->order[s->n++] = w->i;
	rt0_mutex_unlock(&s->m);
}

// The signal goes to the one that has waited longest, though newer ones come all the time.
TEST(cond_signal_generations)
{
	enum { N = 100 };
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct shared s = {0};
		struct numbered w[N];
		for (int i = 0; i < N; i++) {
			w[i] = (struct numbered){&s, i};
			rt0_go(wait_in_order, &w[i]);
			while (under(&s, &s.waiting) != i + 1)
				rt0_gosched();
			if (i > 0) {
				rt0_cond_signal(&s.c);
				while (under(&s, &s.n) != i)
					rt0_gosched();
			}
		}
		rt0_cond_signal(&s.c);
		while (under(&s, &s.n) != N)
			rt0_gosched();
		for (int i = 0; i < N; i++)
			CHECK_EQ(s.order[i], i);
	}
}

// A signal made while one waits is that one's: a goroutine that comes to wait later cannot steal it.
static void
steal(void *arg)
{
	struct shared *s = arg;
	rt0_mutex_lock(&s->m);
	set(&s->flag, 1);
	rt0_cond_wait(&s->c, &s->m);
	rt0_mutex_unlock(&s->m);
	rt0_waitgroup_done(&s->wg);
}

TEST_T(cond_signal_is_not_stolen, 30000)
{
	rt0_gomaxprocs(4);
	for (int round = 0; round < 1000; round++) {
		struct shared s = {0};
		start_waiters(&s, 1);
		rt0_waitgroup_add(&s.wg, 1);
		rt0_go(steal, &s);
		rt0_cond_signal(&s.c);
		await(&s.flag, 1);
		while (under(&s, &s.awake) == 0) {
			rt0_mutex_lock(&s.m);
			rt0_mutex_unlock(&s.m);
			rt0_gosched();
		}
		rt0_mutex_lock(&s.m);
		rt0_cond_broadcast(&s.c);
		rt0_mutex_unlock(&s.m);
		rt0_waitgroup_wait(&s.wg);
	}
}

TEST(cond_wait_until_times_out_with_the_mutex)
{
	struct shared s = {0};
	rt0_mutex_lock(&s.m);
	CHECK_EQ(rt0_cond_wait_until(&s.c, &s.m, 0), -ETIMEDOUT);
	CHECK(!rt0_mutex_trylock(&s.m));
	CHECK_EQ(rt0_cond_wait_until(&s.c, &s.m, INT64_MIN), -ETIMEDOUT);
	int64_t deadline = rt0_nanotime() + 2000000;
	CHECK_EQ(rt0_cond_wait_until(&s.c, &s.m, deadline), -ETIMEDOUT);
	CHECK(rt0_nanotime() >= deadline);
	CHECK(!rt0_mutex_trylock(&s.m));
	rt0_mutex_unlock(&s.m);
	CHECK(s.c.q.first == NULL && s.c.q.last == NULL);
}

// Consumers with deadlines of about the time that a token takes: a wait that times out must not use up a signal,
// nor a signal be lost on who has timed out. If one were, the last consumer would wait for ever.
static void
consume(void *arg)
{
	struct shared *s = arg;
	uint64_t seed = (uintptr_t)&seed;
	for (int i = 0; i < s->rounds; i++) {
		rt0_mutex_lock(&s->m);
		while (s->tokens == 0) {
			int64_t deadline = i % 4 == 0 ? INT64_MAX : rt0_nanotime() + (int64_t)(rnd(&seed) % 100000);
			if (rt0_cond_wait_until(&s->c, &s->m, deadline) < 0)
				s->timeouts++;
		}
		s->tokens--;
		rt0_mutex_unlock(&s->m);
	}
	rt0_waitgroup_done(&s->wg);
}

static void
produce(void *arg)
{
	struct shared *s = arg;
	uint64_t seed = (uintptr_t)&seed;
	for (int i = 0; i < s->rounds; i++) {
		rt0_mutex_lock(&s->m);
		s->tokens++;
		rt0_mutex_unlock(&s->m);
		rt0_cond_signal(&s->c);
		if (rnd(&seed) % 8 == 0)
			rt0_sleep((int64_t)(rnd(&seed) % 50000));
	}
	rt0_waitgroup_done(&s->wg);
}

TEST_T(cond_signals_race_with_deadlines, 30000)
{
	rt0_gomaxprocs(3);
	struct shared s = {.rounds = 400};
	rt0_waitgroup_add(&s.wg, 16);
	for (int i = 0; i < 8; i++) {
		rt0_go(consume, &s);
		rt0_go(produce, &s);
	}
	rt0_waitgroup_wait(&s.wg);
	CHECK_EQ(s.tokens, 0);
	CHECK(s.c.q.first == NULL);
}

static void *
foreign_waits(void *arg)
{
	struct shared *s = arg;
	rt0_mutex_lock(&s->m);
	s->waiting++;
	rt0_cond_wait(&s->c, &s->m);
	s->awake++;
	int r = rt0_cond_wait_until(&s->c, &s->m, rt0_nanotime() + 1000);
	CHECK(r == 0 || r == -ETIMEDOUT); // 0: by the signal of another one
	rt0_mutex_unlock(&s->m);
	rt0_cond_signal(&s->c);
	rt0_cond_broadcast(&s->c);
	return NULL;
}

TEST(cond_foreign_threads)
{
	struct shared s = {0};
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, foreign_waits, &s), 0);
	while (under(&s, &s.waiting) != 3)
		rt0_gosched();
	rt0_cond_broadcast(&s.c);
	for (int i = 0; i < 3; i++)
		RT0_BLOCKING(pthread_join(t[i], NULL));
	CHECK_EQ(s.awake, 3);
}

// ---- Semaphore ----

TEST(semaphore_counts)
{
	rt0_semaphore s = RT0_SEMAPHORE(3);
	CHECK_EQ(rt0_semaphore_acquire(&s, 2), 0);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, 2), -EAGAIN);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, 1), 0);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, 1), -EAGAIN);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, 0), 0);
	CHECK_EQ(rt0_semaphore_acquire_until(&s, 1, 0), -ETIMEDOUT);
	CHECK_EQ(rt0_semaphore_acquire_until(&s, 1, rt0_nanotime() + 1000000), -ETIMEDOUT);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, 4), -EINVAL);
	CHECK_EQ(rt0_semaphore_acquire(&s, 4), -EINVAL);
	CHECK_EQ(rt0_semaphore_acquire(&s, -1), -EINVAL);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, INT64_MIN), -EINVAL);
	CHECK_EQ(rt0_semaphore_acquire_until(&s, INT64_MAX, 0), -EINVAL);
	rt0_semaphore_release(&s, 2);
	CHECK_EQ(rt0_semaphore_try_acquire(&s, 2), 0);
	rt0_semaphore_release(&s, 3);
	CHECK_EQ(s.used, 0);
	rt0_semaphore none = {0};
	CHECK_EQ(rt0_semaphore_try_acquire(&none, 1), -EINVAL);
	CHECK_EQ(rt0_semaphore_try_acquire(&none, 0), 0);
}

static void
release_arg(void *arg)
{
	rt0_semaphore s = RT0_SEMAPHORE(2);
	rt0_semaphore_acquire(&s, 1);
	rt0_semaphore_release(&s, *(int64_t *)arg);
}

TEST(semaphore_released_more_than_held)
{
	static int64_t bad[] = {2, -1, INT64_MAX, INT64_MIN};
	for (int i = 0; i < 4; i++) {
		rt0_value v;
		char text[64];
		CHECK(!rt0_try(release_arg, &bad[i], &v));
		rt0_value_text(&v, text, sizeof text);
		CHECK_STREQ(text, "semaphore: released more than held");
	}
}

struct asker {
	struct shared *s;
	int64_t n;
	rt0_context *ctx;
	int result, asked, done;
};

static void
ask(void *arg)
{
	struct asker *a = arg;
	set(&a->asked, 1);
	a->result = a->ctx != NULL ? rt0_semaphore_acquire_ctx(&a->s->sem, a->n, a->ctx) : rt0_semaphore_acquire(&a->s->sem, a->n);
	set(&a->done, 1);
}

// queued waits until somebody else than last is the newest in the queue.
static void *
queued(struct shared *s, void *last)
{
	void *now;
	while ((now = __atomic_load_n(&s->sem.q.last, __ATOMIC_SEQ_CST)) == last)
		rt0_gosched();
	return now;
}

// One that asks for much is not starved by those who ask for little and come later; when it gives up they go on.
TEST(semaphore_first_come_first_served)
{
	struct shared s = {.sem = RT0_SEMAPHORE(4)};
	CHECK_EQ(rt0_semaphore_acquire(&s.sem, 3), 0);
	struct asker big = {.s = &s, .n = 4}, small[3];
	rt0_go(ask, &big);
	void *last = queued(&s, NULL);
	for (int i = 0; i < 3; i++) {
		small[i] = (struct asker){.s = &s, .n = 1};
		rt0_go(ask, &small[i]);
		last = queued(&s, last);
	}
	CHECK_EQ(rt0_semaphore_try_acquire(&s.sem, 1), -EAGAIN); // one is free, but it is not our turn
	yield(20);
	CHECK_EQ(get(&small[0].done) + get(&big.done), 0);
	rt0_semaphore_release(&s.sem, 3);
	await(&big.done, 1);
	CHECK_EQ(get(&small[0].done), 0);
	rt0_semaphore_release(&s.sem, 4);
	for (int i = 0; i < 3; i++)
		await(&small[i].done, 1);
	CHECK_EQ(s.sem.used, 3);
	CHECK(s.sem.q.first == NULL);
}

TEST(semaphore_the_first_gives_up)
{
	struct shared s = {.sem = RT0_SEMAPHORE(4)};
	CHECK_EQ(rt0_semaphore_acquire(&s.sem, 3), 0);
	rt0_context *ctx = rt0_context_with_cancel(rt0_context_background());
	struct asker big = {.s = &s, .n = 4, .ctx = ctx}, small = {.s = &s, .n = 1};
	rt0_go(ask, &big);
	void *last = queued(&s, NULL);
	rt0_go(ask, &small);
	queued(&s, last);
	rt0_context_cancel(ctx);
	await(&big.done, 1);
	CHECK_EQ(big.result, -ECANCELED);
	await(&small.done, 1); // nothing was released: it was in the way only
	CHECK_EQ(small.result, 0);
	CHECK_EQ(rt0_semaphore_acquire_ctx(&s.sem, 0, ctx), -ECANCELED);
	rt0_context_release(ctx);
	ctx = rt0_context_with_timeout(rt0_context_background(), 1000000);
	CHECK_EQ(rt0_semaphore_acquire_ctx(&s.sem, 1, ctx), -ETIMEDOUT);
	rt0_context_release(ctx);
	CHECK_EQ(rt0_semaphore_acquire_ctx(&s.sem, 0, rt0_context_background()), 0);
	CHECK_EQ(s.sem.used, 4);
}

// Everybody asks for some, with and without deadlines and contexts: never more is out than there is, and in
// the end all is back.
static int out;

static void
sema_worker(void *arg)
{
	struct shared *s = arg;
	uint64_t seed = (uintptr_t)&seed;
	for (int i = 0; i < s->rounds; i++) {
		int64_t n = (int64_t)(rnd(&seed) % 10);
		int r;
		rt0_context *ctx;
		switch (rnd(&seed) % 4) {
		case 0: r = rt0_semaphore_acquire(&s->sem, n); break;
		case 1: r = rt0_semaphore_acquire_until(&s->sem, n, rt0_nanotime() + (int64_t)(rnd(&seed) % 50000)); break;
		case 2:
			ctx = rt0_context_with_timeout(rt0_context_background(), (int64_t)(rnd(&seed) % 50000));
			r = rt0_semaphore_acquire_ctx(&s->sem, n, ctx);
			rt0_context_release(ctx);
			break;
		default: r = rt0_semaphore_try_acquire(&s->sem, n);
		}
		if (r < 0) {
			CHECK(r == -ETIMEDOUT || r == -EAGAIN);
			inc(&s->timeouts);
			continue;
		}
		CHECK(__atomic_add_fetch(&out, (int)n, __ATOMIC_SEQ_CST) <= 10);
		if (i % 4 == 0)
			rt0_gosched();
		__atomic_sub_fetch(&out, (int)n, __ATOMIC_SEQ_CST);
		rt0_semaphore_release(&s->sem, n);
	}
	rt0_waitgroup_done(&s->wg);
}

TEST_T(semaphore_hammered, 30000)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct shared s = {.sem = RT0_SEMAPHORE(10), .rounds = SANITIZED ? 100 : 500};
		rt0_waitgroup_add(&s.wg, 12);
		for (int i = 0; i < 12; i++)
			rt0_go(sema_worker, &s);
		rt0_waitgroup_wait(&s.wg);
		CHECK_EQ(s.sem.used, 0);
		CHECK(s.sem.q.first == NULL && s.sem.q.last == NULL);
	}
}

static void *
foreign_sema(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(rt0_semaphore_acquire(&s->sem, 2), 0);
		CHECK(__atomic_add_fetch(&out, 2, __ATOMIC_SEQ_CST) <= 3);
		__atomic_sub_fetch(&out, 2, __ATOMIC_SEQ_CST);
		rt0_semaphore_release(&s->sem, 2);
		if (rt0_semaphore_try_acquire(&s->sem, 1) == 0)
			rt0_semaphore_release(&s->sem, 1);
	}
	return NULL;
}

TEST(semaphore_foreign_threads)
{
	struct shared s;
	memset(&s, 0, sizeof s);
	rt0_semaphore_init(&s.sem, 3);
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, foreign_sema, &s), 0);
	foreign_sema(&s);
	for (int i = 0; i < 3; i++)
		RT0_BLOCKING(pthread_join(t[i], NULL));
	CHECK_EQ(s.sem.used, 0);
}
