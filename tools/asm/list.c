// SPDX-License-Identifier: BSD-3-Clause
// list.c: instructions and operands as text, and the listing of -S.
//
// The listing has a line `NAME STEXT|SDATA ... size=N` for each symbol. Below it, for text, a line
// for each instruction: offset, bytes, file and line, the instruction; for data the bytes, 16 a
// line that are not all zero; then the relocations: `rel OFFSET+SIZE t=TYPE SYMBOL+ADDEND`, as in
// Go.
#include <inttypes.h>
#include <string.h>

#include "asm.h"

enum { TEXTMAX = 512 };

struct text {
	char s[TEXTMAX];
	size_t n;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	int n = vsnprintf(t->s + t->n, TEXTMAX - t->n, fmt, ap);
	__builtin_va_end(ap);
	t->n += (size_t)n;
	if (t->n >= TEXTMAX)
		t->n = TEXTMAX - 1;
}

static void
address(struct text *t, const struct operand *o)
{
	bool sb = o->name == N_EXTERN || o->name == N_STATIC;
	if (sb) {
		const char *name = o->sym ? o->sym->name->text : o->label ? o->label->text : "?";
		add(t, "%s%s", name, o->name == N_STATIC ? "<>" : "");
		if (o->got)
			add(t, "@GOT");
		if (o->off)
			add(t, "%+" PRId64, o->off);
		add(t, "(SB)");
	} else if (o->got) {
		add(t, "TLS@GOT");
	} else {
		if (o->off || !(o->reg || o->index || o->name))
			add(t, "%" PRId64, o->off);
		if (o->name == N_AUTO || o->name == N_PARAM)
			add(t, "(SP)");
		else if (o->reg)
			add(t, "(%s)", reg_name(o->reg));
	}
	if (o->reg && sb)
		add(t, "(%s)", reg_name(o->reg));
	if (o->index)
		add(t, "(%s*%d)", reg_name(o->index), o->scale);
}

static void
operand(struct text *t, const struct operand *o)
{
	switch (o->type) {
	case O_REG:
		add(t, "%s", reg_name(o->reg));
		break;
	case O_CONST:
		add(t, "$%" PRId64, o->off);
		break;
	case O_FLOAT:
		add(t, "$(%.17g)", o->f);
		break;
	case O_STRING:
		add(t, "$\"%.40s\"", o->str->s);
		break;
	case O_LIST:
		add(t, "[%s-%s]", reg_name(o->reg), reg_name(o->last));
		break;
	case O_BRANCH:
		if (o->sym)
			address(t,
			    &(struct operand){.name = o->name ? o->name : N_EXTERN,
				.sym = o->sym,
				.off = o->off});
		else if (o->target)
			add(t, "%d", o->target->pc);
		else
			add(t, "%" PRId64 "(PC)", o->off);
		break;
	case O_ADDR:
	case O_INDIR:
		add(t, o->type == O_ADDR ? "$" : "*");
		address(t, o);
		break;
	case O_MEM:
		if (o->plain)
			add(t, "%s", o->label->text);
		else
			address(t, o);
		break;
	}
}

const char *
operand_text(const struct operand *o)
{
	static struct text t;
	t.n = 0;
	t.s[0] = 0;
	operand(&t, o);
	return t.s;
}

const char *
insn_text(const struct insn *p)
{
	static struct text t;
	t.n = 0;
	add(&t, "%s", mnemonics[p->op].name);
	if (p->suffix)
		add(&t, ".%s", suffix_name(p->suffix));
	for (int i = 0; i < p->nops; i++) {
		add(&t, i ? ", " : " ");
		operand(&t, &p->o[i]);
	}
	return t.s;
}

// ---- -S ----
static void
attributes(const struct sym *s)
{
	static const struct {
		int flag;
		const char *name;
	} names[] = {{DUPOK, "dupok"}, {NOSPLIT, "nosplit"}, {RODATA, "rodata"}, {NOPTR, "noptr"},
	    {WRAPPER, "wrapper"}, {NEEDCTXT, "needctxt"}, {TLSBSS, "tls"}, {NOFRAME, "noframe"},
	    {TOPFRAME, "topframe"}};
	if (s->abi == STATIC)
		fprintf(A.listing, " static");
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (s->flags & names[i].flag)
			fprintf(A.listing, " %s", names[i].name);
}

static void
relocs(const struct reloc *r, uint32_t n, uint32_t base)
{
	static const char *const names[] = {
	    "R_ADDR", "R_ADDR", "R_CALL", "R_PCREL", "R_GOTPCREL", "R_TLS_LE", "R_TLS_IE"};
	for (; n > 0; n--, r++)
		fprintf(A.listing, "\trel %u+%u t=%s %s%s%+" PRId64 "\n", r->off - base, r->size,
		    names[r->type], r->sym ? r->sym->name->text : "",
		    r->sym && r->sym->abi == STATIC ? "<>" : "", r->add);
}

void
list_func(const struct func *f, const uint8_t *code, size_t size)
{
	const struct sym *s = f->sym;
	fprintf(A.listing, "%s STEXT", s->name->text);
	attributes(s);
	fprintf(A.listing, " size=%zu frame=%" PRId64, size, s->frame);
	if (s->args != INT32_MIN)
		fprintf(A.listing, " args=%" PRId64, s->args);
	fputc('\n', A.listing);
	for (const struct insn *p = f->head; p; p = p->next) {
		if (p->flags & I_MARK)
			continue;
		int32_t end = p->next ? p->next->pc : (int32_t)size;
		fprintf(A.listing, "\t0x%04x ", (unsigned)p->pc);
		for (int32_t i = p->pc; i < end; i++)
			fprintf(A.listing, " %02x", code[i]);
		fprintf(A.listing, "%*s(%s:%u)\t%s\n",
		    end - p->pc < 8 ? 3 * (8 - (end - p->pc)) + 1 : 1, "", p->file, p->line,
		    p->flags & I_ALIGN ? "PCALIGN" : insn_text(p));
	}
	if (s->nrels)
		relocs(A.textrels + s->index, s->nrels, (uint32_t)s->addr);
}

void
list_data(void)
{
	for (const struct sym *s = A.syms; s; s = s->next) {
		if (!s->global)
			continue;
		fprintf(A.listing, "%s SDATA", s->name->text);
		attributes(s);
		fprintf(A.listing, " size=%" PRId64 "\n", s->size);
		for (const struct piece *p = s->first; p; p = p->next)
			for (uint32_t i = 0; i < p->len; i += 16) {
				fprintf(A.listing, "\t0x%04x ", (unsigned)(p->off + i));
				for (uint32_t k = i; k < p->len && k < i + 16; k++)
					fprintf(A.listing, " %02x", p->bytes[k]);
				fputc('\n', A.listing);
			}
		relocs(s->rels, s->nrels, 0);
	}
}
