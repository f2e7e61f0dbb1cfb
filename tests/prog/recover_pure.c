// SPDX-License-Identifier: BSD-3-Clause
// recover_pure.c: panics, faults and their recovery in a program without a libc; then what a program without
// unwind tables can do.
#include "rt0.h"

static volatile bool yes = true;

static void
catch(void *v)
{
	if (rt0_recover(v))
		rt0_recover_result(-1);
}

__attribute__((noinline)) static int
try(rt0_value *v, int how)
{
	RT0_DEFER(catch, v);
	if (how == 1)
		rt0_panic("text");
	if (how == 2)
		*(volatile int *)(uintptr_t)(8 * yes) = 1;
	if (how == 3)
		rt0_chan_close(NULL);
	return RT0_RESULT(how);
}

static void
panics(void *arg)
{
	if (yes)
		rt0_panic(arg);
}

int
main(int argc, char **argv)
{
	rt0_value v = {.kind = RT0_NIL};
	char text[100];
	(void)argv;
	if (!rt0_try(panics, "tried", &v))
		rt0_printf("%s\n", v.v.s);
	if (argc > 1)
		return try(&v, 1);
	for (int i = 0; i < 4; i++) {
		int r = try(&v, i);
		rt0_value_text(&v, text, sizeof text);
		rt0_printf("%d %s\n", r, text);
	}
	return 0;
}
