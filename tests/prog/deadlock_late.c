// SPDX-License-Identifier: BSD-3-Clause
// deadlock_late.c: a thread sleeps in netpoll for a timer or a descriptor; they go, and nobody is left who
// could ready anybody: a deadlock, though that thread would sleep on.
//
//   timer   stopped by main, an hour before its time
//   poller  closed by main, under a goroutine that reads from it

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rt0.h"
#include "rt0/io.h"

static void
nap(void)
{
	struct timespec ts = {0, 50000000};
	RT0_BLOCKING(nanosleep(&ts, NULL));
}

static void
waits(void *timer)
{
	rt0_chan_recv(((rt0_timer *)timer)->c, NULL);
}

static void
reads(void *fd)
{
	char c;
	if (rt0_fd_read(fd, &c, 1) < 0)
		puts("closed");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "poller") == 0) {
		rt0_fd *p[2];
		if (rt0_pipe(p) != 0)
			return 1;
		rt0_go(reads, p[0]);
		nap();
		rt0_fd_close(p[0]);
	} else {
		rt0_timer *t = rt0_timer_new(RT0_HOUR);
		rt0_go(waits, t);
		nap();
		rt0_timer_stop(t);
	}
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
