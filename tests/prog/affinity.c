// SPDX-License-Identifier: BSD-3-Clause
// affinity.c: a process that may use one CPU only has one.

#define _GNU_SOURCE
#include <sched.h>

#include "../harness/launch.h"
#include "rt0.h"

int
main(int argc, char **argv)
{
	if (argc < 2) {
		cpu_set_t set;
		if (sched_getaffinity(0, sizeof set, &set) != 0)
			return 1;
		for (int i = 0, kept = 0; i < CPU_SETSIZE; i++) {
			if (CPU_ISSET(i, &set) && kept++ > 0)
				CPU_CLR(i, &set);
		}
		// Of this thread; the others end with the exec, which keeps the caller's.
		if (sched_setaffinity(0, sizeof set, &set) != 0)
			return 1;
		char *args[] = {argv[0], "again", NULL}, *none[] = {NULL};
		launch_self(args, none);
		return 1;
	}
	rt0_printf("%d CPU, %d processor\n", rt0_num_cpu(), rt0_gomaxprocs(0));
	return 0;
}
