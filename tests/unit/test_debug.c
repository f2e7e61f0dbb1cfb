// SPDX-License-Identifier: BSD-3-Clause
// test_debug.c: rt0_callers, rt0_pc_symbol and rt0_stack; inlined functions, frames without frame
// pointers and signal frames.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

#define KEEP __attribute__((noinline, used))
#define INLINE static inline __attribute__((always_inline))

enum { MAXPCS = 64 };

static uintptr_t pcs[MAXPCS];
static volatile int npcs; // volatile: the compiler believes that raise calls nothing of ours
static rt0_symbol syms[MAXPCS][16];
static int nsyms[MAXPCS];

static void
symbolize(void)
{
	for (int i = 0; i < npcs; i++)
		nsyms[i] = rt0_pc_symbol(pcs[i], syms[i], 16);
}

// at is the place of the frame, from frame i on, whose innermost function is called name; -1: none.
static int
at(int i, const char *name)
{
	for (; i < npcs; i++)
		if (nsyms[i] > 0 && syms[i][0].func != NULL && strcmp(syms[i][0].func, name) == 0)
			return i;
	return -1;
}

KEEP static void
grab(int skip)
{
	npcs = rt0_callers(skip, pcs, MAXPCS);
	symbolize();
	__asm__ volatile("");
}

KEEP static void
outer(int skip)
{
	grab(skip);
	__asm__ volatile("");
}

TEST(debug_callers_begin_with_the_caller)
{
	outer(0);
	CHECK(npcs >= 4);
	CHECK_EQ(at(0, "grab"), 0);
	CHECK_EQ(at(0, "outer"), 1);
	CHECK_EQ(at(0, "debug_callers_begin_with_the_caller"), 2);
	int all = npcs;
	uintptr_t second = pcs[1];
	outer(1);
	CHECK_EQ(npcs, all - 1);
	CHECK_EQ(pcs[0], second);
	outer(1000);
	CHECK_EQ(npcs, 0);
	CHECK_EQ(rt0_callers(0, pcs, 0), 0);
	CHECK_EQ(rt0_callers(0, pcs, 2), 2);
	CHECK_EQ(rt0_callers(-5, pcs, 1), 1);
}

TEST(debug_symbol_of_nothing_is_none)
{
	rt0_symbol s = {"x", "y", 1, 1};
	CHECK_EQ(rt0_pc_symbol(0, &s, 1), 0);
	CHECK_EQ(rt0_pc_symbol(1, &s, 1), 0);
	CHECK_EQ(rt0_pc_symbol((uintptr_t)&s, &s, 1), 0);
	CHECK_EQ(rt0_pc_symbol(~(uintptr_t)0, &s, 1), 0);
	CHECK_STREQ(s.func, "x");
}

// ---- Inlined functions ----

enum { LINE_deepest = __LINE__ + 4 };
INLINE void
deepest(void)
{
	grab(1);
	__asm__ volatile("");
}

enum { LINE_middle = __LINE__ + 5 };
INLINE void
middle(int n)
{
	for (int i = 0; i < n; i++)
		deepest();
	__asm__ volatile("");
}

enum { LINE_around = __LINE__ + 4 };
KEEP static void
around(int n)
{
	middle(n);
	__asm__ volatile("");
}

TEST(debug_inlined_functions_are_told_apart)
{
	around(1);
	CHECK_EQ(nsyms[0], 3);
	CHECK_STREQ(syms[0][0].func, "deepest");
	CHECK_EQ(syms[0][0].line, LINE_deepest);
	CHECK_EQ(syms[0][0].entry, 0);
	CHECK_STREQ(syms[0][1].func, "middle");
	CHECK_EQ(syms[0][1].line, LINE_middle);
	CHECK_STREQ(syms[0][2].func, "around");
	CHECK_EQ(syms[0][2].line, LINE_around);
	CHECK_EQ(syms[0][2].entry, (uintptr_t)around);
	CHECK_STREQ(syms[0][0].file, syms[0][2].file);
	CHECK_STREQ(strrchr(syms[0][0].file, '/'), "/test_debug.c");
	// What does not fit is counted.
	rt0_symbol one;
	CHECK_EQ(rt0_pc_symbol(pcs[0], &one, 1), 3);
	CHECK_STREQ(one.func, "deepest");
	// The same again comes from the table of results.
	CHECK_EQ(rt0_pc_symbol(pcs[0], &one, 1), 3);
}

// ---- Code without frame pointers, and signals ----

static int
compare(const void *a, const void *b)
{
	if (npcs == 0)
		grab(0);
	return *(const int *)a - *(const int *)b;
}

KEEP static void
sorter(void)
{
	int v[] = {3, 1, 2};
	npcs = 0;
	qsort(v, 3, sizeof(v[0]), compare);
	__asm__ volatile("");
}

TEST(debug_callers_go_through_the_libc)
{
	sorter();
	int c = at(0, "compare"), s = at(0, "sorter");
	CHECK_EQ(c, 1);
	CHECK(s > c);
	CHECK(at(s, "debug_callers_go_through_the_libc") == s + 1);
}

static void
handler(int sig)
{
	(void)sig;
	grab(0);
	__asm__ volatile("");
}

KEEP static void
raiser(void)
{
	raise(SIGUSR1);
	__asm__ volatile("");
}

static void
onsignal(int flags)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};
	npcs = 0;
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	raiser();
	int h = at(0, "handler"), r = at(0, "raiser");
	CHECK_EQ(h, 1);
	CHECK(r > h);
	CHECK_EQ(at(r, "onsignal"), r + 1);
}

TEST(debug_callers_go_through_signal_frames)
{
	onsignal(0);
	onsignal(SA_ONSTACK);
}

// ---- rt0_stack ----

static char text[1 << 16];

KEEP static size_t
shown(size_t n, bool all)
{
	size_t k = rt0_stack(text, n, all);
	__asm__ volatile("");
	return k;
}

static void
waiter(void *c)
{
	rt0_chan_recv(c, NULL);
	__asm__ volatile("");
}

TEST(debug_stack_is_a_traceback)
{
	char again[256];
	size_t n = shown(sizeof(text), false);
	CHECK_EQ(n, strlen(text));
	CHECK(runtime_hasprefix(text, "goroutine 1 [running]:\nshown(...)\n\t"));
	CHECK(strstr(text, "\ndebug_stack_is_a_traceback(...)\n\t") != NULL);
	CHECK_EQ(text[n - 1], '\n');
	CHECK(strstr(text, "rt0_stack") == NULL);
	// Cut off where the buffer ends, which always holds a string.
	for (size_t k = 1; k < 100; k++) {
		memset(again, 'x', sizeof(again));
		CHECK_EQ(rt0_stack(again, k, false), k - 1);
		CHECK_EQ(strlen(again), k - 1);
		for (size_t i = k; i < sizeof(again); i++)
			CHECK_EQ(again[i], 'x');
		if (k <= strlen("goroutine 1 [running]:\n"))
			CHECK_EQ(strncmp(again, text, k - 1), 0);
	}
	CHECK_EQ(rt0_stack(NULL, 0, true), 0);
	// Before anything has been started, all is one.
	n = shown(sizeof(text), true);
	CHECK(strstr(text, "\n\ngoroutine") == NULL);
}

TEST(debug_stack_of_all_stops_the_world)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	for (int i = 0; i < 10; i++)
		rt0_go(waiter, c);
	int n = 0;
	while (n < 10) {
		rt0_gosched();
		shown(sizeof(text), true);
		n = 0;
		for (const char *p = text; (p = strstr(p, "[chan receive]:\nwaiter(...)\n")); p++)
			n++;
	}
	CHECK(runtime_hasprefix(text, "goroutine 1 [running]:\nshown(...)\n\t"));
	const char *p = strstr(text, "created by debug_stack_of_all_stops_the_world in goroutine 1\n\t");
	CHECK(p != NULL);
	rt0_chan_close(c);
}

static bool spinning; // atomic

KEEP static void
spin(void)
{
	while (atomic_loadrlx(&spinning)) {
	}
}

static void
spinner(void *arg)
{
	(void)arg;
	spin();
	__asm__ volatile("");
}

TEST(debug_stack_of_a_goroutine_that_is_stopped_anywhere)
{
	atomic_storerlx(&spinning, true);
	rt0_go(spinner, NULL);
	const char *p = NULL;
	while (p == NULL) {
		rt0_gosched();
		shown(sizeof(text), true);
		if ((p = strstr(text, "spin(...)\n\t")) != NULL)
			p = strstr(p, "spinner(...)\n\t");
	}
	CHECK(strstr(p, "created by debug_stack_of_a_goroutine_that_is_stopped_anywhere") != NULL);
	CHECK(strstr(text, "locked to thread") == NULL);
	atomic_storerlx(&spinning, false);
}

static void
stacker(void *arg)
{
	static char mine[4][4096];
	for (int i = 0; i < 100; i++)
		CHECK(rt0_stack(mine[*(int *)arg], sizeof(mine[0]), true) > 0);
}

static rt0_waitgroup wg;

static void
stacking(void *arg)
{
	stacker(arg);
	rt0_waitgroup_done(&wg);
}

TEST(debug_stacks_of_all_at_once_agree)
{
	static int id[4] = {0, 1, 2, 3};
	rt0_waitgroup_add(&wg, 4);
	for (int i = 0; i < 4; i++)
		rt0_go(stacking, &id[i]);
	rt0_waitgroup_wait(&wg);
}

TEST(debug_stack_in_a_system_call_is_its_own)
{
	rt0_go(waiter, rt0_chan_make(0, 0));
	rt0_entersyscall();
	size_t n = shown(sizeof(text), true);
	rt0_exitsyscall();
	CHECK(n > 0);
	CHECK(strstr(text, "\n\ngoroutine") == NULL);
}

KEEP static void
onsegment(void *arg)
{
	(void)arg;
	grab(0);
	__asm__ volatile("");
}

TEST(debug_callers_cross_to_the_stack_below)
{
	CHECK_EQ(rt0_morestack(onsegment, NULL, 64 << 10), 0);
	CHECK_EQ(at(0, "onsegment"), 1);
	CHECK(at(2, "debug_callers_cross_to_the_stack_below") > 2);
}

// ---- Headers ----

static struct g fake;
static struct m fakem;

static const char *
headerof(void)
{
	static char line[256];
	int p[2], old = dup(2);
	CHECK_EQ(pipe(p), 0);
	dup2(p[1], 2);
	runtime_goroutineheader(&fake);
	dup2(old, 2);
	ssize_t n = read(p[0], line, sizeof(line) - 1);
	line[n < 0 ? 0 : n] = 0;
	close(p[0]);
	close(p[1]);
	close(old);
	return line;
}

TEST(debug_header_of_each_state)
{
	static const struct {
		uint32_t status;
		const char *want;
	} states[] = {
	    {Gidle, "goroutine 7 [idle]:\n"},
	    {Grunnable, "goroutine 7 [runnable]:\n"},
	    {Grunning, "goroutine 7 [running]:\n"},
	    {Gsyscall, "goroutine 7 [syscall, 5 minutes]:\n"},
	    {Gwaiting, "goroutine 7 [select (no cases), 5 minutes]:\n"},
	    {Gpreempted, "goroutine 7 [preempted]:\n"},
	    {Gcopystack, "goroutine 7 [copystack]:\n"},
	    {Gwaiting | Gscan, "goroutine 7 [select (no cases) (scan), 5 minutes]:\n"},
	    {77, "goroutine 7 [???]:\n"},
	};
	fake.goid = 7;
	fake.waitreason = waitReasonSelectNoCases;
	fake.waitsince = runtime_nanotime() - 5 * 60 * SEC - SEC;
	for (size_t i = 0; i < NELEM(states); i++) {
		fake.atomicstatus = states[i].status;
		CHECK_STREQ(headerof(), states[i].want);
	}
	fake.atomicstatus = Gwaiting;
	fake.waitsince = runtime_nanotime() - 59 * SEC;
	CHECK_STREQ(headerof(), "goroutine 7 [select (no cases)]:\n");
	// Bound to a thread by preemption only: the program has locked nothing.
	fake.lockedm = &fakem;
	CHECK_STREQ(headerof(), "goroutine 7 [select (no cases)]:\n");
	fakem.lockedext = 1;
	CHECK_STREQ(headerof(), "goroutine 7 [select (no cases), locked to thread]:\n");
	fakem.lockedext = 0;
	fakem.lockedint = 1;
	fake.atomicstatus = Gsyscall;
	fake.waitsince = 0;
	CHECK_STREQ(headerof(), "goroutine 7 [syscall, locked to thread]:\n");
}
