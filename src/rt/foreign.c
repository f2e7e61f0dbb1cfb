// SPDX-License-Identifier: BSD-3-Clause
// foreign.c: threads that rt0 did not make call in.
//
// For the length of a call such a thread is an m: an *extra m*, whose g0 is the thread's own stack
// from the call downwards. The call runs on a goroutine of its own, locked to that m; the thread
// sleeps whenever the goroutine waits. Outside of calls the thread has no g (getg() is NULL), and
// its signal mask and its signal stack are as it left them.
//
//   first call    needm takes an extra m off sched.extram, or makes one, and binds it to the
//                 thread: by a thread-local (runtime_tls_extram) and the value of a pthread key
//   later calls   find it in the thread-local: no lock, no system call but for the signal stack
//   end of thread the key's destructor gives the m back (foreignexit). A destructor that runs later
//                 and calls in again gets an m for that one call
//   ends inside   pthread_exit or cancellation unwinds the goroutine's stack back to the thread's
//                 own and then runs the destructor, with the goroutine still current: it has
//                 ended (abandon)
//
// nextrain counts the threads that are in a call: checkdead.c. Extra ms are in allm and are never
// freed; they survive rt0_stop, with the threads that have them.
#include "../runtime.h"

struct callback {
	void (*fn)(void *);
	void *arg;
	struct m *mp;
};

static __thread struct m *runtime_tls_extram __attribute__((tls_model("initial-exec")));
static struct m
    ending; // runtime_tls_extram of a thread whose destructors run: bind nothing any more

// newextram makes an m for foreign threads. The caller has no g.
static struct m *
newextram(void)
{
	struct m *mp = runtime_allocm(NULL, NULL, -1);
	mp->isextra = true;
	// Until here checkdead takes the m for one of ours that runs, and reports nothing.
	atomic_xadd(&sched.nmextra, 1);
	return mp;
}

static NOINLINE struct m *
takem(void)
{
	runtime_lock(&sched.extralock);
	struct m *mp = sched.extram;
	if (mp != NULL)
		sched.extram = mp->schedlink;
	runtime_unlock(&sched.extralock);
	if (mp == NULL)
		mp = newextram();
	mp->schedlink = NULL;
	atomic_storerlx(&mp->procid, runtime_gettid());
	mp->tls = (uintptr_t *)&runtime_tls_g;
	mp->bound = runtime_tls_extram == NULL && runtime_hosted->thread_bind(mp) == 0;
	if (mp->bound)
		runtime_tls_extram = mp;
	return mp;
}

static void
givem(struct m *mp)
{
	mp->bound = false;
	runtime_lock(&sched.extralock);
	mp->schedlink = sched.extram;
	sched.extram = mp;
	runtime_unlock(&sched.extralock);
}

static void
basem(struct m *mp, uintptr_t sp)
{
	struct g *g0 = mp->g0;
	g0->stack = (struct stack){sp - STACKSYSTEM_WINDOW, sp};
	g0->stackguard0 = g0->stackguard1 = g0->stack.lo;
}

// needm makes the calling thread an m. Its g0 is the thread's own stack, from sp down.
static struct m *
needm(uintptr_t sp)
{
	struct m *mp = runtime_tls_extram;
	bool first = mp == NULL || mp == &ending;
	if (unlikely(first))
		mp = takem();
	basem(mp, sp);
	runtime_sigenter(mp, first);
	// A preemption signal that came after the last call has found no m.
	atomic_storerlx(&mp->signalpending, 0);
	runtime_tls_m = mp;
	setg(mp->g0);
	atomic_xadd(&sched.nextrain, 1);
	return mp;
}

static void
dropm(struct m *mp)
{
	setg(NULL);
	runtime_tls_m = NULL;
	runtime_sigleave(mp);
	if (unlikely(!mp->bound))
		givem(mp);
}

// awaitp gives a p that is about to become idle the time to do so. Calls are short, and going to
// sleep for one costs more than most of them take.
static void
awaitp(void)
{
	for (int i = 0; i < 20 && sched.ncpu > 1 && atomic_loadrlx(&sched.npidle) == 0 &&
	     !atomic_loadrlx(&sched.gcwaiting);
	     i++)
		procyield(10);
}

// callbackmain is the goroutine of a call from a foreign thread. It begins without a p, as if
// it came out of a system call.
static void
callbackmain(void *arg)
{
	struct callback *cb = arg;
	awaitp();
	runtime_exitsyscall();
	runtime_grow();
	cb->fn(cb->arg);
	runtime_mcall(runtime_callbackdone);
}

// leavep gives the p away at the end of a call. handoffp would have somebody look for work when nobody
// does; here sysmon and the thread's next call may be trusted to: an m that is woken after each
// call costs ten times the call, and is in the way of the next. But sysmon sleeps while all ps are idle: a timer
// of this call's, or a goroutine in the poller, needs somebody who sleeps in netpoll.
static void
leavep(struct p *pp)
{
	if (runtime_runqempty(pp)) {
		int64_t when = runtime_timernext(pp);
		runtime_lock(&sched.lock);
		if (!atomic_loadrlx(&sched.gcwaiting) && sched.runqsize == 0 && sched.nhomem == 0 &&
		    (sched.solo || atomic_loadrlx(&sched.needspinning) == 0) && !runtime_unwatched(when)) {
			runtime_pidleput(pp);
			runtime_unlock(&sched.lock);
			if (when != INT64_MAX)
				runtime_wakenetpoller(when);
			return;
		}
		runtime_unlock(&sched.lock);
	}
	runtime_handoffp(pp);
}

// callbackdone leaves the goroutine and the p, and returns to the thread (runtime_callback).
struct g *
runtime_callbackdone(struct g *gp)
{
	struct m *mp = getg()->m;
	runtime_casgstatus(gp, Grunning, Gdead);
	atomic_storerel(&mp->curg, NULL);
	mp->lockedg = NULL;
	mp->lockedext = mp->lockedint = 0;
	gp->lockedm = NULL;
	gp->m = NULL;
	if (mp->callg == NULL) {
		mp->callg = gp; // for the next call on this m
		atomic_xadd(&sched.ncallg, 1);
	} else {
		runtime_gfput(mp->p, gp);
	}
	// Before the p is idle: sysmon, which then looks for a deadlock, must see that this thread
	// is outside.
	atomic_xadd(&sched.nextrain, -1);
	leavep(runtime_releasep());
	runtime_mreturn();
}

static void
callbackstart(void *arg)
{
	struct callback *cb = arg;
	struct m *mp = cb->mp;
	struct g *g0 = mp->g0;
	if (unlikely(!atomic_loadrlx(&sched.sysmonstarted))) {
		runtime_growpreempt();
		runtime_startsysmon(); // it takes a p for us from a goroutine in a long system call
	}
	struct g *gp = runtime_newproc1(callbackmain, cb, g0, 0, 0);
	if (gp == NULL)
		runtime_throw("out of memory (goroutine for a foreign thread)");
	gp->lockedm = mp;
	mp->lockedg = gp;
	mp->lockedint = 1; // a lock and unlock of fn's own must not set it free
	atomic_storerel(&mp->curg, gp);
	gp->m = mp;
	mp->oldp = NULL;
	atomic_storerel(&gp->atomicstatus, Gsyscall);
	atomic_storerlx(&gp->stackguard0, gp->stack.lo);
	runtime_gogo(gp);
}

int
runtime_callback(void (*fn)(void *), void *arg)
{
	if (!atomic_loadacq(&sched.mainstarted))
		return -107; // ENOTCONN
	struct callback cb = {fn, arg, NULL};
	cb.mp = needm((uintptr_t)__builtin_frame_address(0));
	runtime_mrun(callbackstart, &cb);
	dropm(cb.mp);
	return 0;
}

int
rt0_run(void (*fn)(void *), void *arg)
{
	if (getg() != NULL) {
		fn(arg);
		return 0;
	}
	return runtime_callback(fn, arg);
}

// abandon_g0 ends the goroutine of a call whose thread has ended in the middle of it. Nobody stands
// on its stack any more. It may have been between rt0_entersyscall and rt0_exitsyscall.
static void
abandon_g0(void *arg)
{
	struct g *gp = arg;
	struct m *mp = getg()->m;
	if (gp->segment.lo != 0)
		runtime_dropsegments(gp);
	if (runtime_readgstatus(gp) == Gsyscall) {
		struct p *old = mp->oldp;
		mp->oldp = NULL;
		gp->syscallsp = 0;
		if (old == NULL || !atomic_cas_acqrel(&old->status, Psyscall, Pidle)) {
			// The p is in other hands. As callbackdone, without it.
			runtime_casgstatus(gp, Gsyscall, Gdead);
			atomic_storerel(&mp->curg, NULL);
			mp->lockedg = NULL;
			mp->lockedext = mp->lockedint = 0;
			gp->lockedm = NULL;
			gp->m = NULL;
			mp->callg = gp;
			atomic_xadd(&sched.ncallg, 1);
			atomic_xadd(&sched.nextrain, -1);
			// Nobody was told by a p that became idle.
			runtime_lock(&sched.lock);
			runtime_checkdead();
			runtime_unlock(&sched.lock);
			runtime_mreturn();
		}
		runtime_acquirep(old);
		atomic_storerlx(&old->syscalltick, old->syscalltick + 1);
		runtime_casgstatus(gp, Gsyscall, Grunning);
	}
	runtime_callbackdone(gp);
}

// foreignexit is the destructor of a thread's key: the thread that mp is bound to ends.
void
runtime_foreignexit(struct m *mp)
{
	struct g *gp = getg();
	if (gp != NULL) {
		if (gp->m != mp || gp != mp->curg || mp->locks != 0)
			runtime_throw("a foreign thread has ended inside the runtime");
		basem(mp, (uintptr_t)__builtin_frame_address(0));
		setg(mp->g0);
		runtime_mrun(abandon_g0, gp);
		setg(NULL);
		runtime_tls_m = NULL;
		runtime_sigleave(mp);
	}
	runtime_tls_extram = &ending;
	givem(mp);
}
