// SPDX-License-Identifier: BSD-3-Clause
// symtab.h: what symtab.c, elf.c, dwarf.c, inline.c and traceback.c share; nobody else includes it.
#ifndef RT0_SYMTAB_H
#define RT0_SYMTAB_H

#include "../runtime.h"

#pragma GCC visibility push(hidden)

// The sections that we read. The first five are read whole, at first use; of the others only
// windows are read, since they are the big ones.
enum sectionid {
	SEC_SYM, // .symtab, else .dynsym
	SEC_SYMSTR,
	SEC_LINE,
	SEC_LINESTR,
	SEC_ARANGES,
	SEC_INFO,
	SEC_ABBREV,
	SEC_STR,
	SEC_STROFF,
	SEC_ADDR,
	SEC_RANGES,
	SEC_RNGLISTS,
	NSEC,
};

struct elfsection {
	uint64_t off, size; // in the file; size 0: the file has none that we can use
	const uint8_t *p;   // read whole
};

struct elfload {
	uint64_t off, filesz, vaddr;
};

// One sequence of a line number program: addresses [lo, hi) come from the unit at off.
struct lineseq {
	uint64_t lo, hi, off;
};

// Addresses [lo, hi) belong to the unit of .debug_info at off.
struct unitrange {
	uint64_t lo, hi, off;
};

// struct module is one ELF file that is mapped into the process. All of it: symlock.
struct module {
	const char *path;
	uint64_t dev, ino, size, mtime; // what the file was when it was first opened
	int fd;                         // open for the length of one lookup, else -1
	bool exe;                       // reached through /proc/self/exe: path leads elsewhere now
	bool usable;                    // the headers were good and match what is in memory
	uint8_t indexed;                // 1: seqs is complete; 2: it is not, and never will be
	uint32_t nload;
	struct elfload load[12];
	struct elfsection sec[NSEC];
	struct lineseq *seqs;
	size_t nseqs, seqcap;
	uint32_t serial;   // differs for each file that has been opened (inline.c)
	uint8_t unitindex; // 1: units is complete; 2: it is not, and never will be
	struct unitrange *units;
	size_t nunits, unitcap;
};

// ---- symtab.c ----
// pcmodule says which file pc was loaded from, and where in it: the address that addr2line wants.
enum { PC_UNKNOWN = -1, PC_NOTCODE = 0, PC_CODE = 1 };
int runtime_pcmodule(uintptr_t pc, const char **path, uintptr_t *off);

// ---- elf.c ----
enum { NR_read = 0, NR_open = 2, NR_close = 3 };
enum { O_RDONLY_SAFE = 02000000 | 04000 | 0400 }; // O_CLOEXEC, O_NONBLOCK (a fifo), O_NOCTTY
long runtime_sysretry(long nr, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);
// openfile and readheaders are the two steps of modload; a mapping at 0 is compared with nothing.
bool runtime_openfile(struct module *m, const char *path);
bool runtime_readheaders(struct module *m, uintptr_t base, size_t len);
// modload fills m for m->path, whose first len bytes are mapped at base.
void runtime_modload(struct module *m, uintptr_t base, size_t len);
void runtime_modclose(struct module *m);
const uint8_t *runtime_elfsection(struct module *m, enum sectionid s, size_t *size);
// elfwindow reads up to n bytes from off on in s; the result is how many.
size_t runtime_elfwindow(struct module *m, enum sectionid s, uint64_t off, void *to, size_t n);
// ---- symtab.c ----
// symintern returns a copy of a, b and c joined by slashes (empty ones left out); equal texts
// give the same copy. NULL: no memory.
const char *runtime_symintern(const char *a, const char *b, const char *c);

// ---- dwarf.c ----
bool runtime_dwarfline(struct module *m, uint64_t vaddr, const char **file, int32_t *line);

#pragma GCC visibility pop
#endif
