// SPDX-License-Identifier: BSD-3-Clause
// spinning.pml: how an M goes from spinning to idle without missing work that is submitted
// at the same time (the "spinning-to-idle dance").
//
// Models findrunnable, resetspinning and runtime_injectglist of src/rt/proc.c; runtime_wakep,
// runtime_startm and runtime_stopm of src/rt/proc_m.c; runtime_pidleput and runtime_pidleget of
// src/rt/proc_p.c; runtime_runqput, runqget and runqsteal of src/rt/runq.c (a queue is a count).
//
// The dance. A submitter stores work, then loads npidle and nmspinning; a worker that gives up
// stores npidle and nmspinning, then loads all queues. With a full fence between store and load on
// both sides at least one of them sees the other: either the submitter wakes an M, or the worker
// finds the work. A spinner that finds work may have been the reason for many submitters not to
// wake anybody, so it wakes the next one (resetspinning). An M that would have spun, but for the
// spinners already there, is told by needspinning that one of them saw work and had no P for it.
//
// Memory is TSO: each M has a store buffer of one entry, drained at any time by its tso process.
// A plain store goes into the buffer; atomics, locks and fences drain it first. What sched.lock
// guards is one transition, since each section changes one variable that is read without it.
// Properties, when nothing can move any more ("quiet"):
//   - no work is queued while a P is idle. A job may keep its P for ever, so nobody else will come;
//   - nmspinning is 0, npidle is right, and no P is both idle and held.
// Every run ends (no cycle): no two Ms can chase each other for ever.
//
// Bugs to inject (each must be found):
//   -DBUG_NO_FENCE_SUBMIT  no fence between the submitter's store and its loads.
//   -DBUG_NO_FENCE_WORKER  nmspinning-- is not a fence (on amd64 it is, being a locked add).
//   -DBUG_NO_RECHECK       the worker does not look again after nmspinning--: the known bug.
//   -DBUG_NO_RESET_WAKE    a spinner that finds work wakes nobody.
//   -DBUG_NO_NEEDSPINNING  nobody tells the M that did not spin.
//   -DBUG_NPIDLE_FIRST     the submitter, or wakep, returns at once when npidle is 0, as older Go
//                          did: an M that did not search, since another one did, may be about to
//                          drop its P. Needs three Ps. In the runtime sysmon's tick hides it.
// Variants that are right: -DWAKEP_FAST, which returns at once when npidle is 0 and needspinning
// is set already; -DSPINLIMIT=false, with which the last two are no bugs.
//
// Measured: see the table in check.sh.

#ifndef NP
#define NP 3
#endif
#ifndef NM
#define NM 4 // one more than Ps. Who needs an M and finds none waits: as slow as clone may be
#endif
#ifndef NMAIN
#define NMAIN 2 // jobs that the first M submits
#endif
#ifndef NSUB
#define NSUB 1 // jobs that jobs submit, each on the queue of the P it runs on
#endif
#ifndef NGLOBAL
#define NGLOBAL 0 // jobs that a thread without a P puts on the global queue
#endif
#ifndef SPINLIMIT
#define SPINLIMIT true // false: whoever runs out of work searches and rechecks
#endif
#define NOP NP

#define SB_NONE 0
#define SB_RUNQ(p) ((p) + 1)
#define SB_SPIN (NP + 1) // nmspinning--
#define SB_NEED (NP + 2) // needspinning = 0

byte runq[NP]; // jobs that all Ms can see
byte globq;    // sched.lock; its length is also read without
bool idlep[NP]; // sched.lock
byte npidle;
byte nmspinning;
bool needspinning;
bool asleep[NM]; // on sched.midle
byte nextp[NM];
bool nextspin[NM]; // started as a spinner
byte sb[NM];       // the store buffer
byte nsub = NSUB;
byte heldby[NP]; // for the assertions only: how many Ms hold it

// Drains id's store buffer: part of every locked instruction.
inline fence(id) {
	d_step {
		if
		:: sb[id] == SB_NONE
		:: sb[id] == SB_SPIN -> nmspinning--
		:: sb[id] == SB_NEED -> needspinning = false
		:: else -> runq[sb[id] - 1]++
		fi;
		sb[id] = SB_NONE
	}
}

inline take(q) {
	heldby[q]++;
	assert(heldby[q] == 1)
}

// pidleget: sched.lock held, in a d_step; q becomes NOP if none is idle.
inline pidleget(q) {
	q = 0;
	do
	:: q < NP && !idlep[q] -> q++
	:: else -> break
	od;
	if
	:: q < NP ->
		idlep[q] = false;
		npidle--
	:: else
	fi
}

// pidlegetSpinning: as pidleget, and leaves word that a P was wanted.
inline pidlegetspinning(q) {
	pidleget(q);
	if
#ifndef BUG_NO_NEEDSPINNING
	:: q == NOP -> needspinning = true
#endif
	:: else
	fi
}

// startm hands q to a sleeping M.
inline startm(q, spin) {
	atomic {
		asleep[0] || asleep[1] || asleep[NM - 2] || asleep[NM - 1];
		d_step {
			m = 0;
			do
			:: !asleep[m] -> m++
			:: else -> break
			od;
			asleep[m] = false;
			nextspin[m] = spin;
			nextp[m] = q;
			q = NOP;
			m = 0
		}
	}
}

// wakep starts a spinner if nobody spins and there is an idle P. If there is none it still takes
// sched.lock, to leave word. WAKEP_FAST: who sees that word need not leave it again.
#if defined(BUG_NPIDLE_FIRST)
#define NOTNEEDED (npidle == 0)
#elif defined(WAKEP_FAST)
#define NOTNEEDED (npidle == 0 && needspinning)
#else
#define NOTNEEDED false
#endif
inline wakep(id) {
	if
	:: NOTNEEDED
	:: else ->
		if
		:: nmspinning != 0
		:: else ->
			fence(id);
			atomic { // the CAS
				if
				:: nmspinning == 0 -> nmspinning = 1; won = true
				:: else
				fi
			}
			if
			:: won ->
				won = false;
				d_step { // sched.lock
					pidlegetspinning(q);
					if
					:: q == NOP -> nmspinning--
					:: else
					fi
				}
				if
				:: q != NOP -> startm(q, true)
				:: else
				fi
			:: else
			fi
		fi
	fi
}

inline submit(id, p) {
	atomic { // a plain store, after what was in the buffer
		fence(id);
		sb[id] = SB_RUNQ(p)
	}
#ifndef BUG_NO_FENCE_SUBMIT
	fence(id);
#endif
	wakep(id)
}

inline becomespinning() {
	atomic {
		spinning = true;
		fence(id);
		nmspinning++;
		sb[id] = SB_NEED
	}
}

proctype M(byte id; byte p) {
	byte q = NOP, i, m;
	bool spinning, won;

	if
	:: p != NOP -> goto main
	:: else -> goto sleep
	fi;

schedule:
	atomic { // runqget: the owner sees its own buffered store, and takes by CAS
		if
		:: sb[id] == SB_RUNQ(p) -> fence(id)
		:: else
		fi;
		if
		:: runq[p] > 0 ->
			fence(id);
			runq[p]--;
			goto found
		:: else
		fi
	}
	if
	:: globq > 0 ->
		atomic { // sched.lock
			fence(id);
			if
			:: globq > 0 -> globq--; goto found
			:: else
			fi
		}
	:: else
	fi;
	if // enough spinners: half of the busy Ps
	:: !spinning && SPINLIMIT && 2 * nmspinning >= NP - npidle -> goto giveup
	:: else
	fi;
	if
	:: !spinning -> becomespinning()
	:: else
	fi;
	i = (p + 1) % NP;
	do
	:: i != p ->
		atomic { // runqsteal
			if
			:: runq[i] > 0 ->
				fence(id);
				runq[i]--;
				i = 0;
				goto found
			:: else -> i = (i + 1) % NP
			fi
		}
	:: else -> break
	od;

giveup:
	i = 0;
	atomic { // sched.lock
		fence(id);
		if
		:: globq > 0 -> globq--; goto found
		:: else
		fi;
		if
		:: !spinning && needspinning ->
			spinning = true;
			nmspinning++;
			needspinning = false;
			goto schedule
		:: else
		fi;
		assert(!idlep[p] && runq[p] == 0);
		heldby[p]--;
		idlep[p] = true;
		npidle++;
		p = NOP
	}
	if
	:: !spinning -> goto sleep
	:: else
	fi;
	atomic {
		fence(id);
		spinning = false;
#ifdef BUG_NO_FENCE_WORKER
		sb[id] = SB_SPIN
#else
		assert(nmspinning > 0);
		nmspinning--
#endif
	}
#ifndef BUG_NO_RECHECK
	if
	:: globq > 0 ->
		d_step { // sched.lock
			fence(id);
			if
			:: globq > 0 ->
				pidlegetspinning(p);
				if
				:: p != NOP -> globq--; take(p)
				:: else
				fi
			:: else
			fi
		}
		if
		:: p != NOP ->
			becomespinning();
			goto found
		:: else
		fi
	:: else
	fi;
	do
	:: i < NP ->
		if
		:: runq[i] > 0 ->
			d_step { // sched.lock
				fence(id);
				i = 0;
				pidlegetspinning(p);
				if
				:: p != NOP -> take(p)
				:: else
				fi
			}
			if
			:: p == NOP -> goto sleep
			:: else
			fi;
			becomespinning();
			goto schedule
		:: else -> i++
		fi
	:: else -> i = 0; break
	od;
#endif

sleep:
	d_step { // sched.lock: mput
		fence(id);
		asleep[id] = true
	}
end_sleep:
	atomic {
		nextp[id] != NOP;
		p = nextp[id];
		nextp[id] = NOP;
		spinning = nextspin[id];
		nextspin[id] = false;
		take(p)
	}
	goto schedule;

found:
	if
	:: spinning -> // resetspinning
		atomic {
			fence(id);
			spinning = false;
			assert(nmspinning > 0);
			nmspinning--
		}
#ifndef BUG_NO_RESET_WAKE
		wakep(id)
#endif
	:: else
	fi;
	if // the job
	:: atomic { nsub > 0 -> nsub-- } ->
		submit(id, p)
	:: true
	fi;
	if
	:: goto schedule
	:: goto hog
	fi;

main:	// the first goroutine: submits, then never gives its P back.
	take(p);
	do
	:: i < NMAIN ->
		i++;
		submit(id, p)
	:: else -> break
	od;
	i = 0;
hog:
end_hog:
	false
}

// The processor drains the store buffer when it likes.
proctype tso(byte id) {
end:	do
	:: atomic { sb[id] != SB_NONE -> fence(id) }
	od
}

// A thread without a P, or the poller: injectglist.
proctype foreign() {
	byte n, q = NOP, m;
	do
	:: n < NGLOBAL ->
		n++;
		globq++;
		d_step { // sched.lock; who drops its P now sees globq under the lock
			pidleget(q)
		}
		if
		:: q != NOP -> startm(q, false)
		:: else
		fi
	:: else -> break
	od
}

proctype quiet() {
	byte i, queued, idle;
	timeout;
	d_step {
		queued = globq;
		for (i : 0 .. NP - 1) {
			queued = queued + runq[i];
			assert(heldby[i] + idlep[i] == 1);
			idle = idle + idlep[i]
		}
		assert(idle == npidle);
		assert(nmspinning == 0);
		assert(queued == 0 || npidle == 0)
	}
}

init {
	byte i;
	atomic {
		for (i : 0 .. NM - 1) {
			nextp[i] = NOP
		}
		for (i : 1 .. NP - 1) {
			idlep[i] = true;
			npidle++
		}
		for (i : 0 .. NM - 1) {
			run M(i, (i == 0 -> 0 : NOP));
			run tso(i)
		}
		run foreign();
		run quiet()
	}
}
