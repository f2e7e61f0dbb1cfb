// SPDX-License-Identifier: BSD-3-Clause
// sys_linux_amd64.S: raw system calls, clone, the signal trampolines.
#include "asm_offsets.h"

.macro FUNC name
	.p2align 4
	.globl \name
	.hidden \name
	.type \name, @function
\name:
.endm
.macro ENDFUNC name
	.size \name, . - \name
.endm

	.text

// long runtime_syscall6(long nr, long a, long b, long c, long d, long e, long f)
// The kernel's result: negative errno on error.
FUNC runtime_syscall6
	.cfi_startproc
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret
	.cfi_endproc
ENDFUNC runtime_syscall6

// long runtime_clone(uint64_t flags, void *stack, struct m *mp, void *tp, int32_t *cleartid)
// The child has tp as its thread pointer and calls runtime_mstartpure(mp) on stack; the parent gets its
// thread id or a negative errno.
FUNC runtime_clone
	.cfi_startproc
	andq	$-16, %rsi
	movq	%rdx, -16(%rsi)		// handed over on the child's stack
	subq	$16, %rsi
	movq	%rcx, %r9
	movq	%r8, %r10		// child_tid: cleared and futex-woken when the thread is gone
	movq	%r9, %r8		// tls
	xorl	%edx, %edx
	movl	$56, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	.cfi_undefined rip
	xorl	%ebp, %ebp
	movq	(%rsp), %rdi
	addq	$16, %rsp
	call	runtime_mstartpure
	ud2
	.cfi_endproc
ENDFUNC runtime_clone

// void runtime_exitthreadpure(void *stack, size_t size)	noreturn
// Ends this thread only. Its stack is freed by who sees cleartid become 0.
FUNC runtime_exitthreadpure
	xorl	%edi, %edi
	movl	$60, %eax
	syscall
	ud2
ENDFUNC runtime_exitthreadpure

// What a signal handler returns to. Debuggers and unwinders know it by these very bytes.
FUNC runtime_sigreturn
	movq	$15, %rax
	syscall
	ud2
ENDFUNC runtime_sigreturn

	.section .note.GNU-stack, "", @progbits
