// SPDX-License-Identifier: BSD-3-Clause
// test_select.c: select as a program sees it: which case, fairness, close, deadlines, exact counts.
//
// The cases are those of Go's chan_test.go that concern select, and TestYieldProgress and TestTimerFairness of
// proc_test.go; each names the test that it restates. Those that wait are in test_select_waiters.c, deadlines in
// test_select_deadline.c, random programs in test_select_random.c.

#include <stdlib.h>
#include <string.h>

#include "apiutil.h"

// ---- one case, ready or not ----

TEST(select_makes_the_only_ready_case)
{
	for (int cap = 1; cap < 4; cap++) {
		rt0_chan *a = ints(cap), *b = ints(cap), *none = NULL;
		int v = 7, w = 0;
		bool ok = false;
		CHECK_EQ(RT0_SELECT(RT0_RECV(a, &w), RT0_RECV(b, &w), RT0_SEND(b, &v), RT0_RECV(none, &w)), 2);
		CHECK_EQ(w, 0);
		CHECK_EQ(RT0_SELECT(RT0_RECV(a, &w), RT0_SEND(none, &v), RT0_RECV(b, &w, &ok)), 2);
		CHECK_EQ(w, 7);
		CHECK(ok);
		CHECK_EQ(rt0_chan_len(b), 0);
		rt0_chan_free(a);
		rt0_chan_free(b);
	}
}

TEST(select_that_only_tries_says_when_nothing_is_ready)
{
	rt0_chan *a = ints(0), *b = ints(1), *none = NULL;
	int v = 1, w = 5;
	bool ok = true;
	rt0_chan_send(b, &v);
	CHECK_EQ(RT0_TRY_SELECT(RT0_RECV(a, &w, &ok), RT0_SEND(a, &v), RT0_SEND(b, &v), RT0_RECV(none, &w)), -ETIMEDOUT);
	CHECK_EQ(w, 5);
	CHECK(ok);
	CHECK_EQ(RT0_TRY_SELECT(RT0_RECV(a, &w)), -ETIMEDOUT);
	CHECK_EQ(RT0_TRY_SELECT(RT0_RECV(none, &w), RT0_SEND(none, &v)), -ETIMEDOUT);
	CHECK_EQ(rt0_select(NULL, 0, 0), -ETIMEDOUT);
	CHECK_EQ(rt0_select(NULL, 0, -1), -ETIMEDOUT);
	CHECK_EQ(RT0_SELECT_UNTIL(1, RT0_RECV(a, &w)), -ETIMEDOUT);
	CHECK_EQ(RT0_SELECT_UNTIL(INT64_MIN, RT0_RECV(a, &w)), -ETIMEDOUT);
	// At a deadline that is over, what is ready is still made.
	CHECK_EQ(RT0_SELECT_UNTIL(1, RT0_RECV(a, &w), RT0_RECV(b, &w)), 1);
	CHECK_EQ(w, 1);
}

// In C, cases may be named, and an index that is left out never comes.
TEST(select_cases_by_name)
{
	enum { GAP, LINE, QUIT = 5 };
	rt0_chan *line = ints(1), *quit = ints(1);
	int v = 0;
	rt0_chan_send(quit, &v);
	bool quits = false;
	for (int i = 0; i < 2; i++) {
		switch (RT0_SELECT([QUIT] = RT0_RECV(quit, &v), [LINE] = RT0_RECV(line, &v))) {
		case LINE: quits = true; continue; // of the loop
		case QUIT: rt0_chan_send(line, &v); break; // of the switch
		default: CHECK(false);
		}
		CHECK_EQ(i, 0);
	}
	CHECK(quits);
}

TEST(select_on_closed_channels)
{
	rt0_chan *a = ints(0), *b = ints(3);
	int v = 4;
	rt0_chan_close(a);
	bool ok = true;
	CHECK_EQ(RT0_SELECT(RT0_RECV(b, &v), RT0_RECV(a, &v, &ok)), 1);
	CHECK(!ok);
	CHECK_EQ(v, 0);
	rt0_chan_send(b, &(int){9});
	rt0_chan_close(b);
	CHECK_EQ(RT0_SELECT(RT0_RECV(b, &v, &ok)), 0);
	CHECK(ok);
	CHECK_EQ(v, 9);
	CHECK_EQ(RT0_TRY_SELECT(RT0_RECV(b, &v, &ok)), 0);
	CHECK(!ok);
	CHECK_EQ(v, 0);
}

// ---- misuse ----

static void
try_select(void *arg)
{
	rt0_case *cs = arg;
	rt0_select(cs, cs->size == 1234567 ? 65537 : 1, RT0_NEVER);
}

static void
panics(rt0_case cs, const char *text)
{
	rt0_value v;
	char buf[200];
	CHECK(!rt0_try(try_select, &cs, &v));
	CHECK(rt0_is_runtime_error(&v));
	rt0_value_text(&v, buf, sizeof buf);
	CHECK_STREQ(buf, text);
}

TEST(select_misuse_panics_and_does_nothing)
{
	rt0_chan *c = ints(1);
	int v = 3;
	panics((rt0_case){c, &v, NULL, 4, 0}, "select: case is neither send nor receive");
	panics((rt0_case){c, &v, NULL, 4, 3}, "select: case is neither send nor receive");
	panics((rt0_case){c, &v, NULL, 8, RT0_CASE_SEND}, "select: element is not of the channel's size");
	panics((rt0_case){c, &v, NULL, 2, RT0_CASE_RECV}, "select: element is not of the channel's size");
	panics((rt0_case){c, &v, NULL, 1234567, RT0_CASE_RECV}, "select: too many cases");
	CHECK_EQ(rt0_chan_len(c), 0);
	rt0_chan_close(c);
	panics((rt0_case){c, &v, NULL, 4, RT0_CASE_SEND}, "send on closed channel");
	rt0_case unchecked = {c, NULL, NULL, 0, RT0_CASE_RECV};
	CHECK_EQ(rt0_select(&unchecked, 1, RT0_NEVER), 0);
}

// ---- elements ----

struct large {
	char b[64 << 10];
};

static void
echo_large(void *arg)
{
	rt0_chan **c = arg;
	static struct large v[2];
	for (int i = 0; i < 50; i++) {
		RT0_SELECT(RT0_RECV(c[0], &v[0]), RT0_RECV(NULL, &v[0]));
		RT0_SELECT(RT0_SEND(c[1], &v[0]), RT0_RECV(c[0], &v[1]));
	}
}

TEST(select_large_elements)
{
	for (int cap = 0; cap < 2; cap++) {
		rt0_chan *c[2] = {rt0_chan_make(sizeof(struct large), cap), rt0_chan_make(sizeof(struct large), cap)};
		static struct large v, w;
		rt0_go(echo_large, c);
		for (int i = 0; i < 50; i++) {
			memset(&v, 'a' + i % 26, sizeof v);
			RT0_SELECT(RT0_SEND(c[0], &v), RT0_RECV(c[1], &w));
			RT0_SELECT(RT0_RECV(c[1], &w));
			CHECK(memcmp(&v, &w, sizeof v) == 0);
		}
	}
}

static void
send_nothings(void *arg)
{
	rt0_chan **c = arg;
	for (int i = 0; i < 1000; i++)
		RT0_SELECT(RT0_SEND(c[0], NULL), RT0_SEND(c[1], NULL));
	rt0_chan_close(c[0]);
}

TEST(select_zero_size_elements)
{
	for (int cap = 0; cap < 3; cap++) {
		rt0_chan *c[2] = {rt0_chan_make(0, cap), rt0_chan_make(0, cap)};
		int n[2] = {0, 0};
		bool ok = true;
		char untouched = 'x';
		rt0_go(send_nothings, c);
		for (;;) {
			rt0_case cs[2] = {{c[0], &untouched, &ok, 0, RT0_CASE_RECV}, {c[1], &untouched, NULL, 0, RT0_CASE_RECV}};
			int i = rt0_select(cs, 2, RT0_NEVER);
			if (!ok)
				break;
			n[i]++;
		}
		while (RT0_TRY_SELECT(RT0_RECV(c[1], NULL)) == 0)
			n[1]++;
		CHECK_EQ(n[0] + n[1], 1000);
		CHECK(n[0] > 0 && n[1] > 0);
		CHECK_EQ(untouched, 'x');
	}
}

// ---- sets made at run time ----

struct feeder {
	rt0_chan *c;
	int n, first;
};

static void
feed(void *arg)
{
	struct feeder *f = arg;
	for (int i = 0; i < f->n; i++)
		rt0_chan_send(f->c, &(int){f->first + i});
	rt0_chan_close(f->c);
}

TEST_T(select_sets_of_all_sizes, 60000)
{
	static const int sizes[] = {1, 2, 3, 8, 9, 15, 16, 17, 40, 100, 1000};
	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		int n = sizes[k], left = n, sum = 0, per = n > 100 ? 3 : 20;
		struct feeder *f = calloc(n, sizeof *f);
		rt0_case *cs = calloc(n, sizeof *cs);
		int v, *next = calloc(n, sizeof *next);
		bool ok;
		for (int i = 0; i < n; i++) {
			f[i] = (struct feeder){ints(i % 3), per, i * 1000};
			cs[i] = RT0_RECV(f[i].c, &v, &ok);
			rt0_go(feed, &f[i]);
		}
		while (left > 0) {
			int i = rt0_select(cs, n, RT0_NEVER);
			CHECK(i >= 0 && i < n && cs[i].chan != NULL);
			if (!ok) {
				cs[i].chan = NULL;
				left--;
				continue;
			}
			CHECK_EQ(v, i * 1000 + next[i]++);
			sum++;
		}
		CHECK_EQ(sum, n * per);
		CHECK_EQ(rt0_select(cs, n, 0), -ETIMEDOUT);
		for (int i = 0; i < n; i++)
			rt0_chan_free(f[i].c);
		free(f), free(cs), free(next);
	}
}

// The largest set there may be, with each channel in it many times, in no order.
TEST_T(select_65536_cases, 60000)
{
	enum { N = 65536, C = 1009 };
	static rt0_case cs[N];
	static rt0_chan *c[C];
	int v = 0;
	for (int i = 0; i < C; i++)
		c[i] = ints(0);
	for (int i = 0; i < N; i++)
		cs[i] = RT0_RECV(c[(unsigned)i * 7919u % C], &v);
	CHECK_EQ(rt0_select(cs, N, 0), -ETIMEDOUT);
	struct feeder f = {c[500], 10, 0};
	rt0_go(feed, &f);
	for (int k = 0; k < 10; k++) {
		int i = rt0_select(cs, N, RT0_NEVER);
		CHECK(cs[i].chan == c[500]);
		CHECK_EQ(v, k);
	}
	CHECK(cs[rt0_select(cs, N, RT0_NEVER)].chan == c[500]); // closed
}

// ---- TestNonblockSelectRace, TestNonblockSelectRace2 ----

struct race {
	rt0_chan *c1, *c2, *done;
	bool closes, tried;
};

static void
race_select(void *arg)
{
	struct race *r = arg;
	int v;
	bool found = true;
	switch (RT0_TRY_SELECT(RT0_RECV(r->c1, &v), RT0_RECV(r->c2, &v))) {
	case 0:
	case 1: break;
	default: found = false;
	}
	rt0_chan_send(r->done, &found);
}

static void
nonblock_select_race(bool closes)
{
	int n = SANITIZED ? 2000 : 30000;
	rt0_chan *done = rt0_chan_make(sizeof(bool), 1);
	for (int i = 0; i < n; i++) {
		struct race r = {ints(1), ints(closes ? 0 : 1), done, closes, false};
		int v = 1;
		bool found;
		rt0_chan_send(r.c1, &v);
		rt0_go(race_select, &r);
		if (i % 3 == 0)
			rt0_gosched();
		if (closes)
			rt0_chan_close(r.c2);
		else
			rt0_chan_send(r.c2, &v);
		RT0_TRY_SELECT(RT0_RECV(r.c1, &v));
		rt0_chan_recv(done, &found);
		CHECK(found); // at each moment c1 or c2 was ready
		rt0_chan_free(r.c1);
		rt0_chan_free(r.c2);
	}
}

TEST_T(select_try_sees_an_item_that_moves, 60000)
{
	nonblock_select_race(false);
}

TEST_T(select_try_sees_a_close_that_replaces_an_item, 60000)
{
	nonblock_select_race(true);
}

// ---- TestSelfSelect: who sends and receives on one channel in one select never meets itself ----

struct self {
	rt0_chan *c;
	int id, cap, n;
	rt0_waitgroup *wg;
};

static void
self_select(void *arg)
{
	struct self *s = arg;
	int v, me = s->id;
	for (int i = 0; i < s->n; i++) {
		if (s->id == 0 || i % 2) {
			switch (RT0_SELECT(RT0_SEND(s->c, &me), RT0_RECV(s->c, &v))) {
			case 1: CHECK(s->cap > 0 || v != me);
			}
		} else {
			switch (RT0_SELECT(RT0_RECV(s->c, &v), RT0_SEND(s->c, &me))) {
			case 0: CHECK(s->cap > 0 || v != me);
			}
		}
	}
	rt0_waitgroup_done(s->wg);
}

TEST_T(select_never_meets_itself, 60000)
{
	for (int cap = 0; cap <= 10; cap += 10) {
		rt0_waitgroup wg = {0};
		rt0_chan *c = ints(cap);
		struct self s[2];
		rt0_waitgroup_add(&wg, 2);
		for (int i = 0; i < 2; i++) {
			s[i] = (struct self){c, i, cap, SANITIZED ? 2000 : 20000, &wg};
			rt0_go(self_select, &s[i]);
		}
		rt0_waitgroup_wait(&wg);
		rt0_chan_free(c);
	}
}

// ---- TestSelectStress: plain and four-way senders and receivers ----

enum { STRESS = SANITIZED ? 5000 : 50000 };

struct stress {
	rt0_chan *c[4];
	rt0_waitgroup wg;
	int got[4][4], gotn[4][4]; // by receiver kind, of who receives alone
};

struct stressone {
	struct stress *s;
	int k;
};

static void
stress_send(void *arg)
{
	struct stressone *o = arg;
	for (int i = 0; i < STRESS; i++)
		rt0_chan_send(o->s->c[o->k], &i);
	rt0_waitgroup_done(&o->s->wg);
}

static void
stress_recv(void *arg)
{
	struct stressone *o = arg;
	int v;
	for (int i = 0; i < STRESS; i++)
		CHECK(rt0_chan_recv(o->s->c[o->k], &v));
	rt0_waitgroup_done(&o->s->wg);
}

static void
stress_select_send(void *arg)
{
	struct stress *s = arg;
	int n[4] = {0}, v = 0;
	rt0_chan *c[4];
	memcpy(c, s->c, sizeof c);
	for (int i = 0; i < 4 * STRESS; i++) {
		int k = RT0_SELECT(RT0_SEND(c[3], &v), RT0_SEND(c[2], &v), RT0_SEND(c[0], &v), RT0_SEND(c[1], &v));
		int at = (const int[]){3, 2, 0, 1}[k];
		if (++n[at] == STRESS)
			c[at] = NULL;
	}
	rt0_waitgroup_done(&s->wg);
}

static void
stress_select_recv(void *arg)
{
	struct stress *s = arg;
	int n[4] = {0}, v;
	rt0_chan *c[4];
	memcpy(c, s->c, sizeof c);
	for (int i = 0; i < 4 * STRESS; i++) {
		int at = RT0_SELECT(RT0_RECV(c[0], &v), RT0_RECV(c[1], &v), RT0_RECV(c[2], &v), RT0_RECV(c[3], &v));
		if (++n[at] == STRESS)
			c[at] = NULL;
	}
	rt0_waitgroup_done(&s->wg);
}

TEST_T(select_stress_with_plain_operations, 60000)
{
	struct stress s = {.c = {ints(0), ints(0), ints(2), ints(3)}};
	struct stressone o[4];
	rt0_waitgroup_add(&s.wg, 10);
	for (int i = 0; i < 4; i++) {
		o[i] = (struct stressone){&s, i};
		rt0_go(stress_send, &o[i]);
		rt0_go(stress_recv, &o[i]);
	}
	rt0_go(stress_select_send, &s);
	rt0_go(stress_select_recv, &s);
	rt0_waitgroup_wait(&s.wg);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(rt0_chan_try_recv(s.c[i], NULL), -EAGAIN);
}

// ---- TestSelectFairness, TestPseudoRandomSend ----

static void
send_until_done(void *arg)
{
	rt0_chan **c = arg; // c[0] to send on, c[1] done
	int v = 0;
	while (RT0_SELECT(RT0_SEND(c[0], &v), RT0_RECV(c[1], NULL)) == 0)
		continue;
}

// The draws are random: 10 sigma of 10,000 is 500.
TEST_T(select_is_fair_between_two, 30000)
{
	for (int cap = 0; cap < 2; cap++) {
		int n[2] = {0, 0}, v;
		static rt0_chan *chans[2][4]; // the senders look at them to the end
		rt0_chan *done = rt0_chan_make(0, 0), **a = chans[cap], **b = chans[cap] + 2;
		a[0] = ints(1), b[0] = ints(1);
		a[1] = b[1] = done;
		if (cap == 0) { // always ready
			rt0_chan_close(a[0]);
			rt0_chan_close(b[0]);
		} else {
			rt0_go(send_until_done, a);
			rt0_go(send_until_done, b);
		}
		for (int i = 0; i < 10000; i++) {
			while (cap > 0 && (rt0_chan_len(a[0]) == 0 || rt0_chan_len(b[0]) == 0))
				rt0_gosched();
			n[RT0_SELECT(RT0_RECV(a[0], &v), RT0_RECV(b[0], &v))]++;
		}
		CHECK(n[0] > 4500 && n[1] > 4500);
		rt0_chan_close(done);
	}
}

// Each ready one of many is as likely as the others, wherever it is among those that are not ready.
TEST(select_is_fair_among_the_ready)
{
	rt0_chan *c[20];
	rt0_case cs[20];
	int n[20] = {0};
	for (int i = 0; i < 20; i++) {
		c[i] = ints(0);
		cs[i] = RT0_RECV(c[i], NULL);
	}
	static const int ready[] = {0, 1, 2, 9, 19};
	for (int i = 0; i < 5; i++)
		rt0_chan_close(c[ready[i]]);
	for (int len = 10; len <= 20; len += 10) {
		memset(n, 0, sizeof n);
		for (int i = 0; i < 20000; i++)
			n[rt0_select(cs, len, RT0_NEVER)]++;
		int of = len == 10 ? 4 : 5, sum = 0;
		for (int i = 0; i < of; i++) {
			sum += n[ready[i]];
			CHECK(abs(n[ready[i]] - 20000 / of) < 10 * 61); // sigma is 61, 57
		}
		CHECK_EQ(sum, 20000);
	}
}

static void
random_bits(void *arg)
{
	rt0_chan *c = *(rt0_chan **)arg;
	int zero = 0, one = 1;
	for (int i = 0; i < 1000; i++)
		RT0_SELECT(RT0_SEND(c, &one), RT0_SEND(c, &zero));
	rt0_chan_close(c);
}

TEST(select_sends_on_one_channel_by_chance)
{
	for (int cap = 0; cap <= 100; cap += 100) {
		rt0_chan *c = ints(cap);
		int n[2] = {0, 0}, v;
		rt0_go(random_bits, &c);
		RT0_RANGE (c, v)
			n[v]++;
		CHECK_EQ(n[0] + n[1], 1000);
		CHECK(n[0] > 100 && n[1] > 100);
	}
}

// ---- the receiver of a select's element frees its channel at once ----

static void
ask(void *arg)
{
	rt0_chan *server = arg;
	for (int i = 0; i < 2000; i++) {
		rt0_chan *reply = ints(0);
		int v;
		rt0_chan_send(server, &reply);
		switch (RT0_SELECT(RT0_RECV(reply, &v), RT0_RECV(NULL, &v))) {
		case 0: CHECK_EQ(v, 42);
		}
		rt0_chan_free(reply);
	}
	rt0_chan_close(server);
}

static void
answer(void *arg)
{
	rt0_chan **c = arg, *reply; // c[0] asked on, c[1] quit
	int v = 42;
	bool ok;
	while (RT0_SELECT(RT0_RECV(c[0], &reply, &ok), RT0_RECV(c[1], NULL)) == 0 && ok)
		RT0_SELECT(RT0_SEND(reply, &v), RT0_RECV(c[1], NULL));
}

TEST(select_does_not_touch_the_channel_it_sent_on)
{
	static rt0_chan *c[2];
	c[0] = rt0_chan_make(sizeof(rt0_chan *), 0);
	c[1] = rt0_chan_make(0, 0);
	rt0_go(answer, c);
	ask(c[0]);
}

// ---- TestYieldProgress, TestYieldLockedProgress ----

static void
poll_until(void *arg)
{
	rt0_chan **c = arg; // c[0] tells, c[1] asks
	while (RT0_TRY_SELECT(RT0_RECV(c[1], NULL), RT0_RECV(NULL, NULL)) < 0)
		rt0_gosched();
	rt0_chan_send(c[0], NULL);
}

static void
poll_until_locked(void *arg)
{
	rt0_lock_os_thread();
	poll_until(arg);
	rt0_unlock_os_thread();
}

TEST(select_try_loop_lets_others_send)
{
	for (int locked = 0; locked < 2; locked++) {
		rt0_chan *c[2] = {rt0_chan_make(0, 0), rt0_chan_make(0, 0)};
		rt0_go(locked ? poll_until_locked : poll_until, c);
		yield(10);
		rt0_chan_send(c[1], NULL);
		rt0_chan_recv(c[0], NULL);
	}
}
