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
// Everything read is bounds-checked, and the time is linear in sizes that are limited (elf.c).
//
// symlock guards all state. It is not a struct mutex, since we may be anywhere: a holder that crashes
// finds itself as the owner and gets no answer; others wait for some seconds, or for one in a crash,
// where nobody may be left to let go.
// Not tried: finding modules through the dynamic linker's list (r_debug). It is quicker than
// /proc/self/maps, but walks memory that a crash may have damaged.
#include "dwarf.h"

enum {
	NMODULES = 128,
	NRANGES = 256,
	NPCS = 1024,   // power of two
	NCHAINS = 256, // power of two
	NNAMES = 256,
	ARENACHUNK = 64 << 10,
	ARENAMAX = 64 << 20,    // bytes of names that we will keep
	SYS_rt_sigprocmask = 14,
	SYS_getpid = 39,
	SYS_process_vm_readv = 310,
	EFAULT = 14,
};

// A symbol, as the gABI has it; <elf.h> belongs to the libc.
struct sym {
	uint32_t name;
	uint8_t info, other;
	uint16_t shndx;
	uint64_t value, size;
};
enum { STT_NOTYPE = 0, STT_FUNC = 2, STT_GNU_IFUNC = 10 };

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

// What is inlined at a pc; of the frames, the last is the function that is really there.
struct chain {
	uintptr_t pc;
	int n;
	struct symline frame[MAXINLINED];
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
static struct chain chains[NCHAINS];
static struct name *names[NNAMES];
static char *arena;
static size_t arenaleft, arenatotal;
static char pathbuf[4096];
// atomic:
static uint32_t symlockowner; // thread id; 0: free
static uint32_t stuckowner;   // one that has been waited for in vain: not again

static bool
lock(void)
{
	uint32_t me = (uint32_t)runtime_gettid();
	for (int i = 0; i < (atomic_loadrlx(&runtime_panicking) != 0 ? 10000 : 100000); i++) {
		// Acquire: pairs with the release in unlock.
		if (atomic_casacq(&symlockowner, 0, me)) {
			if (atomic_loadrlx(&stuckowner) != 0)
				atomic_storerlx(&stuckowner, 0);
			return true;
		}
		uint32_t owner = atomic_loadrlx(&symlockowner);
		if (owner == me || (owner != 0 && owner == atomic_loadrlx(&stuckowner)))
			return false;
		runtime_usleep(100);
	}
	atomic_storerlx(&stuckowner, atomic_loadrlx(&symlockowner));
	return false;
}

static void
unlock(void)
{
	atomic_storerel(&symlockowner, 0);
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
			runtime_modload(r->m, base->start, base->end - base->start);
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
	long fd = runtime_sysretry(NR_open, (uintptr_t) "/proc/self/maps", O_RDONLY_SAFE, 0, 0);
	if (fd < 0)
		return PC_UNKNOWN;
	// Lines are put together in pathbuf; what does not fit is cut off.
	static char buf[4096]; // symlock
	struct mapsline l, base = {.read = false};
	int kind = PC_NOTCODE;
	size_t len = 0;
	long n;
	while (kind == PC_NOTCODE &&
	    (n = runtime_sysretry(NR_read, (uintptr_t)fd, (uintptr_t)buf, sizeof(buf), 0)) > 0) {
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
				runtime_sysretry(NR_close, (uintptr_t)fd, 0, 0, 0);
				return PC_NOTCODE;
			}
			*out = addrange(&l, &base);
			kind = *out != NULL ? PC_CODE : PC_UNKNOWN;
		}
	}
	runtime_sysretry(NR_close, (uintptr_t)fd, 0, 0, 0);
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

// fileaddr finds the module of pc and the address by which its file knows pc. The file may be
// open then: modclose it. False: *off and *r tell what is known.
static bool
fileaddr(uintptr_t pc, int *kind, struct range **r, uint64_t *off)
{
	*kind = findrange(pc, r);
	if (*kind != PC_CODE)
		return false;
	*off = pc - (*r)->start + (*r)->off;
	struct module *m = (*r)->m;
	for (uint32_t i = 0; m != NULL && m->usable && i < m->nload; i++) {
		struct elfload *l = &m->load[i];
		if (*off < l->off || *off - l->off >= l->filesz)
			continue;
		*off = *off - l->off + l->vaddr;
		return true;
	}
	return false;
}

static void
resolve(struct pcentry *e, uintptr_t pc)
{
	struct range *r;
	uint64_t entry;
	*e = (struct pcentry){.pc = pc};
	bool found = fileaddr(pc, &e->kind, &r, &e->off);
	if (e->kind != PC_CODE)
		return;
	e->path = r->path;
	if (found) {
		if (findsym(r->m, e->off, &e->line.name, &entry))
			e->line.entry = pc - (e->off - entry);
		runtime_dwarfline(r->m, e->off, &e->line.file, &e->line.line);
	}
	runtime_modclose(r->m);
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

// unroll finds what is inlined at pc. Each function's line is where it calls the one before it.
static void
unroll(struct chain *c, uintptr_t pc)
{
	struct inlined in[MAXINLINED - 1];
	struct range *r;
	uint64_t off;
	int kind, n = 0;
	struct symline outer = lookup(pc)->line, at = outer;
	if (fileaddr(pc, &kind, &r, &off))
		n = runtime_dwarfinline(r->m, off, in, MAXINLINED - 1);
	if (kind == PC_CODE)
		runtime_modclose(r->m);
	for (int i = 0; i < n; i++) {
		c->frame[i] = (struct symline){in[i].name, at.file, 0, at.line};
		at.file = in[i].callfile;
		at.line = in[i].callline;
	}
	c->frame[n] = (struct symline){outer.name, at.file, outer.entry, at.line};
	c->n = n + 1;
	c->pc = pc;
}

// funcframes stores the functions that pc is in: those inlined there first, innermost first, last
// the one that has a frame, which alone has an entry. The result is how many, 1 to MAXINLINED.
int
runtime_funcframes(uintptr_t pc, struct symline out[MAXINLINED])
{
	out[0] = (struct symline){NULL, NULL, 0, 0};
	if (!lock())
		return 1;
	struct chain *c = &chains[(pc * 0x9e3779b97f4a7c15ull) >> 32 & (NCHAINS - 1)];
	if (c->pc != pc || c->n == 0)
		unroll(c, pc);
	int n = c->n;
	for (int i = 0; i < n; i++)
		out[i] = c->frame[i];
	unlock();
	return n;
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
