// SPDX-License-Identifier: BSD-3-Clause
// test_context.c: contexts: the tree, deadlines, causes, values, functions, references.

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "apiutil.h"

#define BG rt0_context_background()

static bool
closed(rt0_chan *c)
{
	return rt0_chan_try_recv(c, NULL) == -EPIPE;
}

// ends checks that ctx has ended with err, or, if that is 0, that it has not.
static void
ends(rt0_context *ctx, int err)
{
	CHECK_EQ(rt0_context_err(ctx), err);
	CHECK_EQ(closed(rt0_context_done(ctx)), err != 0);
	CHECK_EQ(rt0_context_cause(ctx).kind == RT0_NIL, err == 0);
}

static const char *
cause(rt0_context *ctx)
{
	static char buf[100];
	rt0_value v = rt0_context_cause(ctx);
	rt0_value_text(&v, buf, sizeof buf);
	return buf;
}

TEST(context_background)
{
	CHECK(BG == rt0_context_background());
	CHECK(rt0_context_done(BG) == NULL);
	CHECK_EQ(rt0_context_err(BG), 0);
	CHECK_EQ(rt0_context_cause(BG).kind, RT0_NIL);
	CHECK_EQ(rt0_context_deadline(BG), INT64_MAX);
	CHECK(rt0_context_value(BG, "x") == NULL);
	CHECK_EQ(rt0_context_wait(BG, 0), 0);
	CHECK(rt0_context_retain(BG) == BG);
	for (int i = 0; i < 3; i++)
		rt0_context_release(BG);
	CHECK(rt0_context_retain(NULL) == NULL);
	rt0_context_release(NULL);
}

TEST(context_cancel)
{
	rt0_context *c = rt0_context_with_cancel(BG);
	ends(c, 0);
	CHECK_EQ(rt0_context_wait(c, rt0_nanotime() + 1000000), 0);
	rt0_chan *done = rt0_context_done(c);
	CHECK(done != NULL && done == rt0_context_done(c));
	rt0_context_cancel(c);
	ends(c, -ECANCELED);
	CHECK_STREQ(cause(c), "context canceled");
	CHECK_EQ(rt0_context_cause(c).code, -ECANCELED);
	rt0_context_cancel(c);
	CHECK_EQ(rt0_context_wait(c, INT64_MAX), -ECANCELED);
	CHECK(done == rt0_context_done(c));
	rt0_context_release(c);
	// Cancelled before anybody asked for the channel.
	c = rt0_context_with_cancel(BG);
	rt0_context_cancel(c);
	ends(c, -ECANCELED);
	rt0_context_release(c);
}

// A tree: a child's end does not touch its parent or siblings; a parent's ends all below it.
TEST(context_tree)
{
	rt0_context *root = rt0_context_with_cancel(BG);
	rt0_context *a = rt0_context_with_cancel(root), *b = rt0_context_with_cancel(root);
	rt0_context *av = rt0_context_with_value(a, "k", NULL, NULL);
	rt0_context *a1 = rt0_context_with_cancel(av), *a2 = rt0_context_with_deadline(av, rt0_nanotime() + 3600 * RT0_SECOND);
	rt0_context *free_ = rt0_context_without_cancel(av), *f1 = rt0_context_with_cancel(free_);
	CHECK(rt0_context_done(av) == rt0_context_done(a));
	rt0_context_cancel(a1);
	ends(a1, -ECANCELED);
	ends(a, 0);
	ends(a2, 0);
	rt0_context_cancel(a);
	ends(a, -ECANCELED);
	ends(av, -ECANCELED);
	ends(a2, -ECANCELED);
	ends(root, 0);
	ends(b, 0);
	CHECK_EQ(rt0_context_err(free_), 0);
	CHECK(rt0_context_done(free_) == NULL);
	CHECK_EQ(rt0_context_deadline(free_), INT64_MAX);
	ends(f1, 0);
	rt0_context *late = rt0_context_with_cancel(a2); // of a parent that has ended
	ends(late, -ECANCELED);
	rt0_context_cancel(root);
	ends(b, -ECANCELED);
	ends(f1, 0);
	rt0_context *all[] = {root, a, b, av, a1, a2, free_, f1, late};
	for (int i = 0; i < 9; i++) // parents before their children
		rt0_context_release(all[i]);
}

TEST(context_many_children)
{
	enum { N = 1000 };
	rt0_gomaxprocs(2);
	rt0_context *root = rt0_context_with_cancel(BG), *kid[N];
	for (int i = 0; i < N; i++)
		kid[i] = rt0_context_with_cancel(i % 3 == 0 ? root : kid[i / 2]);
	rt0_context_cancel(root);
	for (int i = N; i-- > 0;) {
		ends(kid[i], -ECANCELED);
		rt0_context_release(kid[i]);
	}
	rt0_context_release(root);
}

// A chain so long that recursion would overflow the stack, cancelled and freed.
static void
long_chain(void *arg)
{
	int n = 200000;
	rt0_context *root = rt0_context_with_cancel(BG), *c = rt0_context_retain(root);
	for (int i = 0; i < n; i++) {
		rt0_context *kid = rt0_context_with_cancel(c);
		rt0_context_release(c);
		c = kid;
	}
	rt0_context_cancel(root);
	CHECK_EQ(rt0_context_err(c), -ECANCELED);
	rt0_context_release(root);
	rt0_context_release(c);
	set((int *)arg, 1);
}

TEST_T(context_long_chain, 30000)
{
	int done = 0;
	rt0_go(long_chain, &done);
	await(&done, 1);
}

// ---- deadlines ----

TEST(context_deadline)
{
	int64_t now = rt0_nanotime(), hour = now + 3600 * RT0_SECOND;
	rt0_context *c = rt0_context_with_deadline(BG, now + 2000000);
	CHECK_EQ(rt0_context_deadline(c), now + 2000000);
	CHECK_EQ(rt0_context_wait(c, INT64_MAX), -ETIMEDOUT);
	CHECK(rt0_nanotime() >= now + 2000000);
	ends(c, -ETIMEDOUT);
	CHECK_STREQ(cause(c), "context deadline exceeded");
	rt0_context_cancel(c);
	ends(c, -ETIMEDOUT); // the first counts
	rt0_context_release(c);

	static const int64_t past[] = {0, -1, INT64_MIN};
	for (int i = 0; i < 3; i++) {
		c = rt0_context_with_deadline(BG, past[i]);
		ends(c, -ETIMEDOUT);
		rt0_context_release(c);
		c = rt0_context_with_timeout(BG, past[i]);
		ends(c, -ETIMEDOUT);
		rt0_context_release(c);
	}
	c = rt0_context_with_timeout(BG, INT64_MAX);
	CHECK_EQ(rt0_context_deadline(c), INT64_MAX);
	rt0_context_release(c);

	// Never later than the parent's; a later one is the parent's affair.
	rt0_context *p = rt0_context_with_deadline(BG, hour), *k = rt0_context_with_deadline(p, hour + 1);
	rt0_context *v = rt0_context_with_value(k, "k", NULL, NULL);
	CHECK_EQ(rt0_context_deadline(k), hour);
	CHECK_EQ(rt0_context_deadline(v), hour);
	c = rt0_context_with_deadline(v, hour - 1);
	CHECK_EQ(rt0_context_deadline(c), hour - 1);
	rt0_context_cancel(p);
	ends(k, -ECANCELED);
	ends(c, -ECANCELED);
	rt0_context_release(p), rt0_context_release(k), rt0_context_release(v), rt0_context_release(c);
}

// The parent's deadline ends the child, with the parent's cause.
TEST(context_parents_deadline)
{
	rt0_context *p = rt0_context_with_deadline_cause(BG, rt0_nanotime() + 1000000, rt0_value_error("too slow", 7));
	rt0_context *k = rt0_context_with_timeout(p, 3600 * RT0_SECOND);
	CHECK_EQ(rt0_context_wait(k, INT64_MAX), -ETIMEDOUT);
	CHECK_STREQ(cause(k), "too slow");
	CHECK_EQ(rt0_context_cause(k).code, 7);
	ends(p, -ETIMEDOUT);
	rt0_context_release(p);
	rt0_context_release(k);
}

// ---- causes ----

TEST(context_cause_of_the_first_cancellation)
{
	rt0_context *p = rt0_context_with_cancel(BG), *k = rt0_context_with_cancel(p), *k2 = rt0_context_with_cancel(k);
	rt0_context_cancel_cause(k, rt0_value_string("child"));
	rt0_context_cancel_cause(p, rt0_value_string("parent"));
	rt0_context_cancel_cause(p, rt0_value_string("parent again"));
	CHECK_STREQ(cause(p), "parent");
	CHECK_STREQ(cause(k), "child");
	CHECK_STREQ(cause(k2), "child");
	ends(k2, -ECANCELED);
	rt0_context *late = rt0_context_with_cancel(p);
	CHECK_STREQ(cause(late), "parent");
	rt0_context_cancel_cause(late, rt0_value_string("late"));
	CHECK_STREQ(cause(late), "parent");
	rt0_context *nil = rt0_context_with_cancel(BG);
	rt0_context_cancel_cause(nil, (rt0_value){.kind = RT0_NIL});
	CHECK_STREQ(cause(nil), "context canceled");
	rt0_context_release(p), rt0_context_release(k), rt0_context_release(k2), rt0_context_release(late), rt0_context_release(nil);
}

// ---- values ----

static int dropped;
static void
drop(void *v)
{
	inc((int *)v);
	inc(&dropped);
}

TEST(context_values)
{
	static const char k1, k2, k3;
	int v1 = 0, v2 = 0, v3 = 0;
	rt0_context *a = rt0_context_with_value(BG, &k1, &v1, drop), *b = rt0_context_with_cancel(a);
	rt0_context *c = rt0_context_with_value(b, &k2, &v2, drop), *d = rt0_context_with_value(c, &k1, &v3, NULL);
	rt0_context *e = rt0_context_without_cancel(d);
	CHECK(rt0_context_value(a, &k1) == &v1 && rt0_context_value(c, &k1) == &v1);
	CHECK(rt0_context_value(d, &k1) == &v3 && rt0_context_value(e, &k1) == &v3);
	CHECK(rt0_context_value(e, &k2) == &v2 && rt0_context_value(a, &k2) == NULL);
	CHECK(rt0_context_value(e, &k3) == NULL && rt0_context_value(NULL, &k1) == NULL);
	rt0_context_release(a), rt0_context_release(b), rt0_context_release(c), rt0_context_release(d);
	CHECK_EQ(dropped, 0);
	CHECK(rt0_context_value(e, &k2) == &v2);
	rt0_context_release(e);
	CHECK(v1 == 1 && v2 == 1 && v3 == 0);
}

// ---- functions ----

static void
count(void *n)
{
	inc((int *)n);
}

TEST(context_after_func)
{
	int n = 0;
	rt0_context_after *stop;
	rt0_context *c = rt0_context_with_cancel(BG), *v = rt0_context_with_value(c, "k", NULL, NULL);
	rt0_context_after_func(v, count, &n, NULL);
	rt0_context_after_func(v, count, &n, &stop);
	CHECK(rt0_context_stop(stop));
	rt0_context_after_func(c, count, &n, &stop);
	yield(20);
	CHECK_EQ(get(&n), 0);
	rt0_context_cancel(c);
	await(&n, 2);
	CHECK(!rt0_context_stop(stop));
	rt0_context_after_func(v, count, &n, &stop); // cancelled already: at once
	await(&n, 3);
	CHECK(!rt0_context_stop(stop));
	rt0_context_after_func(c, count, &n, NULL);
	await(&n, 4);
	rt0_context_release(v);
	rt0_context_release(c);

	rt0_context_after_func(BG, count, &n, NULL); // never
	rt0_context_after_func(BG, count, &n, &stop);
	CHECK(rt0_context_stop(stop));
	c = rt0_context_with_cancel(BG);
	rt0_context_after_func(c, count, &n, NULL);
	rt0_context_release(c); // nobody can cancel it any more
	c = rt0_context_with_timeout(BG, 1000000);
	rt0_context_after_func(c, count, &n, &stop);
	rt0_context_release(c); // stop has a reference
	await(&n, 5);
	CHECK(!rt0_context_stop(stop));
	yield(20);
	CHECK_EQ(get(&n), 5);
}

struct racer {
	rt0_context *ctx;
	rt0_context_after *stop;
	int ready, started;
};

static void
cancel_it(void *arg)
{
	struct racer *r = arg;
	inc(&r->ready);
	rt0_context_cancel(r->ctx);
	rt0_context_release(r->ctx);
	inc(&r->ready);
}

// Stop or start: exactly one of the two.
TEST_T(context_stop_races_with_cancel, 30000)
{
	rt0_gomaxprocs(2);
	int rounds = SANITIZED ? 300 : 3000;
	for (int i = 0; i < rounds; i++) {
		struct racer r = {.ctx = rt0_context_with_cancel(BG)};
		rt0_context_after_func(r.ctx, count, &r.started, &r.stop);
		rt0_go(cancel_it, &r);
		for (int k = i % 50; k > 0 && get(&r.ready) == 0; k--)
			rt0_gosched();
		bool stopped = rt0_context_stop(r.stop);
		await(&r.ready, 2);
		if (!stopped)
			await(&r.started, 1);
		else
			yield(3);
		CHECK_EQ(get(&r.started), !stopped);
	}
}

// ---- everything at once ----

enum { NCTX = 64 };
static rt0_context *slot[NCTX];
static rt0_mutex slotlock;
static rt0_waitgroup wg;
static int rounds;

static uint64_t
rnd(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static rt0_context *
borrow(uint64_t r)
{
	rt0_mutex_lock(&slotlock);
	rt0_context *c = rt0_context_retain(slot[r % NCTX]);
	rt0_mutex_unlock(&slotlock);
	return c != NULL ? c : BG;
}

static void
tree_worker(void *arg)
{
	uint64_t seed = (uintptr_t)&seed ^ (uintptr_t)arg;
	for (int i = 0; i < rounds; i++) {
		rt0_context *p = borrow(rnd(&seed)), *c = NULL;
		switch (rnd(&seed) % 10) {
		case 0:
		case 1: c = rt0_context_with_cancel(p); break;
		case 2:
		case 3: c = rt0_context_with_timeout(p, (int64_t)(rnd(&seed) % 300000)); break;
		case 4: c = rt0_context_with_value(p, "key", calloc(1, sizeof(int)), drop); break;
		case 5: c = rt0_context_without_cancel(p); break;
		case 6:
			c = rt0_context_with_cancel(p);
			rt0_context_after_func(c, count, &dropped, NULL);
			break;
		case 7: {
			rt0_context_after *stop;
			rt0_context_after_func(p, count, &dropped, &stop);
			rt0_context_wait(p, rt0_nanotime() + (int64_t)(rnd(&seed) % 50000));
			rt0_context_stop(stop);
			break;
		}
		case 8: {
			rt0_context *k = rt0_context_with_cancel(p);
			rt0_context_cancel(k);
			ends(k, rt0_context_err(k));
			rt0_context_release(k);
			break;
		}
		default:
			if (rt0_context_err(p) != 0)
				CHECK(rt0_context_done(p) != NULL && closed(rt0_context_done(p)));
		}
		if (c != NULL) {
			rt0_mutex_lock(&slotlock);
			rt0_context **s = &slot[rnd(&seed) % NCTX], *old = *s;
			*s = c;
			rt0_mutex_unlock(&slotlock);
			if (old != NULL && rt0_context_done(old) != NULL && rnd(&seed) % 2 == 0) {
				// A cancellation that crosses with releases, timers and new children.
				rt0_context *k = rt0_context_with_cancel(old);
				rt0_context_release(old);
				rt0_context_cancel(k);
				old = k;
			}
			rt0_context_release(old);
		}
		rt0_context_release(p);
	}
}

static void
tree_worker_g(void *arg)
{
	tree_worker(arg);
	rt0_waitgroup_done(&wg);
}

static void *
tree_worker_thread(void *arg)
{
	tree_worker(arg);
	return NULL;
}

TEST_T(context_trees_hammered, 60000)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		rounds = SANITIZED ? 300 : 2000;
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, tree_worker_thread, slot), 0);
		rt0_waitgroup_add(&wg, 8);
		for (intptr_t i = 0; i < 8; i++)
			rt0_go(tree_worker_g, (void *)i);
		rt0_waitgroup_wait(&wg);
		RT0_BLOCKING(pthread_join(t, NULL));
	}
	for (int i = 0; i < NCTX; i++)
		rt0_context_release(slot[i]);
}

// Timers that go off while the last reference is given back.
static void
timeout_worker(void *arg)
{
	uint64_t seed = (uintptr_t)&seed ^ (uintptr_t)arg;
	for (int i = 0; i < rounds; i++) {
		rt0_context *c = rt0_context_with_timeout(BG, 20000 + (int64_t)(rnd(&seed) % 20000));
		rt0_context *v = rt0_context_with_value(c, "key", calloc(1, sizeof(int)), drop);
		rt0_context_release(c);
		rt0_sleep(20000 + (int64_t)(rnd(&seed) % 20000));
		if (i % 4 == 0)
			rt0_context_cancel(c); // v has it
		rt0_context_release(v);
	}
	rt0_waitgroup_done(&wg);
}

TEST_T(context_release_races_with_deadline, 60000)
{
	rt0_gomaxprocs(3);
	rounds = SANITIZED ? 200 : 2000;
	rt0_waitgroup_add(&wg, 4);
	for (intptr_t i = 0; i < 4; i++)
		rt0_go(timeout_worker, (void *)i);
	rt0_waitgroup_wait(&wg);
	await(&dropped, 4 * rounds);
}

// ---- with select ----

struct worker {
	rt0_context *ctx;
	rt0_chan *jobs;
	int done;
};

static void
work_until_cancelled(void *arg)
{
	struct worker *w = arg;
	int job;
	while (RT0_SELECT(RT0_RECV(w->jobs, &job), RT0_RECV(rt0_context_done(w->ctx), NULL)) != 1)
		;
	CHECK_EQ(rt0_context_err(w->ctx), -ECANCELED);
	rt0_context_release(w->ctx); // the last but the canceller's: done goes soon after it has woken us
	inc(&w->done);
}

TEST_T(context_done_in_select, 30000)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		for (int round = 0; round < (SANITIZED ? 50 : 500); round++) {
			rt0_context *p = rt0_context_with_cancel(BG), *c = rt0_context_with_timeout(p, RT0_HOUR);
			struct worker w = {.ctx = c, .jobs = rt0_chan_make(sizeof(int), round % 2)};
			for (int i = 0; i < 4; i++) {
				rt0_context_retain(c);
				rt0_go(work_until_cancelled, &w);
			}
			rt0_context_release(c);
			for (int i = 0; i < round % 7; i++)
				rt0_chan_send(w.jobs, &i);
			rt0_context_cancel(p);
			rt0_context_release(p);
			await(&w.done, 4);
			rt0_chan_free(w.jobs);
		}
	}
}

// ---- misuse ----

static void nil_parent(void *arg) { (void)arg; rt0_context_with_cancel(NULL); }
static void nil_parent_value(void *arg) { rt0_context_with_value(NULL, "k", arg, NULL); }
static void nil_parent_without(void *arg) { (void)arg; rt0_context_without_cancel(NULL); }
static void nil_key(void *arg) { rt0_context_with_value(BG, NULL, arg, NULL); }
static void cancel_arg(void *arg) { rt0_context_cancel(arg); }

static void
panics(void (*fn)(void *), void *arg, const char *want)
{
	rt0_value v;
	char text[100];
	CHECK(!rt0_try(fn, arg, &v));
	rt0_value_text(&v, text, sizeof text);
	CHECK_STREQ(text, want);
}

TEST(context_misuse)
{
	static const char parent[] = "cannot create context from nil parent",
			  cancel[] = "context: cancel of a context that is not cancellable";
	panics(nil_parent, NULL, parent);
	panics(nil_parent_value, "k", parent);
	panics(nil_parent_without, NULL, parent);
	panics(nil_key, NULL, "nil key");
	panics(cancel_arg, NULL, cancel);
	panics(cancel_arg, BG, cancel);
	rt0_context *v = rt0_context_with_value(BG, "k", NULL, NULL);
	panics(cancel_arg, v, cancel);
	rt0_context_release(v);
}

// ---- signals ----

TEST(context_notify)
{
	rt0_context *p = rt0_context_with_cancel(BG), *c = NULL;
	int sig = SIGUSR1, bad = SIGKILL;
	CHECK_EQ(rt0_signal_notify_context(p, &bad, 1, &c), -EINVAL);
	CHECK(c == NULL);
	CHECK_EQ(rt0_signal_notify_context(p, &sig, 1, &c), 0);
	ends(c, 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(rt0_context_wait(c, INT64_MAX), -ECANCELED);
	CHECK(rt0_context_cause(c).kind == RT0_INT && rt0_context_cause(c).v.i == SIGUSR1);
	ends(p, 0);
	rt0_context_release(c);
	CHECK_EQ(rt0_signal_notify_context(p, &sig, 1, &c), 0);
	rt0_context_cancel(p);
	ends(c, -ECANCELED);
	CHECK_STREQ(cause(c), "context canceled");
	rt0_context_release(c);
	CHECK_EQ(rt0_signal_notify_context(p, &sig, 1, &c), 0); // of a parent that has ended
	ends(c, -ECANCELED);
	rt0_context_release(c);
	rt0_context_release(p);
}
