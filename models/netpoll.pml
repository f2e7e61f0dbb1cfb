// SPDX-License-Identifier: BSD-3-Clause
// netpoll.pml: one M sleeps in netpoll for all timers, and none is forgotten.
//
// Models timerstart and wakenetpoller of src/rt/timer.c; the end of findrunnable and sleepnetpoll of
// src/rt/proc.c; handoffp and wakep of src/rt/proc_m.c; netpollbreak and the eventfd of
// src/os/linux/netpoll_epoll.c; leavep of src/rt/foreign.c. The queues are left out (spinning.pml).
//
// Time is a choice: a timer that is armed may come due when all else rests, and what counts is until when the
// sleeper sleeps. A P's wheel is its earliest time: 1 early, 2 late, NEVER. Two Dekkers decide:
//   armer      stores next; fence; loads lastpoll, polluntil          (wakenetpoller)
//   sleeper    stores lastpoll = 0, polluntil; fence; loads all next  (sleepnetpoll)
// and sched.lock, under which who stops sleeping takes an idle P, and who gives one away looks at lastpoll.
//
// Each M may, NSTEPS times in all, arm a timer on its P, give its P away in a system call (handoffp, or leavep of a
// foreign thread) and come back for one. When nothing can move any more ("quiet"): the earliest timer
// of an idle P is slept for, by then or earlier. Ps that are held look for themselves.
//
// Memory: atomics are sequentially consistent, as those of the two Dekkers are in the code. That the
// one in the looks of who goes to sleep is needed does not show with few steps: who arms and sees nobody
// asleep starts a spinner, which looks again.
//
// The search is complete for one P and three Ms. With two Ps (the default, for the bug that needs them) it is
// too large for check.sh: 22 million states were seen without an error.
//
// Bugs to inject (each must be found):
//   -DBUG_NO_HANDOFF    a P with timers goes idle out of a call though nobody sleeps: leavep as it was. With one
//                       P; with more, the spinner that wakep starts hides it.
//   -DBUG_NO_RECHECK    a spinner that goes idle does not look at the wheels again.
//   -DBUG_NO_BREAK      nobody wakes a sleeper that would sleep too long: neither who arms a timer, nor who
//                       goes idle with one and finds it asleep.

#ifndef NM
#define NM 3
#endif
#ifndef NP
#define NP 2
#endif
#ifndef NSTEPS
#define NSTEPS 1
#endif
#define NOP NP
#define NEVER 3
#define UNKNOWN 0 // polluntil: not known, or for ever

byte next[NP]; // the wheel's earliest
bool idlep[NP];
bool polling;     // lastpoll == 0
byte polluntil;
byte sleptuntil;  // the kernel's: until when epoll_wait sleeps; 0: nobody is in it
bool eventfd;     // netpollbreak has written, nobody has read
byte nmspinning;
bool needspinning;
byte nextp[NM];
bool nextspin[NM], parked[NM];
byte steps = NSTEPS;

inline pidleget(q) {
	q = 0;
	do
	:: q < NP && !idlep[q] -> q++
	:: else -> break
	od;
	if
	:: q < NP -> idlep[q] = false
	:: else
	fi
}

// In an atomic sequence, which goes on once an M is parked.
inline startm(q, spin) {
	parked[0] || parked[1] || parked[NM - 1];
	m = (parked[0] -> 0 : (parked[1] -> 1 : NM - 1));
	parked[m] = false;
	nextspin[m] = spin;
	nextp[m] = q;
	q = NOP;
	m = 0
}

// In one step: what may happen between the CAS, sched.lock and the start is in spinning.pml.
inline wakep() {
	atomic {
		if // solo rule: one P has nobody to wake
		:: NP > 1 && nmspinning == 0 ->
			pidleget(q);
			if
			:: q == NOP -> needspinning = true
			:: else -> nmspinning = 1; startm(q, true)
			fi
		:: else
		fi
	}
}

// wakenetpoller(when), next being stored.
inline wakenetpoller(when) {
	if
	:: polling ->
		if // two loads in the code; both are of the sleeper's, who stores polluntil second
#ifndef BUG_NO_BREAK
		:: polluntil == UNKNOWN || polluntil > when -> eventfd = true
#endif
		:: else
		fi
	:: else -> wakep()
	fi
}

inline timersnext(t) {
	t = NEVER;
	i = 0;
	do
	:: i < NP ->
		t = (next[i] < t -> next[i] : t);
		i++
	:: else -> i = 0; break
	od
}

// An M with a P that has no goroutine to run, or one that arms timers and makes calls.
proctype M(byte id; byte p) {
	byte q = NOP, m, i, until, t, w;
	bool spinning, won, was;

	if
	:: p == NOP -> goto park
	:: else
	fi;

busy:	// a goroutine
	if
	:: spinning -> // resetspinning
		spinning = false;
		nmspinning--;
		wakep()
	:: else
	fi;
	do
	:: atomic { steps > 0 -> steps-- };
		if
		:: w = 1
		:: w = 2
		fi;
		if
		:: atomic { next[p] > w -> next[p] = w };
			wakenetpoller(w)
		:: else
		fi
	:: atomic { steps > 0 -> steps-- }; // a system call that lasts; somebody hands p off
		t = next[p];
		d_step { // sched.lock
			if
#ifdef BUG_NO_HANDOFF
			:: true -> idlep[p] = true; p = NOP
#else
			:: t == NEVER || polling -> idlep[p] = true; p = NOP
#endif
			:: else
			fi
		}
		if
		:: p != NOP -> atomic { startm(p, false) }
		:: else ->
			if
#ifndef BUG_NO_HANDOFF
			:: t != NEVER -> wakenetpoller(t)
#endif
			:: else
			fi
		fi;
		p = NOP;
		// Back from it, or never, or the thread was a foreign one.
		if
		:: true -> d_step { pidleget(p) }
		:: true
		fi;
		if
		:: p == NOP -> goto park
		:: else
		fi
	:: break
	od;

find:	// findrunnable: no work. It may go on for ever, or find some
	atomic {
		until = next[p];
		t = 0;
		w = 0
	}
	if // at most half as many spinners as busy Ps: here one
	:: NP > 1 && !spinning && nmspinning == 0 -> atomic { spinning = true; nmspinning++ }
	:: else
	fi;
	if
	:: steps > 0 -> goto busy // stolen
	:: true
	fi;
	atomic { // sched.lock
		if
		:: !spinning && needspinning -> needspinning = false; spinning = true; nmspinning++; goto find
		:: else
		fi;
		idlep[p] = true;
		p = NOP
	}
	was = spinning;
	if
	:: spinning ->
		atomic { spinning = false; nmspinning-- }
#ifndef BUG_NO_RECHECK
		timersnext(t);
		if
		:: t < until -> until = t
		:: else
		fi
#endif
	:: else
	fi;

	// sleepnetpoll
	if
	:: until == NEVER -> goto park
	:: else
	fi;
	atomic {
		if
		:: polling -> won = false
		:: else -> polling = true; won = true
		fi
	}
	if
	:: !won ->
		if
#ifndef BUG_NO_BREAK
		:: polluntil == UNKNOWN || polluntil > until -> eventfd = true
#endif
		:: else
		fi;
		goto park
	:: else -> won = false
	fi;
	polluntil = until;
	timersnext(t);
	if
	:: t < until -> until = t
	:: else
	fi;
	sleptuntil = until;
end_asleep:
	atomic { // by a break; when the time comes all is as if the timer were looked at, and it is not modelled
		eventfd -> eventfd = false;
		sleptuntil = 0
	}
	polluntil = UNKNOWN;
	polling = false;
	d_step { pidleget(p) } // sched.lock
	if
	:: p == NOP -> goto park
	:: else
	fi;
	if
	:: was -> atomic { spinning = true; nmspinning++ }
	:: else
	fi;
	was = false;
	goto find;

park:
	atomic { // sched.lock; what is over is forgotten, for a smaller search
		was = false;
		until = 0;
		t = 0;
		w = 0;
		q = NOP;
		parked[id] = true
	}
end_parked:
	atomic {
		nextp[id] != NOP;
		p = nextp[id];
		nextp[id] = NOP;
		spinning = nextspin[id];
		nextspin[id] = false
	}
	goto find
}

proctype quiet() {
	byte i;
	timeout;
	d_step {
		assert(nmspinning == 0);
		for (i : 0 .. NP - 1) {
			assert(!idlep[i] || next[i] == NEVER || (sleptuntil != 0 && sleptuntil <= next[i]))
		}
	}
}

init {
	byte i;
	atomic {
		for (i : 0 .. NP - 1) {
			next[i] = (i == NP - 1 -> 2 : NEVER)
		}
		for (i : 0 .. NM - 1) {
			nextp[i] = NOP
		}
		for (i : 0 .. NM - 1) {
			run M(i, (i < NP -> i : NOP))
		}
		run quiet()
	}
}
