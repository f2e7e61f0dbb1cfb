// SPDX-License-Identifier: BSD-3-Clause
// main_return_kills.c: the return of main ends the program whatever the others do: wait, sit in
// a system call, or spin.

#include <time.h>

#include "rt0.h"

static int spinning;

static void
waits(void *c)
{
	rt0_chan_recv(c, NULL);
}

static void
sleeps(void *arg)
{
	(void)arg;
	struct timespec ts = {3600, 0};
	RT0_BLOCKING(nanosleep(&ts, NULL));
}

static void
spins(void *arg)
{
	(void)arg;
	__atomic_store_n(&spinning, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("pause");
}

int
main(void)
{
	rt0_gomaxprocs(4);
	rt0_go(waits, rt0_chan_make(0, 0));
	rt0_go(sleeps, NULL);
	rt0_go(spins, NULL);
	while (!__atomic_load_n(&spinning, __ATOMIC_SEQ_CST))
		rt0_gosched();
	return 0;
}
