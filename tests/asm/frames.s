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

// Another stack, whose beginning has the caller's SP and PC in words; a register is saved there. Back by
// a place with a name.
TEXT frame_switch(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ	stack<>+65536(SB), AX
	LEAQ	8(SP), CX
	MOVQ	CX, 16(AX)
	MOVQ	0(SP), CX
	MOVQ	CX, 24(AX)
	MOVQ	AX, SP
	UNWIND	16(SP), SP
	UNWIND	24(SP), PC
	NOP
	BYTE	$0x90
	PUSHQ	BX
	PUSHQ	BP
	MOVQ	SP, BP
	MOVL	$7, BX
	ANDQ	$~63, SP
	SUBQ	$8, SP
	MOVQ	BP, SP
	POPQ	BP
	POPQ	BX
	JMP	frame_back<>(SB)
	UNDEF
ENTRY frame_back<>(SB)
	UNWIND	16(SP), SP
	UNWIND	24(SP), PC
	BYTE	$0x90
	MOVQ	16(SP), SP
	UNWIND	$0(SP), SP
	LEAQ	-8(SP), SP
	BYTE	$0x90
	BYTE	$0x90
	BYTE	$0x90
	RET
GLOBL stack<>(SB), NOPTR, $65600

// As if a signal had stopped the caller at its return address, with flags and a register of its own
// on the stack and the pc beneath.
TEXT frame_signal(SB), NOSPLIT|NOFRAME|SIGFRAME, $0-0
	UNWIND	$8(SP), SP
	PUSHQ	R9
	PUSHQ	R12
	MOVQ	$1, R9
	MOVQ	$1, R12
	BYTE	$0x90
	UNWIND	$24(SP), SP
	UNWIND	16(SP), PC
	UNWIND	8(SP), R9
	UNWIND	0(SP), R12
	BYTE	$0x90
	BYTE	$0x90
	BYTE	$0x90
	BYTE	$0x90
	BYTE	$0x90
	BYTE	$0x90
	POPQ	R12
	POPQ	R9
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
