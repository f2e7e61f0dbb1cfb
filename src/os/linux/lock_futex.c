// SPDX-License-Identifier: BSD-3-Clause
// lock_futex.c: mutexes and notes that block the thread, on futexes. Lock ranks in debug builds.
//
// A mutex key is 0 (free), 1 (locked) or 2 (locked, and somebody may sleep). Unlock wakes one
// sleeper if it was 2; the woken one takes it as 2 again, since it cannot know whether others sleep.
#include "../../runtime.h"
#include "linux.h"

enum {
	ACTIVE_SPIN = 4,      // rounds of pause on a multiprocessor
	ACTIVE_SPIN_CNT = 30, // pauses a round
};

// lock2 is runtime_lock when the key was not free.
void
runtime_lock2(struct mutex *l)
{
	uint32_t wait = 1;
	if (unlikely(runtime_forked))
		runtime_forkedlock();
	for (;;) {
		for (int i = 0; sched.ncpu > 1 && i < ACTIVE_SPIN; i++) {
			// Acquire: pairs with the release in unlock.
			if (atomic_loadrlx(&l->key) == 0 && atomic_casacq(&l->key, 0, wait))
				return;
			procyield(ACTIVE_SPIN_CNT);
		}
		runtime_osyield();
		if (atomic_loadrlx(&l->key) == 0 && atomic_casacq(&l->key, 0, wait))
			return;
		if (atomic_xchgacq(&l->key, 2) == 0)
			return; // we hold it as 2: one wake-up too many at unlock, none too few
		wait = 2;
		runtime_futexsleep(&l->key, 2, -1);
	}
}

void
runtime_unlock2(struct mutex *l)
{
	runtime_futexwakeup(&l->key, 1);
}

void
runtime_lockinit(struct mutex *l, enum lockrank rank)
{
	l->key = 0;
	l->rank = rank;
}

static const char *const lockrank_name[] = {
    "(leaf)",
#define X(r, n) n,
    LOCK_RANKS(X)
#undef X
};

// rankof puts leaves last: they may be taken under any lock.
static uint32_t
rankof(const struct mutex *l)
{
	return l->rank == LOCKRANK_LEAF ? UINT32_MAX : l->rank;
}

// lockacquired checks the order and remembers the lock. Without a g (a thread on its way in or
// out) nothing is checked.
void
runtime_lockacquired(struct mutex *l)
{
	struct g *gp = getg();
	if (gp == NULL || gp->m->dying)
		return;
	struct lockheld *h = &gp->m->held;
	if (h->n == NELEM(h->l))
		runtime_throw("lock ordering: too many locks held");
	if (h->n > 0 && rankof(h->l[h->n - 1]) >= rankof(l)) {
		gp->m->dying = 1; // the print below takes locks too
		for (uint32_t i = 0; i < h->n; i++)
			runtime_print("runtime: holding %s (%p)\n", lockrank_name[h->l[i]->rank], (void *)h->l[i]);
		runtime_print("runtime: taking %s (%p)\n", lockrank_name[l->rank], (void *)l);
		gp->m->dying = 0;
		h->n = 0;
		runtime_throw("lock ordering problem");
	}
	h->l[h->n++] = l;
}

void
runtime_lockreleased(struct mutex *l)
{
	struct g *gp = getg();
	if (gp == NULL || gp->m->dying)
		return;
	struct lockheld *h = &gp->m->held;
	for (uint32_t i = h->n; i-- > 0;) {
		if (h->l[i] != l)
			continue;
		h->n--;
		for (; i < h->n; i++)
			h->l[i] = h->l[i + 1];
		return;
	}
	if (h->n > 0)
		runtime_throw("unlock of a lock that is not held");
}

void
runtime_assertlockheld(struct mutex *l)
{
	if (atomic_loadrlx(&l->key) == 0)
		runtime_throw("a lock that must be held is free");
}

void
runtime_noteclear(struct note *n)
{
	atomic_storerlx(&n->key, 0);
}

void
runtime_notewakeup(struct note *n)
{
	// Release: what we did before is seen by who wakes. Pairs with the acquires in notesleep. Who is not asleep
	// yet sees the 1 instead, and no call is needed: a thread that is woken often runs before its waker sleeps.
	uint32_t old = atomic_xchg(&n->key, 1);
	if (old == 1)
		runtime_throw("notewakeup - double wakeup");
	if (old == 2)
		runtime_futexwakeup(&n->key, 1);
}

// notewoken tells whether the wake-up has come; if not, it leaves word that somebody sleeps.
static bool
notewoken(struct note *n)
{
	// A 2 may be there from a sleep that timed out.
	return !atomic_cas_acqrel(&n->key, 0, 2) && atomic_loadacq(&n->key) == 1;
}

void
runtime_notesleep(struct note *n)
{
	struct m *mp = getg()->m;
	while (!notewoken(n)) {
		mp->blocked = true;
		runtime_futexsleep(&n->key, 2, -1);
		mp->blocked = false;
	}
}

bool
runtime_notetsleep(struct note *n, int64_t ns)
{
	if (ns < 0) {
		runtime_notesleep(n);
		return true;
	}
	int64_t deadline = runtime_nanotime() + ns;
	while (!notewoken(n)) {
		if (ns <= 0)
			return false;
		runtime_futexsleep(&n->key, 2, ns);
		ns = deadline - runtime_nanotime();
	}
	return true;
}
