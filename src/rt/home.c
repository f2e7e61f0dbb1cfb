// SPDX-License-Identifier: BSD-3-Clause
// home.c: a goroutine that has waited goes on on the thread that it was on before.
//
// errno and thread-locals belong to threads, and compilers keep their addresses across calls: __errno_location is
// declared const. A C function that looks at errno, calls read, and looks at errno again, looks at that of the
// thread it was on before read; if read has returned on another, at some other goroutine's. So a call of
// librt0_posix that has parked returns on the thread on which it was entered. Errors alone would not do: a
// read that succeeds, and so moves the goroutine, may be followed by one that fails at once, in the same function.
//
// So a goroutine that such a call parks has a home (g.home), the m on which it parks. Each m has a queue of the
// goroutines that are runnable and at home there, from which nobody steals. Whoever readies such a goroutine puts it
// there (injectglist), or whoever gets it from another queue (schedule): before it runs, not after.
//
// Who runs the m. One that has a p looks at its queue whenever it schedules. One that sleeps needs a p: it is put on
// sched.homem, a list of idle ms with such a queue, first in, first out. A p goes to the first of these
//
//	when it is idle (starthomes),
//	when its m has nothing to run, before it looks at the network (handhome),
//	or when all has run that was to run there when it first saw homem (hometurn).
//
// So a batch of hundreds of events is put on the queues of the ms that it is for, each of which runs through its own
// in one go: a switch of threads for each m in a batch, not for each goroutine. An m that has found work for another
// only, and has none itself, hands its own p over, although there may be idle ones: the other one becomes the one
// that sleeps in netpoll next, and is woken by its own events then.
//
// No wake-up is lost. While a home's queue has something, its m has a p, or is on homem, or is about to look:
//
//	put       queue and nhome; fence; does the home have a p?        Then it will look. Else, under sched.lock,
//	          is it idle? It is listed. Else it is on its way to bed or back, or away (below).
//	stopm     the p is given away; under sched.lock (a fence): idle; is there something in nhome? It is listed.
//	netpoll   an m without a p that sleeps there has stored sched.poller, then looks at nhome; put stores nhome,
//	          then looks at poller, and breaks the sleep.
//	idle p    under sched.lock: goes idle only if homem is empty. Who has listed an m looks for an idle p
//	          afterwards (starthomes), as soon as it goes on with something else (m.routed).
//
// The m may not be to be had: its goroutine may sleep in a futex for a lock that the one in the queue holds, or be
// stopped in the preemption handler, or be bound to it for ever. To wait for it could be to wait for oneself. So
// sysmon looks at queues from which nothing is taken (homecheck, every HOMEWAIT), and gives up on a thread that
// looks like that STUCKLOOKS times in a row, and on any after HOMELOOKS (the kernel may not let it run): its
// goroutines go on where they are (g.homelost). Strictness without a bound would be a deadlock: a goroutine that
// holds a mutex, parks, and may only go on on the thread that sleeps for that mutex. sysmon does not rest, and
// checkdead reports nothing, while there is any such queue (nhomes).
//
// An m that ends closes its queue. The memory of an m stays an m's, and its queue is not touched when it is used for
// another thread: a home that has ended meanwhile is closed, or some thread that is as good as any.
#include "../runtime.h"

enum { HOMELOOKS = 200, STUCKLOOKS = 3 };
static const int64_t HOMEWAIT = 5 * MS;

// lost makes gp one that goes on anywhere.
static void
lost(struct g *gp)
{
	gp->home = NULL;
	gp->homelost = true;
}

// homeput puts gp, which is runnable and on no queue, on that of its home. False: that has ended, and gp may run
// anywhere. On g0; with a p, or sysmon. If it has listed an m, the caller sees to it that a p is found (routed).
bool
runtime_homeput(struct g *gp)
{
	struct m *home = gp->home;
	runtime_lock(&home->home.lock);
	if (home->home.closed) {
		runtime_unlock(&home->home.lock);
		lost(gp);
		return false;
	}
	gqueueput(&home->home.q, gp);
	int32_t n = home->nhome + 1;
	atomic_store(&home->nhome, n);
	if (n == 1)
		atomic_xadd(&sched.nhomes, 1);
	runtime_unlock(&home->home.lock);
	// Dekker: nhome is stored (a fence), then who has it, and whether it sleeps. If it was not empty before, who
	// made it so has looked.
	if (n > 1 || atomic_load(&home->p) != NULL)
		return true;
	if (atomic_load(&sched.poller) == home)
		runtime_netpollbreak();
	runtime_lock(&sched.lock);
	if (home->idle)
		runtime_homelist(home);
	runtime_unlock(&sched.lock);
	getg()->m->routed = true;
	return true;
}

// homelist puts mp, which is idle and has goroutines at home, on homem.
void
runtime_homelist(struct m *mp)
{
	HELD(&sched.lock);
	if (mp->home.listed)
		return;
	mp->home.listed = true;
	mp->home.link = NULL;
	if (sched.homemtail != NULL)
		sched.homemtail->home.link = mp;
	else
		sched.homem = mp;
	sched.homemtail = mp;
	atomic_storerlx(&sched.nhomem, sched.nhomem + 1);
}

// homeunlist takes the first m off homem.
struct m *
runtime_homeunlist(void)
{
	HELD(&sched.lock);
	struct m *mp = sched.homem;
	if (mp == NULL)
		return NULL;
	sched.homem = mp->home.link;
	if (sched.homem == NULL)
		sched.homemtail = NULL;
	mp->home.listed = false;
	atomic_storerlx(&sched.nhomem, sched.nhomem - 1);
	return mp;
}

// starthomes gives idle ps to the ms of homem.
void
runtime_starthomes(void)
{
	while (atomic_loadrlx(&sched.nhomem) > 0 && atomic_loadrlx(&sched.npidle) > 0) {
		struct p *pp = NULL;
		runtime_lock(&sched.lock);
		if (sched.homem != NULL && !atomic_loadrlx(&sched.gcwaiting))
			pp = runtime_pidleget();
		struct m *mp = pp != NULL ? runtime_mget() : NULL; // the first of homem
		if (mp != NULL)
			sched.nwake++;
		runtime_unlock(&sched.lock);
		if (mp == NULL)
			return;
		mp->nextp = pp;
		runtime_notewakeup(&mp->park);
	}
}

// takehome takes the oldest goroutine off the queue of mp, the current m. NULL: there is none left.
struct g *
runtime_takehome(struct m *mp)
{
	struct homequeue *h = &mp->home;
	runtime_lock(&h->lock);
	struct g *gp = gqueueget(&h->q);
	if (gp != NULL) {
		atomic_storerlx(&mp->nhome, mp->nhome - 1);
		if (mp->nhome == 0)
			atomic_xadd(&sched.nhomes, -1);
		h->looks = 0;
	}
	runtime_unlock(&h->lock);
	return gp;
}

// emptyhome takes all that is on the queue of mp and makes it lost. close: for good.
static int32_t
emptyhome(struct m *mp, struct gqueue *q, bool close)
{
	struct homequeue *h = &mp->home;
	runtime_lock(&h->lock);
	int32_t n = mp->nhome;
	*q = h->q;
	h->q = (struct gqueue){NULL, NULL};
	h->closed = close;
	h->looks = 0;
	atomic_storerlx(&mp->nhome, 0);
	if (n > 0)
		atomic_xadd(&sched.nhomes, -1);
	runtime_unlock(&h->lock);
	for (struct g *gp = q->head; gp != NULL; gp = gp->schedlink)
		lost(gp);
	return n;
}

// homeclose is for an m that ends.
void
runtime_homeclose(struct m *mp)
{
	HELD(&sched.lock);
	struct gqueue q;
	int32_t n = emptyhome(mp, &q, true);
	if (n > 0)
		runtime_globrunqputbatch(&q, n); // whoever gets its p finds them
}

void
runtime_homeopen(struct m *mp)
{
	runtime_lock(&mp->home.lock);
	mp->home.closed = false;
	runtime_unlock(&mp->home.lock);
}

static struct g *
gohome_m(struct g *gp)
{
	struct m *mp = getg()->m;
	casgstatus(gp, Grunning, Grunnable);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	if (!runtime_homeput(gp))
		runtime_runqput(mp->p, gp, true);
	return runtime_schedule();
}

// gohome goes on on home, if it is to be had. A goroutine's function, with its p.
void
runtime_gohome(struct m *home)
{
	struct g *gp = getg();
	if (gp->m == home || gp->lockedm != NULL || gp->homelost)
		return;
	gp->home = home;
	runtime_mcall(gohome_m);
	gp->home = NULL;
}

// ---- sysmon's ----

// stuck is whether mp sleeps in the kernel with a goroutine, or waits for the turn of one that is bound to it:
// others do not get it then. One that is only not let run by the kernel is not stuck. A guess.
NOSANITIZE static bool
stuck(struct m *mp)
{
	runtime_lock(&sched.lock);
	uint64_t tid = atomic_loadrlx(&mp->procid);
	bool bound = atomic_loadrlx(&mp->lockedg) != NULL;
	bool inside = atomic_loadrlx(&mp->curg) != NULL && atomic_loadrlx(&mp->p) == NULL;
	runtime_unlock(&sched.lock);
	struct blockedcall call;
	return bound || (inside && runtime_threadblocked(tid, &call));
}

// nexthome is the next m of allm behind mp (NULL: from the start) that has goroutines at home.
static struct m *
nexthome(struct m *mp)
{
	runtime_lock(&sched.lock);
	mp = mp == NULL ? sched.allm : mp->alllink;
	while (mp != NULL && atomic_loadrlx(&mp->nhome) == 0)
		mp = mp->alllink;
	runtime_unlock(&sched.lock);
	return mp;
}

// lookhome looks at the queue of mp. True: it is to be given up.
static bool
lookhome(struct m *mp, int64_t now)
{
	struct homequeue *h = &mp->home;
	runtime_lock(&h->lock);
	bool first = h->looks == 0, due = !first && now - h->looked >= HOMEWAIT;
	if (first || due) {
		h->looks++;
		h->looked = now;
	}
	bool enough = h->looks > HOMELOOKS;
	runtime_unlock(&h->lock);
	if (first)
		h->stuck = 0;
	if (!due)
		return false;
	h->stuck = stuck(mp) ? h->stuck + 1 : 0;
	return h->stuck >= STUCKLOOKS || enough;
}

// homecheck lets those go on elsewhere whose home is not to be had. *next becomes the time of the next look, if that
// is earlier.
bool
runtime_homecheck(int64_t now, int64_t *next)
{
	bool did = false;
	if (atomic_loadrlx(&sched.nhomes) == 0)
		return false;
	if (*next > now + HOMEWAIT)
		*next = now + HOMEWAIT;
	for (struct m *mp = NULL; (mp = nexthome(mp)) != NULL;) {
		struct gqueue q;
		if (!lookhome(mp, now))
			continue;
		// From emptyhome on nhomes does not tell checkdead of those any more.
		runtime_incidlelocked(-1);
		int32_t n = emptyhome(mp, &q, false);
		if (n > 0) {
			did = true;
			if (perturb(2))
				runtime_usleep(4000);
			runtime_lock(&sched.lock);
			runtime_globrunqputbatch(&q, n);
			runtime_unlock(&sched.lock);
			for (; n > 0 && atomic_loadrlx(&sched.npidle) != 0; n--)
				runtime_startm(NULL, false);
		}
		runtime_incidlelocked(1);
	}
	return did;
}
