// SPDX-License-Identifier: BSD-3-Clause
// use_in_syscall.c: between rt0_entersyscall and rt0_exitsyscall nothing else of rt0 may be called.
#include <rt0.h>

static void
nothing(void *arg)
{
	(void)arg;
}

int
main(int argc, char **argv)
{
	(void)argv;
	rt0_chan *c = rt0_chan_make(1, 0);
	rt0_entersyscall();
	if (argc > 1)
		rt0_go(nothing, NULL);
	rt0_chan_recv(c, NULL);
	rt0_exitsyscall();
	return 0;
}
