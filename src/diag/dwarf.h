// SPDX-License-Identifier: BSD-3-Clause
// dwarf.h: DWARF's numbers, and the cursor that its readers (dwarf.c, inline.c) share.
//
// The cursor never leaves its bytes: what is read past the end is zero, and marks it bad. The
// numbers are those of the DWARF 5 standard, section 7; consecutive ones are counted.
#ifndef RT0_DWARF_H
#define RT0_DWARF_H

#include "symtab.h"

enum {
	DW_TAG_inlined_subroutine = 0x1d,
	DW_TAG_subprogram = 0x2e,
	DW_AT_sibling = 0x01,
	DW_AT_name = 0x03,
	DW_AT_stmt_list = 0x10,
	DW_AT_low_pc,
	DW_AT_high_pc,
	DW_AT_comp_dir = 0x1b,
	DW_AT_abstract_origin = 0x31,
	DW_AT_specification = 0x47,
	DW_AT_ranges = 0x55,
	DW_AT_call_file = 0x58,
	DW_AT_call_line,
	DW_AT_str_offsets_base = 0x72,
	DW_AT_addr_base,
	DW_AT_rnglists_base,
	DW_LNCT_path = 1,
	DW_LNCT_directory_index = 2,
	DW_UT_compile = 1,
	DW_UT_partial = 3,
	DW_FORM_addr = 0x01,
	DW_FORM_block2 = 0x03,
	DW_FORM_block4,
	DW_FORM_data2,
	DW_FORM_data4,
	DW_FORM_data8,
	DW_FORM_string,
	DW_FORM_block,
	DW_FORM_block1,
	DW_FORM_data1,
	DW_FORM_flag,
	DW_FORM_sdata,
	DW_FORM_strp,
	DW_FORM_udata,
	DW_FORM_ref_addr,
	DW_FORM_ref1,
	DW_FORM_ref2,
	DW_FORM_ref4,
	DW_FORM_ref8,
	DW_FORM_ref_udata,
	DW_FORM_indirect,
	DW_FORM_sec_offset,
	DW_FORM_exprloc,
	DW_FORM_flag_present,
	DW_FORM_strx,
	DW_FORM_addrx,
	DW_FORM_ref_sup4,
	DW_FORM_strp_sup,
	DW_FORM_data16,
	DW_FORM_line_strp,
	DW_FORM_ref_sig8,
	DW_FORM_implicit_const,
	DW_FORM_loclistx,
	DW_FORM_rnglistx,
	DW_FORM_ref_sup8,
	DW_FORM_strx1,
	DW_FORM_strx2,
	DW_FORM_strx3,
	DW_FORM_strx4,
	DW_FORM_addrx1,
	DW_FORM_addrx2,
	DW_FORM_addrx3,
	DW_FORM_addrx4,
	DW_FORM_GNU_ref_alt = 0x1f20,
	DW_FORM_GNU_strp_alt,
};

// ---- A cursor that cannot leave its bytes ----

struct cur {
	const uint8_t *p, *end;
	bool bad; // ran past the end: all that was read since is zero
};

static inline const uint8_t *
take(struct cur *c, uint64_t n)
{
	if (n > (uint64_t)(c->end - c->p)) {
		c->bad = true;
		c->p = c->end;
		return NULL;
	}
	const uint8_t *p = c->p;
	c->p += n;
	return p;
}

static inline uint64_t
fixed(struct cur *c, unsigned n)
{
	const uint8_t *p = take(c, n);
	uint64_t v = 0;
	if (p != NULL)
		for (unsigned i = 0; i < n && i < 8; i++)
			v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline uint64_t
uleb(struct cur *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; c->p < c->end; shift += 7) {
		uint8_t b = *c->p++;
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			return v;
	}
	c->bad = true;
	return 0;
}

static inline int64_t
sleb(struct cur *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	while (c->p < c->end) {
		uint8_t b = *c->p++;
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
		if ((b & 0x80) == 0) {
			if (shift < 64 && (b & 0x40) != 0)
				v |= ~0ull << shift;
			return (int64_t)v;
		}
	}
	c->bad = true;
	return 0;
}

static inline const char *
string(struct cur *c)
{
	const uint8_t *s = c->p;
	while (c->p < c->end)
		if (*c->p++ == 0)
			return (const char *)s;
	c->bad = true;
	return "";
}

// unitlength reads the length at the head of a unit; *offsize becomes 8 in 64-bit DWARF.
static inline uint64_t
unitlength(struct cur *c, unsigned *offsize)
{
	uint64_t n = fixed(c, 4);
	*offsize = 4;
	if (n == 0xffffffff) {
		n = fixed(c, 8);
		*offsize = 8;
	}
	return n;
}

#pragma GCC visibility push(hidden)

// A unit of .debug_info, as its header and its first entry tell.
struct unit {
	uint64_t off, next;     // offsets of the unit and of the one behind it
	uint64_t die, abbrev;   // offsets of its first entry and of its abbreviations
	unsigned version, offsize, addrsize;
	uint64_t stmt;          // offset in .debug_line; UINT64_MAX: none
	const char *compdir;    // NULL: not known. Lives in diewindow or for ever
	uint64_t lowpc, highpc; // low is also the base of its range lists
	uint64_t ranges;        // a range list, by form; form 0: none, [lowpc, highpc) it is
	uint64_t rangesform;
	uint64_t strbase, addrbase, rngbase;
};

// An attribute's value: text for strings that we can follow, num for constants and offsets.
struct value {
	const char *text;
	uint64_t num, form;
};

// ---- dwarf.c ----
// formvalue reads one value. False: a form that we do not know, so that its size is unknown too.
// want: follow string references (that may cost a read of the file).
bool runtime_formvalue(struct module *m, struct cur *c, uint64_t form, const struct unit *u,
    bool want, struct value *v);
// dwarfstring returns the string at off in a section: in place if the section is one that we have
// whole, else a copy. NULL: none there, or it does not end.
const char *runtime_dwarfstring(struct module *m, enum sectionid s, uint64_t off);
// parseunit reads the unit at off. False: there is no unit there that we can step over.
bool runtime_parseunit(struct module *m, uint64_t off, struct unit *u);
// aranges finds the unit that covers vaddr by .debug_aranges; the result is its offset.
bool runtime_aranges(struct module *m, uint64_t vaddr, uint64_t *info);
uint64_t runtime_unitaddr(struct module *m, const struct unit *u, const struct value *v);
uint64_t runtime_highaddr(struct module *m, const struct unit *u, uint64_t low, const struct value *v);
// linefile is the name of file number n of u's line program.
const char *runtime_linefile(struct module *m, const struct unit *u, uint64_t n);
// growarray makes room for one more element of size bytes. False: no memory, or at the limit.
bool runtime_growarray(void **a, size_t n, size_t *cap, size_t size, size_t limit);

// ---- inline.c ----
struct inlined {
	const char *name;     // of the function that was inlined
	const char *callfile; // where it was called
	int32_t callline;
};
// dwarfinline finds the functions that are inlined at vaddr, innermost first, at most max of the
// innermost. The result is how many.
int runtime_dwarfinline(struct module *m, uint64_t vaddr, struct inlined *out, int max);

#pragma GCC visibility pop
#endif
