// SPDX-License-Identifier: BSD-3-Clause
// mfixalloc.c: memory for the runtime's own structures, outside the heap.
//
// persistentalloc hands out memory that is never freed, out of chunks. The first chunk is zero
// data of the program, so that boot does not ask the kernel.
// fixalloc keeps a free list of blocks of one size above it. What it gave out once stays memory
// of that kind for ever: readers without a lock (spanOf) may look at a block that has gone.
#include "mheap.h"

enum {
	FIRSTCHUNK = 64 << 10,
	CHUNK = 256 << 10,
	MAXCHUNKED = 64 << 10, // larger blocks have their own mapping
	FIXCHUNK = 4 << 10,    // fixalloc asks for so much at a time
};

static struct {
	struct mutex lock;
	// lock:
	uintptr_t pos, end;
	bool started;
} persistent;

static _Alignas(64) uint8_t firstchunk[FIRSTCHUNK];

// runtime_persistentalloc_try returns NULL when the kernel has no memory. align: a power of two,
// 0 for 8. stat, a field of memstats, is charged for the block.
void *
runtime_persistentalloc_try(size_t size, size_t align, uint64_t *stat)
{
	if (align == 0)
		align = 8;
	if ((align & (align - 1)) != 0 || align > PAGESIZE)
		runtime_throw("persistentalloc: align is not a power of two up to a page");
	if (size >= MAXCHUNKED)
		return runtime_sysAlloc(alignup(size, PAGESIZE), stat);

	if (RT0_DEBUG)
		atomic_storerlx(&persistent.lock.rank, LOCKRANK_FIXALLOC);
	runtime_lock(&persistent.lock);
	if (!persistent.started) {
		persistent.started = true;
		persistent.pos = (uintptr_t)firstchunk;
		persistent.end = persistent.pos + FIRSTCHUNK;
		atomic_xadd(&memstats.other_sys, (uint64_t)FIRSTCHUNK);
	}
	uintptr_t p = alignup(persistent.pos, align);
	if (p + size > persistent.end) {
		uintptr_t n = CHUNK;
		p = (uintptr_t)runtime_sysAlloc(n, &memstats.other_sys);
		if (p == 0) {
			// Near a limit: just what is needed.
			n = alignup(size, PAGESIZE);
			p = (uintptr_t)runtime_sysAlloc(n, &memstats.other_sys);
		}
		if (p == 0) {
			runtime_unlock(&persistent.lock);
			return NULL;
		}
		persistent.end = p + n;
	}
	persistent.pos = p + size;
	runtime_unlock(&persistent.lock);
	if (stat != NULL && stat != &memstats.other_sys) {
		atomic_xadd(stat, (uint64_t)size);
		atomic_xadd(&memstats.other_sys, -(uint64_t)size);
	}
	return (void *)p;
}

void *
runtime_persistentalloc(size_t size, size_t align, uint64_t *stat)
{
	void *p = runtime_persistentalloc_try(size, align, stat);

	if (p == NULL)
		runtime_throw("runtime: cannot allocate memory");
	return p;
}

// runtime_fixalloc returns a block of f->size bytes, aligned to 64 if that is a multiple of 64.
// mheap.lock is held. When the kernel has no memory, the heap gives up a free page: there would
// be no use for its free pages without spans to describe them.
void *
runtime_fixalloc(struct fixalloc *f)
{
	void **p = f->free;
	if (p != NULL) {
		f->free = *p;
		*p = NULL;
		return p;
	}
	if (f->end - f->chunk < f->size) {
		size_t n = f->size > FIXCHUNK ? f->size : FIXCHUNK / f->size * f->size;
		uintptr_t chunk = (uintptr_t)runtime_persistentalloc_try(n, 64, f->stat);
		if (chunk == 0 && f->size <= HEAPPAGE) {
			n = HEAPPAGE;
			chunk = runtime_mheap_steal(f->stat);
		}
		if (chunk == 0)
			return NULL;
		f->chunk = chunk;
		f->end = chunk + n;
	}
	p = (void **)f->chunk;
	f->chunk += f->size;
	return p;
}

void
runtime_fixfree(struct fixalloc *f, void *p)
{
	*(void **)p = f->free;
	f->free = p;
}
