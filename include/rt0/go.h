// SPDX-License-Identifier: BSD-3-Clause
// rt0/go.h: rt0.h under Go's short names, for programs that want to read like Go.
//
//	rt0_chan *c = chan_make(int, 8);
//	go(producer, c);
//	int v;
//	range (c, v)
//		printf("%d\n", v);
//
// Everything here is an inline call of the function of the same name in rt0.h; what it does, who
// may call it and how it fails is written there. The names are short enough to clash with yours:
// then include rt0.h alone.
#ifndef RT0_GO_H
#define RT0_GO_H

#include "../rt0.h"

typedef rt0_chan chan;
typedef rt0_mutex mutex;
typedef rt0_rwmutex rwmutex;
typedef rt0_cond cond;
typedef rt0_waitgroup waitgroup;
typedef rt0_once once;
typedef rt0_oncefunc oncefunc;
typedef rt0_semaphore semaphore;
typedef rt0_pool pool;
typedef rt0_context context;
typedef rt0_group group;

static inline void
go(void (*fn)(void *arg), void *arg)
{
	rt0_go(fn, arg);
}

static inline void
gosched(void)
{
	rt0_gosched();
}

RT0_NORETURN static inline void
goexit(void)
{
	rt0_goexit();
}

// chan_make(type, cap): the element's type, as in make(chan int, 8).
#define chan_make(type, cap) rt0_chan_make(sizeof(type), (cap))

static inline void
chan_free(chan *c)
{
	rt0_chan_free(c);
}

static inline void
chan_send(chan *c, const void *elem)
{
	rt0_chan_send(c, elem);
}

static inline bool
chan_recv(chan *c, void *elem)
{
	return rt0_chan_recv(c, elem);
}

static inline int
chan_try_send(chan *c, const void *elem)
{
	return rt0_chan_try_send(c, elem);
}

static inline int
chan_try_recv(chan *c, void *elem)
{
	return rt0_chan_try_recv(c, elem);
}

static inline int
chan_send_until(chan *c, const void *elem, int64_t deadline)
{
	return rt0_chan_send_until(c, elem, deadline);
}

static inline int
chan_recv_until(chan *c, void *elem, int64_t deadline)
{
	return rt0_chan_recv_until(c, elem, deadline);
}

// switch (chan_select(case_recv(c, &v, &ok), case_send(d, &x))) { case 0: ... } (select, send and recv are the libc's.)
#define chan_select(...) RT0_SELECT(__VA_ARGS__)
#define chan_try_select(...) RT0_TRY_SELECT(__VA_ARGS__)
#define chan_select_until(deadline, ...) RT0_SELECT_UNTIL((deadline), __VA_ARGS__)
#define case_recv(...) RT0_RECV(__VA_ARGS__)
#define case_send(c, elem) RT0_SEND((c), (elem))

static inline void
chan_close(chan *c)
{
	rt0_chan_close(c);
}

static inline size_t
chan_len(const chan *c)
{
	return rt0_chan_len(c);
}

static inline size_t
chan_cap(const chan *c)
{
	return rt0_chan_cap(c);
}

// range (c, v) STATEMENT: the loop over all elements of c until it is closed and drained.
#define range(c, v) RT0_RANGE(c, v)

static inline void
mutex_lock(mutex *m)
{
	rt0_mutex_lock(m);
}

static inline int
mutex_lock_until(mutex *m, int64_t deadline)
{
	return rt0_mutex_lock_until(m, deadline);
}

static inline bool
mutex_trylock(mutex *m)
{
	return rt0_mutex_trylock(m);
}

static inline void
mutex_unlock(mutex *m)
{
	rt0_mutex_unlock(m);
}

static inline void
rwmutex_rlock(rwmutex *rw)
{
	rt0_rwmutex_rlock(rw);
}

static inline void
rwmutex_runlock(rwmutex *rw)
{
	rt0_rwmutex_runlock(rw);
}

static inline void
rwmutex_lock(rwmutex *rw)
{
	rt0_rwmutex_lock(rw);
}

static inline void
rwmutex_unlock(rwmutex *rw)
{
	rt0_rwmutex_unlock(rw);
}

static inline bool
rwmutex_tryrlock(rwmutex *rw)
{
	return rt0_rwmutex_tryrlock(rw);
}

static inline bool
rwmutex_trylock(rwmutex *rw)
{
	return rt0_rwmutex_trylock(rw);
}

static inline void
cond_wait(cond *c, mutex *m)
{
	rt0_cond_wait(c, m);
}

static inline int
cond_wait_until(cond *c, mutex *m, int64_t deadline)
{
	return rt0_cond_wait_until(c, m, deadline);
}

static inline void
cond_signal(cond *c)
{
	rt0_cond_signal(c);
}

static inline void
cond_broadcast(cond *c)
{
	rt0_cond_broadcast(c);
}

static inline void
waitgroup_add(waitgroup *wg, int delta)
{
	rt0_waitgroup_add(wg, delta);
}

static inline void
waitgroup_done(waitgroup *wg)
{
	rt0_waitgroup_done(wg);
}

static inline void
waitgroup_wait(waitgroup *wg)
{
	rt0_waitgroup_wait(wg);
}

static inline int
waitgroup_wait_until(waitgroup *wg, int64_t deadline)
{
	return rt0_waitgroup_wait_until(wg, deadline);
}

static inline void
waitgroup_go(waitgroup *wg, void (*fn)(void *arg), void *arg)
{
	rt0_waitgroup_go(wg, fn, arg);
}

static inline void
once_do(once *o, void (*fn)(void *arg), void *arg)
{
	rt0_once_do(o, fn, arg);
}

static inline void
oncefunc_call(oncefunc *f)
{
	rt0_oncefunc_call(f);
}

static inline void
semaphore_init(semaphore *s, int64_t size)
{
	rt0_semaphore_init(s, size);
}

static inline int
semaphore_acquire(semaphore *s, int64_t n)
{
	return rt0_semaphore_acquire(s, n);
}

static inline int
semaphore_acquire_until(semaphore *s, int64_t n, int64_t deadline)
{
	return rt0_semaphore_acquire_until(s, n, deadline);
}

static inline int
semaphore_acquire_ctx(semaphore *s, int64_t n, context *ctx)
{
	return rt0_semaphore_acquire_ctx(s, n, ctx);
}

static inline int
semaphore_try_acquire(semaphore *s, int64_t n)
{
	return rt0_semaphore_try_acquire(s, n);
}

static inline void
semaphore_release(semaphore *s, int64_t n)
{
	rt0_semaphore_release(s, n);
}

static inline void *
pool_get(pool *p)
{
	return rt0_pool_get(p);
}

static inline void
pool_put(pool *p, void *obj)
{
	rt0_pool_put(p, obj);
}

static inline context *
context_background(void)
{
	return rt0_context_background();
}

static inline context *
context_retain(context *ctx)
{
	return rt0_context_retain(ctx);
}

static inline void
context_release(context *ctx)
{
	rt0_context_release(ctx);
}

static inline context *
context_with_cancel(context *parent)
{
	return rt0_context_with_cancel(parent);
}

static inline context *
context_with_deadline(context *parent, int64_t deadline)
{
	return rt0_context_with_deadline(parent, deadline);
}

static inline context *
context_with_timeout(context *parent, int64_t timeout)
{
	return rt0_context_with_timeout(parent, timeout);
}

static inline context *
context_with_value(context *parent, const void *key, void *value, void (*drop)(void *value))
{
	return rt0_context_with_value(parent, key, value, drop);
}

static inline void *
context_value(const context *ctx, const void *key)
{
	return rt0_context_value(ctx, key);
}

static inline context *
context_without_cancel(context *parent)
{
	return rt0_context_without_cancel(parent);
}

static inline void
context_cancel(context *ctx)
{
	rt0_context_cancel(ctx);
}

static inline void
context_cancel_cause(context *ctx, rt0_value cause)
{
	rt0_context_cancel_cause(ctx, cause);
}

static inline chan *
context_done(context *ctx)
{
	return rt0_context_done(ctx);
}

static inline int
context_err(context *ctx)
{
	return rt0_context_err(ctx);
}

static inline rt0_value
context_cause(context *ctx)
{
	return rt0_context_cause(ctx);
}

static inline int64_t
context_deadline(const context *ctx)
{
	return rt0_context_deadline(ctx);
}

static inline int
context_wait(context *ctx, int64_t deadline)
{
	return rt0_context_wait(ctx, deadline);
}

static inline void
context_after_func(context *ctx, void (*fn)(void *arg), void *arg, rt0_context_after **stop)
{
	rt0_context_after_func(ctx, fn, arg, stop);
}

static inline bool
context_stop(rt0_context_after *stop)
{
	return rt0_context_stop(stop);
}

static inline context *
group_init(group *g, context *parent)
{
	return rt0_group_init(g, parent);
}

static inline void
group_set_limit(group *g, int n)
{
	rt0_group_set_limit(g, n);
}

static inline void
group_go(group *g, int (*fn)(void *arg), void *arg)
{
	rt0_group_go(g, fn, arg);
}

static inline bool
group_try_go(group *g, int (*fn)(void *arg), void *arg)
{
	return rt0_group_try_go(g, fn, arg);
}

static inline int
group_wait(group *g)
{
	return rt0_group_wait(g);
}

// defer(fn, arg); at the end of this block. panic(x): a string, number, pointer, rt0_value.
#define defer(fn, arg) RT0_DEFER(fn, arg)
#define panic(x) RT0_PANIC(x)

// recovered(&value), in a deferred function: Go's recover() != nil. (recover is a name that others use.)
#define recovered(value) rt0_recover(value)

#endif
