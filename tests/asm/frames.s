// SPDX-License-Identifier: BSD-3-Clause
// frames.s: functions of every kind of frame, for unwind.c, which walks the stack at each instruction.
#include "textflag.h"

// A frame with a saved BP; a return in the middle.
TEXT frame_plain(SB), NOSPLIT, $40-16
	MOVQ	x+0(FP), AX
	MOVQ	AX, 0(SP)
	TESTQ	AX, AX
	JNE	more
	MOVQ	$7, ret+8(FP)
	RET
more:
	ADDQ	$1, AX
	MOVQ	AX, ret+8(FP)
	RET

// No frame; pushes inside.
TEXT frame_push(SB), NOSPLIT, $0-16
	MOVQ	x+0(FP), AX
	PUSHQ	AX
	PUSHQ	BP
	PUSHQ	R12
	PUSHQ	BX
	MOVQ	$3, BP
	XCHGQ	BX, CX
	MOVL	$5, R12
	PUSHQ	R12
	PUSHFQ
	POPFQ
	POPQ	R12
	POPQ	BX
	POPQ	R12
	POPQ	BP
	POPQ	AX
	MOVQ	AX, ret+8(FP)
	RET

// The stack moved by hand, in a loop.
TEXT frame_hand(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ	$3, CX
loop:
	SUBQ	$24, SP
	MOVQ	CX, 8(SP)
	LEAQ	24(SP), SP
	DECQ	CX
	JNE	loop
	MOVQ	$1, AX
	RET

// SP is aligned down: only BP still knows where the frame is.
TEXT frame_align(SB), NOSPLIT|NOFRAME, $0-0
	PUSHQ	BP
	MOVQ	SP, BP
	ANDQ	$~63, SP
	SUBQ	$128, SP
	MOVQ	$0, 0(SP)
	MOVQ	BP, SP
	POPQ	BP
	RET

// Calls, so BP is saved without a frame of its own; and the check of the stack.
TEXT frame_calls(SB), $16-16
	MOVQ	x+0(FP), AX
	MOVQ	AX, 0(SP)
	CALL	frame_hand(SB)
	MOVQ	AX, ret+8(FP)
	RET

// Code behind a RET that is reached by a jump only.
TEXT frame_jumps(SB), NOSPLIT, $24-8
	MOVQ	$2, CX
	JMP	check
back:
	PUSHQ	CX
	POPQ	CX
	DECQ	CX
check:
	TESTQ	CX, CX
	JNE	back
	RET

// void enter(void (*f)(void)): calls f with room for arguments, the registers of C saved.
TEXT enter(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	BX
	PUSHQ	BP
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	SUBQ	$56, SP
	MOVQ	$1, 0(SP)
	CALL	DI
	ADDQ	$56, SP
	POPQ	R15
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	BP
	POPQ	BX
	RET
