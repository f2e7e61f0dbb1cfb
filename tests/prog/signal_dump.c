// SPDX-License-Identifier: BSD-3-Clause
// signal_dump.c: what a signal prints that nobody asked for. Arguments: the signal's number, and
// "main" to have goroutine 1 alone.

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt0.h"

static int spinning;

static void
spin(void *arg)
{
	(void)arg;
	__atomic_store_n(&spinning, 1, __ATOMIC_SEQ_CST);
	for (;;)
		;
}

static void
worker(void *c)
{
	rt0_chan_recv(c, NULL); // waits
	rt0_printf("no\n");
}

int
main(int argc, char **argv)
{
	if (argc < 3) {
		rt0_gomaxprocs(2);
		rt0_go(spin, NULL);
		while (!__atomic_load_n(&spinning, __ATOMIC_SEQ_CST))
			rt0_gosched();
		rt0_go(worker, rt0_chan_make(0, 0));
		while (rt0_num_goroutine() < 3)
			rt0_gosched();
		for (int i = 0; i < 100; i++)
			rt0_gosched();
	}
	if (strcmp(argv[1], "trap") == 0)
		__builtin_trap();
	if (strcmp(argv[1], "int3") == 0)
		__asm__("int3");
	if (strcmp(argv[1], "abort") == 0)
		abort();
	raise(atoi(argv[1]));
	rt0_printf("survived\n");
	return 0;
}
