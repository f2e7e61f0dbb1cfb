// SPDX-License-Identifier: BSD-3-Clause
// wait.c: the loop around a call on one descriptor.
//
//	struct io io = posix_begin(fd, POLLIN, SO_RCVTIMEO);
//	while ((r = the call, without blocking) < 0 && geterr() == EAGAIN) {
//		enum iowait w = posix_wait(&io, IO_FAIL);
//		if (w == IO_BLOCK) r = DECLARED(the call itself);
//		if (w != IO_AGAIN) break;
//	}
//	return posix_end(&io, r);
//
// The descriptor's own O_NONBLOCK is never changed for that: others have it too. It is asked for only when a try
// has found nothing, like the timeouts of sockets, so what is there is read by one system call.
#include "posix.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

// A wait that ends this often in a row without a try's success: the kernel's idea of ready is not the call's (a
// datagram socket whose peer is full, SO_RCVLOWAT). The call itself is made then.
enum { MAXFRUITLESS = 16 };

int64_t
posix_after(int64_t sec, int64_t ns)
{
	int64_t t;
	if (__builtin_mul_overflow(sec, SEC, &t) || __builtin_add_overflow(t, ns, &t) ||
	    __builtin_add_overflow(t, rt->nanotime(), &t))
		return NEVER;
	return t;
}

bool
posix_validtime(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < SEC;
}

struct timespec
posix_left(int64_t deadline)
{
	int64_t left = deadline - rt->nanotime();
	if (left < 0)
		left = 0;
	return (struct timespec){left / SEC, left % SEC};
}

bool
posix_nonblocking(int fd)
{
	int flags = next(fcntl)(fd, F_GETFL);
	return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

// What was a socket when a goroutine waited for it last: a hint. Atomic.
static uint8_t sockets[1 << 16];

bool
posix_issocket(int fd)
{
	return (unsigned)fd < sizeof sockets && __atomic_load_n(&sockets[fd], __ATOMIC_RELAXED) != 0;
}

void
posix_setsocket(int fd, bool is)
{
	if ((unsigned)fd < sizeof sockets && posix_issocket(fd) != is)
		__atomic_store_n(&sockets[fd], is, __ATOMIC_RELAXED);
}

struct io
posix_begin(int fd, uint32_t events, int timeopt)
{
	return (struct io){.fd = fd, .events = events, .timeopt = timeopt, .saved = geterr(), .thread = rt->thread()};
}

static int64_t
sockdeadline(struct io *io)
{
	struct timeval tv;
	socklen_t len = sizeof tv;
	bool is = getsockopt(io->fd, SOL_SOCKET, io->timeopt, &tv, &len) == 0;
	posix_setsocket(io->fd, is);
	if (!is || (tv.tv_sec == 0 && tv.tv_usec == 0))
		return NEVER;
	return posix_after(tv.tv_sec, tv.tv_usec * 1000);
}

enum iowait
posix_wait(struct io *io, enum iowait nonblocking)
{
	if (!io->waited) {
		if (posix_nonblocking(io->fd)) {
			seterr(EAGAIN);
			return nonblocking;
		}
		io->deadline = sockdeadline(io);
		io->waited = true;
	}
	if (io->fruitless++ == MAXFRUITLESS) {
		posix_home(io->thread);
		return IO_BLOCK;
	}
	struct posixwait w = {.fd = io->fd, .events = io->events};
	int err = rt->wait(&w, 1, io->deadline);
	if (err == 0)
		return IO_AGAIN;
	if (err == -EPERM)
		return IO_BLOCK; // it has not parked
	seterr(err == -ETIMEDOUT ? EAGAIN : -err);
	return IO_FAIL;
}

// posix_home goes back to the thread that a call was entered on: the caller may have errno's address of it.
void
posix_home(uint64_t thread)
{
	if (likely(rt->thread() == thread))
		return;
	int e = geterr();
	rt->home(thread);
	seterr(e);
}

ssize_t
posix_end(struct io *io, ssize_t r)
{
	if (io->waited)
		rt->waited(io->fd);
	posix_home(io->thread);
	if (r >= 0)
		seterr(io->saved);
	return r;
}
