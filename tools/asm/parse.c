// SPDX-License-Identifier: BSD-3-Clause
// parse.c: lines to instructions; TEXT, DATA, GLOBL, PCDATA, FUNCDATA, PCALIGN, ENTRY, UNWIND.
//
// A function is assembled (finish) when the next TEXT line or the end of the source is met: labels
// are local to it, and nothing in it depends on what comes behind.
#include <string.h>

#include "asm.h"

struct span {
	const struct tok *t;
	int n;
};
enum { MAXSPANS = 16, MAXPENDING = 64 };

static struct tok *toks;
static int ntoks, captoks;
static struct name *pending[MAXPENDING]; // labels that wait for their instruction
static int npending;
static bool sawcode;

// ---- instructions ----
struct insn *
new_insn(int op, int nops, const struct insn *like)
{
	struct insn *p = arena_alloc(&A.func, sizeof *p + (size_t)nops * sizeof p->o[0]);
	p->op = (uint16_t)op;
	p->nops = (uint8_t)nops;
	p->file = like ? like->file : A.file;
	p->line = like ? like->line : (uint32_t)A.lineno;
	return p;
}

static bool
outside(void)
{
	if (A.fn.head)
		return false;
	if (!A.prescan && !A.fn.bad)
		error("instruction outside TEXT");
	npending = 0;
	return true;
}

static void
append(struct insn *p)
{
	if (A.fn.n++ >= MAXINSNS)
		fatal("function too long");
	if (A.fn.tail)
		A.fn.tail->next = p;
	A.fn.tail = p;
	p->seq = ++A.fn.seq;
	for (int i = 0; i < npending; i++) {
		struct name *n = pending[i];
		if (n->labelfn == A.fnnumber) {
			error("label \"%s\" multiply defined", n->text);
			break;
		}
		n->labelfn = A.fnnumber;
		n->label = p;
	}
	npending = 0;
}

// resolve turns label names and n(PC) into instructions.
static void
resolve(struct func *f)
{
	struct insn **byseq = NULL;
	for (struct insn *p = f->head; p; p = p->next) {
		if (!p->nops)
			continue;
		struct operand *o = &p->o[p->nops - 1];
		if (o->plain) {
			struct name *n = o->label;
			memset(o, 0, sizeof *o);
			o->type = O_BRANCH;
			if (n->labelfn != A.fnnumber)
				error_at(p, "undefined label %s", n->text);
			else
				o->target = n->label;
		} else if (o->type == O_BRANCH && !o->target && !o->sym) {
			if (!byseq) {
				byseq = arena_alloc(&A.func, ((size_t)f->n + 1) * sizeof *byseq);
				int i = 0;
				for (struct insn *q = f->head; q; q = q->next)
					byseq[i++] = q;
			}
			int64_t i = p->seq - f->head->seq +
			    (o->off > INT32_MAX || o->off < INT32_MIN ? INT32_MAX : o->off);
			if (i < 0 || i >= f->n)
				error_at(p, "branch out of range (%#x)", (unsigned)o->off);
			else
				o->target = byseq[i];
			o->off = 0;
		}
	}
}

// finish assembles the function that has just ended.
static void
finish(void)
{
	struct func *f = &A.fn;
	int before = A.errors;
	if (f->head && !A.prescan) {
		resolve(f);
		if (A.errors == before)
			frame(f);
		if (A.errors == before)
			for (struct insn *p = f->head; p; p = p->next)
				encode(p);
		if (A.errors == before && layout(f)) {
			uint64_t size = (uint64_t)f->sym->size;
			if (A.listing)
				list_func(f, size ? A.text.p + f->sym->addr : NULL, size);
			unwind(f, f->sym->addr, size);
		}
	}
	int32_t seq = f->seq;
	memset(f, 0, sizeof *f);
	f->seq = seq;
	A.nrels = 0;
	A.fnnumber++;
	arena_reset(&A.func);
}

// ---- directives ----
static const char *
symname(const struct operand *a)
{
	return a->label ? a->label->text : "";
}

static bool
validsymbol(const char *what, const struct operand *a, bool offsetok)
{
	bool sb = a->name == N_EXTERN || a->name == N_STATIC;
	if (!sb || !a->sym || a->scale || a->reg || a->type != O_MEM) {
		error("%s symbol \"%s\" must be a symbol(SB)", what, symname(a));
		return false;
	}
	if (!offsetok && a->off) {
		error("%s symbol \"%s\" must not be offset from SB", what, symname(a));
		return false;
	}
	return true;
}

static struct operand
operand(struct span s)
{
	return parse_operand(s.t, s.n, false);
}

static bool
immediate(const char *what, struct span s, struct operand *a)
{
	*a = operand(s);
	if (a->type == O_CONST && !a->name && !a->reg && !a->index)
		return true;
	error("%s: expected immediate constant; found %s", what, operand_text(a));
	return false;
}

// flags reads an integer that needs no $.
static int64_t
flags(const char *what, struct span s)
{
	struct operand a = operand(s);
	if ((a.type != O_MEM && a.type != O_CONST) || a.name || a.reg || a.index)
		error("%s: expected integer constant; found %s", what, operand_text(&a));
	return a.off;
}

static void
text(const struct span *s, int n)
{
	if (n != 2 && n != 3) {
		error("expect two or three operands for TEXT");
		return;
	}
	finish();
	struct operand a = operand(s[0]);
	A.fn.bad = true; // until it is known to be good: no more errors for its instructions
	if (!validsymbol("TEXT", &a, false))
		return;
	const char *name = a.sym->name->text;
	int64_t flag = n == 3 ? flags("TEXT", s[1]) : 0;
	if (a.sym->abi == ABIINTERNAL && !(flag & NOSPLIT))
		error("TEXT \"%s\": ABIInternal requires NOSPLIT", name);
	const struct tok *t = s[n - 1].t, *end = t + s[n - 1].n;
	int64_t size, args = INT32_MIN; // unknown
	bool negative = false;
	if (t < end && t->kind == '$') {
		t++;
		if (t < end && t->kind == '-') {
			negative = true;
			t++;
		}
	} else {
		t = end;
	}
	if (t == end || t->kind != T_INT) {
		error("TEXT %s: frame size must be an immediate constant", name);
		return;
	}
	if (!parse_positive(t++, &size))
		return;
	if (t < end) {
		if (end - t != 2 || t[0].kind != '-' || t[1].kind != T_INT) {
			error("TEXT %s: argument size must be of form -integer", name);
			return;
		}
		if (!parse_positive(&t[1], &args))
			return;
	}
	if (size > INT32_MAX - 4096 || args > INT32_MAX - 4096) {
		error("TEXT %s: frame or arguments too large", name);
		return;
	}
	if (A.prescan) {
		a.sym->here = true;
		return;
	}
	if (a.sym->text || a.sym->global) {
		error("symbol %s redeclared; the other declaration is at %s:%d", name, a.sym->file,
		    a.sym->line);
		return;
	}
	a.sym->text = true;
	a.sym->flags = (uint32_t)flag;
	a.sym->file = A.file;
	a.sym->line = A.lineno;
	A.fn.bad = false;
	A.fn.sym = a.sym;
	A.fn.frame = negative ? -size : size;
	A.fn.args = args;
	struct insn *p = new_insn(OP_NOP, 0, NULL);
	p->flags = I_MARK;
	A.fn.head = p;
	append(p);
}

static void
datapiece(struct sym *s, int64_t off, const void *bytes, size_t n)
{
	struct piece *p = arena_alloc(&A.perm, sizeof *p + n);
	p->off = off;
	p->len = (uint32_t)n;
	memcpy(p->bytes, bytes, n);
	if (s->last)
		s->last->next = p;
	else
		s->first = p;
	s->last = p;
}

static void
data(const struct span *s, int n)
{
	if (n != 2) {
		error("expect two operands for DATA");
		return;
	}
	const struct tok *t = s[0].t;
	int len = s[0].n;
	int64_t size;
	if (len < 3 || t[len - 2].kind != '/' || t[len - 1].kind != T_INT) {
		error("expect /size for DATA argument");
		return;
	}
	if (!parse_positive(&t[len - 1], &size))
		return;
	struct operand a = parse_operand(t, len - 2, false), v;
	if (!validsymbol("DATA", &a, true))
		return;
	v = operand(s[1]);
	if (v.type != O_CONST && v.type != O_FLOAT && v.type != O_STRING && v.type != O_ADDR) {
		error("DATA value must be an immediate constant or address");
		return;
	}
	const char *name = a.sym->name->text;
	if (a.off < 0 || size < 0 || a.off >= MAXSECTION || size >= MAXSECTION) {
		error("DATA: bad off=%lld siz=%lld s=%s", (long long)a.off, (long long)size, name);
		return;
	}
	if (a.off < a.sym->dataend) {
		error("overlapping DATA entry for %s", name);
		return;
	}
	a.sym->dataend = a.off + size;
	uint8_t bytes[8] = {0};
	float f;
	switch (v.type) {
	case O_CONST:
		if (size != 1 && size != 2 && size != 4 && size != 8) {
			error("bad int size for DATA argument: %d", (int)size);
			return;
		}
		memcpy(bytes, &v.off, 8);
		break;
	case O_FLOAT:
		if (size != 4 && size != 8) {
			error("bad float size for DATA argument: %d", (int)size);
			return;
		}
		f = (float)v.f;
		if (size == 8)
			memcpy(bytes, &v.f, 8);
		else
			memcpy(bytes, &f, 4);
		break;
	case O_STRING:
		if ((size_t)size < v.str->n) {
			error("WriteString: bad string size: %d < %d", (int)size, (int)v.str->n);
			return;
		}
		datapiece(a.sym, a.off, v.str->s, v.str->n);
		return;
	case O_ADDR:
		if (size != 8) {
			error("bad addr size for DATA argument: %d", (int)size);
			return;
		}
		if (!v.sym || v.name == N_AUTO || v.name == N_PARAM) {
			error("DATA value must be an immediate constant or address");
			return;
		}
		a.sym->hasaddr = true;
		struct reloc *r = sym_addrel(a.sym);
		r->off = (uint32_t)a.off;
		r->type = REL_ABS64;
		r->size = 8;
		r->sym = v.sym;
		r->add = v.off;
	}
	datapiece(a.sym, a.off, bytes, (size_t)size);
}

static void
globl(const struct span *s, int n)
{
	if (n != 2 && n != 3) {
		error("expect two or three operands for GLOBL");
		return;
	}
	struct operand a = operand(s[0]), size;
	if (!validsymbol("GLOBL", &a, false))
		return;
	int64_t flag = n == 3 ? flags("GLOBL", s[1]) : 0;
	if (!immediate("GLOBL", s[n - 1], &size))
		return;
	if (A.prescan) {
		a.sym->here = true;
		return;
	}
	if (a.sym->global || a.sym->text) {
		error("symbol %s listed multiple times", a.sym->name->text);
		return;
	}
	if (size.off < 0 || (size.off > MAXSECTION && a.sym->first)) {
		error("GLOBL %s: bad size %lld", a.sym->name->text, (long long)size.off);
		return;
	}
	a.sym->global = true;
	a.sym->size = size.off;
	a.sym->flags |= (uint32_t)flag;
	a.sym->file = A.file;
	a.sym->line = A.lineno;
}

// mark appends what only Go's runtime reads: it counts for n(PC), and is code no more.
static void
mark(const char *what, const struct span *s, int n)
{
	struct operand a;
	if (n != 2) {
		error("expect two operands for %s", what);
		return;
	}
	if (!immediate(what, s[0], &a))
		return;
	if (what[0] == 'P') {
		if (!immediate(what, s[1], &a))
			return;
	} else {
		struct operand v = operand(s[1]);
		if (!validsymbol("FUNCDATA", &v, true))
			return;
	}
	if (outside())
		return;
	struct insn *p = new_insn(OP_NOP, 0, NULL);
	p->flags = I_MARK;
	append(p);
}

// entry gives a name to a place in the function, which others may jump to.
static void
entry(const struct span *s, int n)
{
	if (n != 1) {
		error("expect one operand for ENTRY");
		return;
	}
	struct operand a = operand(s[0]);
	if (!validsymbol("ENTRY", &a, false))
		return;
	if (A.prescan) {
		a.sym->here = true;
		return;
	}
	if (outside())
		return;
	if (a.sym->text || a.sym->global) {
		error("symbol %s redeclared; the other declaration is at %s:%d", a.sym->name->text,
		    a.sym->file, a.sym->line);
		return;
	}
	a.sym->text = a.sym->entry = true;
	a.sym->file = A.file;
	a.sym->line = A.lineno;
	struct insn *p = new_insn(OP_NOP, 1, NULL);
	p->flags = I_MARK | I_ENTRY;
	p->o[0] = a;
	append(p);
}

// unwinds: from here on, unwinding finds the caller's register in a word of the stack, or its SP at
// an address there; $0 for PC: there is no caller.
static void
unwinds(const struct span *s, int n)
{
	if (n != 2) {
		error("expect two operands for UNWIND");
		return;
	}
	struct operand from = operand(s[0]), to = operand(s[1]);
	bool pc = to.type == O_REG && to.reg == REG_PC;
	bool isreg = pc || (to.type == O_REG && to.reg >= REG_AX && to.reg <= REG_R15);
	bool onstack = from.reg == REG_SP && !from.index && !from.name && from.off >= -MAXUNWIND &&
	    from.off <= MAXUNWIND;
	bool valid = (from.type == O_MEM && onstack) ||
	    (from.type == O_ADDR && onstack && from.off >= 0 && to.reg == REG_SP) ||
	    (from.type == O_CONST && from.off == 0 && pc);
	if (!isreg || !valid) {
		error("UNWIND: expected a word of the stack and a register, $offset(SP), SP or "
		      "$0, PC");
		return;
	}
	if (A.prescan || outside())
		return;
	struct insn *p = new_insn(OP_NOP, 2, NULL);
	p->flags = I_MARK | I_UNWIND;
	p->o[0] = from;
	p->o[1] = to;
	append(p);
}

static void
pcalign(const struct span *s, int n)
{
	struct operand a;
	if (n != 1) {
		error("expect one operand for PCALIGN");
		return;
	}
	if (!immediate("PCALIGN", s[0], &a) || outside())
		return;
	if (a.off & (a.off - 1) || a.off < 8 || a.off > 2048) {
		error("alignment value of an instruction must be a power of two and in the range "
		      "[8, 2048], got %lld",
		    (long long)a.off);
		return;
	}
	struct insn *p = new_insn(OP_NOP, 1, NULL);
	p->flags = I_ALIGN;
	p->o[0] = a;
	append(p);
}

// ---- instructions ----
static bool
isjump(const char *word)
{
	return word[0] == 'J' || strcmp(word, "CALL") == 0 || strncmp(word, "LOOP", 4) == 0 ||
	    strcmp(word, "XBEGIN") == 0;
}

// jump checks the target of a branch and leaves it in the last operand.
static void
jump(int op, const char *word, const char *cond, struct operand *a, int n)
{
	struct operand *t = &a[n - 1];
	if (n != 1 && n != 2) {
		error("wrong number of arguments to %s instruction", word);
		return;
	}
	bool sb = t->name == N_EXTERN || t->name == N_STATIC;
	bool ok = t->type == O_BRANCH || t->type == O_REG || t->type == O_CONST || t->plain ||
	    (t->type == O_MEM && (sb || t->name == N_NONE)) || (t->type == O_INDIR && sb);
	if (!ok) {
		error("cannot assemble jump %s", operand_text(t));
		return;
	}
	if (t->type == O_REG && t->reg >= REG_PSEUDO) {
		error("illegal use of pseudo-register in %s", word);
		return;
	}
	if (*cond) {
		error("invalid instruction: unrecognized suffix %s", cond);
		return;
	}
	if (outside())
		return;
	struct insn *p = new_insn(op, n, NULL);
	memcpy(p->o, a, (size_t)n * sizeof *a);
	append(p);
}

static void
instruction(int op, const char *word, const char *cond, const struct span *s, int n)
{
	struct operand a[MAXOPERANDS];
	int before = A.errors, suffix = 0;
	bool jumps = isjump(word);
	if (A.prescan)
		return;
	if (n > MAXOPERANDS) {
		error("can't handle %s instruction with %d operands", word, n);
		return;
	}
	for (int i = 0; i < n; i++) {
		a[i] = parse_operand(s[i].t, s[i].n, jumps);
		if (!jumps && a[i].type == O_REG && a[i].reg >= REG_PSEUDO)
			error("illegal use of pseudo-register in %s", word);
		if (!jumps && a[i].type == O_BRANCH)
			error("illegal use of pseudo-register in %s", word);
		if (a[i].type == O_STRING)
			error("invalid instruction: %s takes no string", word);
	}
	if (A.errors != before)
		return;
	op = mnemonics[op].op;
	if (jumps) {
		jump(op, word, cond, a, n);
		return;
	}
	if (*cond && (suffix = suffix_index(cond + 1)) < 0) {
		error("unknown suffix combination for %s: %s", word, cond);
		return;
	}
	if (outside())
		return;
	struct insn *p = new_insn(op, n, NULL);
	p->suffix = (uint8_t)suffix;
	memcpy(p->o, a, (size_t)n * sizeof *a);
	append(p);
}

// ---- lines ----
static struct tok
nexttok(void)
{
	for (;;) {
		struct tok t = cpp_next();
		if (t.kind == T_BUILD) {
			if (sawcode)
				error("misplaced //go:build comment");
			continue;
		}
		if (t.kind != '\n')
			sawcode = true;
		if (t.kind != '#')
			return t;
	}
}

static void
pushtok(struct tok t)
{
	if (ntoks == captoks) {
		if (ntoks >= MAXLINE)
			fatal("line too long");
		int cap = captoks ? 2 * captoks : 64;
		struct tok *v = arena_alloc(&A.perm, (size_t)cap * sizeof *v);
		if (ntoks)
			memcpy(v, toks, (size_t)ntoks * sizeof *v);
		toks = v;
		captoks = cap;
	}
	toks[ntoks++] = t;
}

// operands reads the rest of a line. False: the end of the source, or the line is not worth more.
static bool
operands(struct tok t, struct span *s, int *ns)
{
	int at[MAXSPANS + 1], n = 0, nesting = 0, colon = -1;
	bool more = true;
	at[0] = ntoks = 0;
	for (;; t = nexttok()) {
		if (t.kind == T_EOF) {
			error("unexpected EOF");
			return false;
		}
		bool ends = t.kind == '\n' || t.kind == ';';
		if (ends || (nesting == 0 && (t.kind == ',' || t.kind == ':'))) {
			if (t.kind == ':') {
				if (colon >= 0)
					error("invalid ':' in operand");
				colon = n;
			}
			if (ntoks > at[n]) {
				if (n == MAXSPANS)
					fatal("too many operands");
				at[++n] = ntoks;
			} else if (n > 0 || t.kind == ',' || colon >= 0) {
				error("missing operand");
				more = false;
			}
			if (ends)
				break;
			continue;
		}
		nesting += (t.kind == '(' || t.kind == '[') - (t.kind == ')' || t.kind == ']');
		pushtok(t);
	}
	for (int i = 0; i < n; i++)
		s[i] = (struct span){toks + at[i], at[i + 1] - at[i]};
	// AX:DX, the old way to write a pair, is DX, AX.
	if (colon >= 0 && colon + 1 < n) {
		struct span x = s[colon];
		s[colon] = s[colon + 1];
		s[colon + 1] = x;
	}
	*ns = n;
	return more;
}

static void
statement(const struct name *word, const char *cond, const struct span *s, int n)
{
	const char *w = word->text;
	if (word->op)
		instruction(word->op - 1, w, cond, s, n);
	else if (strcmp(w, "TEXT") == 0)
		text(s, n);
	else if (strcmp(w, "DATA") == 0) {
		if (!A.prescan)
			data(s, n);
	} else if (strcmp(w, "GLOBL") == 0)
		globl(s, n);
	else if (strcmp(w, "PCDATA") == 0 || strcmp(w, "FUNCDATA") == 0)
		mark(w, s, n);
	else if (strcmp(w, "PCALIGN") == 0)
		pcalign(s, n);
	else if (strcmp(w, "ENTRY") == 0)
		entry(s, n);
	else if (strcmp(w, "UNWIND") == 0)
		unwinds(s, n);
	else
		error("unrecognized instruction \"%s\"", w);
}

// parse reads the whole of the current source and assembles it.
void
parse(void)
{
	struct span s[MAXSPANS];
	ntoks = captoks = npending = 0;
	toks = NULL;
	sawcode = false;
	A.fnnumber++;
	for (;;) {
		cpp_line_done();
		struct tok t = nexttok();
		if (t.kind == '\n' || t.kind == ';')
			continue;
		if (t.kind == T_EOF)
			break;
		if (t.kind != T_NAME) {
			// What follows would make no sense either.
			fatal("expected identifier, found \"%s\"", t.text);
		}
		struct name *word = tok_name(&t);
		const char *file = A.file;
		int lineno = A.lineno, n = 0;
		char cond[64] = "";
		for (t = nexttok(); t.kind == '.'; t = nexttok()) {
			t = nexttok();
			if (t.kind != T_NAME) {
				error("instruction suffix expected identifier, found %s", t.text);
				break;
			}
			if (strlen(cond) + t.len + 2 > sizeof cond)
				fatal("instruction suffix too long");
			strcat(strcat(cond, "."), t.text);
		}
		if (t.kind == ':') {
			if (npending == MAXPENDING)
				fatal("too many labels");
			pending[npending++] = word;
			continue;
		}
		bool ok = operands(t, s, &n);
		A.file = file; // errors are where the line began
		int end = A.lineno;
		A.lineno = lineno;
		if (ok)
			statement(word, cond, s, n);
		A.lineno = end;
	}
	finish();
	if (npending)
		npending = 0; // a label at the end of the source names nothing
}
