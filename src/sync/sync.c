// SPDX-License-Identifier: BSD-3-Clause
// sync.c: Mutex, WaitGroup, Once, OnceFunc: Go's algorithms and texts, on sema.c.
//
// Mutex state: bit 0 locked, bit 1 a waiter has been woken and will try, bit 2 starving; waiters
// above. Normal mode: a woken waiter competes with newcomers, who have the processor and usually
// win: fast. A waiter that has not got it for 1 ms turns the mutex to starving mode: unlock hands it to
// the first waiter, newcomers queue. The waiter that is last, or waited less than 1 ms, ends that.
//
// A waiter whose deadline has passed takes itself out of the count, unless unlock has just done so, or hands
// over to it: then its wake-up is on the way, and it takes that (leave).
//
// Under the solo rule uncontended operations are plain accesses.
#include "../runtime.h"
#include "../os/linux/linux.h"

enum { LOCKED = 1, WOKEN = 2, STARVING = 4, WAITER = 8 };
static const int64_t starvationthreshold = MS;

struct synccall {
	int op;
	void *obj;
	int64_t n; // what is added, or the deadline
	void (*fn)(void *);
	void *arg;
	uintptr_t pc;
	int result;
};

static void synccall_g(void *arg);

void
runtime_ongoroutine(void (*fn)(void *), void *arg)
{
	if (rt0_run(fn, arg) < 0)
		runtime_fatal("sync operation on a thread, and the runtime does not run");
}

// foreign runs one operation as a goroutine of this foreign thread.
static NOINLINE int
foreign(int op, void *obj, int64_t n)
{
	struct synccall a = {.op = op, .obj = obj, .n = n};
	runtime_ongoroutine(synccall_g, &a);
	return a.result;
}

enum { OPLOCK, OPTRYLOCK, OPUNLOCK, OPADD, OPWAIT, OPGO, OPONCE };

// ---- Mutex ----

// canspin: whether to spin for one more round, which takes about as long as to park and be woken. The first round
// is always worth it, even if others wait for this processor: the holder mostly runs and is about
// to unlock. Without it two processors that fight for a mutex spend their time parking each other's goroutines.
static bool
canspin(int iter)
{
	if (sched.ncpu == 1 || sched.solo)
		return false;
	return iter == 0 || (iter < 4 && sched.gomaxprocs > atomic_loadrlx(&sched.npidle) + atomic_loadrlx(&sched.nmspinning) + 1 &&
	                        runtime_runqempty(getg()->m->p));
}

// leave takes a waiter that gives up out of the count. False: it is not counted any more, or it is the
// only one and m is being handed over. In both cases unlock releases, or has released, a wake-up for it.
// Those that go on waiting cannot miss theirs: wake-ups are not meant for one waiter, and as many are released as are
// taken out of the count, or, when starving, one for an owner who is still in it.
static bool
leave(rt0_mutex *m)
{
	for (uint32_t old = atomic_loadrlx(&m->state);;) {
		uint32_t n = old / WAITER;
		if (n == 0 || (n == 1 && (old & (LOCKED | STARVING)) == STARVING))
			return false;
		uint32_t new = old - WAITER;
		if (n == 1)
			new &= ~(uint32_t)STARVING; // nobody to hand over to
		if (atomic_cas(&m->state, old, new))
			return true;
		old = atomic_loadrlx(&m->state);
	}
}

static NOINLINE int
lockslow(rt0_mutex *m, int64_t deadline)
{
	int64_t waitstart = 0;
	bool starving = false, awoke = false, late = false;
	int iter = 0;
	uint32_t old = atomic_loadrlx(&m->state);
	for (;;) {
		if (unlikely(late) && (old & (LOCKED | STARVING))) {
			// Woken, too late, and not to any use. While it is locked unlock will wake another.
			if (atomic_cas(&m->state, old, old & ~(uint32_t)WOKEN))
				return -ETIMEDOUT;
			old = atomic_loadrlx(&m->state);
			continue;
		}
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
			return 0; // ours
		bool lifo = waitstart != 0; // woken before: first in the queue
		if (waitstart == 0)
			waitstart = runtime_nanotime();
		if (runtime_semacquire_until(&m->sema, lifo, waitReasonSyncMutexLock, deadline) < 0) {
			while (!leave(m)) {
				// On its way; unless a newcomer takes it, for which we are counted again.
				late = runtime_semacquire_until(&m->sema, true, waitReasonSyncMutexLock, INT64_MIN) == 0;
				if (late)
					break;
				rt0_gosched();
			}
			if (!late)
				return -ETIMEDOUT;
		}
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
			return 0;
		}
		awoke = true;
		iter = 0;
	}
}

// lockfast takes m if it is free. With waiters too: who runs wins over who has to be woken, and must not
// pay for them. The prefetch gets the line to be written at once, where the load alone would have it shared first.
static inline bool
lockfast(rt0_mutex *m)
{
	if (sched.solo && m->state == 0) {
		atomic_storerlx(&m->state, LOCKED);
		return true;
	}
	__builtin_prefetch(&m->state, 1);
	uint32_t old = atomic_loadrlx(&m->state);
	// Acquire: pairs with the release in unlock.
	return likely(!(old & (LOCKED | STARVING)) && atomic_casacq(&m->state, old, old | LOCKED));
}

void
rt0_mutex_lock(rt0_mutex *m)
{
	if (unlikely(getg() == NULL))
		foreign(OPLOCK, m, INT64_MAX);
	else if (!lockfast(m))
		lockslow(m, INT64_MAX);
}

int
rt0_mutex_lock_until(rt0_mutex *m, int64_t deadline)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL))
		return foreign(OPLOCK, m, deadline);
	if (lockfast(m))
		return 0;
	if (deadline <= runtime_nanotime()) {
		runtime_preemptpoint(gp); // for who tries in a loop
		return -ETIMEDOUT;
	}
	return lockslow(m, deadline);
}

bool
rt0_mutex_trylock(rt0_mutex *m)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL))
		return foreign(OPTRYLOCK, m, 0);
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
		foreign(OPUNLOCK, m, 0);
		return;
	}
	if (sched.solo && m->state == LOCKED) {
		atomic_storerlx(&m->state, 0);
		runtime_preemptpoint(gp);
		return;
	}
	uint32_t new = atomic_xadd(&m->state, (uint32_t)-LOCKED); // release
	// Woken alone: whoever waits, one is at it already.
	if (unlikely(new != 0) && (new & (LOCKED | WOKEN | STARVING)) != WOKEN)
		unlockslow(m, new);
	runtime_preemptpoint(getg());
}

// ---- WaitGroup: counter in the high half, waiters in the low half ----

// addslow does what is left of an add that has made state: it wakes those who wait, or complains.
static NOINLINE void
addslow(rt0_waitgroup *wg, uint64_t state, int delta)
{
	int32_t v = (int32_t)(state >> 32);
	uint32_t w = (uint32_t)state;
	if (v < 0)
		runtime_panicstring("sync: negative WaitGroup counter");
	if (w != 0 && delta > 0 && v == delta)
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

static inline void
add(rt0_waitgroup *wg, int delta)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPADD, wg, delta);
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
	if (unlikely(v <= 0 || v == delta)) // usually others were there, and others are still to come
		addslow(wg, state, delta);
}

void
rt0_waitgroup_add(rt0_waitgroup *wg, int delta)
{
	add(wg, delta);
}

void
rt0_waitgroup_done(rt0_waitgroup *wg)
{
	add(wg, -1);
}

// waitgroupleave takes a waiter that gives up out of the count. False: the counter is 0, so that its wake-up is
// on the way: add freezes the state then, and hands out as many as were counted.
static bool
waitgroupleave(rt0_waitgroup *wg)
{
	for (;;) {
		uint64_t state = atomic_loadacq(&wg->state);
		if ((int32_t)(state >> 32) == 0 || (uint32_t)state == 0)
			return false;
		if (atomic_cas(&wg->state, state, state - 1))
			return true;
	}
}

int
rt0_waitgroup_wait_until(rt0_waitgroup *wg, int64_t deadline)
{
	if (unlikely(getg() == NULL))
		return foreign(OPWAIT, wg, deadline);
	for (;;) {
		uint64_t state = atomic_loadacq(&wg->state);
		if ((int32_t)(state >> 32) == 0)
			return 0;
		if (!atomic_cas(&wg->state, state, state + 1))
			continue;
		if (runtime_semacquire_until(&wg->sema, false, waitReasonSemacquire, deadline) < 0) {
			if (waitgroupleave(wg))
				return -ETIMEDOUT;
			runtime_semacquire(&wg->sema, false, waitReasonSemacquire);
		}
		if (atomic_loadacq(&wg->state) != 0)
			runtime_panicstring("sync: WaitGroup is reused before previous Wait has returned");
		return 0;
	}
}

void
rt0_waitgroup_wait(rt0_waitgroup *wg)
{
	rt0_waitgroup_wait_until(wg, INT64_MAX);
}

struct wggo {
	rt0_waitgroup *wg;
	void (*fn)(void *);
	void *arg;
};

static void
wgdone(void *wg)
{
	rt0_waitgroup_add(wg, -1);
}

static void
wggo_g(void *arg)
{
	struct wggo a = *(struct wggo *)arg;
	rt0_free(arg);
	RT0_DEFER(wgdone, a.wg);
	a.fn(a.arg);
}

static void
wggo(rt0_waitgroup *wg, void (*fn)(void *), void *arg, uintptr_t pc)
{
	if (fn == NULL)
		runtime_fatal("go of nil func value");
	struct wggo *a = rt0_alloc(sizeof *a, 0);
	*a = (struct wggo){wg, fn, arg};
	rt0_waitgroup_add(wg, 1);
	runtime_newproc(wggo_g, a, pc);
}

void
rt0_waitgroup_go(rt0_waitgroup *wg, void (*fn)(void *), void *arg)
{
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);
	if (unlikely(getg() == NULL)) {
		struct synccall a = {.op = OPGO, .obj = wg, .fn = fn, .arg = arg, .pc = pc};
		runtime_ongoroutine(synccall_g, &a);
	} else {
		wggo(wg, fn, arg, pc);
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
	if (getg() == NULL) {
		struct synccall a = {.op = OPONCE, .obj = once, .fn = fn, .arg = arg};
		runtime_ongoroutine(synccall_g, &a);
	} else {
		doslow(once, fn, arg);
	}
}

// oncepanicked runs when the function of a OnceFunc panics or ends its goroutine: it keeps the value, for later
// calls, and panics on.
static void
oncepanicked(void *arg)
{
	rt0_oncefunc *f = arg;
	if (f->valid)
		return;
	f->value = (rt0_value){.kind = RT0_RUNTIME_ERROR, .code = RT0_ERR_NILPANIC};
	if (rt0_recover(&f->value))
		rt0_panic_value(f->value);
}

static void
oncefunc(void *arg)
{
	rt0_oncefunc *f = arg;
	RT0_DEFER(oncepanicked, f);
	f->fn(f->arg);
	f->valid = true;
}

void
rt0_oncefunc_call(rt0_oncefunc *f)
{
	rt0_once_do(&f->once, oncefunc, f); // it has happened before the return: what it wrote is ours to read
	if (unlikely(!f->valid))
		rt0_panic_value(f->value);
}

static void
synccall_g(void *arg)
{
	struct synccall *a = arg;
	switch (a->op) {
	case OPLOCK: a->result = rt0_mutex_lock_until(a->obj, a->n); break;
	case OPTRYLOCK: a->result = rt0_mutex_trylock(a->obj); break;
	case OPUNLOCK: rt0_mutex_unlock(a->obj); break;
	case OPADD: rt0_waitgroup_add(a->obj, (int)a->n); break;
	case OPWAIT: a->result = rt0_waitgroup_wait_until(a->obj, a->n); break;
	case OPGO: wggo(a->obj, a->fn, a->arg, a->pc); break;
	case OPONCE: doslow(a->obj, a->fn, a->arg); break;
	}
}
