// SPDX-License-Identifier: BSD-3-Clause
// rt0/time.h: sleep, timers and tickers; rt0.h includes it.
//
// Times are int64_t nanoseconds. A deadline is a time of rt0_nanotime's clock, which no change of the
// date moves; INT64_MAX is never. Nothing here comes early; how late it comes is up to what else runs.
// However many timers there are, to set and to stop one costs the same, and those that wait cost nothing.
#ifndef RT0_TIME_H
#define RT0_TIME_H

#include "base.h"
#include "chan.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RT0_NANOSECOND ((int64_t)1)
#define RT0_MICROSECOND ((int64_t)1000)
#define RT0_MILLISECOND ((int64_t)1000000)
#define RT0_SECOND ((int64_t)1000000000)
#define RT0_MINUTE (60 * RT0_SECOND)
#define RT0_HOUR (60 * RT0_MINUTE)

RT0_API int64_t rt0_nanotime(void); // monotonic, ns; anywhere
RT0_API int64_t rt0_walltime(void); // since 1970-01-01 UTC, ns; anywhere

// rt0_deadline is the time ns from now, INT64_MAX if that is beyond all times.
// Context  anywhere.
static inline int64_t
rt0_deadline(int64_t ns)
{
	int64_t now = rt0_nanotime();
	return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

// rt0_sleep lets the calling goroutine wait for ns; rt0_sleep_until until the deadline. 0, less, and a time that
// is over return at once.
// Blocks   the goroutine, not the thread. On a thread that is no goroutine: the thread.
// Context  goroutine or thread.
RT0_API void rt0_sleep(int64_t ns);
RT0_API void rt0_sleep_until(int64_t deadline);

// A timer that sends the time (int64_t, of rt0_nanotime) on c, once or again and again, or calls a
// function. c holds one element: who does not receive in time misses the ticks between.
typedef struct rt0_timer {
	rt0_chan *c; // NULL: it calls a function
} rt0_timer;

// rt0_timer_new makes a timer that sends once, ns from now. rt0_ticker_new makes one that sends every
// period. rt0_after_func makes one that starts fn(arg) as a goroutine, ns from now.
// Panics   "non-positive interval for NewTicker"; fatal "go of nil func value".
// Context  goroutine or thread.
RT0_API rt0_timer *rt0_timer_new(int64_t ns);
RT0_API rt0_timer *rt0_ticker_new(int64_t period);
RT0_API rt0_timer *rt0_after_func(int64_t ns, void (*fn)(void *arg), void *arg);

// rt0_timer_stop stops t. Once it has returned, nothing that t sent before can be received.
// Returns  whether it prevented something: true if the time had not come, or what was sent had not
//          been received; false if t was stopped, has been received from, or fn has been started
//          (it may be running still).
// Context  goroutine or thread.
RT0_API bool rt0_timer_stop(rt0_timer *t);

// rt0_timer_reset lets t, stopped or not, go off ns from now; of a ticker, ns is the new period. Nothing that t
// sent before can be received any more.
// Returns  as rt0_timer_stop.
// Panics   "non-positive interval for Ticker.Reset".
// Context  goroutine or thread.
RT0_API bool rt0_timer_reset(rt0_timer *t, int64_t ns);

// rt0_timer_free stops t and frees it, with its channel. NULL is ignored.
// Panics   fatal "free of a channel with waiters".
// Context  goroutine or thread.
RT0_API void rt0_timer_free(rt0_timer *t);

#ifdef __cplusplus
}
#endif
#endif
