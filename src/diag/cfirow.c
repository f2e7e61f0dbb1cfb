// SPDX-License-Identifier: BSD-3-Clause
// cfirow.c: unwind tables: a function's entry (FDE) and what is common to many (CIE), the programs in
// them, the row of rules that they give for one pc, and applying it.
//
// Read with care: lengths are checked against the segment, expressions have a limit of steps, and
// what is not understood is an error. Only objects that are never unloaded are read directly.
#include "cfi.h"
#include "../os/linux/linux.h"

enum {
	NREMEMBER = 4,  // remember_state in a row
	NEXPR = 32,     // values on the stack of an expression
	MAXSTEPS = 4096, // of an expression
	ENOEXEC = 8,
	EFAULT = 14,
};

// ---- Reading ----

struct reader {
	uintptr_t p, end;
	bool direct, bad;
	uint32_t wn; // bytes in the window, which begins at w
	uintptr_t w;
	uint8_t window[64];
};

static void
rdinit(struct reader *r, uintptr_t p, uintptr_t end, bool direct)
{
	r->p = p;
	r->end = end;
	r->direct = direct;
	r->bad = p >= end;
	r->wn = 0;
	r->w = 0;
}

NOSAN static uint8_t
rd8(struct reader *r)
{
	if (r->p >= r->end) {
		r->bad = true;
		return 0;
	}
	uintptr_t p = r->p++;
	if (r->direct)
		return *(const uint8_t *)p;
	if (p - r->w >= r->wn) {
		uintptr_t n = r->end - p;
		if (n > sizeof r->window)
			n = sizeof r->window;
		r->w = p;
		r->wn = (uint32_t)n;
		if (!runtime_saferead(r->window, p, n)) {
			r->wn = 0;
			r->bad = true;
			return 0;
		}
	}
	return r->window[p - r->w];
}

static uint64_t
rdn(struct reader *r, int n)
{
	uint64_t v = 0;
	for (int i = 0; i < n; i++)
		v |= (uint64_t)rd8(r) << 8 * i;
	return v;
}

static uint64_t
rduleb(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; !r->bad; shift += 7) {
		uint8_t b = rd8(r);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			break;
	}
	return v;
}

static int64_t
rdsleb(struct reader *r)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b = 0x80;
	while ((b & 0x80) != 0 && !r->bad) {
		b = rd8(r);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	}
	if (shift < 64 && (b & 0x40) != 0)
		v |= ~0ull << shift;
	return (int64_t)v;
}

// rdptr reads a pointer as the encoding byte (DW_EH_PE) says. data: what datarel ones count from.
static uintptr_t
rdptr(struct reader *r, uint8_t enc, uintptr_t data)
{
	uintptr_t at = r->p, v = 0;
	switch (enc & 0x0f) {
	case 0x0: case 0x4: case 0xc: v = rdn(r, 8); break;
	case 0x1: v = rduleb(r); break;
	case 0x2: v = rdn(r, 2); break;
	case 0x3: v = rdn(r, 4); break;
	case 0x9: v = (uintptr_t)rdsleb(r); break;
	case 0xa: v = (uintptr_t)(int16_t)rdn(r, 2); break;
	case 0xb: v = (uintptr_t)(int32_t)rdn(r, 4); break;
	default: r->bad = true;
	}
	switch (enc & 0x70) {
	case 0x00: break;
	case 0x10: v += at; break;
	case 0x30: v += data; break;
	default: r->bad = true;
	}
	if ((enc & 0x80) != 0 && !runtime_saferead(&v, v, 8))
		r->bad = true;
	return v;
}

// ---- The function's entry ----

struct fde {
	uintptr_t begin, size;
	struct reader cie, code; // the programs
	uint64_t caf;            // code alignment factor
	int64_t daf;
	uint32_t rareg;
	uint8_t enc;
	bool trap;    // a signal frame
	bool sized;   // augmentation data follows, with its length
};

// readcie reads the CIE at addr into f.
static int
readcie(struct fde *f, const struct object *o, uintptr_t addr)
{
	struct reader r;
	rdinit(&r, addr, o->end, o->direct);
	uint64_t len = rdn(&r, 4);
	if (len == 0xffffffff)
		len = rdn(&r, 8);
	if (r.bad || len > r.end - r.p)
		return -ENOEXEC;
	r.end = r.p + len;
	if (rdn(&r, 4) != 0)
		return -ENOEXEC;
	uint8_t version = rd8(&r), aug[8] = {0};
	for (uint32_t i = 0; !r.bad; i++) {
		uint8_t c = rd8(&r);
		if (c == 0)
			break;
		if (i == sizeof aug - 1)
			return -ENOEXEC;
		aug[i] = c;
	}
	if (version != 1 && version != 3)
		return -ENOEXEC;
	f->caf = rduleb(&r);
	f->daf = rdsleb(&r);
	f->rareg = version == 1 ? rd8(&r) : (uint32_t)rduleb(&r);
	f->enc = 0;
	f->trap = f->sized = false;
	f->cie = r;
	if (aug[0] != 0) {
		if (aug[0] != 'z')
			return -ENOEXEC;
		f->sized = true;
		uint64_t n = rduleb(&r);
		uintptr_t code = r.p + n;
		if (r.bad || n > r.end - r.p)
			return -ENOEXEC;
		for (uint32_t i = 1; i < sizeof aug && aug[i] != 0; i++) {
			uint8_t enc;
			switch (aug[i]) {
			case 'R': f->enc = rd8(&r); break;
			case 'L': rd8(&r); break;
			case 'P':
				enc = rd8(&r);
				rdptr(&r, enc & 0x7f, 0); // the personality itself is not asked
				break;
			case 'S': f->trap = true; break;
			case 'B': break;
			default: i = sizeof aug; // unknown, and what follows too: z says where they end
			}
		}
		f->cie = r;
		f->cie.p = code;
	}
	return r.bad || f->rareg != RIP ? -ENOEXEC : 0;
}

// readfde reads the FDE at addr. 1: what is there is a CIE; *next is what follows, 0 at the end.
static int
readfde(struct fde *f, const struct object *o, uintptr_t addr, uintptr_t *next)
{
	struct reader r;
	rdinit(&r, addr, o->end, o->direct);
	*next = 0;
	uint64_t len = rdn(&r, 4);
	if (len == 0xffffffff)
		len = rdn(&r, 8);
	if (r.bad || len == 0 || len > r.end - r.p)
		return -ENOEXEC;
	r.end = *next = r.p + len;
	uintptr_t idat = r.p;
	uint32_t id = (uint32_t)rdn(&r, 4);
	if (id == 0)
		return 1;
	int err = readcie(f, o, idat - id);
	if (err != 0)
		return err;
	f->begin = rdptr(&r, f->enc, 0);
	f->size = rdptr(&r, f->enc & 0x0f, 0);
	if (f->sized && !r.bad) {
		uint64_t n = rduleb(&r);
		if (n > r.end - r.p)
			return -ENOEXEC;
		r.p += n;
	}
	f->code = r;
	return r.bad ? -ENOEXEC : 0;
}

// findfde finds the entry of the function that pc lies in: by the table behind the header, which is
// sorted, or one by one when there is none.
static int
findfde(struct fde *f, const struct object *o, uintptr_t pc)
{
	struct reader r;
	uintptr_t next;
	rdinit(&r, o->hdr, o->hdrend, o->direct);
	uint8_t version = rd8(&r), ptrenc = rd8(&r), countenc = rd8(&r), tabenc = rd8(&r);
	uintptr_t frames = ptrenc != 0xff ? rdptr(&r, ptrenc, o->hdr) : 0;
	uint64_t count = countenc != 0xff ? rdptr(&r, countenc, o->hdr) : 0;
	if (r.bad || version != 1)
		return -ENOEXEC;
	if (count == 0 || tabenc != 0x3b || count > (o->hdrend - r.p) / 8) {
		for (uintptr_t at = frames; at != 0; at = next) {
			int err = readfde(f, o, at, &next);
			if (err == 0 && pc - f->begin < f->size)
				return 0;
		}
		return -ENOENT;
	}
	uintptr_t table = r.p;
	uint64_t lo = 0, hi = count;
	uintptr_t at = 0;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		struct reader e;
		rdinit(&e, table + mid * 8, o->hdrend, o->direct);
		e.end = e.direct ? e.end : e.p + 8;
		uintptr_t loc = rdptr(&e, 0x3b, o->hdr);
		if (e.bad)
			return -EFAULT;
		if (loc <= pc) {
			at = rdptr(&e, 0x3b, o->hdr);
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	if (at == 0)
		return -ENOENT;
	int err = readfde(f, o, at, &next);
	if (err != 0)
		return err < 0 ? err : -ENOEXEC;
	return pc - f->begin < f->size ? 0 : -ENOENT;
}

// ---- The row of a pc ----

static void
setrule(struct row *w, uint64_t reg, uint8_t kind, int64_t val)
{
	if (reg >= NREG)
		return; // a vector register: no C function keeps those
	w->kind[reg] = kind;
	w->val[reg] = val;
}

// skipexpr returns the address of an expression, its length first, and goes behind it.
static int64_t
skipexpr(struct reader *r)
{
	uintptr_t at = r->p;
	uint64_t n = rduleb(r);
	if (n > r->end - r->p)
		r->bad = true;
	else
		r->p += n;
	return (int64_t)at;
}

// runcfa runs a program up to the row of pc. initial: the row of the CIE, NULL while that is made.
static int
runcfa(struct row *w, struct reader *r, const struct fde *f, uintptr_t pc, const struct row *initial)
{
	struct row saved[NREMEMBER];
	int nsaved = 0;
	uintptr_t loc = f->begin;
	uint64_t reg, n;
	while (r->p < r->end && !r->bad) {
		uint8_t op = rd8(r);
		uint64_t low = op & 0x3f, delta = 0;
		switch (op & 0xc0) {
		case 0x40: delta = low; op = 0x04; break;
		case 0x80: setrule(w, low, ATOFFSET, (int64_t)rduleb(r) * f->daf); continue;
		case 0xc0:
			if (low < NREG)
				setrule(w, low, initial != NULL ? initial->kind[low] : SAME, initial != NULL ? initial->val[low] : 0);
			continue;
		}
		switch (op) {
		case 0x00: break; // nop
		case 0x01: // set_loc
			loc = rdptr(r, f->enc, 0);
			if (loc > pc)
				return 0;
			break;
		case 0x02: case 0x03: case 0x04: // advance_loc
			if (delta == 0 && low != 0)
				delta = low == 2 ? rdn(r, 1) : low == 3 ? rdn(r, 2) : rdn(r, 4);
			loc += delta * f->caf;
			if (loc > pc)
				return 0;
			break;
		case 0x05: reg = rduleb(r); setrule(w, reg, ATOFFSET, (int64_t)rduleb(r) * f->daf); break;
		case 0x06: // restore_extended
			reg = rduleb(r);
			if (reg < NREG)
				setrule(w, reg, initial != NULL ? initial->kind[reg] : SAME, initial != NULL ? initial->val[reg] : 0);
			break;
		case 0x07: setrule(w, rduleb(r), UNDEFINED, 0); break;
		case 0x08: setrule(w, rduleb(r), SAME, 0); break;
		case 0x09: reg = rduleb(r); n = rduleb(r); setrule(w, reg, REGISTER, (int64_t)n); break;
		case 0x0a: // remember_state
			if (nsaved == NREMEMBER)
				return -ENOEXEC;
			saved[nsaved++] = *w;
			break;
		case 0x0b:
			if (nsaved == 0)
				return -ENOEXEC;
			*w = saved[--nsaved];
			break;
		case 0x0c: w->cfareg = (uint32_t)rduleb(r); w->cfaoff = (int64_t)rduleb(r); w->cfaexpr = 0; break;
		case 0x0d: w->cfareg = (uint32_t)rduleb(r); w->cfaexpr = 0; break;
		case 0x0e: w->cfaoff = (int64_t)rduleb(r); w->cfaexpr = 0; break;
		case 0x0f: w->cfaexpr = (uintptr_t)skipexpr(r); break;
		case 0x10: reg = rduleb(r); setrule(w, reg, EXPR, skipexpr(r)); break;
		case 0x11: reg = rduleb(r); setrule(w, reg, ATOFFSET, rdsleb(r) * f->daf); break;
		case 0x12: w->cfareg = (uint32_t)rduleb(r); w->cfaoff = rdsleb(r) * f->daf; w->cfaexpr = 0; break;
		case 0x13: w->cfaoff = rdsleb(r) * f->daf; w->cfaexpr = 0; break;
		case 0x14: reg = rduleb(r); setrule(w, reg, VALOFFSET, (int64_t)rduleb(r) * f->daf); break;
		case 0x15: reg = rduleb(r); setrule(w, reg, VALOFFSET, rdsleb(r) * f->daf); break;
		case 0x16: reg = rduleb(r); setrule(w, reg, VALEXPR, skipexpr(r)); break;
		case 0x2e: rduleb(r); break; // GNU_args_size
		case 0x2f: reg = rduleb(r); setrule(w, reg, ATOFFSET, -(int64_t)rduleb(r) * f->daf); break;
		default: return -ENOEXEC;
		}
	}
	return r->bad ? -ENOEXEC : 0;
}

// cfirow finds the row of pc in o.
int
runtime_cfirow(struct row *w, const struct object *o, uintptr_t pc)
{
	struct fde f;
	struct row initial = {.cfareg = RSP};
	int err = findfde(&f, o, pc);
	if (err != 0)
		return err;
	initial.kind[RIP] = UNDEFINED;
	err = runcfa(&initial, &f.cie, &f, ~(uintptr_t)0, NULL);
	if (err != 0)
		return err;
	*w = initial;
	err = runcfa(w, &f.code, &f, pc, &initial);
	w->trap = f.trap;
	return err;
}

// ---- Applying a row ----

NOSAN static bool
load(const struct memory *m, uintptr_t addr, uintptr_t *v)
{
	if (addr >= m->lo && addr < m->hi && m->hi - addr >= 8 && (addr & 7) == 0) {
		*v = *(const uintptr_t *)addr;
		return true;
	}
	return runtime_saferead(v, addr, 8);
}

// eval evaluates the DWARF expression at addr (its length first). push: the CFA, where there is one.
static bool
eval(const struct object *o, uintptr_t addr, const struct cfiregs *regs, const struct memory *m,
    const uintptr_t *push, uintptr_t *result)
{
	uint64_t st[NEXPR], a, b;
	uint32_t n = 0;
	struct reader r;
	rdinit(&r, addr, o->end, o->direct);
	uint64_t len = rduleb(&r);
	if (r.bad || len > r.end - r.p)
		return false;
	uintptr_t begin = r.p;
	r.end = begin + len;
	if (push != NULL)
		st[n++] = *push;
#define NEED(k) do { if (n < (k)) return false; } while (0)
#define PUSH(v) do { uint64_t v_ = (uint64_t)(v); if (n == NEXPR) return false; st[n++] = v_; } while (0)
#define BINARY(e) do { NEED(2); b = st[--n]; a = st[--n]; PUSH(e); } while (0)
	for (int steps = 0; r.p < r.end; steps++) {
		uint8_t op = rd8(&r);
		if (steps == MAXSTEPS)
			return false;
		if (op >= 0x30 && op <= 0x4f) { // lit
			PUSH(op - 0x30);
			continue;
		}
		if (op >= 0x70 && op <= 0x8f) { // breg
			int64_t off = rdsleb(&r);
			if (op - 0x70 >= NREG)
				return false;
			PUSH(regs->r[op - 0x70] + (uint64_t)off);
			continue;
		}
		switch (op) {
		case 0x03: PUSH(rdn(&r, 8)); break;
		case 0x06: NEED(1); if (!load(m, st[n - 1], &st[n - 1])) return false; break;
		case 0x08: PUSH(rdn(&r, 1)); break;
		case 0x09: PUSH((int64_t)(int8_t)rdn(&r, 1)); break;
		case 0x0a: PUSH(rdn(&r, 2)); break;
		case 0x0b: PUSH((int64_t)(int16_t)rdn(&r, 2)); break;
		case 0x0c: PUSH(rdn(&r, 4)); break;
		case 0x0d: PUSH((int64_t)(int32_t)rdn(&r, 4)); break;
		case 0x0e: case 0x0f: PUSH(rdn(&r, 8)); break;
		case 0x10: PUSH(rduleb(&r)); break;
		case 0x11: PUSH(rdsleb(&r)); break;
		case 0x12: NEED(1); PUSH(st[n - 1]); break;
		case 0x13: NEED(1); n--; break;
		case 0x14: NEED(2); PUSH(st[n - 2]); break;
		case 0x15: a = rdn(&r, 1); NEED(a + 1); PUSH(st[n - 1 - a]); break;
		case 0x16: NEED(2); a = st[n - 1]; st[n - 1] = st[n - 2]; st[n - 2] = a; break;
		case 0x17: NEED(3); a = st[n - 1]; st[n - 1] = st[n - 2]; st[n - 2] = st[n - 3]; st[n - 3] = a; break;
		case 0x19: NEED(1); if ((int64_t)st[n - 1] < 0) st[n - 1] = -st[n - 1]; break;
		case 0x1a: BINARY(a & b); break;
		case 0x1b:
			NEED(2);
			if (st[n - 1] == 0 || st[n - 1] == ~0ull)
				return false;
			BINARY((int64_t)a / (int64_t)b);
			break;
		case 0x1c: BINARY(a - b); break;
		case 0x1d: NEED(2); if (st[n - 1] == 0) return false; BINARY(a % b); break;
		case 0x1e: BINARY(a * b); break;
		case 0x1f: NEED(1); st[n - 1] = -st[n - 1]; break;
		case 0x20: NEED(1); st[n - 1] = ~st[n - 1]; break;
		case 0x21: BINARY(a | b); break;
		case 0x22: BINARY(a + b); break;
		case 0x23: NEED(1); st[n - 1] += rduleb(&r); break;
		case 0x24: BINARY(b < 64 ? a << b : 0); break;
		case 0x25: BINARY(b < 64 ? a >> b : 0); break;
		case 0x26: BINARY((int64_t)a >> (b < 64 ? b : 63)); break;
		case 0x27: BINARY(a ^ b); break;
		case 0x28: case 0x2f: { // bra, skip
			int64_t off = (int16_t)rdn(&r, 2);
			if (op == 0x28) {
				NEED(1);
				if (st[--n] == 0)
					break;
			}
			r.p += (uintptr_t)off;
			if (r.p < begin || r.p > r.end)
				return false;
			break;
		}
		case 0x29: BINARY(a == b); break;
		case 0x2a: BINARY((int64_t)a >= (int64_t)b); break;
		case 0x2b: BINARY((int64_t)a > (int64_t)b); break;
		case 0x2c: BINARY((int64_t)a <= (int64_t)b); break;
		case 0x2d: BINARY((int64_t)a < (int64_t)b); break;
		case 0x2e: BINARY(a != b); break;
		case 0x92: { // bregx
			uint64_t reg = rduleb(&r);
			int64_t off = rdsleb(&r);
			if (reg >= NREG)
				return false;
			PUSH(regs->r[reg] + (uint64_t)off);
			break;
		}
		case 0x94: { // deref_size
			uint64_t v = 0, size = rdn(&r, 1);
			NEED(1);
			if (size > 8 || !runtime_saferead(&v, st[n - 1], size))
				return false;
			st[n - 1] = v;
			break;
		}
		case 0x96: break; // nop
		default: return false;
		}
	}
#undef NEED
#undef PUSH
#undef BINARY
	if (r.bad || n == 0)
		return false;
	*result = st[n - 1];
	return true;
}

// cfiapply makes regs those of the caller.
int
runtime_cfiapply(const struct row *w, const struct object *o, struct cfiregs *regs, const struct memory *m,
    uintptr_t *cfa)
{
	struct cfiregs old = *regs;
	uintptr_t c;
	if (w->cfaexpr != 0) {
		if (!eval(o, w->cfaexpr, &old, m, NULL, &c))
			return -EFAULT;
	} else if (w->cfareg < NREG) {
		c = old.r[w->cfareg] + (uintptr_t)w->cfaoff;
	} else {
		return -ENOEXEC;
	}
	if (w->kind[RIP] == UNDEFINED)
		return 1;
	regs->r[RSP] = c; // unless a rule says otherwise
	for (int i = 0; i < NREG; i++) {
		uintptr_t v = old.r[i];
		switch (w->kind[i]) {
		case SAME: case UNDEFINED: continue;
		case ATOFFSET:
			if (!load(m, c + (uintptr_t)w->val[i], &v))
				return -EFAULT;
			break;
		case VALOFFSET: v = c + (uintptr_t)w->val[i]; break;
		case REGISTER:
			if (w->val[i] < 0 || w->val[i] >= NREG)
				return -ENOEXEC;
			v = old.r[w->val[i]];
			break;
		case EXPR:
			if (!eval(o, (uintptr_t)w->val[i], &old, m, &c, &v) || !load(m, v, &v))
				return -EFAULT;
			break;
		case VALEXPR:
			if (!eval(o, (uintptr_t)w->val[i], &old, m, &c, &v))
				return -EFAULT;
			break;
		}
		regs->r[i] = v;
	}
	*cfa = c;
	return 0;
}
