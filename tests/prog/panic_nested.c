// SPDX-License-Identifier: BSD-3-Clause
// panic_nested.c: panics in deferred calls of panics, and Goexit among them: what is printed, in which order.
#include "rt0.h"

static volatile bool yes = true;

static void
panics(void *s)
{
	rt0_panic(s); // here
}

static void
recoversandpanics(void *s)
{
	rt0_recover(NULL);
	rt0_panic(s);
}

static void
recovers(void *arg)
{
	(void)arg;
	rt0_recover(NULL);
}

static void
prints(void *s)
{
	rt0_write(2, s, 9);
}

static void
exits(void *arg)
{
	(void)arg;
	rt0_goexit();
}

__attribute__((noinline)) static void
first(void)
{
	if (yes)
		rt0_panic("first"); // first
}

int
main(int argc, char **argv)
{
	switch (argc > 1 ? argv[1][0] : 0) {
	case 'n': {
		RT0_DEFER(panics, "third");
		RT0_DEFER(panics, "second");
		first();
		break;
	}
	case 'r': {
		RT0_DEFER(recoversandpanics, "second panic");
		if (yes)
			rt0_panic("first panic");
		break;
	}
	case 'g': { // a panic during Goexit
		RT0_DEFER(panics, "in Goexit");
		if (yes)
			rt0_goexit();
		break;
	}
	case 'e': { // Goexit during a panic
		RT0_DEFER(exits, NULL);
		rt0_panic("forgotten");
	}
	case 'x': { // Goexit, a panic in a deferred call, recovered by an older one: Goexit goes on
		RT0_DEFER(prints, "deferred\n");
		RT0_DEFER(recovers, NULL);
		RT0_DEFER(panics, "recovered");
		if (yes)
			rt0_goexit();
		break;
	}
	case 'o': { // deferred calls run before the message
		RT0_DEFER(prints, "deferred\n");
		if (yes)
			rt0_panic("something bad");
		break;
	}
	}
	return 0;
}
