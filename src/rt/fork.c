// SPDX-License-Identifier: BSD-3-Clause
// fork.c: what becomes of the runtime in the child of a fork.
//
// The child has one thread, the one that called fork. If the program had no more than that (main,
// before its first go statement: a daemon that detaches, a server that forks its workers first) the
// child is as good as its parent: nothing to do.
//
// Otherwise the other threads are gone in the middle of whatever they did: with goroutines half
// run, with locks held. Stopping the world before each fork would give a child with all goroutines
// but one at rest; but it would make each fork wait for all that runs, nearly all children exec at
// once, and the goroutines would do in two processes what they were started to do in one. So the
// child is a plain C process (runtime_forked): whoever forked goes on, on its goroutine's stack,
// with the libc's guarantees for such a child; it may exec, exit, return from main, print, panic,
// and use what does not wait (rt0_alloc, if it needs no lock that was held; malloc always). To
// start a goroutine or to wait for one is fatal with a text, and never a hang:
//
//   mainstarted, grown   false: rt0_go comes by grow, foreign calls are refused
//   gcwaiting            true: no direct switch; schedule ends in gcstopm, which reports
//   gosched_m            runs its caller on
//   locks                one that is not free was held by a thread that is gone: fatal. Those for
//                        printing and of the scheduler, which schedules no more, are freed
//
// No rule by which a child has goroutines "if all other threads happen to rest" was made: whether
// they do is a matter of microseconds, and a program that forks well mostly is worse than one that
// is told the first time.
//
// fork calls forkchild by pthread_atfork. There is nothing to do before: the thread that forks may
// be preempted until the libc has all its locks, and must be, since whoever is stopped may hold one
// of them. _Fork, vfork and clone call nothing: their children have exec and _exit only, and a
// handler of ours that runs in them asks isforkchild.
#include "../runtime.h"

uint32_t runtime_forked;

void
runtime_forkedfatal(void)
{
	runtime_fatal(
	    "goroutines stay in the parent of a fork: the child cannot start them or wait");
}

// forkedlock is what becomes of a thread of the child that finds a lock taken. It may be on its way
// into a report.
void
runtime_forkedlock(void)
{
	struct g *gp = getg();
	if (gp != NULL && gp->m->dying == 0)
		runtime_fatal("a lock of the runtime was held when this process was forked");
	runtime_exitprocess(2);
}

// forkchild runs in the child, alone. Plain stores will do.
void
runtime_forkchild(void)
{
	static struct p spare; // for who has forked while its p was in other hands
	struct g *gp = getg();
	// First: until procid is ours the handler knows us for a child that receives nothing.
	runtime_sigforked();
	if (gp != NULL) {
		struct m *mp = gp->m;
		mp->procid = runtime_gettid();
		runtime_netpollforked();
		if (!sched.grown && runtime_mcount() == 1)
			return;
		if (runtime_readgstatus(gp) == Gsyscall) {
			if (mp->oldp == NULL || mp->oldp->status != Psyscall) {
				spare.status = Psyscall;
				mp->oldp = &spare;
			}
		} else if (mp->p == NULL || mp->p->m != mp) {
			spare.status = Prunning;
			spare.m = mp;
			mp->p = &spare;
		}
		gp->stackguard0 = gp->stack.lo;
	}
	runtime_forked = 1;
	sched.lock.key = 0;
	sched.gfreeseq = 0; // who had the lock may have made it odd
	sched.mainstarted = false;
	sched.grown = 0;
	sched.gcwaiting = 1;
	sched.stopwait = 0; // reentersyscall keeps its p
	sched.npidle = 0;
	sched.alone = sched.busy = 0;
	sched.sysmonwait = 0;
	sched.asyncready = 0; // nobody sends any more
	runtime_forkpanic();
}
