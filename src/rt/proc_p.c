// SPDX-License-Identifier: BSD-3-Clause
// proc_p.c: the processors: how many, who has them, system calls, stopping the world.
//
// A p's status is an atomic word because two may want it: in a system call the p is Psyscall, and
// whoever wins the CAS has it: the m that comes back, sysmon (retake), or stopTheWorld.
#include "../runtime.h"

static struct p *allp0[8] BOOTDATA;
struct p **allp BOOTDATA = allp0;

// ---- the lone p ----
//
// Of several ps only one is often in use: a producer and its consumer are quicker on one than on two (runq.c). While
// nobody else runs, locks guard nothing, and of what a channel operation costs most is their locked instructions. So
// sysmon, when it finds that all ps but one have been idle since its last look, sets sched.alone, and chanlock only
// stores that it is busy, until chanunlock.
//
// Alone is changed under sched.lock. It is set while at most one p is not on the idle list, and as long as it is set
// at most one is not. Who takes an idle p is told so by pidleget, and ends it first, unless it takes the only one:
//   - with a p, it is the lone one, and not busy: nobody wakes others between chanlock and chanunlock.
//   - otherwise by a Dekker with chanlock, whose fence is on this side only: membarrier runs one on every CPU that
//     runs a thread of ours. Before it the lone p has stored busy, and is waited for; or it will read alone after
//     it, finds 0, and takes the lock. (10 us; so not again for a millisecond.)
// What the lone p has written is seen by who comes: by busy, or by sched.lock, under which it went idle.
// Signal handlers do not take a p away between the two: they leave the runtime's own code alone. See models/alone.pml.

static int32_t
inuse(void)
{
	return sched.gomaxprocs - atomic_loadrlx(&sched.npidle);
}

// growbarrier registers for membarrier while nobody but us runs, in a microsecond: later that waits for the kernel's
// RCU, 10 to 50 ms, during which sysmon is away and the process cannot end.
static void
growbarrier(void)
{
	runtime_lock(&sched.lock);
	bool one = runtime_mcount() == 1;
	runtime_unlock(&sched.lock);
	if (one && (runtime_hosted == NULL || runtime_hosted->onethread()))
		atomic_storerlx(&sched.canbarrier, runtime_canbarrier());
}

// goalone is sysmon's. False: there is no way to.
bool
runtime_goalone(void)
{
	if (atomic_loadrlx(&sched.canbarrier) == 0) {
		if (!runtime_canbarrier())
			return false;
		atomic_storerlx(&sched.canbarrier, 1);
	}
	runtime_lock(&sched.lock);
	if (inuse() == 1 && sched.gomaxprocs > 1 && !atomic_loadrlx(&sched.gcwaiting)) {
		sched.nalone++;
		atomic_storerel(&sched.alone, 1);
	}
	runtime_unlock(&sched.lock);
	return true;
}

static void
endalone(void)
{
	struct m *mp = getg()->m;
	atomic_storerlx(&sched.alone, 0);
	if (mp->p != NULL)
		return;
	atomic_storerlx(&sched.alonebroken, 1);
	runtime_barrierall();
	// Acquire: pairs with chanunlock. It needs some 10 ns, unless it has lost its CPU.
	for (uint32_t n = 0; atomic_loadacq(&sched.busy) != 0; n++) {
		if (n < 100)
			procyield(10);
		else
			runtime_usleep(20);
	}
}

// ---- idle list; sched.lock is held ----

void
runtime_pidleput(struct p *pp)
{
	HELD(&sched.lock);
	if (!runtime_runqempty(pp))
		runtime_throw("pidleput: P has non-empty run queue");
	runtime_gfpurge(pp, GFREE_BATCH);
	pp->link = sched.pidle;
	sched.pidle = pp;
	atomic_xadd(&sched.npidle, 1);
}

// pidleget takes an idle p, NULL if there is none. sysmon, if it sleeps because all were idle, wakes.
struct p *
runtime_pidleget(void)
{
	HELD(&sched.lock);
	struct p *pp = sched.pidle;
	if (pp == NULL)
		return NULL;
	sched.pidle = pp->link;
	atomic_xadd(&sched.npidle, -1);
	atomic_storerlx(&sched.npidleget, sched.npidleget + 1);
	if (unlikely(sched.alone) && inuse() > 1)
		endalone();
	if (atomic_loadrlx(&sched.sysmonwait)) {
		atomic_storerlx(&sched.sysmonwait, 0);
		runtime_notewakeup(&sched.sysmonnote);
	}
	return pp;
}

// ---- ownership ----

void
runtime_acquirep(struct p *pp)
{
	struct m *mp = getg()->m;
	if (mp->p != NULL)
		runtime_throw("acquirep: already in go");
	if (pp->m != NULL || atomic_loadrlx(&pp->status) != Pidle) {
		runtime_print("runtime: acquirep: p%d has m=%p status=%u\n", pp->id, (void *)pp->m, pp->status);
		runtime_throw("acquirep: invalid p state");
	}
	atomic_storerlx(&mp->p, pp); // read by homeput
	atomic_storerlx(&pp->m, mp);
	atomic_storerel(&pp->status, Prunning);
}

struct p *
runtime_releasep(void)
{
	struct m *mp = getg()->m;
	struct p *pp = mp->p;
	if (pp == NULL)
		runtime_throw("releasep: invalid arg");
	if (pp->m != mp || atomic_loadrlx(&pp->status) != Prunning)
		runtime_throw("releasep: invalid p state");
	atomic_storerlx(&mp->p, NULL); // read by homeput
	atomic_storerlx(&pp->m, NULL);
	atomic_storerel(&pp->status, Pidle);
	return pp;
}

static void
pinit(struct p *pp, int32_t id)
{
	pp->id = id;
	pp->timerticks = INT32_MAX;
	atomic_storerlx(&pp->status, Pgcstop);
}

static void
newqinit(struct p *pp)
{
	if (pp->newq == NULL)
		pp->newq = runtime_persistentalloc(NNEWQ * sizeof pp->newq[0], 64, &memstats.other_sys);
}

// procresize makes n processors. World stopped, sched.lock held, on g0 or before there is anything.
// Returns the list of ps with local work; the current m keeps or gets allp[0] or its own.
struct p *
runtime_procresize(int32_t n)
{
	static struct p p0 BOOTDATA; // boot makes no call for it
	struct m *mp = getg()->m;
	int32_t old = sched.gomaxprocs;
	if (n < 1 || n > MAXPROCS)
		runtime_throw("procresize: invalid arg");
	if (n > (int32_t)NELEM(allp0) && allp == allp0) {
		// The old array stays for sysmon, which may be reading it.
		struct p **ps = runtime_persistentalloc(MAXPROCS * sizeof *ps, 64, &memstats.other_sys);
		for (size_t i = 0; i < NELEM(allp0); i++)
			ps[i] = allp0[i];
		atomic_storerel(&allp, ps); // pairs with runtime_pat
	}
	for (int32_t i = 0; i < n; i++) {
		if (allp[i] == NULL)
			atomic_storerel(&allp[i], i == 0 ? &p0 : runtime_persistentalloc(sizeof(struct p), 64, &memstats.other_sys));
		if (i >= old)
			pinit(allp[i], i);
		if (n > 1 || sched.mainstarted) // not at boot, which starts one goroutine only
			newqinit(allp[i]);
	}
	struct p *mine = mp->p;
	if (mine != NULL && mine->id >= n) {
		// Ours goes: leave it as if handed off, and take the first.
		atomic_storerlx(&mine->m, NULL);
		mp->p = NULL;
	}
	for (int32_t i = n; i < old; i++) {
		struct p *pp = allp[i];
		runtime_runqdrain(pp);
		runtime_gfpurge(pp, 0);
		if (pp->mcache != NULL) {
			runtime_freemcache(pp->mcache);
			pp->mcache = NULL;
		}
		atomic_storerel(&pp->status, Pdead);
	}
	for (int32_t i = n; i < old; i++)
		runtime_movetimers(allp[i], allp[0]);
	atomic_storerlx(&sched.gomaxprocs, n);
	atomic_storerlx(&sched.solo, n == 1);
	if (mp->p != NULL) {
		atomic_storerel(&mp->p->status, Prunning);
	} else {
		atomic_storerlx(&allp[0]->m, NULL);
		atomic_storerel(&allp[0]->status, Pidle);
		runtime_acquirep(allp[0]);
	}
	struct p *runnable = NULL;
	for (int32_t i = n - 1; i >= 0; i--) {
		struct p *pp = allp[i];
		if (pp == mp->p)
			continue;
		atomic_storerel(&pp->status, Pidle);
		if (runtime_runqempty(pp)) {
			runtime_pidleput(pp);
		} else {
			pp->link = runnable;
			runnable = pp;
		}
	}
	return runnable;
}

// ---- system calls ----

// reentersyscall: the goroutine is about to block its thread. pc, sp and bp are the caller's, for tracebacks.
// The p stays with the m, but who needs it may take it.
void
runtime_reentersyscall(uintptr_t pc, uintptr_t sp, uintptr_t bp)
{
	struct g *gp = getg();
	struct m *mp = gp->m;
	struct p *pp = mp->p;
	mp->locks++; // nothing below may be preempted
	gp->syscallpc = pc;
	gp->syscallsp = sp;
	gp->syscallbp = bp;
	gp->waitsince = atomic_loadrlx(&sched.coarsenow);
	runtime_casgstatus(gp, Grunning, Gsyscall);
	if (unlikely(atomic_loadrlx(&sched.sysmonwait))) {
		runtime_lock(&sched.lock);
		if (sched.sysmonwait) {
			atomic_storerlx(&sched.sysmonwait, 0);
			runtime_notewakeup(&sched.sysmonnote);
		}
		runtime_unlock(&sched.lock);
	}
	mp->oldp = pp;
	atomic_storerlx(&pp->m, NULL);
	atomic_storerlx(&mp->p, NULL); // read by homeput
	// Release: all of the above before anybody can take pp. Sequentially consistent, as a Dekker pair
	// with stopTheWorld: it sets gcwaiting, then looks for Psyscall; we the other way round.
	atomic_store(&pp->status, Psyscall);
	if (unlikely(atomic_load(&sched.gcwaiting))) {
		runtime_lock(&sched.lock);
		if (sched.stopwait > 0 && atomic_cas_acqrel(&pp->status, Psyscall, Pgcstop)) {
			atomic_storerlx(&pp->syscalltick, pp->syscalltick + 1);
			if (--sched.stopwait == 0)
				runtime_notewakeup(&sched.stopnote);
		}
		runtime_unlock(&sched.lock);
	}
	mp->locks--;
}

void
rt0_entersyscall(void)
{
	if (getg() == NULL)
		return;
	uintptr_t *bp = __builtin_frame_address(0);
	runtime_reentersyscall(bp[1], (uintptr_t)(bp + 2), bp[0]);
}

static void
handoffp_m(void *pp)
{
	runtime_handoffp(pp);
}

// entersyscallblock is for a call that is known to block: others get the p now, not when sysmon looks.
void
runtime_entersyscallblock(void)
{
	uintptr_t *bp = __builtin_frame_address(0);
	runtime_reentersyscall(bp[1], (uintptr_t)(bp + 2), bp[0]);
	struct p *pp = getg()->m->oldp;
	// Acquire and release: against sysmon and stopTheWorld, who may want it too.
	if (atomic_cas_acqrel(&pp->status, Psyscall, Pidle)) {
		atomic_storerlx(&pp->syscalltick, pp->syscalltick + 1);
		runtime_systemstack(handoffp_m, pp);
	}
}

// exitsyscallfast takes a p without going to sleep: the old one, or an idle one.
bool
runtime_exitsyscallfast(struct m *mp)
{
	struct p *old = mp->oldp;
	mp->oldp = NULL;
	// Acquire and release: against sysmon and stopTheWorld, who may want it too.
	if (old != NULL && atomic_loadrlx(&old->status) == Psyscall && atomic_cas_acqrel(&old->status, Psyscall, Pidle)) {
		runtime_acquirep(old);
		atomic_storerlx(&old->syscalltick, old->syscalltick + 1);
		return true;
	}
	if (atomic_loadrlx(&sched.npidle) == 0) // a guess; the lock decides
		return false;
	runtime_lock(&sched.lock);
	struct p *pp = atomic_loadrlx(&sched.gcwaiting) ? NULL : runtime_pidleget();
	runtime_unlock(&sched.lock);
	if (pp == NULL)
		return false;
	runtime_acquirep(pp);
	return true;
}

// waitbound, after boundput: this m sleeps until it is gp's turn.
static void
waitbound(struct m *mp, struct g *gp, bool bound)
{
	runtime_stoplockedm();
	runtime_unbind(mp, gp, bound);
}

struct g *
runtime_runagain(struct m *mp, struct g *gp)
{
	atomic_storerel(&mp->curg, gp);
	gp->m = mp;
	runtime_casgstatus(gp, Grunnable, Grunning);
	atomic_storerlx(&gp->stackguard0, gp->stack.lo);
	atomic_storerlx(&mp->p->schedtick, mp->p->schedtick + 1);
	return gp;
}

// exitsyscall0, on g0 or gsignal: no p to be had. gp waits its turn on the global queue, bound to this m, which
// sleeps: C code expects to come back from a call on the thread that made it (errno, other
// thread-locals). Go lets any m go on.
struct g *
runtime_exitsyscall0(struct g *gp)
{
	struct m *mp = getg()->m;
	runtime_casgstatus(gp, Gsyscall, Grunnable);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	runtime_lock(&sched.lock);
	struct p *pp = atomic_loadrlx(&sched.gcwaiting) ? NULL : runtime_pidleget();
	bool bound = pp == NULL && runtime_boundput(mp, gp);
	runtime_unlock(&sched.lock);
	if (pp != NULL) {
		runtime_acquirep(pp);
	} else {
		runtime_wakesysmon(); // all run: whose time is up, only it can tell
		waitbound(mp, gp, bound);
	}
	return runtime_runagain(mp, gp);
}

// exitsyscallyield, on g0: gp came back with a p, but its time is up. It waits bound, too.
static struct g *
exitsyscallyield(struct g *gp)
{
	struct m *mp = getg()->m;
	runtime_casgstatus(gp, Grunning, Grunnable);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	runtime_lock(&sched.lock);
	bool bound = runtime_boundput(mp, gp);
	runtime_unlock(&sched.lock);
	waitbound(mp, gp, bound);
	return runtime_runagain(mp, gp);
}

void
runtime_exitsyscall(void)
{
	struct g *gp = getg();
	struct m *mp = gp->m;
	mp->locks++;
	if (likely(runtime_exitsyscallfast(mp))) {
		runtime_casgstatus(gp, Gsyscall, Grunning);
		gp->syscallsp = 0;
		mp->locks--;
		// Not by preemptpoint, after which any thread may go on with gp.
		if (unlikely(atomic_loadrlx(&gp->stackguard0) == STACKPREEMPT) && gp == mp->curg && gp->nopreempt == 0) {
			gp->waitreason = waitReasonPreempted;
			runtime_mcall(exitsyscallyield);
		}
		return;
	}
	mp->locks--;
	runtime_mcall(runtime_exitsyscall0);
	gp->syscallsp = 0;
}

void
rt0_exitsyscall(void)
{
	if (getg() != NULL)
		runtime_exitsyscall();
}

// ---- stopping the world ----

// stopTheWorldWithSema stops every p but the current one. On g0; worldlock is held.
static void
stopTheWorldWithSema(void)
{
	struct m *mp = getg()->m;
	if (mp->locks > 0)
		runtime_throw("stopTheWorld: holding locks");
	runtime_lock(&sched.lock);
	sched.stopwait = sched.gomaxprocs;
	runtime_noteclear(&sched.stopnote);
	atomic_store(&sched.gcwaiting, 1); // Dekker with reentersyscall
	runtime_preemptall();
	atomic_storerel(&mp->p->status, Pgcstop);
	sched.stopwait--;
	for (int32_t i = 0; i < sched.gomaxprocs; i++) {
		struct p *pp = allp[i];
		if (atomic_load(&pp->status) == Psyscall && atomic_cas_acqrel(&pp->status, Psyscall, Pgcstop)) {
			atomic_storerlx(&pp->syscalltick, pp->syscalltick + 1);
			sched.stopwait--;
		}
	}
	for (struct p *pp; (pp = runtime_pidleget()) != NULL;) {
		atomic_storerel(&pp->status, Pgcstop);
		sched.stopwait--;
	}
	bool wait = sched.stopwait > 0;
	runtime_unlock(&sched.lock);
	// The others stop when they reach the scheduler. Ask again now and then: a goroutine may have
	// started after preemptall had looked at its p.
	while (wait && !runtime_notetsleep(&sched.stopnote, 100 * 1000))
		runtime_preemptall();
	for (int32_t i = 0; i < sched.gomaxprocs; i++)
		if (atomic_loadacq(&allp[i]->status) != Pgcstop)
			runtime_throw("stopTheWorld: not stopped");
}

// startTheWorldWithSema undoes it, with n processors. On g0.
static void
startTheWorldWithSema(int32_t n)
{
	runtime_lock(&sched.lock);
	struct p *p1 = runtime_procresize(n);
	atomic_store(&sched.gcwaiting, 0);
	if (sched.sysmonwait) {
		atomic_storerlx(&sched.sysmonwait, 0);
		runtime_notewakeup(&sched.sysmonnote);
	}
	runtime_unlock(&sched.lock);
	while (p1 != NULL) {
		struct p *pp = p1;
		p1 = pp->link;
		pp->link = NULL;
		runtime_startm(pp, false);
	}
	// There may be more work than ps with local work: one m looks.
	runtime_wakep();
	runtime_starthomes();
}

static void
stoptheworld_m(void *arg)
{
	(void)arg;
	stopTheWorldWithSema();
}

static void
starttheworld_m(void *arg)
{
	startTheWorldWithSema(*(int32_t *)arg);
}

// stopTheWorld stops all other ps and keeps others from stopping it; the world is the caller's until
// startTheWorld. A goroutine's function, with its p.
static rt0_mutex worldsema;

void
runtime_stopTheWorld(void)
{
	// Who is stopped may hold a lock that sysmon would want to make the template thread (sparem). The
	// world of one p, grow's, is stopped without signals.
	if (sched.gomaxprocs > 1 && atomic_loadrlx(&sched.asyncready))
		runtime_needtemplate();
	rt0_mutex_lock(&worldsema);
	struct g *gp = getg();
	gp->waitreason = waitReasonStoppingTheWorld;
	runtime_systemstack(stoptheworld_m, NULL);
}

static void
starttheworld(int32_t n)
{
	runtime_systemstack(starttheworld_m, &n);
	rt0_mutex_unlock(&worldsema);
}

void
runtime_startTheWorld(void)
{
	starttheworld(sched.gomaxprocs);
}

// growpreempt makes preemption by signal possible, once. A foreign thread that comes in before grow has
// run calls it too: goroutine 1 may block in a call that nobody has declared, with the only p.
void
runtime_growpreempt(void)
{
	static bool done; // extralock
	runtime_lock(&sched.extralock);
	if (!done) {
		done = true;
		runtime_growsig();
		runtime_preemptinit();
	}
	runtime_unlock(&sched.extralock);
}

// grow is what the boot leaves for the first go statement (or call from a foreign thread, or
// question about GOMAXPROCS): reading the cgroup's limit, the other processors, sysmon. One goroutine
// needs none of them, and together they cost more than the rest of the boot.
void
runtime_grow(void)
{
	if (unlikely(runtime_forked))
		runtime_forkedfatal();
	if (likely(sched.grown) || !sched.mainstarted)
		return;
	if (getg()->m->p == NULL)
		runtime_fatal("go statement between rt0_entersyscall and rt0_exitsyscall");
	if (atomic_xchg(&sched.grown, 1) != 0)
		return;
	runtime_mallocinit();
	growbarrier();
	if (sched.wantprocs == 0)
		sched.wantprocs = runtime_oscpulimit(sched.ncpu);
	if (sched.wantprocs > MAXPROCS)
		sched.wantprocs = MAXPROCS;
	runtime_growpreempt();
	runtime_stopTheWorld();
	starttheworld(sched.wantprocs);
	runtime_startsysmon();
}

static void
gomaxprocs_g(void *arg)
{
	int *n = arg;
	runtime_grow();
	if (*n < 1 || *n == sched.gomaxprocs) {
		*n = sched.gomaxprocs;
		return;
	}
	int want = *n > MAXPROCS ? MAXPROCS : *n;
	runtime_stopTheWorld();
	*n = sched.gomaxprocs;
	starttheworld(want);
}

int
rt0_gomaxprocs(int n)
{
	if (getg() == NULL) {
		if (runtime_callback(gomaxprocs_g, &n) < 0)
			return -107; // ENOTCONN
		return n;
	}
	gomaxprocs_g(&n);
	return n;
}

int
rt0_num_cpu(void)
{
	return sched.ncpu;
}
