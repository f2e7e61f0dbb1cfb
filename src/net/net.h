// SPDX-License-Identifier: BSD-3-Clause
// net.h: what the files of src/net share: a descriptor behind a handle, and the kernel's numbers.
//
// A struct fd is a slot of a table that only grows: it is never unmapped, so that who comes with a stale
// handle may look at it. fd.c has the table and the lock, fdio.c reads and writes, copy.c moves bytes
// between two, addr.c knows addresses as text, sock.c connections, packet.c messages.
#ifndef RT0_NET_INTERNAL_H
#define RT0_NET_INTERNAL_H

#include "../../include/rt0/io.h"
#include "../../include/rt0/net.h"
#include "../runtime.h"
#include "../os/linux/linux.h"

enum {
	SYS_poll = 7, SYS_lseek = 8, SYS_ioctl = 16, SYS_pread64 = 17, SYS_pwrite64 = 18, SYS_readv = 19, SYS_writev = 20,
	SYS_sendfile = 40, SYS_socket = 41, SYS_connect = 42, SYS_sendto = 44, SYS_recvfrom = 45, SYS_sendmsg = 46,
	SYS_recvmsg = 47, SYS_shutdown = 48, SYS_bind = 49, SYS_listen = 50, SYS_getsockname = 51, SYS_getpeername = 52,
	SYS_socketpair = 53, SYS_setsockopt = 54, SYS_getsockopt = 55, SYS_unlink = 87, SYS_openat = 257, SYS_splice = 275,
	SYS_accept4 = 288, SYS_pipe2 = 293, SYS_fstat = 5, SYS_preadv2 = 327,
};
enum {
	EIO = 5, EEXIST = 17, ENFILE = 23, EMFILE = 24, ENOSPC = 28, ESPIPE = 29, EPROTO = 71, EOVERFLOW = 75, ENOTSOCK = 88,
	EMSGSIZE = 90, ENOPROTOOPT = 92, EPROTONOSUPPORT = 93, ENOTSUP = 95, EOPNOTSUPP = 95, EAFNOSUPPORT = 97, EADDRINUSE = 98, ENETDOWN = 100,
	ENETUNREACH = 101, ECONNABORTED = 103, ECONNREFUSED = 111, ECONNRESET = 104, ENOBUFS = 105, EISCONN = 106, EHOSTDOWN = 112,
	EHOSTUNREACH = 113, EINPROGRESS = 115, EXDEV = 18,
};
enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5, SOCK_NONBLOCK = 04000, SOCK_CLOEXEC = 02000000 };
enum {
	SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ACCEPTCONN = 30, SO_ERROR = 4, SO_BROADCAST = 6, SO_KEEPALIVE = 9, SO_LINGER = 13, SO_REUSEPORT = 15,
	SO_PROTOCOL = 38, SO_DOMAIN = 39, IPPROTO_TCP = 6, IPPROTO_IPV6 = 41, TCP_NODELAY = 1, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5,
	TCP_KEEPCNT = 6, IPV6_V6ONLY = 26, SCM_RIGHTS = 1,
};
enum {
	MSG_TRUNC = 0x20, MSG_CTRUNC = 8, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000,
};
enum { F_GETFL = 3, F_SETFL = 4, O_NONBLOCK = 04000, O_DIRECT = 040000, AT_FDCWD = -100 };
enum { S_IFMT = 0170000, S_IFREG = 0100000, S_IFBLK = 0060000, RWF_NOWAIT = 8 };
enum { POLLIN = 1, POLLOUT = 4 };
enum { IOV_MAX = 1024 };

struct iovec { // as struct iovec_any
	void *base;
	size_t len;
};
struct msghdr {
	void *name;
	uint32_t namelen;
	struct iovec *iov;
	size_t iovlen;
	void *control;
	size_t controllen;
	int32_t flags;
};
struct cmsghdr {
	size_t len;
	int32_t level, type;
};
struct pollfd {
	int32_t fd;
	int16_t events, revents;
};

struct fd {
	uint64_t state; // atomic: fdMutex (fd.c)
	uint64_t gen;   // atomic: which use of the slot this is, from 1; goes up when it is freed
	// Constant while open:
	struct polldesc *pd; // NULL: calls block the thread
	int32_t sysfd;
	uint32_t index;
	uint32_t rsema, wsema; // who waits for the read lock, the write lock
	uint32_t csema;        // close waits for the last one to leave
	uint32_t next;         // fdlock: the next free slot
	int32_t closeerr;      // of the last one, for close
	// Constant while open:
	bool sock, stream;     // stream: no message boundaries, 0 bytes are the end
	bool borrowed, wasblocking;
	uint8_t family;        // of a socket: AF_...
	bool listener;         // a socket that listens: only accept, and deadlines for reading
	bool unlinks;          // close removes the file that the socket is bound to
	// drained: read lock: the last read left nothing in the socket. hint: atomic: that may be assumed of a
	// short read (fdio.c).
	bool drained, hint;
	bool told;             // read lock: accept's complaint has been made
	bool file, direct;     // constant: not watched, and on a disk: reads are made by fileread; it was opened with O_DIRECT
	bool ownpos;           // constant: a file that rt0_fd_open has opened: nobody else moves its position
};

#pragma GCC visibility push(hidden)
// fd.c. Both return NULL if h is closed or none, and then *err is the errno value. What they return stays
// open until the function of the same line.
struct fd *runtime_fdincref(rt0_fd *h, int *err);             // runtime_fddecref
struct fd *runtime_fdrwlock(rt0_fd *h, bool read, int *err);  // runtime_fdrwunlock
void runtime_fddecref(struct fd *fd);
void runtime_fdrwunlock(struct fd *fd, bool read);
// fdmake makes the handle of sysfd, whose constant fields *like gives. watch: by the poller; -EPERM: cannot be.
// On error sysfd is still open.
int runtime_fdmake(int sysfd, bool watch, const struct fd *like, rt0_fd **out);
int runtime_pollerr(int result); // POLL_... as a negative errno
int runtime_nonblock(int sysfd, bool on); // whether it was, or a negative errno
// blocking(nr, arguments) makes a system call that may block the thread.
long runtime_blockingsys(long nr, long a, long b, long c, long d, long e, long f);
#define blocking(...) BLOCKING_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define BLOCKING_(nr, a, b, c, d, e, f, ...)                                                      \
	runtime_blockingsys(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
void runtime_sockunlink(int sysfd); // sock.c: removes the file that a Unix socket is bound to
// fdio.c. With the lock held.
long runtime_fdreadonce(struct fd *fd, void *buf, size_t n, int cnt);
long runtime_fdwriteonce(struct fd *fd, const void *buf, size_t n, int cnt, bool fresh);

// Calls from a foreign thread run as a goroutine of it: FOREIGN(fn, op, arguments) as the first line of a function
// has fn called there with a struct fdcall, and returns its r.
struct fdcall {
	int op;
	uintptr_t a[6];
	int64_t r;
};
int64_t runtime_fdforeign(void (*fn)(void *), int op, const uintptr_t *a, size_t n);
#define FOREIGN(fn, op, ...)                                                                      \
	do {                                                                                      \
		if (unlikely(getg() == NULL)) {                                                   \
			const uintptr_t a_[] = {__VA_ARGS__};                                     \
			return runtime_fdforeign(fn, op, a_, NELEM(a_));                          \
		}                                                                                 \
	} while (0)
#pragma GCC visibility pop

// fdreset is poll_reset for others than plain reads: what it forgets, a drained socket's next read must not wait for.
static inline int
fdreset(struct fd *fd, int mode)
{
	if (mode == POLLREAD)
		fd->drained = false;
	return runtime_poll_reset(fd->pd, mode);
}

// fdretry tells whether a call that gave r, on a watched descriptor, is to be made again; it waits before, if there is
// need. *err, at first what fdreset gave, is what the poller says; false with *r = -EAGAIN made that.
static inline bool
fdretry(struct fd *fd, int mode, long *r, int *err)
{
	if (*r == -EINTR)
		return true;
	if (likely(*r != -EAGAIN))
		return false;
	if (*err == POLL_OK && (*err = runtime_poll_wait(fd->pd, mode)) == POLL_OK)
		return true;
	*r = runtime_pollerr(*err);
	return false;
}

#endif
