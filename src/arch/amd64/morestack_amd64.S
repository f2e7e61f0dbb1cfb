// SPDX-License-Identifier: BSD-3-Clause
// morestack_amd64.S: what functions in Go's assembly language call when SP is not above stackguard0.
//
// Their prologue (rt0 asm, without NOSPLIT) is `CMPQ SP, g.stackguard0; JLS; ...; CALL; JMP` to the
// beginning. A goroutine's stack does not grow: the call is a request to give way, or an overflow.
#include "asm.h"

// in: rdx = the closure, which stays; nothing else need survive. SP may be aligned in any way.
FUNC runtime.morestack
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	pushq	%rdx
	andq	$-16, %rsp
	subq	$16, %rsp
	call	runtime_newstack
	movq	-8(%rbp), %rdx
	leave
	.cfi_def_cfa rsp, 8
	.cfi_restore rbp
	ret
ENDFUNC runtime.morestack

FUNC runtime.morestack_noctxt
	jmp	runtime.morestack
ENDFUNC runtime.morestack_noctxt

	.section .note.GNU-stack, "", @progbits
