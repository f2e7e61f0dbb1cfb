// SPDX-License-Identifier: BSD-3-Clause
// test_timer.c: sleep, timers and tickers as a program sees them, and the wheels against a plain list.
//
// Order, counts and "not early" are asserted; lateness is not, on a machine that others use too.

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/runtime.h"
#include "apiutil.h"

TEST(sleep_never_ends_early)
{
	for (int i = 0; i < 200; i++) {
		int64_t ns = (int64_t)i * i * 53, t0 = rt0_nanotime();
		rt0_sleep(ns);
		CHECK(rt0_nanotime() - t0 >= ns);
	}
}

TEST(sleep_of_nothing_and_of_the_past_returns)
{
	rt0_sleep(0);
	rt0_sleep(-1);
	rt0_sleep(INT64_MIN);
	rt0_sleep_until(0);
	rt0_sleep_until(INT64_MIN);
	rt0_sleep_until(rt0_nanotime() - 1);
}

static void
sleep_for_ever(void *arg)
{
	(void)arg;
	rt0_sleep(INT64_MAX);
	abort();
}

TEST(sleep_for_ever_disturbs_no_other_timer)
{
	for (int i = 0; i < 10; i++)
		rt0_go(sleep_for_ever, NULL);
	for (int i = 0; i < 20; i++)
		rt0_sleep(RT0_MILLISECOND);
}

struct sleeper {
	int64_t when;
	int64_t first;
	int *order, *count, *late;
	int id;
	rt0_waitgroup *wg;
};

static void
sleep_then_sign(void *arg)
{
	struct sleeper *s = arg;
	if (rt0_nanotime() >= s->first)
		set(s->late, 1);
	rt0_sleep_until(s->when);
	CHECK(rt0_nanotime() >= s->when);
	s->order[inc(s->count) - 1] = s->id;
	rt0_waitgroup_done(s->wg);
}

// With one p the goroutines run in the order in which their timers fire.
TEST(sleepers_wake_in_the_order_of_their_times)
{
	enum { N = 250 }; // all may be due at once, and what a run queue cannot hold loses its order
	static struct sleeper s[N];
	int order[N], late = 1, was = rt0_gomaxprocs(1);
	rt0_waitgroup wg = {0};
	// Again, with more time, where the first was due before the last had begun: the order says nothing.
	for (int64_t ahead = 20 * RT0_MILLISECOND; late; ahead *= 2) {
		int count = late = 0;
		int64_t t0 = rt0_nanotime() + ahead;
		rt0_waitgroup_add(&wg, N);
		for (int i = 0; i < N; i++) {
			int k = i * 211 % N; // all times, mixed; two of them a slot's width apart, or less
			s[k] = (struct sleeper){t0 + k * 40000, t0, order, &count, &late, k, &wg};
			rt0_go(sleep_then_sign, &s[k]);
		}
		rt0_waitgroup_wait(&wg);
	}
	for (int i = 0; i < N; i++)
		CHECK_EQ(order[i], i);
	rt0_gomaxprocs(was);
}

static void
spin_until(void *arg)
{
	while (!get((int *)arg))
		;
}

// The p that the timer was set on is kept busy by a loop that calls nothing.
TEST(sleep_ends_beside_loops_on_all_processors)
{
	if (SANITIZED)
		SKIP("only program text of its own is preempted under the sanitizers");
	int stop = 0, n = rt0_gomaxprocs(0);
	for (int i = 0; i < n; i++)
		rt0_go(spin_until, &stop);
	for (int i = 0; i < 5; i++)
		rt0_sleep(RT0_MILLISECOND);
	set(&stop, 1);
}

TEST(timer_sends_once_and_not_early)
{
	int64_t t0 = rt0_nanotime(), t;
	rt0_timer *tm = rt0_timer_new(3 * RT0_MILLISECOND);
	CHECK(rt0_chan_recv(tm->c, &t));
	CHECK(t - t0 >= 3 * RT0_MILLISECOND);
	CHECK_EQ(rt0_chan_try_recv(tm->c, &t), -EAGAIN);
	CHECK(!rt0_timer_stop(tm));
	rt0_timer_free(tm);
	rt0_timer_free(NULL);
}

TEST(timer_stop_before_the_time_prevents_it)
{
	int64_t t;
	rt0_timer *tm = rt0_timer_new(RT0_HOUR);
	CHECK(rt0_timer_stop(tm));
	CHECK(!rt0_timer_stop(tm));
	CHECK_EQ(rt0_chan_try_recv(tm->c, &t), -EAGAIN);
	CHECK(!rt0_timer_reset(tm, RT0_HOUR));
	CHECK(rt0_timer_reset(tm, 1));
	CHECK(rt0_chan_recv(tm->c, &t));
	rt0_timer_free(tm);
}

// Go 1.23: what has been sent and not received is gone after stop or reset.
TEST(timer_stop_and_reset_leave_no_stale_time)
{
	int64_t t, now;
	rt0_timer *tm = rt0_timer_new(1);
	while (rt0_chan_len(tm->c) == 0)
		rt0_gosched();
	CHECK(rt0_timer_stop(tm));
	CHECK_EQ(rt0_chan_try_recv(tm->c, &t), -EAGAIN);
	rt0_timer_reset(tm, 1);
	while (rt0_chan_len(tm->c) == 0)
		rt0_gosched();
	now = rt0_nanotime();
	CHECK(rt0_timer_reset(tm, RT0_MILLISECOND));
	CHECK(rt0_chan_recv(tm->c, &t));
	CHECK(t >= now + RT0_MILLISECOND);
	rt0_timer_free(tm);
}

static void
count_call(void *arg)
{
	inc((int *)arg);
}

TEST(after_func_runs_once_on_a_goroutine_of_its_own)
{
	int n = 0;
	rt0_timer *tm = rt0_after_func(1000, count_call, &n);
	CHECK(tm->c == NULL);
	await(&n, 1);
	CHECK(!rt0_timer_stop(tm));
	CHECK(!rt0_timer_reset(tm, 0));
	await(&n, 2);
	CHECK(!rt0_timer_reset(tm, RT0_HOUR));
	CHECK(rt0_timer_stop(tm));
	rt0_timer_free(tm);
	CHECK_EQ(get(&n), 2);
}

// Stop returns true exactly as often as the function does not run.
TEST(after_func_runs_or_stop_prevents_it)
{
	for (int i = 0; i < 3000; i++) {
		int n = 0;
		rt0_timer *tm = rt0_after_func(i * 7 % 3000, count_call, &n);
		for (int k = i % 50; k > 0; k--)
			rt0_gosched();
		if (rt0_timer_stop(tm))
			CHECK_EQ(get(&n), 0);
		else
			await(&n, 1);
		rt0_timer_free(tm);
	}
}

TEST(ticker_ticks_and_drops_what_nobody_takes)
{
	int64_t t, last = rt0_nanotime();
	rt0_timer *tk = rt0_ticker_new(200 * RT0_MICROSECOND);
	for (int i = 0; i < 20; i++) {
		CHECK(rt0_chan_recv(tk->c, &t));
		CHECK(t > last);
		last = t;
	}
	rt0_sleep(5 * RT0_MILLISECOND); // 25 ticks that nobody takes
	CHECK(rt0_chan_len(tk->c) <= 1);
	rt0_timer_reset(tk, RT0_MILLISECOND);
	int64_t t0 = rt0_nanotime();
	CHECK(rt0_chan_recv(tk->c, &t));
	CHECK(rt0_nanotime() >= t0); // a tick of the new period
	CHECK(rt0_timer_stop(tk) || true);
	CHECK_EQ(rt0_chan_try_recv(tk->c, &t), -EAGAIN);
	rt0_sleep(2 * RT0_MILLISECOND);
	CHECK_EQ(rt0_chan_len(tk->c), 0);
	rt0_timer_free(tk);
}

static void
bad_ticker(void *arg)
{
	rt0_ticker_new(*(int64_t *)arg);
}

static void
bad_reset(void *arg)
{
	rt0_timer_reset(arg, 0);
}

static const char *
panic_text(void (*fn)(void *), void *arg)
{
	rt0_value v;
	static char text[100];
	if (rt0_try(fn, arg, &v))
		return "no panic";
	rt0_value_text(&v, text, sizeof text);
	return text;
}

TEST(ticker_refuses_an_interval_of_nothing)
{
	for (int64_t n = -1; n <= 0; n++)
		CHECK_STREQ(panic_text(bad_ticker, &n), "non-positive interval for NewTicker");
	rt0_timer *tk = rt0_ticker_new(RT0_HOUR);
	CHECK_STREQ(panic_text(bad_reset, tk), "non-positive interval for Ticker.Reset");
	rt0_timer_free(tk);
}

static void *
on_thread(void *arg)
{
	int64_t t, t0 = rt0_nanotime();
	rt0_sleep(RT0_MILLISECOND);
	CHECK(rt0_nanotime() - t0 >= RT0_MILLISECOND);
	rt0_timer *tm = rt0_timer_new(RT0_MILLISECOND);
	rt0_chan_recv(tm->c, &t);
	CHECK(t - t0 >= 2 * RT0_MILLISECOND);
	CHECK(!rt0_timer_reset(tm, RT0_HOUR));
	CHECK(rt0_timer_stop(tm));
	rt0_timer_free(tm);
	set((int *)arg, 1);
	return NULL;
}

TEST(timers_work_on_foreign_threads)
{
	pthread_t th;
	int done = 0;
	CHECK_EQ(pthread_create(&th, NULL, on_thread, &done), 0);
	await(&done, 1);
	pthread_join(th, NULL);
}

// ---- many goroutines set, reset and stop; nothing is lost ----

enum { STORM = 40 };
struct storm {
	rt0_timer *tm[STORM];
	rt0_waitgroup wg;
	int stop;
};

static void
storm_hand(void *arg)
{
	struct storm *s = arg;
	uint32_t r = (uint32_t)(uintptr_t)&r | 1;
	int64_t t;
	while (!get(&s->stop)) {
		r = r * 1664525 + 1013904223;
		rt0_timer *tm = s->tm[r >> 8 & 31];
		switch (r >> 28) {
		case 0: rt0_timer_stop(tm); break;
		case 1: case 2: case 3: rt0_timer_reset(tm, (r >> 13 & 0xffff) | 1); break;
		case 4: rt0_sleep(r >> 16 & 0x3ff); break;
		default: rt0_chan_try_recv(tm->c, &t); rt0_gosched();
		}
	}
	rt0_waitgroup_done(&s->wg);
}

TEST(timers_survive_a_storm_of_stops_and_resets)
{
	static struct storm s;
	memset(&s, 0, sizeof s);
	for (int i = 0; i < STORM; i++)
		s.tm[i] = i % 4 == 0 ? rt0_ticker_new(1000 + i * 500) : rt0_timer_new(i * 1000);
	rt0_waitgroup_add(&s.wg, 8);
	for (int i = 0; i < 8; i++)
		rt0_go(storm_hand, &s);
	for (int i = 0; i < 20; i++) {
		rt0_sleep(2 * RT0_MILLISECOND);
		if (!SANITIZED)
			rt0_gomaxprocs(1 + i % 3); // timers move from p to p
	}
	set(&s.stop, 1);
	rt0_waitgroup_wait(&s.wg);
	rt0_gomaxprocs(2);
	for (int i = 0; i < STORM; i++) {
		int64_t t;
		rt0_timer_reset(s.tm[i], 1); // each still works
		CHECK(rt0_chan_recv(s.tm[i]->c, &t));
		rt0_timer_free(s.tm[i]);
	}
	CHECK_EQ(runtime_timersarmed(), 0);
}

// ---- the wheel itself, at times that no test can wait for ----

struct probe {
	struct timer t;
	bool armed, fired;
};

static struct g *
probe_fired(struct timer *t, int64_t now)
{
	struct probe *p = (struct probe *)t;
	if (!p->armed || p->fired || t->when > now)
		abort();
	p->fired = true;
	p->armed = false;
	return NULL;
}

static int64_t
random_time(uint64_t *r, int64_t now)
{
	*r = *r * 6364136223846793005ull + 1442695040888963407ull;
	int bits = (int)(*r >> 58) % 62 + 1; // every magnitude from 1 ns to 146 years
	int64_t d = (int64_t)(*r & ((1ull << bits) - 1));
	return d > INT64_MAX - now ? INT64_MAX : now + d;
}

// Against the definition: at each time all that is due fires and nothing else, and next is not too late.
TEST(timer_wheel_agrees_with_a_plain_list)
{
	enum { N = 400 };
	static struct probe p[N];
	int was = rt0_gomaxprocs(1);
	int64_t now = rt0_nanotime() + RT0_HOUR; // the wheel of this process runs ahead from here on
	for (uint64_t seed = 1; seed <= 30 && now < INT64_MAX / 2; seed++) {
		uint64_t r = seed;
		memset(p, 0, sizeof p);
		rt0_preempt_disable(); // the scheduler, with the real time, stays away
		struct p *pp = getg()->m->p;
		for (int step = 0; step < 3000; step++) {
			struct probe *q = &p[(r >> 20) % N];
			int64_t when = random_time(&r, now);
			if (q->armed && (r >> 40 & 1)) {
				CHECK(runtime_timerstop(&q->t));
				q->armed = false;
			} else if (!q->armed) {
				q->t.fire = probe_fired;
				q->armed = true;
				q->fired = false;
				runtime_timerstart(&q->t, when, 0);
			}
			if (r >> 41 & 1)
				continue;
			int64_t next = random_time(&r, now);
			if (next - now > 100 * RT0_HOUR && (r >> 42 & 7))
				next = now + (next & 0xfffff);
			now = next;
			int64_t told = runtime_checktimers(pp, now), first = INT64_MAX;
			for (int i = 0; i < N; i++) {
				if (!p[i].armed)
					continue;
				CHECK(p[i].t.when > now);
				if (p[i].t.when < first)
					first = p[i].t.when;
			}
			CHECK(told <= first && told > now);
			if (now > INT64_MAX / 2)
				break;
		}
		for (int i = 0; i < N; i++)
			if (p[i].armed)
				CHECK(runtime_timerstop(&p[i].t));
		CHECK_EQ(runtime_timersarmed(), 0);
		rt0_preempt_enable();
	}
	rt0_gomaxprocs(was);
}

static struct {
	struct timer t;
	bool armed;
	int fired; // as which; 0: not
} dense[3000];
static int nfired;

static struct g *
dense_fired(struct timer *t, int64_t now)
{
	int i = (int)(intptr_t)t->arg;
	CHECK(t->when <= now && dense[i].armed);
	dense[i].armed = false;
	dense[i].fired = ++nfired;
	return NULL;
}

// Thousands in one slot, many of them at the same time: by time, and those of one time as they were armed.
TEST(timers_of_one_slot_fire_in_order)
{
	enum { N = NELEM(dense), WIDTH = 1 << 16 };
	int was = rt0_gomaxprocs(1);
	int64_t base = (rt0_nanotime() + RT0_HOUR) / WIDTH * WIDTH;
	uint64_t r = 1;
	for (int n = 1; n <= N; n = n < 8 ? n + 1 : n * 3 / 2) {
		rt0_preempt_disable(); // the scheduler, with the real time, stays away
		struct p *pp = getg()->m->p;
		base += 300ll * WIDTH; // first on a level above
		nfired = 0;
		for (int i = 0; i < n; i++) {
			r = r * 6364136223846793005ull + 1442695040888963407ull;
			memset(&dense[i], 0, sizeof dense[i]);
			dense[i].armed = true;
			dense[i].t.fire = dense_fired;
			dense[i].t.arg = (void *)(intptr_t)i;
			runtime_timerstart(&dense[i].t, base + (int64_t)(r >> 33) % (n < 1000 ? WIDTH : 500), 0);
		}
		for (int i = 0; i < n; i += 1 + i % 7) {
			CHECK(runtime_timerstop(&dense[i].t));
			dense[i].armed = false;
		}
		int left = runtime_timersarmed();
		for (int64_t now = base - 1; now < base + WIDTH; now += WIDTH / 3)
			runtime_checktimers(pp, now);
		CHECK_EQ(nfired, left);
		for (int i = 0; i < n; i++)
			for (int j = i + 1; j < n && j < i + 300; j++)
				if (dense[i].fired && dense[j].fired)
					CHECK_EQ(dense[i].fired < dense[j].fired, dense[i].t.when <= dense[j].t.when);
		rt0_preempt_enable();
	}
	rt0_gomaxprocs(was);
}
