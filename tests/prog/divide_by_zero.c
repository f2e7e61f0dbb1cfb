// SPDX-License-Identifier: BSD-3-Clause
// divide_by_zero.c: an integer division by zero.

#include "rt0.h"

int
main(void)
{
	volatile int one = 1, zero = 0;
	rt0_printf("%d\n", one / zero); // here
	return 0;
}
