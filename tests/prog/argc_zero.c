// SPDX-License-Identifier: BSD-3-Clause
// argc_zero.c: started with no argument at all, not even a name, and no environment. Kernels
// from 5.18 on make one empty argument of that; older ones do not.

#include "../harness/launch.h"
#include "rt0.h"

int
main(int argc, char **argv)
{
	if (argc > 0 && argv[0][0] != 0) {
		char *none[] = {NULL};
		launch_self(none, none);
		return 1;
	}
	if (argv[argc] != NULL || rt0_getenv("PATH") != NULL)
		return 1;
	rt0_printf("up with nothing\n");
	return 0;
}
