// SPDX-License-Identifier: BSD-3-Clause
// panic_main_returns.c: main returns while another goroutine reports its panic: the report is
// printed to its end, and the status is the panic's.

#include "../harness/launch.h"
#include "rt0.h"

static int begun;

static void
waits(void *c)
{
	rt0_chan_recv(c, NULL);
}

static void
panics(void *arg)
{
	(void)arg;
	__atomic_store_n(&begun, 1, __ATOMIC_SEQ_CST);
	rt0_panic("too late?");
}

int
main(void)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	for (int i = 0; i < 1000; i++)
		rt0_go(waits, c);
	rt0_go(panics, NULL);
	while (__atomic_load_n(&begun, __ATOMIC_SEQ_CST) == 0)
		rt0_gosched();
	long ts[2] = {0, 1000000};
	RT0_BLOCKING(launch_sys(SYS_nanosleep, (long)ts, 0, 0, 0));
	return 0;
}
