// SPDX-License-Identifier: BSD-3-Clause
// panic_amd64.S: where a deferred call is noted, where a fault enters a goroutine, and the return that
// recover makes.
#include "asm.h"
#include "asm_offsets.h"

	.text

// struct rt0_deferlink rt0_defer_push(struct rt0_deferred *d)
// in: rdi = d, fn and arg set. Links d before the goroutine's others and notes the rsp of the frame that
// defers: functions that it calls end there. out: rax = d's next, rdx = the list's head, where next
// goes in the end; without a goroutine a place that nobody reads. Clobbers rcx. (As a C function it
// would have a frame: 1 ns.)
	.p2align 4
	.globl rt0_defer_push
	.type rt0_defer_push, @function
rt0_defer_push:
	.cfi_startproc
	movq	runtime_tls_g@gottpoff(%rip), %rdx
	movq	%fs:(%rdx), %rdx
	leaq	8(%rsp), %rcx
	movq	%rcx, DEFER_SP(%rdi)
	testq	%rdx, %rdx
	jz	1f
	movq	G_DEFER(%rdx), %rax
	addq	$G_DEFER, %rdx
	movq	%rax, DEFER_NEXT(%rdi)
	movq	%rdi, (%rdx)
	ret
1:	movq	%rdi, %rdx
	xorl	%eax, %eax
	ret
ENDFUNC rt0_defer_push

// void runtime_calldeferred(void (*fn)(void *), void *arg, uintptr_t *cfa)
// in: rdi, rsi, rdx. Calls fn(arg) with *cfa = the end of fn's frame, by which recover knows whether it
// was called by fn itself.
FUNC runtime_calldeferred
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movq	%rsp, (%rdx)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	popq	%rbp
	.cfi_restore rbp
	.cfi_def_cfa rsp, 8
	ret
ENDFUNC runtime_calldeferred

// int runtime_trycall(struct cfiregs *regs, void (*fn)(void *), void *arg)
// in: rdi, rsi, rdx. Notes in regs what its caller's registers are once it has returned, calls fn(arg),
// returns 0. Or it returns 1, by recover.
FUNC runtime_trycall
	movq	%rbx, 24(%rdi)
	movq	%rbp, 48(%rdi)
	leaq	8(%rsp), %rax
	movq	%rax, 56(%rdi)
	movq	%r12, 96(%rdi)
	movq	%r13, 104(%rdi)
	movq	%r14, 112(%rdi)
	movq	%r15, 120(%rdi)
	movq	(%rsp), %rax
	movq	%rax, 128(%rdi)
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movq	%rdx, %rdi
	call	*%rsi
	xorl	%eax, %eax
	popq	%rbp
	.cfi_restore rbp
	.cfi_def_cfa rsp, 8
	ret
ENDFUNC runtime_trycall

// void runtime_getcallregs(struct cfiregs *regs)
// in: rdi. regs are what the caller's registers will be when this returns.
FUNC runtime_getcallregs
	movq	%rbx, 24(%rdi)
	movq	%rbp, 48(%rdi)
	leaq	8(%rsp), %rax
	movq	%rax, 56(%rdi)
	movq	%r12, 96(%rdi)
	movq	%r13, 104(%rdi)
	movq	%r14, 112(%rdi)
	movq	%r15, 120(%rdi)
	movq	(%rsp), %rax
	movq	%rax, 128(%rdi)
	ret
ENDFUNC runtime_getcallregs

// Where recover enters the returning function's stack (defer.c makes the frame): its result as an
// integer and as a floating-point number, then the address to return to.
FUNC runtime_recovered
	.cfi_def_cfa_offset 24
	popq	%rax
	.cfi_adjust_cfa_offset -8
	xorl	%edx, %edx
	xorps	%xmm1, %xmm1
	movsd	(%rsp), %xmm0
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	ret
ENDFUNC runtime_recovered

// void runtime_resume(const struct jump *j)	noreturn
// in: rdi. Returns as j says, on the same stack; j lies below where rsp will be, and is read before.
FUNC runtime_resume
	movq	24(%rdi), %rbx
	movq	48(%rdi), %rbp
	movq	96(%rdi), %r12
	movq	104(%rdi), %r13
	movq	112(%rdi), %r14
	movq	120(%rdi), %r15
	movq	128(%rdi), %rcx
	movq	JUMP_RESULT(%rdi), %rax
	movsd	JUMP_FRESULT(%rdi), %xmm0
	xorl	%edx, %edx
	xorps	%xmm1, %xmm1
	movq	56(%rdi), %rsp
	.cfi_undefined rip
	jmp	*%rcx
ENDFUNC runtime_resume

// Where a fault enters its goroutine (fault_linux.c): rsp is at a struct sigframe, which begins with the
// pc and the rsp of the fault. To unwinders that is what called this, stopped by a signal; to
// those by frame pointers too. Code may have been stopped with values on the x87 stack.
	.p2align 4
	.globl runtime_sigpanic0, runtime_sigpanicret
	.hidden runtime_sigpanic0, runtime_sigpanicret
	.type runtime_sigpanic0, @function
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_escape 0x0f, 3, 0x77, 8, 0x06	// CFA: the word at rsp + 8
	.cfi_escape 0x10, 16, 2, 0x77, 0	// rip: at rsp
	nop
runtime_sigpanic0:
	pushq	%rbp
	.cfi_escape 0x0f, 3, 0x77, 16, 0x06
	.cfi_escape 0x10, 16, 2, 0x77, 8
	.cfi_escape 0x10, 6, 2, 0x77, 0
	movq	%rsp, %rbp
	.cfi_escape 0x0f, 3, 0x76, 16, 0x06
	.cfi_escape 0x10, 16, 2, 0x76, 8
	.cfi_escape 0x10, 6, 2, 0x76, 0
	cld
	emms
	leaq	8(%rbp), %rdi
	call	runtime_sigpanic1
runtime_sigpanicret:
	ud2
	.cfi_endproc
	.size runtime_sigpanic0, . - runtime_sigpanic0

	.section .note.GNU-stack, "", @progbits
