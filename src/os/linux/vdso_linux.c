// SPDX-License-Identifier: BSD-3-Clause
// vdso_linux.c: nanotime and walltime through the kernel's shared page, without a system call.
//
// The vDSO is an ELF object in memory; its dynamic symbols are searched once, by bounded loops. Without one (or in a build that runs under a tool that hides it) the system call serves.
#include "../../runtime.h"
#include "linux.h"

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
struct dyn {
	int64_t tag;
	uint64_t val;
};
struct sym {
	uint32_t name;
	uint8_t info, other;
	uint16_t shndx;
	uint64_t value, size;
};

static int
clock_gettime_sys(int clock, struct timespec *ts)
{
	return (int)runtime_syscall6(SYS_clock_gettime, clock, (long)ts, 0, 0, 0, 0);
}

// clock_gettime_fn is found when it is first called: reading the vDSO costs two page faults, which a
// program that never asks for the time need not pay. Atomic: any number of threads may find it.
static int clock_gettime_first(int clock, struct timespec *ts);
static int (*clock_gettime_fn)(int clock, struct timespec *ts) = clock_gettime_first;

static void vdsoinit(uintptr_t base);

static int
clock_gettime_first(int clock, struct timespec *ts)
{
	vdsoinit(runtime_auxvdso);
	if (atomic_loadrlx(&clock_gettime_fn) == clock_gettime_first)
		atomic_storerlx(&clock_gettime_fn, clock_gettime_sys);
	return atomic_loadrlx(&clock_gettime_fn)(clock, ts);
}

// vdsoinit finds __vdso_clock_gettime in the object whose header is at base (0: none).
static void
vdsoinit(uintptr_t base)
{
	if (base == 0)
		return;
	const struct ehdr *eh = (const struct ehdr *)base;
	const struct phdr *ph = (const struct phdr *)(base + eh->phoff);
	const struct dyn *dyn = NULL;
	uintptr_t off = 0;
	bool load = false;
	for (int i = 0; i < eh->phnum && i < 16; i++) {
		if (ph[i].type == 1 && !load) {
			off = base + ph[i].offset - ph[i].vaddr;
			load = true;
		} else if (ph[i].type == 2) {
			dyn = (const struct dyn *)(base + ph[i].offset);
		}
	}
	if (!load || dyn == NULL)
		return;
	const char *strtab = NULL;
	const struct sym *symtab = NULL;
	const uint32_t *hash = NULL, *gnuhash = NULL;
	for (int i = 0; i < 64 && dyn[i].tag != 0; i++) {
		uintptr_t p = off + dyn[i].val;
		switch (dyn[i].tag) {
		case 4: hash = (const uint32_t *)p; break;
		case 5: strtab = (const char *)p; break;
		case 6: symtab = (const struct sym *)p; break;
		case 0x6ffffef5: gnuhash = (const uint32_t *)p; break;
		}
	}
	if (strtab == NULL || symtab == NULL)
		return;
	uint32_t n = 0;
	if (hash != NULL) {
		n = hash[1];
	} else if (gnuhash != NULL) {
		// The count of symbols is not written down: the longest chain's end tells.
		uint32_t nbucket = gnuhash[0], symoff = gnuhash[1];
		const uint32_t *bucket = gnuhash + 4 + 2 * gnuhash[2], *chain = bucket + nbucket;
		for (uint32_t i = 0; i < nbucket; i++)
			if (bucket[i] > n)
				n = bucket[i];
		while (n >= symoff && n < 1024 && !(chain[n - symoff] & 1))
			n++;
		n++;
	}
	for (uint32_t i = 0; i < n && i < 1024; i++) {
		if (runtime_strcmp(strtab + symtab[i].name, "__vdso_clock_gettime") == 0 && symtab[i].shndx != 0) {
			atomic_storerlx(&clock_gettime_fn, (int (*)(int, struct timespec *))(off + symtab[i].value));
			return;
		}
	}
}

static int64_t
clocktime(int clock)
{
	struct timespec ts = {0, 0};
	// The kernel's page is not in rt0_text: hold off the preemption signal.
	struct g *gp = getg();
	if (gp != NULL)
		gp->m->locks++;
	atomic_loadrlx(&clock_gettime_fn)(clock, &ts);
	if (gp != NULL)
		gp->m->locks--;
	return ts.tv_sec * SEC + ts.tv_nsec;
}

int64_t
runtime_nanotime(void)
{
	return clocktime(CLOCK_MONOTONIC);
}

// callersclock is clocktime for the program: nothing of ours is held, and a loop that does nothing but ask
// the time must be preemptible somewhere. The kernel's page is that place.
static int64_t
callersclock(int clock)
{
	struct timespec ts = {0, 0};
	atomic_loadrlx(&clock_gettime_fn)(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

int64_t
rt0_nanotime(void)
{
	return callersclock(CLOCK_MONOTONIC);
}

int64_t
rt0_walltime(void)
{
	return callersclock(CLOCK_REALTIME);
}
