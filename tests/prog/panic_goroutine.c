// SPDX-License-Identifier: BSD-3-Clause
// panic_goroutine.c: a panic of another goroutine, whose parent was not main: where it came
// from.

#include "rt0.h"

__attribute__((noinline)) static void
fail(const char *why)
{
	rt0_panic(why); // here
}

static void
child(void *arg)
{
	fail("child");
	(void)arg;
}

static void
parent(void *arg)
{
	rt0_go(child, arg); // made
	rt0_chan_recv(arg, NULL);
}

int
main(void)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	rt0_go(parent, c);
	rt0_chan_recv(c, NULL);
	return 0;
}
