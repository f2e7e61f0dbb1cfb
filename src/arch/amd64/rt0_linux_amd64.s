// SPDX-License-Identifier: BSD-3-Clause
// rt0_linux_amd64.s: the ELF entry of pure programs (-e _rt0_amd64_linux), and the four functions
// that compilers call on their own.
//
// Linked into pure programs only (rt0_pure.o, not in the archive): a hosted program is entered
// through its libc and keeps the libc's memcpy, which is faster for large blocks.
#include "textflag.h"

// in: SP as the kernel leaves it: argc, argv..., NULL, envp..., NULL, auxv.
TEXT _rt0_amd64_linux(SB), NOSPLIT|NOFRAME|TOPFRAME|EXPORT, $0
	JMP	_rt0_amd64<>(SB)

// argc and argv off the stack, then the part that is common to all systems.
TEXT _rt0_amd64<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL	0(SP), DI
	LEAQ	8(SP), SI
	LEAQ	main·main<>(SB), AX
	MOVQ	AX, runtime·main_main(SB)
	JMP	runtime·rt0_go(SB)

// void main_main(void): what runtime_main calls: exit(main(argc, argv, envp)).
TEXT main·main<>(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	BP
	MOVQ	SP, BP
	MOVLQSX	runtime·argc(SB), DI
	MOVQ	runtime·argv(SB), SI
	LEAQ	8(SI)(DI*8), DX
	CALL	main(SB)
	MOVL	AX, DI
	CALL	runtime·mainreturned(SB)
	MOVL	AX, DI
	CALL	runtime·exitprocess(SB)
	UNDEF

// The four functions that compilers call without being asked.
TEXT memcpy(SB), NOSPLIT|NOFRAME|EXPORT, $0
	JMP	runtime·memcpy(SB)
TEXT memmove(SB), NOSPLIT|NOFRAME|EXPORT, $0
	JMP	runtime·memcpy(SB)
TEXT memset(SB), NOSPLIT|NOFRAME|EXPORT, $0
	JMP	runtime·memset(SB)
TEXT memcmp(SB), NOSPLIT|NOFRAME|EXPORT, $0
	JMP	runtime·memcmp(SB)

// Here, so that the archive's, which needs a libc, is not linked (src/net/lookup.h).
GLOBL runtime·libclookup(SB), RODATA|NOPTR, $8
