// SPDX-License-Identifier: BSD-3-Clause
// rw.c: read, write and their families.
//
// A try is preadv2 or pwritev2 with RWF_NOWAIT, which for sockets, pipes, eventfds and files in the page cache does
// what O_NONBLOCK would; a read of a socket is tried with recvfrom and MSG_DONTWAIT, which is 0.1 to 0.3 µs less. What
// is a socket is known from an earlier wait (posix_issocket), and may have changed: ENOTSOCK tells. Where the kernel has
// no such thing for a descriptor (terminals; sockets and pipes of old kernels) it is asked by poll, and the call is made
// declared: if somebody else is faster, it blocks a thread.
//
// A blocking write to a stream or a pipe returns when all is written; a try may stop short. So writes go on with
// the rest, and return what they have written when an error comes behind it, as the kernel does.
#include "posix.h"

#include <alloca.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

// asked is the way without RWF_NOWAIT. write: or read.
static ssize_t
asked(struct io *io, const struct iovec *iov, int cnt, bool write)
{
	size_t n = 0;
	for (int i = 0; i < cnt && n == 0; i++)
		n = iov[i].iov_len;
	for (;;) {
		struct pollfd p = {.fd = io->fd, .events = (short)io->events};
		// No bytes can be had at once, and poll skips what is no descriptor.
		if (n != 0 && io->fd >= 0 && posix_look(next(poll)(&p, 1, 0)) == 0) {
			enum iowait w = posix_wait(io, IO_BLOCK);
			if (w == IO_AGAIN)
				continue;
			if (w == IO_FAIL)
				return -1;
		}
		return write ? DECLARED(next(writev)(io->fd, iov, cnt)) : DECLARED(next(readv)(io->fd, iov, cnt));
	}
}

static bool
nonowait(int e)
{
	return e == EOPNOTSUPP || e == ENOSYS;
}

static ssize_t
tryonce(int fd, const struct iovec *iov, int cnt, bool write)
{
	if (write)
		return next(pwritev2)(fd, iov, cnt, -1, RWF_NOWAIT);
	// Of no bytes a read says at once that it has none; recvfrom would wait, or take a datagram.
	if (cnt == 1 && iov->iov_len != 0 && posix_issocket(fd)) {
		ssize_t r = next(recvfrom)(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT, NULL, NULL);
		if (r >= 0 || geterr() != ENOTSOCK)
			return r;
		posix_setsocket(fd, false);
	}
	return next(preadv2)(fd, iov, cnt, -1, RWF_NOWAIT);
}

// The sanitizers know of readv, and what it means to who has written.
static ssize_t
trywait(struct io *io, const struct iovec *iov, int cnt, bool write)
{
	if (SANITIZED)
		return asked(io, iov, cnt, write);
	for (;;) {
		ssize_t r = tryonce(io->fd, iov, cnt, write);
		if (r >= 0)
			return r;
		int e = geterr();
		if (nonowait(e))
			return asked(io, iov, cnt, write);
		if (e != EAGAIN)
			return r;
		switch (posix_wait(io, IO_BLOCK)) {
		case IO_AGAIN: continue;
		case IO_FAIL: return -1;
		case IO_BLOCK: break;
		}
		return write ? DECLARED(next(writev)(io->fd, iov, cnt)) : DECLARED(next(readv)(io->fd, iov, cnt));
	}
}

ssize_t
posix_readv(int fd, const struct iovec *iov, int cnt)
{
	switch (context()) {
	case POSIX_PLAIN: return next(readv)(fd, iov, cnt);
	case POSIX_BLOCK: return DECLARED(next(readv)(fd, iov, cnt));
	case POSIX_PARK: break;
	}
	struct io io = posix_begin(fd, POLLIN, SO_RCVTIMEO);
	return posix_end(&io, trywait(&io, iov, cnt, false));
}

ssize_t
posix_writev(int fd, const struct iovec *iov, int cnt)
{
	switch (context()) {
	case POSIX_PLAIN: return next(writev)(fd, iov, cnt);
	case POSIX_BLOCK: return DECLARED(next(writev)(fd, iov, cnt));
	case POSIX_PARK: break;
	}
	struct io io = posix_begin(fd, POLLOUT, SO_SNDTIMEO);
	ssize_t r = trywait(&io, iov, cnt, true);
	if (r <= 0)
		return posix_end(&io, r);
	size_t all = 0, done = (size_t)r;
	for (int i = 0; i < cnt; i++)
		all += iov[i].iov_len;
	if (likely(done >= all) || posix_nonblocking(fd))
		return posix_end(&io, r);
	struct iovec *rest = alloca((size_t)cnt * sizeof *rest); // cnt is not above IOV_MAX: some of it was written
	memcpy(rest, iov, (size_t)cnt * sizeof *rest);
	for (size_t skip = done;;) {
		while (skip >= rest->iov_len) {
			skip -= rest->iov_len;
			rest++, cnt--;
		}
		rest->iov_base = (char *)rest->iov_base + skip;
		rest->iov_len -= skip;
		io.fruitless = 0;
		r = trywait(&io, rest, cnt, true);
		if (r <= 0)
			break;
		done += (size_t)r;
		if (done >= all)
			break;
		skip = (size_t)r;
	}
	return posix_end(&io, (ssize_t)done);
}

EXPORT ssize_t
read(int fd, void *buf, size_t n)
{
	switch (context()) {
	case POSIX_PLAIN: return next(read)(fd, buf, n);
	case POSIX_BLOCK: return DECLARED(next(read)(fd, buf, n));
	case POSIX_PARK: break;
	}
	const struct iovec iov = {buf, n};
	return posix_readv(fd, &iov, 1);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t n)
{
	switch (context()) {
	case POSIX_PLAIN: return next(write)(fd, buf, n);
	case POSIX_BLOCK: return DECLARED(next(write)(fd, buf, n));
	case POSIX_PARK: break;
	}
	const struct iovec iov = {(void *)buf, n};
	return posix_writev(fd, &iov, 1);
}

EXPORT ssize_t
readv(int fd, const struct iovec *iov, int cnt)
{
	return posix_readv(fd, iov, cnt);
}

EXPORT ssize_t
writev(int fd, const struct iovec *iov, int cnt)
{
	return posix_writev(fd, iov, cnt);
}

// ---- at a place in a file: no descriptor that has places can be waited for ----

#define FILECALL(f, ...) (plain() ? next(f)(__VA_ARGS__) : DECLARED(next(f)(__VA_ARGS__)))

EXPORT ssize_t
pread(int fd, void *buf, size_t n, off_t off)
{
	return FILECALL(pread, fd, buf, n, off);
}

EXPORT ssize_t
pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return FILECALL(pwrite, fd, buf, n, off);
}

EXPORT ssize_t
preadv(int fd, const struct iovec *iov, int cnt, off_t off)
{
	return FILECALL(preadv, fd, iov, cnt, off);
}

EXPORT ssize_t
pwritev(int fd, const struct iovec *iov, int cnt, off_t off)
{
	return FILECALL(pwritev, fd, iov, cnt, off);
}

// off -1 is the file's own place: read and write with flags.
EXPORT ssize_t
preadv2(int fd, const struct iovec *iov, int cnt, off_t off, int flags)
{
	if (off == -1 && flags == 0)
		return posix_readv(fd, iov, cnt);
	return flags & RWF_NOWAIT ? next(preadv2)(fd, iov, cnt, off, flags) : FILECALL(preadv2, fd, iov, cnt, off, flags);
}

EXPORT ssize_t
pwritev2(int fd, const struct iovec *iov, int cnt, off_t off, int flags)
{
	if (off == -1 && flags == 0)
		return posix_writev(fd, iov, cnt);
	return flags & RWF_NOWAIT ? next(pwritev2)(fd, iov, cnt, off, flags) : FILECALL(pwritev2, fd, iov, cnt, off, flags);
}

#define SAME(name, as) EXPORT extern __typeof__(as) name __attribute__((alias(#as)))
SAME(pread64, pread);
SAME(pwrite64, pwrite);
SAME(preadv64, preadv);
SAME(pwritev64, pwritev);
SAME(preadv64v2, preadv2);
SAME(pwritev64v2, pwritev2);

// ---- with a check of the buffer (_FORTIFY_SOURCE) ----

EXPORT ssize_t
__read_chk(int fd, void *buf, size_t n, size_t size)
{
	if (n > size)
		__chk_fail();
	return read(fd, buf, n);
}

EXPORT ssize_t
__pread_chk(int fd, void *buf, size_t n, off_t off, size_t size)
{
	if (n > size)
		__chk_fail();
	return pread(fd, buf, n, off);
}
SAME(__pread64_chk, __pread_chk);
