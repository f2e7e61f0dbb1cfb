// SPDX-License-Identifier: BSD-3-Clause
// fault_in_syscall.c: a panic where the goroutine has no processor cannot run deferred calls.
#include "rt0.h"

static void
catch(void *arg)
{
	(void)arg;
	rt0_recover(NULL);
}

int
main(int argc, char **argv)
{
	RT0_DEFER(catch, NULL);
	rt0_entersyscall();
	if (argc > 1 && argv[1][0] == 'p')
		rt0_panic("not here");
	*(volatile int *volatile)NULL = 1;
	rt0_exitsyscall();
	return 0;
}
