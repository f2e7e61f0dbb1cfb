// SPDX-License-Identifier: BSD-3-Clause
// init/config.c: the task that both tasks of main.c depend on. It starts a goroutine and waits
// for it: init tasks run on goroutine 1 with the scheduler up.

#include "config.h"

#include <stdio.h>

#include "rt0.h"

int config_level;

static void
read_config(void *done)
{
	config_level = 3;
	rt0_chan_close(done);
}

RT0_INIT(config)
{
	rt0_chan *done = rt0_chan_make(0, 0);
	rt0_go(read_config, done);
	rt0_chan_recv(done, NULL);
	puts("config: read");
}
