// SPDX-License-Identifier: BSD-3-Clause
// test_fault.c: faults of a goroutine that are panics, once and ten thousand times.
#include "../../src/runtime.h"
#include "../harness/test.h"

// A function that faults on purpose.
#define FAULTS __attribute__((noinline, used, no_sanitize("undefined")))

static rt0_waitgroup wg;

static void
catch(void *v)
{
	if (rt0_recover(v))
		rt0_recover_result(-1);
}

struct fault {
	int how;
	uintptr_t addr;
	rt0_value v;
};

FAULTS static long
leafload(const long *p, long a)
{
	return p[0] * a;
}

FAULTS static long
faulty(struct fault *f)
{
	RT0_DEFER(catch, &f->v);
	volatile int zero = 0;
	long r = 1;
	switch (f->how) {
	case 0: r = leafload((const long *)f->addr, 3); break;
	case 1: *(volatile char *)f->addr = 1; break;
	case 2: r = __LINE__ / zero; break;
	case 3: ((void (*volatile)(void))f->addr)(); break;
	}
	return RT0_RESULT(r);
}

TEST(fault_is_a_panic)
{
	if (RT0_ASAN || RT0_TSAN)
		SKIP("a sanitizer reports faults itself");
	static const struct {
		int how;
		uintptr_t addr;
		int code;
	} t[] = {{0, 0, RT0_ERR_NIL}, {0, 8, RT0_ERR_NIL}, {0, 4095, RT0_ERR_NIL}, {1, 0, RT0_ERR_NIL}, {3, 0, RT0_ERR_NIL},
	    {0, 0xdeadbeef000, RT0_ERR_FAULT}, {1, 0xdeadbeef000, RT0_ERR_FAULT}, {3, 0xdeadbeef000, RT0_ERR_FAULT},
	    {0, 1ul << 63, RT0_ERR_FAULT}, {2, 0, RT0_ERR_DIVIDE}};
	CHECK(!rt0_set_panic_on_fault(true));
	CHECK(rt0_set_panic_on_fault(true));
	for (size_t i = 0; i < NELEM(t); i++) {
		struct fault f = {t[i].how, t[i].addr, {.kind = RT0_NIL}};
		CHECK_EQ(faulty(&f), -1);
		CHECK(rt0_is_runtime_error(&f.v));
		CHECK_EQ(f.v.code, t[i].code);
		if (t[i].how != 2 && t[i].addr >> 63 == 0)
			CHECK_EQ(f.v.v.u, t[i].addr);
	}
	CHECK(getg()->defer == NULL && getg()->panic == NULL);
}

static void
manyfaults(void *seed)
{
	uint64_t x = (uintptr_t)seed;
	rt0_set_panic_on_fault(true);
	for (int i = 0; i < 1000; i++) {
		x = x * 6364136223846793005ull + 1;
		struct fault f = {(int)(x >> 33) & 1 ? 3 : (int)(x >> 34) & 1, x >> 40 & 0xffff0, {.kind = RT0_NIL}};
		if ((x >> 35 & 3) == 0)
			f.addr &= 0xff8;
		if (x >> 36 & 1)
			rt0_gosched();
		CHECK_EQ(faulty(&f), -1);
		CHECK_EQ(f.v.v.u, f.addr);
	}
	rt0_waitgroup_done(&wg);
}

TEST_T(fault_10000_panics_leak_nothing, 30000)
{
	if (RT0_ASAN || RT0_TSAN)
		SKIP("a sanitizer reports faults itself");
	struct memstats was = {0}, is = {0};
	int64_t gs = 0, ms = 0;
	rt0_gomaxprocs(1); // with more, who uses whose dead goroutines is chance
	for (int round = 0; round < 2; round++) {
		for (intptr_t i = 0; i < 10; i++) {
			rt0_waitgroup_add(&wg, 1);
			rt0_go(manyfaults, (void *)(i + round * 10 + 1));
		}
		rt0_waitgroup_wait(&wg);
		while (rt0_num_goroutine() > 1)
			rt0_gosched();
		runtime_readmemstats(round == 0 ? &was : &is);
		if (round == 0) {
			gs = runtime_allgcount();
			ms = sched.mnext;
		}
	}
	// Threads that were made meanwhile (preemption wants a spare one) have brought a signal stack each.
	uint64_t more = is.stacks_sys - was.stacks_sys;
	CHECK(more % (64 << 10) == 0 && more >> 16 <= (uint64_t)(sched.mnext - ms));
	CHECK_EQ(is.heap_inuse, was.heap_inuse);
	CHECK_EQ(is.nmalloc - is.nfree, was.nmalloc - was.nfree);
	CHECK_EQ(runtime_allgcount(), gs);
	uint64_t mask = 0;
	CHECK_EQ(runtime_sys(14 /* rt_sigprocmask */, 0, 0, (long)&mask, 8, 0, 0), 0);
	CHECK_EQ(mask, 0);
}
