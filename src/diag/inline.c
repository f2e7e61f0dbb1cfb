// SPDX-License-Identifier: BSD-3-Clause
// inline.c: which functions a compiler has inlined at an address, by .debug_info (DWARF 2 to 5).
//
// The unit that covers the address comes from .debug_aranges, or else from a list of what each
// unit's first entry says that it covers, made once a file. A unit is read whole, and one unit is
// kept: frames of a stack have few. A first pass over its entries notes where each function with
// code begins, so a lookup walks the entries of one function only: its inlined subroutines that
// cover the address are nested in each other, outermost first.
//
// As in dwarf.c nothing is believed: cursors do not leave their bytes, a walk eats a byte a round,
// reference chains are counted, sizes are limited. What does not make sense means "not inlined",
// so the frame that is really there is always printed.
// Not supported: split DWARF, supplementary files (dwz), type units: no names from there.
// Caller of everything here: symtab.c, with symlock held.
#include "dwarf.h"

enum {
	UNITMAX = 64 << 20, // bytes; what is inlined in a larger unit is not shown
	MAXUNITS = 1 << 20,
	MAXFUNCS = 1 << 20,
	MAXRANGES = 4096, // of one entry
	NABBREV = 4096,   // abbreviations that are found without a search
	NHOPS = 8,        // abstract_origin and specification
	MAXNEST = 64,     // inlined subroutines around one address that are looked at
};

// A function of the unit in memory: its entry is at die.
struct func {
	uint64_t lo, hi;
	uint64_t die; // offset in the section
};

// The unit in memory. symlock.
static struct {
	uint32_t serial; // of its module; 0: none
	struct unit u;
	uint8_t *p;
	size_t len, cap;
	struct func *funcs;
	size_t nfuncs, funccap;
	uint32_t abbrev[NABBREV]; // by code: the abbreviation's offset in the section, plus 1
} loaded;

static uint8_t window[1024], namewindow[1024]; // symlock: range lists; entries for names

// An entry's attributes that matter here.
struct die {
	uint64_t off;
	uint64_t tag;
	bool children;
	struct value low, high, ranges, origin, sibling, name;
	uint64_t callfile, callline;
};

// ---- Reading entries ----

// abbrevof moves a to the abbreviation with this code: its tag comes next.
static bool
abbrevof(struct module *m, const struct unit *u, uint64_t code, bool indexed, struct cur *a)
{
	size_t size;
	const uint8_t *p = runtime_elfsection(m, SEC_ABBREV, &size);
	if (p == NULL || u->abbrev >= size)
		return false;
	if (indexed && code < NABBREV) {
		if (loaded.abbrev[code] == 0)
			return false;
		*a = (struct cur){p + loaded.abbrev[code] - 1, p + size, false};
		return true;
	}
	*a = (struct cur){p + u->abbrev, p + size, false};
	while (!a->bad) {
		uint64_t got = uleb(a);
		if (got == 0)
			return false;
		if (got == code)
			return !a->bad;
		uleb(a);
		fixed(a, 1);
		uint64_t at, form;
		do {
			at = uleb(a);
			form = uleb(a);
			if (form == DW_FORM_implicit_const)
				sleb(a);
		} while ((at | form) != 0 && !a->bad);
	}
	return false;
}

static void
indexabbrevs(struct module *m, const struct unit *u)
{
	size_t size;
	const uint8_t *p = runtime_elfsection(m, SEC_ABBREV, &size);
	for (size_t i = 0; i < NABBREV; i++)
		loaded.abbrev[i] = 0;
	if (p == NULL || u->abbrev >= size || size > UINT32_MAX - 1)
		return;
	struct cur a = {p + u->abbrev, p + size, false};
	while (!a.bad) {
		uint64_t code = uleb(&a);
		if (code == 0 || a.bad)
			return;
		if (code < NABBREV && loaded.abbrev[code] == 0)
			loaded.abbrev[code] = (uint32_t)(a.p - p) + 1;
		uleb(&a);
		fixed(&a, 1);
		uint64_t at, form;
		do {
			at = uleb(&a);
			form = uleb(&a);
			if (form == DW_FORM_implicit_const)
				sleb(&a);
		} while ((at | form) != 0 && !a.bad);
	}
}

// readdie reads the entry at c, which begins at off in the section. False: it cannot be stepped
// over. tag 0: the end of a list of children.
static bool
readdie(struct module *m, const struct unit *u, struct cur *c, uint64_t off, bool indexed,
    struct die *d)
{
	struct cur a;
	*d = (struct die){.off = off};
	uint64_t code = uleb(c);
	if (c->bad || code == 0)
		return !c->bad;
	if (!abbrevof(m, u, code, indexed, &a))
		return false;
	d->tag = uleb(&a);
	d->children = fixed(&a, 1) != 0;
	for (;;) {
		uint64_t at = uleb(&a), form = uleb(&a);
		struct value v;
		int64_t constant = form == DW_FORM_implicit_const ? sleb(&a) : 0;
		if (a.bad || d->tag == 0)
			return false;
		if ((at | form) == 0)
			return true;
		if (!runtime_formvalue(m, c, form, u, false, &v))
			return false;
		if (form == DW_FORM_implicit_const)
			v.num = (uint64_t)constant;
		switch (at) {
		case DW_AT_low_pc:
			d->low = v;
			break;
		case DW_AT_high_pc:
			d->high = v;
			break;
		case DW_AT_ranges:
			d->ranges = v;
			break;
		case DW_AT_abstract_origin:
		case DW_AT_specification:
			d->origin = v;
			break;
		case DW_AT_sibling:
			d->sibling = v;
			break;
		case DW_AT_name:
			d->name = v;
			break;
		case DW_AT_call_file:
			d->callfile = v.num;
			break;
		case DW_AT_call_line:
			d->callline = v.num;
			break;
		}
	}
}

// ---- Which addresses an entry covers ----

typedef bool rangefn(void *arg, uint64_t lo, uint64_t hi);

// oldranges gives the pairs of a list in .debug_ranges (DWARF 2 to 4).
static bool
oldranges(struct module *m, const struct unit *u, uint64_t off, rangefn *fn, void *arg)
{
	uint64_t base = u->lowpc;
	struct cur c = {window, window, false};
	for (int i = 0; i < MAXRANGES; i++) {
		if (c.p == c.end) {
			size_t n = runtime_elfwindow(m, SEC_RANGES, off, window, sizeof(window));
			c = (struct cur){window, window + n / 16 * 16, false};
			off += n;
		}
		uint64_t lo = fixed(&c, 8), hi = fixed(&c, 8);
		if (c.bad || (lo | hi) == 0)
			return !c.bad;
		if (lo == UINT64_MAX)
			base = hi;
		else if (lo < hi && !fn(arg, base + lo, base + hi))
			return true;
	}
	return false;
}

// newranges gives the pairs of a list in .debug_rnglists (DWARF 5).
static bool
newranges(struct module *m, const struct unit *u, uint64_t off, rangefn *fn, void *arg)
{
	uint64_t base = u->lowpc;
	struct cur c = {window, window, false};
	for (int i = 0; i < MAXRANGES; i++) {
		if (c.end - c.p < 32) {
			off += (uint64_t)(c.p - window);
			size_t n = runtime_elfwindow(m, SEC_RNGLISTS, off, window, sizeof(window));
			c = (struct cur){window, window + n, false};
		}
		uint64_t kind = fixed(&c, 1), lo = 0, hi = 0;
		struct value x = {.form = DW_FORM_addrx}, y = x;
		switch (kind) {
		case 0: // DW_RLE_end_of_list
			return !c.bad;
		case 1: // base_addressx
			x.num = uleb(&c);
			base = runtime_unitaddr(m, u, &x);
			break;
		case 2: // startx_endx
			x.num = uleb(&c);
			y.num = uleb(&c);
			lo = runtime_unitaddr(m, u, &x);
			hi = runtime_unitaddr(m, u, &y);
			break;
		case 3: // startx_length
			x.num = uleb(&c);
			lo = runtime_unitaddr(m, u, &x);
			hi = lo + uleb(&c);
			break;
		case 4: // offset_pair
			lo = base + uleb(&c);
			hi = base + uleb(&c);
			break;
		case 5: // base_address
			base = fixed(&c, 8);
			break;
		case 6: // start_end
			lo = fixed(&c, 8);
			hi = fixed(&c, 8);
			break;
		case 7: // start_length
			lo = fixed(&c, 8);
			hi = lo + uleb(&c);
			break;
		default:
			return false;
		}
		if (c.bad)
			return false;
		if (lo < hi && !fn(arg, lo, hi))
			return true;
	}
	return false;
}

// eachrange calls fn for the ranges of an entry until fn says false.
static bool
eachrange(struct module *m, const struct unit *u, const struct value *low, const struct value *high,
    const struct value *ranges, rangefn *fn, void *arg)
{
	if (ranges->form == 0) {
		uint64_t lo = runtime_unitaddr(m, u, low);
		uint64_t hi = high->form != 0 ? runtime_highaddr(m, u, lo, high) : lo;
		if (lo < hi)
			fn(arg, lo, hi);
		return true;
	}
	if (u->addrsize != 8)
		return false;
	if (u->version < 5)
		return oldranges(m, u, ranges->num, fn, arg);
	uint64_t off = ranges->num;
	if (ranges->form == DW_FORM_rnglistx) {
		uint8_t b[8];
		uint64_t at = u->rngbase + off * u->offsize;
		if (off > UINT32_MAX ||
		    runtime_elfwindow(m, SEC_RNGLISTS, at, b, u->offsize) != u->offsize)
			return false;
		struct cur c = {b, b + u->offsize, false};
		off = u->rngbase + fixed(&c, u->offsize);
	}
	return newranges(m, u, off, fn, arg);
}

struct covers {
	uint64_t vaddr;
	bool yes;
};

static bool
coversone(void *arg, uint64_t lo, uint64_t hi)
{
	struct covers *c = arg;
	if (c->vaddr >= lo && c->vaddr < hi)
		c->yes = true;
	return !c->yes;
}

static bool
covers(struct module *m, const struct unit *u, const struct die *d, uint64_t vaddr)
{
	struct covers c = {vaddr, false};
	eachrange(m, u, &d->low, &d->high, &d->ranges, coversone, &c);
	return c.yes;
}

// ---- The unit of an address ----

struct addunit {
	struct module *m;
	uint64_t off;
	bool full;
};

static bool
addunit(void *arg, uint64_t lo, uint64_t hi)
{
	struct addunit *x = arg;
	struct module *m = x->m;
	// A range at 0 is a function that the linker threw away.
	if (lo == 0)
		return true;
	if (!runtime_growarray(
		(void **)&m->units, m->nunits, &m->unitcap, sizeof(*m->units), MAXUNITS)) {
		x->full = true;
		return false;
	}
	m->units[m->nunits++] = (struct unitrange){lo, hi, x->off};
	return true;
}

static void
indexunits(struct module *m)
{
	struct unit u;
	struct addunit x = {m, 0, false};
	m->unitindex = 1;
	for (int i = 0; i < MAXUNITS && !x.full && runtime_parseunit(m, x.off, &u); i++) {
		struct value low = {.num = u.lowpc, .form = DW_FORM_addr};
		struct value high = {.num = u.highpc, .form = DW_FORM_addr};
		struct value ranges = {.num = u.ranges, .form = u.rangesform};
		eachrange(m, &u, &low, &high, &ranges, addunit, &x);
		x.off = u.next;
	}
}

static bool
unitof(struct module *m, uint64_t vaddr, struct unit *u)
{
	uint64_t off;
	if (runtime_aranges(m, vaddr, &off))
		return runtime_parseunit(m, off, u);
	if (m->unitindex == 0)
		indexunits(m);
	for (size_t i = 0; i < m->nunits; i++)
		if (vaddr >= m->units[i].lo && vaddr < m->units[i].hi)
			return runtime_parseunit(m, m->units[i].off, u);
	return false;
}

// unitwith finds the unit that the entry at off is in.
static bool
unitwith(struct module *m, uint64_t off, struct unit *u)
{
	uint64_t at = 0;
	for (int i = 0; i < MAXUNITS; i++) {
		uint8_t b[12];
		unsigned offsize;
		size_t n = runtime_elfwindow(m, SEC_INFO, at, b, sizeof(b));
		struct cur c = {b, b + n, false};
		uint64_t len = unitlength(&c, &offsize), next = at + (uint64_t)(c.p - b) + len;
		if (c.bad || len == 0 || next <= at)
			return false;
		if (off < next)
			return runtime_parseunit(m, at, u) && u->die != 0;
		at = next;
	}
	return false;
}

static bool
addfunc(void *arg, uint64_t lo, uint64_t hi)
{
	const struct die *d = arg;
	if (lo == 0)
		return true;
	if (!runtime_growarray((void **)&loaded.funcs, loaded.nfuncs, &loaded.funccap,
		sizeof(struct func), MAXFUNCS))
		return false;
	loaded.funcs[loaded.nfuncs++] = (struct func){lo, hi, d->off};
	return true;
}

// load brings u into memory, and notes its functions.
static bool
load(struct module *m, const struct unit *u)
{
	uint64_t len = u->next - u->off;
	if (loaded.serial == m->serial && loaded.u.off == u->off)
		return true;
	loaded.serial = 0;
	if (u->die == 0 || len > UNITMAX)
		return false;
	if (len > loaded.cap) {
		size_t cap = alignup(len, 64 << 10);
		uint8_t *p = runtime_sysAlloc(cap, &memstats.other_sys);
		if (p == NULL)
			return false;
		if (loaded.cap != 0)
			runtime_sysFree(loaded.p, loaded.cap, &memstats.other_sys);
		loaded.p = p;
		loaded.cap = cap;
	}
	if (runtime_elfwindow(m, SEC_INFO, u->off, loaded.p, len) != len)
		return false;
	loaded.len = len;
	loaded.u = *u;
	loaded.u.compdir = NULL;
	loaded.nfuncs = 0;
	indexabbrevs(m, u);
	struct cur c = {loaded.p + (u->die - u->off), loaded.p + len, false};
	while (c.p < c.end) {
		struct die d;
		uint64_t off = u->off + (uint64_t)(c.p - loaded.p);
		if (!readdie(m, u, &c, off, true, &d))
			break; // what was found before is good
		if (d.tag == DW_TAG_subprogram)
			eachrange(m, u, &d.low, &d.high, &d.ranges, addfunc, &d);
	}
	loaded.serial = m->serial;
	return true;
}

// ---- Names ----

static const char *
stringof(struct module *m, const struct unit *u, const struct value *v)
{
	uint64_t off = v->num;
	enum sectionid s = SEC_STR;
	switch (v->form) {
	case DW_FORM_string:
		return v->text != NULL ? runtime_symintern(v->text, NULL, NULL) : NULL;
	case DW_FORM_strp:
		break;
	case DW_FORM_line_strp:
		s = SEC_LINESTR;
		break;
	case DW_FORM_strx:
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4: {
		uint8_t b[8];
		uint64_t at = u->strbase + off * u->offsize;
		if (off > UINT32_MAX ||
		    runtime_elfwindow(m, SEC_STROFF, at, b, u->offsize) != u->offsize)
			return NULL;
		struct cur c = {b, b + u->offsize, false};
		off = fixed(&c, u->offsize);
		break;
	}
	default:
		return NULL;
	}
	const char *text = runtime_dwarfstring(m, s, off);
	return text != NULL && text[0] != 0 ? text : NULL;
}

// nameof follows a reference of u to the entry that has the function's name.
static const char *
nameof(struct module *m, const struct unit *from, const struct value *ref)
{
	struct unit u = *from;
	struct value v = *ref;
	for (int hop = 0; hop < NHOPS; hop++) {
		uint64_t off = v.num;
		if (v.form == DW_FORM_ref_addr) {
			if ((off < u.off || off >= u.next) && !unitwith(m, off, &u))
				return NULL;
		} else if (v.form == DW_FORM_ref1 || v.form == DW_FORM_ref2 ||
		    v.form == DW_FORM_ref4 || v.form == DW_FORM_ref8 ||
		    v.form == DW_FORM_ref_udata) {
			off += u.off;
		} else {
			return NULL;
		}
		if (off < u.die || off >= u.next)
			return NULL;
		struct die d;
		size_t n = runtime_elfwindow(m, SEC_INFO, off, namewindow, sizeof(namewindow));
		struct cur c = {namewindow, namewindow + n, false};
		bool indexed = loaded.serial == m->serial && u.abbrev == loaded.u.abbrev;
		if (!readdie(m, &u, &c, off, indexed, &d) || d.tag == 0)
			return NULL;
		if (d.name.form != 0)
			return stringof(m, &u, &d.name);
		v = d.origin;
	}
	return NULL;
}

// ---- The entry point ----

// calls collects the inlined subroutines at vaddr inside the function at off, outermost first.
static int
calls(struct module *m, uint64_t off, uint64_t vaddr, struct die *out, int max)
{
	const struct unit *u = &loaded.u;
	struct cur c = {loaded.p + (off - u->off), loaded.p + loaded.len, false};
	int n = 0, depth = 0, inner = 0; // inner: how deep the innermost one that covers vaddr is
	while (c.p < c.end) {
		struct die d;
		uint64_t at = u->off + (uint64_t)(c.p - loaded.p);
		if (!readdie(m, u, &c, at, true, &d))
			break;
		if (d.tag == 0) {
			depth--;
		} else {
			bool inlined = d.tag == DW_TAG_inlined_subroutine, in = false;
			if (inlined && (in = covers(m, u, &d, vaddr))) {
				if (n == max)
					break;
				out[n++] = d;
				inner = depth;
			}
			// The calls inside one that does not cover vaddr do not, either.
			uint64_t next = u->off + d.sibling.num;
			if (inlined && !in && d.children && d.sibling.form == DW_FORM_ref4 &&
			    next > at && next < u->next)
				c.p = loaded.p + (next - u->off);
			else if (d.children)
				depth++;
		}
		if (depth <= inner)
			break;
	}
	return n;
}

int
runtime_dwarfinline(struct module *m, uint64_t vaddr, struct inlined *out, int max)
{
	static struct die dies[MAXNEST]; // symlock
	struct unit u;
	if (m->sec[SEC_INFO].size == 0 || m->sec[SEC_ABBREV].size == 0 || m->serial == 0)
		return 0;
	if (!unitof(m, vaddr, &u))
		return 0;
	// parseunit's text is in a buffer that the next unit overwrites.
	const char *compdir = u.compdir != NULL ? runtime_symintern(u.compdir, NULL, NULL) : NULL;
	if (!load(m, &u))
		return 0;
	const struct func *f = NULL;
	for (size_t i = 0; i < loaded.nfuncs && f == NULL; i++)
		if (vaddr >= loaded.funcs[i].lo && vaddr < loaded.funcs[i].hi)
			f = &loaded.funcs[i];
	if (f == NULL)
		return 0;
	int n = 0, ndies = calls(m, f->die, vaddr, dies, MAXNEST);
	for (int i = ndies - 1; i >= 0 && n < max; i--) {
		const char *name = nameof(m, &u, &dies[i].origin);
		if (name == NULL)
			continue;
		u.compdir = compdir;
		out[n++] = (struct inlined){
		    .name = name,
		    .callfile = runtime_linefile(m, &u, dies[i].callfile),
		    .callline = dies[i].callline <= INT32_MAX ? (int32_t)dies[i].callline : 0,
		};
	}
	return n;
}
