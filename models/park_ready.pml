// SPDX-License-Identifier: BSD-3-Clause
// park_ready.pml: a goroutine parks on a channel while another M readies it (the "park dance").
//
// Models runtime_gopark, park_m, runtime_goready, runtime_ready and runtime_schedule of
// src/rt/proc.c, runtime_mcall and runtime_gogo of src/arch/amd64/asm_amd64.s, and the unbuffered
// paths of send and receive in src/sync/chan.c.
//
// The dance. A receiver (a sender alike) that finds nobody puts itself on the channel's queue and
// calls gopark with hchan.lock still held. mcall leaves its stack; on g0, park_m makes it
// Gwaiting; only then unlockf drops hchan.lock. So who finds it on the queue, under the lock,
// finds a goroutine that has left its stack and whose state is Gwaiting, and may ready it at
// once; any M may then run it, even before the first M is done with schedule().
//
// Ms are processes; goroutines are data: a state, a place to go on from, and how many Ms stand on
// the stack. Each step that touches memory others can see is one transition.
// Properties (assertions, and "quiet" when nothing can move any more):
//   - never two Ms on one stack, and no M uses a stack that it has left;
//   - casgstatus never meets a state it does not expect;
//   - every value sent is received, once; nobody stays parked: all goroutines end.
//
// Bugs to inject (each must be found):
//   -DBUG_UNLOCK_EARLY   Gwaiting and unlock come before mcall has left the stack: two Ms on it.
//   -DBUG_STATE_LATE     unlockf runs before the change to Gwaiting: ready meets Grunning.
//   -DBUG_ENQUEUE_LATE   the lock is dropped and taken again between "nobody is there" and the
//                        enqueue: a wake-up is lost, two goroutines wait for each other.
//
// Measured: see the table in check.sh.

#define NM 3     // threads
#define NPAIR 2  // senders, and receivers
#define ROUNDS 2 // values each of them sends or receives: who parks once must be able to again
#define NVALUE (NPAIR * ROUNDS)
#define NG (2 * NPAIR)
#define NOG NG
#define NOVALUE NVALUE

#define Grunnable 1
#define Grunning 2
#define Gwaiting 4
#define Gdead 6

// Where a goroutine goes on when gogo jumps to it: gobuf.sp of the real one.
#define PC_START 0
#define PC_WOKEN 1

byte status[NG];
byte resume[NG];  // gobuf: written by mcall, read by gogo
byte onstack[NG]; // how many Ms stand on this stack now
byte elem[NG];    // the sudog's elem: where a direct hand-off writes, or reads
byte round[NG];
byte received[NVALUE];

// hchan: the lock and the two wait queues; a sudog is just its goroutine here.
bool hchan_lock;
chan recvq = [NG] of { byte };
chan sendq = [NG] of { byte };

// One queue for all: another M may take a goroutine the moment it is there.
chan runq = [NG] of { byte };

#define issender(g) ((g) < NPAIR)
#define value(g) ((g) * ROUNDS + round[g])

inline lock() {
	atomic { !hchan_lock -> hchan_lock = true }
}

inline unlock() {
	assert(hchan_lock);
	hchan_lock = false
}

inline casgstatus(g, old, new) {
	atomic {
		assert(status[g] == old);
		status[g] = new
	}
}

// Every use of the goroutine's own stack passes here.
inline usestack(g) {
	assert(onstack[g] == 1)
}

// mcall: the registers are saved, and from then on the M stands on g0.
inline mcall(g) {
	usestack(g);
	resume[g] = PC_WOKEN;
	atomic {
		usestack(g);
		onstack[g]--
	}
}

// ready: called without hchan.lock ("ready no G under c->lock").
inline goready(g) {
	casgstatus(g, Gwaiting, Grunnable);
	runq!g
}

// gopark(chanparkcommit, c) with the lock held; falls through on g0, after which the M schedules.
inline gopark(g) {
#if defined(BUG_UNLOCK_EARLY)
	casgstatus(g, Grunning, Gwaiting);
	resume[g] = PC_WOKEN;
	unlock();
	mcall(g)
#elif defined(BUG_STATE_LATE)
	mcall(g);
	unlock();
	casgstatus(g, Grunning, Gwaiting)
#else
	mcall(g);
	casgstatus(g, Grunning, Gwaiting);
	unlock()
#endif
}

// Puts g on its queue. The sudog is on g's stack, so this is a use of it.
inline enqueue(q, g) {
	usestack(g);
#ifdef BUG_ENQUEUE_LATE
	unlock();
	lock();
#endif
	q!g
}

// After the last round the goroutine ends: off its stack for good.
inline goexit(g) {
	usestack(g);
	onstack[g]--;
	casgstatus(g, Grunning, Gdead)
}

inline receive(g, v) {
	atomic {
		assert(v < NVALUE);
		received[v]++;
		assert(received[v] == 1);
		v = NOVALUE // a late second copy would show
	}
}

proctype M() {
	byte gp, peer;

schedule:
	atomic { // a value of a dead local must not tell two states apart
		gp = NOG;
		peer = NOG
	}
end_idle:
	runq?gp;
	// execute, then gogo.
	casgstatus(gp, Grunnable, Grunning);
	atomic {
		onstack[gp]++;
		assert(onstack[gp] == 1)
	}
	if
	:: resume[gp] == PC_WOKEN -> goto woken
	:: else
	fi;

again:	// chansend or chanrecv, from its beginning.
	lock();
	if
	:: issender(gp) ->
		if
		:: recvq?peer -> // direct hand-off
			elem[peer] = value(gp); // onto the parked receiver's stack
			unlock();
			goready(peer)
		:: empty(recvq) ->
			elem[gp] = value(gp);
			enqueue(sendq, gp);
			gopark(gp);
			goto schedule
		fi
	:: else ->
		if
		:: sendq?peer ->
			elem[gp] = elem[peer]; // from the parked sender's stack
			unlock();
			goready(peer);
			receive(gp, elem[gp])
		:: empty(sendq) ->
			enqueue(recvq, gp);
			gopark(gp);
			goto schedule
		fi
	fi;
	goto next;

woken:	// gopark returns: who readied us has done the copy.
	usestack(gp);
	if
	:: issender(gp)
	:: else -> receive(gp, elem[gp])
	fi;

next:
	round[gp]++;
	if
	:: round[gp] < ROUNDS -> goto again
	:: else
	fi;
	goexit(gp);
	goto schedule
}

// When nothing can move, everybody must have finished: else a wake-up was lost.
proctype quiet() {
	byte i;
	timeout;
	atomic {
		for (i : 0 .. NG - 1) {
			assert(status[i] == Gdead)
		}
		for (i : 0 .. NVALUE - 1) {
			assert(received[i] == 1)
		}
	}
}

init {
	byte i;
	atomic {
		for (i : 0 .. NG - 1) {
			status[i] = Grunnable;
			resume[i] = PC_START;
			elem[i] = NOVALUE;
			runq!i
		}
		for (i : 1 .. NM) {
			run M()
		}
		run quiet()
	}
}
