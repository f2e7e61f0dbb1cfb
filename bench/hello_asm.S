// SPDX-License-Identifier: BSD-3-Clause
// hello_asm.S: what the kernel alone needs to start and end a process: the floor of a pure hello.
//
// Link with -nostdlib -static. Two system calls, no stack, no data.
	.section .rodata
hi:	.ascii	"hi\n"

	.text
	.globl	_start
	.type	_start, @function
_start:
	.cfi_startproc
	.cfi_undefined rip		// the outermost frame
	movl	$1, %eax		// write(1, hi, 3)
	movl	$1, %edi
	leaq	hi(%rip), %rsi
	movl	$3, %edx
	syscall
	xorl	%edi, %edi
	cmpq	$3, %rax
	setne	%dil			// status 1 when not all was written
	movl	$231, %eax		// exit_group
	syscall
	hlt
	.cfi_endproc
	.size	_start, .-_start

	.section .note.GNU-stack, "", @progbits
