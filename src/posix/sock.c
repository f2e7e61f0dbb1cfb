// SPDX-License-Identifier: BSD-3-Clause
// sock.c: send, receive, connect, accept.
//
// Sends and receives are tried with MSG_DONTWAIT. accept and connect have no such flag:
//
//   accept   poll tells whether there is a connection. Goroutines that accept on one listener take turns at
//            the two calls (turns), so that only another process or thread can be faster; then accept, which
//            is declared, blocks a thread until the next connection comes.
//   connect  of an internet stream socket: O_NONBLOCK is set for the length of the system call that sends the
//            first packet, and cleared before anybody waits. This is the one place where the descriptor is
//            changed, and it is done to sockets that are not connected, which nobody else reads from at
//            that time; a call that another thread or process makes on the same socket in these few µs may
//            see EAGAIN. The alternative, a thread for each connect under way, is what the library is there
//            to avoid. The end is fetched by a second connect, as the libc's caller would have made it: so
//            the socket's state is the same as ever. Other families' connects are instant or declared.
//            With O_NONBLOCK the call is made as it is: it does not wait.
#include "posix.h"

#include <alloca.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int
sockopt(int fd, int opt)
{
	int v = -1;
	socklen_t len = sizeof v;
	return getsockopt(fd, SOL_SOCKET, opt, &v, &len) < 0 ? -1 : v;
}

static bool
isstream(int fd)
{
	return sockopt(fd, SO_TYPE) == SOCK_STREAM;
}

// direct: a call with these flags does not wait, or waits for what poll does not tell.
#define DIRECT (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE)

// TRY makes call, which is not to block, until it succeeds, fails, or blocked has been made.
#define TRY(io, call, blocked)                                                                    \
	__extension__({                                                                           \
		ssize_t t_;                                                                       \
		while ((t_ = (call)) < 0 && geterr() == EAGAIN) {                                 \
			enum iowait w_ = posix_wait(&io, IO_FAIL);                                \
			if (w_ == IO_BLOCK)                                                       \
				t_ = DECLARED(blocked);                                           \
			if (w_ != IO_AGAIN)                                                       \
				break;                                                            \
		}                                                                                 \
		t_;                                                                               \
	})

// ---- receive ----

EXPORT ssize_t
recvfrom(int fd, void *restrict buf, size_t n, int flags, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (flags & DIRECT))
		return next(recvfrom)(fd, buf, n, flags, addr, len);
	if (c == POSIX_BLOCK || (flags & (MSG_WAITALL | MSG_PEEK)) == (MSG_WAITALL | MSG_PEEK))
		return DECLARED(next(recvfrom)(fd, buf, n, flags, addr, len));
	struct io io = posix_begin(fd, POLLIN, SO_RCVTIMEO);
	ssize_t r = TRY(io, next(recvfrom)(fd, buf, n, flags | MSG_DONTWAIT, addr, len),
	    next(recvfrom)(fd, buf, n, flags, addr, len));
	if (unlikely(flags & MSG_WAITALL) && r > 0 && (size_t)r < n && isstream(fd) && !posix_nonblocking(fd)) {
		size_t done = (size_t)r;
		while (done < n) {
			io.fruitless = 0;
			r = TRY(io, next(recvfrom)(fd, (char *)buf + done, n - done, flags | MSG_DONTWAIT, NULL, NULL),
			    next(recvfrom)(fd, (char *)buf + done, n - done, flags, NULL, NULL));
			if (r <= 0)
				break;
			done += (size_t)r;
		}
		r = (ssize_t)done;
	}
	return posix_end(&io, r);
}

EXPORT ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	if (plain())
		return next(recv)(fd, buf, n, flags);
	return recvfrom(fd, buf, n, flags, NULL, NULL);
}

EXPORT ssize_t
recvmsg(int fd, struct msghdr *m, int flags)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (flags & DIRECT))
		return next(recvmsg)(fd, m, flags);
	if (c == POSIX_BLOCK || (flags & MSG_WAITALL))
		return DECLARED(next(recvmsg)(fd, m, flags));
	struct io io = posix_begin(fd, POLLIN, SO_RCVTIMEO);
	return posix_end(&io, TRY(io, next(recvmsg)(fd, m, flags | MSG_DONTWAIT), next(recvmsg)(fd, m, flags)));
}

// The kernel looks at the timeout only when a message has come; here it ends the wait, as the manual has it.
EXPORT int
recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (flags & DIRECT) || (timeout != NULL && !posix_validtime(timeout)))
		return next(recvmmsg)(fd, v, n, flags, timeout);
	if (c == POSIX_BLOCK || (flags & MSG_WAITALL))
		return DECLARED(next(recvmmsg)(fd, v, n, flags, timeout));
	struct io io = posix_begin(fd, POLLIN, SO_RCVTIMEO);
	int64_t deadline = timeout != NULL ? posix_after(timeout->tv_sec, timeout->tv_nsec) : NEVER;
	unsigned done = 0;
	ssize_t r = 0;
	while (done < n) {
		r = next(recvmmsg)(fd, v + done, n - done, flags | MSG_DONTWAIT, NULL);
		if (r > 0) {
			done += (unsigned)r;
			io.fruitless = 0;
			if ((flags & MSG_WAITFORONE) || (deadline != NEVER && rt->nanotime() >= deadline))
				break;
			continue;
		}
		if (r == 0 || geterr() != EAGAIN)
			break;
		if (!io.waited && posix_nonblocking(fd)) {
			seterr(EAGAIN);
			break;
		}
		enum iowait w;
		if (deadline == NEVER) {
			w = posix_wait(&io, IO_FAIL);
		} else {
			// The earlier of the two.
			struct posixwait pw = {.fd = fd, .events = POLLIN};
			io.waited = true;
			int err = rt->wait(&pw, 1, deadline);
			w = err == 0 ? IO_AGAIN : err == -EPERM ? IO_BLOCK : IO_FAIL;
			if (w == IO_FAIL)
				seterr(err == -ETIMEDOUT ? EAGAIN : -err);
		}
		if (w == IO_AGAIN)
			continue;
		if (w == IO_BLOCK) {
			struct timespec left = deadline != NEVER ? posix_left(deadline) : (struct timespec){0};
			r = DECLARED(next(recvmmsg)(fd, v + done, n - done, flags, deadline != NEVER ? &left : NULL));
			if (r > 0)
				done += (unsigned)r;
		}
		break;
	}
	if (timeout != NULL && deadline != NEVER)
		*timeout = posix_left(deadline);
	return (int)posix_end(&io, done > 0 ? (ssize_t)done : r);
}

// ---- send ----

// A blocking send of a stream returns when all is sent.
static ssize_t
sendrest(struct io *io, int flags, const struct iovec *iov, int cnt, size_t done)
{
	size_t all = 0, skip = done;
	for (int i = 0; i < cnt; i++)
		all += iov[i].iov_len;
	if (likely(done >= all) || !isstream(io->fd) || posix_nonblocking(io->fd))
		return (ssize_t)done;
	struct iovec *rest = alloca((size_t)cnt * sizeof *rest); // IOV_MAX at most: some of it was sent
	memcpy(rest, iov, (size_t)cnt * sizeof *rest);
	while (done < all) {
		while (skip >= rest->iov_len) {
			skip -= rest->iov_len;
			rest++, cnt--;
		}
		rest->iov_base = (char *)rest->iov_base + skip;
		rest->iov_len -= skip;
		const struct msghdr m = {.msg_iov = rest, .msg_iovlen = (size_t)cnt};
		io->fruitless = 0;
		ssize_t r = TRY(*io, next(sendmsg)(io->fd, &m, flags | MSG_DONTWAIT), next(sendmsg)(io->fd, &m, flags));
		if (r <= 0)
			break;
		skip = (size_t)r;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

EXPORT ssize_t
sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr, socklen_t len)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (flags & MSG_DONTWAIT))
		return next(sendto)(fd, buf, n, flags, addr, len);
	if (c == POSIX_BLOCK)
		return DECLARED(next(sendto)(fd, buf, n, flags, addr, len));
	struct io io = posix_begin(fd, POLLOUT, SO_SNDTIMEO);
	ssize_t r = TRY(io, next(sendto)(fd, buf, n, flags | MSG_DONTWAIT, addr, len), next(sendto)(fd, buf, n, flags, addr, len));
	if (unlikely(r > 0 && (size_t)r < n)) {
		const struct iovec iov = {(void *)buf, n};
		r = sendrest(&io, flags, &iov, 1, (size_t)r);
	}
	return posix_end(&io, r);
}

EXPORT ssize_t
send(int fd, const void *buf, size_t n, int flags)
{
	if (plain())
		return next(send)(fd, buf, n, flags);
	return sendto(fd, buf, n, flags, NULL, 0);
}

EXPORT ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (flags & MSG_DONTWAIT))
		return next(sendmsg)(fd, m, flags);
	if (c == POSIX_BLOCK)
		return DECLARED(next(sendmsg)(fd, m, flags));
	struct io io = posix_begin(fd, POLLOUT, SO_SNDTIMEO);
	ssize_t r = TRY(io, next(sendmsg)(fd, m, flags | MSG_DONTWAIT), next(sendmsg)(fd, m, flags));
	if (r > 0)
		r = sendrest(&io, flags, m->msg_iov, (int)m->msg_iovlen, (size_t)r);
	return posix_end(&io, r);
}

// One at a time: each is to be sent whole before the next.
EXPORT int
sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (flags & MSG_DONTWAIT))
		return next(sendmmsg)(fd, v, n, flags);
	if (c == POSIX_BLOCK)
		return DECLARED(next(sendmmsg)(fd, v, n, flags));
	if (n > IOV_MAX)
		n = IOV_MAX; // as the kernel
	for (unsigned i = 0; i < n; i++) {
		ssize_t r = sendmsg(fd, &v[i].msg_hdr, flags);
		if (r < 0)
			return i > 0 ? (int)i : -1;
		v[i].msg_len = (unsigned)r;
	}
	return (int)n;
}

EXPORT ssize_t
__recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
	if (n > size)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t
__recvfrom_chk(int fd, void *restrict buf, size_t n, size_t size, int flags, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	if (n > size)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, addr, len);
}

// ---- accept ----

// One turn for all descriptors with the same remainder: it is held for two system calls.
static uint32_t turns[64] = {[0 ... 63] = 1};

static int
acceptcall(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return flags == 0 ? next(accept)(fd, addr, len) : next(accept4)(fd, addr, len, flags);
}

static int
accepting(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	switch (context()) {
	case POSIX_PLAIN: return acceptcall(fd, addr, len, flags);
	case POSIX_BLOCK: return DECLARED(acceptcall(fd, addr, len, flags));
	case POSIX_PARK: break;
	}
	struct io io = posix_begin(fd, POLLIN, SO_RCVTIMEO);
	uint32_t *turn = &turns[(unsigned)fd % 64];
	bool listens = false;
	for (;;) {
		rt->semacquire(turn);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (posix_look(next(poll)(&p, 1, 0)) != 0) {
			int r = DECLARED(acceptcall(fd, addr, len, flags));
			rt->semrelease(turn);
			return (int)posix_end(&io, r);
		}
		rt->semrelease(turn);
		enum iowait w = IO_BLOCK;
		if (listens || (listens = sockopt(fd, SO_ACCEPTCONN) == 1))
			w = posix_wait(&io, IO_FAIL);
		if (w == IO_BLOCK)
			return (int)posix_end(&io, DECLARED(acceptcall(fd, addr, len, flags)));
		if (w == IO_FAIL)
			return (int)posix_end(&io, -1);
	}
}

EXPORT int
accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	return accepting(fd, addr, len, 0);
}

EXPORT int
accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
	return accepting(fd, addr, len, flags);
}

// ---- connect ----

EXPORT int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN)
		return next(connect)(fd, addr, len);
	int fl = next(fcntl)(fd, F_GETFL);
	if (fl >= 0 && (fl & O_NONBLOCK))
		return next(connect)(fd, addr, len);
	int domain = sockopt(fd, SO_DOMAIN);
	if (c == POSIX_BLOCK || (domain != AF_INET && domain != AF_INET6) || !isstream(fd) || fl < 0)
		return DECLARED(next(connect)(fd, addr, len));
	struct io io = posix_begin(fd, POLLOUT, SO_SNDTIMEO);
	if (next(fcntl)(fd, F_SETFL, fl | O_NONBLOCK) < 0)
		return DECLARED(next(connect)(fd, addr, len));
	int r = next(connect)(fd, addr, len), e = geterr();
	next(fcntl)(fd, F_SETFL, fl);
	seterr(e);
	if (r == 0 || (e != EINPROGRESS && e != EALREADY))
		return (int)posix_end(&io, r);
	switch (posix_wait(&io, IO_FAIL)) {
	case IO_AGAIN: // it is done, one way or the other: this does not wait
	case IO_BLOCK: r = DECLARED(next(connect)(fd, addr, len)); break;
	case IO_FAIL:
		if (geterr() == EAGAIN)
			seterr(EINPROGRESS); // as the kernel's SO_SNDTIMEO
		break;
	}
	return (int)posix_end(&io, r);
}
