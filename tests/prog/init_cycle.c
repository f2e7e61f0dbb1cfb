// SPDX-License-Identifier: BSD-3-Clause
// init_cycle.c: tasks that wait for each other; none has run when the error comes.

#include <stdio.h>

#include "rt0.h"

RT0_INIT(apart)
{
	puts("a task ran");
}

RT0_INIT(chicken, "farm", "egg")
{
	puts("a task ran");
}

RT0_INIT(egg, "hen")
{
	puts("a task ran");
}

RT0_INIT(hen, "chicken")
{
	puts("a task ran");
}

RT0_INIT(farm)
{
	puts("a task ran");
}

int
main(void)
{
	puts("main ran");
	return 0;
}
