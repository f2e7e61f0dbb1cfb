// SPDX-License-Identifier: BSD-3-Clause
// nil_deref.c: a load through a null pointer.

#include "rt0.h"

struct pair {
	long a, b;
};

__attribute__((noinline)) static long
load(struct pair *p)
{
	return p->b; // here
}

int
main(void)
{
	struct pair *volatile p = NULL;
	rt0_printf("%ld\n", load(p)); // called
	return 0;
}
