// SPDX-License-Identifier: BSD-3-Clause
// close_nil.c: a close of no channel.

#include "rt0.h"

int
main(void)
{
	rt0_chan_close(NULL); // here
	return 0;
}
