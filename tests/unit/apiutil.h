// SPDX-License-Identifier: BSD-3-Clause
// apiutil.h: what the tests of the public API share. They see rt0.h only, not the runtime's own
// headers, as a program would.
#ifndef RT0_APIUTIL_H
#define RT0_APIUTIL_H

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../include/rt0.h"
#include "test.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

// Flags and counters that goroutines on several threads touch; sequentially consistent.
#define get(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define set(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define inc(p) __atomic_add_fetch((p), 1, __ATOMIC_SEQ_CST)
#define dec(p) __atomic_sub_fetch((p), 1, __ATOMIC_SEQ_CST)

// yield lets others run n times. It proves nothing by itself: a test may use it to give what must
// not happen a chance to happen, never to give what must happen the time to.
static inline void
yield(int n)
{
	while (n-- > 0)
		rt0_gosched();
}

// await returns when *p is v. The test's time limit bounds it.
static inline void
await(int *p, int v)
{
	while (get(p) != v)
		rt0_gosched();
}

// blocking_sleep puts the thread to sleep, as a system call does, and gives the processor away.
static inline void
blocking_sleep(long us)
{
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};
	RT0_BLOCKING(nanosleep(&ts, NULL));
}

static inline rt0_chan *
ints(size_t cap)
{
	return rt0_chan_make(sizeof(int), cap);
}

// pong sends back on c[1] what comes on c[0], and closes it as that is closed.
static inline void
pong(void *arg)
{
	rt0_chan **c = arg;
	int v;
	RT0_RANGE (c[0], v)
		rt0_chan_send(c[1], &v);
	rt0_chan_close(c[1]);
}

static inline int
gettid_(void)
{
	return (int)syscall(SYS_gettid);
}

#endif
