// SPDX-License-Identifier: BSD-3-Clause
// boottrace.c: GODEBUG=boottrace: where the time between _rt0_amd64 and main goes.
//
// The boot code marks the start of each step: runtime_bootmark("schedinit/stackinit"). A mark is
// one read of the time stamp counter into a static array, since the first ones are made before
// there is a clock, an environment or a stack of our own; so it is made whether or not somebody
// asked. bootdone, just before main, turns ticks into nanoseconds and prints a line a step
// (boottrace=1) or draws rt0-boot.svg in the current directory (boottrace=2; bootsvg.c).
//
// Names: PHASE or PHASE/STEP. rt0_go makes four steps of its own, which count as its phase. Init
// tasks are "runtime_main/doinit:NAME": a phase inside a phase. "main" ends the boot.
//
// All marks are made by the thread that boots. Once bootdone has run a mark does nothing.
#include "boottrace.h"

enum { NMARKS = BOOTSTEPS + 1 }; // the last place is for the one that ends the boot

static struct {
	uint64_t tsc;
	const char *step, *name;
} marks[NMARKS] BOOTDATA;
static uint32_t nmarks BOOTDATA, limit BOOTDATA = BOOTSTEPS; // limit 0: bootdone has run
static uint32_t dropped;

void
runtime_bootmark2(const char *step, const char *name)
{
	uint32_t n = nmarks;
	if (unlikely(n >= limit)) {
		bool last = step == NULL || (n == BOOTSTEPS && runtime_strcmp(step, "main") == 0);
		if (limit == 0 || n == NMARKS)
			return;
		if (!last) {
			dropped++;
			return;
		}
	}
	marks[n].tsc = cputicks();
	marks[n].step = step;
	marks[n].name = name;
	nmarks = n + 1;
}

void
runtime_bootmark(const char *step)
{
	runtime_bootmark2(step, "");
}

static const struct {
	const char *step;
	enum bootphase phase;
} phases[] = {
    {"rt0_go", PhaseRt0},
    {"check", PhaseRt0},
    {"args", PhaseRt0},
    {"osinit", PhaseRt0},
    {"schedinit", PhaseSched},
    {"newproc", PhaseStart},
    {"mstart", PhaseStart},
    {"schedule", PhaseStart},
    {"runtime_main/doinit:", PhaseInit},
    {"runtime_main", PhaseMain},
};
const char *const runtime_bootphasenames[NPHASE] = {
    "rt0_go",
    "schedinit",
    "mstart",
    "runtime_main",
    "init tasks",
    "other",
};

static enum bootphase
phaseof(const char *step)
{
	for (size_t i = 0; i < NELEM(phases); i++) {
		const char *p = phases[i].step;
		size_t n = runtime_strlen(p);
		if (runtime_hasprefix(step, p) &&
		    (step[n] == 0 || step[n] == '/' || p[n - 1] == ':'))
			return phases[i].phase;
	}
	return PhaseOther;
}

// tickns measures how long a tick is. 2 ms against a clock that is right to some 50 ns.
static double
tickns(void)
{
	int64_t n0 = runtime_nanotime(), n1;
	uint64_t c0 = cputicks(), c1;
	do {
		n1 = runtime_nanotime();
		c1 = cputicks();
	} while (n1 - n0 < 2 * MS);
	return c1 > c0 ? (double)(n1 - n0) / (double)(c1 - c0) : 1.0;
}

// collect turns the marks into steps with times in microseconds.
static void
collect(struct boottrace *t, uint64_t now)
{
	double us = tickns() / 1000;
	uint64_t end = now;
	t->n = 0;
	for (uint32_t i = 0; i < nmarks; i++) {
		if (marks[i].step == NULL || runtime_strcmp(marks[i].step, "main") == 0) {
			end = marks[i].tsc;
			break;
		}
		struct bootstep *s = &t->step[t->n++];
		s->step = marks[i].step;
		s->name = marks[i].name;
		s->phase = phaseof(s->step);
		s->start = (double)(marks[i].tsc - marks[0].tsc) * us;
	}
	t->total = (double)(end - marks[0].tsc) * us;
	t->dropped = dropped;
	for (int i = 0; i < t->n; i++) {
		struct bootstep *s = &t->step[i];
		s->took = (i + 1 < t->n ? t->step[i + 1].start : t->total) - s->start;
		t->phase[s->phase] += s->took;
	}
	t->phase[PhaseMain] += t->phase[PhaseInit]; // which is a part of it
}

static void
printtrace(const struct boottrace *t)
{
	runtime_printlock();
	runtime_print(
	    "rt0 boot trace: %d steps, %.3f us\n  start us   took us  step\n", t->n, t->total);
	for (int i = 0; i < t->n; i++)
		runtime_print("%10.3f %9.3f  %s%s\n", t->step[i].start, t->step[i].took,
		    t->step[i].step, t->step[i].name);
	if (t->dropped > 0)
		runtime_print("%10s %9s  the last one includes %u more\n", "", "", t->dropped);
	runtime_print("%10.3f %9s  main\n", t->total, "");
	runtime_print("phase totals\n");
	for (int i = 0; i < NPHASE; i++) {
		if (t->phase[i] <= 0)
			continue;
		runtime_print("%20.3f  %s%-*s %5.1f %%\n", t->phase[i], i == PhaseInit ? "  " : "",
		    i == PhaseInit ? 12 : 14, runtime_bootphasenames[i],
		    t->total > 0 ? 100 * t->phase[i] / t->total : 0);
	}
	runtime_print("%20.3f  %-14s\n", t->total, "total");
	runtime_printunlock();
}

void
runtime_bootdone(void)
{
	uint64_t now = cputicks();
	if (limit == 0)
		return;
	limit = 0;
	if (debug.boottrace <= 0 || nmarks == 0)
		return;
	static struct boottrace t; // 3 KiB that nobody's stack has to carry
	collect(&t, now);
	if (debug.boottrace == 1)
		printtrace(&t);
	else
		runtime_bootsvg(&t, "rt0-boot.svg");
}
