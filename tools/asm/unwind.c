// SPDX-License-Identifier: BSD-3-Clause
// unwind.c: where the caller's frame is at each instruction, for .eh_frame.
//
// The state is followed along the control flow, not down the page: behind a RET in the middle of a
// function the frame is again what the branch to there left. What moves SP in a way that cannot
// be known ends it: then the frame counts from BP, if BP is known, and if not, unwinding stops
// there.
#include <string.h>

#include "asm.h"

enum { UNKNOWN = -1, DWARF_BP = 6, DWARF_SP = 7, DWARF_PC = 16 };

// The registers that C wants back. Go's functions may use them all: then they are lost to who
// unwinds, until the trampoline that has saved them.
enum { BX, BP, R12, R13, R14, R15, NSAVED };
static const uint8_t dwarfreg[NSAVED] = {3, DWARF_BP, 12, 13, 14, 15};

// At the beginning of an instruction, in bytes below the canonical frame address (CFA):
struct frame_state {
	int32_t sp;            // SP; UNKNOWN
	int32_t bp;            // BP if it points into the frame; UNKNOWN
	int32_t saved[NSAVED]; // the slot where the caller's is; 0: in the register; UNKNOWN: lost
};

static const struct frame_state entry = {.sp = 8, .bp = UNKNOWN};

static bool
isreg(const struct operand *o, int r)
{
	return o->type == O_REG && o->reg == r;
}

// saved is the index of a register that C wants back, whole or a byte of it; UNKNOWN for others.
static int
saved(const struct operand *o)
{
	if (o->type != O_REG)
		return UNKNOWN;
	switch (o->reg) {
	case REG_BX:
	case REG_BL:
	case REG_BH:
		return BX;
	case REG_BP:
	case REG_BPB:
		return BP;
	}
	if (o->reg >= REG_R12 && o->reg <= REG_R15)
		return R12 + o->reg - REG_R12;
	if (o->reg >= REG_R15B - 3 && o->reg <= REG_R15B)
		return R12 + o->reg - (REG_R15B - 3);
	return UNKNOWN;
}

// lose notes that a register is written. What the caller had in it is gone if it was not saved.
static void
lose(struct frame_state *s, int r)
{
	if (r == BP)
		s->bp = UNKNOWN;
	if (r != UNKNOWN && s->saved[r] == 0)
		s->saved[r] = UNKNOWN;
}

// Reads its last operand only.
static bool
compares(const struct insn *p)
{
	const char *m = mnemonics[p->op].name;
	return strncmp(m, "CMP", 3) == 0 || strncmp(m, "TEST", 4) == 0 ||
	    strncmp(m, "PUSH", 4) == 0 || strncmp(m, "BT", 2) == 0 || p->op == OP_CALL ||
	    p->op == OP_JMP || strncmp(m, "NOP", 3) == 0;
}

static void
movesp(struct frame_state *s, int64_t by)
{
	if (s->sp == UNKNOWN)
		return;
	int64_t sp = s->sp + by;
	s->sp = sp < 0 || sp > INT32_MAX / 2 ? UNKNOWN : (int32_t)sp;
}

// slot is the place of off(SP) in the frame.
static int32_t
slot(const struct frame_state *s, const struct operand *o)
{
	bool issp = o->type == O_MEM && !o->index &&
	    (o->reg == REG_SP || o->name == N_AUTO || o->name == N_PARAM) && o->name != N_EXTERN &&
	    o->name != N_STATIC;
	if (!issp || s->sp == UNKNOWN || o->off > s->sp || o->off < -4096)
		return UNKNOWN;
	return (int32_t)(s->sp - o->off);
}

// step is the effect of p.
static struct frame_state
step(struct frame_state s, const struct insn *p)
{
	const struct operand *a = p->o, *z = p->nops ? &p->o[p->nops - 1] : NULL;
	int r;
	if (p->flags & (I_MARK | I_ALIGN))
		return s;
	switch (p->op) {
	case OP_PUSHQ:
		movesp(&s, 8);
		r = saved(a);
		if (r != UNKNOWN && s.saved[r] == 0 && s.sp != UNKNOWN)
			s.saved[r] = s.sp;
		return s;
	case OP_PUSHFQ:
		return movesp(&s, 8), s;
	case OP_PUSHW:
	case OP_PUSHFW:
		return movesp(&s, 2), s;
	case OP_POPFQ:
		return movesp(&s, -8), s;
	case OP_POPFW:
		return movesp(&s, -2), s;
	case OP_POPW:
	case OP_POPQ:
		lose(&s, r = saved(z));
		if (r != UNKNOWN && s.saved[r] > 0 && s.saved[r] == s.sp)
			s.saved[r] = 0;
		if (isreg(z, REG_SP))
			s.sp = UNKNOWN;
		movesp(&s, p->op == OP_POPQ ? -8 : -2);
		return s;
	case OP_LEAVEQ:
		s.sp = s.bp;
		if (s.sp != UNKNOWN) {
			s.saved[BP] = s.saved[BP] == s.sp ? 0 : s.saved[BP];
			movesp(&s, -8);
		}
		s.bp = UNKNOWN;
		return s;
	case OP_SUBQ:
	case OP_ADDQ:
		if (isreg(z, REG_SP) && a->type == O_CONST)
			return movesp(&s, p->op == OP_SUBQ ? a->off : -a->off), s;
		break;
	case OP_LEAQ:
		if (isreg(z, REG_SP) && slot(&s, a) != UNKNOWN)
			return s.sp = slot(&s, a), s;
		if (isreg(z, REG_SP) && a->reg == REG_BP && !a->index && !a->name &&
		    s.bp != UNKNOWN)
			return s.sp = s.bp, movesp(&s, -a->off), s;
		if (isreg(z, REG_BP))
			return lose(&s, BP), s.bp = slot(&s, a), s;
		break;
	case OP_MOVQ:
		if (isreg(z, REG_SP) && isreg(a, REG_BP) && s.bp != UNKNOWN)
			return s.sp = s.bp, s;
		if (isreg(z, REG_BP) && isreg(a, REG_SP))
			return lose(&s, BP), s.bp = s.sp, s;
		r = saved(a);
		if (r != UNKNOWN && s.saved[r] == 0 && slot(&s, z) > 0 && a->reg >= REG_AX)
			return s.saved[r] = slot(&s, z), s;
		r = saved(z);
		if (r != UNKNOWN && s.saved[r] > 0 && slot(&s, a) == s.saved[r]) {
			lose(&s, r);
			s.saved[r] = 0;
			return s;
		}
		break;
	case OP_CPUID:
		return lose(&s, BX), s;
	}
	if (!z || z->type != O_REG)
		z = NULL;
	const char *m = mnemonics[p->op].name;
	bool both = p->nops > 1 && ((m[0] == 'X' && (m[1] == 'C' || m[1] == 'A')) || m[0] == 'M') &&
	    (strncmp(m, "XCHG", 4) == 0 || strncmp(m, "XADD", 4) == 0 ||
		strncmp(m, "MULX", 4) == 0);
	if ((!z && !both) || compares(p))
		return s;
	if (z) {
		if (z->reg == REG_SP)
			s.sp = UNKNOWN;
		lose(&s, saved(z));
	}
	for (int i = 0; both && i < p->nops; i++) {
		if (isreg(&p->o[i], REG_SP))
			s.sp = UNKNOWN;
		lose(&s, saved(&p->o[i]));
	}
	return s;
}

static bool
ends(const struct insn *p)
{
	switch (p->op) {
	case OP_RET:
	case OP_JMP:
	case OP_UNDEF:
	case OP_RETFL:
	case OP_RETFQ:
	case OP_RETFW:
	case OP_IRETL:
	case OP_IRETQ:
	case OP_IRETW:
	case OP_SYSRET:
		return true;
	}
	return false;
}

// follow sets the state of everything that can be reached.
static void
follow(struct func *f)
{
	struct insn **stack = arena_alloc(&A.func, ((size_t)f->n * 2 + 64) * sizeof *stack);
	size_t n = 0, cap = (size_t)f->n * 2 + 64;
	struct insn *p = f->head;
	struct frame_state *s = arena_alloc(&A.func, sizeof *s);
	*s = entry;
	p->state = s;
	stack[n++] = p;
	while (n > 0) {
		p = stack[--n];
		for (;;) {
			struct frame_state now = step(*p->state, p);
			struct insn *to = p->flags & I_BRANCH ? p->o[p->nops - 1].target : NULL;
			if (to && !to->state) {
				to->state = arena_alloc(&A.func, sizeof now);
				*to->state = now;
				if (n < cap)
					stack[n++] = to;
			}
			if (ends(p) || !p->next || p->next->state)
				break;
			struct frame_state *same =
			    memcmp(&now, p->state, sizeof now) == 0 ? p->state : NULL;
			p = p->next;
			p->state = same ? same : arena_alloc(&A.func, sizeof now);
			*p->state = now;
		}
	}
}

// ---- .eh_frame ----
enum {
	DW_CFA_advance_loc = 0x40,
	DW_CFA_offset = 0x80,
	DW_CFA_restore = 0xc0,
	DW_CFA_advance_loc1 = 2,
	DW_CFA_advance_loc2 = 3,
	DW_CFA_advance_loc4 = 4,
	DW_CFA_undefined = 7,
	DW_CFA_def_cfa = 12,
	DW_CFA_def_cfa_register = 13,
	DW_CFA_def_cfa_offset = 14,
	DW_EH_PE_pcrel_sdata4 = 0x1b,
};

static size_t
open_entry(struct buf *b)
{
	buf_le(b, 0, 4);
	return b->n;
}

static void
close_entry(struct buf *b, size_t start)
{
	while ((b->n - start) % 8 != 4)
		buf_byte(b, 0); // DW_CFA_nop
	uint32_t len = (uint32_t)(b->n - start);
	memcpy(b->p + start - 4, &len, 4);
}

static void
cie(struct buf *b)
{
	size_t start = open_entry(b);
	buf_le(b, 0, 4);
	buf_byte(b, 1);
	buf_put(b, "zR", 3);
	buf_uleb(b, 1);
	buf_sleb(b, -8);
	buf_byte(b, DWARF_PC);
	buf_uleb(b, 1);
	buf_byte(b, DW_EH_PE_pcrel_sdata4);
	buf_byte(b, DW_CFA_def_cfa);
	buf_uleb(b, DWARF_SP);
	buf_uleb(b, 8);
	buf_byte(b, DW_CFA_offset | DWARF_PC);
	buf_uleb(b, 1);
	close_entry(b, start);
}

static void
advance(struct buf *b, uint32_t by)
{
	if (by == 0)
		return;
	if (by < 0x40) {
		buf_byte(b, DW_CFA_advance_loc | (int)by);
	} else if (by < 0x100) {
		buf_byte(b, DW_CFA_advance_loc1);
		buf_le(b, by, 1);
	} else if (by < 0x10000) {
		buf_byte(b, DW_CFA_advance_loc2);
		buf_le(b, by, 2);
	} else {
		buf_byte(b, DW_CFA_advance_loc4);
		buf_le(b, by, 4);
	}
}

// The rule for the CFA that a state means: register and offset; register 0: none.
static void
rule(const struct frame_state *s, int *reg, int32_t *off)
{
	*reg = s->sp != UNKNOWN ? DWARF_SP : s->bp != UNKNOWN ? DWARF_BP : 0;
	*off = s->sp != UNKNOWN ? s->sp : s->bp;
}

static void
change(struct buf *b, const struct frame_state *from, const struct frame_state *to)
{
	int oldreg, newreg;
	int32_t oldoff, newoff;
	rule(from, &oldreg, &oldoff);
	rule(to, &newreg, &newoff);
	if (newreg != oldreg) {
		if (newreg == 0) {
			buf_byte(b, DW_CFA_undefined);
			buf_uleb(b, DWARF_PC);
		} else {
			buf_byte(b, DW_CFA_def_cfa);
			buf_uleb(b, (uint64_t)newreg);
			buf_uleb(b, (uint64_t)newoff);
			if (oldreg == 0) {
				buf_byte(b, DW_CFA_offset | DWARF_PC);
				buf_uleb(b, 1);
			}
		}
	} else if (newreg && newoff != oldoff) {
		buf_byte(b, DW_CFA_def_cfa_offset);
		buf_uleb(b, (uint64_t)newoff);
	}
	for (int i = 0; i < NSAVED; i++) {
		int32_t slot = to->saved[i];
		if (slot == from->saved[i])
			continue;
		if (slot > 0 && slot % 8 == 0) {
			buf_byte(b, DW_CFA_offset | dwarfreg[i]);
			buf_uleb(b, (uint64_t)slot / 8);
		} else if (slot == 0) {
			buf_byte(b, DW_CFA_restore | dwarfreg[i]);
		} else {
			buf_byte(b, DW_CFA_undefined);
			buf_uleb(b, dwarfreg[i]);
		}
	}
}

// same: an unwinder sees no difference.
static bool
same(const struct frame_state *a, const struct frame_state *b)
{
	int areg, breg;
	int32_t aoff, boff;
	rule(a, &areg, &aoff);
	rule(b, &breg, &boff);
	return areg == breg && (aoff == boff || areg == 0) &&
	    memcmp(a->saved, b->saved, sizeof a->saved) == 0;
}

void
unwind(struct func *f, uint64_t addr, uint64_t size)
{
	struct buf *b = &A.ehframe;
	if (size == 0)
		return;
	follow(f);
	if (b->n == 0)
		cie(b);
	size_t start = open_entry(b);
	buf_le(b, b->n, 4); // back to the CIE, which is the first
	struct reloc *r = push_reloc(&A.ehrels, &A.nehrels, &A.capehrels);
	r->off = (uint32_t)b->n;
	r->type = REL_PC32;
	r->size = 4;
	r->add = (int64_t)addr; // in .text
	buf_le(b, 0, 4);
	buf_le(b, size, 4);
	buf_uleb(b, 0);
	struct frame_state now = entry;
	int32_t at = 0;
	if (f->sym->flags & TOPFRAME) { // nobody has called it
		buf_byte(b, DW_CFA_undefined);
		buf_uleb(b, DWARF_PC);
	}
	for (struct insn *p = f->head; p; p = p->next) {
		const struct frame_state *s = p->state;
		if (!s || same(s, &now))
			continue;
		// The last of several states of one address holds.
		if (p->next && p->next->pc == p->pc && p->next->state)
			continue;
		advance(b, (uint32_t)(p->pc - at));
		at = p->pc;
		change(b, &now, s);
		now = *s;
	}
	close_entry(b, start);
}
