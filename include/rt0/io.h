// SPDX-License-Identifier: BSD-3-Clause
// rt0/io.h: descriptors that a goroutine waits for without holding a thread: sockets (rt0/net.h), pipes,
// terminals, eventfds; and files. Include it yourself; rt0.h does not.
//
// An rt0_fd * is a handle, not an address: it names one descriptor from its creation until rt0_fd_close,
// and nothing afterwards. So any goroutine may close it at any time, also while others use it: they are
// woken and get -ECANCELED, as does who uses the handle later. It never comes to mean another
// descriptor, and nothing is left to be freed.
//
// Unless a function says otherwise:
//   Returns  negative errno values: -ECANCELED: closed, before or meanwhile; -ETIMEDOUT: the deadline;
//            -EBADF: NULL, or no handle; else what the kernel says. -EAGAIN and -EINTR do not come out.
//   Blocks   the goroutine, not the thread. A file, which epoll cannot watch, is read by io_uring if the kernel has
//            it; otherwise, and in all but reads, it blocks the thread, with the processor given to others.
//   Context  goroutine or thread. Any number may use one handle: reads come one after the other, and
//            so do writes; a read and a write do not disturb each other.
#ifndef RT0_IO_H
#define RT0_IO_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iovec; // <sys/uio.h>

typedef struct rt0_fd rt0_fd;

enum {
	RT0_FD_BLOCKING = 1, // do not watch it: calls block the thread, deadlines and close do not end them
	RT0_FD_BORROWED = 2, // rt0_fd_close leaves fd open (and as blocking as it was)
};

// rt0_fd_new makes a handle for the descriptor fd, which belongs to it from then on. If the kernel can
// watch fd, it is made non-blocking, which others that share it (the shell, its terminal) will see:
// say RT0_FD_BLOCKING for those. A file is not watched: deadlines and close do not end calls.
// Returns  0 with the handle in *out; -EINVAL: flags; -EBADF; -EEXIST: it has a handle already; -ENOMEM;
//          -ENOSPC: the user's limit of watches. fd stays the caller's then.
// Blocks   nobody.
RT0_API int rt0_fd_new(int fd, int flags, rt0_fd **out);

// rt0_fd_open opens a file as open(2) does: flags O_..., to which O_CLOEXEC is added.
// Returns  0 with the handle in *out, or a negative errno.
// Blocks   the thread.
RT0_API int rt0_fd_open(const char *path, int flags, unsigned mode, rt0_fd **out);

// rt0_fd_close ends all operations on fd and closes it. When it returns, the number and what it stood for
// (a port, a pipe's end) are free; if it is a file that others are just using, they close it when they are done.
// Returns  0, or what close(2) says; closed it is in any case. -ECANCELED: it was closed before.
RT0_API int rt0_fd_close(rt0_fd *fd);

// rt0_fd_sysfd tells the number. It is good until somebody closes fd: no reference is held. From then on
// rt0 assumes less about the descriptor, since you may change how it reads; a read may cost a
// system call more.
// Returns  the number.
// Blocks   nobody.
RT0_API int rt0_fd_sysfd(rt0_fd *fd);

// rt0_fd_read reads once: at least a byte if n > 0, at most n.
// Returns  how many bytes; 0: the end (or an empty datagram), or n is 0.
RT0_API long rt0_fd_read(rt0_fd *fd, void *buf, size_t n);

// rt0_fd_readv is rt0_fd_read into cnt pieces. -EINVAL: cnt is not from 0 to 1024.
RT0_API long rt0_fd_readv(rt0_fd *fd, const struct iovec *iov, int cnt);

// rt0_fd_write writes all n bytes (to a datagram or packet socket: one message). A broken pipe or
// connection is -EPIPE, without a signal.
// Returns  n; or an error, and then some of it may have been written: rt0_fd_write_some tells how much.
RT0_API long rt0_fd_write(rt0_fd *fd, const void *buf, size_t n);

// rt0_fd_write_some writes once: at least a byte if n > 0, at most n.
// Returns  how many bytes.
RT0_API long rt0_fd_write_some(rt0_fd *fd, const void *buf, size_t n);

// rt0_fd_writev writes all of cnt pieces, as many as there may be (to a datagram or packet socket: one
// message, of 1024 pieces at most).
// Returns  the sum, or an error.
RT0_API long rt0_fd_writev(rt0_fd *fd, const struct iovec *iov, int cnt);

// rt0_fd_pread and rt0_fd_pwrite read and write at an offset; the position of the file is not used. Any number
// at a time. pwrite writes all. For what has no offset: -ESPIPE.
// Returns  how many bytes; pread: 0 at the end of the file.
RT0_API long rt0_fd_pread(rt0_fd *fd, void *buf, size_t n, int64_t off);
RT0_API long rt0_fd_pwrite(rt0_fd *fd, const void *buf, size_t n, int64_t off);

// rt0_fd_seek is lseek(2). Returns the position.
RT0_API int64_t rt0_fd_seek(rt0_fd *fd, int64_t off, int whence);

// rt0_fd_set_deadline sets until when reads and writes may wait; the other two set it for one of both.
// A deadline stays until it is set anew, and holds for calls that wait already: set one
// that is over to wake them. An operation whose deadline is over tries once and does not wait.
// Units    deadline: absolute ns of rt0_nanotime(); INT64_MAX: wait for ever, as at first.
// Returns  0; -ENOTSUP: it is not watched (a file, RT0_FD_BLOCKING).
// Blocks   nobody.
RT0_API int rt0_fd_set_deadline(rt0_fd *fd, int64_t deadline);
RT0_API int rt0_fd_set_read_deadline(rt0_fd *fd, int64_t deadline);
RT0_API int rt0_fd_set_write_deadline(rt0_fd *fd, int64_t deadline);

// rt0_fd_wait waits until a read (RT0_READABLE) or a write (RT0_WRITABLE) of fd would not have to wait. It is
// for libraries that do the rest themselves, and for reading into memory that is got only then.
// Returns  0; -EINVAL: mode.
enum { RT0_READABLE = 'r', RT0_WRITABLE = 'w' };
RT0_API int rt0_fd_wait(rt0_fd *fd, int mode);

// rt0_pipe makes a pipe: what is written to fds[1] is read from fds[0].
// Returns  0, or a negative errno.
// Blocks   nobody.
RT0_API int rt0_pipe(rt0_fd *fds[2]);

// rt0_eventfd makes an eventfd(2) with the count initial; flags: EFD_SEMAPHORE or 0. Read and write take 8 bytes.
// Returns  0 with the handle in *out, or a negative errno.
// Blocks   nobody.
RT0_API int rt0_eventfd(unsigned initial, int flags, rt0_fd **out);

// rt0_copy copies up to n bytes from src to dst, by sendfile or splice where the kernel can, so that they
// do not pass through the program. n < 0: until the end of src.
// Returns  how many bytes: fewer than n at the end of src only; or an error, of either, and then some may
//          have been copied.
RT0_API int64_t rt0_copy(rt0_fd *dst, rt0_fd *src, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
