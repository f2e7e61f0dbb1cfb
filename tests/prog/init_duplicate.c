// SPDX-License-Identifier: BSD-3-Clause
// init_duplicate.c: two tasks of one name, from two files.

#include <stdio.h>

#include "rt0.h"

RT0_INIT(twin)
{
	puts("a task ran");
}

#ifndef SECOND
int
main(void)
{
	puts("main ran");
	return 0;
}
#endif
