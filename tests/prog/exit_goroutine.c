// SPDX-License-Identifier: BSD-3-Clause
// exit_goroutine.c: exit from a goroutine that is not main: flushes and runs atexit, too.

#include <stdio.h>
#include <stdlib.h>

#include "rt0.h"

static void
farewell(void)
{
	puts("farewell");
}

static void
leave(void *arg)
{
	(void)arg;
	printf("leaving, ");
	exit(5);
}

int
main(void)
{
	atexit(farewell);
	rt0_go(leave, NULL);
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
