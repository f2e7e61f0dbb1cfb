// SPDX-License-Identifier: BSD-3-Clause
// select.c: waiting for the first of several channel operations, or for a deadline.
//
// In three steps. (1) Look at all channels without locks, and try those that seem ready, in random order, each
// under its own lock: any case that is ready when its lock is held may be the one. (2) If none is, lock all, by
// ascending address, each once, and look again: now "none is ready" is a fact of one moment, which a
// select that must not wait may report. (3) Otherwise put a sudog on each queue, drop the locks and park.
//
// Every ready case is as likely as any other: the candidates are listed, and one is drawn. (Go shuffles all
// cases first; this draws one number, and none when there is one candidate.)
//
// A waiter in many queues is woken once. g.selectdone says by whom it may be:
//
//	ARMED     its timer runs, and no channel shows it yet
//	PARKING   it has made up its mind; in a moment it is off its stack, and it waits for nobody until then
//	PARKED    off its stack: who changes this to TAKEN or TIMEDOUT readies it, nobody else does
//	TAKEN     by a peer, or by close
//	TIMEDOUT  by its timer
//
//	select       ARMED -> PARKING or, without a timer, anything -> PARKING; PARKING -> PARKED (swtch)
//	peer         PARKED -> TAKEN; waits while PARKING; otherwise drops the sudog (claim)
//	timer        ARMED -> TIMEDOUT, and readies nobody; PARKED -> TIMEDOUT; waits while PARKING (selectfire)
//
// - Peers find the sudogs in the queues only, under the channel's lock, and those come there in PARKING, under all
//   locks. So a peer never meets ARMED; and as long as a sudog is in a queue its goroutine is in this
//   select: selectdone is of this round, and the sudog's memory, on its stack, is there.
// - PARKING ends by itself: the goroutine then drops locks that it holds, and changes stacks. It takes no lock, so
//   the timer may wait for it under the wheel's, and a peer under a channel's. Before PARKING it does wait for
//   locks: there the timer waits for nothing.
// - PARKED is stored when the goroutine is off its stack and Gwaiting (goparkword): who reads it (acquire) may
//   ready it at once. It is one winner, by compare-and-swap.
// - The winner among the peers has taken its sudog off the queue before it readies the goroutine. The others are
//   stale: whoever dequeues one sees TAKEN or TIMEDOUT, and drops it. The goroutine takes the rest off when it
//   runs again, before it returns, each under its channel's lock. It does not touch the channel of the peer: who
//   has received the last element may have freed that.
// - The timer is on the goroutine's stack as well: timerstop, after which fire does not run, comes before return.
//
// models/select.pml. Under the solo rule nobody else runs between a look and the park: there are no locks, step 2
// is left out, and the compare-and-swaps are plain; but PARKED is stored by swtch all the same.
#include "../runtime.h"
#include "../os/linux/linux.h"
#include "chan.h"

enum { PARKED = 0, PARKING, ARMED, TAKEN, TIMEDOUT }; // 0 is what swtch stores

enum { SMALL = 16, MAXCASES = 65536 };

// What select finds, other than the index of a case.
enum { NONE = -2, SENDCLOSED = -1 };

// Room for n cases. The slots for ready and order lie behind the sudogs.
struct room {
	struct sudog *sgs;
	struct rt0_chan **order; // the channels to lock, by address
	uint16_t *ready;
};

#define ROOM(n) ((n) * (sizeof(struct sudog) + sizeof(struct rt0_chan *) + sizeof(uint16_t)))

static inline struct room
roomin(void *mem, uint32_t n)
{
	struct room r;
	r.sgs = mem;
	r.order = (struct rt0_chan **)(r.sgs + n);
	r.ready = (uint16_t *)(r.order + n);
	return r;
}

// ---- the other side: peers and the timer ----

// claim makes the caller the one who readies gp, whose sudog it has dequeued, under the channel's lock.
static bool
claim(struct g *gp)
{
	for (uint32_t n = 0;; n++) {
		// Acquire: gp is off its stack, and Gwaiting; pairs with the release of goparkword.
		uint32_t s = atomic_loadacq(&gp->selectdone);
		if (likely(s == PARKED)) {
			if (sched.solo) {
				atomic_storerlx(&gp->selectdone, TAKEN);
				return true;
			}
			if (atomic_cas_acqrel(&gp->selectdone, PARKED, TAKEN))
				return true;
		} else if (s == PARKING) {
			backoff(n);
		} else {
			return false;
		}
	}
}

// dequeueselect goes on for dequeue, which has met sg: a waiter in a select.
struct sudog *
runtime_dequeueselect(struct waitq *q, struct sudog *sg)
{
	while (sg->isselect) {
		if (likely(claim(sg->g))) {
			sg->g->param = sg; // read by gp once it is readied
			break;
		}
		sg = q->first;
		if (sg == NULL)
			return NULL;
		unlinkfirst(q, sg);
	}
	return sg;
}

static struct g *
selectfire(struct timer *t, int64_t now)
{
	struct g *gp = t->arg;
	(void)now;
	for (uint32_t n = 0;; n++) {
		uint32_t s = atomic_loadacq(&gp->selectdone); // as in claim
		if (s == PARKING) {
			backoff(n);
		} else if (s == ARMED || s == PARKED) {
			if (atomic_cas_acqrel(&gp->selectdone, s, TIMEDOUT))
				return s == PARKED ? gp : NULL;
		} else {
			return NULL;
		}
	}
}

// ---- finding a ready case ----

// isready is exact when the channel is locked, but that waiters may be stale.
static inline bool
isready(const struct rt0_case *cs)
{
	struct rt0_chan *c = cs->chan;
	uint64_t qcount = atomic_loadrlx(&c->qcount);
	uint32_t closed = atomic_loadrlx(&c->closed);
	// No branches but on the direction: which case is ready is not to be predicted.
	if (cs->dir == RT0_CASE_SEND)
		return (int)(atomic_loadrlx(&c->recvq.first) != NULL) | (int)(qcount < c->dataqsiz) | (int)(closed != 0);
	return (int)(atomic_loadrlx(&c->sendq.first) != NULL) | (int)(qcount != 0) | (int)(closed != 0);
}

static inline bool
isbad(const struct rt0_case *cs)
{
	return (int)(cs->dir - RT0_CASE_SEND > RT0_CASE_RECV - RT0_CASE_SEND) |
	       ((int)(cs->size != 0) & (int)(cs->size != cs->chan->elemsize));
}

// look lists the cases that seem ready, and returns how many. *bad, if it is not NULL, is set if a case is a mistake.
static inline __attribute__((always_inline)) uint32_t
look(const struct rt0_case *cases, uint32_t n, uint16_t *ready, bool *bad)
{
	uint32_t nready = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (cases[i].chan == NULL)
			continue;
		ready[nready] = (uint16_t)i;
		nready += isready(&cases[i]);
		if (bad != NULL)
			*bad |= isbad(&cases[i]);
	}
	return nready;
}

// pick carries out one of the cases in ready, if one of them is. *peer: whom to ready then, or NULL.
static inline int
pick(const struct rt0_case *cases, uint16_t *ready, uint32_t nready, bool locked, struct g **peer)
{
	*peer = NULL;
	while (nready > 0) {
		uint32_t k = nready == 1 ? 0 : runtime_cheaprandn(nready), i = ready[k];
		const struct rt0_case *cs = &cases[i];
		struct rt0_chan *c = cs->chan;
		uint32_t *held = locked ? NULL : chanlock(c);
		int r = cs->dir == RT0_CASE_SEND ? sendlocked(c, cs->elem, peer) : recvlocked(c, cs->elem, peer);
		chanunlock(held);
		if (likely(r != CHAN_WAIT)) {
			if (unlikely(r == CHAN_CLOSED && cs->dir == RT0_CASE_SEND))
				return SENDCLOSED;
			if (cs->ok != NULL)
				*cs->ok = r != CHAN_CLOSED;
			return (int)i;
		}
		ready[k] = ready[--nready];
	}
	return NONE;
}

// ---- all locks ----

// lockorder lists the channels of cases, each once, by address. Returns how many.
static uint32_t
lockorder(const struct rt0_case *cases, uint32_t n, struct rt0_chan **order)
{
	uint32_t m = 0, k = 0;
	for (uint32_t i = 0; i < n; i++)
		if (cases[i].chan != NULL)
			order[m++] = cases[i].chan;
	// Shell's sort: for a few it is insertion. 16 bits: the gaps for 65536.
	static const uint16_t gaps[] = {28949, 12866, 5718, 2541, 1129, 502, 223, 99, 44, 19, 8, 1};
	for (uint32_t g = m <= 8 ? NELEM(gaps) - 1 : 0; g < NELEM(gaps); g++) {
		uint32_t gap = gaps[g];
		for (uint32_t i = gap; i < m; i++) {
			struct rt0_chan *c = order[i];
			uint32_t j = i;
			for (; j >= gap && order[j - gap] > c; j -= gap)
				order[j] = order[j - gap];
			order[j] = c;
		}
	}
	for (uint32_t i = 0; i < m; i++)
		if (i == 0 || order[i] != order[i - 1])
			order[k++] = order[i];
	return k;
}

// lockall locks all channels: by one word if that says that the p is alone. In debug builds the first lock stands for
// all in the list of locks held, which is short.
static uint32_t *
lockall(struct rt0_chan **order, uint32_t m)
{
	if (m == 0)
		return NULL;
	uint32_t *held = chanlock(order[0]);
	for (uint32_t i = 1; i < m && held != &sched.busy; i++) {
#if RT0_DEBUG
		getg()->m->locks++;
		if (!atomic_casacq(&order[i]->lock.key, 0, 1))
			runtime_lock2(&order[i]->lock);
#else
		lockchan(order[i]);
#endif
	}
	return held;
}

static void
unlockall(struct rt0_chan **order, uint32_t m, uint32_t *held)
{
	for (uint32_t i = m; i-- > 1 && held != &sched.busy;) {
#if RT0_DEBUG
		if (atomic_xchgrel(&order[i]->lock.key, 0) == 2)
			runtime_unlock2(&order[i]->lock);
		getg()->m->locks--;
#else
		chanunlock(&order[i]->lock.key);
#endif
	}
	chanunlock(held);
}

// ---- select ----

static NOINLINE RT0_NORETURN void
badcase(const struct rt0_case *cs)
{
	while (cs->chan == NULL || !isbad(cs))
		cs++;
	runtime_panicerror(RT0_ERR_CHAN, cs->dir == RT0_CASE_SEND || cs->dir == RT0_CASE_RECV ?
	    "select: element is not of the channel's size" : "select: case is neither send nor receive");
}

static inline struct waitq *
queueof(const struct rt0_case *cs)
{
	return cs->dir == RT0_CASE_SEND ? &cs->chan->sendq : &cs->chan->recvq;
}

// attempt is step 1: the index of the case that was carried out, NONE or SENDCLOSED.
static inline __attribute__((always_inline)) int
attempt(const struct rt0_case *cases, uint32_t n, uint16_t *ready)
{
	struct g *peer;
	bool bad = false;
	uint32_t nready = look(cases, n, ready, &bad);
	if (unlikely(bad))
		badcase(cases);
	if (nready == 0)
		return NONE;
	int i = pick(cases, ready, nready, false, &peer);
	if (likely(i >= 0)) {
		if (peer != NULL)
			runtime_goready(peer);
		runtime_preemptpoint(getg());
	}
	return i;
}

// park waits on all channels, which are locked, until a peer or t (NULL: none) wakes us. Returns as attempt.
static inline __attribute__((always_inline)) int
park(struct g *gp, const struct rt0_case *cases, uint32_t n, struct timer *t, enum waitreason reason, struct room *room,
    uint32_t nlocked, uint32_t *held)
{
	struct sudog *sgs = room->sgs;
	if (t == NULL) {
		atomic_storerlx(&gp->selectdone, PARKING); // seen with the sudogs, by the release of the locks
	} else if (!atomic_cas_acqrel(&gp->selectdone, ARMED, PARKING)) {
		unlockall(room->order, nlocked, held);
		return NONE;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct sudog *sg = &sgs[i];
		sg->c = cases[i].chan;
		if (sg->c == NULL)
			continue;
		sg->g = gp;
		sg->elem = cases[i].elem;
		sg->success = false;
		sg->isselect = true;
		enqueue(queueof(&cases[i]), sg);
	}
	unlockall(room->order, nlocked, held);
	runtime_goparkword(&gp->selectdone, reason);

	struct sudog *woken = atomic_loadacq(&gp->selectdone) == TAKEN ? gp->param : NULL;
	gp->param = NULL;
	for (uint32_t i = 0; i < n; i++) {
		struct rt0_chan *c = sgs[i].c;
		if (&sgs[i] == woken || c == NULL)
			continue;
		held = chanlock(c);
		dequeuesudog(queueof(&cases[i]), &sgs[i]);
		chanunlock(held);
	}
	if (woken == NULL)
		return NONE;
	const struct rt0_case *cs = &cases[woken - sgs];
	if (unlikely(!woken->success && cs->dir == RT0_CASE_SEND))
		return SENDCLOSED;
	if (cs->ok != NULL)
		*cs->ok = woken->success;
	return (int)(woken - sgs);
}

// wait is steps 2 and 3. Returns as attempt.
static inline __attribute__((always_inline)) int
wait(const struct rt0_case *cases, uint32_t n, int64_t deadline, enum waitreason reason, struct room *room)
{
	struct g *gp = getg();
	struct timer t, *timer = NULL;
	uint32_t nlocked = 0, *held = NULL;
	bool nowait = false;
	int i;
	if (deadline != RT0_NEVER) {
		nowait = deadline <= 0 || runtime_nanotime() >= deadline;
		if (!nowait) {
			runtime_memclr(&t, sizeof t);
			t.fire = selectfire;
			t.arg = gp;
			atomic_storerlx(&gp->selectdone, ARMED); // fire sees it by the wheel's lock
			timer = &t;
			runtime_timerstart(&t, deadline, 0);
		}
	}
	if (!sched.solo) {
		struct g *peer;
		nlocked = lockorder(cases, n, room->order);
		held = lockall(room->order, nlocked);
		i = pick(cases, room->ready, look(cases, n, room->ready, NULL), true, &peer);
		if (i != NONE || nowait) {
			unlockall(room->order, nlocked, held);
			if (timer != NULL)
				runtime_timerstop(timer);
			if (peer != NULL)
				runtime_goready(peer);
			runtime_preemptpoint(gp);
			return i;
		}
	} else if (nowait) {
		runtime_preemptpoint(gp);
		return NONE;
	}
	if (unlikely(gp->m->p == NULL))
		runtime_fatal("channel operation between rt0_entersyscall and rt0_exitsyscall");
	i = park(gp, cases, n, timer, reason, room, nlocked, held);
	if (timer != NULL)
		runtime_timerstop(timer);
	return i;
}

// result is what rt0_select returns.
static inline int
result(int i)
{
	if (likely(i >= 0))
		return i;
	if (i == SENDCLOSED)
		runtime_panicerror(RT0_ERR_CHAN, "send on closed channel");
	return -ETIMEDOUT;
}

// A goroutine that has been switched to returns to where the processor does not expect it, once a frame, and
// each time costs what a channel operation does. So there is one frame between the switch and the program: selectgo
// ends with a call of waitsmall, which the compiler makes a jump, and has no locals that waitsmall could see.
static NOINLINE int
attemptsmall(const struct rt0_case *cases, uint32_t n)
{
	uint16_t ready[SMALL];
	return attempt(cases, n, ready);
}

static NOINLINE int
waitsmall(const struct rt0_case *cases, uint32_t n, int64_t deadline, enum waitreason reason)
{
	struct room room = roomin(__builtin_alloca(ROOM(n)), n);
	return result(wait(cases, n, deadline, reason, &room));
}

static NOINLINE int
selectlarge(const struct rt0_case *cases, uint32_t n, int64_t deadline, enum waitreason reason)
{
	for (uint32_t i = 0; i < n; i++)
		if (cases[i].chan != NULL && isbad(&cases[i]))
			badcase(cases); // before there is something to free
	void *mem = runtime_mallocgc(ROOM(n), false, false);
	struct room room = roomin(mem, n);
	int i = attempt(cases, n, room.ready);
	if (i == NONE)
		i = wait(cases, n, deadline, reason, &room);
	runtime_free(mem);
	return result(i);
}

static inline __attribute__((always_inline)) int
selectgo(const struct rt0_case *cases, uint32_t n, int64_t deadline, enum waitreason reason)
{
	if (unlikely(n > SMALL))
		return selectlarge(cases, n, deadline, reason);
	int i = attemptsmall(cases, n);
	if (likely(i >= 0))
		return i;
	if (unlikely(i == SENDCLOSED))
		return result(i);
	return waitsmall(cases, n, deadline, reason);
}

// ---- the public calls; on a foreign thread they run as a goroutine ----

struct selectcall {
	const struct rt0_case *cases;
	uint32_t n;
	int64_t deadline;
	enum waitreason reason;
	int result;
};

static void
selectcall_g(void *arg)
{
	struct selectcall *a = arg;
	a->result = selectgo(a->cases, a->n, a->deadline, a->reason);
}

static NOINLINE int
foreign(const struct rt0_case *cases, uint32_t n, int64_t deadline, enum waitreason reason)
{
	struct selectcall a = {cases, n, deadline, reason, 0};
	if (runtime_callback(selectcall_g, &a) < 0)
		runtime_fatal("channel operation on a thread, and the runtime does not run");
	return a.result;
}

int
rt0_select(struct rt0_case *cases, size_t n, int64_t deadline)
{
	enum waitreason reason = waitReasonSelect;
	if (unlikely(n > MAXCASES))
		runtime_panicerror(RT0_ERR_CHAN, "select: too many cases");
	if (unlikely(n == 0))
		reason = waitReasonSelectNoCases;
	else if (unlikely(n == 1) && cases->chan != NULL) // as Go's compiler has it
		reason = cases->dir == RT0_CASE_SEND ? waitReasonChanSend : waitReasonChanReceive;
	if (unlikely(getg() == NULL))
		return foreign(cases, (uint32_t)n, deadline, reason);
	return selectgo(cases, (uint32_t)n, deadline, reason);
}

// until is a send or receive that could not be made at once.
static int
until(const struct rt0_case *cs, int64_t deadline, enum waitreason reason)
{
	return unlikely(getg() == NULL) ? foreign(cs, 1, deadline, reason) : selectgo(cs, 1, deadline, reason);
}

int
rt0_chan_send_until(struct rt0_chan *c, const void *elem, int64_t deadline)
{
	if (deadline == RT0_NEVER) {
		rt0_chan_send(c, elem);
		return 0;
	}
	if (rt0_chan_try_send(c, elem) == 0)
		return 0;
	struct rt0_case cs = {c, (void *)elem, NULL, 0, RT0_CASE_SEND};
	return until(&cs, deadline, c != NULL ? waitReasonChanSend : waitReasonChanSendNilChan);
}

int
rt0_chan_recv_until(struct rt0_chan *c, void *elem, int64_t deadline)
{
	if (deadline == RT0_NEVER)
		return rt0_chan_recv(c, elem) ? 0 : -EPIPE;
	int err = rt0_chan_try_recv(c, elem);
	if (err != -EAGAIN)
		return err;
	bool ok = false;
	struct rt0_case cs = {c, elem, &ok, 0, RT0_CASE_RECV};
	err = until(&cs, deadline, c != NULL ? waitReasonChanReceive : waitReasonChanReceiveNilChan);
	return err == 0 && !ok ? -EPIPE : err;
}
