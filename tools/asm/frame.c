// SPDX-License-Identifier: BSD-3-Clause
// frame.c: from what is written to what the processor knows.
//
//   edit        MOVQ $x(SB) to LEAQ, float constants to memory, calls and jumps to symbols, TLS
//   indirect    -pic: what another object may define goes through the global offset table
//   stacksplit  the check of g.stackguard0, without NOSPLIT
//   prologue    the frame, in the form of Go 1.19 or 1.22
//   rebase      x+8(FP) and x-8(SP) to the stack pointer; RET to the epilogue
//
// With whole = the frame and the saved BP, and depth = what the code before has pushed beyond the
// return address: x+o(FP) is o+depth+8(SP), and x-8(SP), in Go's terms, is depth-bp-8(SP).
//
// Go 1.19:  SUBQ $whole, SP; MOVQ BP, frame(SP); LEAQ frame(SP), BP
// Go 1.22:  PUSHQ BP; MOVQ SP, BP; SUBQ $frame, SP
#include <string.h>

#include "asm.h"

enum {
	STACKSMALL = 128, // bytes below the guard that a small frame may use
	STACKBIG = 4096,
	G_STACKGUARD0 = 16,
	G_PANIC = 32, // Go's g only: what the prologue of a WRAPPER looks at
};

static struct operand
reg(int r)
{
	return (struct operand){.type = O_REG, .reg = (uint8_t)r};
}

static struct operand
mem(int r, int64_t off)
{
	return (struct operand){.type = O_MEM, .reg = (uint8_t)r, .off = off};
}

static struct operand
imm(int64_t v)
{
	return (struct operand){.type = O_CONST, .off = v};
}

static struct operand
target(struct insn *p)
{
	return (struct operand){.type = O_BRANCH, .target = p};
}

static struct operand
function(struct sym *s)
{
	return (struct operand){.type = O_BRANCH, .name = N_EXTERN, .sym = s};
}

// after inserts an instruction of two operands behind p; O_NONE is no operand.
static struct insn *
after(struct insn *p, int op, struct operand a, struct operand b)
{
	int n = (a.type != O_NONE) + (b.type != O_NONE);
	struct insn *q = new_insn(op, n, p);
	if (n == 2)
		q->o[0] = a;
	if (n > 0)
		q->o[n - 1] = b.type != O_NONE ? b : a;
	q->flags |= p->flags & I_TAIL;
	q->next = p->next;
	p->next = q;
	if (A.fn.tail == p)
		A.fn.tail = q;
	return q;
}

static const struct operand none;

// adjust moves SP by n bytes, down if n > 0, with the shorter immediate.
static struct insn *
adjust(struct insn *p, int64_t n)
{
	bool add = n == 128 || (n < 0 && n != -128);
	p = after(p, add ? OP_ADDQ : OP_SUBQ, imm(add ? -n : n), reg(REG_SP));
	p->flags |= I_PROLOGUE;
	return p;
}

static bool
isgeneral(int r)
{
	return r >= REG_AX && r <= REG_R15;
}

// nothing turns p into an instruction without code. A label may stand at it.
static void
nothing(struct insn *p)
{
	p->op = OP_NOP;
	p->nops = 0;
}

// ---- edit ----
// floatsize is the width of the constants of an instruction, 0 if it takes none.
static int
floatsize(int op)
{
	switch (op) {
	case OP_MOVSS:
	case OP_FMOVF:
	case OP_FADDF:
	case OP_FSUBF:
	case OP_FSUBRF:
	case OP_FMULF:
	case OP_FDIVF:
	case OP_FDIVRF:
	case OP_FCOMF:
	case OP_FCOMFP:
	case OP_ADDSS:
	case OP_SUBSS:
	case OP_MULSS:
	case OP_DIVSS:
	case OP_COMISS:
	case OP_UCOMISS:
		return 4;
	case OP_MOVSD:
	case OP_FMOVD:
	case OP_FADDD:
	case OP_FSUBD:
	case OP_FSUBRD:
	case OP_FMULD:
	case OP_FDIVD:
	case OP_FDIVRD:
	case OP_FCOMD:
	case OP_FCOMDP:
	case OP_ADDSD:
	case OP_SUBSD:
	case OP_MULSD:
	case OP_DIVSD:
	case OP_COMISD:
	case OP_UCOMISD:
		return 8;
	}
	return 0;
}

static void
floatconstant(struct insn *p)
{
	struct operand *f = &p->o[0], *t = &p->o[p->nops - 1];
	uint64_t bits;
	memcpy(&bits, &f->f, 8);
	bool move = p->op == OP_MOVSS || p->op == OP_MOVSD;
	if (move && bits == 0 && t->type == O_REG && t->reg >= REG_X0 && t->reg < REG_X0 + 16) {
		p->op = OP_XORPS;
		*f = *t;
		return;
	}
	int size = floatsize(p->op);
	if (size)
		*f =
		    (struct operand){.type = O_MEM, .name = N_EXTERN, .sym = sym_float(f->f, size)};
}

// tls rewrites the use of thread-local storage. In an executable the offset of g from FS is known
// to the linker, so `MOVQ TLS, R` is no code and off(R)(TLS*1) is FS:tlsg+off. With -pic R is
// loaded.
static void
tls(struct insn *p)
{
	struct operand *f = &p->o[0], *t = &p->o[p->nops - 1];
	bool move = p->op == OP_MOVQ || p->op == OP_MOVL;
	if (move && p->nops == 2 && f->type == O_REG && f->reg == REG_TLS && t->type == O_REG &&
	    isgeneral(t->reg)) {
		if (A.opt.pic) {
			p->op = OP_MOVQ;
			*f = (struct operand){.type = O_MEM, .got = true};
		} else {
			nothing(p);
		}
		return;
	}
	for (struct operand *o = f; o <= t; o++) {
		if (o->type != O_MEM)
			continue;
		if (o->index == REG_TLS && isgeneral(o->reg) && !A.opt.pic) {
			o->reg = REG_TLS;
			o->scale = o->index = 0;
		} else if (o->reg == REG_TLS && A.opt.pic) {
			if (p->op != OP_MOVQ || o != f || t->type != O_REG || !isgeneral(t->reg)) {
				error_at(p, "invalid load of TLS: %s", insn_text(p));
				return;
			}
			// MOVQ off(TLS), R: first the offset, then what is there.
			int r = t->reg;
			int64_t off = o->off;
			*o = (struct operand){.type = O_MEM, .got = true};
			p = after(p, OP_MOVQ, mem(r, off), reg(r));
			p->o[0].index = REG_TLS;
			return;
		}
	}
}

static void
edit(struct insn *p)
{
	if (p->nops == 0 || p->flags & (I_MARK | I_ALIGN))
		return;
	struct operand *f = &p->o[0], *t = &p->o[p->nops - 1];
	tls(p);
	if (p->nops == 0)
		return;
	switch (p->op) {
	case OP_CMPPD:
	case OP_CMPPS:
	case OP_CMPSD:
	case OP_CMPSS: // CMPPS X1, X2, 4: a constant without its $
		if (t->type == O_MEM && !t->name && !t->reg && !t->index)
			t->type = O_CONST;
		break;
	case OP_CALL:
	case OP_JMP:
	case OP_RET:
	case OP_DUFFCOPY:
	case OP_DUFFZERO:
		if ((t->type == O_MEM || t->type == O_ADDR) &&
		    (t->name == N_EXTERN || t->name == N_STATIC)) {
			t->type = O_BRANCH;
			t->reg = t->index = t->scale = 0;
		}
		break;
	case OP_MOVL:
	case OP_MOVQ:
		if (f->type == O_ADDR && p->nops == 2) {
			p->op = p->op == OP_MOVL ? OP_LEAL : OP_LEAQ;
			f->type = O_MEM;
		}
		break;
	case OP_ADJSP:
		if (p->nops != 1 || f->type != O_CONST || f->off != (int32_t)f->off) {
			error_at(p, "invalid instruction: %s", insn_text(p));
			break;
		}
		adjust(p, f->off);
		nothing(p);
		return;
	}
	if (f->type == O_FLOAT)
		floatconstant(p);
}

// ---- -pic ----
static bool
elsewhere(const struct operand *o)
{
	return (o->type == O_MEM || o->type == O_ADDR) && o->name == N_EXTERN && o->sym &&
	    !o->sym->here && !o->sym->global && !A.opt.hidden;
}

// indirect makes p reach what is defined elsewhere. Addresses are loaded from the global offset
// table; memory goes through R15, as in Go.
static struct insn *
indirect(struct insn *p)
{
	struct operand *o = NULL;
	if (p->op == OP_CALL || p->op == OP_JMP || p->op == OP_RET || p->op == OP_NOP) {
		if (p->nops == 1 && p->o[0].type == O_INDIR && p->o[0].name == N_EXTERN &&
		    !p->o[0].sym->here && !A.opt.hidden)
			p->o[0].got = p->o[0].off == 0; // *f(SB) is a jump through f's slot
		return p;
	}
	for (int i = 0; i < p->nops; i++) {
		if (!elsewhere(&p->o[i]))
			continue;
		if (o) {
			error_at(p, "cannot handle NAME_EXTERN on both sides in %s with -pic",
			    insn_text(p));
			return p;
		}
		o = &p->o[i];
	}
	if (!o)
		return p;
	struct operand slot = *o;
	int64_t off = slot.off;
	slot.type = O_MEM;
	slot.got = true;
	slot.off = 0;
	if (p->op == OP_LEAQ && p->nops == 2 && p->o[1].type == O_REG) {
		p->op = OP_MOVQ;
		p->o[0] = slot;
		return off ? after(p, OP_ADDQ, imm(off), p->o[1]) : p;
	}
	if (p->op == OP_LEAL) {
		error_at(p, "do not know how to handle LEA-type insn to 32 bits in %s with -pic",
		    insn_text(p));
		return p;
	}
	// p becomes the load; a copy of it does the work.
	struct insn *work = new_insn(p->op, p->nops, p);
	memcpy(work->o, p->o, p->nops * sizeof p->o[0]);
	work->suffix = p->suffix;
	work->o[o - p->o] = mem(REG_R15, off);
	work->flags |= I_R15;
	if (p->nops < 2) {
		// There is room for one operand only: the load goes to an instruction of its own,
		// and p to nothing.
		nothing(p);
		p = after(p, OP_MOVQ, slot, reg(REG_R15));
	} else {
		p->op = OP_MOVQ;
		p->suffix = 0;
		p->nops = 2;
		p->o[0] = slot;
		p->o[1] = reg(REG_R15);
	}
	work->next = p->next;
	p->next = work;
	if (A.fn.tail == p)
		A.fn.tail = work;
	return work;
}

static bool
uses(const struct operand *o, int r)
{
	return ((o->type == O_REG || o->type == O_MEM || o->type == O_ADDR) && o->reg == r) ||
	    (o->type != O_REG && o->index == r);
}

// sets: p overwrites R15 whatever was in it.
static bool
sets(const struct insn *p)
{
	const struct operand *t = p->nops ? &p->o[p->nops - 1] : NULL;
	if (!t || t->type != O_REG || t->reg != REG_R15)
		return false;
	for (int i = 0; i < p->nops - 1; i++) {
		bool self = (p->op == OP_XORL || p->op == OP_XORQ) && p->o[i].type == O_REG;
		if (uses(&p->o[i], REG_R15) && !self)
			return false;
	}
	const char *m = mnemonics[p->op].name;
	return p->op == OP_POPQ || strncmp(m, "MOV", 3) == 0 || strncmp(m, "LEA", 3) == 0 ||
	    p->op == OP_XORL || p->op == OP_XORQ;
}

// clobbered reports the first use of R15 behind an instruction that has left an address in it.
static void
clobbered(struct insn *start)
{
	struct insn *stack[64];
	int n = 0;
	stack[n++] = start->next;
	while (n > 0) {
		for (struct insn *p = stack[--n]; p && !(p->flags & I_SEEN); p = p->next) {
			p->flags |= I_SEEN;
			if (sets(p))
				break;
			bool load = p->nops == 2 && p->o[0].got;
			for (int i = 0; i < p->nops; i++) {
				if (uses(&p->o[i], REG_R15) && !load && !(p->flags & I_R15)) {
					error_at(p,
					    "when dynamic linking, R15 is clobbered by a global "
					    "variable access "
					    "and is used here: %s",
					    insn_text(p));
					return;
				}
			}
			struct operand *t = p->nops ? &p->o[p->nops - 1] : NULL;
			if (t && t->type == O_BRANCH && t->target && n < 64)
				stack[n++] = t->target;
			if (p->op == OP_RET || p->op == OP_JMP || p->op == OP_UNDEF)
				break;
		}
	}
}

// ---- prologues ----
// loadg leaves g in R14.
static struct insn *
loadg(struct insn *p)
{
	if (A.fn.sym->abi == ABIINTERNAL)
		return p; // it is there
	p = after(p, OP_MOVQ, mem(REG_TLS, 0), reg(REG_R14));
	tls(p);
	return p->next && p->next->nops == 2 && p->next->o[0].index == REG_TLS ? p->next : p;
}

static struct insn *
last(struct insn *p)
{
	while (p->next)
		p = p->next;
	return p;
}

static struct insn *
stacksplit(struct insn *p, int64_t frame)
{
	struct insn *head = p, *underflow = NULL, *branch;
	p = loadg(p);
	if (frame <= STACKSMALL) {
		p = after(p, OP_CMPQ, reg(REG_SP), mem(REG_R14, G_STACKGUARD0));
	} else if (frame <= STACKBIG) {
		p = after(p, OP_LEAQ, mem(REG_SP, -(frame - STACKSMALL)), reg(REG_R12));
		p = after(p, OP_CMPQ, reg(REG_R12), mem(REG_R14, G_STACKGUARD0));
	} else {
		// SP may be so low that the subtraction wraps.
		p = after(p, OP_MOVQ, reg(REG_SP), reg(REG_R12));
		p = after(p, OP_SUBQ, imm(frame - STACKSMALL), reg(REG_R12));
		p = underflow = after(p, OP_JCS, target(NULL), none);
		p = after(p, OP_CMPQ, reg(REG_R12), mem(REG_R14, G_STACKGUARD0));
	}
	branch = after(p, OP_JLS, target(NULL), none);
	struct insn *call = last(branch);
	bool ctxt = A.fn.sym->flags & NEEDCTXT;
	call = after(call, OP_CALL,
	    function(sym_named(ctxt ? "runtime.morestack" : "runtime.morestack_noctxt", ABI0)),
	    none);
	call->flags |= I_TAIL;
	call->line = head->line;
	call->file = head->file;
	after(call, OP_JMP, target(head->next), none);
	branch->o[0].target = call;
	if (underflow)
		underflow->o[0].target = call;
	return branch;
}

// wrapper: a panic that a wrapper's callee recovers belongs to the wrapper's caller.
static void
wrapper(struct insn *p, int64_t whole)
{
	p = after(p, OP_MOVQ, mem(REG_R14, G_PANIC), reg(REG_R12));
	p = after(p, OP_TESTQ, reg(REG_R12), reg(REG_R12));
	struct insn *jne = after(p, OP_JNE, target(NULL), none);
	struct insn *end = after(jne, OP_NOP, none, none);
	p = after(last(end), OP_LEAQ, mem(REG_SP, whole + 8), reg(REG_R13));
	jne->o[0].target = p;
	p = after(p, OP_CMPQ, mem(REG_R12, 0), reg(REG_R13));
	p = after(p, OP_JNE, target(end), none);
	p = after(p, OP_MOVQ, reg(REG_SP), mem(REG_R12, 0));
	after(p, OP_JMP, target(end), none);
}

// isleaf: small, and it calls nothing that would need more stack.
static bool
isleaf(const struct func *f)
{
	static const char *const panics[] = {
	    "runtime.panicdivide", "runtime.panicwrap", "runtime.panicshift"};
	bool near = f->whole >= STACKSMALL - 8;
	for (struct insn *p = f->head; p; p = p->next) {
		if (p->op == OP_DUFFCOPY || p->op == OP_DUFFZERO) {
			if (near)
				return false;
		}
		if (p->op != OP_CALL || !p->nops)
			continue;
		const char *name =
		    p->o[0].type == O_BRANCH && p->o[0].sym ? p->o[0].sym->name->text : "";
		bool panics_only = strncmp(name, "runtime.panicIndex", 18) == 0 ||
		    strncmp(name, "runtime.panicSlice", 18) == 0;
		for (size_t i = 0; i < sizeof panics / sizeof panics[0]; i++)
			panics_only |= strcmp(name, panics[i]) == 0;
		if (!panics_only || near)
			return false;
	}
	return true;
}

// prologue sets up the frame behind p.
static struct insn *
prologue(struct func *f, struct insn *p)
{
	int64_t local = f->whole - f->bp;
	if (f->whole % 8)
		error_at(f->head, "unaligned stack size %lld", (long long)f->whole);
	if (A.opt.go122) {
		if (f->bp) {
			p = after(p, OP_PUSHQ, reg(REG_BP), none);
			p = after(p, OP_MOVQ, reg(REG_SP), reg(REG_BP));
		}
		if (local)
			p = adjust(p, local);
		return p;
	}
	if (f->whole)
		p = adjust(p, f->whole);
	if (f->bp) {
		p = after(p, OP_MOVQ, reg(REG_BP), mem(REG_SP, local));
		p = after(p, OP_LEAQ, mem(REG_SP, local), reg(REG_BP));
	}
	return p;
}

// epilogue turns the RET at p into the way out, and returns its last instruction.
static struct insn *
epilogue(const struct func *f, struct insn *p)
{
	struct operand to = p->nops ? p->o[0] : none;
	bool tail = to.type == O_BRANCH && to.sym;
	int64_t local = f->whole - f->bp;
	if (p->nops && !tail) {
		error_at(p, "invalid instruction: %s", insn_text(p));
		return p;
	}
	if (f->whole == 0) {
		p->op = tail ? OP_JMP : OP_RET;
		return p;
	}
	// A label at the RET is a label at the beginning of the epilogue.
	nothing(p);
	if (A.opt.go122) {
		if (local)
			p = adjust(p, -local);
		if (f->bp)
			p = after(p, OP_POPQ, reg(REG_BP), none);
	} else {
		if (f->bp)
			p = after(p, OP_MOVQ, mem(REG_SP, local), reg(REG_BP));
		p = adjust(p, -f->whole);
	}
	return after(p, tail ? OP_JMP : OP_RET, tail ? to : none, none);
}

// pushed is by how much p moves the stack, as Go counts it.
static int64_t
pushed(const struct insn *p)
{
	switch (p->op) {
	case OP_PUSHQ:
	case OP_PUSHFQ:
		return 8;
	case OP_POPQ:
	case OP_POPFQ:
		return -8;
	case OP_PUSHL:
	case OP_PUSHFL:
		return 4;
	case OP_POPL:
	case OP_POPFL:
		return -4;
	case OP_PUSHW:
	case OP_PUSHFW:
		return 2;
	case OP_POPW:
	case OP_POPFW:
		return -2;
	case OP_SUBQ:
		return p->flags & I_PROLOGUE ? p->o[0].off : 0;
	case OP_ADDQ:
		return p->flags & I_PROLOGUE ? -p->o[0].off : 0;
	}
	return 0;
}

static void
rebase(struct func *f)
{
	int64_t depth = 0;
	for (struct insn *p = f->head; p; p = p->next) {
		for (int i = 0; i < p->nops; i++) {
			struct operand *o = &p->o[i];
			if (o->name == N_AUTO)
				o->off += depth - f->bp;
			else if (o->name == N_PARAM)
				o->off += depth + 8;
		}
		if (p->op == OP_RET) {
			if (depth != f->whole)
				error_at(p, "%s: unbalanced PUSH/POP", f->sym->name->text);
			p = epilogue(f, p);
		} else {
			depth += pushed(p);
		}
	}
}

// shortcut leads a branch to a branch to where that goes.
static void
shortcut(struct func *f)
{
	for (struct insn *p = f->head; p; p = p->next) {
		struct operand *t = p->nops ? &p->o[p->nops - 1] : NULL;
		if (!t || t->type != O_BRANCH || !t->target)
			continue;
		struct insn *q = t->target;
		int hops = 0;
		while (q->op == OP_JMP && q->nops == 1 && q->o[0].type == O_BRANCH &&
		    q->o[0].target && hops++ < 5000)
			q = q->o[0].target;
		// A ring of jumps is left as it is: it is meant.
		t->target = hops > 5000 ? p : q;
	}
}

void
frame(struct func *f)
{
	struct sym *s = f->sym;
	bool calls = false;
	for (struct insn *p = f->head; p; p = p->next)
		edit(p);
	if (A.opt.pic) {
		for (struct insn *p = f->head; p; p = p->next)
			p = indirect(p);
		for (struct insn *p = f->head; p; p = p->next)
			if (p->flags & I_R15)
				clobbered(p);
	}
	shortcut(f);
	for (struct insn *p = f->head; p; p = p->next)
		calls |= p->op == OP_CALL || p->op == OP_DUFFCOPY || p->op == OP_DUFFZERO;
	f->whole = f->frame < 0 ? 0 : (int32_t)f->frame;
	f->bp = 0;
	bool bare = s->flags & NOFRAME || (f->whole == 0 && !calls) ||
	    (!A.opt.go122 && f->whole == 0 && s->flags & NOSPLIT);
	if (!bare) {
		f->bp = 8;
		f->whole += 8;
	}
	s->frame = f->whole;
	s->args = f->args;
	if (!f->head->next)
		return; // a name without a body
	if (f->whole < STACKSMALL && !(s->flags & NOSPLIT) && isleaf(f))
		s->flags |= NOSPLIT;
	struct insn *p = f->head;
	if (!(s->flags & NOSPLIT))
		p = stacksplit(p, f->whole);
	else if (s->flags & WRAPPER)
		p = loadg(p);
	p = prologue(f, p);
	if (s->flags & WRAPPER)
		wrapper(p, f->whole);
	rebase(f);
}
