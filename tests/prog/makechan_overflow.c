// SPDX-License-Identifier: BSD-3-Clause
// makechan_overflow.c: a capacity whose size in bytes wraps around to something small.

#include "rt0.h"

int
main(void)
{
	rt0_chan_make(16, SIZE_MAX / 16 + 2); // here
	return 0;
}
