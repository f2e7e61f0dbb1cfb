// SPDX-License-Identifier: BSD-3-Clause
// memmove_amd64.s: memmove and memclr that never tear a pointer.
//
// A concurrent collector may read a word while it is moved. A libc's memmove may move it byte by
// byte (rep movsb, short tails); here a pointer-aligned word in the middle of a move is always
// moved by one access of 8 bytes or more.
#include "textflag.h"

// void runtime_memmove(void *to, const void *from, size_t n)
// in: DI, SI, DX. The ranges may overlap. Clobbers CX, R8-R10, X0-X3.
TEXT runtime·memmove(SB), NOSPLIT|NOFRAME, $0
	CMPQ	DX, $16
	JHI	move17up
	CMPQ	DX, $8
	JCC	move8to16
	CMPQ	DX, $4
	JCC	move4to7
	TESTQ	DX, DX
	JEQ	done
	// 1 to 3 bytes: the first, the middle and the last, which may be one and the same.
	MOVQ	DX, R10
	SHRQ	$1, R10
	MOVBLZX	(SI), CX
	MOVBLZX	-1(SI)(DX*1), R8
	MOVBLZX	(SI)(R10*1), R9
	MOVB	CX, (DI)
	MOVB	R9, (DI)(R10*1)
	MOVB	R8, -1(DI)(DX*1)
done:
	RET
move4to7:
	MOVL	(SI), CX
	MOVL	-4(SI)(DX*1), R8
	MOVL	CX, (DI)
	MOVL	R8, -4(DI)(DX*1)
	RET
move8to16:
	MOVQ	(SI), CX
	MOVQ	-8(SI)(DX*1), R8
	MOVQ	CX, (DI)
	MOVQ	R8, -8(DI)(DX*1)
	RET
move17up:
	CMPQ	DX, $32
	JHI	move33up
	MOVUPS	(SI), X0
	MOVUPS	-16(SI)(DX*1), X1
	MOVUPS	X0, (DI)
	MOVUPS	X1, -16(DI)(DX*1)
	RET
move33up:
	MOVQ	DI, CX
	SUBQ	SI, CX
	CMPQ	CX, DX
	JCS	backward	// to lies inside [from, from+n)
	// Forward; the last 32 bytes are read first, since the loop may overwrite them.
	MOVUPS	-32(SI)(DX*1), X2
	MOVUPS	-16(SI)(DX*1), X3
	LEAQ	-32(DI)(DX*1), R8
forward:
	MOVUPS	(SI), X0
	MOVUPS	16(SI), X1
	MOVUPS	X0, (DI)
	MOVUPS	X1, 16(DI)
	ADDQ	$32, SI
	ADDQ	$32, DI
	CMPQ	DI, R8
	JCS	forward
	MOVUPS	X2, (R8)
	MOVUPS	X3, 16(R8)
	RET
backward:
	MOVUPS	(SI), X2
	MOVUPS	16(SI), X3
down:
	MOVUPS	-32(SI)(DX*1), X0
	MOVUPS	-16(SI)(DX*1), X1
	MOVUPS	X0, -32(DI)(DX*1)
	MOVUPS	X1, -16(DI)(DX*1)
	SUBQ	$32, DX
	CMPQ	DX, $32
	JHI	down
	MOVUPS	X2, (DI)
	MOVUPS	X3, 16(DI)
	RET

// void runtime_memclr(void *p, size_t n)
// in: DI, SI. Clobbers CX, AX, DI, X0.
TEXT runtime·memclr(SB), NOSPLIT|NOFRAME, $0
	XORPS	X0, X0
	XORL	AX, AX
	CMPQ	SI, $16
	JCS	clr15
	CMPQ	SI, $32
	JHI	clr33up
	MOVUPS	X0, (DI)
	MOVUPS	X0, -16(DI)(SI*1)
	RET
clr33up:
	LEAQ	-32(DI)(SI*1), CX
loop:
	MOVUPS	X0, (DI)
	MOVUPS	X0, 16(DI)
	ADDQ	$32, DI
	CMPQ	DI, CX
	JCS	loop
	MOVUPS	X0, (CX)
	MOVUPS	X0, 16(CX)
	RET
clr15:
	CMPQ	SI, $8
	JCS	clr7
	MOVQ	AX, (DI)
	MOVQ	AX, -8(DI)(SI*1)
	RET
clr7:
	CMPQ	SI, $4
	JCS	clr3
	MOVL	AX, (DI)
	MOVL	AX, -4(DI)(SI*1)
	RET
clr3:
	TESTQ	SI, SI
	JEQ	done
	MOVQ	SI, CX
	SHRQ	$1, CX
	MOVB	AX, (DI)
	MOVB	AX, (DI)(CX*1)
	MOVB	AX, -1(DI)(SI*1)
done:
	RET

// What compilers call: memcpy and memmove, memset, memcmp (runtime.h).

// void *runtime_memcpy(void *to, const void *from, size_t n), and memmove. Returns to.
TEXT runtime·memcpy(SB), NOSPLIT|NOFRAME, $0
	MOVQ	DI, AX
	JMP	runtime·memmove(SB)	// leaves AX alone

// void *runtime_memset(void *p, int c, size_t n)
TEXT runtime·memset(SB), NOSPLIT|NOFRAME, $0
	MOVQ	DI, R8
	MOVL	SI, AX
	MOVQ	DX, CX
	REP
	STOSB
	MOVQ	R8, AX
	RET

// int runtime_memcmp(const void *a, const void *b, size_t n)
TEXT runtime·memcmp(SB), NOSPLIT|NOFRAME, $0
	XORL	CX, CX
loop:
	CMPQ	CX, DX
	JCC	equal
	MOVBLZX	(DI)(CX*1), AX
	MOVBLZX	(SI)(CX*1), R8
	INCQ	CX
	SUBL	R8, AX
	JEQ	loop
	RET
equal:
	XORL	AX, AX
	RET
