// SPDX-License-Identifier: BSD-3-Clause
// sigqueue.pml: signals to channels: runtime_sigsend, receiver, lastsignal, startreceiver, stop
// (src/rt/sigqueue.c).
//
// One signal, one channel. NSIG threads take it once each, at any moment, in their handlers. Goroutine 1
// notifies, stops, and notifies again, NROUND times. What a handler queues must reach the channel
// while it is on the list: `queued` is set with the bit, and cleared when the receiver has found
// the channel there. A handler that finds wanted clear lets the signal have its default effect,
// which is not modelled: the kernel's part is one step before wanted.
//
// Left out: several signals in one mask (all bits are taken at once), the kernel's signal table, masks, full
// channels. The lock of sigqueue.c is d_step and atomic: nobody sleeps under it. The futex is: sleep is
// possible when wake is 0, a wake-up lets the sleeper look again. Memory is sequentially
// consistent, as all of these accesses are.
//
// Bugs: BUG_WAKE_FIRST wakes before the bit is set; BUG_CLEAR_LATE clears wake after taking the mask;
// BUG_NO_DELIVERING: stop does not wait for senders; BUG_NO_BUSY: nor for the receiver;
// BUG_END_EARLY: the receiver ends as soon as nothing is wanted.
#ifndef NSEND
#define NSEND 3
#endif
#ifndef NROUND
#define NROUND 2
#endif

bool mask, wanted, wake, busy, receiving, listed;
bool asleep;
byte delivering, ended;
bool done;   // goroutine 1 is through
bool queued; // a signal has been accepted and has not reached the channel

inline wakereceiver()
{
	atomic {
		if
		:: !wake -> wake = true; asleep = false
		:: else
		fi
	}
}

active [NSEND] proctype sender()
{
	bool want, had;
	delivering++;
	want = wanted;
	if
	:: want ->
#ifdef BUG_WAKE_FIRST
		wakereceiver();
#endif
		d_step { had = mask; mask = true; queued = true }
#ifndef BUG_WAKE_FIRST
		if
		:: !had -> wakereceiver()
		:: else
		fi
#endif
	:: else
	fi;
	delivering--;
	ended++
}

proctype receiver()
{
	bool m, last;
	do
	:: true ->
#ifndef BUG_NO_BUSY
		busy = true;
#endif
#ifndef BUG_CLEAR_LATE
		wake = false;
#endif
		d_step { m = mask; mask = false }
#ifdef BUG_CLEAR_LATE
		wake = false;
#endif
		if
		:: m ->
			// process: the channel must be there still.
			atomic { assert(listed); queued = mask }
		:: else ->
			if
			:: !wanted ->
				atomic {
#ifdef BUG_END_EARLY
					last = !wanted;
#else
					last = !wanted && delivering == 0 && !mask;
#endif
					if
					:: last -> receiving = false; busy = false
					:: else
					fi
				}
				if
				:: last -> break
				:: else
				fi
			:: else ->
				busy = false;
				// futexsleep: the kernel looks at wake and puts to sleep in one step.
				atomic {
					if
					:: !wake -> asleep = true
					:: else
					fi
				}
				(!asleep)
			fi
		fi
	od
}

active proctype goroutine()
{
	byte round;
	do
	:: round < NROUND ->
		// notify
		atomic {
			if
			:: !receiving -> receiving = true; busy = true; run receiver()
			:: else
			fi;
			listed = true;
			wanted = true
		}
		wakereceiver();
		// stop
		atomic { wanted = false }
#ifndef BUG_NO_DELIVERING
		(delivering == 0);
#endif
		(!mask);
		(!busy);
		atomic { listed = false }
		if
		:: receiving && !wanted -> wakereceiver()
		:: else
		fi;
		round++
	:: else -> break
	od;
	// All senders through, nothing wanted: the receiver ends, and nothing is left behind.
	(ended == NSEND && !receiving);
	assert(!queued && !mask);
	done = true
}

// When nothing can move any more all must have ended: a wake-up that is lost shows here.
active proctype watchdog()
{
	timeout;
	assert(done)
}
