// SPDX-License-Identifier: BSD-3-Clause
// rt0/context.h: contexts: cancellation, deadlines and values that go down a tree of calls; groups of
// goroutines with a first error. rt0.h includes it.
//
//	rt0_context *ctx = rt0_context_with_timeout(parent, 2000000000);
//	serve(ctx, request);
//	rt0_context_cancel(ctx);
//	rt0_context_release(ctx);
//
// A context is cancelled once: by rt0_context_cancel, by its deadline, or because its parent is. Then its done
// channel is closed, rt0_context_err tells why, and so for all contexts below it. A child's end does not touch
// its parent.
//
// Who owns what. C has no collector, so a context counts its references. Each rt0_context_with_... returns one,
// which the caller owns and gives back by rt0_context_release. A child holds one of its parent: the parent may
// be released before the child, and goes with the last of them. A goroutine that is given a context, and may
// outlive its giver's reference, needs one of its own: retain before rt0_go, release at its end. The done channel
// is the context's: use it while you have a reference. A context that nobody refers to any more is
// freed even if it was not cancelled, with its timer, silently.
#ifndef RT0_CONTEXT_H
#define RT0_CONTEXT_H

#include "base.h"
#include "chan.h"
#include "panic.h"
#include "sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt0_context rt0_context;

// The root of all trees: never cancelled, without deadline and values. It needs no release.
RT0_API rt0_context *rt0_context_background(void);

// rt0_context_retain counts one more reference and returns ctx; rt0_context_release gives one back.
// Context  goroutine or thread; NULL is ignored.
// Memory   all releases happen before the context's values are dropped.
RT0_API rt0_context *rt0_context_retain(rt0_context *ctx);
RT0_API void rt0_context_release(rt0_context *ctx);

// rt0_context_with_cancel makes a child that rt0_context_cancel can cancel. With_deadline and with_timeout make
// one that is also cancelled at its deadline, which is no later than its parent's; with_deadline_cause
// says what the cause is then.
// Units    deadline: absolute ns of rt0_nanotime(), RT0_NEVER: none; timeout: ns from now.
// Returns  a new reference. The parent's cancellation, and a deadline in the past, show at once.
// Panics   "cannot create context from nil parent"; fatal "out of memory".
// Context  goroutine or thread.
RT0_API rt0_context *rt0_context_with_cancel(rt0_context *parent);
RT0_API rt0_context *rt0_context_with_deadline(rt0_context *parent, int64_t deadline);
RT0_API rt0_context *rt0_context_with_deadline_cause(rt0_context *parent, int64_t deadline, rt0_value cause);
RT0_API rt0_context *rt0_context_with_timeout(rt0_context *parent, int64_t timeout);

// rt0_context_with_value makes a child in which key, compared by its address, has value. drop(value) is called when
// the context is freed; NULL: the value is not the context's. rt0_context_value looks from ctx up.
// Returns  rt0_context_value: NULL if there is none.
// Panics   "nil key".
RT0_API rt0_context *rt0_context_with_value(rt0_context *parent, const void *key, void *value, void (*drop)(void *value));
RT0_API void *rt0_context_value(const rt0_context *ctx, const void *key);

// rt0_context_without_cancel makes a child that has its parent's values, but neither its deadline nor its end.
RT0_API rt0_context *rt0_context_without_cancel(rt0_context *parent);

// rt0_context_cancel cancels ctx with -ECANCELED; rt0_context_cancel_cause says why. The first cancellation
// counts, later ones do nothing. When it returns, all contexts below ctx are cancelled, unless another
// cancellation is at it still.
// Panics   "context: cancel of a context that is not cancellable": with_value, without_cancel, background.
// Context  goroutine or thread. It does not wait for those who work under ctx.
// Memory   it happens before the done channel is seen closed, and err and cause are seen.
RT0_API void rt0_context_cancel(rt0_context *ctx);
RT0_API void rt0_context_cancel_cause(rt0_context *ctx, rt0_value cause);

// rt0_context_done returns the channel (of elements of size 0) that is closed when ctx is cancelled, for select and
// receive; NULL, which blocks for ever, if it never will be. Do not close or free it.
// rt0_context_err returns 0 while ctx is not cancelled, then -ECANCELED or -ETIMEDOUT.
// rt0_context_cause returns what the first cancellation of ctx or of a context above it gave as cause. Without one it is an
// RT0_ERROR with err as its code, "context canceled" or "context deadline exceeded". RT0_NIL: not cancelled.
// rt0_context_deadline returns ctx's deadline, which may be given to calls that take one; RT0_NEVER: none.
// Context  goroutine or thread.
RT0_API rt0_chan *rt0_context_done(rt0_context *ctx);
RT0_API int rt0_context_err(rt0_context *ctx);
RT0_API rt0_value rt0_context_cause(rt0_context *ctx);
RT0_API int64_t rt0_context_deadline(const rt0_context *ctx);

// rt0_context_wait waits until ctx is cancelled or the deadline passes.
// Returns  what rt0_context_err says; 0: the deadline.
// Blocks   the goroutine, not the thread; for ever if neither comes.
// Context  goroutine or thread.
RT0_API int rt0_context_wait(rt0_context *ctx, int64_t deadline);

// rt0_context_after_func starts fn(arg) as a goroutine once ctx is cancelled, at once if it is. If stop is not NULL,
// *stop must be given to rt0_context_stop, once, before or after.
// Returns  rt0_context_stop: true: fn was not started, and will not be; false: it was.
// Context  goroutine or thread. The wait holds no reference of ctx: when ctx is freed uncancelled, fn is not started.
typedef struct rt0_context_after rt0_context_after;
RT0_API void rt0_context_after_func(rt0_context *ctx, void (*fn)(void *arg), void *arg, rt0_context_after **stop);
RT0_API bool rt0_context_stop(rt0_context_after *stop);

// rt0_semaphore_acquire_ctx is rt0_semaphore_acquire until ctx is cancelled.
// Returns  also what rt0_context_err says, and nothing is taken; so if ctx is cancelled already.
RT0_API int rt0_semaphore_acquire_ctx(rt0_semaphore *s, int64_t n, rt0_context *ctx);

// rt0_signal_notify_context makes a child of parent that is cancelled, with the signal's number as its cause
// (RT0_INT), when one of the n signals (0: all that can be caught) comes. Cancel it to let them act as before.
// Returns  0, and the new reference in *ctx; what rt0_signal_notify returns.
// Context  goroutine or thread. Until it is cancelled it is not freed.
RT0_API int rt0_signal_notify_context(rt0_context *parent, const int *sigs, int n, rt0_context **ctx);

// ---- Groups --------------------------------------------------------------------------------

// Goroutines that work on one task: the first error cancels the others' context. Zero is a group without context
// and limit.
typedef struct rt0_group {
	rt0_waitgroup wg;
	rt0_semaphore limit; // size 0: none
	rt0_context *ctx;
	int err; // atomic: the first
	bool limited;
} rt0_group;

// rt0_group_init makes *g a group with a child of parent as context, which is cancelled by the first error (an RT0_ERROR
// with its code as cause) and by rt0_group_wait. parent NULL: without one.
// Returns  the context, or NULL. It is the group's until rt0_group_wait returns: retain it to use it longer.
RT0_API rt0_context *rt0_group_init(rt0_group *g, rt0_context *parent);

// rt0_group_set_limit lets at most n goroutines run at one time; n < 0: any number.
// Panics   "errgroup: modify limit while goroutines in the group are still active".
RT0_API void rt0_group_set_limit(rt0_group *g, int n);

// rt0_group_go starts fn(arg) as a goroutine of the group, when the limit allows. What it returns, if not 0, is an error.
// rt0_group_try_go does not wait.
// Returns  rt0_group_try_go: whether it was started.
// Blocks   rt0_group_go: the goroutine, while as many run as may.
// Context  goroutine or thread.
RT0_API void rt0_group_go(rt0_group *g, int (*fn)(void *arg), void *arg);
RT0_API bool rt0_group_try_go(rt0_group *g, int (*fn)(void *arg), void *arg);

// rt0_group_wait waits until all have ended, then cancels and releases the group's context.
// Returns  the first error; 0: there was none.
// Blocks   the goroutine, not the thread.
// Context  goroutine or thread.
RT0_API int rt0_group_wait(rt0_group *g);

#ifdef __cplusplus
}
#endif
#endif
