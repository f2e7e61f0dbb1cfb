// SPDX-License-Identifier: BSD-3-Clause
// sudog.pml: send, receive and close race for the same sudog, which lives on the waiter's stack and
// is gone when the waiter returns.
//
// Models chansend, chanrecv and closechan of src/sync/chan.c for an unbuffered channel, with
// runtime_gopark and runtime_goready of src/rt/proc.c as far as a state goes (park_ready.pml has
// the rest). Each process is a goroutine.
//
// The rules. Who takes a sudog off the queue, under hchan.lock, has it alone: that is one of a
// sender (or receiver) and close. It may use the sudog until it calls goready, and not after: the
// waiter may be running, back from chanrecv, and deep in another function on the same stack bytes.
// So goready's argument is loaded before, and close makes a list of goroutines (through
// g.schedlink), not of sudogs, and readies them after it has dropped the lock.
//
// A sudog is a goroutine and a generation; touch() asserts that this generation is still there.
// Properties (assertions, and "quiet" when nothing can move any more):
//   - no use after return;
//   - a parked goroutine is readied once: by a peer (success) or by close;
//   - after close nobody stays parked; what was sent with success was received, and reversed.
//
// Bugs to inject (each must be found):
//   -DBUG_TOUCH_AFTER_READY  the sender clears sg.elem after goready.
//   -DBUG_CLOSE_WALKS_SUDOGS close readies each waiter, then loads sg.next.
//   -DBUG_CLOSE_UNLOCKED     close empties the queues after it has dropped the lock: it reads the
//                            head that a sender then takes.
//
// Measured: see the table in check.sh.

#define NRECV 2
#define NSEND 2
#define NG (NRECV + NSEND)
#define NROUND 2 // of each receiver: its second sudog lies where the first one lay

#define Grunning 2
#define Gwaiting 4

byte status[NG];
byte gen[NG];    // generation of the sudog at the waiter's fixed place
bool valid[NG];  // its frame is still there
bool success[NG]; // sudog.success
byte finished;
byte nsent, nreceived;

bool hchan_lock;
bool closed;
chan recvq = [NG] of { byte, byte };
chan sendq = [NG] of { byte, byte };

inline lock() {
	atomic { !hchan_lock -> hchan_lock = true }
}

inline unlock() {
	assert(hchan_lock);
	hchan_lock = false
}

// Every use of the sudog (g, n) passes here.
inline touch(g, n) {
	assert(valid[g] && gen[g] == n)
}

inline goready(g) {
	d_step {
		assert(status[g] == Gwaiting);
		status[g] = Grunning
	}
}

// A sudog in this frame, put on q; gopark then changes the state before unlockf drops the lock.
inline waiton(q, id) {
	d_step {
		gen[id]++;
		valid[id] = true;
		success[id] = false;
		q!id, gen[id]
	}
	status[id] = Gwaiting;
	unlock();
	status[id] == Grunning
}

// The direct hand-off to or from (peer, n), taken off its queue under the lock.
inline handoff(peer, n) {
	touch(peer, n); // the copy
	d_step {
		touch(peer, n);
		success[peer] = true
	}
	unlock();
	goready(peer)
}

proctype receiver(byte id) {
	byte peer, n, i;

	do
	:: i < NROUND ->
		i++;
		lock();
		if
		:: sendq?peer, n ->
			handoff(peer, n);
			nreceived++
		:: empty(sendq) && closed -> unlock()
		:: empty(sendq) && !closed ->
			waiton(recvq, id);
			d_step {
				touch(id, gen[id]);
				if
				:: success[id] -> nreceived++
				:: else -> assert(closed)
				fi;
				valid[id] = false
			}
		fi;
		d_step {
			peer = 0;
			n = 0
		}
	:: else -> break
	od;
	finished++
}

proctype sender(byte id) {
	byte peer, n;

	lock();
	if
	:: closed -> unlock() // panics
	:: !closed ->
		if
		:: recvq?peer, n ->
			handoff(peer, n);
			nsent++;
#ifdef BUG_TOUCH_AFTER_READY
			touch(peer, n)
#endif
		:: empty(recvq) ->
			waiton(sendq, id);
			d_step {
				touch(id, gen[id]);
				if
				:: success[id] -> nsent++
				:: else -> assert(closed) // panics
				fi;
				valid[id] = false
			}
		fi
	fi;
	finished++
}

// Takes all of q; glist is what is to be readied without the lock.
inline drain(q) {
	do
#ifdef BUG_CLOSE_UNLOCKED
	:: q?<peer, n> -> // reads the head,
		touch(peer, n);
		if // then unlinks it, unless somebody was quicker
		:: q?eval(peer), eval(n)
		:: !q?[eval(peer), eval(n)]
		fi;
		glist!peer, n
#else
	:: q?peer, n ->
		touch(peer, n); // elem = NULL, success = false, gp = sg.g
		glist!peer, n
#endif
	:: empty(q) -> break
	od
}

proctype closer() {
	byte peer, n;
	chan glist = [NG] of { byte, byte };

	lock();
	closed = true;
#ifdef BUG_CLOSE_UNLOCKED
	unlock();
#endif
	drain(recvq);
	drain(sendq);
#ifndef BUG_CLOSE_UNLOCKED
	unlock();
#endif
	do
	:: glist?peer, n ->
		goready(peer);
#ifdef BUG_CLOSE_WALKS_SUDOGS
		touch(peer, n)
#endif
	:: empty(glist) -> break
	od
}

proctype quiet() {
	timeout;
	assert(finished == NG);
	assert(nsent == nreceived);
	assert(empty(recvq) && empty(sendq) && !hchan_lock)
}

init {
	byte i;
	atomic {
		for (i : 0 .. NG - 1) {
			status[i] = Grunning;
			if
			:: i < NRECV -> run receiver(i)
			:: else -> run sender(i)
			fi
		}
		run closer();
		run quiet()
	}
}
