// SPDX-License-Identifier: BSD-3-Clause
// deadlock_init.c: an init task that waits for ever keeps main from starting.

#include "rt0.h"

RT0_INIT(stuck)
{
	rt0_chan_recv(NULL, NULL);
}

int
main(void)
{
	rt0_printf("main ran\n");
	return 0;
}
