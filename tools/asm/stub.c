// SPDX-License-Identifier: BSD-3-Clause
// stub.c: how C calls functions in Go's assembly language.
//
//	func add(a, b int64) (sum int64)
//
// in a .go file (-stub), or behind // in the source itself, becomes a prototype in a C header (-H)
// and a trampoline: a function of the C name with the C calling convention, which copies the
// arguments to where the assembly function (ABI0) has them, above its return address, calls it, and
// takes the results from there. The assembly function keeps its Go name and can be called by other
// assembly.
//
// Layout of the Go side: arguments like the fields of a struct, then the results, from the next
// multiple of 8. The C side is the System V ABI: a string is a struct of two words in two
// registers, a slice one of three, in memory; several results are a struct, in registers up to 16
// bytes. The trampolines are text in Go's assembly language, which is assembled behind the source.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "asm.h"

enum { MAXPARAMS = 32, MAXFUNCS = 4096, MAXPARTS = 3 };

// A type: parts is the class of each of its words, i integer, d double, f float.
static const struct type {
	const char *go, *c;
	int size, align;
	const char *parts;
	bool issigned;
} types[] = {
    {"bool", "bool", 1, 1, "i", false},
    {"byte", "uint8_t", 1, 1, "i", false},
    {"uint8", "uint8_t", 1, 1, "i", false},
    {"int8", "int8_t", 1, 1, "i", true},
    {"uint16", "uint16_t", 2, 2, "i", false},
    {"int16", "int16_t", 2, 2, "i", true},
    {"uint32", "uint32_t", 4, 4, "i", false},
    {"int32", "int32_t", 4, 4, "i", true},
    {"rune", "int32_t", 4, 4, "i", true},
    {"uint64", "uint64_t", 8, 8, "i", false},
    {"int64", "int64_t", 8, 8, "i", true},
    {"uint", "uint64_t", 8, 8, "i", false},
    {"int", "int64_t", 8, 8, "i", true},
    {"uintptr", "uintptr_t", 8, 8, "i", false},
    {"unsafe.Pointer", "void *", 8, 8, "i", false},
    {"float64", "double", 8, 8, "d", false},
    {"float32", "float", 4, 4, "f", false},
    {"complex64", "go_complex64", 8, 4, "d", false},
    {"complex128", "go_complex128", 16, 8, "dd", false},
    {"string", "go_string", 16, 8, "ii", false},
};
static const struct type slice = {"[]", "go_slice", 24, 8, "iii", false};

struct param {
	char name[64];
	const struct type *type;
	char ctype[96]; // pointers have types of their own
	int off;        // in the arguments of the Go side
};
struct function {
	char name[128];
	struct param in[MAXPARAMS], out[MAXPARAMS];
	int nin, nout;
	int size; // arguments and results
};

static struct buf asmtext, header;

// ---- reading a declaration ----
static const char *at; // where it is read
static const char *end;

static void
blanks(void)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
}

static bool
eat(const char *s)
{
	blanks();
	size_t n = strlen(s);
	if ((size_t)(end - at) < n || memcmp(at, s, n) != 0)
		return false;
	if (isalnum((unsigned char)s[0]) && at + n < end &&
	    (isalnum((unsigned char)at[n]) || at[n] == '_'))
		return false;
	at += n;
	return true;
}

static bool
word(char *out, size_t size)
{
	size_t n = 0;
	blanks();
	while (at < end &&
	    (isalnum((unsigned char)*at) || *at == '_' || *at == '.' ||
		(unsigned char)*at >= 0x80)) {
		if (n + 1 >= size)
			return false;
		out[n++] = *at++;
	}
	out[n] = 0;
	return n > 0;
}

static const struct type *
named(const char *s)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i].go, s) == 0)
			return &types[i];
	return NULL;
}

static const struct type pointer = {"*", "void *", 8, 8, "i", false};

// type reads a type into p. False: it is none that can be passed. depth counts those around it.
static bool
type(struct param *p, int depth)
{
	char w[64];
	if (depth > MAXDEPTH)
		return false;
	if (eat("[]")) {
		struct param element = {0};
		if (!type(&element, depth + 1))
			return false;
		p->type = &slice;
		snprintf(p->ctype, sizeof p->ctype, "go_slice");
		return true;
	}
	if (eat("*")) {
		const char *start = at;
		struct param to = {0};
		p->type = &pointer;
		if (eat("[")) { // *[16]byte: a pointer to the element
			while (at < end && isdigit((unsigned char)*at))
				at++;
			if (!eat("]"))
				return false;
			start = at;
		}
		if (word(w, sizeof w) && named(w) && named(w)->parts[1] == 0)
			snprintf(p->ctype, sizeof p->ctype, "%s%s*", named(w)->c,
			    strchr(named(w)->c, '*') ? "" : " ");
		else if (w[0])
			snprintf(p->ctype, sizeof p->ctype, "void *");
		else {
			at = start;
			if (!type(&to, depth + 1))
				return false;
			snprintf(p->ctype, sizeof p->ctype, "void *");
		}
		return true;
	}
	if (!word(w, sizeof w) || !named(w))
		return false;
	p->type = named(w);
	snprintf(p->ctype, sizeof p->ctype, "%s", p->type->c);
	return true;
}

// list reads `a, b int, c string)` or `int, error)`, behind its (. False: not understood.
static bool
list(struct param *p, int *np)
{
	int n = 0, unnamed = 0;
	if (eat(")"))
		return *np = 0, true;
	const char *start = at;
	// First as a list of types alone, which is how results are often given.
	for (;;) {
		struct param q = {0};
		if (n == MAXPARAMS || !type(&q, 0))
			break;
		snprintf(q.name, sizeof q.name, "r%d", n);
		p[n++] = q;
		if (eat(")"))
			return *np = n, true;
		if (!eat(","))
			break;
	}
	at = start;
	for (n = 0;;) {
		if (n == MAXPARAMS || !word(p[n].name, sizeof p[n].name))
			return false;
		p[n].type = NULL;
		blanks();
		bool typed = at < end && *at != ',' && *at != ')';
		if (typed) {
			if (!type(&p[n], 0))
				return false;
			for (int i = unnamed; i < n; i++) {
				p[i].type = p[n].type;
				memcpy(p[i].ctype, p[n].ctype, sizeof p[n].ctype);
			}
			unnamed = n + 1;
		}
		n++;
		if (eat(")"))
			return *np = n, unnamed == n;
		if (!eat(","))
			return false;
	}
}

// cword: s is a name in C and in C++.
static bool
cword(const char *s)
{
	static const char *const words[] = {"_", "alignas", "alignof", "and", "and_eq", "asm",
	    "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class", "compl",
	    "concept", "const", "constexpr", "continue", "decltype", "default", "delete", "do",
	    "double", "else", "enum", "explicit", "export", "extern", "false", "float", "for",
	    "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new",
	    "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
	    "protected", "public", "register", "requires", "restrict", "return", "short", "signed",
	    "sizeof", "static", "static_assert", "struct", "switch", "template", "this", "throw",
	    "true", "try", "typedef", "typeid", "typename", "typeof", "union", "unsigned", "using",
	    "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq"};
	for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
		if (strcmp(s, words[k]) == 0)
			return false;
	return !isdigit((unsigned char)s[0]) && !strchr(s, '.');
}

// cname makes a name of p[i] that C can have, and none of those before it.
static void
cname(struct param *p, int i)
{
	bool bad = !cword(p[i].name);
	for (const char *s = p[i].name; *s; s++)
		bad |= (unsigned char)*s >= 0x80;
	for (int k = 0; k < i; k++)
		bad |= strcmp(p[k].name, p[i].name) == 0;
	if (bad)
		snprintf(p[i].name, sizeof p[i].name, "a%d_", i);
}

static int
place(struct param *p, int n, int off)
{
	for (int i = 0; i < n; i++) {
		cname(p, i);
		off = (off + p[i].type->align - 1) / p[i].type->align * p[i].type->align;
		p[i].off = off;
		off += p[i].type->size;
	}
	return (off + 7) / 8 * 8;
}

// declaration reads `func name(...) ...`. Methods and generic functions are none of ours.
static bool
declaration(struct function *f)
{
	memset(f, 0, sizeof *f);
	if (!eat("func") || !word(f->name, sizeof f->name) || !eat("(") || !list(f->in, &f->nin))
		return false;
	blanks();
	if (eat("(")) {
		if (!list(f->out, &f->nout))
			return false;
	} else if (at < end && !strchr("\n\r/:.;", *at)) {
		if (!type(&f->out[0], 0))
			return false;
		strcpy(f->out[0].name, "r0");
		f->nout = 1;
	}
	blanks();
	if (at < end && !strchr("\n\r/:.;", *at))
		return false; // a body, so it is not assembly, or not a declaration at all
	f->size = place(f->out, f->nout, place(f->in, f->nin, 0));
	return true;
}

// ---- the C side ----
static const char *
package(const char *sep)
{
	static char s[256];
	snprintf(s, sizeof s, "%s%s", A.opt.package ? A.opt.package : "", A.opt.package ? sep : "");
	for (char *p = s; *sep == '_' && *p; p++)
		if (*p == '.' || *p == '/')
			*p = '_';
	return s;
}

// inmemory: C returns it through a pointer that the caller gives.
static bool
inmemory(const struct function *f)
{
	int size = 0;
	for (int i = 0; i < f->nout; i++) {
		int a = f->out[i].type->align;
		size = (size + a - 1) / a * a + f->out[i].type->size;
	}
	return size > 16;
}

static void
prototype(const struct function *f)
{
	if (f->nout > 1) {
		buf_print(&header, "struct %s%s_result {\n", package("_"), f->name);
		for (int i = 0; i < f->nout; i++)
			buf_print(&header, "\t%s%s%s;\n", f->out[i].ctype,
			    strchr(f->out[i].ctype, '*') ? "" : " ", f->out[i].name);
		buf_print(&header, "};\n");
	}
	if (f->nout == 0)
		buf_print(&header, "void ");
	else if (f->nout == 1)
		buf_print(
		    &header, "%s%s", f->out[0].ctype, strchr(f->out[0].ctype, '*') ? "" : " ");
	else
		buf_print(&header, "struct %s%s_result ", package("_"), f->name);
	buf_print(&header, "%s%s(", package("_"), f->name);
	for (int i = 0; i < f->nin; i++)
		buf_print(&header, "%s%s%s%s", i ? ", " : "", f->in[i].ctype,
		    strchr(f->in[i].ctype, '*') ? "" : " ", f->in[i].name);
	buf_print(&header, f->nin ? ");\n" : "void);\n");
}

static const char *
move(int size)
{
	return size == 8 ? "MOVQ" : size == 4 ? "MOVL" : size == 2 ? "MOVW" : "MOVB";
}

// load is the instruction that makes a whole register of what the Go side left.
static const char *
load(int size, bool issigned)
{
	return size == 8 ? "MOVQ"
	    : size == 4  ? "MOVL"
	    : size == 2  ? (issigned ? "MOVWLSX" : "MOVWLZX")
	    : issigned   ? "MOVBLSX"
			 : "MOVBLZX";
}

// arguments copies them to the Go side. In: where the seventh is, from SP; whether DI is taken.
static void
arguments(const struct function *f, int stack, bool hidden)
{
	static const char *const regs[] = {"DI", "SI", "DX", "CX", "R8", "R9"};
	int ni = hidden, nf = 0;
	for (int i = 0; i < f->nin; i++) {
		const struct param *p = &f->in[i];
		const char *parts = p->type->parts;
		int n = (int)strlen(parts), size = p->type->size / n, ints = 0, floats = 0;
		for (int k = 0; k < n; k++)
			parts[k] == 'i' ? ints++ : floats++;
		bool registers = n <= 2 && ni + ints <= 6 && nf + floats <= 8;
		for (int k = 0; k < n; k++) {
			int off = p->off + 8 * k;
			if (!registers) {
				buf_print(&asmtext, "\tMOVQ %d(SP), AX\n\t%s AX, %d(SP)\n", stack,
				    move(size > 8 ? 8 : size), off);
				stack += 8;
			} else if (parts[k] == 'i') {
				buf_print(
				    &asmtext, "\t%s %s, %d(SP)\n", move(size), regs[ni++], off);
			} else {
				buf_print(&asmtext, "\t%s X%d, %d(SP)\n",
				    size == 4 ? "MOVSS" : "MOVSD", nf++, off);
			}
		}
	}
}

// results takes them from the Go side to where C expects them.
static void
results(const struct function *f, int pointer_at)
{
	if (f->nout == 0)
		return;
	if (inmemory(f)) {
		buf_print(&asmtext, "\tMOVQ %d(SP), AX\n", pointer_at);
		int off = 0;
		for (int i = 0; i < f->nout; i++) {
			const struct type *t = f->out[i].type;
			int n = (int)strlen(t->parts), size = t->size / n;
			off = (off + t->align - 1) / t->align * t->align;
			for (int k = 0; k < n; k++)
				buf_print(&asmtext, "\t%s %d(SP), CX\n\t%s CX, %d(AX)\n",
				    move(size), f->out[i].off + 8 * k, move(size), off + size * k);
			off += t->size;
		}
		return;
	}
	if (f->nout == 1 && f->out[0].type->parts[1] == 0) {
		const struct type *t = f->out[0].type;
		if (t->parts[0] == 'i')
			buf_print(&asmtext, "\t%s %d(SP), AX\n", load(t->size, t->issigned),
			    f->out[0].off);
		else
			buf_print(&asmtext, "\t%s %d(SP), X0\n", t->size == 4 ? "MOVSS" : "MOVSD",
			    f->out[0].off);
		return;
	}
	// A struct of up to 16 bytes has the layout of the Go results, which begin at a multiple
	// of 8. Each word of it that holds an integer goes to a general register, and one of floats
	// alone to a vector register.
	static const char *const regs[] = {"AX", "DX"};
	int base = f->out[0].off, words = 0, ints = 0, vectors = 0;
	char class[2] = {0, 0};
	for (int i = 0; i < f->nout; i++) {
		const struct type *t = f->out[i].type;
		int n = (int)strlen(t->parts), size = t->size / n;
		for (int k = 0; k < n; k++) {
			int w = (f->out[i].off - base + size * k) / 8;
			if (w + 1 > words)
				words = w + 1;
			class[w] = t->parts[k] == 'i' || class[w] == 'i' ? 'i' : 'd';
		}
	}
	for (int w = 0; w < words; w++) {
		if (class[w] == 'i')
			buf_print(&asmtext, "\tMOVQ %d(SP), %s\n", base + 8 * w, regs[ints++]);
		else
			buf_print(&asmtext, "\tMOVSD %d(SP), X%d\n", base + 8 * w, vectors++);
	}
}

// trampoline: the registers that C wants back are saved, the Go side may use all of them.
static void
trampoline(const struct function *f, const char *path, int lineno)
{
	static const char *const saved[] = {"BP", "BX", "R12", "R13", "R14", "R15"};
	bool hidden = inmemory(f);
	// With the saved registers and the return address it is a multiple of 16.
	int room = (f->size + 8 + 15) / 16 * 16 + 8;
	int pointer_at = room - 8;
	// To a debugger all of it is the line of the declaration: it is one line.
	buf_print(&asmtext, "#line %d \"", lineno);
	for (const char *s = path; *s; s++)
		buf_print(&asmtext,
		    (unsigned char)*s < ' ' || strchr("\"\\", *s) ? "\\x%02x" : "%c",
		    (unsigned char)*s);
	buf_print(&asmtext, "\"\n");
	size_t start = asmtext.n;
	buf_print(&asmtext, "TEXT %s%s(SB), 4|512, $0\n", package("_"), f->name);
	for (int i = 0; i < 6; i++)
		buf_print(&asmtext, "\tPUSHQ %s\n", saved[i]);
	buf_print(&asmtext, "\tSUBQ $%d, SP\n", room);
	if (hidden)
		buf_print(&asmtext, "\tMOVQ DI, %d(SP)\n", pointer_at);
	arguments(f, room + 48 + 8, hidden);
	buf_print(&asmtext, "\tCALL ·%s(SB)\n", f->name);
	results(f, pointer_at);
	buf_print(&asmtext, "\tADDQ $%d, SP\n", room);
	for (int i = 5; i >= 0; i--)
		buf_print(&asmtext, "\tPOPQ %s\n", saved[i]);
	buf_print(&asmtext, "\tRET\n");
	for (size_t i = start; i + 1 < asmtext.n; i++)
		if (asmtext.p[i] == '\n')
			asmtext.p[i] = ';';
}

// ---- files ----
// definition is the function that a declaration is of, if the source has it.
static const struct sym *
definition(const char *name)
{
	char full[512];
	int n = snprintf(full, sizeof full, "%s.%s", A.opt.package ? A.opt.package : "", name);
	struct sym *s = (size_t)n < sizeof full ? intern(full, (size_t)n)->syms[ABI0] : NULL;
	return s && s->text ? s : NULL;
}

// line looks at one line, or at its first MAXTOKEN bytes, which are too long for a declaration.
static void
line(const char *path, int lineno, const char *text, size_t n, bool go)
{
	static struct function f;
	if (!go && (n < 2 || text[0] != '/' || text[1] != '/'))
		return;
	const char *start = text + (go ? 0 : 2);
	A.file = path;
	A.lineno = lineno;
	at = start;
	end = text + n;
	if (n >= MAXTOKEN || !declaration(&f)) {
		char name[128];
		at = start;
		bool known = eat("func") && word(name, sizeof name) && eat("(") && definition(name);
		if (known && memchr(start, '{', (size_t)(end - start)) == NULL)
			error("%s cannot be called from C: its types cannot be passed", name);
		return;
	}
	char cname[512];
	int len = snprintf(cname, sizeof cname, "%s%s", package("_"), f.name);
	if (!definition(f.name) || (size_t)len >= sizeof cname)
		return;
	struct name *c = intern(cname, (size_t)len);
	if (c->stubbed)
		return; // declared twice
	c->stubbed = true;
	if (c->reg || c->macro || !cword(cname)) {
		error("%s cannot be called from C: %s", f.name,
		    c->reg         ? "it is the name of a register (see -p)"
			: c->macro ? "it is the name of a macro (see -p)"
				   : "C can have no such name (see -p)");
		return;
	}
	prototype(&f);
	trampoline(&f, path, lineno);
}

// scan reads the lines of a file. The declarations in one of Go's are all, in a source of ours
// those behind //.
static void
scan(const char *path, bool go)
{
	static char text[MAXTOKEN];
	int fd = open(path, O_RDONLY | O_CLOEXEC), lineno = 1, c;
	if (fd < 0) {
		A.file = path;
		A.lineno = 0;
		error("%s", strerror(errno));
		return;
	}
	lex_open(path, fd, NULL, 0);
	size_t n = 0;
	do {
		c = lex_byte();
		if (c >= 0 && c != '\n') {
			if (n < sizeof text)
				text[n++] = (char)c;
			continue;
		}
		line(path, lineno++, text, n, go);
		n = 0;
	} while (c >= 0);
	lex_pop();
}

// stubs makes the trampolines for what path defines, and assembles them.
void
stubs(const char *path)
{
	buf_free(&asmtext);
	buf_free(&header);
	buf_print(&asmtext, "\n"); // behind the last line of the source, which may not be ended
	for (int i = 0; i < A.opt.nstubs; i++)
		scan(A.opt.stub[i], true);
	scan(path, false);
	if (asmtext.n == 1)
		return;
	lex_open("trampoline", -1, (char *)asmtext.p, asmtext.n);
	parse();
}

// stubs_header writes what stubs has collected.
bool
stubs_header(const char *path)
{
	FILE *f = fopen(path, "w");
	bool ok = f != NULL;
	if (f) {
		fprintf(f,
		    "// Made by rt0 asm.\n"
		    "#pragma once\n"
		    "#include <stdbool.h>\n"
		    "#include <stdint.h>\n"
		    "#ifndef RT0_GO_TYPES\n"
		    "#define RT0_GO_TYPES\n"
		    "typedef struct {\n\tconst char *p;\n\tint64_t n;\n} go_string;\n"
		    "typedef struct {\n\tvoid *p;\n\tint64_t n, cap;\n} go_slice;\n"
		    "typedef struct {\n\tfloat re, im;\n} go_complex64;\n"
		    "typedef struct {\n\tdouble re, im;\n} go_complex128;\n"
		    "#endif\n"
		    "#ifdef __cplusplus\n"
		    "extern \"C\" {\n"
		    "#endif\n");
		if (header.n)
			fwrite(header.p, 1, header.n, f);
		fprintf(f, "#ifdef __cplusplus\n}\n#endif\n");
		ok = !ferror(f);
		ok &= fclose(f) == 0;
	}
	buf_free(&asmtext);
	buf_free(&header);
	if (!ok) {
		A.file = path;
		A.lineno = 0;
		error("%s", strerror(errno));
	}
	return ok;
}
