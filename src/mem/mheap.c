// SPDX-License-Identifier: BSD-3-Clause
// mheap.c: the pages of the heap: reservations, free spans, what leads from an address to a span.
//
// Addresses are reserved in regions of 64 MiB or more and made ready from their start, a step at
// a time, so that a program without overcommit, or under a limit on address space, pays for what
// it uses; if a region cannot be had a smaller one is tried. Before the first region stands the
// boot heap, zero data of the program.
//
// Free spans are kept in bins: one for each length below 16 pages, and four for each power of
// two above. A request takes from the first bin that must fit (its own bin is searched first):
// constant time, and near best fit. Neighbours that are free are joined at once: the first and
// last page of a free span lead to it.
//
// More than SCAVENGE bytes of free pages are given back to the kernel, the largest span first.
#include "mheap.h"

enum {
	REGION = 64 << 20,
	MINSTEP = 256 << 10,
	MAXSTEP = 4 << 20,
	SCAVENGE = 64 << 20,
	MINSCAVENGE = 64 << 10, // smaller spans are not worth a call
};

// Where regions begin if the kernel has nothing there, as in Go: easy to tell from other
// pointers. The sanitizers put their shadows there.
#if RT0_TSAN || RT0_ASAN
static uintptr_t hint;
#else
static uintptr_t hint = 0xc000000000;
#endif

_Alignas(PAGESIZE) struct mheap mheap; // the first page has all that a small program needs
struct mcentral mcentral[NSPANCLASS];
struct heaparena **arenas[ARENAL1];
struct memstats memstats BOOTDATA;

static uint8_t bootheap[BOOTHEAP];

// ---- From address to span ----

// arenatable makes the tables for the addresses [p, p+n). mheap.lock is held. Releases pair with
// spanOf's acquires: who finds a table finds it zeroed.
static bool
arenatable(uintptr_t p, uintptr_t n)
{
	HELD(&mheap.lock);
	for (uintptr_t a = p >> ARENASHIFT; a <= (p + n - 1) >> ARENASHIFT; a++) {
		struct heaparena ***l1 = &arenas[a / ARENAL2];
		if (*l1 == NULL) {
			void *t = runtime_persistentalloc_try(
			    ARENAL2 * sizeof(void *), 64, &memstats.other_sys);
			if (t == NULL)
				return false;
			atomic_storerel(l1, t);
		}
		struct heaparena **l2 = &(*l1)[a % ARENAL2];
		if (*l2 == NULL) {
			void *t = runtime_sysAlloc(sizeof(struct heaparena), &memstats.other_sys);
			if (t == NULL)
				return false;
			atomic_storerel(l2, t);
		}
	}
	return true;
}

// spanslot is where the page of p keeps its span; NULL outside the heap.
static struct mspan **
spanslot(uintptr_t p)
{
	uintptr_t off = p - mheap.bootbase;
	if (off < mheap.bootsize)
		return &mheap.bootspans[off >> HEAPPAGESHIFT];
	struct heaparena **l2 = arenas[p >> 36 & (ARENAL1 - 1)];
	struct heaparena *ha = l2 == NULL ? NULL : l2[p >> ARENASHIFT & (ARENAL2 - 1)];
	return ha == NULL ? NULL : &ha->spans[p >> HEAPPAGESHIFT & (ARENAPAGES - 1)];
}

// setspans makes every page of s lead to it. Relaxed: who may ask for an address got it later.
static void
setspans(struct mspan *s)
{
	uintptr_t p = s->base, end = s->base + s->npages * HEAPPAGE;

	while (p < end) {
		struct mspan **slot = spanslot(p);
		uintptr_t stop = (p | ((1ul << ARENASHIFT) - 1)) + 1; // where the next table begins
		if (p - mheap.bootbase < mheap.bootsize || stop > end)
			stop = end;
		for (; p < stop; p += HEAPPAGE)
			atomic_storerlx(slot++, s);
	}
}

// ---- Free spans ----

static unsigned
binof(uintptr_t npages)
{
	if (npages < 16)
		return (unsigned)npages;
	unsigned log = 63 - (unsigned)__builtin_clzl(npages);
	return 16 + (log - 4) * 4 + (npages >> (log - 2) & 3);
}

static void
binadd(struct mspan *s)
{
	unsigned b = binof(s->npages);

	s->prev = NULL;
	s->next = mheap.bin[b];
	if (s->next != NULL)
		s->next->prev = s;
	mheap.bin[b] = s;
	mheap.binmap[b / 64] |= 1ul << b % 64;
	mheap.nfree += s->npages;
	mheap.nreleased += s->released;
	s->state = SpanFree;
	atomic_storerlx(spanslot(s->base), s);
	atomic_storerlx(spanslot(s->base + (s->npages - 1) * HEAPPAGE), s);
}

static void
binremove(struct mspan *s)
{
	unsigned b = binof(s->npages);

	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else if ((mheap.bin[b] = s->next) == NULL)
		mheap.binmap[b / 64] &= ~(1ul << b % 64);
	mheap.nfree -= s->npages;
	mheap.nreleased -= s->released;
	s->next = s->prev = NULL;
}

// binfind is the first free span that fits well; it stays in its bin.
static struct mspan *
binfind(uintptr_t npages)
{
	unsigned b = binof(npages);

	for (struct mspan *s = mheap.bin[b]; s != NULL; s = s->next)
		if (s->npages >= npages)
			return s;
	b++;
	for (unsigned w = b / 64; w < NELEM(mheap.binmap); w++) {
		uint64_t m = mheap.binmap[w];
		if (w == b / 64)
			m &= ~0ul << b % 64;
		if (m != 0)
			return mheap.bin[w * 64 + (unsigned)__builtin_ctzl(m)];
	}
	return NULL;
}

// absorb joins the free span t into s, its neighbour, which is on no bin.
static void
absorb(struct mspan *s, struct mspan *t)
{
	binremove(t);
	if (t->base < s->base)
		s->base = t->base;
	s->npages += t->npages;
	s->released += t->released;
	s->needzero |= t->needzero;
	t->state = SpanDead;
	runtime_fixfree(&mheap.spanalloc, t);
}

// binjoin puts s on its bin, joined with its free neighbours.
static struct mspan *
binjoin(struct mspan *s)
{
	struct mspan **slot = spanslot(s->base - 1);
	struct mspan *t = slot == NULL ? NULL : *slot;
	if (t != NULL && t->state == SpanFree && t->base + t->npages * HEAPPAGE == s->base)
		absorb(s, t);
	uintptr_t end = s->base + s->npages * HEAPPAGE;
	slot = spanslot(end);
	t = slot == NULL ? NULL : *slot;
	if (t != NULL && t->state == SpanFree && t->base == end)
		absorb(s, t);
	binadd(s);
	return s;
}

// ---- More memory ----

// reserve makes [mheap.pos, mheap.end) at least n bytes. What was left of the last region is
// returned to the kernel unless the new one begins where it ends.
static bool
reserve(uintptr_t n)
{
	if (n > 1ul << 46)
		return false;
	uintptr_t want = n > REGION ? n : REGION;
	uintptr_t p;
	while ((p = (uintptr_t)runtime_sysReserve((void *)hint, want)) == 0 && want > n)
		want = want / 2 > n ? alignup(want / 2, HEAPPAGE) : n;
	if (p == 0)
		return false;
	uintptr_t end = p + want;
	if (end > 1ul << 47 || !arenatable(p, want)) {
		runtime_sysFree((void *)p, want, NULL);
		return false;
	}
#if !RT0_TSAN && !RT0_ASAN
	hint = end;
#endif
	if (p == mheap.end && mheap.pos < mheap.end) {
		mheap.end = end & ~(HEAPPAGE - 1ul);
		return true;
	}
	if (mheap.pos < mheap.end)
		runtime_sysFree((void *)mheap.pos, mheap.end - mheap.pos, NULL);
	mheap.pos = alignup(p, HEAPPAGE);
	mheap.end = end & ~(HEAPPAGE - 1ul);
	// The kernel gave an address that is not a multiple of our page: there is one page too few.
	return mheap.end - mheap.pos >= n || reserve(n + HEAPPAGE);
}

// addfree makes fresh memory a free span.
static bool
addfree(uintptr_t base, uintptr_t n)
{
	struct mspan *s = runtime_fixalloc(&mheap.spanalloc);

	if (s == NULL)
		return false;
	s->base = base;
	s->npages = n / HEAPPAGE;
	s->released = 0;
	s->needzero = 0;
	s->tiny = NULL;
	binjoin(s);
	return true;
}

// grow adds at least npages to the free spans, or says false: no memory.
static bool
grow(uintptr_t npages)
{
	HELD(&mheap.lock);
	uintptr_t ask = npages * HEAPPAGE;
	uintptr_t step = atomic_loadrlx(&memstats.heap_sys) / 8 & ~(MINSTEP - 1ul);
	step = step < MINSTEP ? MINSTEP : step > MAXSTEP ? MAXSTEP : step;
	if (ask > step)
		step = ask;
	if (mheap.end - mheap.pos < ask && !reserve(ask))
		return false;
	if (step > mheap.end - mheap.pos)
		step = mheap.end - mheap.pos;
	void *p = (void *)mheap.pos;
	if (!runtime_sysMap(p, step, &memstats.heap_sys)) {
		step = ask;
		if (!runtime_sysMap(p, step, &memstats.heap_sys))
			return false;
	}
	mheap.pos += step;
	if (addfree((uintptr_t)p, step))
		return true;
	// No span to describe it, so it goes. The addresses before it stay.
	mheap.pos -= step;
	runtime_sysFault(p, step);
	atomic_xadd(&memstats.heap_sys, -(uint64_t)step);
	return false;
}

// ---- Spans in use ----

// runtime_mheap_steal takes the last page of a free span for good, zeroed, and charges it to
// stat; 0: there is none. mheap.lock is held. The caller of fixalloc must not hold on to a free
// span meanwhile.
uintptr_t
runtime_mheap_steal(uint64_t *stat)
{
	struct mspan *s = binfind(1);

	HELD(&mheap.lock);
	if (s == NULL)
		return 0;
	binremove(s);
	s->npages--;
	if (s->released > s->npages) {
		s->released--;
		atomic_xadd(&memstats.heap_released, -(uint64_t)HEAPPAGE);
	}
	uintptr_t page = s->base + s->npages * HEAPPAGE;
	atomic_storerlx(spanslot(page), NULL);
	if (s->npages != 0) {
		binadd(s);
	} else {
		s->state = SpanDead;
		runtime_fixfree(&mheap.spanalloc, s);
	}
	atomic_xadd(&memstats.heap_sys, -(uint64_t)HEAPPAGE);
	atomic_xadd(stat, (uint64_t)HEAPPAGE);
	runtime_memclr((void *)page, HEAPPAGE);
	return page;
}

// split takes npages from the front of s, which is on its bin, and puts the rest back, described
// by rest. It says whether rest was used.
static bool
split(struct mspan *s, uintptr_t npages, struct mspan *rest)
{
	binremove(s);
	if (s->npages == npages)
		return false;
	rest->base = s->base + npages * HEAPPAGE;
	rest->npages = s->npages - npages;
	// Which of the pages are the released ones is not known; the estimate keeps the sum.
	rest->released = s->released < rest->npages ? s->released : rest->npages;
	rest->needzero = s->needzero;
	rest->tiny = NULL;
	s->released -= rest->released;
	s->npages = npages;
	binadd(rest);
	return true;
}

// runtime_mheap_alloc returns a span in use of npages for objects of spanclass (0 and 1: one
// large object). The caller sets limit and elemsize of a large one.
struct mspan *
runtime_mheap_alloc(uintptr_t npages, unsigned spc)
{
	uint8_t *tiny = NULL;
	struct mspan *s = NULL;

	runtime_lock(&mheap.lock);
	// First of all, since these may take a page that we would have found.
	struct mspan *rest = runtime_fixalloc(&mheap.spanalloc);
	bool ok = rest != NULL;
	if (ok && spc == TINYSPANCLASS)
		ok = (tiny = runtime_fixalloc(&mheap.tinyalloc)) != NULL;
	while (ok && (s = binfind(npages)) == NULL)
		ok = grow(npages);
	if (rest != NULL && (!ok || !split(s, npages, rest)))
		runtime_fixfree(&mheap.spanalloc, rest);
	if (!ok) {
		if (tiny != NULL)
			runtime_fixfree(&mheap.tinyalloc, tiny);
		runtime_unlock(&mheap.lock);
		return NULL;
	}
	uintptr_t size = npages * HEAPPAGE;
	atomic_xadd(&memstats.heap_inuse, (uint64_t)size);
	if (s->released != 0) {
		atomic_xadd(&memstats.heap_released, -(uint64_t)(s->released * HEAPPAGE));
		runtime_sysUsed((void *)s->base, size);
		s->released = 0;
	}
	uintptr_t elemsize = spc < 2 ? size : spanelemsize(spc);
	s->elemsize = elemsize;
	s->divmul = spc < 2 ? 0 : (uint32_t)(~0u / elemsize + 1);
	s->limit = s->base + size / elemsize * elemsize;
	s->bump = spc < 2 ? s->limit : s->base;
	s->spanclass = (uint8_t)spc;
	s->tiny = tiny;
	s->freelist = NULL;
	s->nfree = 0;
	s->onlist = 0;
	s->cached = 0;
	setspans(s);
	atomic_storerlx(&s->state, SpanInUse);
	runtime_unlock(&mheap.lock);
	return s;
}

// scavenge gives the largest free span that has unreleased pages to the kernel. The span is in
// no bin meanwhile, so the lock can be dropped for the call.
static void
scavenge(void)
{
	struct mspan *s = NULL;

	HELD(&mheap.lock);
	for (int w = NELEM(mheap.binmap) - 1; w >= 0 && s == NULL; w--)
		for (uint64_t m = mheap.binmap[w]; m != 0 && s == NULL;) {
			int bit = 63 - __builtin_clzl(m);
			m &= ~(1ul << bit);
			for (s = mheap.bin[w * 64 + bit]; s != NULL; s = s->next)
				if (s->released < s->npages)
					break;
		}
	if (s == NULL || s->npages * HEAPPAGE < MINSCAVENGE)
		return;
	binremove(s);
	s->state = SpanDead; // neighbours must not join it now
	atomic_xadd(&memstats.heap_released, (uint64_t)((s->npages - s->released) * HEAPPAGE));
	runtime_unlock(&mheap.lock);
	runtime_sysUnused((void *)s->base, s->npages * HEAPPAGE);
	runtime_lock(&mheap.lock);
	s->released = s->npages;
	s->needzero = 0;
	binjoin(s);
}

// runtime_mheap_free takes back a span in which no object is in use.
void
runtime_mheap_free(struct mspan *s)
{
	__asan_unpoison_memory_region((void *)s->base, s->npages * HEAPPAGE);
	runtime_lock(&mheap.lock);
	atomic_xadd(&memstats.heap_inuse, -(uint64_t)(s->npages * HEAPPAGE));
	atomic_storerlx(&s->state, SpanDead);
	if (s->tiny != NULL) {
		runtime_fixfree(&mheap.tinyalloc, s->tiny);
		s->tiny = NULL;
	}
	s->needzero = 1;
	s->released = 0;
	binjoin(s);
	if ((mheap.nfree - mheap.nreleased) * HEAPPAGE >
	    SCAVENGE + atomic_loadrlx(&memstats.heap_inuse) / 8)
		scavenge();
	runtime_unlock(&mheap.lock);
}

// runtime_mheap_check throws if the bins contradict each other. For tests and DEBUG.
void
runtime_mheap_check(void)
{
	uintptr_t nfree = 0, nreleased = 0;

	runtime_lock(&mheap.lock);
	for (unsigned b = 0; b < NBIN; b++) {
		if ((mheap.bin[b] != NULL) != (mheap.binmap[b / 64] >> b % 64 & 1))
			runtime_throw("mheap_check: bin map is wrong");
		for (struct mspan *s = mheap.bin[b]; s != NULL; s = s->next) {
			if (s->state != SpanFree || binof(s->npages) != b)
				runtime_throw("mheap_check: span on the wrong bin");
			if (s->next != NULL && s->next->prev != s)
				runtime_throw("mheap_check: list is broken");
			if (spanOf(s->base) != s || spanOf(s->base + s->npages * HEAPPAGE - 1) != s)
				runtime_throw("mheap_check: pages do not lead to the span");
			struct mspan **next = spanslot(s->base + s->npages * HEAPPAGE);
			if (next != NULL && *next != NULL && (*next)->state == SpanFree &&
			    (*next)->base == s->base + s->npages * HEAPPAGE)
				runtime_throw("mheap_check: neighbours not joined");
			nfree += s->npages;
			nreleased += s->released;
		}
	}
	if (nfree != mheap.nfree || nreleased != mheap.nreleased)
		runtime_throw("mheap_check: count is wrong");
	runtime_unlock(&mheap.lock);
}

// runtime_mallocinit makes no system call and touches four pages or so; the first allocation
// touches as many again.
void
runtime_mallocinit(void)
{
	// An exchange, since a read would map a page of zeros first and the write another.
	if (atomic_xchg(&mheap.ready, 1) != 0)
		return;
	runtime_lockinit(&mheap.lock, LOCKRANK_HEAP);
	runtime_lockinit(&mheap.noplock, LOCKRANK_MCACHE0);
	// The processor's clock will do where the kernel gave no random bytes: cookies guard
	// against mistakes, not against attackers. Odd, so that no free object's cookie is its own
	// address or another object's.
	uint64_t r;
	__builtin_memcpy(&r, runtime_startupRand, sizeof r);
	mheap.cookie = (r ^ cputicks() * 0x9e3779b97f4a7c15) | 1ul << 63 | 1;
	mheap.spanalloc =
	    (struct fixalloc){.size = sizeof(struct mspan), .stat = &memstats.mspan_sys};
	mheap.tinyalloc =
	    (struct fixalloc){.size = HEAPPAGE / TINYBLOCK, .stat = &memstats.mspan_sys};
	mheap.cachealloc =
	    (struct fixalloc){.size = sizeof(struct mcache), .stat = &memstats.mcache_sys};
	mheap.mcache0.nop = true;
	mheap.nopcache = &mheap.mcache0;
	mheap.allcaches = &mheap.mcache0;
	atomic_xadd(&memstats.mcache_sys, (uint64_t)sizeof mheap.mcache0);

	uintptr_t base = alignup((uintptr_t)bootheap, HEAPPAGE);
	uintptr_t end = ((uintptr_t)bootheap + BOOTHEAP) & ~(HEAPPAGE - 1ul);
	mheap.bootbase = base;
	mheap.bootsize = end - base;
	atomic_xadd(&memstats.heap_sys, (uint64_t)(end - base));
	runtime_lock(&mheap.lock);
	if (!addfree(base, end - base))
		runtime_throw("runtime: cannot allocate heap metadata");
	runtime_unlock(&mheap.lock);
}
