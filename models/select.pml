// SPDX-License-Identifier: BSD-3-Clause
// select.pml: a goroutine waits in the queues of two channels, and for a timer, and is woken once.
//
// Models wait, park, claim and selectfire of src/sync/select.c with dequeue and dequeuesudog of
// src/sync/chan.h, timerstart, timerstop and fire of src/rt/timer.c as far as their locks go, and
// goparkword and ready of src/rt/proc.c as far as the stack and the state go. Processes are goroutines,
// and the Ms that fire timers.
//
// Two goroutines select over both channels, one to receive and one to send; a plain sender sends on
// the first. g.selectdone (sdone): see select.c. Without timers there are as many sends as receives, so all
// must end. With -DTIMERS each select has a deadline that may come at any time.
// Properties (assertions, and "quiet" when nothing can move any more):
//   - a goroutine is readied when it is off its stack and waits, and once a round;
//   - no peer and no timer touches a sudog, or a timer, whose frame is gone;
//   - a select that timed out was not communicated with, and one that was taken knows by whom;
//   - what was sent was received; nobody stays parked, no lock is held.
//
// Bugs to inject (each must be found):
//   -DBUG_CLAIM_PARKING   peers do not wait for PARKED: they ready a goroutine on its stack.
//   -DBUG_DROP_PARKING    peers drop a sudog in PARKING, as if it were stale: a wake-up is lost.
//   -DBUG_CLAIM_NO_CAS    load and store instead of compare-and-swap: two wake it.
//   -DBUG_KEEP_SUDOGS     the woken goroutine leaves its other sudogs in the queues.
//   -DBUG_UNLINK_UNLOCKED it takes them off without the lock.
//   -DBUG_PARK_LATE       it drops the locks, then enters PARKING: a peer meets ARMED, and drops the sudog.
//   -DBUG_NO_TIMERSTOP    (TIMERS) it returns without timerstop.
//   -DBUG_FIRE_WAITS      (TIMERS) fire waits for ARMED to end, under the wheel's lock: deadlock with timerstop.
//   -DBUG_NO_COMMIT_CAS   (TIMERS) PARKING is stored over TIMEDOUT: the deadline is lost.
//
// Measured: see the table in check.sh.

#define NSEL 2 // 0 receives, 1 sends
#define NG 3   // 2: the plain sender
#define NC 2

#define ARMED 0
#define PARKING 1
#define PARKED 2
#define TAKEN 3
#define TIMEDOUT 4

#ifndef ROUNDS
#define ROUNDS 3 // of the receiver
#endif

byte sdone[NG];
bool onstack[NG];
bool waiting[NG]; // Gwaiting
bool valid[NG];   // the frame with sudogs and timer is there
byte nready[NG];  // in this round
byte fired[NG];   // g.param: the channel whose sudog was taken, + 1
bool success[NG];
byte finished, nsent, nreceived;

bool chanlock[NC];
chan recvq0 = [NG] of { byte };
chan recvq1 = [NG] of { byte };
chan sendq0 = [NG] of { byte };
chan sendq1 = [NG] of { byte };

bool wheellock;
bool armed[NG];

inline lock(c) {
	atomic { !chanlock[c] -> chanlock[c] = true }
}

inline unlock(c) {
	assert(chanlock[c]);
	chanlock[c] = false
}

inline touch(g) {
	assert(valid[g])
}

inline ready(g) {
	d_step {
		assert(waiting[g] && !onstack[g]);
		nready[g]++;
		assert(nready[g] == 1);
		waiting[g] = false
	}
}

// The plain sender is no select's: it is anybody's who dequeues it.
inline claim(g, won) {
	touch(g);
	if
	:: g >= NSEL -> won = true
	:: else ->
		do
#ifdef BUG_CLAIM_NO_CAS
		:: sdone[g] == PARKED -> sdone[g] = TAKEN; won = true; break
#else
		:: atomic { sdone[g] == PARKED -> sdone[g] = TAKEN; won = true }; break
#endif
#ifdef BUG_CLAIM_PARKING
		:: atomic { sdone[g] == PARKING -> sdone[g] = TAKEN; won = true }; break
#endif
#ifdef BUG_DROP_PARKING
		:: sdone[g] == PARKING -> won = false; break
#endif
		:: sdone[g] != PARKED && sdone[g] != PARKING -> won = false; break
		od
	fi
}

// dequeue from q; channel c is locked. peer is NG if there is none to be had.
inline dequeue(q, c, peer) {
	won = false;
	do
	:: q?peer ->
		claim(peer, won);
		if
		:: won ->
			touch(peer);
			fired[peer] = c + 1;
			break
		:: else // stale
		fi
	:: empty(q) -> peer = NG; break
	od
}

// Looks for a partner in channel c.
inline try(id, c) {
	if
	:: peer == NG && id == 0 && c == 0 -> dequeue(sendq0, 0, peer)
	:: peer == NG && id == 0 && c == 1 -> dequeue(sendq1, 1, peer)
	:: peer == NG && id == 1 && c == 0 -> dequeue(recvq0, 0, peer)
	:: peer == NG && id == 1 && c == 1 -> dequeue(recvq1, 1, peer)
	:: else
	fi
}

inline count(id) {
	if
	:: id == 0 -> nreceived++
	:: else -> nsent++
	fi
}

inline timerstop(id) {
#if defined(TIMERS) && !defined(BUG_NO_TIMERSTOP)
	atomic { !wheellock -> wheellock = true };
	armed[id] = false;
	wheellock = false
#else
	skip
#endif
}

inline removefrom(q0, q1, id, c) {
	if
	:: c == 0 && q0??[eval(id)] -> q0??eval(id)
	:: c == 1 && q1??[eval(id)] -> q1??eval(id)
	:: c == 0 && !(q0??[eval(id)])
	:: c == 1 && !(q1??[eval(id)])
	fi
}

inline leave(id, c) {
	if
	:: fired[id] == c + 1 -> skip // its channel may be gone
	:: else ->
#ifndef BUG_KEEP_SUDOGS
#ifdef BUG_UNLINK_UNLOCKED
		assert(!chanlock[c]); // somebody walks the queue
#else
		lock(c);
#endif
		if
		:: id == 0 -> removefrom(recvq0, recvq1, id, c)
		:: else -> removefrom(sendq0, sendq1, id, c)
		fi;
#ifndef BUG_UNLINK_UNLOCKED
		unlock(c)
#endif
#else
		skip
#endif
	fi
}

proctype selecter(byte id; byte rounds) {
	byte peer, i;
	bool won, timedout;

	do
	:: i < rounds ->
		i++;
		d_step {
			valid[id] = true;
			nready[id] = 0;
			fired[id] = 0;
			success[id] = false;
			timedout = false;
			sdone[id] = ARMED
		}
#ifdef TIMERS
		atomic { !wheellock -> wheellock = true };
		armed[id] = true;
		wheellock = false;
#endif
		lock(0);
		lock(1);
		peer = NG;
		if // in any order
		:: true -> try(id, 0); try(id, 1)
		:: true -> try(id, 1); try(id, 0)
		fi;
		if
		:: peer != NG ->
			d_step {
				touch(peer);
				success[peer] = true;
				count(id)
			}
			unlock(1);
			unlock(0);
			timerstop(id);
			ready(peer)
		:: else ->
#ifndef BUG_PARK_LATE
#ifdef BUG_NO_COMMIT_CAS
			sdone[id] = PARKING;
#else
			atomic {
				if
				:: sdone[id] == ARMED -> sdone[id] = PARKING
				:: else -> timedout = true
				fi
			}
#endif
#endif
			if
			:: timedout ->
				unlock(1);
				unlock(0)
			:: else ->
				if
				:: id == 0 -> recvq0!id; recvq1!id
				:: else -> sendq0!id; sendq1!id
				fi;
				unlock(1);
				unlock(0);
#ifdef BUG_PARK_LATE
				sdone[id] = PARKING;
#endif
				waiting[id] = true;
				onstack[id] = false;
				sdone[id] = PARKED;
				!waiting[id]; // readied
				onstack[id] = true;
				timedout = (sdone[id] == TIMEDOUT);
				assert(timedout == (fired[id] == 0));
				timerstop(id);
				leave(id, 0);
				leave(id, 1);
				assert(success[id] != timedout);
				if
				:: !timedout -> count(id)
				:: else
				fi
			fi;
			timerstop(id)
		fi;
		valid[id] = false
	:: else -> break
	od;
	finished++
}

// The plain sender on channel 0.
proctype sender() {
	byte peer = NG;
	bool won;

	lock(0);
	dequeue(recvq0, 0, peer);
	if
	:: peer != NG ->
		touch(peer);
		success[peer] = true;
		nsent++;
		unlock(0);
		ready(peer)
	:: else ->
		valid[2] = true;
		sendq0!2;
		waiting[2] = true;
		onstack[2] = false;
		unlock(0);
#ifdef TIMERS
end:
#endif
		!waiting[2];
		onstack[2] = true;
		assert(success[2]);
		valid[2] = false;
		nsent++
	fi;
	finished++
}

#ifdef TIMERS
// Fires whenever it is armed; the wheel's lock is held until fire has returned.
proctype timer(byte id) {
	byte gp;
	do
	:: atomic { armed[id] && !wheellock -> wheellock = true };
		gp = NG;
		if
		:: !armed[id]
		:: else ->
			touch(id);
			do
			:: atomic { sdone[id] == PARKED -> sdone[id] = TIMEDOUT; gp = id }; break
#ifndef BUG_FIRE_WAITS
			:: atomic { sdone[id] == ARMED -> sdone[id] = TIMEDOUT }; break
#endif
			:: sdone[id] == TAKEN -> break
#ifdef BUG_NO_TIMERSTOP
			:: !valid[id] -> break
#endif
			od;
			touch(id);
			armed[id] = false
		fi;
		wheellock = false;
		if
		:: gp != NG -> ready(gp)
		:: else
		fi
	:: finished == NG || (finished == NG - 1 && waiting[2]) -> break
	od
}
#endif

proctype quiet() {
	timeout;
	assert(!chanlock[0] && !chanlock[1] && !wheellock);
#ifdef TIMERS
	// The plain sender has no deadline: it may wait for ever, but not beside the receiver.
	assert(finished == NG || (finished == NG - 1 && waiting[2] && len(sendq0) == 1));
#else
	assert(finished == NG);
	assert(empty(sendq0));
#endif
	assert(empty(recvq0) && empty(recvq1) && empty(sendq1));
	assert(nsent == nreceived)
}

init {
	atomic {
		onstack[0] = true;
		onstack[1] = true;
		onstack[2] = true;
		run selecter(0, ROUNDS);
		run selecter(1, ROUNDS - 1);
		run sender();
#ifdef TIMERS
		run timer(0);
		run timer(1);
#endif
		run quiet()
	}
}
