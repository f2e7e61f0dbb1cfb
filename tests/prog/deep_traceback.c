// SPDX-License-Identifier: BSD-3-Clause
// deep_traceback.c: of more than a hundred frames the first and the last fifty are shown, a
// hundred are shown whole.

#include "rt0.h"

// Volatile: compilers warn of a recursion that only ends in a panic.
static void (*volatile fail)(const char *) = rt0_panic;

__attribute__((noinline)) static int
f(int n)
{
	if (n == 0) {
		fail("deep");
		return 0;
	}
	return f(n - 1) + 1; // here
}

int
main(int argc, char **argv)
{
	(void)argv;
	return f(argc > 1 ? 98 : 200);
}
