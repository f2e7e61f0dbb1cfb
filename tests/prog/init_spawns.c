// SPDX-License-Identifier: BSD-3-Clause
// init_spawns.c: init code may start goroutines, wait for them, and leave some running; what it
// starts sees the tasks before it done.

#include "rt0.h"

static int ready;
static rt0_chan *work, *answers;

RT0_INIT(ready)
{
	ready = 7;
}

static void
server(void *arg)
{
	(void)arg;
	int v;
	RT0_RANGE (work, v) {
		v *= ready;
		rt0_chan_send(answers, &v);
	}
	rt0_chan_close(answers);
}

RT0_INIT(server, "ready")
{
	work = rt0_chan_make(sizeof(int), 0);
	answers = rt0_chan_make(sizeof(int), 0);
	rt0_go(server, NULL);
	int v = 1;
	rt0_chan_send(work, &v);
	rt0_chan_recv(answers, &v);
	rt0_printf("init got %d\n", v);
}

int
main(void)
{
	int v = 6;
	rt0_chan_send(work, &v);
	rt0_chan_recv(answers, &v);
	rt0_printf("main got %d\n", v);
	return 0;
}
