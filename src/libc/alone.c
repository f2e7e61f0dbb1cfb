// SPDX-License-Identifier: BSD-3-Clause
// alone.c: one runtime a process.
//
// Two copies of rt0 (a program linked with librt0.a and a plugin with its own, librt0.so beside
// either, two files opened with RTLD_LOCAL) do not see each other's symbols, or see them half:
// calls that the dynamic linker binds to one copy would meet goroutines of the other. Both want
// SIGSEGV and SIGURG, and each would count the other's threads as foreign. So only one may run.
//
// Every file that has a copy in it carries an ELF note, "rt0", whose contents say where the copy's
// struct rt0_self is (posixops.h). Notes are found in the program headers of all that is loaded (dl_iterate_phdr),
// whatever the scope of its symbols, stripped or not. Copies that do not run do no harm and are
// left alone, but for a plugin that brings one: its code was made for that. The walk holds the
// dynamic linker's lock, which is the same for all copies: of two that start at once, one wins. Not
// seen: another namespace (dlmopen).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include "hosted.h"

#include "../posixops.h"
#include "../runtime.h"
#include "alone.h"

extern char __libc_single_threaded WEAK; // glibc 2.32

bool
runtime_onethread(void)
{
	return &__libc_single_threaded != NULL && __libc_single_threaded;
}

static struct rt0_self self __asm__("runtime_self") BOOTDATA __attribute__((used)) = {
	.version = POSIXVERSION,
	.ops = &runtime_posixops,
};

// name size 4 ("rt0"), contents 4 bytes, type 1: the distance from the contents to struct rt0_self.
__asm__(".pushsection .note.rt0, \"a\", @note\n"
	"	.balign 4\n"
	"	.long 4, 4, 1\n"
	"	.asciz \"rt0\"\n"
	"0:	.long runtime_self - 0b\n"
	"	.popsection\n");

struct search {
	const char *ours, *other; // file names; NULL: not found
	bool all;                 // look for copies that do not run, too
	int copies;               // that are not ours
	bool claimed;
};

// note looks at the notes in [p, end).
static void
note(const char *p, const char *end, size_t align, const char *file, struct search *s)
{
	while (p < end && (size_t)(end - p) > sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *n = (const void *)p;
		const char *name = p + sizeof *n,
			   *desc = p + alignup(sizeof *n + n->n_namesz, align);
		p = desc + alignup(n->n_descsz, align);
		if (p > end || n->n_type != 1 || n->n_namesz != 4 || n->n_descsz != 4 ||
		    runtime_strcmp(name, "rt0") != 0)
			continue;
		struct rt0_self *found = (struct rt0_self *)(desc + *(const int32_t *)desc);
		if (found == &self) {
			s->ours = file;
			continue;
		}
		s->copies++;
		if (s->all || atomic_loadacq(&found->running) != 0)
			s->other = file;
	}
}

static int
visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *p = (const char *)info->dlpi_addr + ph->p_vaddr;
		if (ph->p_type == PT_NOTE)
			note(p, p + ph->p_memsz, ph->p_align == 8 ? 8 : 4, info->dlpi_name, arg);
	}
	return 0;
}

// claim is called with the first object, and walks through all, since the lock is held for a walk
// only.
static int
claim(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;
	(void)info, (void)size;
	dl_iterate_phdr(visit, s);
	if (s->other == NULL) {
		atomic_storerel(&self.running, 1);
		s->claimed = true;
	}
	return 1;
}

// filename is what to call a file in a message; the program itself has no name in the linker's
// list.
static const char *
filename(const char *name, char *buf, size_t n)
{
	if (name == NULL)
		return "?";
	if (name[0] != 0)
		return name;
	ssize_t len = readlink("/proc/self/exe", buf, n - 1);
	if (len < 0)
		return "the program";
	buf[len] = 0;
	return buf;
}

static void
complain(const char *who, const struct search *s, const char *text)
{
	char a[4096], b[4096];
	fprintf(stderr,
	    "%s: two runtimes in one process: %s %s, and %s has its own (load one librt0 only)\n",
	    who, filename(s->all ? s->ours : s->other, a, sizeof a), text,
	    filename(s->all ? s->other : s->ours, b, sizeof b));
}

bool
runtime_alone(const char *who)
{
	struct search s = {0};
	// A runtime that runs has threads. Without any, at nearly every boot, the walk (8 µs) can
	// be spared.
	if (runtime_onethread()) {
		atomic_storerel(&self.running, 1);
		return true;
	}
	dl_iterate_phdr(claim, &s);
	if (!s.claimed)
		complain(who, &s, "runs one");
	return s.claimed;
}

void
runtime_notalone(void)
{
	atomic_storerel(&self.running, 0);
}

int
runtime_copies(const char *who, int before)
{
	struct search s = {.all = true};
	dl_iterate_phdr(visit, &s);
	if (who != NULL && s.copies > before)
		complain(who, &s, "runs one");
	return s.copies;
}

void
runtime_attachposix(void)
{
	void (*attach)(const struct rt0_self *) = (void (*)(const struct rt0_self *))dlsym(RTLD_DEFAULT, "rt0_posix_attach");
	if (attach != NULL)
		attach(&self);
}
