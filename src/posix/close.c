// SPDX-License-Identifier: BSD-3-Clause
// close.c: the calls that end what goroutines may be waiting for: they wake, with EBADF.
//
// A thread that is no goroutine tells the runtime as well: so these ask whether there is one, not what
// context says.
#include "posix.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

static const struct posixops *
running(void)
{
	context(); // finds it
	const struct rt0_self *s = __atomic_load_n(&posix_self, __ATOMIC_RELAXED);
	return s != NULL && __atomic_load_n(&s->running, __ATOMIC_RELAXED) != 0 ? s->ops : NULL;
}

// CLOSING makes call between closing and closed of lo to hi.
#define CLOSING(lo, hi, call)                                                                     \
	__extension__({                                                                           \
		const struct posixops *o_ = running();                                            \
		int saved_ = geterr();                                                            \
		if (o_ != NULL)                                                                   \
			o_->closing(lo, hi);                                                      \
		seterr(saved_);                                                                   \
		__typeof__(call) r_ = (call);                                                     \
		if (o_ != NULL) {                                                                 \
			saved_ = geterr();                                                        \
			o_->closed(lo, hi);                                                       \
			seterr(saved_);                                                           \
		}                                                                                 \
		r_;                                                                               \
	})

EXPORT int
close(int fd)
{
	return CLOSING(fd, fd, next(close)(fd));
}

// to is closed only if from is a descriptor, and another one.
static bool
replaces(int from, int to)
{
	int saved = geterr();
	bool r = from != to && next(fcntl)(from, F_GETFD) >= 0;
	seterr(saved);
	return r;
}

EXPORT int
dup2(int from, int to)
{
	return replaces(from, to) ? CLOSING(to, to, next(dup2)(from, to)) : next(dup2)(from, to);
}

EXPORT int
dup3(int from, int to, int flags)
{
	return replaces(from, to) ? CLOSING(to, to, next(dup3)(from, to, flags)) : next(dup3)(from, to, flags);
}

EXPORT int
close_range(unsigned lo, unsigned hi, int flags)
{
	if (flags != 0 || lo > hi || lo > INT_MAX)
		return next(close_range)(lo, hi, flags);
	return CLOSING((int)lo, hi > INT_MAX ? INT_MAX : (int)hi, next(close_range)(lo, hi, flags));
}

EXPORT void
closefrom(int lo)
{
	CLOSING(lo, INT_MAX, (next(closefrom)(lo), 0));
}
