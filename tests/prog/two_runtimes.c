// SPDX-License-Identifier: BSD-3-Clause
// two_runtimes.c: a second copy of the runtime in a process is refused, with both files named.
//
//   start    a program linked with librt0.a, which runs, and librt0.so opened beside it
//   dlopen   two files with librt0.so in them, opened by a program that has none (HOST): one runs
//            at a time
//   plugin   a hosted program opens a plugin that was linked with a librt0.a of its own, and one
//            that needs librt0.so (PLUGIN)
//   boot     a shared object has started a runtime of its own before main (EARLY)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../harness/check.h"
#include "rt0.h"

#ifdef PLUGIN

RT0_INIT(of_the_plugin)
{
	puts("a task of the plugin ran");
}

// What makes the linker take the runtime in.
__attribute__((visibility("default"))) int
plugin_start(void)
{
	return rt0_start(0, NULL);
}

#elif defined EARLY

__attribute__((constructor)) static void
early(void)
{
	CHECK(rt0_start(0, NULL) == 0);
	puts("early: started");
	fflush(stdout);
}

#else

struct copy {
	int (*start)(int, char **), (*stop)(void);
};

static __attribute__((unused)) struct copy
load(const char *path)
{
	struct copy c;
	void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (h == NULL)
		puts(dlerror());
	CHECK(h != NULL);
	*(void **)&c.start = dlsym(h, "rt0_start");
	*(void **)&c.stop = dlsym(h, "rt0_stop");
	CHECK(c.start != NULL && c.stop != NULL);
	return c;
}

static __attribute__((unused)) char *
beside(const char *argv0, const char *suffix)
{
	char *s;
	CHECK(asprintf(&s, "%s%s", argv0, suffix) > 0);
	return s;
}

#ifdef HOST

int
main(int argc, char **argv)
{
	(void)argc;
	struct copy a = load(beside(argv[0], ".a.so")), b = load(beside(argv[0], ".b.so"));
	for (int i = 0; i < 3; i++) {
		CHECK(a.start(0, NULL) == 0);
		CHECK(b.start(0, NULL) == -EEXIST);
		CHECK(b.stop() == -ENOTCONN);
		CHECK(a.start(0, NULL) == -EALREADY);
		CHECK(a.stop() == 0);
		CHECK(b.start(0, NULL) == 0);
		CHECK(a.start(0, NULL) == -EEXIST);
		CHECK(b.stop() == 0);
	}
	puts("one at a time");
	return 0;
}

#elif defined START

int
main(void)
{
	struct copy other = load(LIB);
	CHECK(other.start != rt0_start);
	CHECK(rt0_start(0, NULL) == 0);
	CHECK(other.start(0, NULL) == -EEXIST);
	CHECK(rt0_stop() == 0);
	CHECK(other.start(0, NULL) == 0);
	CHECK(rt0_start(0, NULL) == -EEXIST);
	CHECK(other.stop() == 0);
	puts("one at a time");
	return 0;
}

#else

int
main(int argc, char **argv)
{
	void *handle = NULL;
	CHECK(argc == 2);
	if (strcmp(argv[1], "host") == 0) {
		char *host = beside(argv[0], ".host");
		execl(host, host, (char *)NULL);
		return 1;
	}
	CHECK(rt0_plugin_open(beside(argv[0], ".own.so"), &handle) == -EEXIST);
	CHECK(rt0_plugin_open(beside(argv[0], ".needs.so"), &handle) == -EEXIST);
	CHECK(rt0_plugin_open(beside(argv[0], ".plain.so"), &handle) == 0);
	puts("refused");
	return 0;
}

#endif
#endif
