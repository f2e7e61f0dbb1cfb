// SPDX-License-Identifier: BSD-3-Clause
// unlock_unlocked.c: an unlock without a lock.

#include "rt0.h"

int
main(void)
{
	static rt0_mutex m;
	rt0_mutex_lock(&m);
	rt0_mutex_unlock(&m);
	rt0_mutex_unlock(&m); // here
	return 0;
}
