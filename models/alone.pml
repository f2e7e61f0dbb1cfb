// SPDX-License-Identifier: BSD-3-Clause
// alone.pml: a lone P does without the channel's lock, and who comes does not meet it inside.
//
// Models chanlock and chanunlock of src/sync/chan.h; pidleget, endalone and goalone of src/rt/proc_p.c.
//
// P1 is always in use, P2 comes and goes: woken by P1 (which is not inside then), or by somebody else. sysmon sets alone
// while P2 is idle. Both use one channel. What must hold: they are never inside at once, and the lock
// is free when nobody has it.
//
// Memory: P1's stores to busy lie in a buffer, in order, and reach memory at any time; its loads do not wait for them
// (amd64). A locked instruction, and the fence that membarrier makes on its CPU, wait until the buffer is empty.
//
// Bugs to inject (each must be found):
//   -DBUG_NO_BARRIER   who comes does not call membarrier.
//   -DBUG_NO_WAIT      nor wait for busy.
//   -DBUG_NO_RECHECK   chanlock does not read alone again.
//   -DBUG_NO_TOKEN     chanunlock asks busy which lock it has, instead of being told.

bool alone, busy, key;
bool schedlock;
bool idle2 = true, woken;
bool in1, in2;
chan buffer = [2] of { bool };

inline enter(me, other) {
	assert(!other);
	me = true
}

active proctype storebuffer() {
	bool v;
end:	do
	:: atomic { buffer ? v -> busy = v }
	od
}

active proctype p1() {
	bool lone;
end:	do
	:: true -> // chanlock
		lone = false;
		if
		:: alone ->
			buffer ! true;
#ifdef BUG_NO_RECHECK
			lone = true
#else
			if
			:: alone -> lone = true
			:: else -> buffer ! false
			fi
#endif
		:: else
		fi;
		if
		:: lone
		:: else -> atomic { !key && empty(buffer) -> key = true }
		fi;
		enter(in1, in2);
		in1 = false;
		// chanunlock
		if
		:: lone -> buffer ! false
		:: else -> key = false // also by the buffer, but later than it looks does no harm
		fi
	:: atomic { idle2 && !woken && !schedlock && empty(buffer) -> schedlock = true }; // wakep
		if
		:: idle2 -> alone = false; idle2 = false; woken = true
		:: else
		fi;
		schedlock = false
	od
}

active proctype sysmon() {
end:	do
	:: atomic { idle2 && !alone && !schedlock -> schedlock = true };
		if
		:: idle2 -> alone = true
		:: else
		fi;
		schedlock = false
	od
}

active proctype p2() {
end:	do
	:: atomic { woken -> woken = false };
		goto work
	:: atomic { idle2 && !schedlock -> schedlock = true }; // pidleget, by who has no P
		if
		:: idle2 ->
			idle2 = false;
			if
			:: alone ->
				alone = false;
#ifndef BUG_NO_BARRIER
				empty(buffer);
#endif
#ifndef BUG_NO_WAIT
				!busy
#endif
			:: else
			fi;
			schedlock = false
		:: else -> schedlock = false; goto again
		fi;
work:		atomic { !key -> key = true };
		enter(in2, in1);
		in2 = false;
#ifdef BUG_NO_TOKEN
		if
		:: busy -> busy = false
		:: else -> key = false
		fi;
		assert(!key || in1);
#else
		key = false;
#endif
		if
		:: goto work
		:: atomic { !schedlock -> schedlock = true }; // pidleput
			idle2 = true;
			schedlock = false
		fi;
again:		skip
	od
}
