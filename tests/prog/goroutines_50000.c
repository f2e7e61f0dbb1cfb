// SPDX-License-Identifier: BSD-3-Clause
// goroutines_50000.c: 50,000 goroutines wait at once, twice over, whether guards of stacks are page
// table markers or, as on kernels that have none (GODEBUG=guardoff=1), mappings of their own, of
// which vm.max_map_count allows 65,530. That number of stacks must not use them up: the program
// needs mappings for its memory and its threads, too.

#include "rt0.h"

enum {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	WAITING = 1000,
#else
	WAITING = 50000,
#endif
	BLOCK = 4 << 20,
};

static rt0_chan *gate;
static rt0_waitgroup started, done;

static void
waiter(void *arg)
{
	(void)arg;
	rt0_waitgroup_done(&started);
	rt0_chan_recv(gate, NULL);
	rt0_waitgroup_done(&done);
}

static void
locked(void *arg)
{
	(void)arg;
	rt0_lock_os_thread();
	rt0_gosched();
	rt0_waitgroup_done(&done);
}

int
main(void)
{
	for (int round = 0; round < 2; round++) {
		gate = rt0_chan_make(0, 0);
		rt0_waitgroup_add(&started, WAITING);
		rt0_waitgroup_add(&done, WAITING + 8);
		for (int i = 0; i < WAITING; i++)
			rt0_go(waiter, NULL);
		rt0_waitgroup_wait(&started);
		for (int i = 0; i < 8; i++) {
			char *p = rt0_alloc(BLOCK, 0);
			p[0] = p[BLOCK - 1] = 1;
			rt0_go(locked, NULL);
		}
		rt0_chan_close(gate);
		rt0_waitgroup_wait(&done);
		rt0_chan_free(gate);
	}
	rt0_printf("all have gone\n");
	return 0;
}
