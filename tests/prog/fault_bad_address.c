// SPDX-License-Identifier: BSD-3-Clause
// fault_bad_address.c: a load from an address that is not near null.

#include "rt0.h"

int
main(void)
{
	volatile int *p = (int *)0xdeadbeef000;
	rt0_printf("%d\n", *p); // here
	return 0;
}
