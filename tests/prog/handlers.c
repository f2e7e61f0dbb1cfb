// SPDX-License-Identifier: BSD-3-Clause
// handlers.c: a handler of the program's interrupts a channel operation and goes on for longer than a time slice. It
// keeps its p: who got that, alone or under the solo rule, would meet the channel half changed.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rt0.h>

#define get(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define set(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

enum { SIGNALS = 600 };

static rt0_chan *c, *ended;
static int tid, stop, handled;

static void
handler(int sig)
{
	struct timespec t;
	(void)sig;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t end = t.tv_sec * 1000000000ll + t.tv_nsec + 1000000;
	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec * 1000000000ll + t.tv_nsec < end);
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void
producer(void *arg)
{
	(void)arg;
	for (long i = 1; !get(&stop);) {
		set(&tid, (int)syscall(SYS_gettid));
		for (int k = 0; k < 20000; k++, i++)
			rt0_chan_send(c, &i);
	}
	rt0_chan_close(c);
}

static void
consumer(void *arg)
{
	long v, last = 0;
	(void)arg;
	while (rt0_chan_recv(c, &v)) {
		if (v != last + 1)
			rt0_fatal("out of order");
		last = v;
	}
	rt0_chan_send(ended, &last);
}

static void *
sender(void *arg)
{
	struct timespec ts = {0, 0};
	(void)arg;
	for (int i = 0; i < SIGNALS; i++) {
		ts.tv_nsec = 1300000 + i % 37 * 31000;
		nanosleep(&ts, NULL);
		if (get(&tid) != 0)
			syscall(SYS_tgkill, getpid(), get(&tid), SIGUSR1);
	}
	set(&stop, 1);
	return NULL;
}

int
main(void)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
	pthread_t t;
	long last;
	sigaction(SIGUSR1, &sa, NULL);
	c = rt0_chan_make(sizeof(long), 128);
	ended = rt0_chan_make(sizeof(long), 0);
	rt0_go(producer, NULL);
	rt0_go(consumer, NULL);
	pthread_create(&t, NULL, sender, NULL);
	rt0_chan_recv(ended, &last);
	RT0_BLOCKING(pthread_join(t, NULL));
	if (last > 0 && get(&handled) > 0)
		puts("in order");
	return 0;
}
