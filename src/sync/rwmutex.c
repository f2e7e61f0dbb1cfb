// SPDX-License-Identifier: BSD-3-Clause
// rwmutex.c: RWMutex: Go's algorithm and texts.
//
// readercount: the readers that hold the lock or wait for it; less MAXREADERS from the moment a writer wants it.
// A reader that finds it negative waits for that writer's unlock. readerwait: the readers that the
// writer has still to wait for; the last of them to leave wakes it. w: keeps writers from each other.
//
// So a writer waits for those readers only that came before it, and readers that come while it writes all go before
// the next writer: neither side starves.
#include "../runtime.h"

enum { MAXREADERS = 1 << 30 };

enum rwop { OPRLOCK, OPTRYRLOCK, OPRUNLOCK, OPLOCK, OPTRYLOCK, OPUNLOCK };
struct rwcall {
	enum rwop op;
	rt0_rwmutex *rw;
	bool ok;
};

static void
rwcall_g(void *arg)
{
	struct rwcall *a = arg;
	switch (a->op) {
	case OPRLOCK: rt0_rwmutex_rlock(a->rw); break;
	case OPTRYRLOCK: a->ok = rt0_rwmutex_tryrlock(a->rw); break;
	case OPRUNLOCK: rt0_rwmutex_runlock(a->rw); break;
	case OPLOCK: rt0_rwmutex_lock(a->rw); break;
	case OPTRYLOCK: a->ok = rt0_rwmutex_trylock(a->rw); break;
	case OPUNLOCK: rt0_rwmutex_unlock(a->rw); break;
	}
}

static NOINLINE bool
foreign(enum rwop op, rt0_rwmutex *rw)
{
	struct rwcall a = {op, rw, false};
	runtime_ongoroutine(rwcall_g, &a);
	return a.ok;
}

// add returns the new value. Under the solo rule (runtime.h) it is a plain access; else as ordered as they come.
static inline int32_t
add(int32_t *p, int32_t d)
{
	if (!sched.solo)
		return atomic_xadd(p, d);
	int32_t n = atomic_loadrlx(p) + d;
	atomic_storerlx(p, n);
	return n;
}

void
rt0_rwmutex_rlock(rt0_rwmutex *rw)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPRLOCK, rw);
		return;
	}
	// Acquire: pairs with the writer's addition of MAXREADERS, or with its release of readersem.
	if (unlikely(add(&rw->readercount, 1) < 0))
		runtime_semacquire(&rw->readersem, false, waitReasonSyncRWMutexRLock);
}

bool
rt0_rwmutex_tryrlock(rt0_rwmutex *rw)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL))
		return foreign(OPTRYRLOCK, rw);
	for (;;) {
		int32_t n = atomic_loadrlx(&rw->readercount);
		if (n < 0) {
			runtime_preemptpoint(gp); // for who tries in a loop
			return false;
		}
		if (atomic_casacq(&rw->readercount, n, n + 1))
			return true;
	}
}

static NOINLINE void
runlockslow(rt0_rwmutex *rw, int32_t n)
{
	if (n + 1 == 0 || n + 1 == -MAXREADERS)
		runtime_fatal("sync: RUnlock of unlocked RWMutex");
	// A writer waits. The last reader that was before it lets it in.
	if (add(&rw->readerwait, -1) == 0)
		runtime_semrelease(&rw->writersem, false);
}

void
rt0_rwmutex_runlock(rt0_rwmutex *rw)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPRUNLOCK, rw);
		return;
	}
	int32_t n = add(&rw->readercount, -1); // release: pairs with the writer's xadd of readerwait
	if (unlikely(n < 0))
		runlockslow(rw, n);
	runtime_preemptpoint(getg());
}

void
rt0_rwmutex_lock(rt0_rwmutex *rw)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPLOCK, rw);
		return;
	}
	rt0_mutex_lock(&rw->w);
	int32_t n = add(&rw->readercount, -MAXREADERS) + MAXREADERS;
	// n readers have it now. Those of them that have left since have made readerwait negative.
	if (n != 0 && add(&rw->readerwait, n) != 0)
		runtime_semacquire(&rw->writersem, false, waitReasonSyncRWMutexLock);
}

bool
rt0_rwmutex_trylock(rt0_rwmutex *rw)
{
	if (unlikely(getg() == NULL))
		return foreign(OPTRYLOCK, rw);
	if (!rt0_mutex_trylock(&rw->w))
		return false;
	if (atomic_casacq(&rw->readercount, 0, -MAXREADERS))
		return true;
	rt0_mutex_unlock(&rw->w);
	return false;
}

void
rt0_rwmutex_unlock(rt0_rwmutex *rw)
{
	if (unlikely(getg() == NULL)) {
		foreign(OPUNLOCK, rw);
		return;
	}
	int32_t n = add(&rw->readercount, MAXREADERS); // release: pairs with rlock
	if (unlikely(n >= MAXREADERS))
		runtime_fatal("sync: Unlock of unlocked RWMutex");
	for (; n > 0; n--)
		runtime_semrelease(&rw->readersem, false);
	rt0_mutex_unlock(&rw->w);
}
