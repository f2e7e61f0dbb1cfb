// SPDX-License-Identifier: BSD-3-Clause
// symtab.c: from a program counter to function, file and line, inside the running process.
//
// /proc/self/maps says which ELF file a pc was loaded from; its .symtab (else .dynsym) has the
// function, its .debug_line (dwarf.c) the line. Results are kept by pc, so that a million
// goroutines that wait at one place cost one search.
//
// Why not libdw or libbacktrace: the core depends on nothing and is linked into programs that
// have no libc; and we run in processes that have crashed, out of memory or with a broken heap,
// where nothing may allocate and no lock of others may be taken. All memory comes from sysAlloc.
//
// The file is read with pread, not mapped: a mapping of a file that somebody truncates raises
// SIGBUS, and we are the crash handler. It is believed only if its headers and build id are
// those in memory, so a program that was rebuilt while it runs prints addresses, not nonsense.
// Everything read is bounds-checked, and the time is linear in sizes that are limited here.
//
// symlock guards all state. It is not a struct mutex, since we may be anywhere: a holder that
// crashes finds itself as the owner and gets no answer; others wait for a tenth of a second.
// Not tried: finding modules through the dynamic linker's list (r_debug). It is quicker than
// /proc/self/maps, but walks memory that a crash may have damaged.
#include "symtab.h"

enum {
	NMODULES = 128,
	NRANGES = 256,
	NPCS = 1024, // power of two
	NNAMES = 256,
	ARENACHUNK = 64 << 10,
	ARENAMAX = 64 << 20,    // bytes of names that we will keep
	SECTIONMAX = 256 << 20, // bytes; larger sections are left alone
	SYS_read = 0,
	SYS_open = 2,
	SYS_close = 3,
	SYS_fstat = 5,
	SYS_rt_sigprocmask = 14,
	SYS_pread64 = 17,
	SYS_getpid = 39,
	SYS_process_vm_readv = 310,
	O_RDONLY_SAFE = 02000000 | 04000 | 0400, // O_CLOEXEC, O_NONBLOCK (a fifo), O_NOCTTY
	EFAULT = 14,
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
struct sym {
	uint32_t name;
	uint8_t info, other;
	uint16_t shndx;
	uint64_t value, size;
};
enum {
	PT_LOAD = 1,
	PT_NOTE = 4,
	SHT_SYMTAB = 2,
	SHT_NOBITS = 8,
	SHT_DYNSYM = 11,
	SHF_COMPRESSED = 0x800
};
enum { STT_NOTYPE = 0, STT_FUNC = 2, STT_GNU_IFUNC = 10 };

struct kstat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev, size, blksize, blocks, atime, atimens, mtime, mtimens, ctime, ctimens;
	uint64_t unused[3];
};

// An executable mapping.
struct range {
	uintptr_t start, end;
	uint64_t off;
	struct module *m; // NULL: not from a file that we can read
	const char *path; // NULL: anonymous
};

struct pcentry {
	uintptr_t pc;
	int kind; // PC_UNKNOWN...
	uintptr_t off;
	const char *path;
	struct symline line;
};

struct name {
	struct name *next;
	uint32_t hash;
	char text[];
};

// symlock:
static struct module modules[NMODULES];
static struct range ranges[NRANGES];
static int nmodules, nranges;
static struct pcentry pcs[NPCS];
static struct name *names[NNAMES];
static char *arena;
static size_t arenaleft, arenatotal;
static uint8_t scratch[4096], scratch2[4096];
static char pathbuf[4096];
// atomic:
static uint32_t symlockowner; // thread id; 0: free

static bool
lock(void)
{
	uint32_t me = (uint32_t)runtime_gettid();
	for (int i = 0; i < 1000; i++) {
		// Acquire: pairs with the release in unlock.
		if (atomic_casacq(&symlockowner, 0, me))
			return true;
		if (atomic_loadrlx(&symlockowner) == me)
			return false;
		runtime_usleep(100);
	}
	return false;
}

static void
unlock(void)
{
	atomic_storerel(&symlockowner, 0);
}

static long
sys(long nr, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	long r;
	do
		r = runtime_sys(nr, (long)a, (long)b, (long)c, (long)d, 0, 0);
	while (r == -EINTR);
	return r;
}

bool
runtime_saferead(void *to, uintptr_t addr, size_t n)
{
	struct iovec_any dst = {to, n}, src = {(void *)addr, n};
	if (addr < PAGESIZE || addr + n < addr)
		return false;
	long pid = runtime_sys(SYS_getpid, 0, 0, 0, 0, 0, 0);
	long r = runtime_sys(SYS_process_vm_readv, pid, (long)&dst, 1, (long)&src, 1, 0);
	if (r >= 0 || r == -EFAULT)
		return r == (long)n;
	// Forbidden (seccomp) or not there. sigprocmask copies the new set in before it looks at
	// how, which is nonsense: EFAULT says that 8 bytes cannot be read, EINVAL that they can.
	// Between the question and our load somebody may unmap them; nothing better is left.
	for (uintptr_t a = addr & ~7ul; a < addr + n; a += 8)
		if (runtime_sys(SYS_rt_sigprocmask, -1, (long)a, 0, 8, 0, 0) == -EFAULT)
			return false;
	runtime_memmove(to, (const void *)addr, n);
	return true;
}

// ---- Memory for names ----

static void *
arenaalloc(size_t n)
{
	n = alignup(n, 8);
	if (n > arenaleft) {
		if (n > ARENACHUNK || arenatotal + ARENACHUNK > ARENAMAX)
			return NULL;
		char *p = runtime_sysAlloc(ARENACHUNK, &memstats.other_sys);
		if (p == NULL)
			return NULL;
		arena = p;
		arenaleft = ARENACHUNK;
		arenatotal += ARENACHUNK;
	}
	void *p = arena;
	arena += n;
	arenaleft -= n;
	return p;
}

static const char *
internbytes(const char *s, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	struct name **list = &names[h % NNAMES];
	for (struct name *p = *list; p != NULL; p = p->next) {
		if (p->hash != h)
			continue;
		size_t i = 0;
		while (i < n && p->text[i] == s[i])
			i++;
		if (i == n && p->text[n] == 0)
			return p->text;
	}
	struct name *p = arenaalloc(sizeof(*p) + n + 1);
	if (p == NULL)
		return NULL;
	p->hash = h;
	for (size_t i = 0; i < n; i++)
		p->text[i] = s[i];
	p->text[n] = 0;
	p->next = *list;
	*list = p;
	return p->text;
}

const char *
runtime_symintern(const char *a, const char *b, const char *c)
{
	const char *part[3] = {a, b, c};
	size_t n = 0;
	for (int i = 0; i < 3; i++) {
		const char *s = part[i];
		if (s == NULL || s[0] == 0)
			continue;
		if (n > 0 && n < sizeof(pathbuf) && pathbuf[n - 1] != '/')
			pathbuf[n++] = '/';
		// Compilers write "./f.c" and directories called ".".
		while (n > 0 && s[0] == '.' && s[1] == '/')
			s += 2;
		if (s[0] == '.' && s[1] == 0)
			continue;
		for (; *s != 0; s++) {
			if (n >= sizeof(pathbuf) - 1)
				return NULL;
			pathbuf[n++] = *s;
		}
	}
	return internbytes(pathbuf, n);
}

// ---- Reading the ELF file ----

static bool
preadall(int fd, void *to, size_t n, uint64_t off)
{
	for (uint8_t *p = to; n > 0;) {
		long r = sys(SYS_pread64, (uintptr_t)fd, (uintptr_t)p, n, off);
		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
		off += (uint64_t)r;
	}
	return true;
}

static bool
openfile(struct module *m, const char *path)
{
	struct kstat st;
	long fd = sys(SYS_open, (uintptr_t)path, O_RDONLY_SAFE, 0, 0);
	if (fd < 0)
		return false;
	// Not a regular file: reading it might block, or never end.
	if (sys(SYS_fstat, (uintptr_t)fd, (uintptr_t)&st, 0, 0) < 0 ||
	    (st.mode & 0170000) != 0100000) {
		sys(SYS_close, (uintptr_t)fd, 0, 0, 0);
		return false;
	}
	if (m->size == 0) {
		m->dev = st.dev;
		m->ino = st.ino;
		m->size = st.size;
		m->mtime = st.mtime;
	}
	if (m->dev != st.dev || m->ino != st.ino || m->size != st.size || m->mtime != st.mtime) {
		sys(SYS_close, (uintptr_t)fd, 0, 0, 0);
		return false;
	}
	m->fd = (int)fd;
	return true;
}

// modopen makes m->fd good for this lookup: modclose ends it.
static bool
modopen(struct module *m)
{
	return m->fd >= 0 || openfile(m, m->exe ? "/proc/self/exe" : m->path);
}

static void
modclose(struct module *m)
{
	if (m != NULL && m->fd >= 0) {
		sys(SYS_close, (uintptr_t)m->fd, 0, 0, 0);
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
static bool
readheaders(struct module *m, uintptr_t base, size_t len)
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

static void
modload(struct module *m, uintptr_t base, size_t len)
{
	m->fd = -1;
	m->exe = false;
	m->size = 0;
	m->usable = openfile(m, m->path) && readheaders(m, base, len);
	if (m->usable)
		return;
	// The path may lead to another file by now, or to none; the kernel still has the program's.
	modclose(m);
	for (int i = 0; i < NSEC; i++)
		m->sec[i] = (struct elfsection){0, 0, NULL};
	m->size = 0;
	m->exe = true;
	m->usable = openfile(m, "/proc/self/exe") && readheaders(m, base, len);
}

// ---- Which module: /proc/self/maps ----

struct mapsline {
	uintptr_t start, end;
	uint64_t off, dev, ino;
	bool read, exec;
	char *path; // in the line; empty: anonymous
};

static uint64_t
hex(char **s)
{
	uint64_t v = 0;
	for (;; (*s)++) {
		char c = **s;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return v;
	}
}

static void
parsemaps(char *s, struct mapsline *l)
{
	l->start = hex(&s);
	s += *s == '-';
	l->end = hex(&s);
	s += *s == ' ';
	l->read = *s == 'r';
	for (; *s != 0 && *s != ' '; s++)
		l->exec = *s == 'x' || (l->exec && *s != '-');
	s += *s == ' ';
	l->off = hex(&s);
	s += *s == ' ';
	l->dev = hex(&s);
	s += *s == ':';
	l->dev = l->dev << 32 | hex(&s);
	s += *s == ' ';
	l->ino = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		l->ino = l->ino * 10 + (uint64_t)(*s - '0');
	while (*s == ' ')
		s++;
	l->path = s;
}

// addrange notes the mapping of l; base is the line where the same file begins.
static struct range *
addrange(struct mapsline *l, const struct mapsline *base)
{
	static const char deleted[] = " (deleted)";
	if (nranges == NRANGES)
		return NULL;
	struct range *r = &ranges[nranges];
	*r = (struct range){l->start, l->end, l->off, NULL, NULL};
	size_t n = runtime_strlen(l->path);
	if (n > sizeof(deleted) &&
	    runtime_strcmp(l->path + n - (sizeof(deleted) - 1), deleted) == 0)
		n -= sizeof(deleted) - 1;
	if (n > 0)
		r->path = internbytes(l->path, n);
	if (r->path != NULL && r->path[0] == '/') {
		bool based = base->dev == l->dev && base->ino == l->ino && base->read;
		for (int i = 0; i < nmodules && r->m == NULL; i++)
			if (modules[i].path == r->path)
				r->m = &modules[i];
		if (r->m == NULL && based && nmodules < NMODULES) {
			r->m = &modules[nmodules++];
			r->m->path = r->path;
			modload(r->m, base->start, base->end - base->start);
		}
	}
	nranges++;
	return r;
}

// findrange finds the executable mapping of pc. Its module's file may be open: modclose it.
static int
findrange(uintptr_t pc, struct range **out)
{
	*out = NULL;
	for (int i = 0; i < nranges; i++)
		if (pc >= ranges[i].start && pc < ranges[i].end) {
			*out = &ranges[i];
			return PC_CODE;
		}
	long fd = sys(SYS_open, (uintptr_t) "/proc/self/maps", O_RDONLY_SAFE, 0, 0);
	if (fd < 0)
		return PC_UNKNOWN;
	// Lines are put together in pathbuf; what does not fit is cut off.
	static char buf[4096]; // symlock
	struct mapsline l, base = {.read = false};
	int kind = PC_NOTCODE;
	size_t len = 0;
	long n;
	while (kind == PC_NOTCODE &&
	    (n = sys(SYS_read, (uintptr_t)fd, (uintptr_t)buf, sizeof(buf), 0)) > 0) {
		for (long i = 0; i < n && kind == PC_NOTCODE; i++) {
			if (buf[i] != '\n') {
				if (len < sizeof(pathbuf) - 1)
					pathbuf[len++] = buf[i];
				continue;
			}
			pathbuf[len] = 0;
			len = 0;
			l.exec = false;
			parsemaps(pathbuf, &l);
			if (l.off == 0 && l.ino != 0)
				base = l;
			if (pc < l.start || pc >= l.end)
				continue;
			if (!l.exec) {
				sys(SYS_close, (uintptr_t)fd, 0, 0, 0);
				return PC_NOTCODE;
			}
			*out = addrange(&l, &base);
			kind = *out != NULL ? PC_CODE : PC_UNKNOWN;
		}
	}
	sys(SYS_close, (uintptr_t)fd, 0, 0, 0);
	return kind;
}

// ---- Symbols ----

// rank orders symbols with the same address: the name that a program would use comes first.
static int
symrank(const struct sym *s, const char *name)
{
	static const uint8_t bybind[3] = {1, 3, 2}; // local, global, weak
	int r = s->info >> 4 < 3 ? bybind[s->info >> 4] * 4 : 0;
	return r + (name[0] != '_') + (name[0] != '_' || name[1] != '_');
}

// A name that is longer than any path, or has no end, is none: that bounds the time.
static const char *
symname(const char *str, size_t strsize, uint32_t off)
{
	for (size_t i = off; i < strsize && i - off < sizeof(pathbuf); i++)
		if (str[i] == 0)
			return i == off ? NULL : str + off;
	return NULL;
}

// plainname cuts off what compilers append to the name of a part or a copy of a function.
static const char *
plainname(const char *s)
{
	static const char *const suffix[] = {
	    ".cold", ".part.", ".constprop.", ".isra.", ".lto_priv.", ".llvm."};
	for (size_t i = 1; s[0] != 0 && s[i] != 0; i++) {
		if (s[i] != '.')
			continue;
		for (size_t k = 0; k < NELEM(suffix); k++) {
			if (!runtime_hasprefix(s + i, suffix[k]))
				continue;
			const char *plain = internbytes(s, i);
			return plain != NULL ? plain : s;
		}
	}
	return s;
}

struct symhit {
	uint64_t value;
	const char *name;
	int rank;
};

static void
offer(struct symhit *h, const struct sym *s, const char *str, size_t strsize)
{
	if (h->name != NULL && s->value < h->value)
		return;
	const char *n = symname(str, strsize, s->name);
	if (n == NULL || n[0] == '.' || n[0] == '$')
		return;
	int r = symrank(s, n);
	if (h->name == NULL || s->value > h->value || r > h->rank)
		*h = (struct symhit){s->value, n, r};
}

// findsym finds the function at vaddr. Linear: an index would cost more than it saves, since the
// result is kept by pc and a traceback has few different ones.
static bool
findsym(struct module *m, uint64_t vaddr, const char **name, uint64_t *entry)
{
	size_t size, strsize;
	const struct sym *s = (const struct sym *)runtime_elfsection(m, SEC_SYM, &size);
	const char *str = (const char *)runtime_elfsection(m, SEC_SYMSTR, &strsize);
	// A function with a size covers vaddr or does not. A label of assembly code has none: it
	// goes on to the next symbol, so it counts if nothing begins between it and vaddr.
	struct symhit sized = {0, NULL, 0}, label = {0, NULL, 0};
	uint64_t nearest = 0;
	if (s == NULL || str == NULL)
		return false;
	for (const struct sym *end = s + size / sizeof(*s); s < end; s++) {
		int type = s->info & 15;
		if (s->value > vaddr || s->shndx == 0 || s->shndx >= 0xff00)
			continue;
		if (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC)
			continue;
		if (s->value > nearest)
			nearest = s->value;
		if (vaddr - s->value < s->size)
			offer(&sized, s, str, strsize);
		else if (s->size == 0)
			offer(&label, s, str, strsize);
	}
	struct symhit *h = sized.name != NULL ? &sized : &label;
	if (h->name == NULL || (h == &label && h->value < nearest))
		return false;
	*name = plainname(h->name);
	*entry = h->value;
	return true;
}

// ---- The entry points ----

static void
resolve(struct pcentry *e, uintptr_t pc)
{
	struct range *r;
	*e = (struct pcentry){.pc = pc};
	e->kind = findrange(pc, &r);
	if (e->kind != PC_CODE)
		return;
	e->path = r->path;
	uint64_t off = e->off = pc - r->start + r->off;
	struct module *m = r->m;
	if (m == NULL || !m->usable)
		return;
	for (uint32_t i = 0; i < m->nload; i++) {
		struct elfload *l = &m->load[i];
		if (off < l->off || off - l->off >= l->filesz)
			continue;
		uint64_t vaddr = e->off = off - l->off + l->vaddr, entry;
		if (findsym(m, vaddr, &e->line.name, &entry))
			e->line.entry = pc - (vaddr - entry);
		runtime_dwarfline(m, vaddr, &e->line.file, &e->line.line);
		break;
	}
	modclose(m);
}

static struct pcentry *
lookup(uintptr_t pc)
{
	struct pcentry *e = &pcs[(pc * 0x9e3779b97f4a7c15ull) >> 32 & (NPCS - 1)];
	if (e->pc != pc || pc == 0)
		resolve(e, pc);
	return e;
}

// funcline tells function, file and line of pc. False: it knows neither name nor line.
bool
runtime_funcline(uintptr_t pc, struct symline *out)
{
	*out = (struct symline){NULL, NULL, 0, 0};
	if (!lock())
		return false;
	*out = lookup(pc)->line;
	unlock();
	return out->name != NULL || out->line != 0;
}

int
runtime_pcmodule(uintptr_t pc, const char **path, uintptr_t *off)
{
	*path = NULL;
	*off = 0;
	if (!lock())
		return PC_UNKNOWN;
	struct pcentry *e = lookup(pc);
	int kind = e->kind;
	*path = e->path;
	*off = e->off;
	unlock();
	return kind;
}
