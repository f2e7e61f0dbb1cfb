// SPDX-License-Identifier: BSD-3-Clause
// preempt.c: assembly functions on goroutines: one processor, asynchronous preemption off, and a
// goroutine that does nothing but call them must let another one run; what needs too much stack is
// an error.
#include <rt0.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preempt_asm.h"

static volatile int stop, spins;

static void
spin(void *arg)
{
	(void)arg;
	while (!stop) {
		if (depth(10) != 10 || big(7) != 7)
			abort();
		spins++;
	}
}

int
main(int argc, char **argv)
{
	if (argc > 1) {
		huge();
		return 0;
	}
	if (!getenv("GODEBUG")) { // read at the start
		setenv("GODEBUG", "asyncpreemptoff=1", 1);
		execv("/proc/self/exe", argv);
	}
	rt0_go(spin, NULL);
	for (int i = 0; i < 20; i++)
		rt0_sleep(1000 * 1000);
	stop = 1;
	char cmd[] =
	    "GODEBUG= /proc/$PPID/exe huge 2>&1 | grep -q 'stack overflow in an assembly function'";
	int status = system(cmd);
	printf("%d spins, status %d\n", spins > 0, status);
	return spins == 0 || status != 0;
}
