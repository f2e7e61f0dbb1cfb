// SPDX-License-Identifier: BSD-3-Clause
// close_closed.c: a second close.

#include "rt0.h"

int
main(void)
{
	rt0_chan *c = rt0_chan_make(1, 0);
	rt0_chan_close(c);
	rt0_chan_close(c); // here
	return 0;
}
