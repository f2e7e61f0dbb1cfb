// SPDX-License-Identifier: BSD-3-Clause
// lib.s: every kind of reference, for objects that are linked static, PIE and shared (main.c checks).
#include "textflag.h"
#include "go_tls.h"

DATA table<>+0(SB)/8, $local<>(SB)
DATA table<>+8(SB)/8, $exported(SB)
DATA table<>+16(SB)/8, $c_data+8(SB)
GLOBL table<>(SB), RODATA, $24
DATA own+0(SB)/8, $40
GLOBL own(SB), NOPTR, $8
GLOBL zeroed(SB), NOPTR, $64
DATA pi<>+0(SB)/8, $3.25
GLOBL pi<>(SB), RODATA|DUPOK, $8

TEXT local<>(SB), NOSPLIT|NOFRAME, $0
	MOVL	$1, AX
	RET

TEXT exported(SB), NOSPLIT|NOFRAME, $0
	MOVL	$2, AX
	RET

TEXT shared_by_many(SB), NOSPLIT|NOFRAME|DUPOK, $0
	MOVL	$4, AX
	RET

// long sum(void): a bit for everything that works.
TEXT sum(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	BX
	PUSHQ	R15
	PUSHQ	R14
	CALL	local<>(SB)
	MOVQ	AX, BX
	CALL	exported(SB)
	ORQ	AX, BX
	CALL	shared_by_many(SB)
	ORQ	AX, BX
	MOVQ	$shared_by_many(SB), AX
	CALL	AX
	SHLQ	$1, AX
	ORQ	AX, BX	// 8
	MOVQ	c_data+8(SB), AX
	ORQ	AX, BX	// 16
	LEAQ	c_data(SB), AX
	MOVQ	16(AX), AX
	ORQ	AX, BX	// 32
	MOVQ	$c_func(SB), AX
	CALL	AX
	ORQ	AX, BX	// 64
	CALL	c_func2(SB)
	ORQ	AX, BX	// 128
	ADDQ	$1, c_counter(SB)
	ORQ	c_256(SB), BX
	MOVQ	own(SB), AX
	CMPQ	AX, $40
	JNE	out
	ORQ	$512, BX
	MOVQ	$table<>(SB), AX
	MOVQ	16(AX), AX
	MOVQ	(AX), AX
	SHLQ	$6, AX
	ORQ	AX, BX	// 1024
	get_tls(CX)
	MOVQ	g(CX), AX
	ORQ	(AX), BX	// 2048
	CALL	*table<>+8(SB)
	SHLQ	$11, AX
	ORQ	AX, BX	// 4096
	MOVQ	$zeroed+32(SB), AX
	MOVQ	$8192, (AX)
	ORQ	zeroed+32(SB), BX
	MOVQ	TLS, R14
	MOVQ	0(R14)(TLS*1), R14
	MOVQ	(R14), R14
	SHLQ	$3, R14
	ORQ	R14, BX	// 16384
out:
	MOVQ	BX, AX
	POPQ	R14
	POPQ	R15
	POPQ	BX
	RET
