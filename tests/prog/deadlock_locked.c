// SPDX-License-Identifier: BSD-3-Clause
// deadlock_locked.c: goroutines that are locked to their threads are found asleep as well.

#include "rt0.h"

static void
stuck(void *c)
{
	rt0_lock_os_thread();
	rt0_chan_recv(c, NULL);
	rt0_unlock_os_thread();
}

int
main(void)
{
	rt0_lock_os_thread();
	rt0_chan *c = rt0_chan_make(0, 0);
	rt0_go(stuck, c);
	rt0_chan_recv(c, NULL); // here
	return 0;
}
