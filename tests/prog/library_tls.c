// SPDX-License-Identifier: BSD-3-Clause
// library_tls.c: a host with more static thread-local storage than any stack needs by itself.
#include <stdio.h>

#include "rt0.h"

static __thread volatile char big[1 << 20];

static void
work(void *n)
{
	rt0_lock_os_thread();
	for (unsigned i = 0; i < sizeof big; i += 61)
		*(int *)n += big[i];
}

int
main(void)
{
	int n = 0;
	big[0] = 1;
	for (int i = 0; i < 2; i++) {
		printf("start: %d\n", rt0_start(0, NULL));
		rt0_run(work, &n);
		printf("stop: %d\n", rt0_stop());
	}
	printf("%d\n", n); // twice this thread's
	return 0;
}
