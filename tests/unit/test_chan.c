// SPDX-License-Identifier: BSD-3-Clause
// test_chan.c: channels as a program sees them: blocking, order, close, sizes, exact counts.
//
// The cases are those of Go's own TestChan, TestMultiConsumer and their kin, without select (test_select.c).

#include <stdlib.h>
#include <string.h>

#include "apiutil.h"
#include "proc.h"

enum { CAPS = 200 }; // capacities 0..199, as in TestChan

struct link {
	rt0_chan *c, *c2;
	int n, flag, first;
	rt0_waitgroup *wg;
};

static void
recv_then_flag(void *arg)
{
	struct link *l = arg;
	int v = -1;
	CHECK(rt0_chan_recv(l->c, &v));
	l->n = v;
	set(&l->flag, 1);
}

TEST(chan_recv_blocks_while_empty)
{
	for (int cap = 0; cap < CAPS; cap++) {
		struct link l = {.c = rt0_chan_make(sizeof(int), cap)};
		rt0_go(recv_then_flag, &l);
		yield(3);
		CHECK_EQ(get(&l.flag), 0);
		int v = cap + 1000;
		rt0_chan_send(l.c, &v);
		await(&l.flag, 1);
		CHECK_EQ(l.n, cap + 1000);
		rt0_chan_free(l.c);
	}
}

static void
send_then_flag(void *arg)
{
	struct link *l = arg;
	rt0_chan_send(l->c, &l->n);
	set(&l->flag, 1);
}

TEST(chan_send_blocks_while_full)
{
	for (int cap = 0; cap < CAPS; cap++) {
		struct link l = {.c = rt0_chan_make(sizeof(int), cap), .n = -7};
		for (int i = 0; i < cap; i++)
			rt0_chan_send(l.c, &i);
		CHECK_EQ(rt0_chan_len(l.c), cap);
		rt0_go(send_then_flag, &l);
		yield(3);
		CHECK_EQ(get(&l.flag), 0);
		for (int i = 0; i < cap; i++) {
			int v;
			CHECK(rt0_chan_recv(l.c, &v));
			CHECK_EQ(v, i);
		}
		int v;
		CHECK(rt0_chan_recv(l.c, &v));
		CHECK_EQ(v, -7);
		await(&l.flag, 1);
		rt0_chan_free(l.c);
	}
}

TEST(chan_try_forms_never_wait)
{
	for (int cap = 0; cap < CAPS; cap++) {
		rt0_chan *c = rt0_chan_make(sizeof(int), cap);
		int v = 42;
		CHECK_EQ(rt0_chan_try_recv(c, &v), -EAGAIN);
		CHECK_EQ(v, 42);
		for (int i = 0; i < cap; i++)
			CHECK_EQ(rt0_chan_try_send(c, &i), 0);
		CHECK_EQ(rt0_chan_try_send(c, &v), -EAGAIN);
		CHECK_EQ(rt0_chan_len(c), cap);
		for (int i = 0; i < cap; i++) {
			CHECK_EQ(rt0_chan_try_recv(c, &v), 0);
			CHECK_EQ(v, i);
		}
		CHECK_EQ(rt0_chan_try_recv(c, &v), -EAGAIN);
		rt0_chan_close(c);
		v = 42;
		CHECK_EQ(rt0_chan_try_recv(c, &v), -EPIPE);
		CHECK_EQ(v, 0);
		rt0_chan_free(c);
	}
}

TEST(chan_try_meets_a_waiter)
{
	struct link l = {.c = rt0_chan_make(sizeof(int), 0), .n = 5};
	rt0_go(send_then_flag, &l);
	int v, err;
	while ((err = rt0_chan_try_recv(l.c, &v)) == -EAGAIN)
		rt0_gosched();
	CHECK_EQ(err, 0);
	CHECK_EQ(v, 5);
	await(&l.flag, 1);

	set(&l.flag, 0);
	rt0_go(recv_then_flag, &l);
	v = 6;
	while ((err = rt0_chan_try_send(l.c, &v)) == -EAGAIN)
		rt0_gosched();
	CHECK_EQ(err, 0);
	await(&l.flag, 1);
	CHECK_EQ(l.n, 6);
}

TEST(chan_close_drains_then_gives_false_and_zero)
{
	for (int cap = 0; cap < CAPS; cap++) {
		rt0_chan *c = rt0_chan_make(sizeof(int), cap);
		for (int i = 0; i < cap; i++)
			rt0_chan_send(c, &i);
		rt0_chan_close(c);
		for (int i = 0; i < cap; i++) {
			int v = -1;
			CHECK(rt0_chan_recv(c, &v));
			CHECK_EQ(v, i);
		}
		for (int i = 0; i < 3; i++) {
			int v = 99;
			CHECK(!rt0_chan_recv(c, &v));
			CHECK_EQ(v, 0);
			CHECK_EQ(rt0_chan_try_recv(c, NULL), -EPIPE);
		}
		CHECK_EQ(rt0_chan_len(c), 0);
		CHECK_EQ(rt0_chan_cap(c), cap);
		rt0_chan_free(c);
	}
}

static void
recv_closed(void *arg)
{
	struct link *l = arg;
	int v = 77;
	CHECK(!rt0_chan_recv(l->c, &v));
	CHECK_EQ(v, 0);
	rt0_waitgroup_done(l->wg);
}

TEST(chan_close_wakes_all_receivers)
{
	for (int cap = 0; cap < 3; cap++) {
		rt0_waitgroup wg = {0};
		struct link l = {.c = rt0_chan_make(sizeof(int), cap), .wg = &wg};
		rt0_waitgroup_add(&wg, 100);
		for (int i = 0; i < 100; i++)
			rt0_go(recv_closed, &l);
		yield(cap);
		rt0_chan_close(l.c);
		rt0_waitgroup_wait(&wg);
	}
}

static void
send_100(void *arg)
{
	struct link *l = arg;
	for (int i = 0; i < 100; i++)
		rt0_chan_send(l->c, &i);
}

TEST(chan_one_to_one_keeps_the_order)
{
	for (int cap = 0; cap < CAPS; cap++) {
		struct link l = {.c = rt0_chan_make(sizeof(int), cap)};
		rt0_go(send_100, &l);
		for (int i = 0; i < 100; i++) {
			int v;
			CHECK(rt0_chan_recv(l.c, &v));
			CHECK_EQ(v, i);
		}
	}
}

// ---- 4 producers, 4 consumers: nothing is lost, nothing comes twice --------------------------

enum { PER = 1000 };

static void
produce_from(void *arg)
{
	struct link *l = arg;
	for (int i = 0; i < PER; i++) {
		int v = l->first + i;
		rt0_chan_send(l->c, &v);
	}
	rt0_waitgroup_done(l->wg);
}

static int seen[4 * PER];

static void
consume_all(void *arg)
{
	struct link *l = arg;
	int v, last[4] = {-1, -1, -1, -1};
	RT0_RANGE (l->c, v) {
		CHECK(v >= 0 && v < 4 * PER);
		CHECK_EQ(inc(&seen[v]), 1);
		// One consumer sees each producer's numbers in their order.
		CHECK(v > last[v / PER]);
		last[v / PER] = v;
	}
	rt0_waitgroup_done(l->wg);
}

TEST_T(chan_4_by_4_loses_and_doubles_nothing, 30000)
{
	for (int cap = 0; cap < CAPS; cap += cap < 8 ? 1 : 37) {
		memset(seen, 0, sizeof seen);
		rt0_waitgroup producers = {0}, consumers = {0};
		rt0_chan *c = rt0_chan_make(sizeof(int), cap);
		struct link p[4], q = {.c = c, .wg = &consumers};
		rt0_waitgroup_add(&producers, 4);
		rt0_waitgroup_add(&consumers, 4);
		for (int i = 0; i < 4; i++) {
			p[i] = (struct link){.c = c, .wg = &producers, .first = i * PER};
			rt0_go(produce_from, &p[i]);
			rt0_go(consume_all, &q);
		}
		rt0_waitgroup_wait(&producers);
		rt0_chan_close(c);
		rt0_waitgroup_wait(&consumers);
		for (int i = 0; i < 4 * PER; i++)
			CHECK_EQ(seen[i], 1);
		rt0_chan_free(c);
	}
}

TEST(chan_len_and_cap)
{
	for (int cap = 0; cap < CAPS; cap++) {
		rt0_chan *c = rt0_chan_make(1, cap);
		CHECK_EQ(rt0_chan_cap(c), cap);
		for (int i = 0; i < cap; i++) {
			CHECK_EQ(rt0_chan_len(c), i);
			rt0_chan_send(c, "x");
		}
		CHECK_EQ(rt0_chan_len(c), cap);
		for (int i = cap; i > 0; i--) {
			CHECK_EQ(rt0_chan_len(c), i);
			CHECK(rt0_chan_recv(c, NULL));
		}
		CHECK_EQ(rt0_chan_len(c), 0);
		rt0_chan_free(c);
	}
}

TEST(chan_null_has_no_length_and_frees)
{
	CHECK_EQ(rt0_chan_len(NULL), 0);
	CHECK_EQ(rt0_chan_cap(NULL), 0);
	CHECK_EQ(rt0_chan_try_send(NULL, "x"), -EAGAIN);
	CHECK_EQ(rt0_chan_try_recv(NULL, NULL), -EAGAIN);
	rt0_chan_free(NULL);
}

static void
send_nothing(void *arg)
{
	struct link *l = arg;
	for (int i = 0; i < 100; i++)
		rt0_chan_send(l->c, NULL);
	rt0_chan_close(l->c);
}

TEST(chan_zero_size_elements_count_and_copy_nothing)
{
	for (int cap = 0; cap < 4; cap++) {
		struct link l = {.c = rt0_chan_make(0, cap)};
		rt0_go(send_nothing, &l);
		int n = 0;
		unsigned char guard[2] = {0xa5, 0x5a};
		RT0_RANGE (l.c, guard)
			n++;
		CHECK_EQ(n, 100);
		CHECK(guard[0] == 0xa5 && guard[1] == 0x5a);
		rt0_chan_free(l.c);
	}
	rt0_chan *c = rt0_chan_make(0, (size_t)1 << 40); // counted only: no memory
	rt0_chan_send(c, NULL);
	CHECK_EQ(rt0_chan_len(c), 1);
	rt0_chan_free(c);
}

static const size_t sizes[] = {
    1, 2, 3, 7, 8, 9, 16, 24, 31, 64, 127, 1000, 4096, 8191, 65535, 65536};

struct sized {
	rt0_chan *c;
	size_t size;
};

enum { MESSAGES = 20 };

static void
send_sized(void *arg)
{
	struct sized *s = arg;
	unsigned char *buf = malloc(s->size);
	for (int i = 0; i < MESSAGES; i++) {
		memset(buf, i + 1, s->size);
		rt0_chan_send(s->c, buf);
		memset(buf, 0xee, s->size); // the element was copied: this must not be seen
	}
	free(buf);
	rt0_chan_close(s->c);
}

TEST(chan_elements_of_every_size_are_copied_whole)
{
	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		for (int cap = 0; cap < 4; cap++) {
			struct sized s = {rt0_chan_make(sizes[k], cap), sizes[k]};
			unsigned char *buf = malloc(s.size + 1);
			buf[s.size] = 0x77;
			rt0_go(send_sized, &s);
			for (int i = 0; i < MESSAGES; i++) {
				CHECK(rt0_chan_recv(s.c, buf));
				for (size_t j = 0; j < s.size; j++)
					CHECK_EQ(buf[j], i + 1);
				CHECK_EQ(buf[s.size], 0x77);
			}
			CHECK(!rt0_chan_recv(s.c, buf));
			CHECK_EQ(buf[s.size - 1], 0);
			rt0_chan_free(s.c);
			free(buf);
		}
	}
}

// ---- TestMultiConsumer: 23 workers, 271,828 items ---------------------------------------------

enum { NWORK = 23, NITER = 271828 };
static const int primes[] = {2, 3, 7, 11, 13, 17, 19, 23, 27, 31};

static void
consumer(void *arg)
{
	struct link *l = arg;
	int v;
	RT0_RANGE (l->c, v) {
		if (primes[v % 10] == v)
			rt0_gosched(); // stir the order
		rt0_chan_send(l->c2, &v);
	}
	rt0_waitgroup_done(l->wg);
}

static int64_t expected;

static void
feeder(void *arg)
{
	struct link *l = arg;
	for (int i = 0; i < NITER; i++) {
		int v = primes[i % 10];
		expected += v;
		rt0_chan_send(l->c, &v);
	}
	rt0_chan_close(l->c);
	rt0_waitgroup_wait(l->wg);
	rt0_chan_close(l->c2);
}

TEST_T(chan_multi_consumer_counts_and_sums, 30000)
{
	rt0_waitgroup wg = {0};
	struct link l = {.c = rt0_chan_make(sizeof(int), NWORK),
	    .c2 = rt0_chan_make(sizeof(int), NWORK * 3),
	    .wg = &wg};
	rt0_waitgroup_add(&wg, NWORK);
	for (int i = 0; i < NWORK; i++)
		rt0_go(consumer, &l);
	rt0_go(feeder, &l);
	int n = 0, v;
	int64_t sum = 0;
	RT0_RANGE (l.c2, v) {
		n++;
		sum += v;
	}
	CHECK_EQ(n, NITER);
	CHECK_EQ(sum, expected);
}

// ---- Chains and rounds -------------------------------------------------------------------------

static void
echo(void *arg)
{
	struct link *l = arg;
	int v;
	RT0_RANGE (l->c, v) {
		v++;
		rt0_chan_send(l->c2, &v);
	}
	rt0_chan_close(l->c2);
}

TEST(chan_ping_pong)
{
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		struct link l = {.c = rt0_chan_make(4, 0), .c2 = rt0_chan_make(4, 0)};
		rt0_go(echo, &l);
		for (int i = 0; i < 20000; i++) {
			int v;
			rt0_chan_send(l.c, &i);
			CHECK(rt0_chan_recv(l.c2, &v));
			CHECK_EQ(v, i + 1);
		}
		rt0_chan_close(l.c);
		CHECK(!rt0_chan_recv(l.c2, NULL));
	}
}

static void
chain_link(void *arg)
{
	echo(arg);
	free(arg);
}

TEST(chan_daisy_chain_of_10000)
{
	enum { LEN = SANITIZED ? 1000 : 10000 };
	rt0_chan *first = rt0_chan_make(4, 0), *last = first;
	for (int i = 0; i < LEN; i++) {
		struct link *l = malloc(sizeof *l);
		*l = (struct link){.c = last, .c2 = rt0_chan_make(4, 0)};
		last = l->c2;
		rt0_go(chain_link, l);
	}
	for (int round = 0; round < 3; round++) {
		int v = round;
		rt0_chan_send(first, &v);
		CHECK(rt0_chan_recv(last, &v));
		CHECK_EQ(v, round + LEN);
	}
	rt0_chan_close(first);
	CHECK(!rt0_chan_recv(last, NULL));
}

struct filter {
	rt0_chan *in, *out;
	int prime;
};

static void
generate(void *out)
{
	for (int i = 2;; i++)
		rt0_chan_send(out, &i);
}

static void
filter(void *arg)
{
	struct filter *f = arg;
	int i;
	RT0_RANGE (f->in, i)
		if (i % f->prime != 0)
			rt0_chan_send(f->out, &i);
}

TEST_T(chan_prime_sieve, 30000)
{
	enum { N = 200 };
	static struct filter f[N];
	rt0_chan *end = rt0_chan_make(sizeof(int), 0);
	rt0_go(generate, end);
	int prime = 0, last = 1;
	for (int i = 0; i < N; i++) {
		CHECK(rt0_chan_recv(end, &prime));
		CHECK(prime > last);
		for (int d = 2; d * d <= prime; d++)
			CHECK(prime % d != 0);
		last = prime;
		f[i] = (struct filter){end, rt0_chan_make(sizeof(int), 0), prime};
		end = f[i].out;
		rt0_go(filter, &f[i]);
	}
	CHECK_EQ(prime, 1223); // the 200th
}

// With one processor nobody overtakes: those who wait are served in the order they came.
static void
receive_own(void *arg)
{
	struct link *l = arg;
	set(&l->flag, 1);
	int v;
	CHECK(rt0_chan_recv(l->c, &v));
	CHECK_EQ(v, l->first);
	rt0_waitgroup_done(l->wg);
}

TEST(chan_receivers_are_served_in_order)
{
	enum { N = 50 };
	rt0_gomaxprocs(1);
	rt0_waitgroup wg = {0};
	struct link l[N];
	rt0_chan *c = rt0_chan_make(sizeof(int), 0);
	rt0_waitgroup_add(&wg, N);
	for (int i = 0; i < N; i++) {
		l[i] = (struct link){.c = c, .first = i, .wg = &wg};
		rt0_go(receive_own, &l[i]);
		await(&l[i].flag, 1);
		yield(5);
	}
	for (int i = 0; i < N; i++)
		rt0_chan_send(c, &i);
	rt0_waitgroup_wait(&wg);
}

TEST(chan_free_gives_memory_back)
{
	long before = 0;
	for (int i = 0; i < 20000; i++) {
		if (i == 100)
			before = proc_pages(true);
		rt0_chan *c = rt0_chan_make(64, 100);
		for (int k = 0; k < 100; k++)
			rt0_chan_send(c, (char[64]){1});
		rt0_chan_free(c);
	}
	// Kept, they would take 128 MB.
	CHECK(proc_pages(true) - before < 8 << 10);
}

static void
send_on_inner(void *arg)
{
	rt0_chan *c = *(rt0_chan **)arg;
	rt0_chan *inner;
	int n = 0;
	RT0_RANGE (c, inner) {
		rt0_chan_send(inner, &n);
		n++;
	}
}

TEST(chan_of_channels)
{
	rt0_chan *c = rt0_chan_make(sizeof c, 0);
	rt0_go(send_on_inner, &c);
	for (int i = 0; i < 1000; i++) {
		rt0_chan *inner = rt0_chan_make(sizeof(int), 1);
		int v;
		rt0_chan_send(c, &inner);
		CHECK(rt0_chan_recv(inner, &v));
		CHECK_EQ(v, i);
		rt0_chan_free(inner);
	}
	rt0_chan_close(c);
}

// try_recv in a loop while the sender lives on the same single processor: only giving way in the
// loop lets it run.
static void
send_one(void *c)
{
	rt0_chan_send(c, &(int){3});
}

TEST(chan_try_recv_polling_makes_progress)
{
	rt0_gomaxprocs(1);
	for (int cap = 0; cap < 2; cap++) {
		rt0_chan *c = rt0_chan_make(sizeof(int), cap);
		rt0_go(send_one, c);
		int v = 0;
		while (rt0_chan_try_recv(c, &v) == -EAGAIN)
			rt0_gosched();
		CHECK_EQ(v, 3);
	}
}

// Tokens wander over a ring of channels by every form of send and receive, with the number of
// processors changing meanwhile; none may get lost.
enum { RING = 16, TOKENS = 40, HOPS = 20000 };
static rt0_chan *ring[RING];
static int hops;

static void
hop(void *arg)
{
	int at = (int)(intptr_t)arg;
	uint32_t rnd = 2463534242u + at;
	int token;
	for (;;) {
		rnd ^= rnd << 13, rnd ^= rnd >> 17, rnd ^= rnd << 5;
		if (rnd & 1) {
			if (!rt0_chan_recv(ring[at], &token))
				break;
		} else {
			int err = rt0_chan_try_recv(ring[at], &token);
			if (err == -EPIPE)
				break;
			if (err == -EAGAIN) {
				rt0_gosched();
				continue;
			}
		}
		inc(&hops);
		if (rnd & 2 || rt0_chan_try_send(ring[(at + 1) % RING], &token) == -EAGAIN)
			rt0_chan_send(ring[(at + 1) % RING], &token);
	}
}

TEST_T(chan_ring_of_tokens_loses_none, 30000)
{
	for (int i = 0; i < RING; i++)
		ring[i] =
		    rt0_chan_make(sizeof(int), 4); // 64 places for 40 tokens: never full all round
	for (int i = 0; i < RING; i++)
		rt0_go(hop, (void *)(intptr_t)i);
	for (int i = 0; i < TOKENS; i++)
		rt0_chan_send(ring[i % RING], &i);
	for (int n = 0; get(&hops) < HOPS; n++) {
		rt0_gomaxprocs(1 + n % 4);
		yield(50);
	}
	// Take them out again, wherever they are.
	bool have[TOKENS] = {false};
	for (int got = 0, at = 0; got < TOKENS; at = (at + 1) % RING) {
		int token;
		if (rt0_chan_try_recv(ring[at], &token) != 0) {
			rt0_gosched();
			continue;
		}
		CHECK(token >= 0 && token < TOKENS && !have[token]);
		have[token] = true;
		got++;
	}
}

enum { CROWD = 500 };

struct crowd {
	rt0_chan *c;
	int up, woken, panics;
	rt0_waitgroup wg;
};

static void
crowd_recv(void *arg)
{
	struct crowd *w = arg;
	long v = 7;
	int n = inc(&w->up);
	if (n % 50 == 0)
		rt0_lock_os_thread();
	if (n % 3 == 0) {
		rt0_chan *never = rt0_chan_make(0, 0);
		bool ok = true;
		rt0_case cs[2] = {{w->c, &v, &ok, sizeof v, RT0_CASE_RECV}, {never, NULL, NULL, 0, RT0_CASE_RECV}};
		CHECK_EQ(rt0_select(cs, 2, RT0_NEVER), 0);
		CHECK(!ok);
		rt0_chan_free(never);
	} else {
		CHECK(!rt0_chan_recv(w->c, &v));
	}
	CHECK_EQ(v, 0);
	inc(&w->woken);
	rt0_waitgroup_done(&w->wg);
}

static void
crowd_caught(void *arg)
{
	struct crowd *w = arg;
	rt0_value v;
	if (rt0_recover(&v))
		inc(&w->panics);
	rt0_waitgroup_done(&w->wg);
}

static void
crowd_send(void *arg)
{
	RT0_DEFER_FRAME;
	struct crowd *w = arg;
	long v = 1;
	rt0_defer(crowd_caught, w);
	inc(&w->up);
	rt0_chan_send(w->c, &v);
}

// Close finds more waiters than it readies one by one: each wakes once, on its own thread if it has one, with a zero or
// a panic.
TEST(chan_close_wakes_a_crowd)
{
	for (int round = 0; round < 4; round++) {
		struct crowd w = {.c = rt0_chan_make(sizeof(long), 0)};
		rt0_waitgroup_add(&w.wg, CROWD);
		for (int i = 0; i < CROWD; i++)
			rt0_go(round % 2 ? crowd_send : crowd_recv, &w);
		await(&w.up, CROWD);
		rt0_sleep(5000000); // most are parked by now
		rt0_chan_close(w.c);
		rt0_waitgroup_wait(&w.wg);
		CHECK_EQ(round % 2 ? w.panics : w.woken, CROWD);
		rt0_chan_free(w.c);
	}
}
