// SPDX-License-Identifier: BSD-3-Clause
// test_cfi.c: frames found by unwind tables: at calls, at every instruction, through libraries.
#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "../../src/diag/cfi.h"
#include "../harness/test.h"

#define KEEP __attribute__((noinline, used))

// cfi_getregs stores what its caller's registers will be when it returns.
void cfi_getregs(struct cfiregs *regs);
// cfi_anchor calls fn(arg) with known values in the registers that fn must keep, and the processor's
// trap flag set if trap. cfi_anchorend ends its code; cfi_anchorsp is rsp at the call.
void cfi_anchor(void (*fn)(void *), void *arg, int trap);
extern const char cfi_anchorend[];
extern uintptr_t cfi_anchorsp;
__asm__("	.text\n"
	"	.globl cfi_getregs\n"
	"	.type cfi_getregs, @function\n"
	"cfi_getregs:\n"
	"	.cfi_startproc\n"
	"	movq %rbx, 24(%rdi)\n"
	"	movq %rbp, 48(%rdi)\n"
	"	leaq 8(%rsp), %rax\n"
	"	movq %rax, 56(%rdi)\n"
	"	movq %r12, 96(%rdi)\n"
	"	movq %r13, 104(%rdi)\n"
	"	movq %r14, 112(%rdi)\n"
	"	movq %r15, 120(%rdi)\n"
	"	movq (%rsp), %rax\n"
	"	movq %rax, 128(%rdi)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size cfi_getregs, . - cfi_getregs\n"
	"	.globl cfi_anchor, cfi_anchorend, cfi_anchorsp\n"
	"	.type cfi_anchor, @function\n"
	"cfi_anchor:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset rbp, -16\n"
	"	movq %rsp, %rbp\n"
	"	.cfi_def_cfa_register rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	.cfi_offset rbx, -24\n"
	"	.cfi_offset r12, -32\n"
	"	.cfi_offset r13, -40\n"
	"	.cfi_offset r14, -48\n"
	"	.cfi_offset r15, -56\n"
	"	subq $8, %rsp\n"
	"	movq %rsp, cfi_anchorsp(%rip)\n"
	"	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	movq $0x1b1b, %rbx\n"
	"	movq $0x1212, %r12\n"
	"	movq $0x1313, %r13\n"
	"	movq $0x1414, %r14\n"
	"	movq $0x1515, %r15\n"
	"	testl %edx, %edx\n"
	"	jz 1f\n"
	"	pushfq\n"
	"	orl $0x100, (%rsp)\n"
	"	popfq\n"
	"1:	call *%rax\n"
	"	pushfq\n"
	"	andl $0xfffffeff, (%rsp)\n"
	"	popfq\n"
	"	addq $8, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	.cfi_def_cfa rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size cfi_anchor, . - cfi_anchor\n"
	"cfi_anchorend:\n"
	"	.bss\n"
	"	.balign 8\n"
	"cfi_anchorsp: .zero 8\n"
	"	.text\n");

static bool
inanchor(uintptr_t pc)
{
	return pc > (uintptr_t)cfi_anchor && pc <= (uintptr_t)cfi_anchorend;
}

// toanchor unwinds to cfi_anchor and returns how many frames it left, or what went wrong (< 0).
static int
toanchor(struct cfiregs *regs, bool isret, uintptr_t lo, uintptr_t hi)
{
	uintptr_t cfa;
	int n = 0;
	while (!inanchor(regs->r[16])) {
		int err = runtime_cfistep(regs, isret, lo, hi, &cfa);
		if (err < 0)
			return err;
		if (err == CFI_OUTERMOST || n++ == 100)
			return -1000;
		isret = err != CFI_TRAP;
	}
	return regs->r[7] == cfi_anchorsp && regs->r[3] == 0x1b1b && regs->r[12] == 0x1212 && regs->r[13] == 0x1313 &&
		       regs->r[14] == 0x1414 && regs->r[15] == 0x1515 && regs->r[6] == cfi_anchorsp + 48
		   ? n
		   : -2000;
}

static int frames;

static void
atcall(void *arg)
{
	struct cfiregs regs = {{0}};
	struct g *gp = getg();
	cfi_getregs(&regs);
	frames = toanchor(&regs, true, arg ? gp->stack.lo : 0, arg ? gp->stack.hi : 0);
	__asm__ volatile("" ::: "memory");
}

KEEP static int
deeper(int n, void *arg)
{
	volatile char pad[100 + n % 3 * 8];
	pad[0] = (char)n;
	if (n == 0)
		atcall(arg);
	else
		deeper(n - 1, arg);
	return pad[0];
}

static void
deep(void *arg)
{
	deeper(10, arg);
	__asm__ volatile("" ::: "memory");
}

TEST(cfi_call_chain_gives_back_saved_registers)
{
	for (int i = 0; i < 3; i++) {
		cfi_anchor(deep, (void *)(uintptr_t)(i != 1), 0);
		CHECK(frames >= 11);
	}
}

static int
compare(const void *a, const void *b)
{
	frames = -1;
	atcall(NULL);
	if (frames < 3)
		test_fail("through qsort: %d\n", frames);
	return *(const int *)a - *(const int *)b;
}

static void
sortsome(void *arg)
{
	int v[8] = {5, 3, 8, 1, 9, 2, 7, 0};
	qsort(v, arg == NULL ? 8 : 4, sizeof v[0], compare);
	CHECK_EQ(v[0], arg == NULL ? 0 : 1);
}

TEST(cfi_callback_from_a_library_reaches_its_caller)
{
	cfi_anchor(sortsome, NULL, 0);
}

static void
onstack(void *arg)
{
	atcall(arg);
	__asm__ volatile("" ::: "memory");
}

static void
othersegment(void *arg)
{
	CHECK_EQ(rt0_morestack(onstack, arg, 64 << 10), 0);
}

static void
ong0(void *arg)
{
	runtime_systemstack(onstack, arg);
}

TEST(cfi_frames_lead_from_stack_to_stack)
{
	cfi_anchor(othersegment, NULL, 0);
	CHECK(frames >= 4);
	cfi_anchor(ong0, NULL, 0);
	CHECK(frames >= 3);
}

static bool begun;
static bool outermost;

static void
base(void *arg)
{
	struct cfiregs regs = {{0}};
	uintptr_t cfa;
	cfi_getregs(&regs);
	int err, n = 0;
	bool isret = true;
	while ((err = runtime_cfistep(&regs, isret, 0, 0, &cfa)) == CFI_DONE && n++ < 100)
		;
	outermost = err == CFI_OUTERMOST;
	begun = true;
	rt0_waitgroup_done(arg);
}

TEST(cfi_goroutine_has_an_outermost_frame)
{
	rt0_waitgroup wg = {0, 0};
	rt0_waitgroup_add(&wg, 1);
	rt0_go(base, &wg);
	rt0_waitgroup_wait(&wg);
	CHECK(begun && outermost);
}

TEST(cfi_wild_addresses_are_refused)
{
	static const uintptr_t wild[] = {0, 1, 0x1234, 1ul << 46, 1ul << 63, ~0ul, ~0ul - 7};
	uintptr_t cfa;
	char data[16] = {0};
	for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
		struct cfiregs regs = {{0}};
		regs.r[16] = wild[i];
		CHECK(runtime_cfistep(&regs, false, 0, 0, &cfa) < 0);
		CHECK_EQ(regs.r[16], wild[i]);
		// A good pc with a stack that is not there.
		memset(&regs, 0, sizeof regs);
		regs.r[6] = regs.r[7] = wild[i];
		regs.r[16] = (uintptr_t)deeper + 20;
		CHECK(runtime_cfistep(&regs, false, 0, 0, &cfa) < 0);
	}
	struct cfiregs regs = {{0}};
	regs.r[16] = (uintptr_t)data;
	CHECK(runtime_cfistep(&regs, true, 0, 0, &cfa) < 0);
}

TEST(cfi_owner_of_a_pc)
{
	char name[CFINAME];
	CHECK_EQ(runtime_pcowner((uintptr_t)deeper, name), PC_PROGRAM);
	CHECK_EQ(runtime_pcowner((uintptr_t)name, name), PC_NOBODY);
	CHECK_EQ(runtime_pcowner(0, name), PC_NOBODY);
	// In the libc, wherever its symbols lead.
	uintptr_t pc = (uintptr_t)qsort;
	if (runtime_pcowner(pc, name) == PC_LIBRARY)
		CHECK(strncmp(name, "lib", 3) == 0);
}

// ---- Every instruction, by the trap flag ----

static volatile long nsteps, nbad, badcode;
static volatile uintptr_t badpc;

static void
onstep(int sig, siginfo_t *info, void *ctx)
{
	static const uint8_t at[17] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
	    REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
	struct cfiregs regs;
	(void)sig;
	(void)info;
	for (int i = 0; i < 17; i++)
		regs.r[i] = (uintptr_t)((ucontext_t *)ctx)->uc_mcontext.gregs[at[i]];
	uintptr_t pc = regs.r[16];
	if (inanchor(pc) || pc == (uintptr_t)cfi_anchor)
		return;
	nsteps = nsteps + 1;
	struct g *gp = getg();
	int n = toanchor(&regs, false, gp->stack.lo, gp->stack.hi);
	if (n < 0 && nbad++ == 0) {
		badpc = pc;
		badcode = n;
	}
}

static void
stepped(void (*fn)(void *))
{
	struct sigaction sa = {.sa_sigaction = onstep, .sa_flags = SA_SIGINFO | SA_ONSTACK}, old;
	nsteps = nbad = 0;
	sigaction(SIGTRAP, &sa, &old);
	cfi_anchor(fn, NULL, 1);
	sigaction(SIGTRAP, &old, NULL);
	if (nbad != 0) {
		struct symline s;
		runtime_funcline(badpc, &s);
		test_fail("%ld of %ld wrong, the first at %#lx (%s+%#lx): %ld\n", nbad, nsteps, (long)badpc,
		    s.name ? s.name : "?", (long)(badpc - s.entry), badcode);
	}
	CHECK(nsteps > 100);
}

KEEP static long
manyregs(long a, long b, long c, long d, long e, long f, long g, long h)
{
	long v[8] = {a, b, c, d, e, f, g, h}, s = 0;
	for (int i = 0; i < 20; i++)
		for (int k = 0; k < 8; k++)
			s += (v[k] ^ v[(k + i) % 8]) * a + b * c + d * e + f * g + h;
	return s;
}

KEEP static long
withalloca(size_t n)
{
	char *p = alloca(n);
	memset(p, 1, n);
	return p[n - 1] + manyregs(1, 2, 3, 4, 5, 6, 7, (long)n);
}

KEEP __attribute__((force_align_arg_pointer)) static long
realigned(long n)
{
	char pad[64] __attribute__((aligned(64)));
	memset(pad, (int)n, sizeof pad);
	return withalloca((size_t)n + 1) + pad[n % 64];
}

static void
ourcode(void *arg)
{
	volatile long sink = realigned(40);
	sink = manyregs(sink, 2, 3, 4, 5, 6, 7, 8);
	(void)arg;
}

static int
plaincompare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void
libcode(void *arg)
{
	char buf[64];
	int v[4] = {5, 3, 8, 1};
	struct timespec ts;
	qsort(v, 4, sizeof v[0], plaincompare);
	snprintf(buf, sizeof buf, "%d %g", v[0], 1.5);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)arg;
}

static void
runtimecode(void *arg)
{
	rt0_chan *c = rt0_chan_make(8, 1);
	int64_t v = 7;
	rt0_chan_send(c, &v);
	rt0_chan_recv(c, &v);
	rt0_free(rt0_alloc(100, 0));
	rt0_chan_free(c);
	(void)arg;
}

TEST_T(cfi_every_instruction_of_programs, 20000)
{
	if (RT0_ASAN || RT0_TSAN)
		SKIP("a sanitizer handles signals in its own way");
	stepped(ourcode);
	stepped(ourcode);
}

TEST_T(cfi_every_instruction_of_the_runtime, 20000)
{
	if (RT0_ASAN || RT0_TSAN)
		SKIP("a sanitizer handles signals in its own way");
	runtimecode(NULL);
	stepped(runtimecode);
}

TEST_T(cfi_every_instruction_of_the_libc, 60000)
{
	if (RT0_ASAN || RT0_TSAN)
		SKIP("a sanitizer handles signals in its own way");
	stepped(libcode);
}

static void
nothing(int sig)
{
	(void)sig;
	frames = 0;
	struct cfiregs regs = {{0}};
	cfi_getregs(&regs);
	frames = toanchor(&regs, true, 0, 0);
	__asm__ volatile("" ::: "memory");
}

static void
raiseone(void *arg)
{
	raise(SIGUSR1);
	(void)arg;
	__asm__ volatile("" ::: "memory");
}

TEST(cfi_signal_handler_reaches_what_it_interrupted)
{
	if (RT0_ASAN || RT0_TSAN)
		SKIP("a sanitizer handles signals in its own way");
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	cfi_anchor(raiseone, NULL, 0);
	CHECK(frames >= 3);
}
