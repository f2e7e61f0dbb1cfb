// SPDX-License-Identifier: BSD-3-Clause
// overcommit_never.c: vm.overcommit_memory=2, under which every writable private mapping
// counts. The setting is the whole machine's, so the test runs only where RT0_TEST_OVERCOMMIT
// is set: RT0_TEST_OVERCOMMIT=1 make check T=overcommit. It puts the setting back whatever
// happens to the child.

#define _GNU_SOURCE
#include "../harness/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt0.h"

static const char path[] = "/proc/sys/vm/overcommit_memory";

static bool
write_setting(char v)
{
	FILE *f = fopen(path, "w");
	if (f == NULL)
		return false;
	bool ok = fputc(v, f) != EOF;
	return fclose(f) == 0 && ok;
}

static long
meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[200];
	long kib = -1;
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kib = atol(line + strlen(key));
	if (f != NULL)
		fclose(f);
	return kib;
}

static void
work(void *c)
{
	rt0_chan_send(c, &(int){1});
}

int
main(void)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 0);
	for (int i = 0; i < 1000; i++)
		rt0_go(work, c);
	for (int i = 0; i < 1000; i++)
		rt0_chan_recv(c, NULL);
	return 0;
}

__attribute__((constructor)) static void
set_and_try(int argc, char **argv)
{
	if (argc > 1)
		return;
	FILE *f = fopen(path, "r");
	int was = f == NULL ? EOF : fgetc(f);
	if (f != NULL)
		fclose(f);
	const char *why = getenv("RT0_TEST_OVERCOMMIT") == NULL ? "RT0_TEST_OVERCOMMIT is not set"
	    : was != '0' && was != '1'                          ? "another test has changed it"
	    : meminfo("CommitLimit:") < 2 * meminfo("Committed_AS:") + (2 << 20) ? "memory is short"
	    : !write_setting('2') ? "it cannot be written"
				  : NULL;
	if (why != NULL) {
		fprintf(stderr, "SKIP vm.overcommit_memory: %s\n", why);
		exit(77);
	}
	struct launch_result r;
	launch(&r, argv[0], "again", RLIM_INFINITY);
	if (!write_setting((char)was))
		puts("the setting could not be put back");
	printf("status %d\n%s", r.status, r.err);
	exit(0);
}
