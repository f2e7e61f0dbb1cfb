// SPDX-License-Identifier: BSD-3-Clause
// poll.c: poll, select, epoll_wait and their families.
//
// The kernel is asked without a timeout; if nothing is ready the goroutine waits for all descriptors, and the kernel
// is asked again. With a signal mask to set for the length of the call, the call is for a thread, and declared; so is a
// wait for nothing without end (pause by another name), which only a signal can end.
#include "posix.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

enum { FEW = 16 };                  // waits that lie on the stack
static const int FRUITLESS = 8;     // wake-ups for nothing: events that poll reports and select does not
static const int64_t PACE = 1000000; // ns, between further ones

static int64_t
afterms(int ms)
{
	return ms < 0 ? NEVER : posix_after(ms / 1000, ms % 1000 * 1000000ll);
}

// multiwait waits. fruitless: how often it has.
static int
multiwait(struct posixwait *w, int n, int64_t deadline, int fruitless)
{
	if (fruitless >= FRUITLESS) {
		int64_t until = rt->nanotime() + PACE;
		rt->sleep(until < deadline ? until : deadline);
		return until < deadline ? 0 : -ETIMEDOUT;
	}
	int err = rt->wait(w, n, deadline);
	if (err != 0)
		return err == -EBADF ? 0 : err; // closed: the kernel is to say so
	for (int i = 0; i < n; i++)
		if (w[i].fd >= 0)
			rt->waited(w[i].fd);
	return 0;
}

// ---- poll ----

static int
pollcall(struct pollfd *p, nfds_t n, int64_t deadline)
{
	if (deadline == NEVER)
		return DECLARED(next(poll)(p, n, -1));
	struct timespec left = posix_left(deadline);
	return DECLARED(next(ppoll)(p, n, &left, NULL));
}

// polling is poll until deadline. On a goroutine that may park.
static int
polling(struct pollfd *p, nfds_t n, int64_t deadline)
{
	int saved = geterr();
	uint64_t thread = rt->thread();
	int r = posix_look(next(poll)(p, n, 0));
	if (r != 0)
		return r;
	nfds_t used = 0;
	for (nfds_t i = 0; i < n; i++)
		used += p[i].fd >= 0;
	if (used == 0) {
		if (deadline == NEVER)
			return pollcall(p, n, deadline);
		rt->sleep(deadline);
		seterr(saved);
		posix_home(thread);
		return 0;
	}
	struct posixwait few[FEW], *w = few;
	if (n > FEW && (w = malloc(n * sizeof *w)) == NULL)
		return pollcall(p, n, deadline);
	for (nfds_t i = 0; i < n; i++)
		w[i] = (struct posixwait){.fd = p[i].fd, .events = (uint16_t)p[i].events};
	int err = 0;
	for (int tries = 0; r == 0 && err == 0; tries++) {
		err = multiwait(w, (int)n, deadline, tries);
		if (err != -EPERM)
			r = posix_look(next(poll)(p, n, 0));
	}
	int e = geterr();
	if (w != few)
		free(w);
	if (err == -EPERM) {
		posix_home(thread);
		return pollcall(p, n, deadline);
	}
	seterr(r < 0 ? e : saved);
	posix_home(thread);
	return r;
}

EXPORT int
poll(struct pollfd *p, nfds_t n, int timeout)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || timeout == 0)
		return next(poll)(p, n, timeout);
	if (c == POSIX_BLOCK)
		return DECLARED(next(poll)(p, n, timeout));
	return polling(p, n, afterms(timeout));
}

EXPORT int
ppoll(struct pollfd *p, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (timeout != NULL && !posix_validtime(timeout)))
		return next(ppoll)(p, n, timeout, mask);
	if (c == POSIX_BLOCK || mask != NULL)
		return DECLARED(next(ppoll)(p, n, timeout, mask));
	return polling(p, n, timeout == NULL ? NEVER : posix_after(timeout->tv_sec, timeout->tv_nsec));
}

EXPORT int
__poll_chk(struct pollfd *p, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof *p < n)
		__chk_fail();
	return poll(p, n, timeout);
}

EXPORT int
__ppoll_chk(struct pollfd *p, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size)
{
	if (size / sizeof *p < n)
		__chk_fail();
	return ppoll(p, n, timeout, mask);
}

// ---- select ----

typedef unsigned long word;
enum { WORDBITS = 8 * sizeof(word) };

// A select's sets are as long as n says: programs make sets longer than fd_set.
struct sets {
	word *set[3], *want; // want: copies of the three, one behind the other
	size_t words;
	int n;
};

static int
selectonce(struct sets *s)
{
	struct timeval zero = {0};
	for (int i = 0; i < 3; i++)
		if (s->set[i] != NULL)
			memcpy(s->set[i], s->want + (size_t)i * s->words, s->words * sizeof(word));
	return posix_look(next(select)(s->n, (fd_set *)s->set[0], (fd_set *)s->set[1], (fd_set *)s->set[2], &zero));
}

static uint32_t
eventsof(const struct sets *s, int fd)
{
	static const uint32_t events[3] = {POLLIN | POLLRDNORM | POLLRDBAND, POLLOUT | POLLWRNORM | POLLWRBAND, POLLPRI};
	uint32_t e = 0;
	for (int i = 0; i < 3; i++)
		if (s->set[i] != NULL && s->want[(size_t)i * s->words + (size_t)fd / WORDBITS] >> fd % WORDBITS & 1)
			e |= events[i];
	return e;
}

static int
selectcall(struct sets *s, int64_t deadline)
{
	struct timespec left = {0};
	if (deadline != NEVER)
		left = posix_left(deadline);
	for (int i = 0; i < 3; i++)
		if (s->set[i] != NULL)
			memcpy(s->set[i], s->want + (size_t)i * s->words, s->words * sizeof(word));
	return DECLARED(next(pselect)(s->n, (fd_set *)s->set[0], (fd_set *)s->set[1], (fd_set *)s->set[2],
	    deadline == NEVER ? NULL : &left, NULL));
}

static int
selecting(struct sets *s, int64_t deadline)
{
	int saved = geterr(), used = 0, r = selectonce(s);
	uint64_t thread = rt->thread();
	if (r != 0)
		return r;
	for (int fd = 0; fd < s->n; fd++)
		used += eventsof(s, fd) != 0;
	if (used == 0) {
		if (deadline == NEVER)
			return selectcall(s, deadline);
		rt->sleep(deadline);
		seterr(saved);
		posix_home(thread);
		return 0;
	}
	struct posixwait few[FEW], *w = few;
	if (used > FEW && (w = malloc((size_t)used * sizeof *w)) == NULL)
		return selectcall(s, deadline);
	for (int fd = 0, k = 0; fd < s->n; fd++) {
		uint32_t e = eventsof(s, fd);
		if (e != 0)
			w[k++] = (struct posixwait){.fd = fd, .events = e};
	}
	int err = 0;
	for (int tries = 0; r == 0 && err == 0; tries++) {
		err = multiwait(w, used, deadline, tries);
		if (err != -EPERM)
			r = selectonce(s);
	}
	int e = geterr();
	if (w != few)
		free(w);
	if (err == -EPERM) {
		posix_home(thread);
		return selectcall(s, deadline);
	}
	seterr(r < 0 ? e : saved);
	posix_home(thread);
	return r;
}

// selectsets calls selecting with copies of the sets. 0 to 1024 descriptors need no heap.
static int
selectsets(int n, fd_set *rd, fd_set *wr, fd_set *ex, int64_t deadline)
{
	struct sets s = {.set = {(word *)rd, (word *)wr, (word *)ex}, .n = n};
	word room[3 * FD_SETSIZE / WORDBITS];
	s.words = ((size_t)n + WORDBITS - 1) / WORDBITS;
	s.want = room;
	if (n > FD_SETSIZE && (s.want = malloc(3 * s.words * sizeof(word))) == NULL) {
		seterr(ENOMEM);
		return -1;
	}
	for (int i = 0; i < 3; i++)
		if (s.set[i] != NULL)
			memcpy(s.want + (size_t)i * s.words, s.set[i], s.words * sizeof(word));
	int r = selecting(&s, deadline);
	if (s.want != room) {
		int e = geterr();
		free(s.want);
		seterr(e);
	}
	return r;
}

EXPORT int
select(int n, fd_set *restrict rd, fd_set *restrict wr, fd_set *restrict ex, struct timeval *restrict timeout)
{
	enum posixcontext c = context();
	// What is not valid is for the kernel to say.
	if (c == POSIX_PLAIN || n < 0 || n > 1 << 20 ||
	    (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0 || (timeout->tv_sec | timeout->tv_usec) == 0)))
		return next(select)(n, rd, wr, ex, timeout);
	if (c == POSIX_BLOCK)
		return DECLARED(next(select)(n, rd, wr, ex, timeout));
	int64_t deadline = NEVER;
	if (timeout != NULL)
		deadline = posix_after(timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000);
	int r = selectsets(n, rd, wr, ex, deadline);
	if (deadline != NEVER) { // what is left, as Linux has it
		struct timespec left = posix_left(deadline);
		*timeout = (struct timeval){left.tv_sec, left.tv_nsec / 1000};
	}
	return r;
}

EXPORT int
pselect(int n, fd_set *restrict rd, fd_set *restrict wr, fd_set *restrict ex, const struct timespec *restrict timeout,
    const sigset_t *restrict mask)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || n < 0 || n > 1 << 20 || (timeout != NULL && !posix_validtime(timeout)))
		return next(pselect)(n, rd, wr, ex, timeout, mask);
	if (c == POSIX_BLOCK || mask != NULL)
		return DECLARED(next(pselect)(n, rd, wr, ex, timeout, mask));
	return selectsets(n, rd, wr, ex, timeout == NULL ? NEVER : posix_after(timeout->tv_sec, timeout->tv_nsec));
}

// ---- epoll: an instance can be waited for like any descriptor ----

static int
epollcall(int ep, struct epoll_event *ev, int n, int64_t deadline)
{
	if (deadline == NEVER)
		return DECLARED(next(epoll_wait)(ep, ev, n, -1));
	struct timespec left = posix_left(deadline);
	int64_t ms = left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000;
	return DECLARED(next(epoll_wait)(ep, ev, n, ms > INT32_MAX ? INT32_MAX : (int)ms));
}

static int
epolling(int ep, struct epoll_event *ev, int n, int64_t deadline)
{
	int saved = geterr(), r = posix_look(next(epoll_wait)(ep, ev, n, 0)), err = 0;
	uint64_t thread = rt->thread();
	if (r != 0)
		return r;
	struct posixwait w = {.fd = ep, .events = POLLIN};
	for (int tries = 0; r == 0 && err == 0; tries++) {
		err = multiwait(&w, 1, deadline, tries);
		if (err == -EPERM) {
			posix_home(thread);
			return epollcall(ep, ev, n, deadline);
		}
		r = posix_look(next(epoll_wait)(ep, ev, n, 0));
		rt->waited(ep); // who waits for the same instance
	}
	if (r >= 0)
		seterr(saved);
	posix_home(thread);
	return r;
}

EXPORT int
epoll_wait(int ep, struct epoll_event *ev, int n, int timeout)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || timeout == 0)
		return next(epoll_wait)(ep, ev, n, timeout);
	if (c == POSIX_BLOCK)
		return DECLARED(next(epoll_wait)(ep, ev, n, timeout));
	return epolling(ep, ev, n, afterms(timeout));
}

EXPORT int
epoll_pwait(int ep, struct epoll_event *ev, int n, int timeout, const sigset_t *mask)
{
	if (plain())
		return next(epoll_pwait)(ep, ev, n, timeout, mask);
	if (mask != NULL)
		return DECLARED(next(epoll_pwait)(ep, ev, n, timeout, mask));
	return epoll_wait(ep, ev, n, timeout);
}

EXPORT int
epoll_pwait2(int ep, struct epoll_event *ev, int n, const struct timespec *timeout, const sigset_t *mask)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (timeout != NULL && !posix_validtime(timeout)))
		return next(epoll_pwait2)(ep, ev, n, timeout, mask);
	if (c == POSIX_BLOCK || mask != NULL)
		return DECLARED(next(epoll_pwait2)(ep, ev, n, timeout, mask));
	return epolling(ep, ev, n, timeout == NULL ? NEVER : posix_after(timeout->tv_sec, timeout->tv_nsec));
}
