// SPDX-License-Identifier: BSD-3-Clause
// lex.c: characters to tokens.
//
// A source is read through a window, never as a whole. Identifiers may hold · and ∕ (U+00B7,
// U+2215), which stand for . and / in symbol names and are replaced here.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asm.h"

enum { WINDOW = 1 << 16 };

static bool
fill(struct source *s)
{
	if (s->fd < 0 || s->eof)
		return false;
	ssize_t n;
	do
		n = read(s->fd, s->window, WINDOW);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		fatal("read %s: %s", s->file, strerror(errno));
	s->pos = 0;
	s->end = (size_t)n;
	s->eof = n == 0;
	return n > 0;
}

static inline int
peekc(struct source *s)
{
	if (s->pos == s->end && !fill(s))
		return -1;
	return (unsigned char)s->window[s->pos];
}

static inline int
getch(struct source *s)
{
	int c = peekc(s);
	if (c >= 0)
		s->pos++;
	return c;
}

int
lex_byte(void)
{
	return getch(A.src);
}

void
lex_open(const char *path, int fd, const char *text, size_t n)
{
	struct source *s = calloc(1, sizeof *s);
	if (!s)
		fatal("out of memory");
	s->up = A.src;
	A.src = s; // from here on asm_reset frees it
	s->fd = fd;
	s->file = path;
	s->line = 1;
	if (fd >= 0) {
		s->window = malloc(WINDOW);
		if (!s->window)
			fatal("out of memory");
	} else {
		s->window = (char *)text;
		s->end = n;
	}
	A.file = path;
	A.lineno = 1;
}

void
lex_tokens(const struct tok *t, size_t n)
{
	struct source *s = calloc(1, sizeof *s);
	if (!s)
		fatal("out of memory");
	s->up = A.src;
	s->fd = -1;
	s->istokens = true;
	s->toks = t;
	s->ntoks = n;
	A.src = s;
}

bool
lex_pop(void)
{
	struct source *s = A.src;
	A.src = s->up;
	if (s->fd >= 0) {
		close(s->fd);
		free(s->window);
	}
	free(s);
	for (s = A.src; s && s->istokens;)
		s = s->up;
	if (s) {
		A.file = s->file;
		A.lineno = s->line;
	}
	return A.src != NULL;
}

// ---- the text of one token ----
static char text[MAXTOKEN];
static size_t ntext;

static inline void
take(int c)
{
	if (ntext == MAXTOKEN)
		fatal("token too long");
	text[ntext++] = (char)c;
}

static inline bool
isname(int c)
{
	return (unsigned)((c | 0x20) - 'a') < 26 || (unsigned)(c - '0') < 10 || c == '_' ||
	    c >= 0x80;
}

// identifier is behind its first character, which is taken. UTF-8 passes through but for the two
// dots.
static struct name *
identifier(struct source *s)
{
	bool high = (unsigned char)text[0] >= 0x80;
	int c;
	// Most are plain and whole in the window, and need not be copied.
	const unsigned char *p = (const unsigned char *)s->window + s->pos,
			    *e = (const unsigned char *)s->window + s->end;
	while (p < e && isname(*p) && *p < 0x80)
		p++;
	if (!high && p < e && *p < 0x80 && s->pos > 0) {
		size_t len = (size_t)(p - (const unsigned char *)s->window) - s->pos;
		if (len >= MAXTOKEN)
			fatal("token too long");
		s->pos += len;
		return intern((const char *)p - len - 1, len + 1);
	}
	while ((c = peekc(s)) >= 0 && isname(c)) {
		high |= c >= 0x80;
		take(c);
		s->pos++;
	}
	if (high) {
		size_t n = 0;
		for (size_t i = 0; i < ntext; i++) {
			if (i + 1 < ntext && memcmp(text + i, "\xc2\xb7", 2) == 0) {
				text[n++] = '.';
				i += 1;
			} else if (i + 2 < ntext && memcmp(text + i, "\xe2\x88\x95", 3) == 0) {
				text[n++] = '/';
				i += 2;
			} else {
				text[n++] = text[i];
			}
		}
		ntext = n;
	}
	return intern(text, ntext);
}

static void
digits(struct source *s, bool hex)
{
	int c;
	while ((c = peekc(s)) >= 0 && (c == '_' || (hex ? isxdigit(c) : isdigit(c)))) {
		take(c);
		s->pos++;
	}
}

static int
number(struct source *s, int first)
{
	int c;
	if (first == '0' && (c = peekc(s)) >= 0 && strchr("xXbBoO", c)) {
		take(getch(s));
		digits(s, true);
		return T_INT;
	}
	int kind = T_INT;
	if (first != '.') {
		digits(s, false);
		if (peekc(s) == '.') {
			take(getch(s));
			kind = T_FLOAT;
		}
	} else {
		kind = T_FLOAT;
	}
	if (kind == T_FLOAT)
		digits(s, false);
	if ((c = peekc(s)) == 'e' || c == 'E') {
		kind = T_FLOAT;
		take(getch(s));
		if ((c = peekc(s)) == '+' || c == '-')
			take(getch(s));
		digits(s, false);
	}
	return kind;
}

static void
quoted(struct source *s, int quote)
{
	for (;;) {
		int c = getch(s);
		if (c < 0 || c == '\n')
			fatal("%s literal not terminated", quote == '"' ? "string" : "char");
		take(c);
		if (c == quote)
			return;
		if (c == '\\') {
			c = getch(s);
			if (c < 0 || c == '\n')
				fatal(
				    "%s literal not terminated", quote == '"' ? "string" : "char");
			take(c);
		}
	}
}

// line_comment skips to the end of the line, which stays. True for //go:build.
static bool
line_comment(struct source *s)
{
	static const char build[] = "go:build";
	size_t n = 0;
	bool match = true;
	int c;
	for (; (c = peekc(s)) >= 0 && c != '\n'; s->pos++) {
		if (n < sizeof build - 1)
			match &= c == build[n];
		else if (n == sizeof build - 1)
			match &= c == ' ' || c == '\t';
		n++;
	}
	return match && n >= sizeof build - 1;
}

static void
block_comment(struct source *s)
{
	for (int c, last = 0;; last = c) {
		c = getch(s);
		if (c < 0)
			fatal("comment not terminated");
		if (c == '\n')
			A.lineno = ++s->line;
		if (last == '*' && c == '/')
			return;
	}
}

// A token's text lives as long as the line (cpp_line_done).
static struct tok
finish(struct source *s, int kind)
{
	struct tok t = {
	    arena_text(&A.line, text, ntext), (uint32_t)ntext, (uint16_t)kind, s->space};
	s->space = false;
	return t;
}

// A token of up to two characters needs no memory.
static struct tok
punctuation(struct source *s, int kind, const char *t)
{
	struct tok tok = {t, t[0] ? t[1] ? 2 : 1 : 0, (uint16_t)kind, s->space};
	s->space = false;
	return tok;
}

static const char *
onechar(int c)
{
	static char one[256][2];
	one[c][0] = (char)c;
	return one[c];
}

struct tok
lex_next(void)
{
	struct source *s = A.src;
	if (s->istokens) {
		if (s->itok < s->ntoks)
			return s->toks[s->itok++];
		return (struct tok){"", 0, T_EOF, false};
	}
	for (;;) {
		int c = getch(s);
		ntext = 0;
		switch (c) {
		case -1:
			return punctuation(s, T_EOF, "");
		case ' ':
		case '\t':
		case '\r':
			s->space = true;
			continue;
		case '\n': {
			struct tok t = punctuation(s, '\n', "\n");
			s->line++; // error messages say where the line was that ends here
			return t;
		}
		case '/':
			if (peekc(s) == '/') {
				s->pos++;
				s->space = true;
				if (line_comment(s)) {
					A.lineno = s->line;
					return punctuation(s, T_BUILD, "//");
				}
				continue;
			}
			if (peekc(s) == '*') {
				s->pos++;
				s->space = true;
				block_comment(s);
				continue;
			}
			break;
		case 0:
			fatal("invalid character NUL");
		}
		A.lineno = s->line;
		if (isdigit(c) || (c == '.' && peekc(s) >= 0 && isdigit(peekc(s)))) {
			take(c);
			int kind = number(s, c);
			return finish(s, kind);
		}
		if (isname(c)) {
			take(c);
			struct name *n = identifier(s);
			struct tok t = {n->text, n->len, T_NAME, s->space};
			s->space = false;
			return t;
		}
		if (c == '"' || c == '\'') {
			take(c);
			quoted(s, c);
			return finish(s, c == '"' ? T_STRING : T_CHAR);
		}
		int d = peekc(s);
		if (c == '<' && d == '<')
			return s->pos++, punctuation(s, T_LSH, "<<");
		if (c == '>' && d == '>')
			return s->pos++, punctuation(s, T_RSH, ">>");
		if (c == '-' && d == '>')
			return s->pos++, punctuation(s, T_ARR, "->");
		if (c == '@' && d == '>')
			return s->pos++, punctuation(s, T_ROT, "@>");
		return punctuation(s, c, onechar(c));
	}
}

static int
hexvalue(int c)
{
	return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

static size_t
utf8(char *o, uint32_t r)
{
	if (r < 0x80)
		return o[0] = (char)r, 1;
	if (r < 0x800) {
		o[0] = (char)(0xc0 | r >> 6);
		o[1] = (char)(0x80 | (r & 63));
		return 2;
	}
	if (r < 0x10000) {
		o[0] = (char)(0xe0 | r >> 12);
		o[1] = (char)(0x80 | (r >> 6 & 63));
		o[2] = (char)(0x80 | (r & 63));
		return 3;
	}
	o[0] = (char)(0xf0 | r >> 18);
	o[1] = (char)(0x80 | (r >> 12 & 63));
	o[2] = (char)(0x80 | (r >> 6 & 63));
	o[3] = (char)(0x80 | (r & 63));
	return 4;
}

// lex_string gives the bytes of a quoted token, with Go's escapes. False: not a valid literal.
bool
lex_string(const struct tok *t, struct arena *a, char **out, size_t *nout)
{
	const char *s = t->text + 1, *end = t->text + t->len - 1;
	int quote = t->text[0];
	char *o = arena_alloc(a, t->len + 4); // no escape is longer than what it stands for
	size_t n = 0;
	while (s < end) {
		if (*s != '\\') {
			o[n++] = *s++;
			continue;
		}
		static const char simple[] = "abfnrtv\\", value[] = "\a\b\f\n\r\t\v\\";
		int c = *++s;
		const char *k = c ? strchr(simple, c) : NULL;
		s++;
		if (k) {
			o[n++] = value[k - simple];
		} else if (c == quote) {
			o[n++] = (char)c;
		} else if (c == 'x' || c == 'u' || c == 'U') {
			int len = c == 'x' ? 2 : c == 'u' ? 4 : 8;
			uint32_t r = 0;
			for (int i = 0; i < len; i++, s++) {
				if (s >= end || hexvalue((unsigned char)*s) < 0)
					return false;
				r = r << 4 | (uint32_t)hexvalue((unsigned char)*s);
			}
			if (c == 'x')
				o[n++] = (char)r;
			else if (r > 0x10ffff || (r >= 0xd800 && r < 0xe000))
				return false;
			else
				n += utf8(o + n, r);
		} else if (c >= '0' && c <= '7') {
			int r = c - '0';
			for (int i = 0; i < 2; i++, s++) {
				if (s >= end || *s < '0' || *s > '7')
					return false;
				r = r * 8 + *s - '0';
			}
			if (r > 255)
				return false;
			o[n++] = (char)r;
		} else {
			return false;
		}
	}
	*out = o;
	*nout = n;
	return true;
}
