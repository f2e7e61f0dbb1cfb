// SPDX-License-Identifier: BSD-3-Clause
// posix.c: the runtime's part of librt0_posix: goroutines that wait for descriptors which are the program's own.
//
// netpoll.c watches descriptors that rt0 has made: they are in no other hands, so they are registered once, for
// edges, and one waiter a direction is enough. None of that holds for the numbers that C code passes to read: any
// number of goroutines may wait for one, with poll on a hundred at once; it may have been closed, and
// given to another file, by a system call that nobody has told us of. So here a registration is made for one
// event (EPOLLONESHOT) by the one who is going to wait, each time:
//
//	wait    links itself to the list of the descriptor, then has the kernel watch it for what the waiters want
//	        (arm). The kernel looks at the state at that time, so that nothing which came before is lost, and
//	        an ENOENT tells that the number is another file by now
//	event   wakes one waiter of each kind that it is for. If waiters of the other kind are left, it arms again
//	waited  called by the one that was woken, when it has tried: if more wait, it arms again, which wakes the
//	        next if there is something left. So of many in accept one wakes for a connection
//
// A stale event (of a file that had the number before) wakes somebody for no reason: all callers try again.
//
// Each wait has a word, which whoever wants to wake it changes by compare-and-swap, once:
//
//	WAIT    the goroutine is not parked yet     WAIT -> G by its own commit
//	G       it is parked
//	FIRED, LATE   an event or a close; the deadline. Who makes G one of these readies it
//
// Close. closing marks the descriptor, wakes all who wait and takes the registration from the kernel; closed ends
// the mark. A wait that finds the mark tries again a little later: the number is about to be free, or to be
// another file. Without the mark one could begin to wait between closing and the kernel's close, and would never
// wake. Linux lets a read sleep on when another thread closes its descriptor; here it fails with EBADF.
//
// The table is two levels of arrays by number that only grow.
#include "../mem/mheap.h"
#include "../os/linux/linux.h"
#include "../posixops.h"

enum { CHUNK = 64, MAXFD = 1 << 20 };
enum { EEXIST_ = 17, EPOLL_CTL_MOD_ = 3 };
#define EPOLLONESHOT_ (1u << 30)
#define POLLMASK 0x27dfu // IN PRI OUT, RDNORM RDBAND WRNORM WRBAND MSG, RDHUP: the same bits in poll and epoll
#define READMASK (EPOLLIN | EPOLLPRI | EPOLLRDHUP | 0x40 | 0x80 | 0x400)

struct posixfd {
	struct mutex lock;
	// lock:
	uint32_t epoch;          // the kernel has it in the instance of this number; 0: in none
	struct posixwait *first; // atomic for who only wants to know whether there is one. New ones at the end
	struct posixwait *last;
	int32_t closing;         // atomic: how many are at it
} __attribute__((aligned(64)));

static struct posixfd *chunks[MAXFD / CHUNK]; // atomic
static struct mutex chunklock;                // a leaf
static uint32_t epoch = 1;                    // which epoll instance; goes up at a fork

enum { FIRED = 1, WAIT = POLLWAIT, LATE = 3 }; // above: a struct g *

struct posixcall {
	uintptr_t word; // atomic
	struct timer t;
};

static struct posixfd *
lookup(int32_t fd)
{
	if ((uint32_t)fd >= MAXFD)
		return NULL;
	struct posixfd *chunk = atomic_loadacq(&chunks[fd / CHUNK]);
	return chunk == NULL ? NULL : &chunk[fd % CHUNK];
}

static struct posixfd *
make(int32_t fd)
{
	struct posixfd *f = lookup(fd);
	if (likely(f != NULL) || (uint32_t)fd >= MAXFD)
		return f;
	struct posixfd *chunk = runtime_persistentalloc_try(CHUNK * sizeof *chunk, 64, &memstats.other_sys);
	if (chunk == NULL)
		return NULL;
	for (int i = 0; i < CHUNK; i++)
		runtime_lockinit(&chunk[i].lock, LOCKRANK_POLLDESC);
	runtime_lock(&chunklock);
	if (chunks[fd / CHUNK] == NULL)
		atomic_storerel(&chunks[fd / CHUNK], chunk); // else somebody was faster, and these pages are lost
	runtime_unlock(&chunklock);
	return lookup(fd);
}

void
runtime_posixforked(void)
{
	epoch++;
}

// ---- waking ----

// claim makes the call's word why. True: the caller has done so; *gpp is who is to be readied, or NULL: it is
// counted in npollwait still.
static bool
claim(struct posixcall *c, uintptr_t why, struct g **gpp)
{
	for (;;) {
		uintptr_t old = atomic_load(&c->word);
		if (old == FIRED || old == LATE)
			return false;
		if (!atomic_cas(&c->word, old, why))
			continue;
		*gpp = old == WAIT ? NULL : (struct g *)old;
		return true;
	}
}

static struct g *
waitlate(struct timer *t, int64_t now)
{
	(void)now;
	struct g *gp = NULL;
	claim(t->arg, LATE, &gp);
	if (gp != NULL)
		atomic_xadd(&sched.npollwait, -1);
	return gp;
}

// ---- the kernel's list ----

// arm has the kernel watch fd, once, for what those of its waiters want that mask lets through.
static int
arm(struct posixfd *f, int32_t fd, uint32_t mask)
{
	HELD(&f->lock);
	uint32_t events = 0;
	for (struct posixwait *w = f->first; w != NULL; w = w->next)
		events |= w->events;
	events &= mask;
	if (events == 0 && mask != POLLMASK)
		return 0; // an error or a hang-up has been told already
	uint64_t tag = 1ull << 63 | (uint32_t)fd;
	int err = -ENOENT;
	if (f->epoch == epoch)
		err = runtime_netpollctl(EPOLL_CTL_MOD_, fd, events | EPOLLONESHOT_, tag);
	if (err == -ENOENT) {
		err = runtime_netpollctl(EPOLL_CTL_ADD, fd, events | EPOLLONESHOT_, tag);
		f->epoch = err == 0 ? epoch : 0;
	}
	return err;
}

// posixevent is what netpoll calls: see netpollevent. Any m, perhaps without a p.
int32_t
runtime_posixevent(struct gqueue *q, uint64_t tag, uint32_t events)
{
	int32_t fd = (int32_t)(uint32_t)tag, n = 0;
	struct posixfd *f = lookup(fd);
	if (f == NULL)
		return 0;
	// What waiters of this event are still to be found, and have been.
	uint32_t all = events & (EPOLLERR | EPOLLHUP) ? POLLMASK : events & POLLMASK, left = all, woken = 0;
	runtime_lock(&f->lock);
	bool others = false;
	for (struct posixwait *w = f->first; w != NULL; w = w->next) {
		struct g *gp;
		if (!((w->events & left) || (w->events == 0 && left == POLLMASK)) || !claim(w->call, FIRED, &gp)) {
			others |= (w->events & all) == 0;
			continue;
		}
		woken |= w->events;
		if (woken & READMASK)
			left &= ~(uint32_t)READMASK;
		if (woken & ~(uint32_t)READMASK)
			left &= READMASK;
		if (gp == NULL)
			continue;
		gqueueput(q, gp);
		n++;
	}
	// If nobody could be woken, all have been by something else: they arm again when they have tried.
	if (others)
		arm(f, fd, ~all & POLLMASK);
	runtime_unlock(&f->lock);
	return n;
}

static int
watch(struct posixwait *w)
{
	struct posixfd *f = make(w->fd);
	if (f == NULL)
		return -EPERM;
	runtime_lock(&f->lock);
	if (f->closing != 0) {
		runtime_unlock(&f->lock);
		return -EAGAIN;
	}
	w->events &= POLLMASK;
	w->next = NULL;
	w->prev = f->last;
	if (f->last != NULL)
		f->last->next = w;
	else
		atomic_storerlx(&f->first, w);
	f->last = w;
	w->linked = true;
	int err = arm(f, w->fd, POLLMASK);
	runtime_unlock(&f->lock);
	// EPERM: a regular file. EEXIST: rt0 watches it (rt0_fd_new). ELOOP: epoll instances in a circle.
	return err < 0 && err != -EBADF ? -EPERM : err;
}

static void
unwatch(struct posixwait *w)
{
	if (!w->linked)
		return;
	struct posixfd *f = lookup(w->fd);
	runtime_lock(&f->lock);
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		atomic_storerlx(&f->first, w->next);
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		f->last = w->prev;
	w->linked = false;
	runtime_unlock(&f->lock);
}

// homed has the current goroutine, which is about to park, come back to the thread that it is on.
static struct g *
homed(void)
{
	struct g *gp = getg();
	gp->home = gp->lockedm == NULL && !gp->homelost ? gp->m : NULL;
	return gp;
}

static void
posixsleep(int64_t deadline)
{
	struct g *gp = homed();
	rt0_sleep_until(deadline);
	gp->home = NULL;
}

static int
posixwait(struct posixwait *w, int n, int64_t deadline)
{
	struct posixcall c = {.word = WAIT};
	int err = 0, k;
	if (runtime_netpolltry() < 0)
		return -EPERM; // no descriptor left for the poller: the caller blocks
	for (k = 0; k < n; k++)
		w[k].linked = w[k].closed = false;
	for (k = 0; k < n && err == 0; k++) {
		w[k].call = &c;
		if (w[k].fd >= 0)
			err = watch(&w[k]);
	}
	if (err == 0) {
		if (deadline != INT64_MAX) {
			c.t.fire = waitlate;
			c.t.arg = &c;
			runtime_timerstart(&c.t, deadline, 0);
		}
		struct g *gp = homed();
		runtime_gopark(runtime_netpollblockcommit, &c.word, waitReasonIOWait);
		gp->home = NULL;
		if (deadline != INT64_MAX)
			runtime_timerstop(&c.t);
	}
	bool closed = false;
	for (int i = 0; i < k; i++) {
		unwatch(&w[i]);
		closed |= w[i].closed;
	}
	if (err == -EAGAIN) { // somebody is closing it
		posixsleep(runtime_nanotime() + 100 * 1000);
		return 0;
	}
	if (err == -EBADF) // the system call says so better
		return 0;
	if (err < 0)
		return err;
	return closed ? -EBADF : c.word == LATE ? -ETIMEDOUT : 0;
}

static void
posixwaited(int fd)
{
	struct posixfd *f = lookup(fd);
	// Who comes to wait at this moment arms for itself.
	if (likely(f == NULL || atomic_loadrlx(&f->first) == NULL))
		return;
	runtime_lock(&f->lock);
	if (f->first != NULL)
		arm(f, fd, POLLMASK);
	runtime_unlock(&f->lock);
}

// ---- close ----

static void
closing1(struct posixfd *f, int32_t fd)
{
	struct gqueue q = {NULL, NULL};
	runtime_lock(&f->lock);
	f->closing++;
	for (struct posixwait *w = f->first; w != NULL; w = w->next) {
		struct g *gp;
		if (!claim(w->call, FIRED, &gp))
			continue;
		w->closed = true;
		if (gp != NULL)
			gqueueput(&q, gp);
	}
	if (f->epoch == epoch)
		runtime_netpollclose(fd);
	f->epoch = 0;
	runtime_unlock(&f->lock);
	for (struct g *gp; (gp = gqueueget(&q)) != NULL;) {
		atomic_xadd(&sched.npollwait, -1);
		runtime_goready(gp);
	}
}

static void
closed1(struct posixfd *f, int32_t fd)
{
	(void)fd;
	runtime_lock(&f->lock);
	if (f->closing > 0)
		f->closing--;
	runtime_unlock(&f->lock);
}

struct closeargs {
	int32_t lo, hi;
	void (*fn)(struct posixfd *f, int32_t fd);
};

static void
closerange(void *arg)
{
	const struct closeargs *a = arg;
	for (int32_t fd = a->lo; fd <= a->hi;) {
		struct posixfd *f = lookup(fd);
		if (f == NULL) {
			fd = (fd / CHUNK + 1) * CHUNK;
			continue;
		}
		a->fn(f, fd++);
	}
}

// A thread without a p comes in for it, if there is anything to do: most descriptors were never waited for.
static void
closecall(int lo, int hi, void (*fn)(struct posixfd *, int32_t))
{
	struct closeargs a = {lo < 0 ? 0 : lo, hi >= MAXFD ? MAXFD - 1 : hi, fn};
	bool any = false;
	for (int32_t fd = a.lo; fd <= a.hi && !any; fd += CHUNK - fd % CHUNK)
		any = lookup(fd) != NULL;
	if (!any || runtime_forked)
		return;
	struct g *gp = getg();
	if (gp == NULL)
		runtime_callback(closerange, &a);
	else if (gp == gp->m->curg && gp->m->p != NULL)
		closerange(&a);
}

static void
posixclosing(int lo, int hi)
{
	closecall(lo, hi, closing1);
}

static void
posixclosed(int lo, int hi)
{
	closecall(lo, hi, closed1);
}

// ---- the rest of the table ----

// context: a goroutine may wait only where it could be switched away from: with a p, outside of declared calls
// (another state), and on its own stack: a signal handler of the program's runs with getg() of what it has
// interrupted.
static enum posixcontext
posixcontext(void)
{
	struct g *gp = getg();
	if (gp == NULL)
		return POSIX_PLAIN;
	struct m *mp = gp->m;
	if (mp == NULL || gp != mp->curg || mp->p == NULL || (mp->locks | mp->mallocing | mp->dying | gp->nopreempt) != 0 ||
	    atomic_loadrlx(&gp->atomicstatus) % Gscan != Grunning || runtime_forked)
		return POSIX_PLAIN;
	const struct stack *s = gp->segment.lo != 0 ? &gp->segment : &gp->stack;
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	if (sp < s->lo || sp > s->hi)
		return POSIX_PLAIN;
	return gp->nowned > 0 ? POSIX_BLOCK : POSIX_PARK;
}

static uint64_t
posixthread(void)
{
	struct g *gp = getg();
	gp->homelost = false;
	return (uint64_t)(uintptr_t)gp->m;
}

static void
posixhome(uint64_t thread)
{
	runtime_gohome((struct m *)(uintptr_t)thread);
}

static void
posixsemacquire(uint32_t *sema)
{
	struct g *gp = homed();
	runtime_semacquire(sema, false, waitReasonSemacquire);
	gp->home = NULL;
}

static void
posixsemrelease(uint32_t *sema)
{
	runtime_semrelease(sema, false);
}

static int32_t *
posixowned(void)
{
	struct g *gp = getg();
	return gp != NULL && gp == gp->m->curg ? &gp->nowned : NULL;
}

const struct posixops runtime_posixops = {
	.version = POSIXVERSION,
	.context = posixcontext,
	.enter = rt0_entersyscall,
	.enterblock = runtime_entersyscallblock,
	.exit = rt0_exitsyscall,
	.wait = posixwait,
	.waited = posixwaited,
	.closing = posixclosing,
	.closed = posixclosed,
	.thread = posixthread,
	.home = posixhome,
	.sleep = posixsleep,
	.nanotime = rt0_nanotime,
	.semacquire = posixsemacquire,
	.semrelease = posixsemrelease,
	.owned = posixowned,
};
