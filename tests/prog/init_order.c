// SPDX-License-Identifier: BSD-3-Clause
// init_order.c: tasks run once each, dependencies first, on goroutine 1, before main; tasks
// without an order between them run as well.

#include <stdio.h>

#include "rt0.h"

RT0_INIT(roof, "walls")
{
	printf("roof\n");
}

RT0_INIT(door, "walls", "floor")
{
	printf("door, %d goroutine\n", rt0_num_goroutine());
}

RT0_INIT(walls, "floor")
{
	printf("walls\n");
}

RT0_INIT(floor)
{
	printf("floor\n");
}

int
main(void)
{
	printf("main\n");
	return 0;
}
