// SPDX-License-Identifier: BSD-3-Clause
// fdio.c: read and write on a handle: try, and wait if there is nothing.
//
// A call on a watched descriptor never blocks the thread, so the processor is not given away for it:
// sockets are asked with MSG_DONTWAIT, the others are O_NONBLOCK. Others' calls are made between
// entersyscall and exitsyscall.
//
// Drained. A read of a TCP socket that gets less than it asked for has emptied it, and whatever comes
// later makes an edge. So the next read need not try: it waits for an edge that has come since the
// last reset of the word (before the last try). That saves a system call out of three for who answers
// messages one by one. It would lose what makes no edge of its own behind the data: the end of the stream and
// urgent data, where a read stops short. Those are in the event that told of the data, or in a later
// one; poll_hup is set when they have been in any. Other descriptors may stop short for more reasons
// (message and line boundaries, passed descriptors), and so may this one if the program changes how it
// reads (rt0_fd_sysfd, rt0_setsockopt): hint is false for those.
#include "net.h"

enum { SEEK_SET = 0, SEEK_CUR = 1 };
enum { OPREAD, OPREADV, OPWRITE, OPWRITEV, OPPREAD, OPPWRITE, OPSEEK, OPWAIT };
static void iocall_g(void *arg);

// blockingonce makes a call on a descriptor that is not watched.
static long
blockingonce(struct fd *fd, long nr, const void *buf, size_t n, int mode)
{
	for (;;) {
		long r = blocking(nr, fd->sysfd, buf, n, nr == SYS_sendto ? MSG_NOSIGNAL : 0);
		if (r == -EAGAIN) {
			// Somebody else has made it non-blocking.
			struct pollfd p = {fd->sysfd, mode == POLLREAD ? POLLIN : POLLOUT, 0};
			blocking(SYS_poll, &p, 1, -1);
		} else if (r != -EINTR) {
			return r;
		}
	}
}

// ringread reads by io_uring, off < 0: at the file's position. That one is moved here: for a read that is not over when the
// kernel returns from its start, as of a file opened with O_DIRECT, the kernel does not move it. So the position must be
// ours: of a file that rt0_fd_open has opened, with the read lock, which seek and write take as well. -EAGAIN: it does not.
static long
ringread(struct fd *fd, void *buf, size_t n, int64_t off)
{
	if (off >= 0)
		return runtime_uringread(fd->sysfd, buf, n, off);
	int64_t at = fd->ownpos ? blocking(SYS_lseek, fd->sysfd, 0, SEEK_CUR) : -1;
	long r = at < 0 ? -EAGAIN : runtime_uringread(fd->sysfd, buf, n, at);
	if (r > 0)
		blocking(SYS_lseek, fd->sysfd, at + r, SEEK_SET);
	return r;
}

// fileread reads a file on a disk: what is in the page cache at once, the rest by io_uring, or by calls that block the
// thread. off < 0: at the file's position. Like read, it stops short at the end of the file only, or at an error.
static long
fileread(struct fd *fd, char *buf, size_t n, int64_t off)
{
	size_t done = 0;
	long r;
	do {
		struct iovec iov = {buf + done, n - done};
		int64_t at = off < 0 ? -1 : off + (int64_t)done;
		r = fd->direct ? -EAGAIN : blocking(SYS_preadv2, fd->sysfd, &iov, 1, at, 0, RWF_NOWAIT);
		if (r == -EAGAIN)
			r = ringread(fd, iov.base, iov.len, at);
		if (r == -EAGAIN || r == -EOPNOTSUPP || r == -ENOSYS || r == -EPERM)
			r = off < 0 ? blocking(SYS_read, fd->sysfd, iov.base, iov.len) : blocking(SYS_pread64, fd->sysfd, iov.base, iov.len, at);
		if (r > 0)
			done += (size_t)r;
	} while (r == -EINTR || (r > 0 && done < n && !fd->direct));
	return done > 0 ? (long)done : r;
}

// fdreadonce makes one call of read (cnt < 0), or readv of cnt pieces. The read lock is held.
long
runtime_fdreadonce(struct fd *fd, void *buf, size_t n, int cnt)
{
	struct polldesc *pd = fd->pd;
	if (fd->file && cnt < 0)
		return fileread(fd, buf, n, -1);
	if (pd == NULL)
		return blockingonce(fd, cnt < 0 ? SYS_read : SYS_readv, buf, cnt < 0 ? n : (size_t)cnt, POLLREAD);
	int err;
	if (fd->drained && atomic_loadrlx(&fd->hint) && !runtime_poll_hup(pd))
		err = runtime_poll_wait(pd, POLLREAD);
	else
		err = runtime_poll_reset(pd, POLLREAD);
	if (unlikely(err == POLL_CLOSING))
		return -ECANCELED;
	long r;
	do {
		if (cnt >= 0)
			r = sys3(SYS_readv, fd->sysfd, buf, cnt);
		else if (fd->sock)
			r = sys6(SYS_recvfrom, fd->sysfd, buf, n, MSG_DONTWAIT, 0, 0);
		else
			r = sys3(SYS_read, fd->sysfd, buf, n);
	} while (fdretry(fd, POLLREAD, &r, &err));
	fd->drained = r > 0 && cnt < 0 && (size_t)r < n;
	return r;
}

// fdwriteonce makes one call of write or writev, likewise. fresh: the first of a row.
long
runtime_fdwriteonce(struct fd *fd, const void *buf, size_t n, int cnt, bool fresh)
{
	struct msghdr m = {.iov = (struct iovec *)buf, .iovlen = (size_t)cnt};
	if (fd->pd == NULL) {
		if (fd->sock)
			return cnt < 0 ? blockingonce(fd, SYS_sendto, buf, n, POLLWRITE) : blockingonce(fd, SYS_sendmsg, &m, MSG_NOSIGNAL, POLLWRITE);
		return blockingonce(fd, cnt < 0 ? SYS_write : SYS_writev, buf, cnt < 0 ? n : (size_t)cnt, POLLWRITE);
	}
	int err = fresh ? runtime_poll_reset(fd->pd, POLLWRITE) : POLL_OK;
	long r;
	do {
		if (!fd->sock)
			r = sys3(cnt < 0 ? SYS_write : SYS_writev, fd->sysfd, buf, cnt < 0 ? (long)n : cnt);
		else if (cnt < 0)
			r = sys6(SYS_sendto, fd->sysfd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
		else
			r = sys3(SYS_sendmsg, fd->sysfd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (fdretry(fd, POLLWRITE, &r, &err));
	return r;
}

long
rt0_fd_read(rt0_fd *h, void *buf, size_t n)
{
	FOREIGN(iocall_g, OPREAD, (uintptr_t)h, (uintptr_t)buf, n);
	int err;
	struct fd *fd = runtime_fdrwlock(h, true, &err);
	if (unlikely(fd == NULL))
		return err;
	long r = n == 0 ? 0 : runtime_fdreadonce(fd, buf, n, -1);
	runtime_fdrwunlock(fd, true);
	return r;
}

long
rt0_fd_readv(rt0_fd *h, const struct iovec *iov, int cnt)
{
	FOREIGN(iocall_g, OPREADV, (uintptr_t)h, (uintptr_t)iov, (uintptr_t)cnt);
	if (cnt < 0 || cnt > IOV_MAX)
		return -EINVAL;
	int err;
	struct fd *fd = runtime_fdrwlock(h, true, &err);
	if (fd == NULL)
		return err;
	size_t n = 0;
	for (int i = 0; i < cnt; i++)
		n |= iov[i].len;
	long r = n == 0 ? 0 : runtime_fdreadonce(fd, (void *)iov, 0, cnt);
	runtime_fdrwunlock(fd, true);
	return r;
}

// writelock is the write lock of h, and for a file that is read by io_uring the read lock as well, for the position:
// that one first, as rt0_copy takes the two of its files, so that no circle of them can come about.
static struct fd *
writelock(rt0_fd *h, int *err)
{
	struct fd *fd = runtime_fdrwlock(h, false, err);
	if (likely(fd == NULL || !fd->ownpos))
		return fd;
	runtime_fdrwunlock(fd, false);
	fd = runtime_fdrwlock(h, true, err);
	if (fd != NULL && runtime_fdrwlock(h, false, err) == NULL) {
		runtime_fdrwunlock(fd, true);
		return NULL;
	}
	return fd;
}

static void
writeunlock(struct fd *fd)
{
	if (unlikely(fd->ownpos))
		runtime_fdrwunlock(fd, true);
	runtime_fdrwunlock(fd, false);
}

static long
writeall(rt0_fd *h, const void *buf, size_t n, bool all)
{
	FOREIGN(iocall_g, OPWRITE, (uintptr_t)h, (uintptr_t)buf, n, all);
	int err;
	struct fd *fd = writelock(h, &err);
	if (unlikely(fd == NULL))
		return err;
	size_t done = 0;
	long r;
	do {
		r = runtime_fdwriteonce(fd, (const char *)buf + done, n - done, -1, done == 0);
		if (r < 0)
			break;
		if (unlikely(r == 0 && n != 0)) {
			r = -EIO; // a device that takes nothing: no end to it
			break;
		}
		done += (size_t)r;
	} while (all && done < n && fd->stream);
	writeunlock(fd);
	return r < 0 ? r : (long)done;
}

long
rt0_fd_write(rt0_fd *fd, const void *buf, size_t n)
{
	return writeall(fd, buf, n, true);
}

long
rt0_fd_write_some(rt0_fd *fd, const void *buf, size_t n)
{
	return writeall(fd, buf, n, false);
}

// writevall writes cnt pieces in calls of up to IOV_MAX. The array is the caller's and stays as it is: when a
// call ends inside a piece, the rest of that one is written by itself.
static long
writevall(struct fd *fd, const struct iovec *iov, int cnt)
{
	size_t done = 0;
	bool fresh = true;
	if (!fd->stream) {
		if (cnt > IOV_MAX)
			return -EMSGSIZE;
		return runtime_fdwriteonce(fd, iov, 0, cnt, true);
	}
	for (int i = 0; i < cnt;) {
		size_t left = 0;
		int k = 0;
		for (; k < IOV_MAX && i + k < cnt; k++)
			left += iov[i + k].len;
		if (left == 0) {
			i += k;
			continue;
		}
		long r = runtime_fdwriteonce(fd, &iov[i], 0, k, fresh);
		fresh = false;
		if (r < 0)
			return r;
		if (r == 0)
			return -EIO;
		done += (size_t)r;
		while (i < cnt && (size_t)r >= iov[i].len)
			r -= (long)iov[i++].len;
		while (r > 0) {
			long w = runtime_fdwriteonce(fd, (char *)iov[i].base + r, iov[i].len - (size_t)r, -1, false);
			if (w < 0)
				return w;
			if (w == 0)
				return -EIO;
			done += (size_t)w;
			r += w;
			if ((size_t)r == iov[i].len) {
				i++;
				break;
			}
		}
	}
	return (long)done;
}

long
rt0_fd_writev(rt0_fd *h, const struct iovec *iov, int cnt)
{
	FOREIGN(iocall_g, OPWRITEV, (uintptr_t)h, (uintptr_t)iov, (uintptr_t)cnt);
	if (cnt < 0)
		return -EINVAL;
	int err;
	struct fd *fd = writelock(h, &err);
	if (fd == NULL)
		return err;
	long r = writevall(fd, iov, cnt);
	writeunlock(fd);
	return r;
}

long
rt0_fd_pread(rt0_fd *h, void *buf, size_t n, int64_t off)
{
	FOREIGN(iocall_g, OPPREAD, (uintptr_t)h, (uintptr_t)buf, n, (uintptr_t)off);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	long r = -EINTR;
	if (fd->file && off >= 0)
		r = fileread(fd, buf, n, off);
	while (r == -EINTR)
		r = blocking(SYS_pread64, fd->sysfd, buf, n, off);
	runtime_fddecref(fd);
	return r;
}

long
rt0_fd_pwrite(rt0_fd *h, const void *buf, size_t n, int64_t off)
{
	FOREIGN(iocall_g, OPPWRITE, (uintptr_t)h, (uintptr_t)buf, n, (uintptr_t)off);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	size_t done = 0;
	long r;
	do {
		r = blocking(SYS_pwrite64, fd->sysfd, (const char *)buf + done, n - done, off + (int64_t)done);
		if (r == -EINTR)
			continue;
		if (r == 0 && n != 0)
			r = -EIO;
		if (r < 0)
			break;
		done += (size_t)r;
	} while (done < n);
	runtime_fddecref(fd);
	return r < 0 ? r : (long)done;
}

int64_t
rt0_fd_seek(rt0_fd *h, int64_t off, int whence)
{
	FOREIGN(iocall_g, OPSEEK, (uintptr_t)h, (uintptr_t)off, (uintptr_t)whence);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	bool locked = fd->ownpos && runtime_fdrwlock(h, true, &err) != NULL; // else it is being closed
	long r = blocking(SYS_lseek, fd->sysfd, off, whence);
	if (locked)
		runtime_fdrwunlock(fd, true);
	runtime_fddecref(fd);
	return r;
}

int
rt0_fd_wait(rt0_fd *h, int mode)
{
	FOREIGN(iocall_g, OPWAIT, (uintptr_t)h, (uintptr_t)mode);
	if (mode != RT0_READABLE && mode != RT0_WRITABLE)
		return -EINVAL;
	int err;
	bool read = mode == RT0_READABLE;
	struct fd *fd = runtime_fdrwlock(h, read, &err);
	if (fd == NULL)
		return err;
	struct pollfd p = {fd->sysfd, read ? POLLIN : POLLOUT, 0};
	long r;
	if (fd->listener && !read) {
		r = -EINVAL; // it never is; and accept waits there for other things
	} else if (fd->pd == NULL) {
		do {
			r = blocking(SYS_poll, &p, 1, -1);
		} while (r == -EINTR);
	} else {
		err = fdreset(fd, mode);
		do {
			r = sys3(SYS_poll, &p, 1, 0);
			if (r == 0)
				r = -EAGAIN;
		} while (fdretry(fd, mode, &r, &err));
	}
	runtime_fdrwunlock(fd, read);
	return r < 0 ? (int)r : 0;
}

static void
iocall_g(void *arg)
{
	struct fdcall *c = arg;
	uintptr_t *a = c->a;
	rt0_fd *fd = (rt0_fd *)a[0];
	switch (c->op) {
	case OPREAD: c->r = rt0_fd_read(fd, (void *)a[1], a[2]); break;
	case OPREADV: c->r = rt0_fd_readv(fd, (const struct iovec *)a[1], (int)a[2]); break;
	case OPWRITE: c->r = writeall(fd, (const void *)a[1], a[2], a[3] != 0); break;
	case OPWRITEV: c->r = rt0_fd_writev(fd, (const struct iovec *)a[1], (int)a[2]); break;
	case OPPREAD: c->r = rt0_fd_pread(fd, (void *)a[1], a[2], (int64_t)a[3]); break;
	case OPPWRITE: c->r = rt0_fd_pwrite(fd, (const void *)a[1], a[2], (int64_t)a[3]); break;
	case OPSEEK: c->r = rt0_fd_seek(fd, (int64_t)a[1], (int)a[2]); break;
	case OPWAIT: c->r = rt0_fd_wait(fd, (int)a[1]); break;
	}
}
