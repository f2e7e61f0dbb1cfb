// SPDX-License-Identifier: BSD-3-Clause
// mcache.c: the cache of a P: two magazines and a fresh span for each span class.
//
// One magazine is in use, the other is full or not there. When both are full, one goes back to
// the spans; so between two visits to a lock lie a magazine's worth of calls, whatever the mix of
// mallocs and frees. Magazines are bounded in bytes and objects (class_to_magazine).
//
// Only the owner touches a cache: the m that has the p, with m.locks held so that it cannot lose
// it. Caches are never unmapped; one without an owner keeps its counts and waits for the next.
#include "mheap.h"

// runtime_mcache_refill gets free or fresh objects of spc; false: no memory.
bool
runtime_mcache_refill(struct mcache *c, unsigned spc)
{
	struct mcachelist *l = &c->list[spc];

	if (l->spare != NULL) {
		l->head = l->spare;
		l->n = l->nspare;
		l->spare = NULL;
		l->nspare = 0;
		return true;
	}
	struct mspan *s = l->s;
	if (s != NULL) {
		l->s = NULL;
		runtime_mcentral_uncache(s);
	}
	l->s = runtime_mcentral_take(spc, &l->head, &l->n);
	if (l->s != NULL || l->head != NULL)
		return true;

	unsigned npages = spc == TINYSPANCLASS ? 1 : class_to_allocnpages[spc / 2];
	s = runtime_mheap_alloc(npages, spc);
	if (s == NULL)
		return false;
	s->cached = 1; // nobody else knows it yet
	l->s = s;
	return true;
}

// runtime_mcache_overflow makes room for a free object: the magazine in use is full.
void
runtime_mcache_overflow(struct mcache *c, unsigned spc)
{
	struct mcachelist *l = &c->list[spc];
	void *old = l->spare;

	l->spare = l->head;
	l->nspare = l->n;
	l->head = NULL;
	l->n = 0;
	if (old != NULL)
		runtime_mcentral_put(spc, old);
}

// runtime_allocmcache makes a cache for a p. The first p gets the one that boot has warmed.
struct mcache *
runtime_allocmcache(void)
{
	runtime_lock(&mheap.noplock);
	struct mcache *c = mheap.nopcache;
	if (c != NULL && c->all == NULL) { // the oldest: boot's
		mheap.nopcache = NULL;
		c->nop = false;
		runtime_unlock(&mheap.noplock);
		return c;
	}
	runtime_unlock(&mheap.noplock);

	runtime_lock(&mheap.lock);
	c = mheap.freecaches;
	if (c != NULL) {
		mheap.freecaches = c->next;
		c->next = NULL;
	} else {
		c = runtime_fixalloc(&mheap.cachealloc);
		if (c == NULL)
			runtime_throw("runtime: cannot allocate memory");
		c->all = mheap.allcaches;
		// Release: pairs with the acquire in runtime_readmemstats.
		atomic_storerel(&mheap.allcaches, c);
	}
	runtime_unlock(&mheap.lock);
	return c;
}

static void
flush(struct mcache *c)
{
	if (c->tiny != 0) {
		// The half that was never used is freed like one that was.
		void *half = (void *)c->tiny;
		c->tiny = 0;
		runtime_tinyfree(c, spanOf((uintptr_t)half), half);
	}
	for (unsigned spc = 0; spc < NSPANCLASS; spc++) {
		struct mcachelist *l = &c->list[spc];
		if (l->head != NULL)
			runtime_mcentral_put(spc, l->head);
		if (l->spare != NULL)
			runtime_mcentral_put(spc, l->spare);
		if (l->s != NULL)
			runtime_mcentral_uncache(l->s);
		l->head = l->spare = NULL;
		l->n = l->nspare = 0;
		l->s = NULL;
	}
}

void
runtime_freemcache(struct mcache *c)
{
	flush(c);
	runtime_lock(&mheap.lock);
	c->next = mheap.freecaches;
	mheap.freecaches = c;
	runtime_unlock(&mheap.lock);
}

// runtime_nopcache is the cache for an m without a p, or a thread without an m. It comes locked.
struct mcache *
runtime_nopcache(void)
{
	runtime_lock(&mheap.noplock);
	if (unlikely(mheap.nopcache == NULL)) {
		// Under noplock: MCACHE0 comes before HEAP.
		runtime_lock(&mheap.lock);
		struct mcache *c = runtime_fixalloc(&mheap.cachealloc);
		if (c != NULL) {
			c->nop = true;
			c->all = mheap.allcaches;
			atomic_storerel(&mheap.allcaches, c); // as in runtime_allocmcache
			mheap.nopcache = c;
		}
		runtime_unlock(&mheap.lock);
		if (c == NULL)
			runtime_throw("runtime: cannot allocate memory");
	}
	return mheap.nopcache;
}

// ---- Statistics: sums over all caches there ever were ----

static void
addup(struct mcache *c, uint64_t *nmalloc, uint64_t *nfree, uint64_t *bytes)
{
	uint64_t n = atomic_loadrlx(&c->ntiny);

	*nmalloc += n + atomic_loadrlx(&c->nlarge);
	*nfree += atomic_loadrlx(&c->ntinyfree) + atomic_loadrlx(&c->nlargefree);
	*bytes += n * TINYSIZE + atomic_loadrlx(&c->largebytes);
	for (unsigned spc = 2; spc < TINYSPANCLASS; spc++) {
		n = atomic_loadrlx(&c->list[spc].nmalloc);
		*nmalloc += n;
		*nfree += atomic_loadrlx(&c->list[spc].nfree);
		*bytes += n * spanelemsize(spc);
	}
}

// runtime_readmemstats may be called anywhere; the figures are of slightly different moments
// unless the world is stopped.
void
runtime_readmemstats(struct memstats *out)
{
	uint64_t *from = (uint64_t *)&memstats, *to = (uint64_t *)out;

	static_assert(sizeof(struct memstats) % sizeof(uint64_t) == 0, "memstats is all uint64_t");
	for (size_t i = 0; i < sizeof(struct memstats) / sizeof(uint64_t); i++)
		to[i] = atomic_loadrlx(&from[i]);
	out->nmalloc = out->nfree = out->total_alloc = 0;
	for (struct mcache *c = atomic_loadacq(&mheap.allcaches); c != NULL; c = c->all)
		addup(c, &out->nmalloc, &out->nfree, &out->total_alloc);
}

void
runtime_mallocstats_p(struct p *pp, uint64_t *bytes, uint64_t *allocs)
{
	uint64_t nfree = 0;

	*bytes = *allocs = 0;
	if (pp->mcache != NULL)
		addup(pp->mcache, allocs, &nfree, bytes);
}
