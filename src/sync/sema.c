// SPDX-License-Identifier: BSD-3-Clause
// sema.c: sleep and wake-up of goroutines on an address, for Mutex, RWMutex and WaitGroup.
//
// A semaphore is a count of wake-ups at an address, not of resources: it pairs one semacquire with
// one semrelease even when the release comes first. Waiters hang on a table of roots by address. Each root has
// a treap of the addresses that have waiters: a search tree by address, a heap by random priority, so
// that its depth is logarithmic whatever addresses a program waits at. A node of it is the first waiter
// at its address, the head; the others queue behind it, first in, first out.
//
// Dekker: semacquire counts itself in root->nwait, then looks at *addr; semrelease adds to *addr,
// then looks at nwait. Both with full fences, so that at least one sees the other.
//
// Deadlines: the timer is armed before the waiter takes root->lock, since it fires under the lock of its wheel,
// which comes first (lockrank.h). It may so fire before, while or after the waiter is queued: under
// root->lock it says that the time is over, and takes the waiter off if it is queued. The waiter looks
// before it queues. Once timerstop has returned, nobody looks at the waiter any more.
#include "../runtime.h"
#include "../os/linux/linux.h"

enum { NROOTS = 251 }; // prime: addresses are aligned

// A waiter, on its own stack; root->lock.
struct semwait {
	struct g *g;
	uint32_t *addr;
	struct semwait *left, *right; // heads: the addresses below and above, of higher priority numbers
	struct semwait *next, *prev;  // the queue; prev NULL: a head
	struct semwait *tail;         // heads: the last of the queue
	uint32_t prio;                // heads
	bool queued;
	bool handoff; // the 1 was taken for us
	bool expired; // the deadline has passed
};

struct semaroot {
	struct mutex lock;
	struct semwait *treap; // lock
	uint32_t nwait;        // atomic: waiters in all queues
} __attribute__((aligned(64)));

static struct semaroot semtable[NROOTS];

static struct semaroot *
rootof(uint32_t *addr)
{
	return &semtable[((uintptr_t)addr >> 3) % NROOTS];
}

// lockroot ranks the lock when it is first used: the table is not written at boot.
static void
lockroot(struct semaroot *root)
{
#if RT0_DEBUG
	atomic_storerlx(&root->lock.rank, LOCKRANK_ROOT);
#endif
	runtime_lock(&root->lock);
}

static bool
cansemacquire(uint32_t *addr)
{
	for (;;) {
		uint32_t v = atomic_loadacq(addr);
		if (v == 0)
			return false;
		if (atomic_cas_acqrel(addr, v, v - 1))
			return true;
	}
}

// ---- the treap and its queues; root->lock ----

// find returns the link to the head of addr, or to where the search for it ends.
static struct semwait **
find(struct semaroot *root, uint32_t *addr)
{
	struct semwait **l = &root->treap;
	while (*l != NULL && (*l)->addr != addr)
		l = addr < (*l)->addr ? &(*l)->left : &(*l)->right;
	return l;
}

// insert makes w the head of an address that has none: where its priority puts it, over the two parts of the
// tree that was there, split at its address.
static void
insert(struct semaroot *root, struct semwait *w)
{
	struct semwait **l = &root->treap;
	w->prio = (uint32_t)runtime_rand();
	while (*l != NULL && (*l)->prio <= w->prio)
		l = w->addr < (*l)->addr ? &(*l)->left : &(*l)->right;
	struct semwait *t = *l, **below = &w->left, **above = &w->right;
	*l = w;
	while (t != NULL) {
		if (t->addr < w->addr) {
			*below = t;
			below = &t->right;
			t = t->right;
		} else {
			*above = t;
			above = &t->left;
			t = t->left;
		}
	}
	*below = *above = NULL;
	w->tail = w;
}

// replace lets w be the head that l leads to, in place of old.
static void
replace(struct semwait **l, struct semwait *old, struct semwait *w)
{
	w->left = old->left;
	w->right = old->right;
	w->prio = old->prio;
	w->tail = old->tail;
	w->prev = NULL;
	*l = w;
}

static void
queue(struct semaroot *root, struct semwait *w, bool lifo)
{
	struct semwait **l = find(root, w->addr), *head = *l;
	w->next = w->prev = NULL;
	w->queued = true;
	if (head == NULL) {
		insert(root, w);
	} else if (lifo) {
		replace(l, head, w);
		w->next = head;
		head->prev = w;
	} else {
		w->prev = head->tail;
		head->tail->next = w;
		head->tail = w;
	}
}

// unqueue takes w, which is queued, off.
static void
unqueue(struct semaroot *root, struct semwait *w)
{
	struct semwait **l = find(root, w->addr), *next = w->next;
	if (w->prev != NULL) {
		w->prev->next = next;
		if (next != NULL)
			next->prev = w->prev;
		else
			(*l)->tail = w->prev;
	} else if (next != NULL) {
		replace(l, w, next);
	} else {
		// Nobody waits at this address any more: merge what hangs below.
		struct semwait *a = w->left, *b = w->right;
		while (a != NULL && b != NULL) {
			if (a->prio < b->prio) {
				*l = a;
				l = &a->right;
				a = a->right;
			} else {
				*l = b;
				l = &b->left;
				b = b->left;
			}
		}
		*l = a != NULL ? a : b;
	}
	w->queued = false;
	atomic_xadd(&root->nwait, -1);
}

// ---- acquire and release ----

static bool
semparkcommit(struct g *gp, void *lock)
{
	(void)gp;
	runtime_unlock(lock);
	return true;
}

// wait waits for 1 of w->addr until w has expired.
static int
wait(struct semwait *w, bool lifo, enum waitreason reason)
{
	struct semaroot *root = rootof(w->addr);
	for (;;) {
		w->g = getg();
		w->handoff = false;
		lockroot(root);
		atomic_xadd(&root->nwait, 1); // Dekker: counted, then look
		bool got = cansemacquire(w->addr);
		if (got || w->expired) {
			atomic_xadd(&root->nwait, -1);
			runtime_unlock(&root->lock);
			return got ? 0 : -ETIMEDOUT;
		}
		queue(root, w, lifo);
		runtime_gopark(semparkcommit, &root->lock, reason);
		if (w->handoff || cansemacquire(w->addr))
			return 0;
	}
}

// semacquire waits until *addr > 0 and takes 1 of it. lifo: before those who wait already.
void
runtime_semacquire(uint32_t *addr, bool lifo, enum waitreason reason)
{
	if (cansemacquire(addr))
		return;
	struct semwait w;
	w.addr = addr;
	w.expired = false;
	wait(&w, lifo, reason);
}

static struct g *
semfire(struct timer *t, int64_t now)
{
	(void)now;
	struct semwait *w = t->arg;
	struct semaroot *root = rootof(w->addr);
	struct g *gp = NULL;
	lockroot(root);
	w->expired = true;
	if (w->queued) {
		unqueue(root, w);
		gp = w->g;
	}
	runtime_unlock(&root->lock);
	return gp;
}

// semacquire_until is semacquire with a deadline, in the past: no waiting. Returns 0 or -ETIMEDOUT.
int
runtime_semacquire_until(uint32_t *addr, bool lifo, enum waitreason reason, int64_t deadline)
{
	if (cansemacquire(addr))
		return 0;
	struct semwait w;
	w.addr = addr;
	w.queued = w.expired = false;
	if (deadline == INT64_MAX)
		return wait(&w, lifo, reason);
	if (deadline <= runtime_nanotime())
		return -ETIMEDOUT;
	struct timer t;
	runtime_memclr(&t, sizeof t);
	t.fire = semfire;
	t.arg = &w;
	runtime_timerstart(&t, deadline, 0);
	int r = wait(&w, lifo, reason);
	runtime_timerstop(&t);
	return r;
}

// semrelease adds 1 to *addr and wakes a waiter if there is one. handoff: the waiter gets the 1, and
// the processor, at once.
void
runtime_semrelease(uint32_t *addr, bool handoff)
{
	struct semaroot *root = rootof(addr);
	atomic_xadd(addr, 1); // Dekker: added, then look
	if (atomic_load(&root->nwait) == 0)
		return;
	lockroot(root);
	if (atomic_loadrlx(&root->nwait) == 0) {
		runtime_unlock(&root->lock);
		return;
	}
	struct semwait *w = *find(root, addr);
	if (w != NULL)
		unqueue(root, w);
	runtime_unlock(&root->lock);
	if (w == NULL)
		return;
	// Off the queue it stays until it is readied: a timer that fires meanwhile leaves it alone.
	bool given = handoff && cansemacquire(addr);
	w->handoff = given;
	struct g *gp = w->g;
	runtime_ready(gp, true); // w is gone
	if (given && getg()->m->locks == 0)
		runtime_goyield();
}
