// SPDX-License-Identifier: BSD-3-Clause
// signal_foreign_fault.c: a fault on a thread that rt0 did not make ends the program with a report.

#include <pthread.h>

#include "rt0.h"

static void *
foreign(void *arg)
{
	*(volatile int *)arg = 1; // here
	return NULL;
}

int
main(void)
{
	pthread_t t;
	pthread_create(&t, NULL, foreign, NULL);
	RT0_BLOCKING(pthread_join(t, NULL));
	return 0;
}
