// SPDX-License-Identifier: BSD-3-Clause
// unit.c: the main of the binary that holds all unit tests.
//
// `unit --list` prints a line `NAME TIMEOUT_MS` a test. It does so from a constructor, before the
// runtime boots, so that a runtime that cannot boot fails tests and does not hide them.
// `unit NAME` runs that test on goroutine 1.
#include <stdlib.h>

#include "test.h"

extern const struct test *const __start_rt0_tests[] __attribute__((weak));
extern const struct test *const __stop_rt0_tests[] __attribute__((weak));

__attribute__((constructor)) static void
list(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--list") != 0)
		return;
	for (const struct test *const *t = __start_rt0_tests; t < __stop_rt0_tests; t++)
		dprintf(1, "%s %d\n", (*t)->name, (*t)->timeout_ms);
	_exit(0);
}

int
main(int argc, char **argv)
{
	for (const struct test *const *t = __start_rt0_tests; argc == 2 && t < __stop_rt0_tests;
	     t++) {
		if (strcmp((*t)->name, argv[1]) == 0) {
			(*t)->fn();
			return 0;
		}
	}
	dprintf(2, "usage: %s --list | TEST\n", argc > 0 ? argv[0] : "unit");
	return 2;
}
