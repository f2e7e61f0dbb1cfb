// SPDX-License-Identifier: BSD-3-Clause
// bad_env.c: what malformed settings do: only a GOMEMLIMIT that means nothing is fatal.

#include "rt0.h"

int
main(void)
{
	rt0_printf("ran\n");
	return 0;
}
