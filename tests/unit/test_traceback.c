// SPDX-License-Identifier: BSD-3-Clause
// test_traceback.c: the layout of tracebacks, and stacks that lie.
//
// Most tests build a goroutine by hand: a struct g, and a stack of frames that we write. So the
// expected text is known to the byte, and the damage too.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

#define KEEP __attribute__((noinline, used))

static uintptr_t retpc;

KEEP static void
grab(void)
{
	retpc = (uintptr_t)__builtin_return_address(0);
	__asm__ volatile("");
}

// A return address in each of two functions that look like the program's own.
enum { LINE_waiter = __LINE__ + 4 };
KEEP static void
waiter(void)
{
	grab();
	__asm__ volatile("");
}

enum { LINE_starter = __LINE__ + 4 };
KEEP static void
starter(void)
{
	grab();
	__asm__ volatile("");
}

static uintptr_t
retof(void (*fn)(void))
{
	fn();
	return retpc;
}

// ---- Captured output ----

static char out[1 << 16];

KEEP static void
capture(void (*fn)(void *), void *arg)
{
	static const char path[] = "/tmp/rt0-test-traceback-XXXXXX";
	char name[sizeof(path)];
	memcpy(name, path, sizeof(path));
	int fd = mkstemp(name), old = dup(2);
	unlink(name);
	dup2(fd, 2);
	fn(arg);
	dup2(old, 2);
	close(old);
	ssize_t n = pread(fd, out, sizeof(out) - 1, 0);
	out[n < 0 ? 0 : n] = 0;
	close(fd);
}

static int
count(const char *what)
{
	int n = 0;
	for (const char *p = out; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

// ---- A goroutine made by hand ----

static uintptr_t words[4096] __attribute__((aligned(16)));
static struct g fake;
static struct m fakem;

// build parks fake with n frames, whose return addresses alternate between a and b, innermost a.
static void
build(int n, uintptr_t a, uintptr_t b)
{
	struct switchframe *frame = (struct switchframe *)words;
	memset(words, 0, sizeof(words));
	memset(&fake, 0, sizeof(fake));
	memset(&fakem, 0, sizeof(fakem));
	fake.goid = 7;
	fake.atomicstatus = Gwaiting;
	fake.waitreason = waitReasonChanReceive;
	fake.stack = (struct stack){(uintptr_t)words, (uintptr_t)(words + NELEM(words))};
	fake.sched.sp = (uintptr_t)frame;
	frame->rbp = (uintptr_t)(words + 16);
	frame->pc = a;
	for (int i = 1; i < n; i++) {
		uintptr_t *bp = words + 16 * i;
		bp[0] = (uintptr_t)(bp + 16);
		bp[1] = i % 2 != 0 ? b : a;
	}
}

static void
dump(void *arg)
{
	runtime_tracebackg(arg);
}

static void
text(char *to, size_t n, const char *name, uintptr_t pc, int line)
{
	struct symline s;
	CHECK(runtime_funcline(pc - 1, &s));
	snprintf(
	    to, n, "%s(...)\n\t%s:%d +0x%lx\n", name, s.file, line, (unsigned long)(pc - s.entry));
}

TEST(traceback_parked_goroutine_prints_go_layout)
{
	char want[8192], a[2048], b[2048];
	uintptr_t pa = retof(waiter), pb = retof(starter);
	text(a, sizeof(a), "waiter", pa, LINE_waiter);
	text(b, sizeof(b), "starter", pb, LINE_starter);
	build(2, pa, pb);
	snprintf(want, sizeof(want), "goroutine 7 [chan receive]:\n%s%s", a, b);
	capture(dump, &fake);
	CHECK_STREQ(out, want);
}

TEST(traceback_created_by_names_the_parent)
{
	char want[8192], a[2048];
	struct symline s;
	uintptr_t pa = retof(waiter), pb = retof(starter);
	text(a, sizeof(a), "waiter", pa, LINE_waiter);
	build(1, pa, pb);
	fake.gopc = pb;
	fake.parentgoid = 3;
	CHECK(runtime_funcline(pb - 1, &s));
	snprintf(want, sizeof(want),
	    "goroutine 7 [chan receive]:\n%screated by starter in goroutine 3\n\t%s:%d +0x%lx\n", a,
	    s.file, LINE_starter, (unsigned long)(pb - s.entry));
	capture(dump, &fake);
	CHECK_STREQ(out, want);
}

TEST(traceback_deep_stack_elides_the_middle)
{
	build(202, retof(waiter), retof(starter));
	capture(dump, &fake);
	CHECK_EQ(count("...102 frames elided...\n"), 1);
	CHECK_EQ(count("(...)\n"), 100);
	CHECK_EQ(count("\n"), 1 + 200 + 1);
	build(100, retof(waiter), retof(starter));
	capture(dump, &fake);
	CHECK_EQ(count("elided"), 0);
	CHECK_EQ(count("(...)\n"), 100);
	build(101, retof(waiter), retof(starter));
	capture(dump, &fake);
	CHECK_EQ(count("...1 frames elided...\n"), 1);
}

TEST(traceback_header_states)
{
	build(1, retof(waiter), 0);
	fake.lockedm = &fakem;
	fakem.lockedext = 1;
	fake.waitsince = runtime_nanotime() - 3 * 60 * SEC - SEC;
	capture(dump, &fake);
	CHECK(runtime_hasprefix(out, "goroutine 7 [chan receive, 3 minutes, locked to thread]:\n"));
	fake.lockedm = NULL;
	fake.waitsince = 0;
	fake.atomicstatus = Grunnable | Gscan;
	capture(dump, &fake);
	CHECK(runtime_hasprefix(out, "goroutine 7 [runnable (scan)]:\n"));
	fake.atomicstatus = Grunning;
	fake.m = &fakem;
	capture(dump, &fake);
	CHECK_STREQ(out,
	    "goroutine 7 [running]:\n"
	    "\tgoroutine running on other thread; stack unavailable\n");
}

TEST(traceback_throwing_goroutine_shows_registers)
{
	char want[256];
	uintptr_t pa = retof(waiter);
	build(1, pa, 0);
	fake.m = &fakem;
	fakem.curg = &fake;
	fakem.throwing = 2;
	fakem.id = 5;
	capture(dump, &fake);
	snprintf(want, sizeof(want),
	    "goroutine 7 gp=0x%lx m=5 mp=0x%lx [chan receive]:\nwaiter(...)\n",
	    (unsigned long)&fake, (unsigned long)&fakem);
	CHECK(runtime_hasprefix(out, want));
	snprintf(want, sizeof(want), " fp=0x%lx sp=0x%lx pc=0x%lx\n", (unsigned long)(words + 18),
	    (unsigned long)(words + 8), (unsigned long)pa);
	CHECK_EQ(count(want), 1);
}

// ownpc is an address in a function of the runtime where that has its frame, as the tables say.
static uintptr_t
ownpc(void)
{
	uintptr_t cfa = 0, pc = (uintptr_t)runtime_funcline;
	do {
		struct cfiregs r = {{[6] = (uintptr_t)words, [7] = (uintptr_t)(words + 100), [16] = ++pc}};
		runtime_cfistep(&r, true, 0, 0, &cfa);
	} while (cfa != (uintptr_t)(words + 2));
	return pc;
}

TEST(traceback_runtime_frames_are_hidden_unless_alone)
{
	uintptr_t own = ownpc();
	build(3, own, retof(waiter));
	capture(dump, &fake);
	CHECK_EQ(count("(...)\n"), 1);
	CHECK_EQ(count("waiter(...)\n"), 1);
	build(2, own, own);
	capture(dump, &fake);
	CHECK_EQ(count("runtime_funcline(...)\n"), 2);
}

TEST(traceback_unstarted_goroutine_shows_its_function)
{
	build(1, (uintptr_t)runtime_gostart, 0);
	fake.atomicstatus = Grunnable;
	fake.startpc = (uintptr_t)starter;
	capture(dump, &fake);
	CHECK(runtime_hasprefix(out, "goroutine 7 [runnable]:\nstarter(...)\n\t"));
	CHECK_EQ(count(" +0x"), 0);
}

TEST(traceback_damaged_stack_ends_the_walk)
{
	uintptr_t pa = retof(waiter), pb = retof(starter);
	static const uintptr_t bad[] = {
	    0, 1, 8, 0x1001, (uintptr_t)1 << 63, ~(uintptr_t)0, ~(uintptr_t)7};
	for (size_t i = 0; i < NELEM(bad); i++) {
		build(5, pa, pb);
		words[32] = bad[i]; // the saved bp of the second frame
		capture(dump, &fake);
		CHECK_EQ(count("(...)\n"), 3);
		build(5, pa, pb);
		words[33] = bad[i]; // its return address
		capture(dump, &fake);
		CHECK_EQ(count("(...)\n"), 2);
		build(5, pa, pb);
		fake.sched.sp = bad[i];
		capture(dump, &fake);
		CHECK_EQ(count("stack unavailable"), 1);
	}
	build(5, pa, pb);
	words[32] = (uintptr_t)(words + 32); // a loop
	capture(dump, &fake);
	CHECK_EQ(count("(...)\n"), 3);
	words[32] = (uintptr_t)(words + 16);
	capture(dump, &fake);
	CHECK_EQ(count("(...)\n"), 3);
}

struct trap {
	uintptr_t pc, sp, bp;
};

static void
dumptrap(void *arg)
{
	struct trap *t = arg;
	runtime_tracebacktrap(t->pc, t->sp, t->bp, &fake);
}

TEST(traceback_trap_before_the_frame_is_made)
{
	uintptr_t pa = retof(waiter), pb = retof(starter);
	build(3, pa, pb);
	// starter has just been called by waiter, whose bp is still in rbp.
	words[8] = pa;
	struct trap t = {(uintptr_t)starter, (uintptr_t)(words + 8), (uintptr_t)(words + 16)};
	capture(dumptrap, &t);
	CHECK(runtime_hasprefix(out, "starter(...)\n"));
	CHECK_EQ(count("waiter(...)\n"), 2);
	CHECK_EQ(count("starter(...)\n"), 2);
	// A call of NULL shows the caller.
	t.pc = 0;
	capture(dumptrap, &t);
	CHECK(runtime_hasprefix(out, "waiter(...)\n"));
	CHECK_EQ(count("(...)\n"), 3);
	// In the middle of a function that has its frame, the line is the trap's own.
	t = (struct trap){pa - 1, (uintptr_t)(words + 8), (uintptr_t)(words + 16)};
	words[8] = 0;
	capture(dumptrap, &t);
	CHECK_EQ(count("waiter(...)\n"), 2);
}

static uint64_t seed = 20240607;

static uint64_t
rnd(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

// Words that are frames, code, trampolines and nonsense, in any mixture.
TEST_T(traceback_random_stacks_end, 60000)
{
	const uintptr_t code[] = {retof(waiter), retof(starter), ownpc(), (uintptr_t)starter,
	    (uintptr_t)runtime_gostart, (uintptr_t)runtime_goexit, (uintptr_t)runtime_systemstack + 30,
	    (uintptr_t)runtime_callon + 16, (uintptr_t)qsort + 20, (uintptr_t)raise + 18, 0,
	    (uintptr_t)words};
	for (int i = 0; i < 2000; i++) {
		build(1 + (int)rnd(20), code[0], code[1]);
		for (uint64_t n = rnd(i % 4 == 0 ? 4096 : 40); n > 0; n--) {
			uint64_t at = rnd(i % 4 == 0 ? NELEM(words) : 400), what = rnd(4);
			words[at] = what == 0 ? code[rnd(NELEM(code))]
			    : what == 1	      ? (uintptr_t)(words + rnd(NELEM(words)))
			    : what == 2	      ? rnd(1ull << 31) << rnd(34)
					      : words[rnd(NELEM(words))];
		}
		struct trap t = {code[rnd(NELEM(code))], (uintptr_t)(words + rnd(NELEM(words))) + rnd(2),
		    (uintptr_t)(words + rnd(NELEM(words))) + rnd(2)};
		capture(dump, &fake);
		capture(dumptrap, &t);
		CHECK(count("\n") <= 2 * (50 + 50) * 16 + 3);
	}
}

// ---- The stack we are on ----

KEEP static void
here(void *arg)
{
	uintptr_t *bp = __builtin_frame_address(0);
	(void)arg;
	runtime_traceback((uintptr_t)__builtin_return_address(0), 0, bp[0], getg());
	__asm__ volatile("");
}

KEEP static void
inner(void *arg)
{
	here(arg);
	__asm__ volatile("");
}

KEEP static void
outer(void)
{
	capture(inner, NULL);
	__asm__ volatile("");
}

TEST(traceback_own_stack_names_the_callers)
{
	outer();
	CHECK(runtime_hasprefix(out, "inner(...)\n"));
	const char *p = strstr(out, "capture(...)\n");
	CHECK(p != NULL && strstr(p, "outer(...)\n") != NULL);
}

TEST(traceback_callers_stores_return_addresses)
{
	uintptr_t pcs[4], pa = retof(waiter), pb = retof(starter);
	build(5, pa, pb);
	struct frame f = {pa, (uintptr_t)(words + 8), (uintptr_t)(words + 16)};
	CHECK_EQ(runtime_callers(f, fake.stack, pcs, 4), 4);
	CHECK_EQ(pcs[0], pa);
	CHECK_EQ(pcs[1], pb);
	CHECK_EQ(pcs[2], pa);
	CHECK_EQ(runtime_callers(f, fake.stack, pcs, 1), 1);
	CHECK_EQ(runtime_callers(f, (struct stack){0, 0}, pcs, 4), 4);
	f.bp = 12345;
	CHECK_EQ(runtime_callers(f, fake.stack, pcs, 4), 1);
}
