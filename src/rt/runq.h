// SPDX-License-Identifier: BSD-3-Clause
// runq.h: the queues of a P, what of them is in the path of every switch and go statement. runq.c has the
// picture and the rest. All of it is the owner's only.
#ifndef RT0_RT_RUNQ_H
#define RT0_RT_RUNQ_H

#include "../runtime.h"

#pragma GCC visibility push(hidden)

struct g *runtime_newqsteal(struct p *pp, bool *retry);
struct g *runtime_newqoldest(struct p *pp);
void runtime_newqputslow(struct p *pp);

#pragma GCC visibility pop

// newqput puts a goroutine that has not run yet on pp's deque, and returns how many are there.
static inline int32_t
newqput(struct p *pp, struct g *gp)
{
	for (;;) {
		uint32_t b = pp->newqbottom;
		// Acquire: a thief has read the slot before top that we are to reuse.
		uint32_t n = b - atomic_loadacq(&pp->newqtop);
		if (likely(n < NNEWQ)) {
			atomic_storerlx(&pp->newq[b % NNEWQ], gp);
			atomic_storerel(&pp->newqbottom, b + 1); // pairs with the acquire in newqsteal
			return (int32_t)n + 1;
		}
		runtime_newqputslow(pp);
	}
}

// newqget takes the newest.
static inline struct g *
newqget(struct p *pp)
{
	uint32_t b = pp->newqbottom;
	uint32_t top = atomic_loadrlx(&pp->newqtop);
	if ((int32_t)(b - top) <= 0)
		return NULL; // thieves only make it emptier
	b--;
	atomic_storerlx(&pp->newqbottom, b);
	if (sched.solo)
		return pp->newq[b % NNEWQ];
	// Our bottom is out before we read top: pairs with the fence in newqsteal.
	atomic_fence();
	top = atomic_loadrlx(&pp->newqtop);
	struct g *gp = NULL;
	if ((int32_t)(b - top) >= 0) {
		gp = atomic_loadrlx(&pp->newq[b % NNEWQ]);
		if (b != top)
			return gp;
		// The last one: a thief may want it too.
		if (!atomic_cas(&pp->newqtop, top, top + 1))
			gp = NULL;
	}
	atomic_storerlx(&pp->newqbottom, b + 1);
	return gp;
}

static inline struct g *
fifoget(struct p *pp)
{
	for (;;) {
		uint32_t h = atomic_loadacq(&pp->runqhead), t = pp->runqtail;
		if (t == h)
			return NULL;
		struct g *gp = atomic_loadrlx(&pp->runq[h % NRUNQ]);
		if (sched.solo) {
			atomic_storerlx(&pp->runqhead, h + 1);
			return gp;
		}
		// Release: the slot is read before it may be reused.
		if (atomic_casrel(&pp->runqhead, h, h + 1))
			return gp;
	}
}

// runqget takes the next goroutine from pp's queues. *inherittime: it runs in the rest of the
// current slice.
static inline __attribute__((always_inline)) struct g *
runqget(struct p *pp, bool *inherittime)
{
	struct g *next = atomic_loadrlx(&pp->runnext), *gp;
	*inherittime = false;
#if RT0_DEBUG >= 2
	runtime_runq_check(pp);
#endif
	if (next != NULL) {
		// Only the owner sets runnext: a failed CAS means that a thief has taken it.
		if (sched.solo) {
			atomic_storerlx(&pp->runnext, NULL);
			*inherittime = true;
			return next;
		}
		if (atomic_cas_acqrel(&pp->runnext, next, NULL)) {
			*inherittime = true;
			return next;
		}
	}
	if (unlikely(atomic_loadrlx(&pp->oldest) != 0) || perturb(4)) {
		gp = runtime_newqoldest(pp);
		if (gp != NULL)
			return gp;
	}
	if (unlikely(pp->due > 0)) {
		pp->due--;
		if ((gp = fifoget(pp)) != NULL)
			return gp;
	}
	// By turns, so that neither those that yield nor those that spawn have it all.
	int32_t n = (int32_t)(pp->newqbottom - atomic_loadrlx(&pp->newqtop));
	uint32_t turn = n >= NEWQDEEP / 2 ? 15 : 1;
	if (pp->runqtail != atomic_loadrlx(&pp->runqhead) && (n <= 0 || (pp->schedtick & turn) == turn)) {
		gp = fifoget(pp);
		return gp != NULL ? gp : newqget(pp);
	}
	gp = newqget(pp);
	return gp != NULL ? gp : fifoget(pp);
}

// gfpush puts a dead goroutine on pp's list.
static inline void
gfpush(struct p *pp, struct g *gp)
{
	int32_t n = pp->ngfree;
	pp->gfree[n] = gp;
	atomic_storerlx(&pp->ngfree, n + 1); // read by gcount
}

#endif
