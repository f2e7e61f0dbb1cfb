// SPDX-License-Identifier: BSD-3-Clause
// cgroup_quota.c: a CPU quota of one CPU leaves one processor, whatever the machine has. Needs
// a cgroup that may be made: root, and a writable cgroup v2 or v1 tree.

#define _GNU_SOURCE
#include "../harness/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt0.h"
#include <sys/stat.h>
#include <sys/types.h>

static char dir[200];

static bool
put(const char *file, const char *text)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	int fd = open(path, O_WRONLY); // must be there: never make a plain file
	if (fd < 0)
		return false;
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

int
main(void)
{
	printf("%d processor\n", rt0_gomaxprocs(0));
	return 0;
}

__attribute__((constructor)) static void
make_group(int argc, char **argv)
{
	if (argc > 1)
		return;
	unsetenv("GOMAXPROCS"); // it would decide
	static const char *const roots[] = {
	    "/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};
	bool made = false;
	for (int i = 0; i < 3 && !made; i++) {
		snprintf(dir, sizeof dir, "%s/rt0-test-%d", roots[i], (int)getpid());
		if (mkdir(dir, 0755) != 0)
			continue;
		made = put("cpu.max", "100000 100000") ||
		    (put("cpu.cfs_period_us", "100000") && put("cpu.cfs_quota_us", "100000"));
		if (!made)
			rmdir(dir);
	}
	char self[20];
	snprintf(self, sizeof self, "%d", (int)getpid());
	if (made && !put("cgroup.procs", self)) {
		rmdir(dir);
		made = false;
	}
	if (!made) {
		fputs("SKIP no cgroup with a CPU quota can be made\n", stderr);
		exit(77);
	}
	struct launch_result r;
	launch(&r, argv[0], "again", RLIM_INFINITY);
	// Leave the group, so that it can be removed.
	char *slash = strrchr(dir, '/');
	char name[200];
	snprintf(name, sizeof name, "%s", dir);
	*slash = 0;
	put("cgroup.procs", self);
	rmdir(name);
	printf("status %d\n%s%s", r.status, r.out, r.err);
	exit(0);
}
