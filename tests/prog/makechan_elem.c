// SPDX-License-Identifier: BSD-3-Clause
// makechan_elem.c: elements of more than 64 KiB.

#include "rt0.h"

int
main(void)
{
	rt0_chan_make((64 << 10) + 1, 0); // here
	return 0;
}
