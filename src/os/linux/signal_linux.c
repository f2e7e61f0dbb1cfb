// SPDX-License-Identifier: BSD-3-Clause
// signal_linux.c: faults of goroutines become reports; signal stacks and masks of threads.
//
// Only the signals that a fault raises are taken (SIGSEGV, SIGBUS, SIGFPE, SIGILL), and not in
// library mode, where signals stay the program's. A handler that was installed before ours gets
// what is not about a goroutine. Handlers run on the m's signal stack: the goroutine's may be used
// up. They touch no libc function and no errno.
#include "../../runtime.h"
#include "linux.h"

enum { SIGSTACK = 64 << 10 };

static const uint8_t faultsigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction fwdsig[16] BOOTDATA; // what was installed before; constant after initsig

static void
forward(int32_t sig, struct siginfo *info, void *ctx)
{
	struct sigaction *old = &fwdsig[sig];
	if (old->handler > 1) {
		((void (*)(int, struct siginfo *, void *))old->handler)(sig, info, ctx);
		return;
	}
	runtime_dieFromSignal((uint32_t)sig);
}

static void
sighandler(int32_t sig, struct siginfo *info, void *ctx)
{
	struct sigcontext *r = &((struct ucontext *)ctx)->mcontext;
	struct sigpanicinfo si = {
	    .sig = (uint32_t)sig, .code = info->code, .addr = info->addr, .pc = r->rip, .sp = r->rsp, .bp = r->rbp};
	struct g *gp = getg();
	// code <= 0: sent by kill, not a fault of what runs here.
	if (gp == NULL || info->code <= 0) {
		forward(sig, info, ctx);
		return;
	}
	struct g *owner = NULL;
	if (sig == SIGSEGV && runtime_stackguardhit(si.addr, &owner))
		runtime_stackoverflow(&si, owner);
	runtime_sigpanic(&si, gp);
}

void
runtime_initsig(void)
{
	if (sched.islibrary)
		return;
	for (size_t i = 0; i < NELEM(faultsigs); i++) {
		struct sigaction sa = {
		    .handler = (uintptr_t)sighandler,
		    .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_NODEFER,
		    .restorer = (uintptr_t)runtime_sigreturn,
		    .mask = 0,
		};
		int sig = faultsigs[i];
		long r = sys4(SYS_rt_sigaction, sig, &sa, &fwdsig[sig], 8);
		if (r < 0) {
			runtime_print("runtime: rt_sigaction(%d) failed; errno=%d\n", sig, (int)-r);
			runtime_throw("cannot install a signal handler");
		}
	}
}

// minit is the start of an m on its own thread: a signal stack (one that is there, a sanitizer's or
// the host program's, is kept) and the signal mask that blocks nothing we did not find blocked.
void
runtime_minit(void)
{
	struct m *mp = getg()->m;
	atomic_storerlx(&mp->procid, runtime_gettid()); // sysmon reads it
	runtime_tls_m = mp;
	struct sigaltstack st = {0, 2, 0};
	// Nobody but a sanitizer can have given m0 a stack in a program of ours.
	bool ask = mp != &runtime_m0 || RT0_ASAN || RT0_TSAN;
	if (!sched.islibrary && mp->gsignal != NULL) {
		long r = ask ? sys2(SYS_sigaltstack, NULL, &st) : 0;
		if (r == 0 && (st.flags & 2 /* SS_DISABLE */) != 0) {
			st = (struct sigaltstack){mp->gsignal->stack.lo, 0, mp->gsignal->stack.hi - mp->gsignal->stack.lo};
			r = sys2(SYS_sigaltstack, &st, NULL);
		}
		// Without one a stack overflow would end the process without a word.
		if (r != 0)
			runtime_throw("sigaltstack failed");
	}
	if (mp != &runtime_m0)
		runtime_initsigmask();
}

// unminit takes our signal stack away before its memory is freed.
void
runtime_unminit(void)
{
	struct sigaltstack st;
	struct g *gs = getg()->m->gsignal;
	runtime_tls_m = NULL;
	if (gs == NULL || sys2(SYS_sigaltstack, NULL, &st) != 0 || st.sp != gs->stack.lo)
		return;
	st = (struct sigaltstack){0, 2 /* SS_DISABLE */, 0};
	sys2(SYS_sigaltstack, &st, NULL);
}

// mpreinit makes the signal stack of a new m. m0's is static: boot makes no call for it.
void
runtime_mpreinit(struct m *mp)
{
	static struct g gsignal0 BOOTDATA;
	static char stack0[SIGSTACK] __attribute__((aligned(4096)));
	struct g *gs = &gsignal0;
	char *stk = stack0;
	if (mp != &runtime_m0) {
		gs = runtime_persistentalloc(sizeof *gs, 64, &memstats.other_sys);
		stk = runtime_sysAlloc(SIGSTACK, &memstats.stacks_sys);
		if (stk == NULL)
			runtime_throw("out of memory (signal stack)");
	}
	runtime_memclr(gs, sizeof *gs);
	gs->stack = (struct stack){(uintptr_t)stk, (uintptr_t)stk + SIGSTACK};
	gs->m = mp;
	gs->issystem = true;
	mp->gsignal = gs;
}
