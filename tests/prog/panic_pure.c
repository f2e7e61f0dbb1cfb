// SPDX-License-Identifier: BSD-3-Clause
// panic_pure.c: what panic.c does, without a libc.

#include "rt0.h"

__attribute__((noinline)) static void
inner(int n)
{
	if (n == 3)
		rt0_panic("it broke"); // here
	rt0_printf("not reached\n");
}

__attribute__((noinline)) static void
outer(int n)
{
	inner(n + 1); // called
	rt0_printf("not reached\n");
}

int
main(void)
{
	outer(2); // begun
	return 0;
}
