// SPDX-License-Identifier: BSD-3-Clause
// plugin_cycle.c: a plugin whose tasks wait for each other: the host dies when it opens it,
// before any of them ran.

#include <stdio.h>

#include "rt0.h"

#ifdef PLUGIN

RT0_INIT(left, "right")
{
	puts("a task ran");
}

RT0_INIT(right, "left")
{
	puts("a task ran");
}

#else

int
main(int argc, char **argv)
{
	(void)argc;
	char path[4096];
	void *handle;
	snprintf(path, sizeof path, "%s.so", argv[0]);
	return rt0_plugin_open(path, &handle) == 0 ? 0 : 1;
}

#endif
