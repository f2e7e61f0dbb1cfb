// SPDX-License-Identifier: BSD-3-Clause
// panic_main_waits.c: main returns while another goroutine's panic runs deferred calls: it is printed all the same.
#include "rt0.h"

static rt0_chan *c;

static void
slow(void *arg)
{
	(void)arg;
	rt0_chan_send(c, "");
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	rt0_write(2, "deferred\n", 9);
}

static void
child(void *arg)
{
	RT0_DEFER(slow, arg);
	rt0_panic("late");
}

int
main(void)
{
	c = rt0_chan_make(0, 0);
	rt0_go(child, NULL);
	rt0_chan_recv(c, NULL);
	return 0;
}
