// SPDX-License-Identifier: BSD-3-Clause
// panic_amd64.s: where a deferred call is noted, where a fault enters a goroutine, and the return that
// recover makes.
#include "go_asm.h"
#include "go_tls.h"
#include "textflag.h"

// The registers of a struct cfiregs, by their numbers in DWARF.
#define REGS(n) (cfiregs_r+8*n)
#define RBX 3
#define RBP 6
#define RSP 7
#define RIP 16

// struct rt0_deferlink rt0_defer_push(struct rt0_deferred *d)
// in: DI = d, fn and arg set. Links d before the goroutine's others and notes the SP of the frame that
// defers: functions that it calls end there. out: AX = d's next, DX = the list's head, where next
// goes in the end; without a goroutine a place that nobody reads. Clobbers CX. (As a C function it
// would have a frame: 1 ns.)
TEXT rt0_defer_push(SB), NOSPLIT|NOFRAME|EXPORT, $0
	get_tls(DX)
	MOVQ	g(DX), DX
	LEAQ	8(SP), CX
	MOVQ	CX, rt0_deferred_sp(DI)
	TESTQ	DX, DX
	JEQ	nog
	MOVQ	g_defer(DX), AX
	ADDQ	$g_defer, DX
	MOVQ	AX, rt0_deferred_next(DI)
	MOVQ	DI, (DX)
	RET
nog:
	MOVQ	DI, DX
	XORL	AX, AX
	RET

// void runtime_calldeferred(void (*fn)(void *), void *arg, uintptr_t *cfa)
// in: DI, SI, DX. Calls fn(arg) with *cfa = the end of fn's frame, by which recover knows whether it
// was called by fn itself.
TEXT runtime·calldeferred(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	BP
	MOVQ	SP, BP
	MOVQ	SP, (DX)
	MOVQ	DI, AX
	MOVQ	SI, DI
	CALL	AX
ENTRY runtime·calldeferredret(SB)
	POPQ	BP
	RET

// What the caller's registers are once the function has returned, to the struct cfiregs at DI.
#define CALLERREGS \
	MOVQ	BX, REGS(RBX)(DI); \
	MOVQ	BP, REGS(RBP)(DI); \
	LEAQ	8(SP), AX; \
	MOVQ	AX, REGS(RSP)(DI); \
	MOVQ	R12, REGS(12)(DI); \
	MOVQ	R13, REGS(13)(DI); \
	MOVQ	R14, REGS(14)(DI); \
	MOVQ	R15, REGS(15)(DI); \
	MOVQ	0(SP), AX; \
	MOVQ	AX, REGS(RIP)(DI)

// int runtime_trycall(struct cfiregs *regs, void (*fn)(void *), void *arg)
// in: DI, SI, DX. Notes in regs what its caller's registers are once it has returned, calls fn(arg),
// returns 0. Or it returns 1, by recover.
TEXT runtime·trycall(SB), NOSPLIT|NOFRAME, $0
	CALLERREGS
	PUSHQ	BP
	MOVQ	SP, BP
	MOVQ	DX, DI
	CALL	SI
ENTRY runtime·trycallret(SB)
	XORL	AX, AX
	POPQ	BP
	RET

// void runtime_getcallregs(struct cfiregs *regs)
// in: DI. regs are what the caller's registers will be when this returns.
TEXT runtime·getcallregs(SB), NOSPLIT|NOFRAME, $0
	CALLERREGS
	RET

// Where recover enters the returning function's stack (defer.c makes the frame): its result as an
// integer and as a floating-point number, then the address to return to.
TEXT runtime·recovered(SB), NOSPLIT|NOFRAME, $0
	UNWIND	$24(SP), SP
	MOVQ	0(SP), AX
	MOVSD	8(SP), X0
	ADDQ	$16, SP
	XORL	DX, DX
	XORPS	X1, X1
	RET

// void runtime_resume(const struct jump *j)	noreturn
// in: DI. Returns as j says, on the same stack; j lies below where SP will be, and is read before.
TEXT runtime·resume(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVQ	(jump_regs+REGS(RBX))(DI), BX
	MOVQ	(jump_regs+REGS(RBP))(DI), BP
	MOVQ	(jump_regs+REGS(12))(DI), R12
	MOVQ	(jump_regs+REGS(13))(DI), R13
	MOVQ	(jump_regs+REGS(14))(DI), R14
	MOVQ	(jump_regs+REGS(15))(DI), R15
	MOVQ	(jump_regs+REGS(RIP))(DI), CX
	MOVQ	jump_result(DI), AX
	MOVSD	jump_fresult(DI), X0
	XORL	DX, DX
	XORPS	X1, X1
	MOVQ	(jump_regs+REGS(RSP))(DI), SP
	JMP	CX

// Where a fault enters its goroutine (fault_linux.c): SP is at a struct sigframe, which begins with the
// pc and the SP of the fault. To unwinders that is what called this, stopped by a signal; to
// those by frame pointers too. Code may have been stopped with values on the x87 stack.
TEXT runtime·sigpanic0(SB), NOSPLIT|NOFRAME|SIGFRAME, $0
	UNWIND	8(SP), SP
	UNWIND	0(SP), PC
	PUSHQ	BP
	MOVQ	SP, BP
	CLD
	EMMS
	LEAQ	8(BP), DI
	CALL	runtime·sigpanic1(SB)
ENTRY runtime·sigpanicret(SB)
	UNDEF
