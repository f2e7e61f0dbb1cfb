// SPDX-License-Identifier: BSD-3-Clause
// unwind.h: a walk from frame to frame; what unwind.c, traceback.c and debug.c share.
#ifndef RT0_UNWIND_H
#define RT0_UNWIND_H

#include "symtab.h"

#pragma GCC visibility push(hidden)

enum { STACKWINDOW = 512, LOWESTPC = 4096 };

struct unwinder {
	struct frame f;
	bool isret;            // f.pc is where a call returns to, so its call is at f.pc - 1
	bool first;            // nothing has been found out about f by unwinding
	int jumps;             // moves to another stack that are left
	uint32_t steps;        // made so far; stays when it is large
	uintptr_t low;         // the next frame must be above this, unless it is on another stack
	struct stack trusted;  // memory that we may load from directly
	struct stack known[2]; // stacks of the goroutine: a move between them is a jump
	struct stack end;      // a stack whose frames are not part of this walk
	struct cfiregs regs;   // what is known of f's registers; rip, rsp, rbp are in f
	uintptr_t winaddr;     // of window, 0: nothing in it
	uint8_t window[STACKWINDOW] __attribute__((aligned(8)));
};

// unwindinit makes u stand at f. isret: f.pc is a return address, not where a signal stopped.
void runtime_unwindinit(struct unwinder *u, struct frame f, bool isret);
// unwindstep moves u to the caller's frame. False: there is none, or the stack is damaged.
// Signal-safe, asks nobody about symbols.
bool runtime_unwindstep(struct unwinder *u);
// unwindpair reads the two words at p.
bool runtime_unwindpair(struct unwinder *u, uintptr_t p, uintptr_t w[2]);
// trapentry corrects u, which stands where a signal stopped, if that is the target of a call that
// led nowhere.
void runtime_trapentry(struct unwinder *u);
// iscallreturn: the code in front of pc is a call instruction.
bool runtime_iscallreturn(uintptr_t pc);
// issigtramp: the code at pc is what a signal handler returns to.
bool runtime_issigtramp(uintptr_t pc);

#pragma GCC visibility pop
#endif
