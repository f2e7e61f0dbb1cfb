// SPDX-License-Identifier: BSD-3-Clause
// test_sema.c: the semaphores below Mutex and WaitGroup: many addresses in one root, and deadlines.

#include <pthread.h>
#include <stdlib.h>

#include "apiutil.h"

enum { NROOTS = 251, SPREAD = NROOTS * 8 }; // addresses so far apart share a root (sema.c)

static uint64_t
rnd(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static int running, passed;

struct waiter {
	rt0_mutex *m;
	int64_t deadline;
	int passed, result;
};

static void
wait_for_mutex(void *arg)
{
	struct waiter *w = arg;
	inc(&running);
	w->result = rt0_mutex_lock_until(w->m, w->deadline);
	if (w->result == 0)
		rt0_mutex_unlock(w->m);
	set(&w->passed, 1);
	inc(&passed);
}

static void
shuffle(int *order, int n)
{
	uint64_t seed = 1;
	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n - 1; i > 0; i--) {
		int k = (int)(rnd(&seed) % (uint64_t)(i + 1)), t = order[i];
		order[i] = order[k];
		order[k] = t;
	}
}

// With a list of the addresses, or a tree that degenerates (the waiters come in the order of their
// addresses), each wake-up looks at thousands of stacks, and this takes minutes.
TEST_T(sema_many_addresses_in_one_root, 30000)
{
	int n = SANITIZED ? 1000 : 10000;
	char *space = calloc((size_t)n, SPREAD);
	struct waiter *w = calloc((size_t)n, sizeof *w);
	int *order = calloc((size_t)n, sizeof *order);
	for (int i = 0; i < n; i++) {
		// A third of them have a deadline that does not come.
		w[i] = (struct waiter){(rt0_mutex *)(void *)(space + (size_t)i * SPREAD), INT64_MAX, 0, 0};
		if (i % 3 == 0)
			w[i].deadline = rt0_nanotime() + 3600 * RT0_SECOND;
		rt0_mutex_lock(w[i].m);
	}
	for (int i = 0; i < n; i++)
		rt0_go(wait_for_mutex, &w[i]);
	await(&running, n);
	for (int i = 0; i < n; i++)
		while (__atomic_load_n(&w[i].m->state, __ATOMIC_SEQ_CST) < 8)
			rt0_gosched(); // until it waits
	CHECK_EQ(get(&passed), 0);
	shuffle(order, n);
	int64_t t = rt0_nanotime();
	for (int i = 0; i < n; i++) {
		rt0_mutex_unlock(w[order[i]].m);
		if (i % 64 == 0)
			await(&passed, i + 1); // nobody but those whose turn it is
	}
	await(&passed, n);
	if (getenv("VERBOSE") != NULL)
		dprintf(2, "%d addresses: %ld ns a wake-up\n", n, (long)((rt0_nanotime() - t) / n));
	for (int i = 0; i < n; i++)
		CHECK(w[i].result == 0 && w[i].m->state == 0 && w[i].m->sema == 0);
}

// Several wait at each of many addresses; most give up, from all places of all queues.
TEST_T(sema_waiters_give_up_anywhere, 30000)
{
	enum { ADDRS = 50, EACH = 20, N = ADDRS * EACH };
	rt0_gomaxprocs(2);
	char *space = calloc(ADDRS, SPREAD);
	static struct waiter w[N];
	uint64_t seed = 1;
	for (int i = 0; i < ADDRS; i++)
		rt0_mutex_lock((rt0_mutex *)(void *)(space + i * SPREAD));
	int64_t now = rt0_nanotime();
	for (int i = 0; i < N; i++) {
		w[i] = (struct waiter){(rt0_mutex *)(void *)(space + i % ADDRS * SPREAD), INT64_MAX, 0, 0};
		if (i / ADDRS % 4 != 3)
			w[i].deadline = now + (int64_t)(rnd(&seed) % 30000000);
		rt0_go(wait_for_mutex, &w[i]);
	}
	await(&passed, N * 3 / 4);
	for (int i = 0; i < N; i++)
		CHECK_EQ(get(&w[i].passed), w[i].deadline != INT64_MAX);
	for (int i = 0; i < ADDRS; i++)
		rt0_mutex_unlock((rt0_mutex *)(void *)(space + i * SPREAD));
	await(&passed, N);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(w[i].result, w[i].deadline != INT64_MAX ? -ETIMEDOUT : 0);
		CHECK(w[i].m->state == 0 && w[i].m->sema == 0);
	}
}

// ---- a mutex with deadlines, attacked ----

static rt0_mutex mu;
static rt0_waitgroup wg;
static int inside, timeouts, got;

static void
lock_with_deadline(void *arg)
{
	uint64_t seed = (uintptr_t)&seed;
	for (int i = 0; i < (int)(intptr_t)arg; i++) {
		switch (rnd(&seed) % 8) {
		case 0: rt0_mutex_lock(&mu); break;
		case 1:
			if (!rt0_mutex_trylock(&mu))
				continue;
			break;
		default:
			if (rt0_mutex_lock_until(&mu, rt0_nanotime() + (int64_t)(rnd(&seed) % 2000000)) < 0) {
				inc(&timeouts);
				continue;
			}
		}
		CHECK_EQ(inc(&inside), 1);
		inc(&got);
		uint64_t r = rnd(&seed) % 32;
		if (r == 0)
			rt0_sleep(1500000); // the others starve, and some give up meanwhile
		else if (r < 8)
			rt0_gosched();
		dec(&inside);
		rt0_mutex_unlock(&mu);
	}
	rt0_waitgroup_done(&wg);
}

// Waiters give up while the mutex is handed over, while they are woken, while others come. At the end it must be free, not
// starving, without waiters and without a wake-up too many.
TEST_T(mutex_lock_until_attacked, 60000)
{
	for (int procs = 1; procs <= 8; procs++) {
		rt0_gomaxprocs(procs);
		intptr_t rounds = 60;
		rt0_waitgroup_add(&wg, 12);
		for (int i = 0; i < 12; i++)
			rt0_go(lock_with_deadline, (void *)rounds);
		rt0_waitgroup_wait(&wg);
		CHECK_EQ(mu.state, 0);
		CHECK_EQ(mu.sema, 0);
	}
	CHECK(get(&timeouts) > 0 && get(&got) > 0);
}

TEST(mutex_lock_until_tells)
{
	rt0_mutex m = {0};
	CHECK_EQ(rt0_mutex_lock_until(&m, 0), 0); // it tries once
	CHECK_EQ(rt0_mutex_lock_until(&m, 0), -ETIMEDOUT);
	CHECK_EQ(rt0_mutex_lock_until(&m, INT64_MIN), -ETIMEDOUT);
	int64_t deadline = rt0_nanotime() + 2000000;
	CHECK_EQ(rt0_mutex_lock_until(&m, deadline), -ETIMEDOUT);
	CHECK(rt0_nanotime() >= deadline);
	rt0_mutex_unlock(&m);
	CHECK_EQ(m.state, 0);
	CHECK_EQ(rt0_mutex_lock_until(&m, INT64_MAX), 0);
	rt0_mutex_unlock(&m);
}

static void *
foreign_lock_until(void *arg)
{
	CHECK_EQ(rt0_mutex_lock_until(arg, rt0_nanotime() + 1000000), -ETIMEDOUT);
	CHECK_EQ(rt0_mutex_lock_until(arg, 0), -ETIMEDOUT);
	return NULL;
}

TEST(mutex_lock_until_foreign)
{
	rt0_mutex m = {0};
	pthread_t t;
	rt0_mutex_lock(&m);
	CHECK_EQ(pthread_create(&t, NULL, foreign_lock_until, &m), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
	rt0_mutex_unlock(&m);
	CHECK_EQ(m.state, 0);
}

// ---- WaitGroup ----

static rt0_waitgroup group;
static int waits, late;

static void
wait_with_deadline(void *arg)
{
	int r = rt0_waitgroup_wait_until(&group, rt0_nanotime() + (int64_t)(intptr_t)arg);
	CHECK(r == 0 || r == -ETIMEDOUT);
	if (r < 0)
		inc(&late);
	inc(&waits);
}

// Deadlines about the moment at which the counter comes to 0.
TEST_T(waitgroup_wait_until_attacked, 60000)
{
	enum { WAITERS = 20 };
	rt0_gomaxprocs(3);
	int rounds = SANITIZED ? 50 : 300;
	uint64_t seed = 1;
	for (int round = 0; round < rounds; round++) {
		set(&waits, 0);
		rt0_waitgroup_add(&group, 2);
		for (int i = 0; i < WAITERS; i++)
			rt0_go(wait_with_deadline, (void *)(intptr_t)(rnd(&seed) % 200000));
		rt0_sleep(100000);
		rt0_waitgroup_done(&group);
		rt0_waitgroup_done(&group);
		await(&waits, WAITERS);
		CHECK(group.state == 0 && group.sema == 0);
	}
	CHECK(get(&late) > 0);
}

TEST(waitgroup_wait_until_tells)
{
	rt0_waitgroup g = {0};
	CHECK_EQ(rt0_waitgroup_wait_until(&g, 0), 0);
	rt0_waitgroup_add(&g, 1);
	CHECK_EQ(rt0_waitgroup_wait_until(&g, 0), -ETIMEDOUT);
	CHECK_EQ(rt0_waitgroup_wait_until(&g, rt0_nanotime() + 1000000), -ETIMEDOUT);
	CHECK_EQ(g.state, 1ll << 32);
	rt0_waitgroup_done(&g);
	CHECK_EQ(rt0_waitgroup_wait_until(&g, 0), 0);
}
