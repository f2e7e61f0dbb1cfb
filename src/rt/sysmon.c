// SPDX-License-Identifier: BSD-3-Clause
// sysmon.c: the thread that watches the others.
//
// sysmon runs without a p. It sleeps 20 µs between looks, after 50 looks that found nothing twice as
// long each time, at most 10 ms; not at all while every p is idle. It takes back the ps of ms that
// are long in system calls, asks goroutines that run for more than 10 ms to give way, wakes a p
// for what the runnext-only dance (runq.c) left lying, gives pages of dead stacks back, and
// prints schedtrace.
//
// It starts when a second goroutine does (runtime_grow, proc_p.c).
#include "../runtime.h"

static const int64_t forcepreemptns = 10 * MS;
static const int64_t scavengeperiod = SEC;

// preemptone asks the goroutine that pp runs to give way. It may come too late or hit the next one:
// harmless. Goroutines look at the request when they call the runtime.
bool
runtime_preemptone(struct p *pp)
{
	struct m *mp = atomic_loadrlx(&pp->m);
	if (mp == NULL || mp == getg()->m)
		return false;
	// An m and a g are never unmapped: a stale one may be written to.
	struct g *gp = atomic_loadacq(&mp->curg); // pairs with execute's release
	if (gp == NULL)
		return false;
	atomic_storerlx(&gp->stackguard0, STACKPREEMPT);
	return true;
}

void
runtime_preemptall(void)
{
	for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++)
		if (atomic_loadrlx(&runtime_pat(i)->status) == Prunning)
			runtime_preemptone(runtime_pat(i));
}

// retake looks at every p. Returns whether it did anything.
static bool
retake(int64_t now)
{
	bool did = false;
	int32_t idle = atomic_loadrlx(&sched.npidle);
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
				pd->schedwhen = now;
			} else if (pd->schedwhen + forcepreemptns <= now) {
				// In a system call there is no m to ask: the p is taken below. A
				// goroutine that does nothing but short calls would go on for ever.
				slice = true;
				runtime_preemptone(pp);
			}
			if (pd->oldestwhen + forcepreemptns <= now) {
				pd->oldestwhen = now;
				atomic_storerlx(&pp->oldest, 1); // runq.c: newq
			}
		}
		if (s == Prunning) {
			// The same goroutine as a tick ago, others wait behind it, and a p is free.
			uint64_t n = atomic_loadrlx(&pp->nswitch);
			if (pd->nswitch == n && idle > 0 && !runtime_runqempty(pp)) {
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
			if (runtime_runqempty(pp) && atomic_loadrlx(&sched.nmspinning) + idle > 0 && pd->syscallwhen + 10 * MS > now)
				continue;
			pd->syscalltick = t;
			// The m counts as running until it is back: no false deadlock when its p idles.
			runtime_lock(&sched.lock);
			sched.nmidlelocked--;
			runtime_unlock(&sched.lock);
			if (atomic_cas_acqrel(&pp->status, Psyscall, Pidle)) {
				atomic_storerlx(&pp->syscalltick, pp->syscalltick + 1);
				did = true;
				runtime_handoffp(pp);
			}
			runtime_lock(&sched.lock);
			sched.nmidlelocked++;
			runtime_checkdead();
			runtime_unlock(&sched.lock);
		}
	}
	return did;
}

static void
sysmon(void)
{
	runtime_lock(&sched.lock);
	sched.nmsys++;
	runtime_checkdead();
	runtime_unlock(&sched.lock);
	int64_t lasttrace = 0, lastscavenge = 0;
	int64_t look = 0; // ns to the next look for a deadlock
	int32_t idle = 0; // looks in a row that found nothing
	uint32_t delay = 0;
	for (;;) {
		if (idle == 0)
			delay = 20;
		else if (idle > 50)
			delay *= 2;
		if (delay > 10 * 1000)
			delay = 10 * 1000;
		if (delay <= 80) {
			runtime_usleep(delay);
		} else {
			// Long: lazywake (proc.c) may cut it short by making the word 0.
			atomic_store(&sched.sysmonslow, 1);
			if (atomic_load(&sched.lazywake) == 0)
				runtime_futexsleep(&sched.sysmonslow, 1, delay * 1000ll);
			atomic_storerlx(&sched.sysmonslow, 0);
		}
		if (atomic_loadrlx(&sched.stopping))
			return;
		int64_t now = runtime_nanotime();
		if (debug.schedtrace <= 0 && (atomic_loadrlx(&sched.gcwaiting) || atomic_loadrlx(&sched.npidle) == atomic_loadrlx(&sched.gomaxprocs))) {
			runtime_lock(&sched.lock);
			if (atomic_loadrlx(&sched.gcwaiting) || atomic_loadrlx(&sched.npidle) == atomic_loadrlx(&sched.gomaxprocs)) {
				// All idle: sleep until pidleget or startTheWorld calls. Dead stacks that
				// nobody has looked at are a reason to look again in a while.
				// So are threads that are not ours (checkdead.c).
				int64_t ns = runtime_stackscavenge() > 0 ? scavengeperiod : -1;
				look = runtime_lookagain() ? runtime_looknext(look) : 0;
				if (look != 0 && (ns < 0 || look < ns))
					ns = look;
				atomic_storerlx(&sched.sysmonwait, 1);
				runtime_unlock(&sched.lock);
				if (runtime_notetsleep(&sched.sysmonnote, ns))
					look = 0; // somebody ran meanwhile
				runtime_lock(&sched.lock);
				atomic_storerlx(&sched.sysmonwait, 0);
				runtime_noteclear(&sched.sysmonnote);
				idle = 0;
				delay = 20;
			}
			runtime_unlock(&sched.lock);
			if (atomic_loadrlx(&sched.stopping))
				return;
			now = runtime_nanotime();
		}
		runtime_lock(&sched.sysmonlock);
		bool did = atomic_loadrlx(&sched.lazywake) != 0;
		atomic_storerlx(&sched.lazywake, 0);
		did |= retake(now);
		runtime_unlock(&sched.sysmonlock);
		idle = did ? 0 : idle + 1;
		if (debug.schedtrace > 0 && lasttrace + debug.schedtrace * MS <= now) {
			lasttrace = now;
			runtime_schedtrace(debug.scheddetail > 0);
			if (atomic_loadrlx(&sched.deadlook) != 0) { // sysmon never sleeps long then
				runtime_lock(&sched.lock);
				runtime_lookagain();
				runtime_unlock(&sched.lock);
			}
		}
		if (lastscavenge + scavengeperiod <= now) {
			lastscavenge = now;
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
