// SPDX-License-Identifier: BSD-3-Clause
// waitlist.h: goroutines that wait in a queue until one of three things happens: it is their turn, their deadline
// passes, their context is cancelled. Of Cond and Semaphore.
//
// A waiter lies on its goroutine's stack. It is on the list, and state is WAITING, from waitlist_add on until somebody
// takes it off, under the lock; whoever does so, first come, decides how the wait ends, and readies
// the goroutine if it has parked already (g is set). The goroutine leaves waitlist_wait after timer and context
// have been told to forget it: both promise that they do not look at the waiter any more.
//
// The lock is a leaf: it is taken under the lock of a timer's wheel, and nothing is readied under it.
#ifndef RT0_WAITLIST_H
#define RT0_WAITLIST_H

#include "../runtime.h"

enum waitend { WAITING, WOKEN, TIMEDOUT, CANCELLED };

// What a context calls when it is cancelled, under its lock; it has taken w off its list before. context.c.
struct ctxwatch {
	struct ctxwatch *next, **pprev; // the context's lock; pprev NULL: on no list
	void (*cancelled)(struct ctxwatch *w);
};

struct waiter {
	struct waiter *next, *prev;
	struct g *g; // set when it parks
	struct rt0_waitlist *q;
	int64_t n; // the owner's
	enum waitend state;
	struct timer timer;
	struct ctxwatch watch;
};

#pragma GCC visibility push(hidden)

// ctxwatch has w->cancelled called when ctx is cancelled, or returns false: it is. ctxunwatch: it will not
// be called any more, and does not run.
bool runtime_ctxwatch(rt0_context *ctx, struct ctxwatch *w);
void runtime_ctxunwatch(rt0_context *ctx, struct ctxwatch *w);

static inline struct mutex *
waitlist_mutex(struct rt0_waitlist *q)
{
	static_assert(sizeof q->lock == sizeof(struct mutex), "the lock of sync.h");
	return (struct mutex *)(void *)q->lock;
}

static inline void
waitlist_lock(struct rt0_waitlist *q)
{
	runtime_lock(waitlist_mutex(q));
}

static inline void
waitlist_unlock(struct rt0_waitlist *q)
{
	runtime_unlock(waitlist_mutex(q));
}

// waitlist_add puts w at the end. Lock held.
void runtime_waitlist_add(struct rt0_waitlist *q, struct waiter *w);
// waitlist_take takes w off and returns its goroutine, to be readied once the lock is dropped, or NULL: it has not parked
// yet, and will not. Then w is gone when the lock is dropped. Lock held.
struct g *runtime_waitlist_take(struct waiter *w, enum waitend how);
// waitlist_wait waits until w, which was added, has been taken. Lock not held. ctx may be NULL.
enum waitend runtime_waitlist_wait(struct waiter *w, int64_t deadline, rt0_context *ctx, enum waitreason reason);

#pragma GCC visibility pop
#endif
