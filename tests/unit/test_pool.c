// SPDX-License-Identifier: BSD-3-Clause
// test_pool.c: pools.

#include <pthread.h>
#include <stdlib.h>

#include "apiutil.h"

struct object {
	int owned; // by how many
	int n;     // written by who has it: plain
};

static int made, freed;

static void *
make(void *arg)
{
	(void)arg;
	inc(&made);
	return calloc(1, sizeof(struct object));
}

static void
destroy(void *obj, void *arg)
{
	(void)arg;
	CHECK_EQ(get(&((struct object *)obj)->owned), 0);
	inc(&freed);
	free(obj);
}

#define POOL RT0_POOL(make, destroy, NULL)

TEST(pool_gives_what_it_has_and_else_makes)
{
	rt0_pool p = POOL;
	rt0_pool empty = {0};
	CHECK(rt0_pool_get(&empty) == NULL);
	int x, y;
	rt0_pool_put(&empty, &x);
	rt0_pool_put(&empty, &y);
	rt0_pool_put(&empty, NULL);
	void *a = rt0_pool_get(&empty), *b = rt0_pool_get(&empty);
	CHECK((a == &x && b == &y) || (a == &y && b == &x));
	CHECK(rt0_pool_get(&empty) == NULL);
	rt0_pool_put(&empty, &x);
	rt0_pool_destroy(&empty); // without free: forgotten
	CHECK(rt0_pool_get(&empty) == NULL);
	rt0_pool_destroy(&empty);

	void *o = rt0_pool_get(&p);
	CHECK(o != NULL && made == 1);
	rt0_pool_put(&p, o);
	CHECK(rt0_pool_get(&p) == o);
	CHECK_EQ(made, 1);
	rt0_pool_put(&p, o);
	rt0_pool_destroy(&p);
	CHECK_EQ(freed, 1);
}

// What is put while many are out is kept, all of it: 10,000 go in, 10,000 come out.
TEST(pool_keeps_all)
{
	enum { N = 10000 };
	rt0_pool p = POOL;
	static void *o[N];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++)
			o[i] = rt0_pool_get(&p);
		CHECK_EQ(made, N);
		for (int i = 0; i < N; i++) {
			rt0_pool_put(&p, o[i]);
			if (i % 100 == 0)
				rt0_gosched();
		}
	}
	rt0_pool_destroy(&p);
	CHECK_EQ(freed, N);
}

TEST(pool_ages)
{
	rt0_pool p = POOL;
	void *o[200];
	rt0_pool_age(&p);
	for (int i = 0; i < 200; i++)
		o[i] = rt0_pool_get(&p);
	for (int i = 0; i < 200; i++)
		rt0_pool_put(&p, o[i]);
	rt0_pool_age(&p);
	CHECK_EQ(freed, 0);
	for (int i = 0; i < 100; i++)
		o[i] = rt0_pool_get(&p); // they come back from the victims
	CHECK_EQ(made, 200);
	for (int i = 0; i < 100; i++)
		rt0_pool_put(&p, o[i]);
	rt0_pool_age(&p);
	CHECK_EQ(freed, 100); // those that were not asked for
	rt0_pool_age(&p);
	CHECK_EQ(freed, 200);
	rt0_pool_put(&p, rt0_pool_get(&p));
	rt0_pool_age(&p);
	rt0_pool_put(&p, make(NULL));
	rt0_pool_drain(&p);
	CHECK_EQ(freed, 202);
	CHECK_EQ(made, 202);
	rt0_pool_destroy(&p);
}

// While a pool is used it ages by itself.
TEST_T(pool_ages_with_time, 20000)
{
	rt0_pool p = POOL;
	void *o[500];
	for (int i = 0; i < 500; i++)
		o[i] = rt0_pool_get(&p);
	for (int i = 0; i < 500; i++)
		rt0_pool_put(&p, o[i]);
	while (get(&freed) < 490) { // some are in use, or have become victims only now
		rt0_pool_put(&p, rt0_pool_get(&p));
		if (get(&made) > 500)
			break; // all were freed
	}
	CHECK(get(&freed) >= 490);
	rt0_pool_destroy(&p);
	CHECK_EQ(freed, made);
}

struct shared {
	rt0_pool p;
	rt0_waitgroup wg;
	int rounds;
};

static void
use(struct shared *s)
{
	uint64_t seed = (uintptr_t)&seed;
	struct object *mine[100];
	int n = 0;
	for (int i = 0; i < s->rounds; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if (n < 100 && (seed >> 40) % 2 == 0) {
			struct object *o = rt0_pool_get(&s->p);
			CHECK_EQ(inc(&o->owned), 1); // nobody else has it
			o->n++;
			mine[n++] = o;
		} else if (n > 0) {
			struct object *o = mine[--n];
			o->n++;
			CHECK_EQ(dec(&o->owned), 0);
			rt0_pool_put(&s->p, o);
		}
		if (i % 64 == 0)
			rt0_gosched();
	}
	while (n > 0) {
		dec(&mine[--n]->owned);
		rt0_pool_put(&s->p, mine[n]);
	}
}

static void
user(void *arg)
{
	use(arg);
	rt0_waitgroup_done(&((struct shared *)arg)->wg);
}

static void *
foreign_user(void *arg)
{
	use(arg);
	return NULL;
}

static void
ager(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < 200; i++) {
		if (i % 20 == 0)
			rt0_pool_drain(&s->p);
		else
			rt0_pool_age(&s->p);
		rt0_gosched();
	}
	rt0_waitgroup_done(&s->wg);
}

// Everybody at once, with two who age and drain, and changing processors: each object is at one place, and is
// freed once.
TEST_T(pool_hammered, 60000)
{
	for (int procs = 1; procs <= 8; procs += procs == 3 ? 5 : 1) {
		rt0_gomaxprocs(procs);
		struct shared s = {.p = POOL, .rounds = SANITIZED ? 2000 : 20000};
		pthread_t t[2];
		for (int i = 0; i < 2; i++)
			CHECK_EQ(pthread_create(&t[i], NULL, foreign_user, &s), 0);
		rt0_waitgroup_add(&s.wg, 10);
		for (int i = 0; i < 8; i++)
			rt0_go(user, &s);
		rt0_go(ager, &s);
		rt0_go(ager, &s);
		rt0_gomaxprocs(procs + 1);
		rt0_waitgroup_wait(&s.wg);
		for (int i = 0; i < 2; i++)
			RT0_BLOCKING(pthread_join(t[i], NULL));
		rt0_pool_destroy(&s.p);
		CHECK_EQ(get(&made), get(&freed));
	}
}

// make and free may use the pool themselves.
static rt0_pool nested;
static void *
make_nested(void *arg)
{
	(void)arg;
	void *o = malloc(1);
	rt0_pool_put(&nested, malloc(1));
	return o;
}
static void
free_nested(void *obj, void *arg)
{
	(void)arg;
	inc(&freed);
	free(obj);
	if (get(&freed) == 1)
		rt0_pool_age(&nested); // ignored: it is aging
}

TEST(pool_functions_may_use_the_pool)
{
	nested = (rt0_pool){.make = make_nested, .free = free_nested};
	void *a = rt0_pool_get(&nested), *b = rt0_pool_get(&nested);
	CHECK(a != b);
	rt0_pool_put(&nested, a);
	rt0_pool_put(&nested, b);
	rt0_pool_age(&nested);
	rt0_pool_age(&nested);
	CHECK_EQ(freed, 2);
	rt0_pool_destroy(&nested);
}
