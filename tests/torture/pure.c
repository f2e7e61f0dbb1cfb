// SPDX-License-Identifier: BSD-3-Clause
// pure.c: the torture of a program without a libc, where preemption switches on the thread itself:
// registers, flags and modes of every unit are then the runtime's to save, not the kernel's.
//
//	pure [SECONDS]
//
// Its last line is `ok pure`. Each worker checks itself; sums are checked at the end.
#include <cpuid.h>

#include <rt0.h>

#include "cpu.h"

enum { WORKERS = 8, LEAVES = 12 };

struct worker {
	int id;
	uint64_t seed, n, sum;
};

static int64_t deadline;
static rt0_waitgroup ended;
static bool avx, avx512;
static rt0_mutex mu;
static uint64_t counted, want;        // mu; want: atomic
static struct worker worker[WORKERS]; // its own goroutine; main's after the end
static rt0_chan *numbers;

static _Noreturn void
bad(const char *what, int id)
{
	rt0_printf("pure: worker %d: %s changed\n", id, what);
	rt0_exit(1);
}

static bool
running(struct worker *w)
{
	w->n++;
	return rt0_nanotime() < deadline;
}

static uint64_t
rnd(struct worker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

__attribute__((noinline)) static void
spin(long turns)
{
	for (volatile long i = 0; i < turns; i++)
		continue;
}

__attribute__((noinline)) static uint64_t
leaf(uint64_t v)
{
	volatile uint64_t a[LEAVES]; // in the red zone
	uint64_t sum = 0;
	for (int i = 0; i < LEAVES; i++)
		a[i] = v + (uint64_t)i;
	for (int turn = 0; turn < 200; turn++)
		for (int i = 0; i < LEAVES; i++)
			a[i] = a[i] * 5 + a[(i + 1) % LEAVES];
	for (int i = 0; i < LEAVES; i++)
		sum = sum * 7 + a[i];
	return sum;
}

// registers spins for a part of the time with nothing in its code but loops.
static void
registers(struct worker *w)
{
	const char *wrong = regs_keep(rnd(w), SPINS);
	if (!wrong)
		wrong = sse_keep(rnd(w), SPINS);
	if (!wrong)
		wrong = x87_keep(rnd(w), SPINS);
	if (!wrong && avx)
		wrong = avx_keep(rnd(w), SPINS);
	if (!wrong && avx512)
		wrong = avx512_keep(rnd(w), SPINS);
	if (wrong)
		bad(wrong, w->id);
	uint64_t v = rnd(w), first = leaf(v);
	for (int i = 0; i < 20; i++)
		if (leaf(v) != first)
			bad("a leaf's result", w->id);
}

// modes: each worker rounds and flushes its own way.
static void
modes(struct worker *w)
{
	volatile double one = 1, ten = 10, tiny = 0x1p-1022;
	uint32_t old = __builtin_ia32_stmxcsr();
	uint32_t mine = 0x1f80 | (uint32_t)(w->id & 3) << 13 | (w->id & 4 ? 0x8040 : 0);
	__builtin_ia32_ldmxcsr(mine);
	const double tenth = one / ten;
	for (int i = 0; i < 50; i++) {
		spin(200);
		if (one / ten != tenth || (tiny / 2 == 0) != ((w->id & 4) != 0))
			bad("a rounding mode", w->id);
	}
	rt0_gosched();
	// The exception flags, the low six bits, gather.
	if (((__builtin_ia32_stmxcsr() ^ mine) & ~0x3fu) != 0)
		bad("MXCSR", w->id);
	__builtin_ia32_ldmxcsr(old);
}

static void
shared(struct worker *w)
{
	rt0_mutex_lock(&mu);
	uint64_t n = counted;
	spin((long)(rnd(w) % 20000));
	counted = n + 1;
	rt0_mutex_unlock(&mu);
	__atomic_add_fetch(&want, 1, __ATOMIC_SEQ_CST);
	size_t size = rnd(w) % 9000 + 8;
	uint64_t *p = rt0_alloc(size, 0), v = rnd(w);
	if (p[0] != 0 || p[size / 8 - 1] != 0)
		bad("new memory", w->id);
	p[0] = p[size / 8 - 1] = v;
	spin(500);
	if (p[0] != v || p[size / 8 - 1] != v)
		bad("allocated memory", w->id);
	rt0_free(p);
	w->sum += v;
	rt0_chan_send(numbers, &v);
}

static void
work(void *arg)
{
	struct worker *w = arg;
	while (running(w)) {
		registers(w);
		modes(w);
		shared(w);
	}
	rt0_waitgroup_done(&ended);
}

static void
close(void *c)
{
	rt0_waitgroup_wait(&ended);
	rt0_chan_close(c);
}

int
main(int argc, char **argv)
{
	unsigned a, b, c, d;
	long seconds = 0;
	uint64_t v, sum = 0, sums = 0;
	const char *godebug = rt0_getenv("GODEBUG");
	bool off = false;

	for (const char *s = argc > 1 ? argv[1] : "1"; *s >= '0' && *s <= '9'; s++)
		seconds = seconds * 10 + (*s - '0');
	for (const char *s = godebug ? godebug : ""; *s; s++)
		off |= s[0] == 'o' && s[1] == 'f' && s[2] == 'f'; // asyncpreemptoff
	if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE)) {
		unsigned lo, hi;
		__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
		avx = (c & bit_AVX) && (lo & 6) == 6;
		avx512 = avx && (lo & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
		    (b & bit_AVX512F);
	}
	numbers = rt0_chan_make(sizeof v, 2);
	deadline = rt0_nanotime() + seconds * 1000000000;
	rt0_waitgroup_add(&ended, WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		worker[i].id = i;
		worker[i].seed = 0x9e3779b97f4a7c15 * (uint64_t)(i + 1);
		rt0_go(work, &worker[i]);
	}
	rt0_go(close, numbers);
	RT0_RANGE (numbers, v)
		sum += v;
	for (int i = 0; i < WORKERS; i++) {
		sums += worker[i].sum;
		if (!off && worker[i].n < 2)
			bad("no progress: nothing", i);
	}
	if (sum != sums || counted != want)
		bad("a sum", -1);
	rt0_printf("ok pure\n");
	return 0;
}
