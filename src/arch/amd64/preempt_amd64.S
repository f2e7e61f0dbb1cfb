// SPDX-License-Identifier: BSD-3-Clause
// preempt_amd64.S: the call that a signal handler puts into a goroutine.
#include "asm_offsets.h"

	.text

// void runtime_asyncPreempt(void)
// Entered with the stack pointer 136 below that of the interrupted code, whose address lies there (128
// bytes are the red zone). Saves every register, flags and the whole of the floating-point and
// vector state, gives way, restores all and goes on. Clobbers nothing. To unwinders the interrupted code is
// its caller, stopped by a signal.
	.p2align 4
	.globl runtime_asyncPreempt
	.hidden runtime_asyncPreempt
	.type runtime_asyncPreempt, @function
runtime_asyncPreempt:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsp, 136
	.cfi_offset rip, -136
	pushfq
	.cfi_def_cfa_offset 144
	pushq	%rbp
	.cfi_def_cfa_offset 152
	.cfi_offset rbp, -152
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	cld
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.cfi_offset rbx, -168
	.cfi_offset r12, -240
	.cfi_offset r13, -248
	.cfi_offset r14, -256
	.cfi_offset r15, -264
	subq	runtime_xsavesize(%rip), %rsp
	andq	$-64, %rsp
	movl	runtime_xsavemask(%rip), %eax
	xorl	%edx, %edx
	testl	%eax, %eax
	jz	1f
	// The header's reserved words must be zero for xrstor; xsave writes the first only.
	movq	%rdx, 512(%rsp)
	movq	%rdx, 520(%rsp)
	movq	%rdx, 528(%rsp)
	movq	%rdx, 536(%rsp)
	movq	%rdx, 544(%rsp)
	movq	%rdx, 552(%rsp)
	movq	%rdx, 560(%rsp)
	movq	%rdx, 568(%rsp)
	xsave64	(%rsp)
	// Who runs next expects an empty x87 stack. It mostly is: the saved header says which state is not the initial one.
	testb	$1, 512(%rsp)
	jz	3f
	fninit
3:	call	runtime_asyncPreempt2
	movl	runtime_xsavemask(%rip), %eax
	xorl	%edx, %edx
	xrstor64 (%rsp)
	jmp	2f
1:	fxsave64 (%rsp)
	fninit
	call	runtime_asyncPreempt2
	fxrstor64 (%rsp)
2:	leaq	-112(%rbp), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	popq	%rbp
	.cfi_def_cfa rsp, 144
	popfq
	.cfi_def_cfa_offset 136
	ret	$128
	.cfi_endproc
	.size runtime_asyncPreempt, . - runtime_asyncPreempt

	.section .note.GNU-stack, "", @progbits
