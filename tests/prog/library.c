// SPDX-License-Identifier: BSD-3-Clause
// library.c: the runtime inside a program with a main of its own: the errors, the rounds of
// start and stop, the threads that are gone afterwards.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../harness/check.h"
#include "../harness/proc.h"
#include "rt0.h"

#ifdef __SANITIZE_THREAD__ // has a thread of its own
#define SANITIZERS 1
#else
#define SANITIZERS 0
#endif

static int inits;

RT0_INIT(once)
{
	inits++;
}

static void
set_flag(void *flag)
{
	*(int *)flag = 1;
}

static void
wait_for_close(void *c)
{
	rt0_chan_recv(c, NULL);
}

static rt0_chan *gate;

static void
leave_one_waiting(void *arg)
{
	(void)arg;
	gate = rt0_chan_make(0, 0);
	rt0_go(wait_for_close, gate);
}

// On some rounds one of these ends the runtime's first thread, which must not keep rt0_stop waiting.
static void
end_locked(void *arg)
{
	(void)arg;
	rt0_lock_os_thread();
}

static void
end_threads(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		rt0_go(end_locked, NULL);
		rt0_gosched();
	}
}

static int
round_trip(void)
{
	CHECK(rt0_start(0, NULL) == 0);
	CHECK(rt0_start(0, NULL) == -EALREADY);
	int flag = 0;
	CHECK(rt0_run(set_flag, &flag) == 0 && flag == 1);
	CHECK(rt0_run(end_threads, NULL) == 0);
	CHECK(rt0_run(leave_one_waiting, NULL) == 0);
	CHECK(rt0_stop() == -EBUSY);
	rt0_chan_close(gate);
	int err;
	while ((err = rt0_stop()) == -EBUSY)
		nanosleep(&(struct timespec){0, 100000}, NULL);
	CHECK(err == 0);
	return 0;
}

int
main(void)
{
	CHECK(rt0_run(set_flag, NULL) == -ENOTCONN);
	CHECK(rt0_stop() == -ENOTCONN);
	CHECK(proc_threads() == 1);
	for (int i = 0; i < 20; i++) {
		if (round_trip() != 0)
			return 1;
		// A thread that has been told to end takes a moment to leave the list.
		for (int k = 0; proc_threads() > 1 + SANITIZERS; k++) {
			CHECK(k < 50000);
			nanosleep(&(struct timespec){0, 100000}, NULL);
		}
	}
	CHECK(inits == 1);
	puts("20 rounds");
	return 0;
}
