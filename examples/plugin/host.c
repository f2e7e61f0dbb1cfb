// SPDX-License-Identifier: BSD-3-Clause
// plugin/host.c: loads a shared object whose init tasks run on the caller before
// rt0_plugin_open returns. The plugin uses the host's runtime, so the host must export it.
//
//     $ rt0 build -shared -fPIC examples/plugin/plugin.c -o plugin.so
//     $ rt0 build examples/plugin/host.c -o host && ./host ./plugin.so
//     host: before
//     plugin: started on goroutine 1 of 1
//     plugin: greets host

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "rt0.h"

RT0_INIT(host)
{
	puts("host: before");
}

int
main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "./plugin.so";
	void *handle;
	int err = rt0_plugin_open(path, &handle);
	if (err != 0) {
		fprintf(stderr, "host: %s: %s\n", path, strerror(-err));
		return 1;
	}
	void (*greet)(const char *);
	*(void **)&greet = dlsym(handle, "plugin_greet");
	if (greet == NULL) {
		fprintf(stderr, "host: %s has no plugin_greet\n", path);
		return 1;
	}
	greet("host");
	return 0;
}
