// SPDX-License-Identifier: BSD-3-Clause
// sys_linux_amd64.S: raw system calls, clone, the signal trampolines.
#include "asm.h"
#include "asm_offsets.h"

	.text

// long runtime_syscall6(long nr, long a, long b, long c, long d, long e, long f)
// The kernel's result: negative errno on error.
FUNC runtime_syscall6
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret
ENDFUNC runtime_syscall6

// long runtime_clone(uint64_t flags, void *stack, struct m *mp, void *tp, int32_t *cleartid)
// The child has tp as its thread pointer and calls runtime_mstartpure(mp) on stack; the parent gets its
// thread id or a negative errno.
FUNC runtime_clone
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
ENDFUNC runtime_clone

// long runtime_vfork(uint64_t flags, void (*fn)(void *arg), void *arg, int32_t *pidfd)
// The child calls fn(arg), which does not return, on this stack, below; the parent must sleep meanwhile (CLONE_VFORK). The
// parent gets the child's pid or a negative errno.
FUNC runtime_vfork
	movq	%rsi, %r9		// kept by the system call, in the child too
	movq	%rdx, %r8		// the tls argument, which flags do not ask for
	movq	%rcx, %rdx
	leaq	-256(%rsp), %rsi	// away from the return address, which the parent needs
	andq	$-16, %rsi
	xorl	%r10d, %r10d
	movl	$56, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	.cfi_undefined rip
	xorl	%ebp, %ebp
	movq	%r8, %rdi
	call	*%r9
	ud2
ENDFUNC runtime_vfork

// void runtime_exitthreadpure(void *stack, size_t size)	noreturn
// Ends this thread only. Its stack is freed by who sees cleartid become 0.
FUNC runtime_exitthreadpure
	xorl	%edi, %edi
	movl	$60, %eax
	syscall
	ud2
ENDFUNC runtime_exitthreadpure

// What a signal handler returns to. rsp is at the kernel's struct ucontext, whose mcontext (at 40) has
// r8..r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip. Unwinders look a return address up one byte
// before it: hence the nop. Debuggers know it by its bytes: movq, not movl.
.macro SIGREG reg off
	.cfi_escape 0x10, \reg, 3, 0x77, (\off & 0x7f) | 0x80, \off >> 7	// at breg7 (rsp) + off
.endm
	.p2align 4
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_escape 0x0f, 4, 0x77, 0xa0, 0x01, 0x06	// CFA: the interrupted rsp, at 40 + 120
	SIGREG 8 40
	SIGREG 9 48
	SIGREG 10 56
	SIGREG 11 64
	SIGREG 12 72
	SIGREG 13 80
	SIGREG 14 88
	SIGREG 15 96
	SIGREG 5 104
	SIGREG 4 112
	SIGREG 6 120
	SIGREG 3 128
	SIGREG 1 136
	SIGREG 0 144
	SIGREG 2 152
	SIGREG 7 160
	SIGREG 16 168
	nop
	.globl runtime_sigreturn
	.hidden runtime_sigreturn
	.type runtime_sigreturn, @function
runtime_sigreturn:
	movq	$15, %rax
	syscall
	ud2
ENDFUNC runtime_sigreturn

	.section .note.GNU-stack, "", @progbits
