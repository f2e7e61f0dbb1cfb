// SPDX-License-Identifier: BSD-3-Clause
// gotraceback.c: what GOTRACEBACK shows of a panic while another goroutine waits.

#include "rt0.h"

static void
worker(void *c)
{
	rt0_chan_recv(c, NULL); // waits
	rt0_printf("no\n");
}

int
main(void)
{
	rt0_gomaxprocs(1);
	rt0_go(worker, rt0_chan_make(0, 0));
	for (int i = 0; i < 10; i++)
		rt0_gosched();
	rt0_panic("levels"); // here
}
