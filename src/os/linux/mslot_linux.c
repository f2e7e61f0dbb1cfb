// SPDX-License-Identifier: BSD-3-Clause
// mslot_linux.c: where an m lives: its signal stack, its thread's stack, its gs and itself, in one slot.
//
//	| guard | signal stack | guard | thread's stack, TLS at its top | gsignal | g0 | m |
//
// Slots lie side by side in arenas, a mapping each, so that a thread costs no mapping, and few pages of page tables:
// one of these serves the slots of 2 MiB. Guards are markers; where the kernel has none, the thread's stack has one by
// mprotect, which costs two mappings, until the limit on those; beyond it has none. A thread that sleeps, or whose
// goroutine is stopped in the signal handler, has three pages: the m, its gs and the libc's TLS; where the scheduler has
// run; where the handler stands.
//
// The libc gets its stack from us (thread_start in libc/hosted.c), and does not tell when it is through with it. So a slot
// stays its m's, and the m is used again when the kernel says that the thread is no more (threadgone). Slots are never
// unmapped.
//
// Not done: joinable threads, which the next to start one joins: it would wait for destructors of the program's. One stack
// for g0 and signals, a page less: a handler of the program's that calls in would have the scheduler run over its frame.
#include "../../runtime.h"
#include "linux.h"

enum {
	// Reports and the program's own handlers run on it; Go's is as large. Sanitizers make our frames larger.
	SIGSTACK = RT0_ASAN || RT0_TSAN ? 64 << 10 : 32 << 10,
	FIRST = 4, // slots of the first arena; later ones double the number, up to MOST
	MOST = 256,
	// Of the thread's stack, beside what the libc takes. Sanitizers have demands of their own.
	ROOM = RT0_ASAN || RT0_TSAN ? 256 << 10 : STACKSYSTEM_WINDOW,
};

static struct {
	struct mutex lock;
	// lock:
	uintptr_t next, end; // of the last arena: what no m has
	size_t made;         // slots of all arenas
	size_t stride;       // bytes; constant once there is an arena
} mslots = {.lock = {.rank = LOCKRANK_LEAF}};

// newarena: half as many slots again and again until the kernel agrees. Beyond the first all arenas together are at most twice
// as large as what is in use: they count where address space is limited, or memory that is not overcommitted.
static bool
newarena(void)
{
	if (mslots.stride == 0) {
		size_t tls = runtime_hosted != NULL ? runtime_hosted->stackuse() : runtime_tlssize();
		size_t ms = alignup(sizeof(struct m), 64) + 2 * alignup(sizeof(struct g), 64);
		mslots.stride = 2 * PAGESIZE + SIGSTACK + alignup(ROOM + tls + ms, PAGESIZE);
	}
	size_t n = mslots.made < FIRST ? FIRST : mslots.made < MOST ? mslots.made : MOST;
	for (; n > 0; n /= 2) {
		size_t size = n * mslots.stride;
		long p = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (p < 0 && p > -4096)
			continue;
		runtime_sysNoHugePage((void *)p, size);
		runtime_sanfresh((void *)p, size);
		atomic_xadd(&memstats.stacks_sys, size);
		mslots.made += n;
		mslots.next = (uintptr_t)p;
		mslots.end = (uintptr_t)p + size;
		return true;
	}
	return false;
}

// mnew makes an m with all that lies in its slot. Throws "out of memory".
struct m *
runtime_mnew(void)
{
	runtime_lock(&mslots.lock);
	if (mslots.next == mslots.end && !newarena())
		runtime_throw("out of memory (stack of a thread)");
	uintptr_t base = mslots.next, top = base + mslots.stride;
	mslots.next = top;
	runtime_unlock(&mslots.lock);
	uintptr_t sig = base + PAGESIZE, thread = sig + SIGSTACK;
	struct iovec_any guards[] = {{(void *)base, PAGESIZE}, {(void *)thread, PAGESIZE}};
	if (!runtime_sysGuardBatch(guards, 2))
		sys3(SYS_mprotect, thread, PAGESIZE, PROT_NONE);
	struct m *mp = (struct m *)((top - sizeof *mp) & ~63ul);
	struct g *g0 = (struct g *)(((uintptr_t)mp - sizeof *g0) & ~63ul), *gs = (struct g *)(((uintptr_t)g0 - sizeof *gs) & ~63ul);
	gs->stack = (struct stack){sig, sig + SIGSTACK};
	gs->m = mp;
	gs->issystem = true;
	mp->gsignal = gs;
	mp->g0 = g0;
	mp->thread = (struct stack){thread + PAGESIZE, (uintptr_t)gs};
	return mp;
}

// mpreinit makes m0's gsignal. m0 has all that statically: boot makes no call for it.
void
runtime_mpreinit(struct m *mp)
{
	static struct g gsignal0 BOOTDATA;
	static char stack0[SIGSTACK] __attribute__((aligned(4096)));
	struct g *gs = &gsignal0;
	gs->stack = (struct stack){(uintptr_t)stack0, (uintptr_t)stack0 + SIGSTACK};
	gs->m = mp;
	gs->issystem = true;
	mp->gsignal = gs;
}

// threadgone tells whether the kernel has left the thread's stack. In a pure program it clears a word; a libc keeps that
// for itself, but a thread that is not there any more cannot be signalled. (Another one that has got its number since
// only makes us wait.)
bool
runtime_threadgone(struct m *mp)
{
	// Acquire: the thread has touched the m, and its stack, for the last time.
	if (atomic_loadacq(&mp->freewait) != 0 || atomic_loadacq(&mp->cleartid) != 0)
		return false;
	return runtime_hosted == NULL || runtime_tgkill(atomic_loadrlx(&mp->procid), 0) == -ESRCH;
}
