// SPDX-License-Identifier: BSD-3-Clause
// deadlock_goexit_last.c: main has left; the others go on, and the last one ends.

#include "rt0.h"

static void
last(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		rt0_gosched();
	rt0_printf("last goroutine done\n");
}

static void
first(void *arg)
{
	rt0_go(last, arg);
}

int
main(void)
{
	rt0_go(first, NULL);
	rt0_goexit();
}
