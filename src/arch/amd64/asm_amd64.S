// SPDX-License-Identifier: BSD-3-Clause
// asm_amd64.S: rt0_go, the switch between goroutines, and calls on other stacks.
//
// The switch is built so that calls and returns stay paired: mcall calls fn, fn RETURNS the next
// goroutine, and mcall's own ret resumes it. The processor predicts returns by pairing; a
// scheduler that never returns (as Go's) mispredicts several of them at every switch.
#include "asm.h"
#include "asm_offsets.h"

#define GETG_OFF(reg) movq runtime_tls_g@gottpoff(%rip), reg

// SAVEFRAME pushes the frame of asm_offsets.h: what a C function must find unchanged when a call of it
// returns, the floating-point modes too. LOADFRAME is at such a frame, restores it and returns.
.macro SAVEFRAME
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	subq	$8, %rsp
	stmxcsr	FRAME_MXCSR(%rsp)
	fnstcw	FRAME_FPCW(%rsp)
.endm
.macro LOADFRAME
	ldmxcsr	FRAME_MXCSR(%rsp)
	fldcw	FRAME_FPCW(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	.cfi_remember_state
	.cfi_restore rbp
	.cfi_restore rbx
	.cfi_restore r12
	.cfi_restore r13
	.cfi_restore r14
	.cfi_restore r15
	.cfi_restore rip
	.cfi_def_cfa rsp, 8
	ret
	.cfi_restore_state
.endm

	.text

// void runtime_mcall(struct g *(*fn)(struct g *gp))
// in: rdi = fn, on a goroutine's stack. Pushes the frame of asm_offsets.h, leaves its address in
// gp->sched.sp, calls fn(gp) on g0's stack, runs the goroutine that fn returns. Returns when
// somebody runs gp again, perhaps on another thread. Clobbers what a call clobbers.
FUNC runtime_mcall
	SAVEFRAME
	GETG_OFF(%r13)
	movq	%fs:(%r13), %r12
	movq	G_M(%r12), %rdx
	movq	M_G0(%rdx), %rbx
	cmpq	%rbx, %r12
	je	runtime_badmcall
	movq	%rsp, G_SCHED_SP(%r12)
#ifdef RT0_SAN_HOOKS
	movq	%rdi, %r14
	movq	%r12, %rdi
	movq	%rbx, %rsi
	call	runtime_sanbefore
	movq	%r14, %rdi
#endif
	movq	%rbx, %fs:(%r13)
	movq	G_SCHED_SP(%rbx), %rsp
	.cfi_undefined rip
#ifdef RT0_SAN_HOOKS
	movq	%rbx, %rdi
	call	runtime_sanafter
	movq	%r14, %rdi
#endif
	movq	%rdi, %rax
	movq	%r12, %rdi
	call	*%rax
	testq	%rax, %rax
	jz	runtime_badmcall2
	movq	%rax, %r12
	// r13 still holds the offset of the slot: fn keeps callee-saved registers, and the thread
	// is the one that called (a goroutine may change threads, g0 never does).
.Lresume:
#ifdef RT0_SAN_HOOKS
	movq	%rbx, %rdi
	movq	%r12, %rsi
	call	runtime_sanbefore
#endif
	movq	%r12, %fs:(%r13)
	movq	G_SCHED_SP(%r12), %rsp
#ifdef RT0_SAN_HOOKS
	movq	%r12, %rdi
	call	runtime_sanafter
#endif
	LOADFRAME
ENDFUNC runtime_mcall

// void runtime_jump(struct g *to)	noreturn
// in: rdi = to. swtch that saves nothing, for a goroutine that has ended.
FUNC runtime_jump
	.cfi_undefined rip
	GETG_OFF(%rax)
	movq	G_SCHED_SP(%rdi), %rsp
	movq	%rdi, %fs:(%rax)
	jmp	.Lrestore
ENDFUNC runtime_jump

// void runtime_swtch(struct g *from, struct g *to, uint32_t *word)
// in: rdi = from, the current goroutine; rsi = to, at rest; rdx = word or NULL. From goroutine to goroutine
// without g0 (proc.c, "Direct switch"). *word becomes 0 when from is saved and off its stack: a
// release store, after which another thread may run from. Returns when somebody runs from again.
FUNC runtime_swtch
	SAVEFRAME
	GETG_OFF(%rax)
	movq	%rsp, G_SCHED_SP(%rdi)
	movq	G_SCHED_SP(%rsi), %rsp
	.cfi_undefined rip
	testq	%rdx, %rdx
	jz	1f
	movl	$0, (%rdx)
1:	movq	%rsi, %fs:(%rax)
.Lrestore:
	// A goroutine that has not run is entered by a jump: the processor would predict the return
	// to be to whoever called swtch last, and be wrong each time (5 ns).
	leaq	runtime_gostart(%rip), %rcx
	cmpq	%rcx, FRAME_PC(%rsp)
	je	.Lfresh
	LOADFRAME
.Lfresh:
	ldmxcsr	FRAME_MXCSR(%rsp)
	fldcw	FRAME_FPCW(%rsp)
	movq	FRAME_RBX(%rsp), %rbx
	movq	FRAME_R12(%rsp), %r12
	xorl	%ebp, %ebp
	addq	$FRAME_SIZE, %rsp
	jmp	runtime_gostart
ENDFUNC runtime_swtch

// void runtime_gogo(struct g *gp)	noreturn
// in: rdi = gp, on g0. The first goroutine that a thread runs; later ones come out of mcall.
FUNC runtime_gogo
	.cfi_undefined rip
	GETG_OFF(%r13)
	movq	%fs:(%r13), %rbx
	movq	%rdi, %r12
	andq	$-16, %rsp
	jmp	.Lresume
ENDFUNC runtime_gogo

// Where newproc1 makes a goroutine begin: rbx = fn, r12 = arg, rsp 16-byte aligned, rbp 0 (ends
// the frame chain). fn returns into runtime_goexit.
FUNC runtime_gostart
	.cfi_undefined rip
	movq	%r12, %rdi
	call	*%rbx
	.globl runtime_goexit
	.hidden runtime_goexit
runtime_goexit:
	pushq	$0			// as if called: keeps the stack aligned; it never returns
	jmp	runtime_goexit1
ENDFUNC runtime_gostart

// void runtime_systemstack(void (*fn)(void *), void *arg)
// in: rdi = fn, rsi = arg. Runs fn(arg) on g0's stack; on g0, on gsignal and on a thread without a
// g it is a plain call. While fn runs, gp->sched.sp shows a traceback where gp stands.
FUNC runtime_systemstack
	GETG_OFF(%rcx)
	movq	%fs:(%rcx), %rax
	testq	%rax, %rax
	jz	1f
	movq	G_M(%rax), %rdx
	cmpq	M_G0(%rdx), %rax
	je	1f
	cmpq	M_GSIGNAL(%rdx), %rax
	je	1f
	cmpq	M_CURG(%rdx), %rax
	jne	runtime_badsystemstack
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	.cfi_offset rbx, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	movq	%rax, %rbx
	movq	M_G0(%rdx), %r12
	movq	%rcx, %r13
	leaq	-FRAME_RBP(%rbp), %rax
	movq	%rax, G_SCHED_SP(%rbx)
	movq	%rsp, %r14
#ifdef RT0_SAN_HOOKS
	pushq	%rdi
	pushq	%rsi
	movq	%rbx, %rdi
	movq	%r12, %rsi
	call	runtime_sanbefore
	popq	%rsi
	popq	%rdi
#endif
	movq	%r12, %fs:(%r13)
	movq	G_SCHED_SP(%r12), %rsp
#ifdef RT0_SAN_HOOKS
	pushq	%rdi
	pushq	%rsi
	movq	%r12, %rdi
	call	runtime_sanafter
	popq	%rsi
	popq	%rdi
#endif
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
#ifdef RT0_SAN_HOOKS
	movq	%r12, %rdi
	movq	%rbx, %rsi
	call	runtime_sanbefore
#endif
	movq	%rbx, %fs:(%r13)
	movq	%r14, %rsp
#ifdef RT0_SAN_HOOKS
	movq	%rbx, %rdi
	call	runtime_sanafter
#endif
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	.cfi_restore rbx
	.cfi_restore r12
	.cfi_restore r13
	.cfi_restore r14
	.cfi_restore rbp
	.cfi_def_cfa rsp, 8
	ret
1:	movq	%rdi, %rax
	movq	%rsi, %rdi
	jmp	*%rax
ENDFUNC runtime_systemstack

// void runtime_callon(void (*fn)(void *), void *arg, uintptr_t sp)
// in: rdi = fn, rsi = arg, rdx = 16-byte aligned top of another stack. The frame chain runs on to
// the caller's stack, and so does the CFI.
FUNC runtime_callon
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movq	%rdx, %rsp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	movq	%rbp, %rsp
	popq	%rbp
	.cfi_restore rbp
	.cfi_def_cfa rsp, 8
	ret
ENDFUNC runtime_callon

// void runtime_mrun(void (*fn)(void *), void *arg)
// in: rdi = fn, rsi = arg, on g0. Makes the stack from here down the base that mcall and systemstack start
// from (g0->sched.sp) and calls fn, which never returns; mrun returns when mreturn is called.
FUNC runtime_mrun
	SAVEFRAME
	GETG_OFF(%rcx)
	movq	%fs:(%rcx), %rax
	movq	%rsp, G_SCHED_SP(%rax)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	call	runtime_abort
ENDFUNC runtime_mrun

// void runtime_mreturn(void)	noreturn
// On g0: returns from the mrun that set up this g0's stack.
FUNC runtime_mreturn
	.cfi_undefined rip
	GETG_OFF(%rcx)
	movq	%fs:(%rcx), %rax
	movq	G_SCHED_SP(%rax), %rsp
	LOADFRAME
ENDFUNC runtime_mreturn

// void runtime_abort(void)	noreturn
FUNC runtime_abort
	int3
1:	jmp	1b
ENDFUNC runtime_abort

// void runtime_rt0_go(int32_t argc, char **argv)
// The boot, in the contract's order. in: edi, rsi. Entered from _rt0_amd64 (no libc) or from a
// thread of the libc's (hosted, library). Returns only when rt0_stop ends a library's m0.
FUNC runtime_rt0_go
	.cfi_undefined rip
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, runtime_bootsp(%rip)
	movl	%edi, %ebx
	movq	%rsi, %r12
	xorl	%ebp, %ebp
	andq	$-16, %rsp
	cld
	// g0 has a window of 64 KiB of the system stack.
	leaq	runtime_g0(%rip), %r14
	leaq	runtime_m0(%rip), %r15
	leaq	(-64*1024+104)(%rsp), %rax
	movq	%rax, G_STACK_LO(%r14)
	movq	%rax, G_STACKGUARD0(%r14)
	movq	%rax, G_STACKGUARD1(%r14)
	movq	%rsp, G_STACK_HI(%r14)
	movq	%rsp, G_SCHED_SP(%r14)
	// Go asks CPUID here. Each cpuid traps, some 5 µs, in a virtual machine: cpuinit asks, when needed.
	// Thread-local storage: the libc's, or ours.
	cmpq	$0, runtime_hosted(%rip)
	jne	3f
	call	runtime_settls0
3:	// Proof that it works: a store through TLS is seen through m0.tls.
	GETG_OFF(%rcx)
	movq	%fs:0, %rax
	addq	%rcx, %rax
	movq	%rax, M_TLS(%r15)
	movq	$0x123, %fs:(%rcx)
	cmpq	$0x123, (%rax)
	jne	runtime_abort
	movq	%r14, %fs:(%rcx)
	movq	%r15, G_M(%r14)
	movq	%r14, M_G0(%r15)
	call	runtime_check
	movl	%ebx, %edi
	movq	%r12, %rsi
	call	runtime_args
	call	runtime_osinit
	call	runtime_schedinit
	leaq	runtime_main(%rip), %rdi
	call	runtime_newmain
	call	runtime_mstart
	movq	runtime_bootsp(%rip), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
ENDFUNC runtime_rt0_go

	.section .note.GNU-stack, "", @progbits
