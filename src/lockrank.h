// SPDX-License-Identifier: BSD-3-Clause
// lockrank.h: the lock order, one X(rank, "name") line a lock, first taken first.
//
// A lock may be taken while locks of lower rank only are held. DEBUG builds keep the held stack
// of each M and throw with both names. All locks not listed are leaves: nothing is taken under them.
#define LOCK_RANKS(X)                                                                             \
	X(SYSMON, "sched.sysmonlock")                                                             \
	X(STW, "worldsema")                                                                       \
	X(INIT, "inittasks.lock")                                                                 \
	X(MODULES, "modules.lock")                                                               \
	X(POLLDESC, "pollDesc.lock")                                                              \
	X(TIMEROBJ, "timer.lock")                                                                 \
	X(TIMERS, "timers.lock")                                                                  \
	X(HCHAN, "hchan.lock")                                                                    \
	X(ROOT, "semaRoot.lock")                                                                  \
	X(SCHED, "sched.lock")                                                                    \
	X(STACKLARGE, "stackLarge.lock")                                                          \
	X(STACKPOOL, "stackpool.lock")                                                            \
	X(MCACHE0, "mcache0.lock")                                                                \
	X(CENTRAL, "mcentral.lock")                                                               \
	X(HEAP, "mheap.lock")                                                                     \
	X(FIXALLOC, "persistentalloc.lock")                                                       \
	X(EXTRAM, "extraM.lock")                                                                  \
	X(PANIC, "paniclk")                                                                       \
	X(PRINT, "printlock")

enum lockrank {
	LOCKRANK_LEAF, // a lock that nobody has ranked: nothing is taken under it
#define X(r, n) LOCKRANK_##r,
	LOCK_RANKS(X)
#undef X
};
