// SPDX-License-Identifier: BSD-3-Clause
// plugin.c: a shared object with init tasks of its own, which depend on the host's and on each
// other: they run when it is opened, on the caller, once. PLUGIN compiles the object.

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rt0.h"

#ifdef PLUGIN

__attribute__((visibility("default"))) int plugin_runs;

static void
reply(void *c)
{
	rt0_chan_close(c);
}

RT0_INIT(upper, "lower", "host")
{
	printf("upper\n");
	plugin_runs++;
}

RT0_INIT(lower)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	rt0_go(reply, c);
	rt0_chan_recv(c, NULL);
	printf("lower\n");
	plugin_runs++;
}

#else

RT0_INIT(host)
{
	printf("host\n");
}

static void
open_twice(void *arg)
{
	char path[4096];
	void *handle = NULL;
	snprintf(path, sizeof path, "%s.so", (char *)arg);
	for (int i = 0; i < 2; i++) {
		int err = rt0_plugin_open(path, &handle);
		int *runs = err == 0 ? dlsym(handle, "plugin_runs") : NULL;
		printf("opened: %d, runs %d\n", err, runs == NULL ? -1 : *runs);
	}
}

int
main(int argc, char **argv)
{
	(void)argc;
	void *handle;
	printf("missing: %d\n", rt0_plugin_open("/does/not/exist.so", &handle) == -ENOENT);
	open_twice(argv[0]);
	return 0;
}

#endif
