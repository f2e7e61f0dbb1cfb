// SPDX-License-Identifier: BSD-3-Clause
// library.c: what tests/faults.sh runs of library mode: rt0_start, calls from two threads,
// rt0_stop, three times over. After each stop no thread and no file may be left.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../harness/proc.h"
#include "rt0.h"

static rt0_chan *c;
static rt0_waitgroup wg;

static void
send(void *arg)
{
	char *p = rt0_alloc(100000, 0);
	p[5] = 1;
	RT0_BLOCKING(usleep(50));
	rt0_chan_send(c, &(int){(int)(intptr_t)arg + p[5]});
	rt0_free(p);
	rt0_waitgroup_done(&wg);
}

static void
call(void *sum)
{
	int v;
	rt0_waitgroup_add(&wg, 30);
	for (int i = 0; i < 30; i++)
		rt0_go(send, (void *)(intptr_t)i);
	for (int i = 0; i < 30; i++) {
		rt0_chan_recv(c, &v);
		__atomic_add_fetch((int *)sum, v, __ATOMIC_SEQ_CST);
	}
}

static void *
foreign(void *sum)
{
	int err = rt0_run(call, sum);
	return err == 0 ? NULL : sum;
}

static void
expect(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fatal error: library: %s\n", what);
	exit(2);
}

// gone waits for threads that the kernel has not buried yet.
static int
gone(void)
{
	for (int i = 0; i < 2000 && proc_threads() > 1; i++)
		usleep(500);
	return proc_threads() == 1;
}

static void
destroy(void *arg)
{
	(void)arg;
	rt0_waitgroup_wait(&wg);
	rt0_chan_free(c);
}

static void
create(void *arg)
{
	(void)arg;
	c = rt0_chan_make(sizeof(int), 3);
}

int
main(void)
{
	int files = proc_entries("/proc/self/fd");
	for (int round = 0; round < 3; round++) {
		pthread_t th;
		void *bad;
		int sum = 0, err;
		expect(rt0_start(0, NULL) == 0, "rt0_start: no thread");
		rt0_run(create, NULL);
		expect(pthread_create(&th, NULL, foreign, &sum) == 0, "pthread_create");
		expect(foreign(&sum) == NULL, "rt0_run failed");
		pthread_join(th, &bad);
		expect(bad == NULL, "rt0_run failed on another thread");
		expect(sum == 2 * (30 + 30 * 29 / 2), "wrong sum");
		rt0_run(destroy, NULL);
		while ((err = rt0_stop()) == -16 /* EBUSY: the last goroutine is just leaving */)
			usleep(100);
		expect(err == 0, "rt0_stop failed");
		expect(gone(), "a thread was left behind");
		expect(proc_entries("/proc/self/fd") <= files + 1, "an open file was left behind");
	}
	puts("done");
	return 0;
}
