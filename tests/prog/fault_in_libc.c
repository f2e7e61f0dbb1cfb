// SPDX-License-Identifier: BSD-3-Clause
// fault_in_libc.c: a fault in the libc's code is fatal, also with a deferred call that would recover.
#include <string.h>

#include "rt0.h"

static void
catch(void *arg)
{
	(void)arg;
	rt0_recover(NULL);
}

static char *volatile null;
static size_t (*volatile length)(const char *) = strlen;

int
main(void)
{
	RT0_DEFER(catch, NULL);
	return (int)length(null);
}
