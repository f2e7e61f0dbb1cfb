// SPDX-License-Identifier: BSD-3-Clause
// elf.c: opens the ELF files that the process is made of, and reads their headers and sections.
//
// A file is read with pread, not mapped: a mapping of a file that somebody truncates raises
// SIGBUS, and we are the crash handler. It is believed only if its headers and build id are
// those in memory, so a program that was rebuilt while it runs prints addresses, not nonsense.
// A descriptor stays open for the length of one lookup; each time the file must be the one that
// was opened first. Compressed sections are left alone.
// Caller of everything here: symtab.c, with symlock held.
#include "symtab.h"

enum {
	SECTIONMAX = 256 << 20, // bytes; larger sections are left alone
	SYS_fstat = 5,
	SYS_pread64 = 17,
	EINTR = 4,
};

// The ELF-64 structures, as the gABI has them; <elf.h> belongs to the libc.
struct ehdr {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct shdr {
	uint32_t name, type;
	uint64_t flags, addr, offset, size;
	uint32_t link, info;
	uint64_t addralign, entsize;
};
enum {
	PT_LOAD = 1,
	PT_NOTE = 4,
	SHT_SYMTAB = 2,
	SHT_NOBITS = 8,
	SHT_DYNSYM = 11,
	SHF_COMPRESSED = 0x800
};

struct kstat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev, size, blksize, blocks, atime, atimens, mtime, mtimens, ctime, ctimens;
	uint64_t unused[3];
};

static uint8_t scratch[4096], scratch2[4096]; // symlock

long
runtime_sysretry(long nr, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	long r;
	do
		r = runtime_sys(nr, (long)a, (long)b, (long)c, (long)d, 0, 0);
	while (r == -EINTR);
	return r;
}

static bool
preadall(int fd, void *to, size_t n, uint64_t off)
{
	for (uint8_t *p = to; n > 0;) {
		long r = runtime_sysretry(SYS_pread64, (uintptr_t)fd, (uintptr_t)p, n, off);
		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
		off += (uint64_t)r;
	}
	return true;
}

bool
runtime_openfile(struct module *m, const char *path)
{
	struct kstat st;
	long fd = runtime_sysretry(NR_open, (uintptr_t)path, O_RDONLY_SAFE, 0, 0);
	if (fd < 0)
		return false;
	// Not a regular file: reading it might block, or never end.
	if (runtime_sysretry(SYS_fstat, (uintptr_t)fd, (uintptr_t)&st, 0, 0) < 0 ||
	    (st.mode & 0170000) != 0100000) {
		runtime_sysretry(NR_close, (uintptr_t)fd, 0, 0, 0);
		return false;
	}
	if (m->size == 0) {
		m->dev = st.dev;
		m->ino = st.ino;
		m->size = st.size;
		m->mtime = st.mtime;
	}
	if (m->dev != st.dev || m->ino != st.ino || m->size != st.size || m->mtime != st.mtime) {
		runtime_sysretry(NR_close, (uintptr_t)fd, 0, 0, 0);
		return false;
	}
	m->fd = (int)fd;
	return true;
}

// modopen makes m->fd good for this lookup: runtime_modclose ends it.
static bool
modopen(struct module *m)
{
	return m->fd >= 0 || runtime_openfile(m, m->exe ? "/proc/self/exe" : m->path);
}

void
runtime_modclose(struct module *m)
{
	if (m != NULL && m->fd >= 0) {
		runtime_sysretry(NR_close, (uintptr_t)m->fd, 0, 0, 0);
		m->fd = -1;
	}
}

const uint8_t *
runtime_elfsection(struct module *m, enum sectionid s, size_t *size)
{
	struct elfsection *e = &m->sec[s];
	*size = e->size;
	if (e->p != NULL || e->size == 0)
		return e->p;
	uint8_t *p = NULL;
	if (e->size <= SECTIONMAX && modopen(m))
		p = runtime_sysAlloc(alignup(e->size, PAGESIZE), &memstats.other_sys);
	if (p != NULL && !preadall(m->fd, p, e->size, e->off)) {
		runtime_sysFree(p, alignup(e->size, PAGESIZE), &memstats.other_sys);
		p = NULL;
	}
	e->p = p;
	if (p == NULL)
		*size = e->size = 0;
	return p;
}

size_t
runtime_elfwindow(struct module *m, enum sectionid s, uint64_t off, void *to, size_t n)
{
	struct elfsection *e = &m->sec[s];
	if (off >= e->size || !modopen(m))
		return 0;
	if (n > e->size - off)
		n = e->size - off;
	return preadall(m->fd, to, n, e->off + off) ? n : 0;
}

static void
wantsection(struct module *m, const struct shdr *sh, enum sectionid s)
{
	if (sh->type == SHT_NOBITS || (sh->flags & SHF_COMPRESSED) != 0)
		return;
	if (sh->offset > m->size || sh->size > m->size - sh->offset)
		return;
	m->sec[s] = (struct elfsection){sh->offset, sh->size, NULL};
}

static void
readsections(struct module *m, const struct ehdr *eh)
{
	static const struct {
		const char *name;
		enum sectionid id;
	} wanted[] = {
	    {".debug_line", SEC_LINE},
	    {".debug_line_str", SEC_LINESTR},
	    {".debug_aranges", SEC_ARANGES},
	    {".debug_info", SEC_INFO},
	    {".debug_abbrev", SEC_ABBREV},
	    {".debug_str", SEC_STR},
	    {".debug_str_offsets", SEC_STROFF},
	    {".debug_addr", SEC_ADDR},
	    {".debug_ranges", SEC_RANGES},
	    {".debug_rnglists", SEC_RNGLISTS},
	};
	struct shdr sh;
	uint32_t symtype = 0, symlink = 0;
	if (eh->shentsize != sizeof(sh) || eh->shstrndx >= eh->shnum)
		return;
	if (!preadall(m->fd, &sh, sizeof(sh), eh->shoff + eh->shstrndx * sizeof(sh)))
		return;
	// Section names beyond the first 4 KiB are not looked at: ours come early in the file.
	size_t nstr = sh.size < sizeof(scratch2) - 1 ? sh.size : sizeof(scratch2) - 1;
	if (sh.type == SHT_NOBITS || !preadall(m->fd, scratch2, nstr, sh.offset))
		return;
	scratch2[nstr] = 0;
	enum { BATCH = sizeof(scratch) / sizeof(sh) };
	for (uint32_t i = 0; i < eh->shnum; i++) {
		if (i % BATCH == 0) {
			uint32_t n = eh->shnum - i < BATCH ? eh->shnum - i : BATCH;
			if (!preadall(m->fd, scratch, n * sizeof(sh), eh->shoff + i * sizeof(sh)))
				return;
		}
		runtime_memmove(&sh, scratch + i % BATCH * sizeof(sh), sizeof(sh));
		if (sh.type == SHT_SYMTAB || (sh.type == SHT_DYNSYM && symtype == 0)) {
			m->sec[SEC_SYM].size = 0;
			wantsection(m, &sh, SEC_SYM);
			symtype = sh.type;
			symlink = sh.link;
		}
		if (sh.name >= nstr)
			continue;
		for (size_t k = 0; k < NELEM(wanted); k++)
			if (runtime_strcmp((char *)scratch2 + sh.name, wanted[k].name) == 0)
				wantsection(m, &sh, wanted[k].id);
	}
	if (symtype != 0 && symlink < eh->shnum &&
	    preadall(m->fd, &sh, sizeof(sh), eh->shoff + symlink * sizeof(sh)))
		wantsection(m, &sh, SEC_SYMSTR);
}

// sameinmemory compares [off, off+n) of the file with memory, where the file begins at base.
// base 0: nothing to compare with (tests).
static bool
sameinmemory(struct module *m, uintptr_t base, uint64_t off, size_t n)
{
	static uint8_t file[1024], mem[1024]; // symlock
	if (n > sizeof(file))
		n = sizeof(file);
	if (base == 0)
		return true;
	if (!preadall(m->fd, file, n, off) || !runtime_saferead(mem, base + off, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (file[i] != mem[i])
			return false;
	return true;
}

// readheaders fills m from the open file. [base, base+len) is the mapping of the file's start.
bool
runtime_readheaders(struct module *m, uintptr_t base, size_t len)
{
	struct ehdr eh;
	struct phdr ph;
	static const uint8_t magic[6] = {0x7f, 'E', 'L', 'F', 2, 1}; // 64 bits, little endian
	if (!preadall(m->fd, &eh, sizeof(eh), 0) || !sameinmemory(m, base, 0, sizeof(eh)))
		return false;
	for (size_t i = 0; i < sizeof(magic); i++)
		if (eh.ident[i] != magic[i])
			return false;
	if (eh.machine != 62 || eh.phentsize != sizeof(ph))
		return false;
	static uint32_t serial; // symlock
	m->serial = ++serial;
	m->nload = 0;
	for (uint32_t i = 0; i < eh.phnum && i < 64; i++) {
		uint64_t off = eh.phoff + i * sizeof(ph);
		if (!preadall(m->fd, &ph, sizeof(ph), off))
			return false;
		if (off < len && !sameinmemory(m, base, off, sizeof(ph)))
			return false;
		if (ph.type == PT_NOTE && ph.offset < len && ph.filesz <= len - ph.offset &&
		    !sameinmemory(m, base, ph.offset, ph.filesz))
			return false;
		if (ph.type == PT_LOAD && m->nload < NELEM(m->load))
			m->load[m->nload++] = (struct elfload){ph.offset, ph.filesz, ph.vaddr};
	}
	readsections(m, &eh); // without sections it can still tell addresses
	return true;
}

void
runtime_modload(struct module *m, uintptr_t base, size_t len)
{
	m->fd = -1;
	m->exe = false;
	m->size = 0;
	m->usable = runtime_openfile(m, m->path) && runtime_readheaders(m, base, len);
	if (m->usable)
		return;
	// The path may lead to another file by now, or to none; the kernel still has the program's.
	runtime_modclose(m);
	for (int i = 0; i < NSEC; i++)
		m->sec[i] = (struct elfsection){0, 0, NULL};
	m->size = 0;
	m->exe = true;
	m->usable = runtime_openfile(m, "/proc/self/exe") && runtime_readheaders(m, base, len);
}
