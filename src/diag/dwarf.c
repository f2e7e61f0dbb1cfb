// SPDX-License-Identifier: BSD-3-Clause
// dwarf.c: from an address to file and line, by the .debug_line of an ELF file (DWARF 2 to 5).
//
// To find the line number program that covers an address we ask .debug_aranges, which leads to a
// unit in .debug_info and from there to the program. Compilers that write none (clang), and
// assembly files, make us run every program once and note what addresses each sequence covers.
//
// Nothing in the file is believed: it may be damaged, and we may be inside a crash handler. Every
// read goes through struct cur, which never leaves its section and reads as zeros past the end;
// every loop eats at least one byte of a section in each round or counts down. So the longest
// possible run is linear in the size of .debug_line, which symtab.c limits.
// Caller of everything here: symtab.c, with symlock held. Scratch buffers are static for that
// reason, and because the stack of a crash handler is small.
#include "dwarf.h"

enum {
	DIEWINDOW = 2048,
	ABBREVWINDOW = 4096,
	PATHMAX_ = 4096,
	MAXUNITS = 1 << 16,
	MAXSEQS = 1 << 22
};

static uint8_t diewindow[DIEWINDOW], abbrevwindow[ABBREVWINDOW]; // symlock
static char strwindow[PATHMAX_];                                 // symlock

const char *
runtime_dwarfstring(struct module *m, enum sectionid s, uint64_t off)
{
	if (s == SEC_LINESTR) {
		size_t size;
		const uint8_t *p = runtime_elfsection(m, s, &size);
		if (p == NULL || off >= size)
			return NULL;
		struct cur c = {p + off, p + size, false};
		const char *str = string(&c);
		return c.bad ? NULL : str;
	}
	size_t n = runtime_elfwindow(m, s, off, strwindow, sizeof(strwindow));
	for (size_t i = 0; i < n; i++)
		if (strwindow[i] == 0)
			return runtime_symintern(strwindow, NULL, NULL);
	return NULL;
}

bool
runtime_formvalue(struct module *m, struct cur *c, uint64_t form, const struct unit *u, bool want,
    struct value *v)
{
	unsigned offsize = u->offsize, addrsize = u->addrsize;
	if (form == DW_FORM_indirect)
		form = uleb(c); // once: a second one is not known, and ends here
	v->form = form;
	v->text = NULL;
	v->num = 0;
	switch (form) {
	case DW_FORM_addr:
		v->num = fixed(c, addrsize);
		break;
	case DW_FORM_data1:
	case DW_FORM_flag:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
	case DW_FORM_ref1:
		v->num = fixed(c, 1);
		break;
	case DW_FORM_data2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
	case DW_FORM_ref2:
		v->num = fixed(c, 2);
		break;
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		v->num = fixed(c, 3);
		break;
	case DW_FORM_data4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
	case DW_FORM_ref4:
	case DW_FORM_ref_sup4:
		v->num = fixed(c, 4);
		break;
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sig8:
	case DW_FORM_ref_sup8:
		v->num = fixed(c, 8);
		break;
	case DW_FORM_data16:
		take(c, 16);
		break;
	case DW_FORM_sdata:
		v->num = (uint64_t)sleb(c);
		break;
	case DW_FORM_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_ref_udata:
		v->num = uleb(c);
		break;
	case DW_FORM_ref_addr: // an address in version 2
		v->num = fixed(c, u->version == 2 ? addrsize : offsize);
		break;
	case DW_FORM_sec_offset:
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		v->num = fixed(c, offsize);
		break;
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		break;
	case DW_FORM_string:
		v->text = string(c);
		break;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
		v->num = fixed(c, offsize);
		if (want && !c->bad)
			v->text = runtime_dwarfstring(m, form == DW_FORM_strp ? SEC_STR : SEC_LINESTR, v->num);
		break;
	case DW_FORM_block1:
		take(c, fixed(c, 1));
		break;
	case DW_FORM_block2:
		take(c, fixed(c, 2));
		break;
	case DW_FORM_block4:
		take(c, fixed(c, 4));
		break;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		take(c, uleb(c));
		break;
	default:
		c->bad = true;
	}
	return !c->bad;
}

// ---- .debug_info: what a unit's first entry says of it ----

// abbrevfind moves c to the attribute list of an abbreviation. False: not in our window.
static bool
abbrevfind(struct module *m, uint64_t off, uint64_t code, struct cur *c)
{
	size_t n = runtime_elfwindow(m, SEC_ABBREV, off, abbrevwindow, sizeof(abbrevwindow));
	*c = (struct cur){abbrevwindow, abbrevwindow + n, false};
	while (!c->bad) {
		uint64_t got = uleb(c);
		if (got == 0)
			return false;
		uleb(c);     // tag
		fixed(c, 1); // has children
		if (got == code)
			return !c->bad;
		uint64_t at, form;
		do {
			at = uleb(c);
			form = uleb(c);
			if (form == DW_FORM_implicit_const)
				sleb(c);
		} while ((at | form) != 0 && !c->bad);
	}
	return false;
}

// unitaddr is the address that v, of a form for addresses, stands for; 0: there is none.
uint64_t
runtime_unitaddr(struct module *m, const struct unit *u, const struct value *v)
{
	uint8_t b[8];
	if (v->form == 0 || v->form == DW_FORM_addr)
		return v->form == 0 ? 0 : v->num;
	uint64_t off = u->addrbase + v->num * 8;
	if (u->addrsize != 8 || v->num > UINT32_MAX ||
	    runtime_elfwindow(m, SEC_ADDR, off, b, sizeof(b)) != sizeof(b))
		return 0;
	struct cur c = {b, b + sizeof(b), false};
	return fixed(&c, 8);
}

// highaddr is the end of a range that starts at low: an address, or a distance.
uint64_t
runtime_highaddr(struct module *m, const struct unit *u, uint64_t low, const struct value *v)
{
	bool addr = v->form == DW_FORM_addr || v->form == DW_FORM_addrx ||
	    (v->form >= DW_FORM_addrx1 && v->form <= DW_FORM_addrx4);
	return addr ? runtime_unitaddr(m, u, v) : low + v->num;
}

// rootattr notes one attribute of a unit's first entry.
static void
rootattr(struct unit *u, uint64_t at, const struct value *v, struct value *low, struct value *high)
{
	switch (at) {
	case DW_AT_stmt_list:
		u->stmt = v->num;
		break;
	case DW_AT_comp_dir:
		u->compdir = v->text;
		break;
	case DW_AT_low_pc:
		*low = *v;
		break;
	case DW_AT_high_pc:
		*high = *v;
		break;
	case DW_AT_ranges:
		u->ranges = v->num;
		u->rangesform = v->form;
		break;
	case DW_AT_str_offsets_base:
		u->strbase = v->num;
		break;
	case DW_AT_addr_base:
		u->addrbase = v->num;
		break;
	case DW_AT_rnglists_base:
		u->rngbase = v->num;
		break;
	}
}

bool
runtime_parseunit(struct module *m, uint64_t off, struct unit *u)
{
	size_t n = runtime_elfwindow(m, SEC_INFO, off, diewindow, sizeof(diewindow));
	struct cur c = {diewindow, diewindow + n, false};
	*u = (struct unit){.off = off, .stmt = UINT64_MAX};
	uint64_t len = unitlength(&c, &u->offsize);
	u->next = off + (uint64_t)(c.p - diewindow) + len;
	if (c.bad || len == 0 || u->next <= off)
		return false;
	uint64_t type = DW_UT_compile;
	u->version = (unsigned)fixed(&c, 2);
	if (u->version >= 5) {
		type = fixed(&c, 1);
		u->addrsize = (unsigned)fixed(&c, 1);
		u->abbrev = fixed(&c, u->offsize);
	} else {
		u->abbrev = fixed(&c, u->offsize);
		u->addrsize = (unsigned)fixed(&c, 1);
	}
	if (u->version < 2 || u->version > 5 || (type != DW_UT_compile && type != DW_UT_partial))
		return true;
	u->die = off + (uint64_t)(c.p - diewindow);
	uint64_t code = uleb(&c);
	struct cur a;
	if (c.bad || code == 0 || !abbrevfind(m, u->abbrev, code, &a))
		return true;
	struct value v, low = {.form = 0}, high = {.form = 0};
	for (;;) {
		uint64_t at = uleb(&a), form = uleb(&a);
		if (form == DW_FORM_implicit_const)
			sleb(&a);
		if ((at | form) == 0 || a.bad)
			break;
		if (!runtime_formvalue(m, &c, form, u, at == DW_AT_comp_dir, &v))
			break;
		rootattr(u, at, &v, &low, &high);
	}
	// Only now are the bases known that an index is relative to.
	u->lowpc = runtime_unitaddr(m, u, &low);
	u->highpc = runtime_highaddr(m, u, u->lowpc, &high);
	return true;
}

bool
runtime_aranges(struct module *m, uint64_t vaddr, uint64_t *info)
{
	size_t size;
	const uint8_t *p = runtime_elfsection(m, SEC_ARANGES, &size);
	if (p == NULL)
		return false;
	struct cur c = {p, p + size, false};
	while (c.p < c.end) {
		const uint8_t *start = c.p;
		unsigned offsize;
		uint64_t len = unitlength(&c, &offsize);
		const uint8_t *body = take(&c, len);
		if (body == NULL || len == 0)
			return false;
		struct cur s = {body, body + len, false};
		uint64_t version = fixed(&s, 2), off = fixed(&s, offsize);
		uint64_t addrsize = fixed(&s, 1), segsize = fixed(&s, 1);
		if (version != 2 || addrsize != 8 || segsize != 0)
			continue;
		take(&s, -(uint64_t)(s.p - start) & 15); // pairs are aligned to their size
		while (!s.bad) {
			uint64_t lo = fixed(&s, 8), n = fixed(&s, 8);
			if (vaddr - lo < n && lo != 0) {
				*info = off;
				return !s.bad;
			}
		}
	}
	return false;
}

// ---- .debug_line ----

struct linehdr {
	unsigned version, offsize, addrsize;
	uint8_t minlen, linerange, opbase;
	int8_t linebase;
	const uint8_t *oplens; // operands of standard opcode i at [i - 1]
	struct unit form;      // what formvalue asks a unit for: the sizes
	struct cur tables;     // directories and files
	struct cur program;
};

// lineheader reads the unit at *c and moves *c behind it. False: cannot step over it. A unit that
// we do not understand has an empty program.
static bool
lineheader(struct cur *c, struct linehdr *h)
{
	uint64_t len = unitlength(c, &h->offsize);
	const uint8_t *body = take(c, len);
	h->program = (struct cur){NULL, NULL, false};
	if (body == NULL || len == 0)
		return false;
	struct cur u = {body, body + len, false};
	h->version = (unsigned)fixed(&u, 2);
	if (h->version < 2 || h->version > 5)
		return true;
	h->addrsize = 8;
	if (h->version >= 5) {
		h->addrsize = (unsigned)fixed(&u, 1);
		fixed(&u, 1);
	}
	uint64_t hlen = fixed(&u, h->offsize);
	if (u.bad || hlen > (uint64_t)(u.end - u.p))
		return true;
	const uint8_t *start = u.p + hlen;
	struct cur t = {u.p, start, false};
	h->minlen = (uint8_t)fixed(&t, 1);
	if (h->version >= 4)
		fixed(&t, 1); // operations per instruction: 1 on this machine
	fixed(&t, 1);
	h->linebase = (int8_t)fixed(&t, 1);
	h->linerange = (uint8_t)fixed(&t, 1);
	h->opbase = (uint8_t)fixed(&t, 1);
	if (h->linerange == 0 || h->opbase == 0)
		return true;
	h->oplens = take(&t, h->opbase - 1u);
	if (t.bad)
		return true;
	h->form = (struct unit){
	    .version = h->version, .offsize = h->offsize, .addrsize = h->addrsize};
	h->tables = t;
	h->program = (struct cur){start, u.end, false};
	return true;
}

struct linerow {
	uint64_t addr, file;
	uint64_t line; // signed in spirit; unsigned, so that a damaged program may overflow it
};

bool
runtime_growarray(void **a, size_t n, size_t *cap, size_t size, size_t limit)
{
	if (n < *cap)
		return true;
	size_t newcap = *cap == 0 ? 512 : *cap * 2;
	if (newcap > limit)
		return false;
	void *p = runtime_sysAlloc(alignup(newcap * size, PAGESIZE), &memstats.other_sys);
	if (p == NULL)
		return false;
	if (*cap != 0) {
		runtime_memmove(p, *a, n * size);
		runtime_sysFree(*a, alignup(*cap * size, PAGESIZE), &memstats.other_sys);
	}
	*a = p;
	*cap = newcap;
	return true;
}

static bool
addseq(struct module *m, uint64_t lo, uint64_t hi, uint64_t off)
{
	if (!runtime_growarray((void **)&m->seqs, m->nseqs, &m->seqcap, sizeof(*m->seqs), MAXSEQS))
		return false;
	m->seqs[m->nseqs++] = (struct lineseq){lo, hi, off};
	return true;
}

// runlines runs a line number program. With hit: until the row that covers target, true if there
// is one. Without: to the end, noting the sequences in m (false: no memory).
static bool
runlines(struct linehdr *h, uint64_t target, struct linerow *hit, struct module *m, uint64_t off)
{
	struct cur c = h->program;
	struct linerow row = {0, 1, 1}, prev = {0, 0, 0}, last = {0, 0, 0};
	uint64_t lo = 0;
	bool inseq = false; // a row of this sequence has been seen: prev is one, lo is the first
	while (c.p < c.end) {
		uint8_t op = *c.p++;
		bool emit = false, end = false;
		if (op >= h->opbase) {
			unsigned adj = op - h->opbase;
			row.addr += (uint64_t)(adj / h->linerange) * h->minlen;
			row.line += (uint64_t)(int64_t)(h->linebase + (int)(adj % h->linerange));
			emit = true;
		} else if (op == 0) {
			uint64_t len = uleb(&c);
			const uint8_t *body = take(&c, len);
			if (body == NULL || len == 0)
				continue;
			struct cur e = {body + 1, body + len, false};
			if (body[0] == 1)
				emit = end = true;
			else if (body[0] == 2)
				row.addr = fixed(&e, len - 1 > 8 ? 8 : (unsigned)(len - 1));
		} else if (op == 1) {
			emit = true;
		} else if (op == 2) {
			row.addr += uleb(&c) * h->minlen;
		} else if (op == 3) {
			row.line += (uint64_t)sleb(&c);
		} else if (op == 4) {
			row.file = uleb(&c);
		} else if (op == 8) {
			row.addr += (uint64_t)((255u - h->opbase) / h->linerange) * h->minlen;
		} else if (op == 9) {
			row.addr += fixed(&c, 2);
		} else {
			for (unsigned n = h->oplens[op - 1]; n > 0; n--)
				uleb(&c);
		}
		if (!emit)
			continue;
		if (!inseq) {
			lo = row.addr;
			last.line = 0;
		} else if (hit != NULL && target >= prev.addr && target < row.addr && lo != 0) {
			// Line 0 marks code that belongs to no line: the line before it says more.
			*hit = prev.line != 0 || last.line == 0 ? prev : last;
			return true;
		}
		if (!end) {
			if (inseq && prev.line != 0)
				last = prev;
			prev = row;
			inseq = true;
			continue;
		}
		// A sequence at 0 is a function that the linker threw away.
		if (hit == NULL && inseq && lo != 0 && lo < row.addr &&
		    !addseq(m, lo, row.addr, off))
			return false;
		row = (struct linerow){0, 1, 1};
		inseq = false;
	}
	return hit == NULL;
}

static void
buildindex(struct module *m)
{
	size_t size;
	const uint8_t *p = runtime_elfsection(m, SEC_LINE, &size);
	m->indexed = 2;
	if (p == NULL)
		return;
	struct cur c = {p, p + size, false};
	while (c.p < c.end) {
		uint64_t off = (uint64_t)(c.p - p);
		struct linehdr h;
		if (!lineheader(&c, &h) || !runlines(&h, 0, NULL, m, off))
			return;
	}
	m->indexed = 1;
}

// ---- File names ----

// v5entry reads one entry of a version 5 directory or file table; nfmt pairs are at fmt. fmt is
// a copy of the caller's cursor, so each entry reads the pairs anew.
static bool
v5entry(struct module *m, struct linehdr *h, struct cur *t, struct cur fmt, unsigned nfmt,
    bool want, const char **name, uint64_t *dir)
{
	*name = NULL;
	*dir = 0;
	for (unsigned i = 0; i < nfmt; i++) {
		uint64_t type = uleb(&fmt), form = uleb(&fmt);
		struct value v;
		// A form without bytes would let a damaged count loop for ever.
		if (form == DW_FORM_flag_present || form == DW_FORM_implicit_const ||
		    !runtime_formvalue(m, t, form, &h->form, want && type == DW_LNCT_path, &v))
			return false;
		if (type == DW_LNCT_path)
			*name = v.text;
		else if (type == DW_LNCT_directory_index)
			*dir = v.num;
	}
	return true;
}

// v5table finds entry number want in the table at *t; *t moves behind the table when want is not
// in it. *first gets entry 0, if the caller asks for that.
static bool
v5table(struct module *m, struct linehdr *h, struct cur *t, uint64_t want, const char **first,
    const char **name, uint64_t *dir)
{
	unsigned nfmt = (unsigned)fixed(t, 1);
	struct cur fmt = *t;
	for (unsigned i = 0; i < 2 * nfmt; i++)
		uleb(t);
	uint64_t n = uleb(t);
	const char *got = NULL;
	uint64_t gotdir = 0;
	bool found = false;
	if (t->bad || (nfmt == 0 && n != 0))
		return false;
	for (uint64_t i = 0; i < n; i++) {
		const char *s;
		uint64_t d;
		bool isfirst = first != NULL && i == 0;
		if (!v5entry(m, h, t, fmt, nfmt, i == want || isfirst, &s, &d))
			return false;
		if (isfirst)
			*first = s;
		if (i == want) {
			got = s;
			gotdir = d;
			found = true;
		}
	}
	*name = got;
	*dir = gotdir;
	return found;
}

static const char *
v5filename(struct module *m, struct linehdr *h, uint64_t file)
{
	struct cur t = h->tables;
	const char *name, *dir, *compdir = NULL;
	uint64_t d, unused;
	// The files are behind the directories, whose number of interest they tell: two passes.
	v5table(m, h, &t, UINT64_MAX, &compdir, &name, &unused);
	if (t.bad || !v5table(m, h, &t, file, NULL, &name, &d) || name == NULL || name[0] == 0)
		return NULL;
	if (name[0] == '/')
		return runtime_symintern(name, NULL, NULL);
	t = h->tables;
	if (!v5table(m, h, &t, d, NULL, &dir, &unused) || dir == NULL)
		dir = "";
	if (d == 0 || dir[0] == '/')
		return runtime_symintern(dir, name, NULL);
	return runtime_symintern(compdir, dir, name);
}

// compdirof finds the directory of the unit whose line program is at stmt.
static const char *
compdirof(struct module *m, uint64_t stmt)
{
	uint64_t off = 0;
	struct unit u;
	for (int i = 0; i < MAXUNITS && runtime_parseunit(m, off, &u); i++) {
		if (u.stmt == stmt)
			return u.compdir;
		off = u.next;
	}
	return NULL;
}

static const char *
v2filename(struct module *m, struct linehdr *h, uint64_t file, uint64_t stmt, const struct unit *u)
{
	struct cur t = h->tables;
	const char *name = NULL, *dir = "";
	uint64_t d = 0;
	for (;;) {
		const char *s = string(&t);
		if (t.bad)
			return NULL;
		if (s[0] == 0)
			break;
	}
	for (uint64_t i = 1; i <= file; i++) {
		name = string(&t);
		d = uleb(&t);
		uleb(&t);
		uleb(&t);
		if (t.bad || name[0] == 0)
			return NULL;
	}
	if (name == NULL)
		return NULL;
	if (name[0] == '/')
		return runtime_symintern(name, NULL, NULL);
	t = h->tables;
	for (uint64_t i = 1; i <= d; i++) {
		dir = string(&t);
		if (t.bad || dir[0] == 0)
			return NULL;
	}
	if (dir[0] == '/')
		return runtime_symintern(dir, name, NULL);
	const char *compdir = u != NULL ? u->compdir : compdirof(m, stmt);
	return runtime_symintern(compdir, dir, name);
}

const char *
runtime_linefile(struct module *m, const struct unit *u, uint64_t n)
{
	size_t size;
	const uint8_t *p = runtime_elfsection(m, SEC_LINE, &size);
	struct linehdr h;
	if (p == NULL || u->stmt >= size)
		return NULL;
	struct cur c = {p + u->stmt, p + size, false};
	if (!lineheader(&c, &h) || h.program.p == NULL)
		return NULL;
	return h.version >= 5 ? v5filename(m, &h, n) : v2filename(m, &h, n, u->stmt, u);
}

// lineat looks vaddr up in the line program at stmt; u is its unit, if that is known.
static bool
lineat(struct module *m, uint64_t stmt, uint64_t vaddr, const struct unit *u, const char **file,
    int32_t *line)
{
	size_t size;
	const uint8_t *p = runtime_elfsection(m, SEC_LINE, &size);
	struct linehdr h;
	struct linerow row;
	if (p == NULL || stmt >= size)
		return false;
	struct cur c = {p + stmt, p + size, false};
	if (!lineheader(&c, &h) || !runlines(&h, vaddr, &row, NULL, 0))
		return false;
	if (row.line == 0 || row.line > INT32_MAX)
		return false;
	if (h.version >= 5)
		*file = v5filename(m, &h, row.file);
	else
		*file = v2filename(m, &h, row.file, stmt, u);
	*line = (int32_t)row.line;
	return *file != NULL;
}

// dwarfline finds file and line of an address as the ELF file counts it.
bool
runtime_dwarfline(struct module *m, uint64_t vaddr, const char **file, int32_t *line)
{
	uint64_t info;
	struct unit u;
	if (m->sec[SEC_LINE].size == 0)
		return false;
	if (runtime_aranges(m, vaddr, &info) && runtime_parseunit(m, info, &u) && u.stmt != UINT64_MAX &&
	    lineat(m, u.stmt, vaddr, &u, file, line))
		return true;
	if (m->indexed == 0)
		buildindex(m);
	// Sequences overlap in damaged files only: two tries, or the time would not be bounded.
	int tries = 2;
	for (size_t i = 0; i < m->nseqs && tries > 0; i++) {
		if (vaddr < m->seqs[i].lo || vaddr >= m->seqs[i].hi)
			continue;
		if (lineat(m, m->seqs[i].off, vaddr, NULL, file, line))
			return true;
		tries--;
	}
	return false;
}
