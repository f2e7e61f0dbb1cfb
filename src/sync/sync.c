// SPDX-License-Identifier: BSD-3-Clause
// sync.c: Mutex, WaitGroup, Once: Go's algorithms and texts, on sema.c.
//
// Mutex state: bit 0 locked, bit 1 a waiter has been woken and will try, bit 2 starving; waiters
// above. Normal mode: a woken waiter competes with newcomers, who have the processor and usually
// win: fast. A waiter that has not got it for 1 ms turns the mutex to starving mode: unlock hands it to
// the first waiter, newcomers queue. The waiter that is last, or waited less than 1 ms, ends that.
//
// Under the solo rule uncontended operations are plain accesses.
#include "../runtime.h"

enum { LOCKED = 1, WOKEN = 2, STARVING = 4, WAITER = 8 };
static const int64_t starvationthreshold = MS;

struct synccall {
	int op;
	void *obj;
	int64_t n;
	void (*fn)(void *);
	void *arg;
	bool ok;
};

static void synccall_g(void *arg);

// foreign runs one operation as a goroutine of this foreign thread.
static NOINLINE bool
foreign(int op, void *obj, int64_t n, void (*fn)(void *), void *arg)
{
	struct synccall a = {op, obj, n, fn, arg, false};
	if (runtime_callback(synccall_g, &a) < 0)
		runtime_fatal("sync operation on a thread, and the runtime does not run");
	return a.ok;
}

enum { OPLOCK, OPTRYLOCK, OPUNLOCK, OPADD, OPWAIT, OPONCE };

// ---- Mutex ----

static bool
canspin(int iter)
{
	struct p *pp = getg()->m->p;
	return iter < 4 && sched.ncpu > 1 && !sched.solo && sched.gomaxprocs > atomic_loadrlx(&sched.npidle) + atomic_loadrlx(&sched.nmspinning) + 1 &&
	       runtime_runqempty(pp);
}

static NOINLINE void
lockslow(rt0_mutex *m)
{
	int64_t waitstart = 0;
	bool starving = false, awoke = false;
	int iter = 0;
	uint32_t old = atomic_loadrlx(&m->state);
	for (;;) {
		// Spin a little while it is locked by a running goroutine; not when starving: unlock
		// hands it to a waiter.
		if ((old & (LOCKED | STARVING)) == LOCKED && canspin(iter)) {
			if (!awoke && !(old & WOKEN) && old / WAITER != 0 && atomic_cas(&m->state, old, old | WOKEN))
				awoke = true; // unlock need wake nobody
			procyield(30);
			iter++;
			old = atomic_loadrlx(&m->state);
			continue;
		}
		uint32_t new = old;
		if (!(old & STARVING))
			new |= LOCKED;
		if (old & (LOCKED | STARVING))
			new += WAITER;
		if (starving && (old & LOCKED))
			new |= STARVING;
		if (awoke) {
			if (!(new & WOKEN))
				runtime_throw("sync: inconsistent mutex state");
			new &= ~(uint32_t)WOKEN;
		}
		if (!atomic_cas(&m->state, old, new)) {
			old = atomic_loadrlx(&m->state);
			continue;
		}
		if (!(old & (LOCKED | STARVING)))
			return; // ours
		bool lifo = waitstart != 0; // woken before: first in the queue
		if (waitstart == 0)
			waitstart = runtime_nanotime();
		runtime_semacquire(&m->sema, lifo, waitReasonSyncMutexLock);
		starving = starving || runtime_nanotime() - waitstart > starvationthreshold;
		old = atomic_loadrlx(&m->state);
		if (old & STARVING) {
			// Handed over to us: neither locked nor woken, and we are still counted.
			if ((old & (LOCKED | WOKEN)) || old / WAITER == 0)
				runtime_throw("sync: inconsistent mutex state");
			uint32_t delta = LOCKED - WAITER;
			if (!starving || old / WAITER == 1)
				delta -= STARVING;
			atomic_xadd(&m->state, delta);
			return;
		}
		awoke = true;
		iter = 0;
	}
}

void
rt0_mutex_lock(rt0_mutex *m)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL)) {
		foreign(OPLOCK, m, 0, NULL, NULL);
		return;
	}
	if (sched.solo && m->state == 0) {
		atomic_storerlx(&m->state, LOCKED);
		return;
	}
	// Acquire: pairs with the release in unlock.
	if (likely(atomic_casacq(&m->state, 0, LOCKED)))
		return;
	lockslow(m);
}

bool
rt0_mutex_trylock(rt0_mutex *m)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL))
		return foreign(OPTRYLOCK, m, 0, NULL, NULL);
	uint32_t old = atomic_loadrlx(&m->state);
	if (!(old & (LOCKED | STARVING)) && atomic_casacq(&m->state, old, old | LOCKED))
		return true;
	runtime_preemptpoint(gp); // for who tries in a loop
	return false;
}

static NOINLINE void
unlockslow(rt0_mutex *m, uint32_t new)
{
	if (((new + LOCKED) & LOCKED) == 0)
		runtime_fatal("sync: unlock of unlocked mutex");
	if (new & STARVING) {
		runtime_semrelease(&m->sema, true);
		return;
	}
	for (uint32_t old = new;;) {
		// Nobody waits, or somebody is at it already.
		if (old / WAITER == 0 || (old & (LOCKED | WOKEN | STARVING)))
			return;
		if (atomic_cas(&m->state, old, (old - WAITER) | WOKEN)) {
			runtime_semrelease(&m->sema, false);
			return;
		}
		old = atomic_loadrlx(&m->state);
	}
}

void
rt0_mutex_unlock(rt0_mutex *m)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL)) {
		foreign(OPUNLOCK, m, 0, NULL, NULL);
		return;
	}
	if (sched.solo && m->state == LOCKED) {
		atomic_storerlx(&m->state, 0);
		runtime_preemptpoint(gp);
		return;
	}
	uint32_t new = atomic_xadd(&m->state, (uint32_t)-LOCKED); // release
	if (unlikely(new != 0))
		unlockslow(m, new);
	runtime_preemptpoint(getg());
}

// ---- WaitGroup: counter in the high half, waiters in the low half ----

void
rt0_waitgroup_add(rt0_waitgroup *wg, int delta)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPADD, wg, delta, NULL, NULL);
		return;
	}
	uint64_t state;
	if (sched.solo) {
		state = wg->state + ((uint64_t)(int64_t)delta << 32);
		atomic_storerlx(&wg->state, state);
	} else {
		state = atomic_xadd(&wg->state, (uint64_t)(int64_t)delta << 32); // release: pairs with wait
	}
	int32_t v = (int32_t)(state >> 32);
	uint32_t w = (uint32_t)state;
	if (unlikely(v < 0))
		runtime_panicstring("sync: negative WaitGroup counter");
	if (unlikely(w != 0 && delta > 0 && v == delta))
		runtime_panicstring("sync: WaitGroup misuse: Add called concurrently with Wait");
	if (v > 0 || w == 0)
		return;
	// Zero with waiters: nobody may add or wait now, unless the program misuses it.
	if (atomic_loadrlx(&wg->state) != state)
		runtime_panicstring("sync: WaitGroup misuse: Add called concurrently with Wait");
	atomic_storerlx(&wg->state, 0);
	for (; w != 0; w--)
		runtime_semrelease(&wg->sema, false);
}

void
rt0_waitgroup_done(rt0_waitgroup *wg)
{
	rt0_waitgroup_add(wg, -1);
}

void
rt0_waitgroup_wait(rt0_waitgroup *wg)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPWAIT, wg, 0, NULL, NULL);
		return;
	}
	for (;;) {
		uint64_t state = atomic_loadacq(&wg->state);
		if ((int32_t)(state >> 32) == 0)
			return;
		if (atomic_cas(&wg->state, state, state + 1)) {
			runtime_semacquire(&wg->sema, false, waitReasonSemacquire);
			if (atomic_loadacq(&wg->state) != 0)
				runtime_panicstring("sync: WaitGroup is reused before previous Wait has returned");
			return;
		}
	}
}

// ---- Once ----

static void
oncedone(void *once)
{
	atomic_storerel(&((rt0_once *)once)->done, 1); // pairs with the acquire in rt0_once_do
}

static NOINLINE void
doslow(rt0_once *once, void (*fn)(void *), void *arg)
{
	rt0_mutex_lock(&once->m);
	RT0_DEFER(rt0_mutex_unlock, &once->m);
	if (once->done == 0) {
		// Also when fn panics or ends the goroutine, this was the one call.
		RT0_DEFER(oncedone, once);
		fn(arg);
	}
}

void
rt0_once_do(rt0_once *once, void (*fn)(void *), void *arg)
{
	if (likely(atomic_loadacq(&once->done) != 0))
		return;
	if (getg() == NULL)
		foreign(OPONCE, once, 0, fn, arg);
	else
		doslow(once, fn, arg);
}

static void
synccall_g(void *arg)
{
	struct synccall *a = arg;
	switch (a->op) {
	case OPLOCK: rt0_mutex_lock(a->obj); break;
	case OPTRYLOCK: a->ok = rt0_mutex_trylock(a->obj); break;
	case OPUNLOCK: rt0_mutex_unlock(a->obj); break;
	case OPADD: rt0_waitgroup_add(a->obj, (int)a->n); break;
	case OPWAIT: rt0_waitgroup_wait(a->obj); break;
	case OPONCE: doslow(a->obj, a->fn, a->arg); break;
	}
}
