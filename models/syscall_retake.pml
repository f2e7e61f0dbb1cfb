// SPDX-License-Identifier: BSD-3-Clause
// syscall_retake.pml: who has the P of an M that is in a system call.
//
// Models runtime_entersyscall and runtime_exitsyscall (with exitsyscallfast and exitsyscall0) of
// src/rt/proc_p.c, retake of src/rt/sysmon.c, and runtime_handoffp, runtime_startm and
// runtime_stopm of src/rt/proc_m.c.
//
// entersyscall leaves the P behind with status Psyscall, by a store (release: all uses of the P
// come before). From then on whoever wins the compare-and-swap on status has it: the M that comes
// back (to Pidle, which it then acquires: here at once to Prunning), sysmon (to Pidle, then
// handoffp), or another M that comes back and had the same P once. An M that loses takes an idle
// P, or puts its goroutine on the global queue under the same sched.lock under which it saw that
// there is no idle P, and sleeps.
// Nothing depends on how soon the store is seen, so memory is sequentially consistent here.
//
// Goroutines 0 and 1 make system calls; one call at most never returns. 2 only runs, behind 0
// on the queue of P 0: nobody else takes it from there (no stealing), so it needs retake and
// handoffp when 0 does not come back. What sched.lock guards is one transition.
// Properties (assertions, and "quiet" when nothing can move any more):
//   - a P has one owner (an M, sysmon, or the idle list), and an idle P has an empty queue;
//   - a goroutine is on one M only, and is not lost: all end, but for the call that never returns;
//   - no P is left behind in Psyscall.
//
// Bugs to inject (each must be found):
//   -DBUG_EXIT_NO_CAS    exitsyscall loads status, then stores Prunning: two owners.
//   -DBUG_RETAKE_NO_CAS  sysmon does so: two owners.
//   -DBUG_EXIT_UNLOCKED  exitsyscall0 drops sched.lock between "no idle P" and the global
//                        queue: the goroutine is lost.
//   -DBUG_NO_HANDOFF     sysmon puts the P on the idle list without looking at its queue.
//
// Measured: see the table in check.sh.

#define NP 2
#ifndef NM
#define NM 3
#endif
#define NG 3
#ifndef NCALL
#define NCALL 2 // system calls of goroutines 0 and 1
#endif
#define NOP NP
#define NOG NG

#define Grunnable 1
#define Grunning 2
#define Gsyscall 3
#define Gdead 6

#define Pidle 0
#define Prunning 1
#define Psyscall 2

byte status[NP]; // p.status
byte owners[NP]; // for the assertions: Ms and sysmon, never two
bool idlep[NP];  // on sched.pidle
chan runq[NP] = [NG] of { byte };
chan globq = [NG] of { byte };

byte gstatus[NG];
byte ncall[NG];
byte stuck = NOG; // whose call never returns

bool asleep[NM];
byte nextp[NM];

inline take(q) {
	owners[q]++;
	assert(owners[q] == 1)
}

inline release(q) {
	assert(owners[q] == 1);
	owners[q]--
}

inline casgstatus(g, old, new) {
	d_step {
		assert(gstatus[g] == old);
		gstatus[g] = new
	}
}

// sched.lock held, in an atomic.
inline pidleput(q) {
	assert(empty(runq[q]) && !idlep[q]);
	release(q);
	status[q] = Pidle;
	idlep[q] = true
}

// sched.lock held, in an atomic; q becomes NOP if none is idle.
inline pidleget(q) {
	if
	:: idlep[0] -> q = 0
	:: !idlep[0] && idlep[1] -> q = 1
	:: !idlep[0] && !idlep[1] -> q = NOP
	fi;
	if
	:: q != NOP ->
		assert(status[q] == Pidle);
		idlep[q] = false;
		status[q] = Prunning;
		take(q)
	:: else
	fi
}

proctype M(byte id; byte p) {
	byte gp = NOG, oldp = NOP;

	if
	:: p == NOP -> goto sleep
	:: else
	fi;

schedule:
	if
	:: runq[p]?gp -> goto execute
	:: empty(runq[p])
	fi;
	atomic { // sched.lock
		if
		:: globq?gp -> goto execute
		:: empty(globq) -> pidleput(p)
		fi;
		p = NOP
	}

sleep:
	asleep[id] = true;
end_sleep:
	atomic {
		nextp[id] != NOP;
		p = nextp[id];
		nextp[id] = NOP;
		take(p)
	}
	goto schedule;

execute:
	casgstatus(gp, Grunnable, Grunning);
again:
	atomic {
		assert(owners[p] == 1 && status[p] == Prunning);
		if
		:: gp == 2 || ncall[gp] == NCALL ->
			gstatus[gp] = Gdead;
			gp = NOG;
			goto schedule
		:: else -> ncall[gp]++
		fi
	}
	// entersyscall
	casgstatus(gp, Grunning, Gsyscall);
	atomic {
		oldp = p;
		p = NOP;
		release(oldp);
		status[oldp] = Psyscall
	}
	if // the call itself
	:: true
	:: atomic { stuck == NOG -> stuck = gp } -> goto blocked
	fi;
	// exitsyscall
#ifdef BUG_EXIT_NO_CAS
	if
	:: status[oldp] == Psyscall ->
		atomic {
			status[oldp] = Prunning;
			p = oldp;
			take(p)
		}
	:: else
	fi;
#else
	atomic {
		if
		:: status[oldp] == Psyscall ->
			status[oldp] = Prunning;
			p = oldp;
			take(p)
		:: else
		fi
	}
#endif
	oldp = NOP;
	if
	:: p != NOP ->
		casgstatus(gp, Gsyscall, Grunning);
		goto again
	:: else
	fi;
	// exitsyscall0, on g0: the goroutine's stack has been left.
	casgstatus(gp, Gsyscall, Grunnable);
#ifdef BUG_EXIT_UNLOCKED
	atomic { pidleget(p) }
	if
	:: p == NOP -> globq!gp
	:: else
	fi;
#else
	atomic { // sched.lock
		pidleget(p);
		if
		:: p == NOP -> globq!gp
		:: else
		fi
	}
#endif
	if
	:: p != NOP -> goto execute
	:: else ->
		gp = NOG;
		goto sleep
	fi;

blocked:
end_blocked:
	false
}

// retake, whenever it likes, and at last: what it has not retaken it can still retake.
proctype sysmon() {
	byte p, m;

end:	do
	:: atomic { status[0] == Psyscall -> p = 0 } -> goto retake
	:: atomic { status[1] == Psyscall -> p = 1 } -> goto retake
	od;

retake:
	atomic {
#ifndef BUG_RETAKE_NO_CAS
		if
		:: status[p] == Psyscall
		:: else -> goto end
		fi;
#endif
		status[p] = Pidle;
		take(p)
	}
	// handoffp
	atomic { // sched.lock
#ifdef BUG_NO_HANDOFF
		release(p);
		idlep[p] = true;
		goto end
#else
		if
		:: len(runq[p]) + len(globq) == 0 -> pidleput(p); goto end
		:: else -> status[p] = Prunning; release(p) // given to the M that startm wakes
		fi
#endif
	}
	// startm: waits for a sleeping M, as slow as clone may be.
	atomic {
		asleep[0] || asleep[1] || asleep[NM - 2] || asleep[NM - 1];
		d_step {
			m = 0;
			do
			:: !asleep[m] -> m++
			:: else -> break
			od;
			asleep[m] = false;
			nextp[m] = p;
			m = 0;
			p = 0
		}
	}
	goto end
}

proctype quiet() {
	byte i;
	timeout;
	atomic {
		for (i : 0 .. NG - 1) {
			assert(gstatus[i] == Gdead || i == stuck && gstatus[i] == Gsyscall)
		}
		for (i : 0 .. NP - 1) {
			assert(status[i] == Pidle && idlep[i] && owners[i] == 0)
		}
	}
}

init {
	byte i;
	atomic {
		for (i : 0 .. NG - 1) {
			gstatus[i] = Grunnable
		}
		runq[0]!0;
		runq[0]!2;
		runq[1]!1;
		for (i : 0 .. NP - 1) {
			status[i] = Prunning;
			owners[i] = 1
		}
		for (i : 0 .. NM - 1) {
			nextp[i] = NOP
		}
		for (i : 0 .. NM - 1) {
			run M(i, (i < NP -> i : NOP))
		}
		run sysmon();
		run quiet()
	}
}
