// SPDX-License-Identifier: BSD-3-Clause
// test_crash.c: reports of a process that is broken on purpose: always a message, the right exit
// status, and an end.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "../../src/runtime.h"
#include "../harness/child.h"

#define KEEP __attribute__((noinline, used))
#define NOSAN __attribute__((no_sanitize("address", "thread", "undefined")))

static char text[4 << 20];

static bool
has(const char *what)
{
	return strstr(text, what) != NULL;
}

static int
count(const char *what)
{
	int n = 0;
	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

#define CHECK_HAS(what)                                                                            \
	do {                                                                                       \
		if (!has(what))                                                                    \
			test_fail("%s:%d: not in the report: %s\n%.2000s\n", __FILE__, __LINE__,   \
			    what, text);                                                           \
	} while (0)

// The undefined behaviour sanitizer ends the process before a bad pointer can raise a signal.
void __ubsan_handle_type_mismatch_v1(void *data, void *p) __attribute__((weak));
#define NEEDS_FAULTS                                                                               \
	do {                                                                                       \
		if (__ubsan_handle_type_mismatch_v1 != NULL)                                       \
			SKIP("the sanitizer stops bad pointers");                                  \
	} while (0)

// ---- A stack that is damaged ----

static uintptr_t newbp, newret;
static bool setbp, setret;

KEEP NOSAN static void
smash(void)
{
	volatile uintptr_t *bp = __builtin_frame_address(0);
	if (setbp)
		bp[0] = newbp;
	if (setret)
		bp[1] = newret;
	rt0_panic("smashed");
}

KEEP NOSAN static void
caller(void)
{
	smash();
	__asm__ volatile("");
}

KEEP NOSAN static void
loop(void)
{
	setbp = true;
	newbp = (uintptr_t)__builtin_frame_address(0);
	// The next frame is our own again, for ever.
	((volatile uintptr_t *)newbp)[0] = newbp;
	smash();
	__asm__ volatile("");
}

static const uintptr_t wild[] = {0, 1, 8, 4096, 0x10000, 0x4141414141414141, (uintptr_t)1 << 63,
    (uintptr_t)1 << 47, ~(uintptr_t)0, ~(uintptr_t)7, ~(uintptr_t)15};

TEST_T(crash_smashed_frames_still_report, 30000)
{
	for (size_t i = 0; i < NELEM(wild); i++) {
		for (int what = 1; what < 4; what++) {
			setbp = (what & 1) != 0;
			setret = (what & 2) != 0;
			newbp = newret = wild[i];
			CHECK_EQ(child(caller, text, sizeof(text)), 2);
			CHECK_HAS("panic: smashed\n");
			CHECK_HAS("goroutine 1 [running]:\nsmash(...)\n");
		}
	}
}

TEST(crash_frames_in_a_circle_end)
{
	CHECK_EQ(child(loop, text, sizeof(text)), 2);
	CHECK_HAS("panic: smashed\n");
	CHECK_HAS("loop(...)\n");
}

static int returns;

KEEP NOSAN static void
badreturn(void)
{
	volatile uintptr_t *bp = __builtin_frame_address(0);
	for (int i = 0; i < 8; i++)
		bp[i] = wild[5];
	returns++;
}

KEEP NOSAN static void
overrun(void)
{
	badreturn();
	returns++;
}

TEST(crash_return_to_nowhere_reports)
{
	CHECK_EQ(child(overrun, text, sizeof(text)), 2);
	CHECK_HAS("goroutine 1");
	CHECK_HAS("badreturn(...)\n");
	CHECK_HAS("SIGSEGV");
}

// ---- A g that is damaged ----

static void
waiter(void *c)
{
	rt0_chan_recv(c, NULL);
	__asm__ volatile("");
}

static struct g *found;

static void
findwaiter(struct g *gp, void *n)
{
	if (gp->startpc == (uintptr_t)waiter && runtime_readgstatus(gp) == Gwaiting) {
		found = gp;
		++*(int *)n;
	}
}

static void
park(int n)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	for (int i = 0; i < n; i++)
		rt0_go(waiter, c);
	for (int waiting = 0; waiting < n;) {
		rt0_gosched();
		waiting = 0;
		runtime_foreachg(findwaiter, &waiting);
	}
}

static uintptr_t garbage;

static void
smashother(void)
{
	struct g *gp = found;
	gp->m = (struct m *)garbage;
	gp->sched.sp = garbage;
	gp->stack = (struct stack){garbage, ~(uintptr_t)0};
	gp->segment = gp->stack;
	gp->lockedm = (struct m *)garbage;
	gp->waitreason = 255;
	gp->waitsince = (int64_t)garbage;
	gp->gopc = garbage;
	gp->startpc = garbage;
	gp->schedlink = gp->alllink = (struct g *)garbage;
	rt0_fatal("found a broken g");
}

TEST_T(crash_broken_g_of_another_is_printed, 30000)
{
	park(3);
	for (size_t i = 0; i < NELEM(wild); i++) {
		garbage = wild[i];
		CHECK_EQ(child(smashother, text, sizeof(text)), 2);
		CHECK_HAS("fatal error: found a broken g\n");
		CHECK_HAS("[unknown wait reason");
		CHECK_EQ(count("waiter(...)"), 2);
	}
}

static void
badstop(void)
{
	found->asyncstop = 1;
	found->syscallpc = garbage;
	found->syscallsp = garbage;
	found->syscallbp = garbage;
	rt0_fatal("stopped nowhere");
}

TEST_T(crash_goroutine_stopped_nowhere_is_printed, 30000)
{
	park(2);
	for (size_t i = 0; i < NELEM(wild); i++) {
		garbage = wild[i];
		CHECK_EQ(child(badstop, text, sizeof(text)), 2);
		CHECK_HAS("fatal error: stopped nowhere\n");
		CHECK_EQ(count("[chan receive]"), 2);
	}
}

static void
smashown(void)
{
	struct g *gp = getg();
	gp->stack = gp->segment = (struct stack){garbage, ~garbage};
	gp->sched.sp = gp->syscallsp = garbage;
	gp->lockedm = (struct m *)garbage;
	gp->gopc = garbage;
	gp->alllink = (struct g *)garbage;
	rt0_fatal("broken own g");
}

static void
smashm(void)
{
	getg()->m = (struct m *)garbage;
	rt0_fatal("broken m");
}

TEST_T(crash_own_broken_g_reports, 30000)
{
	NEEDS_FAULTS;
	for (size_t i = 0; i < NELEM(wild); i++) {
		garbage = wild[i];
		CHECK_EQ(child(smashown, text, sizeof(text)), 2);
		CHECK_HAS("fatal error: broken own g\n");
		CHECK_HAS("smashown(...)\n");
		CHECK_EQ(child(smashm, text, sizeof(text)), 2);
		CHECK_HAS("fatal error: signal 11 on a thread whose g is corrupted\n");
		CHECK_HAS("smashm(...)\n");
		CHECK_HAS("rflags 0x");
	}
}

static void
circle(void)
{
	struct g *gp = getg(); // on the list: goroutine 1 has a large stack
	gp->alllink = gp;
	rt0_fatal("a list in a circle");
}

TEST(crash_list_of_goroutines_in_a_circle_ends)
{
	CHECK_EQ(child(circle, text, sizeof(text)), 2);
	CHECK_HAS("fatal error: a list in a circle\n");
}

// ---- A heap that is damaged ----

static void
smashheap(void)
{
	memset(getg()->m->p->mcache, 0x41, 256);
	for (int i = 0; i < 100000; i++)
		rt0_alloc(16 + (size_t)i % 512, 0);
	rt0_fatal("it went well");
}

TEST(crash_broken_heap_reports)
{
	NEEDS_FAULTS;
	rt0_free(rt0_alloc(100, 0));
	CHECK_EQ(child(smashheap, text, sizeof(text)), 2);
	CHECK_HAS("fatal error: ");
	CHECK_HAS("smashheap(...)\n");
}

// ---- The reporter itself ----

static volatile int *volatile nowhere;

static void
whilereporting(void)
{
	getg()->m->dying = 1;
	*nowhere = 1;
}

static void
whilefailing(void)
{
	getg()->m->dying = 2;
	*nowhere = 1;
}

TEST(crash_fault_while_reporting_ends)
{
	NEEDS_FAULTS;
	CHECK_EQ(child(whilereporting, text, sizeof(text)), 3);
	CHECK_HAS("panic during panic\n");
	CHECK_EQ(child(whilefailing, text, sizeof(text)), 5);
}

static void
crowd(void)
{
	rt0_fatal("many");
}

TEST_T(crash_report_of_very_many_goroutines_is_cut, 60000)
{
	if (RT0_TSAN)
		SKIP("the sanitizer has room for 8,128 goroutines");
	park(10100);
	CHECK_EQ(child(crowd, text, sizeof(text)), 2);
	CHECK_HAS("fatal error: many\n");
	CHECK_EQ(count("\ngoroutine "), 10001);
	CHECK_HAS("\n\n...100 goroutines elided...\n");
}

// ---- stderr ----

static void
closed(void)
{
	close(2);
	rt0_panic("unheard");
}

static void
unread(void)
{
	int p[2];
	char junk[4096] = {0};
	CHECK_EQ(pipe(p), 0);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	while (write(p[1], junk, sizeof(junk)) > 0) {
	}
	fcntl(p[1], F_SETFL, 0);
	dup2(p[1], 2);
	runtime_stderrwait = 100 * MS;
	rt0_panic("unheard");
}

TEST(crash_stderr_that_takes_nothing_does_not_stop_the_end)
{
	park(100);
	CHECK_EQ(child(closed, text, sizeof(text)), 2);
	CHECK_EQ(child(unread, text, sizeof(text)), 2);
	CHECK_EQ(runtime_stderrwait, 30 * SEC);
}

// A reader that is slow gets everything: only silence counts.
TEST_T(crash_slow_reader_of_stderr_misses_nothing, 30000)
{
	int p[2], status;
	size_t n = 0;
	park(300);
	CHECK_EQ(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		close(p[0]);
		runtime_stderrwait = 2 * SEC;
		rt0_fatal("slowly");
	}
	close(p[1]);
	for (ssize_t k; (k = read(p[0], text + n, 4096)) > 0 && n < sizeof(text) - 8192;) {
		n += (size_t)k;
		usleep(20000);
	}
	text[n] = 0;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	CHECK_EQ(count("\ngoroutine "), 301);
}

// ---- GOTRACEBACK=crash ----

TEST(crash_level_crash_aborts_with_a_core)
{
	int status, fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	char pattern[128] = "|", dir[] = "/tmp/rt0-test-core-XXXXXX", name[64];
	struct rlimit lim;
	if (fd >= 0) {
		ssize_t n = read(fd, pattern, sizeof(pattern) - 1);
		pattern[n > 0 ? n : 0] = 0;
		close(fd);
	}
	CHECK_EQ(getrlimit(RLIMIT_CORE, &lim), 0);
	lim.rlim_cur = lim.rlim_max < 64 << 20 ? lim.rlim_max : 64 << 20;
	CHECK(mkdtemp(dir) != NULL);
	pid_t pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &lim);
		CHECK_EQ(chdir(dir), 0);
		dup2(open("/dev/null", O_WRONLY), 2);
		rt0_set_traceback("crash");
		rt0_panic("with a core");
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGABRT);
	bool core = false;
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), i == 0 ? "%s/core" : "%s/core.%d", dir, (int)pid);
		core = unlink(name) == 0 || core;
	}
	rmdir(dir);
	// Where cores go, and whether, is the system's affair.
	if (strcmp(pattern, "core\n") != 0 || lim.rlim_cur < 1 << 20)
		SKIP("the system does not write cores into the working directory");
	CHECK(WCOREDUMP(status));
	CHECK(core);
}

TEST(crash_traceback_level_only_rises)
{
	bool all, crash;
	runtime_settraceback("single");
	rt0_set_traceback("system");
	CHECK_EQ(runtime_gotraceback(&all, &crash), 2);
	CHECK(all && !crash);
	rt0_set_traceback("none");
	CHECK_EQ(runtime_gotraceback(&all, &crash), 1);
	CHECK(!all && !crash);
	rt0_set_traceback("crash");
	CHECK_EQ(runtime_gotraceback(&all, &crash), 2);
	CHECK(all && crash);
}

// ---- Registers ----

static void
dump(void)
{
	// The kernel's struct ucontext in words: from 5 on r8..r15, rdi, rsi, rbp, rbx, rdx, rax, rcx,
	// rsp, rip, flags, cs.
	static uint64_t u[128];
	u[18] = 0x1234;
	u[5] = 8;
	u[12] = ~0ull;
	u[21] = 0xabcdef;
	u[22] = 0x202;
	u[23] = 0x33;
	runtime_dumpregs((struct ucontext *)u);
}

TEST(crash_registers_are_in_the_order_of_go)
{
	CHECK_EQ(child(dump, text, sizeof(text)), 0);
	CHECK_STREQ(text,
	    "rax    0x1234\nrbx    0x0\nrcx    0x0\nrdx    0x0\nrdi    0x0\nrsi    0x0\n"
	    "rbp    0x0\nrsp    0x0\nr8     0x8\nr9     0x0\nr10    0x0\nr11    0x0\nr12    0x0\n"
	    "r13    0x0\nr14    0x0\nr15    0xffffffffffffffff\nrip    0xabcdef\n"
	    "rflags 0x202\ncs     0x33\nfs     0x0\ngs     0x0\n");
}
