// SPDX-License-Identifier: BSD-3-Clause
// dwarf.c: .debug_line, .debug_info and .debug_abbrev, DWARF 4.
//
// A debugger steps through the lines of the source and of what it includes, and knows the
// functions.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asm.h"

enum {
	DW_TAG_compile_unit = 0x11,
	DW_TAG_subprogram = 0x2e,
	DW_AT_name = 0x03,
	DW_AT_stmt_list = 0x10,
	DW_AT_low_pc = 0x11,
	DW_AT_high_pc = 0x12,
	DW_AT_language = 0x13,
	DW_AT_comp_dir = 0x1b,
	DW_AT_producer = 0x25,
	DW_AT_external = 0x3f,
	DW_AT_decl_file = 0x3a,
	DW_AT_decl_line = 0x3b,
	DW_AT_frame_base = 0x40,
	DW_FORM_addr = 0x01,
	DW_FORM_data2 = 0x05,
	DW_FORM_data8 = 0x07,
	DW_FORM_string = 0x08,
	DW_FORM_flag = 0x0c,
	DW_FORM_udata = 0x0f,
	DW_FORM_sec_offset = 0x17,
	DW_FORM_exprloc = 0x18,
	DW_OP_call_frame_cfa = 0x9c,
	DW_LANG_Mips_Assembler = 0x8001,
	DW_LNS_copy = 1,
	DW_LNS_advance_pc = 2,
	DW_LNS_advance_line = 3,
	DW_LNS_set_file = 4,
	DW_LNE_end_sequence = 1,
	DW_LNE_set_address = 2,
	LINE_BASE = -5,
	LINE_RANGE = 14,
	OPCODE_BASE = 13,
};

static struct dw_reloc *rels;
static size_t nrels, caprels;

static void
addrel(int section, size_t off, int target, int64_t add)
{
	if (nrels == caprels) {
		caprels = caprels ? 2 * caprels : 64;
		struct dw_reloc *v = realloc(rels, caprels * sizeof *v);
		if (!v)
			fatal("out of memory");
		rels = v;
	}
	rels[nrels++] = (struct dw_reloc){section, target, (uint32_t)off, add};
}

static void
string(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s) + 1);
}

// ---- files ----
static const char **files;
static size_t nfiles;

static size_t
fileindex(const char *name)
{
	for (size_t i = nfiles; i-- > 0;)
		if (files[i] == name || strcmp(files[i], name) == 0)
			return i + 1;
	const char **v = realloc(files, (nfiles + 1) * sizeof *v);
	if (!v)
		fatal("out of memory");
	files = v;
	files[nfiles++] = name;
	return nfiles;
}

// dirlen is the length of the directory in a file's name, without the slash; 0: there is none.
static size_t
dirlen(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash ? (size_t)(slash - name) + (slash == name) : 0;
}

// filetable writes directories and files, as compilers do: a name without a directory is in the
// compilation's, others are in theirs as they were given.
static void
filetable(struct buf *b)
{
	size_t ndirs = 0, *dir = calloc(nfiles + 1, sizeof *dir);
	if (!dir)
		fatal("out of memory");
	for (size_t i = 0; i < nfiles; i++) {
		size_t n = dirlen(files[i]), k = 0;
		if (n == 0)
			continue;
		while (k < i && (dirlen(files[k]) != n || memcmp(files[k], files[i], n) != 0))
			k++;
		if (k < i) {
			dir[i] = dir[k];
			continue;
		}
		dir[i] = ++ndirs;
		buf_put(b, files[i], n);
		buf_byte(b, 0);
	}
	buf_byte(b, 0);
	for (size_t i = 0; i < nfiles; i++) {
		const char *slash = strrchr(files[i], '/');
		string(b, slash ? slash + 1 : files[i]);
		buf_uleb(b, dir[i]);
		buf_put(b, "\0\0", 2);
	}
	buf_byte(b, 0);
	free(dir);
}

static void
setlen(struct buf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->n - at - 4);
	memcpy(b->p + at, &len, 4);
}

static void
lines(struct buf *b)
{
	static const uint8_t lengths[OPCODE_BASE - 1] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
	for (size_t i = 0; i < A.nrows; i++)
		if (i == 0 || A.rows[i].file != A.rows[i - 1].file)
			fileindex(A.rows[i].file);
	buf_le(b, 0, 4);
	buf_le(b, 4, 2);
	size_t header = b->n;
	buf_le(b, 0, 4);
	buf_byte(b, 1); // bytes of the shortest instruction
	buf_byte(b, 1); // operations of an instruction
	buf_byte(b, 1); // rows begin statements
	buf_byte(b, LINE_BASE);
	buf_byte(b, LINE_RANGE);
	buf_byte(b, OPCODE_BASE);
	buf_put(b, lengths, sizeof lengths);
	filetable(b);
	setlen(b, header);
	uint32_t pc = 0, line = 1;
	size_t file = 1;
	buf_byte(b, 0);
	buf_uleb(b, 9);
	buf_byte(b, DW_LNE_set_address);
	addrel(DW_LINE, b->n, -1, 0);
	buf_le(b, 0, 8);
	const char *lastfile = nfiles ? files[0] : NULL;
	for (size_t i = 0; i < A.nrows; i++) {
		const struct line_row *r = &A.rows[i];
		if (r->file != lastfile) {
			size_t f = fileindex(r->file);
			if (f != file) {
				buf_byte(b, DW_LNS_set_file);
				buf_uleb(b, f);
				file = f;
			}
			lastfile = r->file;
		}
		int64_t dline = (int64_t)r->line - line;
		uint32_t dpc = r->pc - pc;
		int64_t special = dline - LINE_BASE + (int64_t)LINE_RANGE * dpc + OPCODE_BASE;
		if (dline < LINE_BASE || dline >= LINE_BASE + LINE_RANGE || special > 255) {
			buf_byte(b, DW_LNS_advance_line);
			buf_sleb(b, dline);
			buf_byte(b, DW_LNS_advance_pc);
			buf_uleb(b, dpc);
			buf_byte(b, DW_LNS_copy);
		} else {
			buf_byte(b, (int)special);
		}
		line = r->line;
		pc = r->pc;
	}
	buf_byte(b, DW_LNS_advance_pc);
	buf_uleb(b, A.text.n - pc);
	buf_byte(b, 0);
	buf_uleb(b, 1);
	buf_byte(b, DW_LNE_end_sequence);
	setlen(b, 0);
}

static void
abbreviations(struct buf *b)
{
	static const uint16_t unit[] = {DW_AT_producer, DW_FORM_string, DW_AT_language,
	    DW_FORM_data2, DW_AT_name, DW_FORM_string, DW_AT_comp_dir, DW_FORM_string, DW_AT_low_pc,
	    DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8, DW_AT_stmt_list, DW_FORM_sec_offset, 0, 0};
	static const uint16_t function[] = {DW_AT_name, DW_FORM_string, DW_AT_low_pc, DW_FORM_addr,
	    DW_AT_high_pc, DW_FORM_data8, DW_AT_external, DW_FORM_flag, DW_AT_decl_file,
	    DW_FORM_udata, DW_AT_decl_line, DW_FORM_udata, DW_AT_frame_base, DW_FORM_exprloc, 0, 0};
	buf_uleb(b, 1);
	buf_uleb(b, DW_TAG_compile_unit);
	buf_byte(b, 1);
	for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++)
		buf_uleb(b, unit[i]);
	buf_uleb(b, 2);
	buf_uleb(b, DW_TAG_subprogram);
	buf_byte(b, 0);
	for (size_t i = 0; i < sizeof function / sizeof function[0]; i++)
		buf_uleb(b, function[i]);
	buf_byte(b, 0);
}

static void
information(struct buf *b)
{
	char dir[4096];
	if (!getcwd(dir, sizeof dir))
		dir[0] = 0;
	buf_le(b, 0, 4);
	buf_le(b, 4, 2);
	addrel(DW_INFO, b->n, DW_ABBREV, 0);
	buf_le(b, 0, 4);
	buf_byte(b, 8);
	buf_uleb(b, 1);
	string(b, "rt0 asm");
	buf_le(b, DW_LANG_Mips_Assembler, 2);
	string(b, nfiles ? files[0] : "");
	string(b, dir);
	addrel(DW_INFO, b->n, -1, 0);
	buf_le(b, 0, 8);
	buf_le(b, A.text.n, 8);
	addrel(DW_INFO, b->n, DW_LINE, 0);
	buf_le(b, 0, 4);
	for (const struct sym *s = A.syms; s; s = s->next) {
		if (!s->text || s->entry || s->section != SEC_TEXT)
			continue;
		buf_uleb(b, 2);
		string(b, sym_cname(s));
		addrel(DW_INFO, b->n, -1, (int64_t)s->addr);
		buf_le(b, 0, 8);
		buf_le(b, (uint64_t)s->size, 8);
		buf_byte(b, s->abi != STATIC);
		buf_uleb(b, fileindex(s->file) <= nfiles ? fileindex(s->file) : 1);
		buf_uleb(b, (uint64_t)s->line);
		buf_uleb(b, 1);
		buf_byte(b, DW_OP_call_frame_cfa);
	}
	buf_byte(b, 0);
	setlen(b, 0);
}

void
dwarf(struct buf out[NDW], struct dw_reloc **r, size_t *n)
{
	rels = NULL;
	nrels = caprels = 0;
	files = NULL;
	nfiles = 0;
	for (const struct sym *s = A.syms; s; s = s->next)
		if (s->text && s->file)
			fileindex(s->file);
	lines(&out[DW_LINE]);
	information(&out[DW_INFO]);
	abbreviations(&out[DW_ABBREV]);
	free(files);
	*r = rels;
	*n = nrels;
}
