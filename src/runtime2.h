// SPDX-License-Identifier: BSD-3-Clause
// runtime2.h: g, m, p and sched: the goroutine, the thread, the processor, and what they share.
//
// A g is a goroutine: a stack and where it stands. An m is a thread of the operating system. A p
// is the right to run goroutines, with the queues and caches that go with it; there are
// GOMAXPROCS of them. An m must hold a p to run a g. Fields are grouped by what guards them.
#ifndef RT0_RUNTIME2_H
#define RT0_RUNTIME2_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockrank.h"

struct g;
struct m;
struct p;
struct mcache;
struct panic;
struct rt0_deferred;

// ---- Goroutine states ----
// Gscan is or-ed in by a scanner that has the goroutine's stack to itself (castogscanstatus).
enum {
	Gidle = 0,      // just made, not initialised
	Grunnable = 1,  // on a run queue, its stack is at rest
	Grunning = 2,   // has an m and a p
	Gsyscall = 3,   // in a system call: has an m, not on a run queue
	Gwaiting = 4,   // parked: somebody's queue holds it
	Gdead = 6,      // free (newproc.c), or being made
	Gcopystack = 8, // its stack is being given back page by page (Go: copied)
	Gpreempted = 9, // stopped by suspendG, who must ready it
	Gscan = 0x1000,
};

// ---- Processor states ----
enum {
	Pidle = 0,    // on sched.pidle
	Prunning = 1, // owned by an m that runs goroutines or the scheduler
	Psyscall = 2, // its m is in a system call: whoever wins the CAS on status has it
	Pgcstop = 3,  // stopped by stopTheWorld, which owns it
	Pdead = 4,    // GOMAXPROCS shrank
};

// Why a goroutine waits. The texts are Go's; they appear in tracebacks.
#define WAIT_REASONS(X)                                                                           \
	X(Zero, "")                                                                               \
	X(ChanReceiveNilChan, "chan receive (nil chan)")                                          \
	X(ChanSendNilChan, "chan send (nil chan)")                                                \
	X(Select, "select")                                                                       \
	X(SelectNoCases, "select (no cases)")                                                     \
	X(ChanReceive, "chan receive")                                                            \
	X(ChanSend, "chan send")                                                                  \
	X(Semacquire, "semacquire")                                                               \
	X(Sleep, "sleep")                                                                         \
	X(SyncMutexLock, "sync.Mutex.Lock")                                                       \
	X(SyncRWMutexRLock, "sync.RWMutex.RLock")                                                 \
	X(SyncRWMutexLock, "sync.RWMutex.Lock")                                                   \
	X(SyncCondWait, "sync.Cond.Wait")                                                         \
	X(IOWait, "IO wait")                                                                      \
	X(StoppingTheWorld, "stopping the world")                                                 \
	X(Preempted, "preempted")                                                                 \
	X(Callback, "waiting for the runtime")
enum waitreason {
#define X(r, text) waitReason##r,
	WAIT_REASONS(X)
#undef X
};

// A mutex of the runtime: blocks the thread. Zero is unlocked. lock_futex.c.
struct mutex {
	uint32_t key; // atomic: 0 free, 1 locked, 2 locked and perhaps somebody sleeps
	uint32_t rank;
};

// A one-shot wake-up between threads: noteclear, then one notewakeup and one notesleep.
struct note {
	uint32_t key; // atomic: 0 no wake-up yet, 1 woken, 2 not yet, and somebody sleeps or is about to
};

struct stack {
	uintptr_t lo, hi; // usable bytes [lo, hi); a guard lies below lo
};

struct gobuf {
	uintptr_t sp; // a switchframe, while the goroutine is not running
};

// What mcall and swtch push, and who resumes the goroutine pops.
struct switchframe {
	uintptr_t fpmodes; // MXCSR, and 4 bytes on the x87 control word
	uintptr_t r15, r14, r13, r12, rbx, rbp, pc;
};

// A sudog stands for a goroutine in a wait queue. It lives on the waiter's own stack: stacks do
// not move, and a waiter cannot leave before it is dequeued.
struct sudog {
	struct g *g;
	struct sudog *next, *prev; // hchan.lock or semaRoot.lock
	void *elem;                // where to copy from or to; may be another goroutine's stack
	void *c;                   // the channel or the semaphore's address
	bool success;              // woken by a communication, not by close
	bool isselect;             // one of several: who dequeues it must claim g first (select.c)
};

// A timer: embed it, on the stack too, zeroed. Armed while it is on a wheel (timer.c). when: ns, the clock of
// nanotime. One of fire and call is set:
//   fire(t, now) runs under the wheel's lock (rank TIMERS): it may take locks of higher rank, allocates
//   nothing, and returns a goroutine to ready, off all wait queues and parked, or NULL. Once timerstop has
//   returned, fire does not run and will not.
//   call(arg, seq) runs on g0, with a p and without locks, on copies of arg and seq: t may be gone. It may
//   ready goroutines and start them, not park.
struct timer {
	struct timers *ts;    // atomic: the wheel it is on; NULL: not armed. Set and cleared under its lock
	uint32_t cell;        // the wheel's lock, as when and period while it is armed: where it is noted there
	int64_t when, period; // period > 0: armed again by itself
	struct g *(*fire)(struct timer *t, int64_t now);
	void (*call)(void *arg, uint64_t seq);
	void *arg;
	uint64_t seq;
};

struct g {
	// constant while the goroutine lives; offsets known to assembly:
	struct stack stack;
	uintptr_t stackguard0; // atomic: stack.lo, or STACKPREEMPT to ask for the processor
	uintptr_t stackguard1; // g0 and gsignal: lowest address that may be used
	struct m *m;           // the m that runs it; NULL when not running
	struct gobuf sched;    // valid while not running
	struct rt0_deferred *defer; // owner: deferred calls, the newest first (defer.c)
	uint32_t atomicstatus; // atomic, by casgstatus only
	uint8_t waitreason;    // owner, before it parks
	uint8_t stackorder;    // which pool the stack came from (stack.c)
	uint8_t issystem;      // not the user's: hidden at GOTRACEBACK below system
	uint8_t asyncstop;     // stopped in a signal handler: stands at syscallpc/sp/bp
	uint64_t goid;
	struct g *schedlink; // the queue's lock, or the owner of the list it is on
	uintptr_t gopc;      // return address of the rt0_go that made it
	uintptr_t startpc;   // fn
	uint64_t parentgoid;
	struct m *lockedm;     // the thread it is bound to
	int64_t waitsince;     // ns, when it began to wait; 0: not measured (as in Go, where the collector does)
	struct m *home;        // the m that is to run it, while it is parked in a call of librt0_posix; NULL: any (home.c)
	// Above, two cache lines: all that a goroutine uses that starts, runs and ends. The third begins with what has to
	// be looked at all the same when it does.
	struct panic *panic;   // owner: the panics and the Goexit that run, the newest first (defer.c)
	int32_t npanics;       // owner writes (atomic): how many of g.panic are no Goexit
	int32_t nopreempt;     // > 0: rt0_preempt_disable
	int32_t inthread;      // > 0: rt0_preempt_inthread_begin
	int32_t nowned;        // owner: locks of the libc's that it holds and that know their owner (src/posix)
	bool homelost;         // owner: this call returns on any thread (home.c)
	struct stack segment;  // inside rt0_morestack: the stack in use
	bool paniconfault;     // owner: rt0_set_panic_on_fault
	uint32_t selectdone;   // atomic: may it be woken, and who has done so (select.c)
	void *param;           // owner: what it hands to a function called by mcall. In a select: the sudog that woke it
	uintptr_t syscallsp;   // in a system call: where its stack stands (traceback)
	uintptr_t syscallpc, syscallbp;
	struct g *alllink;     // large and foreign goroutines: stackLarge.all (stack.c)
	void *racectx;         // TSan fiber, or ASan fake stack while away
};

enum { NRUNQ = 256, NNEWQ = 4096, MAXPROCS = 1024 };
enum { GFREE_MAX = 1024, GFREE_BATCH = 64 }; // dead goroutines that a p keeps; how many leave it at once
#define STACKPREEMPT ((uintptr_t)-1314) // as Go's stackPreempt: above every stack

// A thread found asleep in a system call.
struct blockedcall {
	int32_t nr;
	uintptr_t pc, sp;
	bool valid;
	int64_t since;  // ns: it has slept at least since then; 0: not known
	int64_t slack;  // ns: but no longer than this before
	uint64_t nvcsw; // if it is: how often the thread had gone to sleep by itself
};

struct gqueue {
	struct g *head, *tail;
};

// The goroutines that are at home on an m (home.c).
struct homequeue {
	struct mutex lock; // a leaf
	struct gqueue q;   // lock
	bool closed;       // lock: the m has ended
	bool listed;       // sched.lock, as link: it is on sched.homem
	struct m *link;
	int32_t looks;     // lock: how often sysmon has looked since something was taken
	int32_t stuck;     // sysmon only: how often in a row it was stuck
	int64_t looked;    // lock: ns, the last time
};

#if RT0_DEBUG
enum { NHELD = 15 };
#else
enum { NHELD = 1 }; // not used
#endif
struct lockheld {
	uint32_t n;
	struct mutex *l[NHELD];
};

struct m {
	// offsets known to assembly:
	struct g *g0;       // the scheduler's stack
	struct g *gsignal;  // signal handlers'
	struct g *curg;     // current goroutine, or NULL
	uintptr_t *tls;     // &runtime_tls_g of this thread
	// this m only, unless noted:
	int64_t id;
	uint64_t procid;      // atomic: kernel thread id; sysmon may read a stale one
	uint64_t fastrand[2]; // wyrand state
	struct p *p;          // NULL when it runs no goroutines
	struct p *nextp;      // handed over by who wakes us; owned once park is signalled
	struct p *startp;     // atomic: a new m's first p; sysmon may take it back while the thread is being made
	struct p *oldp;       // the p before the system call
	void (*mstartfn)(void);
	void *(*startfn)(void *); // hosted: what the thread runs
	struct g *lockedg; // sched.lock, or the m itself
	uint32_t lockedext, lockedint;
	int32_t locks;    // > 0: must not be preempted, must not park
	int32_t mallocing;
	int32_t throwing; // 0, 1 fatal (user), 2 throw (runtime)
	int32_t dying;
	uint8_t spinning; // looking for work, counted in sched.nmspinning
	uint8_t routed;   // it has put a goroutine on another's home queue: starthomes, before it runs one
	uint8_t blocked;  // asleep on a note
	uint8_t isextra;  // belongs to a foreign thread while that one is in
	uint32_t signalpending; // atomic: 1 a preemption signal is being made, 2 sent and not handled
	struct blockedcall blockedcall; // sysmon writes before it sends the signal, the handler reads
	struct note park;
	int32_t nhome;       // atomic; home.lock writes: how many are on home.q
	bool idle;           // sched.lock: on midle
	struct m *idleprev;  // sched.lock: midle
	struct m *alllink;   // sched.allm; never removed while the runtime runs
	struct m *schedlink; // sched.lock: midle, freem, extra list
	struct g *deadg;     // goexit0: freed once off its stack
	bool (*waitunlockf)(struct g *gp, void *lock); // gopark to park_m
	void *waitlock;
	struct g *callg;     // extra m: the goroutine of its last call, dead, for the next
	bool bound;          // extra m: its thread keeps it until the thread ends
	uint64_t unblocked;  // extra m: signals that the thread had blocked, and that are not during a call
	uintptr_t altsp;     // extra m: the thread's own signal stack, as sigaltstack gave it
	uint64_t altsize;
	int32_t altflags;    // < 0: it was not changed
	uint32_t freewait; // atomic, in freem: 0 once the thread is off the m
	int32_t cleartid;  // pure: the kernel zeroes it when the thread is gone
	// these stay when the m is used for another thread:
	struct homequeue home;
	struct stack thread; // the stack for its thread, in its slot (mslot_linux.c)
	struct lockheld held;  // DEBUG; last, since its size differs
};

// What sysmon saw last time it looked at a p.
struct sysmontick {
	uint32_t schedtick, syscalltick;
	int64_t schedwhen, syscallwhen; // ns
	int64_t asked;                  // ns, when it was last told that a slice is over: the next began then
	uint64_t nswitch;
	int64_t oldestwhen; // ns
	// Does the thread get on? Its CPU clock, since when it has not moved, when to compare again.
	struct m *cpum;
	uint64_t cpuswitch;
	bool cpuwaiting; // others waited when cpunext was set
	// cpusince: when it was first seen to have run for cpu ns; cpufrom: when it was last seen to have
	// run for less, or another to run; cpuseen: when its clock was last read; looked: the last look.
	int64_t cpu, cpusince, cpufrom, cpuseen, cpunext, looked; // ns
	int64_t cpuback; // ns, from a look that saw it get on to the next: doubles each time
};

struct p {
	int32_t id;
	uint32_t status;     // atomic: Pidle...
	struct p *link;      // sched.lock: sched.pidle
	struct m *m;         // back link; NULL when idle
	uint32_t schedtick;  // owner, read by sysmon: goes up at each execute that starts a slice
	uint32_t syscalltick;
	struct sysmontick sysmontick; // sysmon only
	bool boundturn;      // sched.lock: a goroutine stopped in its handler is the next to get a turn
	uint8_t oldest;      // atomic: sysmon asks (1) that the global queue, (2) that the oldest of newq go next
	struct mcache *mcache; // owner only
	struct timers *timers; // timer.c; written once; NULL: none was ever set here
	struct uring *uring;   // owner only: uring_linux.c; written once; NULL: none was ever needed
	// owner only: switches until it looks at its timers again, how many that were, when it looked (timer.c)
	int32_t timerticks, timerticks0;
	int64_t timerlook;
	int32_t due;    // owner only: turns that the ring has before new goroutines, since timers have readied some (timer.c)
	int32_t nfired; // owner only: timers fired since the p was idle last, and when the last one was
	int64_t firedat;

	// runq.c: runq is a FIFO ring; newq a deque of goroutines not yet started.
	uint32_t runqtail __attribute__((aligned(64)));  // owner writes (release)
	uint32_t newqbottom;                             // owner writes (release)
	struct g *runnext;                               // atomic: owner sets, thieves may take
	uint32_t runqhead __attribute__((aligned(64)));  // anybody, by CAS
	uint32_t newqtop;                                // anybody, by CAS
	struct g *runq[NRUNQ];
	struct g **newq; // NNEWQ; constant once the world has started

	// owner only (or who has stopped the world):
	int32_t ngfree;
	struct g *gfree[GFREE_MAX + 1]; // dead goroutines with default stacks, warm, last in first out
	int64_t madeseen; // gfahead's
	uint64_t goidcache, goidcacheend;
	uint64_t nspawn, nswitch, nsteal; // counters of schedtrace
	uint64_t homedue; // while homewaits: the nswitch at which an m of homem gets this p
	bool homewaits;
};

// Dead goroutines on their way from one p to another (newproc.c). sched.lock.
struct gbatch {
	struct gbatch *next;
	int32_t n;
	struct g *g[GFREE_BATCH];
};

struct schedt {
	struct mutex lock;
	// lock:
	struct m *midle; // asleep, waiting for work
	int32_t nmidle, nmidlelocked;
	int64_t mnext;   // id of the next m, and how many there have been
	int32_t maxmcount;
	bool m0gone;     // the main thread is parked for ever: not in mcount, still in the kernel's
	int32_t nmsys;   // system ms (sysmon): not counted by checkdead
	int64_t nmfreed;
	struct m *homem, *homemtail; // those of midle who have goroutines at home (home.c)
	int32_t nhomem;  // of those; written under lock, read anywhere
	struct p *pidle;
	struct gqueue runq; // the global queue
	struct gqueue boundq; // runnable goroutines whose thread waits for a p (preempt.c, exitsyscall)
	int32_t nbound;     // of those; written under lock, read anywhere
	int32_t nstopped;   // atomic: goroutines stopped in the handler
	int32_t maxstopped; // the most there have been
	int64_t lastgrow;   // ns, when one more than the cap was last stopped
	bool boundfirst;    // globrunqget: the other queue's turn
	uint64_t nstops, ninthread; // counters of schedtrace
	struct gbatch *gfree;     // batches of dead goroutines that no p holds
	struct gbatch *gfreecold; // the same; pages below the g's own are the kernel's again
	struct gbatch *gbatches;  // empty ones
	int32_t ngfree;      // of both lists
	uint32_t gfreeseq;   // atomic: odd while sched.lock holds dead goroutines that no count has, or two (livecount)
	struct m *freem;    // threads that have ended, to be freed
	int32_t stopwait;
	struct note stopnote;
	struct note sysmonnote;
	struct m *allm;     // newest first; readers need no lock
	struct m *extram;   // extraM.lock: ms for foreign threads, not in use
	struct mutex extralock;
	uint64_t nwake;     // lock: how often a sleeping m was woken
	uint64_t npidleget; // written under lock: how often a p was taken that was idle
	uint64_t nalone;    // lock: how often one p was found to be alone
	uint32_t alonebroken; // atomic: alone has ended by somebody else's doing
	int32_t nmextra;    // atomic: extra ms, whether a foreign thread has them or nobody
	int32_t nextrain;   // atomic: of those, how many have a thread that is in a call
	// atomic; who can still ready a goroutine though no m runs (checkdead.c):
	int32_t npollwait;  // goroutines that wait in the poller
	// netpoll; atomic:
	int64_t lastpoll;   // ns, when somebody last looked; 0: somebody is at it and may sleep there
	int64_t polluntil;  // ns, until when; 0: not known or for ever
	struct m *poller;   // the m that sleeps there
	int32_t nhomes;     // atomic: ms with goroutines in their home queue
	uint32_t deadlook;  // nobody runs but a foreign thread might: look again in a while
	// newmhandoff.lock:
	struct mutex newmlock;
	struct m *newmlist; // ms that the template thread is to start
	struct m *newmcur;  // the one it is starting
	bool havetemplate;  // atomic
	uint32_t newmwake;  // atomic, futex: 1 when newmlist has something
	// atomic:
	uint64_t goidgen __attribute__((aligned(64)));
	int32_t npidle;
	int32_t nmspinning;
	uint32_t needspinning;
	int32_t runqsize;   // of runq and boundq; written under lock, read anywhere
	uint32_t sysmonwait;
	uint32_t lazywake;  // a wake-up was left to sysmon (runq.c: "runnext-only dance")
	uint32_t sysmonslow; // sysmon sleeps long, on this word: whoever makes it 0 wakes it
	int32_t ngsys;      // system goroutines
	int32_t ncallg;     // dead goroutines in m.callg
	uint32_t needspare;   // a handler found no idle m: sysmon has one made
	uint32_t sparecoming; // it is being made
	// Read by every park and switch, seldom written: on a line of its own.
	// atomic:
	uint32_t gcwaiting __attribute__((aligned(64))); // stopTheWorld wants the processors
	uint32_t gscan;     // a scanner may set Gscan: casgstatus takes its slow path
	// constant while the world runs (changed by stopTheWorld only):
	int32_t gomaxprocs;
	bool solo;          // gomaxprocs == 1: nobody else can hold a p ("solo rule", runtime.h)
	bool mainstarted;   // atomic: set once
	bool islibrary, iscgo, secure; // constant after init
	// constant after init:
	int32_t ncpu;
	uintptr_t fpmodes;  // MXCSR and x87 control word of new goroutines, as in their frame
	uint32_t grown;     // atomic: runtime_grow has run
	int32_t wantprocs;  // GOMAXPROCS of the environment; 0: what the machine allows
	int32_t pid;         // atomic; constant once asyncready; not that of a child of fork
	uint32_t asyncready; // atomic: the handler of the preemption signal is there
	uint32_t viatemplate; // atomic: goroutines may be stopped with locks of the libc: the template thread makes all ms
	uint32_t sysmonstarted, stopping; // atomic; stopping: rt0_stop, threads are to end
	// atomic, see "the lone p" (proc_p.c):
	uint32_t alone;     // written under lock: no p but one is in use
	uint32_t busy;      // its: it is between chanlock and chanunlock
	uint32_t canbarrier; // atomic, grow's, then sysmon's: the process has registered for membarrier
	// sysmon's:
	// atomic: ns, its last look at the clock, or that of who came back from netpoll since; 0: it sleeps, ask yourself
	int64_t coarsenow __attribute__((aligned(64)));
	struct mutex sysmonlock __attribute__((aligned(64)));
	uint64_t npreemptreq, nretaken; // atomic: counters of schedtrace
};

static_assert(offsetof(struct g, stackguard0) == 16, "the prologues that rt0 asm makes (tools/asm/frame.c)");
static_assert(offsetof(struct switchframe, pc) == 56, "gdb.py");

#endif
