// SPDX-License-Identifier: BSD-3-Clause
// test_netpoll.c: polldescs by themselves, and the thread that sleeps in the poller.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>

#include "apiutil.h"
#include "netutil.h"
#include "../../src/runtime.h"

static struct polldesc *pd;
static int q[2], done, woken;

static void
mkpd(void)
{
	CHECK_EQ(pipe2(q, O_NONBLOCK), 0);
	CHECK_EQ(runtime_poll_open(q[0], &pd), 0);
}

// ready does what the poller does with an event, and readies who comes out.
static int
ready(uint64_t tag, int mode)
{
	struct gqueue ready = {NULL, NULL};
	int n = runtime_netpollevent(&ready, tag, mode, false), k = 0;
	while (ready.head != NULL) {
		struct g *gp = ready.head;
		ready.head = gp->schedlink;
		runtime_goready(gp);
		k++;
	}
	CHECK_EQ(n, k);
	atomic_xadd(&sched.npollwait, -n);
	return n;
}

TEST(netpoll_reset_forgets_and_wait_consumes)
{
	mkpd();
	uint64_t tag = runtime_netpolltag(pd);
	CHECK_EQ(ready(tag, POLLREAD), 0);
	CHECK_EQ(ready(tag, POLLREAD), 0);
	CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_OK); // one edge is as good as two
	runtime_poll_set_deadline(pd, rt0_nanotime() + 1000000, POLLREAD);
	CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_TIMEOUT);
	CHECK_EQ(runtime_poll_reset(pd, POLLREAD), POLL_TIMEOUT);
	runtime_poll_set_deadline(pd, INT64_MAX, POLLREAD);
	CHECK_EQ(ready(tag, POLLREAD + POLLWRITE), 0);
	CHECK_EQ(runtime_poll_reset(pd, POLLREAD), POLL_OK);
	CHECK_EQ(runtime_poll_wait(pd, POLLWRITE), POLL_OK);
	runtime_poll_set_deadline(pd, rt0_nanotime() + 1000000, POLLREAD + POLLWRITE);
	CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_TIMEOUT); // forgotten
	CHECK_EQ(runtime_poll_wait(pd, POLLWRITE), POLL_TIMEOUT);
	runtime_poll_unblock(pd);
	CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_CLOSING);
	CHECK_EQ(runtime_poll_reset(pd, POLLWRITE), POLL_CLOSING);
	runtime_poll_set_deadline(pd, INT64_MAX, POLLREAD);
	runtime_poll_close(pd);
	CHECK_EQ(sched.npollwait, 0);
}

TEST(netpoll_late_event_is_dropped)
{
	mkpd();
	struct polldesc *old = pd;
	uint64_t tag = runtime_netpolltag(pd);
	runtime_poll_unblock(pd);
	runtime_poll_close(pd);
	CHECK_EQ(runtime_poll_open(q[0], &pd), 0);
	CHECK(pd == old); // last in, first out
	CHECK(runtime_netpolltag(pd) != tag);
	CHECK_EQ(ready(tag, POLLREAD), 0);
	runtime_poll_set_deadline(pd, rt0_nanotime() + 1000000, POLLREAD);
	CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_TIMEOUT);
	runtime_poll_set_deadline(pd, INT64_MAX, POLLREAD);
	CHECK_EQ(ready(runtime_netpolltag(pd), POLLREAD), 0);
	CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_OK);
}

TEST(netpoll_what_cannot_be_watched)
{
	struct polldesc *none = NULL;
	int f = open("/dev/null", O_RDONLY);
	CHECK_EQ(runtime_poll_open(f, &none), -EPERM);
	CHECK_EQ(runtime_poll_open(9999, &none), -EBADF);
	CHECK(none == NULL);
	mkpd(); // what failed has been given back
}

// ---- who is woken by whom: nobody's wake-up is lost, whatever else happens ----

enum { EVENTS = 20000 };
static int sent, seen, stop, setters;

static void
waiter(void *arg)
{
	int mode = (int)(intptr_t)arg;
	while (get(&seen) < EVENTS) {
		int r = runtime_poll_wait(pd, mode);
		CHECK(r == POLL_OK || r == POLL_TIMEOUT);
		if (r == POLL_TIMEOUT)
			rt0_gosched();
		else
			inc(&woken);
		set(&seen, get(&sent)); // an edge comes behind what it tells
	}
	inc(&done);
}

static void
deadliner(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg;
	while (!get(&stop)) {
		x = x * 1103515245 + 12345;
		int64_t d = x >> 16 & 1 ? INT64_MAX : rt0_nanotime() + (int64_t)(x >> 17 & 0xffff);
		runtime_poll_set_deadline(pd, d, x >> 28 & 1 ? POLLREAD : POLLREAD + POLLWRITE);
		rt0_gosched();
	}
	inc(&setters);
}

TEST_T(netpoll_no_wakeup_is_lost, 20000)
{
	for (int with = 0; with < 2; with++) {
		set(&sent, 0);
		set(&seen, 0);
		set(&stop, 0);
		set(&done, 0);
		mkpd();
		uint64_t tag = runtime_netpolltag(pd);
		rt0_go(waiter, (void *)(intptr_t)POLLREAD);
		for (int i = 0; i < 3 * with; i++)
			rt0_go(deadliner, (void *)(intptr_t)(i + 1));
		for (int i = 0; i < EVENTS; i++) {
			inc(&sent);
			ready(tag, POLLREAD);
			if (i % 3 == 0)
				rt0_gosched();
		}
		// The last edge must reach a waiter that no deadline wakes any more.
		set(&stop, 1);
		await(&setters, 3 * with);
		runtime_poll_set_deadline(pd, INT64_MAX, POLLREAD + POLLWRITE);
		await(&done, 1);
		CHECK(get(&woken) > 0);
		runtime_poll_unblock(pd);
		runtime_poll_close(pd);
		CHECK_EQ(sched.npollwait, 0);
	}
}

static void
onewait(void *arg)
{
	set(&woken, runtime_poll_wait(pd, (int)(intptr_t)arg));
	inc(&done);
}

TEST_T(netpoll_close_against_wait, 20000)
{
	for (int i = 0; i < 2000; i++) {
		set(&done, 0);
		mkpd();
		uint64_t tag = runtime_netpolltag(pd);
		runtime_poll_set_deadline(pd, rt0_nanotime() + i % 50 * 1000, POLLWRITE);
		rt0_go(onewait, (void *)(intptr_t)POLLREAD);
		yield(i % 3);
		if (i % 5 == 0)
			ready(tag, POLLREAD);
		runtime_poll_unblock(pd);
		await(&done, 1);
		CHECK(get(&woken) == POLL_CLOSING || (get(&woken) == POLL_OK && i % 5 == 0));
		runtime_poll_close(pd);
		CHECK_EQ(ready(tag, POLLREAD + POLLWRITE), 0);
		close(q[0]);
		close(q[1]);
	}
	CHECK_EQ(sched.npollwait, 0);
}

// Both at the same moment, again and again: the waiter looks at info just before the deadline is published and
// parks just after, or it does not park.
static int turn, returned, rounds = 20000;

static void
meets(void *arg)
{
	(void)arg;
	for (int i = 1; i <= get(&rounds); i++) {
		while (get(&turn) < i && i <= get(&rounds))
			if (rt0_gomaxprocs(0) == 1 || i % 1000 == 0)
				rt0_gosched();
		if (i > get(&rounds))
			break;
		for (volatile int k = i % 64; k > 0; k--)
			;
		CHECK_EQ(runtime_poll_wait(pd, POLLREAD), POLL_TIMEOUT);
		set(&returned, i);
	}
	inc(&done);
}

TEST_T(netpoll_deadline_meets_wait, 20000)
{
	mkpd();
	rt0_go(meets, NULL);
	int64_t start = rt0_nanotime();
	for (int i = 1; i <= get(&rounds); i++) {
		if (rt0_nanotime() - start > 5 * RT0_SECOND)
			set(&rounds, i); // a busy machine: a round takes two slices of the kernel's
		runtime_poll_set_deadline(pd, INT64_MAX, POLLREAD);
		set(&turn, i);
		for (volatile int k = i / 64 % 64; k > 0; k--)
			;
		runtime_poll_set_deadline(pd, 1, POLLREAD);
		while (get(&returned) < i)
			rt0_gosched();
	}
	await(&done, 1);
	CHECK_EQ(sched.npollwait, 0);
}

// ---- Go's TestNetpollBreak: a thread asleep in the poller is woken for what else there is ----

static void
longsleep(void *arg)
{
	rt0_sleep(3600 * RT0_SECOND);
	(void)arg;
}

static void
work(void *arg)
{
	(void)arg;
	rt0_sleep(1000000); // an earlier timer than the one it sleeps for
	inc(&done);
}

static void *
thread(void *arg)
{
	for (int i = 1; i <= 50; i++) {
		usleep(i % 10 * 300);
		rt0_go(work, NULL);
		while (get(&done) < i)
			usleep(50);
	}
	return arg;
}

static void
reads(void *arg)
{
	char b[8];
	CHECK_EQ(rt0_fd_read(arg, b, sizeof b), -ECANCELED);
	inc(&done);
}

TEST(netpoll_break_wakes_for_work_and_timers)
{
	pthread_t t;
	rt0_fd *p[2];
	CHECK_EQ(rt0_pipe(p), 0);
	rt0_go(longsleep, NULL);
	rt0_go(reads, p[0]);
	CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
	CHECK_EQ(get(&done), 50);
	CHECK_EQ(rt0_fd_close(p[0]), 0);
	await(&done, 51);
}
