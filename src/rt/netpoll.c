// SPDX-License-Identifier: BSD-3-Clause
// netpoll.c: pollDesc, the portable half of the poller: who waits for which descriptor, and until when; and who polls.
//
// The kernel's half (os/linux/netpoll_epoll.c) tells readiness by edges: an event when a descriptor
// becomes ready, none while it stays so. So whoever wants to read tries first, and waits only after the
// kernel has said that there is nothing; an edge that comes between the two must not be lost. Each
// direction has a word for that, rg (read) and wg (write), with one waiter at most:
//
//	pdNil    nothing has happened
//	pdReady  an edge has come that nobody has consumed; the waiter makes it pdNil
//	pdWait   the waiter is about to park
//	G        the waiter is parked, or on its way back with the word not looked at yet
//
//	waiter:        pdReady -> pdNil (no wait)    pdNil -> pdWait -> G (parks)    any -> pdNil (woken)
//	netpollready:  any -> pdReady; G is readied; of pdWait the waiter finds out by itself
//	deadline and close (netpollunblock without ioready):  G, pdWait -> pdNil; G is readied
//
// Races.
//   Ready against wait. All changes of a word are compare-and-swaps, so either the waiter's last one,
//   pdWait -> G, comes first, and the event finds the G, or it fails, and the goroutine does not park.
//   Deadline or close against wait is Dekker's: the waiter stores pdWait, then loads info; the other
//   stores info, then looks at the word; both with a full fence between. So the waiter sees why it must
//   not park, or the other sees that there is a waiter.
//   A deadline that is set anew when the old one has just fired: the waiter was woken, finds no error,
//   and waits again (runtime_poll_wait).
//   A timer that fires late, when its deadline has been changed or its polldesc belongs to another
//   descriptor: it was given seq; every start and stop of the timer changes pd->seq, under the lock.
//   An event that arrives late, likewise: its tag holds fdseq, which changes when the polldesc is freed.
//   One that slips through between the look at the tag and the word only wakes somebody for no
//   reason: all who use this file try again after every wake-up, and never take one for a result.
//
// There is one timer a polldesc, not one a direction, and it is moved only when the earliest deadline is
// brought forward: one that fires too early finds that and arms itself again. So a program that sets a
// deadline before each read (every request of a server) pays for a lock and a few stores.
//
// Go's names: runtime_poll_open is poll_runtime_pollOpen, and so on.
#include "../mem/mheap.h"
#include "../os/linux/linux.h"

enum { pdNil = 0, pdReady = 1, pdWait = POLLWAIT }; // everything above: a struct g *

// info: what waiters must know without the lock. Written under it, read anywhere.
enum { pollClosing = 1, pollExpiredReadDeadline = 2, pollExpiredWriteDeadline = 4 };

enum { FDSEQBITS = 16, POLLBLOCK = 4096 };

// The first cache line is what a wait and an event touch, and a deadline that moves no timer.
struct polldesc {
	uintptr_t rg, wg;      // atomic: see above
	uint32_t info;         // atomic; lock writes
	uint16_t fdseq;        // atomic: goes up when pd is freed
	uint8_t hup;           // atomic: an event told of an end or of urgent data; cleared by poll_open
	bool armed;            // lock: timer was started with this seq, and has not called
	bool watched;          // from poll_open to poll_close; read by pollforked
	int32_t fd;            // constant while open
	struct mutex lock;
	// lock:
	union {
		int64_t rd;            // deadlines, ns; 0: none, < 0: expired
		struct polldesc *link; // pollcache.lock: the next one, while this one is free
	};
	int64_t wd;
	uint64_t seq;       // of the timer; goes up at each start and stop
	struct timer timer; // timer.when: constant while armed
} __attribute__((aligned(64)));
static_assert(sizeof(struct polldesc) == 128, "one a connection");

struct pollblock {
	struct pollblock *next;
	struct polldesc pds[(POLLBLOCK - 64) / sizeof(struct polldesc)];
};

static struct {
	struct mutex lock; // a leaf
	struct polldesc *first; // lock: last in, first out; what is here is never given back to the kernel
	struct pollblock *blocks; // lock
} pollcache;

static struct polldesc *
pollcachealloc(void)
{
	for (;;) {
		runtime_lock(&pollcache.lock);
		struct polldesc *pd = pollcache.first;
		if (pd != NULL) {
			pollcache.first = pd->link;
			runtime_unlock(&pollcache.lock);
			return pd;
		}
		runtime_unlock(&pollcache.lock);
		struct pollblock *block = runtime_persistentalloc_try(sizeof *block, 64, &memstats.other_sys);
		if (block == NULL)
			return NULL;
		size_t n = NELEM(block->pds);
		for (size_t i = 0; i < n; i++) {
			runtime_lockinit(&block->pds[i].lock, LOCKRANK_POLLDESC);
			block->pds[i].link = i + 1 < n ? &block->pds[i + 1] : NULL;
		}
		runtime_lock(&pollcache.lock);
		block->pds[n - 1].link = pollcache.first;
		pollcache.first = block->pds;
		block->next = pollcache.blocks;
		pollcache.blocks = block;
		runtime_unlock(&pollcache.lock);
	}
}

static void
pollcachefree(struct polldesc *pd)
{
	atomic_storerel(&pd->fdseq, (uint16_t)(pd->fdseq + 1)); // events under way become late ones
	runtime_lock(&pollcache.lock);
	pd->link = pollcache.first;
	pollcache.first = pd;
	runtime_unlock(&pollcache.lock);
}

static uintptr_t *
wordof(struct polldesc *pd, int mode)
{
	return mode == POLLREAD ? &pd->rg : &pd->wg;
}

// publishinfo makes what waiters look at agree with the fields under the lock. Dekker: a full fence behind. What is
// the same as before has been published before: who comes to wait since then sees it.
static void
publishinfo(struct polldesc *pd, bool closing)
{
	HELD(&pd->lock);
	uint32_t info = closing ? pollClosing : 0;
	if (pd->rd < 0)
		info |= pollExpiredReadDeadline;
	if (pd->wd < 0)
		info |= pollExpiredWriteDeadline;
	if (atomic_loadrlx(&pd->info) != info)
		atomic_xchg(&pd->info, info);
}

// netpollcheckerr is why mode must not wait.
static int
netpollcheckerr(struct polldesc *pd, int mode)
{
	uint32_t info = atomic_load(&pd->info);
	if (info & pollClosing)
		return POLL_CLOSING;
	if (info & (mode == POLLREAD ? pollExpiredReadDeadline : pollExpiredWriteDeadline))
		return POLL_TIMEOUT;
	return POLL_OK;
}

// netpollunblock takes the waiter of mode, if there is one, off its word; the caller readies what is returned.
// ioready: an edge has come. Otherwise there is a deadline or a close, which info tells already.
static struct g *
netpollunblock(struct polldesc *pd, int mode, bool ioready)
{
	uintptr_t *gpp = wordof(pd, mode);
	for (;;) {
		uintptr_t old = atomic_load(gpp);
		if (old == pdReady)
			return NULL;
		// Without a waiter there is nothing to undo: the next one looks at info before it parks.
		if (old == pdNil && !ioready)
			return NULL;
		if (atomic_cas(gpp, old, ioready ? pdReady : pdNil))
			return old > pdWait ? (struct g *)old : NULL;
	}
}

// netpollblockcommit, on g0: gp is off its stack, and waits for what makes the word something else. Counted before it
// can be seen: the count is never too low. Also for posix.c and uring_linux.c.
bool
runtime_netpollblockcommit(struct g *gp, void *word)
{
	atomic_xadd(&sched.npollwait, 1);
	if (likely(atomic_cas((uintptr_t *)word, POLLWAIT, (uintptr_t)gp)))
		return true;
	atomic_xadd(&sched.npollwait, -1);
	return false;
}

static void
netpollgoready(struct g *gp)
{
	if (gp == NULL)
		return;
	atomic_xadd(&sched.npollwait, -1);
	runtime_goready(gp);
}

// netpollblock waits for an edge; true: one has come. One waiter a mode at a time.
static bool
netpollblock(struct polldesc *pd, int mode)
{
	uintptr_t *gpp = wordof(pd, mode);
	for (;;) {
		if (atomic_cas(gpp, pdReady, pdNil))
			return true;
		if (atomic_cas(gpp, pdNil, pdWait)) // Dekker with publishinfo: pdWait, then info
			break;
		uintptr_t v = atomic_load(gpp);
		if (v != pdReady && v != pdNil)
			runtime_throw("runtime: double wait");
	}
	if (netpollcheckerr(pd, mode) == POLL_OK)
		runtime_gopark(runtime_netpollblockcommit, gpp, waitReasonIOWait);
	uintptr_t old = atomic_xchg(gpp, pdNil);
	if (old > pdWait)
		runtime_throw("runtime: corrupted polldesc");
	return old == pdReady;
}

// ---- what descriptors call (src/net); on a goroutine ----

// poll_open has the kernel watch fd. 0, or a negative errno: -EPERM for what cannot be watched.
int
runtime_poll_open(int fd, struct polldesc **out)
{
	struct polldesc *pd = pollcachealloc();
	if (pd == NULL)
		return -ENOMEM;
	runtime_lock(&pd->lock);
	uintptr_t rg = atomic_loadrlx(&pd->rg), wg = atomic_loadrlx(&pd->wg);
	if ((rg | wg) > pdReady)
		runtime_throw("runtime: blocked goroutine on free polldesc");
	pd->fd = fd;
	pd->rd = pd->wd = 0;
	// A late event may set these two at any time: at worst somebody wakes for no reason.
	atomic_storerlx(&pd->rg, pdNil);
	atomic_storerlx(&pd->wg, pdNil);
	atomic_storerlx(&pd->hup, 0);
	publishinfo(pd, false);
	runtime_unlock(&pd->lock);
	int err = runtime_netpollopen(fd, pd);
	if (err < 0) {
		pollcachefree(pd);
		return err;
	}
	pd->watched = true;
	*out = pd;
	return 0;
}

// pollforked has the child's kernel watch what the parent had watched: a server opens its sockets, and becomes a
// daemon. One thread, before it has started goroutines. A new watch tells anew what is ready. What has been
// closed behind our back meanwhile fails, and nobody waits for it.
void
runtime_pollforked(void)
{
	for (struct pollblock *block = pollcache.blocks; block != NULL; block = block->next)
		for (size_t i = 0; i < NELEM(block->pds); i++)
			if (block->pds[i].watched)
				runtime_netpollopen(block->pds[i].fd, &block->pds[i]);
}

// poll_close ends the watch. After poll_unblock, when all who waited have left.
void
runtime_poll_close(struct polldesc *pd)
{
	if (!(atomic_load(&pd->info) & pollClosing))
		runtime_throw("runtime: close polldesc w/o unblock");
	if (atomic_load(&pd->rg) > pdReady || atomic_load(&pd->wg) > pdReady)
		runtime_throw("runtime: blocked goroutine on closing polldesc");
	runtime_netpollclose(pd->fd);
	pd->watched = false;
	pollcachefree(pd);
}

// poll_reset forgets edges that have come: before a try that will see what they told.
int
runtime_poll_reset(struct polldesc *pd, int mode)
{
	int err = netpollcheckerr(pd, mode);
	if (err != POLL_OK)
		return err;
	// No waiter, so only netpollready changes the word. An edge that this store overwrites is one
	// whose cause the following system call finds.
	atomic_storerel(wordof(pd, mode), pdNil);
	return POLL_OK;
}

// poll_wait waits for an edge that has come since the last reset or wait.
int
runtime_poll_wait(struct polldesc *pd, int mode)
{
	if (unlikely(getg()->m->p == NULL))
		runtime_fatal("I/O between rt0_entersyscall and rt0_exitsyscall");
	int err = netpollcheckerr(pd, mode);
	while (err == POLL_OK && !netpollblock(pd, mode)) {
		// Woken without an edge: by a deadline or by close. If neither is true now the deadline was
		// set anew before we came to look.
		err = netpollcheckerr(pd, mode);
	}
	return err;
}

// poll_hup is whether an event has told that the peer is done, or of an error or urgent data.
bool
runtime_poll_hup(struct polldesc *pd)
{
	return atomic_loadrlx(&pd->hup) != 0;
}

// ---- deadlines ----

static void netpolldeadline(void *arg, uint64_t seq);

static void
stoptimer(struct polldesc *pd)
{
	if (!pd->armed)
		return;
	pd->armed = false;
	pd->seq++;
	runtime_timerstop(&pd->timer);
}

// settimer makes sure that the timer fires at or before the earliest deadline; without one it is stopped.
static void
settimer(struct polldesc *pd)
{
	int64_t when = INT64_MAX;
	if (pd->rd > 0)
		when = pd->rd;
	if (pd->wd > 0 && pd->wd < when)
		when = pd->wd;
	if (pd->armed && pd->timer.when <= when && when != INT64_MAX)
		return;
	stoptimer(pd);
	if (when == INT64_MAX)
		return;
	pd->timer.call = netpolldeadline;
	pd->timer.arg = pd;
	pd->timer.seq = ++pd->seq;
	pd->armed = true;
	// It may fire at once on another p: it waits for our lock.
	runtime_timerstart(&pd->timer, when, 0);
}

// netpolldeadline is the timer's; on g0.
static void
netpolldeadline(void *arg, uint64_t seq)
{
	struct polldesc *pd = arg;
	struct g *rg = NULL, *wg = NULL;
	runtime_lock(&pd->lock);
	if (seq == pd->seq) {
		pd->armed = false;
		int64_t now = runtime_nanotime();
		bool r = pd->rd > 0 && pd->rd <= now, w = pd->wd > 0 && pd->wd <= now;
		if (r)
			pd->rd = -1;
		if (w)
			pd->wd = -1;
		settimer(pd);
		if (r || w)
			publishinfo(pd, false); // closing has stopped the timer, with another seq
		if (r)
			rg = netpollunblock(pd, POLLREAD, false);
		if (w)
			wg = netpollunblock(pd, POLLWRITE, false);
	}
	runtime_unlock(&pd->lock);
	netpollgoready(rg);
	netpollgoready(wg);
}

// poll_set_deadline sets the deadline d, in ns of nanotime, of mode: POLLREAD, POLLWRITE or their sum.
// INT64_MAX: never. One that is over wakes who waits.
void
runtime_poll_set_deadline(struct polldesc *pd, int64_t d, int mode)
{
	struct g *rg = NULL, *wg = NULL;
	runtime_lock(&pd->lock);
	if (!(atomic_loadrlx(&pd->info) & pollClosing)) {
		if (d == INT64_MAX)
			d = 0;
		else if (d <= 0 || d <= runtime_nanotime())
			d = -1;
		if (mode == POLLREAD || mode == POLLREAD + POLLWRITE)
			pd->rd = d;
		if (mode == POLLWRITE || mode == POLLREAD + POLLWRITE)
			pd->wd = d;
		settimer(pd);
		publishinfo(pd, false);
		if (pd->rd < 0)
			rg = netpollunblock(pd, POLLREAD, false);
		if (pd->wd < 0)
			wg = netpollunblock(pd, POLLWRITE, false);
	}
	runtime_unlock(&pd->lock);
	netpollgoready(rg);
	netpollgoready(wg);
}

int64_t
runtime_poll_deadline(struct polldesc *pd)
{
	runtime_lock(&pd->lock);
	int64_t d = pd->rd == 0 ? INT64_MAX : pd->rd < 0 ? 0 : pd->rd;
	runtime_unlock(&pd->lock);
	return d;
}

// poll_unblock fails all who wait, and all who will.
void
runtime_poll_unblock(struct polldesc *pd)
{
	runtime_lock(&pd->lock);
	if (atomic_loadrlx(&pd->info) & pollClosing)
		runtime_throw("runtime: unblock on closing polldesc");
	stoptimer(pd);
	publishinfo(pd, true);
	struct g *rg = netpollunblock(pd, POLLREAD, false), *wg = netpollunblock(pd, POLLWRITE, false);
	runtime_unlock(&pd->lock);
	netpollgoready(rg);
	netpollgoready(wg);
}

// ---- what the kernel's half calls: any m, perhaps without a p ----

// netpolltag is what the kernel is to return with an event of pd.
uint64_t
runtime_netpolltag(struct polldesc *pd)
{
	return (uint64_t)(uintptr_t)pd << FDSEQBITS | pd->fdseq;
}

// netpollevent is netpollready for the polldesc of tag, unless it has been freed since. hup: see poll_hup.
int32_t
runtime_netpollevent(struct gqueue *q, uint64_t tag, int mode, bool hup)
{
	struct polldesc *pd = (struct polldesc *)(uintptr_t)(tag >> FDSEQBITS);
	if (atomic_loadacq(&pd->fdseq) != (uint16_t)tag)
		return 0;
	if (hup)
		atomic_storerlx(&pd->hup, 1); // before the word: who is woken sees it
	return runtime_netpollready(q, pd, mode);
}

int32_t
runtime_netpollready(struct gqueue *q, struct polldesc *pd, int mode)
{
	struct g *ready[2] = {NULL, NULL};
	if (mode == POLLREAD || mode == POLLREAD + POLLWRITE)
		ready[0] = netpollunblock(pd, POLLREAD, true);
	if (mode == POLLWRITE || mode == POLLREAD + POLLWRITE)
		ready[1] = netpollunblock(pd, POLLWRITE, true);
	int32_t n = 0;
	for (int i = 0; i < 2; i++) {
		if (ready[i] == NULL)
			continue;
		gqueueput(q, ready[i]);
		n++;
	}
	return n;
}

// ---- what the scheduler calls ----

// injectglist puts goroutines that netpoll has found onto queues, and wakes ps for them.
void
runtime_injectglist(struct gqueue *q, int32_t n)
{
	if (n == 0)
		return;
	struct m *mp = getg()->m;
	if (mp->p != NULL) {
		bool any = false;
		for (struct g *gp; (gp = gqueueget(q)) != NULL;) {
			casgstatus(gp, Gwaiting, Grunnable);
			// Alone, nobody steals from the ring.
			if (gp->home != NULL && !(sched.solo && gp->home == mp) && runtime_homeput(gp))
				continue;
			runtime_runqput(mp->p, gp, false);
			any = true;
		}
		if (any)
			runtime_wakeafterput();
		return;
	}
	struct gqueue rest = {NULL, NULL};
	n = 0;
	for (struct g *gp; (gp = gqueueget(q)) != NULL;) {
		runtime_casgstatus(gp, Gwaiting, Grunnable); // without a p, scanners are not kept away
		if (gp->home != NULL && runtime_homeput(gp))
			continue;
		gqueueput(&rest, gp);
		n++;
	}
	if (n > 0) {
		runtime_lock(&sched.lock);
		runtime_globrunqputbatch(&rest, n);
		runtime_unlock(&sched.lock);
	}
	mp->routed = false;
	runtime_starthomes();
	for (; n > 0 && atomic_loadrlx(&sched.npidle) != 0; n--)
		runtime_startm(NULL, false);
}

// takefirst takes a goroutine off q, which holds n, for the current m to run at once, and leaves the others to
// injectglist. NULL: they are all at home elsewhere.
static struct g *
takefirst(struct gqueue *q, int32_t n)
{
	struct g *gp = q->head;
	if (gp->home != NULL && gp->home != getg()->m) {
		runtime_injectglist(q, n);
		return NULL;
	}
	gqueueget(q);
	runtime_injectglist(q, n - 1);
	casgstatus(gp, Gwaiting, Grunnable);
	return gp;
}

// netpollturn looks whether descriptors are ready, without waiting. True: some are, and *gpp is as takefirst has it.
bool
runtime_netpollturn(struct g **gpp)
{
	struct gqueue q = {NULL, NULL};
	int32_t n = runtime_netpoll(0, &q);
	if (n > 0)
		*gpp = takefirst(&q, n);
	return n > 0;
}

// sleepnetpoll lets the current m, which has no p, sleep in netpoll until time until, or notbefore if that is later,
// unless there is nothing to wait for there or somebody is at it. True: it has a p again, and *gpp a goroutine to run
// or NULL.
bool
runtime_sleepnetpoll(int64_t until, int64_t notbefore, bool wasspinning, bool *inherittime, struct g **gpp)
{
	struct m *mp = getg()->m;
	*gpp = NULL;
	if ((until == INT64_MAX && atomic_load(&sched.npollwait) == 0) || atomic_loadrlx(&sched.stopping))
		return false;
	runtime_netpollinit(); // a child of fork may have none yet
	// Exchange: one at a time, and a full fence for the Dekker in timer.c.
	if (atomic_loadrlx(&sched.lastpoll) == 0 || atomic_xchg(&sched.lastpoll, 0) == 0) {
		int64_t other = atomic_load(&sched.polluntil);
		if (until != INT64_MAX && (other == 0 || other > until))
			runtime_netpollbreak(); // it will take ours into account
		return false;
	}
	struct gqueue q = {NULL, NULL};
	int64_t delay = -1;
	atomic_store(&sched.polluntil, until == INT64_MAX ? 0 : until);
	int64_t next = runtime_timersnext(); // Dekker: set before polluntil could be seen
	if (next < until)
		until = next;
	if (until < notbefore)
		until = notbefore;
	if (until != INT64_MAX) {
		delay = until - runtime_nanotime();
		if (delay < 0)
			delay = 0;
	}
	// Dekker with homeput: poller, then nhome.
	atomic_store(&sched.poller, mp);
	if (atomic_load(&mp->nhome) != 0)
		delay = 0;
	int32_t n = runtime_netpoll(delay, &q);
	atomic_store(&sched.poller, NULL);
	atomic_store(&sched.polluntil, 0);
	int64_t now = runtime_nanotime();
	atomic_store(&sched.lastpoll, now);
	runtime_lock(&sched.lock);
	struct p *pp = atomic_loadrlx(&sched.gcwaiting) ? NULL : runtime_pidleget();
	runtime_unlock(&sched.lock);
	if (pp == NULL) {
		// All have an m. They come by the network and the timers when they have nothing else.
		runtime_injectglist(&q, n);
		return false;
	}
	runtime_acquirep(pp);
	// sysmon, which slept, may be long in coming: a server that sleeps often would read the clock at each park.
	atomic_storerlx(&sched.coarsenow, now);
	if (wasspinning) {
		mp->spinning = true;
		atomic_xadd(&sched.nmspinning, 1);
	}
	if (n > 0) {
		*inherittime = false;
		*gpp = takefirst(&q, n);
	}
	return true;
}
