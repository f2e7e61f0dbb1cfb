// SPDX-License-Identifier: BSD-3-Clause
// library_timers.c: rt0_stop while timers are set that start goroutines, at the moment they come due. Either the
// goroutine was there and rt0_stop says so, or nothing runs until the next rt0_start, and then it comes.

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "rt0.h"

#define get(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

enum { ROUNDS = 200, SPREAD = 8 };

static int fired, ended;
static int written;
static int p[2]; // who is started waits for a byte, in a call

static void
comes(void *arg)
{
	char c;
	__atomic_add_fetch(&fired, 1, __ATOMIC_SEQ_CST);
	if (RT0_BLOCKING(read(p[0], &c, 1)) != 1)
		rt0_fatal("cannot read");
	__atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
	(void)arg;
}

static void
arm(void *arg)
{
	int64_t ns = (intptr_t)arg;
	for (int i = 0; i < SPREAD; i++)
		rt0_after_func(ns + i * 3000, comes, NULL);
}

int
main(void)
{
	if (pipe(p) != 0)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		if (rt0_start(0, NULL) != 0)
			return 1;
		rt0_run(arm, (void *)(intptr_t)(i % 40 * 3000));
		int r;
		while ((r = rt0_stop()) == -EBUSY) {
			// One by one: there are moments with timers and without a goroutine.
			for (; written < get(&fired); written++)
				if (write(p[1], "x", 1) != 1)
					return 1;
		}
		int then = get(&fired);
		if (r != 0 || then != get(&ended)) {
			printf("round %d: stopped (%d) with %d started and %d ended\n", i, r, then, get(&ended));
			return 1;
		}
		usleep(i % 16 == 0 ? 2000 : 50);
		if (get(&fired) != then) {
			puts("a timer has fired while the runtime was stopped");
			return 1;
		}
	}
	for (; written < ROUNDS * SPREAD; written++)
		if (write(p[1], "x", 1) != 1)
			return 1;
	if (rt0_start(0, NULL) != 0)
		return 1;
	while (get(&ended) != ROUNDS * SPREAD) // nobody calls in: they come by themselves
		usleep(1000);
	while (rt0_stop() == -EBUSY)
		usleep(100);
	puts("all came");
	return 0;
}
