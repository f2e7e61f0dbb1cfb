// SPDX-License-Identifier: BSD-3-Clause
// time.c: the sleeps. On a goroutine they are not ended early by a signal.
#include "posix.h"

#include <unistd.h>

// A clock that may be set is looked at again this often. ns.
static const int64_t LOOK = 1000000000;

static void
sleepuntil(int64_t deadline)
{
	int saved = geterr();
	uint64_t thread = rt->thread();
	rt->sleep(deadline);
	posix_home(thread);
	seterr(saved);
}

EXPORT unsigned
sleep(unsigned s)
{
	if (context() != POSIX_PARK)
		return plain() ? next(sleep)(s) : DECLAREDBLOCK(next(sleep)(s));
	sleepuntil(posix_after(s, 0));
	return 0;
}

EXPORT int
usleep(useconds_t us)
{
	if (context() != POSIX_PARK)
		return plain() ? next(usleep)(us) : DECLAREDBLOCK(next(usleep)(us));
	sleepuntil(posix_after(us / 1000000, us % 1000000 * 1000ll));
	return 0;
}

EXPORT int
nanosleep(const struct timespec *t, struct timespec *left)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || !posix_validtime(t))
		return next(nanosleep)(t, left);
	if (c == POSIX_BLOCK)
		return DECLAREDBLOCK(next(nanosleep)(t, left));
	sleepuntil(posix_after(t->tv_sec, t->tv_nsec));
	return 0;
}

EXPORT int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left)
{
	enum posixcontext c = context();
	// The clocks that tell the time of day, or since the boot, and no flags that we do not know. 8 and 9 wake the
	// machine, too.
	bool known = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
	if (c == POSIX_PLAIN || (known && !posix_validtime(t)) || clock == CLOCK_THREAD_CPUTIME_ID)
		return next(clock_nanosleep)(clock, flags, t, left);
	if (c == POSIX_BLOCK || !known || (flags & ~TIMER_ABSTIME))
		return DECLAREDBLOCK(next(clock_nanosleep)(clock, flags, t, left));
	if (!(flags & TIMER_ABSTIME)) {
		sleepuntil(posix_after(t->tv_sec, t->tv_nsec));
	} else {
		for (;;) {
			struct timespec now;
			clock_gettime(clock, &now);
			int64_t s = t->tv_sec - now.tv_sec, ns = t->tv_nsec - now.tv_nsec;
			if (s < 0 || (s == 0 && ns <= 0) || (s == 1 && ns + SEC <= 0))
				break;
			int64_t until = posix_after(s, ns), look = rt->nanotime() + LOOK;
			sleepuntil(clock == CLOCK_MONOTONIC || until < look ? until : look);
		}
	}
	return 0;
}
