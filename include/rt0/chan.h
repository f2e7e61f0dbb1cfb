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

// rt0_chan_send_until and rt0_chan_recv_until wait until deadline at most.
// Units    deadline: absolute ns of rt0_nanotime(); RT0_NEVER waits for ever; 0 only tries.
// Returns  0; -ETIMEDOUT: nothing was sent, or received, and *elem is untouched; -EPIPE (receive
//          only): closed and drained, and *elem is zeroed.
// Panics   "send on closed channel".
// Blocks   the goroutine, not the thread.
// Context  goroutine or thread.
RT0_API int rt0_chan_send_until(rt0_chan *c, const void *elem, int64_t deadline);
RT0_API int rt0_chan_recv_until(rt0_chan *c, void *elem, int64_t deadline);

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

// ---- select --------------------------------------------------------------------------------

// Select waits until one of several sends and receives can be made, and makes that one:
//
//	switch (RT0_SELECT(RT0_RECV(lines, &line), RT0_SEND(out, &x), RT0_RECV(quit, NULL))) {
//	case 0: use(line); break;
//	case 1: x = next(); break;
//	case 2: return;
//	}
//
// RT0_SELECT(CASE, ...) has as its value the index of the case that was made: break and continue are those of a
// switch. Cases may be named; an index that is left out is a case that never comes (C only):
//
//	enum { LINE, QUIT };
//	switch (RT0_SELECT([LINE] = RT0_RECV(lines, &line, &ok), [QUIT] = RT0_RECV(quit, NULL))) {
//	case LINE: ...
//
// RT0_TRY_SELECT(CASE, ...) never waits, and RT0_SELECT_UNTIL(deadline, CASE, ...) until deadline at most: their
// value is -ETIMEDOUT when no case can be made, and the switch's default: is for that.
//
// RT0_RECV(c, &v) receives into v (NULL: thrown away); RT0_RECV(c, &v, &ok) tells in the bool ok whether that was an
// element; false: c is closed and drained, and v is zeroed. RT0_SEND(c, &v) sends v. The size of v must be that of
// c's elements (void * is not checked). A channel that is NULL is never ready: so a case is switched off.
#define RT0_SELECT(...) RT0_SELECT_UNTIL(RT0_NEVER, __VA_ARGS__)
#define RT0_TRY_SELECT(...) RT0_SELECT_UNTIL(0, __VA_ARGS__)
#define RT0_SELECT_UNTIL(deadline, ...)                                                           \
	__extension__({                                                                           \
		struct rt0_case rt0_cases_[] = {__VA_ARGS__};                                     \
		rt0_select(rt0_cases_, sizeof rt0_cases_ / sizeof(struct rt0_case), (deadline));  \
	})
#define RT0_SEND(c, elem) rt0_case_send_((c), (elem), RT0_ELEMSIZE_(elem))
#define RT0_RECV(...) RT0_RECV_(__VA_ARGS__, NULL, )
#define RT0_RECV_(c, elem, ok, ...) rt0_case_recv_((c), (elem), (ok), RT0_ELEMSIZE_(elem))

// One case of a set that is made at run time. Zero is a case that never comes.
typedef struct rt0_case {
	rt0_chan *chan; // NULL: never ready
	void *elem;     // what to send, or where to receive (NULL: thrown away)
	bool *ok;       // not NULL: set to whether it was a communication; false: received from a closed channel
	uint32_t size;  // bytes of *elem, checked against the channel's; 0: not checked
	uint32_t dir;   // enum rt0_case_dir
} rt0_case;
enum rt0_case_dir { RT0_CASE_SEND = 1, RT0_CASE_RECV = 2 };

// rt0_select makes one of the n cases, at most 65536, which are not to be changed meanwhile. If several are ready,
// each of them is as likely as the others. n = 0 waits for the deadline only.
// Units    deadline: absolute ns of rt0_nanotime(); RT0_NEVER waits for ever; 0 only tries, and then the answer holds
//          for one moment: at that, no case was ready.
// Returns  the index of the case; -ETIMEDOUT: none was made.
// Panics   "send on closed channel": that case was chosen, or was waited on. "select: too many cases", "select: case
//          is neither send nor receive", "select: element is not of the channel's size": nothing has been done.
// Blocks   the goroutine, not the thread.
// Context  goroutine or thread. All channels are in use until it returns, but for the one of the case that was made.
// Memory   as a send or receive of that case. More than 16 cases: a block of 70 bytes each, freed on return.
RT0_API int rt0_select(rt0_case *cases, size_t n, int64_t deadline);

// What the macros above use.
static inline rt0_case
rt0_case_send_(rt0_chan *c, const void *elem, size_t size)
{
	rt0_case cs = {c, (void *)(uintptr_t)elem, NULL, (uint32_t)size, RT0_CASE_SEND};
	return cs;
}

static inline rt0_case
rt0_case_recv_(rt0_chan *c, void *elem, bool *ok, size_t size)
{
	rt0_case cs = {c, elem, ok, (uint32_t)size, RT0_CASE_RECV};
	return cs;
}

#ifndef __cplusplus
// The size of what p points to; 0 for a void pointer.
#define RT0_ELEMSIZE_(p)                                                                          \
	__extension__(_Generic((p), void *: 0, const void *: 0, default: sizeof(__typeof__(*(p)))))
#else
#define RT0_ELEMSIZE_(p) rt0_elemsize_(p)
#endif

#ifdef __cplusplus
}

static inline size_t
rt0_elemsize_(const void *)
{
	return 0;
}

template <typename T>
static inline size_t
rt0_elemsize_(T *)
{
	if constexpr (__is_same(T, void) || __is_same(T, const void))
		return 0;
	else
		return sizeof(T);
}
#endif
#endif
