// SPDX-License-Identifier: BSD-3-Clause
// offsets.c: the structs and enumerators of C headers as constants for assembly.
//
//	#define g_stackguard0 16       the offset of a field
//	#define g__size 408            the size of a struct
//	#define const_Grunning 2       an enumerator
//
// as Go's compiler writes them to go_asm.h. A header is preprocessed, and what this file finds in
// it by reading declarations is asked of the C compiler, which knows the values: a line of assembly
// that it writes for each. Nothing is computed here.
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main.h" // and not asm.h: its names of registers are the libc's as well

enum { MAXFIELDS = 512 };

// ---- the words of preprocessed C ----
static char *at, *end;
static char word[128];
static bool ours; // inside one of the headers itself, not what they include
static const char *const *headers;
static int nheaders;

// isheader: the file that a line marker names, in the compiler's spelling, is one of the headers.
static bool
isheader(const char *name, size_t n)
{
	char path[4096];
	struct stat a, b;
	snprintf(path, sizeof path, "%.*s", (int)n, name);
	if (stat(path, &a) != 0)
		return false;
	for (int i = 0; i < nheaders; i++)
		if (stat(headers[i], &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
			return true;
	return false;
}

// next reads a word or a character. Line markers say which file it is in. False: the end.
static bool
next(void)
{
	for (;;) {
		while (at < end && isspace((unsigned char)*at))
			at++;
		if (at == end)
			return false;
		if (*at == '#') {
			char *nl = memchr(at, '\n', (size_t)(end - at));
			char *quote = memchr(at, '"', (size_t)((nl ? nl : end) - at));
			char *close = quote ? strchr(quote + 1, '"') : NULL;
			if (close)
				ours = isheader(quote + 1, (size_t)(close - quote - 1));
			at = nl ? nl : end;
			continue;
		}
		break;
	}
	size_t n = 0;
	if (*at == '"' || *at == '\'') {
		char q = *at++;
		while (at < end && *at != q)
			at += *at == '\\' && at + 1 < end ? 2 : 1;
		at += at < end;
		word[n++] = q;
	} else if (isalnum((unsigned char)*at) || *at == '_' || *at == '$') {
		while (at < end && (isalnum((unsigned char)*at) || *at == '_' || *at == '$')) {
			if (n < sizeof word - 1)
				word[n++] = *at;
			at++;
		}
	} else {
		word[n++] = *at++;
	}
	word[n] = 0;
	return true;
}

static bool
is(const char *s)
{
	return strcmp(word, s) == 0;
}

// skip reads from an opening bracket, which word is, to behind its partner.
static void
skip(void)
{
	int depth = 1;
	while (depth > 0 && next())
		depth += (is("(") || is("{") || is("[")) - (is(")") || is("}") || is("]"));
}

// ---- questions ----
static FILE *questions;

// ask makes the compiler write `"->NAME VALUE"`, in a directive, since clang reads what it writes.
static void
ask(const char *name, const char *expression)
{
	fprintf(questions,
	    "\t__asm__ volatile(\"\\n.ascii \\\"->%s %%c0\\\"\" :: \"i\"((long)(%s)));\n", name,
	    expression);
}

static void
enumeration(void)
{
	bool first = true; // the next word is an enumerator
	char name[300], expr[300];
	while (next() && !is("}")) {
		if (is("(")) {
			skip();
		} else if (is(",")) {
			first = true;
		} else if (first && (isalpha((unsigned char)word[0]) || word[0] == '_')) {
			snprintf(name, sizeof name, "const_%s", word);
			snprintf(expr, sizeof expr, "%s", word);
			ask(name, expr);
			first = false;
		}
	}
}

struct fields {
	char name[MAXFIELDS][128];
	int n;
};

// members reads a struct's body, behind its {. The fields of a nameless struct inside are its own.
static void
members(struct fields *f)
{
	char name[128] = "";
	bool declarator = false, bitfield = false;
	while (next() && !is("}")) {
		if (is("__attribute__") || is("_Alignas") || is("__extension__") ||
		    is("_Static_assert") || is("__asm__")) {
			bool bare = is("__extension__");
			if (!bare && next() && is("("))
				skip();
			continue;
		}
		if (is("struct") || is("union") || is("enum")) {
			bool isenum = is("enum");
			if (!next())
				return;
			while (is("__attribute__") && next() && is("("))
				skip(), next();
			if (!is("{") && !is(";")) { // a tag
				if (!next())
					return;
			}
			if (!is("{")) {
				if (isalpha((unsigned char)word[0]) || word[0] == '_')
					snprintf(name, sizeof name, "%s", word), declarator = true;
				goto punctuation;
			}
			if (isenum) {
				enumeration();
				continue;
			}
			static struct fields inner[8];
			static int depth;
			if (depth == 8)
				return;
			struct fields *g = &inner[depth++];
			g->n = 0;
			members(g);
			depth--;
			char *back = at;
			if (next() && is(";")) { // nameless: its fields are seen from outside
				for (int i = 0; i < g->n && f->n < MAXFIELDS; i++)
					memcpy(f->name[f->n++], g->name[i], sizeof g->name[i]);
				continue;
			}
			at = back;
			continue;
		}
punctuation:
		if (is("(")) {
			// (*name)(...) declares name; what comes behind a name is its parameters.
			char *back = at;
			if (!declarator && next() && is("*")) {
				while (next() && (is("*") || is("const")))
					;
				if (isalpha((unsigned char)word[0]) || word[0] == '_') {
					snprintf(name, sizeof name, "%s", word);
					declarator = true;
				}
				at = back;
			} else {
				at = back;
			}
			skip();
		} else if (is("[")) {
			skip();
		} else if (is(":")) {
			bitfield = true;
		} else if (is(";") || is(",")) {
			if (name[0] && !bitfield && f->n < MAXFIELDS)
				memcpy(f->name[f->n++], name, sizeof name);
			name[0] = 0;
			bitfield = declarator = false;
		} else if ((isalpha((unsigned char)word[0]) || word[0] == '_') && !bitfield) {
			// The last word before , or ; is the name.
			snprintf(name, sizeof name, "%s", word);
			declarator = false;
			char *back = at;
			declarator = next() && (is(",") || is(";") || is("[") || is(":"));
			at = back;
		}
	}
}

static void
answer_struct(const char *prefix, const char *type, const struct fields *f)
{
	char name[400], expr[800];
	snprintf(name, sizeof name, "%s__size", prefix);
	snprintf(expr, sizeof expr, "sizeof(%s)", type);
	ask(name, expr);
	for (int i = 0; i < f->n; i++) {
		snprintf(name, sizeof name, "%s_%s", prefix, f->name[i]);
		snprintf(expr, sizeof expr, "__builtin_offsetof(%s, %s)", type, f->name[i]);
		ask(name, expr);
	}
}

// scan finds `struct TAG {`, `typedef struct {...} NAME` and `enum {` outside functions.
static void
scan(void)
{
	static struct fields f;
	bool istypedef = false;
	while (next()) {
		if (is("typedef")) {
			istypedef = true;
		} else if (is(";")) {
			istypedef = false;
		} else if (is("enum") && ours) {
			while (next() && !is("{") && !is(";") && !is(")"))
				;
			if (is("{"))
				enumeration();
		} else if (is("struct") || is("union")) {
			const char *kind = is("union") ? "union" : "struct";
			char tag[128] = "", type[200];
			bool mine = ours;
			while (next() && (is("__attribute__") || is("(")))
				if (is("("))
					skip();
			if (isalpha((unsigned char)word[0]) || word[0] == '_') {
				snprintf(tag, sizeof tag, "%s", word);
				char *back = at;
				if (!next() || !is("{")) {
					at = back;
					continue;
				}
			}
			if (!is("{"))
				continue;
			f.n = 0;
			members(&f);
			if (!mine)
				continue;
			if (tag[0]) {
				snprintf(type, sizeof type, "%s %s", kind, tag);
				answer_struct(tag, type, &f);
			} else if (istypedef && next()) {
				while (is("__attribute__") && next() && is("("))
					skip(), next();
				if (isalpha((unsigned char)word[0]) || word[0] == '_')
					answer_struct(word, word, &f);
			}
		} else if (is("{") || is("(")) {
			skip();
		}
	}
}

// ---- the compiler ----
// command runs a program, gives it input, and returns what it writes, ended by 0; NULL if it fails.
static char *
command(char *const argv[], const char *input, size_t n)
{
	int out[2];
	FILE *in = tmpfile();
	if (!in || pipe(out) < 0)
		return NULL;
	fwrite(input, 1, n, in);
	fflush(in);
	rewind(in);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fileno(in), 0);
		dup2(out[1], 1);
		close(out[0]);
		execvp(argv[0], argv);
		fprintf(stderr, "rt0 asm: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(out[1]);
	fclose(in);
	char *text = NULL, chunk[4096];
	size_t len = 0;
	FILE *all = open_memstream(&text, &len);
	for (ssize_t r; pid > 0 && all && (r = read(out[0], chunk, sizeof chunk)) > 0;)
		fwrite(chunk, 1, (size_t)r, all);
	close(out[0]);
	int status = 1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!all || fclose(all) != 0 || pid < 0 || status != 0)
		return NULL;
	return text;
}

// asm_offsets writes the constants of the headers at paths to output.
int
asm_offsets(
    const char *const *paths, int npaths, const char *output, const char *const *flags, int nflags)
{
	char *argv[200], *include = NULL, *text = NULL;
	size_t len = 0;
	int n = 0;
	const char *cc = getenv("RT0_CC");
	argv[n++] = (char *)(cc && cc[0] ? cc : "cc");
	argv[n++] = (char *)"-xc";
	for (int i = 0; i < nflags && n < 180; i++)
		argv[n++] = (char *)flags[i];
	argv[n++] = (char *)"-I.";
	argv[n++] = (char *)"-fno-lto"; // the answers are read from what would be assembled
	int mode = n++;
	argv[n++] = (char *)"-";
	argv[n] = NULL;
	FILE *f = open_memstream(&include, &len);
	if (!f)
		return 1;
	for (int i = 0; i < npaths; i++)
		fprintf(f, "#include \"%s\"\n", paths[i]);
	if (fclose(f) != 0)
		return 1;
	headers = paths;
	nheaders = npaths;
	argv[mode] = (char *)"-E";
	char *pre = command(argv, include, len);
	if (!pre)
		return 1;
	at = pre;
	end = pre + strlen(pre);
	questions = open_memstream(&text, &len);
	if (!questions)
		return 1;
	fprintf(questions, "%svoid rt0_offsets(void)\n{\n", include);
	scan();
	fprintf(questions, "}\n");
	if (fclose(questions) != 0)
		return 1;
	argv[mode] = (char *)"-S";
	argv[n++] = (char *)"-o";
	argv[n++] = (char *)"-";
	argv[n] = NULL;
	char *answers = command(argv, text, len);
	free(pre);
	free(text);
	free(include);
	if (!answers)
		return 1;
	f = fopen(output, "w");
	if (!f) {
		fprintf(stderr, "%s: %s\n", output, strerror(errno));
		return 1;
	}
	fprintf(f, "// Made by rt0 asm -offsets of");
	for (int i = 0; i < npaths; i++) {
		const char *slash = strrchr(paths[i], '/');
		fprintf(f, " %s", slash ? slash + 1 : paths[i]);
	}
	fprintf(f, ".\n");
	for (char *p = answers; (p = strstr(p, "\"->")) != NULL;) {
		p += 3;
		fprintf(f, "#define %.*s\n", (int)strcspn(p, "\""), p);
	}
	free(answers);
	bool ok = !ferror(f);
	ok &= fclose(f) == 0;
	if (!ok)
		fprintf(stderr, "%s: %s\n", output, strerror(errno));
	return !ok;
}
