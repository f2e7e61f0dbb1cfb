// SPDX-License-Identifier: BSD-3-Clause
// cpp.c: the preprocessor: #include, #define with arguments, #ifdef, #ifndef, #else, #endif,
// #undef, #line.
//
// A macro's tokens are pushed as a source of their own, so what they hold is expanded in turn. A
// name of a macro with arguments that no ( follows stays a name. Errors here end the assembly, as
// in Go.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asm.h"

enum { MAXIFS = 64, MAXARGS = 64 };

struct macro {
	bool withargs;
	int nargs;
	struct name **args;
	struct tok *body;
	size_t nbody;
};

static bool ifs[MAXIFS];
static int nifs;
static bool bol = true; // at the beginning of a line
static struct tok kept; // a token that was read too far
static bool havekept;
static size_t expanded, expandedline;
static int included;

void
cpp_reset(void)
{
	nifs = 0;
	bol = true;
	havekept = false;
	expanded = expandedline = 0;
	included = 0;
}

// A growing list of tokens, in the arena of the line (a macro's body is copied when it is
// complete).
struct list {
	struct tok *t;
	size_t n, cap;
};

static void
push(struct list *l, struct tok t)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct tok *v = arena_alloc(&A.line, cap * sizeof *v);
		if (l->n)
			memcpy(v, l->t, l->n * sizeof *v);
		l->t = v;
		l->cap = cap;
	}
	l->t[l->n++] = t;
}

// ---- tokens of the whole stack of sources ----
static struct tok
raw(void)
{
	if (havekept) {
		havekept = false;
		return kept;
	}
	for (;;) {
		struct tok t = lex_next();
		if (t.kind != T_EOF || !A.src->up)
			return t;
		lex_pop();
	}
}

static void
pushtokens(const struct tok *t, size_t n)
{
	int depth = 0;
	for (struct source *s = A.src; s; s = s->up)
		depth++;
	if (depth > MAXDEPTH)
		fatal("input recursion");
	expanded += n;
	expandedline += n;
	if (expanded > MAXEXPANSIONS || expandedline > MAXEXPANSION)
		fatal("macros expand to too many tokens");
	lex_tokens(t, n);
}

void
cpp_line_done(void)
{
	if (havekept || !A.src || A.src->istokens)
		return; // something of it may still be read
	expandedline = 0;
	arena_reset(&A.line);
}

static bool
enabled(void)
{
	return nifs == 0 || ifs[nifs - 1];
}

static const char *
spelled(const struct tok *t)
{
	return t->kind == T_EOF ? "EOF" : t->kind == '\n' ? "newline" : t->text;
}

static struct name *
macroname(void)
{
	struct tok t = raw();
	if (t.kind != T_NAME)
		fatal("expected identifier after # directive; got \"%s\"", spelled(&t));
	return tok_name(&t);
}

static void
endofline(const char *directive)
{
	struct tok t = raw();
	if (t.kind != '\n')
		fatal("expected newline after %s; got \"%s\"", directive, spelled(&t));
}

// keep copies tokens to where they live as long as the assembly.
static struct tok *
keep(const struct list *l)
{
	struct tok *v = arena_alloc(&A.perm, (l->n + 1) * sizeof *v);
	for (size_t i = 0; i < l->n; i++) {
		v[i] = l->t[i];
		if (v[i].kind > T_NAME && v[i].kind < T_LSH)
			v[i].text = arena_text(&A.perm, v[i].text, v[i].len);
	}
	return v;
}

static void
formals(struct macro *m, const char *name)
{
	struct tok t = raw();
	struct name *args[MAXARGS];
	m->withargs = true;
	if (t.kind == ')')
		return;
	for (;; t = raw()) {
		if (t.kind != T_NAME)
			fatal("bad definition for macro: %s", name);
		for (int i = 0; i < m->nargs; i++)
			if (args[i] == tok_name(&t))
				fatal("duplicate argument %s in definition for macro: %s", t.text,
				    name);
		if (m->nargs == MAXARGS)
			fatal("too many arguments in definition for macro: %s", name);
		args[m->nargs++] = tok_name(&t);
		t = raw();
		if (t.kind == ')')
			break;
		if (t.kind != ',')
			fatal("bad definition for macro: %s", name);
	}
	m->args = arena_alloc(&A.perm, (size_t)m->nargs * sizeof args[0]);
	memcpy(m->args, args, (size_t)m->nargs * sizeof args[0]);
}

static void
define(void)
{
	struct name *n = macroname();
	if (n->macro)
		fatal("redefinition of macro: %s", n->text);
	struct macro *m = arena_alloc(&A.perm, sizeof *m);
	struct list body = {0};
	struct tok t = raw();
	if (t.kind == '(' && !t.spaced) {
		formals(m, n->text);
		t = raw();
	}
	for (; t.kind != '\n'; t = raw()) {
		if (t.kind == T_EOF)
			fatal("missing newline in definition for macro: %s", n->text);
		if (t.kind == '\\') {
			t = raw();
			if (t.kind != '\n' && t.kind != '\\')
				fatal("can only escape \\ or \\n in definition for macro: %s",
				    n->text);
		}
		push(&body, t);
		if (body.n > MAXLINE)
			fatal("macro too long: %s", n->text);
	}
	m->body = keep(&body);
	m->nbody = body.n;
	n->macro = m;
}

void
cpp_define(const char *name_value)
{
	const char *eq = strchr(name_value, '=');
	size_t len = eq ? (size_t)(eq - name_value) : strlen(name_value);
	const char *value = eq ? eq + 1 : "1";
	struct name *n = intern(name_value, len);
	struct macro *m = arena_alloc(&A.perm, sizeof *m);
	struct list body = {0};
	lex_open("command line", -1, value, strlen(value));
	for (struct tok t = lex_next(); t.kind != T_EOF; t = lex_next())
		push(&body, t);
	lex_pop();
	m->body = keep(&body);
	m->nbody = body.n;
	n->macro = m;
}

// open_include tries the name itself, the directory of the source, and each -I.
static int
open_include(const char *name, char *path, size_t size)
{
	struct source *s = A.src;
	while (s->up)
		s = s->up;
	const char *slash = strrchr(s->file, '/');
	snprintf(path, size, "%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = errno;
	for (int i = -1; fd < 0 && i < A.opt.nincludes; i++) {
		if (i < 0)
			snprintf(path, size, "%.*s/%s", slash ? (int)(slash - s->file) : 1,
			    slash ? s->file : ".", name);
		else
			snprintf(path, size, "%s/%s", A.opt.include[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	struct stat st;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fatal("#include: %s: not a regular file", path);
	}
	if (fd < 0)
		fatal("#include: open %s: %s", name, strerror(err));
	return fd;
}

static void
include(void)
{
	struct tok t = raw();
	char *name, path[PATH_MAX];
	size_t n;
	if (t.kind != T_STRING)
		fatal("expected string after #include; got \"%s\"", spelled(&t));
	if (!lex_string(&t, &A.perm, &name, &n) || strlen(name) != n)
		fatal("unquoting include file name: invalid syntax");
	endofline("#include");
	int depth = 0;
	for (struct source *s = A.src; s; s = s->up)
		depth++;
	if (depth > MAXDEPTH)
		fatal("input recursion");
	if (++included > MAXINCLUDES)
		fatal("too many #include");
	int fd = open_include(name, path, sizeof path);
	lex_open(arena_text(&A.perm, path, strlen(path)), fd, NULL, 0);
}

static void
line(void)
{
	struct tok t = raw();
	if (t.kind != T_INT)
		fatal("expected line number after #line; got \"%s\"", spelled(&t));
	int64_t v;
	if (!parse_positive(&t, &v) || v > INT_MAX / 2)
		fatal("error parsing #line: value out of range");
	t = raw();
	if (t.kind != T_STRING)
		fatal("expected file name in #line; got \"%s\"", spelled(&t));
	char *name;
	size_t n;
	if (!lex_string(&t, &A.perm, &name, &n) || strlen(name) != n)
		fatal("unquoting #line file name: invalid syntax");
	t = raw();
	if (t.kind != '\n')
		fatal("unexpected token at end of #line: %s", spelled(&t));
	struct source *s = A.src;
	while (s->istokens)
		s = s->up;
	s->file = A.file = name;
	s->line = (int)v;
}

// directive handles what follows # at the beginning of a line. True: its line has been read.
static bool
directive(void)
{
	struct tok t = raw();
	if (t.kind != T_NAME)
		fatal("expected identifier after '#'; got \"%s\"", spelled(&t));
	const char *d = t.text;
	if (strcmp(d, "ifdef") == 0 || strcmp(d, "ifndef") == 0) {
		bool defined = macroname()->macro != NULL;
		endofline("#if[n]def");
		if (nifs == MAXIFS)
			fatal("#ifdef nested too deep");
		bool on = enabled() && defined == (d[2] == 'd');
		ifs[nifs++] = on;
		return true;
	}
	if (strcmp(d, "else") == 0) {
		endofline("#else");
		if (nifs == 0)
			fatal("unmatched #else");
		if (nifs == 1 || ifs[nifs - 2])
			ifs[nifs - 1] = !ifs[nifs - 1];
		return true;
	}
	if (strcmp(d, "endif") == 0) {
		endofline("#endif");
		if (nifs == 0)
			fatal("unmatched #endif");
		nifs--;
		return true;
	}
	if (strcmp(d, "line") == 0)
		return line(), true;
	if (!enabled())
		return false;
	if (strcmp(d, "define") == 0)
		return define(), true;
	if (strcmp(d, "include") == 0)
		return include(), true;
	if (strcmp(d, "undef") == 0) {
		struct name *n = macroname();
		if (!n->macro)
			fatal("#undef for undefined macro: %s", n->text);
		if (raw().kind != '\n')
			fatal("syntax error in #undef for macro: %s", n->text);
		n->macro = NULL;
		return true;
	}
	fatal("unexpected token after '#': %s", d);
}

// actuals reads the arguments of a macro, behind its (.
static void
actuals(const struct macro *m, const char *name, struct list *args)
{
	int n = 0, nesting = 0;
	for (;;) {
		struct tok t = raw();
		if (t.kind == T_EOF || t.kind == '\n')
			fatal("unterminated arg list invoking macro: %s", name);
		if (nesting == 0 && (t.kind == ')' || t.kind == ',')) {
			n++;
			if (t.kind == ')')
				break;
			if (n >= m->nargs)
				fatal("wrong arg count for macro %s", name);
			continue;
		}
		nesting += (t.kind == '(') - (t.kind == ')');
		push(&args[n], t);
		if (args[n].n > MAXLINE)
			fatal("macro argument too long");
	}
	if (n != m->nargs && !(m->nargs == 0 && n == 1 && args[0].n == 0))
		fatal("wrong arg count for macro %s", name);
}

static void
invoke(const struct tok *name)
{
	const struct macro *m = tok_name(name)->macro;
	if (!m->withargs) {
		pushtokens(m->body, m->nbody);
		return;
	}
	struct tok t = raw();
	if (t.kind != '(') {
		// The name comes first, then t: both as they are.
		struct tok *plain = arena_alloc(&A.line, sizeof *plain);
		*plain = *name;
		plain->kind = T_PLAIN;
		kept = t;
		pushtokens(plain, 1);
		return;
	}
	static struct list args[MAXARGS + 1];
	struct list out = {0};
	memset(args, 0, ((size_t)m->nargs + 1) * sizeof args[0]);
	actuals(m, name->text, args);
	for (size_t i = 0; i < m->nbody; i++) {
		const struct tok *b = &m->body[i];
		int k = m->nargs;
		if (b->kind == T_NAME)
			for (k = 0; k < m->nargs && m->args[k]->text != b->text;)
				k++;
		if (k == m->nargs || args[k].n == 0) {
			push(&out, *b);
		} else {
			for (size_t j = 0; j < args[k].n; j++)
				push(&out, args[k].t[j]);
		}
		if (out.n > MAXEXPANSION)
			fatal("macros expand to too many tokens");
	}
	pushtokens(out.t, out.n);
}

// A token that was read behind a macro's name waits below the name, which is a source by itself.
static struct tok
afterplain(struct tok t)
{
	t.kind = T_NAME;
	havekept = true;
	return t;
}

struct tok
cpp_next(void)
{
	for (;;) {
		for (int nesting = 0; nesting < 100;) {
			struct tok t = raw();
			if (t.kind == '#') {
				if (!bol)
					fatal("'#' must be first item on line");
				bol = directive();
				return (struct tok){"#", 1, '#', false};
			}
			if (t.kind == T_NAME && tok_name(&t)->macro && enabled()) {
				nesting++;
				invoke(&t);
				continue;
			}
			if (t.kind == T_EOF && nifs > 0)
				fatal("unclosed #ifdef or #ifndef");
			bol = t.kind == '\n';
			if (t.kind == T_PLAIN)
				return afterplain(t);
			if (enabled() || t.kind == T_EOF)
				return t;
			nesting = 0;
			if (bol)
				cpp_line_done();
		}
		fatal("recursive macro invocation");
	}
}
