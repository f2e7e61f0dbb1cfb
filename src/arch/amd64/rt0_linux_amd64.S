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

// void *memcpy(void *to, const void *from, size_t n), and memmove.
	.globl memcpy, memmove, memset, memcmp
	.type memcpy, @function
	.type memmove, @function
memcpy:
memmove:
	.cfi_startproc
	pushq	%rdi
	.cfi_def_cfa_offset 16
	call	runtime_memmove
	popq	%rax
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size memcpy, . - memcpy
	.size memmove, . - memmove

// void *memset(void *p, int c, size_t n)
	.type memset, @function
memset:
	.cfi_startproc
	movq	%rdi, %r8
	movl	%esi, %eax
	movq	%rdx, %rcx
	rep stosb
	movq	%r8, %rax
	ret
	.cfi_endproc
	.size memset, . - memset

// int memcmp(const void *a, const void *b, size_t n)
	.type memcmp, @function
memcmp:
	.cfi_startproc
	xorl	%ecx, %ecx
1:	cmpq	%rdx, %rcx
	jae	2f
	movzbl	(%rdi,%rcx), %eax
	movzbl	(%rsi,%rcx), %r8d
	incq	%rcx
	subl	%r8d, %eax
	jz	1b
	ret
2:	xorl	%eax, %eax
	ret
	.cfi_endproc
	.size memcmp, . - memcmp

	.section .note.GNU-stack, "", @progbits
