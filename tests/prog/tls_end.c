// SPDX-License-Identifier: BSD-3-Clause
// tls_end.c: when a thread of the runtime ends, destructors of the program's have room, whoever has made the stack, and
// however much thread-local storage is on it.
#include <pthread.h>

#include "rt0.h"

enum { THREADS = 4, ROUNDS = 5 };

static pthread_key_t key;
static rt0_waitgroup wg;
static int begun, ended; // atomic

static void
atend(void *arg)
{
	volatile char area[40 << 10];
	for (unsigned i = 0; i < sizeof area; i += 64)
		area[i] = *(char *)arg;
	__atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void
work(void *main)
{
	rt0_lock_os_thread();
	if (!pthread_equal(pthread_self(), *(pthread_t *)main)) { // that does not end
		__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
		pthread_setspecific(key, "x");
	}
	rt0_sleep(1000000);
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	pthread_t self = pthread_self();
	pthread_key_create(&key, atend);
	for (int round = 0; round < ROUNDS; round++) {
		rt0_waitgroup_add(&wg, THREADS);
		for (int i = 0; i < THREADS; i++)
			rt0_go(work, &self);
		rt0_waitgroup_wait(&wg);
	}
	while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < __atomic_load_n(&begun, __ATOMIC_SEQ_CST))
		rt0_sleep(1000000);
	rt0_printf("ended\n");
	return 0;
}
