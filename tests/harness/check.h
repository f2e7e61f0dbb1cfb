// SPDX-License-Identifier: BSD-3-Clause
// check.h: CHECK for programs, which, unlike unit tests, have no harness around them.
#ifndef RT0_CHECK_H
#define RT0_CHECK_H
#include <stdio.h>
#include <unistd.h>

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			dprintf(2, "line %d: not true: %s\n", __LINE__, #x);                       \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#endif
