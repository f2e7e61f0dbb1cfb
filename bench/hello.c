// SPDX-License-Identifier: BSD-3-Clause
// hello.c: the least program, for its time from exec to exit.
//
// Built three ways by run.sh: plain C, the same source with rt0 behind it (hosted), and with PURE
// defined as a program without a libc.
#ifdef PURE
#include <rt0.h>

int
main(void)
{
	return rt0_write(1, "hi\n", 3) == 3 ? 0 : 1;
}
#else
#include <stdio.h>

int
main(void)
{
	return puts("hi") < 0;
}
#endif
