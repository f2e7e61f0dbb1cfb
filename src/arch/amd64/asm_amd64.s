// SPDX-License-Identifier: BSD-3-Clause
// asm_amd64.s: rt0_go, the switch between goroutines, and calls on other stacks.
//
// In Go's assembly language (docs/asm.md), but called by C and calling C: arguments are in DI, SI, DX, CX;
// BX, BP and R12 to R15 are the caller's.
//
// The switch is built so that calls and returns stay paired: mcall calls fn, fn RETURNS the next
// goroutine, and mcall's own RET resumes it. The processor predicts returns by pairing; a
// scheduler that never returns (as Go's) mispredicts several of them at every switch.
#include "go_asm.h"
#include "go_tls.h"
#include "textflag.h"

#define SCHED_SP (g_sched+gobuf_sp)

// SAVEFRAME pushes a struct switchframe: what a C function must find unchanged when a call of it
// returns, the floating-point modes too. LOADFRAME is at such a frame, restores it and returns.
#define SAVEFRAME \
	PUSHQ	BP; \
	MOVQ	SP, BP; \
	PUSHQ	BX; \
	PUSHQ	R12; \
	PUSHQ	R13; \
	PUSHQ	R14; \
	PUSHQ	R15; \
	SUBQ	$8, SP; \
	STMXCSR	switchframe_fpmodes(SP); \
	FSTCW	(switchframe_fpmodes+4)(SP)
#define LOADFRAME \
	UNWIND	$switchframe__size(SP), SP; \
	UNWIND	switchframe_rbp(SP), BP; \
	UNWIND	switchframe_rbx(SP), BX; \
	UNWIND	switchframe_r12(SP), R12; \
	UNWIND	switchframe_r13(SP), R13; \
	UNWIND	switchframe_r14(SP), R14; \
	UNWIND	switchframe_r15(SP), R15; \
	LDMXCSR	switchframe_fpmodes(SP); \
	FLDCW	(switchframe_fpmodes+4)(SP); \
	ADDQ	$8, SP; \
	POPQ	R15; \
	POPQ	R14; \
	POPQ	R13; \
	POPQ	R12; \
	POPQ	BX; \
	POPQ	BP; \
	RET

// void runtime_mcall(struct g *(*fn)(struct g *gp))
// in: DI = fn, on a goroutine's stack. Pushes a switchframe, leaves its address in gp->sched.sp, calls
// fn(gp) on g0's stack, runs the goroutine that fn returns. Returns when somebody runs gp again,
// perhaps on another thread. Clobbers what a call clobbers.
TEXT runtime·mcall(SB), NOSPLIT|NOFRAME, $0
	SAVEFRAME
	get_tls(R13)
	MOVQ	g(R13), R12
	MOVQ	g_m(R12), DX
	MOVQ	m_g0(DX), BX
	CMPQ	R12, BX
	JEQ	bad
	MOVQ	SP, SCHED_SP(R12)
#ifdef RT0_SAN_HOOKS
	MOVQ	DI, R14
	MOVQ	R12, DI
	MOVQ	BX, SI
	CALL	runtime·sanbefore(SB)
	MOVQ	R14, DI
#endif
	MOVQ	BX, g(R13)
	MOVQ	SCHED_SP(BX), SP
	UNWIND	$0, PC
#ifdef RT0_SAN_HOOKS
	MOVQ	BX, DI
	CALL	runtime·sanafter(SB)
	MOVQ	R14, DI
#endif
	MOVQ	DI, AX
	MOVQ	R12, DI
	CALL	AX
	TESTQ	AX, AX
	JEQ	bad2
	MOVQ	AX, R12
	// R13 still holds the offset of the slot: fn keeps callee-saved registers, and the thread
	// is the one that called (a goroutine may change threads, g0 never does).
ENTRY resume<>(SB)
#ifdef RT0_SAN_HOOKS
	MOVQ	BX, DI
	MOVQ	R12, SI
	CALL	runtime·sanbefore(SB)
#endif
	MOVQ	R12, g(R13)
	MOVQ	SCHED_SP(R12), SP
#ifdef RT0_SAN_HOOKS
	MOVQ	R12, DI
	CALL	runtime·sanafter(SB)
#endif
	LOADFRAME
bad:
	CALL	runtime·badmcall(SB)
	UNDEF
bad2:
	CALL	runtime·badmcall2(SB)
	UNDEF

// void runtime_jump(struct g *to)	noreturn
// in: DI = to. swtch that saves nothing, for a goroutine that has ended.
TEXT runtime·jump(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	get_tls(AX)
	MOVQ	SCHED_SP(DI), SP
	MOVQ	DI, g(AX)
	JMP	restore<>(SB)

// void runtime_swtch(struct g *from, struct g *to, uint32_t *word)
// in: DI = from, the current goroutine; SI = to, at rest; DX = word or NULL. From goroutine to goroutine
// without g0 (proc.c, "Direct switch"). *word becomes 0 when from is saved and off its stack: a
// release store, after which another thread may run from. Returns when somebody runs from again.
TEXT runtime·swtch(SB), NOSPLIT|NOFRAME, $0
	SAVEFRAME
	get_tls(AX)
	MOVQ	SP, SCHED_SP(DI)
	MOVQ	SCHED_SP(SI), SP
	UNWIND	$0, PC
	TESTQ	DX, DX
	JEQ	released
	MOVL	$0, (DX)
released:
	MOVQ	SI, g(AX)
ENTRY restore<>(SB)
	// A goroutine that has not run is entered by a jump: the processor would predict the return
	// to be to whoever called swtch last, and be wrong each time (5 ns).
	LEAQ	runtime·gostart(SB), CX
	CMPQ	switchframe_pc(SP), CX
	JEQ	fresh
	LOADFRAME
fresh:
	LDMXCSR	switchframe_fpmodes(SP)
	FLDCW	(switchframe_fpmodes+4)(SP)
	MOVQ	switchframe_rbx(SP), BX
	MOVQ	switchframe_r12(SP), R12
	XORL	BP, BP
	ADDQ	$switchframe__size, SP
	JMP	runtime·gostart(SB)

// void runtime_gogo(struct g *gp)	noreturn
// in: DI = gp, on g0. The first goroutine that a thread runs; later ones come out of mcall.
TEXT runtime·gogo(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	get_tls(R13)
	MOVQ	g(R13), BX
	MOVQ	DI, R12
	ANDQ	$~15, SP
	JMP	resume<>(SB)

// Where newproc1 makes a goroutine begin: BX = fn, R12 = arg, SP 16-byte aligned, BP 0 (ends
// the frame chain). fn returns into goexit.
TEXT runtime·gostart(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVQ	R12, DI
	CALL	BX
ENTRY runtime·goexit(SB)
	PUSHQ	$0	// as if called: keeps the stack aligned; it never returns
	JMP	runtime·goexit1(SB)

// void runtime_systemstack(void (*fn)(void *), void *arg)
// in: DI = fn, SI = arg. Runs fn(arg) on g0's stack; on g0, on gsignal and on a thread without a
// g it is a plain call. While fn runs, gp->sched.sp shows a traceback where gp stands.
TEXT runtime·systemstack(SB), NOSPLIT|NOFRAME, $0
	get_tls(CX)
	MOVQ	g(CX), AX
	TESTQ	AX, AX
	JEQ	noswitch
	MOVQ	g_m(AX), DX
	CMPQ	AX, m_g0(DX)
	JEQ	noswitch
	CMPQ	AX, m_gsignal(DX)
	JEQ	noswitch
	CMPQ	AX, m_curg(DX)
	JNE	bad
	// In the places that they have in a switchframe; only R15 is not saved.
	PUSHQ	BP
	MOVQ	SP, BP
	PUSHQ	BX
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	MOVQ	AX, BX
	MOVQ	m_g0(DX), R12
	MOVQ	CX, R13
	LEAQ	-switchframe_rbp(BP), AX
	MOVQ	AX, SCHED_SP(BX)
#ifdef RT0_SAN_HOOKS
	PUSHQ	DI
	PUSHQ	SI
	MOVQ	BX, DI
	MOVQ	R12, SI
	CALL	runtime·sanbefore(SB)
	POPQ	SI
	POPQ	DI
#endif
	MOVQ	R12, g(R13)
	MOVQ	SCHED_SP(R12), SP	// BP is still in the frame, and unwinding goes by it
#ifdef RT0_SAN_HOOKS
	PUSHQ	DI
	PUSHQ	SI
	MOVQ	R12, DI
	CALL	runtime·sanafter(SB)
	POPQ	SI
	POPQ	DI
#endif
	MOVQ	DI, AX
	MOVQ	SI, DI
	CALL	AX
#ifdef RT0_SAN_HOOKS
	MOVQ	R12, DI
	MOVQ	BX, SI
	CALL	runtime·sanbefore(SB)
#endif
	MOVQ	BX, g(R13)
	LEAQ	-32(BP), SP
#ifdef RT0_SAN_HOOKS
	MOVQ	BX, DI
	CALL	runtime·sanafter(SB)
#endif
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	BX
	POPQ	BP
	RET
noswitch:
	MOVQ	DI, AX
	MOVQ	SI, DI
	JMP	AX
bad:
	JMP	runtime·badsystemstack(SB)

// void runtime_callon(void (*fn)(void *), void *arg, uintptr_t sp)
// in: DI = fn, SI = arg, DX = 16-byte aligned top of another stack. The frame chain runs on to
// the caller's stack, and so does unwinding.
TEXT runtime·callon(SB), NOSPLIT|NOFRAME, $0
	PUSHQ	BP
	MOVQ	SP, BP
	MOVQ	DX, SP
	MOVQ	DI, AX
	MOVQ	SI, DI
	CALL	AX
ENTRY runtime·callonret(SB)
	MOVQ	BP, SP
	POPQ	BP
	RET

// void runtime_mrun(void (*fn)(void *), void *arg)
// in: DI = fn, SI = arg, on g0. Makes the stack from here down the base that mcall and systemstack start
// from (g0->sched.sp) and calls fn, which never returns; mrun returns when mreturn is called.
TEXT runtime·mrun(SB), NOSPLIT|NOFRAME, $0
	SAVEFRAME
	get_tls(CX)
	MOVQ	g(CX), AX
	MOVQ	SP, SCHED_SP(AX)
	MOVQ	DI, AX
	MOVQ	SI, DI
	CALL	AX
	CALL	runtime·abort(SB)
ENTRY loadframe<>(SB)
	LOADFRAME

// void runtime_mreturn(void)	noreturn
// On g0: returns from the mrun that set up this g0's stack.
TEXT runtime·mreturn(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	get_tls(CX)
	MOVQ	g(CX), AX
	MOVQ	SCHED_SP(AX), SP
	JMP	loadframe<>(SB)

// void runtime_abort(void)	noreturn
TEXT runtime·abort(SB), NOSPLIT|NOFRAME, $0
	INT	$3
loop:
	JMP	loop

// void runtime_rt0_go(int32_t argc, char **argv)
// The boot, in the contract's order. in: DI, SI. Entered from _rt0_amd64 (no libc) or from a
// thread of the libc's (hosted, library). Returns only when rt0_stop ends a library's m0.
TEXT runtime·rt0_go(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	PUSHQ	BP
	PUSHQ	BX
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	MOVQ	SP, runtime·bootsp(SB)
	MOVL	DI, BX
	MOVQ	SI, R12
	XORL	BP, BP
	ANDQ	$~15, SP
	CLD
	// g0 has a window of 64 KiB of the system stack.
	LEAQ	runtime·g0(SB), R14
	LEAQ	runtime·m0(SB), R15
	LEAQ	(-64*1024+104)(SP), AX
	MOVQ	AX, (g_stack+stack_lo)(R14)
	MOVQ	AX, g_stackguard0(R14)
	MOVQ	AX, g_stackguard1(R14)
	MOVQ	SP, (g_stack+stack_hi)(R14)
	MOVQ	SP, SCHED_SP(R14)
	// Go asks CPUID here. Each cpuid traps, some 5 µs, in a virtual machine: cpuinit asks, when needed.
	// Thread-local storage: the libc's, or ours.
	CMPQ	runtime·hosted(SB), $0
	JNE	hastls
	CALL	runtime·settls0(SB)
hastls:
	// Proof that it works: a store through TLS is seen through m0.tls.
	get_tls(CX)
	MOVQ	0(FS), AX
	ADDQ	CX, AX
	MOVQ	AX, m_tls(R15)
	MOVQ	$0x123, g(CX)
	CMPQ	(AX), $0x123
	JEQ	works
	CALL	runtime·abort(SB)
works:
	MOVQ	R14, g(CX)
	MOVQ	R15, g_m(R14)
	MOVQ	R14, m_g0(R15)
	CALL	runtime·check(SB)
	MOVL	BX, DI
	MOVQ	R12, SI
	CALL	runtime·args(SB)
	CALL	runtime·osinit(SB)
	CALL	runtime·schedinit(SB)
	LEAQ	runtime·main(SB), DI
	CALL	runtime·newmain(SB)
	CALL	runtime·mstart(SB)
	MOVQ	runtime·bootsp(SB), SP
	POPQ	R15
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	BX
	POPQ	BP
	RET
