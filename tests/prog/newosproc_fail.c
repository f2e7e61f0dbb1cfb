// SPDX-License-Identifier: BSD-3-Clause
// newosproc_fail.c: the system refuses a new thread. RLIMIT_NPROC does not bind root, so root
// becomes nobody first.

#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
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
	struct rlimit lim = {1, 1};
	if (pipe(fds) != 0 || setrlimit(RLIMIT_NPROC, &lim) != 0 ||
	    (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)) {
		fputs("SKIP neither limits nor user can be changed\n", stderr);
		return 77;
	}
	for (int i = 0; i < 50; i++)
		rt0_go(blocked, NULL);
	for (;;)
		rt0_gosched();
}
