// SPDX-License-Identifier: BSD-3-Clause
// waitgroup_negative.c: one done too many.

#include "rt0.h"

int
main(void)
{
	rt0_waitgroup wg = {0};
	rt0_waitgroup_add(&wg, 1);
	rt0_waitgroup_done(&wg);
	rt0_waitgroup_done(&wg); // here
	return 0;
}
