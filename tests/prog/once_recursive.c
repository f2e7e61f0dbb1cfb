// SPDX-License-Identifier: BSD-3-Clause
// once_recursive.c: rt0_once_do from within its own function waits for itself.

#include "rt0.h"

static rt0_once once;

static void
again(void *arg)
{
	rt0_once_do(&once, again, arg);
	rt0_printf("no\n");
}

int
main(void)
{
	rt0_once_do(&once, again, NULL);
	return 0;
}
