// SPDX-License-Identifier: BSD-3-Clause
// test_initask.c: order of init tasks, what is reported, and the lines of inittrace.
#include <stdlib.h>
#include <sys/wait.h>

#include "../../src/runtime.h"
#include "../harness/child.h"

// ---- tasks of this file that run at boot, as any program's do ----

static char booted[16];
static uint64_t bootgoid;

RT0_INIT(test_initask_third, "test_initask_first", "test_initask_second")
{
	strcat(booted, "3");
}

RT0_INIT(test_initask_second, "test_initask_first")
{
	strcat(booted, "2");
}

RT0_INIT(test_initask_first)
{
	strcat(booted, "1");
	bootgoid = getg()->goid;
}

TEST(initask_run_before_main_dependencies_first)
{
	CHECK_STREQ(booted, "123");
	CHECK_EQ(bootgoid, 1);
	runtime_doinit();
	CHECK_STREQ(booted, "123");
}

// ---- tasks that register later, as a plugin's do ----

static char ran[4096];

#define TASK(n)                                                                                    \
	static void f##n(void)                                                                     \
	{                                                                                          \
		strcat(ran, #n);                                                                   \
	}
TASK(a)
TASK(b)
TASK(c)
TASK(d)
TASK(e)

// add registers task name, which needs what deps names ("b c").
static struct rt0_inittask *
add(const char *name, const char *file, void (*fn)(void), const char *deps)
{
	struct rt0_inittask *t = calloc(1, sizeof *t);
	const char **list = calloc(16, sizeof *list);
	int n = 1;
	char *save, *copy = strdup(deps);
	for (char *d = strtok_r(copy, " ", &save); d != NULL; d = strtok_r(NULL, " ", &save))
		list[n++] = d;
	t->name = name;
	t->file = file;
	t->fn = fn;
	t->deps = list;
	rt0_register_init(t);
	return t;
}

static void
wantprefix(const char *text, const char *want)
{
	if (strncmp(text, want, strlen(want)) != 0)
		test_fail("stderr begins with:\n%s\nwant:\n%s\n", text, want);
}

TEST(initask_registration_order_when_free)
{
	add("a", "a.c", fa, "");
	add("b", "a.c", fb, "");
	add("c", "a.c", fc, "");
	runtime_doinit();
	CHECK_STREQ(ran, "abc");
	add("d", "b.c", fd, "a e c");
	add("e", "c.c", fe, "b");
	runtime_doinit();
	CHECK_STREQ(ran, "abced");
}

TEST(initask_diamond_runs_each_once)
{
	add("a", "a.c", fa, "b c");
	add("b", "b.c", fb, "d");
	add("c", "c.c", fc, "d");
	struct rt0_inittask *d = add("d", "d.c", fd, "");
	CHECK(runtime_checkinit(false));
	CHECK_STREQ(ran, "");
	CHECK_EQ(d->state, 0);
	runtime_doinit();
	CHECK_STREQ(ran, "dbca");
	CHECK_EQ(d->state, 2);
}

static void
nested(void)
{
	strcat(ran, "(");
	add("b", "b.c", fb, "c");
	add("c", "b.c", fc, "");
	runtime_doinit();
	strcat(ran, ")");
}

TEST(initask_task_may_load_more)
{
	add("a", "a.c", nested, "");
	add("d", "a.c", fd, "a");
	runtime_doinit();
	CHECK_STREQ(ran, "(cb)d");
}

static void
skewed(void)
{
	add("b", "b.c", fb, "a");
	runtime_doinit();
}

static void
skew(void)
{
	add("a", "a.c", skewed, "");
	runtime_doinit();
}

TEST(initask_newcomer_that_needs_a_running_task_throws)
{
	char text[8192];
	CHECK_EQ(child(skew, text, sizeof text), 2);
	wantprefix(text, "fatal error: recursive call during initialization - linker skew\n");
}

static void
die(void)
{
	test_fail("a task ran\n");
}

static void
faults(void)
{
	add("a", "a.c", die, "b");
	add("b", "b.c", die, "c nosuch");
	add("c", "c.c", die, "a");
	add("d", "d.c", die, "d");
	add("e", "e.c", die, "neither");
	add("e", "f.c", die, "");
	add("free", "g.c", die, "");
	runtime_doinit();
}

TEST(initask_all_faults_are_listed_before_anything_runs)
{
	char text[8192];
	CHECK_EQ(child(faults, text, sizeof text), 2);
	wantprefix(text,
	    "rt0: init task e is defined twice (e.c, f.c)\n"
	    "rt0: init task cycle: a -> b -> c -> a (a.c, b.c, c.c)\n"
	    "rt0: init task b (b.c) needs nosuch, which does not exist\n"
	    "rt0: init task cycle: d -> d (d.c)\n"
	    "rt0: init task e (e.c) needs neither, which does not exist\n"
	    "fatal error: init tasks cannot be ordered\n");
}

static int count;

static void
counted(void)
{
	count++;
}

// A chain of 20000, registered in the wrong direction: neither recursion nor quadratic time.
TEST(initask_long_chain)
{
	enum { N = 20000 };
	static char names[N + 1][12];
	for (int i = 0; i <= N; i++)
		snprintf(names[i], sizeof names[i], "chain%d", i);
	for (int i = N - 1; i >= 0; i--)
		add(names[i], "chain.c", counted, i > 0 ? names[i - 1] : "");
	runtime_doinit();
	CHECK_EQ(count, N);
}

// ---- inittrace ----

static void
lines(void)
{
	static const int64_t ns[] = {
	    0, 999, 1000, 70000, 99999, 100000, 999999, 1100000, 9999999, 10000000, 1234567890};
	runtime_runtimeInitTime = 1000;
	for (size_t i = 0; i < NELEM(ns); i++)
		runtime_inittraceline("pkg", 1000 + ns[i], 1000 + 2 * ns[i], 16 * i, i);
}

TEST(initask_inittrace_lines_are_gos)
{
	char text[2048];
	CHECK_EQ(child(lines, text, sizeof text), 0);
	CHECK_STREQ(text,
	    "init pkg @0 ms, 0 ms clock, 0 bytes, 0 allocs\n"
	    "init pkg @0 ms, 0 ms clock, 16 bytes, 1 allocs\n"
	    "init pkg @0.001 ms, 0.001 ms clock, 32 bytes, 2 allocs\n"
	    "init pkg @0.070 ms, 0.070 ms clock, 48 bytes, 3 allocs\n"
	    "init pkg @0.099 ms, 0.099 ms clock, 64 bytes, 4 allocs\n"
	    "init pkg @0.10 ms, 0.10 ms clock, 80 bytes, 5 allocs\n"
	    "init pkg @0.99 ms, 0.99 ms clock, 96 bytes, 6 allocs\n"
	    "init pkg @1.1 ms, 1.1 ms clock, 112 bytes, 7 allocs\n"
	    "init pkg @9.9 ms, 9.9 ms clock, 128 bytes, 8 allocs\n"
	    "init pkg @10 ms, 10 ms clock, 144 bytes, 9 allocs\n"
	    "init pkg @1234 ms, 1234 ms clock, 160 bytes, 10 allocs\n");
}

static void
allocates(void)
{
	rt0_alloc(64, 0);
	rt0_alloc(64, 0);
}

static void
traced(void)
{
	add("allocates", "a.c", allocates, "");
	debug.inittrace = 1;
	runtime_doinit();
}

TEST(initask_inittrace_counts_allocations)
{
	char text[2048];
	unsigned long bytes, allocs;
	double at, clock;
	CHECK_EQ(child(traced, text, sizeof text), 0);
	CHECK_EQ(sscanf(text, "init allocates @%lf ms, %lf ms clock, %lu bytes, %lu allocs\n", &at,
		     &clock, &bytes, &allocs),
	    4);
	CHECK_EQ(bytes, 128);
	CHECK_EQ(allocs, 2);
}
