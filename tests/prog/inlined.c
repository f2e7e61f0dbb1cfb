// SPDX-License-Identifier: BSD-3-Clause
// inlined.c: a panic in a function that is inlined: it has a line of its own, without an offset.

#include "rt0.h"

struct point {
	int x, y;
};

static inline __attribute__((always_inline)) void
boom(struct point *p, int n)
{
	if (n > p->x)
		rt0_panic("something bad"); // boom
}

__attribute__((noinline)) static void
inner(struct point *p, int n)
{
	boom(p, n); // inner
	__asm__ volatile("");
}

static inline __attribute__((always_inline)) void
start(rt0_chan *c, void (*fn)(void *))
{
	rt0_go(fn, c); // start
}

static void
worker(void *c)
{
	rt0_chan_recv(c, NULL);
	__asm__ volatile("");
}

int
main(void)
{
	struct point p = {1, 2};
	start(rt0_chan_make(0, 0), worker);
	start(rt0_chan_make(0, 0), worker);
	inner(&p, 42); // main
	return 0;
}
