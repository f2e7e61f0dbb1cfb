// SPDX-License-Identifier: BSD-3-Clause
// go_nil_func.c: a goroutine of no function.

#include "rt0.h"

int
main(void)
{
	rt0_go(NULL, NULL); // here
	return 0;
}
