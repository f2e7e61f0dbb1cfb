// SPDX-License-Identifier: BSD-3-Clause
// mkoptab.c: makes optab.h, the assembler's table of instructions, of amd64/*.tbl.
//
// usage: mkoptab amd64/*.tbl > optab.h
//        mkoptab -examples amd64/*.tbl > forms.s     one instruction a form, for tests/asm.sh
//
// The format of the tables is described at the head of amd64/base.tbl. Everything that can be
// checked is checked here, with file and line, so that the assembler can trust the table.
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAXOPS = 6, MAXFORMS = 8000, MAXNAMES = 4000, MAXCLASSES = 120 };

struct form {
	int nops, cls[MAXOPS];
	char role[MAXOPS + 1];
	const char *enc; // the enumerator
	int pre[4], npre, code[4], ncode, near[4], nnear;
	int w, digit, map, pp, len, disp, bcst, flags;
};

struct mnemonic {
	char name[24], alias[24];
	int first, n;
	const char *file;
	int line;
};

static struct form forms[MAXFORMS];
static struct mnemonic names[MAXNAMES];
static char *classes[MAXCLASSES];
static int nforms, nnames, nclasses;
static const char *file;
static int line;

static _Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void
die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(1);
}

// The atoms are what the assembler sees in an operand; a class of the table is a set of them.
// Keep in step with enum atom in asm.h.
static const struct {
	const char *name, *atoms;
} sets[] = {
    {"0", "I0"},
    {"1", "I1"},
    {"u2", "I0 I1 IU2"},
    {"u7", "I0 I1 IU2 IU7"},
    {"u8", "I0 I1 IU2 IU7 IU8"},
    {"i8", "I0 I1 IU2 IU7 IS8"},
    {"ib", "I0 I1 IU2 IU7 IU8 IS8"},
    {"s32", "I0 I1 IU2 IU7 IU8 IS8 IS32"},
    {"i32", "I0 I1 IU2 IU7 IU8 IS8 IS32 IU32"},
    {"i64", "I0 I1 IU2 IU7 IU8 IS8 IS32 IU32 I64"},
    {"al", "AL"},
    {"cl", "CL"},
    {"ax", "AX"},
    {"cx", "CL CX"},
    {"rx", "AX CX RX"},
    {"r8", "AL CL RB AX CX RX RL"},
    {"r", "AX CX RX RL"},
    {"m", "M"},
    {"r8/m", "AL CL RB AX CX RX RL M"},
    {"r/m", "AX CX RX RL M"},
    {"f0", "F0"},
    {"f", "F0 F"},
    {"mm", "MM"},
    {"mm/m", "AX CX RX RL MM M"},
    {"x0", "X0"},
    {"x", "X0 X"},
    {"x/m", "X0 X M"},
    {"X", "X0 X XH"},
    {"X/m", "X0 X XH M"},
    {"y", "Y"},
    {"y/m", "Y M"},
    {"Y", "Y YH"},
    {"Y/m", "Y YH M"},
    {"Z", "Z"},
    {"Z/m", "Z M"},
    {"k", "K0 K"},
    {"k1", "K"},
    {"{k}", "K"},
    {"k/m", "K0 K M"},
    {"vx", "VX"},
    {"VX", "VX VXH"},
    {"vy", "VY"},
    {"VY", "VY VYH"},
    {"VZ", "VZ"},
    {"[X4]", "X4"},
    {"[Y4]", "Y4"},
    {"[Z4]", "Z4"},
    {"cs", "CS"},
    {"ss", "SS"},
    {"ds", "DS"},
    {"es", "ES"},
    {"fs", "FS"},
    {"gs", "GS"},
    {"gdtr", "GDTR"},
    {"idtr", "IDTR"},
    {"ldtr", "LDTR"},
    {"msw", "MSW"},
    {"task", "TASK"},
    {"cr", "CR"},
    {"dr0", "DR0"},
    {"dr2", "DR2"},
    {"dr3", "DR3"},
    {"dr6", "DR6"},
    {"dr7", "DR7"},
    {"tr6", "TR6"},
    {"tr7", "TR7"},
    {"addr", "ADDR"},
    {"rel", "REL"},
    {"indir", "INDIR"},
};

static const char *
atomsof(const char *name)
{
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
		if (strcmp(sets[i].name, name) == 0)
			return sets[i].atoms;
	return NULL;
}

// class_index returns the number of a class, a|b|c: text of the table is its identity.
static int
class_index(const char *text)
{
	for (int i = 0; i < nclasses; i++)
		if (strcmp(classes[i], text) == 0)
			return i;
	char *copy = strdup(text), *save = NULL;
	for (char *p = strtok_r(copy, "|", &save); p; p = strtok_r(NULL, "|", &save))
		if (!atomsof(p))
			die("unknown operand class %s", p);
	free(copy);
	if (nclasses == MAXCLASSES)
		die("too many operand classes");
	classes[nclasses] = strdup(text);
	return nclasses++;
}

static int
hexbyte(const char *s)
{
	if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) || s[2])
		die("not a byte in hexadecimal: %s", s);
	return (int)strtol(s, NULL, 16);
}

// vector reads VEX.256.66.0F38.W1 into f.
static void
vector(struct form *f, char *text)
{
	char *save = NULL;
	bool havemap = false;
	f->enc = text[0] == 'E' ? "EVEX" : "VEX";
	for (char *p = strtok_r(strchr(text, '.') + 1, ".", &save); p;
	     p = strtok_r(NULL, ".", &save)) {
		if (strcmp(p, "128") == 0 || strcmp(p, "256") == 0 || strcmp(p, "512") == 0)
			f->len = p[0] == '1' ? 0 : p[0] == '2' ? 1 : 2;
		else if (strcmp(p, "66") == 0 || strcmp(p, "F3") == 0 || strcmp(p, "F2") == 0)
			f->pp = p[0] == '6' ? 1 : p[1] == '3' ? 2 : 3;
		else if (strcmp(p, "0F") == 0 || strcmp(p, "0F38") == 0 || strcmp(p, "0F3A") == 0)
			f->map = !p[2] ? 1 : p[3] == '8' ? 2 : 3, havemap = true;
		else if (strcmp(p, "W0") == 0 || strcmp(p, "W1") == 0)
			f->w = p[1] == '1';
		else
			die("unknown part of an encoding: %s", p);
	}
	if (!havemap)
		die("encoding without a map");
}

static bool
isprefix(int byte)
{
	static const int prefixes[] = {0xf2, 0xf3, 0x64, 0x65, 0x66, 0x67, 0x2e, 0x3e, 0x26};
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (byte == prefixes[i])
			return true;
	return false;
}

static void
encoding(struct form *f, char *text)
{
	f->enc = "LEGACY";
	f->digit = -1;
	if (strcmp(text, "-") == 0) {
		f->enc = "LEGACY";
		return;
	}
	if (strcmp(text, "not64") == 0) {
		f->enc = "NOT64";
		return;
	}
	char *save = NULL;
	bool near = false;
	for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		if (strncmp(p, "VEX.", 4) == 0 || strncmp(p, "EVEX.", 5) == 0) {
			vector(f, p);
		} else if (strcmp(p, "REX.W") == 0) {
			f->w = 1;
		} else if (strcmp(p, "|") == 0) {
			near = true;
		} else if (p[0] == '/') {
			if (p[1] < '0' || p[1] > '7' || p[2])
				die("bad digit: %s", p);
			f->digit = p[1] - '0';
		} else {
			int b = hexbyte(p);
			int *n = near                                               ? &f->nnear
			    : f->enc[0] == 'L' && isprefix(b) && !f->ncode && !f->w ? &f->npre
										    : &f->ncode;
			if (*n == 4)
				die("opcode too long");
			(near ? f->near : n == &f->npre ? f->pre : f->code)[(*n)++] = b;
		}
	}
}

static void
properties(struct form *f, char *text)
{
	char *save = NULL;
	for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		if (p[0] == 'n' && isdigit((unsigned char)p[1])) {
			int n = atoi(p + 1);
			while (1 << f->disp < n)
				f->disp++;
			if (1 << f->disp != n)
				die("not a power of two: %s", p);
		} else if (strcmp(p, "b4") == 0 || strcmp(p, "b8") == 0) {
			f->bcst = p[1] - '0';
		} else if (strcmp(p, "z") == 0) {
			f->flags |= 1;
		} else if (strcmp(p, "er") == 0) {
			f->flags |= 2;
		} else if (strcmp(p, "sae") == 0) {
			f->flags |= 4;
		} else if (strcmp(p, "distinct") == 0) {
			f->flags |= 8;
		} else {
			die("unknown property: %s", p);
		}
	}
}

static void
check(const struct form *f)
{
	bool m = strchr(f->role, 'm') || strchr(f->role, '*');
	bool r = strchr(f->role, 'r') || strchr(f->role, '*');
	if (strspn(f->role, "mrvk*obwdqsjcp.") != strlen(f->role))
		die("unknown role in %s", f->role);
	if ((int)strlen(f->role) != f->nops)
		die("%d operands and %zu roles", f->nops, strlen(f->role));
	if (r && f->digit >= 0)
		die("both a register and a digit in ModRM.reg");
	if (m && !r && f->digit < 0)
		die("ModRM.reg is neither a register nor a digit");
	if (!m && (r || f->digit >= 0))
		die("no operand for ModRM.rm");
	if (f->enc[0] == 'L' &&
	    (strchr(f->role, 'v') || strchr(f->role, 'k') || strchr(f->role, 's')))
		die("a role for VEX in %s", f->role);
	if (f->enc[0] != 'E' && f->flags & 7)
		die("a property for EVEX");
	if ((f->enc[0] == 'V' || f->enc[0] == 'E') && f->ncode != 1)
		die("an opcode of %d bytes", f->ncode);
}

static void
addform(const struct form *f)
{
	check(f);
	if (nforms == MAXFORMS)
		die("too many forms");
	forms[nforms++] = *f;
	names[nnames - 1].n++;
}

// operands reads the classes; a form with {k} is two forms, the one without a mask first.
static void
operands(struct form *f, char *text, const char *roles)
{
	int mask = -1;
	if (strcmp(text, "-") != 0) {
		char *save = NULL;
		for (char *p = strtok_r(text, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
			if (f->nops == MAXOPS)
				die("too many operands");
			if (strcmp(p, "{k}") == 0)
				mask = f->nops;
			f->cls[f->nops++] = class_index(p);
		}
	}
	if (strcmp(roles, "-") == 0)
		roles = "";
	if ((int)strlen(roles) != f->nops)
		die("%d operands and roles %s", f->nops, roles);
	strcpy(f->role, roles);
	if (mask >= 0) {
		struct form g = *f;
		g.nops--;
		for (int i = mask; i < g.nops; i++)
			g.cls[i] = g.cls[i + 1];
		memmove(g.role + mask, g.role + mask + 1, strlen(g.role + mask));
		addform(&g);
	}
	addform(f);
}

static void
setname(char *to, const char *text)
{
	if (strlen(text) >= sizeof names[0].name ||
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(text))
		die("not a mnemonic: %s", text);
	strcpy(to, text);
}

static void
newname(const char *text)
{
	if (nnames == MAXNAMES)
		die("too many mnemonics");
	struct mnemonic *m = &names[nnames++];
	setname(m->name, text);
	m->first = nforms;
	m->file = file;
	m->line = line;
}

// row reads one line of a table. Fields are two or more blanks apart.
static void
row(char *text)
{
	char *semi = strchr(text, ';'), *field[4], *p = text;
	if (semi)
		*semi = 0;
	if (!isspace((unsigned char)*p)) {
		char *end = p + strcspn(p, " \t");
		bool more = *end;
		*end = 0;
		newname(p);
		p = more ? end + 1 : end;
		p += strspn(p, " \t");
		if (*p == '=') {
			p += 1 + strspn(p + 1, " \t");
			setname(names[nnames - 1].alias, p);
			return;
		}
	} else if (nnames == 0) {
		die("a form without a mnemonic");
	}
	int n = 0;
	while (n < 3 && *(p += strspn(p, " \t"))) {
		field[n++] = p;
		char *end = n == 3 ? p + strlen(p) : strstr(p, "  ");
		if (n == 2)
			end = p + strcspn(p, " \t");
		if (!end)
			die("fields must be two blanks apart");
		p = *end ? end + 1 : end;
		*end = 0;
	}
	if (n == 0)
		return; // a mnemonic that makes no code
	if (n != 3)
		die("operands, roles and encoding expected");
	for (char *e = field[2] + strlen(field[2]); e > field[2] && isspace((unsigned char)e[-1]);)
		*--e = 0;
	struct form f = {0};
	encoding(&f, field[2]);
	if (semi)
		properties(&f, semi + 1);
	operands(&f, field[0], field[1]);
}

static void
read_table(const char *name)
{
	FILE *in = fopen(name, "r");
	char text[256];
	file = name;
	line = 0;
	if (!in)
		die("cannot be opened");
	while (fgets(text, sizeof text, in)) {
		line++;
		text[strcspn(text, "\n")] = 0;
		if (text[0] && text[0] != '#')
			row(text);
	}
	fclose(in);
}

static int
byname(const void *a, const void *b)
{
	return strcmp(((const struct mnemonic *)a)->name, ((const struct mnemonic *)b)->name);
}

static const struct mnemonic *
find(const char *name)
{
	for (int i = 0; i < nnames; i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

static void
bytes(const int *v, int n)
{
	printf("{");
	for (int i = 0; i < n; i++)
		printf("%s0x%02x", i ? ", " : "", (unsigned)v[i]);
	printf("}, %d, ", n);
}

// ---- -examples ----
// example writes an operand of class number k, at position i of a form.
static void
example(const char *class, int i, bool memory)
{
	static const char *const general[] = {"DX", "R9", "SI", "R14", "BP", "R12"};
	static const char *const bytes8[] = {"BL", "R10B", "SIB", "R15B", "DL", "AH"};
	static const struct {
		const char *class, *text;
	} fixed[] = {{"0", "$0"}, {"1", "$1"}, {"u2", "$3"}, {"u7", "$100"}, {"u8", "$200"},
	    {"i8", "$-7"}, {"ib", "$-7"}, {"s32", "$-70000"}, {"i32", "$305419896"},
	    {"i64", "$0x123456789abcdef0"}, {"al", "AL"}, {"cl", "CL"}, {"ax", "AX"}, {"cx", "CX"},
	    {"rx", "BX"}, {"f0", "F0"}, {"x0", "X0"}, {"vx", "8(R10)(X4*8)"},
	    {"VX", "8(R10)(X20*8)"}, {"vy", "(R10)(Y4*2)"}, {"VY", "(R10)(Y20*2)"},
	    {"VZ", "256(DI)(Z20*4)"}, {"[X4]", "[X4-X7]"}, {"[Y4]", "[Y4-Y7]"}, {"[Z4]", "[Z4-Z7]"},
	    {"cs", "CS"}, {"ss", "SS"}, {"ds", "DS"}, {"es", "ES"}, {"fs", "FS"}, {"gs", "GS"},
	    {"gdtr", "GDTR"}, {"idtr", "IDTR"}, {"ldtr", "LDTR"}, {"msw", "MSW"}, {"task", "TASK"},
	    {"cr", "CR8"}, {"dr0", "DR0"}, {"tr6", "TR6"}, {"addr", "$sym+8(SB)"}};
	size_t bar = strcspn(class, "|"), slash = strcspn(class, "/");
	char first[16];
	snprintf(first, sizeof first, "%.*s", (int)(bar < slash ? bar : slash), class);
	for (size_t k = 0; k < sizeof fixed / sizeof fixed[0]; k++) {
		if (strcmp(fixed[k].class, first) == 0) {
			printf("%s", fixed[k].text);
			return;
		}
	}
	if (strcmp(first, "m") == 0 || (memory && class[slash]))
		printf("%s", i % 2 ? "640(R13)(CX*8)" : "64(DI)");
	else if (strcmp(first, "r") == 0)
		printf("%s", general[i]);
	else if (strcmp(first, "r8") == 0)
		printf("%s", bytes8[i]);
	else if (strcmp(first, "f") == 0 || strcmp(first, "mm") == 0)
		printf("%c%d", first[0] == 'f' ? 'F' : 'M', i + 2);
	else if (first[0] == 'k' || first[0] == '{')
		printf("K%d", i + 1);
	else if (strchr("xyz", first[0]))
		printf("%c%d", toupper(first[0]), (4 * i + 1) % 16);
	else
		printf("%s%d", first, 7 * i + 3);
}

static void
examples_of(const char *name, const struct form *f, const char *suffix, bool memory)
{
	printf("\t%s%s", name, suffix);
	for (int i = 0; i < f->nops; i++) {
		printf("%s", i ? ", " : " ");
		example(classes[f->cls[i]], i, memory);
	}
	printf("\n");
}

static void
examples(void)
{
	printf("// Made by mkoptab -examples: one instruction for each form of the tables, more "
	       "for those\n"
	       "// that take memory or suffixes.\n");
	for (int i = 0; i < nnames; i++) {
		if (i == 0 || names[i].name[0] != names[i - 1].name[0] ||
		    strncmp(names[i].name, "RET", 3) == 0 ||
		    strncmp(names[i - 1].name, "RET", 3) == 0)
			printf("TEXT forms_%s(SB), 4, $0\n", names[i].name);
		for (int k = 0; k < names[i].n && !names[i].alias[0]; k++) {
			const struct form *f = &forms[names[i].first + k];
			bool skip = f->enc[0] == 'N', either = false;
			for (int j = 0; j < f->nops; j++) {
				skip |= strchr("jcp", f->role[j]) != NULL;
				either |= strchr(classes[f->cls[j]], '/') != NULL;
			}
			if (skip)
				continue;
			examples_of(names[i].name, f, "", false);
			if (either)
				examples_of(names[i].name, f, "", true);
			if (f->flags & 1 && strchr(f->role, 'k'))
				examples_of(names[i].name, f, ".Z", false);
			if (f->flags & 2)
				examples_of(names[i].name, f, ".RD_SAE", false);
			if (f->flags & 4)
				examples_of(names[i].name, f, ".SAE", false);
			if (f->bcst)
				examples_of(names[i].name, f, ".BCST", true);
		}
	}
}

int
main(int argc, char **argv)
{
	bool show = argc > 1 && strcmp(argv[1], "-examples") == 0;
	for (int i = 1 + show; i < argc; i++)
		read_table(argv[i]);
	qsort(names, (size_t)nnames, sizeof names[0], byname);
	for (int i = 0; i < nnames; i++) {
		file = names[i].file;
		line = names[i].line;
		if (i > 0 && strcmp(names[i].name, names[i - 1].name) == 0)
			die("%s is there twice", names[i].name);
		const struct mnemonic *m = names[i].alias[0] ? find(names[i].alias) : NULL;
		if (names[i].alias[0] && (!m || m->alias[0]))
			die("%s is no mnemonic", names[i].alias);
		if (m) {
			names[i].first = m->first;
			names[i].n = m->n;
		}
	}
	if (show) {
		examples();
		return 0;
	}
	printf("// Made by mkoptab of amd64/*.tbl.\n");
	printf("#ifndef OPTAB_DATA\nenum {\n");
	for (int i = 0; i < nnames; i++)
		printf("\tOP_%s,\n", names[i].name);
	printf("\tNOPS\n};\n#else\n");
	printf("static const uint64_t classes[] = {\n");
	for (int i = 0; i < nclasses; i++) {
		char *save = NULL, *save2 = NULL;
		printf("\t0");
		for (char *p = strtok_r(classes[i], "|", &save); p;
		     p = strtok_r(NULL, "|", &save)) {
			char *list = strdup(atomsof(p));
			for (char *q = strtok_r(list, " ", &save2); q;
			     q = strtok_r(NULL, " ", &save2))
				printf(" | 1ull << A_%s", q);
			free(list);
		}
		printf(",\n");
	}
	printf("};\nstatic const struct form forms[] = {\n");
	for (int i = 0; i < nforms; i++) {
		const struct form *f = &forms[i];
		printf("\t{%d, ENC_%s, {", f->nops, f->enc);
		for (int k = 0; k < f->nops; k++)
			printf("%s%d", k ? ", " : "", f->cls[k]);
		printf("}, \"%s\", ", f->role);
		bytes(f->pre, f->npre);
		bytes(f->code, f->ncode);
		bytes(f->near, f->nnear);
		printf("%d, %d, %d, %d, %d, %d, %d, %d},\n", f->w, f->digit, f->map, f->pp, f->len,
		    f->disp, f->bcst, f->flags);
	}
	printf("};\nconst struct mnemonic mnemonics[NOPS] = {\n");
	for (int i = 0; i < nnames; i++) {
		const struct mnemonic *m = &names[i];
		const char *to = m->alias[0] ? m->alias : m->name;
		printf("\t{\"%s\", forms + %d, %d, OP_%s},\n", m->name, m->first, m->n, to);
	}
	printf("};\n#endif\n");
	return 0;
}
