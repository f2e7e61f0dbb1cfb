// SPDX-License-Identifier: BSD-3-Clause
// pool.c: Pool: objects kept per processor, and what ages them.
//
// A part belongs to a processor. private is a slot for one object. Anybody may empty it, by exchange; only who holds the
// processor fills it, and so with a plain store, since nobody loses his processor in the runtime's code: get and put
// in turn cost one locked instruction. What is more, and what comes from threads without a processor and from
// processors without a part (more than there were at the first use), goes to a part's stack, under its lock. Who finds
// both empty takes from the other parts, then from what is old.
//
// Age. Go empties its pools as the collector runs: the objects become the victims, the victims go. Here a
// generation lasts a second of use (AGE_NS): every 64th put to a part looks at the clock. Who finds that it is over
// makes the objects of all parts victims, and frees those that were. No timer, since a timer that is set keeps
// a deadlock from being found; no work in a pool that is not used.
//
// The part's lock is a leaf: nothing is allocated, freed or called under it.
#include "../runtime.h"

enum { BLOCK = 62, AGEPUTS = 64 };
#define AGE_NS SEC

struct block {
	struct block *next;
	uint64_t n;
	void *obj[BLOCK];
};

struct part {
	void *private;        // atomic; made non-NULL by the processor's holder only
	struct mutex lock;
	struct block *blocks; // lock; the first is full in part, those behind it in full
	struct block *spare;  // lock; empty, lest a pool that swings about a block's end allocates
	void *victim;         // atomic: what private was
	struct block *old;    // lock: what blocks was
	uint32_t nput;        // atomic, approximate
} __attribute__((aligned(64)));

struct rt0_poolparts {
	uint32_t n;
	uint32_t aging; // atomic: 1 while somebody changes generations
	int64_t since;  // atomic: ns, when this generation began
	struct part *part;
	void *mem; // what part lies in
};

static struct rt0_poolparts *
makeparts(rt0_pool *p)
{
	int32_t n = sched.ncpu;
	if (n < atomic_loadrlx(&sched.gomaxprocs))
		n = atomic_loadrlx(&sched.gomaxprocs);
	struct rt0_poolparts *pp = rt0_alloc(sizeof *pp, 0);
	pp->n = (uint32_t)n;
	pp->mem = rt0_alloc(pp->n * sizeof(struct part) + 64, 0);
	pp->part = (struct part *)alignup((uintptr_t)pp->mem, 64);
	pp->since = runtime_nanotime();
	struct rt0_poolparts *none = NULL;
	// Release: pairs with the acquire in parts.
	if (__atomic_compare_exchange_n(&p->parts, &none, pp, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return pp;
	rt0_free(pp->mem);
	rt0_free(pp);
	return none;
}

static inline struct rt0_poolparts *
parts(rt0_pool *p)
{
	struct rt0_poolparts *pp = atomic_loadacq(&p->parts);
	return likely(pp != NULL) ? pp : makeparts(p);
}

// here is the number of the caller's processor, or something that is none.
static inline uint32_t
here(void)
{
	struct g *gp = getg();
	struct p *p = likely(gp != NULL) ? atomic_loadrlx(&gp->m->p) : NULL;
	return likely(p != NULL) ? (uint32_t)p->id : UINT32_MAX;
}

// takefrom takes an object from slot or, if it is empty, from the stack at *blocks, of part l.
static inline void *
takefrom(struct part *l, void **slot, struct block **blocks)
{
	void *obj = NULL;
	if (atomic_loadrlx(slot) != NULL)
		obj = atomic_xchg(slot, NULL); // acquire: pairs with the release in put
	if (obj != NULL || atomic_loadrlx(blocks) == NULL)
		return obj;
	struct block *empty = NULL;
	runtime_lock(&l->lock);
	struct block *b = *blocks;
	if (b != NULL) {
		obj = b->obj[--b->n];
		if (b->n == 0) {
			atomic_storerlx(blocks, b->next);
			empty = b;
			if (l->spare == NULL) {
				l->spare = b;
				empty = NULL;
			}
		}
	}
	runtime_unlock(&l->lock);
	if (empty != NULL)
		rt0_free(empty);
	return obj;
}

// freeblocks frees the objects in b and the blocks behind it.
static void
freeblocks(rt0_pool *p, struct block *b)
{
	while (b != NULL) {
		struct block *next = b->next;
		for (uint64_t i = 0; p->free != NULL && i < b->n; i++)
			p->free(b->obj[i], p->arg);
		rt0_free(b);
		b = next;
	}
}

// age begins a generation.
static void
age(rt0_pool *p, struct rt0_poolparts *pp)
{
	// Two at once would make victims of what has just been put.
	if (atomic_xchgacq(&pp->aging, 1) != 0)
		return;
	atomic_storerlx(&pp->since, runtime_nanotime());
	for (uint32_t i = 0; i < pp->n; i++) {
		struct part *l = &pp->part[i];
		runtime_lock(&l->lock);
		struct block *gone = l->old;
		atomic_storerlx(&l->old, l->blocks);
		atomic_storerlx(&l->blocks, NULL);
		runtime_unlock(&l->lock);
		void *obj = atomic_xchg(&l->victim, atomic_xchg(&l->private, NULL));
		if (obj != NULL && p->free != NULL)
			p->free(obj, p->arg);
		freeblocks(p, gone);
	}
	atomic_storerel(&pp->aging, 0);
}

void *
rt0_pool_get(rt0_pool *p)
{
	struct rt0_poolparts *pp = parts(p);
	uint32_t at = here();
	if (unlikely(at >= pp->n))
		at %= pp->n;
	for (uint32_t i = 0; i < pp->n; i++) {
		struct part *l = &pp->part[(at + i) % pp->n];
		void *obj = takefrom(l, &l->private, &l->blocks);
		if (obj != NULL)
			return obj;
	}
	for (uint32_t i = 0; i < pp->n; i++) {
		struct part *l = &pp->part[(at + i) % pp->n];
		void *obj = takefrom(l, &l->victim, &l->old);
		if (obj != NULL)
			return obj;
	}
	return p->make != NULL ? p->make(p->arg) : NULL;
}

static NOINLINE void
putslow(struct part *l, void *obj)
{
	for (struct block *fresh = NULL;;) {
		runtime_lock(&l->lock);
		struct block *b = l->blocks;
		if (b == NULL || b->n == BLOCK) {
			struct block *next = b;
			b = fresh != NULL ? fresh : l->spare;
			if (b == NULL) {
				runtime_unlock(&l->lock);
				fresh = rt0_alloc(sizeof *fresh, 0);
				continue;
			}
			if (b == l->spare)
				l->spare = NULL;
			fresh = NULL;
			b->next = next;
			b->n = 0;
			atomic_storerlx(&l->blocks, b);
		}
		b->obj[b->n++] = obj;
		runtime_unlock(&l->lock);
		if (fresh != NULL)
			rt0_free(fresh); // somebody made room meanwhile
		return;
	}
}

void
rt0_pool_put(rt0_pool *p, void *obj)
{
	if (obj == NULL)
		return;
	struct rt0_poolparts *pp = parts(p);
	uint32_t at = here();
	struct part *l = &pp->part[likely(at < pp->n) ? at : at % pp->n];
	uint32_t n = atomic_loadrlx(&l->nput) + 1;
	atomic_storerlx(&l->nput, n);
	if (likely(at < pp->n) && atomic_loadrlx(&l->private) == NULL)
		atomic_storerel(&l->private, obj); // pairs with the acquire in takefrom
	else
		putslow(l, obj);
	if (unlikely(n % AGEPUTS == 0) && runtime_nanotime() - atomic_loadrlx(&pp->since) > AGE_NS)
		age(p, pp);
}

void
rt0_pool_age(rt0_pool *p)
{
	struct rt0_poolparts *pp = atomic_loadacq(&p->parts);
	if (pp != NULL)
		age(p, pp);
}

void
rt0_pool_drain(rt0_pool *p)
{
	struct rt0_poolparts *pp = atomic_loadacq(&p->parts);
	for (uint32_t i = 0; pp != NULL && i < pp->n; i++) {
		struct part *l = &pp->part[i];
		runtime_lock(&l->lock);
		struct block *b = l->blocks, *old = l->old, *spare = l->spare;
		atomic_storerlx(&l->blocks, NULL);
		atomic_storerlx(&l->old, NULL);
		l->spare = NULL;
		runtime_unlock(&l->lock);
		void *obj[] = {atomic_xchg(&l->private, NULL), atomic_xchg(&l->victim, NULL)};
		for (int k = 0; k < 2; k++)
			if (obj[k] != NULL && p->free != NULL)
				p->free(obj[k], p->arg);
		freeblocks(p, b);
		freeblocks(p, old);
		rt0_free(spare);
	}
}

void
rt0_pool_destroy(rt0_pool *p)
{
	rt0_pool_drain(p);
	struct rt0_poolparts *pp = p->parts;
	p->parts = NULL;
	if (pp != NULL) {
		rt0_free(pp->mem);
		rt0_free(pp);
	}
}
