// SPDX-License-Identifier: BSD-3-Clause
// exit_main.c: what main returns is the exit status; buffers are flushed, atexit runs.

#include <stdio.h>
#include <stdlib.h>

#include "rt0.h"

static void
farewell(void)
{
	printf("farewell");
}

static void
work(void *done)
{
	printf("worked\n");
	rt0_chan_close(done);
}

int
main(void)
{
	atexit(farewell);
	rt0_chan *done = rt0_chan_make(0, 0);
	rt0_go(work, done);
	rt0_chan_recv(done, NULL);
	printf("no newline, no flush; ");
	return 3;
}
