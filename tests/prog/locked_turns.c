// SPDX-License-Identifier: BSD-3-Clause
// Two goroutines that have locked their threads hand each other a token for ever, each as the p's next. Those that
// yield, those that are new and those that sleep get their turn all the same.
#include <stddef.h>

#include <rt0.h>

enum { TIMES = 200 };

static rt0_chan *there, *back;
static rt0_waitgroup wg;
static int stop;

static void
first(void *arg)
{
	int v = 1;
	(void)arg;
	rt0_lock_os_thread();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		rt0_chan_send(there, &v);
		rt0_chan_recv(back, &v);
	}
	v = 0;
	rt0_chan_send(there, &v);
	rt0_unlock_os_thread();
	rt0_waitgroup_done(&wg);
}

static void
second(void *arg)
{
	int v;
	(void)arg;
	rt0_lock_os_thread();
	for (;;) {
		rt0_chan_recv(there, &v);
		if (v == 0)
			break;
		rt0_chan_send(back, &v);
	}
	rt0_unlock_os_thread();
	rt0_waitgroup_done(&wg);
}

static void
yields(void *arg)
{
	for (int i = 0; i < TIMES; i++)
		rt0_gosched();
	rt0_waitgroup_done(arg);
}

// spawns is followed by another, TIMES of them.
static void
spawns(void *arg)
{
	static int n;
	if (++n < TIMES)
		rt0_go(spawns, arg);
	else
		rt0_waitgroup_done(arg);
}

int
main(void)
{
	rt0_waitgroup others = {0};
	there = rt0_chan_make(sizeof(int), 0);
	back = rt0_chan_make(sizeof(int), 0);
	rt0_waitgroup_add(&wg, 2);
	rt0_go(first, NULL);
	rt0_go(second, NULL);
	rt0_sleep(20000000); // they are at it
	rt0_waitgroup_add(&others, 2);
	rt0_go(yields, &others);
	rt0_go(spawns, &others);
	for (int i = 0; i < 5; i++)
		rt0_sleep(1000000);
	rt0_waitgroup_wait(&others);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	rt0_waitgroup_wait(&wg);
	rt0_printf("done\n");
	return 0;
}
