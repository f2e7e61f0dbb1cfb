// SPDX-License-Identifier: BSD-3-Clause
// sanity.c: a bit of everything that the scheduler does, to be run under settings that change
// how it does it: 40,000 parked goroutines, a tree, blocking calls, locked threads, and
// GOMAXPROCS changing meanwhile.

#include <stdio.h>
#include <time.h>

#include "rt0.h"

enum { PARKED = 40000, DEPTH = 10, SLEEPERS = 30 };

static rt0_chan *gate;
static rt0_waitgroup parked, others;
static long leaves, naps;

static void
park(void *arg)
{
	(void)arg;
	rt0_chan_recv(gate, NULL);
	rt0_waitgroup_done(&parked);
}

static void
tree(void *depth)
{
	if (depth == NULL) {
		__atomic_add_fetch(&leaves, 1, __ATOMIC_SEQ_CST);
	} else {
		rt0_waitgroup_add(&others, 2);
		rt0_go(tree, (char *)depth - 1);
		rt0_go(tree, (char *)depth - 1);
	}
	rt0_waitgroup_done(&others);
}

static void
nap(void *locked)
{
	if (locked != NULL)
		rt0_lock_os_thread();
	for (int i = 0; i < 5; i++) {
		RT0_BLOCKING(nanosleep(&(struct timespec){0, 100000}, NULL));
		__atomic_add_fetch(&naps, 1, __ATOMIC_SEQ_CST);
		rt0_gosched();
	}
	rt0_waitgroup_done(&others);
}

int
main(void)
{
	int parkers = PARKED;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	parkers = 1000;
#endif
	gate = rt0_chan_make(0, 0);
	rt0_waitgroup_add(&parked, parkers);
	for (int i = 0; i < parkers; i++)
		rt0_go(park, NULL);
	rt0_waitgroup_add(&others, 1 + SLEEPERS);
	rt0_go(tree, (char *)(intptr_t)DEPTH);
	for (int i = 0; i < SLEEPERS; i++)
		rt0_go(nap, i % 3 == 0 ? &parked : NULL);
	int procs = rt0_gomaxprocs(0);
	for (int i = 0; i < 20; i++)
		rt0_gomaxprocs(1 + i % 4);
	rt0_gomaxprocs(procs);
	rt0_waitgroup_wait(&others);
	rt0_chan_close(gate);
	rt0_waitgroup_wait(&parked);
	printf("%ld leaves, %ld naps\n", leaves, naps);
	return 0;
}
