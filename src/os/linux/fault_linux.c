// SPDX-License-Identifier: BSD-3-Clause
// fault_linux.c: a fault of a goroutine becomes a panic, or a report.
//
// On the signal stack. When the code that faulted is the program's own, and nothing of the runtime is
// in between, the saved context is rewritten: returning from the handler enters runtime_sigpanic0 on
// the goroutine's stack, below the 128 bytes that the code may use under its stack pointer. Being a
// return, it restores the signal mask. What cannot be a panic: a stack's guard was hit; g0, a thread
// that is no goroutine; the runtime's own code or locks; a libc, which may hold locks of its own and
// whose state nobody could repair; an address that is not near nil, unless the goroutine asked.
#include "../../runtime.h"
#include "../../diag/cfi.h"
#include "linux.h"

enum {
	REDZONE = 128,
	PANICROOM = 2048, // bytes that must be left on the stack, at least
	IFETCH = 16,      // in the page fault's error code: it was an instruction fetch
	TRAP_PF = 14,
};

// The runtime's own code (Makefile).
extern const char __start_rt0_text[] __attribute__((visibility("hidden")));
extern const char __stop_rt0_text[] __attribute__((visibility("hidden")));

// islibc: code of these may not be left in the middle.
static bool
islibc(const char *name)
{
	static const char *const prefix[] = {
	    "libc.", "libc-", "ld-", "libpthread", "libdl", "librt.", "libasan", "libtsan", "libubsan", "libstdc++", "libgcc_s"};
	for (size_t i = 0; i < NELEM(prefix); i++)
		if (runtime_hasprefix(name, prefix[i]))
			return true;
	return name[0] == '[' && name[1] == 'v'; // [vdso]
}

// ispanic: this fault is one that a goroutine may recover from.
static bool
ispanic(const struct sigpanicinfo *si, const struct g *gp)
{
	switch (si->sig) {
	case SIGFPE: return true;
	case SIGSEGV:
	case SIGBUS: return (si->code != 0x80 && si->addr < PAGESIZE) || gp->paniconfault;
	}
	return false;
}

void
runtime_sigfault(struct sigpanicinfo *si, struct g *gp, struct ucontext *ctx)
{
	struct sigcontext *r = &ctx->mcontext;
	struct m *mp = gp->m;
	struct g *owner = NULL;
	char name[CFINAME] = "";
	if (si->sig == SIGSEGV && runtime_stackguardhit(si->addr, &owner))
		runtime_stackoverflow(si, owner);
	struct stack s = gp->segment.lo != 0 ? gp->segment : gp->stack;
	uintptr_t pc = r->rip, sp = r->rsp;
	bool mine = gp == mp->curg && gp != mp->g0 && mp->p != NULL && mp->locks == 0 && mp->mallocing == 0 && mp->throwing == 0 &&
		    mp->dying == 0 && runtime_readgstatus(gp) == Grunning && sp < s.hi && sp > s.lo + PANICROOM;
	bool call = mine && r->trapno == TRAP_PF && (r->err & IFETCH) != 0 && (sp & 7) == 0;
	if (call) {
		// A call of a function that is not there: it happened in the caller, whose call is just
		// before the return address.
		pc = *(uintptr_t *)sp - 1;
		sp += 8;
	}
	// What the runtime calls is the program's, and may panic.
	bool ours = !call && pc >= (uintptr_t)__start_rt0_text && pc < (uintptr_t)__stop_rt0_text;
	bool libc = runtime_pcowner(pc, name) == PC_LIBRARY && islibc(name);
	if (!mine || ours || libc || !ispanic(si, gp)) {
		if (ours)
			mp->throwing = 2;
		runtime_sigpanic(si, gp, libc ? name : NULL);
	}
	// As after a call: 8 bytes off 16.
	struct sigframe *f = (struct sigframe *)(((sp - REDZONE - sizeof *f) & ~15ul) - 8);
	f->pc = pc;
	f->sp = sp;
	f->si = *si;
	r->rsp = (uintptr_t)f;
	r->rip = (uintptr_t)runtime_sigpanic0;
}
