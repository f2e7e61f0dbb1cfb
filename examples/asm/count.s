// SPDX-License-Identifier: BSD-3-Clause
// count.s: how often a byte is in memory: 16 bytes at a time, or 32 with AVX2.
#include "textflag.h"

// Equal bytes compare to -1, which is subtracted: 16 counters of a byte, for 255 rounds at most.
// PSADBW then adds up each half of them.

// func count(p []byte, c byte) int
TEXT ·count(SB), NOSPLIT, $0-40
	MOVQ	p_base+0(FP), SI
	MOVQ	p_len+8(FP), CX
	MOVBLZX	c+24(FP), AX
	MOVQ	AX, X1
	PUNPCKLBW X1, X1
	PUNPCKLWL X1, X1
	PSHUFL	$0, X1, X1	// c in every byte
	PXOR	X0, X0		// 0
	XORQ	DX, DX		// the count
	PXOR	X5, X5		// the sum, in two halves
blocks:
	MOVQ	CX, BX
	SHRQ	$4, BX		// blocks left
	JEQ	tail
	CMPQ	BX, $255
	JLS	fits
	MOVQ	$255, BX
fits:
	MOVQ	BX, DI
	SHLQ	$4, DI
	SUBQ	DI, CX
	PXOR	X3, X3
round:
	MOVOU	(SI), X2
	PCMPEQB	X1, X2
	PSUBB	X2, X3
	ADDQ	$16, SI
	DECQ	BX
	JNE	round
	PSADBW	X0, X3
	PADDQ	X3, X5
	JMP	blocks
tail:
	TESTQ	CX, CX
	JEQ	done
	CMPB	(SI), AX
	JNE	next
	INCQ	DX
next:
	INCQ	SI
	DECQ	CX
	JMP	tail
done:
	MOVQ	X5, AX
	PSRLO	$8, X5
	MOVQ	X5, BX
	ADDQ	BX, AX
	ADDQ	DX, AX
	MOVQ	AX, ret+32(FP)
	RET

// func countAVX2(p []byte, c byte) int
TEXT ·countAVX2(SB), NOSPLIT, $0-40
	MOVQ	p_base+0(FP), SI
	MOVQ	p_len+8(FP), CX
	MOVBLZX	c+24(FP), AX
	VPBROADCASTB c+24(FP), Y1
	VPXOR	Y0, Y0, Y0
	VPXOR	Y5, Y5, Y5
	XORQ	DX, DX
blocks:
	MOVQ	CX, BX
	SHRQ	$5, BX
	JEQ	tail
	CMPQ	BX, $255
	JLS	fits
	MOVQ	$255, BX
fits:
	MOVQ	BX, DI
	SHLQ	$5, DI
	SUBQ	DI, CX
	VPXOR	Y3, Y3, Y3
	PCALIGN	$16
round:
	VPCMPEQB (SI), Y1, Y2
	VPSUBB	Y2, Y3, Y3
	ADDQ	$32, SI
	DECQ	BX
	JNE	round
	VPSADBW	Y0, Y3, Y3
	VPADDQ	Y3, Y5, Y5
	JMP	blocks
tail:
	TESTQ	CX, CX
	JEQ	done
	CMPB	(SI), AX
	JNE	next
	INCQ	DX
next:
	INCQ	SI
	DECQ	CX
	JMP	tail
done:
	VEXTRACTI128 $1, Y5, X6
	VPADDQ	X6, X5, X5
	VPSRLDQ	$8, X5, X6
	VPADDQ	X6, X5, X5
	VMOVQ	X5, AX
	ADDQ	DX, AX
	MOVQ	AX, ret+32(FP)
	VZEROUPPER
	RET
