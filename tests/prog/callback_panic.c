// SPDX-License-Identifier: BSD-3-Clause
// callback_panic.c: a panic below code of the libc, which keeps no frame pointers: in a callback of
// qsort, called by a signal handler, called from raise.

#include <signal.h>
#include <stdlib.h>

#include "rt0.h"

__attribute__((noinline)) static void
fail(const char *why)
{
	rt0_panic(why);
	__asm__ volatile("");
}

static int
compare(const void *a, const void *b)
{
	if (a != b)
		fail("compared");
	return 0;
}

static void
handler(int sig)
{
	int v[] = {3, sig, 2};
	qsort(v, 3, sizeof(v[0]), compare);
	__asm__ volatile("");
}

int
main(void)
{
	signal(SIGALRM, handler);
	raise(SIGALRM); // main
	return 0;
}
