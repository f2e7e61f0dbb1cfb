// SPDX-License-Identifier: BSD-3-Clause
// traceback.h: traceback.c for debug.c: the same texts, into a buffer.
#ifndef RT0_TRACEBACK_H
#define RT0_TRACEBACK_H

#include "../runtime.h"

#pragma GCC visibility push(hidden)

// Where text goes; NULL: to fd 2. What does not fit is dropped. One more byte than left is there.
struct sink {
	char *p;
	size_t left;
};

void runtime_tracebackto(struct sink *to, struct g *gp, struct frame f, bool isret);
void runtime_goroutineheaderto(struct sink *to, struct g *gp);
void runtime_tracebackgto(struct sink *to, struct g *gp);
void runtime_tracebackothersto(struct sink *to, struct g *me);

#pragma GCC visibility pop
#endif
