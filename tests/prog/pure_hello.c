// SPDX-License-Identifier: BSD-3-Clause
// pure_hello.c: goroutines, channels, memory, the environment and the arguments without a libc.

#include "rt0.h"

static void
square(void *c)
{
	int v;
	RT0_RANGE (c, v)
		rt0_printf("%d squared is %d\n", v, v * v);
	rt0_exit(v == 0 ? 9 : 1);
}

int
main(int argc, char **argv)
{
	const char *who = rt0_getenv("WHO");
	rt0_printf("hello %s, %d arguments, last %s|%5.2f|%-4x|%c\n", who ? who : "?", argc - 1,
	    argv[argc - 1], 3.14159, 255, '!');
	char *p = rt0_alloc(100000, 0);
	for (int i = 0; i < 100000; i++)
		if (p[i] != 0)
			rt0_exit(1);
	rt0_free(p);
	rt0_chan *c = rt0_chan_make(sizeof(int), 2);
	rt0_go(square, c);
	for (int i = 1; i <= 4; i++)
		rt0_chan_send(c, &i);
	rt0_chan_close(c);
	rt0_goexit();
}
