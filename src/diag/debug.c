// SPDX-License-Identifier: BSD-3-Clause
// debug.c: what a program may ask about its own stacks; what a fatal signal shows of a thread.
//
// rt0_callers walks the caller's stack and asks nobody about symbols, so it is quick and may be
// called from a signal handler; rt0_pc_symbol tells later what the addresses mean. rt0_stack makes
// the text of a traceback. For all goroutines it stops the world: none of them moves but those in
// system calls, whose frames below rt0_entersyscall do not change.
#include "traceback.h"
#include "unwind.h"
#include "../os/linux/linux.h"

int
rt0_callers(int skip, uintptr_t *pcs, int n)
{
	struct unwinder u;
	uintptr_t *bp = __builtin_frame_address(0), sp = (uintptr_t)(bp + 2);
	struct g *gp = getg();
	int i = 0;
	runtime_unwindinit(&u, (struct frame){bp[1], sp, bp[0]}, true);
	// Our own stack is there from here to its end. On other stacks the bounds may be a guess.
	if (gp != NULL && gp == gp->m->curg) {
		u.known[0] = gp->stack;
		u.known[1] = gp->segment;
		for (int k = 0; k < 2; k++)
			if (sp >= u.known[k].lo && sp < u.known[k].hi)
				u.trusted = (struct stack){sp, u.known[k].hi};
	}
	do {
		if (skip > 0)
			skip--;
		else if (i < n)
			pcs[i++] = u.f.pc;
	} while (i < n && runtime_unwindstep(&u));
	return i;
}

int
rt0_pc_symbol(uintptr_t pc, rt0_symbol *sym, int n)
{
	struct symline s[MAXINLINED];
	int k = runtime_funcframes(pc - 1, s);
	if (k == 1 && s[0].name == NULL && s[0].line == 0)
		return 0;
	for (int i = 0; i < k && i < n; i++)
		sym[i] = (rt0_symbol){s[i].name, s[i].file, s[i].line, s[i].entry};
	return k;
}

// ---- rt0_stack ----

struct stackargs {
	struct sink to;
	struct g *gp;
	struct frame f;
	bool all;
};

static void
stack_m(void *arg)
{
	struct stackargs *a = arg;
	runtime_goroutineheaderto(&a->to, a->gp);
	runtime_tracebackto(&a->to, a->gp, a->f, true);
	if (a->all)
		runtime_tracebackothersto(&a->to, a->gp);
}

size_t
rt0_stack(char *buf, size_t n, bool all)
{
	uintptr_t *bp = __builtin_frame_address(0);
	struct g *gp = getg();
	if (n == 0)
		return 0;
	buf[0] = 0;
	if (gp == NULL || gp != gp->m->curg)
		return 0;
	struct stackargs a = {{buf, n - 1}, gp, {bp[1], (uintptr_t)(bp + 2), bp[0]}, all};
	// Before the first go statement there is no other goroutine, and no world to stop. One that
	// has no p cannot stop it: between rt0_entersyscall and rt0_exitsyscall it sees itself only.
	bool stop = all && sched.grown && gp->m->p != NULL && gp->m->locks == 0;
	a.all = stop;
	if (stop)
		runtime_stopTheWorld();
	runtime_systemstack(stack_m, &a);
	if (stop)
		runtime_startTheWorld();
	return (size_t)(a.to.p - buf);
}

// ---- Registers ----

void
runtime_dumpregs(struct ucontext *ctx)
{
	const struct sigcontext *r = &ctx->mcontext;
	const struct {
		const char *name;
		uint64_t value;
	} regs[] = {
	    {"rax", r->rax},
	    {"rbx", r->rbx},
	    {"rcx", r->rcx},
	    {"rdx", r->rdx},
	    {"rdi", r->rdi},
	    {"rsi", r->rsi},
	    {"rbp", r->rbp},
	    {"rsp", r->rsp},
	    {"r8", r->r8},
	    {"r9", r->r9},
	    {"r10", r->r10},
	    {"r11", r->r11},
	    {"r12", r->r12},
	    {"r13", r->r13},
	    {"r14", r->r14},
	    {"r15", r->r15},
	    {"rip", r->rip},
	    {"rflags", r->eflags},
	    {"cs", r->cs},
	    {"fs", r->fs},
	    {"gs", r->gs},
	};
	for (size_t i = 0; i < NELEM(regs); i++)
		runtime_print("%-6s 0x%lx\n", regs[i].name, (unsigned long)regs[i].value);
}

// ---- A thread whose g is not to be believed ----

// goodg: gp can be the current g: it has an m, and that m has it.
bool
runtime_goodg(struct g *gp)
{
	struct {
		struct g *g0, *gsignal, *curg;
	} of; // an m begins so
	uintptr_t mp;
	if (((uintptr_t)gp & 7) != 0 ||
	    !runtime_saferead(&mp, (uintptr_t)gp + offsetof(struct g, m), sizeof(mp)) ||
	    (mp & 7) != 0 || !runtime_saferead(&of, mp, sizeof(of)))
		return false;
	return gp == of.g0 || gp == of.gsignal || gp == of.curg;
}

// badg reports that a signal has found a g that makes no sense, and ends the process. From here on
// the thread has no g: all that printing and locks need of one they do without.
void
runtime_badg(uint32_t sig, struct ucontext *ctx, struct g *gp)
{
	const struct sigcontext *r = &ctx->mcontext;
	bool all, crash;
	runtime_tls_g = NULL;
	runtime_print("fatal error: signal %u on a thread whose g is corrupted\n", sig);
	runtime_print("runtime: gp=0x%lx pc=0x%lx sp=0x%lx\n", (unsigned long)gp,
	    (unsigned long)r->rip, (unsigned long)r->rsp);
	atomic_xadd(&runtime_panicking, 1);
	if (runtime_gotraceback(&all, &crash) > 0) {
		runtime_print("\nruntime stack:\n");
		runtime_tracebacktrap(r->rip, r->rsp, r->rbp, NULL);
		runtime_tracebackothers(gp);
		runtime_print("\n");
		runtime_dumpregs(ctx);
	}
	if (crash)
		runtime_dieFromSignal(SIGABRT);
	runtime_exitprocess(2);
}
