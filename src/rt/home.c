// SPDX-License-Identifier: BSD-3-Clause
// home.c: a goroutine that has waited goes back to the thread that it was on before.
//
// errno and thread-locals belong to threads, and compilers keep their addresses across calls: __errno_location is
// declared const. A C function that looks at errno, calls read, and looks at errno again, looks at that of the
// thread it was on before read; if read has returned on another, at some other goroutine's. So a call of
// librt0_posix that has parked returns on the thread on which it was entered. Errors alone would not do: a
// read that succeeds, and so moves the goroutine, may be followed by one that fails at once, in the same function.
//
// The goroutine parks once more (gohome_m), as one that wants a certain m, and puts itself on a list that every m
// looks at before it takes work from queues (takehome), if its nhome tells that there is some for it. If the m is
// idle it is woken: with an idle p, or with the p of who asks, who then sleeps in its place.
//
// The m may not be to be had: its goroutine may sleep in a futex for a lock that we hold, or be stopped in the
// preemption handler, or be bound to it for ever. To wait for it could be to wait for oneself. So the wait is
// bounded, by STUCKTRIES times HOMEWAIT if it looks like that and HOMETRIES times if it does not (the kernel may not
// let it run); then the goroutine goes on where it is. Strictness without a bound would be a
// deadlock: a goroutine that holds a mutex, parks, and may only go on on the thread that sleeps for that mutex.
//
// A homewait lies on its goroutine's stack. state: PREP, then WAIT when it is on the list; from there TAKEN by
// takehome or LATE by the timer, whoever is first. In PREP the timer makes it LATE as well, and gohome_m, which
// cannot make it WAIT then, runs the goroutine on. To leave, the goroutine stops the timer, and takes itself off
// the list under sched.lock, which gohome_m holds as long as it looks at the homewait.
#include "../runtime.h"

enum { PREP, WAIT, TAKEN, LATE };
enum { HOMETRIES = 200, STUCKTRIES = 4 };
static const int64_t HOMEWAIT = 5 * MS;
static const int64_t FIRSTWAIT = MS / 4; // it may just be on its way to bed, and then has to be woken

struct homewait {
	struct homewait *next; // sched.lock
	struct g *gp;
	uint64_t id;    // of the m that is wanted
	uint32_t state; // atomic
	bool listed;    // sched.lock
	bool gone;      // the m has ended
	int64_t wait;   // ns
	struct timer t;
};

static struct homewait *homes; // sched.lock

static struct g *
homelate(struct timer *t, int64_t now)
{
	(void)now;
	struct homewait *w = t->arg;
	struct g *gp = w->gp;
	for (;;) {
		uint32_t s = atomic_load(&w->state);
		if (s == TAKEN || s == LATE)
			return NULL;
		if (atomic_cas(&w->state, s, LATE))
			return s == WAIT ? gp : NULL;
	}
}

static void
unlist(struct homewait *w)
{
	HELD(&sched.lock);
	if (!w->listed)
		return;
	struct homewait **l = &homes;
	while (*l != w)
		l = &(*l)->next;
	*l = w->next;
	w->listed = false;
	for (struct m *mp = sched.allm; mp != NULL; mp = mp->alllink)
		if ((uint64_t)mp->id == w->id && mp->nhome > 0)
			atomic_storerlx(&mp->nhome, mp->nhome - 1);
}

// takehome returns a goroutine that wants to run on mp, the current m, made runnable; NULL: there is none left.
struct g *
runtime_takehome(struct m *mp)
{
	struct g *gp = NULL;
	runtime_lock(&sched.lock);
	for (struct homewait *w = homes, *next; w != NULL && gp == NULL; w = next) {
		next = w->next;
		if (w->id != (uint64_t)mp->id)
			continue;
		gp = w->gp;
		unlist(w);
		if (!atomic_cas(&w->state, WAIT, TAKEN))
			gp = NULL; // late
	}
	runtime_unlock(&sched.lock);
	if (gp != NULL)
		runtime_casgstatus(gp, Gwaiting, Grunnable);
	return gp;
}

// takeidle takes mp off the list of idle ms. False: it is not there.
static bool
takeidle(struct m *mp)
{
	HELD(&sched.lock);
	for (struct m **l = &sched.midle; *l != NULL; l = &(*l)->schedlink) {
		if (*l != mp)
			continue;
		*l = mp->schedlink;
		mp->schedlink = NULL;
		sched.nmidle--;
		sched.nwake++;
		return true;
	}
	return false;
}

static struct g *
gohome_m(struct g *gp)
{
	struct homewait *w = gp->param;
	struct m *mp = getg()->m, *home;
	runtime_casgstatus(gp, Grunning, Gwaiting);
	atomic_storerel(&mp->curg, NULL);
	gp->m = NULL;
	runtime_timerstart(&w->t, runtime_nanotime() + w->wait, 0);
	runtime_lock(&sched.lock);
	for (home = sched.allm; home != NULL && (uint64_t)home->id != w->id;)
		home = home->alllink;
	bool listed = home != NULL && atomic_cas(&w->state, PREP, WAIT);
	if (!listed) {
		// It has ended, or the time is up before it began. homelate has readied nobody.
		w->gone = home == NULL;
		atomic_store(&w->state, TAKEN);
		runtime_unlock(&sched.lock);
		runtime_casgstatus(gp, Gwaiting, Grunnable);
		runtime_runqput(mp->p, gp, true);
		return runtime_schedule();
	}
	w->next = homes;
	homes = w;
	w->listed = true;
	atomic_storerlx(&home->nhome, home->nhome + 1);
	struct p *pp = NULL;
	bool idle = !atomic_loadrlx(&sched.gcwaiting) && takeidle(home);
	if (idle)
		pp = runtime_pidleget();
	bool polling = atomic_loadrlx(&sched.lastpoll) == 0;
	runtime_unlock(&sched.lock);
	// From here gp may run, and w be gone.
	if (!idle) {
		if (polling)
			runtime_netpollbreak(); // it may be the one that sleeps there
		return runtime_schedule();
	}
	bool ours = pp == NULL;
	if (ours)
		pp = runtime_releasep();
	home->nextp = pp;
	runtime_notewakeup(&home->park);
	if (ours)
		runtime_stopm();
	return runtime_schedule();
}

// stuck is whether the m with this id sleeps in the kernel with a goroutine, or waits for the turn of one that is
// bound to it: others do not get it then. One that is only not let run by the kernel is not stuck. A guess.
NOSANITIZE static bool
stuck(uint64_t id)
{
	uint64_t tid = 0;
	bool bound = false, inside = false;
	runtime_lock(&sched.lock);
	for (struct m *mp = sched.allm; mp != NULL; mp = mp->alllink) {
		if ((uint64_t)mp->id != id)
			continue;
		tid = atomic_loadrlx(&mp->procid);
		bound = atomic_loadrlx(&mp->lockedg) != NULL;
		inside = atomic_loadrlx(&mp->curg) != NULL && atomic_loadrlx(&mp->p) == NULL;
	}
	runtime_unlock(&sched.lock);
	struct blockedcall call;
	return bound || (inside && runtime_threadblocked(tid, &call));
}

// gohome returns on the m with this id, if it is to be had. A goroutine's function, with its p.
void
runtime_gohome(uint64_t id)
{
	struct g *gp = getg();
	for (int i = 0, n = 0; i < HOMETRIES && (uint64_t)gp->m->id != id && gp->lockedm == NULL; i++) {
		if (i > 0 && stuck(id) && ++n == STUCKTRIES)
			return;
		struct homewait w = {.gp = gp, .id = id, .state = PREP, .wait = i == 0 ? FIRSTWAIT : HOMEWAIT};
		w.t.fire = homelate;
		w.t.arg = &w;
		gp->param = &w;
		gp->waitreason = waitReasonThread;
		gp->waitsince = 0;
		runtime_mcall(gohome_m);
		runtime_timerstop(&w.t);
		runtime_lock(&sched.lock);
		unlist(&w);
		runtime_unlock(&sched.lock);
		if (w.gone)
			return;
	}
}
