// SPDX-License-Identifier: BSD-3-Clause
// init_missing.c: a task that depends on a name nobody defines.

#include <stdio.h>

#include "rt0.h"

RT0_INIT(first)
{
	puts("a task ran");
}

RT0_INIT(second, "first", "nowhere")
{
	puts("a task ran");
}

int
main(void)
{
	puts("main ran");
	return 0;
}
