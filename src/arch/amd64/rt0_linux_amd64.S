// SPDX-License-Identifier: BSD-3-Clause
// rt0_linux_amd64.S: the ELF entry of pure programs (-e _rt0_amd64_linux), and the four functions
// that compilers call on their own.
//
// Linked into pure programs only (rt0_pure.o, not in the archive): a hosted program is entered
// through its libc and keeps the libc's memcpy, which is faster for large blocks.
	.text

// in: rsp as the kernel leaves it: argc, argv..., NULL, envp..., NULL, auxv.
	.globl _rt0_amd64_linux
	.type _rt0_amd64_linux, @function
_rt0_amd64_linux:
	.cfi_startproc
	.cfi_undefined rip
	jmp	_rt0_amd64
	.cfi_endproc
	.size _rt0_amd64_linux, . - _rt0_amd64_linux

// argc and argv off the stack, then the part that is common to all systems.
	.type _rt0_amd64, @function
_rt0_amd64:
	.cfi_startproc
	.cfi_undefined rip
	movl	(%rsp), %edi
	leaq	8(%rsp), %rsi
	leaq	main_main(%rip), %rax
	movq	%rax, runtime_main_main(%rip)
	jmp	runtime_rt0_go
	.cfi_endproc
	.size _rt0_amd64, . - _rt0_amd64

// void main_main(void): what runtime_main calls: exit(main(argc, argv, envp)).
	.type main_main, @function
main_main:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movslq	runtime_argc(%rip), %rdi
	movq	runtime_argv(%rip), %rsi
	leaq	8(%rsi,%rdi,8), %rdx
	call	main
	movl	%eax, %edi
	call	runtime_mainreturned
	movl	%eax, %edi
	call	runtime_exitprocess
	.cfi_endproc
	.size main_main, . - main_main

// The four functions that compilers call without being asked.
.macro TAIL name, to
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	jmp	\to
	.cfi_endproc
	.size	\name, . - \name
.endm
TAIL	memcpy, runtime_memcpy
TAIL	memmove, runtime_memcpy
TAIL	memset, runtime_memset
TAIL	memcmp, runtime_memcmp

// Here, so that the archive's, which needs a libc, is not linked (src/net/lookup.h).
	.section .rodata
	.p2align 3
	.globl	runtime_libclookup
	.hidden	runtime_libclookup
	.type	runtime_libclookup, @object
	.size	runtime_libclookup, 8
runtime_libclookup:
	.quad	0

	.section .note.GNU-stack, "", @progbits
