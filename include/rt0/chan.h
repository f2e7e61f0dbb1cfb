// SPDX-License-Identifier: BSD-3-Clause
// rt0/chan.h: channels; rt0.h includes it.
#ifndef RT0_CHAN_H
#define RT0_CHAN_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt0_chan rt0_chan;

// rt0_chan_make makes a channel of elements of elem_size bytes that holds cap of them (0: sender
// and receiver meet). Sizes are checked.
// Panics   "makechan: size out of range", "makechan: invalid channel element type" (> 64 KiB).
// Context  goroutine or thread.
RT0_API rt0_chan *rt0_chan_make(size_t elem_size, size_t cap);

// rt0_chan_free gives c's memory back at once. Nobody may use c any more; a send whose element has been
// received does not, so who has received the last element may free.
// Panics   fatal "free of a channel with waiters" if a goroutine waits on it. NULL is ignored.
RT0_API void rt0_chan_free(rt0_chan *c);

// rt0_chan_send copies the element at elem into c, and waits while c is full.
// Panics   "send on closed channel", also when c is closed while waiting.
// Blocks   the goroutine, not the thread; for ever if c is NULL.
// Context  goroutine or thread.
// Memory   elem is copied before return. The k-th send happens before the k-th receive returns;
//          the k-th receive happens before the (k+cap)-th send returns.
RT0_API void rt0_chan_send(rt0_chan *c, const void *elem);

// rt0_chan_recv takes the next element of c into *elem (NULL: thrown away), waiting while c is
// empty and open.
// Returns  true; false: c is closed and drained, and *elem is zeroed.
// Blocks   the goroutine, not the thread; for ever if c is NULL.
// Context  goroutine or thread.
RT0_API bool rt0_chan_recv(rt0_chan *c, void *elem);

// rt0_chan_try_send and rt0_chan_try_recv never wait.
// Returns  0; -EAGAIN: it would have to wait; -EPIPE (receive only): closed and drained, and
//          *elem is zeroed.
// Panics   "send on closed channel".
// Context  goroutine or thread.
RT0_API int rt0_chan_try_send(rt0_chan *c, const void *elem);
RT0_API int rt0_chan_try_recv(rt0_chan *c, void *elem);

// rt0_chan_close closes c: receivers drain it and then get false; waiting senders panic.
// Panics   "close of nil channel", "close of closed channel".
// Context  goroutine or thread.
RT0_API void rt0_chan_close(rt0_chan *c);

// How many elements c holds and can hold; 0 for NULL. A snapshot: others may change it.
RT0_API size_t rt0_chan_len(const rt0_chan *c);
RT0_API size_t rt0_chan_cap(const rt0_chan *c);

// RT0_RANGE(c, v) { use(v); }: the loop over all elements of c until it is closed and drained. v
// is a variable of the element's type.
#define RT0_RANGE(c, v) while (rt0_chan_recv((c), &(v)))

#ifdef __cplusplus
}
#endif
#endif
