// SPDX-License-Identifier: BSD-3-Clause
// test_group.c: groups of goroutines with a first error.

#include <pthread.h>

#include "apiutil.h"

struct task {
	int result;
	rt0_context *ctx;
	int *active, *most, *count;
};

static int
run(void *arg)
{
	struct task *t = arg;
	if (t->ctx != NULL)
		rt0_context_wait(t->ctx, INT64_MAX); // somebody else fails
	if (t->count != NULL)
		inc(t->count);
	return t->result;
}

TEST(group_returns_the_first_error)
{
	static const int results[][3] = {{0, 0, 0}, {0, -5, 0}, {0, 0, 7}, {-1, -1, -1}};
	for (int i = 0; i < 4; i++) {
		rt0_group g = {0};
		struct task t[3] = {{0}};
		int want = 0, n = 0;
		for (int k = 0; k < 3; k++) {
			t[k] = (struct task){.result = results[i][k], .count = &n};
			if (results[i][k] != 0)
				want = results[i][k];
			rt0_group_go(&g, run, &t[k]);
		}
		CHECK_EQ(rt0_group_wait(&g), want);
		CHECK_EQ(get(&n), 3);
		CHECK_EQ(rt0_group_wait(&g), want);
	}
	rt0_group none = {0};
	CHECK_EQ(rt0_group_wait(&none), 0);
}

TEST(group_error_cancels_the_context)
{
	rt0_group g;
	rt0_context *ctx = rt0_context_retain(rt0_group_init(&g, rt0_context_background()));
	struct task waits = {.ctx = ctx, .result = -2}, fails = {.result = -9};
	CHECK_EQ(rt0_context_err(ctx), 0);
	for (int i = 0; i < 5; i++)
		rt0_group_go(&g, run, &waits);
	rt0_group_go(&g, run, &fails);
	CHECK_EQ(rt0_group_wait(&g), -9);
	CHECK_EQ(rt0_context_err(ctx), -ECANCELED);
	CHECK_EQ(rt0_context_cause(ctx).kind, RT0_ERROR);
	CHECK_EQ(rt0_context_cause(ctx).code, -9);
	rt0_context_release(ctx);

	// Without an error it is cancelled by wait.
	ctx = rt0_context_retain(rt0_group_init(&g, rt0_context_background()));
	rt0_group_go(&g, run, &(struct task){.result = 0});
	CHECK_EQ(rt0_group_wait(&g), 0);
	CHECK_EQ(rt0_context_err(ctx), -ECANCELED);
	rt0_context_release(ctx);
	CHECK(rt0_group_init(&g, NULL) == NULL);
	CHECK_EQ(rt0_group_wait(&g), 0);
}

static int
limited(void *arg)
{
	struct task *t = arg;
	int n = inc(t->active);
	CHECK(n <= *t->most);
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	dec(t->active);
	inc(t->count);
	return 0;
}

TEST(group_limit)
{
	rt0_gomaxprocs(4);
	for (int limit = 1; limit <= 10; limit += 3) {
		rt0_group g = {0};
		int active = 0, count = 0;
		struct task t = {.active = &active, .most = &limit, .count = &count};
		rt0_group_set_limit(&g, limit);
		for (int i = 0; i < 200; i++)
			rt0_group_go(&g, limited, &t);
		CHECK_EQ(rt0_group_wait(&g), 0);
		CHECK_EQ(get(&count), 200);
	}
}

static int flag;
static int
until_flag(void *arg)
{
	inc((int *)arg);
	await(&flag, 1);
	return 0;
}

static void
set_limit(void *g)
{
	rt0_group_set_limit(g, 5);
}

TEST(group_try_go)
{
	rt0_group g = {0};
	int n = 0;
	CHECK(rt0_group_try_go(&g, until_flag, &n)); // no limit
	set(&flag, 1);
	CHECK_EQ(rt0_group_wait(&g), 0);
	set(&flag, 0);
	rt0_group_set_limit(&g, 0);
	CHECK(!rt0_group_try_go(&g, until_flag, &n));
	rt0_group_set_limit(&g, 2);
	CHECK(rt0_group_try_go(&g, until_flag, &n));
	CHECK(rt0_group_try_go(&g, until_flag, &n));
	CHECK(!rt0_group_try_go(&g, until_flag, &n));
	rt0_value v;
	char text[100];
	CHECK(!rt0_try(set_limit, &g, &v));
	rt0_value_text(&v, text, sizeof text);
	CHECK_STREQ(text, "errgroup: modify limit while goroutines in the group are still active");
	set(&flag, 1);
	CHECK_EQ(rt0_group_wait(&g), 0);
	CHECK_EQ(get(&n), 3);
	rt0_group_set_limit(&g, -1);
	for (int i = 0; i < 10; i++)
		CHECK(rt0_group_try_go(&g, until_flag, &n));
	CHECK_EQ(rt0_group_wait(&g), 0);
}

static int
ends_goroutine(void *arg)
{
	inc((int *)arg);
	rt0_goexit();
}

static void *
foreign_group(void *arg)
{
	rt0_group g = {0};
	rt0_group_set_limit(&g, 2);
	for (int i = 0; i < 20; i++)
		rt0_group_go(&g, ends_goroutine, arg);
	while (!rt0_group_try_go(&g, ends_goroutine, arg))
		usleep(100);
	CHECK_EQ(rt0_group_wait(&g), 0);
	return NULL;
}

TEST(group_foreign_and_goexit)
{
	int n = 0;
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, foreign_group, &n), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
	CHECK_EQ(get(&n), 21);
}
