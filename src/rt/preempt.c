// SPDX-License-Identifier: BSD-3-Clause
// preempt.c: taking the processor from a goroutine that does not give it.
//
// sysmon (a time slice is over and others wait) and stopTheWorld ask by preemptone: they set
// stackguard0, at which the goroutine looks whenever it calls the runtime, and send SIGURG to its
// thread. The handler finds the goroutine at one of three places:
//
//   in the runtime     nothing is done: the runtime looks at stackguard0 when it is through. Told by the
//                      pc (all code of the core is in section rt0_text) and by m.locks.
//   in C code          which may hold a lock of the libc or the address of a thread-local in a register.
//                      The goroutine STAYS ON ITS THREAD: the handler gives the p to another m and
//                      sleeps until somebody brings one back (stophere: "KLT-switching", Shiina et
//                      al., PPoPP 2021). To the C code it looks as if the kernel had run another
//                      thread for a while.
//   in a system call   that nobody has declared. The p is given up as by entersyscall and the call is
//                      finished in the handler (blocked_linux.c).
//
// Where nobody can be holding anything, in pure programs and between rt0_preempt_inthread_begin and
// _end, the handler makes the goroutine call asyncPreempt instead, which saves all registers on its stack
// and parks it like any other: cheaper, and no thread is tied up.
//
// A goroutine stopped in a handler is runnable and bound to its m: it waits on sched.boundq, and to run it
// means to give its m the p. The handler never starts a thread (the libc may be in any state): it
// takes an idle m, or does nothing and asks sysmon to have one made (needspare).
//
// Stopped ms are bounded softly: above stoppedcap, those stopped take turns among themselves, and
// only once a time slice a goroutine that has not been stopped yet gets the p.
#include "../runtime.h"
#include "../os/linux/linux.h"

enum { INTHREAD_ROOM = 8 << 10 }; // bytes of stack that asyncPreempt and the scheduler may use

static const int32_t stoppedcap = 64;

extern const char __start_rt0_text[] HIDDEN, __stop_rt0_text[] HIDDEN;
extern const char __start_rt0_nopreempt[] WEAK HIDDEN, __stop_rt0_nopreempt[] WEAK HIDDEN;

// What RT0_NOPREEMPT functions of the program lie in; constant after boot.
static struct {
	uintptr_t lo, hi;
} nopreempt;

uint64_t runtime_xsavesize HIDDEN = 512; // asyncPreempt: bytes, a multiple of 64
uint32_t runtime_xsavemask HIDDEN;       // 0: the processor has fxsave only

// slice is the time that a goroutine may run while others wait, ns.
int64_t
runtime_slice(void)
{
	return debug.preemptus > 0 ? debug.preemptus * 1000ll
	       : debug.preemptms > 0 ? debug.preemptms * MS
				     : 10 * MS;
}

// ---- asking ----

// asyncon tells whether requests may be sent by signal.
static bool
asyncon(void)
{
	// Acquire: what preemptinit has stored before is there, in a handler, too, which has not synchronised with anybody.
	return atomic_loadacq(&sched.asyncready) && debug.asyncpreemptoff == 0;
}

// recordblocked notes for the handler in which system call the thread sleeps, if it does. Whoever has set
// signalpending may call; the handler reads before it clears that.
static bool
recordblocked(struct m *mp, const struct sysmontick *pd)
{
	struct blockedcall call;
	uint64_t tid = atomic_loadrlx(&mp->procid);
	mp->blockedcall.valid = false;
	if (!runtime_threadblocked(tid, &call))
		return false;
	if (pd != NULL && pd->cpum == mp && runtime_cantimeout(call.nr)) {
		call.nvcsw = runtime_threadsleeps(tid);
		// Asked last: since cpusince it has not run at all, so this is still that sleep.
		if (call.nvcsw != 0 && runtime_threadcputime(tid) == pd->cpu)
			call.since = pd->cpusince, call.slack = pd->cpusince - pd->cpufrom;
	}
	mp->blockedcall = call;
	return true;
}

// preemptM sends the signal, unless one is on its way. Only if the handler can do something with it: it
// needs an m to give the p to (have), or a system call to finish.
static void
preemptM(struct m *mp, bool have, const struct sysmontick *pd)
{
	// Acquire: pairs with the handler's exchange, which has read the record.
	if (!asyncon() || !atomic_cas(&mp->signalpending, 0, 1))
		return;
	if (recordblocked(mp, pd) || have) {
		// Release: the record is whole. A SIGURG of somebody else's may come before ours.
		atomic_storerel(&mp->signalpending, 2);
		atomic_xadd(&sched.npreemptreq, 1);
		if (runtime_tgkill(atomic_loadrlx(&mp->procid), SIGURG) >= 0)
			return;
	}
	atomic_storerel(&mp->signalpending, 0);
}

// preemptone asks the goroutine that pp runs to give way, by signal too if async; have: as for preemptM;
// pd: what sysmon knows of the thread, or NULL. It may come too late or hit the next one: harmless, the
// handler looks at stackguard0, which execute resets.
bool
runtime_preemptone(struct p *pp, bool async, bool have, const struct sysmontick *pd)
{
	struct m *mp = atomic_loadrlx(&pp->m);
	if (mp == NULL || mp == getg()->m)
		return false;
	// An m and a g are never unmapped: a stale one may be written to.
	struct g *gp = atomic_loadacq(&mp->curg); // pairs with execute's release
	if (gp == NULL)
		return false;
	atomic_storerlx(&gp->stackguard0, STACKPREEMPT);
	if (async)
		preemptM(mp, have, pd);
	return true;
}

// preemptall asks all that run: the world is to stop.
void
runtime_preemptall(void)
{
	for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++)
		if (atomic_loadrlx(&runtime_pat(i)->status) == Prunning)
			runtime_preemptone(runtime_pat(i), true, true, NULL);
}

// preemptself is the same for the current goroutine, but for the signal: the caller sends it to the thread
// whose id this returns. Sent from here it would find us in the runtime. For measurements.
uint64_t
runtime_preemptself(void)
{
	struct g *gp = getg();
	atomic_storerlx(&gp->stackguard0, STACKPREEMPT);
	return gp->m->procid;
}

// ---- the handler ----

#if RT0_TSAN || RT0_ASAN
// The sanitizers' own code, called from the runtime's, is not in rt0_text. Somewhere below its frame there is
// an address of ours then; a stale one costs nothing but this chance.
__attribute__((no_sanitize("thread", "address"))) static bool
sanitizercalled(const struct g *gp, const struct sigcontext *r)
{
	const struct stack *s = gp->segment.lo != 0 ? &gp->segment : &gp->stack;
	if (r->rsp < s->lo || r->rsp > s->hi)
		return true;
	// Up to the frame of who called, or, where there is none, a little.
	uintptr_t top = r->rbp >= r->rsp && r->rbp <= s->hi - 16 ? r->rbp : s->hi;
	if (top > r->rsp + 1024)
		top = r->rsp + 1024;
	for (const uintptr_t *w = (const uintptr_t *)(r->rsp & ~7ul); (uintptr_t)w < top; w++)
		if (*w >= (uintptr_t)__start_rt0_text && *w < (uintptr_t)__stop_rt0_text && *w != (uintptr_t)runtime_goexit)
			return true;
	return false;
}
#else
#define sanitizercalled(gp, r) false
#endif

// interrupted tells whether gp, stopped at r, is in code that is not the runtime's.
static bool
interrupted(const struct g *gp, const struct m *mp, const struct sigcontext *r)
{
	if (gp != mp->curg || gp->m != mp || (mp->locks | mp->mallocing | mp->dying) != 0)
		return false;
	return r->rip < (uintptr_t)__start_rt0_text || r->rip >= (uintptr_t)__stop_rt0_text;
}

// inhandler tells whether ctx is in a handler of the program's, on whatever signal stack. What that one has interrupted
// may be the runtime in the middle of anything that is safe only as long as the p is its own: a channel, under the solo
// rule or of a lone p, or a run queue. So the p stays. (A handler without SA_ONSTACK cannot be told from other code.)
static bool
inhandler(const struct ucontext *ctx)
{
	return ctx->mcontext.rsp - ctx->stack.sp <= ctx->stack.size && ctx->stack.size != 0;
}

// isAsyncSafePoint tells whether gp, which is in the program's code, may be stopped there.
static bool
isAsyncSafePoint(const struct g *gp, const struct m *mp, const struct sigcontext *r)
{
	if (mp->p == NULL || gp->nopreempt != 0 || (r->rip >= nopreempt.lo && r->rip < nopreempt.hi))
		return false;
	return atomic_loadrlx(&gp->atomicstatus) == Grunning;
}

// inthreadok: all of gp is on its own stack, there is room, and it may go on on another thread.
static bool
inthreadok(const struct g *gp, const struct sigcontext *r)
{
	const struct stack *s = gp->segment.lo != 0 ? &gp->segment : &gp->stack;
#ifdef RT0_SAN_HOOKS
	return false;
#endif
	return (runtime_hosted == NULL || gp->inthread != 0) && r->rsp <= s->hi &&
	       r->rsp >= s->lo + INTHREAD_ROOM + runtime_xsavesize;
}

// timerdue tells whether a timer of pp's is due; who schedules on pp next looks at them at once.
static bool
timerdue(struct p *pp)
{
	int64_t next = runtime_timernext(pp);
	if (next == INT64_MAX || next > runtime_nanotime())
		return false;
	pp->timerticks = 0;
	return true;
}

// handto picks who gets pp: the m of a stopped goroutine that waits its turn, or an idle m, which will look
// at the queues. NULL: nobody waits, or there is no m for it. sched.lock is held.
static struct m *
handto(struct p *pp)
{
	HELD(&sched.lock);
	bool fresh = !runtime_runqempty(pp) || sched.runqsize > sched.nbound || sched.nhomem > 0 || timerdue(pp);
	if (fresh && sched.midle == NULL)
		atomic_storerlx(&sched.needspare, 1);
	if (sched.nbound > 0) {
		bool turn = true;
		if (fresh && sched.midle != NULL) {
			pp->boundturn = !pp->boundturn;
			turn = pp->boundturn;
			if (atomic_loadrlx(&sched.nstopped) >= stoppedcap) {
				int64_t now = runtime_nanotime();
				turn = now - sched.lastgrow < runtime_slice();
				if (!turn)
					sched.lastgrow = now;
			}
		}
		if (turn)
			return runtime_boundget()->lockedm;
	}
	if (!fresh || sched.midle == NULL)
		return NULL;
	atomic_storerlx(&pp->oldest, 2); // not the bound queue again: the deque's turn
	return runtime_mget();
}

// waitturn sleeps, bound to this m, until somebody gives us a p, and makes gp run again. On gsignal, in the
// handler: the thread's signal stack is in use and must not be left (the kernel would give it to
// the next signal).
static void
waitturn(struct g *gp, struct m *mp, bool bound)
{
	runtime_mparkbound(mp);
	runtime_unbind(mp, gp, bound);
	gp->asyncstop = 0;
	runtime_runagain(mp, gp);
	setg(gp);
}

static void
standsat(struct g *gp, const struct sigcontext *r)
{
	gp->syscallpc = r->rip;
	gp->syscallsp = r->rsp;
	gp->syscallbp = r->rbp;
}

// stophere stops gp in the handler: its p goes to another m, or to stopTheWorld.
static void
stophere(struct g *gp, struct m *mp, const struct sigcontext *r)
{
	struct p *pp = mp->p;
	setg(mp->gsignal);
	runtime_lock(&sched.lock);
	struct m *to = NULL;
	bool stw = atomic_loadrlx(&sched.gcwaiting) != 0;
	if (!stw && (to = handto(pp)) == NULL) {
		runtime_unlock(&sched.lock);
		setg(gp);
		return;
	}
	standsat(gp, r);
	gp->asyncstop = 1;
	gp->waitreason = waitReasonPreempted;
	runtime_casgstatus(gp, Grunning, Grunnable);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	bool bound = runtime_boundput(mp, gp);
	int32_t n = atomic_xadd(&sched.nstopped, 1);
	if (n > sched.maxstopped)
		sched.maxstopped = n;
	sched.nstops++;
	runtime_releasep();
	sched.nmidlelocked++; // us
	if (stw) {
		atomic_storerel(&pp->status, Pgcstop);
		if (--sched.stopwait == 0)
			runtime_notewakeup(&sched.stopnote);
	} else {
		if (to->nextp != NULL)
			runtime_throw("preempt: m has p");
		if (to->lockedg != NULL)
			sched.nmidlelocked--; // them; an idle one is off sched.midle
		to->nextp = pp;
	}
	runtime_unlock(&sched.lock);
	if (to != NULL)
		runtime_notewakeup(&to->park);
	waitturn(gp, mp, bound);
	atomic_xadd(&sched.nstopped, -1);
}

// finishblocked does what RT0_BLOCKING around the interrupted system call would have done.
static void
finishblocked(struct g *gp, struct m *mp, struct ucontext *ctx, struct kcall *call)
{
	struct sigcontext *r = &ctx->mcontext;
	atomic_xadd(&sched.nretaken, 1);
	atomic_storerlx(&gp->stackguard0, gp->stack.lo); // it gives way now
	runtime_reentersyscall(r->rip, r->rsp, r->rbp);
	long result = runtime_finishcall(call, &ctx->sigmask);
	if (call->restart)
		r->rip += 2;
	r->rax = (uint64_t)result;
	// As exitsyscall, but without mcall: see waitturn.
	if (!runtime_exitsyscallfast(mp)) {
		setg(mp->gsignal);
		runtime_exitsyscall0(gp);
		setg(gp);
	} else {
		runtime_casgstatus(gp, Gsyscall, Grunning);
	}
	gp->syscallsp = 0;
}

// wantAsyncPreempt: the request is for the goroutine that runs now. stackguard0 is reset whenever
// one is made to run.
static bool
wantAsyncPreempt(const struct g *gp)
{
	return atomic_loadrlx(&gp->stackguard0) == STACKPREEMPT && asyncon();
}

// doSigPreempt is the handler's part. gp is what the thread runs, or is about to; no libc function, no
// errno.
static void
doSigPreempt(struct siginfo *info, struct ucontext *ctx, struct g *gp)
{
	struct m *mp = runtime_tls_m;
	struct sigcontext *r = &ctx->mcontext;
	struct kcall call;
	struct blockedcall seen = {0};
	// A child between vfork and exec shares our memory, this thread's control block too. What tgkill sends
	// to this thread does not reach it; anything else is asked for by a system call.
	if (mp == NULL || ((info->code != SI_TKILL || (int32_t)info->addr != atomic_loadrlx(&sched.pid)) && mp->procid != runtime_gettid()))
		return;
	bool ours = false;
	// Acquire: pairs with preemptM. 1: its record is being written, and its signal comes later.
	if (atomic_loadacq(&mp->signalpending) == 2) {
		seen = mp->blockedcall;
		// Before we look at the request: one that comes from now on sends again. Release: seen is read.
		ours = atomic_xchg(&mp->signalpending, 0) != 0;
	}
	if (!interrupted(gp, mp, r))
		return;
	// A call that was interrupted is finished whoever the request was for, also where preemption is
	// forbidden or the call was declared. One that is about to run needs help only to lose its p.
	bool want = wantAsyncPreempt(gp), declared = atomic_loadrlx(&gp->atomicstatus) == Gsyscall;
	bool stays = declared || inhandler(ctx);
	if (declared)
		seen = (struct blockedcall){0}; // of an earlier call
	if (runtime_interruptedcall(r, &seen, ours, &call)) {
		if (stays && !call.restart)
			r->rax = (uint64_t)runtime_finishcall(&call, &ctx->sigmask);
		else if (!stays && mp->p != NULL && (want || !call.restart))
			finishblocked(gp, mp, ctx, &call);
		return;
	}
	if (!want || stays || !isAsyncSafePoint(gp, mp, r) || sanitizercalled(gp, r))
		return;
	if (inthreadok(gp, r)) {
		if (!atomic_loadrlx(&sched.gcwaiting) && runtime_runqempty(mp->p) && atomic_loadrlx(&sched.runqsize) == 0 && !timerdue(mp->p))
			return;
		uintptr_t sp = r->rsp - 128 - 8; // below the red zone
		*(uintptr_t *)sp = r->rip;
		r->rsp = sp;
		r->rip = (uintptr_t)runtime_asyncPreempt;
		return;
	}
	stophere(gp, mp, r);
}

#if RT0_TSAN
// ThreadSanitizer's library is not re-entrant, and our code calls it: only what is stopped in the program's own
// text is preempted.
extern const char __executable_start[] WEAK HIDDEN, etext[] WEAK HIDDEN;
#define inprogram(ctx)                                                                            \
	((ctx)->mcontext.rip >= (uintptr_t)__executable_start && (ctx)->mcontext.rip < (uintptr_t)etext)
#else
#define inprogram(ctx) true
#endif

// sigurg is what the handler calls for SIGURG.
NOSANITIZE void
runtime_sigurg(struct siginfo *info, struct ucontext *ctx, struct g *gp)
{
	if (inprogram(ctx) && gp != runtime_tls_m->g0) // on g0 ThreadSanitizer may be making a fiber
		doSigPreempt(info, ctx, gp);
	else if (*(volatile uint32_t *)&runtime_tls_m->signalpending == 2)
		*(volatile uint32_t *)&runtime_tls_m->signalpending = 0;
}

static struct g *
gopreempt_m(struct g *gp)
{
	struct m *mp = getg()->m;
	runtime_lock(&sched.lock);
	sched.ninthread++;
	runtime_casgstatus(gp, Grunning, Grunnable);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	runtime_globrunqput(gp);
	runtime_unlock(&sched.lock);
	atomic_storerlx(&mp->p->oldest, 2); // not the global queue first, which would give gp back: the deque's turn
	return runtime_schedule();
}

// asyncPreempt2 is called by asyncPreempt, with all registers saved.
void HIDDEN
runtime_asyncPreempt2(void)
{
	struct g *gp = getg();
	gp->waitreason = waitReasonPreempted;
	runtime_mcall(gopreempt_m);
}

// ---- start ----

// xsaveinit asks how much asyncPreempt has to save. Each cpuid traps in a virtual machine, some microseconds: only
// for who may be switched in its thread, and before it may. Idempotent: any number of threads may ask.
static void
xsaveinit(void)
{
	if (atomic_loadacq(&runtime_xsavemask) != 0) // pairs with the release below
		return;
	uint32_t a = 0, b, c = 0, d = 0, lo, hi;
	__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
	if ((c >> 27 & 1) == 0) // OSXSAVE
		return;
	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	// x87, SSE, AVX, AVX-512; not AMX, which is asked for from the kernel and eight kilobytes.
	uint32_t mask = lo & 0xe7;
	uint64_t size = 512 + 64;
	for (uint32_t i = 2; i < 8; i++) {
		if ((mask >> i & 1) == 0)
			continue;
		__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0xd), "c"(i));
		if (size < (uint64_t)a + b)
			size = (uint64_t)a + b;
	}
	// A goroutine that may be switched has called us before: it sees both, or both as they were.
	atomic_storerlx(&runtime_xsavesize, (size + 63) & ~63ul);
	atomic_storerel(&runtime_xsavemask, mask);
}

// preemptinit lets requests be sent, once growsig has taken SIGURG: one that nobody hears would be the last
// to its m (signalpending). Not in library mode, where signals are the host program's. Everything but
// faults is blocked while a goroutine is stopped: a handler of the program's that ran on its thread
// would run without a p, and might jump out.
void
runtime_preemptinit(void)
{
	if (sched.islibrary || debug.asyncpreemptoff != 0 || atomic_loadrlx(&sched.asyncready))
		return;
	if (runtime_hosted == NULL) // all of it is switched in its thread
		xsaveinit();
	if (nopreempt.hi == 0) { // linked without the shared library: what the program has is ours to see
		nopreempt.lo = (uintptr_t)__start_rt0_nopreempt;
		nopreempt.hi = (uintptr_t)__stop_rt0_nopreempt;
	}
	atomic_storerlx(&sched.pid, (int32_t)sys0(SYS_getpid)); // a handler reads it before anything else
	atomic_storerel(&sched.asyncready, 1);
}

// newstack is where a function in Go's assembly language comes to that finds SP below stackguard0.
// It tries again when this returns, so the request must be gone: sysmon makes another one.
void
runtime_newstack(void)
{
	struct g *gp = getg();
	if (atomic_loadrlx(&gp->stackguard0) != STACKPREEMPT)
		runtime_throw("stack overflow in an assembly function: its frame does not fit");
	if (!runtime_preemptpoint(gp))
		atomic_storerlx(&gp->stackguard0, gp->stack.lo);
}

// ---- the program's say ----

// setnopreempt says where RT0_NOPREEMPT functions lie. Before there is a second goroutine.
void
rt0_set_nopreempt(const void *lo, const void *hi)
{
	nopreempt.lo = (uintptr_t)lo;
	nopreempt.hi = (uintptr_t)hi;
}

void
rt0_preempt_disable(void)
{
	struct g *gp = getg();
	if (gp != NULL)
		gp->nopreempt++;
}

void
rt0_preempt_enable(void)
{
	struct g *gp = getg();
	if (gp == NULL)
		return;
	if (gp->nopreempt == 0)
		runtime_fatal("rt0_preempt_enable without rt0_preempt_disable");
	if (--gp->nopreempt == 0)
		runtime_preemptpoint(gp);
}

void
rt0_preempt_inthread_begin(void)
{
	struct g *gp = getg();
	if (gp == NULL)
		return;
	xsaveinit();
	gp->inthread++;
}

void
rt0_preempt_inthread_end(void)
{
	struct g *gp = getg();
	if (gp == NULL)
		return;
	if (gp->inthread == 0)
		runtime_fatal("rt0_preempt_inthread_end without rt0_preempt_inthread_begin");
	gp->inthread--;
}
