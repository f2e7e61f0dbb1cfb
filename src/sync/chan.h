// SPDX-License-Identifier: BSD-3-Clause
// chan.h: what chan.c and select.c share: a channel, its lock, its queues, and the step of a send and of
// a receive that is made under the lock. The invariants are at the head of chan.c.
#ifndef RT0_SYNC_CHAN_H
#define RT0_SYNC_CHAN_H

#include "../runtime.h"

struct waitq {
	struct sudog *first, *last;
};

struct rt0_chan {
	uint64_t qcount;   // elements in buf; first two fields as gc's
	uint64_t dataqsiz; // constant: capacity
	char *buf;         // constant: dataqsiz elements, right behind this struct
	uint32_t elemsize; // constant, bytes
	uint32_t closed;
	uint64_t sendx, recvx; // next slot to fill and to empty
	struct waitq recvq, sendq;
	struct mutex lock;
};

#pragma GCC visibility push(hidden)

void runtime_chanlockslow(struct rt0_chan *c);
struct sudog *runtime_dequeueselect(struct waitq *q, struct sudog *sg); // select.c
RT0_NORETURN void runtime_parkforever(enum waitreason reason);

#pragma GCC visibility pop

// The lock is held for some 10 ns and never over a call. A word that unlock clears by a plain store
// costs half of a runtime mutex (whose unlock must ask for sleepers by a second locked instruction,
// 5 ns each); a waiter whose holder has lost its CPU yields, then sleeps in growing steps. Debug builds take
// the mutex, for its ranks.
static inline uint32_t *
lockchan(struct rt0_chan *c)
{
#if RT0_DEBUG
	runtime_lock(&c->lock);
#else
	// Acquire: pairs with the release in chanunlock.
	if (unlikely(atomic_xchgacq(&c->lock.key, 1) != 0))
		runtime_chanlockslow(c);
#endif
	return &c->lock.key;
}

// chanlock makes c the caller's and returns what chanunlock, or goparkword, is to clear. A lone p (proc_p.c) only says
// that it is busy, which costs no locked instruction.
static inline uint32_t *
chanlock(struct rt0_chan *c)
{
	if (sched.solo)
		return NULL;
	// Acquire: what other ps did before they went idle. Who takes an idle p sees to it by membarrier that busy is
	// stored before alone is read again; here the compiler must not turn it round.
	if (atomic_loadacq(&sched.alone) != 0) {
		atomic_storerlx(&sched.busy, 1);
		compilerfence();
		if (likely(atomic_loadacq(&sched.alone) != 0))
			return &sched.busy;
		atomic_storerel(&sched.busy, 0);
	}
	return lockchan(c);
}

static inline void
chanunlock(uint32_t *held)
{
	if (held == NULL)
		return;
#if RT0_DEBUG
	if (held != &sched.busy) {
		runtime_unlock((struct mutex *)held); // key comes first
		return;
	}
#endif
	atomic_storerel(held, 0);
}

// backoff is the n-th round of a wait for somebody who needs some 10 ns, unless it has lost its CPU.
static inline void
backoff(uint32_t n)
{
	if (n < 20)
		procyield(10);
	else if (n < 50)
		runtime_osyield();
	else
		runtime_usleep(n < 1000 ? n : 1000);
}

// copyelem copies or, with from NULL, zeroes. to NULL: nothing.
static inline void
copyelem(const struct rt0_chan *c, void *to, const void *from)
{
	if (likely(c->elemsize == 8)) {
		// The common element: one word, whatever its alignment.
		uint64_t w = 0;
		if (from != NULL)
			__builtin_memcpy(&w, from, 8);
		if (to != NULL)
			__builtin_memcpy(to, &w, 8);
		return;
	}
	if (to == NULL || c->elemsize == 0)
		return;
	if (from != NULL)
		runtime_memmove(to, from, c->elemsize);
	else
		runtime_memclr(to, c->elemsize);
}

static inline char *
chanbuf(struct rt0_chan *c, uint64_t i)
{
	return c->buf + i * c->elemsize;
}

static inline uint64_t
nextx(struct rt0_chan *c, uint64_t i)
{
	return i + 1 == c->dataqsiz ? 0 : i + 1;
}

static inline void
enqueue(struct waitq *q, struct sudog *sg)
{
	sg->next = NULL;
	sg->prev = q->last;
	if (q->last != NULL)
		q->last->next = sg;
	else
		atomic_storerlx(&q->first, sg); // read without the lock by tries
	q->last = sg;
}

// unlinkfirst takes sg, which is the first of q.
static inline void
unlinkfirst(struct waitq *q, struct sudog *sg)
{
	atomic_storerlx(&q->first, sg->next);
	if (sg->next != NULL)
		sg->next->prev = NULL;
	else
		q->last = NULL;
}

// dequeuesudog takes sg off q, if nobody has done so. Others dequeue the first only: that one has no prev.
static inline void
dequeuesudog(struct waitq *q, struct sudog *sg)
{
	if (sg->prev == NULL) {
		if (q->first == sg)
			unlinkfirst(q, sg);
		return;
	}
	sg->prev->next = sg->next;
	if (sg->next != NULL)
		sg->next->prev = sg->prev;
	else
		q->last = sg->prev;
}

// dequeue takes the first waiter that is still to be had: one in a select may be taken already.
static inline struct sudog *
dequeue(struct waitq *q)
{
	struct sudog *sg = q->first;
	if (sg == NULL)
		return NULL;
	unlinkfirst(q, sg);
	if (unlikely(sg->isselect))
		return runtime_dequeueselect(q, sg);
	return sg;
}

enum { CHAN_WAIT = -1, CHAN_CLOSED = 0, CHAN_DONE = 1, CHAN_PEER = 2 };

// sendlocked and recvlocked are a send and a receive on c, which is locked, if they need not wait.
// CHAN_PEER is CHAN_DONE, and *peer is a goroutine to ready when c is unlocked; its sudog is gone then.
static inline __attribute__((always_inline)) int
sendlocked(struct rt0_chan *c, const void *elem, struct g **peer)
{
	if (unlikely(c->closed))
		return CHAN_CLOSED;
	struct sudog *sg = dequeue(&c->recvq);
	if (sg != NULL) {
		copyelem(c, sg->elem, elem);
		sg->success = true;
		*peer = sg->g;
		return CHAN_PEER;
	}
	if (c->qcount < c->dataqsiz) {
		copyelem(c, chanbuf(c, c->sendx), elem);
		c->sendx = nextx(c, c->sendx);
		atomic_storerlx(&c->qcount, c->qcount + 1);
		return CHAN_DONE;
	}
	return CHAN_WAIT;
}

static inline __attribute__((always_inline)) int
recvlocked(struct rt0_chan *c, void *elem, struct g **peer)
{
	if (c->qcount > 0) {
		char *slot = chanbuf(c, c->recvx);
		copyelem(c, elem, slot);
		c->recvx = nextx(c, c->recvx);
		struct sudog *sg = dequeue(&c->sendq);
		if (sg != NULL) {
			// Full, with a sender waiting: its element takes the slot, at the queue's end.
			copyelem(c, slot, sg->elem);
			c->sendx = c->recvx;
			sg->success = true;
			*peer = sg->g;
			return CHAN_PEER;
		}
		atomic_storerlx(&c->qcount, c->qcount - 1);
		return CHAN_DONE;
	}
	if (unlikely(c->closed)) {
		copyelem(c, elem, NULL);
		return CHAN_CLOSED;
	}
	struct sudog *sg = dequeue(&c->sendq);
	if (sg != NULL) {
		copyelem(c, elem, sg->elem);
		sg->success = true;
		*peer = sg->g;
		return CHAN_PEER;
	}
	return CHAN_WAIT;
}

#endif
