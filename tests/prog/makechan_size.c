// SPDX-License-Identifier: BSD-3-Clause
// makechan_size.c: a channel of more bytes than there are.

#include "rt0.h"

int
main(void)
{
	rt0_chan_make(8, SIZE_MAX / 4); // here
	return 0;
}
