// SPDX-License-Identifier: BSD-3-Clause
// pthread_exit.c: a goroutine must not end its thread; it is told so.
#include <pthread.h>
#include <rt0.h>

static void
leave(void *arg)
{
	pthread_exit(arg);
}

int
main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		leave(NULL); // the main goroutine
	rt0_go(leave, NULL);
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
