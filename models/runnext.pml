// SPDX-License-Identifier: BSD-3-Clause
// runnext.pml: a goroutine that was readied into runnext without waking anybody does not stay
// there behind one that never yields (the "runnext-only dance", rt0's own).
//
// Models runtime_ready and runtime_schedule of src/rt/proc.c, runtime_runqput of src/rt/runq.c
// (with runqget and runqsteal reduced to runnext), runtime_pidleget of src/rt/proc_p.c, and sysmon
// and retake of src/rt/sysmon.c. The wake-up itself is the spinning-to-idle dance, spinning.pml;
// here it is kept short: whoever runs out of work searches, and rechecks after nmspinning--.
//
// The dance. ready() of a goroutine into an empty runnext, with both queues empty, stores runnext,
// then lazywake = 1, both plain, and wakes nobody. Then one of these runs it:
//   (a) the P's own M, at its next schedule;
//   (b) an M that runs out of work and steals it. One that rechecks after nmspinning-- does not
//       take it, but sets lazywake too;
//   (c) sysmon. Each tick it clears lazywake and looks at all Ps: if a running one has something
//       in runnext and has started no goroutine since the last tick (nswitch), and there is an
//       idle P, wakep. lazywake only makes the ticks come sooner: a matter of time, of which a
//       model knows nothing, so here sysmon just ticks.
// sysmon sleeps only when all Ps are idle: checked under sched.lock, with sysmonwait set, and
// pidleget, which holds sched.lock too, wakes it.
//
// -DGATED is the dance with lazywake as a gate: without it sysmon would not look at all. It is
// right as well, but needs two things more: the clear must be an xchg (a fence: a store of 1 that
// it overwrites has its runnext visible to the scan that follows); and if nswitch has changed,
// sysmon must set lazywake again for the next tick, since nobody else will.
//
// Two pairs of goroutines: 0 readies 1, 2 readies 3; 0 and 2 come from outside. Any of them may hog
// its P for ever, but one P always stays free to run the others. Memory is TSO: the plain stores
// of an M wait in a buffer, in order, until its tso process (or a locked instruction) drains it.
// Properties:
//   - live: under weak fairness, each goroutine that is ready runs;
//   - assertion: when a goroutine runs, sysmon does not sleep, or has been woken.
//
// Bugs to inject (each must be found):
//   -DBUG_SYSMON_SLEEP   pidleget does not wake sysmon: assertion; with -DNO_ASSERT, live.
//   -DBUG_SLEEP_UNLOCKED sysmon looks at npidle without the lock: live.
//   -DBUG_ONLY_STEAL     sysmon never wakes anybody: live.
//   -DGATED -DBUG_NO_REARM       lazywake stays cleared when nswitch has changed: live.
//   -DGATED -DBUG_NO_FENCE_CLEAR the clear is a plain store, perhaps after the scan: live.
//   -DGATED -DBUG_NO_LAZYWAKE    ready() does not set lazywake: live.
//
// Measured: see the table in check.sh.

#define NP 2
#ifndef NM
#define NM 2 // who needs an M and finds none asleep waits: as slow as clone may be
#endif
#ifndef NPAIR
#define NPAIR 2
#endif
#define NG 4
#define NOP NP
#define NOG NG

// What has become of a goroutine.
#define NOTYET 0
#define READY 1
#define RAN 2
byte gst[NG];

byte runnext[NP] = NOG;
byte nswitch[NP];
bool running[NP]; // p.status == Prunning, as sysmon sees it
chan globq = [2] of { byte };
byte npidle = NP;
bool idlep[NP] = true;
byte nmspinning;
bool asleep[NM];
byte nextp[NM] = NOP;
byte pof[NM] = NOP; // m.p
bool nextspin[NM];
byte nhog; // how many hog their P

bool lazywake;
bool sysmonwait, sysmonasleep, sysmonnote;

// The store buffers. An M's holds runnext, then lazywake = 1; sysmon's holds lazywake = 0.
byte sbnext[NM] = NOG;
bool sblazy[NM];
bool sbclear;

ltl live {
	[] ((gst[0] == READY -> <> (gst[0] == RAN)) && (gst[1] == READY -> <> (gst[1] == RAN)) &&
	    (gst[2] == READY -> <> (gst[2] == RAN)) && (gst[3] == READY -> <> (gst[3] == RAN)))
}

// Drains id's store buffer, in order: part of every locked instruction.
inline fence(id) {
	d_step {
		if
		:: sbnext[id] != NOG -> runnext[pof[id]] = sbnext[id]; sbnext[id] = NOG
		:: else
		fi;
		if
		:: sblazy[id] -> lazywake = true; sblazy[id] = false
		:: else
		fi
	}
}

// pidleget: in a d_step, sched.lock held; q becomes NOP if none is idle.
inline pidleget(q) {
	if
	:: idlep[0] -> q = 0
	:: !idlep[0] && idlep[1] -> q = 1
	:: else -> q = NOP
	fi;
	if
	:: q != NOP ->
		idlep[q] = false;
		npidle--;
#ifndef BUG_SYSMON_SLEEP
		if
		:: sysmonwait -> sysmonwait = false; sysmonnote = true
		:: else
		fi
#endif
	:: else
	fi
}

// startm hands q to a sleeping M.
inline startm(q, spin) {
	atomic {
		asleep[0] || asleep[1] || asleep[NM - 1];
		d_step {
			if
			:: asleep[0] -> m = 0
			:: !asleep[0] && asleep[1] -> m = 1
			:: else -> m = NM - 1
			fi;
			asleep[m] = false;
			nextp[m] = q;
			nextspin[m] = spin;
			q = NOP;
			m = 0
		}
	}
}

inline wakep() {
	if
	:: npidle == 0 || nmspinning != 0
	:: else ->
		atomic { // the CAS, then sched.lock
			if
			:: nmspinning == 0 ->
				d_step {
					pidleget(q);
					if
					:: q != NOP -> nmspinning = 1
					:: else
					fi
				}
			:: else
			fi
		}
		if
		:: q != NOP -> startm(q, true)
		:: else
		fi
	fi
}

proctype M(byte id) {
	byte q = NOP, gp = NOG, m;
	bool spinning;
#define p pof[id]

	goto sleep;

schedule:
	atomic {
		fence(id);
		if
		:: runnext[p] != NOG -> gp = runnext[p]; runnext[p] = NOG; goto execute
		:: else
		fi;
		// Or the global queue, under sched.lock.
		if
		:: globq?gp -> goto execute
		:: empty(globq)
		fi;
		if
		:: !spinning -> spinning = true; nmspinning++
		:: else
		fi
	}
	atomic { // runqsteal
		if
		:: runnext[1 - p] != NOG ->
			gp = runnext[1 - p];
			runnext[1 - p] = NOG;
			goto execute
		:: else
		fi
	}
	atomic { // sched.lock
		if
		:: globq?gp -> goto execute
		:: empty(globq)
		fi;
		running[p] = false;
		idlep[p] = true;
		npidle++;
		p = NOP
	}
	atomic {
		spinning = false;
		nmspinning--
	}
	if
	:: runnext[0] != NOG || runnext[1] != NOG -> lazywake = true
	:: else
	fi;
	if
	:: len(globq) == 0 -> goto sleep
	:: else
	fi;
	atomic { // sched.lock
		pidleget(p);
		if
		:: p != NOP -> running[p] = true; spinning = true; nmspinning++
		:: else
		fi
	}
	if
	:: p != NOP -> goto schedule
	:: else
	fi;

sleep:
	asleep[id] = true;
	atomic {
		nextp[id] != NOP;
		p = nextp[id];
		nextp[id] = NOP;
		spinning = nextspin[id];
		nextspin[id] = false;
		running[p] = true
	}
	goto schedule;

execute:
	atomic {
		gst[gp] = RAN;
		nswitch[p]++;
#ifndef NO_ASSERT
		assert(!sysmonasleep || sysmonnote);
#endif
		if
		:: spinning -> spinning = false; nmspinning--
		:: else -> goto body
		fi
	}
	wakep();
body:
	if
	:: (gp == 0 || gp == 2) && runnext[p] == NOG -> // ready(gp + 1)
		d_step { // into the buffer, which nobody else sees: one transition
			gst[gp + 1] = READY;
			sbnext[id] = gp + 1;
#ifndef BUG_NO_LAZYWAKE
			sblazy[id] = true
#endif
		}
	:: else
	fi;
	atomic {
		gp = NOG;
		if
		:: goto schedule
		:: nhog < NP - 1 -> nhog++
		fi
	}
	false // never yields
#undef p
}

// The processor drains a store buffer at last, one store at a time.
proctype tso(byte id) {
	do
	:: atomic {
			sbnext[id] != NOG ->
			runnext[pof[id]] = sbnext[id];
			sbnext[id] = NOG
		}
	:: atomic {
			sbnext[id] == NOG && sblazy[id] ->
			lazywake = true;
			sblazy[id] = false
		}
	od
}

proctype tsosysmon() {
	do
	:: atomic {
			sbclear ->
			lazywake = false;
			sbclear = false
		}
	od
}

// The poller, or a thread without a P: puts goroutines 0 and 2 on the global queue.
proctype foreign() {
	byte n, q = NOP, m;
	do
	:: n < 2 * NPAIR ->
		d_step { // sched.lock
			globq!n;
			gst[n] = READY;
			n = n + 2;
			pidleget(q)
		}
		if
		:: q != NOP -> startm(q, false)
		:: else
		fi
	:: else -> break
	od
}

// tick looks at P i: part of retake.
inline tick(i) {
	if
	:: running[i] && runnext[i] != NOG ->
		if
		#ifndef BUG_ONLY_STEAL
		:: seen[i] == nswitch[i] -> wakep()
#endif
		:: else ->
			seen[i] = nswitch[i];
#if defined(GATED) && !defined(BUG_NO_REARM)
			lazywake = true
#endif
		fi
	:: else
	fi
}

proctype sysmon() {
	byte seen[NP], q = NOP, m;

#ifdef GATED
#define LOOK lazywake
#else
#define LOOK true
#endif
again:
	if
	:: LOOK ->
#ifdef BUG_NO_FENCE_CLEAR
		sbclear = true;
#else
		lazywake = false;
#endif
		tick(0);
		tick(1)
	:: else
	fi;
#ifdef BUG_SLEEP_UNLOCKED
	if
	:: npidle == NP -> sysmonwait = true
	:: else -> goto again
	fi;
	sysmonasleep = true;
#else
	d_step { // sched.lock
		if
		:: npidle == NP -> sysmonwait = true; sysmonasleep = true
		:: else
		fi
	}
	if
	:: sysmonasleep
	:: else -> goto again
	fi;
#endif
	atomic { // notesleep
		sysmonnote;
		sysmonnote = false;
		sysmonasleep = false
	}
	goto again
}

init {
	atomic {
		byte i;
		for (i : 0 .. NM - 1) {
			run M(i);
			run tso(i)
		}
		run tsosysmon();
		run foreign();
		run sysmon()
	}
}
