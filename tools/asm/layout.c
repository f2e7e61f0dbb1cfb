// SPDX-License-Identifier: BSD-3-Clause
// layout.c: addresses of instructions, and which branches are short.
//
// All forward branches begin short; one that does not reach becomes near and stays so, and all is
// laid out again until nothing changes. A backward branch is what its distance asks for. This is
// Go's way, which a solver of the same problem would have to imitate to make the same bytes.
#include <string.h>

#include "asm.h"

enum { FUNCALIGN = 32, MAXPASSES = 1000 };

static struct insn *
target(const struct insn *p)
{
	return p->o[p->nops - 1].target;
}

static bool
backward(const struct insn *p)
{
	return target(p)->index <= p->index;
}

static int
shortlen(const struct form *f)
{
	return f->npre + f->ncode + 1;
}

// branchlen is the length of the branch at p if its address is pc.
static int
branchlen(const struct insn *p, int32_t pc)
{
	const struct form *f = p->form;
	bool isshort = f->ncode && !(p->flags & I_NEAR);
	if (isshort && backward(p))
		isshort = target(p)->pc - (pc + shortlen(f)) >= -128;
	return isshort ? shortlen(f) : f->nnear + 4;
}

static void
branch(struct insn *p)
{
	const struct form *f = p->form;
	bool isshort = p->len == shortlen(f) && f->ncode;
	if (!isshort && !f->nnear) {
		error_at(p, "loop too far: %s", insn_text(p));
		return;
	}
	int32_t v = target(p)->pc - (p->pc + p->len);
	if (isshort) {
		buf_put(&A.text, f->pre, f->npre);
		buf_put(&A.text, f->code, f->ncode);
		buf_byte(&A.text, v);
	} else {
		buf_put(&A.text, f->near, f->nnear);
		buf_le(&A.text, (uint32_t)v, 4);
	}
}

static void
pad(int n)
{
	static const uint8_t nops[10][9] = {{0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00},
	    {0x0f, 0x1f, 0x40, 0x00}, {0x0f, 0x1f, 0x44, 0x00, 0x00},
	    {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}, {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
	    {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
	    {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}};
	for (; n > 0; n -= n > 9 ? 9 : n)
		buf_put(&A.text, nops[n > 9 ? 9 : n], n > 9 ? 9 : (size_t)n);
}

// addresses gives every instruction its address; returns the size.
static int64_t
addresses(struct func *f)
{
	int64_t pc = 0;
	for (struct insn *p = f->head; p; p = p->next) {
		if (p->flags & I_ALIGN)
			p->len = 0;
		if (p->flags & I_ALIGN)
			pc = (pc + p->o[0].off - 1) & ~(p->o[0].off - 1);
		p->pc = (int32_t)pc;
		if (p->flags & I_BRANCH)
			p->len = (uint8_t)branchlen(p, p->pc);
		pc += p->len;
		if (pc > MAXSECTION)
			return pc;
	}
	return pc;
}

// widen makes near what does not reach. False: everything does.
static bool
widen(struct func *f)
{
	bool again = false;
	for (struct insn *p = f->head; p; p = p->next) {
		if (!(p->flags & I_BRANCH) || p->flags & I_NEAR || !p->form->ncode || backward(p))
			continue;
		if (target(p)->pc - (p->pc + p->len) > 127) {
			p->flags |= I_NEAR;
			again = true;
		}
	}
	return again;
}

static void
relocs(const struct insn *p, uint32_t base)
{
	for (int i = 0; i < p->nrel; i++) {
		const struct reloc *r = &A.rels[p->rel + i];
		struct reloc *t = push_reloc(&A.textrels, &A.ntextrels, &A.captextrels);
		*t = *r;
		t->off += base;
		// What is relative to the end of the instruction, the linker takes relative to the
		// field.
		if (r->type == REL_PC32 || r->type == REL_GOT || r->type == REL_GOTTPOFF)
			t->add -= p->len - (r->off + r->size);
	}
}

static void
row(uint32_t pc, const struct insn *p)
{
	if (A.opt.nodebug)
		return;
	struct line_row *last = A.nrows ? &A.rows[A.nrows - 1] : NULL;
	if (last && last->line == p->line && last->file == p->file)
		return;
	if (A.nrows == A.caprows) {
		size_t cap = A.caprows ? 2 * A.caprows : 1024;
		struct line_row *v = __builtin_realloc(A.rows, cap * sizeof *v);
		if (!v)
			fatal("out of memory");
		A.rows = v;
		A.caprows = cap;
	}
	A.rows[A.nrows++] = (struct line_row){pc, p->line, p->file};
}

// layout puts the code of f at the end of A.text. False: it could not.
bool
layout(struct func *f)
{
	int errors = A.errors, passes = 0, align = FUNCALIGN;
	int32_t i = 0;
	int64_t size;
	for (struct insn *p = f->head; p; p = p->next) {
		p->index = i++;
		if (p->flags & I_ALIGN && p->o[0].off > align)
			align = (int)p->o[0].off;
	}
	do {
		if (passes++ == MAXPASSES) {
			error_at(f->head, "span must be looping");
			return false;
		}
		size = addresses(f);
		if (size + (int64_t)A.text.n + align > MAXSECTION) {
			error_at(f->head, "the code is too large");
			return false;
		}
	} while (widen(f));
	if (align > A.textalign)
		A.textalign = align;
	buf_align(&A.text, (size_t)align, 0xcc);
	size_t start = A.text.n;
	f->sym->align = align;
	f->sym->addr = start;
	f->sym->section = SEC_TEXT;
	f->sym->size = size;
	f->sym->rels = NULL;
	f->sym->index = A.ntextrels; // where its relocations begin, until elf.c
	for (struct insn *p = f->head; p; p = p->next) {
		if (p->flags & I_ALIGN)
			pad((int)(p->pc - (int64_t)(A.text.n - start)));
		if (p->flags & I_ENTRY) {
			p->o[0].sym->addr = A.text.n;
			p->o[0].sym->section = SEC_TEXT;
			p->o[0].sym->size = size - p->pc;
		}
		if (p->len)
			row((uint32_t)A.text.n, p);
		relocs(p, (uint32_t)A.text.n);
		if (p->flags & I_BRANCH)
			branch(p);
		else if (p->len)
			buf_put(&A.text, p->code, p->len);
	}
	f->sym->nrels = A.ntextrels - f->sym->index;
	return A.errors == errors;
}
