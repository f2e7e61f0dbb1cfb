// SPDX-License-Identifier: BSD-3-Clause
// cfi.h: what cfi.c and cfirow.c share, and what cfi.c offers beside runtime_cfistep (runtime.h).
#ifndef RT0_CFI_H
#define RT0_CFI_H

#include "../runtime.h"
#include "symtab.h"

#pragma GCC visibility push(hidden)

#define NOSAN __attribute__((no_sanitize_address, no_sanitize_thread))

enum { CFINAME = 32 };

// pcowner: the object that holds the runtime or the program; another one, with the file's name in
// name; none. Signal-safe; for what is not the program's it reads /proc/self/maps.
enum pcowner { PC_NOBODY, PC_PROGRAM, PC_LIBRARY };
enum pcowner runtime_pcowner(uintptr_t pc, char name[CFINAME]);

enum { NREG = 17, RBP = 6, RSP = 7, RIP = 16 };
enum { SAME, UNDEFINED, ATOFFSET, VALOFFSET, REGISTER, EXPR, VALEXPR };

// Where the tables of an object are. direct: it stays, and is read without asking the kernel.
struct object {
	uintptr_t lo, hi; // of the mapping or segment that pc is in
	uintptr_t hdr, hdrend, end; // .eh_frame_hdr; end: of the segment that it is in
	bool direct;
};

struct memory {
	uintptr_t lo, hi; // may be read directly
};

// The rules of one pc: how the caller's registers follow from the frame's.
struct row {
	int64_t val[NREG]; // ATOFFSET, VALOFFSET: from the CFA; REGISTER: which; EXPR, VALEXPR: its address
	int64_t cfaoff;
	uintptr_t cfaexpr; // not 0: the CFA is the value of the expression there
	uint32_t cfareg;
	uint8_t kind[NREG];
	bool trap; // a signal frame: the caller's pc is where it was interrupted
};

// ---- cfirow.c ----
int runtime_cfirow(struct row *w, const struct object *o, uintptr_t pc);
int runtime_cfiapply(const struct row *w, const struct object *o, struct cfiregs *regs, const struct memory *m,
    uintptr_t *cfa);

#pragma GCC visibility pop
#endif
