// SPDX-License-Identifier: BSD-3-Clause
// fatal.c: rt0_fatal.

#include "rt0.h"

int
main(void)
{
	rt0_fatal("this cannot go on"); // here
}
