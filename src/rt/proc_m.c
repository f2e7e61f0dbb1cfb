// SPDX-License-Identifier: BSD-3-Clause
// proc_m.c: threads: starting, parking and ending them; goroutines locked to one; foreign threads.
//
// An m without work sleeps on its park note, on sched.midle. Who wakes it has put a p in nextp first.
// Threads are never started by a goroutine that has locked its own (its thread may have been changed:
// namespaces, credentials): a template thread, with the state of the main thread at boot, does.
// Threads that rt0 did not make: foreign.c.
#include "../runtime.h"

// ---- making ms ----

int64_t
runtime_mcount(void)
{
	return sched.mnext - sched.nmfreed;
}

// checkmcount: sched.lock held.
void
runtime_checkmcount(void)
{
	HELD(&sched.lock);
	if (runtime_mcount() - atomic_loadrlx(&sched.nmextra) > sched.maxmcount) {
		runtime_print("runtime: program exceeds %d-thread limit\n", sched.maxmcount);
		runtime_throw("thread exhaustion");
	}
}

static int64_t
mReserveID(void)
{
	HELD(&sched.lock);
	int64_t id = sched.mnext++;
	runtime_checkmcount();
	return id;
}

// mcommoninit enters mp in the books. id < 0: take the next.
void
runtime_mcommoninit(struct m *mp, int64_t id)
{
	runtime_lock(&sched.lock);
	mp->id = id >= 0 ? id : mReserveID();
	runtime_unlock(&sched.lock);
	uint64_t r = runtime_rand();
	mp->fastrand[0] = r;
	mp->fastrand[1] = r ^ (uint64_t)mp->id * 0x9e3779b97f4a7c15ul;
	if (mp->gsignal == NULL) // m0's first time
		runtime_mpreinit(mp);
	runtime_lock(&sched.lock);
	mp->alllink = sched.allm;
	sched.allm = mp;
	runtime_unlock(&sched.lock);
}

// allocm makes an m with a g0, from one whose thread has ended if there is one.
struct m *
runtime_allocm(struct p *pp, void (*fn)(void), int64_t id)
{
	struct m *mp = NULL;
	runtime_lock(&sched.lock);
	for (struct m **l = &sched.freem; *l != NULL; l = &(*l)->schedlink) {
		if (!runtime_threadgone(*l))
			continue;
		mp = *l;
		*l = mp->schedlink;
		break;
	}
	runtime_unlock(&sched.lock);
	if (mp != NULL) {
		struct g *g0 = mp->g0, *gsignal = mp->gsignal;
		runtime_memclr(mp, offsetof(struct m, home));
		runtime_homeopen(mp);
		runtime_memclr(g0, sizeof *g0);
		mp->g0 = g0;
		mp->gsignal = gsignal;
	} else {
		mp = runtime_mnew();
	}
	mp->g0->m = mp;
	mp->g0->issystem = true;
	mp->mstartfn = fn;
	mp->startp = pp;
	runtime_mcommoninit(mp, id);
	return mp;
}

// ---- the template thread ----

static RT0_NORETURN void mquit(struct m *mp);

static void
templatethread(void)
{
	runtime_lock(&sched.lock);
	sched.nmsys++;
	runtime_checkdead();
	runtime_unlock(&sched.lock);
	for (;;) {
		runtime_lock(&sched.newmlock);
		struct m *list = sched.newmlist;
		sched.newmlist = NULL;
		if (list == NULL)
			atomic_storerlx(&sched.newmwake, 0);
		runtime_unlock(&sched.newmlock);
		while (list != NULL) {
			struct m *mp = list;
			list = mp->schedlink;
			mp->schedlink = NULL;
			atomic_storerel(&sched.newmcur, mp); // pairs with takebackps
			runtime_newosproc(mp);
			atomic_storerel(&sched.newmcur, NULL);
		}
		if (atomic_loadrlx(&sched.stopping))
			mquit(getg()->m);
		runtime_futexsleep(&sched.newmwake, 0, -1);
	}
}

static void
startTemplateThread(void)
{
	runtime_lock(&sched.newmlock);
	bool have = sched.havetemplate;
	atomic_storerlx(&sched.havetemplate, true);
	runtime_unlock(&sched.newmlock);
	if (!have)
		runtime_newm(templatethread, NULL, -1);
}

// newm starts a thread that runs fn (NULL: nothing) and then schedules, with pp (NULL: it waits for work).
void
runtime_newm(void (*fn)(void), struct p *pp, int64_t id)
{
	struct m *me = acquirem();
	struct m *mp = runtime_allocm(pp, fn, id);
	bool far = me->lockedext != 0 || atomic_loadrlx(&sched.viatemplate);
	if (far && atomic_loadrlx(&sched.havetemplate) && fn != templatethread) {
		runtime_lock(&sched.newmlock);
		mp->schedlink = sched.newmlist;
		sched.newmlist = mp;
		atomic_storerel(&sched.newmwake, 1);
		runtime_unlock(&sched.newmlock);
		runtime_futexwakeup(&sched.newmwake, 1);
	} else {
		runtime_newosproc(mp);
	}
	releasem(me);
}

// ---- a thread's life ----

static void newmidle(struct m *mp);

static void
mstart1(void *arg)
{
	(void)arg;
	struct m *mp = getg()->m;
	if (mp == &runtime_m0)
		runtime_bootmark("mstart");
	runtime_minit();
	if (mp == &runtime_m0)
		runtime_initsig();
	if (mp->mstartfn != NULL)
		mp->mstartfn();
	if (mp != &runtime_m0) {
		struct p *pp = atomic_xchg(&mp->startp, NULL);
		if (pp != NULL)
			runtime_acquirep(pp);
		else
			newmidle(mp);
	}
	runtime_gogo(runtime_schedule());
}

// mstart is the thread's entry, on g0. It returns when the thread is to end (mexit).
void
runtime_mstart(void)
{
	runtime_mrun(mstart1, NULL);
	// After mexit. Nobody may touch the m but us until freewait is 0.
	struct m *mp = getg()->m;
	setg(NULL);
	if (runtime_hosted == NULL)
		runtime_exitthread(mp);
	atomic_storerel(&mp->freewait, 0); // pairs with the acquire in threadgone
}

static void
mspinning(void)
{
	getg()->m->spinning = true; // counted by who started us
}

static void
mput(struct m *mp)
{
	HELD(&sched.lock);
	mp->idle = true;
	mp->schedlink = sched.midle;
	mp->idleprev = NULL;
	if (sched.midle != NULL)
		sched.midle->idleprev = mp;
	sched.midle = mp;
	sched.nmidle++;
	if (atomic_loadrlx(&mp->nhome) != 0) // home.c: stopm
		runtime_homelist(mp);
	runtime_checkdead();
}

// mget takes an idle m, first of all one that has something to run which nobody else can.
struct m *
runtime_mget(void)
{
	HELD(&sched.lock);
	struct m *mp = runtime_homeunlist();
	if (mp == NULL)
		mp = sched.midle;
	if (mp != NULL) {
		if (mp->idleprev != NULL)
			mp->idleprev->schedlink = mp->schedlink;
		else
			sched.midle = mp->schedlink;
		if (mp->schedlink != NULL)
			mp->schedlink->idleprev = mp->idleprev;
		mp->schedlink = mp->idleprev = NULL;
		mp->idle = false;
		sched.nmidle--;
	}
	return mp;
}

// munlink takes mp off the books; its thread ends. freewait is 0 once the thread is off the m.
static void
munlink(struct m *mp)
{
	HELD(&sched.lock);
	for (struct m **l = &sched.allm; *l != NULL; l = &(*l)->alllink) {
		if (*l == mp) {
			*l = mp->alllink;
			break;
		}
	}
	runtime_homeclose(mp);
	atomic_storerlx(&mp->freewait, 1);
	if (mp != &runtime_m0) {
		mp->schedlink = sched.freem;
		sched.freem = mp;
	}
}

// mquit ends an idle thread for rt0_stop. On g0, without a p.
static RT0_NORETURN void
mquit(struct m *mp)
{
	runtime_sigblock();
	runtime_unminit();
	runtime_lock(&sched.lock);
	munlink(mp);
	sched.nmfreed++;
	runtime_unlock(&sched.lock);
	runtime_mreturn();
}

static void
mpark(struct m *mp)
{
	runtime_looksleep(&mp->park);
	runtime_noteclear(&mp->park);
	struct p *pp = mp->nextp;
	mp->nextp = NULL;
	if (pp == NULL)
		mquit(mp); // only stopms wakes without a p
	runtime_acquirep(pp);
}

// stopms ends all threads of the runtime but the caller's, which is foreign. No goroutine exists and
// sched.stopping is set. They may be on their way to sleep still: ask until all have gone.
void
runtime_stopms(void)
{
	for (;;) {
		runtime_lock(&sched.lock);
		for (struct m *mp; (mp = runtime_mget()) != NULL;)
			runtime_notewakeup(&mp->park);
		if (sched.m0gone) {
			// A goroutine ended locked to it (mexit); mquit counts it again.
			sched.m0gone = false;
			sched.nmfreed--;
			runtime_notewakeup(&runtime_m0.park);
		}
		if (sched.sysmonwait) {
			atomic_storerlx(&sched.sysmonwait, 0);
			runtime_notewakeup(&sched.sysmonnote);
		}
		bool left = atomic_loadacq(&runtime_m0.freewait) != 0;
		for (struct m *mp = sched.allm; mp != NULL; mp = mp->alllink)
			left |= !mp->isextra;
		for (struct m *mp = sched.freem; mp != NULL; mp = mp->schedlink)
			left |= atomic_loadacq(&mp->freewait) != 0;
		runtime_unlock(&sched.lock);
		runtime_netpollbreak();
		atomic_storerel(&sched.newmwake, 1);
		runtime_futexwakeup(&sched.newmwake, 1);
		if (atomic_xchg(&sched.sysmonslow, 0) != 0)
			runtime_futexwakeup(&sched.sysmonslow, 1);
		if (!left)
			return;
		runtime_usleep(50);
	}
}

// stopm sleeps until there is work; it returns with a p. On g0, without a p.
void
runtime_stopm(void)
{
	ON_G0();
	if (unlikely(runtime_forked))
		runtime_forkedfatal();
	struct m *mp = getg()->m;
	if (mp->locks != 0)
		runtime_throw("stopm holding locks");
	if (mp->p != NULL)
		runtime_throw("stopm holding p");
	if (mp->spinning)
		runtime_throw("stopm spinning");
	runtime_lock(&sched.lock);
	mput(mp);
	runtime_unlock(&sched.lock);
	runtime_starthomes(); // ourselves, perhaps
	mpark(mp);
}

// handhome gives the p of the current m to the first m of homem, and sleeps until there is another. False: there is
// none. On g0.
bool
runtime_handhome(void)
{
	ON_G0();
	struct m *mp = getg()->m, *home = NULL;
	runtime_lock(&sched.lock);
	if (sched.homem != NULL && !atomic_loadrlx(&sched.gcwaiting))
		home = runtime_mget();
	if (home == NULL) {
		runtime_unlock(&sched.lock);
		return false;
	}
	sched.nwake++;
	home->nextp = runtime_releasep();
	bool spun = mp->spinning;
	if (spun) {
		mp->spinning = false;
		if (atomic_xadd(&sched.nmspinning, -1) < 0)
			runtime_throw("handhome: negative nmspinning");
	}
	atomic_fence(); // home.c: stopm
	mput(mp);
	runtime_unlock(&sched.lock);
	runtime_notewakeup(&home->park);
	runtime_starthomes();
	// Spinning-to-idle dance: the other m need not look before it runs what it has.
	if (spun && runtime_workleft())
		runtime_wakep();
	mpark(mp);
	return true;
}

// runbound gives pp to the thread that gp is bound to, which the caller has counted as one that runs. gp is off all queues.
static void
runbound(struct p *pp, struct g *gp)
{
	struct m *mp = gp->lockedm;
	if (mp->nextp != NULL)
		runtime_throw("startlockedm: m has p");
	mp->nextp = pp;
	runtime_notewakeup(&mp->park);
}

// startm makes some m, a new one if all are busy, run pp (NULL: an idle one, if there is one).
// spinning: the caller has counted it in nmspinning. May be called without a p.
void
runtime_startm(struct p *pp, bool spinning)
{
	struct m *me = acquirem();
	runtime_lock(&sched.lock);
	if (pp == NULL) {
		if (spinning)
			runtime_throw("startm: P required for spinning=true");
		pp = runtime_pidleget();
		if (pp == NULL) {
			runtime_unlock(&sched.lock);
			releasem(me);
			return;
		}
	}
	if (pp != NULL && sched.nbound > 0 && (sched.midle == NULL || runtime_runqempty(pp))) {
		// Its thread is there, and needs no other to look for it.
		struct g *gp = runtime_boundget();
		sched.nmidlelocked--; // here: the caller may be sysmon, which no count knows
		if (spinning && atomic_xadd(&sched.nmspinning, -1) < 0)
			runtime_throw("startm: negative nmspinning");
		runtime_unlock(&sched.lock);
		runbound(pp, gp);
		// It does not look for work, as the one that was asked for would have done: the next p
		// does, as in resetspinning, or goes to the next that is bound.
		if (spinning)
			runtime_wakep();
		releasem(me);
		return;
	}
	struct m *mp = runtime_mget();
	if (mp == NULL) {
		// The id is reserved under the lock: checkdead must count the m from now on.
		int64_t id = mReserveID();
		runtime_unlock(&sched.lock);
		runtime_newm(spinning ? mspinning : NULL, pp, id);
		releasem(me);
		return;
	}
	sched.nwake++;
	runtime_unlock(&sched.lock);
	if (mp->spinning)
		runtime_throw("startm: m is spinning");
	if (mp->nextp != NULL)
		runtime_throw("startm: m has p");
	mp->spinning = spinning;
	mp->nextp = pp;
	runtime_notewakeup(&mp->park);
	releasem(me);
}

// wakep tries to get one more p to look for work, unless somebody looks already.
void
runtime_wakep(void)
{
	if (atomic_loadrlx(&sched.solo)) // sysmon calls too, without a p
		return;
	// The CAS makes the waker unique: see "Waking threads" in proc.c.
	if (atomic_loadrlx(&sched.nmspinning) != 0 || !atomic_cas(&sched.nmspinning, 0, 1))
		return;
	struct m *me = acquirem();
	runtime_lock(&sched.lock);
	struct p *pp = runtime_pidleget();
	if (pp == NULL) {
		atomic_storerlx(&sched.needspinning, 1);
		if (atomic_xadd(&sched.nmspinning, -1) < 0)
			runtime_throw("wakep: negative nmspinning");
		runtime_unlock(&sched.lock);
		releasem(me);
		return;
	}
	runtime_unlock(&sched.lock);
	runtime_startm(pp, true);
	releasem(me);
}

// unwatched tells whether a p whose first timer is due at when may not go idle: nobody sleeps in netpoll for its
// timers and for the network. sched.lock is held, so who has just stopped sleeping there will get the p.
bool
runtime_unwatched(int64_t when)
{
	HELD(&sched.lock);
	return (when != INT64_MAX || atomic_loadrlx(&sched.npollwait) > 0) && atomic_load(&sched.lastpoll) != 0 &&
	       !atomic_loadrlx(&sched.stopping);
}

// handoffp finds work or rest for pp, which its m has left (a system call, a locked goroutine).
void
runtime_handoffp(struct p *pp)
{
	if (!runtime_runqempty(pp) || atomic_loadrlx(&sched.runqsize) != 0 || atomic_loadrlx(&sched.nhomem) != 0) {
		runtime_startm(pp, false);
		return;
	}
	// No local work: there must be a spinner, unless all are busy or somebody spins already.
	if (!atomic_loadrlx(&sched.solo) && atomic_loadrlx(&sched.nmspinning) + atomic_loadrlx(&sched.npidle) == 0 &&
	    atomic_cas(&sched.nmspinning, 0, 1)) {
		atomic_storerlx(&sched.needspinning, 0);
		runtime_startm(pp, true);
		return;
	}
	// Nor may the network and the timers be without somebody who sleeps for them.
	int64_t when = runtime_timernext(pp);
	runtime_lock(&sched.lock);
	if (atomic_loadrlx(&sched.gcwaiting)) {
		atomic_storerel(&pp->status, Pgcstop);
		if (--sched.stopwait == 0)
			runtime_notewakeup(&sched.stopnote);
		runtime_unlock(&sched.lock);
		return;
	}
	if (sched.runqsize != 0 || sched.nhomem != 0 || runtime_unwatched(when)) {
		runtime_unlock(&sched.lock);
		runtime_startm(pp, false);
		return;
	}
	runtime_pidleput(pp);
	runtime_unlock(&sched.lock);
	if (when != INT64_MAX)
		runtime_wakenetpoller(when);
}

// gcstopm gives the p to stopTheWorld and sleeps until the world runs. Returns with a p.
void
runtime_gcstopm(void)
{
	if (unlikely(runtime_forked))
		runtime_forkedfatal();
	struct m *mp = getg()->m;
	if (mp->spinning) {
		mp->spinning = false;
		if (atomic_xadd(&sched.nmspinning, -1) < 0)
			runtime_throw("gcstopm: negative nmspinning");
	}
	struct p *pp = runtime_releasep();
	runtime_lock(&sched.lock);
	atomic_storerel(&pp->status, Pgcstop);
	if (--sched.stopwait == 0)
		runtime_notewakeup(&sched.stopnote);
	runtime_unlock(&sched.lock);
	runtime_stopm();
}

// ---- goroutines locked to a thread ----

// incidlelocked: n more ms sleep with a goroutine of their own. sysmon, which no count knows, takes one off before it takes
// a goroutine or a p from where checkdead looks, and adds it when it has put that where somebody finds it: in between
// it is an m that runs, and whoever goes to rest meanwhile reports no deadlock. (sched.lock orders all of this.)
void
runtime_incidlelocked(int32_t n)
{
	runtime_lock(&sched.lock);
	sched.nmidlelocked += n;
	if (n > 0)
		runtime_checkdead();
	runtime_unlock(&sched.lock);
}

// stoplockedm: the goroutine of this m waits. Others get the p; we sleep until it is runnable and
// somebody brings a p. On g0.
void
runtime_stoplockedm(void)
{
	if (unlikely(runtime_forked))
		runtime_forkedfatal();
	struct m *mp = getg()->m;
	if (mp->lockedg == NULL || mp->lockedg->lockedm != mp)
		runtime_throw("stoplockedm: inconsistent locking");
	if (mp->p != NULL)
		runtime_handoffp(runtime_releasep());
	runtime_incidlelocked(1);
	runtime_mparkbound(mp);
}

// mparkbound sleeps until somebody runs the goroutine of this m, and returns with the p.
void
runtime_mparkbound(struct m *mp)
{
	mpark(mp);
	uint32_t s = runtime_readgstatus(mp->lockedg) & ~(uint32_t)Gscan;
	if (s != Grunnable) {
		runtime_print("runtime: stoplockedm: lockedg is in state %u\n", s);
		runtime_throw("stoplockedm: not runnable");
	}
}

// startlockedm gives our p to the thread that gp is locked to, and sleeps until there is another.
void
runtime_startlockedm(struct g *gp)
{
	if (gp->lockedm == getg()->m)
		runtime_throw("startlockedm: locked to me");
	runtime_incidlelocked(-1);
	runbound(runtime_releasep(), gp);
	runtime_stopm();
}

// ---- spare ms, for the handler of the preemption signal ----

// newmidle is the start of an m that was made without a p, or has lost it.
static void
newmidle(struct m *mp)
{
	if (mp->spinning) { // counted by who started us
		mp->spinning = false;
		if (atomic_xadd(&sched.nmspinning, -1) < 0)
			runtime_throw("newmidle: negative nmspinning");
		runtime_wakep(); // who has put work on a queue meanwhile has relied on us
	}
	runtime_stopm();
}

static void
sparestart(void)
{
	atomic_storerlx(&sched.sparecoming, 0);
}

// needtemplate is for who is about to send the first preemption signal.
void
runtime_needtemplate(void)
{
	if (atomic_loadrlx(&sched.viatemplate) || runtime_hosted == NULL)
		return;
	if (!atomic_loadrlx(&sched.havetemplate))
		startTemplateThread();
	atomic_storerlx(&sched.viatemplate, 1);
}

// sparem has an idle m made if there is none; it returns whether there is one. sysmon calls it before
// it sends a preemption signal. From then on goroutines may be stopped while they hold a lock of the
// libc's that pthread_create wants: only the template thread makes ms, and may wait for it.
bool
runtime_sparem(void)
{
	// Nothing is sent in library mode, where rt0_stop could not wait for a thread that the template
	// thread, on its way out, does not make any more.
	if (!atomic_loadrlx(&sched.asyncready))
		return false;
	int64_t id = -1;
	runtime_lock(&sched.lock);
	bool have = sched.midle != NULL;
	// For the spare one and, the first time, the template thread. Neither is needed by the program
	// itself, which must not die at its thread limit for them: those stopped take turns then.
	bool room = runtime_mcount() - atomic_loadrlx(&sched.nmextra) + 1 < sched.maxmcount;
	if (!have && room && atomic_xchg(&sched.sparecoming, 1) == 0)
		id = mReserveID();
	runtime_unlock(&sched.lock);
	if (!room && !atomic_loadrlx(&sched.havetemplate))
		return false;
	runtime_needtemplate();
	if (id >= 0)
		runtime_newm(sparestart, NULL, id);
	return have;
}

// takebackps takes a p back that waits for a thread being made, if goroutines wait that have a thread:
// one of those may hold the lock that the making waits for.
void
runtime_takebackps(void)
{
	struct p *pp = NULL;
	// The new thread, which finds no p, goes to rest at once.
	runtime_incidlelocked(-1);
	runtime_lock(&sched.newmlock);
	struct m *mp = atomic_loadacq(&sched.newmcur);
	if (mp != NULL)
		pp = atomic_xchg(&mp->startp, NULL); // against the new thread, in mstart1
	for (mp = sched.newmlist; pp == NULL && mp != NULL; mp = mp->schedlink)
		pp = atomic_xchg(&mp->startp, NULL);
	runtime_unlock(&sched.newmlock);
	if (pp != NULL)
		runtime_handoffp(pp); // to who is bound, above all: startm
	runtime_incidlelocked(1);
}

void
runtime_lockOSThread(void)
{
	struct g *gp = getg();
	gp->m->lockedint++;
	gp->m->lockedg = gp;
	gp->lockedm = gp->m;
}

static void
dounlock(struct g *gp)
{
	if (gp->m->lockedint != 0 || gp->m->lockedext != 0)
		return;
	gp->m->lockedg = NULL;
	gp->lockedm = NULL;
}

void
runtime_unlockOSThread(void)
{
	struct g *gp = getg();
	if (gp->m->lockedint == 0)
		runtime_throw("runtime: internal error: misuse of lockOSThread/unlockOSThread");
	gp->m->lockedint--;
	dounlock(gp);
}

void
rt0_lock_os_thread(void)
{
	struct g *gp = getg();
	if (gp == NULL)
		return; // a foreign thread is its own
	if (!atomic_loadrlx(&sched.havetemplate) && sched.mainstarted)
		startTemplateThread();
	if (++gp->m->lockedext == 0)
		runtime_panicstring("LockOSThread nesting overflow");
	gp->m->lockedg = gp;
	gp->lockedm = gp->m;
}

void
rt0_unlock_os_thread(void)
{
	struct g *gp = getg();
	if (gp == NULL || gp->m->lockedext == 0)
		return;
	gp->m->lockedext--;
	dounlock(gp);
}

// mexit ends this thread. On g0, with a p. The main thread cannot end without the process: it
// sleeps for ever.
void
runtime_mexit(void)
{
	struct m *mp = getg()->m;
	if (mp == &runtime_m0) {
		runtime_handoffp(runtime_releasep());
		runtime_lock(&sched.lock);
		sched.nmfreed++;
		sched.m0gone = true;
		runtime_checkdead();
		runtime_unlock(&sched.lock);
		runtime_looksleep(&mp->park);
		mquit(mp); // only stopms wakes us
	}
	runtime_sigblock(); // nothing may run on this thread's signal stack any more
	runtime_unminit();
	runtime_lock(&sched.lock);
	munlink(mp);
	runtime_unlock(&sched.lock);
	runtime_handoffp(runtime_releasep());
	// Counted until here: until the p is in other hands, we are a thread that runs.
	runtime_lock(&sched.lock);
	sched.nmfreed++;
	runtime_checkdead();
	runtime_unlock(&sched.lock);
	runtime_mreturn();
}

int
rt0_set_max_threads(int n)
{
	if (n < 1)
		return -22; // EINVAL
	runtime_lock(&sched.lock);
	int old = sched.maxmcount;
	sched.maxmcount = n;
	runtime_checkmcount();
	runtime_unlock(&sched.lock);
	return old;
}

// quitthread is mquit for threads that never idle (sysmon).
void
runtime_quitthread(void)
{
	mquit(getg()->m);
}
