// SPDX-License-Identifier: BSD-3-Clause
// init/main.c: init tasks in two files. The order of the files on the command line does not
// matter, only what each task says it needs.
//
//     $ rt0 run examples/init/main.c examples/init/config.c
//     config: read
//     log: open, level 3
//     server: listening
//     main: everything is ready
//
// GODEBUG=inittrace=1 prints what each task cost.

#include <stdio.h>

#include "config.h"
#include "rt0.h"

RT0_INIT(server, "config", "log")
{
	puts("server: listening");
}

RT0_INIT(log, "config")
{
	printf("log: open, level %d\n", config_level);
}

int
main(void)
{
	puts("main: everything is ready");
	return 0;
}
