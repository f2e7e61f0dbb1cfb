// SPDX-License-Identifier: BSD-3-Clause
// select_send_closed.c: a channel is closed under a goroutine that would send on it, or receive from another.

#include "rt0.h"

static void
waiter(void *arg)
{
	rt0_chan **c = arg;
	RT0_SELECT(RT0_RECV(c[0], NULL), RT0_SEND(c[1], "x")); // here
}

int
main(void)
{
	rt0_chan *c[2] = {rt0_chan_make(1, 0), rt0_chan_make(1, 0)};
	rt0_go(waiter, c);
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	rt0_chan_close(c[1]);
	rt0_chan_recv(c[0], NULL);
	return 0;
}
