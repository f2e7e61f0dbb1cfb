// SPDX-License-Identifier: BSD-3-Clause
// rt0/sync.h: Mutex, RWMutex, Cond, WaitGroup, Once, OnceFunc, Semaphore, Pool; rt0.h includes it. Zero is
// the initial value unless a type says more, and none but Pool needs a call to be destroyed.
//
// None may be moved or copied once it is used. deadline: absolute ns of rt0_nanotime(); RT0_NEVER: no limit; in
// the past: the call tries once. For contexts as a limit see context.h.
//
// There are no atomic variables here: those of C11 (stdatomic.h) and C++ are Go's, with the orders that Go has
// as the default. A goroutine that spins on one should call rt0_gosched.
#ifndef RT0_SYNC_H
#define RT0_SYNC_H

#include "base.h"
#include "panic.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Mutex ---------------------------------------------------------------------------------

typedef struct rt0_mutex {
	uint32_t state, sema;
} rt0_mutex;

// rt0_mutex_lock waits while another goroutine has m. rt0_mutex_trylock does not wait.
// Returns  rt0_mutex_trylock: whether it got m. rt0_mutex_lock_until: 0, or -ETIMEDOUT and it has not got m.
// Panics   rt0_mutex_unlock: fatal "sync: unlock of unlocked mutex".
// Blocks   the goroutine, not the thread. Nobody waits for more than about 1 ms behind newcomers.
// Context  goroutine or thread; any goroutine may unlock.
// Memory   the n-th unlock happens before the (n+1)-th lock returns.
RT0_API void rt0_mutex_lock(rt0_mutex *m);
RT0_API int rt0_mutex_lock_until(rt0_mutex *m, int64_t deadline);
RT0_API bool rt0_mutex_trylock(rt0_mutex *m);
RT0_API void rt0_mutex_unlock(rt0_mutex *m);

// ---- RWMutex -------------------------------------------------------------------------------

// Held by any number of readers or by one writer. A writer that waits keeps new readers out: who
// has it for reading must not ask for it again, or both wait for ever.
typedef struct rt0_rwmutex {
	rt0_mutex w;
	uint32_t writersem, readersem;
	int32_t readercount, readerwait;
} rt0_rwmutex;

// Panics   fatal "sync: RUnlock of unlocked RWMutex", "sync: Unlock of unlocked RWMutex".
// Blocks   rlock and lock: the goroutine, not the thread.
// Context  goroutine or thread; any goroutine may unlock.
// Memory   as for Mutex among writers; a reader's unlock happens before the return of the next writer's lock, a
//          writer's before that of the readers' that follow.
RT0_API void rt0_rwmutex_rlock(rt0_rwmutex *rw);
RT0_API bool rt0_rwmutex_tryrlock(rt0_rwmutex *rw);
RT0_API void rt0_rwmutex_runlock(rt0_rwmutex *rw);
RT0_API void rt0_rwmutex_lock(rt0_rwmutex *rw);
RT0_API bool rt0_rwmutex_trylock(rt0_rwmutex *rw);
RT0_API void rt0_rwmutex_unlock(rt0_rwmutex *rw);

// ---- Cond ----------------------------------------------------------------------------------

// Goroutines that wait, in the order in which they came; of Cond and of Semaphore.
struct rt0_waitlist {
	uint32_t lock[2];
	void *first, *last;
};

typedef struct rt0_cond {
	struct rt0_waitlist q;
} rt0_cond;

// rt0_cond_wait unlocks m, waits for a signal or broadcast that comes after, and locks m again. It never
// returns without one; but others may have locked m in between, so test what you wait for in a loop:
//     rt0_mutex_lock(&m);
//     while (!ready)
//             rt0_cond_wait(&c, &m);
// Returns  rt0_cond_wait_until: 0, or -ETIMEDOUT and no signal is used up; m is locked in both cases.
// Panics   fatal "sync: unlock of unlocked mutex" if m is not locked.
// Blocks   the goroutine, not the thread.
// Context  goroutine or thread.
RT0_API void rt0_cond_wait(rt0_cond *c, rt0_mutex *m);
RT0_API int rt0_cond_wait_until(rt0_cond *c, rt0_mutex *m, int64_t deadline);

// rt0_cond_signal wakes the goroutine that has waited longest, rt0_cond_broadcast all that wait. The caller
// may hold the mutex, and need not.
// Context  goroutine or thread.
RT0_API void rt0_cond_signal(rt0_cond *c);
RT0_API void rt0_cond_broadcast(rt0_cond *c);

// ---- WaitGroup -----------------------------------------------------------------------------

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
// Returns  rt0_waitgroup_wait_until: 0, or -ETIMEDOUT and the counter was not 0 yet.
// Blocks   the goroutine, not the thread.
RT0_API void rt0_waitgroup_wait(rt0_waitgroup *wg);
RT0_API int rt0_waitgroup_wait_until(rt0_waitgroup *wg, int64_t deadline);

// rt0_waitgroup_go adds 1 and starts fn(arg) as a goroutine; when it ends, by return, rt0_goexit or a panic,
// it is done.
// Panics   as rt0_go.
// Context  goroutine or thread.
RT0_API void rt0_waitgroup_go(rt0_waitgroup *wg, void (*fn)(void *arg), void *arg);

// ---- Once ----------------------------------------------------------------------------------

typedef struct rt0_once {
	uint32_t done;
	rt0_mutex m;
} rt0_once;

// rt0_once_do calls fn(arg) if no call with this once has been made before; when it returns, the
// one call has returned. A call that panics was the one call.
// Blocks   the goroutine while another makes the call. Called from fn itself: deadlock.
// Context  goroutine or thread.
RT0_API void rt0_once_do(rt0_once *once, void (*fn)(void *arg), void *arg);

// A function that is called once, and whose panic every call repeats.
//     static rt0_oncefunc table = RT0_ONCEFUNC(make_table, NULL);
typedef struct rt0_oncefunc {
	void (*fn)(void *arg);
	void *arg;
	rt0_once once;
	bool valid; // fn has returned
	rt0_value value;
} rt0_oncefunc;
#define RT0_ONCEFUNC(fn, arg)                                                                     \
	{                                                                                         \
		(fn), (arg), {0, {0, 0}}, false, {0, 0, {0}, {0}}                                 \
	}

// rt0_oncefunc_call calls f->fn(f->arg) the first time. If that has panicked, this and all later calls panic
// with the same value; if it has called rt0_goexit, later calls panic with RT0_ERR_NILPANIC.
// Blocks   as rt0_once_do.
// Context  goroutine or thread.
RT0_API void rt0_oncefunc_call(rt0_oncefunc *f);

// ---- Semaphore -----------------------------------------------------------------------------

// So many units of something, first come first served: who asks for many is not passed by those
// who ask for few.
typedef struct rt0_semaphore {
	int64_t size, used;
	struct rt0_waitlist q;
} rt0_semaphore;
#define RT0_SEMAPHORE(size)                                                                       \
	{                                                                                         \
		(size), 0, {{0, 0}, NULL, NULL}                                                   \
	}

// rt0_semaphore_acquire waits until n units are free and nobody is before it, and takes them.
// rt0_semaphore_try_acquire does not wait, and fails while others do.
// Returns  0; -EINVAL: n < 0, or more than there will ever be; -ETIMEDOUT (until), -EAGAIN (try): nothing is taken.
// Panics   rt0_semaphore_release: "semaphore: released more than held", also for n < 0.
// Blocks   acquire: the goroutine, not the thread.
// Context  goroutine or thread; anybody may release.
// Memory   a release happens before the return of the acquires that it makes possible.
RT0_API void rt0_semaphore_init(rt0_semaphore *s, int64_t size);
RT0_API int rt0_semaphore_acquire(rt0_semaphore *s, int64_t n);
RT0_API int rt0_semaphore_acquire_until(rt0_semaphore *s, int64_t n, int64_t deadline);
RT0_API int rt0_semaphore_try_acquire(rt0_semaphore *s, int64_t n);
RT0_API void rt0_semaphore_release(rt0_semaphore *s, int64_t n);

// ---- Pool ----------------------------------------------------------------------------------

// Objects that are kept for the next who needs one: per processor, so that goroutines on different ones seldom
// meet. What has not been asked for during one to two seconds of use is given to free: an object grows old
// while others are put. A pool that nobody uses keeps what it has until rt0_pool_age or rt0_pool_drain.
//     static rt0_pool bufs = RT0_POOL(new_buf, free_buf, NULL);
typedef struct rt0_pool {
	void *(*make)(void *arg);            // NULL: rt0_pool_get of an empty pool returns NULL
	void (*free)(void *obj, void *arg);  // NULL: what is too old is forgotten
	void *arg;
	struct rt0_poolparts *parts;         // the rest is the pool's own
} rt0_pool;
#define RT0_POOL(make, free, arg)                                                                 \
	{                                                                                         \
		(make), (free), (arg), NULL                                                       \
	}

// rt0_pool_get takes an object out of the pool, any, or makes one. rt0_pool_put gives one back: nobody may use it
// any more; NULL is ignored.
// Panics   fatal "out of memory".
// Context  goroutine or thread. make and free are called on the caller's stack, with no lock held. They may
//          block, and use the pool.
// Memory   a put happens before the get that returns the same object.
RT0_API void *rt0_pool_get(rt0_pool *p);
RT0_API void rt0_pool_put(rt0_pool *p, void *obj);

// rt0_pool_age does at once what time does: what the last one found in the pool and is still there is freed.
// rt0_pool_drain frees all that is in the pool, which may still be used.
// Context  goroutine or thread; at any time.
RT0_API void rt0_pool_age(rt0_pool *p);
RT0_API void rt0_pool_drain(rt0_pool *p);

// rt0_pool_destroy drains the pool and gives its own memory back. Nobody may use it during the call.
RT0_API void rt0_pool_destroy(rt0_pool *p);

#ifdef __cplusplus
}
#endif
#endif
