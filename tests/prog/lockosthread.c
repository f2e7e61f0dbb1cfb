// SPDX-License-Identifier: BSD-3-Clause
// lockosthread.c: a goroutine that ends while locked ends its thread; the main thread is parked.

#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "rt0.h"

static rt0_chan *done;

static void
locks(void *arg)
{
	(void)arg;
	rt0_lock_os_thread();
	rt0_chan_send(done, &(int){(int)syscall(SYS_gettid)});
}

static int
exists(int tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

int
main(void)
{
	int t[3];
	done = rt0_chan_make(sizeof(int), 0);
	for (int i = 0; i < 3; i++)
		rt0_go(locks, NULL);
	for (int i = 0; i < 3; i++)
		rt0_chan_recv(done, &t[i]);
	printf("distinct: %d\n", t[0] != t[1] && t[1] != t[2] && t[0] != t[2]);
	for (int i = 0; i < 3; i++) {
		struct timespec ms = {0, 1000000};
		while (t[i] != getpid() && exists(t[i])) // the time limit decides
			RT0_BLOCKING(nanosleep(&ms, NULL));
		printf("gone, or the main thread: %d\n", exists(t[i]) == (t[i] == getpid()));
	}
	fflush(stdout);
	rt0_chan_recv(done, NULL); // and nobody is left
	return 0;
}
