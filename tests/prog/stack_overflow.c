// SPDX-License-Identifier: BSD-3-Clause
// stack_overflow.c: a recursion without end on main.

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

int
main(void)
{
	return f(0);
}
