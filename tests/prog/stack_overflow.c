// SPDX-License-Identifier: BSD-3-Clause
// stack_overflow.c: a recursion without end: on main, on a goroutine beside main, on a segment that
// rt0_morestack gave.

#include "rt0.h"

static volatile int last = -1; // never met; compilers warn of what they see has no end

__attribute__((noinline)) static int
f(int n)
{
	volatile char frame[1000];
	if (n == last)
		return 0;
	frame[n % 1000] = 1;
	return f(n + 1) + frame[n % 1000]; // here
}

static void
runaway(void *done)
{
	for (int i = 0; i < 10; i++)
		rt0_gosched(); // until main waits
	rt0_printf("%d\n", f(0));
	rt0_chan_close(done);
}

int
main(int argc, char **argv)
{
	rt0_chan *done = rt0_chan_make(0, 0);
	switch (argc > 1 ? argv[1][0] : 0) {
	case 'g':
		rt0_gomaxprocs(1);
		rt0_go(runaway, done);
		rt0_chan_recv(done, NULL);
		return 0;
	case 'm': return rt0_morestack(runaway, done, 1 << 20);
	}
	return f(0);
}
