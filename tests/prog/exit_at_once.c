// SPDX-License-Identifier: BSD-3-Clause
// exit_at_once.c: rt0_exit ends the process as it stands: nothing is flushed, no atexit.

#include <stdio.h>
#include <stdlib.h>

#include "rt0.h"

static void
farewell(void)
{
	puts("farewell");
}

int
main(int argc, char **argv)
{
	atexit(farewell);
	printf("lost");
	rt0_printf("seen\n");
	rt0_exit(argc > 1 ? atoi(argv[1]) : 0);
}
