// SPDX-License-Identifier: BSD-3-Clause
// test_panic.c: defer, panic, recover, Goexit, try. Faults that are panics are in test_fault.c.
//
// What an unrecovered panic prints is in tests/prog; callee-saved registers at every optimisation
// level in tests/panic.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

#define KEEP __attribute__((noinline, used))
// A function that faults on purpose.
#define FAULTS KEEP __attribute__((no_sanitize("undefined")))

static int trace[256], ntrace;
static volatile bool yes = true; // a way to return that the compiler must believe in

static void
note(void *n)
{
	trace[ntrace++ % 256] = (int)(intptr_t)n;
}

static void *
num(intptr_t n)
{
	return (void *)n;
}

static bool
traced(int n, const int *want)
{
	bool same = n == ntrace && memcmp(trace, want, (size_t)n * sizeof *want) == 0;
	ntrace = 0;
	return same;
}
#define TRACED(...) traced((int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})

static void
catch(void *v)
{
	if (rt0_recover(v))
		rt0_recover_result(-1);
}

static const char *
text(const rt0_value *v)
{
	static char buf[200];
	rt0_value_text(v, buf, sizeof buf);
	return buf;
}

// ---- defer ----

KEEP static int
blocks(int how)
{
	RT0_DEFER(note, num(1));
	for (int i = 0; i < 3; i++) {
		RT0_DEFER(note, num(10 + i));
		if (how == 1 && i == 1)
			break;
		if (how == 2 && i == 1)
			return 5;
		if (how == 3 && i == 1)
			goto out;
		if (how == 4)
			continue;
	}
	note(num(2));
out:
	return 6;
}

TEST(defer_runs_when_its_block_is_left)
{
	CHECK_EQ(blocks(0), 6);
	CHECK(TRACED(10, 11, 12, 2, 1));
	blocks(1);
	CHECK(TRACED(10, 11, 2, 1));
	CHECK_EQ(blocks(2), 5);
	CHECK(TRACED(10, 11, 1));
	blocks(3);
	CHECK(TRACED(10, 11, 1));
	blocks(4);
	CHECK(TRACED(10, 11, 12, 2, 1));
	CHECK(getg()->defer == NULL);
}

KEEP static int
manycalls(int n, bool panics)
{
	RT0_DEFER_FRAME;
	rt0_value v;
	rt0_defer(catch, &v);
	for (intptr_t i = 0; i < n; i++)
		rt0_defer(note, num(i));
	if (panics)
		rt0_panic("many");
	return RT0_RESULT(1);
}

TEST(defer_frame_holds_any_number_of_calls)
{
	static const int sizes[] = {0, 1, 3, 4, 5, 65, 66, 67, 200, 1000};
	for (size_t i = 0; i < NELEM(sizes); i++) {
		for (int panics = 0; panics < 2; panics++) {
			ntrace = 0;
			CHECK_EQ(manycalls(sizes[i], panics), panics ? -1 : 1);
			CHECK_EQ(ntrace, sizes[i]);
			CHECK(sizes[i] == 0 || sizes[i] > 256 || trace[0] == sizes[i] - 1);
			CHECK(getg()->defer == NULL);
		}
	}
}

static void *
thread(void *arg)
{
	for (int i = 0; i < 3; i++) {
		RT0_DEFER(note, num(7));
		RT0_DEFER_FRAME;
		for (intptr_t k = 0; k < 70; k++)
			rt0_defer(note, num(k));
	}
	return arg;
}

TEST(defer_on_a_thread_without_goroutine_runs)
{
	pthread_t th;
	CHECK_EQ(pthread_create(&th, NULL, thread, NULL), 0);
	RT0_BLOCKING(pthread_join(th, NULL));
	CHECK_EQ(ntrace, 3 * 71);
	CHECK(trace[0] == 69 && trace[70] == 7);
}

// ---- recover ----

KEEP static int
recovers(rt0_value *v, int how)
{
	RT0_DEFER(note, num(1));
	RT0_DEFER(catch, v);
	RT0_DEFER(note, num(2));
	if (how == 1)
		RT0_PANIC(42);
	if (how == 2)
		rt0_panic("text");
	note(num(3));
	return RT0_RESULT(9);
}

TEST(recover_returns_from_the_deferring_function)
{
	rt0_value v = {0};
	CHECK_EQ(recovers(&v, 0), 9);
	CHECK(TRACED(3, 2, 1));
	CHECK_EQ(v.kind, RT0_NIL);
	CHECK_EQ(recovers(&v, 1), -1);
	CHECK(TRACED(2, 1));
	CHECK(v.kind == RT0_INT && v.v.i == 42);
	CHECK_EQ(recovers(&v, 2), -1);
	CHECK_STREQ(text(&v), "text");
	CHECK(getg()->defer == NULL && getg()->panic == NULL && getg()->npanics == 0);
}

static void
catchfloat(void *v)
{
	if (rt0_recover(v))
		rt0_recover_result_float(2.5);
}

KEEP static double
returnsfloat(rt0_value *v)
{
	RT0_DEFER(catchfloat, v);
	if (yes)
		RT0_PANIC(v);
	return RT0_RESULT(0.0);
}

KEEP static void
alwayspanics(rt0_value *v)
{
	RT0_DEFER(catch, v);
	rt0_panic("always");
}

FAULTS static void
loopsforever(rt0_value *v)
{
	RT0_DEFER(catch, v);
	for (volatile int i = 0;; i++)
		if (i == 10)
			*(volatile int *volatile)NULL = 1;
}

TEST(recover_result_may_be_a_float)
{
	rt0_value v;
	CHECK(returnsfloat(&v) == 2.5);
	CHECK(v.kind == RT0_POINTER && v.v.p == &v);
}

TEST(recover_from_functions_that_never_return)
{
	rt0_value v;
	alwayspanics(&v);
	CHECK_STREQ(text(&v), "always");
	if (!RT0_ASAN && !RT0_TSAN) {
		loopsforever(&v);
		CHECK_EQ(v.code, RT0_ERR_NIL);
	}
}

static bool indirect, twice, outside;

KEEP static bool
helper(void)
{
	bool r = rt0_recover(NULL);
	__asm__ volatile("");
	return r;
}

static void
innernormal(void *r)
{
	*(bool *)r = rt0_recover(NULL);
}

KEEP static void
normalexit(bool *r)
{
	RT0_DEFER(innernormal, r);
}

static void
rules(void *arg)
{
	(void)arg;
	RT0_DEFER(note, num(4));
	indirect = helper();
	normalexit(&outside);
	CHECK(rt0_recover(NULL));
	twice = rt0_recover(NULL);
}

KEEP static int
byrules(void)
{
	RT0_DEFER(rules, NULL);
	if (yes)
		rt0_panic("rules");
	return RT0_RESULT(0);
}

TEST(recover_only_by_the_deferred_function_itself)
{
	CHECK(!rt0_recover(NULL));
	byrules();
	CHECK(!indirect && !twice && !outside);
	CHECK(!rt0_recover(NULL));
	CHECK(TRACED(4));
}

static void
panicagain(void *s)
{
	rt0_panic(s);
}

KEEP static int
newest(rt0_value *v)
{
	RT0_DEFER(catch, v);
	RT0_DEFER(panicagain, "third");
	RT0_DEFER(panicagain, "second");
	if (yes)
		rt0_panic("first");
	return RT0_RESULT(0);
}

static void
inside(void *arg)
{
	rt0_value v;
	(void)arg;
	alwayspanics(&v);
	note(num(strcmp(v.v.s, "always")));
}

KEEP static int
oldgoeson(rt0_value *v)
{
	RT0_DEFER(catch, v);
	RT0_DEFER(inside, NULL);
	if (yes)
		rt0_panic("outer");
	return RT0_RESULT(0);
}

static void
catchpanic(void *v)
{
	CHECK(rt0_recover(v));
	rt0_panic("from the recovering call");
}

KEEP static int
recoverpanics(rt0_value *v, rt0_value *v2)
{
	RT0_DEFER(catch, v2);
	RT0_DEFER(catchpanic, v);
	if (yes)
		rt0_panic("first");
	return RT0_RESULT(0);
}

KEEP static int
restpanics(rt0_value *v, rt0_value *v2)
{
	RT0_DEFER(catch, v2);
	RT0_DEFER(panicagain, "rest");
	RT0_DEFER(catch, v);
	if (yes)
		rt0_panic("first");
	return RT0_RESULT(0);
}

TEST(panic_in_a_deferred_call)
{
	rt0_value v, v2;
	CHECK_EQ(newest(&v), -1);
	CHECK_STREQ(text(&v), "third");
	CHECK_EQ(oldgoeson(&v), -1);
	CHECK_STREQ(text(&v), "outer");
	CHECK(TRACED(0));
	CHECK_EQ(recoverpanics(&v, &v2), -1);
	CHECK_STREQ(text(&v), "first");
	CHECK_STREQ(text(&v2), "from the recovering call");
	CHECK_EQ(restpanics(&v, &v2), -1);
	CHECK_STREQ(text(&v), "first");
	CHECK_STREQ(text(&v2), "rest");
	CHECK(getg()->defer == NULL && getg()->panic == NULL && getg()->npanics == 0);
}

static int
compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	rt0_panic("compared");
}

KEEP static int
sorts(rt0_value *v)
{
	int x[4] = {3, 1, 2, 0};
	RT0_DEFER(catch, v);
	qsort(x, 4, sizeof x[0], compare);
	return RT0_RESULT(1);
}

TEST(recover_from_a_callback_of_the_libc)
{
	rt0_value v;
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(sorts(&v), -1);
		CHECK_STREQ(text(&v), "compared");
	}
}

// ---- other stacks ----

static void
deepsegment(void *n)
{
	char pad[2000];
	__asm__ volatile("" : : "r"(pad) : "memory");
	if (n != NULL)
		rt0_morestack(deepsegment, (char *)n - 1, 32 << 10);
	rt0_panic("deep");
}

KEEP static int
onsegments(rt0_value *v, intptr_t n)
{
	RT0_DEFER(catch, v);
	rt0_morestack(deepsegment, num(n), 32 << 10);
	return RT0_RESULT(1);
}

static void
innersegment(void *arg)
{
	rt0_value v;
	(void)arg;
	struct stack s = getg()->segment;
	CHECK_EQ(onsegments(&v, 2), -1);
	CHECK_EQ(getg()->segment.lo, s.lo);
}

TEST(recover_frees_the_segments_it_leaves)
{
	rt0_value v;
	uint64_t before = 0;
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(onsegments(&v, i % 4), -1);
		CHECK_EQ(getg()->segment.lo, 0);
		CHECK(rt0_try(innersegment, NULL, NULL));
		CHECK_EQ(rt0_morestack(innersegment, NULL, 64 << 10), 0);
		if (i == 100)
			before = memstats.stacks_sys;
	}
	CHECK_EQ(memstats.stacks_sys, before);
}

// ---- try ----

static void
tried(void *how)
{
	rt0_value v;
	RT0_DEFER(note, num(1));
	switch ((intptr_t)how) {
	case 1: RT0_PANIC(1.5);
	case 2: rt0_morestack(deepsegment, NULL, 32 << 10); break;
	case 3: CHECK(!rt0_try(tried, num(1), &v)); RT0_PANIC(v);
	}
}

TEST(try_gives_the_value)
{
	rt0_value v = {0};
	CHECK(rt0_try(tried, num(0), &v));
	CHECK(TRACED(1));
	CHECK(!rt0_try(tried, num(1), &v));
	CHECK(v.kind == RT0_FLOAT && v.v.f == 1.5);
	CHECK(!rt0_try(tried, num(2), &v));
	CHECK_STREQ(text(&v), "deep");
	CHECK(!rt0_try(tried, num(3), &v));
	CHECK(v.kind == RT0_FLOAT);
	CHECK(getg()->defer == NULL && getg()->panic == NULL && getg()->segment.lo == 0);
}

// ---- Goexit ----

static rt0_waitgroup wg;
static bool came;

static void
norecover(void *arg)
{
	(void)arg;
	CHECK(!rt0_recover(NULL));
	note(num(1));
}

static void
goexits(void *arg)
{
	(void)arg;
	rt0_goexit();
}

static void
done(void *arg)
{
	(void)arg;
	rt0_waitgroup_done(&wg);
}

static void
exiting(void *how)
{
	RT0_DEFER(done, NULL);
	RT0_DEFER(note, num(9));
	rt0_value v = {0};
	switch ((intptr_t)how) {
	case 0: { // plain
		RT0_DEFER(norecover, NULL);
		rt0_goexit();
	}
	case 1: { // a panic of a deferred call, recovered by one that is older than the Goexit
		RT0_DEFER(catch, &v);
		RT0_DEFER(panicagain, "during Goexit");
		rt0_goexit();
	}
	case 2: { // recovered inside the deferred call
		RT0_DEFER(inside, NULL);
		rt0_goexit();
	}
	case 3: { // Goexit in a deferred call of a panic: the panic is forgotten
		RT0_DEFER(norecover, NULL);
		RT0_DEFER(goexits, NULL);
		rt0_panic("forgotten");
	}
	case 4: // Goexit passes a try
		rt0_try(goexits, NULL, NULL);
		break;
	case 5: { // twice
		RT0_DEFER(goexits, NULL);
		rt0_goexit();
	}
	}
	came = true;
}

static void
runexit(int how)
{
	rt0_waitgroup_add(&wg, 1);
	rt0_go(exiting, num(how));
	rt0_waitgroup_wait(&wg);
	while (rt0_num_goroutine() > 1)
		rt0_gosched();
	CHECK(!came);
}

TEST(goexit_runs_deferred_calls)
{
	runexit(0);
	CHECK(TRACED(1, 9));
	runexit(1);
	CHECK(TRACED(9));
	runexit(2);
	CHECK(TRACED(0, 9));
	runexit(3);
	CHECK(TRACED(1, 9));
	runexit(4);
	CHECK(TRACED(9));
	runexit(5);
	CHECK(TRACED(9));
}

// ---- values ----

static size_t
pointtext(const void *p, char *buf, size_t n)
{
	const int *xy = p;
	return (size_t)snprintf(buf, n, "point(%d, %d)", xy[0], xy[1]);
}

TEST(value_texts_are_those_of_go)
{
	static const rt0_valuetype type = {"main.T", NULL}, point = {"main.Point", pointtext};
	int xy[2] = {3, 4};
	const struct {
		rt0_value v;
		const char *want;
	} t[] = {
	    {RT0_VALUE(42), "42"},
	    {RT0_VALUE(-1L), "-1"},
	    {RT0_VALUE((char)65), "65"},
	    {RT0_VALUE(~0ul), "18446744073709551615"},
	    {RT0_VALUE((bool)true), "true"},
	    {RT0_VALUE((bool)false), "false"},
	    {RT0_VALUE(1.5), "+1.500000e+000"},
	    {RT0_VALUE(0.0), "+0.000000e+000"},
	    {RT0_VALUE(-0.0), "-0.000000e+000"},
	    {RT0_VALUE(-123.456f), "-1.234560e+002"},
	    {RT0_VALUE(1e-300), "+1.000000e-300"},
	    {RT0_VALUE(9.9999999), "+1.000000e+001"},
	    {RT0_VALUE(1e308), "+1.000000e+308"},
	    {RT0_VALUE(__builtin_inf()), "+Inf"},
	    {RT0_VALUE(-__builtin_inf()), "-Inf"},
	    {RT0_VALUE(__builtin_nan("")), "NaN"},
	    {RT0_VALUE("text"), "text"},
	    {RT0_VALUE((const char *)"const"), "const"},
	    {RT0_VALUE((int *)0x1234), "(void *) 0x1234"},
	    {rt0_value_error("no such thing", 2), "no such thing"},
	    {rt0_value_user(&type, (void *)0xabc), "(main.T) 0xabc"},
	    {rt0_value_user(&point, xy), "point(3, 4)"},
	    {(rt0_value){.kind = RT0_RUNTIME_ERROR, .code = RT0_ERR_OVERFLOW}, "runtime error: integer overflow"},
	};
	for (size_t i = 0; i < NELEM(t); i++)
		CHECK_STREQ(text(&t[i].v), t[i].want);
}

static void
indexes(void *i)
{
	int a[3] = {0};
	a[RT0_INDEX((intptr_t)i, 3)] = 1;
	note(num(a[(intptr_t)i]));
}

TEST(index_out_of_range_is_a_runtime_error)
{
	rt0_value v;
	CHECK(rt0_try(indexes, num(2), &v));
	CHECK(!rt0_try(indexes, num(5), &v));
	CHECK_STREQ(text(&v), "runtime error: index out of range [5] with length 3");
	CHECK(rt0_is_runtime_error(&v) && v.code == RT0_ERR_INDEX && v.v.i == 5 && v.w.n == 3);
	CHECK(!rt0_try(indexes, num(-1), &v));
	CHECK_STREQ(text(&v), "runtime error: index out of range [-1]");
}

// ---- misuse of the runtime ----

static rt0_chan *ch;

static void
misuse(void *how)
{
	static rt0_waitgroup w;
	char b = 1;
	switch ((intptr_t)how) {
	case 0: rt0_chan_close(NULL); break;
	case 1: rt0_chan_close(ch); break;
	case 2: rt0_chan_send(ch, &b); break;
	case 3: rt0_chan_try_send(ch, &b); break;
	case 4: rt0_chan_make(1, ~0ul); break;
	case 5: rt0_waitgroup_add(&w, -1); break;
	case 6: rt0_panic(NULL);
	}
}

TEST(misuse_is_recoverable_and_leaves_channels_usable)
{
	static const char *const want[] = {"close of nil channel", "close of closed channel", "send on closed channel",
	    "send on closed channel", "makechan: size out of range", "sync: negative WaitGroup counter",
	    "panic called with nil argument"};
	char b;
	for (int procs = 1; procs < 3; procs++) {
		rt0_gomaxprocs(procs);
		ch = rt0_chan_make(1, 4);
		b = 7;
		rt0_chan_send(ch, &b);
		rt0_chan_close(ch);
		for (int i = 0; i < (int)NELEM(want); i++) {
			rt0_value v;
			if (i == 5 && procs == 2)
				continue; // its counter is negative already
			CHECK(!rt0_try(misuse, num(i), &v));
			CHECK_STREQ(text(&v), want[i]);
			CHECK_EQ(rt0_is_runtime_error(&v), i != 5);
			CHECK_EQ(getg()->m->locks, 0);
		}
		b = 0;
		CHECK(rt0_chan_recv(ch, &b));
		CHECK_EQ(b, 7);
		CHECK(!rt0_chan_recv(ch, &b));
	}
}

static void
blockedsender(void *arg)
{
	rt0_value v;
	(void)arg;
	CHECK(!rt0_try(misuse, num(2), &v));
	CHECK_STREQ(text(&v), "send on closed channel");
	rt0_waitgroup_done(&wg);
}

TEST(waiting_sender_recovers_when_the_channel_closes)
{
	ch = rt0_chan_make(1, 0);
	rt0_waitgroup_add(&wg, 1);
	rt0_go(blockedsender, NULL);
	// Most times it waits by now; if not, it panics all the same.
	for (int i = 0; i < 100; i++)
		rt0_gosched();
	rt0_chan_close(ch);
	rt0_waitgroup_wait(&wg);
}

static rt0_once once;

static void
onced(void *arg)
{
	rt0_once_do(&once, panicagain, arg);
}

TEST(once_that_panicked_is_done)
{
	CHECK(!rt0_try(onced, "once", NULL));
	CHECK(rt0_try(onced, "once", NULL));
	CHECK_EQ(once.m.state, 0);
}

static void *
callsin(void *arg)
{
	rt0_value v;
	(void)arg;
	for (int i = 0; i < 10; i++)
		CHECK_EQ(rt0_run(inside, &v), 0);
	return NULL;
}

TEST(panic_in_a_call_from_a_foreign_thread_recovers)
{
	pthread_t th;
	CHECK_EQ(pthread_create(&th, NULL, callsin, NULL), 0);
	RT0_BLOCKING(pthread_join(th, NULL));
	CHECK_EQ(ntrace, 10);
}

static void
recoversmany(void *arg)
{
	rt0_value v;
	for (int i = 0; i < 20000; i++) {
		CHECK_EQ(recovers(&v, 1 + i % 2), -1);
		ntrace = 0;
	}
	(void)arg;
}

TEST_T(recover_many_times_keeps_the_stack, 30000)
{
	recoversmany(NULL);
	CHECK(getg()->defer == NULL && getg()->panic == NULL && getg()->npanics == 0);
}
