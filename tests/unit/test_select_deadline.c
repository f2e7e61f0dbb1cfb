// SPDX-License-Identifier: BSD-3-Clause
// test_select_deadline.c: deadlines of select, send and receive, and their races with peers and with close.
#include <stdlib.h>
#include <string.h>

#include "../../src/runtime.h"
#include "apiutil.h"

enum { HOUR_S = 3600 };

static int64_t
in(int64_t us)
{
	return rt0_nanotime() + us * 1000;
}

// Nobody's timer is left behind: they lie on stacks.
static void
no_timers(void)
{
	CHECK_EQ(runtime_timersarmed(), 0);
}

TEST(deadline_results_of_send_and_receive)
{
	for (int cap = 0; cap < 2; cap++) {
		rt0_chan *c = ints(cap);
		int v = 3, w = 4;
		for (int past = 0; past < 2; past++) {
			CHECK_EQ(rt0_chan_recv_until(c, &w, past ? in(-1) : 0), -ETIMEDOUT);
			CHECK_EQ(rt0_chan_recv_until(c, &w, -5), -ETIMEDOUT);
			CHECK_EQ(rt0_chan_recv_until(c, &w, in(500)), -ETIMEDOUT);
			CHECK_EQ(w, 4);
		}
		if (cap == 1)
			CHECK_EQ(rt0_chan_send_until(c, &v, 0), 0);
		CHECK_EQ(rt0_chan_send_until(c, &v, 0), -ETIMEDOUT);
		CHECK_EQ(rt0_chan_send_until(c, &v, in(500)), -ETIMEDOUT);
		CHECK_EQ(rt0_chan_len(c), cap);
		if (cap == 1) {
			CHECK_EQ(rt0_chan_recv_until(c, &w, RT0_NEVER), 0);
			CHECK_EQ(w, 3);
		}
		rt0_chan_close(c);
		CHECK_EQ(rt0_chan_recv_until(c, &w, in(1000000)), -EPIPE);
		CHECK_EQ(w, 0);
		w = 1;
		CHECK_EQ(rt0_chan_recv_until(c, &w, 0), -EPIPE);
		CHECK_EQ(w, 0);
		CHECK_EQ(rt0_chan_recv_until(c, NULL, RT0_NEVER), -EPIPE);
		rt0_chan_free(c);
	}
	CHECK_EQ(rt0_chan_recv_until(NULL, NULL, 0), -ETIMEDOUT);
	CHECK_EQ(rt0_chan_recv_until(NULL, NULL, in(100)), -ETIMEDOUT);
	CHECK_EQ(rt0_chan_send_until(NULL, NULL, in(100)), -ETIMEDOUT);
	no_timers();
}

TEST(deadline_is_never_early)
{
	static const int64_t us[] = {1, 10, 50, 70, 300, 5000, 20000};
	rt0_chan *a = ints(0), *b = ints(0);
	int v;
	for (size_t i = 0; i < sizeof us / sizeof us[0]; i++) {
		int64_t t = in(us[i]);
		CHECK_EQ(RT0_SELECT_UNTIL(t, RT0_RECV(a, &v), RT0_SEND(b, &v)), -ETIMEDOUT);
		CHECK(rt0_nanotime() >= t);
		t = in(us[i]);
		CHECK_EQ(rt0_select(NULL, 0, t), -ETIMEDOUT);
		CHECK(rt0_nanotime() >= t);
	}
	// It is off all queues.
	CHECK_EQ(rt0_chan_try_send(a, &v), -EAGAIN);
	CHECK_EQ(rt0_chan_try_recv(b, &v), -EAGAIN);
	rt0_chan_free(a);
	rt0_chan_free(b);
	no_timers();
}

// A hundred wait in one queue for deadlines in no order.
struct waiter {
	rt0_chan *c, *out;
	int64_t deadline;
};

static void
wait_then_tell(void *arg)
{
	struct waiter *w = arg;
	CHECK_EQ(RT0_SELECT_UNTIL(w->deadline, RT0_RECV(w->c, NULL), RT0_RECV(NULL, NULL)), -ETIMEDOUT);
	int64_t late = rt0_nanotime() - w->deadline;
	rt0_chan_send(w->out, &late);
}

TEST(deadline_of_many_waiters)
{
	struct waiter w[100];
	rt0_chan *c = ints(0), *out = rt0_chan_make(sizeof(int64_t), 0);
	for (int i = 0; i < 100; i++) {
		w[i] = (struct waiter){c, out, in(i * 37 % 100 * 100)};
		rt0_go(wait_then_tell, &w[i]);
	}
	for (int i = 0; i < 100; i++) {
		int64_t late = -1;
		CHECK(rt0_chan_recv(out, &late));
		CHECK(late >= 0);
	}
	rt0_chan_free(c);
	no_timers();
}

// ---- races ----
// Senders and receivers with deadlines about as long as it takes to meet: what was sent is what was received.

enum { ROUNDS = SANITIZED ? 3000 : 20000, PAIRS = 3 };

struct racer {
	rt0_chan *c[2];
	rt0_waitgroup wg;
	int64_t sent, received; // sums; atomic
	int nsent, nreceived, timeouts, closedc;
};

static uint32_t
next(uint32_t *rnd)
{
	*rnd ^= *rnd << 13, *rnd ^= *rnd >> 17, *rnd ^= *rnd << 5;
	return *rnd;
}

static void
race_send(void *arg)
{
	struct racer *r = arg;
	uint32_t rnd = 7919 + (uint32_t)inc(&r->timeouts);
	for (int i = 1; i <= ROUNDS; i++) {
		int k = (int)(next(&rnd) % 2), err;
		int64_t t = in(next(&rnd) % 40);
		if (next(&rnd) % 2)
			err = rt0_chan_send_until(r->c[k], &i, t);
		else
			err = RT0_SELECT_UNTIL(t, RT0_SEND(r->c[k], &i), RT0_SEND(r->c[1 - k], &i));
		if (err >= 0) {
			__atomic_add_fetch(&r->sent, i, __ATOMIC_RELAXED);
			inc(&r->nsent);
		} else {
			CHECK_EQ(err, -ETIMEDOUT);
			CHECK(rt0_nanotime() >= t);
			inc(&r->timeouts);
		}
	}
	rt0_waitgroup_done(&r->wg);
}

static void
race_receive(void *arg)
{
	struct racer *r = arg;
	uint32_t rnd = 104729 + (uint32_t)inc(&r->timeouts);
	for (int i = 1; i <= ROUNDS; i++) {
		int k = (int)(next(&rnd) % 2), err, v = -1;
		int64_t t = in(next(&rnd) % 40);
		if (next(&rnd) % 2)
			err = rt0_chan_recv_until(r->c[k], &v, t);
		else
			err = RT0_SELECT_UNTIL(t, RT0_RECV(r->c[k], &v), RT0_RECV(r->c[1 - k], &v));
		if (err >= 0) {
			__atomic_add_fetch(&r->received, v, __ATOMIC_RELAXED);
			inc(&r->nreceived);
		} else {
			CHECK_EQ(err, -ETIMEDOUT);
			CHECK_EQ(v, -1);
			inc(&r->timeouts);
		}
	}
	rt0_waitgroup_done(&r->wg);
}

TEST_T(deadline_races_lose_and_double_nothing, 60000)
{
	for (int cap = 0; cap < 2; cap++) {
		struct racer r = {.c = {ints(cap), ints(0)}};
		rt0_waitgroup_add(&r.wg, 2 * PAIRS);
		for (int i = 0; i < PAIRS; i++) {
			rt0_go(race_send, &r);
			rt0_go(race_receive, &r);
		}
		rt0_waitgroup_wait(&r.wg);
		for (int v; rt0_chan_try_recv(r.c[0], &v) == 0;) {
			r.received += v;
			r.nreceived++;
		}
		CHECK_EQ(r.nreceived, r.nsent);
		CHECK_EQ(r.received, r.sent);
		CHECK_EQ(rt0_chan_try_recv(r.c[1], NULL), -EAGAIN);
		no_timers();
		rt0_chan_free(r.c[0]);
		rt0_chan_free(r.c[1]);
	}
}

static void
close_soon(void *arg)
{
	struct racer *r = arg;
	for (int i = 0; i < r->closedc; i++)
		rt0_gosched();
	rt0_chan_close(r->c[0]);
	rt0_waitgroup_done(&r->wg);
}

TEST_T(deadline_races_with_close, 60000)
{
	uint32_t rnd = 99991;
	int closed = 0;
	for (int i = 0; i < (SANITIZED ? 2000 : 20000); i++) {
		struct racer r = {.c = {ints(0), ints(0)}, .closedc = (int)(next(&rnd) % 5)};
		bool ok = true;
		int v = 5;
		rt0_waitgroup_add(&r.wg, 1);
		rt0_go(close_soon, &r);
		int64_t t = in(next(&rnd) % 5);
		int k = RT0_SELECT_UNTIL(t, RT0_RECV(r.c[1], &v, &ok), RT0_RECV(r.c[0], &v, &ok));
		if (k == 1) {
			CHECK(!ok);
			CHECK_EQ(v, 0);
			closed++;
		} else {
			CHECK_EQ(k, -ETIMEDOUT);
			CHECK_EQ(v, 5);
			CHECK(rt0_nanotime() >= t);
		}
		rt0_waitgroup_wait(&r.wg);
		CHECK_EQ(RT0_SELECT_UNTIL(t, RT0_RECV(r.c[1], &v, &ok), RT0_RECV(r.c[0], &v, &ok)), 1);
		rt0_chan_free(r.c[0]);
		rt0_chan_free(r.c[1]);
	}
	no_timers();
}

// The timer of a wait that a peer ends is stopped, in time: a million of them would show.
static void
server(void *arg)
{
	rt0_chan **c = arg;
	int v;
	bool ok;
	while (RT0_SELECT_UNTIL(in(HOUR_S * 1000000ll), RT0_RECV(c[0], &v, &ok)) == 0 && ok) {
		v++;
		CHECK_EQ(rt0_chan_send_until(c[1], &v, in(HOUR_S * 1000000ll)), 0);
	}
	rt0_chan_close(c[1]);
}

TEST_T(deadline_timers_are_stopped, 30000)
{
	rt0_chan *c[2] = {ints(0), ints(0)};
	int v;
	rt0_go(server, c);
	for (int i = 0; i < 20000; i++) {
		CHECK_EQ(rt0_chan_send_until(c[0], &i, in(HOUR_S * 1000000ll)), 0);
		CHECK_EQ(RT0_SELECT_UNTIL(in(HOUR_S * 1000000ll), RT0_RECV(c[1], &v), RT0_RECV(NULL, &v)), 0);
		CHECK_EQ(v, i + 1);
		CHECK(runtime_timersarmed() <= 2);
	}
	rt0_chan_close(c[0]);
	CHECK(!rt0_chan_recv(c[1], &v));
	no_timers();
}

// ---- timers' channels in a select ----

TEST(deadline_by_a_timer_channel)
{
	rt0_chan *c = ints(0);
	rt0_timer *t = rt0_timer_new(2 * MS), *tick = rt0_ticker_new(MS / 4);
	int ticks = 0, v;
	for (bool over = false; !over;) {
		switch (RT0_SELECT(RT0_RECV(c, &v), RT0_RECV(t->c, NULL), RT0_RECV(tick->c, NULL))) {
		case 1: over = true; break;
		case 2: ticks++; break;
		default: CHECK(false);
		}
	}
	while (ticks < 3) {
		CHECK_EQ(RT0_SELECT(RT0_RECV(tick->c, NULL), RT0_RECV(t->c, NULL)), 0);
		ticks++;
	}
	rt0_timer_free(t);
	rt0_timer_free(tick);
	no_timers();
}

// TestTimerFairness: two senders that are always ready do not starve the timer in the receiver's select.
struct fair {
	rt0_chan *c, *done;
	rt0_waitgroup wg;
};

static void
always_ready(void *arg)
{
	struct fair *f = arg;
	int v = 0;
	while (RT0_SELECT(RT0_SEND(f->c, &v), RT0_RECV(f->done, NULL)) == 0)
		continue;
	rt0_waitgroup_done(&f->wg);
}

TEST_T(deadline_timer_is_not_starved, 30000)
{
	struct fair f = {.c = ints(0), .done = ints(0)};
	rt0_waitgroup_add(&f.wg, 2);
	rt0_go(always_ready, &f);
	rt0_go(always_ready, &f);
	rt0_timer *t = rt0_timer_new(20 * MS);
	int v;
	while (RT0_SELECT(RT0_RECV(f.c, &v), RT0_RECV(t->c, NULL)) == 0)
		continue;
	// Neither a deadline, which is looked at when it would have to wait only: it waits here.
	rt0_chan *never = ints(0);
	CHECK_EQ(rt0_chan_recv_until(never, &v, in(20000)), -ETIMEDOUT);
	rt0_chan_close(f.done);
	rt0_waitgroup_wait(&f.wg);
	rt0_timer_free(t);
}
