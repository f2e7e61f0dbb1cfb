// SPDX-License-Identifier: BSD-3-Clause
// hello.c: a goroutine and a channel. rt0.h is all it uses, so that the same file builds both
// ways: rt0 run examples/hello.c, and without a libc: rt0 build -pure examples/hello.c -o hello.
//
//     $ rt0 run examples/hello.c
//     hello, world, from one of 2 goroutines

#include "rt0.h"

static void
greet(void *c)
{
	rt0_printf("hello, world, from one of %d goroutines\n", rt0_num_goroutine());
	rt0_chan_close(c);
}

int
main(void)
{
	rt0_chan *done = rt0_chan_make(0, 0);
	rt0_go(greet, done);
	rt0_chan_recv(done, NULL);
	return 0;
}
