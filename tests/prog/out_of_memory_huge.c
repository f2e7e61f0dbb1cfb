// SPDX-License-Identifier: BSD-3-Clause
// out_of_memory_huge.c: more than the address space holds.

#include "rt0.h"

int
main(void)
{
	rt0_alloc((size_t)1 << 60, 0);
	return 0;
}
