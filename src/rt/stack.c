// SPDX-License-Identifier: BSD-3-Clause
// stack.c: where goroutines stand. Reserved address space that the kernel fills page by page.
//
// C frames cannot move, so a stack cannot grow by copying: it is a slot of address space, 256 KiB by
// default, in big arenas without swap reservation. Its g lies at the top of the slot, so a parked
// goroutine costs one page. Below each slot's usable part lies a guard: a page-table marker
// (MADV_GUARD_INSTALL), not a mapping of its own, of which the kernel allows 65,530.
//
//   | guard 16 KiB | usable, filled from above ... | g | colour |   next slot
//
// Slots are an odd number of pages apart, and the g of neighbouring slots lies 128 bytes apart in
// its page: otherwise the hot lines of all goroutines fall into the same sets of the caches.
//
// Orders: 0 is the default size; 1.. are powers of two from 16 KiB up, single mappings, kept on
// a list by order when freed, as long as those lists hold less than 16 MiB; then unmapped.
//
// On kernels without guard markers, guards are PROT_NONE mappings up to a budget; goroutines beyond
// it have none, and an overflow of those is found only when it hits something that is not mapped.
#include "../runtime.h"
#include "../os/linux/linux.h"

enum {
	GUARD = 16 << 10,      // bytes below each stack
	COLOURS = 16,          // places of g in its page
	COLOURSTEP = 128,      // bytes
	ARENA_MAX = 1 << 30,   // bytes of one reservation, at most
	ARENA_MIN = 4 << 20,
	FRESH_MAX = 256,       // slots that are prepared in one go, at most
	MPROTECT_BUDGET = 20000,
	LARGE_KEEP = 16 << 20, // bytes of dead large stacks that are kept
	NORDER = 24,
	MAXARENAS = 16384,
};

size_t runtime_maxstacksize = 1000000000, runtime_maxstackceiling = 2000000000;

struct arena {
	uintptr_t base;
	uint32_t nslots, used; // used: slots that have a g, or will have one soon (Gidle); written under lock, read by foreachg
};

static struct {
	struct mutex lock; // LOCKRANK_STACKPOOL
	// lock:
	struct arena *arena; // array of MAXARENAS, reserved; the kernel fills it as it is used
	uint32_t narena;     // atomic: readers need no lock
	uintptr_t next, end; // slots of the last arena that no g has used
	uint32_t guarded;    // of those, slots whose guards are in place
	uint32_t batch;      // how many to prepare next time
	int64_t nmade;       // atomic: slots with a g
	bool noguard;        // the kernel has no guard markers
	int32_t mprotects;
} stackpool BOOTDATA;

static struct {
	struct mutex lock; // LOCKRANK_STACKLARGE
	// lock:
	struct g *free[NORDER]; // dead, by order
	size_t freebytes;
	struct g *nostack;      // dead, their stacks unmapped
	struct g *all;          // every large goroutine, dead or alive, by alllink; none ever leaves
	int64_t nlive;          // atomic: of those, not dead
	struct stack cache[4];  // rt0_morestack segments, still warm; lo 0: none
} stackLarge BOOTDATA;

static size_t slotsize; // usable and guard; constant once there is an arena

static size_t
slotstride(void)
{
	return slotsize + PAGESIZE;
}

void
runtime_stackinit(void)
{
	runtime_lockinit(&stackpool.lock, LOCKRANK_STACKPOOL);
	runtime_lockinit(&stackLarge.lock, LOCKRANK_STACKLARGE);
	stackpool.batch = 1;
}

static struct g *
slotg(uintptr_t slot, uint32_t i)
{
	return (struct g *)((slot + slotstride() - i % COLOURS * COLOURSTEP - sizeof(struct g)) & ~63ul);
}

static void
initg(struct g *gp, uintptr_t lo, uint8_t order)
{
	// The page is fresh: all other fields are zero.
	gp->stack = (struct stack){lo, (uintptr_t)gp};
	gp->stackguard0 = gp->stackguard1 = lo;
	gp->stackorder = order;
	atomic_storerel(&gp->atomicstatus, Gdead); // pairs with foreachg's acquire
}

// newarena reserves room for slots; half the size again and again until the kernel agrees.
static bool
newarena(void)
{
	static size_t next = 64 << 20;
	if (stackpool.narena == MAXARENAS)
		return false;
	if (stackpool.arena == NULL) {
		slotsize = alignup((size_t)debug.stacksize, PAGESIZE) + GUARD;
		stackpool.arena = runtime_sysAlloc(MAXARENAS * sizeof(struct arena), &memstats.other_sys);
		if (stackpool.arena == NULL)
			return false;
	}
	if (next < slotstride())
		next = slotstride();
	for (size_t size = next; size >= slotstride(); size /= 2) {
		size_t n = size / slotstride();
		long p = sys6(SYS_mmap, 0, n * slotstride(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (p < 0 && p > -4096)
			continue;
		runtime_sysNoHugePage((void *)p, n * slotstride());
		runtime_sanfresh((void *)p, n * slotstride());
		atomic_xadd(&memstats.stacks_sys, n * slotstride());
		stackpool.arena[stackpool.narena] = (struct arena){(uintptr_t)p, (uint32_t)n, 0};
		// Release: foreachg sees the entry.
		atomic_storerel(&stackpool.narena, stackpool.narena + 1);
		stackpool.next = (uintptr_t)p;
		stackpool.end = (uintptr_t)p + n * slotstride();
		stackpool.guarded = 0;
		if (next < ARENA_MAX)
			next *= 2;
		return true;
	}
	return false;
}

// guardslots puts guards under the next slots, more at a time as more are used.
static void
guardslots(void)
{
	struct iovec_any v[FRESH_MAX];
	uint32_t n = stackpool.batch, left = (uint32_t)((stackpool.end - stackpool.next) / slotstride());
	if (n > left)
		n = left;
	if (stackpool.batch < FRESH_MAX)
		stackpool.batch *= 2;
	stackpool.noguard |= debug.guardoff != 0;
	if (!stackpool.noguard) {
		for (uint32_t i = 0; i < n; i++)
			v[i] = (struct iovec_any){(void *)(stackpool.next + i * slotstride()), GUARD};
		if (!(n == 1 ? runtime_sysGuard(v[0].base, GUARD) : runtime_sysGuardBatch(v, (int)n)))
			stackpool.noguard = true;
	}
	if (stackpool.noguard) {
		for (uint32_t i = 0; i < n && stackpool.mprotects < MPROTECT_BUDGET; i++, stackpool.mprotects++)
			if (sys3(SYS_mprotect, stackpool.next + i * slotstride(), GUARD, PROT_NONE) != 0)
				stackpool.mprotects = MPROTECT_BUDGET;
	}
	stackpool.guarded = n;
}

static uint8_t
orderof(size_t size)
{
	uint8_t order = 1;
	while (((size_t)STACKMIN << (order - 1)) < size)
		order++;
	return order;
}

static size_t
ordersize(uint8_t order)
{
	return (size_t)STACKMIN << (order - 1);
}

// mapmain maps the main goroutine's stack. A MAP_GROWSDOWN mapping that is larger than RLIMIT_STACK cannot
// grow, and the kernel keeps other mappings 1 MiB away from it: a guard for nothing, where a guard
// marker costs 6 µs of page tables, a tenth of the boot. Without a limit the ordinary guard serves.
static uintptr_t
mapmain(size_t size)
{
	uint64_t limit[2];
	size_t n = alignup(size, PAGESIZE);
	if (sys4(SYS_prlimit64, 0, 3 /* RLIMIT_STACK */, NULL, limit) != 0 || limit[0] >= n)
		return 0;
	long p = sys6(SYS_mmap, 0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_GROWSDOWN, -1, 0);
	if (p < 0 && p > -4096)
		return 0;
	runtime_sanfresh((void *)p, n);
	atomic_xadd(&memstats.stacks_sys, n);
	return (uintptr_t)p;
}

// mapstack maps guard and stack; lo is the first usable byte. 0: no memory.
static uintptr_t
mapstack(size_t size)
{
	size_t n = alignup(size, PAGESIZE) + GUARD;
	long p = sys6(SYS_mmap, 0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (p < 0 && p > -4096)
		return 0;
	if ((debug.guardoff || !runtime_sysGuard((void *)p, GUARD)) && sys3(SYS_mprotect, p, GUARD, PROT_NONE) != 0) {
		sys2(SYS_munmap, p, n);
		return 0;
	}
	runtime_sanfresh((void *)p, n);
	atomic_xadd(&memstats.stacks_sys, n);
	return (uintptr_t)p + GUARD;
}

static void
unmapstack(uintptr_t lo, size_t size)
{
	size_t n = alignup(size, PAGESIZE) + GUARD;
	// Before: whoever maps these addresses next, and then counts them, comes after us (ThreadSanitizer).
	atomic_xadd(&memstats.stacks_sys, -n);
	sys2(SYS_munmap, lo - GUARD, n);
}

// malglarge: the g does not lie on such a stack, since the stack may be unmapped while sysmon still
// looks at the g.
static struct g *
malglarge(size_t size)
{
	uint8_t order = orderof(size);
	if (order >= NORDER)
		return NULL;
	runtime_lock(&stackLarge.lock);
	struct g *gp = stackLarge.free[order];
	if (gp != NULL) {
		stackLarge.free[order] = gp->schedlink;
		stackLarge.freebytes -= ordersize(order);
		atomic_xadd(&stackLarge.nlive, 1);
		runtime_unlock(&stackLarge.lock);
		return gp;
	}
	gp = stackLarge.nostack;
	if (gp != NULL)
		stackLarge.nostack = gp->schedlink;
	runtime_unlock(&stackLarge.lock);
	bool fresh = gp == NULL, main = fresh && atomic_loadrlx(&stackLarge.all) == NULL;
	uintptr_t lo = main ? mapmain(ordersize(order)) : 0;
	if (lo == 0)
		lo = mapstack(ordersize(order));
	if (fresh && lo != 0) {
		static struct g first BOOTDATA; // the main goroutine's
		gp = main ? &first : runtime_persistentalloc(sizeof *gp, 64, &memstats.stacks_sys);
	}
	if (lo != 0) {
		gp->stack = (struct stack){lo, lo + ordersize(order)};
		atomic_storerlx(&gp->stackguard0, lo);
		gp->stackguard1 = lo;
		gp->stackorder = order;
		atomic_storerel(&gp->atomicstatus, Gdead);
	}
	runtime_lock(&stackLarge.lock);
	if (lo == 0) {
		if (gp != NULL) {
			gp->schedlink = stackLarge.nostack;
			stackLarge.nostack = gp;
		}
		runtime_unlock(&stackLarge.lock);
		return NULL;
	}
	if (fresh) {
		gp->alllink = stackLarge.all;
		atomic_storerel(&stackLarge.all, gp); // foreachg reads it without the lock
	}
	atomic_xadd(&stackLarge.nlive, 1);
	runtime_unlock(&stackLarge.lock);
	return gp;
}

// malgslot makes a dead goroutine with a stack of the default size, which allgcount does not know of yet. NULL: no
// memory. On g0.
struct g *
runtime_malgslot(void)
{
	runtime_lock(&stackpool.lock);
	if (stackpool.next == stackpool.end && !newarena()) {
		runtime_unlock(&stackpool.lock);
		return NULL;
	}
	if (stackpool.guarded == 0)
		guardslots();
	struct arena *a = &stackpool.arena[stackpool.narena - 1];
	uintptr_t slot = stackpool.next;
	struct g *gp = slotg(slot, a->used);
	stackpool.guarded -= stackpool.guarded > 0;
	stackpool.next += slotstride();
	atomic_storerlx(&a->used, a->used + 1); // read by foreachg, to which gp is Gidle still
	runtime_unlock(&stackpool.lock);
	initg(gp, slot + GUARD, 0); // the page's first touch, 1.5 us and more, with no lock held
	return gp;
}

void
runtime_allgadd(int64_t n)
{
	atomic_xadd(&stackpool.nmade, n);
}

// malg makes a dead goroutine with a stack of at least size bytes (0: the default) and enters it in
// what foreachg walks. NULL: no memory. On g0.
struct g *
runtime_malg(size_t size)
{
	if (size != 0)
		return malglarge(size);
	struct g *gp = runtime_malgslot();
	if (gp != NULL)
		runtime_allgadd(1);
	return gp;
}

// gfree takes a dead goroutine with a stack of its own order. On g0, on another stack.
void
runtime_gfree(struct g *gp)
{
	size_t size = ordersize(gp->stackorder);
	uintptr_t lo = gp->stack.lo;
	runtime_lock(&stackLarge.lock);
	bool keep = stackLarge.freebytes + size <= LARGE_KEEP;
	struct g **list = keep ? &stackLarge.free[gp->stackorder] : &stackLarge.nostack;
	if (keep)
		stackLarge.freebytes += size;
	gp->schedlink = *list;
	*list = gp;
	atomic_xadd(&stackLarge.nlive, -1);
	runtime_unlock(&stackLarge.lock);
	if (!keep)
		unmapstack(lo, size);
}

int64_t
runtime_allgcount(void)
{
	return atomic_loadrlx(&stackpool.nmade) + atomic_loadrlx(&stackLarge.nlive);
}

// foreachg calls fn for every goroutine that is not dead. Goroutines made meanwhile may be missed; ones
// that die meanwhile may be seen dead. Takes no lock for those with default stacks.
void
runtime_foreachg(void (*fn)(struct g *gp, void *arg), void *arg)
{
	struct g probe;
	bool crashed = atomic_loadrlx(&runtime_panicking) != 0;
	struct g *mark = NULL;
	uint64_t seen = 0, next = 1;
	for (struct g *gp = atomic_loadacq(&stackLarge.all); gp != NULL; gp = gp->alllink) {
		// The list of a program that has crashed may lead anywhere, or in a circle: there we meet a
		// g that we have marked, since the marks are twice as far apart each time.
		if (crashed && (gp == mark || !runtime_saferead(&probe, (uintptr_t)gp, sizeof probe)))
			break;
		if (++seen == next) {
			mark = gp;
			next *= 2;
		}
		if (runtime_readgstatus(gp) != Gdead)
			fn(gp, arg);
	}
	uint32_t n = atomic_loadacq(&stackpool.narena);
	for (uint32_t i = 0; i < n; i++) {
		struct arena *a = &stackpool.arena[i];
		uint32_t used = atomic_loadacq(&a->used);
		for (uint32_t k = 0; k < used; k++) {
			struct g *gp = slotg(a->base + k * slotstride(), k);
			uint32_t status = runtime_readgstatus(gp);
			if (status != Gdead && status != Gidle)
				fn(gp, arg);
		}
	}
}

uint64_t
runtime_stackinuse(void)
{
	return (uint64_t)atomic_loadrlx(&stackpool.nmade) * slotsize;
}

// stackguardhit tells whether addr lies in the guard of a stack, and whose. Signal-safe.
bool
runtime_stackguardhit(uintptr_t addr, struct g **gpp)
{
	struct g *gp = getg();
	struct m *mp = gp->m;
	if (gp == mp->g0 && mp->curg != NULL)
		gp = mp->curg;
	if (gp->segment.lo != 0 && addr >= gp->segment.lo - GUARD && addr < gp->segment.lo) {
		*gpp = gp;
		return true;
	}
	if (gp != mp->g0 && addr >= gp->stack.lo - GUARD && addr < gp->stack.lo) {
		*gpp = gp;
		return true;
	}
	return false;
}

// ---- giving pages back ----

// stackscavenge takes a batch of dead goroutines from the scheduler's warm list, gives all their pages
// below the one with the g back, and puts them on the cold list. sched.lock is held. Returns how
// many it did.
int32_t
runtime_stackscavenge(void)
{
	struct iovec_any v[GFREE_BATCH];
	int32_t n = 0;
	HELD(&sched.lock);
	struct gbatch *b = sched.gfree;
	if (b == NULL)
		return 0;
	for (; n < b->n; n++) {
		struct g *gp = b->g[n];
		uintptr_t top = (uintptr_t)gp & ~(PAGESIZE - 1);
		v[n] = (struct iovec_any){(void *)gp->stack.lo, top - gp->stack.lo};
	}
	runtime_sysUnusedBatch(v, n);
	sched.gfree = b->next;
	b->next = sched.gfreecold;
	sched.gfreecold = b;
	return n;
}

// stackrelease gives the pages of the current goroutine's stack that it does not use now back to the
// kernel.
void
runtime_stackrelease(struct g *gp)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	uintptr_t hi = (sp - 1024) & ~(PAGESIZE - 1);
	if (sp < gp->stack.lo || sp > gp->stack.hi || hi <= gp->stack.lo)
		return;
	runtime_sysUnused((void *)gp->stack.lo, hi - gp->stack.lo);
}

// ---- bigger stacks for one call ----

struct stack
runtime_stackalloc(size_t size)
{
	size = alignup(size, PAGESIZE);
	runtime_lock(&stackLarge.lock);
	for (size_t i = 0; i < NELEM(stackLarge.cache); i++) {
		struct stack s = stackLarge.cache[i];
		if (s.lo != 0 && s.hi - s.lo >= size && (s.hi - s.lo) / 4 <= size) {
			stackLarge.cache[i].lo = 0;
			runtime_unlock(&stackLarge.lock);
			return s;
		}
	}
	runtime_unlock(&stackLarge.lock);
	uintptr_t lo = mapstack(size);
	return lo == 0 ? (struct stack){0, 0} : (struct stack){lo, lo + size};
}

void
runtime_stackfree(struct stack s)
{
	if (s.hi - s.lo <= LARGE_KEEP / NELEM(stackLarge.cache)) {
		runtime_lock(&stackLarge.lock);
		for (size_t i = 0; i < NELEM(stackLarge.cache); i++) {
			if (stackLarge.cache[i].lo != 0)
				continue;
			stackLarge.cache[i] = s;
			runtime_unlock(&stackLarge.lock);
			return;
		}
		runtime_unlock(&stackLarge.lock);
	}
	unmapstack(s.lo, s.hi - s.lo);
}

// dropsegments frees what rt0_morestack calls that will not return had (the goroutine has ended inside).
// On g0.
void
runtime_dropsegments(struct g *gp)
{
	while (gp->segment.lo != 0) {
		struct stack s = gp->segment;
		gp->segment = *(struct stack *)(s.hi - sizeof s);
		runtime_stackfree(s);
	}
}

// morestack keeps the segment that was in use before at the top of the new one.
int
rt0_morestack(void (*fn)(void *), void *arg, size_t size)
{
	struct g *gp = getg();
	if (gp == NULL || size < PAGESIZE || size > runtime_maxstacksize)
		return -EINVAL;
	struct stack s = runtime_stackalloc(size + sizeof s);
	if (s.lo == 0)
		return -ENOMEM;
	struct stack *old = (struct stack *)(s.hi - sizeof s);
	*old = gp->segment;
	gp->segment = s;
	runtime_callon(fn, arg, (uintptr_t)old & ~15ul);
	gp->segment = *old;
	runtime_stackfree(s);
	return 0;
}

void
rt0_stack_trim(void)
{
	struct g *gp = getg();
	if (gp != NULL && gp != gp->m->g0)
		runtime_stackrelease(gp);
}

size_t
rt0_set_max_stack(size_t bytes)
{
	size_t old = runtime_maxstacksize;
	if (bytes < STACKMIN)
		bytes = STACKMIN;
	if (bytes > runtime_maxstackceiling)
		bytes = runtime_maxstackceiling;
	runtime_maxstacksize = bytes;
	return old;
}
