// SPDX-License-Identifier: BSD-3-Clause
// deadlock_pure.c: what deadlock.c does, without a libc.

#include "rt0.h"

int
main(void)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 0);
	int v;
	rt0_chan_recv(c, &v); // here
	return 0;
}
