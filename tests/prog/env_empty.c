// SPDX-License-Identifier: BSD-3-Clause
// env_empty.c: an empty environment.

#include "../harness/launch.h"
#include "rt0.h"

int
main(int argc, char **argv)
{
	if (argc < 2) {
		char *args[] = {argv[0], "again", NULL}, *none[] = {NULL};
		launch_self(args, none);
		return 1;
	}
	if (rt0_getenv("PATH") != NULL || rt0_getenv("") != NULL)
		return 1;
	rt0_printf("%d processors\n", rt0_gomaxprocs(0) > 0 ? 1 : 0);
	return 0;
}
