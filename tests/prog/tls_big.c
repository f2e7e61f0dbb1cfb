// SPDX-License-Identifier: BSD-3-Clause
// tls_big.c: static thread-local storage larger than any stack that a thread needs by itself. A thread's stack holds
// both: the storage is whole and its own, and as much is left of the stack as ever.
#include "rt0.h"

enum { SIZE = 1 << 20, THREADS = 8 };

static __thread char big[SIZE];
static __thread int set = 5;

static rt0_waitgroup wg;
static rt0_chan *bad;

static int
wrong(char c)
{
	int n = 0;
	for (int i = 0; i < SIZE; i += 61)
		n += big[i] != c;
	return n;
}

// Twice on each thread's stack, one after the other: the first ends locked, and its thread with it.
static void
work(void *arg)
{
	rt0_lock_os_thread();
	int n = wrong(0) + (set != 5);
	char c = (char)(1 + (long)arg);
	for (int i = 0; i < SIZE; i++)
		big[i] = c;
	set = 6;
	for (int i = 0; i < 20; i++)
		rt0_gosched();
	rt0_sleep(2000000);
	n += wrong(c);
	rt0_chan_send(bad, &n);
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	rt0_gomaxprocs(2);
	bad = rt0_chan_make(sizeof(int), 0);
	int sum = 0, n;
	for (int round = 0; round < 3; round++) {
		rt0_waitgroup_add(&wg, THREADS);
		for (long i = 0; i < THREADS; i++)
			rt0_go(work, (void *)i);
		for (int i = 0; i < THREADS; i++) {
			rt0_chan_recv(bad, &n);
			sum += n;
		}
		rt0_waitgroup_wait(&wg);
	}
	rt0_printf("%d wrong\n", sum);
	return sum != 0;
}
