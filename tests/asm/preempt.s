// SPDX-License-Identifier: BSD-3-Clause
// preempt.s: a function that checks its stack, so that it gives way when it is asked to.
#include "textflag.h"

// func depth(n int) int: calls itself n times.
TEXT ·depth(SB), 0, $24-16
	MOVQ	n+0(FP), AX
	TESTQ	AX, AX
	JEQ	zero
	DECQ	AX
	MOVQ	AX, 0(SP)
	CALL	·depth(SB)
	MOVQ	8(SP), AX
	INCQ	AX
zero:
	MOVQ	AX, ret+8(FP)
	RET

// func big(n int) int: its frame is beyond the small ones.
TEXT ·big(SB), 0, $8192-16
	MOVQ	n+0(FP), AX
	MOVQ	AX, x-8(SP)
	MOVQ	x-8(SP), AX
	MOVQ	AX, ret+8(FP)
	RET

// func huge(): more than a stack holds.
TEXT ·huge(SB), 0, $1073741824-0
	MOVQ	$0, x-8(SP)
	RET
