// SPDX-License-Identifier: BSD-3-Clause
// test_env.c: settings from the environment: Go's grammar, and what nonsense does.
#include <stdlib.h>
#include <sys/wait.h>

#include "../../src/runtime.h"
#include "../harness/child.h"

// setenvs makes one string the whole environment, as the runtime sees it.
static void
setenvs(char *a)
{
	static char *env[2];
	env[0] = a;
	runtime_envp = env;
}

TEST(env_atoi_takes_numbers_only)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} c[] = {
	    {"0", true, 0},
	    {"7", true, 7},
	    {"-3", true, -3},
	    {"007", true, 7},
	    {"-0", true, 0},
	    {"9223372036854775807", true, INT64_MAX},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775809", false, 0},
	    {"99999999999999999999999", false, 0},
	    {"", false, 0},
	    {"-", false, 0},
	    {"+1", false, 0},
	    {"1 ", false, 0},
	    {" 1", false, 0},
	    {"0x10", false, 0},
	    {"1e3", false, 0},
	    {"--1", false, 0},
	};
	for (size_t i = 0; i < NELEM(c); i++) {
		int64_t v = 0;
		CHECK_EQ(runtime_atoi(c[i].text, strlen(c[i].text), &v), c[i].ok);
		CHECK_EQ(v, c[i].value);
	}
}

TEST(env_bytecount_follows_gomemlimit_grammar)
{
	static const struct {
		const char *text;
		int64_t value; // -1: malformed
	} c[] = {
	    {"0", 0},
	    {"1", 1},
	    {"1B", 1},
	    {"123456789", 123456789},
	    {"10KiB", 10 << 10},
	    {"10MiB", 10 << 20},
	    {"3GiB", 3ll << 30},
	    {"2TiB", 2ll << 40},
	    {"0TiB", 0},
	    {"-0", 0},
	    {"8388607TiB", 8388607ll << 40},
	    {"8388608TiB", -1},
	    {"9223372036854775807", INT64_MAX},
	    {"9223372036854775807B", INT64_MAX},
	    {"9223372036854775808", -1},
	    {"xyz", -1},
	    {"", -1},
	    {"B", -1},
	    {"iB", -1},
	    {"KiB", -1},
	    {"1iB", -1},
	    {"1KB", -1},
	    {"1K", -1},
	    {"1kiB", -1},
	    {"1PiB", -1},
	    {"-1", -1},
	    {"-1KiB", -1},
	    {"1.5GiB", -1},
	    {"1 GiB", -1},
	    {"1GiBB", -1},
	    {"10Mi", -1},
	    {"1BB", -1},
	};
	for (size_t i = 0; i < NELEM(c); i++) {
		int64_t v = -1;
		CHECK_EQ(runtime_parsebytecount(c[i].text, &v), c[i].value >= 0);
		CHECK_EQ(v, c[i].value);
	}
}

TEST(env_getenv_finds_whole_names)
{
	static char *env[] = {
	    "PATHX=1", "PATH=/bin", "PATH=/usr", "EMPTY=", "NOEQUALS", "A=b=c", NULL};
	runtime_envp = env;
	CHECK_STREQ(rt0_getenv("PATH"), "/bin");
	CHECK_STREQ(rt0_getenv("EMPTY"), "");
	CHECK_STREQ(rt0_getenv("A"), "b=c");
	CHECK_STREQ(rt0_getenv("NOEQUALS"), NULL);
	CHECK_STREQ(rt0_getenv("PAT"), NULL);
}

TEST(env_is_found_behind_argv)
{
	static char *args[] = {"prog", "arg", NULL, "HOME=/root", "X=y", NULL};
	static char *none[] = {NULL, "X=z", NULL};
	runtime_envp = NULL;
	runtime_argv = args;
	runtime_argc = 2;
	CHECK_STREQ(rt0_getenv("X"), "y");
	CHECK_STREQ(rt0_getenv("HOME"), "/root");
	runtime_argv = none;
	runtime_argc = 0;
	CHECK_STREQ(rt0_getenv("X"), "z");
	// Library mode with nothing: no argv, no environment, no crash.
	runtime_argv = NULL;
	CHECK_STREQ(rt0_getenv("X"), NULL);
	runtime_goargs();
	runtime_goenvs();
	CHECK(runtime_argv != NULL && runtime_argv[0] == NULL);
	CHECK_STREQ(rt0_getenv("X"), NULL);
}

TEST(env_secure_program_gets_a_clean_environment)
{
	static char *env[] = {"A=1", "GODEBUG=boottrace=2", "GOTRACEBACK=crash", "B=2", NULL};
	bool all, crash;
	runtime_envp = env;
	sched.secure = true;
	runtime_goenvs();
	CHECK_STREQ(env[0], "A=1");
	CHECK_STREQ(env[1], "B=2");
	CHECK(env[2] == NULL);
	runtime_parsedebugvars();
	CHECK_EQ(runtime_gotraceback(&all, &crash), 0);
	CHECK(!all && !crash);
}

TEST(env_godebug_skips_nonsense_and_lets_the_last_win)
{
	debug = (struct debugvars){.failsys = -1, .stacksize = STACKDEFAULT};
	runtime_parsegodebug("nosuch=1,,=,schedtrace,schedtrace=abc,gctrace=1=2,=5,inittrace");
	CHECK_EQ(debug.schedtrace, 0);
	CHECK_EQ(debug.gctrace, 0);
	CHECK_EQ(debug.inittrace, 0);
	runtime_parsegodebug("schedtrace=100,scheddetail=1,schedtrace=200,inittrace=1,boottrace=2,"
			     "asyncpreemptoff=1,seed=-7,tracebackancestors=5,gctrace=1");
	CHECK_EQ(debug.schedtrace, 200);
	CHECK_EQ(debug.scheddetail, 1);
	CHECK_EQ(debug.inittrace, 1);
	CHECK_EQ(debug.boottrace, 2);
	CHECK_EQ(debug.asyncpreemptoff, 1);
	CHECK_EQ(debug.seed, -7);
	CHECK_EQ(debug.tracebackancestors, 5);
	CHECK_EQ(debug.gctrace, 1);
	runtime_parsegodebug("seed=4294967296");
	CHECK_EQ(debug.seed, -7);
	runtime_parsegodebug("");
	runtime_parsegodebug(",");
}

static void
oddstack(void)
{
	runtime_parsegodebug("stacksize=5");
	_exit(debug.stacksize == STACKDEFAULT ? 7 : 1);
}

TEST(env_godebug_stacksize_is_checked)
{
	char text[512];
	CHECK_EQ(debug.stacksize, STACKDEFAULT);
	runtime_parsegodebug("stacksize=1000000");
	CHECK_EQ(debug.stacksize, 1000000);
	CHECK_EQ(child(oddstack, text, sizeof text), 7);
	CHECK_STREQ(
	    text, "rt0: GODEBUG=stacksize=5: not from 16384 to 1000000000 bytes; using 262144\n");
}

static void
oddsys(void)
{
	runtime_parsegodebug("failsys=nosuch:1");
}

TEST(env_godebug_failsys_in_debug_builds_only)
{
	char text[512];
	debug = (struct debugvars){.failsys = -1, .stacksize = STACKDEFAULT};
	runtime_parsegodebug("failsys=mmap:3");
	CHECK_EQ(debug.failsys, RT0_DEBUG ? 9 : -1);
	CHECK_EQ(debug.failcount, RT0_DEBUG ? 3 : 0);
	runtime_parsegodebug("failsys=read:1");
	CHECK_EQ(debug.failsys, RT0_DEBUG ? 0 : -1);
	runtime_parsegodebug("failsys=59:2");
	CHECK_EQ(debug.failsys, RT0_DEBUG ? 59 : -1);
	runtime_parsegodebug("failsys=mmap,failsys=mmap:,failsys=mmap:0,failsys=mmap:x,failsys=:1");
	CHECK_EQ(debug.failsys, RT0_DEBUG ? 59 : -1);
	CHECK_EQ(child(oddsys, text, sizeof text), 0);
	CHECK_STREQ(
	    text, RT0_DEBUG ? "rt0: GODEBUG=failsys=nosuch:1: no such system call is made\n" : "");
}

TEST(env_gotraceback_levels)
{
	static const struct {
		const char *text;
		int level;
		bool all, crash;
	} c[] = {
	    {NULL, 1, false, false},
	    {"", 1, false, false},
	    {"single", 1, false, false},
	    {"none", 0, false, false},
	    {"all", 1, true, false},
	    {"system", 2, true, false},
	    {"crash", 2, true, true},
	    {"0", 0, true, false},
	    {"1", 1, true, false},
	    {"2", 2, true, false},
	    {"nosuch", 0, true, false},
	    {"-1", 0, true, false},
	};
	struct m *mp = getg()->m;
	bool all, crash;
	for (size_t i = 0; i < NELEM(c); i++) {
		runtime_settraceback(c[i].text);
		CHECK_EQ(runtime_gotraceback(&all, &crash), c[i].level);
		CHECK_EQ(all, c[i].all);
		CHECK_EQ(crash, c[i].crash);
	}
	runtime_settraceback("none");
	mp->throwing = 1;
	CHECK_EQ(runtime_gotraceback(&all, &crash), 0);
	CHECK(all);
	mp->throwing = 2;
	CHECK_EQ(runtime_gotraceback(&all, &crash), 2);
	CHECK(all);
	mp->throwing = 0;
}

static void
procsabc(void)
{
	setenvs("GOMAXPROCS=abc");
	_exit(runtime_gomaxprocsenv(6));
}

static void
procsminus(void)
{
	setenvs("GOMAXPROCS=-3");
	_exit(runtime_gomaxprocsenv(6));
}

static void
procsmany(void)
{
	setenvs("GOMAXPROCS=99999999");
	_exit(runtime_gomaxprocsenv(6) == MAXPROCS ? 7 : 1);
}

TEST(env_gomaxprocs_is_clamped_and_says_so)
{
	char text[512];
	setenvs("OTHER=1");
	CHECK_EQ(runtime_gomaxprocsenv(6), 6);
	CHECK_EQ(runtime_gomaxprocsenv(4096), 1024);
	setenvs("GOMAXPROCS=");
	CHECK_EQ(runtime_gomaxprocsenv(6), 6);
	setenvs("GOMAXPROCS=1");
	CHECK_EQ(runtime_gomaxprocsenv(6), 1);
	setenvs("GOMAXPROCS=1024");
	CHECK_EQ(runtime_gomaxprocsenv(6), 1024);
	CHECK_EQ(child(procsabc, text, sizeof text), 6);
	CHECK_STREQ(text, "rt0: GOMAXPROCS=abc: not a number from 1 to 1024; using 6\n");
	CHECK_EQ(child(procsminus, text, sizeof text), 6);
	CHECK_STREQ(text, "rt0: GOMAXPROCS=-3: not a number from 1 to 1024; using 6\n");
	CHECK_EQ(child(procsmany, text, sizeof text), 7);
	CHECK_STREQ(text, "rt0: GOMAXPROCS=99999999: more than 1024; using 1024\n");
}

static void
oddgc(void)
{
	setenvs("GOGC=abc");
	runtime_gcinit();
	_exit(runtime_gogc);
}

static void
oddlimit(void)
{
	setenvs("GOMEMLIMIT=xyz");
	runtime_gcinit();
}

TEST(env_gogc_and_gomemlimit)
{
	static const char want[] = "GOMEMLIMIT=xyz\nfatal error: malformed GOMEMLIMIT; see `go doc "
				   "runtime/debug.SetMemoryLimit`\n";
	char text[8192];
	setenvs("GOGC=off");
	runtime_gcinit();
	CHECK_EQ(runtime_gogc, -1);
	CHECK_EQ(runtime_memlimit, INT64_MAX);
	setenvs("GOGC=50");
	runtime_gcinit();
	CHECK_EQ(runtime_gogc, 50);
	setenvs("GOGC=-5");
	runtime_gcinit();
	CHECK_EQ(runtime_gogc, -1);
	setenvs("GOMEMLIMIT=10MiB");
	runtime_gcinit();
	CHECK_EQ(runtime_gogc, 100);
	CHECK_EQ(runtime_memlimit, 10 << 20);
	setenvs("GOMEMLIMIT=off");
	runtime_gcinit();
	CHECK_EQ(runtime_memlimit, INT64_MAX);
	CHECK_EQ(child(oddgc, text, sizeof text), 100);
	CHECK_STREQ(text, "rt0: GOGC=abc: neither off nor a number of percent; using 100\n");
	CHECK_EQ(child(oddlimit, text, sizeof text), 2);
	CHECK(strncmp(text, want, strlen(want)) == 0);
}
