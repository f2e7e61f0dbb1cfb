// SPDX-License-Identifier: BSD-3-Clause
// test_lone.c: of several ps one is alone, others come and it is not any more ("the lone p", proc_p.c), and
// the channels do not notice.
#include <pthread.h>

#include "../../src/runtime.h"
#include "apiutil.h"

enum { TIMES = SANITIZED ? 20 : 100 };

static rt0_chan *a, *b, *ends;
static int stop, broken;
static long taken; // the sum of what comer has received

// A producer sends ascending numbers on both channels, and the consumer finds them in order, but for what comer takes.
static void
producer(void *plain)
{
	long i = 1;
	for (; !get(&stop); i++) {
		if (plain != NULL) {
			rt0_chan_send(a, &i);
			continue;
		}
		rt0_case cs[2] = {{a, &i, NULL, sizeof i, RT0_CASE_SEND}, {b, &i, NULL, sizeof i, RT0_CASE_SEND}};
		int k = rt0_select(cs, 2, RT0_NEVER);
		CHECK(k == 0 || k == 1);
	}
	rt0_chan_close(a);
	rt0_chan_close(b);
	i = i * (i - 1) / 2;
	rt0_chan_send(ends, &i);
}

static void
consumer(void *plain)
{
	long last[2] = {0, 0}, sum = 0, v = 0;
	bool ok[2] = {true, true};
	while (plain != NULL ? rt0_chan_recv(a, &v) : ok[0] || ok[1]) {
		int k = 0;
		if (plain == NULL) {
			rt0_case cs[2] = {{ok[0] ? a : NULL, &v, &ok[0], sizeof v, RT0_CASE_RECV},
			    {ok[1] ? b : NULL, &v, &ok[1], sizeof v, RT0_CASE_RECV}};
			k = rt0_select(cs, 2, RT0_NEVER);
			if (!ok[k])
				continue;
		}
		if (v <= last[k])
			rt0_fatal("out of order");
		last[k] = v;
		sum += v;
	}
	rt0_chan_send(ends, &sum);
}

static uint64_t
nalone(void)
{
	runtime_lock(&sched.lock);
	uint64_t n = sched.nalone;
	runtime_unlock(&sched.lock);
	return n;
}

// comer is a thread that comes when the p is alone, and uses their channel.
static void *
comer(void *arg)
{
	(void)arg;
	long v = 0;
	while (!get(&stop)) {
		if (atomic_loadrlx(&sched.alone) == 0) {
			usleep(100);
			continue;
		}
		for (int i = 0; i < 3; i++)
			if (rt0_chan_try_recv(a, &v) == 0)
				taken += v;
		inc(&broken);
	}
	return NULL;
}

static void
begin(void *plain, size_t cap)
{
	set(&stop, 0);
	set(&broken, 0);
	taken = 0;
	a = rt0_chan_make(sizeof(long), cap);
	b = rt0_chan_make(sizeof(long), cap);
	ends = rt0_chan_make(sizeof(long), 0);
	rt0_go(producer, plain);
	rt0_go(consumer, plain);
}

// end stops them and sees that what was sent was received. The producer's sum may come before the consumer's.
static void
end(pthread_t *t)
{
	long x, y;
	set(&stop, 1);
	rt0_chan_recv(ends, &x);
	rt0_chan_recv(ends, &y);
	if (t != NULL)
		CHECK_EQ(RT0_BLOCKING(pthread_join(*t, NULL)), 0);
	CHECK_EQ(x > y ? x - y : y - x, taken);
	CHECK(x > 0 && y > 0);
	rt0_chan_free(a);
	rt0_chan_free(b);
	rt0_chan_free(ends);
}

static void
alone(void *plain, size_t cap, int procs)
{
	pthread_t t;
	rt0_gomaxprocs(procs);
	begin(plain, cap);
	uint64_t from = nalone();
	CHECK_EQ(pthread_create(&t, NULL, comer, NULL), 0);
	// Timers take a p as well.
	while (nalone() - from < TIMES || get(&broken) < TIMES / 4)
		rt0_sleep(2000000);
	end(&t);
}

TEST_T(lone_sends_and_receives, 60000)
{
	alone("plain", 128, 2);
	alone("plain", 0, 3);
}

TEST_T(lone_selects, 60000)
{
	alone(NULL, 128, 2);
	alone(NULL, 0, 3);
}

// The kernel is told when there is one thread still: with more, sysmon would be away, and an end of the process wait,
// for some 10 ms.
TEST(lone_registered_at_once)
{
	rt0_gomaxprocs(2); // grow
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	CHECK(SANITIZED || sched.canbarrier);
#endif
}

// The number of ps changes while one is alone.
TEST_T(lone_gomaxprocs, 60000)
{
	begin("plain", 8);
	for (int i = 0; i < TIMES / 4; i++) {
		rt0_gomaxprocs(2 + i % 3);
		uint64_t from = nalone();
		while (nalone() == from)
			rt0_sleep(1000000);
		rt0_gomaxprocs(1);
		CHECK_EQ(atomic_loadrlx(&sched.alone), 0);
		rt0_sleep(1000000);
	}
	rt0_gomaxprocs(2);
	end(NULL);
}
