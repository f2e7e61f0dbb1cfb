// SPDX-License-Identifier: BSD-3-Clause
// cfi.c: from a frame to its caller's, by the unwind tables (.eh_frame) that compilers emit.
//
// For every address of a function the table says where the frame ends (the CFA: what rsp was before the
// call) and where the registers that it must keep are: exact at any instruction, with and without
// frame pointers. A step: find the object that pc lies in and its table (PT_GNU_EH_FRAME), have
// cfirow.c make the row of rules for pc, apply it to the registers.
//
// May run anywhere: in signal handlers, with a broken heap, without a libc. It takes no lock,
// allocates nothing and believes nothing that it reads. The tables of the object that holds the
// runtime, and of the program, are read directly, since they are never unloaded; the others' through
// the kernel, which says EFAULT where we would crash.
//
// Two tables make it quick, both without locks, by a sequence number an entry (odd: being written;
// a reader that finds it changed has missed). rows: the row of a pc, when it is of the usual form; only
// for objects that are never unloaded. objects: where others lie, checked against memory at each use.
#include "cfi.h"
#include "../os/linux/linux.h"

enum {
	NROWS = 512, // power of two
	NOBJECTS = 16,
	PT_LOAD = 1,
	PT_PHDR = 6,
	PT_GNU_EH_FRAME = 0x6474e550,
};

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

struct objectentry {
	uint64_t seq; // odd: being written
	uint64_t lo, hi, hdr, hdrend, end, head; // head: the first 8 bytes at hdr + 4
};

// A row of the usual form: CFA = rbp or rsp + off; saved registers at word offsets from the CFA.
struct rowentry {
	uint64_t seq;
	uint64_t key; // pc * 2 + 1
	uint64_t cfa; // off << 8 | register
	int16_t saved[8]; // of memoregs, in words; 0: not saved
};

static const uint8_t memoregs[7] = {3, RBP, 12, 13, 14, 15, RIP};
static struct rowentry rows[NROWS];
static struct objectentry objects[NOBJECTS];
static uint32_t nextobject; // atomic: which one is to be overwritten

extern const char __ehdr_start[] __attribute__((weak, visibility("hidden")));

// ---- The object of a pc ----

// addphdr looks at one program header of the object loaded at bias.
static void
addphdr(struct object *o, const struct phdr *ph, uintptr_t bias, uintptr_t pc)
{
	uintptr_t lo = bias + ph->vaddr, hi = lo + ph->memsz;
	if (ph->type == PT_LOAD && pc >= lo && pc < hi) {
		o->lo = lo;
		o->hi = hi;
	}
	if (ph->type == PT_GNU_EH_FRAME) {
		o->hdr = lo;
		o->hdrend = hi;
	}
}

// inphdrs looks for pc in an object whose program headers can be read directly.
static bool
inphdrs(struct object *o, const struct phdr *ph, uint64_t n, uintptr_t bias, uintptr_t pc)
{
	*o = (struct object){.direct = true};
	for (uint64_t i = 0; i < n; i++)
		addphdr(o, &ph[i], bias, pc);
	if (o->hi == 0 || o->hdr == 0)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		uintptr_t lo = bias + ph[i].vaddr, hi = lo + ph[i].filesz;
		if (ph[i].type == PT_LOAD && o->hdr >= lo && o->hdr < hi)
			o->end = hi;
	}
	return o->end != 0;
}

// inself: pc is in the object that holds the runtime.
static bool
inself(struct object *o, uintptr_t pc)
{
	const struct ehdr *eh = (const struct ehdr *)(uintptr_t)__ehdr_start;
	if (eh == NULL)
		return false;
	const struct phdr *ph = (const struct phdr *)((uintptr_t)eh + eh->phoff);
	for (uint32_t i = 0; i < eh->phnum; i++)
		if (ph[i].type == PT_LOAD && ph[i].offset == 0)
			return inphdrs(o, ph, eh->phnum, (uintptr_t)eh - ph[i].vaddr, pc);
	return false;
}

// inprogram: pc is in the executable, the runtime being in a shared object of its own.
static bool
inprogram(struct object *o, uintptr_t pc)
{
	const struct phdr *ph = (const struct phdr *)runtime_auxphdr;
	for (uint64_t i = 0; ph != NULL && i < runtime_auxphnum; i++)
		if (ph[i].type == PT_PHDR)
			return inphdrs(o, ph, runtime_auxphnum, runtime_auxphdr - ph[i].vaddr, pc);
	return false;
}

// readobject fills o from the ELF header at base; pc is in a mapping of that file.
static bool
readobject(struct object *o, uintptr_t base, uintptr_t pc)
{
	struct ehdr eh;
	struct phdr ph;
	uintptr_t bias = 0;
	bool based = false;
	*o = (struct object){.direct = false};
	if (!runtime_saferead(&eh, base, sizeof eh) || eh.ident[0] != 0x7f || eh.ident[1] != 'E' ||
	    eh.ident[4] != 2 || eh.phentsize != sizeof ph || eh.phnum > 64)
		return false;
	for (uint32_t pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < eh.phnum; i++) {
			if (!runtime_saferead(&ph, base + eh.phoff + i * sizeof ph, sizeof ph))
				return false;
			if (pass == 0 && ph.type == PT_LOAD && ph.offset == 0) {
				bias = base - ph.vaddr;
				based = true;
			}
			if (pass == 1)
				addphdr(o, &ph, bias, pc);
			if (pass == 1 && ph.type == PT_LOAD)
				o->end = bias + ph.vaddr + ph.memsz > o->end ? bias + ph.vaddr + ph.memsz : o->end;
		}
	return based && o->hdr != 0 && o->hi != 0;
}

// One line of /proc/self/maps, as far as we need it.
struct mapping {
	uintptr_t start, end, off, dev, ino;
	bool exec;
	char name[CFINAME]; // what follows the last slash, cut off
};

// parsechar takes one character of a line; field counts the fields.
static void
parsechar(struct mapping *m, int *field, uint32_t *n, char c)
{
	uintptr_t digit = 16;
	if (c >= '0' && c <= '9')
		digit = (uintptr_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		digit = (uintptr_t)(c - 'a' + 10);
	uintptr_t *hex[] = {&m->start, &m->end, NULL, &m->off, &m->dev};
	if (*field < 6 && (c == ' ' || (c == '-' && *field == 0))) {
		// Before the name there are many blanks.
		if (*field != 5 || m->ino != 0 || *n != 0)
			(*field)++;
		*n = 0;
		return;
	}
	if (*field == 2) {
		m->exec |= c == 'x';
	} else if (*field < 5) {
		if (digit < 16)
			*hex[*field] = *hex[*field] << 4 | digit;
	} else if (*field == 5) {
		m->ino = m->ino * 10 + digit;
		*n = 1;
	} else if (c == '/') {
		*n = 0;
	} else if (c != ' ' && *n < sizeof m->name - 1) {
		m->name[(*n)++] = c;
		m->name[*n] = 0;
	}
}

// findmapping finds the executable mapping of pc and where the file it comes from begins.
static bool
findmapping(uintptr_t pc, struct mapping *out, uintptr_t *base)
{
	char buf[512];
	struct mapping m = {.start = 0}, first = {.start = 0};
	int field = 0;
	uint32_t n = 0;
	bool found = false;
	long fd = sys3(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	for (long got; !found && (got = sys3(SYS_read, fd, buf, sizeof buf)) != 0;) {
		if (got == -EINTR)
			continue;
		if (got < 0)
			break;
		for (long i = 0; i < got && !found; i++) {
			if (buf[i] != '\n') {
				parsechar(&m, &field, &n, buf[i]);
				continue;
			}
			if (m.off == 0)
				first = m;
			if (pc >= m.start && pc < m.end) {
				found = true;
				break;
			}
			m = (struct mapping){.start = 0};
			field = 0;
			n = 0;
		}
	}
	sys1(SYS_close, fd);
	if (!found || !m.exec || first.dev != m.dev || first.ino != m.ino)
		return false;
	*base = first.start;
	*out = m;
	return true;
}

// known looks in objects. What is there may have been unloaded: it counts if its table is still where
// it was.
static bool
known(struct object *o, uintptr_t pc)
{
	for (int i = 0; i < NOBJECTS; i++) {
		struct objectentry *e = &objects[i];
		// Acquire: pairs with the release in remember.
		uint64_t seq = atomic_loadacq(&e->seq), now[1];
		*o = (struct object){.lo = atomic_loadacq(&e->lo), .hi = atomic_loadacq(&e->hi)};
		o->hdr = atomic_loadacq(&e->hdr);
		o->hdrend = atomic_loadacq(&e->hdrend);
		o->end = atomic_loadacq(&e->end);
		uint64_t head = atomic_loadacq(&e->head);
		if ((seq & 1) == 0 && pc >= o->lo && pc < o->hi && atomic_loadrlx(&e->seq) == seq &&
		    runtime_saferead(now, o->hdr + 4, 8) && now[0] == head)
			return true;
	}
	return false;
}

static void
remember(const struct object *o)
{
	uint64_t head;
	struct objectentry *e = &objects[atomic_xadd(&nextobject, 1) % NOBJECTS];
	uint64_t seq = atomic_loadrlx(&e->seq);
	if (!runtime_saferead(&head, o->hdr + 4, 8) || (seq & 1) != 0 || !atomic_casacq(&e->seq, seq, seq + 1))
		return;
	atomic_storerlx(&e->lo, o->lo);
	atomic_storerlx(&e->hi, o->hi);
	atomic_storerlx(&e->hdr, o->hdr);
	atomic_storerlx(&e->hdrend, o->hdrend);
	atomic_storerlx(&e->end, o->end);
	atomic_storerlx(&e->head, head);
	atomic_storerel(&e->seq, seq + 2);
}

static bool
findobject(struct object *o, uintptr_t pc)
{
	struct mapping m;
	uintptr_t base;
	if (inself(o, pc) || inprogram(o, pc) || known(o, pc))
		return true;
	if (!findmapping(pc, &m, &base) || !readobject(o, base, pc))
		return false;
	remember(o);
	return true;
}

// pcowner tells what pc belongs to. name is cut off to CFINAME bytes.
enum pcowner
runtime_pcowner(uintptr_t pc, char name[CFINAME])
{
	struct object o;
	struct mapping m;
	uintptr_t base;
	name[0] = 0;
	if ((inself(&o, pc) || inprogram(&o, pc)) && pc >= PAGESIZE)
		return PC_PROGRAM;
	if (!findmapping(pc, &m, &base))
		return PC_NOBODY;
	for (int i = 0; i < CFINAME; i++)
		name[i] = m.name[i];
	return PC_LIBRARY;
}

// ---- The memo of rows ----

static struct rowentry *
rowof(uintptr_t pc)
{
	return &rows[(pc * 0x9e3779b97f4a7c15ull) >> 40 & (NROWS - 1)];
}

// quickstep applies the remembered row of pc. False: there is none.
NOSAN static bool
quickstep(struct cfiregs *regs, uintptr_t pc, const struct memory *m, uintptr_t *cfa)
{
	struct rowentry *e = rowof(pc);
	// Acquire, all of them: read in this order, and before seq again. Pairs with rememberrow.
	uint64_t seq = atomic_loadacq(&e->seq);
	if (atomic_loadacq(&e->key) != pc * 2 + 1 || (seq & 1) != 0)
		return false;
	uint64_t form = atomic_loadacq(&e->cfa);
	int16_t saved[NELEM(memoregs)];
	for (size_t i = 0; i < NELEM(memoregs); i++)
		saved[i] = atomic_loadacq(&e->saved[i]);
	if (atomic_loadrlx(&e->seq) != seq)
		return false;
	uintptr_t c = regs->r[form & 0xff] + (uintptr_t)((int64_t)form >> 8);
	// All that was saved lies within 64 KiB words below the CFA.
	if (c > m->hi || c < m->lo || c - m->lo < 8 * 32768 || (c & 7) != 0) {
		for (size_t i = 0; i < NELEM(memoregs); i++) {
			uintptr_t at = c + (uintptr_t)((int64_t)saved[i] * 8);
			if (saved[i] != 0 && (at < m->lo || at >= m->hi || (at & 7) != 0))
				return false;
		}
	}
	for (size_t i = 0; i < NELEM(memoregs); i++)
		if (saved[i] != 0)
			regs->r[memoregs[i]] = ((const uintptr_t *)c)[saved[i]];
	regs->r[RSP] = c;
	*cfa = c;
	return true;
}

static void
rememberrow(const struct row *w, uintptr_t pc)
{
	int16_t saved[NELEM(memoregs)];
	uint32_t left = 0;
	if (w->cfaexpr != 0 || (w->cfareg != RBP && w->cfareg != RSP) || w->kind[RIP] != ATOFFSET)
		return;
	for (int i = 0; i < NREG; i++)
		left += w->kind[i] != SAME && w->kind[i] != UNDEFINED;
	for (size_t i = 0; i < NELEM(memoregs); i++) {
		int reg = memoregs[i];
		saved[i] = 0;
		if (w->kind[reg] != ATOFFSET)
			continue;
		if (w->val[reg] >= 0 || w->val[reg] % 8 != 0 || w->val[reg] < -8 * 32768)
			return;
		saved[i] = (int16_t)(w->val[reg] / 8);
		left--;
	}
	struct rowentry *e = rowof(pc);
	uint64_t seq = atomic_loadrlx(&e->seq);
	if (left != 0 || (seq & 1) != 0 || !atomic_casacq(&e->seq, seq, seq + 1))
		return;
	atomic_storerlx(&e->key, pc * 2 + 1);
	atomic_storerlx(&e->cfa, (uint64_t)w->cfaoff << 8 | w->cfareg);
	for (size_t i = 0; i < NELEM(memoregs); i++)
		atomic_storerlx(&e->saved[i], saved[i]);
	atomic_storerel(&e->seq, seq + 2);
}

// cfistep makes regs those of the caller's frame, as they will be when the call returns, and *cfa the
// end of the frame that was left. isret: rip is where a call returns to, not where the code stands.
// [lo, hi) may be read directly, the rest of memory is asked for. On an error regs are as they were.
int
runtime_cfistep(struct cfiregs *regs, bool isret, uintptr_t lo, uintptr_t hi, uintptr_t *cfa)
{
	struct memory m = {lo, hi};
	uintptr_t pc = regs->r[RIP] - isret;
	struct object o;
	struct row w;
	if (quickstep(regs, pc, &m, cfa))
		return CFI_DONE;
	if (!findobject(&o, pc))
		return -ENOENT;
	int err = runtime_cfirow(&w, &o, pc);
	if (err != 0)
		return err;
	struct cfiregs old = *regs;
	err = runtime_cfiapply(&w, &o, regs, &m, cfa);
	if (err < 0)
		*regs = old;
	else if (err == 0 && w.trap)
		return CFI_TRAP;
	else if (err == 0 && o.direct)
		rememberrow(&w, pc);
	return err;
}
