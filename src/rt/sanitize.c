// SPDX-License-Identifier: BSD-3-Clause
// sanitize.c: tells AddressSanitizer and ThreadSanitizer about stack switches.
//
// asm_amd64.s calls these around every switch in sanitized builds, and nobody else does. TSan: each
// goroutine is a fiber; a switch synchronises, so that what the solo rule orders by the thread alone
// counts as ordered. ASan: each goroutine has its own fake stack, given up when it is dead.
#include "../runtime.h"

#if RT0_ASAN || RT0_TSAN

#define NOSAN __attribute__((no_sanitize("address", "thread", "undefined"), visibility("hidden"), used))

void runtime_sanbefore(struct g *from, struct g *to) NOSAN;
void runtime_sanafter(struct g *gp) NOSAN;

// sanunwound: recover leaves nframes functions that have said that they began, in [lo, hi) of a stack.
void runtime_sanunwound(uintptr_t lo, uintptr_t hi, int nframes) NOSAN;

#if RT0_TSAN
void __tsan_func_exit(void);

void
runtime_sanunwound(uintptr_t lo, uintptr_t hi, int nframes)
{
	(void)lo;
	(void)hi;
	for (; nframes > 0; nframes--)
		__tsan_func_exit();
}

void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);

void
runtime_sanbefore(struct g *from, struct g *to)
{
	if (from == from->m->g0)
		from->racectx = __tsan_get_current_fiber();
	if (to->racectx == NULL)
		to->racectx = __tsan_create_fiber(0);
	__tsan_switch_to_fiber(to->racectx, 0);
}

void
runtime_sanafter(struct g *gp)
{
	(void)gp;
}

#else
void
runtime_sanunwound(uintptr_t lo, uintptr_t hi, int nframes)
{
	(void)nframes;
	if (lo < hi)
		__asan_unpoison_memory_region((const void *)lo, hi - lo);
}

void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);

// The fake stack of the g that is away is in racectx; g0's real bounds, which the first switch away from it
// tells, are in segment.
void
runtime_sanbefore(struct g *from, struct g *to)
{
	struct stack s = to->segment.lo != 0 ? to->segment : to->stack;
	bool dead = from->atomicstatus == Gdead;
	// What Goexit has left on it is no frame's any more.
	if (dead && from->sched.sp >= from->stack.lo)
		runtime_sanunwound(from->sched.sp, from->stack.hi, 0);
	__sanitizer_start_switch_fiber(dead ? NULL : &from->racectx, (const void *)s.lo, s.hi - s.lo);
}

void
runtime_sanafter(struct g *gp)
{
	const void *lo;
	size_t n;
	void *fake = gp->racectx;
	gp->racectx = NULL;
	__sanitizer_finish_switch_fiber(fake, &lo, &n);
	struct g *g0 = gp->m->g0;
	if (gp != g0 && g0->segment.lo == 0)
		g0->segment = (struct stack){(uintptr_t)lo, (uintptr_t)lo + n};
}
#endif

#endif
