// SPDX-License-Identifier: BSD-3-Clause
// runq.c: the queues of one P: runnext, a FIFO ring of readied goroutines, a deque of new ones.
//
// runnext  the goroutine readied last: runs next, in the rest of the current time slice, so that
//          two that talk to each other form one unit of scheduling.
// runq     readied, yielded and preempted goroutines; first in, first out. Only the owner writes
//          runqtail; anyone may advance runqhead, by CAS. runqtail - runqhead <= 256; both wrap.
// newq     goroutines that have not run yet; the owner takes the newest, thieves the oldest. A tree of
//          goroutines is so walked depth first and a million-leaf tree needs dozens of stacks,
//          not a million (Go's FIFO walks it breadth first). Chase and Lev's deque, with the
//          memory orders of Lê et al., PPoPP 2013; bounded, no growing.
//          The newest first could starve the oldest: once a time slice sysmon has the
//          oldest run first. Not by counting picks: every oldest one taken out of turn opens another
//          branch of such a tree, and with it hundreds of stacks.
// A goroutine that starts many without waiting (NEWQDEEP) is made to yield, so that they run, end, and
// leave their warm stacks to the next. The ring then gets every 16th pick, otherwise every second; and all,
// until what timers have readied has run (due).
// Full ring or deque: half of it moves to sched.runq at once: one lock per 128 goroutines or more.
//
// Under the solo rule (runtime.h) no thief exists, and the CASes are plain stores.
//
// Runnext-only dance: ready into an empty runnext with both queues empty wakes nobody. The readier
// usually parks soon, and waking a thread for each message costs more than the message. It sets
// sched.lazywake, and sysmon, which then ticks at its fastest, wakes a P if runnext is still there a
// tick later while the same goroutine runs. models/runnext.pml shows that nothing stays behind.
#include "runq.h"

// ---- the queues of a P ----

// runqputslow moves half of the full ring and gp to the global queue. Owner only.
static bool
runqputslow(struct p *pp, struct g *gp, uint32_t h, uint32_t t)
{
	struct gqueue q = {NULL, NULL};
	struct g *batch[NRUNQ / 2];
	uint32_t n = (t - h) / 2;
	if (n != NRUNQ / 2)
		runtime_throw("runqputslow: queue is not full");
	for (uint32_t i = 0; i < n; i++)
		batch[i] = atomic_loadrlx(&pp->runq[(h + i) % NRUNQ]);
	// Release: the slots have been read before they may be reused; pairs with loads in runqput.
	if (!atomic_cas_acqrel(&pp->runqhead, h, h + n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		batch[i]->schedlink = i + 1 < n ? batch[i + 1] : gp;
	}
	gp->schedlink = NULL;
	q.head = batch[0];
	q.tail = gp;
	runtime_lock(&sched.lock);
	runtime_globrunqputbatch(&q, (int32_t)n + 1);
	runtime_unlock(&sched.lock);
	return true;
}

// runqput puts gp on pp's ring, or in runnext, kicking the one that was there to the ring's end.
// Owner only.
void
runtime_runqput(struct p *pp, struct g *gp, bool next)
{
	if (next && !perturb(2)) {
		struct g *old;
		old = atomic_loadrlx(&pp->runnext);
		if (old == NULL || sched.solo) {
			// Only we put something there: an empty one stays empty. Release: gp's state is
			// visible to the thief who takes it.
			atomic_storerel(&pp->runnext, gp);
		} else {
			old = atomic_xchg(&pp->runnext, gp); // a thief may take old at this moment
		}
		if (old == NULL)
			return;
		gp = old;
	}
	for (;;) {
		// Acquire: thieves have read the slots before head that we are to reuse.
		uint32_t h = atomic_loadacq(&pp->runqhead), t = pp->runqtail;
		if (likely(t - h < NRUNQ)) {
			atomic_storerlx(&pp->runq[t % NRUNQ], gp);
			atomic_storerel(&pp->runqtail, t + 1); // pairs with the acquire in runqgrab
			return;
		}
		if (runqputslow(pp, gp, h, t))
			return;
	}
}

// newqsteal takes the oldest of pp's deque; anybody may call. *retry: somebody else was quicker.
struct g *
runtime_newqsteal(struct p *pp, bool *retry)
{
	uint32_t top = atomic_loadacq(&pp->newqtop);
	// Pairs with the fence in newqget: either it sees our top, or we see its bottom.
	atomic_fence();
	uint32_t b = atomic_loadacq(&pp->newqbottom);
	if ((int32_t)(b - top) <= 0)
		return NULL;
	struct g *gp = atomic_loadrlx(&pp->newq[top % NNEWQ]);
	if (!atomic_cas(&pp->newqtop, top, top + 1)) {
		*retry = true;
		return NULL;
	}
	return gp;
}

// newqoldest takes the oldest, whose turn it is. Owner only.
struct g *
runtime_newqoldest(struct p *pp)
{
	atomic_storerlx(&pp->oldest, 0);
	for (bool retry = true; retry;) {
		retry = false;
		struct g *gp = runtime_newqsteal(pp, &retry);
		if (gp != NULL)
			return gp;
	}
	return NULL;
}

// newqputslow moves the older half of the full deque to the global queue. Owner only.
void
runtime_newqputslow(struct p *pp)
{
	struct gqueue q = {NULL, NULL};
	int32_t n = 0;
	for (bool retry = false; n < NNEWQ / 2; n++) {
		struct g *gp = runtime_newqsteal(pp, &retry);
		if (gp == NULL)
			break; // thieves make room as well
		gqueueput(&q, gp);
	}
	if (n == 0)
		return;
	runtime_lock(&sched.lock);
	runtime_globrunqputbatch(&q, n);
	runtime_unlock(&sched.lock);
}

struct g *
runtime_runqget(struct p *pp, bool *inherittime)
{
	return runqget(pp, inherittime);
}

// runqempty tells whether pp has nothing to run. Anybody may call; a snapshot that never misses a
// goroutine: the order of the loads and the second look at the tail guard against one being moved
// from runnext to the ring meanwhile.
bool
runtime_runqempty(struct p *pp)
{
	for (;;) {
		uint32_t h = atomic_loadacq(&pp->runqhead), t = atomic_loadacq(&pp->runqtail);
		struct g *next = atomic_loadacq(&pp->runnext);
		uint32_t top = atomic_loadacq(&pp->newqtop), b = atomic_loadacq(&pp->newqbottom);
		if (t == atomic_loadacq(&pp->runqtail))
			return h == t && next == NULL && (int32_t)(b - top) <= 0;
	}
}

uint32_t
runtime_runqlen(struct p *pp)
{
	uint32_t n = atomic_loadacq(&pp->runqtail) - atomic_loadacq(&pp->runqhead);
	int32_t m = (int32_t)(atomic_loadacq(&pp->newqbottom) - atomic_loadacq(&pp->newqtop));
	return n + (m > 0 ? (uint32_t)m : 0) + (atomic_loadacq(&pp->runnext) != NULL);
}

// runqgrab copies half of p2's ring, or its runnext if there is nothing else and stealrunnext, to
// batch, whose slots start at batchhead. Anybody may call.
static uint32_t
runqgrab(struct p *p2, struct g **batch, uint32_t batchhead, bool stealrunnext)
{
	for (;;) {
		// Acquire, twice: pairs with the release stores of runqput and of other thieves.
		uint32_t h = atomic_loadacq(&p2->runqhead), t = atomic_loadacq(&p2->runqtail);
		uint32_t n = t - h;
		n -= n / 2;
		if (n == 0) {
			struct g *next;
			if (!(stealrunnext || perturb(4)) || (next = atomic_loadacq(&p2->runnext)) == NULL)
				return 0;
			if (atomic_loadacq(&p2->status) == Prunning && !perturb(2)) {
				// p2 is about to run it, unless the one it runs goes on for long. Back
				// off for as long as a pair of messages takes, then look again; it must
				// be the same goroutine in the same slot of the same turn.
				uint32_t tick = atomic_loadrlx(&p2->schedtick);
				runtime_usleep(3);
				if (atomic_loadrlx(&p2->schedtick) != tick)
					return 0;
			}
			if (!atomic_cas_acqrel(&p2->runnext, next, NULL))
				continue;
			atomic_storerlx(&batch[batchhead % NRUNQ], next);
			return 1;
		}
		if (n > NRUNQ / 2)
			continue; // h and t are not of one moment
		for (uint32_t i = 0; i < n; i++)
			atomic_storerlx(&batch[(batchhead + i) % NRUNQ], atomic_loadrlx(&p2->runq[(h + i) % NRUNQ]));
		if (atomic_cas_acqrel(&p2->runqhead, h, h + n))
			return n;
	}
}

// runqsteal takes half of what p2 has, and returns one of it to run; the rest is on pp's queues.
// pp's owner only.
struct g *
runtime_runqsteal(struct p *pp, struct p *p2, bool stealrunnext)
{
	// New ones first: each stands for a whole subtree of work.
	int32_t n = (int32_t)(atomic_loadacq(&p2->newqbottom) - atomic_loadacq(&p2->newqtop));
	struct g *first = NULL;
	for (int32_t i = 0, want = n - n / 2; i < want && i < NRUNQ / 2; i++) {
		bool retry = false;
		struct g *gp = runtime_newqsteal(p2, &retry);
		if (gp == NULL)
			break;
		if (first == NULL)
			first = gp;
		else
			newqput(pp, gp);
	}
	if (first != NULL)
		return first;
	uint32_t t = pp->runqtail;
	uint32_t got = runqgrab(p2, pp->runq, t, stealrunnext);
	if (got == 0)
		return NULL;
	got--;
	struct g *gp = atomic_loadrlx(&pp->runq[(t + got) % NRUNQ]);
	if (got == 0)
		return gp;
	if (t - atomic_loadacq(&pp->runqhead) + got >= NRUNQ)
		runtime_throw("runqsteal: runq overflow");
	atomic_storerel(&pp->runqtail, t + got); // pairs with the acquire in runqgrab
	return gp;
}

// runqdrain moves all that pp has to the global queue. The world is stopped, or pp is ours and dies.
void
runtime_runqdrain(struct p *pp)
{
	struct gqueue q = {NULL, NULL};
	int32_t n = 0;
	bool inherit;
	for (struct g *gp; (gp = runtime_runqget(pp, &inherit)) != NULL; n++) {
		gqueueput(&q, gp);
	}
	if (n > 0)
		runtime_globrunqputbatch(&q, n);
}

// ---- the global queue; sched.lock is held ----

void
runtime_globrunqput(struct g *gp)
{
	HELD(&sched.lock);
	gqueueput(&sched.runq, gp);
	atomic_storerlx(&sched.runqsize, sched.runqsize + 1);
}

// globrunqputbatch appends a list of n.
void
runtime_globrunqputbatch(struct gqueue *q, int32_t n)
{
	HELD(&sched.lock);
	if (sched.runq.tail != NULL)
		sched.runq.tail->schedlink = q->head;
	else
		sched.runq.head = q->head;
	sched.runq.tail = q->tail;
	atomic_storerlx(&sched.runqsize, sched.runqsize + n);
}

// globrunqget takes one to run: from the bound queue by turns, or else with pp's fair share of the rest
// (at most max in all, 0: no limit but the share) onto pp's ring. A bound one's thread must run it
// (schedule).
struct g *
runtime_globrunqget(struct p *pp, int32_t max)
{
	HELD(&sched.lock);
	if (sched.nbound > 0) {
		sched.boundfirst = !sched.boundfirst;
		if (sched.boundfirst || sched.runq.head == NULL)
			return runtime_boundget();
	}
	int32_t size = sched.runqsize - sched.nbound;
	if (size == 0)
		return NULL;
	int32_t n = size / sched.gomaxprocs + 1;
	if (n > size)
		n = size;
	if (max > 0 && n > max)
		n = max;
	if (n > NRUNQ / 2)
		n = NRUNQ / 2;
	atomic_storerlx(&sched.runqsize, sched.runqsize - n);
	struct g *first = NULL;
	uintptr_t was = 0;
	for (int32_t i = 0; i < n; i++) {
		struct g *gp = gqueueget(&sched.runq);
		fetchstride(gp, &was);
		fetchframe(gp);
		if (first == NULL) {
			first = gp;
			continue;
		}
		// Room is certain: the caller's ring is empty, or max is 1.
		runtime_runqput(pp, gp, false);
	}
	return first;
}

// boundput puts gp on the bound queue: only mp can run it, until unbind. It returns whether gp was bound
// before.
bool
runtime_boundput(struct m *mp, struct g *gp)
{
	HELD(&sched.lock);
	bool bound = gp->lockedm != NULL;
	gp->lockedm = mp;
	mp->lockedg = gp;
	gqueueput(&sched.boundq, gp);
	atomic_storerlx(&sched.nbound, sched.nbound + 1);
	atomic_storerlx(&sched.runqsize, sched.runqsize + 1);
	return bound;
}

// unbind undoes boundput, when gp has its p: it is mp's, and nobody looks.
void
runtime_unbind(struct m *mp, struct g *gp, bool bound)
{
	if (bound)
		return;
	gp->lockedm = NULL;
	mp->lockedg = NULL;
}

// boundget takes the goroutine whose thread has waited longest for a p.
struct g *
runtime_boundget(void)
{
	HELD(&sched.lock);
	struct g *gp = gqueueget(&sched.boundq);
	atomic_storerlx(&sched.nbound, sched.nbound - 1);
	atomic_storerlx(&sched.runqsize, sched.runqsize - 1);
	return gp;
}

// runq_check throws if pp's queues contradict themselves. Owner only.
void
runtime_runq_check(struct p *pp)
{
	if (pp->runqtail - atomic_loadacq(&pp->runqhead) > NRUNQ)
		runtime_throw("runq: head passed tail");
	if ((int32_t)(pp->newqbottom - atomic_loadacq(&pp->newqtop)) < -1)
		runtime_throw("newq: top passed bottom");
}
