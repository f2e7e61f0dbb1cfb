// SPDX-License-Identifier: BSD-3-Clause
// boottrace.h: what boottrace.c measured, for bootsvg.c to draw.
#ifndef RT0_BOOTTRACE_H
#define RT0_BOOTTRACE_H

#include "../runtime.h"

#pragma GCC visibility push(hidden)

enum { BOOTSTEPS = 63 };

enum bootphase { PhaseRt0, PhaseSched, PhaseStart, PhaseMain, PhaseInit, PhaseOther, NPHASE };
extern const char *const runtime_bootphasenames[NPHASE];

struct bootstep {
	const char *step, *name; // printed one after the other
	enum bootphase phase;
	double start, took; // us
};

struct boottrace {
	struct bootstep step[BOOTSTEPS];
	int n;
	uint32_t dropped;     // steps that found no place; the last one has their time
	double total;         // us, first mark to main
	double phase[NPHASE]; // us; init tasks are counted in runtime_main as well
};

void runtime_bootsvg(const struct boottrace *t, const char *path);

#pragma GCC visibility pop
#endif
