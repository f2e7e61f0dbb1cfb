// SPDX-License-Identifier: BSD-3-Clause
// rt0/sync.h: Mutex, WaitGroup, Once; rt0.h includes it. Zero is the initial value, and none needs a
// call to be destroyed.
#ifndef RT0_SYNC_H
#define RT0_SYNC_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt0_mutex {
	uint32_t state, sema;
} rt0_mutex;

// rt0_mutex_lock waits while another goroutine has m. rt0_mutex_trylock does not wait.
// Returns  rt0_mutex_trylock: whether it got m.
// Panics   rt0_mutex_unlock: fatal "sync: unlock of unlocked mutex".
// Blocks   the goroutine, not the thread. Nobody waits for more than about 1 ms behind newcomers.
// Context  goroutine or thread; any goroutine may unlock.
// Memory   the n-th unlock happens before the (n+1)-th lock returns.
RT0_API void rt0_mutex_lock(rt0_mutex *m);
RT0_API bool rt0_mutex_trylock(rt0_mutex *m);
RT0_API void rt0_mutex_unlock(rt0_mutex *m);

typedef struct rt0_waitgroup {
	uint64_t state; // counter in the high 32 bits, waiters in the low
	uint32_t sema;
} rt0_waitgroup;

// rt0_waitgroup_add adds delta to the counter; at 0 all waiters go on. Add before you start what
// you will wait for.
// Panics   "sync: negative WaitGroup counter", "sync: WaitGroup misuse: Add called concurrently
//          with Wait", "sync: WaitGroup is reused before previous Wait has returned".
// Context  goroutine or thread.
// Memory   a done happens before the return of the wait that it ends.
RT0_API void rt0_waitgroup_add(rt0_waitgroup *wg, int delta);
RT0_API void rt0_waitgroup_done(rt0_waitgroup *wg);
// Blocks   the goroutine, not the thread.
RT0_API void rt0_waitgroup_wait(rt0_waitgroup *wg);

typedef struct rt0_once {
	uint32_t done;
	rt0_mutex m;
} rt0_once;

// rt0_once_do calls fn(arg) if no call with this once has been made before; when it returns, the
// one call has returned.
// Blocks   the goroutine while another makes the call. Called from fn itself: deadlock.
// Context  goroutine or thread.
RT0_API void rt0_once_do(rt0_once *once, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
