// SPDX-License-Identifier: BSD-3-Clause
// elf.c: the ELF64 relocatable object.
//
// Sections: .text; .rodata; .data.rel.ro for read-only data that holds addresses, so that no
// relocation ever touches a page that is shared; .data; .bss; .tdata; .tbss. What the file defines
// is referred to by its section and not by its name: it cannot be replaced at load time, and a
// shared object needs no slot for it. Symbols that another file may define as well (DUPOK) are weak
// and hidden; with -hidden all are but those with EXPORT. The file is written only when everything
// is known to be right.
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asm.h"

static const struct {
	const char *name;
	uint32_t type;
	uint64_t flags;
} sections[NSECTIONS] = {
    {"", 0, 0},
    {".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR},
    {".rodata", SHT_PROGBITS, SHF_ALLOC},
    {".data.rel.ro", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE},
    {".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE},
    {".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE},
    {".tdata", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS},
    {".tbss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS},
};

static uint64_t size[NSECTIONS], align[NSECTIONS];
static uint32_t secsym[NSECTIONS]; // the symbol of each section

// ---- names ----
// sym_cname is the name in the object: Go's, or with -c one that C can say.
const char *
sym_cname(const struct sym *s)
{
	static char buf[MAXTOKEN + 32];
	const char *n = s->name->text;
	if (n[0] == '.')
		n++; // ·f without a package
	snprintf(buf, sizeof buf - 16, "%s", n);
	// What prologues call has one name, whatever the others are.
	bool fixed =
	    strcmp(n, "runtime.morestack") == 0 || strcmp(n, "runtime.morestack_noctxt") == 0;
	if (A.opt.cnames && !fixed)
		for (char *p = buf; *p; p++)
			if (*p == '.' || *p == '/')
				*p = '_';
	// The name is C's where there is a trampoline for C.
	struct name *other = s->text || s->global ? intern(buf, strlen(buf)) : s->name;
	if (other != s->name && other->stubbed)
		strcat(buf, ".abi0");
	if (s->abi == ABIINTERNAL)
		strcat(buf, ".abiinternal");
	return buf;
}

static bool
defined(const struct sym *s)
{
	return s->text || s->global;
}

// ---- where data goes ----
bool
place_data(void)
{
	int errors = A.errors;
	memset(size, 0, sizeof size);
	memset(align, 0, sizeof align);
	for (struct sym *s = A.syms; s; s = s->next) {
		A.file = s->file;
		A.lineno = s->line;
		if (s->first && !s->global && !s->text) {
			error("DATA for %s, and no GLOBL", s->name->text);
			continue;
		}
		if (s->first && s->text) {
			error("DATA for the function %s", s->name->text);
			continue;
		}
		if (!s->global)
			continue;
		if (s->dataend > s->size) {
			error("DATA for %s ends at %lld, behind its size %lld", s->name->text,
			    (long long)s->dataend, (long long)s->size);
			continue;
		}
		int sec = s->flags & TLSBSS ? (s->first ? SEC_TDATA : SEC_TBSS)
		    : s->flags & RODATA     ? (s->hasaddr ? SEC_RELRO : SEC_RODATA)
		    : s->first              ? SEC_DATA
					    : SEC_BSS;
		uint64_t a = s->size >= 32 ? 32
		    : s->size >= 16        ? 16
		    : s->size >= 8         ? 8
		    : s->size >= 4         ? 4
		    : s->size >= 2         ? 2
					   : 1;
		size[sec] = (size[sec] + a - 1) & ~(a - 1);
		s->section = (uint8_t)sec;
		s->addr = size[sec];
		size[sec] += (uint64_t)s->size;
		if (a > align[sec])
			align[sec] = a;
		bool nobits = sections[sec].type == SHT_NOBITS;
		if (size[sec] > MAXSECTION && (!nobits || size[sec] > (uint64_t)MAXSECTION << 8))
			fatal("%s: section %s is too large", s->name->text, sections[sec].name);
	}
	size[SEC_TEXT] = A.text.n;
	align[SEC_TEXT] = (uint64_t)A.textalign;
	return A.errors == errors;
}

// ---- the file ----
struct out {
	struct buf symtab, strtab, shstrtab, rela[NSECTIONS], ehrela, dw[NDW], dwrela[NDW];
	Elf64_Shdr sh[40];
	int nsh;
	FILE *f;
	uint64_t at;
	uint32_t nsyms, nlocals;
	struct sym *tls;
	struct dw_reloc *dwrels;
	size_t ndwrels;
};

static uint32_t
addsym(struct out *o, const char *name, int bind, int type, int vis, int shndx, uint64_t value,
    uint64_t len)
{
	Elf64_Sym e = {0};
	if (name[0]) {
		e.st_name = (uint32_t)o->strtab.n;
		buf_put(&o->strtab, name, strlen(name) + 1);
	}
	e.st_info = (uint8_t)ELF64_ST_INFO(bind, type);
	e.st_other = (uint8_t)vis;
	e.st_shndx = (uint16_t)shndx;
	e.st_value = value;
	e.st_size = len;
	buf_put(&o->symtab, &e, sizeof e);
	return o->nsyms++;
}

static int
symtype(const struct sym *s)
{
	return s->section == SEC_TEXT ? STT_FUNC : s->section >= SEC_TDATA ? STT_TLS : STT_OBJECT;
}

// symbols makes .symtab: sections, then local symbols, then global ones that are defined or needed.
static void
symbols(struct out *o, bool debug)
{
	buf_byte(&o->strtab, 0);
	addsym(o, "", 0, 0, 0, 0, 0, 0);
	if (A.rows)
		addsym(o, A.rows[0].file, STB_LOCAL, STT_FILE, 0, SHN_ABS, 0, 0);
	for (int k = 1; k < NSECTIONS; k++)
		secsym[k] = addsym(o, "", STB_LOCAL, STT_SECTION, 0, k, 0, 0);
	for (int i = 0; i < NDW; i++) // write_all says which sections these are
		addsym(o, "", STB_LOCAL, debug ? STT_SECTION : STT_NOTYPE, 0, SHN_UNDEF, 0, 0);
	for (struct sym *s = A.syms; s; s = s->next) {
		bool constant = s->name->text[0] == '$'; // of sym_float
		if (defined(s) && (s->abi == STATIC || constant) && !s->entry)
			s->index = addsym(o, sym_cname(s), STB_LOCAL, symtype(s), 0, s->section,
			    s->addr, (uint64_t)s->size);
	}
	o->nlocals = o->nsyms;
	for (struct sym *s = A.syms; s; s = s->next) {
		if (s->abi == STATIC || s->name->text[0] == '$')
			continue;
		if (defined(s)) {
			bool weak = s->flags & DUPOK;
			bool hidden = weak || (A.opt.hidden && !(s->flags & EXPORT));
			s->index = addsym(o, sym_cname(s), weak ? STB_WEAK : STB_GLOBAL, symtype(s),
			    hidden ? STV_HIDDEN : STV_DEFAULT, s->section, s->addr,
			    (uint64_t)s->size);
		} else if (s->here) { // somebody refers to it
			const char *name =
			    s == o->tls && A.opt.tlsname ? A.opt.tlsname : sym_cname(s);
			bool hidden = A.opt.hidden && s != o->tls;
			s->index = addsym(o, name, STB_GLOBAL, s == o->tls ? STT_TLS : STT_NOTYPE,
			    hidden ? STV_HIDDEN : STV_DEFAULT, SHN_UNDEF, 0, 0);
		}
	}
}

// mark notes which symbols relocations need; an undefined static symbol is an error.
static void
mark(struct out *o, struct reloc *r, uint32_t n)
{
	for (; n > 0; n--, r++) {
		if (!r->sym && (r->type == REL_TPOFF || r->type == REL_GOTTPOFF)) {
			if (!o->tls)
				o->tls = sym_named("runtime.tlsg", ABI0);
			r->sym = o->tls;
		}
		if (!r->sym)
			continue;
		r->sym->here = true;
		if (r->sym->abi == STATIC && !defined(r->sym)) {
			A.file = r->sym->file;
			A.lineno = r->sym->line;
			error("undefined static symbol %s<>", r->sym->name->text);
			r->sym->global = true; // once
		}
	}
}

static void
addrela(struct buf *b, uint64_t off, uint32_t sym, uint32_t type, int64_t add)
{
	Elf64_Rela e = {off, ELF64_R_INFO(sym, type), add};
	buf_put(b, &e, sizeof e);
}

static void
rela(struct buf *b, const struct reloc *r, uint64_t base)
{
	static const uint8_t types[] = {R_X86_64_64, R_X86_64_32S, R_X86_64_PLT32, R_X86_64_PC32,
	    R_X86_64_REX_GOTPCRELX, R_X86_64_TPOFF32, R_X86_64_GOTTPOFF};
	int64_t add = r->add;
	uint32_t sym = r->sym ? r->sym->index : 0, type = types[r->type];
	bool pcrel = r->type != REL_ABS64 && r->type != REL_ABS32S && r->type != REL_TPOFF;
	if (pcrel)
		add -= 4;
	bool local = r->sym && defined(r->sym) && !(r->sym->flags & DUPOK && r->sym->abi != STATIC);
	if (local && r->type != REL_GOT && r->sym->section < SEC_TDATA) {
		sym = secsym[r->sym->section];
		add += (int64_t)r->sym->addr;
		if (r->type == REL_CALL)
			type = R_X86_64_PC32;
	}
	if (r->type == REL_CALL && !r->sym)
		type = R_X86_64_PC32;
	addrela(b, base + r->off, sym, type, add);
}

static void
relocations(struct out *o)
{
	for (uint32_t i = 0; i < A.ntextrels; i++)
		rela(&o->rela[SEC_TEXT], &A.textrels[i], 0);
	for (const struct sym *s = A.syms; s; s = s->next)
		if (s->global)
			for (uint32_t i = 0; i < s->nrels; i++)
				rela(&o->rela[s->section], &s->rels[i], s->addr);
	for (uint32_t i = 0; i < A.nehrels; i++)
		addrela(
		    &o->ehrela, A.ehrels[i].off, secsym[SEC_TEXT], R_X86_64_PC32, A.ehrels[i].add);
}

static void
zeros(struct out *o, uint64_t n)
{
	static const char zero[4096];
	o->at += n;
	for (; n > sizeof zero; n -= sizeof zero)
		fwrite(zero, 1, sizeof zero, o->f);
	fwrite(zero, 1, n, o->f);
}

static void
bytes(struct out *o, const void *p, uint64_t n)
{
	if (n)
		fwrite(p, 1, n, o->f);
	o->at += n;
}

static Elf64_Shdr *
header(struct out *o, const char *name, uint32_t type, uint64_t flags, uint64_t alignment)
{
	Elf64_Shdr *h = &o->sh[o->nsh++];
	h->sh_name = (uint32_t)o->shstrtab.n;
	buf_put(&o->shstrtab, name, strlen(name) + 1);
	h->sh_type = type;
	h->sh_flags = flags;
	h->sh_addralign = alignment ? alignment : 1;
	if (type != SHT_NOBITS)
		zeros(o, -o->at & (h->sh_addralign - 1));
	h->sh_offset = o->at;
	return h;
}

static Elf64_Shdr *
section(struct out *o, const char *name, uint32_t type, uint64_t flags, uint64_t alignment,
    const struct buf *b)
{
	Elf64_Shdr *h = header(o, name, type, flags, alignment);
	h->sh_size = b->n;
	bytes(o, b->p, b->n);
	return h;
}

// datasection writes the symbols of a section, in the order in which they were placed.
static void
datasection(struct out *o, int k)
{
	uint64_t start = o->at;
	for (const struct sym *s = A.syms; s; s = s->next) {
		if (s->section != k || !s->global)
			continue;
		for (const struct piece *p = s->first; p; p = p->next) {
			zeros(o, start + s->addr + (uint64_t)p->off - o->at);
			bytes(o, p->bytes, p->len);
		}
	}
	zeros(o, start + size[k] - o->at);
}

static void
relasection(struct out *o, const char *of, const struct buf *b, int target)
{
	char name[32];
	if (b->n == 0)
		return;
	snprintf(name, sizeof name, ".rela%s", of);
	Elf64_Shdr *h = section(o, name, SHT_RELA, SHF_INFO_LINK, 8, b);
	h->sh_info = (uint32_t)target;
	h->sh_entsize = sizeof(Elf64_Rela);
	h->sh_link = UINT32_MAX; // .symtab, as soon as it is there
}

static void
debugsections(struct out *o)
{
	static const char *const names[NDW] = {".debug_line", ".debug_info", ".debug_abbrev"};
	int index[NDW];
	uint32_t syms[NDW];
	dwarf(o->dw, &o->dwrels, &o->ndwrels);
	// Their symbols were made by symbols(): behind the others of sections, in this order.
	for (int i = 0; i < NDW; i++)
		syms[i] = secsym[NSECTIONS - 1] + 1 + (uint32_t)i;
	for (size_t i = 0; i < o->ndwrels; i++) {
		const struct dw_reloc *r = &o->dwrels[i];
		bool code = r->target < 0;
		addrela(&o->dwrela[r->section], r->off, code ? secsym[SEC_TEXT] : syms[r->target],
		    code ? R_X86_64_64 : R_X86_64_32, r->add);
	}
	for (int i = 0; i < NDW; i++) {
		index[i] = o->nsh;
		section(o, names[i], SHT_PROGBITS, 0, 1, &o->dw[i]);
	}
	for (int i = 0; i < NDW; i++)
		relasection(o, names[i], &o->dwrela[i], index[i]);
}

static void
write_all(struct out *o, bool debug)
{
	Elf64_Ehdr e = {0};
	bytes(o, &e, sizeof e);
	o->nsh = 1;
	buf_byte(&o->shstrtab, 0);
	for (int k = 1; k < NSECTIONS; k++) {
		Elf64_Shdr *h =
		    header(o, sections[k].name, sections[k].type, sections[k].flags, align[k]);
		h->sh_size = size[k];
		if (k == SEC_TEXT)
			bytes(o, A.text.p, A.text.n);
		else if (sections[k].type == SHT_PROGBITS)
			datasection(o, k);
	}
	for (int k = 1; k < NSECTIONS; k++)
		relasection(o, sections[k].name, &o->rela[k], k);
	if (A.ehframe.n) {
		int eh = o->nsh;
		section(o, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, 8, &A.ehframe);
		relasection(o, ".eh_frame", &o->ehrela, eh);
	}
	if (debug)
		debugsections(o);
	// The debug sections' symbols could not know their section before.
	Elf64_Sym *sym = (Elf64_Sym *)(void *)o->symtab.p;
	for (int i = 0, k = 1; debug && k < o->nsh && i < NDW; k++)
		if (strncmp((char *)o->shstrtab.p + o->sh[k].sh_name, ".debug", 6) == 0)
			sym[secsym[NSECTIONS - 1] + 1 + (uint32_t)i++].st_shndx = (uint16_t)k;
	int symtab = o->nsh;
	Elf64_Shdr *h = section(o, ".symtab", SHT_SYMTAB, 0, 8, &o->symtab);
	h->sh_link = (uint32_t)symtab + 1;
	h->sh_info = o->nlocals;
	h->sh_entsize = sizeof(Elf64_Sym);
	section(o, ".strtab", SHT_STRTAB, 0, 1, &o->strtab);
	header(o, ".note.GNU-stack", SHT_PROGBITS, 0, 1);
	h = header(o, ".shstrtab", SHT_STRTAB, 0, 1);
	h->sh_size = o->shstrtab.n;
	bytes(o, o->shstrtab.p, o->shstrtab.n);
	for (int k = 1; k < o->nsh; k++)
		if (o->sh[k].sh_link == UINT32_MAX)
			o->sh[k].sh_link = (uint32_t)symtab;
	zeros(o, -o->at & 7);
	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	e.e_ident[EI_DATA] = ELFDATA2LSB;
	e.e_ident[EI_VERSION] = EV_CURRENT;
	e.e_type = ET_REL;
	e.e_machine = EM_X86_64;
	e.e_version = EV_CURRENT;
	e.e_shoff = o->at;
	e.e_ehsize = sizeof e;
	e.e_shentsize = sizeof(Elf64_Shdr);
	e.e_shnum = (uint16_t)o->nsh;
	e.e_shstrndx = (uint16_t)(o->nsh - 1);
	bytes(o, o->sh, (uint64_t)o->nsh * sizeof o->sh[0]);
	rewind(o->f);
	fwrite(&e, 1, sizeof e, o->f);
}

static void
release(struct out *o)
{
	buf_free(&o->symtab);
	buf_free(&o->strtab);
	buf_free(&o->shstrtab);
	buf_free(&o->ehrela);
	for (int i = 0; i < NSECTIONS; i++)
		buf_free(&o->rela[i]);
	for (int i = 0; i < NDW; i++) {
		buf_free(&o->dw[i]);
		buf_free(&o->dwrela[i]);
	}
	free(o->dwrels);
}

// elf_write writes the object to path, or, if path is NULL, only makes sure that it could be
// written.
bool
elf_write(const char *path)
{
	struct out o = {0};
	int errors = A.errors;
	bool debug = !A.opt.nodebug && A.text.n > 0;
	for (struct sym *s = A.syms; s; s = s->next)
		s->here = false;
	mark(&o, A.textrels, A.ntextrels);
	for (struct sym *s = A.syms; s; s = s->next)
		if (s->global)
			mark(&o, s->rels, s->nrels);
	if (A.errors != errors || !path)
		return A.errors == errors;
	o.f = fopen(path, "wb");
	if (!o.f) {
		A.file = path;
		A.lineno = 0;
		error("%s", strerror(errno));
		return false;
	}
	static char iobuf[1 << 16];
	setvbuf(o.f, iobuf, _IOFBF, sizeof iobuf);
	symbols(&o, debug);
	relocations(&o);
	write_all(&o, debug);
	bool ok = !ferror(o.f);
	ok &= fclose(o.f) == 0;
	release(&o);
	if (!ok) {
		A.file = path;
		A.lineno = 0;
		error("write: %s", strerror(errno));
	}
	return ok;
}
