// SPDX-License-Identifier: BSD-3-Clause
// checkdead.c: is there anybody left who could ever ready a goroutine?
//
// A goroutine is readied by code that runs: by another goroutine, a timer, the poller, a signal
// that somebody waits for, or a thread that rt0 did not make and that calls in. So the program is
// dead when
//
//   1. no m runs: ms - idle (nmidle) - asleep with a goroutine of their own (nmidlelocked: locked
//      to it, or bound after a system call or a preemption) - the runtime's own (nmsys) is 0. An m
//      in a system call runs. Of the extra ms only those count whose thread is in a call
//      (nextrain): a foreign thread that waits inside rt0 is like any locked m, and wakes nobody.
//      sysmon runs while it polls the network or has something in its hands (incidlelocked);
//   2. no timer is set, and nothing is in the poller (timersarmed, npollwait); who wants signals has an m that
//      waits for them, and runs (sigqueue.c). The m that sleeps in netpoll because of the first two counts as one
//      that runs; when they are gone and it is the only one, it is woken, and goes to sleep as an idle one.
//      Nor is a goroutine runnable, for which sysmon may have to find another thread (nhomes, home.c);
//   3. and there is no foreign thread outside of rt0: the kernel counts as many threads as we know.
//      In pure programs there are no others. Where the kernel does not say (no /proc), nothing is
//      reported.
//
// 1 and 2 change by code that runs, which comes by here when it stops: whoever makes one of the
// counts in 1 such that the sum might be 0 calls checkdead, under sched.lock. 3 changes by itself:
// a thread may end, and nobody of ours is there to see it. So when 3 alone stands against a report,
// deadlook is set and somebody looks again, each time after twice as long: sysmon, or, before it
// has been started, the one m there is (looksleep). A thread of ours that is just ending is seen as
// a foreign one for a moment, and is dealt with in the same way.
//
// No report can be false: under sched.lock nobody gets an idle p, so if no m runs, none can start
// to, but by a foreign thread, which is there when the kernel counts (the count is of one moment:
// a thread that makes another and ends is never missed).
#include "../runtime.h"

enum { LOOKMIN_MS = 10, LOOKMAX_MS = 2000 };

// looknext is how long to wait for the next look, ns; 0: the first of a row.
int64_t
runtime_looknext(int64_t last)
{
	if (last == 0)
		return LOOKMIN_MS * MS;
	return last * 2 < LOOKMAX_MS * MS ? last * 2 : LOOKMAX_MS * MS;
}

struct deadcount {
	int32_t waiting;
};

static void
countwaiting(struct g *gp, void *arg)
{
	struct deadcount *d = arg;
	if (gp->issystem)
		return;
	switch (runtime_readgstatus(gp) & ~(uint32_t)Gscan) {
	case Gwaiting:
	case Gpreempted:
		d->waiting++;
		break;
	case Grunnable:
	case Grunning:
	case Gsyscall:
		runtime_print("runtime: checkdead: find g %lu in status %u\n",
		    (unsigned long)gp->goid, runtime_readgstatus(gp));
		runtime_unlock(&sched.lock);
		runtime_throw("checkdead: runnable g");
	}
}

// foreignoutside is whether a thread that is not ours may be running code of the program's. nin:
// how many are inside.
static bool
foreignoutside(int32_t nin)
{
	if (runtime_hosted == NULL)
		return false;
	int32_t n = runtime_getproccount();
	if (n < 0)
		return true;
	// m0gone: the main thread, parked for ever, is no m any more. ThreadSanitizer has a thread
	// of its own.
	int64_t ours = runtime_mcount() - atomic_loadrlx(&sched.nmextra) + sched.m0gone + RT0_TSAN;
	return n - ours - nin > 0;
}

// checkdead reports a deadlock when there is one. sched.lock is held.
void
runtime_checkdead(void)
{
	HELD(&sched.lock);
	if (sched.islibrary || !sched.mainstarted || atomic_loadrlx(&runtime_panicking) > 0)
		return;
	int32_t nin = atomic_load(&sched.nextrain);
	int64_t run = runtime_mcount() - atomic_loadrlx(&sched.nmextra) + nin - sched.nmidle -
	    sched.nmidlelocked - sched.nmsys;
	bool awaited = runtime_timersarmed() > 0 || atomic_load(&sched.npollwait) > 0;
	if (run > 0) {
		// The one that runs may be asleep in netpoll for what is gone by now. Awake, it comes by here.
		if (run == 1 && !awaited && atomic_load(&sched.lastpoll) == 0)
			runtime_netpollbreak();
		return;
	}
	if (run < 0) {
		runtime_print("runtime: checkdead: nmidle=%d nmidlelocked=%d mcount=%d nmsys=%d "
			      "nmextra=%d inside=%d\n",
		    sched.nmidle, sched.nmidlelocked, (int)runtime_mcount(), sched.nmsys,
		    sched.nmextra, nin);
		runtime_unlock(&sched.lock);
		runtime_throw("checkdead: inconsistent counts");
	}
	if (awaited || atomic_load(&sched.nhomes) > 0)
		return;
	if (foreignoutside(nin) || atomic_load(&sched.nextrain) != nin) {
		// sysmon may sleep without a limit, because an m was still running when it looked.
		if (atomic_xchg(&sched.deadlook, 1) == 0 && sched.sysmonwait) {
			atomic_storerlx(&sched.sysmonwait, 0);
			runtime_notewakeup(&sched.sysmonnote);
		}
		return;
	}
	struct deadcount d = {0};
	runtime_foreachg(countwaiting, &d);
	runtime_unlock(&sched.lock);
	if (d.waiting == 0)
		runtime_fatal("no goroutines (main called runtime.Goexit) - deadlock!");
	runtime_fatal("all goroutines are asleep - deadlock!");
}

// lookagain is checkdead for who was asked by deadlook. It tells whether to come again. sched.lock
// is held.
bool
runtime_lookagain(void)
{
	atomic_storerlx(&sched.deadlook, 0);
	runtime_checkdead();
	return sched.deadlook != 0;
}

// looksleep is notesleep for an m that goes to rest. As long as there is no sysmon it looks itself.
// (A thread more, at this point, might be one too many for a program that works.)
void
runtime_looksleep(struct note *n)
{
	int64_t ns = 0;
	while (unlikely(atomic_loadrlx(&sched.deadlook) != 0) &&
	    !atomic_loadrlx(&sched.sysmonstarted)) {
		ns = runtime_looknext(ns);
		if (runtime_notetsleep(n, ns))
			return;
		runtime_lock(&sched.lock);
		runtime_lookagain();
		runtime_unlock(&sched.lock);
	}
	runtime_notesleep(n);
}
