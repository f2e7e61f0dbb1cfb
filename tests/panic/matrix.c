// SPDX-License-Identifier: BSD-3-Clause
// matrix.c: recovery gives the caller back all that a call must keep. Built by tests/panic.sh with every
// compiler, level of optimisation, and with and without frame pointers.
//
// A random tree of calls defers, recovers and panics in every way. Each function is called with known values in all
// registers that a call keeps, and they are compared afterwards, with the stack pointer.
#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rt0.h>

#define KEEP __attribute__((noinline))

// keep calls fn(arg) and tells whether a register has changed: 0, or which.
extern long keep(long (*fn)(long), long arg, long *result);
__asm__("	.text\n"
	"	.type keep, @function\n"
	"keep:\n"
	"	.cfi_startproc\n"
	"	pushq %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset rbx, 0\n"
	"	pushq %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset rbp, 0\n"
	"	pushq %r12\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset r12, 0\n"
	"	pushq %r13\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset r13, 0\n"
	"	pushq %r14\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset r14, 0\n"
	"	pushq %r15\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset r15, 0\n"
	"	pushq %rdx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	subq $16, %rsp\n"
	"	.cfi_adjust_cfa_offset 16\n"
	"	movq %rsp, 8(%rsp)\n"
	"	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	leaq 0x1111(%rsi), %rbx\n"
	"	leaq 0x2222(%rsi), %rbp\n"
	"	leaq 0x3333(%rsi), %r12\n"
	"	leaq 0x4444(%rsi), %r13\n"
	"	leaq 0x5555(%rsi), %r14\n"
	"	movq %rsi, %r15\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call *%rax\n"
	"	addq $16, %rsp\n"
	"	.cfi_adjust_cfa_offset -16\n"
	"	movl $1, %ecx\n"
	"	cmpq %rsp, 8(%rsp)\n"
	"	jne 9f\n"
	"	movl $2, %ecx\n"
	"	subq %r15, %rbx\n"
	"	cmpq $0x1111, %rbx\n"
	"	jne 9f\n"
	"	movl $3, %ecx\n"
	"	subq %r15, %rbp\n"
	"	cmpq $0x2222, %rbp\n"
	"	jne 9f\n"
	"	movl $4, %ecx\n"
	"	subq %r15, %r12\n"
	"	cmpq $0x3333, %r12\n"
	"	jne 9f\n"
	"	movl $5, %ecx\n"
	"	subq %r15, %r13\n"
	"	cmpq $0x4444, %r13\n"
	"	jne 9f\n"
	"	movl $6, %ecx\n"
	"	subq %r15, %r14\n"
	"	cmpq $0x5555, %r14\n"
	"	jne 9f\n"
	"	xorl %ecx, %ecx\n"
	"9:	movq 16(%rsp), %rdx\n"
	"	movq %rax, (%rdx)\n"
	"	movslq %ecx, %rax\n"
	"	addq $24, %rsp\n"
	"	.cfi_adjust_cfa_offset -24\n"
	"	popq %r15\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %r14\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %r13\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %r12\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	popq %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size keep, . - keep\n");

static unsigned long seed = 1;
static long checks, ranlog, wantlog;

static unsigned
rnd(unsigned n)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(seed >> 33) % n;
}

static void
bad(const char *what, long a, long b)
{
	dprintf(2, "matrix: %s: %ld, want %ld (seed %lu)\n", what, a, b, seed);
	_Exit(1);
}

static void
ran(void *n)
{
	ranlog = ranlog * 31 + (long)n;
}

static void
catch(void *n)
{
	rt0_value v;
	if (rt0_recover(&v)) {
		if (v.kind == RT0_INT && v.v.i != 1234)
			bad("value", v.v.i, 1234);
		rt0_recover_result((long)n + 7000);
	}
}

static int
compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	RT0_PANIC(1234);
}

static void
onsegment(void *p)
{
	RT0_PANIC(*(int *)p);
}

KEEP static void
panics(int how)
{
	volatile int zero = 0, x[4] = {1234, 2, 3, 4};
	switch (how) {
	case 0: RT0_PANIC(x[0]);
	case 1: *(volatile int *)(long)zero = 1; break;
	case 2: ((void (*)(void))(long)zero)(); break;
	case 3: rt0_chan_close(NULL); break;
	case 4: qsort((void *)x, 4, sizeof x[0], compare); break;
	case 5: rt0_morestack(onsegment, (void *)x, 32 << 10); break;
	case 6: x[RT0_INDEX(4 + zero, 4)] = 1; break;
	case 7: __asm__ volatile("divl %0" : : "r"(zero), "a"(1), "d"(0)); break;
	}
	bad("came back from panic", how, how);
}

static long node(long depth);

// What the functions below have in common: call deeper ones, then return or panic.
static long
body(long depth)
{
	long sum = 0;
	int n = depth > 0 ? (int)rnd(3) : 0;
	for (int i = 0; i < n; i++) {
		long r;
		long why = keep(node, depth - 1, &r);
		checks++;
		if (why != 0)
			bad("register", why, 0);
		if (r != depth - 1 + 5000 && r != depth - 1 + 7000)
			bad("result", r, depth - 1 + 5000);
		sum += r;
	}
	if (rnd(3) == 0)
		panics((int)rnd(8));
	return sum;
}

KEEP static long
plain(long depth)
{
	RT0_DEFER(catch, (void *)depth);
	RT0_DEFER(ran, (void *)depth);
	body(depth);
	return RT0_RESULT(depth + 5000);
}

KEEP static long
manylocals(long depth)
{
	long a[9];
	RT0_DEFER(catch, (void *)depth);
	for (int i = 0; i < 9; i++)
		a[i] = depth * i + 1;
	long s = body(depth) & 0;
	double x = (double)depth, y = x * 2, z = y + 1;
	for (int i = 0; i < 9; i++)
		s += a[i] - (depth * i + 1);
	RT0_DEFER(ran, (void *)depth);
	s += body(0) & 0;
	s += (long)(z - y - 1);
	return RT0_RESULT(depth + 5000 + s);
}

KEEP static long
withalloca(long depth)
{
	RT0_DEFER(catch, (void *)depth);
	size_t n = 16 + rnd(200);
	char *p = alloca(n);
	memset(p, (int)depth, n);
	{
		long vla[1 + rnd(20)];
		vla[0] = depth;
		RT0_DEFER(ran, (void *)vla[0]);
		body(depth);
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] != (char)depth)
			bad("alloca", p[i], depth);
	return RT0_RESULT(depth + 5000);
}

KEEP static long
aligned(long depth)
{
	char buf[64] __attribute__((aligned(64)));
	RT0_DEFER(catch, (void *)depth);
	memset(buf, 1, sizeof buf);
	if (((unsigned long)buf & 63) != 0)
		bad("alignment", (long)buf & 63, 0);
	body(depth);
	return RT0_RESULT(depth + 4999 + buf[depth % 64]);
}

KEEP static long
framed(long depth)
{
	RT0_DEFER_FRAME;
	rt0_defer(catch, (void *)depth);
	for (long i = 0; i < (long)rnd(10); i++)
		rt0_defer(ran, (void *)i);
	body(depth);
	return RT0_RESULT(depth + 5000);
}

static void
bodycall(void *depth)
{
	body((long)depth);
}

KEEP static long
trying(long depth)
{
	if (!rt0_try(bodycall, (void *)depth, NULL))
		return depth + 7000;
	return depth + 5000;
}

static long
node(long depth)
{
	static long (*const kinds[])(long) = {plain, manylocals, withalloca, aligned, framed, trying};
	return kinds[rnd(6)](depth);
}

// order checks the order of deferred calls against what it must be.
KEEP static long
order(long how)
{
	RT0_DEFER(catch, (void *)how);
	RT0_DEFER(ran, (void *)1L);
	RT0_DEFER(ran, (void *)2L);
	for (long i = 0; i < 3; i++) {
		RT0_DEFER(ran, (void *)(10 + i));
		if (i == 1 && how < 8)
			panics((int)how);
	}
	return RT0_RESULT(how + 5000);
}

int
main(void)
{
	for (long how = 0; how < 9; how++) {
		long r;
		ranlog = wantlog = 0;
		static const long with[] = {10, 11, 2, 1}, without[] = {10, 11, 12, 2, 1};
		for (int i = 0; i < (how < 8 ? 4 : 5); i++)
			wantlog = wantlog * 31 + (how < 8 ? with : without)[i];
		if (keep(order, how, &r) != 0)
			bad("register", how, 0);
		if (r != how + (how < 8 ? 7000 : 5000))
			bad("result", r, how);
		if (ranlog != wantlog)
			bad("order", ranlog, wantlog);
	}
	for (int i = 0; i < 4000; i++) {
		long r;
		if (keep(node, 5, &r) != 0)
			bad("register", i, 0);
	}
	printf("%ld calls\n", checks);
	return checks > 1000 ? 0 : 1;
}
