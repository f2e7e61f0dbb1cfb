// SPDX-License-Identifier: BSD-3-Clause
// out_of_memory.c: RLIMIT_AS leaves 64 MiB; an allocation of a gigabyte cannot be had.

#include <stdlib.h>
#include <sys/resource.h>

#include "../harness/proc.h"
#include "rt0.h"

int
main(int argc, char **argv)
{
	size_t block = argc > 1 ? (size_t)atol(argv[1]) : 0;
	long pages = proc_pages(0);
	if (pages < 0)
		return 1;
	rlim_t bytes = (rlim_t)pages * 4096 + (64 << 20);
	struct rlimit lim = {bytes, bytes};
	if (setrlimit(RLIMIT_AS, &lim) != 0)
		return 1;
	// The runtime may have address space in reserve: 64 GiB in all is more than that.
	for (size_t had = 0; had < (size_t)64 << 30; had += block)
		rt0_alloc(block, RT0_NOSCAN);
	return 0;
}
