// SPDX-License-Identifier: BSD-3-Clause
// sema.c: sleep and wake-up of goroutines on an address, for Mutex and WaitGroup.
//
// A semaphore is a count of wake-ups at an address, not of resources: it pairs one semacquire with
// one semrelease even when the release comes first. Waiters hang on a table of roots by address: each
// root has a list of the addresses that have waiters, and each of those a queue (sudog.waitlink).
//
// Dekker: semacquire counts itself in root->nwait, then looks at *addr; semrelease adds to *addr,
// then looks at nwait. Both with full fences, so that at least one sees the other.
#include "../runtime.h"

enum { NROOTS = 251 }; // prime: addresses are aligned

struct semaroot {
	struct mutex lock;
	struct sudog *addrs; // lock: heads, one an address, by next
	uint32_t nwait;      // atomic: waiters in all queues
} __attribute__((aligned(64)));

static struct semaroot semtable[NROOTS];

// A waiter; head of its address's queue or behind it.
struct semwait {
	struct sudog sg; // sg.next: the next address of the root (heads only)
	struct semwait *waitlink, *waittail; // the queue behind the head; tail in the head only
	bool handoff;
};

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

static void
queue(struct semaroot *root, struct semwait *w, bool lifo)
{
	for (struct sudog **l = &root->addrs; *l != NULL; l = &(*l)->next) {
		struct semwait *head = (struct semwait *)*l;
		if (head->sg.c != w->sg.c)
			continue;
		if (lifo) {
			// w takes the head's place in the list of addresses.
			w->sg.next = head->sg.next;
			*l = &w->sg;
			w->waitlink = head;
			w->waittail = head->waittail != NULL ? head->waittail : head;
			head->waittail = NULL;
		} else {
			struct semwait *tail = head->waittail != NULL ? head->waittail : head;
			tail->waitlink = w;
			head->waittail = w;
		}
		return;
	}
	w->sg.next = root->addrs;
	root->addrs = &w->sg;
}

static struct semwait *
dequeue(struct semaroot *root, uint32_t *addr)
{
	for (struct sudog **l = &root->addrs; *l != NULL; l = &(*l)->next) {
		struct semwait *head = (struct semwait *)*l, *second = head->waitlink;
		if (head->sg.c != addr)
			continue;
		if (second != NULL) {
			second->sg.next = head->sg.next;
			second->waittail = head->waittail == second ? NULL : head->waittail;
			*l = &second->sg;
		} else {
			*l = head->sg.next;
		}
		return head;
	}
	return NULL;
}

static bool
semparkcommit(struct g *gp, void *lock)
{
	(void)gp;
	runtime_unlock(lock);
	return true;
}

// semacquire waits until *addr > 0 and takes 1 of it. lifo: before those who wait already.
void
runtime_semacquire(uint32_t *addr, bool lifo, enum waitreason reason)
{
	if (cansemacquire(addr))
		return;
	struct semaroot *root = rootof(addr);
	struct semwait w;
	runtime_memclr(&w, sizeof w);
	w.sg.c = addr;
	for (;;) {
		w.sg.g = getg();
		w.waitlink = w.waittail = NULL;
		w.handoff = false;
		lockroot(root);
		atomic_xadd(&root->nwait, 1); // Dekker: counted, then look
		if (cansemacquire(addr)) {
			atomic_xadd(&root->nwait, -1);
			runtime_unlock(&root->lock);
			return;
		}
		queue(root, &w, lifo);
		runtime_gopark(semparkcommit, &root->lock, reason);
		if (w.handoff || cansemacquire(addr))
			return;
	}
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
	struct semwait *w = dequeue(root, addr);
	if (w != NULL)
		atomic_xadd(&root->nwait, -1);
	runtime_unlock(&root->lock);
	if (w == NULL)
		return;
	bool given = handoff && cansemacquire(addr);
	w->handoff = given;
	struct g *gp = w->sg.g;
	runtime_ready(gp, true); // w is gone
	if (given && getg()->m->locks == 0)
		runtime_goyield();
}
