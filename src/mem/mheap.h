// SPDX-License-Identifier: BSD-3-Clause
// mheap.h: spans, arenas, the caches of the Ps: what the files of mem/ share.
//
// A span is a run of 8 KiB pages: free, one large object, or many objects of one size class, all
// with or all without pointers (the span class says both). The way of a small object:
//
//	mcache   two magazines of free objects and a fresh span for each span class; owner only
//	mcentral the spans of one span class that have free objects; a lock each
//	mheap    pages; one lock
//
// An object is freed into the cache of whoever frees it, whichever span it is from; a magazine
// that overflows goes back to its spans. So neither way takes a lock or an atomic, and free on
// another P costs what it costs at home.
//
// A free object holds a link and a cookie made of its own address, which tells a second free and
// a write after free; an object in use holds nothing of ours. Objects of a fresh span are handed
// out in address order (span.bump), so memory is not touched before it is used.
#ifndef RT0_MHEAP_H
#define RT0_MHEAP_H

#include "../runtime.h"
#include "sizeclasses.h"

enum {
	HEAPPAGESHIFT = 13,
	HEAPPAGE = 1 << HEAPPAGESHIFT,
	ARENASHIFT = 26, // 64 MiB of addresses have one table of spans
	ARENAPAGES = 1 << (ARENASHIFT - HEAPPAGESHIFT),
	ARENAL2 = 1024,                        // tables one second-level index leads to
	ARENAL1 = 1 << (47 - ARENASHIFT - 10), // user addresses have 47 bits
	TINYSPANCLASS = NUMSIZECLASSES * 2,    // 16-byte blocks of two halves each
	NSPANCLASS = TINYSPANCLASS + 1,        // class * 2 + noscan, and the one above
	TINYSIZE = 8,                          // requests up to here share a block
	TINYBLOCK = 16,
	BOOTHEAP = 256 << 10, // bytes; used before the kernel is asked for more
	NBIN = 16 + 30 * 4,   // free spans by length: mheap.c
};

enum {
	SpanDead = 0,  // not in use by the heap
	SpanFree = 1,  // on a bin; its first and last page lead to it
	SpanInUse = 2, // every page leads to it
};

struct mspan {
	// constant while the span is in use:
	uintptr_t base;
	uintptr_t limit; // end of the last object
	uintptr_t
	    bump; // atomic: first object never handed out; moved by the cache that has the span
	uintptr_t elemsize;
	uint32_t divmul; // offset * divmul >> 32 is the object's number
	uint8_t state;   // atomic, mheap.lock
	uint8_t spanclass;
	uint8_t needzero; // its memory may hold old bytes
	uint8_t cached;   // mcentral.lock: some mcache hands out from bump
	uint8_t *tiny;    // tiny blocks: which halves are free, a byte a block, atomic
	uintptr_t npages;
	// mcentral.lock while in use, mheap.lock while free:
	struct mspan *next __attribute__((aligned(64))), *prev;
	void *freelist;
	uint32_t nfree;     // objects on freelist
	uint8_t onlist;     // on mcentral.partial
	uintptr_t released; // pages given back to the kernel, of a free span
};

// The magazines of one span class; a cache line.
struct mcachelist {
	void *head;      // the magazine in use
	void *spare;     // a full one, or NULL
	struct mspan *s; // fresh objects from s->bump
	uint32_t n, nspare;
	uint64_t nmalloc, nfree; // ever; written by the owner, read anywhere (relaxed)
} __attribute__((aligned(64)));

struct mcache {
	struct mcache *all, *next; // every cache there ever was; those without an owner
	uintptr_t tiny;            // the unused second half of a tiny block, or 0
	bool nop;                  // used by ms without a p, under mheap.noplock
	uint64_t ntiny, ntinyfree, nlarge, nlargefree, largebytes; // as nmalloc
	struct mcachelist list[NSPANCLASS];
};

struct mcentral {
	struct mutex lock;
	struct mspan *partial; // spans with free objects, or with fresh ones and no mcache
} __attribute__((aligned(64)));

struct heaparena {
	struct mspan *spans[ARENAPAGES]; // atomic; stale inside free spans
};

struct fixalloc {
	size_t size;
	void *free;
	uintptr_t chunk, end;
	uint64_t *stat;
};

// What boot touches stands together, and what it need not touch apart: every page is a fault.
struct mheap {
	uintptr_t bootbase, bootsize; // constant after init
	uintptr_t cookie;
	uint32_t ready;
	uint32_t anypartial; // atomic: some mcentral has ever had a span on its list
	struct mutex lock;
	// lock:
	uintptr_t pos, end;         // of the last reservation, what is not yet mapped
	uintptr_t nfree, nreleased; // pages on the bins, and how many of them the kernel has
	struct fixalloc spanalloc, tinyalloc, cachealloc;
	struct mcache *allcaches, *freecaches; // allcaches: read anywhere (acquire)
	struct mutex noplock;
	struct mcache *nopcache; // noplock
	struct mspan *bootspans[BOOTHEAP / HEAPPAGE];
	uint64_t binmap[(NBIN + 63) / 64];
	struct mspan *bin[NBIN];
	struct mcache mcache0; // of boot, then of the first p
};

#pragma GCC visibility push(hidden)

extern struct mheap mheap;
extern struct mcentral mcentral[NSPANCLASS];
extern struct heaparena **arenas[ARENAL1];

// mheap.c
struct mspan *runtime_mheap_alloc(uintptr_t npages, unsigned spanclass); // NULL: no memory
void runtime_mheap_free(struct mspan *s);
uintptr_t runtime_mheap_steal(uint64_t *stat);
void runtime_mheap_check(void);

// mcentral.c
struct mspan *runtime_mcentral_take(unsigned spc, void **list, uint32_t *n);
void runtime_mcentral_put(unsigned spc, void *list);
void runtime_mcentral_uncache(struct mspan *s);
void runtime_mspan_check(struct mspan *s);

// mcache.c
bool runtime_mcache_refill(struct mcache *c, unsigned spc);
void runtime_mcache_overflow(struct mcache *c, unsigned spc);
struct mcache *runtime_nopcache(void); // comes with mheap.noplock held

// malloc.c
void runtime_tinyfree(struct mcache *c, struct mspan *s, void *p);

// mfixalloc.c
void *runtime_fixalloc(struct fixalloc *f); // zeroed when new, not when reused; NULL: no memory
void runtime_fixfree(struct fixalloc *f, void *p);

#pragma GCC visibility pop

static inline unsigned
spanelemsize(unsigned spc)
{
	return spc == TINYSPANCLASS ? TINYBLOCK : class_to_size[spc / 2];
}

// spanOf is the span that p's page belongs to, or belonged to: check state and bounds. No lock:
// tables and spans are never unmapped, and who holds an object was told of it after its span was
// entered.
static inline struct mspan *
spanOf(uintptr_t p)
{
	uintptr_t off = p - mheap.bootbase;
	if (off < mheap.bootsize)
		return atomic_loadrlx(&mheap.bootspans[off >> HEAPPAGESHIFT]);
	if (unlikely(p >> 47 != 0))
		return NULL;
	// Acquire: pairs with arenatable's releases.
	struct heaparena **l2 = atomic_loadacq(&arenas[p >> 36]);
	if (unlikely(l2 == NULL))
		return NULL;
	struct heaparena *ha = atomic_loadacq(&l2[p >> ARENASHIFT & (ARENAL2 - 1)]);
	if (unlikely(ha == NULL))
		return NULL;
	return atomic_loadrlx(&ha->spans[p >> HEAPPAGESHIFT & (ARENAPAGES - 1)]);
}

// cookieof is the second word of the free object at p. No program writes it by chance.
static inline uintptr_t
cookieof(uintptr_t p)
{
	return p ^ mheap.cookie;
}

// Statistics have one writer; others read them at any time.
static inline void
count(uint64_t *n, uint64_t d)
{
	atomic_storerlx(n, atomic_loadrlx(n) + d);
}

#endif
