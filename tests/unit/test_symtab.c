// SPDX-License-Identifier: BSD-3-Clause
// test_symtab.c: function, file and line of addresses in this process.
//
// Damaged files: test_symtab_damage.c.
#include <string.h>

#include "../../src/diag/symtab.h"
#include "../harness/test.h"

#define KEEP __attribute__((noinline, used))

static uintptr_t retpc;

KEEP static void
grab(void)
{
	retpc = (uintptr_t)__builtin_return_address(0);
	__asm__ volatile("");
}

KEEP static int
twolines(int x)
{
	grab();
	int line = __LINE__ - 1;
	__asm__ volatile("");
	return line + x;
}

static bool
endswith(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

TEST(symtab_static_function_has_name_file_line)
{
	struct symline s;
	int line = twolines(0);
	CHECK(runtime_funcline(retpc - 1, &s));
	CHECK_STREQ(s.name, "twolines");
	CHECK(s.file != NULL && endswith(s.file, "/test_symtab.c"));
	CHECK_EQ(s.file[0], '/');
	CHECK_EQ(s.line, line);
	CHECK_EQ(s.entry, (uintptr_t)twolines);
}

TEST(symtab_entry_of_a_function_is_its_own)
{
	struct symline s, again;
	CHECK(runtime_funcline((uintptr_t)runtime_funcline, &s));
	CHECK_STREQ(s.name, "runtime_funcline");
	CHECK(endswith(s.file, "diag/symtab.c"));
	CHECK(runtime_funcline((uintptr_t)runtime_funcline + 1, &again));
	// Equal files are one string, so callers may compare pointers.
	CHECK(s.file == again.file);
}

TEST(symtab_wild_addresses_have_no_name)
{
	static const uintptr_t wild[] = {
	    0, 1, 0x1234, (uintptr_t)1 << 47, (uintptr_t)1 << 63, ~(uintptr_t)0};
	struct symline s;
	const char *path;
	uintptr_t off;
	for (size_t i = 0; i < NELEM(wild); i++) {
		CHECK(!runtime_funcline(wild[i], &s));
		CHECK(s.name == NULL && s.file == NULL && s.line == 0);
		CHECK_EQ(runtime_pcmodule(wild[i], &path, &off), PC_NOTCODE);
	}
	CHECK_EQ(runtime_pcmodule((uintptr_t)&s, &path, &off), PC_NOTCODE);
}

TEST(symtab_function_of_the_libc_has_module)
{
	const char *path;
	uintptr_t off;
	CHECK_EQ(runtime_pcmodule((uintptr_t)strerror, &path, &off), PC_CODE);
	CHECK(path != NULL && path[0] == '/');
	CHECK(off != 0 && off <= (uintptr_t)strerror);
}

TEST(symtab_many_addresses_stay_consistent)
{
	struct symline s;
	// More addresses than the table of results holds, so that entries are replaced.
	uintptr_t start = (uintptr_t)runtime_funcline;
	for (int round = 0; round < 2; round++)
		for (uintptr_t pc = start; pc < start + 32; pc++) {
			CHECK(runtime_funcline(pc, &s));
			CHECK_STREQ(s.name, "runtime_funcline");
			for (uintptr_t k = 1; k < 64; k++)
				runtime_funcline(start + 32 + k * 16, &s);
		}
}

TEST(symtab_saferead_survives_bad_addresses)
{
	uint64_t to = 0, from = 42;
	CHECK(runtime_saferead(&to, (uintptr_t)&from, 8));
	CHECK_EQ(to, 42u);
	CHECK(!runtime_saferead(&to, 0, 8));
	CHECK(!runtime_saferead(&to, 8, 8));
	CHECK(!runtime_saferead(&to, (uintptr_t)1 << 63, 8));
	CHECK(!runtime_saferead(&to, ~(uintptr_t)7, 8));
}

TEST(symtab_warm_lookup_is_quick)
{
	struct symline s;
	runtime_funcline((uintptr_t)twolines, &s);
	int64_t t = runtime_nanotime();
	for (int i = 0; i < 1000; i++)
		runtime_funcline((uintptr_t)twolines, &s);
	CHECK(runtime_nanotime() - t < 1000 * 20000);
}
