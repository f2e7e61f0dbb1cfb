// SPDX-License-Identifier: BSD-3-Clause
// cpu.c: the torture of registers: all general ones, the red zone, flags, x87, SSE, AVX, AVX-512,
// and the modes of their units.
//
// The assembly is in cpu.h, which the pure program uses too.
#include <fenv.h>

#include "cpu.h"
#include "torture.h"

// ---- regs ----

static void
regswork(struct worker *w)
{
	while (running(w)) {
		const char *wrong = regs_keep(rnd(w), SPINS);
		if (wrong)
			BAD("regs: %s changed", wrong);
	}
}
SUBJECT(regs, .workers = 3, .work = regswork);

// ---- vec ----

static void
vecwork(struct worker *w)
{
	bool avx = __builtin_cpu_supports("avx"), avx512 = __builtin_cpu_supports("avx512f");
	while (running(w)) {
		const char *wrong = sse_keep(rnd(w), SPINS);
		if (!wrong)
			wrong = x87_keep(rnd(w), SPINS);
		if (!wrong && avx)
			wrong = avx_keep(rnd(w), SPINS);
		if (!wrong && avx512)
			wrong = avx512_keep(rnd(w), SPINS);
		if (wrong)
			BAD("vec: %s changed", wrong);
	}
}
SUBJECT(vec, .workers = 3, .work = vecwork);

// ---- modes: each worker rounds its own way, and keeps to it across runtime calls as well ----

static const int rounding[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};

static void
modeswork(struct worker *w)
{
	int mode = rounding[w->id % 4];
	bool flush = w->id >= 4;
	volatile double one = 1, ten = 10, tiny = 0x1p-1022;
	volatile long double lone = 1, lten = 10;
	uint32_t mxcsr;
	uint16_t fcw, single;

	MUST(fesetround(mode) == 0);
	if (flush) {
		mxcsr = __builtin_ia32_stmxcsr() | 0x8040; // flush to zero, denormals are zero
		__builtin_ia32_ldmxcsr(mxcsr);
		__asm__ volatile("fnstcw %0" : "=m"(fcw));
		single = (uint16_t)(fcw & ~0x300); // x87: 24 bits of precision
		__asm__ volatile("fldcw %0" : : "m"(single));
	}
	const double tenth = one / ten;
	const long double ltenth = lone / lten;
	while (running(w)) {
		for (int i = 0; i < 100; i++) {
			if (one / ten != tenth || lone / lten != ltenth)
				BAD("modes: 1/10 is no longer what it was, mode %#x", mode);
			if ((tiny / 2 == 0) != flush)
				BAD("modes: flush to zero changed to %d", !flush);
			spin(50);
		}
		if (rnd(w) % 8 == 0)
			rt0_gosched();
		if (fegetround() != mode)
			BAD("modes: rounding is %#x, not %#x", fegetround(), mode);
	}
	__builtin_ia32_ldmxcsr(0x1f80);
	fesetround(FE_TONEAREST);
}
SUBJECT(modes, .workers = 6, .work = modeswork);
