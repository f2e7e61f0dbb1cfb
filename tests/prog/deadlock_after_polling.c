// SPDX-License-Identifier: BSD-3-Clause
// deadlock_after_polling.c: a goroutine that waits for a descriptor is not dead; when it has gone, and
// its far deadline with it, the others are.

#include <stdio.h>

#include "rt0.h"
#include "rt0/io.h"

static rt0_fd *p[2];

static void
reader(void *arg)
{
	char b[8];
	long r = rt0_fd_read(p[0], b, sizeof b);
	(void)arg;
	printf("read %ld\n", r);
	r = rt0_fd_read(p[0], b, sizeof b);
	printf("closed %d\n", r < 0);
	fflush(stdout);
}

int
main(void)
{
	if (rt0_pipe(p) < 0)
		return 1;
	rt0_fd_set_deadline(p[0], rt0_nanotime() + 3600000000000);
	rt0_go(reader, NULL);
	rt0_sleep(30000000);
	rt0_fd_write(p[1], "abc", 3);
	rt0_sleep(1000000);
	rt0_fd_close(p[0]);
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
