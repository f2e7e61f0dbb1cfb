// SPDX-License-Identifier: BSD-3-Clause
// memmove_amd64.S: memmove and memclr that never tear a pointer.
//
// A concurrent collector may read a word while it is moved. A libc's memmove may move it byte by
// byte (rep movsb, short tails); here a pointer-aligned word in the middle of a move is always
// moved by one access of 8 bytes or more.
#include "asm.h"

	.text

// void runtime_memmove(void *to, const void *from, size_t n)
// in: rdi, rsi, rdx. The ranges may overlap. Clobbers rcx, r8-r10, xmm0-xmm3.
FUNC runtime_memmove
	cmpq	$16, %rdx
	ja	.Lmove17up
	cmpq	$8, %rdx
	jae	.Lmove8to16
	cmpq	$4, %rdx
	jae	.Lmove4to7
	testq	%rdx, %rdx
	jz	1f
	// 1 to 3 bytes: the first, the middle and the last, which may be one and the same.
	movq	%rdx, %r10
	shrq	%r10
	movzbl	(%rsi), %ecx
	movzbl	-1(%rsi,%rdx), %r8d
	movzbl	(%rsi,%r10), %r9d
	movb	%cl, (%rdi)
	movb	%r9b, (%rdi,%r10)
	movb	%r8b, -1(%rdi,%rdx)
1:	ret
.Lmove4to7:
	movl	(%rsi), %ecx
	movl	-4(%rsi,%rdx), %r8d
	movl	%ecx, (%rdi)
	movl	%r8d, -4(%rdi,%rdx)
	ret
.Lmove8to16:
	movq	(%rsi), %rcx
	movq	-8(%rsi,%rdx), %r8
	movq	%rcx, (%rdi)
	movq	%r8, -8(%rdi,%rdx)
	ret
.Lmove17up:
	cmpq	$32, %rdx
	ja	.Lmove33up
	movups	(%rsi), %xmm0
	movups	-16(%rsi,%rdx), %xmm1
	movups	%xmm0, (%rdi)
	movups	%xmm1, -16(%rdi,%rdx)
	ret
.Lmove33up:
	movq	%rdi, %rcx
	subq	%rsi, %rcx
	cmpq	%rdx, %rcx
	jb	.Lbackward		// to lies inside [from, from+n)
	// Forward; the last 32 bytes are read first, since the loop may overwrite them.
	movups	-32(%rsi,%rdx), %xmm2
	movups	-16(%rsi,%rdx), %xmm3
	leaq	-32(%rdi,%rdx), %r8
2:	movups	(%rsi), %xmm0
	movups	16(%rsi), %xmm1
	movups	%xmm0, (%rdi)
	movups	%xmm1, 16(%rdi)
	addq	$32, %rsi
	addq	$32, %rdi
	cmpq	%r8, %rdi
	jb	2b
	movups	%xmm2, (%r8)
	movups	%xmm3, 16(%r8)
	ret
.Lbackward:
	movups	(%rsi), %xmm2
	movups	16(%rsi), %xmm3
3:	movups	-32(%rsi,%rdx), %xmm0
	movups	-16(%rsi,%rdx), %xmm1
	movups	%xmm0, -32(%rdi,%rdx)
	movups	%xmm1, -16(%rdi,%rdx)
	subq	$32, %rdx
	cmpq	$32, %rdx
	ja	3b
	movups	%xmm2, (%rdi)
	movups	%xmm3, 16(%rdi)
	ret
ENDFUNC runtime_memmove

// void runtime_memclr(void *p, size_t n)
// in: rdi, rsi. Clobbers rcx, rax, rdi, xmm0.
FUNC runtime_memclr
	xorps	%xmm0, %xmm0
	xorl	%eax, %eax
	cmpq	$16, %rsi
	jb	.Lclr15
	cmpq	$32, %rsi
	ja	.Lclr33up
	movups	%xmm0, (%rdi)
	movups	%xmm0, -16(%rdi,%rsi)
	ret
.Lclr33up:
	leaq	-32(%rdi,%rsi), %rcx
1:	movups	%xmm0, (%rdi)
	movups	%xmm0, 16(%rdi)
	addq	$32, %rdi
	cmpq	%rcx, %rdi
	jb	1b
	movups	%xmm0, (%rcx)
	movups	%xmm0, 16(%rcx)
	ret
.Lclr15:
	cmpq	$8, %rsi
	jb	2f
	movq	%rax, (%rdi)
	movq	%rax, -8(%rdi,%rsi)
	ret
2:	cmpq	$4, %rsi
	jb	3f
	movl	%eax, (%rdi)
	movl	%eax, -4(%rdi,%rsi)
	ret
3:	testq	%rsi, %rsi
	jz	4f
	movq	%rsi, %rcx
	shrq	%rcx
	movb	%al, (%rdi)
	movb	%al, (%rdi,%rcx)
	movb	%al, -1(%rdi,%rsi)
4:	ret
ENDFUNC runtime_memclr

// What compilers call: memcpy and memmove, memset, memcmp (runtime.h).

// void *runtime_memcpy(void *to, const void *from, size_t n), and memmove. Returns to.
FUNC runtime_memcpy
	movq	%rdi, %rax
	jmp	runtime_memmove		// leaves rax alone
ENDFUNC runtime_memcpy

// void *runtime_memset(void *p, int c, size_t n)
FUNC runtime_memset
	movq	%rdi, %r8
	movl	%esi, %eax
	movq	%rdx, %rcx
	rep stosb
	movq	%r8, %rax
	ret
ENDFUNC runtime_memset

// int runtime_memcmp(const void *a, const void *b, size_t n)
FUNC runtime_memcmp
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
ENDFUNC runtime_memcmp

	.section .note.GNU-stack, "", @progbits
