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
typedef rt0_waitgroup waitgroup;
typedef rt0_once once;

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

static inline void
once_do(once *o, void (*fn)(void *arg), void *arg)
{
	rt0_once_do(o, fn, arg);
}

// defer(fn, arg); at the end of this block. panic(x): a string, number, pointer, rt0_value.
#define defer(fn, arg) RT0_DEFER(fn, arg)
#define panic(x) RT0_PANIC(x)

// recovered(&value), in a deferred function: Go's recover() != nil. (recover is a name that others use.)
#define recovered(value) rt0_recover(value)

#endif
