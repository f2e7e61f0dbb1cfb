// SPDX-License-Identifier: BSD-3-Clause
// nil_deref_write.c: a store through a null pointer, on a goroutine.

#include "rt0.h"

static int *volatile where;

static void
store(void *done)
{
	*where = 1; // here
	rt0_chan_close(done);
}

int
main(void)
{
	rt0_chan *done = rt0_chan_make(0, 0);
	rt0_go(store, done);
	rt0_chan_recv(done, NULL);
	return 0;
}
