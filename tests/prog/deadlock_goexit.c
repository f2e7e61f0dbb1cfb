// SPDX-License-Identifier: BSD-3-Clause
// deadlock_goexit.c: main has left and nobody else is there.

#include "rt0.h"

int
main(void)
{
	rt0_goexit();
}
