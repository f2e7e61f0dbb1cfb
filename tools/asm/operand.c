// SPDX-License-Identifier: BSD-3-Clause
// operand.c: operands and constant expressions.
//
//	operand  = [ '$' | '*' ] symbol [ '<>' | '<ABI>' ] [ offset ] '(' pseudo ')' { index }
//	         | register | '[' register '-' register ']'
//	         | [ '$' | '*' ] [ expr ] [ '(' register [ '*' scale ] ')' [ index ] ]
//	index    = '(' register '*' scale ')'
//
// Expressions are unsigned 64-bit arithmetic with Go's precedence: * / % << >> & before + - | ^.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "asm.h"

static const struct tok *in;
static int nin, pos, depth;
static const struct tok eof = {"EOF", 3, T_EOF, false};

static struct tok
next(void)
{
	return pos < nin ? in[pos++] : (pos++, eof);
}

static int
peek(void)
{
	return pos < nin ? in[pos].kind : T_EOF;
}

static bool
have(int kind)
{
	for (int i = pos; i < nin; i++)
		if (in[i].kind == kind)
			return true;
	return false;
}

static const char *
what(int kind)
{
	static char c[2];
	switch (kind) {
	case T_NAME:
		return "identifier";
	case T_EOF:
		return "end of operand";
	}
	c[0] = (char)kind;
	return c;
}

static struct tok
get(int kind)
{
	struct tok t = next();
	if (t.kind != kind)
		error("expected %s, found %s", what(kind), t.text);
	return t;
}

bool
tok_is(const struct tok *t, const char *s)
{
	return strcmp(t->text, s) == 0;
}

// integer reads a literal: decimal, 0x, 0b, 0o or 0 octal, with _ between digits.
static bool
integer(const struct tok *t, uint64_t *out)
{
	const char *s = t->text;
	unsigned base = 10;
	uint64_t v = 0;
	if (s[0] == '0' && s[1]) {
		int c = s[1] | 0x20;
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s += base != 8 || c == 'o' ? 2 : 1;
		if (!*s)
			return error("strconv.ParseUint: parsing \"%s\": invalid syntax", t->text),
			       false;
	}
	for (; *s; s++) {
		if (*s == '_')
			continue;
		unsigned d = *s <= '9' ? (unsigned)*s - '0' : ((unsigned)*s | 0x20) - 'a' + 10;
		if (d >= base)
			return error("strconv.ParseUint: parsing \"%s\": invalid syntax", t->text),
			       false;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return error("strconv.ParseUint: parsing \"%s\": value out of range",
				   t->text),
			       false;
	}
	*out = v;
	return true;
}

bool
parse_positive(const struct tok *t, int64_t *v)
{
	uint64_t u = 0;
	if (!integer(t, &u))
		return false;
	if (u > INT64_MAX)
		return error("%s overflows int64", t->text), false;
	*v = (int64_t)u;
	return true;
}

static uint64_t
character(const struct tok *t)
{
	char *s;
	size_t n;
	if (!lex_string(t, &A.line, &s, &n) || n == 0)
		return error("illegal character constant %s", t->text), 0;
	const uint8_t *u = (const uint8_t *)s;
	size_t len = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (t->text[1] == '\\' && n == 1)
		return u[0];
	if (n != len || (u[0] >= 0x80 && u[0] < 0xc0))
		return error("illegal UTF-8 encoding for character constant"), 0;
	uint32_t r = len == 1 ? u[0] : u[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		r = r << 6 | (u[i] & 63);
	return r;
}

static uint64_t expr(void);

static bool
toodeep(void)
{
	if (depth < 1000)
		return false;
	error("expression nested too deep");
	pos = nin;
	return true;
}

static uint64_t
factor(void)
{
	struct tok t = next();
	uint64_t v = 0;
	if (toodeep())
		return 0;
	depth++;
	switch (t.kind) {
	case T_INT:
		integer(&t, &v);
		break;
	case T_CHAR:
		v = character(&t);
		break;
	case '+':
		v = factor();
		break;
	case '-':
		v = -factor();
		break;
	case '~':
		v = ~factor();
		break;
	case '(':
		v = expr();
		if (next().kind != ')')
			error("missing closing paren");
		break;
	default:
		error("unexpected %s evaluating expression", t.text);
	}
	depth--;
	return v;
}

static uint64_t
term(void)
{
	uint64_t v = factor(), d;
	if (toodeep())
		return 0;
	for (;;) {
		switch (peek()) {
		case '*':
			next();
			v *= factor();
			continue;
		case '/':
			next();
			if ((int64_t)v < 0)
				error("divide of value with high bit set");
			d = factor();
			if (d == 0)
				error("division by zero");
			else
				v /= d;
			continue;
		case '%':
			next();
			d = factor();
			if ((int64_t)v < 0)
				error("modulo of value with high bit set");
			if (d == 0)
				error("modulo by zero");
			else
				v %= d;
			continue;
		case T_LSH:
			next();
			d = factor();
			if ((int64_t)d < 0)
				error("negative left shift count");
			return d > 63 ? 0 : v << d;
		case T_RSH:
			next();
			depth++;
			d = term();
			depth--;
			if ((int64_t)d < 0)
				error("negative right shift count");
			if ((int64_t)v < 0)
				error("right shift of value with high bit set");
			v = d > 63 ? 0 : v >> d;
			continue;
		case '&':
			next();
			v &= factor();
			continue;
		}
		return v;
	}
}

static uint64_t
expr(void)
{
	uint64_t v = term();
	for (;;) {
		switch (peek()) {
		case '+':
			next();
			v += term();
			continue;
		case '-':
			next();
			v -= term();
			continue;
		case '|':
			next();
			v |= term();
			continue;
		case '^':
			next();
			v ^= term();
			continue;
		}
		return v;
	}
}

static double
floatexpr(void)
{
	double sign = 1;
	for (;;) {
		struct tok t = next();
		switch (t.kind) {
		case '+':
			continue;
		case '-':
			sign = -sign;
			continue;
		case '(': {
			if (toodeep())
				return 0;
			depth++;
			double v = floatexpr();
			depth--;
			if (next().kind != ')')
				error("missing closing paren");
			return sign * v;
		}
		case T_FLOAT:
		case T_INT: {
			char *end;
			errno = 0;
			double v = strtod(t.text, &end);
			if (*end || t.text[0] == '_')
				error("strconv.ParseFloat: parsing \"%s\": invalid syntax", t.text);
			else if (errno == ERANGE && (v > 1 || v < -1))
				error("strconv.ParseFloat: parsing \"%s\": value out of range",
				    t.text);
			return sign * v;
		}
		}
		error("unexpected %s evaluating float expression", t.text);
		return 0;
	}
}

static void
setpseudo(struct operand *a, const char *reg, bool isstatic, int prefix)
{
	if (strcmp(reg, "FP") == 0) {
		a->name = N_PARAM;
	} else if (strcmp(reg, "PC") == 0) {
		if (prefix)
			error("illegal addressing mode for PC");
		a->type = O_BRANCH;
	} else if (strcmp(reg, "SB") == 0) {
		a->name = isstatic ? N_STATIC : N_EXTERN;
	} else if (strcmp(reg, "SP") == 0) {
		a->name = N_AUTO;
	} else {
		error("expected pseudo-register; found %s", reg);
	}
	if (prefix == '$')
		a->type = O_ADDR;
}

// inpackage gives a name that begins with a dot to the package: ·f is main·f with -p main.
static struct name *
inpackage(struct name *n)
{
	if (n->text[0] != '.' || !A.opt.package)
		return n;
	char full[1024];
	int len = snprintf(full, sizeof full, "%s%s", A.opt.package, n->text);
	if ((size_t)len >= sizeof full)
		return error("name too long: %.40s...", n->text), n;
	return intern(full, (size_t)len);
}

static void
symbol(struct operand *a, struct name *n, int prefix, bool isjump)
{
	int abi = ABI0;
	a->type = prefix == '$' ? O_ADDR : prefix == '*' ? O_INDIR : O_MEM;
	if (peek() == '<') {
		next();
		if (peek() == '>') {
			abi = STATIC;
		} else if (peek() == T_NAME) {
			struct tok t = next();
			if (tok_is(&t, "ABIInternal"))
				abi = ABIINTERNAL;
			else if (!tok_is(&t, "ABI0"))
				error("malformed ABI selector \"%s\" in reference to \"%s\"",
				    t.text, n->text);
		}
		get('>');
	}
	if (peek() == '+' || peek() == '-')
		a->off = (int64_t)expr();
	a->label = n;
	if (peek() == T_EOF) {
		if (prefix == 0 && isjump && abi == ABI0) {
			a->plain = true;
			return;
		}
		error("illegal or missing addressing mode for symbol %s", n->text);
		return;
	}
	get('(');
	struct tok reg = get(T_NAME);
	get(')');
	if (tok_is(&reg, "SB"))
		a->sym = sym_lookup(inpackage(n), abi);
	setpseudo(a, reg.text, abi == STATIC, prefix);
}

static int
scale(void)
{
	struct tok t = next();
	if (t.len == 1 && strchr("1248", t.text[0]))
		return t.text[0] - '0';
	error("bad scale: %s", t.text);
	return 0;
}

// inparens reads reg[*scale]: behind the ( up to behind the ).
static int
inparens(int *times, const char **name)
{
	struct tok t = next();
	int r = t.kind == T_NAME ? tok_name(&t)->reg : 0;
	*times = 0;
	*name = t.text;
	if (!r) {
		error("indirect through non-register %s", t.text);
		return 0;
	}
	int c = peek();
	if (c == ',')
		error("(register,register) not supported on this architecture");
	else if (c == '+')
		error("(register+register) not supported on this architecture");
	if (c == '*') {
		next();
		*times = scale();
	}
	get(')');
	return r;
}

static void
indirect(struct operand *a, int prefix)
{
	int times;
	const char *name;
	get('(');
	int r = inparens(&times, &name);
	if (!r)
		return;
	a->type = O_MEM;
	if (r >= REG_PSEUDO) {
		if (times)
			error("invalid instruction: pseudo-register used as index");
		if (strcmp(name, "PC") != 0 && a->name == N_NONE)
			error("cannot reference %s without a symbol", name);
		setpseudo(a, name, false, prefix);
		return;
	}
	a->reg = (uint8_t)r;
	if (prefix == '$')
		a->type = O_ADDR;
	if (times) {
		a->index = a->reg;
		a->scale = (uint8_t)times;
		a->reg = 0;
		return;
	}
	if (peek() == '(') {
		next();
		r = inparens(&times, &name);
		if (r >= REG_PSEUDO) {
			error("invalid instruction: pseudo-register used as index");
			return;
		}
		a->index = (uint8_t)r;
		a->scale = (uint8_t)times;
	}
}

static void
expectend(void)
{
	if (peek() != T_EOF)
		error("expected end of operand, found %s", in[pos].text);
}

static void
list(struct operand *a)
{
	struct tok low = next();
	if (low.kind == T_EOF)
		error("register list: expected ']', found EOF");
	if (low.kind != T_NAME || !tok_name(&low)->reg || tok_name(&low)->reg >= REG_PSEUDO) {
		error("register list: bad low register in `[%s`", low.text);
		return;
	}
	struct tok t = next();
	if (t.kind != '-')
		error("register list: expected '-' after `[%s`, found %s", low.text, t.text);
	struct tok high = next();
	if (high.kind != T_NAME || !tok_name(&high)->reg || tok_name(&high)->reg >= REG_PSEUDO) {
		error("register list: bad high register in `[%s-%s`", low.text, high.text);
		return;
	}
	t = next();
	if (t.kind != ']')
		error("register list: expected ']' after `[%s-%s`, found %s", low.text, high.text,
		    t.text);
	a->type = O_LIST;
	a->reg = tok_name(&low)->reg;
	a->last = tok_name(&high)->reg;
}

// constant reads what begins with a constant. True: nothing else belongs to the operand.
static bool
constant(struct operand *a, int prefix)
{
	if (have(T_FLOAT)) {
		if (prefix != '$')
			error("floating-point constant must be an immediate");
		a->type = O_FLOAT;
		a->f = floatexpr();
		expectend();
		return true;
	}
	if (have(T_STRING)) {
		struct tok t = next();
		char *s;
		size_t n;
		if (prefix != '$') {
			error("string constant must be an immediate");
			return true;
		}
		if (t.kind != T_STRING) {
			error("expected string, found %s", t.text);
			return true;
		}
		if (!lex_string(&t, &A.line, &s, &n)) {
			error("string parse error: invalid syntax");
			return true;
		}
		a->type = O_STRING;
		a->str = arena_alloc(&A.line, sizeof *a->str + n + 1);
		a->str->n = n;
		memcpy(a->str->s, s, n);
		expectend();
		return true;
	}
	a->off = (int64_t)expr();
	if (peek() == '(')
		return false;
	a->type = prefix == '$' ? O_CONST : prefix == '*' ? O_INDIR : O_MEM;
	expectend();
	return true;
}

struct operand
parse_operand(const struct tok *tokens, int n, bool isjump)
{
	struct operand a = {0};
	int prefix = 0;
	in = tokens;
	nin = n;
	pos = depth = 0;
	if (peek() == '$' || peek() == '*')
		prefix = next().kind;
	struct tok t = next();
	int r = t.kind == T_NAME ? tok_name(&t)->reg : 0;
	if (r) {
		if (prefix && prefix != '*')
			error("prefix %c not allowed for register: %c%s", prefix, prefix, t.text);
		a.type = O_REG;
		a.reg = (uint8_t)r;
		expectend();
		return a;
	}
	switch (t.kind) {
	case T_NAME:
		symbol(&a, tok_name(&t), prefix, isjump);
		if (peek() == T_EOF)
			return a;
		break;
	case '[':
		if (prefix)
			error("illegal use of register list");
		list(&a);
		expectend();
		return a;
	case '(':
		pos--;
		if (pos + 1 >= nin) {
			error("missing right parenthesis");
			return a;
		}
		if (in[pos + 1].kind == T_NAME && tok_name(&in[pos + 1])->reg)
			break;
		if (constant(&a, prefix))
			return a;
		break;
	case T_INT:
	case T_FLOAT:
	case T_STRING:
	case T_CHAR:
	case '+':
	case '-':
	case '~':
		pos--;
		if (constant(&a, prefix))
			return a;
	}
	indirect(&a, prefix);
	expectend();
	return a;
}
