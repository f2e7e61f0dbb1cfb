// SPDX-License-Identifier: BSD-3-Clause
// preempt_amd64.s: the call that a signal handler puts into a goroutine.
#include "textflag.h"

// void runtime_asyncPreempt(void)
// Entered with SP 136 below that of the interrupted code, whose address lies there (128
// bytes are the red zone). Saves every register, flags and the whole of the floating-point and
// vector state, gives way, restores all and goes on. Clobbers nothing. To unwinders the interrupted code is
// its caller, stopped by a signal.
TEXT runtime·asyncPreempt(SB), NOSPLIT|NOFRAME|SIGFRAME, $0
	UNWIND	$136(SP), SP
	UNWIND	0(SP), PC
	PUSHFQ
	PUSHQ	BP
	MOVQ	SP, BP
	CLD
	PUSHQ	AX
	PUSHQ	BX
	PUSHQ	CX
	PUSHQ	DX
	PUSHQ	SI
	PUSHQ	DI
	PUSHQ	R8
	PUSHQ	R9
	PUSHQ	R10
	PUSHQ	R11
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	SUBQ	runtime·xsavesize(SB), SP
	ANDQ	$~63, SP
	MOVL	runtime·xsavemask(SB), AX
	XORL	DX, DX
	TESTL	AX, AX
	JEQ	noxsave
	// The header's reserved words must be zero for xrstor; xsave writes the first only.
	MOVQ	DX, 512(SP)
	MOVQ	DX, 520(SP)
	MOVQ	DX, 528(SP)
	MOVQ	DX, 536(SP)
	MOVQ	DX, 544(SP)
	MOVQ	DX, 552(SP)
	MOVQ	DX, 560(SP)
	MOVQ	DX, 568(SP)
	XSAVE64	0(SP)
	// Who runs next expects an empty x87 stack. It mostly is: the saved header says which state is not the initial one.
	TESTB	$1, 512(SP)
	JEQ	empty
	FINIT
empty:
	CALL	runtime·asyncPreempt2(SB)
	MOVL	runtime·xsavemask(SB), AX
	XORL	DX, DX
	XRSTOR64 0(SP)
	JMP	restored
noxsave:
	FXSAVE64 0(SP)
	FINIT
	CALL	runtime·asyncPreempt2(SB)
	FXRSTOR64 0(SP)
restored:
	LEAQ	-112(BP), SP
	POPQ	R15
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	R11
	POPQ	R10
	POPQ	R9
	POPQ	R8
	POPQ	DI
	POPQ	SI
	POPQ	DX
	POPQ	CX
	POPQ	BX
	POPQ	AX
	POPQ	BP
	POPFQ
	BYTE	$0xc2	// RET that frees 128 bytes more, which Go's RET cannot say
	WORD	$128
