// SPDX-License-Identifier: BSD-3-Clause
// send_closed_waiting.c: a close panics the sender that waits, not the one who closes.

#include "rt0.h"

static void
sender(void *c)
{
	rt0_chan_send(c, "x"); // here
	rt0_printf("sent\n");
}

int
main(void)
{
	rt0_gomaxprocs(1);
	rt0_chan *c = rt0_chan_make(1, 0);
	rt0_go(sender, c);
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	rt0_chan_close(c);
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
