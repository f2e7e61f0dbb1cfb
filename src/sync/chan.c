// SPDX-License-Identifier: BSD-3-Clause
// chan.c: channels.
//
// Invariants: at least one of sendq and recvq is empty. qcount > 0 means that recvq is empty;
// qcount < dataqsiz means that sendq is empty (for buffered channels). All fields are guarded by
// c->lock, or by the solo rule (runtime.h).
//
// Sender and receiver hand over directly: the element goes from one goroutine's stack to the other's
// (stacks do not move), and the woken one runs next. A sudog lies on the waiter's stack: once the
// waiter is readied, its sudog is gone.
//
// Under c->lock no goroutine is readied: ready may take sched.lock, and the woken one wants c.
#include "../runtime.h"
#include "../os/linux/linux.h"

struct waitq {
	struct sudog *first, *last;
};

struct rt0_chan {
	uint64_t qcount;   // elements in buf; first two fields as gc's
	uint64_t dataqsiz; // constant: capacity
	char *buf;         // constant: dataqsiz elements, right behind this struct
	uint32_t elemsize; // constant, bytes
	uint32_t closed;
	uint64_t sendx, recvx; // next slot to fill and to empty
	struct waitq recvq, sendq;
	struct mutex lock;
};

enum { MAXELEM = 64 << 10 };

// The lock is held for some 10 ns and never over a call. A word that unlock clears by a plain store
// costs half of a runtime mutex (whose unlock must ask for sleepers by a second locked instruction,
// 5 ns each); a waiter whose holder has lost its CPU yields, then sleeps in growing steps. Debug builds take
// the mutex, for its ranks.
#if !RT0_DEBUG
static NOINLINE void
chanlockslow(struct rt0_chan *c)
{
	if (unlikely(runtime_forked))
		runtime_forkedlock();
	for (uint32_t n = 0;; n++) {
		if (atomic_loadrlx(&c->lock.key) == 0 && atomic_xchgacq(&c->lock.key, 1) == 0)
			return;
		if (n < 20)
			procyield(10);
		else if (n < 50)
			runtime_osyield();
		else
			runtime_usleep(n < 1000 ? n : 1000);
	}
}
#endif

static inline void
chanlock(struct rt0_chan *c)
{
	if (sched.solo)
		return;
#if RT0_DEBUG
	runtime_lock(&c->lock);
#else
	// Acquire: pairs with the release in chanunlock.
	if (unlikely(atomic_xchgacq(&c->lock.key, 1) != 0))
		chanlockslow(c);
#endif
}

static inline void
chanunlock(struct rt0_chan *c)
{
	if (sched.solo)
		return;
#if RT0_DEBUG
	runtime_unlock(&c->lock);
#else
	atomic_storerel(&c->lock.key, 0);
#endif
}

// copyelem copies or, with from NULL, zeroes. to NULL: nothing.
static inline void
copyelem(const struct rt0_chan *c, void *to, const void *from)
{
	if (likely(c->elemsize == 8)) {
		// The common element: one word, whatever its alignment.
		uint64_t w = 0;
		if (from != NULL)
			__builtin_memcpy(&w, from, 8);
		if (to != NULL)
			__builtin_memcpy(to, &w, 8);
		return;
	}
	if (to == NULL || c->elemsize == 0)
		return;
	if (from != NULL)
		runtime_memmove(to, from, c->elemsize);
	else
		runtime_memclr(to, c->elemsize);
}

static inline char *
chanbuf(struct rt0_chan *c, uint64_t i)
{
	return c->buf + i * c->elemsize;
}

static inline uint64_t
nextx(struct rt0_chan *c, uint64_t i)
{
	return i + 1 == c->dataqsiz ? 0 : i + 1;
}

static inline void
enqueue(struct waitq *q, struct sudog *sg)
{
	sg->next = NULL;
	sg->prev = q->last;
	if (q->last != NULL)
		q->last->next = sg;
	else
		atomic_storerlx(&q->first, sg); // read without the lock by tries
	q->last = sg;
}

static inline struct sudog *
dequeue(struct waitq *q)
{
	struct sudog *sg = q->first;
	if (sg == NULL)
		return NULL;
	atomic_storerlx(&q->first, sg->next);
	if (sg->next != NULL)
		sg->next->prev = NULL;
	else
		q->last = NULL;
	return sg;
}

// chanpark waits on q for elem to be taken or filled. c is locked; on return it is not. Returns
// whether a communication, not close, woke us.
static NOINLINE bool
chanpark(struct rt0_chan *c, struct g *gp, struct waitq *q, void *elem, enum waitreason reason)
{
	if (unlikely(gp->m->p == NULL))
		runtime_fatal("channel operation between rt0_entersyscall and rt0_exitsyscall");
	struct sudog sg;
	sg.g = gp;
	sg.elem = elem;
	sg.c = c;
	sg.success = false;
	enqueue(q, &sg);
	// Until we are off our stack and the lock is dropped nobody can see us: close cannot run
	// between "not ready" and "waits".
	runtime_goparkword(sched.solo ? NULL : &c->lock.key, reason);
	return sg.success;
}

static NOINLINE void
parkforever(enum waitreason reason)
{
	for (;;)
		runtime_goparkword(NULL, reason);
}

struct rt0_chan *
rt0_chan_make(size_t elemsize, size_t cap)
{
	struct rt0_chan *c;
	if (elemsize > MAXELEM)
		runtime_panicerror(RT0_ERR_CHAN, "makechan: invalid channel element type");
	if (cap > (1ul << 47) || (elemsize != 0 && cap > ((1ul << 47) - sizeof *c) / elemsize))
		runtime_panicerror(RT0_ERR_CHAN, "makechan: size out of range");
	c = rt0_alloc(sizeof *c + cap * elemsize, elemsize < sizeof(void *) ? RT0_NOSCAN : 0);
	c->dataqsiz = cap;
	c->buf = (char *)(c + 1);
	c->elemsize = (uint32_t)elemsize;
	runtime_lockinit(&c->lock, LOCKRANK_HCHAN);
	return c;
}

void
rt0_chan_free(struct rt0_chan *c)
{
	if (c == NULL)
		return;
	if (atomic_loadacq(&c->recvq.first) != NULL || atomic_loadacq(&c->sendq.first) != NULL)
		runtime_fatal("free of a channel with waiters");
	rt0_free(c);
}

// chansend returns false if it would have to wait and must not. Panics on a closed channel.
static inline __attribute__((always_inline)) bool
chansend(struct rt0_chan *c, const void *elem, bool block)
{
	struct g *gp = getg();
	if (unlikely(c == NULL)) {
		if (!block)
			return false;
		parkforever(waitReasonChanSendNilChan);
	}
	// A look without the lock: a channel that is open and full now may fail a try. Closed is read
	// first: a closed channel must panic, not be called full.
	if (!block && atomic_loadacq(&c->closed) == 0 &&
	    (c->dataqsiz == 0 ? atomic_loadrlx(&c->recvq.first) == NULL : atomic_loadrlx(&c->qcount) == c->dataqsiz)) {
		runtime_preemptpoint(gp); // for who tries in a loop
		return false;
	}
	chanlock(c);
	if (unlikely(c->closed)) {
		chanunlock(c);
		runtime_panicerror(RT0_ERR_CHAN, "send on closed channel");
	}
	struct sudog *sg = dequeue(&c->recvq);
	if (sg != NULL) {
		copyelem(c, sg->elem, elem);
		sg->success = true;
		struct g *peer = sg->g;
		chanunlock(c);
		runtime_goready(peer); // sg is gone
		runtime_preemptpoint(gp);
		return true;
	}
	if (c->qcount < c->dataqsiz) {
		copyelem(c, chanbuf(c, c->sendx), elem);
		c->sendx = nextx(c, c->sendx);
		atomic_storerlx(&c->qcount, c->qcount + 1);
		chanunlock(c);
		runtime_preemptpoint(gp);
		return true;
	}
	if (!block) {
		chanunlock(c);
		return false;
	}
	if (unlikely(!chanpark(c, gp, &c->sendq, (void *)elem, waitReasonChanSend)))
		runtime_panicerror(RT0_ERR_CHAN, "send on closed channel");
	return true;
}

enum { RECV_OK = 1, RECV_CLOSED = 0, RECV_WAIT = -1 };

static inline __attribute__((always_inline)) int
chanrecv(struct rt0_chan *c, void *elem, bool block)
{
	struct g *gp = getg();
	if (unlikely(c == NULL)) {
		if (!block)
			return RECV_WAIT;
		parkforever(waitReasonChanReceiveNilChan);
	}
	// A look without the lock. Empty is read before closed and again after: an element sent before the
	// close must not be missed.
	if (!block && (c->dataqsiz == 0 ? atomic_loadacq(&c->sendq.first) == NULL : atomic_loadacq(&c->qcount) == 0) &&
	    atomic_loadacq(&c->closed) == 0) {
		runtime_preemptpoint(gp);
		return RECV_WAIT;
	}
	chanlock(c);
	if (c->qcount > 0) {
		char *slot = chanbuf(c, c->recvx);
		copyelem(c, elem, slot);
		c->recvx = nextx(c, c->recvx);
		struct sudog *sg = dequeue(&c->sendq);
		if (sg != NULL) {
			// Full, with a sender waiting: its element takes the slot, at the queue's end.
			copyelem(c, slot, sg->elem);
			c->sendx = c->recvx;
			sg->success = true;
			struct g *peer = sg->g;
			chanunlock(c);
			runtime_goready(peer);
		} else {
			atomic_storerlx(&c->qcount, c->qcount - 1);
			chanunlock(c);
		}
		runtime_preemptpoint(gp);
		return RECV_OK;
	}
	if (unlikely(c->closed)) {
		chanunlock(c);
		copyelem(c, elem, NULL);
		return RECV_CLOSED;
	}
	struct sudog *sg = dequeue(&c->sendq);
	if (sg != NULL) {
		copyelem(c, elem, sg->elem);
		sg->success = true;
		struct g *peer = sg->g;
		chanunlock(c);
		runtime_goready(peer);
		runtime_preemptpoint(gp);
		return RECV_OK;
	}
	if (!block) {
		chanunlock(c);
		return RECV_WAIT;
	}
	return chanpark(c, gp, &c->recvq, elem, waitReasonChanReceive) ? RECV_OK : RECV_CLOSED;
}

static void
chanclose(struct rt0_chan *c)
{
	if (c == NULL)
		runtime_panicerror(RT0_ERR_CHAN, "close of nil channel");
	chanlock(c);
	if (c->closed) {
		chanunlock(c);
		runtime_panicerror(RT0_ERR_CHAN, "close of closed channel");
	}
	atomic_storerel(&c->closed, 1);
	// Collect all waiters, by g->schedlink (their sudogs go when they wake), then ready them without
	// the lock.
	struct g *list = NULL, **tail = &list;
	for (struct sudog *sg; (sg = dequeue(&c->recvq)) != NULL;) {
		copyelem(c, sg->elem, NULL);
		sg->g->schedlink = NULL;
		*tail = sg->g;
		tail = &sg->g->schedlink;
	}
	for (struct sudog *sg; (sg = dequeue(&c->sendq)) != NULL;) {
		sg->g->schedlink = NULL;
		*tail = sg->g;
		tail = &sg->g->schedlink;
	}
	chanunlock(c);
	while (list != NULL) {
		struct g *gp = list;
		list = gp->schedlink;
		runtime_ready(gp, false);
	}
	runtime_preemptpoint(getg());
}

// chansendtime sends without waiting, from a timer's fire. Who is returned is to be readied.
struct g *
runtime_chansendtime(struct rt0_chan *c, int64_t t)
{
	struct g *gp = NULL;
	chanlock(c);
	struct sudog *sg = dequeue(&c->recvq);
	if (sg != NULL) {
		copyelem(c, sg->elem, &t);
		sg->success = true;
		gp = sg->g;
	} else if (c->qcount == 0) {
		copyelem(c, chanbuf(c, 0), &t);
		c->recvx = 0;
		atomic_storerlx(&c->qcount, 1);
	}
	chanunlock(c);
	return gp;
}

bool
runtime_chandrain(struct rt0_chan *c)
{
	chanlock(c);
	bool had = c->qcount != 0;
	atomic_storerlx(&c->qcount, 0);
	chanunlock(c);
	return had;
}

// ---- the public calls; on a foreign thread they run as a goroutine ----

enum chanop { OPSEND, OPRECV, OPTRYSEND, OPTRYRECV, OPCLOSE };
struct chancall {
	enum chanop op;
	struct rt0_chan *c;
	const void *from;
	void *to;
	int result;
};

static void
chancall_g(void *arg)
{
	struct chancall *a = arg;
	switch (a->op) {
	case OPSEND: chansend(a->c, a->from, true); break;
	case OPRECV: a->result = chanrecv(a->c, a->to, true); break;
	case OPTRYSEND: a->result = chansend(a->c, a->from, false); break;
	case OPTRYRECV: a->result = chanrecv(a->c, a->to, false); break;
	case OPCLOSE: chanclose(a->c); break;
	}
}

static NOINLINE int
foreign(enum chanop op, struct rt0_chan *c, const void *from, void *to)
{
	struct chancall a = {op, c, from, to, 0};
	if (runtime_callback(chancall_g, &a) < 0)
		runtime_fatal("channel operation on a thread, and the runtime does not run");
	return a.result;
}

void
rt0_chan_send(struct rt0_chan *c, const void *elem)
{
	if (unlikely(getg() == NULL))
		foreign(OPSEND, c, elem, NULL);
	else
		chansend(c, elem, true);
}

bool
rt0_chan_recv(struct rt0_chan *c, void *elem)
{
	if (unlikely(getg() == NULL))
		return foreign(OPRECV, c, NULL, elem) == RECV_OK;
	return chanrecv(c, elem, true) == RECV_OK;
}

int
rt0_chan_try_send(struct rt0_chan *c, const void *elem)
{
	bool ok = unlikely(getg() == NULL) ? foreign(OPTRYSEND, c, elem, NULL) : chansend(c, elem, false);
	return ok ? 0 : -EAGAIN;
}

int
rt0_chan_try_recv(struct rt0_chan *c, void *elem)
{
	int r = unlikely(getg() == NULL) ? foreign(OPTRYRECV, c, NULL, elem) : chanrecv(c, elem, false);
	return r == RECV_OK ? 0 : r == RECV_CLOSED ? -EPIPE : -EAGAIN;
}

void
rt0_chan_close(struct rt0_chan *c)
{
	if (unlikely(getg() == NULL))
		foreign(OPCLOSE, c, NULL, NULL);
	else
		chanclose(c);
}

size_t
runtime_chanelemsize(const struct rt0_chan *c)
{
	return c->elemsize;
}

size_t
rt0_chan_len(const struct rt0_chan *c)
{
	return c == NULL ? 0 : atomic_loadrlx(&c->qcount);
}

size_t
rt0_chan_cap(const struct rt0_chan *c)
{
	return c == NULL ? 0 : c->dataqsiz;
}
