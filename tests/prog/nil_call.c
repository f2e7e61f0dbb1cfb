// SPDX-License-Identifier: BSD-3-Clause
// nil_call.c: a call through a null pointer: the caller is still found.

#include "rt0.h"

int
main(void)
{
	void (*volatile fn)(void) = NULL;
	fn(); // here
	return 0;
}
