// SPDX-License-Identifier: BSD-3-Clause
// deadlock_threads.c: threads that rt0 did not make, and the deadlock that they hold up or not.
//
//   joined   they have called in and ended: dead
//   alive    one is alive and calls in later: not dead before; after it has ended, dead
//   silent   one is alive and never calls in; main has started no goroutine. When it has ended:
//            dead
//   inside   one waits inside rt0, for ever: dead, and its goroutine is shown
//   chain    threads that start the next one and end, the last of them calls in

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rt0.h"

static rt0_chan *c;

static void
nap(long ms)
{
	struct timespec ts = {0, ms * 1000000};
	nanosleep(&ts, NULL);
}

static void *
sends(void *arg)
{
	int v = 7;
	if (arg != NULL)
		nap(150);
	rt0_chan_send(c, &v);
	return NULL;
}

static void *
naps(void *arg)
{
	nap(150);
	puts("thread ends");
	fflush(stdout);
	return arg;
}

static void *
waits(void *arg)
{
	rt0_chan_recv(arg, NULL);
	return NULL;
}

static void
start(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &attr, fn, arg) != 0)
		puts("no thread");
	pthread_attr_destroy(&attr);
}

static void *
link_(void *arg)
{
	long n = (long)arg;
	if (n > 0)
		start(link_, (void *)(n - 1));
	else
		sends(NULL);
	return NULL;
}

static void
receive(const char *what)
{
	int v;
	rt0_chan_recv(c, &v);
	printf("%s: received %d\n", what, v);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	c = rt0_chan_make(sizeof(int), 0);
	if (strcmp(what, "joined") == 0) {
		pthread_t t;
		for (int i = 0; i < 3; i++) {
			pthread_create(&t, NULL, sends, NULL);
			receive(what);
			pthread_join(t, NULL);
		}
	} else if (strcmp(what, "alive") == 0) {
		start(sends, c);
		receive(what);
	} else if (strcmp(what, "silent") == 0) {
		start(naps, NULL);
	} else if (strcmp(what, "inside") == 0) {
		start(waits, rt0_chan_make(0, 0));
		start(waits, NULL);
	} else if (strcmp(what, "chain") == 0) {
		start(link_, (void *)300l);
		receive(what);
	}
	rt0_chan_recv(c, NULL);
	return 0;
}
