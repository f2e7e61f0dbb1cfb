// SPDX-License-Identifier: BSD-3-Clause
// select_free_waiters.c: a channel is freed under a goroutine that waits on it in a select.

#include "rt0.h"

static void
waiter(void *arg)
{
	rt0_chan **c = arg;
	RT0_SELECT(RT0_RECV(c[0], NULL), RT0_SEND(c[1], NULL));
}

int
main(void)
{
	rt0_gomaxprocs(1);
	rt0_chan *c[2] = {rt0_chan_make(1, 0), rt0_chan_make(1, 0)};
	rt0_go(waiter, c);
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	rt0_chan_free(c[1]); // here
	return 0;
}
