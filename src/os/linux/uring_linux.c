// SPDX-License-Identifier: BSD-3-Clause
// uring_linux.c: reads of files that have to wait for the disk, by io_uring where the kernel has it.
//
// epoll knows nothing of files. Without io_uring a read that misses the page cache blocks a thread, and a hundred
// of them a hundred threads, each of which is woken, given a p and put to bed again. Here such a read parks
// its goroutine; the kernel starts the transfer, and the poller hears of its end, as of a packet's.
//
// Each p has a ring, made at its first such read, never freed. The owner of the p fills in an entry and submits it at
// once: the submission queue is empty between two calls, and needs no lock. The ring's descriptor is
// watched by epoll; whoever polls takes what is complete off the
// completion queue (lock: a leaf). What is under way is counted (inflight), so that the completion queue has
// room for all; who finds none, or a kernel that takes nothing, is told to do it by a system call that blocks.
//
// A read in flight has a word, as in posix.c:
//	WAIT    the goroutine is not parked yet     WAIT -> G by its own commit
//	G       it is parked                        G -> DONE by who takes the completion, who readies it
//	DONE    res is there
// res is stored before the exchange (release) that makes it DONE; after that the uringread, which lies on the
// reader's stack, may be gone.
//
// The kernel finishes a read on the thread that has submitted it, and interrupts that one for it if it sleeps: a
// system call of its may see EINTR, as after any signal. If that thread ends first, the kernel waits for the read, or gives
// it up with ECANCELED, or EFAULT if it has begun: then it is done by a system call as well, which tells a bad address.
#include "../../runtime.h"
#include "linux.h"

enum { SYS_io_uring_setup = 425, SYS_io_uring_enter = 426 };
enum { ENTRIES = 64, EFAULT = 14 };
enum { IORING_OP_READ = 22, IORING_FEAT_SINGLE_MMAP = 1, IORING_FEAT_RW_CUR_POS = 8 /* came with OP_READ */, MAP_SHARED = 1, MAP_POPULATE = 0x8000 };
#define IORING_OFF_SQES 0x10000000l

struct uringparams {
	uint32_t sqentries, cqentries, flags, sqthreadcpu, sqthreadidle, features, wqfd, resv[3];
	struct {
		uint32_t head, tail, mask, entries, flags, dropped, array, resv;
		uint64_t useraddr;
	} sq;
	struct {
		uint32_t head, tail, mask, entries, overflow, cqes, flags, resv;
		uint64_t useraddr;
	} cq;
};
static_assert(sizeof(struct uringparams) == 120, "io_uring_setup");

struct sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, rwflags;
	uint64_t userdata, rest[3];
};
static_assert(sizeof(struct sqe) == 64, "io_uring_enter");

struct cqe {
	uint64_t userdata;
	int32_t res;
	uint32_t flags;
};

struct uring {
	int32_t fd;
	uint32_t off;      // atomic: nothing more is submitted
	uint32_t inflight; // atomic: counted before it is submitted, until it has been taken off the completion queue
	uint32_t ncqes;
	// The p's owner:
	uint32_t sqmask;
	uint32_t *sqhead; // the kernel writes
	uint32_t *sqtail; // atomic: release after the entry
	struct sqe *sqes;
	// lock:
	struct mutex lock;
	uint32_t cqmask;
	uint32_t *cqhead; // atomic: release after the entries have been read
	uint32_t *cqtail; // the kernel writes
	struct cqe *cqes;
};

enum { DONE = 1, WAIT = POLLWAIT }; // above: a struct g *

struct uringread {
	uintptr_t word; // atomic
	int32_t res;
};

static uint32_t none; // atomic: this kernel has no io_uring, or none for us

// newring makes pp's ring. NULL: there is none to be had. The program's own descriptors are scarcer than speed: an EMFILE
// turns it off for this p only.
static struct uring *
newring(struct p *pp)
{
	struct uringparams prm = {0};
	struct uring *u = runtime_persistentalloc(sizeof *u, 64, &memstats.other_sys);
	long fd = runtime_netpolltry();
	if (fd >= 0)
		fd = sys2(SYS_io_uring_setup, ENTRIES, &prm);
	if (fd < 0) {
		if (fd == -ENOSYS || fd == -EPERM)
			atomic_storerlx(&none, 1);
		goto failed;
	}
	enum { NEED = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_RW_CUR_POS };
	size_t size = prm.sq.array + prm.sqentries * sizeof(uint32_t), cqsize = prm.cq.cqes + prm.cqentries * sizeof(struct cqe);
	if (cqsize > size)
		size = cqsize;
	long ring = (prm.features & NEED) != NEED ? -ENOSYS : sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (ring < 0)
		goto close;
	long sqes = sys6(SYS_mmap, 0, prm.sqentries * sizeof(struct sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
	if (sqes < 0)
		goto unmap;
	runtime_sanfresh((void *)ring, size);
	runtime_sanfresh((void *)sqes, prm.sqentries * sizeof(struct sqe));
	u->fd = (int32_t)fd;
	u->sqmask = prm.sqentries - 1;
	u->sqhead = (uint32_t *)(ring + prm.sq.head);
	u->sqtail = (uint32_t *)(ring + prm.sq.tail);
	u->sqes = (struct sqe *)sqes;
	for (uint32_t i = 0; i < prm.sqentries; i++)
		((uint32_t *)(ring + prm.sq.array))[i] = i;
	u->ncqes = prm.cqentries;
	u->cqmask = prm.cqentries - 1;
	u->cqhead = (uint32_t *)(ring + prm.cq.head);
	u->cqtail = (uint32_t *)(ring + prm.cq.tail);
	u->cqes = (struct cqe *)(ring + prm.cq.cqes);
	if (runtime_netpollctl(EPOLL_CTL_ADD, (int)fd, EPOLLIN | EPOLLET, URINGTAG | (uintptr_t)u) == 0) {
		pp->uring = u;
		return u;
	}
	sys2(SYS_munmap, sqes, prm.sqentries * sizeof(struct sqe));
unmap:
	sys2(SYS_munmap, ring, size);
close:
	runtime_close((int)fd);
failed:
	u->off = 1;
	pp->uring = u;
	return u;
}

// submit has the kernel begin a read. False: it does not.
static bool
submit(struct uring *u, int fd, void *buf, size_t n, int64_t off, struct uringread *w)
{
	if (atomic_loadrlx(&u->off))
		return false;
	if (atomic_xadd(&u->inflight, 1) > u->ncqes)
		goto no;
	uint32_t tail = *u->sqtail;
	u->sqes[tail & u->sqmask] = (struct sqe){
	    .opcode = IORING_OP_READ,
	    .fd = fd,
	    .off = (uint64_t)off,
	    .addr = (uintptr_t)buf,
	    .len = n > 0x7ffff000 ? 0x7ffff000 : (uint32_t)n, // what read takes at most
	    .userdata = (uintptr_t)w,
	};
	atomic_storerel(u->sqtail, tail + 1);
	long r;
	do {
		r = sys6(SYS_io_uring_enter, u->fd, 1, 0, 0, 0, 0);
	} while (r == -EINTR);
	if (likely(atomic_loadacq(u->sqhead) != tail))
		return true;
	atomic_storerlx(u->sqtail, tail); // it looks at the queue during the call only
	if (r != -EAGAIN && r != -EBUSY && r != -ENOMEM)
		atomic_storerlx(&u->off, 1);
no:
	atomic_xadd(&u->inflight, -1);
	return false;
}

// uringread reads as pread does. The goroutine waits. -EAGAIN: make a system call. On a goroutine, with its p; who reads
// sees to it that the descriptor stays open.
long
runtime_uringread(int fd, void *buf, size_t n, int64_t off)
{
	// The child of a fork that has no goroutines has no rings either, and must not wait.
	if (atomic_loadrlx(&none) || debug.iouringoff || runtime_forked)
		return -EAGAIN;
	struct uringread w = {.word = WAIT};
	struct m *mp = acquirem();
	struct p *pp = mp->p;
	bool submitted = pp != NULL; // not between rt0_entersyscall and rt0_exitsyscall
	if (submitted)
		submitted = submit(pp->uring != NULL ? pp->uring : newring(pp), fd, buf, n, off, &w);
	releasem(mp);
	if (!submitted)
		return -EAGAIN;
	if (atomic_loadacq(&w.word) != DONE)
		runtime_gopark(runtime_netpollblockcommit, &w.word, waitReasonIOWait);
	return w.res == -ECANCELED || w.res == -EFAULT || w.res == -EINTR ? -EAGAIN : w.res;
}

// uringevent takes what is complete off the ring at tag; see netpollready.
int32_t
runtime_uringevent(struct gqueue *q, uint64_t tag)
{
	struct uring *u = (struct uring *)(uintptr_t)(tag & ~URINGTAG);
	int32_t ready = 0;
	// Acquire: pairs with the count in submit. The kernel orders them as well, but no tool sees that.
	(void)atomic_loadacq(&u->inflight);
	runtime_lock(&u->lock);
	uint32_t first = *u->cqhead, head = first;
	for (; head != atomic_loadacq(u->cqtail); head++) {
		(void)atomic_loadacq(&u->inflight); // as above, for what the reader has written
		struct cqe *c = &u->cqes[head & u->cqmask];
		struct uringread *w = (struct uringread *)(uintptr_t)c->userdata;
		w->res = c->res;
		uintptr_t old = atomic_xchg(&w->word, DONE);
		if (old == WAIT)
			continue;
		gqueueput(q, (struct g *)old);
		ready++;
	}
	atomic_storerel(u->cqhead, head);
	atomic_xadd(&u->inflight, first - head);
	runtime_unlock(&u->lock);
	return ready;
}

// uringforked: the child's rings are its parent's. It makes its own; the kernel does not give it the memory of these.
void
runtime_uringforked(struct p *pp)
{
	struct uring *u = pp->uring;
	if (u != NULL && !u->off)
		runtime_close(u->fd);
	pp->uring = NULL;
}
