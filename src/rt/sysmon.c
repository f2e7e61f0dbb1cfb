// SPDX-License-Identifier: BSD-3-Clause
// sysmon.c: the thread that watches the others.
//
// sysmon runs without a p. It sleeps 20 µs between looks, after 50 looks that found nothing twice as
// long each time, at most 10 ms; not at all while every p is idle. It takes back the ps of ms that
// are long in system calls, declared or not, asks goroutines that run for more than 10 ms to give way, wakes a p
// for what the runnext-only dance (runq.c) left lying, polls the network and has timers looked at when nobody
// else does, gives pages of dead stacks back, and prints schedtrace.
//
// It starts when a second goroutine does (runtime_grow, proc_p.c).
#include "../runtime.h"

static const int64_t blockedcheckns = MS / 4, blockedcheckmax = 4 * MS;
static const int64_t retryns = MS / 10;
static const int64_t scavengeperiod = SEC;

// wakesysmon ends a long sleep of sysmon's.
void
runtime_wakesysmon(void)
{
	if (atomic_loadrlx(&sched.sysmonslow) != 0 && atomic_xchg(&sched.sysmonslow, 0) != 0)
		runtime_futexwakeup(&sched.sysmonslow, 1);
}

// stuck tells whether the thread that runs on pp gets no CPU time: it sleeps in the kernel, or the machine is
// busy. While others wait it is asked soon and then half as often each time it is not; seldom where goroutines
// come and go; else with sysmon's own ticks, to know for how long it has slept when somebody comes.
static bool
stuck(struct p *pp, struct m *mp, int64_t now, bool waiting, int64_t *next)
{
	struct sysmontick *pd = &pp->sysmontick;
	uint64_t n = atomic_loadrlx(&pp->nswitch), tid = atomic_loadrlx(&mp->procid);
	bool still = false;
	if (pd->cpum != mp || pd->cpuswitch != n) {
		pd->cpum = mp;
		pd->cpuswitch = n;
		pd->cpufrom = pd->looked;
		pd->cpuback = pd->cpuback < blockedcheckns ? blockedcheckns : pd->cpuback * 2 < blockedcheckmax ? pd->cpuback * 2 : blockedcheckmax;
		// A goroutine that has just begun is not asked about at once, but where those before it did not block: each
		// look costs what runs 25 us, and this one is for nothing else.
		pd->cpu = waiting && pd->cpuback >= MS ? runtime_threadcputime(tid) : -1;
		pd->cpusince = pd->cpuseen = now;
		pd->cpunext = now + (waiting ? pd->cpuback : 10 * MS);
	} else if (now >= pd->cpunext || (waiting && !pd->cpuwaiting)) {
		int64_t cpu = runtime_threadcputime(tid), passed = now - pd->cpusince;
		still = cpu == pd->cpu;
		if (still)
			pd->cpuback = 0;
		int64_t seen = pd->cpuseen;
		pd->cpuseen = now;
		if (still || pd->cpu < 0 || cpu - pd->cpu < passed / 16)
			pd->cpunext = now + blockedcheckns;
		else
			pd->cpunext = now + 2 * passed;
		if (!waiting)
			pd->cpunext = now + 10 * MS;
		if (!still) {
			if (pd->cpu >= 0)
				pd->cpufrom = seen;
			pd->cpusince = now;
			pd->cpu = cpu;
		}
	}
	pd->looked = now;
	pd->cpuwaiting = waiting;
	if (waiting && *next > pd->cpunext)
		*next = pd->cpunext;
	return still;
}

// retake looks at every p. Returns whether it did anything. *next becomes the time of the next thing to
// be done, if that is earlier.
static bool
retake(int64_t now, int64_t *next)
{
	bool did = false;
	int32_t idle = atomic_loadrlx(&sched.npidle);
	int64_t slicens = runtime_slice();
	for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++) {
		struct p *pp = runtime_pat(i);
		if (pp == NULL)
			continue;
		struct sysmontick *pd = &pp->sysmontick;
		uint32_t s = atomic_loadacq(&pp->status);
		bool slice = false; // its goroutine has had its time
		if (s == Prunning || s == Psyscall) {
			uint32_t t = atomic_loadrlx(&pp->schedtick);
			if (pd->schedtick != t) {
				pd->schedtick = t;
				pd->schedwhen = now - pd->asked < 2 * MS ? pd->asked : now;
			} else if (pd->schedwhen + slicens <= now) {
				// In a system call there is no m to ask: the p is taken below. A
				// goroutine that does nothing but short calls would go on for ever.
				slice = true;
				runtime_preemptone(pp, false, false, NULL);
			}
			if (pd->oldestwhen + slicens <= now) {
				pd->oldestwhen = now;
				atomic_storerlx(&pp->oldest, 1); // runq.c: newq
			}
		}
		struct m *mp = atomic_loadrlx(&pp->m);
		int64_t timer = runtime_timernext(pp);
		bool waiting = atomic_loadrlx(&sched.runqsize) > 0 || atomic_loadrlx(&sched.nhomem) > 0 ||
			       !runtime_runqempty(pp) || timer <= now;
		bool asleep = s == Prunning && mp != NULL && stuck(pp, mp, now, waiting, next);
		if (s == Prunning && mp != NULL && waiting) {
			// Its slice is over, or (perhaps) it sleeps: by signal, once there is somebody
			// to take the p. The handler cannot start a thread.
			if (slice || asleep) {
				bool spare = runtime_sparem();
				if (slice)
					pd->asked = now;
				runtime_preemptone(pp, true, slice && (spare || atomic_loadrlx(&sched.nbound) > 0), pd);
				*next = now + retryns; // it may be where it cannot be stopped
			} else if (*next > pd->schedwhen + slicens) {
				*next = pd->schedwhen + slicens;
			}
		}
		if (s == Prunning && timer > now && timer != INT64_MAX) {
			// When the timer is due, and its goroutine has had its time.
			int64_t when = timer > pd->schedwhen + slicens ? timer : pd->schedwhen + slicens;
			if (*next > when)
				*next = when;
		} else if (s == Psyscall && *next > timer) {
			*next = timer;
		}
		if (s == Prunning) {
			// The same goroutine as a tick ago, others wait behind it, and a p is free.
			uint64_t n = atomic_loadrlx(&pp->nswitch);
			// (waiting: or on the global queue. A goroutine is stopped in its handler while a p goes
			// idle, and nobody is told.)
			if (pd->nswitch == n && idle > 0 && waiting) {
				runtime_wakep();
				did = true;
			}
			pd->nswitch = n;
		} else if (s == Psyscall) {
			uint32_t t = atomic_loadrlx(&pp->syscalltick);
			if (!slice && pd->syscalltick != t) {
				// The first tick that sees this call: it may be a short one.
				pd->syscalltick = t;
				pd->syscallwhen = now;
				continue;
			}
			// Nothing to do for it, somebody else looks for work, not yet 10 ms: it stays.
			if (runtime_runqempty(pp) && atomic_loadrlx(&sched.nhomem) == 0 && timer > now &&
			    atomic_loadrlx(&sched.nmspinning) + idle > 0 && pd->syscallwhen + 10 * MS > now)
				continue;
			pd->syscalltick = t;
			// The m counts as running until it is back: no false deadlock when its p idles.
			runtime_incidlelocked(-1);
			if (atomic_cas_acqrel(&pp->status, Psyscall, Pidle)) {
				atomic_storerlx(&pp->syscalltick, pp->syscalltick + 1);
				did = true;
				runtime_handoffp(pp);
			}
			runtime_incidlelocked(1);
		}
	}
	return did;
}

// pollforothers looks after the network and the timers while nobody sleeps in netpoll: all ps that have an m are
// busy. Returns whether it found anything; *next as retake.
static bool
pollforothers(int64_t now, int64_t *next)
{
	int64_t last = atomic_loadrlx(&sched.lastpoll);
	if (!runtime_netpollinited() || last == 0)
		return false;
	bool did = false;
	if (atomic_loadrlx(&sched.npollwait) > 0 && last + 10 * MS <= now && atomic_cas(&sched.lastpoll, last, now)) {
		// From netpoll on npollwait does not tell checkdead of those that it finds any more.
		runtime_incidlelocked(-1);
		struct gqueue q = {NULL, NULL};
		int32_t n = runtime_netpoll(0, &q);
		if (perturb(2))
			runtime_usleep(4000);
		runtime_injectglist(&q, n);
		runtime_incidlelocked(1);
		did = n > 0;
	}
	if (atomic_loadrlx(&sched.npidle) > 0) {
		int64_t timer = runtime_timersnext();
		if (timer <= now) {
			runtime_startm(NULL, false);
			did = true;
		} else if (*next > timer) {
			*next = timer;
		}
	}
	return did;
}

// What sysmon remembers from one look to the next; its own.
static struct sysmonstate {
	int64_t now, next;     // the time of this look; when something is due that it knows of
	int64_t woken;         // when the sleep while all were idle ended
	int64_t lasttrace, lastscavenge;
	int64_t deadlook;      // ns to the next look for a deadlock
	int32_t idle;          // looks in a row that found nothing
	uint32_t delay;        // us
	int32_t bound;         // sched.nbound at the last look
	struct m *newmlast;    // the thread that was being made, and since when
	int64_t newmwhen;
	uint64_t npidleget;    // sched.npidleget at the last look
	int64_t alonefrom;     // not alone again before
} mon;

static void
tick(void)
{
	mon.now = runtime_nanotime();
	atomic_storerlx(&sched.coarsenow, mon.now);
}

// nap sleeps between two looks: 20 us while they find something, up to 10 ms while they do not, and not beyond
// next.
static void
nap(void)
{
	if (mon.idle == 0)
		mon.delay = 20;
	else if (mon.idle > 50)
		mon.delay *= 2;
	if (mon.delay > 10 * 1000)
		mon.delay = 10 * 1000;
	uint32_t us = mon.delay;
	if (mon.next != INT64_MAX) {
		// Somebody waits for a slice to end, or for a thread that may be asleep.
		int64_t left = (mon.next - mon.now) / 1000;
		us = left < 20 ? 20 : left > 10 * 1000 ? 10 * 1000 : (uint32_t)left;
	}
	if (us <= 80) {
		runtime_usleep(us);
	} else {
		// Long: lazywake (proc.c) and who comes back without a p may cut it
		// short by making the word 0. Dekker with both.
		atomic_store(&sched.sysmonslow, 1);
		if (atomic_load(&sched.lazywake) == 0 && atomic_load(&sched.nbound) <= mon.bound)
			runtime_futexsleep(&sched.sysmonslow, 1, us * 1000ll);
		atomic_storerlx(&sched.sysmonslow, 0);
	}
	tick();
}

// allidle is whether nobody runs goroutines: who is to will wake us. Not while homecheck has to look.
static bool
allidle(void)
{
	return atomic_loadrlx(&sched.gcwaiting) ||
	       (atomic_loadrlx(&sched.npidle) == atomic_loadrlx(&sched.gomaxprocs) && atomic_loadrlx(&sched.nhomes) == 0);
}

// rest sleeps, while all ps are idle or the world is stopped, until pidleget or startTheWorld calls. Dead stacks
// that nobody has looked at are a reason to look again in a while. So are threads that are not ours (checkdead.c).
static void
rest(void)
{
	if (!allidle() || debug.schedtrace > 0)
		return;
	if (!atomic_loadrlx(&sched.gcwaiting) && mon.now - mon.woken < 10 * MS) {
		// Woken a moment ago, by somebody who has become idle again: a server with little to do, for
		// whom to wake us costs more than the request. Not so often.
		mon.idle = 51;
		mon.delay = 10 * 1000;
		return;
	}
	runtime_lock(&sched.lock);
	if (allidle()) {
		int64_t ns = mon.lastscavenge + scavengeperiod - mon.now;
		if (ns <= 0) {
			mon.lastscavenge = mon.now;
			ns = runtime_stackscavenge() > 0 ? scavengeperiod : -1;
		} else if (sched.gfree == NULL) {
			ns = -1;
		}
		mon.deadlook = runtime_lookagain() ? runtime_looknext(mon.deadlook) : 0;
		if (mon.deadlook != 0 && (ns < 0 || mon.deadlook < ns))
			ns = mon.deadlook;
		atomic_storerlx(&sched.sysmonwait, 1);
		atomic_storerlx(&sched.coarsenow, 0);
		runtime_unlock(&sched.lock);
		if (runtime_notetsleep(&sched.sysmonnote, ns))
			mon.deadlook = 0; // somebody ran meanwhile
		runtime_lock(&sched.lock);
		atomic_storerlx(&sched.sysmonwait, 0);
		runtime_noteclear(&sched.sysmonnote);
		mon.idle = 0;
		mon.delay = 20;
	}
	runtime_unlock(&sched.lock);
	tick();
	mon.woken = mon.now;
}

// look does what is due, and tells whether it found anything.
static bool
look(void)
{
	int64_t now = mon.now;
	runtime_lock(&sched.sysmonlock);
	bool did = atomic_loadrlx(&sched.lazywake) != 0;
	atomic_storerlx(&sched.lazywake, 0);
	mon.next = INT64_MAX;
	mon.bound = atomic_loadrlx(&sched.nbound);
	did |= retake(now, &mon.next);
	did |= pollforothers(now, &mon.next);
	did |= runtime_homecheck(now, &mon.next);
	if (atomic_loadrlx(&sched.needspare) != 0) {
		atomic_storerlx(&sched.needspare, 0);
		runtime_sparem();
		did = true;
	}
	// A thread that cannot be made: see takebackps.
	struct m *cur = atomic_loadacq(&sched.newmcur);
	if (cur == NULL || cur != mon.newmlast) {
		mon.newmlast = cur;
		mon.newmwhen = now;
	} else if (mon.newmwhen + 10 * MS <= now && atomic_loadrlx(&sched.nbound) > 0) {
		mon.newmwhen = now;
		runtime_takebackps();
	}
	runtime_unlock(&sched.sysmonlock);
	return did;
}

// lookalone: see "the lone p" (proc_p.c).
static void
lookalone(void)
{
	uint64_t n = atomic_loadrlx(&sched.npidleget);
	int32_t procs = atomic_loadrlx(&sched.gomaxprocs);
	if (atomic_loadrlx(&sched.alonebroken) != 0) {
		atomic_storerlx(&sched.alonebroken, 0);
		mon.alonefrom = perturb(2) ? 0 : mon.now + MS;
	}
	if (n == mon.npidleget && mon.now >= mon.alonefrom && atomic_loadrlx(&sched.alone) == 0 && procs > 1 &&
	    atomic_loadrlx(&sched.npidle) == procs - 1 && !runtime_goalone())
		mon.alonefrom = INT64_MAX;
	mon.npidleget = n;
}

static void
sysmon(void)
{
	mon = (struct sysmonstate){.next = INT64_MAX}; // rt0_start may come again
	if (atomic_loadrlx(&sched.canbarrier) == 0)
		mon.alonefrom = runtime_nanotime() + 100 * MS; // growbarrier: not in a program that soon ends
	runtime_lock(&sched.lock);
	sched.nmsys++;
	runtime_checkdead();
	runtime_unlock(&sched.lock);
	for (;;) {
		nap();
		if (atomic_loadrlx(&sched.stopping))
			return;
		rest();
		if (atomic_loadrlx(&sched.stopping))
			return;
		mon.idle = look() ? 0 : mon.idle + 1;
		lookalone();
		if (debug.schedtrace > 0 && mon.lasttrace + debug.schedtrace * MS <= mon.now) {
			mon.lasttrace = mon.now;
			runtime_schedtrace(debug.scheddetail > 0);
			if (atomic_loadrlx(&sched.deadlook) != 0) { // sysmon never sleeps long then
				runtime_lock(&sched.lock);
				runtime_lookagain();
				runtime_unlock(&sched.lock);
			}
		}
		if (mon.lastscavenge + scavengeperiod <= mon.now) {
			mon.lastscavenge = mon.now;
			runtime_lock(&sched.lock);
			runtime_stackscavenge();
			runtime_unlock(&sched.lock);
		}
	}
}

static void
sysmonmain(void)
{
	sysmon();
	runtime_quitthread(); // rt0_stop
}

static void
startsysmon_m(void *arg)
{
	(void)arg;
	runtime_newm(sysmonmain, NULL, -1);
}

void
runtime_startsysmon(void)
{
	if (atomic_xchg(&sched.sysmonstarted, 1) == 0)
		runtime_systemstack(startsysmon_m, NULL);
}
