// SPDX-License-Identifier: BSD-3-Clause
// stack_overflow_morestack.c: a recursion without end on a segment that rt0_morestack gave.

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
runaway(void *arg)
{
	(void)arg;
	rt0_printf("%d\n", f(0));
}

int
main(void)
{
	return rt0_morestack(runaway, NULL, 1 << 20);
}
