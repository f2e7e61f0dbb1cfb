// SPDX-License-Identifier: BSD-3-Clause
// asm.h: how a function of the core begins and ends in assembly.

.macro FUNC name
	.p2align 4
	.globl \name
	.hidden \name
	.type \name, @function
\name:
	.cfi_startproc
.endm
.macro ENDFUNC name
	.cfi_endproc
	.size \name, . - \name
.endm
