// SPDX-License-Identifier: BSD-3-Clause
// try_send_closed.c: not even trying to send on a closed channel is allowed.

#include "rt0.h"

int
main(void)
{
	rt0_chan *c = rt0_chan_make(1, 3);
	rt0_chan_close(c);
	rt0_chan_try_send(c, "x"); // here
	return 0;
}
