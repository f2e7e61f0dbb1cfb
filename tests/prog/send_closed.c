// SPDX-License-Identifier: BSD-3-Clause
// send_closed.c: a send on a closed channel.

#include "rt0.h"

int
main(void)
{
	rt0_chan *c = rt0_chan_make(1, 3);
	rt0_chan_close(c);
	rt0_chan_send(c, "x"); // here
	return 0;
}
