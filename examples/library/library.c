// SPDX-License-Identifier: BSD-3-Clause
// library/library.c: a C program with a main and threads of its own that uses rt0 for one job.
//
//     $ rt0 build -lib examples/library/library.c -o library
//     $ ./library
//     4 threads sent 1000 numbers; goroutines summed 499500
//     started and stopped 2 times
//
// The threads are the program's: a call of rt0_chan_send makes each a goroutine for as long as
// the call lasts, and blocks the thread when it has to wait. rt0_main.o, which makes main a
// goroutine, is not linked.

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "rt0.h"

enum { THREADS = 4, WORKERS = 3, NUMBERS = 1000 };

static rt0_chan *jobs, *sums;

static void *
foreign_thread(void *arg)
{
	for (int i = (int)(long)arg; i < NUMBERS; i += THREADS)
		rt0_chan_send(jobs, &i);
	return NULL;
}

static void
worker(void *arg)
{
	(void)arg;
	int n;
	long sum = 0;
	RT0_RANGE (jobs, n)
		sum += n;
	rt0_chan_send(sums, &sum);
}

static void
start_workers(void *arg)
{
	(void)arg;
	for (int i = 0; i < WORKERS; i++)
		rt0_go(worker, NULL);
}

static int
job(int argc, char **argv, long *total)
{
	int err = rt0_start(argc, argv);
	if (err != 0)
		return err;
	jobs = rt0_chan_make(sizeof(int), 16);
	sums = rt0_chan_make(sizeof(long), WORKERS);
	rt0_run(start_workers, NULL);

	pthread_t threads[THREADS];
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, foreign_thread, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);

	rt0_chan_close(jobs);
	*total = 0;
	for (int i = 0; i < WORKERS; i++) {
		long sum;
		rt0_chan_recv(sums, &sum);
		*total += sum;
	}
	// The last worker may still be on its way out of rt0_chan_send.
	do
		err = rt0_stop();
	while (err == -EBUSY);
	return err;
}

int
main(int argc, char **argv)
{
	int rounds = 0;
	for (; rounds < 2; rounds++) {
		long total;
		int err = job(argc, argv, &total);
		if (err != 0) {
			fprintf(stderr, "library: error %d\n", -err);
			return 1;
		}
		if (rounds == 0)
			printf("%d threads sent %d numbers; goroutines summed %ld\n", THREADS,
			    NUMBERS, total);
		if (total != (long)NUMBERS * (NUMBERS - 1) / 2)
			return 1;
	}
	printf("started and stopped %d times\n", rounds);
	return 0;
}
