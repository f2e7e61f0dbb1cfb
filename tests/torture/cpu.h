// SPDX-License-Identifier: BSD-3-Clause
// cpu.h: functions that fill registers, spin, and say which of them changed. Freestanding.
//
// Each takes a number that its patterns come from and how long to spin; it returns NULL or the name
// of what is not as it was. No function is called while the patterns are in place.
#ifndef CPU_H
#define CPU_H

#include <stddef.h>
#include <stdint.h>

enum { SPINS = 100000 };

// regs_keep: the general registers, the red zone, and the flags; first without, then with the
// direction flag set, which C code must never see.
__attribute__((noinline, unused)) static const char *
regs_keep(uint64_t v, long turns)
{
	// Everything is v plus the register's number. The loop counts in rcx and lives on flags:
	// cmc flips the carry 2 * turns times, so that it is what it was. One field: 0 is good.
	uint64_t wrong = 0, carry;
	v |= 1;
	__asm__ volatile("sub $128, %%rsp\n\t" // the compiler's own red zone
			 "push %%rbp\n\t"
			 "push %%rbx\n\t"
			 "mov %%rax, %%r15\n\t"
			 "lea 1(%%r15), %%rax\n\t"
			 "lea 2(%%r15), %%rbx\n\t"
			 "lea 3(%%r15), %%rdx\n\t"
			 "lea 4(%%r15), %%rsi\n\t"
			 "lea 5(%%r15), %%rdi\n\t"
			 "lea 6(%%r15), %%rbp\n\t"
			 "lea 7(%%r15), %%r8\n\t"
			 "lea 8(%%r15), %%r9\n\t"
			 "lea 9(%%r15), %%r10\n\t"
			 "lea 10(%%r15), %%r11\n\t"
			 "lea 11(%%r15), %%r12\n\t"
			 "lea 12(%%r15), %%r13\n\t"
			 "lea 13(%%r15), %%r14\n\t"
			 "mov %%r15, -8(%%rsp)\n\t"
			 "mov %%rax, -64(%%rsp)\n\t"
			 "mov %%rbx, -128(%%rsp)\n\t"
			 "std\n\t"
			 "stc\n"
			 "1:\n\t"
			 "cmc\n\t"
			 "cmc\n\t"
			 "dec %%rcx\n\t" // dec leaves the carry alone
			 "jnz 1b\n\t"
			 "setc %%cl\n\t"
			 "cld\n\t"
			 "cmp %%rbx, -128(%%rsp)\n\t"
			 "jne 2f\n\t"
			 "cmp %%rax, -64(%%rsp)\n\t"
			 "jne 2f\n\t"
			 "cmp %%r15, -8(%%rsp)\n\t"
			 "jne 2f\n\t"
			 "sub %%r15, %%rax\n\t"
			 "sub %%r15, %%rbx\n\t"
			 "sub %%r15, %%rdx\n\t"
			 "sub %%r15, %%rsi\n\t"
			 "sub %%r15, %%rdi\n\t"
			 "sub %%r15, %%rbp\n\t"
			 "sub %%r15, %%r8\n\t"
			 "sub %%r15, %%r9\n\t"
			 "sub %%r15, %%r10\n\t"
			 "sub %%r15, %%r11\n\t"
			 "sub %%r15, %%r12\n\t"
			 "sub %%r15, %%r13\n\t"
			 "sub %%r15, %%r14\n\t"
			 // Each is its number now. Folded to base 16, they are 0xdcba987654321.
			 "shl $4, %%r14\n\t or %%r13, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%r12, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%r11, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%r10, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%r9, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%r8, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%rbp, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%rdi, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%rsi, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%rdx, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%rbx, %%r14\n\t"
			 "shl $4, %%r14\n\t or %%rax, %%r14\n\t"
			 "mov %%r14, %%rax\n\t"
			 "jmp 3f\n"
			 "2:\n\t"
			 "xor %%eax, %%eax\n"
			 "3:\n\t"
			 "movzbl %%cl, %%ecx\n\t"
			 "pop %%rbx\n\t"
			 "pop %%rbp\n\t"
			 "add $128, %%rsp\n\t"
			 : "=a"(wrong), "=c"(carry)
			 : "a"(v), "c"(turns)
			 : "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			 "r15", "cc", "memory");
	if (wrong == 0)
		return "the red zone";
	if (wrong != 0xdcba987654321)
		return "a general register";
	return carry != 1 ? "the carry flag" : NULL;
}

// SPINREGS is the loop inside the functions below, on rcx.
#define SPINREGS "1: dec %%rcx\n\t jnz 1b\n\t"

__attribute__((noinline, unused)) static const char *
differs(const uint64_t *in, const uint64_t *out, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++) {
		if (in[i] != out[i])
			return what;
	}
	return NULL;
}

__attribute__((noinline, unused)) static const char *
sse_keep(uint64_t v, long turns)
{
	uint64_t in[8], out[8] = {0};
	for (int i = 0; i < 8; i++)
		in[i] = v * (uint64_t)(i + 1);
	__asm__ volatile("movups (%1), %%xmm0\n\t movups 16(%1), %%xmm7\n\t"
			 "movups 32(%1), %%xmm8\n\t movups 48(%1), %%xmm15\n\t" SPINREGS
			 "movups %%xmm0, (%2)\n\t movups %%xmm7, 16(%2)\n\t"
			 "movups %%xmm8, 32(%2)\n\t movups %%xmm15, 48(%2)\n\t"
			 : "+c"(turns)
			 : "r"(in), "r"(out)
			 : "xmm0", "xmm7", "xmm8", "xmm15", "cc", "memory");
	return differs(in, out, 8, "an SSE register");
}

// x87_keep fills all eight registers and loads a control word of its own.
__attribute__((noinline, unused)) static const char *
x87_keep(uint64_t v, long turns)
{
	uint64_t in[8], out[8] = {0};
	uint16_t old, mine, after = 0;
	for (int i = 0; i < 8; i++)
		in[i] = (v * (uint64_t)(i + 1)) >> 2; // integers: fild and fistp are exact
	__asm__ volatile("fnstcw %0" : "=m"(old));
	mine = (uint16_t)(old ^ 0xc00); // round towards zero
	__asm__ volatile(
	    "fldcw %4\n\t"
	    "fildll (%2)\n\t fildll 8(%2)\n\t fildll 16(%2)\n\t fildll 24(%2)\n\t"
	    "fildll 32(%2)\n\t fildll 40(%2)\n\t fildll 48(%2)\n\t fildll 56(%2)\n\t" SPINREGS
	    "fistpll 56(%3)\n\t fistpll 48(%3)\n\t fistpll 40(%3)\n\t fistpll 32(%3)\n\t"
	    "fistpll 24(%3)\n\t fistpll 16(%3)\n\t fistpll 8(%3)\n\t fistpll (%3)\n\t"
	    "fnstcw %1\n\t fldcw %5\n\t"
	    : "+c"(turns), "=m"(after)
	    : "r"(in), "r"(out), "m"(mine), "m"(old)
	    : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc", "memory");
	if (after != mine)
		return "the x87 control word";
	return differs(in, out, 8, "an x87 register");
}

__attribute__((noinline, unused, target("avx"))) static const char *
avx_keep(uint64_t v, long turns)
{
	uint64_t in[16], out[16] = {0};
	for (int i = 0; i < 16; i++)
		in[i] = v * (uint64_t)(i + 1);
	__asm__ volatile("vmovups (%1), %%ymm0\n\t vmovups 32(%1), %%ymm6\n\t"
			 "vmovups 64(%1), %%ymm9\n\t vmovups 96(%1), %%ymm15\n\t" SPINREGS
			 "vmovups %%ymm0, (%2)\n\t vmovups %%ymm6, 32(%2)\n\t"
			 "vmovups %%ymm9, 64(%2)\n\t vmovups %%ymm15, 96(%2)\n\t vzeroupper\n\t"
			 : "+c"(turns)
			 : "r"(in), "r"(out)
			 : "xmm0", "xmm6", "xmm9", "xmm15", "cc", "memory");
	return differs(in, out, 16, "an AVX register");
}

__attribute__((noinline, unused, target("avx512f"))) static const char *
avx512_keep(uint64_t v, long turns)
{
	uint64_t in[32], out[32] = {0}, mask = v & 0xffff, kept = 0;
	for (int i = 0; i < 32; i++)
		in[i] = v * (uint64_t)(i + 1);
	__asm__ volatile("vmovups (%2), %%zmm1\n\t vmovups 64(%2), %%zmm15\n\t"
			 "vmovups 128(%2), %%zmm16\n\t vmovups 192(%2), %%zmm31\n\t"
			 "kmovw %k4, %%k3\n\t" SPINREGS "kmovw %%k3, %k1\n\t"
			 "vmovups %%zmm1, (%3)\n\t vmovups %%zmm15, 64(%3)\n\t"
			 "vmovups %%zmm16, 128(%3)\n\t vmovups %%zmm31, 192(%3)\n\t vzeroupper\n\t"
			 : "+c"(turns), "=&r"(kept)
			 : "r"(in), "r"(out), "r"(mask)
			 : "xmm1", "xmm15", "xmm16", "xmm31", "k3", "cc", "memory");
	if ((kept & 0xffff) != mask)
		return "an AVX-512 mask";
	return differs(in, out, 32, "an AVX-512 register");
}

#endif
