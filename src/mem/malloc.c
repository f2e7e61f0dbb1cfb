// SPDX-License-Identifier: BSD-3-Clause
// malloc.c: mallocgc and free: the fast paths, tiny and large objects, what to say when it fails.
//
// Sizes up to 8 without pointers share a 16-byte block (tiny); up to 32 KiB come from the cache
// of this P (mheap.h has the picture); larger ones are spans of their own. Objects of 16 bytes
// and more are aligned to 16, smaller ones to 8.
//
// From enter to leave the m cannot be preempted or lose its p, and so owns the cache. Nothing in
// between may allocate: "malloc deadlock".
//
// Fits the collector to come: whether an object holds pointers is known by its span; spans and
// their tables lie outside the heap; a free object is known by its cookie, so that an address
// found by accident does not keep it.
#include "mheap.h"

// What an allocation of no bytes returns. Nobody writes there; free ignores it.
static _Alignas(16) uint8_t zerobase[16];

typedef long long vec16 __attribute__((vector_size(16), aligned(8), may_alias));
typedef uintptr_t word __attribute__((may_alias));

// ---- Owning a cache ----

// tryenter returns the cache of this m's p, now ours; NULL: there is none, and we entered nothing.
// The barriers keep the compiler from moving the cache's fields out of the region in which a
// signal handler of this thread finds locks > 0.
static inline struct mcache *
tryenter(struct m *mp)
{
	if (unlikely(mp == NULL))
		return NULL;
	if (unlikely(mp->mallocing != 0))
		runtime_throw("malloc deadlock");
	mp->locks++;
	mp->mallocing = 1;
	compiler_barrier();
	struct p *pp = mp->p;
	if (likely(pp != NULL && pp->mcache != NULL))
		return pp->mcache;
	mp->mallocing = 0;
	mp->locks--;
	return NULL;
}

static inline void
tryleave(struct m *mp)
{
	compiler_barrier();
	mp->mallocing = 0;
	mp->locks--;
}

static inline struct m *
thism(void)
{
	struct g *gp = getg();

	return likely(gp != NULL) ? gp->m : NULL;
}

// enter is tryenter for the slow paths: an m without a p takes the shared cache and its lock.
static struct mcache *
enter(void)
{
	struct m *mp = thism();
	struct mcache *c = tryenter(mp);

	if (c != NULL)
		return c;
	runtime_mallocinit();
	if (mp != NULL && mp->p != NULL) {
		// The first allocation on this p.
		mp->locks++;
		mp->p->mcache = runtime_allocmcache();
		mp->locks--;
		return tryenter(mp);
	}
	c = runtime_nopcache();
	if (mp != NULL)
		mp->mallocing = 1;
	return c;
}

static void
leave(struct mcache *c)
{
	struct m *mp = thism();

	if (!c->nop) {
		tryleave(mp);
		return;
	}
	if (mp != NULL)
		mp->mallocing = 0;
	runtime_unlock(&mheap.noplock);
}

// ---- Small objects ----

// badlink and badfree leave c first (NULL: was not entered), since a traceback may allocate.
static RT0_NORETURN NOINLINE void
badlink(struct mcache *c, void *v)
{
	leave(c);
	runtime_print("runtime: free object %p was written to\n", v);
	runtime_throw("write after free");
}

// fresh takes the next object that was never in use; NULL: the span has none, or there is none.
static inline word *
fresh(struct mcachelist *l, bool *needzero)
{
	struct mspan *s = l->s;

	if (s == NULL)
		return NULL;
	uintptr_t v = s->bump;
	if (v >= s->limit)
		return NULL;
	// Relaxed: who frees the object heard of it from somebody, and then sees this.
	atomic_storerlx(&s->bump, v + s->elemsize);
	*needzero = s->needzero;
	return (word *)v;
}

// next takes an object of spc out of c; NULL: no memory. Its two words may be set.
static word *
next(struct mcache *c, unsigned spc, bool *needzero)
{
	struct mcachelist *l = &c->list[spc];
	word *v = l->head;

	if (v == NULL) {
		v = fresh(l, needzero);
		if (v != NULL || !runtime_mcache_refill(c, spc))
			return v;
		v = l->head;
		if (v == NULL)
			return fresh(l, needzero);
	}
	if (unlikely(v[1] != cookieof((uintptr_t)v)))
		badlink(c, v);
	l->head = (void *)v[0];
	l->n--;
	return v;
}

// clear zeroes n bytes, a multiple of 16. Small objects get overlapping stores from both ends,
// which takes a branch for each doubling; a plain loop the compiler would make a string
// instruction of.
static inline void
clear(void *p, size_t n)
{
	const vec16 zero = {0, 0};
	vec16 *v = p, *end = (vec16 *)((char *)p + n);

	if (unlikely(n > 256)) {
		runtime_memclr(p, n);
		return;
	}
	v[0] = end[-1] = zero;
	if (n <= 32)
		return;
	v[1] = end[-2] = zero;
	if (n <= 64)
		return;
	v[2] = v[3] = end[-3] = end[-4] = zero;
	if (n <= 128)
		return;
	v[4] = v[5] = v[6] = v[7] = zero;
	end[-5] = end[-6] = end[-7] = end[-8] = zero;
}

static inline bool
isfull(struct mcachelist *l, unsigned spc)
{
	return l->n >= class_to_magazine[spc == TINYSPANCLASS ? 2 : spc / 2];
}

// put makes v, an object of s that was checked, a free object on l, where there is room.
static inline void
put(struct mcachelist *l, struct mspan *s, word *v)
{
	__asan_unpoison_memory_region(v, s->elemsize);
#if RT0_DEBUG
	for (uintptr_t i = 2; i < s->elemsize / sizeof *v; i++)
		v[i] = 0xdeaddeaddeaddead;
#endif
	__asan_poison_memory_region(v + 2, s->elemsize - 2 * sizeof *v);
	v[0] = (uintptr_t)l->head;
	v[1] = cookieof((uintptr_t)v);
	l->head = v;
	l->n++;
	(void)s;
}

// init makes the free or fresh object v one of size bytes, of class.
static inline void
init(word *v, size_t size, unsigned class, bool zero)
{
	size_t n = class_to_size[class];

	__asan_unpoison_memory_region(v, n);
	if (zero)
		clear(v, n);
	else
		v[1] = 0; // old bytes may hold an old cookie
	__asan_poison_memory_region((char *)v + size, n - size);
	(void)size;
}

// ---- Tiny objects ----

// tinyalloc returns half a block, zeroed. The byte of the block in span.tiny says which halves
// are free; a block of which none was taken yet looks as if both were in use, so that handing
// out the second half needs no atomic.
static inline void *
tinyalloc(struct mcache *c)
{
	word *v = (word *)c->tiny;

	if (v != NULL) {
		c->tiny = 0;
	} else {
		bool needzero;
		v = next(c, TINYSPANCLASS, &needzero);
		if (v == NULL)
			return NULL;
		struct mspan *s = spanOf((uintptr_t)v);
		// Plain would do: who frees a half was given it after this.
		atomic_storerlx(&s->tiny[((uintptr_t)v - s->base) / TINYBLOCK], 0);
		c->tiny = (uintptr_t)(v + 1);
	}
	v[0] = 0;
	count(&c->ntiny, 1);
	return v;
}

static RT0_NORETURN NOINLINE void
badfree(struct mcache *c, void *p, bool twice)
{
	if (c != NULL)
		leave(c);
	runtime_print("runtime: free of %p which is not the start of an allocated object%s\n", p,
	    twice ? " (freed twice?)" : "");
	runtime_throw("bad free");
}

// runtime_tinyfree frees half a block; c is the caller's own.
void
runtime_tinyfree(struct mcache *c, struct mspan *s, void *p)
{
	uintptr_t off = (uintptr_t)p - s->base;
	uint8_t half = 1 << (off / TINYSIZE & 1);

	if (off % TINYSIZE != 0 || (uintptr_t)p >= atomic_loadrlx(&s->bump))
		badfree(c, p, false);
	// Acquire and release: the two halves may be freed by two Ps; whoever comes second reuses
	// the block, after the other has finished with it.
	uint8_t old = atomic_or(&s->tiny[off / TINYBLOCK], half);
	if (old & half)
		badfree(c, p, true);
	if ((old | half) != 3)
		return;
	struct mcachelist *l = &c->list[TINYSPANCLASS];
	if (isfull(l, TINYSPANCLASS))
		runtime_mcache_overflow(c, TINYSPANCLASS);
	put(l, s, (word *)((uintptr_t)p & ~(TINYBLOCK - 1ul)));
}

// ---- Large objects ----

static void *
large(size_t size, bool noscan, bool zero)
{
	if (size > 1ul << 46)
		return NULL;
	struct mcache *c = enter();
	struct mspan *s = runtime_mheap_alloc((size + HEAPPAGE - 1) / HEAPPAGE, noscan);
	if (s != NULL) {
		count(&c->nlarge, 1);
		count(&c->largebytes, s->elemsize);
	}
	leave(c);
	if (s == NULL)
		return NULL;
	// Outside, so that clearing a gigabyte does not keep the p. Only we know the span.
	if (zero && s->needzero)
		runtime_memclr((void *)s->base, s->elemsize);
	return (void *)s->base;
}

// ---- The interface ----

static inline unsigned
classof(size_t size)
{
	if (likely(size <= SMALLSIZEMAX - 8))
		return size_to_class8[(size + SMALLSIZEDIV - 1) / SMALLSIZEDIV];
	return size_to_class128[(size - SMALLSIZEMAX + LARGESIZEDIV - 1) / LARGESIZEDIV];
}

// mallocfast takes a small object that lies ready in the cache of our p; else it returns NULL
// and has done nothing. A leaf function.
static inline void *
mallocfast(size_t size, bool noscan, bool zero)
{
	if (unlikely(size > MAXSMALLSIZE || size <= (noscan ? TINYSIZE : 0)))
		return NULL;
	unsigned class = classof(size);
	struct m *mp = thism();
	struct mcache *c = tryenter(mp);
	if (unlikely(c == NULL))
		return NULL;
	struct mcachelist *l = &c->list[class * 2 + noscan];
	word *v = l->head;
	if (unlikely(v == NULL || v[1] != cookieof((uintptr_t)v))) {
		tryleave(mp);
		return NULL;
	}
	l->head = (void *)v[0];
	l->n--;
	count(&l->nmalloc, 1);
	init(v, size, class, zero);
	tryleave(mp);
	return v;
}

// mallocslow does everything; NULL: no memory.
static NOINLINE void *
mallocslow(size_t size, bool noscan, bool zero)
{
	if (size == 0)
		return zerobase;
	if (size > MAXSMALLSIZE)
		return large(size, noscan, zero);
	struct mcache *c = enter();
	word *v;
	if (noscan && size <= TINYSIZE) {
		v = tinyalloc(c);
	} else {
		unsigned class = classof(size), spc = class * 2 + noscan;
		bool needzero = true;
		v = next(c, spc, &needzero);
		if (v != NULL) {
			count(&c->list[spc].nmalloc, 1);
			init(v, size, class, zero && needzero);
		}
	}
	leave(c);
	return v;
}

// runtime_mallocgc_try returns size bytes, zeroed if zero, or NULL when there is no memory.
// noscan: no pointers will be stored in it.
void *
runtime_mallocgc_try(size_t size, bool noscan, bool zero)
{
	void *p = mallocfast(size, noscan, zero);

	return likely(p != NULL) ? p : mallocslow(size, noscan, zero);
}

void *
runtime_mallocgc(size_t size, bool noscan, bool zero)
{
	void *p = mallocfast(size, noscan, zero);
	if (likely(p != NULL))
		return p;
	p = mallocslow(size, noscan, zero);
	if (unlikely(p == NULL)) {
		runtime_print(
		    "runtime: out of memory: cannot allocate %lu-byte block (%lu in use)\n",
		    (unsigned long)size, (unsigned long)atomic_loadrlx(&memstats.heap_inuse));
		runtime_throw("out of memory");
	}
	return p;
}

// spanOfHeap is the span in use that p points into, or NULL. Acquire is not needed: see spanOf.
static inline struct mspan *
spanOfHeap(void *p)
{
	struct mspan *s = spanOf((uintptr_t)p);

	if (unlikely(s == NULL || atomic_loadrlx(&s->state) != SpanInUse ||
		(uintptr_t)p - s->base >= s->limit - s->base))
		return NULL;
	return s;
}

// isobject says that p is the start of an object of s that was handed out once.
static inline bool
isobject(struct mspan *s, void *p)
{
	uintptr_t off = (uintptr_t)p - s->base;

	return (off * s->divmul >> 32) * s->elemsize == off &&
	    (uintptr_t)p < atomic_loadrlx(&s->bump);
}

static inline bool
isfree(word *v)
{
	__asan_unpoison_memory_region(v, 2 * sizeof *v);
	return v[1] == cookieof((uintptr_t)v);
}

// freeslow does everything but find the span.
static NOINLINE void
freeslow(struct mspan *s, void *p)
{
	struct mcache *c = enter();
	unsigned spc = s->spanclass;

	if (spc < 2) {
		if ((uintptr_t)p != s->base)
			badfree(c, p, false);
		count(&c->nlargefree, 1);
		runtime_mheap_free(s);
	} else if (spc == TINYSPANCLASS) {
		runtime_tinyfree(c, s, p);
		count(&c->ntinyfree, 1);
	} else {
		struct mcachelist *l = &c->list[spc];
		if (!isobject(s, p))
			badfree(c, p, false);
		if (isfree(p))
			badfree(c, p, true);
		if (isfull(l, spc))
			runtime_mcache_overflow(c, spc);
		count(&l->nfree, 1);
		put(l, s, p);
	}
	leave(c);
}

// runtime_free gives back what mallocgc returned, on any thread. NULL is ignored.
void
runtime_free(void *p)
{
	struct mspan *s = spanOfHeap(p);

	if (unlikely(s == NULL)) {
		if (p == NULL || p == zerobase)
			return;
		badfree(NULL, p, false);
	}
	unsigned spc = s->spanclass;
	if (likely(spc >= 2 && spc != TINYSPANCLASS && isobject(s, p) && !isfree(p))) {
		struct m *mp = thism();
		struct mcache *c = tryenter(mp);
		if (likely(c != NULL)) {
			struct mcachelist *l = &c->list[spc];
			if (likely(!isfull(l, spc))) {
				count(&l->nfree, 1);
				put(l, s, p);
				tryleave(mp);
				return;
			}
			tryleave(mp);
		}
	}
	freeslow(s, p);
}

// runtime_mallocusable says how many bytes the object at p really has; 0 if p is not one.
size_t
runtime_mallocusable(void *p)
{
	struct mspan *s = p == NULL ? NULL : spanOfHeap(p);

	if (s == NULL)
		return 0;
	__asan_unpoison_memory_region(p, s->spanclass == TINYSPANCLASS ? TINYSIZE : s->elemsize);
	return s->spanclass == TINYSPANCLASS ? TINYSIZE : s->elemsize;
}

// ---- public ----

struct alloccall {
	size_t size;
	int flags;
	void *p;
};

static void
alloc_g(void *arg)
{
	struct alloccall *a = arg;
	a->p = runtime_mallocgc(a->size, a->flags & RT0_NOSCAN, true);
}

static void
free_g(void *arg)
{
	runtime_free(arg);
}

void *
rt0_alloc(size_t size, int flags)
{
	if (likely(getg() != NULL))
		return runtime_mallocgc(size, flags & RT0_NOSCAN, true);
	struct alloccall a = {size, flags, NULL};
	if (runtime_callback(alloc_g, &a) < 0)
		runtime_fatal("rt0_alloc on a thread, and the runtime does not run");
	return a.p;
}

void
rt0_free(void *p)
{
	if (p == NULL)
		return;
	if (likely(getg() != NULL))
		runtime_free(p);
	else if (runtime_callback(free_g, p) < 0)
		runtime_fatal("rt0_free on a thread, and the runtime does not run");
}
