// SPDX-License-Identifier: BSD-3-Clause
// test_symtab_damage.c: the reader of symbols and lines against ELF files that are cut or broken.
//
// It includes elf.c and symtab.c to reach its static functions: a damaged file cannot be put under the
// running program. All that is asked is that each lookup ends, and soon; any answer will do.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/diag/elf.c"
#include "../../src/diag/symtab.c"
#include "../harness/test.h"

static uint8_t *image;
static size_t imagesize;
static char copyname[32];
static int copyfd;
static uint64_t seed = 20240607;

static uint64_t
rnd(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

// store writes a part of the image, which is large, to the copy.
static void
store(size_t off, size_t n)
{
	CHECK_EQ(pwrite(copyfd, image + off, n, (off_t)off), (ssize_t)n);
}

static void
setup(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	off_t n = lseek(fd, 0, SEEK_END);
	CHECK(n > 0);
	imagesize = (size_t)n;
	image = malloc(imagesize);
	CHECK_EQ(pread(fd, image, imagesize, 0), n);
	close(fd);
	strcpy(copyname, "/tmp/rt0-test-damage-XXXXXX");
	copyfd = mkstemp(copyname);
	CHECK(copyfd >= 0);
	store(0, imagesize);
}

static void
teardown(void)
{
	unlink(copyname);
	close(copyfd);
	free(image);
}

static volatile int x;

static inline __attribute__((always_inline)) void
inlined(void)
{
	x++;
	x++;
	x++;
}

__attribute__((noinline, used)) static void
inlines(void)
{
	inlined();
	inlined();
}

enum { NADDRS = 24 };
static int ninlined; // what look has found inlined, ever

// look asks the file for a few addresses; the result is how many answers it gave.
static int
look(void)
{
	static struct module m;
	struct inlined in[4];
	const char *path, *name, *file;
	uintptr_t off, off2;
	uint64_t entry;
	int32_t line;
	int n = 0;
	static const uint64_t wild[] = {0, 4096, 0x401000, ~0ull};
	CHECK_EQ(runtime_pcmodule((uintptr_t)runtime_funcline, &path, &off), PC_CODE);
	CHECK_EQ(runtime_pcmodule((uintptr_t)inlines, &path, &off2), PC_CODE);
	m = (struct module){.path = copyname, .fd = -1};
	m.usable = runtime_openfile(&m, m.path) && runtime_readheaders(&m, 0, 0);
	for (size_t i = 0; m.usable && i < NADDRS + NELEM(wild); i++) {
		uint64_t at = i >= NADDRS ? wild[i - NADDRS] : i % 2 ? off + i * 40 : off2 + i * 2;
		n += findsym(&m, at, &name, &entry) && runtime_strlen(name) > 0;
		n += runtime_dwarfline(&m, at, &file, &line) && runtime_strlen(file) > 0;
		int k = runtime_dwarfinline(&m, at, in, NELEM(in));
		CHECK(k >= 0 && k <= (int)NELEM(in));
		ninlined += k;
		while (k-- > 0)
			n += runtime_strlen(in[k].name) > 0;
	}
	runtime_modclose(&m);
	for (int i = 0; i < NSEC; i++)
		if (m.sec[i].p != NULL)
			runtime_sysFree((void *)m.sec[i].p, alignup(m.sec[i].size, PAGESIZE),
			    &memstats.other_sys);
	if (m.seqcap != 0)
		runtime_sysFree(m.seqs, m.seqcap * sizeof(*m.seqs), &memstats.other_sys);
	if (m.unitcap != 0)
		runtime_sysFree(m.units, m.unitcap * sizeof(*m.units), &memstats.other_sys);
	return n;
}

TEST(symtab_damage_cut_file_gives_answer_or_none)
{
	setup();
	CHECK(look() > 0);
	CHECK(ninlined > 0);
	for (int i = 0; i < 100; i++) {
		size_t n = rnd(imagesize);
		CHECK_EQ(ftruncate(copyfd, (off_t)n), 0);
		look();
		store(n, imagesize - n);
	}
	teardown();
}

TEST(symtab_damage_flipped_bytes_give_answer_or_none)
{
	setup();
	struct ehdr eh;
	memcpy(&eh, image, sizeof(eh));
	for (int i = 0; i < 300; i++) {
		size_t at[16];
		uint8_t was[16];
		int n = 1 + (int)rnd(16);
		// One third each: the headers at both ends, where a byte moves everything; one
		// section.
		size_t lo = 0, len = sizeof(eh) + eh.phnum * sizeof(struct phdr);
		if (i % 3 == 1) {
			lo = eh.shoff;
			len = eh.shnum * sizeof(struct shdr);
		} else if (i % 3 == 2) {
			struct shdr sh;
			memcpy(&sh, image + eh.shoff + rnd(eh.shnum) * sizeof(sh), sizeof(sh));
			if (sh.type == SHT_NOBITS || sh.size == 0)
				continue;
			lo = sh.offset;
			len = sh.size < 4096 ? sh.size : 4096;
		}
		for (int k = 0; k < n; k++) {
			at[k] = lo + rnd(len);
			was[k] = image[at[k]];
			image[at[k]] = rnd(3) == 0 ? 0xff : (uint8_t)rnd(256);
			store(at[k], 1);
		}
		look();
		while (n-- > 0) {
			image[at[n]] = was[n];
			store(at[n], 1);
		}
	}
	teardown();
}

// The sections that tell what is inlined, anywhere in them; more damage each time.
TEST_T(symtab_damage_debug_sections_give_answer_or_none, 60000)
{
	static const char *const names[] = {".debug_info", ".debug_abbrev", ".debug_rnglists",
	    ".debug_ranges", ".debug_addr", ".debug_str_offsets", ".debug_aranges", ".debug_line"};
	setup();
	struct ehdr eh;
	struct shdr sh, strs;
	memcpy(&eh, image, sizeof(eh));
	memcpy(&strs, image + eh.shoff + eh.shstrndx * sizeof(strs), sizeof(strs));
	uint8_t *was = malloc(imagesize);
	memcpy(was, image, imagesize);
	for (int i = 0; i < 400; i++) {
		const char *want = names[i % NELEM(names)];
		for (uint32_t k = 0; k < eh.shnum; k++) {
			memcpy(&sh, image + eh.shoff + k * sizeof(sh), sizeof(sh));
			if (strcmp((char *)image + strs.offset + sh.name, want) == 0)
				break;
			sh.size = 0;
		}
		if (sh.size == 0 || sh.type == SHT_NOBITS)
			continue;
		for (uint64_t n = 1 + rnd(1 + (uint64_t)i * sh.size / 4000); n > 0; n--)
			image[sh.offset + rnd(sh.size)] = rnd(4) == 0 ? 0xff : (uint8_t)rnd(256);
		store(sh.offset, sh.size);
		look();
		memcpy(image + sh.offset, was + sh.offset, sh.size);
		store(sh.offset, sh.size);
	}
	free(was);
	teardown();
}
