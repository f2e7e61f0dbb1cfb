// SPDX-License-Identifier: BSD-3-Clause
// encode.c: one instruction to bytes, by the table.
//
// The operands are classified (atom), the mnemonic's forms are tried in order, and the roles of the
// form that fits say where each operand goes. One path serves every instruction; what the table
// cannot say is here: MOVQ of a constant picks the shortest of three forms, and branches wait for
// layout.c.
#include <string.h>

#include "asm.h"
#define OPTAB_DATA
#include "optab.h"

// ---- registers ----
static const char *const lowbytes[] = {"AL", "CL", "DL", "BL", "SPB", "BPB", "SIB", "DIB"};
static const char *const words[] = {"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"};
static const char *const highbytes[] = {"AH", "CH", "DH", "BH"};
static const char *const special[] = {
    "CS", "SS", "DS", "ES", "FS", "GS", "GDTR", "IDTR", "LDTR", "MSW", "TASK"};
static const char *const pseudo[] = {"TLS", "FP", "SB", "PC"};
static char regnames[NREGS][8];

const char *
reg_name(int reg)
{
	return reg > 0 && reg < NREGS ? regnames[reg] : "?";
}

static void
numbered(int first, int from, int to, const char *fmt)
{
	for (int i = from; i < to; i++)
		snprintf(regnames[first + i], sizeof regnames[0], fmt, i);
}

// names_init makes the names of registers and mnemonics known.
void
names_init(void)
{
	if (regnames[REG_AX][0])
		return;
	names_base(true);
	for (int i = 0; i < 8; i++) {
		strcpy(regnames[REG_AL + i], lowbytes[i]);
		strcpy(regnames[REG_AX + i], words[i]);
	}
	for (int i = 0; i < 4; i++)
		strcpy(regnames[REG_AH + i], highbytes[i]);
	for (int i = 0; i < 11; i++)
		strcpy(regnames[REG_CS + i], special[i]);
	for (int i = 0; i < 4; i++)
		strcpy(regnames[REG_TLS + i], pseudo[i]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	numbered(REG_AL, 8, 16, "R%dB");
	numbered(REG_AX, 8, 16, "R%d");
	numbered(REG_F0, 0, 8, "F%d");
	numbered(REG_M0, 0, 8, "M%d");
	numbered(REG_K0, 0, 8, "K%d");
	numbered(REG_X0, 0, 32, "X%d");
	numbered(REG_Y0, 0, 32, "Y%d");
	numbered(REG_Z0, 0, 32, "Z%d");
	numbered(REG_CR0, 0, 16, "CR%d");
	numbered(REG_DR0, 0, 8, "DR%d");
	numbered(REG_TR0, 0, 8, "TR%d");
#pragma GCC diagnostic pop
	for (int i = 1; i < NREGS; i++)
		intern(regnames[i], strlen(regnames[i]))->reg = (uint8_t)i;
	intern("g", 1)->reg = REG_R14;
	for (int i = 0; i < NOPS; i++)
		intern(mnemonics[i].name, strlen(mnemonics[i].name))->op = (uint16_t)(i + 1);
	names_base(false);
}

static inline bool
between(int r, int first, int n)
{
	return r >= first && r < first + n;
}

// number is what goes into the encoding, 0 to 31.
static int
number(int r)
{
	if (between(r, REG_AL, 16))
		return r - REG_AL;
	if (between(r, REG_AX, 16))
		return r - REG_AX;
	if (between(r, REG_AH, 4))
		return 4 + r - REG_AH;
	if (r >= REG_X0 && r < REG_CS)
		return (r - REG_X0) % 32;
	if (between(r, REG_CR0, 16))
		return r - REG_CR0;
	if (between(r, REG_DR0, 8))
		return r - REG_DR0;
	if (between(r, REG_TR0, 8))
		return r - REG_TR0;
	return between(r, REG_F0, 24) ? (r - REG_F0) % 8 : 0;
}

static inline bool
isgeneral(int r)
{
	return between(r, REG_AX, 16);
}

// ---- suffixes of EVEX instructions ----
static const struct suffix {
	const char *name;
	int8_t rounding; // -1: none
	bool sae, zero, bcst;
} suffixes[] = {
    {"", -1, 0, 0, 0},
    {"Z", -1, 0, 1, 0},
    {"SAE", -1, 1, 0, 0},
    {"SAE.Z", -1, 1, 1, 0},
    {"RN_SAE", 0, 0, 0, 0},
    {"RZ_SAE", 3, 0, 0, 0},
    {"RD_SAE", 1, 0, 0, 0},
    {"RU_SAE", 2, 0, 0, 0},
    {"RN_SAE.Z", 0, 0, 1, 0},
    {"RZ_SAE.Z", 3, 0, 1, 0},
    {"RD_SAE.Z", 1, 0, 1, 0},
    {"RU_SAE.Z", 2, 0, 1, 0},
    {"BCST", -1, 0, 0, 1},
    {"BCST.Z", -1, 0, 1, 1},
};

int
suffix_index(const char *s)
{
	for (int i = 0; i < (int)(sizeof suffixes / sizeof suffixes[0]); i++)
		if (strcmp(suffixes[i].name, s) == 0)
			return i;
	return -1;
}

const char *
suffix_name(int i)
{
	return suffixes[i].name;
}

// ---- what an operand is ----
static enum atom
constant(int64_t v)
{
	if (v < 0)
		return v >= -128 ? A_IS8 : v == (int32_t)v ? A_IS32 : A_I64;
	if (v <= 1)
		return v ? A_I1 : A_I0;
	return v <= 3         ? A_IU2
	    : v <= 127        ? A_IU7
	    : v <= 255        ? A_IU8
	    : v <= INT32_MAX  ? A_IS32
	    : v <= UINT32_MAX ? A_IU32
			      : A_I64;
}

static enum atom
reg_atom(int r)
{
	static const uint8_t dr[] = {A_DR0, A_NONE, A_DR2, A_DR3, A_NONE, A_NONE, A_DR6, A_DR7};
	switch (r) {
	case REG_AL:
		return A_AL;
	case REG_CL:
		return A_CL;
	case REG_AX:
		return A_AX;
	case REG_CX:
		return A_CX;
	case REG_DX:
	case REG_BX:
		return A_RX;
	case REG_SPB:
		return A_NONE;
	}
	if (between(r, REG_AL, 16) || between(r, REG_AH, 4))
		return A_RB;
	if (isgeneral(r))
		return A_RL;
	if (between(r, REG_F0, 8))
		return r == REG_F0 ? A_F0 : A_F;
	if (between(r, REG_M0, 8))
		return A_MM;
	if (between(r, REG_K0, 8))
		return r == REG_K0 ? A_K0 : A_K;
	if (between(r, REG_X0, 32))
		return r == REG_X0 ? A_X0 : r < REG_X0 + 16 ? A_X : A_XH;
	if (between(r, REG_Y0, 32))
		return r < REG_Y0 + 16 ? A_Y : A_YH;
	if (between(r, REG_Z0, 32))
		return A_Z;
	if (between(r, REG_CS, 11))
		return A_CS + (r - REG_CS);
	if (between(r, REG_CR0, 9))
		return (1 << (r - REG_CR0)) & 0x11d ? A_CR : A_NONE;
	if (between(r, REG_DR0, 8))
		return dr[r - REG_DR0];
	return r == REG_TR0 + 6 ? A_TR6 : r == REG_TR0 + 7 ? A_TR7 : A_NONE;
}

static enum atom
list_atom(const struct operand *o)
{
	if (o->last - o->reg != 3)
		return A_NONE;
	return between(o->reg, REG_X0, 29) ? A_X4
	    : between(o->reg, REG_Y0, 29)  ? A_Y4
	    : between(o->reg, REG_Z0, 29)  ? A_Z4
					   : A_NONE;
}

static enum atom
memory_atom(const struct operand *o)
{
	bool sb = o->name == N_EXTERN || o->name == N_STATIC;
	if (o->index == REG_SP || o->index >= REG_PSEUDO)
		return A_NONE;
	if (between(o->index, REG_X0, 96)) {
		if (sb)
			return A_NONE;
		int i = number(o->index);
		if (o->index < REG_Y0)
			return i < 16 ? A_VX : A_VXH;
		return o->index < REG_Z0 ? (i < 16 ? A_VY : A_VYH) : A_VZ;
	}
	if (sb && (o->reg || o->index || o->scale))
		return A_NONE;
	if ((o->name == N_AUTO || o->name == N_PARAM) && o->reg && o->reg != REG_SP)
		return A_NONE;
	return A_M;
}

static enum atom
atom(const struct operand *o)
{
	switch (o->type) {
	case O_REG:
		return reg_atom(o->reg);
	case O_LIST:
		return list_atom(o);
	case O_BRANCH:
		return A_REL;
	case O_INDIR:
		return o->name && !o->reg && !o->index && !o->scale ? A_INDIR : A_NONE;
	case O_MEM:
		return memory_atom(o);
	case O_ADDR:
		return o->name ? A_ADDR : constant(o->off);
	case O_CONST:
		return constant(o->off);
	}
	return A_NONE;
}

// ---- bytes ----
static struct insn *cur;
static const struct form *form;
static uint8_t out[32];
static int n;
static uint8_t rex; // W R X B, and 0x40 if there must be one
static bool failed;
enum { REX = 0x40, W = 8, R = 4, X = 2, B = 1 };

static void
put(int c)
{
	if (n < (int)sizeof out)
		out[n++] = (uint8_t)c;
}

static void
putn(int64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		put((int)(v >> 8 * i));
}

static void bad(const char *what) __attribute__((noinline));

static void
bad(const char *what)
{
	if (!failed)
		error_at(cur, "%s: %s", what, insn_text(cur));
	failed = true;
}

// putrel leaves a field of 32 bits for the linker.
static void
putrel(int type, struct sym *s, int64_t add)
{
	struct reloc *r = push_reloc(&A.rels, &A.nrels, &A.caprels);
	r->off = (uint32_t)n;
	r->type = (uint8_t)type;
	r->size = 4;
	r->sym = s;
	r->add = add;
	cur->nrel++;
	putn(0, 4);
}

// disp8: the displacement fits a byte, in EVEX counted in units of the operand.
static bool
disp8(int64_t v, int *d)
{
	if (form->enc == ENC_EVEX) {
		int unit = suffixes[cur->suffix].bcst && form->bcst ? form->bcst : 1 << form->disp;
		if (v % unit)
			return false;
		v /= unit;
	}
	*d = (int)v;
	return v >= -128 && v <= 127;
}

static void
sib(const struct operand *o, int base)
{
	int scale = o->scale == 8 ? 3 : o->scale == 4 ? 2 : o->scale == 2 ? 1 : 0;
	int b = base ? number(base) & 7 : 5;
	if (!o->index || o->index == REG_TLS) {
		put(4 << 3 | b);
		return;
	}
	if (o->index == REG_SP || o->scale == 0 ||
	    !(isgeneral(o->index) || between(o->index, REG_X0, 96))) {
		bad("invalid instruction");
		return;
	}
	put(scale << 6 | (number(o->index) & 7) << 3 | b);
}

// memory emits ModRM, SIB and displacement; reg is ModRM.reg.
static void
memory(const struct operand *o, int reg)
{
	int base = o->reg, d;
	bool segment = between(base, REG_CS, 6) || base == REG_TLS;
	bool sb = o->name == N_EXTERN || o->name == N_STATIC;
	if (o->name == N_AUTO || o->name == N_PARAM)
		base = REG_SP;
	reg = (reg & 7) << 3;
	if (o->off != (int32_t)o->off && cur->op != OP_LEAL) {
		bad("offset too large in");
		return;
	}
	if (sb) {
		put(5 | reg);
		putrel(o->got ? REL_GOT : REL_PC32, o->sym, o->off);
		return;
	}
	if (o->got) {
		put(5 | reg);
		putrel(REL_GOTTPOFF, o->sym, o->off);
		return;
	}
	if (o->index && o->index != REG_TLS) {
		if (base && !isgeneral(base)) {
			bad("invalid instruction");
			return;
		}
		if (!base) {
			put(4 | reg);
			sib(o, 0);
			putn(o->off, 4);
		} else if (o->off == 0 && (number(base) & 7) != 5) {
			put(4 | reg);
			sib(o, base);
		} else if (disp8(o->off, &d)) {
			put(0x44 | reg);
			sib(o, base);
			put(d);
		} else {
			put(0x84 | reg);
			sib(o, base);
			putn(o->off, 4);
		}
		return;
	}
	if (!base || segment) {
		put(4 | reg);
		put(4 << 3 | 5);
		if (base == REG_TLS)
			putrel(REL_TPOFF, NULL, o->off);
		else
			putn(o->off, 4);
		return;
	}
	if (!isgeneral(base)) {
		bad("invalid instruction");
		return;
	}
	int b = number(base) & 7;
	bool needsib = b == 4;
	// In a -pic function TLS counts from the register, which holds its offset from FS.
	if (o->off == 0 && b != 5) {
		put(b | reg);
		if (needsib)
			sib(o, base);
	} else if (disp8(o->off, &d)) {
		put(0x40 | b | reg);
		if (needsib)
			sib(o, base);
		put(d);
	} else {
		put(0x80 | b | reg);
		if (needsib)
			sib(o, base);
		putn(o->off, 4);
	}
}

static void
modrm(const struct operand *o, int reg)
{
	if (o->type == O_REG) {
		if (o->reg < REG_AL || o->reg >= REG_CS)
			bad("invalid instruction");
		put(3 << 6 | (reg & 7) << 3 | (number(o->reg) & 7));
	} else if (o->type == O_MEM || o->type == O_ADDR) {
		memory(o, reg);
	} else {
		bad("invalid instruction");
	}
}

// The override that an operand asks for: 0 if none.
static int
segment_prefix(const struct operand *o)
{
	static const uint8_t prefix[] = {0x2e, 0, 0x3e, 0x26, 0x64, 0x65};
	if (o->type == O_MEM && o->name == N_NONE && between(o->reg, REG_CS, 6))
		return prefix[o->reg - REG_CS];
	if (o->type == O_MEM && o->name == N_NONE && o->reg == REG_TLS && !o->got)
		return 0x64;
	if (o->type == O_MEM && o->index == REG_TLS)
		return 0x64;
	return between(o->index, REG_CS, 6) ? prefix[o->index - REG_CS] : 0;
}

// The operands of a form by role; NULL: the form has none.
struct roles {
	const struct operand *m, *r, *v, *k, *o;
};

static struct roles
roles(const struct insn *p)
{
	struct roles x = {0};
	for (int i = 0; i < p->nops; i++) {
		const struct operand *o = &p->o[i];
		switch (form->role[i]) {
		case 'm':
			x.m = o;
			break;
		case 'r':
			x.r = o;
			break;
		case '*':
			x.m = x.r = o;
			break;
		case 'v':
			x.v = o;
			break;
		case 'k':
			x.k = o;
			break;
		case 'o':
			x.o = o;
			break;
		}
	}
	return x;
}

static inline bool
islowbyte(int reg, bool bytes)
{
	return between(reg, REG_SPB, 4) || (bytes && between(reg, REG_SP, 4));
}

static int
regnumber(const struct operand *o)
{
	return o && (o->type == O_REG || o->type == O_LIST) ? number(o->reg) : 0;
}

static int
basenumber(const struct operand *m)
{
	if (!m)
		return 0;
	if (m->type == O_REG)
		return number(m->reg);
	if (m->name)
		return 0; // SP, or no register at all
	return isgeneral(m->reg) ? number(m->reg) : 0;
}

static int
indexnumber(const struct operand *m)
{
	bool has = m && m->type != O_REG && (isgeneral(m->index) || between(m->index, REG_X0, 96));
	return has ? number(m->index) : 0;
}

static void
vex(const struct roles *x)
{
	bool r = regnumber(x->r) & 8, b = basenumber(x->m) & 8, i = indexnumber(x->m) & 8;
	int v = (x->v ? regnumber(x->v) & 15 : 0) ^ 15;
	int last = v << 3 | form->len << 2 | form->pp;
	if (form->map == 1 && !i && !b && !form->w) {
		put(0xc5);
		put(!r << 7 | last);
	} else {
		put(0xc4);
		put(!r << 7 | !i << 6 | !b << 5 | form->map);
		put(form->w << 7 | last);
	}
}

static void
evex(const struct roles *x)
{
	const struct suffix *s = &suffixes[cur->suffix];
	bool mem = x->m && x->m->type == O_MEM;
	int r = regnumber(x->r), v = x->v ? regnumber(x->v) : 0, len = form->len;
	int b = basenumber(x->m), i = indexnumber(x->m);
	bool z = false, bit = false;
	if (s->zero) {
		if (!(form->flags & F_Z))
			bad("unsupported zeroing");
		if (!x->k && A.opt.go122)
			bad("mask register must be specified for .Z instructions");
		z = true;
	}
	if (s->rounding >= 0) {
		if (mem)
			bad("illegal rounding with memory argument");
		else if (!(form->flags & F_ER))
			bad("unsupported rounding");
		bit = true;
		len = s->rounding;
	} else if (s->bcst) {
		if (!mem)
			bad("illegal broadcast without memory argument");
		else if (!form->bcst)
			bad("unsupported broadcast");
		bit = true;
	} else if (s->sae) {
		if (mem)
			bad("illegal SAE with memory argument");
		else if (!(form->flags & F_SAE))
			bad("unsupported SAE");
		bit = true;
	}
	// X is the fifth bit of a register in ModRM.rm, V' that of vvvv or of a vector index.
	bool vsib = mem && between(x->m->index, REG_X0, 96);
	bool xbit = mem ? i & 8 : b & 16;
	bool vbit = vsib ? i & 16 : v & 16;
	put(0x62);
	put(!(r & 8) << 7 | !xbit << 6 | !(b & 8) << 5 | !(r & 16) << 4 | form->map);
	put(form->w << 7 | ((v & 15) ^ 15) << 3 | 4 | form->pp);
	put(z << 7 | len << 5 | bit << 4 | !vbit << 3 | (x->k ? number(x->k->reg) : 0));
}

// distinct: a gather must not name one register twice.
static void
distinct(const struct insn *p)
{
	const struct operand *o = p->o;
	if (p->nops < 3)
		return;
	if (o[1].type == O_REG && between(o[1].reg, REG_K0, 8)) {
		if (number(o[0].index) == number(o[2].reg))
			bad("index and destination registers should be distinct");
		return;
	}
	int index = number(o[1].index), mask = number(o[0].reg), dest = number(o[2].reg);
	if (o[1].index && (dest == mask || dest == index || mask == index))
		bad("mask, index, and destination registers should be distinct");
}

static bool
byteclass(int cls)
{
	return (classes[cls] & 1ull << A_RB) != 0;
}

static void
immediates(const struct insn *p)
{
	for (int i = 0; i < p->nops; i++) {
		int64_t v = p->o[i].off;
		switch (form->role[i]) {
		case 'b':
			put((int)v);
			break;
		case 'w':
			putn(v, 2);
			break;
		case 'd':
			putn(v, 4);
			break;
		case 'q':
			putn(v, 8);
			break;
		case 's':
			put(number(p->o[i].reg) << 4);
			break;
		case 'c':
			putrel(p->o[i].type == O_BRANCH ? REL_CALL : REL_PC32, p->o[i].sym, v);
			break;
		case 'p':
			putrel(p->o[i].got ? REL_GOT : REL_PC32, p->o[i].sym, v);
			break;
		}
	}
}

// emit makes the bytes of cur by form.
static void
emit(void)
{
	const struct insn *p = cur;
	struct roles x = roles(p);
	int step = p->nops > 1 ? p->nops - 1 : 1; // to the last operand
	for (int i = 0; i < p->nops; i += step) {
		int s = segment_prefix(&p->o[i]);
		if (s)
			put(s);
	}
	if (p->nops == 3 && segment_prefix(&p->o[1]) && p->o[1].type == O_MEM)
		put(segment_prefix(&p->o[1]));
	if (form->enc == ENC_VEX) {
		vex(&x);
	} else if (form->enc == ENC_EVEX) {
		evex(&x);
	} else {
		for (int i = 0; i < form->npre; i++)
			put(form->pre[i]);
		rex = form->w ? W : 0;
		rex |= (regnumber(x.r) & 8 ? R : 0) | (basenumber(x.m) & 8 ? B : 0) |
		    (indexnumber(x.m) & 8 ? X : 0);
		rex |= regnumber(x.o) & 8 ? B : 0;
		for (int i = 0; i < p->nops; i++)
			if (form->role[i] != '.' && p->o[i].type == O_REG &&
			    islowbyte(p->o[i].reg, byteclass(form->cls[i])))
				rex |= REX;
		if (rex)
			put(REX | rex);
	}
	for (int i = 0; i < form->ncode; i++)
		put(form->code[i]);
	if (x.o)
		out[n - 1] += (uint8_t)(number(x.o->reg) & 7);
	if (x.m)
		modrm(x.m, form->digit >= 0 ? form->digit : regnumber(x.r));
	immediates(p);
}

// quad is MOVQ of a constant to a register: what fits 32 bits without a sign needs no REX.W.
static bool
quad(void)
{
	if (cur->op != OP_MOVQ || strcmp(form->role, "qo") != 0 ||
	    (uint64_t)cur->o[0].off > UINT32_MAX)
		return false;
	int64_t v = cur->o[0].off;
	int r = number(cur->o[1].reg);
	if (r & 8)
		put(REX | B);
	put(0xb8 + (r & 7));
	putn(v, 4);
	return true;
}

static const struct form *
find(const struct insn *p)
{
	const struct mnemonic *m = &mnemonics[p->op];
	uint64_t a[MAXOPERANDS];
	for (int i = 0; i < p->nops; i++) {
		enum atom t = atom(&p->o[i]);
		if (t == A_NONE)
			return NULL;
		a[i] = 1ull << t;
	}
	for (const struct form *f = m->forms; f < m->forms + m->nforms; f++) {
		if (f->nops != p->nops || (p->suffix && f->enc != ENC_EVEX))
			continue;
		int i = 0;
		while (i < f->nops && classes[f->cls[i]] & a[i])
			i++;
		if (i == f->nops)
			return f;
	}
	return NULL;
}

// duff is a call into the middle of a function of Go's runtime, which wants a frame pointer.
static void
duff(const struct insn *p)
{
	static const uint8_t before[] = {
	    0x48, 0x89, 0x6c, 0x24, 0xf0, 0x48, 0x8d, 0x6c, 0x24, 0xf0};
	static const uint8_t after[] = {0x48, 0x8b, 0x6d, 0x00};
	for (size_t i = 0; i < sizeof before; i++)
		put(before[i]);
	put(0xe8);
	putrel(REL_CALL, p->o[0].sym, p->o[0].off);
	for (size_t i = 0; i < sizeof after; i++)
		put(after[i]);
}

// encode leaves the bytes of p in p->code, or of a branch the form in p->form.
void
encode(struct insn *p)
{
	cur = p;
	n = 0;
	failed = false;
	p->rel = (int32_t)A.nrels;
	if (p->flags & (I_ALIGN | I_MARK) || mnemonics[p->op].nforms == 0)
		return;
	if (mnemonics[p->op].forms->flags & F_DISTINCT) {
		distinct(p);
		if (failed)
			return;
	}
	form = find(p);
	if (!form) {
		bad("invalid instruction");
		return;
	}
	if (form->enc == ENC_NOT64) {
		bad("illegal in 64-bit mode");
		return;
	}
	const struct operand *last = p->nops ? &p->o[p->nops - 1] : NULL;
	if (last && last->type == O_BRANCH) {
		if (last->target) {
			if (form->role[p->nops - 1] == 'j') {
				p->flags |= I_BRANCH;
				p->form = form;
				return;
			}
			bad("call without target");
			return;
		}
		if (!last->sym) {
			bad("jmp/branch/loop without target");
			return;
		}
		if (form->role[p->nops - 1] == 'j') { // to another function
			if (p->op != OP_JMP) {
				bad("branch to ATEXT");
				return;
			}
			put(form->near[0]);
			putrel(REL_CALL, last->sym, last->off);
		} else if (p->op == OP_DUFFCOPY || p->op == OP_DUFFZERO) {
			duff(p);
		} else {
			emit();
		}
	} else if (!quad()) {
		emit();
	}
	if (n > 15 && p->op != OP_DUFFCOPY && p->op != OP_DUFFZERO)
		bad("instruction too long");
	p->len = (uint8_t)n;
	p->code = memcpy(arena_alloc(&A.func, (size_t)n), out, (size_t)n);
}
