// SPDX-License-Identifier: BSD-3-Clause
// proc.c: schedule, findrunnable, execute, park and ready, the end of a goroutine.
//
// The scheduler's job is to spread ready goroutines over threads. G, M and P are in runtime2.h.
//
// Functions that run on g0 between two goroutines RETURN the goroutine to run (struct g *), which
// mcall then runs; Go's never return. That pairs calls with returns (asm_amd64.s says why).
//
// Direct switch. Whoever parks on a channel picks the next goroutine while it still has the channel's
// lock, and swtch drops the lock when it stands on the next one's stack: the two steps that make
// parking safe (off the stack, then visible: models/park_ready.pml) without the detour by g0. Yield and
// exit do likewise where nobody can run the old goroutine before we have left its stack.
//
// Waking threads. An M is spinning when it has a P, no goroutine, and looks for work. A submitter
// wakes one M if there is an idle P and nobody spins; a spinner that finds work wakes the next. So
// a burst of work starts threads one after the other, without a thundering herd.
//
// Spinning-to-idle dance. Submitter: put work on a queue; fence; load nmspinning (wakep). Spinner: stop
// being counted in nmspinning; fence; look at all queues once more. Either the submitter sees no
// spinner and wakes one, or the spinner sees the work. models/spinning.pml.
#include "runq.h"

// lazywake leaves a wake-up to sysmon (runnext-only dance, runq.c), which may be in a long sleep.
static void
lazywake(void)
{
	if (atomic_loadrlx(&sched.lazywake) != 0)
		return;
	// Dekker with sysmon, which sets sysmonslow, then looks at lazywake.
	atomic_xchg(&sched.lazywake, 1);
	runtime_wakesysmon();
}

// ---- goroutine states ----

uint32_t
runtime_readgstatus(struct g *gp)
{
	return atomic_loadacq(&gp->atomicstatus);
}

static NOINLINE RT0_NORETURN void
badcasgstatus(struct g *gp, uint32_t oldval, uint32_t newval)
{
	runtime_print("runtime: casgstatus: goroutine %lu is in state %x, not %x, on its way to %x\n",
	    (unsigned long)gp->goid, atomic_loadrlx(&gp->atomicstatus), oldval, newval);
	runtime_throw("casgstatus: bad incoming values");
}

// casgstatus is for who has no p, and for others when they cannot use casgstatus of runtime.h.
NOINLINE void
runtime_casgstatus(struct g *gp, uint32_t oldval, uint32_t newval)
{
	if ((oldval | newval) & Gscan || oldval == newval)
		badcasgstatus(gp, oldval, newval);
	for (uint32_t n = 0;; n++) {
		// Acquire and release: the owner before us has finished with gp.
		if (atomic_cas_acqrel(&gp->atomicstatus, oldval, newval))
			return;
		uint32_t now = atomic_loadacq(&gp->atomicstatus);
		if (now != oldval && now != (oldval | Gscan))
			badcasgstatus(gp, oldval, newval);
		if (n < 10)
			procyield(30);
		else
			runtime_osyield();
	}
}

// castogscanstatus locks gp's state for a scanner. Only while sched.gscan.
bool
runtime_castogscanstatus(struct g *gp, uint32_t oldval, uint32_t newval)
{
	if (newval != (oldval | Gscan) || oldval == Gidle || oldval == Gdead)
		badcasgstatus(gp, oldval, newval);
	return atomic_cas_acqrel(&gp->atomicstatus, oldval, newval);
}

void
runtime_casfrom_Gscanstatus(struct g *gp, uint32_t oldval, uint32_t newval)
{
	if (oldval != (newval | Gscan) || !atomic_cas_acqrel(&gp->atomicstatus, oldval, newval))
		badcasgstatus(gp, oldval, newval);
}

const char *
runtime_waitreasontext(struct g *gp)
{
	static const char *const text[] = {
#define X(r, t) t,
	    WAIT_REASONS(X)
#undef X
	};
	return gp->waitreason < NELEM(text) ? text[gp->waitreason] : "unknown wait reason";
}

// ---- run ----

// execute makes gp the one to run next on the current m, and returns it.
static inline struct g *
execute(struct m *mp, struct g *gp, bool inherittime)
{
	struct p *pp = mp->p;
	atomic_storerel(&mp->curg, gp);
	gp->m = mp;
	casgstatus(gp, Grunnable, Grunning);
	atomic_storerlx(&gp->stackguard0, gp->stack.lo);
	// Read by sysmon and thieves, to see whether pp gets on.
	atomic_storerlx(&pp->nswitch, pp->nswitch + 1);
	if (!inherittime)
		atomic_storerlx(&pp->schedtick, pp->schedtick + 1);
	return gp;
}

// resetspinning: this m has found work and stops looking. The last one to do so wakes another, so
// that somebody looks as long as there may be more.
static void
resetspinning(struct m *mp)
{
	mp->spinning = false;
	int32_t n = atomic_xadd(&sched.nmspinning, -1);
	if (n < 0)
		runtime_throw("findrunnable: negative nmspinning");
	runtime_wakep();
}

// stealwork tries every p, from a random one on, four times; runnext only in the last round, and the timers.
static struct g *
stealwork(struct p *pp)
{
	int32_t n = sched.gomaxprocs;
	for (int i = 0; i < 4; i++) {
		bool last = i == 3;
		uint32_t at = runtime_cheaprandn((uint32_t)n);
		for (int32_t k = 0; k < n; k++) {
			if (atomic_loadrlx(&sched.gcwaiting))
				return NULL;
			struct p *p2 = allp[(at + (uint32_t)k) % (uint32_t)n];
			if (p2 == pp)
				continue;
			if (last && runtime_timernext(p2) != INT64_MAX) {
				runtime_checktimers(p2, runtime_nanotime());
				bool inherit;
				struct g *gp = runtime_runqget(pp, &inherit);
				if (gp != NULL)
					return gp;
			}
			struct g *gp = runtime_runqsteal(pp, p2, last);
			if (gp != NULL) {
				pp->nsteal++;
				return gp;
			}
		}
	}
	return NULL;
}

// globalturn: the global queue goes first, at every 61st tick, and once a time slice (sysmon sets oldest):
// goroutines that hand the rest of one slice to each other make no ticks.
static inline bool
globalturn(struct p *pp)
{
	return atomic_loadrlx(&sched.runqsize) > 0 && (pp->schedtick % 61 == 0 || atomic_loadrlx(&pp->oldest) == 1);
}

// hometurn: the first m of homem gets the p when all has run that was to run here when we first saw homem. What has
// come since waits, so that those who are ready again and again do not keep the p.
static bool
hometurn(struct p *pp, struct m *mp)
{
	if (likely(atomic_loadrlx(&sched.nhomem) == 0)) {
		pp->homewaits = false;
		return false;
	}
	if (!pp->homewaits) {
		pp->homewaits = true;
		pp->homedue = pp->nswitch + runtime_runqlen(pp) + (uint32_t)atomic_loadrlx(&mp->nhome);
	}
	return pp->nswitch >= pp->homedue;
}

// workleft is the second look of the spinning-to-idle dance: is there anything that a spinning m would find?
bool
runtime_workleft(void)
{
	bool lazy = false;
	if (atomic_loadrlx(&sched.runqsize) > 0)
		return true;
	// Without a p the world may be resized meanwhile: allp only grows, its ps stay.
	for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++) {
		struct p *p2 = runtime_pat(i);
		if (runtime_runqempty(p2))
			continue;
		// Its runnext alone is left to the runnext-only dance.
		if (runtime_runqlen(p2) != 1 || atomic_loadrlx(&p2->runnext) == NULL)
			return true;
		lazy = true;
	}
	if (lazy)
		lazywake();
	return false;
}

// findrunnable finds a goroutine to run, and sleeps until there is one. On g0, with a p; the p may
// be another one on return. *inherittime as for runqget.
static NOINLINE struct g *
findrunnable(bool *inherittime)
{
	ON_G0();
	struct m *mp = getg()->m;
	*inherittime = false;
top:;
	struct p *pp = mp->p;
	if (atomic_loadrlx(&sched.gcwaiting)) {
		runtime_gcstopm();
		goto top;
	}
	struct g *gp;
	if (hometurn(pp, mp)) {
		runtime_starthomes();
		pp->homewaits = false;
		if (runtime_handhome())
			goto top;
	}
	bool turn = globalturn(pp);
	// Those at home here go before those on the p's queues, which others may steal; not always.
	if (atomic_loadrlx(&mp->nhome) != 0 && !turn && pp->schedtick % 8 != 7 && (gp = runtime_takehome(mp)) != NULL)
		return gp;
	int64_t until = runtime_timernext(pp);
	if (until != INT64_MAX)
		until = runtime_checktimers(pp, runtime_nanotime());
	// Once in a while the global queue first: two goroutines that ready each other for ever on
	// the local one must not starve it.
	if (turn) {
		if (atomic_loadrlx(&pp->oldest) != 0)
			atomic_storerlx(&pp->oldest, 2); // the deque's turn: runqget
		runtime_lock(&sched.lock);
		gp = runtime_globrunqget(pp, 1);
		runtime_unlock(&sched.lock);
		if (gp != NULL)
			return gp;
	}
	gp = runtime_runqget(pp, inherittime);
	if (gp != NULL)
		return gp;
	if (atomic_loadrlx(&mp->nhome) != 0 && (gp = runtime_takehome(mp)) != NULL)
		return gp;
	if (atomic_loadrlx(&sched.runqsize) > 0) {
		runtime_lock(&sched.lock);
		gp = runtime_globrunqget(pp, 0);
		runtime_unlock(&sched.lock);
		if (gp != NULL)
			return gp;
	}
	if (atomic_loadrlx(&sched.nhomem) > 0 && runtime_handhome())
		goto top;
	// The network. Who is alone comes by netpoll below just as well, and need not ask twice.
	if (!sched.solo && atomic_loadrlx(&sched.npollwait) > 0 && atomic_loadrlx(&sched.lastpoll) != 0) {
		if (runtime_netpollturn(&gp)) {
			if (gp != NULL)
				return gp;
			goto top;
		}
	}
	// Steal. At most half as many spinners as busy ps: more would only burn the processor.
	if (!sched.solo) {
		int32_t busy = sched.gomaxprocs - atomic_loadrlx(&sched.npidle);
		if (mp->spinning || 2 * atomic_loadrlx(&sched.nmspinning) < busy) {
			if (!mp->spinning) {
				mp->spinning = true;
				atomic_xadd(&sched.nmspinning, 1);
			}
			gp = stealwork(pp);
			if (gp != NULL)
				return gp;
			if (runtime_gfahead(pp))
				goto top;
		}
	}
	// Nothing to do. Give the p back, under the lock that guards the global queue.
	runtime_lock(&sched.lock);
	if (atomic_loadrlx(&sched.gcwaiting)) {
		runtime_unlock(&sched.lock);
		goto top;
	}
	if (sched.runqsize > 0) {
		gp = runtime_globrunqget(pp, 0);
		runtime_unlock(&sched.lock);
		return gp;
	}
	if (sched.nhomem > 0) {
		runtime_unlock(&sched.lock);
		goto top;
	}
	if (!mp->spinning && atomic_loadrlx(&sched.needspinning) == 1) {
		// A wakep was lost to a full house of spinners on their way out: look once more.
		atomic_storerlx(&sched.needspinning, 0);
		mp->spinning = true;
		atomic_xadd(&sched.nmspinning, 1);
		runtime_unlock(&sched.lock);
		goto top;
	}
	int64_t notbefore = runtime_timersrest(pp);
	if (runtime_releasep() != pp)
		runtime_throw("findrunnable: wrong p");
	runtime_pidleput(pp);
	runtime_unlock(&sched.lock);
	bool wasspinning = mp->spinning;
	if (wasspinning) {
		// Spinning-to-idle dance: uncounted first (a full fence), then look again.
		mp->spinning = false;
		if (atomic_xadd(&sched.nmspinning, -1) < 0)
			runtime_throw("findrunnable: negative nmspinning");
		if (runtime_workleft()) {
			runtime_lock(&sched.lock);
			struct p *p2 = runtime_pidleget();
			if (p2 != NULL) {
				runtime_unlock(&sched.lock);
				runtime_acquirep(p2);
				mp->spinning = true;
				atomic_xadd(&sched.nmspinning, 1);
				goto top;
			}
			// No p for us: whoever took it will look. But if it stops looking before it
			// has seen what we saw, the next one who idles must spin once more.
			atomic_storerlx(&sched.needspinning, 1);
			runtime_unlock(&sched.lock);
		}
		// Timers that have been set meanwhile: who did has relied on us as well.
		int64_t next = runtime_timersnext();
		if (next < until)
			until = next;
	}
	if (!runtime_sleepnetpoll(until, notbefore, wasspinning, inherittime, &gp))
		runtime_stopm();
	else if (gp != NULL)
		return gp;
	goto top;
}

// schedule picks the goroutine to run next on the current m. On g0.
struct g *
runtime_schedule(void)
{
	ON_G0();
	struct m *mp = getm();
	if (unlikely(mp->locks != 0))
		runtime_throw("schedule: holding locks");
	if (unlikely(mp->lockedg != NULL)) {
		runtime_stoplockedm();
		return execute(mp, mp->lockedg, false);
	}
	for (;;) {
		struct p *pp = mp->p;
		bool inherittime;
		struct g *gp = NULL;
		if (unlikely(--pp->timerticks < 0))
			runtime_looktimers(pp);
		int32_t homes = atomic_loadrlx(&mp->nhome) | atomic_loadrlx(&sched.nhomem);
		if (likely((atomic_loadrlx(&sched.gcwaiting) | (uint32_t)homes) == 0 && !globalturn(pp)))
			gp = runtime_runqget(pp, &inherittime);
		if (unlikely(gp == NULL))
			gp = findrunnable(&inherittime);
		if (unlikely(gp->home != NULL) && gp->home != mp && runtime_homeput(gp))
			continue;
		if (unlikely(mp->spinning))
			resetspinning(mp);
		if (unlikely(mp->routed)) {
			mp->routed = false;
			runtime_starthomes();
		}
		if (unlikely(gp->lockedm != NULL)) {
			// Two that are bound and ready each other by runnext begin a slice at each switch, which no tick of
			// sysmon's sees end: by turns with what else is here, ring and deque (runqget) both.
			if (inherittime && (mp->p->schedtick & 6) == 6 && !runtime_runqempty(mp->p)) {
				runtime_runqput(mp->p, gp, false);
				continue;
			}
			// Its thread runs it; ours gives it the p and comes back with another.
			runtime_startlockedm(gp);
			continue;
		}
		return execute(mp, gp, inherittime);
	}
}

// ---- park and ready ----

static inline bool
candirect(struct m *mp, struct g *gp)
{
#ifdef RT0_SAN_HOOKS // the sanitizers are told of switches by mcall only
	return (void)mp, (void)gp, false;
#else
	// Bound goroutines wait for the turn that sysmon gives the global queue, not for each switch.
	int32_t n = atomic_loadrlx(&sched.runqsize);
	return (mp->locks | mp->spinning | atomic_loadrlx(&mp->nhome) | atomic_loadrlx(&sched.nhomem)) == 0 &&
	       gp->lockedm == NULL && --mp->p->timerticks >= 0 && !perturb(2) &&
	       (atomic_loadrlx(&sched.gscan) | atomic_loadrlx(&sched.gcwaiting)) == 0 &&
	       (likely(n == 0) || (n == atomic_loadrlx(&sched.nbound) && atomic_loadrlx(&mp->p->oldest) != 1));
#endif
}

// putback undoes runqget by who may hold a channel, or the lone p's busy: there is room where it was, and no lock is
// needed. (runqput in debug builds might take the full ring for runnext's, and sched.lock, whose holder waits for
// busy.)
static NOINLINE void
putback(struct p *pp, struct g *gp, bool next)
{
	if (next)
		atomic_storerel(&pp->runnext, gp); // only we put something there
	else
		runtime_runqput(pp, gp, false);
}

// pickdirect returns a goroutine to switch to directly, made running, or NULL: go by g0. The current one
// has left no trace on mp yet.
static inline __attribute__((always_inline)) struct g *
pickdirect(struct m *mp, struct g *gp)
{
	struct p *pp = mp->p;
	if (!candirect(mp, gp))
		return NULL;
	bool inherittime;
	struct g *next = runqget(pp, &inherittime);
	if (next == NULL)
		return NULL;
	if (unlikely(next->lockedm != NULL || (next->home != NULL && next->home != mp))) {
		putback(pp, next, inherittime);
		return NULL;
	}
	return execute(mp, next, inherittime);
}

// coarsetime is about now, to within what sysmon sleeps: for the minutes in reports, at no cost.
static inline int64_t
coarsetime(void)
{
	int64_t t = atomic_loadrlx(&sched.coarsenow);
	return likely(t != 0) || !sched.grown ? t : runtime_nanotime();
}

static struct g *
park_m(struct g *gp)
{
	struct m *mp = getm();
	casgstatus(gp, Grunning, Gwaiting);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	bool (*fn)(struct g *, void *) = mp->waitunlockf;
	if (fn != NULL) {
		// From here another m may ready gp and run it: gp's stack is not touched any more.
		mp->waitunlockf = NULL;
		if (!fn(gp, mp->waitlock)) {
			casgstatus(gp, Gwaiting, Grunnable);
			return execute(mp, gp, true);
		}
	}
	return runtime_schedule();
}

// gopark makes the current goroutine wait. unlockf runs on g0 when the goroutine is off its stack
// and waiting; it drops the lock that keeps wakers away, or returns false to run on at once.
void
runtime_gopark(bool (*unlockf)(struct g *, void *), void *lock, enum waitreason reason)
{
	ON_USERG();
	struct g *gp = getg();
	struct m *mp = getm();
	gp->waitreason = (uint8_t)reason;
	gp->waitsince = coarsetime();
	mp->waitunlockf = unlockf;
	mp->waitlock = lock;
	runtime_mcall(park_m);
}

static bool
wordunlock(struct g *gp, void *word)
{
#if RT0_DEBUG
	if (word != &gp->selectdone && word != &sched.busy) {
		runtime_unlock((struct mutex *)word);
		return true;
	}
#endif
	(void)gp;
	atomic_storerel((uint32_t *)word, 0);
	return true;
}

// goparkword is gopark for who holds a lock that is released by a store of 0 to word (chan.c, select.c).
// NULL: no lock. (In debug builds word is the key of a mutex, selectdone, or the lone p's busy.)
void
runtime_goparkword(uint32_t *word, enum waitreason reason)
{
	ON_USERG();
	struct g *gp = getg();
	struct m *mp = getm();
	gp->waitreason = (uint8_t)reason;
	gp->waitsince = coarsetime();
	struct g *next = pickdirect(mp, gp);
	if (likely(next != NULL)) {
		casgstatus(gp, Grunning, Gwaiting);
		gp->m = NULL;
		runtime_swtch(gp, next, word);
		return;
	}
	mp->waitunlockf = word != NULL ? wordunlock : NULL;
	mp->waitlock = word;
	runtime_mcall(park_m);
}

// ready makes a waiting goroutine runnable, on the current p. The caller has taken it off every
// wait queue. Runnext-only dance: runq.c.
void
runtime_ready(struct g *gp, bool next)
{
	struct m *mp = getm();
	struct p *pp = mp->p;
	casgstatus(gp, Gwaiting, Grunnable);
	if (sched.solo) {
		runtime_runqput(pp, gp, next);
		return;
	}
	bool alone = next && atomic_loadrlx(&pp->runnext) == NULL && pp->runqtail == atomic_loadrlx(&pp->runqhead) &&
	             pp->newqbottom == atomic_loadrlx(&pp->newqtop);
	runtime_runqput(pp, gp, next);
	if (!alone) {
		runtime_wakeafterput();
	} else if (atomic_loadrlx(&sched.npidle) != 0) {
		// No fence after the store of runnext: a p that goes idle at this very moment may be
		// missed, and sysmon, which looks at all queues at every tick, finds it.
		lazywake();
	}
}

// readycrowd puts the n goroutines of q, Grunnable already, on the global queue.
void
runtime_readycrowd(struct gqueue *q, int32_t n)
{
	if (n <= 0)
		return;
	runtime_lock(&sched.lock);
	runtime_globrunqputbatch(q, n);
	runtime_unlock(&sched.lock);
	runtime_wakeafterput();
}

void
runtime_goready(struct g *gp)
{
	runtime_ready(gp, true);
}

struct g *
runtime_gosched_m(struct g *gp)
{
	if (unlikely(runtime_forked))
		return gp;
	struct m *mp = getm();
	casgstatus(gp, Grunning, Grunnable);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	runtime_runqput(mp->p, gp, false);
	runtime_wakeafterput();
	return runtime_schedule();
}

void
runtime_goyield(void)
{
	runtime_mcall(runtime_gosched_m);
}

void
rt0_gosched(void)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL))
		return;
	struct m *mp = getm();
	struct p *pp = mp->p;
	// The common case in a few loads: only the ring has something, so its head runs and we go to its end.
	if (sched.solo && candirect(mp, gp) && atomic_loadrlx(&pp->runnext) == NULL && pp->newqbottom == atomic_loadrlx(&pp->newqtop)) {
		uint32_t h = atomic_loadrlx(&pp->runqhead), t = pp->runqtail;
		struct g *next = pp->runq[h % NRUNQ];
		if (h == t) {
			atomic_storerlx(&gp->stackguard0, gp->stack.lo); // asked to give way: to nobody
			return;
		}
		if (likely(next->lockedm == NULL && (next->home == NULL || next->home == mp) && t - h < NRUNQ)) {
			casgstatus(gp, Grunning, Grunnable);
			gp->m = NULL;
			atomic_storerlx(&pp->runq[t % NRUNQ], gp);
			atomic_storerlx(&pp->runqhead, h + 1);
			atomic_storerel(&pp->runqtail, t + 1);
			runtime_swtch(gp, execute(mp, next, false), NULL);
			return;
		}
	}
	runtime_mcall(runtime_gosched_m);
}

// preemptpointslow gives way, if it may.
bool
runtime_preemptpointslow(struct g *gp)
{
	if ((gp->m->locks | gp->nopreempt) != 0 || gp != gp->m->curg)
		return false;
	gp->waitreason = waitReasonPreempted;
	runtime_mcall(runtime_gosched_m);
	return true;
}

// ---- the end of a goroutine ----

struct g *
runtime_goexit0(struct g *gp)
{
	struct m *mp = getm();
	struct p *pp = mp->p;
	if (unlikely(gp->segment.lo != 0))
		runtime_dropsegments(gp);
	if (unlikely(mp->isextra))
		return runtime_callbackdone(gp); // the thread is not ours to end
	casgstatus(gp, Grunning, Gdead);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	gp->waitreason = 0;
	if (unlikely(gp->issystem)) {
		gp->issystem = false;
		atomic_xadd(&sched.ngsys, -1);
	}
	bool locked = unlikely(gp->lockedm != NULL);
	if (locked) {
		gp->lockedm = NULL;
		mp->lockedg = NULL;
	}
	runtime_gfput(pp, gp);
	if (unlikely(locked)) {
		if (mp->lockedint != 0)
			runtime_throw("goroutine ends while locked by the runtime");
		// A thread that user code has locked may carry state of its own: it is not reused, and since
		// lockedext stays, newm does not clone it while mexit finds somebody for the p.
		runtime_mexit();
	}
	return runtime_schedule();
}

void
runtime_goexit1(void)
{
	struct g *gp = getg();
	struct m *mp = getm();
	// Direct switch: only this p takes from its dead goroutines, as long as there is room for one
	// more, so nobody can take our stack for a new one before we have left it.
	if (likely((gp->stackorder | gp->issystem) == 0 && gp->segment.lo == 0) && mp->p->ngfree < GFREE_MAX) {
		struct g *next = pickdirect(mp, gp);
		if (likely(next != NULL)) {
			casgstatus(gp, Grunning, Gdead);
			gp->m = NULL;
			gfpush(mp->p, gp);
			runtime_jump(next);
		}
	}
	runtime_mcall(runtime_goexit0);
}

// mcall on g0, and an mcall whose function gave nothing to run.
RT0_NORETURN HIDDEN void
runtime_badmcall(void)
{
	runtime_throw("runtime: mcall called on m->g0 stack");
}

RT0_NORETURN HIDDEN void
runtime_badmcall2(void)
{
	runtime_throw("runtime: mcall function returned");
}

RT0_NORETURN HIDDEN void
runtime_badsystemstack(void)
{
	runtime_throw("systemstack called from unexpected goroutine");
}
