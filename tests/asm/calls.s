// SPDX-License-Identifier: BSD-3-Clause
// calls.s: functions that C calls by their Go declarations (calls.c).
#include "textflag.h"
// func add(a, b int64) int64
TEXT ·add(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), AX
	ADDQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET
// func mix(a int8, b float32, c uint16, s string, f float64, p []byte, q *int32, r bool, t uint32, u int64, v string) (n int64, sum float64, c2 byte)
TEXT ·mix(SB), NOSPLIT, $0-128
	MOVBQSX a+0(FP), AX
	MOVWQZX c+8(FP), BX
	ADDQ BX, AX
	ADDQ s_len+24(FP), AX
	ADDQ p_len+48(FP), AX
	MOVQ q+64(FP), BX
	MOVLQSX (BX), BX
	ADDQ BX, AX
	MOVBQZX r+72(FP), BX
	ADDQ BX, AX
	MOVLQZX t+76(FP), BX
	ADDQ BX, AX
	ADDQ u+80(FP), AX
	ADDQ v_len+96(FP), AX
	MOVQ AX, n+104(FP)
	CVTSS2SD b+4(FP), X0
	ADDSD f+32(FP), X0
	MOVSD X0, sum+112(FP)
	MOVB $9, c2+120(FP)
	RET
// func two(x float32, y float64) (float32, float32, int32)
TEXT ·two(SB), NOSPLIT, $0-32
	MOVSS x+0(FP), X0
	MOVSS X0, r0+16(FP)
	CVTSD2SS y+8(FP), X0
	MOVSS X0, r1+20(FP)
	MOVL $-3, r2+24(FP)
	RET
// func sub(s string, n int) string
TEXT ·sub(SB), NOSPLIT, $0-40
	MOVQ s+0(FP), AX
	ADDQ n+16(FP), AX
	MOVQ AX, r+24(FP)
	MOVQ s_len+8(FP), AX
	SUBQ n+16(FP), AX
	MOVQ AX, r_len+32(FP)
	RET
// func all(p []byte) []byte
TEXT ·all(SB), $0-48
	MOVUPS p+0(FP), X0
	MOVQ p_cap+16(FP), AX
	MOVUPS X0, r+24(FP)
	MOVQ AX, r+40(FP)
	RET
// func neg(x int8) int8
TEXT ·neg(SB), NOSPLIT, $0-9
	MOVB x+0(FP), AX
	NEGB AX
	MOVB AX, r+8(FP)
	RET
// func half(x float32) float32
TEXT ·half(SB), NOSPLIT, $0-12
	MOVSS x+0(FP), X0
	MULSS $0.5, X0
	MOVSS X0, r+8(FP)
	RET
// func cplx(x complex128, y complex64) (complex64)
TEXT ·cplx(SB), NOSPLIT, $0-32
	MOVSD y+16(FP), X0
	MOVSD X0, r+24(FP)
	RET
