// SPDX-License-Identifier: BSD-3-Clause
// morestack_amd64.s: what functions in Go's assembly language call when SP is not above stackguard0.
//
// Their prologue (rt0 asm, without NOSPLIT) is `CMPQ SP, g.stackguard0; JLS; ...; CALL; JMP` to the
// beginning. A goroutine's stack does not grow: the call is a request to give way, or an overflow.
#include "textflag.h"

// in: DX = the closure, which stays; nothing else need survive. SP may be aligned in any way.
TEXT runtime·morestack(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	BP
	MOVQ	SP, BP
	SUBQ	$16, SP
	ANDQ	$~15, SP
	MOVQ	DX, -8(BP)
	CALL	runtime·newstack(SB)
	MOVQ	-8(BP), DX
	MOVQ	BP, SP
	POPQ	BP
	RET

TEXT runtime·morestack_noctxt(SB), NOSPLIT|NOFRAME, $0
	JMP	runtime·morestack(SB)
