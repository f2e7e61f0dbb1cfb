// SPDX-License-Identifier: BSD-3-Clause
// rlimit_as.c: address space of 16 MiB to 64 GiB: each boots and works, or dies of it with a
// clear error and status 2; none hangs or crashes, and from 4 GiB up all work.

#define _GNU_SOURCE
#include "../harness/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt0.h"

static void
work(void *c)
{
	char *p = rt0_alloc(100000, 0);
	p[99999] = 1;
	rt0_chan_send(c, &(int){p[99999]});
}

int
main(void)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 0);
	int sum = 0, v;
	for (int i = 0; i < 100; i++)
		rt0_go(work, c);
	for (int i = 0; i < 100; i++) {
		rt0_chan_recv(c, &v);
		sum += v;
	}
	return sum == 100 ? 0 : 1;
}

// Before the runtime boots: this process only starts others, and judges them.
__attribute__((constructor)) static void
try_limits(int argc, char **argv)
{
	if (argc > 1)
		return;
	for (rlim_t mib = 16; mib <= 65536; mib *= 2) {
		struct launch_result r;
		launch(&r, argv[0], "again", mib << 20);
		bool clear = strstr(r.err, "out of memory") != NULL ||
		    strstr(r.err, "cannot allocate") != NULL ||
		    strstr(r.err, "cannot reserve") != NULL ||
		    strstr(r.err, "error while loading shared libraries") != NULL ||
		    strstr(r.err, "newosproc") != NULL;
		bool ok =
		    r.status == 0 || (mib < 4096 && clear && (r.status == 2 || r.status == 127));
		if (!ok) {
			printf("%lu MiB: status %d\n%s", (unsigned long)mib, r.status, r.err);
			exit(1);
		}
	}
	puts("all limits");
	exit(0);
}
