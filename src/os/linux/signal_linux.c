// SPDX-License-Identifier: BSD-3-Clause
// signal_linux.c: the one signal handler, which signals it takes and when, signal stacks and masks.
//
// sigtable says what a signal means, by Go's rules. Who has it in the kernel:
//   boot    SIGSEGV SIGBUS SIGFPE SIGILL SIGQUIT SIGABRT SIGPIPE: what even one goroutine needs.
//           Each costs a system call, and the boot is no more than sixty of them long.
//   grow    the first go statement: all others whose default would end the process, and SIGURG.
//   notify  while rt0_signal_notify wants them: SIGHUP SIGINT SIGTERM SIGCHLD SIGCONT ... Their
//           default is what we would do too.
// A signal that has a handler when we come, or is ignored, stays so until notify asks for it. But
// faults and SIGURG are always taken, and SIGQUIT though ignored; what of a fault or of SIGURG is
// not about us goes on to the handler that was there (sigfwd). A handler that the program installs
// later with sigaction simply replaces ours.
//
// In library mode signals are the program's: only notify installs anything.
//
// `taken` has the bit of every signal whose action in the kernel is ours. It is set before, and
// cleared after the kernel is told: a handler that finds its bit clear runs late, and raises the
// signal again for whoever has it now. So a signal that crosses with Stop is delivered or acts.
//
// The handler may interrupt anything, code of ours that holds a lock too. It touches no libc
// function and no errno, takes no lock, and, until a report is due, only atomics and raw system
// calls. It runs on the m's signal stack (the goroutine's may be used up) or the thread's own, if
// it has one. All signals are blocked meanwhile, but for the libc's (a setuid waits for every thread)
// and, unless it is one, for faults: a fault in the handler is a fault like any other. Handlers of
// faults do not nest, or a storm of SIGSEGV from elsewhere would overflow the stack; a real fault
// is unblocked as soon as we know it for one.
#include "../../runtime.h"
#include "../../diag/symtab.h"
#include "linux.h"

enum {
	BOOTSIGS = 16,        // signals below are those taken at boot
	RELAY_START_MS = 200, // GOTRACEBACK=crash: how long a thread may take to begin its report
	RELAY_MS = 5000,      // and all of them together to end theirs
};
#define BIT(sig) (1ul << ((sig) - 1))
#define FAULTS (BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGSEGV) | BIT(SIGSYS))

#define LIBCSIGS (BIT(32) | BIT(33) | BIT(34))

enum {
	SigNotify = 1, // a goroutine may ask for it, also when the kernel raised it
	SigKill = 2,   // else: the process dies of it
	SigThrow = 4,  // else: report and exit
	SigPanic = 8,  // raised by the kernel: the goroutine panics; sent: report and exit
	SigNone = 16,  // the libc's, or not to be caught
	SigGrow = 32,  // taken with the first go statement
};

static const struct {
	uint8_t flags;
	const char *name;
} sigtable[32] = {
    [0] = {SigNone, "SIGNONE: no trap"},
    [SIGHUP] = {SigNotify | SigKill, "SIGHUP: terminal line hangup"},
    [SIGINT] = {SigNotify | SigKill, "SIGINT: interrupt"},
    [SIGQUIT] = {SigNotify | SigThrow, "SIGQUIT: quit"},
    [SIGILL] = {SigThrow, "SIGILL: illegal instruction"},
    [SIGTRAP] = {SigThrow | SigGrow, "SIGTRAP: trace trap"},
    [SIGABRT] = {SigNotify | SigThrow, "SIGABRT: abort"},
    [SIGBUS] = {SigPanic, "SIGBUS: bus error"},
    [SIGFPE] = {SigPanic, "SIGFPE: floating-point exception"},
    [SIGKILL] = {SigNone, "SIGKILL: kill"},
    [SIGUSR1] = {SigNotify | SigGrow, "SIGUSR1: user-defined signal 1"},
    [SIGSEGV] = {SigPanic, "SIGSEGV: segmentation violation"},
    [SIGUSR2] = {SigNotify | SigGrow, "SIGUSR2: user-defined signal 2"},
    [SIGPIPE] = {SigNotify, "SIGPIPE: write to broken pipe"},
    [SIGALRM] = {SigNotify | SigGrow, "SIGALRM: alarm clock"},
    [SIGTERM] = {SigNotify | SigKill, "SIGTERM: termination"},
    [SIGSTKFLT] = {SigThrow | SigGrow, "SIGSTKFLT: stack fault"},
    [SIGCHLD] = {SigNotify, "SIGCHLD: child status has changed"},
    [SIGCONT] = {SigNotify, "SIGCONT: continue"},
    [SIGSTOP] = {SigNone, "SIGSTOP: stop, unblockable"},
    [SIGTSTP] = {SigNotify, "SIGTSTP: keyboard stop"},
    [SIGTTIN] = {SigNotify, "SIGTTIN: background read from tty"},
    [SIGTTOU] = {SigNotify, "SIGTTOU: background write to tty"},
    [SIGURG] = {SigNotify | SigGrow, "SIGURG: urgent condition on socket"},
    [SIGXCPU] = {SigNotify | SigGrow, "SIGXCPU: cpu limit exceeded"},
    [SIGXFSZ] = {SigNotify | SigGrow, "SIGXFSZ: file size limit exceeded"},
    [SIGVTALRM] = {SigNotify | SigGrow, "SIGVTALRM: virtual alarm clock"},
    [SIGPROF] = {SigNotify | SigGrow, "SIGPROF: profiling alarm clock"},
    [SIGWINCH] = {SigNotify, "SIGWINCH: window size change"},
    [SIGIO] = {SigNotify | SigGrow, "SIGIO: i/o now possible"},
    [SIGPWR] = {SigNotify | SigGrow, "SIGPWR: power failure restart"},
    [SIGSYS] = {SigThrow | SigGrow, "SIGSYS: bad system call"},
};

static const uint8_t bootsigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGABRT, SIGPIPE};

static uint64_t taken BOOTDATA;   // atomic; see the head
static uint64_t forgood BOOTDATA; // boot, grow, then sig.lock: taken, and not to be given back
static uint64_t ignoring;         // sig.lock: the kernel ignores it because sigignore said so
static uint32_t growing;          // atomic: growsig is at work, on another thread
// What was there before us. Written before the signal is taken, and while it is not.
static struct sigaction fwdboot[BOOTSIGS] BOOTDATA, fwdlate[NSIG - BOOTSIGS];

void (*runtime_sigprof)(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp, struct m *mp);

NOSANITIZE static inline struct sigaction *
fwd(int32_t sig)
{
	return sig < BOOTSIGS ? &fwdboot[sig] : &fwdlate[sig - BOOTSIGS];
}

NOSANITIZE static inline uint32_t
flagsof(int32_t sig)
{
	if (sig < 32)
		return sigtable[sig].flags;
	// 32 and 33 are the libc's everywhere.
	return sig < 34 ? SigNone : SigNotify | SigGrow;
}

// ---- the kernel's table ----

// setaction makes handler the action of sig, in the way that ours is installed. old: what was
// there.
static long
setaction(int32_t sig, uintptr_t handler, struct sigaction *old)
{
	struct sigaction sa = {
	    .handler = handler,
	    .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER,
	    .restorer = (uintptr_t)runtime_sigreturn,
	    .mask = (FAULTS & BIT(sig)) != 0 ? ~LIBCSIGS : ~(FAULTS | LIBCSIGS),
	};
	// A foreign thread must not be cancelled where it waits for its p in the handler. The call that is
	// finished there opens it again.
	if (sig == SIGURG && runtime_hosted != NULL)
		sa.mask |= BIT(runtime_hosted->sigcancel);
	return sys4(SYS_rt_sigaction, sig, &sa, old, 8);
}

void
runtime_setsig(int32_t sig, uintptr_t handler)
{
	long r = setaction(sig, handler, NULL);
	if (r < 0) {
		runtime_print("runtime: rt_sigaction(%d) failed; errno=%d\n", sig, (int)-r);
		runtime_throw("cannot install a signal handler");
	}
}

// stays tells whether sig, whose action we found, is left to it by boot and grow.
static bool
stays(int32_t sig)
{
	uintptr_t h = fwd(sig)->handler;
	if (h == SIG_DFL || (flagsof(sig) & SigPanic) != 0 || sig == SIGILL || sig == SIGURG)
		return false;
	return h != SIG_IGN || sig != SIGQUIT;
}

// takeforgood takes sig, unless it stays with who has it. One call instead of two: boot has no
// other threads that could get the signal before we know, and for grow see `growing`.
static void
takeforgood(int32_t sig)
{
	long r = setaction(sig, (uintptr_t)runtime_sighandler, fwd(sig));
	if (r < 0) {
		runtime_print("runtime: rt_sigaction(%d) failed; errno=%d\n", sig, (int)-r);
		runtime_throw("cannot install a signal handler");
	}
	if (unlikely(stays(sig)))
		sys4(SYS_rt_sigaction, sig, fwd(sig), NULL, 8);
	else
		atomic_storerlx(&taken, taken | BIT(sig));
}

// initsig is the boot's part, on m0 before it runs anything.
void
runtime_initsig(void)
{
	if (sched.islibrary)
		return;
	for (size_t i = 0; i < NELEM(bootsigs); i++)
		takeforgood(bootsigs[i]);
	forgood = taken;
}

// growsig takes the rest; runtime_grow calls it once.
void
runtime_growsig(void)
{
	if (sched.islibrary)
		return;
	// Blocked here: on this thread the handler could wait for nobody. On other threads it lets
	// the signal come back until we know whether there is a handler of the program's for it.
	uint64_t old = runtime_sigblock();
	atomic_store(&growing, 1);
	for (int32_t sig = 1; sig < NSIG; sig++)
		if ((flagsof(sig) & SigGrow) != 0 && (taken & BIT(sig)) == 0)
			takeforgood(sig);
	forgood = taken;
	atomic_store(&growing, 0);
	runtime_sigrestore(old);
}

// ---- for sigqueue.c, which holds its lock ----

// sigcan tells what may be asked for: SIGANY; SIGSENT: deliveries only of what a program sent;
// SIGNO: nothing.
int
runtime_sigcan(int32_t sig)
{
	if (sig <= 0 || sig >= NSIG || (flagsof(sig) & SigNone) != 0)
		return SIGNO;
	if ((flagsof(sig) & SigNotify) != 0)
		return SIGANY;
	return sched.islibrary ? SIGNO : SIGSENT; // faults are the host's
}

static bool
isours(int32_t sig, const struct sigaction *sa)
{
	return sa->handler == (uintptr_t)runtime_sighandler ||
	    (sa->handler == SIG_IGN && (ignoring & BIT(sig)) != 0);
}

// begin finds out what sig's action is before it becomes ours. One that the program has installed
// since will have it back.
static void
begin(int32_t sig)
{
	struct sigaction old = {0};
	if (sys4(SYS_rt_sigaction, sig, NULL, &old, 8) < 0 || isours(sig, &old))
		return;
	*fwd(sig) = old;
	forgood &= ~BIT(sig);
}

long
runtime_sigenable(int32_t sig)
{
	begin(sig);
	atomic_or(&taken, BIT(sig));
	long r = setaction(sig, (uintptr_t)runtime_sighandler, NULL);
	if (r == 0)
		ignoring &= ~BIT(sig);
	else if ((forgood & BIT(sig)) == 0)
		atomic_and(&taken, ~BIT(sig));
	return r;
}

// sigdisable puts back what was there before sigenable or sigignore, unless the program has
// replaced it.
void
runtime_sigdisable(int32_t sig)
{
	struct sigaction now = {0};
	bool ours = sys4(SYS_rt_sigaction, sig, NULL, &now, 8) == 0 && isours(sig, &now);
	// The kernel keeps a signal that is ignored if the main thread has it blocked when it comes (in
	// pthread_create, say). To ignore it once more throws it away.
	if (ours && now.handler == SIG_IGN)
		setaction(sig, SIG_IGN, NULL);
	if (ours && (forgood & BIT(sig)) != 0) {
		if (now.handler == SIG_IGN)
			setaction(sig, (uintptr_t)runtime_sighandler, NULL);
	} else {
		if (ours)
			sys4(SYS_rt_sigaction, sig, fwd(sig), NULL, 8);
		forgood &= ~BIT(sig);
		atomic_and(&taken, ~BIT(sig)); // after the kernel: see the head
	}
	ignoring &= ~BIT(sig);
}

long
runtime_sigignore(int32_t sig)
{
	begin(sig);
	long r = setaction(sig, SIG_IGN, NULL);
	if (r == 0)
		ignoring |= BIT(sig);
	return r;
}

bool
runtime_sigisignored(int32_t sig)
{
	struct sigaction now = {0};
	return sys4(SYS_rt_sigaction, sig, NULL, &now, 8) == 0 && now.handler == SIG_IGN;
}

// ---- the handler ----

// again raises sig once more on this thread, with the same siginfo, for who has it now. It is
// blocked until the handler returns.
NOSANITIZE static void
again(int32_t sig, struct siginfo *info)
{
	long pid = runtime_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0),
	     tid = runtime_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
	if (runtime_syscall6(SYS_rt_tgsigqueueinfo, pid, tid, sig, (long)info, 0, 0) < 0)
		runtime_syscall6(SYS_tgkill, pid, tid, sig, 0, 0, 0);
}

// sigfwd calls the handler that was there before ours as the kernel would have.
NOSANITIZE static void
sigfwd(int32_t sig, struct siginfo *info, struct ucontext *ctx)
{
	struct sigaction *sa = fwd(sig);
	// Without SA_SIGINFO it takes the first argument only.
	void (*fn)(int32_t, struct siginfo *, void *) = (void *)sa->handler;
	if ((sa->flags & SA_RESETHAND) != 0)
		sa->handler = SIG_DFL;
	uint64_t old, mask = ctx->sigmask | sa->mask;
	if ((sa->flags & SA_NODEFER) == 0)
		mask |= BIT(sig);
	runtime_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)&old, 8, 0, 0);
	fn(sig, info, ctx);
	runtime_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, 8, 0, 0);
}

// brokenstdout tells whether a SIGPIPE comes from a write to standard output or error, which ends
// the program, as in Go, where a write to anything else only fails. The kernel sends it to the
// thread that writes, so the context is that call's end: behind a syscall instruction, with -EPIPE
// as the result, and the descriptor still in rdi.
NOSANITIZE static bool
brokenstdout(struct ucontext *ctx, struct g *gp)
{
	struct sigcontext *r = &ctx->mcontext;
	uint16_t insn;
	if ((int64_t)r->rax != -EPIPE || ((uint32_t)r->rdi != 1 && (uint32_t)r->rdi != 2))
		return false;
	if (!runtime_saferead(&insn, r->rip - 2, 2) || insn != 0x050f /* syscall */)
		return false;
	// What the runtime itself prints does not count: a report must reach its end. rt0_write is
	// in a system call by our books, print is not.
	if (gp == NULL || r->rip - (uintptr_t)runtime_syscall6 >= 64)
		return true;
	return gp->m->dying == 0 && runtime_readgstatus(gp) == Gsyscall;
}

// unblockfaults is the first step of what may take long, or fault itself: a fault that is blocked
// ends the process without a word.
static void
unblockfaults(void)
{
	uint64_t mask = FAULTS;
	runtime_syscall6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, 0, 8, 0, 0);
}

// fault is one that the processor raised.
static void
fault(int32_t sig, struct siginfo *info, struct ucontext *ctx, struct g *gp)
{
	struct sigcontext *r = &ctx->mcontext;
	unblockfaults();
	setg(gp); // see fatalsignal
	struct sigpanicinfo si = {
	    (uint32_t)sig, info->code, info->addr, r->rip, r->rsp, r->rbp};
	runtime_sigfault(&si, gp, ctx);
}

static void fatalsignal(int32_t sig, struct siginfo *info, struct ucontext *ctx, struct g *gp);
static bool relayed(struct m *mp);

NOSANITIZE void
runtime_sighandler(int32_t sig, struct siginfo *info, struct ucontext *ctx)
{
	// Both NULL on a thread that is not ours, or not inside. Between two goroutines it is the
	// scheduler that was interrupted.
	struct m *mp = runtime_tls_m;
	struct g *gp = mp != NULL ? getg() : NULL;
	uint32_t flags = flagsof(sig);
	bool raised = info->code > 0 && (FAULTS & BIT(sig)) != 0; // by the processor
	// The usual case without asking the kernel whether there is a g at all.
	if (raised && mp != NULL && !(gp == mp->curg && gp != NULL && gp->m == mp) && !runtime_goodg(gp)) {
		unblockfaults();
		runtime_badg((uint32_t)sig, ctx, gp);
	}
	if (mp != NULL && (gp == NULL || gp->m != mp))
		gp = mp->g0;
	if (raised) {
		// Not about a goroutine: for the handler that was there, a sanitizer's for example.
		if (gp == NULL && fwd(sig)->handler > SIG_IGN)
			sigfwd(sig, info, ctx);
		else if (gp != NULL && (flags & SigPanic) != 0)
			fault(sig, info, ctx, gp);
		else
			fatalsignal(sig, info, ctx, gp);
		return;
	}
	if (sig == SIGQUIT && relayed(mp))
		fatalsignal(sig, info, ctx, gp);
	if (sig == SIGURG) {
		if (gp != NULL)
			runtime_sigurg(info, ctx, gp);
		if (info->code == SI_TKILL)
			return; // sent by preemptM; others are the program's
	}
	void (*prof)(uintptr_t, uintptr_t, uintptr_t, struct g *, struct m *) =
	    atomic_loadacq(&runtime_sigprof);
	if (sig == SIGPROF && prof != NULL) {
		struct sigcontext *r = &ctx->mcontext;
		prof(r->rip, r->rsp, r->rbp, gp, mp);
		return;
	}
	if (atomic_load(&growing) != 0 || (atomic_load(&taken) & BIT(sig)) == 0) {
		again(sig, info);
		return;
	}
	if (runtime_sigsend(sig))
		return;
	// Asked again: if it was given back while we looked, it is for whoever has it now.
	if ((atomic_load(&taken) & BIT(sig)) == 0) {
		again(sig, info);
		return;
	}
	if (runtime_signal_ignored(sig))
		return;
	if (fwd(sig)->handler > SIG_IGN)
		sigfwd(sig, info, ctx);
	else if (sig == SIGPIPE && brokenstdout(ctx, gp))
		runtime_dieFromSignal(SIGPIPE);
	else if ((flags & SigKill) != 0)
		runtime_dieFromSignal((uint32_t)sig);
	else if ((flags & (SigThrow | SigPanic)) != 0)
		fatalsignal(sig, info, ctx, gp);
}

// ---- the report ----

// GOTRACEBACK=crash also shows what the other threads run: each is told by SIGQUIT, one after the
// other. relay holds whose turn it is: its m; the m with bit 0 set once it has begun; 0 when it has
// ended, or did not begin in time.
static uintptr_t relay; // atomic

NOSANITIZE static bool
relayed(struct m *mp)
{
	return mp != NULL && atomic_loadacq(&relay) == (uintptr_t)mp &&
	    atomic_cas(&relay, (uintptr_t)mp, (uintptr_t)mp | 1);
}

// relayall lets every thread that runs a goroutine report, and waits for it, but not for ever.
static void
relayall(struct m *me)
{
	long pid = runtime_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
	int32_t left = RELAY_MS;
	runtime_setsig(SIGQUIT, (uintptr_t)runtime_sighandler);
	for (struct m *mp = sched.allm; mp != NULL; mp = mp->alllink) {
		struct g *gp = atomic_loadacq(&mp->curg);
		if (mp == me || gp == NULL ||
		    (runtime_readgstatus(gp) & ~(uint32_t)Gscan) != Grunning)
			continue;
		atomic_storerel(&relay, (uintptr_t)mp);
		if (runtime_syscall6(SYS_tgkill, pid, (long)mp->procid, SIGQUIT, 0, 0, 0) < 0)
			continue;
		int32_t start = RELAY_START_MS;
		while (atomic_loadacq(&relay) != 0 && left > 0) {
			// It blocks the signal, or the machine is slow: the next.
			if (start-- == 0 && atomic_cas(&relay, (uintptr_t)mp, 0))
				break;
			runtime_usleep(1000);
			left--;
		}
	}
}

struct report {
	int32_t sig;
	struct siginfo *info;
	struct ucontext *ctx;
	struct g *gp;
};

// report prints what a signal stopped: the thread's goroutine, all others, the registers.
static void
report(void *arg)
{
	struct report *a = arg;
	struct sigcontext *r = &a->ctx->mcontext;
	struct m *mp = a->gp != NULL ? a->gp->m : NULL;
	bool second = mp != NULL && atomic_loadacq(&relay) == ((uintptr_t)mp | 1), all, crash;
	if (mp != NULL)
		mp->throwing = 2;
	if (second)
		runtime_print("\n-----\n\n");
	else
		runtime_startpanic();
	if (a->sig < 32)
		runtime_print("%s\n", sigtable[a->sig].name);
	else
		runtime_print("signal %d\n", a->sig);
	runtime_print("PC=0x%lx m=%d sigcode=%lu", r->rip, mp != NULL ? (int)mp->id : -1,
	    (unsigned long)a->info->code);
	if (a->sig == SIGSEGV || a->sig == SIGBUS)
		runtime_print(" addr=0x%lx", (unsigned long)a->info->addr);
	runtime_print("\n");
	if (a->sig == SIGILL || a->sig == SIGFPE) {
		uint8_t b[16];
		size_t room = PAGESIZE - r->rip % PAGESIZE; // the next page may not be there
		size_t n = room < sizeof b ? room : sizeof b;
		if (runtime_saferead(b, r->rip, n)) {
			runtime_print("instruction bytes:");
			for (size_t i = 0; i < n; i++)
				runtime_print(" 0x%x", b[i]);
			runtime_print("\n");
		}
	}
	int level = runtime_gotraceback(&all, &crash);
	if (level > 0) {
		runtime_print("\n");
		if (a->gp != NULL)
			runtime_goroutineheader(a->gp);
		else
			runtime_print(
			    "thread %lu, not of this runtime:\n", (unsigned long)runtime_gettid());
		runtime_tracebacktrap(r->rip, r->rsp, r->rbp, a->gp);
		if (!second)
			runtime_tracebackothers(a->gp);
		runtime_print("\n");
		runtime_dumpregs(a->ctx);
	}
	if (second) {
		atomic_storerel(&relay, 0); // pairs with the acquire in relayall
		for (;;)
			runtime_usleep(SEC / 1000);
	}
	runtime_printseed();
	if (crash) {
		relayall(mp);
		runtime_dieFromSignal(SIGABRT);
	}
	runtime_exitprocess(2);
}

// fatalsignal reports and ends the process. It returns when this thread is in the middle of a
// report: that one goes on.
static void
fatalsignal(int32_t sig, struct siginfo *info, struct ucontext *ctx, struct g *gp)
{
	struct report a = {sig, info, ctx, gp};
	if (gp == NULL) {
		unblockfaults();
		report(&a);
		return;
	}
	struct m *mp = gp->m;
	if (mp->dying != 0 && info->code <= 0)
		return;
	unblockfaults();
	setg(gp); // in the middle of a switch it was something else, and print asks for getg()->m
	// The signal stack of a thread that we did not make may be small.
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	struct stack s = mp->gsignal->stack;
	if (sp >= s.lo && sp < s.hi)
		report(&a);
	else
		runtime_callon(report, &a, s.hi);
}

// ---- threads: signal stack and mask ----

// minit is the start of an m on its own thread: a signal stack (one that is there, a sanitizer's or
// a foreign thread's, is kept) and the mask. A foreign thread keeps its own mask.
void
runtime_minit(void)
{
	struct m *mp = getg()->m;
	atomic_storerlx(&mp->procid, runtime_gettid()); // sysmon reads it
	runtime_tls_m = mp;
	struct sigaltstack st = {0, SS_DISABLE, 0};
	// Nobody but a sanitizer can have given m0 a stack in a program of ours.
	bool ask = mp != &runtime_m0 || RT0_ASAN || RT0_TSAN;
	if (!sched.islibrary && mp->gsignal != NULL) {
		long r = ask ? sys2(SYS_sigaltstack, NULL, &st) : 0;
		if (r == 0 && (st.flags & SS_DISABLE) != 0) {
			st = (struct sigaltstack){mp->gsignal->stack.lo, 0,
			    mp->gsignal->stack.hi - mp->gsignal->stack.lo};
			r = sys2(SYS_sigaltstack, &st, NULL);
		}
		// Without one a stack overflow would end the process without a word.
		if (r != 0)
			runtime_throw("sigaltstack failed");
	}
	if (!mp->isextra)
		runtime_initsigmask(mp == &runtime_m0);
}

// unminit takes our signal stack away, before the m is another thread's, or the thread is a foreign one
// again. A stack that the thread has got itself meanwhile stays.
void
runtime_unminit(void)
{
	struct sigaltstack st;
	struct g *gs = getg()->m->gsignal;
	runtime_tls_m = NULL;
	if (gs == NULL || sys2(SYS_sigaltstack, NULL, &st) != 0 || st.sp != gs->stack.lo)
		return;
	st = (struct sigaltstack){0, SS_DISABLE, 0};
	sys2(SYS_sigaltstack, &st, NULL);
}
