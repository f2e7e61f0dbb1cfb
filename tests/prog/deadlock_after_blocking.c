// SPDX-License-Identifier: BSD-3-Clause
// deadlock_after_blocking.c: while a goroutine is in a system call there is no deadlock; when
// it comes back and ends there is one.

#include <stdio.h>
#include <time.h>

#include "rt0.h"

static void
sleeper(void *arg)
{
	(void)arg;
	struct timespec ts = {0, 30000000};
	RT0_BLOCKING(nanosleep(&ts, NULL));
	puts("slept");
	fflush(stdout);
}

int
main(void)
{
	rt0_go(sleeper, NULL);
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
