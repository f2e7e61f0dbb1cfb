// SPDX-License-Identifier: BSD-3-Clause
// A thread of the program's own calls in, which takes the only p, and makes a pipe readable that a goroutine waits for. The
// thread of that goroutine, which sleeps in the poller, finds it, and has no p: the end of the call gives it that
// one. Otherwise each round takes the second after which sysmon gives up on the thread, and the test is late.
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rt0.h>

enum { ROUNDS = 60 };

static int to[2], rounds;
static rt0_waitgroup wg;

// call writes, and gives the poller a moment: less than a time slice.
static void
call(void *arg)
{
	struct timespec start, now;
	(void)arg;
	syscall(SYS_write, to[1], "x", 1);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000000000l + now.tv_nsec - start.tv_nsec < 3000000);
}

static void *
thread(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		while (__atomic_load_n(&rounds, __ATOMIC_ACQUIRE) != i)
			syscall(SYS_sched_yield);
		struct timespec ts = {0, 2000000}; // it parks meanwhile
		syscall(SYS_nanosleep, &ts, NULL);
		rt0_run(call, NULL);
	}
	return arg;
}

static void
reader(void *arg)
{
	char c;
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (read(to[0], &c, 1) != 1)
			rt0_fatal("read");
		__atomic_store_n(&rounds, i + 1, __ATOMIC_RELEASE);
	}
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	pthread_t th;
	if (pipe(to) < 0 || pthread_create(&th, NULL, thread, NULL) != 0)
		rt0_fatal("pipe");
	rt0_waitgroup_add(&wg, 1);
	rt0_go(reader, NULL);
	rt0_waitgroup_wait(&wg);
	pthread_join(th, NULL);
	rt0_printf("done\n");
	return 0;
}
