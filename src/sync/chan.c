// SPDX-License-Identifier: BSD-3-Clause
// chan.c: channels.
//
// Invariants: at least one of sendq and recvq is empty. qcount > 0 means that recvq is empty;
// qcount < dataqsiz means that sendq is empty (for buffered channels). All fields are guarded by
// chanlock: c->lock, the lone p's busy (proc_p.c), or the solo rule (runtime.h).
//
// Sender and receiver hand over directly: the element goes from one goroutine's stack to the other's
// (stacks do not move), and the woken one runs next. A sudog lies on the waiter's stack: once the
// waiter is readied, its sudog is gone.
//
// Under c->lock no goroutine is readied: ready may take sched.lock, and the woken one wants c.
#include "../runtime.h"
#include "../os/linux/linux.h"
#include "chan.h"

enum {
	MAXELEM = 64 << 10,
	FEW = 64, // waiters that close puts on the own queue
};

#if !RT0_DEBUG
NOINLINE void
runtime_chanlockslow(struct rt0_chan *c)
{
	if (unlikely(runtime_forked))
		runtime_forkedlock();
	for (uint32_t n = 0;; n++) {
		if (atomic_loadrlx(&c->lock.key) == 0 && atomic_xchgacq(&c->lock.key, 1) == 0)
			return;
		backoff(n);
	}
}
#endif

// chanpark waits on q for elem to be taken or filled. c is locked (held); on return it is not. Returns whether a
// communication woke us; when it was close, a send panics.
// Sends and receives end with a jump to this one function: who is switched to returns to where the
// processor does not expect it, once a frame, but for frames that the one before has had as well.
static NOINLINE bool
chanpark(struct rt0_chan *c, uint32_t *held, struct waitq *q, void *elem, enum waitreason reason)
{
	struct g *gp = getg();
	if (unlikely(gp->m->p == NULL))
		runtime_fatal("channel operation between rt0_entersyscall and rt0_exitsyscall");
	struct sudog sg;
	sg.g = gp;
	sg.elem = elem;
	sg.c = c;
	sg.success = false;
	sg.isselect = false;
	enqueue(q, &sg);
	// Until we are off our stack and the lock is dropped nobody can see us: close cannot run
	// between "not ready" and "waits".
	runtime_goparkword(held, reason);
	if (unlikely(!sg.success) && reason == waitReasonChanSend)
		runtime_panicerror(RT0_ERR_CHAN, "send on closed channel");
	return sg.success;
}

NOINLINE void
runtime_parkforever(enum waitreason reason)
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
		runtime_parkforever(waitReasonChanSendNilChan);
	}
	// A look without the lock: a channel that is open and full now may fail a try. Closed is read
	// first: a closed channel must panic, not be called full.
	if (!block && atomic_loadacq(&c->closed) == 0 &&
	    (c->dataqsiz == 0 ? atomic_loadrlx(&c->recvq.first) == NULL : atomic_loadrlx(&c->qcount) == c->dataqsiz)) {
		runtime_preemptpoint(gp); // for who tries in a loop
		return false;
	}
	uint32_t *held = chanlock(c);
	struct g *peer;
	int r = sendlocked(c, elem, &peer);
	if (r == CHAN_PEER) {
		chanunlock(held);
		runtime_goready(peer);
		runtime_preemptpoint(gp);
		return true;
	}
	if (likely(r == CHAN_DONE)) {
		chanunlock(held);
		runtime_preemptpoint(gp);
		return true;
	}
	if (unlikely(r == CHAN_CLOSED)) {
		chanunlock(held);
		runtime_panicerror(RT0_ERR_CHAN, "send on closed channel");
	}
	if (!block) {
		chanunlock(held);
		return false;
	}
	return chanpark(c, held, &c->sendq, (void *)elem, waitReasonChanSend);
}

static inline __attribute__((always_inline)) int
chanrecv(struct rt0_chan *c, void *elem, bool block)
{
	struct g *gp = getg();
	if (unlikely(c == NULL)) {
		if (!block)
			return CHAN_WAIT;
		runtime_parkforever(waitReasonChanReceiveNilChan);
	}
	// A look without the lock. Empty is read before closed and again after: an element sent before the
	// close must not be missed.
	if (!block && (c->dataqsiz == 0 ? atomic_loadacq(&c->sendq.first) == NULL : atomic_loadacq(&c->qcount) == 0) &&
	    atomic_loadacq(&c->closed) == 0) {
		runtime_preemptpoint(gp);
		return CHAN_WAIT;
	}
	uint32_t *held = chanlock(c);
	struct g *peer;
	int r = recvlocked(c, elem, &peer);
	if (r == CHAN_PEER) {
		chanunlock(held);
		runtime_goready(peer);
		runtime_preemptpoint(gp);
		return CHAN_DONE;
	}
	if (likely(r == CHAN_DONE)) {
		chanunlock(held);
		runtime_preemptpoint(gp);
		return CHAN_DONE;
	}
	if (unlikely(r == CHAN_CLOSED)) {
		chanunlock(held);
		runtime_preemptpoint(gp);
		return CHAN_CLOSED;
	}
	if (!block) {
		chanunlock(held);
		return CHAN_WAIT;
	}
	return chanpark(c, held, &c->recvq, elem, waitReasonChanReceive); // true is CHAN_DONE
}

static void
chanclose(struct rt0_chan *c)
{
	if (c == NULL)
		runtime_panicerror(RT0_ERR_CHAN, "close of nil channel");
	uint32_t *held = chanlock(c);
	if (c->closed) {
		chanunlock(held);
		runtime_panicerror(RT0_ERR_CHAN, "close of closed channel");
	}
	atomic_storerel(&c->closed, 1);
	// Collect all waiters, by g->schedlink (their sudogs go when they wake), then ready them without
	// the lock. Of a crowd each is a page that no cache has: all that has to be done to one is done now.
	struct gqueue few = {NULL, NULL}, crowd = {NULL, NULL};
	int32_t n = 0;
	uintptr_t sgwas = 0, gwas = 0;
	for (struct waitq *q = &c->recvq;; q = &c->sendq) {
		for (struct sudog *sg; (sg = dequeue(q)) != NULL; n++) {
			if (n >= FEW) {
				fetchstride(sg, &sgwas);
				fetchstride(sg->g, &gwas);
			}
			if (q == &c->recvq)
				copyelem(c, sg->elem, NULL);
			if (n < FEW) {
				gqueueput(&few, sg->g);
			} else {
				casgstatus(sg->g, Gwaiting, Grunnable);
				gqueueput(&crowd, sg->g);
			}
		}
		if (q == &c->sendq)
			break;
	}
	chanunlock(held);
	for (struct g *gp; (gp = gqueueget(&few)) != NULL;)
		runtime_ready(gp, false);
	runtime_readycrowd(&crowd, n - FEW);
	runtime_preemptpoint(getg());
}

// chansendtime sends without waiting, from a timer's fire. Who is returned is to be readied.
struct g *
runtime_chansendtime(struct rt0_chan *c, int64_t t)
{
	struct g *gp = NULL;
	uint32_t *held = chanlock(c);
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
	chanunlock(held);
	return gp;
}

bool
runtime_chandrain(struct rt0_chan *c)
{
	uint32_t *held = chanlock(c);
	bool had = c->qcount != 0;
	atomic_storerlx(&c->qcount, 0);
	chanunlock(held);
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
		return foreign(OPRECV, c, NULL, elem) == CHAN_DONE;
	return chanrecv(c, elem, true) == CHAN_DONE;
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
	return r == CHAN_DONE ? 0 : r == CHAN_CLOSED ? -EPIPE : -EAGAIN;
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
