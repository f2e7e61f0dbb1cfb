// SPDX-License-Identifier: BSD-3-Clause
// unwind.c: where the caller's frame is at each instruction, for .eh_frame.
//
// The state is followed along the control flow, not down the page: behind a RET in the middle of a
// function the frame is again what the branch to there left. What moves SP in a way that cannot
// be known ends it: then the frame counts from BP, if BP is known, and if not, unwinding stops
// there, unless UNWIND says how it goes on.
//
// All places are counted down from the base of the frame, which does not move. It is the canonical
// frame address (CFA: the caller's SP) itself, or, where UNWIND names a word that holds that, a
// place above that word.
#include <string.h>

#include "asm.h"

enum { UNKNOWN = -1, INREG = 0, DWARF_BP = 6, DWARF_SP = 7, DWARF_PC = 16, NDWARF };

// The registers by their numbers in DWARF, from AX on.
static const uint8_t dwarfreg[] = {
    0, 2, 1, 3, DWARF_SP, DWARF_BP, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

// The registers that C wants back. Go's functions may use them all: then they are lost to who
// unwinds, until the trampoline that has saved them. Who was interrupted (SIGFRAME) wants all.
enum { CSAVED = 1 << 3 | 1 << DWARF_BP | 0xf << 12, ALL = 0xffff & ~(1 << DWARF_SP) };
static unsigned wanted;

// At the beginning of an instruction, in bytes below the base:
struct frame_state {
	int32_t sp;            // SP; UNKNOWN
	int32_t bp;            // BP if it points into the frame; UNKNOWN
	int32_t cfa;           // the word that holds the CFA; 0: the base is the CFA
	int32_t saved[NDWARF]; // the slot where the caller's is; INREG; UNKNOWN: lost
	int32_t top;           // there is no caller
};

static const struct frame_state entry = {.sp = 8, .bp = UNKNOWN, .saved[DWARF_PC] = 8};

static bool
isreg(const struct operand *o, int r)
{
	return o->type == O_REG && o->reg == r;
}

// saved is the number of a register that is wanted back, whole or a byte of it; UNKNOWN for others.
static int
saved(const struct operand *o)
{
	int r = UNKNOWN;
	if (o->type != O_REG)
		return UNKNOWN;
	if (o->reg >= REG_AX && o->reg <= REG_R15)
		r = dwarfreg[o->reg - REG_AX];
	else if (o->reg >= REG_AL && o->reg <= REG_R15B)
		r = dwarfreg[o->reg - REG_AL];
	else if (o->reg >= REG_AH && o->reg <= REG_BH)
		r = dwarfreg[o->reg - REG_AH];
	return r != UNKNOWN && wanted & 1u << r ? r : UNKNOWN;
}

// lose notes that a register is written. What the caller had in it is gone if it was not saved.
static void
lose(struct frame_state *s, int r)
{
	if (r == DWARF_BP)
		s->bp = UNKNOWN;
	if (r != UNKNOWN && s->saved[r] == INREG)
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

// told is the effect of UNWIND from, to. Where SP is begins anew; what other lines have said about
// other registers is then void.
static void
told(struct frame_state *s, const struct operand *from, const struct operand *to)
{
	if (from->type == O_CONST) {
		s->top = true;
	} else if (isreg(to, REG_SP)) {
		*s = entry;
		s->sp = (int32_t)from->off;
		if (from->type == O_MEM) {
			s->cfa = 3 * MAXUNWIND; // so that all that can be said is below the base
			s->sp += s->cfa;
			s->saved[DWARF_PC] = UNKNOWN;
		}
	} else {
		int r = to->reg == REG_PC ? DWARF_PC : dwarfreg[to->reg - REG_AX];
		s->saved[r] = s->sp == UNKNOWN ? UNKNOWN : (int32_t)(s->sp - from->off);
		s->top &= r != DWARF_PC; // a caller, then
	}
}

// step is the effect of p.
static struct frame_state
step(struct frame_state s, const struct insn *p)
{
	const struct operand *a = p->o, *z = p->nops ? &p->o[p->nops - 1] : NULL;
	int r;
	if (p->flags & I_UNWIND)
		told(&s, &p->o[0], &p->o[1]);
	if (p->flags & (I_MARK | I_ALIGN))
		return s;
	switch (p->op) {
	case OP_PUSHQ:
		movesp(&s, 8);
		r = saved(a);
		if (r != UNKNOWN && s.saved[r] == INREG && s.sp != UNKNOWN)
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
			s.saved[r] = INREG;
		if (isreg(z, REG_SP))
			s.sp = UNKNOWN;
		movesp(&s, p->op == OP_POPQ ? -8 : -2);
		return s;
	case OP_LEAVEQ:
		s.sp = s.bp;
		if (s.sp != UNKNOWN) {
			if (s.saved[DWARF_BP] == s.sp)
				s.saved[DWARF_BP] = INREG;
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
			return lose(&s, DWARF_BP), s.bp = slot(&s, a), s;
		break;
	case OP_MOVQ:
		if (isreg(z, REG_SP) && isreg(a, REG_BP) && s.bp != UNKNOWN)
			return s.sp = s.bp, s;
		if (isreg(z, REG_BP) && isreg(a, REG_SP))
			return lose(&s, DWARF_BP), s.bp = s.sp, s;
		r = saved(a);
		if (r != UNKNOWN && s.saved[r] == INREG && slot(&s, z) > 0 && a->reg >= REG_AX)
			return s.saved[r] = slot(&s, z), s;
		r = saved(z);
		if (r != UNKNOWN && s.saved[r] > 0 && slot(&s, a) == s.saved[r]) {
			lose(&s, r);
			s.saved[r] = INREG;
			return s;
		}
		break;
	case OP_CPUID:
		return lose(&s, 3), s;
	}
	if (!z || z->type != O_REG)
		z = NULL;
	const char *m = mnemonics[p->op].name;
	bool both = p->nops > 1 &&
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

// follow sets the state of everything that can be reached from p.
static void
follow(const struct func *f, struct insn *p, const struct frame_state *first)
{
	struct insn **stack = arena_alloc(&A.func, ((size_t)f->n * 2 + 64) * sizeof *stack);
	size_t n = 0, cap = (size_t)f->n * 2 + 64;
	struct frame_state *s = arena_alloc(&A.func, sizeof *s);
	*s = *first;
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
	DW_CFA_def_cfa_expression = 15,
	DW_CFA_expression = 16,
	DW_OP_deref = 0x06,
	DW_OP_breg0 = 0x70,
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

// cie returns where the common part of functions is; S in its letters: they are frames of signals.
static uint32_t
cie(struct buf *b, bool issignal)
{
	uint32_t *at = &A.cies[issignal];
	if (*at)
		return *at - 1;
	size_t start = open_entry(b);
	*at = (uint32_t)start - 4 + 1;
	buf_le(b, 0, 4);
	buf_byte(b, 1);
	buf_put(b, issignal ? "zRS" : "zR", issignal ? 4 : 3);
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
	return *at - 1;
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

// The register and the offset by which a state finds the base; register 0: it does not.
static void
rule(const struct frame_state *s, int *reg, int32_t *off)
{
	*reg = s->sp != UNKNOWN ? DWARF_SP : s->bp != UNKNOWN ? DWARF_BP : 0;
	*off = s->sp != UNKNOWN ? s->sp : s->bp;
}

// where the caller's register r is.
static int32_t
where(const struct frame_state *s, int r)
{
	bool lost = r == DWARF_PC && (s->top || (s->sp == UNKNOWN && s->bp == UNKNOWN));
	return lost ? UNKNOWN : s->saved[r];
}

// expression is off(reg), or the word there.
static void
expression(struct buf *b, int reg, int64_t off, bool deref)
{
	uint8_t text[16];
	struct buf e = {text, 0, sizeof text};
	buf_byte(&e, DW_OP_breg0 + reg);
	buf_sleb(&e, off);
	if (deref)
		buf_byte(&e, DW_OP_deref);
	buf_uleb(b, e.n);
	buf_put(b, text, e.n);
}

// change writes what is different, and makes *from what the tables then say.
static void
change(struct buf *b, struct frame_state *from, const struct frame_state *to)
{
	int oldreg, newreg;
	int32_t oldoff, newoff;
	rule(from, &oldreg, &oldoff);
	rule(to, &newreg, &newoff);
	if (newreg == 0) { // nothing is found from here on
		if (where(from, DWARF_PC) != UNKNOWN) {
			buf_byte(b, DW_CFA_undefined);
			buf_uleb(b, DWARF_PC);
		}
		from->sp = from->bp = UNKNOWN;
		return;
	}
	bool other = newreg != oldreg || to->cfa != from->cfa; // all offsets count from elsewhere
	bool indirect = to->cfa != 0;
	if (indirect) {
		buf_byte(b, DW_CFA_def_cfa_expression);
		expression(b, newreg, newoff - to->cfa, true);
	} else if (other) {
		buf_byte(b, DW_CFA_def_cfa);
		buf_uleb(b, (uint64_t)newreg);
		buf_uleb(b, (uint64_t)newoff);
	} else if (newoff != oldoff) {
		buf_byte(b, DW_CFA_def_cfa_offset);
		buf_uleb(b, (uint64_t)newoff);
	}
	bool again = indirect || to->cfa != from->cfa;
	for (int r = DWARF_PC; r >= 0; r--) {
		int32_t slot = where(to, r);
		if (slot == where(from, r) && !(again && slot > 0))
			continue;
		if (slot > 0 && indirect) {
			buf_byte(b, DW_CFA_expression);
			buf_uleb(b, (uint64_t)r);
			expression(b, newreg, newoff - slot, false);
		} else if (slot > 0 && slot % 8 == 0) {
			buf_byte(b, DW_CFA_offset | r);
			buf_uleb(b, (uint64_t)slot / 8);
		} else if (slot == INREG) {
			buf_byte(b, DW_CFA_restore | r);
		} else {
			buf_byte(b, DW_CFA_undefined);
			buf_uleb(b, (uint64_t)r);
		}
	}
	*from = *to;
}

// same: an unwinder sees no difference.
static bool
same(const struct frame_state *a, const struct frame_state *b)
{
	int areg, breg;
	int32_t aoff, boff;
	rule(a, &areg, &aoff);
	rule(b, &breg, &boff);
	if (areg == 0 && breg == 0)
		return true;
	return areg == breg && (aoff == boff || areg == 0) && a->cfa == b->cfa &&
	    a->top == b->top && memcmp(a->saved, b->saved, sizeof a->saved) == 0;
}

void
unwind(struct func *f, uint64_t addr, uint64_t size)
{
	struct buf *b = &A.ehframe;
	if (size == 0)
		return;
	struct frame_state first = entry, now = entry;
	first.top = (f->sym->flags & TOPFRAME) != 0;
	bool issignal = f->sym->flags & SIGFRAME;
	wanted = issignal ? ALL : CSAVED;
	follow(f, f->head, &first);
	// What is entered from elsewhere only begins like a function.
	for (struct insn *p = f->head; p; p = p->next)
		if (p->flags & I_ENTRY && !p->state)
			follow(f, p, &first);
	uint32_t common = cie(b, issignal);
	size_t start = open_entry(b);
	buf_le(b, b->n - common, 4);
	struct reloc *r = push_reloc(&A.ehrels, &A.nehrels, &A.capehrels);
	r->off = (uint32_t)b->n;
	r->type = REL_PC32;
	r->size = 4;
	r->add = (int64_t)addr; // in .text
	buf_le(b, 0, 4);
	buf_le(b, size, 4);
	buf_uleb(b, 0);
	int32_t at = 0;
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
	}
	close_entry(b, start);
}
