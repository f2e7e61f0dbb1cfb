// SPDX-License-Identifier: BSD-3-Clause
// copy.c: rt0_copy: bytes from one descriptor to another, inside the kernel where that is possible.
//
//	from a file                  sendfile
//	one of the two is a pipe     splice
//	else                         splice into a pipe of our own, and out of it
//	the kernel says no at first  read and write by a buffer
//
// Locks: the read lock of src, then the write lock of dst. No two copies can wait for each other: whoever holds a
// write lock has its read lock already.
#include "net.h"

enum { COPYBUF = 64 << 10, COPYMAX = 1 << 30, SMALL = 16 << 10 };
enum { SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2 };

// cannot is whether a result means that this way cannot be taken, not that the descriptors are bad.
static bool
cannot(long r)
{
	return r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP || r == -EPERM || r == -EOVERFLOW;
}

static size_t
chunk(int64_t left)
{
	return left < 0 || left > COPYMAX ? COPYMAX : (size_t)left;
}

// waitfor waits until fd may be ready for mode; edges since the last reset count.
static int
waitfor(struct fd *fd, int mode)
{
	if (fd->pd != NULL)
		return runtime_pollerr(runtime_poll_wait(fd->pd, mode));
	// Our pipe, or another that is not watched and yet non-blocking.
	struct pollfd p = {fd->sysfd, mode == POLLREAD ? POLLIN : POLLOUT, 0};
	long r = blocking(SYS_poll, &p, 1, -1);
	return r < 0 && r != -EINTR ? (int)r : 0;
}

static void
reset(struct fd *fd, int mode)
{
	if (fd->pd != NULL)
		fdreset(fd, mode);
}

// bybuffer: *done counts on. So do the others.
static long
bybuffer(struct fd *dst, struct fd *src, int64_t n, int64_t *done)
{
	char *buf = runtime_mallocgc_try(COPYBUF, true, false);
	if (buf == NULL)
		return -ENOMEM;
	long r = 0;
	while (n < 0 || *done < n) {
		size_t want = n < 0 || n - *done > COPYBUF ? COPYBUF : (size_t)(n - *done);
		r = runtime_fdreadonce(src, buf, want, -1);
		if (r <= 0)
			break;
		for (long at = 0, w; at < r; at += w) {
			w = runtime_fdwriteonce(dst, buf + at, (size_t)(r - at), -1, at == 0);
			if (w <= 0) {
				runtime_free(buf);
				return w < 0 ? w : -EIO;
			}
			*done += w;
		}
	}
	runtime_free(buf);
	return r < 0 ? r : 0;
}

static long
bysendfile(struct fd *dst, struct fd *src, int64_t n, int64_t *done)
{
	while (n < 0 || *done < n) {
		reset(dst, POLLWRITE);
		long r = blocking(SYS_sendfile, dst->sysfd, src->sysfd, NULL, chunk(n < 0 ? -1 : n - *done));
		if (r == -EINTR)
			continue;
		if (r == -EAGAIN) {
			int err = waitfor(dst, POLLWRITE);
			if (err < 0)
				return err;
			continue;
		}
		if (r <= 0)
			return r;
		*done += r;
	}
	return 0;
}

// splice moves once between two of which one is a pipe. It waits for in or out, whichever is not ready.
static long
splice(struct fd *in, struct fd *out, size_t n)
{
	for (;;) {
		reset(in, POLLREAD);
		reset(out, POLLWRITE);
		long r = blocking(SYS_splice, in->sysfd, NULL, out->sysfd, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (r == -EINTR)
			continue;
		if (r != -EAGAIN)
			return r;
		// Which of the two? One that became ready since the call makes no edge that we could wait for.
		struct pollfd p[2] = {{in->sysfd, POLLIN, 0}, {out->sysfd, POLLOUT, 0}};
		r = sys3(SYS_poll, p, 2, 0);
		int err = 0;
		if (r >= 0 && p[0].revents == 0)
			err = waitfor(in, POLLREAD);
		else if (r >= 0 && p[1].revents == 0)
			err = waitfor(out, POLLWRITE);
		else
			rt0_gosched();
		if (err < 0)
			return err;
	}
}

static long
bysplice(struct fd *dst, struct fd *src, int64_t n, int64_t *done)
{
	long r = 0;
	while (n < 0 || *done < n) {
		r = splice(src, dst, chunk(n < 0 ? -1 : n - *done));
		if (r <= 0)
			break;
		*done += r;
	}
	return r < 0 ? r : 0;
}

static long
bypipe(struct fd *dst, struct fd *src, int64_t n, int64_t *done)
{
	int32_t p[2];
	long r = sys2(SYS_pipe2, p, O_CLOEXEC | O_NONBLOCK);
	if (r < 0)
		return -EINVAL; // without descriptors left: by the buffer
	// The pipe is never waited for: it is empty before each filling, and emptied after it.
	struct fd in = {.sysfd = p[0]}, out = {.sysfd = p[1]};
	while (n < 0 || *done < n) {
		r = splice(src, &out, chunk(n < 0 ? -1 : n - *done));
		if (r <= 0)
			break;
		for (long left = r, w; left > 0; left -= w) {
			w = splice(&in, dst, (size_t)left);
			if (w <= 0) {
				r = w < 0 ? w : -EIO;
				goto out;
			}
			*done += w;
		}
	}
out:
	runtime_close(p[0]);
	runtime_close(p[1]);
	return r < 0 ? r : 0;
}

static void copy_g(void *arg);

int64_t
rt0_copy(rt0_fd *hdst, rt0_fd *hsrc, int64_t n)
{
	FOREIGN(copy_g, 0, (uintptr_t)hdst, (uintptr_t)hsrc, (uintptr_t)n);
	int err;
	struct fd *src = runtime_fdrwlock(hsrc, true, &err);
	if (src == NULL)
		return err;
	struct fd *dst = runtime_fdrwlock(hdst, false, &err);
	if (dst == NULL) {
		runtime_fdrwunlock(src, true);
		return err;
	}
	int64_t done = 0;
	long r = -EINVAL;
	if (n != 0 && src->stream && dst->stream && (n < 0 || n >= SMALL)) {
		if (src->pd == NULL && !src->sock)
			r = bysendfile(dst, src, n, &done);
		if (cannot(r) && done == 0)
			r = bysplice(dst, src, n, &done);
		if (cannot(r) && done == 0 && src->pd != NULL)
			r = bypipe(dst, src, n, &done);
	}
	if (n == 0)
		r = 0;
	else if (cannot(r) && done == 0)
		r = bybuffer(dst, src, n, &done);
	runtime_fdrwunlock(dst, false);
	runtime_fdrwunlock(src, true);
	return r < 0 ? r : done;
}

static void
copy_g(void *arg)
{
	struct fdcall *c = arg;
	c->r = rt0_copy((rt0_fd *)c->a[0], (rt0_fd *)c->a[1], (int64_t)c->a[2]);
}
