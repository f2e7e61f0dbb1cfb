// SPDX-License-Identifier: BSD-3-Clause
// chan_free_waiters.c: a channel is freed under a goroutine that waits on it.

#include "rt0.h"

static void
receiver(void *c)
{
	rt0_chan_recv(c, NULL);
}

int
main(void)
{
	rt0_gomaxprocs(1);
	rt0_chan *c = rt0_chan_make(1, 0);
	rt0_go(receiver, c);
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	rt0_chan_free(c); // here
	return 0;
}
