// SPDX-License-Identifier: BSD-3-Clause
// thread_limit.c: more threads than rt0_set_max_threads allows.

#include <unistd.h>

#include "rt0.h"

static int fds[2];

static void
blocked(void *arg)
{
	(void)arg;
	char c;
	RT0_BLOCKING(read(fds[0], &c, 1));
}

int
main(void)
{
	if (pipe(fds) != 0 || rt0_set_max_threads(0) >= 0 || rt0_set_max_threads(10) != 10000)
		return 1;
	for (int i = 0; i < 50; i++)
		rt0_go(blocked, NULL);
	for (;;)
		rt0_gosched();
}
