// SPDX-License-Identifier: BSD-3-Clause
// sys_linux_amd64.s: raw system calls, clone, the signal trampolines.
#include "textflag.h"

#define SYS_rt_sigreturn 15
#define SYS_clone 56
#define SYS_exit 60

// long runtime_syscall6(long nr, long a, long b, long c, long d, long e, long f)
// The kernel's result: negative errno on error.
TEXT runtime·syscall6(SB), NOSPLIT|NOFRAME, $0
	MOVQ	DI, AX
	MOVQ	SI, DI
	MOVQ	DX, SI
	MOVQ	CX, DX
	MOVQ	R8, R10
	MOVQ	R9, R8
	MOVQ	8(SP), R9
	SYSCALL
	RET

// long runtime_clone(uint64_t flags, void *stack, struct m *mp, void *tp, int32_t *cleartid)
// The child has tp as its thread pointer and calls runtime_mstartpure(mp) on stack; the parent gets its
// thread id or a negative errno.
TEXT runtime·clone(SB), NOSPLIT|NOFRAME, $0
	ANDQ	$~15, SI
	MOVQ	DX, -16(SI)	// handed over on the child's stack
	SUBQ	$16, SI
	MOVQ	CX, R9
	MOVQ	R8, R10	// child_tid: cleared and futex-woken when the thread is gone
	MOVQ	R9, R8	// tls
	XORL	DX, DX
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	RET
child:
	UNWIND	$0, PC
	XORL	BP, BP
	MOVQ	0(SP), DI
	ADDQ	$16, SP
	CALL	runtime·mstartpure(SB)
	UNDEF

// long runtime_vfork(uint64_t flags, void (*fn)(void *arg), void *arg, int32_t *pidfd)
// The child calls fn(arg), which does not return, on this stack, below; the parent must sleep meanwhile
// (CLONE_VFORK). The parent gets the child's pid or a negative errno.
TEXT runtime·vfork(SB), NOSPLIT|NOFRAME, $0
	MOVQ	SI, R9	// kept by the system call, in the child too
	MOVQ	DX, R8	// the tls argument, which flags do not ask for
	MOVQ	CX, DX
	LEAQ	-256(SP), SI	// away from the return address, which the parent needs
	ANDQ	$~15, SI
	XORL	R10, R10
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	RET
child:
	UNWIND	$0, PC
	XORL	BP, BP
	MOVQ	R8, DI
	CALL	R9
	UNDEF

// void runtime_exitthreadpure(void *stack, size_t size)	noreturn
// Ends this thread only. Its stack may be used again when cleartid is 0 (threadgone).
TEXT runtime·exitthreadpure(SB), NOSPLIT|NOFRAME, $0
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	UNDEF

// What a signal handler returns to. SP is at the kernel's struct ucontext, whose mcontext (at 40) has
// r8..r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip. Unwinders look a return address up one byte
// before it: hence the nop. Debuggers know it by its bytes: MOVQ, not MOVL.
TEXT sigtramp<>(SB), NOSPLIT|NOFRAME|SIGFRAME, $0
	UNWIND	160(SP), SP
	UNWIND	168(SP), PC
	UNWIND	40(SP), R8
	UNWIND	48(SP), R9
	UNWIND	56(SP), R10
	UNWIND	64(SP), R11
	UNWIND	72(SP), R12
	UNWIND	80(SP), R13
	UNWIND	88(SP), R14
	UNWIND	96(SP), R15
	UNWIND	104(SP), DI
	UNWIND	112(SP), SI
	UNWIND	120(SP), BP
	UNWIND	128(SP), BX
	UNWIND	136(SP), DX
	UNWIND	144(SP), AX
	UNWIND	152(SP), CX
	BYTE	$0x90
ENTRY runtime·sigreturn(SB)
	MOVQ	$SYS_rt_sigreturn, AX
	SYSCALL
	UNDEF
