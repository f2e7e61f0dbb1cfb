// SPDX-License-Identifier: BSD-3-Clause
// init_self.c: a task that depends on itself is the shortest cycle.

#include <stdio.h>

#include "rt0.h"

RT0_INIT(narcissus, "narcissus")
{
	puts("a task ran");
}

int
main(void)
{
	puts("main ran");
	return 0;
}
