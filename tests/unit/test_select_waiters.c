// SPDX-License-Identifier: BSD-3-Clause
// test_select_waiters.c: selects that wait: who wakes them, what they wait for, and the queues that they leave.

#include <pthread.h>
#include <string.h>

#include "apiutil.h"

// ---- waiting ----

struct sel {
	rt0_chan *a, *b, *done;
	int i, v, woken;
	bool ok, panicked;
	int64_t deadline;
};

static void
select_ab(void *arg)
{
	struct sel *s = arg;
	int five = 5;
	s->i = RT0_SELECT_UNTIL(s->deadline, RT0_RECV(s->a, &s->v, &s->ok), RT0_SEND(s->b, &five));
}

static void
select_ab_done(void *arg)
{
	struct sel *s = arg;
	s->panicked = !rt0_try(select_ab, s, NULL);
	inc(&s->woken);
	rt0_chan_send(s->done, NULL);
}

// parked yields until n goroutines show reason in the traceback of all.
static void
parked(int n, const char *reason)
{
	static char buf[1 << 20];
	for (;;) {
		rt0_stack(buf, sizeof buf, true);
		int found = 0;
		for (char *p = buf; (p = strstr(p, reason)) != NULL; p++)
			found++;
		if (found == n)
			return;
		rt0_gosched();
	}
}

// The waiter gets its case from each kind of peer, in a wait with and without a deadline.
TEST(select_waits_for_any_peer)
{
	for (int round = 0; round < 10; round++) {
		struct sel s = {ints(0), ints(0), rt0_chan_make(0, 0), -1, -1, 0, false, false, RT0_NEVER};
		if (round >= 5)
			s.deadline = rt0_nanotime() + 3600ll * 1000000000;
		rt0_go(select_ab_done, &s);
		parked(1, "[select]");
		int v = 8;
		switch (round % 5) {
		case 0: rt0_chan_send(s.a, &v); break;
		case 1: rt0_chan_recv(s.b, &v); break;
		case 2: rt0_chan_close(s.a); break;
		case 3: rt0_chan_close(s.b); break;
		case 4: CHECK_EQ(RT0_SELECT(RT0_RECV(s.b, &v)), 0); break;
		}
		rt0_chan_recv(s.done, NULL);
		CHECK_EQ(s.panicked, round % 5 == 3);
		switch (round % 5) {
		case 0: CHECK_EQ(s.i, 0); CHECK(s.ok); CHECK_EQ(s.v, 8); break;
		case 1: case 4: CHECK_EQ(s.i, 1); CHECK_EQ(v, 5); break;
		case 2: CHECK_EQ(s.i, 0); CHECK(!s.ok); CHECK_EQ(s.v, 0); break;
		}
		// It waits nowhere any more.
		CHECK_EQ(rt0_chan_try_recv(s.b, &v), round % 5 == 3 ? -EPIPE : -EAGAIN);
		if (round % 5 != 2)
			CHECK_EQ(rt0_chan_try_send(s.a, &v), -EAGAIN);
		rt0_chan_free(s.a);
		rt0_chan_free(s.b);
	}
}

// Two selects, each waiting in the other's channels, and a close that wakes many at once.
TEST(select_close_wakes_all_waiters)
{
	struct sel s[100];
	rt0_chan *a = ints(0), *b = ints(0), *done = rt0_chan_make(0, 100);
	for (int i = 0; i < 100; i++) {
		s[i] = (struct sel){a, NULL, done, -1, -1, 0, true, false, RT0_NEVER};
		if (i % 2)
			s[i].deadline = rt0_nanotime() + 3600ll * 1000000000;
		rt0_go(select_ab_done, &s[i]);
	}
	parked(100, "[select]");
	rt0_chan_close(a);
	for (int i = 0; i < 100; i++)
		rt0_chan_recv(done, NULL);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(s[i].i, 0);
		CHECK(!s[i].ok && !s[i].panicked);
	}
	rt0_chan_free(b);
}

static void
block_none(void *arg)
{
	(void)arg;
	rt0_select(NULL, 0, RT0_NEVER);
}

static void
block_nil(void *arg)
{
	int v;
	rt0_chan *none = arg;
	RT0_SELECT(RT0_RECV(none, &v), RT0_SEND(none, &v));
}

static void
block_one_recv(void *c)
{
	RT0_SELECT(RT0_RECV(c, NULL));
}

static void
block_one_send(void *c)
{
	RT0_SELECT(RT0_SEND(c, &(int){1}));
}

static void
block_recv_until(void *c)
{
	rt0_chan_recv_until(c, NULL, rt0_nanotime() + 3600ll * 1000000000);
}

static void
block_send_until(void *c)
{
	rt0_chan_send_until(c, "1234", rt0_nanotime() + 3600ll * 1000000000);
}

TEST(select_wait_reasons)
{
	rt0_go(block_none, NULL);
	parked(1, "[select (no cases)]");
	rt0_go(block_nil, NULL);
	parked(1, "[select]");
	rt0_go(block_one_recv, ints(0));
	parked(1, "[chan receive]");
	rt0_go(block_one_send, ints(0));
	parked(1, "[chan send]");
	rt0_go(block_recv_until, ints(0));
	parked(2, "[chan receive]");
	rt0_go(block_send_until, ints(0));
	parked(2, "[chan send]");
	rt0_go(block_recv_until, NULL);
	parked(1, "[chan receive (nil chan)]");
	rt0_go(block_send_until, NULL);
	parked(1, "[chan send (nil chan)]");
}

// ---- TestSelectDuplicateChannel: a waiter that is in one queue twice leaves it whole ----

struct dup {
	rt0_chan *c, *d, *e;
};

static void
dup_waiter(void *arg)
{
	struct dup *d = arg;
	RT0_SELECT(RT0_RECV(d->c, NULL), RT0_RECV(d->c, NULL), RT0_RECV(d->d, NULL));
	rt0_chan_send(d->e, &(int){9});
}

static void
dup_receiver(void *arg)
{
	struct dup *d = arg;
	rt0_chan_recv(d->c, NULL);
	rt0_chan_send(d->e, &(int){8});
}

TEST(select_twice_in_one_queue)
{
	struct dup d = {ints(0), ints(0), ints(2)};
	int v = 7;
	rt0_go(dup_waiter, &d);
	parked(1, "[select]");
	rt0_go(dup_receiver, &d);
	parked(1, "[chan receive]");
	rt0_chan_send(d.d, &v); // wakes the select
	rt0_chan_recv(d.e, &v);
	CHECK_EQ(v, 9);
	rt0_chan_send(d.c, &v); // goes to the plain receiver
	rt0_chan_recv(d.e, &v);
	CHECK_EQ(v, 8);
	rt0_chan_free(d.c);
	rt0_chan_free(d.d);
}

// Waiters leave a queue from its front, its middle and its end, again and again; those that stay are served in order.
enum { LEAVERS = 9 };

struct leaver {
	rt0_chan *c, *mine, *done;
	int id, how;
};

static void
leave(void *arg)
{
	struct leaver *l = arg;
	int v;
	l->how = RT0_SELECT(RT0_RECV(l->c, &v), RT0_RECV(l->mine, &v));
	rt0_chan_send(l->done, &l->id);
}

TEST_T(select_waiters_leave_a_queue_anywhere, 30000)
{
	uint32_t rnd = 12345;
	for (int round = 0; round < 100; round++) {
		rt0_chan *c = ints(0), *done = ints(0);
		struct leaver l[LEAVERS];
		bool gone[LEAVERS] = {false};
		int v;
		for (int i = 0; i < LEAVERS; i++) {
			l[i] = (struct leaver){c, ints(0), done, i, -1};
			rt0_go(leave, &l[i]);
			parked(i + 1, "[select]");
		}
		for (int left = LEAVERS; left > 3;) {
			rnd ^= rnd << 13, rnd ^= rnd >> 17, rnd ^= rnd << 5;
			int i = (int)(rnd % LEAVERS);
			if (gone[i])
				continue;
			gone[i] = true;
			left--;
			rt0_chan_send(l[i].mine, &i);
			rt0_chan_recv(done, &v);
			CHECK_EQ(v, i);
			CHECK_EQ(l[i].how, 1);
		}
		for (int i = 0; i < LEAVERS; i++) {
			if (!gone[i]) {
				rt0_chan_send(c, &i);
				rt0_chan_recv(done, &v);
				CHECK_EQ(v, i);
				CHECK_EQ(l[i].how, 0);
			}
			rt0_chan_free(l[i].mine);
		}
		CHECK_EQ(rt0_chan_try_send(c, &v), -EAGAIN);
		rt0_chan_free(c);
		rt0_chan_free(done);
	}
}

// ---- threads that are no goroutines ----

static void *
thread_select(void *arg)
{
	struct sel *s = arg;
	int v;
	for (int i = 0; i < 1000; i++) {
		int k = RT0_SELECT(RT0_RECV(s->a, &v), RT0_RECV(s->b, &v));
		s->v += v + k;
	}
	CHECK_EQ(RT0_TRY_SELECT(RT0_RECV(s->a, &v)), -ETIMEDOUT);
	CHECK_EQ(RT0_SELECT_UNTIL(rt0_nanotime() + 1000000, RT0_RECV(s->a, &v), RT0_RECV(s->b, &v)), -ETIMEDOUT);
	CHECK_EQ(rt0_chan_recv_until(s->a, &v, rt0_nanotime() + 1000000), -ETIMEDOUT);
	CHECK_EQ(rt0_chan_send_until(s->a, &v, rt0_nanotime() + 1000000), -ETIMEDOUT);
	return NULL;
}

TEST(select_on_a_thread)
{
	struct sel s = {.a = ints(0), .b = ints(2)};
	pthread_t th;
	CHECK_EQ(pthread_create(&th, NULL, thread_select, &s), 0);
	int a = 0, b = 0, v = 1;
	while (a + b < 1000) {
		switch (RT0_SELECT(RT0_SEND(s.a, &v), RT0_SEND(s.b, &v))) {
		case 0: a++; break;
		case 1: b++; break;
		}
	}
	RT0_BLOCKING(pthread_join(th, NULL));
	CHECK_EQ(s.v, a + 2 * b);
}
