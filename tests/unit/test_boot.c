// SPDX-License-Identifier: BSD-3-Clause
// test_boot.c: the boot's order, read back from the boot trace of a child; the cgroup's CPU limit, from files
// made here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

int32_t runtime_cgroupcpus(const char *procfile, const char *root, int32_t ncpu);

// The contract's order of schedinit and what is around it.
static const char *const order[] = {
    "check", "args", "osinit", "lockinit", "worldStopped", "ticks", "moduledataverify", "stackinit", "randinit",
    "mallocinit", "godebug", "cpuinit", "alginit", "mcommoninit", "modulesinit", "typelinksinit", "itabsinit",
    "stkobjinit", "sigsave", "goargs", "goenvs", "secure", "checkfds", "parsedebugvars", "gcinit", "gcrash",
    "procresize", "worldStarted", "newproc", "mstart", "runtime_main", "doinit", "main",
};

TEST(boot_steps_come_in_the_order_of_the_contract)
{
	char exe[512], line[256];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	CHECK(n > 0);
	exe[n] = 0;
	char cmd[700];
	snprintf(cmd, sizeof cmd, "GODEBUG=boottrace=1 '%s' --help 2>&1 </dev/null", exe);
	FILE *f = popen(cmd, "r");
	CHECK(f != NULL);
	size_t at = 0;
	while (at < sizeof order / sizeof order[0] && fgets(line, sizeof line, f) != NULL) {
		// The step is the last word of a line; "schedinit/lockinit" and "lockinit" name the same.
		char *end = line + strcspn(line, "\n");
		*end = 0;
		char *word = strrchr(line, ' ');
		word = word != NULL ? word + 1 : line;
		char *slash = strrchr(word, '/');
		if (strcmp(slash != NULL ? slash + 1 : word, order[at]) == 0)
			at++;
	}
	while (fgets(line, sizeof line, f) != NULL)
		;
	pclose(f);
	CHECK_STREQ(at < sizeof order / sizeof order[0] ? order[at] : "all", "all");
}

static void
put(const char *dir, const char *name, const char *text)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	for (char *s = path + strlen(dir) + 1; (s = strchr(s, '/')) != NULL; s++) {
		*s = 0;
		mkdir(path, 0700);
		*s = '/';
	}
	FILE *f = fopen(path, "w");
	CHECK(f != NULL);
	fputs(text, f);
	fclose(f);
}

static int
limit(const char *dir)
{
	char proc[600];
	snprintf(proc, sizeof proc, "%s/self", dir);
	return runtime_cgroupcpus(proc, dir, 16);
}

TEST(cgroup_limits_of_both_versions_are_respected)
{
	char dir[] = "/tmp/rt0-cgroup-XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	CHECK_EQ(limit(dir), 16); // no such file
	put(dir, "self", "0::/a/b\n");
	CHECK_EQ(limit(dir), 16);
	put(dir, "a/b/cpu.max", "max 100000\n");
	CHECK_EQ(limit(dir), 16);
	put(dir, "a/b/cpu.max", "250000 100000\n");
	CHECK_EQ(limit(dir), 3); // 2.5, rounded up
	put(dir, "a/cpu.max", "150000 100000\n");
	CHECK_EQ(limit(dir), 2); // the parent is tighter
	put(dir, "cpu.max", "1000 100000\n");
	CHECK_EQ(limit(dir), 1); // never below one
	put(dir, "self", "5:memory:/m\n4:cpu,cpuacct:/g\n0::/\n");
	put(dir, "cpu.max", "max 100000\n");
	put(dir, "cpu/g/cpu.cfs_quota_us", "400000\n");
	put(dir, "cpu/g/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(limit(dir), 4);
	put(dir, "cpu/g/cpu.cfs_quota_us", "-1\n");
	CHECK_EQ(limit(dir), 16);
	put(dir, "self", "nonsense\n:::\n0::\n\n0:cpu\n");
	CHECK_EQ(limit(dir), 16);
	put(dir, "cpu.max", "99999999999999999999 x\n");
	put(dir, "self", "0::/\n");
	CHECK_EQ(limit(dir), 16);
	char cmd[64];
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	CHECK_EQ(system(cmd), 0);
}

TEST(huge_page_size_is_a_power_of_two_or_unknown)
{
	size_t n = runtime_hugepagesize();
	CHECK_EQ(n & (n - 1), 0);
	CHECK_EQ(runtime_hugepagesize(), n);
}
