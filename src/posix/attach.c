// SPDX-License-Identifier: BSD-3-Clause
// attach.c: finds the runtime, and the functions that ours stand in front of.
//
// The copies of the runtime that are loaded when we are, are found by their ELF notes (libc/alone.c): that works
// whatever the linker exports, in programs linked with librt0.a or librt0.so, with us linked, preloaded or opened by
// dlopen. A copy that is loaded later tells by itself (rt0_posix_attach, called by rt0_start). One of them at most runs
// at a time; until one does, and in programs without, every call is plain.
//
// The functions behind ours are looked up when we are loaded, not when they are first called: that may be
// anywhere, also where dlsym must not be called. Calls that come even earlier (constructors of other libraries)
// look for theirs.
#include "posix.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAXSELVES = 16 };

void *posix_next[NNEXT];
const struct rt0_self *posix_self;
int posix_nselves; // atomic: release after selves
static const struct rt0_self *selves[MAXSELVES];
static bool lock; // atomic, for attach

// ---- the functions behind ours ----

static const char *const names[NNEXT] = {
#define X(f) #f,
    NEXT_FUNCTIONS(X)
#undef X
};

// What older glibc has under other names, and what has an older version that dlsym might find.
static void *
lookup(const char *name)
{
	// ThreadSanitizer stands between the libc and us, and picks the version itself.
	if (!SANITIZED && strncmp(name, "pthread_cond_", 13) == 0) {
		void *p = dlvsym(RTLD_NEXT, name, strcmp(name, "pthread_cond_clockwait") == 0 ? "GLIBC_2.34" : "GLIBC_2.3.2");
		if (p != NULL)
			return p;
	}
	void *p = dlsym(RTLD_NEXT, name);
	if (p == NULL && strncmp(name, "res_", 4) == 0) {
		char other[64];
		snprintf(other, sizeof other, "__%s", name);
		p = dlsym(RTLD_NEXT, other);
	}
	return p;
}

// A function that this libc does not have, and whose caller must have been linked with another.
static long
missing(void)
{
	seterr(ENOSYS);
	return -1;
}

void *
posix_resolve(int i)
{
	void *p = lookup(names[i]);
	if (p == NULL)
		p = (void *)missing;
	__atomic_store_n(&posix_next[i], p, __ATOMIC_RELAXED);
	return p;
}

NOINLINE int
posix_geterr(void)
{
	return errno;
}

NOINLINE void
posix_seterr(int e)
{
	errno = e;
}

// ---- the runtime ----

EXPORT void
rt0_posix_attach(const struct rt0_self *self)
{
	if (self->version != POSIXVERSION || self->ops->version != POSIXVERSION)
		return;
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
	int n = posix_nselves;
	for (int i = 0; i < n; i++)
		if (selves[i] == self)
			n = MAXSELVES;
	if (n < MAXSELVES) {
		selves[n] = self;
		__atomic_store_n(&posix_nselves, n + 1, __ATOMIC_RELEASE);
	}
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

// posix_lookagain is context where the runtime that was found last does not run.
enum posixcontext
posix_lookagain(void)
{
	int n = __atomic_load_n(&posix_nselves, __ATOMIC_ACQUIRE);
	for (int i = 0; i < n; i++) {
		if (__atomic_load_n(&selves[i]->running, __ATOMIC_ACQUIRE) == 0)
			continue;
		__atomic_store_n(&posix_self, selves[i], __ATOMIC_RELAXED);
		return selves[i]->ops->context();
	}
	return POSIX_PLAIN;
}

static uintptr_t
alignup(uintptr_t n, uintptr_t a)
{
	return (n + a - 1) & ~(a - 1);
}

static void
notes(const char *p, const char *end, size_t align)
{
	while (p < end && (size_t)(end - p) > sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *n = (const void *)p;
		const char *name = p + sizeof *n, *desc = p + alignup(sizeof *n + n->n_namesz, align);
		p = desc + alignup(n->n_descsz, align);
		if (p > end)
			return;
		if (n->n_type == 1 && n->n_namesz == 4 && n->n_descsz == 4 && strcmp(name, "rt0") == 0)
			rt0_posix_attach((const struct rt0_self *)(desc + *(const int32_t *)desc));
	}
}

static int
visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *p = (const char *)info->dlpi_addr + ph->p_vaddr;
		if (ph->p_type == PT_NOTE)
			notes(p, p + ph->p_memsz, ph->p_align == 8 ? 8 : 4);
	}
	return 0;
}

// Before the constructors of the program and, when preloaded, of most libraries.
__attribute__((constructor(101))) static void
attach(void)
{
	for (int i = 0; i < NNEXT; i++)
		if (posix_next[i] == NULL)
			posix_resolve(i);
	dl_iterate_phdr(visit, NULL);
}
