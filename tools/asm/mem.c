// SPDX-License-Identifier: BSD-3-Clause
// mem.c: arenas, growing buffers, names, and the errors that everybody reports.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "asm.h"

struct asm_state A;

// ---- arenas ----
enum { CHUNK = 1 << 16 };
struct chunk {
	struct chunk *next;
	size_t size;
	char bytes[];
};

static void *
grow(struct arena *a, size_t n)
{
	size_t size = n > CHUNK / 4 ? n : CHUNK;
	struct chunk *c = malloc(sizeof *c + size);
	if (!c)
		fatal("out of memory");
	c->size = size;
	// A big piece gets a chunk of its own, behind the one in use.
	if (n > CHUNK / 4 && a->chunks) {
		c->next = a->chunks->next;
		a->chunks->next = c;
		return memset(c->bytes, 0, n);
	}
	c->next = a->chunks;
	a->chunks = c;
	a->next = c->bytes + n;
	a->end = c->bytes + size;
	return memset(c->bytes, 0, n);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	n = (n + 7) & ~(size_t)7;
	if ((size_t)(a->end - a->next) < n || !a->next)
		return grow(a, n);
	char *p = a->next;
	a->next += n;
	return memset(p, 0, n);
}

char *
arena_text(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);
	memcpy(p, s, n);
	return p;
}

void
arena_reset(struct arena *a)
{
	struct chunk *keep = NULL, *next;
	for (struct chunk *c = a->chunks; c; c = next) {
		next = c->next;
		if (!keep && c->size == CHUNK)
			keep = c;
		else
			free(c);
	}
	a->chunks = keep;
	a->next = a->end = NULL;
	if (keep) {
		keep->next = NULL;
		a->next = keep->bytes;
		a->end = keep->bytes + keep->size;
	}
}

static void
arena_free(struct arena *a)
{
	arena_reset(a);
	free(a->chunks);
	*a = (struct arena){0};
}

// ---- buffers ----
void
buf_put(struct buf *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		size_t cap = (b->n + n) * 2 + 256;
		uint8_t *q = realloc(b->p, cap);
		if (!q)
			fatal("out of memory");
		b->p = q;
		b->cap = cap;
	}
	if (p && n)
		memcpy(b->p + b->n, p, n);
	else if (n)
		memset(b->p + b->n, 0, n);
	b->n += n;
}

void
buf_byte(struct buf *b, int c)
{
	uint8_t byte = (uint8_t)c;
	buf_put(b, &byte, 1);
}

void
buf_le(struct buf *b, uint64_t v, int bytes)
{
	uint8_t t[8];
	for (int i = 0; i < 8; i++)
		t[i] = (uint8_t)(v >> 8 * i);
	buf_put(b, t, (size_t)bytes);
}

void
buf_uleb(struct buf *b, uint64_t v)
{
	do {
		buf_byte(b, (int)(v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
}

void
buf_sleb(struct buf *b, int64_t v)
{
	for (;;) {
		int byte = (int)(v & 0x7f);
		v >>= 7;
		bool last = (v == 0 && !(byte & 0x40)) || (v == -1 && byte & 0x40);
		buf_byte(b, byte | (last ? 0 : 0x80));
		if (last)
			return;
	}
}

void
buf_align(struct buf *b, size_t align, int fill)
{
	while (b->n % align)
		buf_byte(b, fill);
}

void
buf_print(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	buf_put(b, NULL, (size_t)n + 1);
	vsnprintf((char *)b->p + b->n - n - 1, (size_t)n + 1, fmt, again);
	va_end(again);
	b->n--;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

struct reloc *
push_reloc(struct reloc **v, uint32_t *n, uint32_t *cap)
{
	if (*n == *cap) {
		uint32_t newcap = *cap ? 2 * *cap : 16;
		struct reloc *r = realloc(*v, newcap * sizeof *r);
		if (!r)
			fatal("out of memory");
		*v = r;
		*cap = newcap;
	}
	struct reloc *r = &(*v)[(*n)++];
	*r = (struct reloc){0};
	return r;
}

// ---- names ----
// Those of registers and mnemonics are made once and stay when the others go.
static struct name **table, *basenames;
static uint32_t tablesize, nnames;
static struct arena base;
static bool basing;

static void
rehash(void)
{
	uint32_t size = tablesize ? tablesize * 2 : 8192;
	struct name **t = calloc(size, sizeof *t), *next;
	if (!t)
		fatal("out of memory");
	for (uint32_t i = 0; i < tablesize; i++) {
		for (struct name *n = table[i]; n; n = next) {
			next = n->next;
			n->next = t[n->hash & (size - 1)];
			t[n->hash & (size - 1)] = n;
		}
	}
	free(table);
	table = t;
	tablesize = size;
}

struct name *
intern(const char *s, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	h ^= h >> 15;
	if (tablesize)
		for (struct name *n = table[h & (tablesize - 1)]; n; n = n->next)
			if (n->hash == h && n->len == len && memcmp(n->text, s, len) == 0)
				return n;
	if (nnames >= tablesize)
		rehash();
	if (nnames++ == MAXNAMES)
		fatal("too many different names");
	struct name *n = arena_alloc(basing ? &base : &A.perm, sizeof *n + len + 1);
	n->hash = h;
	n->len = (uint32_t)len;
	memcpy(n->text, s, len);
	if (basing) {
		n->base = basenames;
		basenames = n;
	}
	n->next = table[h & (tablesize - 1)];
	table[h & (tablesize - 1)] = n;
	return n;
}

// names_base: what is interned from here on, or from here on no more, is there for ever.
void
names_base(bool on)
{
	basing = on;
}

static void
names_reset(void)
{
	if (tablesize > 1 << 16) {
		free(table);
		table = NULL;
		tablesize = 0;
	}
	if (tablesize)
		memset(table, 0, tablesize * sizeof *table);
	nnames = 0;
	for (struct name *n = basenames; n; n = n->base) {
		if (nnames++ >= tablesize)
			rehash();
		n->macro = NULL;
		memset(n->syms, 0, sizeof n->syms);
		n->labelfn = 0;
		n->stubbed = false;
		n->next = table[n->hash & (tablesize - 1)];
		table[n->hash & (tablesize - 1)] = n;
	}
}

// ---- symbols ----
struct sym *
sym_lookup(struct name *n, int abi)
{
	if (n->syms[abi])
		return n->syms[abi];
	struct sym *s = arena_alloc(&A.perm, sizeof *s);
	s->name = n;
	s->abi = (uint8_t)abi;
	s->align = 1;
	s->file = A.file; // of the first use, until it is defined
	s->line = A.lineno;
	if (!A.symtail)
		A.symtail = &A.syms;
	*A.symtail = s;
	A.symtail = &s->next;
	return n->syms[abi] = s;
}

struct sym *
sym_named(const char *s, int abi)
{
	return sym_lookup(intern(s, strlen(s)), abi);
}

struct reloc *
sym_addrel(struct sym *s)
{
	if (s->nrels == s->caprels) {
		uint32_t cap = s->caprels ? 2 * s->caprels : 4;
		struct reloc *v = arena_alloc(&A.perm, cap * sizeof *v);
		if (s->nrels)
			memcpy(v, s->rels, s->nrels * sizeof *v);
		s->rels = v;
		s->caprels = cap;
	}
	return &s->rels[s->nrels++];
}

// sym_float is the read-only constant f, one for all that want it.
struct sym *
sym_float(double f, int size)
{
	char text[40];
	uint64_t bits = 0;
	float single = (float)f;
	if (size == 8)
		memcpy(&bits, &f, 8);
	else
		memcpy(&bits, &single, 4);
	snprintf(text, sizeof text, size == 8 ? "$f64.%016llx" : "$f32.%08llx",
	    (unsigned long long)bits);
	struct sym *s = sym_named(text, ABI0);
	if (!s->global) {
		s->global = true;
		s->flags = RODATA | DUPOK;
		s->size = size;
		struct piece *p = arena_alloc(&A.perm, sizeof *p + 8);
		p->len = (uint32_t)size;
		memcpy(p->bytes, &bits, 8);
		s->first = s->last = p;
	}
	return s;
}

// ---- errors ----
static void
report(const char *file, int line, const char *fmt, va_list ap)
{
	A.errors++;
	// One error a line is enough.
	if (file == A.errfile && line == A.errline)
		return;
	A.errfile = file;
	A.errline = line;
	if (A.diag) {
		fprintf(A.diag, "%s:%d: ", file ? file : "?", line);
		vfprintf(A.diag, fmt, ap);
		fputc('\n', A.diag);
	}
	if (A.errors > MAXERRORS && !A.opt.allerrors) {
		if (A.diag)
			fprintf(A.diag, "%s:%d: too many errors\n", file ? file : "?", line);
		longjmp(A.fail, 1);
	}
}

void
error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	report(A.file, A.lineno, fmt, ap);
	va_end(ap);
}

void
error_at(const struct insn *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	report(p->file, (int)p->line, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	A.errline = -1;
	report(A.file, A.lineno, fmt, ap);
	va_end(ap);
	longjmp(A.fail, 1);
}

// asm_reset forgets everything but the options.
void
asm_reset(void)
{
	struct options opt = A.opt;
	FILE *diag = A.diag, *listing = A.listing;
	while (A.src)
		lex_pop();
	arena_free(&A.perm);
	arena_free(&A.func);
	arena_free(&A.line);
	buf_free(&A.text);
	buf_free(&A.ehframe);
	free(A.rels);
	free(A.textrels);
	free(A.ehrels);
	free(A.rows);
	names_reset();
	memset(&A, 0, sizeof A);
	A.opt = opt;
	A.diag = diag;
	A.listing = listing;
	cpp_reset();
}
