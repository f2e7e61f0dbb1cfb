// SPDX-License-Identifier: BSD-3-Clause
// plugin/plugin.c: a plugin with an init task that depends on one of the host's.

#include <stdio.h>

#include "rt0.h"

static int started;

RT0_INIT(plugin, "host")
{
	printf("plugin: started on goroutine 1 of %d\n", rt0_num_goroutine());
	started = 1;
}

__attribute__((visibility("default"))) void plugin_greet(const char *who);

void
plugin_greet(const char *who)
{
	printf("plugin: greets %s%s\n", who, started ? "" : ", but was never started");
}
