// SPDX-License-Identifier: BSD-3-Clause
// fd.c: handles of descriptors: the table, the lock of each (Go's fdMutex), open and close.
//
// A handle is gen << 22 | index of a slot; a slot's gen goes up when it is freed, so a handle that was closed
// fits no slot any more. The state of a slot, fdMutex:
//
//	bit 0      closed, or the slot is free
//	bit 1, 2   somebody has the read lock, the write lock
//	3..22      references: one a lock, one a call that needs no lock, one for the open handle
//	23..42     who waits for the read lock; 43..62 for the write lock
//
// Stale handles. To use a slot, one takes a reference or a lock by compare-and-swap on state, and then
// compares gen; if it is another one, one lets go again. That is safe though the slot belongs to
// somebody else by then: a reference taken for a moment only delays the end, a lock taken for a
// moment only makes others wait, as any reader does. Who finds itself the last one out ends the
// slot's use, whoever that is. gen cannot change while one holds a reference. close takes a reference and
// compares before it sets the closed bit: it cannot close somebody else's.
//
// Waiters sleep on rsema and wsema. The wake-ups that have been given and not taken, and the sleepers, are
// together as many as state counts, also across uses of a slot, so the semaphores are never reset:
// a waiter that comes late to wake looks at state again, and finds closed, or waits on.
//
// Close (close dance). Set closed, which takes the waiters for locks off the count, and wake those; have
// the poller wake those who wait for the descriptor (poll_unblock); drop the handle's reference. The
// last one out takes the descriptor from the poller, closes it, and wakes close by csema, if there is a
// polldesc: those calls end at once. Others may block for ever in the kernel; close does not wait for them.
#include "../mem/mheap.h"
#include "net.h"

enum { INDEXBITS = 22, CHUNK = 64 };
#define NCHUNKS ((1u << INDEXBITS) / CHUNK)
static const uint64_t CLOSED = 1, RLOCK = 2, WLOCK = 4, REF = 8, REFMASK = ((1ull << 20) - 1) << 3;
static const uint64_t RWAIT = 1ull << 23, RWAITMASK = ((1ull << 20) - 1) << 23;
static const uint64_t WWAIT = 1ull << 43, WWAITMASK = ((1ull << 20) - 1) << 43;
static const uint32_t NOSLOT = UINT32_MAX;

static struct fd *chunks[NCHUNKS]; // atomic: release when a chunk's slots are all closed
static struct {
	struct mutex lock; // a leaf
	// lock:
	uint32_t free, n; // free: the first free slot + 1, by next; n: slots there are
} fdtable;

static struct fd *
fdlookup(rt0_fd *h, int *err)
{
	uint32_t i = (uint32_t)(uintptr_t)h & ((1u << INDEXBITS) - 1);
	struct fd *chunk = atomic_loadacq(&chunks[i / CHUNK]);
	uint64_t gen = (uintptr_t)h >> INDEXBITS;
	if (unlikely(chunk == NULL || gen == 0)) {
		*err = -EBADF;
		return NULL;
	}
	struct fd *fd = &chunk[i % CHUNK];
	// A first look, so that stale handles seldom disturb whose slot it is now.
	uint64_t now = atomic_loadrlx(&fd->gen);
	if (unlikely(now != gen)) {
		*err = gen > now ? -EBADF : -ECANCELED;
		return NULL;
	}
	return fd;
}

static inline bool
isgen(struct fd *fd, rt0_fd *h)
{
	return atomic_loadrlx(&fd->gen) == (uintptr_t)h >> INDEXBITS;
}

static RT0_NORETURN void
toomany(void)
{
	runtime_fatal("too many concurrent operations on a single file or socket (max 1048575)");
}

// incref takes a reference; false: closed.
static bool
incref(struct fd *fd)
{
	for (;;) {
		uint64_t old = atomic_loadacq(&fd->state);
		if (old & CLOSED)
			return false;
		if ((old & REFMASK) == REFMASK)
			toomany();
		if (atomic_cas_acqrel(&fd->state, old, old + REF))
			return true;
	}
}

static bool
rwlock(struct fd *fd, bool read)
{
	uint64_t bit = read ? RLOCK : WLOCK, wait = read ? RWAIT : WWAIT, mask = read ? RWAITMASK : WWAITMASK;
	for (;;) {
		uint64_t old = atomic_loadacq(&fd->state), new;
		if (old & CLOSED)
			return false;
		if (!(old & bit)) {
			if ((old & REFMASK) == REFMASK)
				toomany();
			new = (old | bit) + REF;
		} else {
			if ((old & mask) == mask)
				toomany();
			new = old + wait;
		}
		if (!atomic_cas_acqrel(&fd->state, old, new))
			continue;
		if (!(old & bit))
			return true;
		// Who wakes us has taken us off the count.
		runtime_semacquire(read ? &fd->rsema : &fd->wsema, false, waitReasonSemacquire);
	}
}

static void
fdfree(struct fd *fd)
{
	atomic_storerlx(&fd->gen, fd->gen + 1);
	runtime_lock(&fdtable.lock);
	fd->next = fdtable.free;
	fdtable.free = fd->index + 1;
	runtime_unlock(&fdtable.lock);
}

// fdend is the last one out: see the close dance. Returns what close said.
static NOINLINE int
fdend(struct fd *fd)
{
	struct polldesc *pd = fd->pd;
	int err = 0;
	if (pd != NULL)
		runtime_poll_close(pd);
	if (fd->unlinks)
		runtime_sockunlink(fd->sysfd);
	if (!fd->borrowed)
		err = (int)blocking(SYS_close, fd->sysfd);
	else if (fd->wasblocking)
		runtime_nonblock(fd->sysfd, false);
	if (pd != NULL) {
		fd->closeerr = err;
		runtime_semrelease(&fd->csema, false);
	} else {
		fdfree(fd);
	}
	return err;
}

void
runtime_fddecref(struct fd *fd)
{
	uint64_t new = atomic_xadd(&fd->state, -REF);
	if (unlikely((new & (CLOSED | REFMASK)) == CLOSED))
		fdend(fd);
}

struct fd *
runtime_fdincref(rt0_fd *h, int *err)
{
	struct fd *fd = fdlookup(h, err);
	if (fd == NULL)
		return NULL;
	*err = -ECANCELED;
	if (!incref(fd))
		return NULL;
	if (likely(isgen(fd, h)))
		return fd;
	runtime_fddecref(fd);
	return NULL;
}

struct fd *
runtime_fdrwlock(rt0_fd *h, bool read, int *err)
{
	struct fd *fd = fdlookup(h, err);
	if (fd == NULL)
		return NULL;
	*err = -ECANCELED;
	if (!rwlock(fd, read))
		return NULL;
	if (likely(isgen(fd, h)))
		return fd;
	runtime_fdrwunlock(fd, read);
	return NULL;
}

void
runtime_fdrwunlock(struct fd *fd, bool read)
{
	uint64_t bit = read ? RLOCK : WLOCK, wait = read ? RWAIT : WWAIT, mask = read ? RWAITMASK : WWAITMASK;
	for (;;) {
		uint64_t old = atomic_loadrlx(&fd->state), new = (old & ~bit) - REF;
		if (unlikely(!(old & bit) || (old & REFMASK) == 0))
			runtime_throw("inconsistent fdMutex");
		if (old & mask)
			new -= wait;
		if (!atomic_cas_acqrel(&fd->state, old, new))
			continue;
		if (unlikely(old & mask))
			runtime_semrelease(read ? &fd->rsema : &fd->wsema, false);
		if (unlikely((new & (CLOSED | REFMASK)) == CLOSED))
			fdend(fd);
		return;
	}
}

// ---- making ----

// newslot returns a free slot; NULL: no memory, or there are 4 million.
static struct fd *
newslot(void)
{
	for (;;) {
		runtime_lock(&fdtable.lock);
		uint32_t i = fdtable.free - 1, n = fdtable.n;
		if (i != NOSLOT) {
			struct fd *fd = &chunks[i / CHUNK][i % CHUNK];
			fdtable.free = fd->next;
			runtime_unlock(&fdtable.lock);
			return fd;
		}
		runtime_unlock(&fdtable.lock);
		if (n / CHUNK == NCHUNKS)
			return NULL;
		struct fd *chunk = runtime_persistentalloc_try(CHUNK * sizeof *chunk, 64, &memstats.other_sys);
		if (chunk == NULL)
			return NULL;
		runtime_lock(&fdtable.lock);
		n = fdtable.n; // others may have been faster
		if (n / CHUNK == NCHUNKS) {
			runtime_unlock(&fdtable.lock);
			return NULL;
		}
		for (uint32_t k = 0; k < CHUNK; k++) {
			chunk[k].state = CLOSED;
			chunk[k].gen = 1;
			chunk[k].index = n + k;
			chunk[k].next = k + 1 < CHUNK ? n + k + 2 : fdtable.free;
		}
		atomic_storerel(&chunks[n / CHUNK], chunk); // pairs with the acquire in fdlookup
		fdtable.n = n + CHUNK;
		fdtable.free = n + 1;
		runtime_unlock(&fdtable.lock);
	}
}

// findfile finds out whether fd is a file that is read from a disk.
static void
findfile(struct fd *fd)
{
	struct {
		uint64_t dev, ino, nlink;
		uint32_t mode;
		char rest[116];
	} st;
	static_assert(sizeof st == 144, "fstat");
	if (sys2(SYS_fstat, fd->sysfd, &st) < 0)
		return;
	fd->file = (st.mode & S_IFMT) == S_IFREG || (st.mode & S_IFMT) == S_IFBLK;
	long flags = fd->file ? sys2(SYS_fcntl, fd->sysfd, F_GETFL) : 0;
	fd->direct = flags > 0 && (flags & O_DIRECT) != 0;
}

int
runtime_fdmake(int sysfd, bool watch, const struct fd *like, rt0_fd **out)
{
	struct fd *fd = newslot();
	if (fd == NULL)
		return -ENOMEM;
	struct polldesc *pd = NULL;
	if (watch) {
		int err = runtime_poll_open(sysfd, &pd);
		if (err < 0) {
			fdfree(fd);
			return err;
		}
	}
	fd->pd = pd;
	fd->sysfd = sysfd;
	fd->closeerr = 0;
	fd->sock = like->sock;
	fd->stream = like->stream;
	fd->borrowed = like->borrowed;
	fd->wasblocking = like->wasblocking;
	fd->family = like->family;
	fd->listener = like->listener;
	fd->unlinks = like->unlinks;
	fd->hint = like->hint;
	fd->drained = fd->told = fd->file = fd->direct = fd->ownpos = false;
	if (like->file)
		findfile(fd);
	*out = (rt0_fd *)((uintptr_t)fd->gen << INDEXBITS | fd->index);
	atomic_storerel(&fd->state, REF); // the handle's; pairs with the acquires in incref and rwlock
	return 0;
}

int
runtime_nonblock(int sysfd, bool on)
{
	long flags = sys3(SYS_fcntl, sysfd, F_GETFL, 0);
	if (flags < 0)
		return (int)flags;
	if (((flags & O_NONBLOCK) != 0) != on) {
		long err = sys3(SYS_fcntl, sysfd, F_SETFL, flags ^ O_NONBLOCK);
		if (err < 0)
			return (int)err;
	}
	return (flags & O_NONBLOCK) != 0;
}

// adopt makes the handle of a descriptor about which nothing is known yet.
static int
adopt(int sysfd, int flags, bool nonblock, rt0_fd **out)
{
	struct fd like = {.stream = true, .borrowed = (flags & RT0_FD_BORROWED) != 0};
	int32_t v = 0;
	uint32_t len = sizeof v;
	long r = sys6(SYS_getsockopt, sysfd, SOL_SOCKET, SO_TYPE, &v, &len, 0);
	if (r == -EBADF)
		return -EBADF;
	if (r == 0) {
		like.sock = true;
		like.stream = v == SOCK_STREAM;
		len = sizeof v;
		if (sys6(SYS_getsockopt, sysfd, SOL_SOCKET, SO_DOMAIN, &v, &len, 0) == 0)
			like.family = (uint8_t)v;
		len = sizeof v;
		if (sys6(SYS_getsockopt, sysfd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len, 0) == 0)
			like.listener = v != 0;
	}
	if (flags & RT0_FD_BLOCKING)
		return runtime_fdmake(sysfd, false, &like, out);
	int err = runtime_fdmake(sysfd, true, &like, out);
	if (err == -EPERM) { // epoll knows nothing of files
		like.file = true;
		return runtime_fdmake(sysfd, false, &like, out);
	}
	if (err < 0)
		return err;
	// Nobody knows the handle yet.
	int was = nonblock ? 1 : runtime_nonblock(sysfd, true);
	struct fd *fd = fdlookup(*out, &err);
	if (was < 0)
		fd->borrowed = true; // it stays the caller's
	else
		fd->wasblocking = was == 0;
	if (was < 0)
		rt0_fd_close(*out);
	return was < 0 ? was : 0;
}

// ---- what the public functions share ----

int
runtime_pollerr(int result)
{
	return result == POLL_OK ? 0 : result == POLL_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
}

NOINLINE long
runtime_blockingsys(long nr, long a, long b, long c, long d, long e, long f)
{
	rt0_entersyscall();
	long r = runtime_sys(nr, a, b, c, d, e, f);
	rt0_exitsyscall();
	return r;
}

NOINLINE int64_t
runtime_fdforeign(void (*fn)(void *), int op, const uintptr_t *a, size_t n)
{
	struct fdcall c = {.op = op};
	for (size_t i = 0; i < n; i++)
		c.a[i] = a[i];
	int err = runtime_callback(fn, &c);
	return err < 0 ? err : c.r;
}

enum { OPNEW, OPOPEN, OPCLOSE, OPSYSFD, OPDEADLINE, OPPIPE, OPEVENTFD };
static void fdcall_g(void *arg);

// ---- the public functions ----

int
rt0_fd_new(int fd, int flags, rt0_fd **out)
{
	FOREIGN(fdcall_g, OPNEW, (uintptr_t)fd, (uintptr_t)flags, (uintptr_t)out);
	if (flags & ~(RT0_FD_BLOCKING | RT0_FD_BORROWED))
		return -EINVAL;
	return adopt(fd, flags, false, out);
}

int
rt0_fd_open(const char *path, int flags, unsigned mode, rt0_fd **out)
{
	FOREIGN(fdcall_g, OPOPEN, (uintptr_t)path, (uintptr_t)flags, mode, (uintptr_t)out);
	long fd;
	do {
		fd = blocking(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
	} while (fd == -EINTR);
	if (fd < 0)
		return (int)fd;
	int err = adopt((int)fd, 0, (flags & O_NONBLOCK) != 0, out);
	if (err < 0) {
		runtime_close((int)fd);
		return err;
	}
	struct fd *opened = fdlookup(*out, &err); // nobody knows the handle yet
	opened->ownpos = opened->file;
	return 0;
}

int
rt0_fd_close(rt0_fd *h)
{
	FOREIGN(fdcall_g, OPCLOSE, (uintptr_t)h);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	// From here on fd is h's until we let go.
	for (;;) {
		uint64_t old = atomic_loadacq(&fd->state);
		if (old & CLOSED) {
			runtime_fddecref(fd);
			return -ECANCELED;
		}
		// With the handle's reference; ours is left.
		if (!atomic_cas_acqrel(&fd->state, old, ((old | CLOSED) & ~(RWAITMASK | WWAITMASK)) - REF))
			continue;
		for (uint64_t n = (old & RWAITMASK) / RWAIT; n > 0; n--)
			runtime_semrelease(&fd->rsema, false);
		for (uint64_t n = (old & WWAITMASK) / WWAIT; n > 0; n--)
			runtime_semrelease(&fd->wsema, false);
		break;
	}
	struct polldesc *pd = fd->pd;
	if (pd != NULL)
		runtime_poll_unblock(pd);
	err = 0;
	if ((atomic_xadd(&fd->state, -REF) & REFMASK) == 0)
		err = fdend(fd);
	if (pd != NULL) {
		runtime_semacquire(&fd->csema, false, waitReasonSemacquire);
		err = fd->closeerr;
		fdfree(fd);
	}
	return err == -EINTR ? 0 : err; // Linux has closed it
}

int
rt0_fd_sysfd(rt0_fd *h)
{
	FOREIGN(fdcall_g, OPSYSFD, (uintptr_t)h);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	atomic_storerlx(&fd->hint, false);
	int sysfd = fd->sysfd;
	runtime_fddecref(fd);
	return sysfd;
}

static int
setdeadline(rt0_fd *h, int64_t deadline, int mode)
{
	FOREIGN(fdcall_g, OPDEADLINE, (uintptr_t)h, (uintptr_t)deadline, (uintptr_t)mode);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	err = -ENOTSUP;
	if (fd->pd != NULL) {
		err = 0;
		runtime_poll_set_deadline(fd->pd, deadline, mode);
		// A listener's write deadline is accept's own, to wait by: sock.c, backoff, whom this wakes to look.
		if (fd->listener)
			runtime_poll_set_deadline(fd->pd, 0, POLLWRITE);
	}
	runtime_fddecref(fd);
	return err;
}

int
rt0_fd_set_deadline(rt0_fd *fd, int64_t deadline)
{
	return setdeadline(fd, deadline, POLLREAD + POLLWRITE);
}

int
rt0_fd_set_read_deadline(rt0_fd *fd, int64_t deadline)
{
	return setdeadline(fd, deadline, POLLREAD);
}

int
rt0_fd_set_write_deadline(rt0_fd *fd, int64_t deadline)
{
	return setdeadline(fd, deadline, POLLWRITE);
}

int
rt0_pipe(rt0_fd *fds[2])
{
	FOREIGN(fdcall_g, OPPIPE, (uintptr_t)fds);
	int32_t p[2];
	long err = sys2(SYS_pipe2, p, O_NONBLOCK | O_CLOEXEC);
	if (err < 0)
		return (int)err;
	const struct fd like = {.stream = true};
	rt0_fd *ends[2];
	err = runtime_fdmake(p[0], true, &like, &ends[0]);
	if (err < 0) {
		runtime_close(p[0]);
		runtime_close(p[1]);
		return (int)err;
	}
	err = runtime_fdmake(p[1], true, &like, &ends[1]);
	if (err < 0) {
		rt0_fd_close(ends[0]);
		runtime_close(p[1]);
		return (int)err;
	}
	fds[0] = ends[0];
	fds[1] = ends[1];
	return 0;
}

int
rt0_eventfd(unsigned initial, int flags, rt0_fd **out)
{
	FOREIGN(fdcall_g, OPEVENTFD, initial, (uintptr_t)flags, (uintptr_t)out);
	long fd = sys2(SYS_eventfd2, initial, (long)flags | EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	const struct fd like = {.stream = true};
	int err = runtime_fdmake((int)fd, true, &like, out);
	if (err < 0)
		runtime_close((int)fd);
	return err;
}

static void
fdcall_g(void *arg)
{
	struct fdcall *c = arg;
	uintptr_t *a = c->a;
	switch (c->op) {
	case OPNEW: c->r = rt0_fd_new((int)a[0], (int)a[1], (rt0_fd **)a[2]); break;
	case OPOPEN: c->r = rt0_fd_open((const char *)a[0], (int)a[1], (unsigned)a[2], (rt0_fd **)a[3]); break;
	case OPCLOSE: c->r = rt0_fd_close((rt0_fd *)a[0]); break;
	case OPSYSFD: c->r = rt0_fd_sysfd((rt0_fd *)a[0]); break;
	case OPDEADLINE: c->r = setdeadline((rt0_fd *)a[0], (int64_t)a[1], (int)a[2]); break;
	case OPPIPE: c->r = rt0_pipe((rt0_fd **)a[0]); break;
	case OPEVENTFD: c->r = rt0_eventfd((unsigned)a[0], (int)a[1], (rt0_fd **)a[2]); break;
	}
}
