// SPDX-License-Identifier: BSD-3-Clause
// runtime.h: base types, throw, print, and every runtime_* function, grouped by the file it is in.
//
// Rules that hold everywhere in src/:
//   - No libc: memmove and friends are runtime_memmove...; the compiler may still call memcpy,
//     memset, memmove and memcmp, which memmove_amd64.s defines weakly for pure programs.
//   - Errors are negative errno values. The kernel is called through runtime_sys* only.
//   - The address of a thread-local is never kept across a call that can park. Use getg().
//   - The solo rule: with GOMAXPROCS=1 (sched.solo) whoever holds the p is alone with all that
//     only p holders touch: run queues, channels, semaphores, goroutine states. Their locks and
//     compare-and-swaps are then plain accesses. It changes only while the world is stopped.
#ifndef RT0_RUNTIME_H
#define RT0_RUNTIME_H

#include "../include/rt0.h"
#include "arch/amd64/atomic.h"
#include "runtime2.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define NOINLINE __attribute__((noinline))
// What every boot writes lies together, on two pages instead of a dozen: a page costs 1.75 µs.
#define BOOTDATA __attribute__((section("rt0_boot")))
#define HIDDEN __attribute__((visibility("hidden")))
#define WEAK __attribute__((weak))
// For what runs in signal handlers: it may have interrupted the sanitizer's own code.
#if defined(__clang__)
#define NOSANITIZE __attribute__((disable_sanitizer_instrumentation, no_sanitize("undefined")))
#else
#define NOSANITIZE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif
#define PRINTF(a, b) __attribute__((format(printf, a, b)))

#ifndef RT0_DEBUG
#define RT0_DEBUG 0
#endif

#if defined(__SANITIZE_THREAD__)
#define RT0_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define RT0_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RT0_TSAN 1
#elif __has_feature(address_sanitizer)
#define RT0_ASAN 1
#endif
#endif
#ifndef RT0_TSAN
#define RT0_TSAN 0
#endif
#ifndef RT0_ASAN
#define RT0_ASAN 0
#endif

#define PAGESIZE 4096ul
#define MS 1000000ll // ns
#define SEC 1000000000ll

static inline uintptr_t
alignup(uintptr_t n, uintptr_t a)
{
	return (n + a - 1) & ~(a - 1);
}

// What compilers call without being asked comes from here, not from a libc: the preemption signal must find the
// runtime's code in section rt0_text only. The sanitizers want theirs.
#if !__STDC_HOSTED__ && !RT0_TSAN && !RT0_ASAN
__asm__("memcpy = runtime_memcpy\n\tmemmove = runtime_memcpy\n\tmemset = runtime_memset\n\tmemcmp = runtime_memcmp");
#endif

#pragma GCC visibility push(hidden)

// Where the code runs, checked in debug builds; first line of a body.
#if RT0_DEBUG
#define ON_G0() do { struct g *gp_ = getg(); if (gp_ != gp_->m->g0) runtime_badcontext(__func__, "g0"); } while (0)
#define ON_USERG() do { struct g *gp_ = getg(); if (gp_ == gp_->m->g0 || gp_->m != getm()) runtime_badcontext(__func__, "user g"); } while (0)
#define HELD(l) runtime_assertlockheld(l)
#else
#define ON_G0() ((void)0)
#define ON_USERG() ((void)0)
#define HELD(l) ((void)0)
#endif

// ---- arch/amd64 ----
extern __thread struct g *runtime_tls_g __attribute__((tls_model("initial-exec")));
// tls_m is for signal handlers and getm: the m of this thread, from minit to unminit. getg()->m is not to be
// trusted there: in the middle of a switch getg() may be a goroutine that another m runs already.
extern __thread struct m *runtime_tls_m __attribute__((tls_model("initial-exec")));
// mcall saves the goroutine, changes to g0's stack and calls fn(gp); fn returns the goroutine to
// run next, which mcall then runs (gogo). So mcall returns when somebody runs gp again.
void runtime_mcall(struct g *(*fn)(struct g *gp));
// systemstack runs fn(arg) on the g0 stack and returns; on g0 or gsignal already it just calls.
void runtime_systemstack(void (*fn)(void *arg), void *arg);
void runtime_swtch(struct g *from, struct g *to, uint32_t *word);
RT0_NORETURN void runtime_jump(struct g *to);
RT0_NORETURN void runtime_gogo(struct g *gp);
void runtime_goexit(void);  // where a goroutine's function returns to
void runtime_gostart(void); // where a goroutine begins
// callon runs fn(arg) on the stack that ends at sp, and returns.
void runtime_callon(void (*fn)(void *arg), void *arg, uintptr_t sp);
// calldeferred calls fn(arg), with *cfa the end of its frame.
void runtime_calldeferred(void (*fn)(void *arg), void *arg, uintptr_t *cfa);
// mrun calls fn(arg), which never returns, with g0's stack based here; it returns by mreturn.
void runtime_mrun(void (*fn)(void *arg), void *arg);
RT0_NORETURN void runtime_mreturn(void);
RT0_NORETURN void runtime_abort(void);
void runtime_memmove(void *to, const void *from, size_t n);
void runtime_memclr(void *p, size_t n);
extern uint8_t runtime_isIntel, runtime_lfenceBeforeRdtsc;
extern uint32_t runtime_processorVersionInfo;
struct cpufeatures {
	bool sse3, ssse3, sse41, sse42, popcnt, aes, pclmulqdq, avx, fma;
};
extern struct cpufeatures runtime_cpu;
void runtime_cpuinit(void);

// ---- os/linux: the contract is os/os.h ----
#include "os/os.h"

// ---- boot.c ----
extern struct schedt sched;
extern void (*runtime_main_main)(void); // the program's main; does not return, but in library mode
extern struct g runtime_g0;
extern uintptr_t runtime_bootsp;
extern struct m runtime_m0;
extern int32_t runtime_argc;
extern char **runtime_argv;
void runtime_args(int32_t argc, char **argv);
void runtime_check(void);
void runtime_schedinit(void);
void runtime_rt0_go(int32_t argc, char **argv); // returns after rt0_stop only
void runtime_restart(void);                     // the same for a runtime that was stopped
void runtime_main(void *arg);
int runtime_pluginadd(void);

// ---- env.c ----
struct debugvars {
	int32_t schedtrace, scheddetail, inittrace, boottrace, gctrace, asyncpreemptoff, stacksize;
	int32_t tracebackancestors, seed, guardoff, failsys, failcount, preemptms, preemptus, iouringoff;
};
extern struct debugvars debug;
extern int32_t runtime_gogc;      // GOGC; -1 is off
extern int64_t runtime_memlimit;  // GOMEMLIMIT, bytes
extern char **runtime_envp;       // set before boot in library mode; NULL: it lies behind argv
const char *runtime_gogetenv(const char *name);
const char *runtime_gogetenvor(const char *name, const char *none);
bool runtime_atoi(const char *s, size_t n, int64_t *out);
void runtime_goargs(void);
void runtime_goenvs(void);
void runtime_parsedebugvars(void);
void runtime_earlydebugvars(void); // reads GODEBUG, once; any boot step may call it first
void runtime_parsegodebug(const char *s);
void runtime_settraceback(const char *level);
bool runtime_parsebytecount(const char *s, int64_t *out);
int32_t runtime_gomaxprocsenv(int32_t ncpu);
void runtime_gcinit(void);
// gotraceback: level 0 none, 1 user frames, 2 system; all: every goroutine; crash: abort after.
int runtime_gotraceback(bool *all, bool *crash);

// ---- initask.c ----
void runtime_doinit(void); // runs every registered task that has not run; on one goroutine
bool runtime_checkinit(bool fatal);
void runtime_forgetinit(void); // the tasks that have registered since the last doinit
extern int64_t runtime_runtimeInitTime; // ns, when doinit first ran

// ---- proc.c ----
void runtime_gopark(bool (*unlockf)(struct g *, void *), void *lock, enum waitreason reason);
void runtime_goparkword(uint32_t *word, enum waitreason reason);
void runtime_goready(struct g *gp);
void runtime_ready(struct g *gp, bool next);
void runtime_readycrowd(struct gqueue *q, int32_t n);
void runtime_goyield(void);
bool runtime_workleft(void);
void runtime_injectglist(struct gqueue *q, int32_t n); // waiting goroutines become runnable; with or without a p
struct g *runtime_schedule(void); // on g0: the goroutine to run next, made running
struct g *runtime_gosched_m(struct g *gp);
struct g *runtime_goexit0(struct g *gp);
void runtime_goexit1(void);
void runtime_casgstatus(struct g *gp, uint32_t oldval, uint32_t newval);
bool runtime_castogscanstatus(struct g *gp, uint32_t oldval, uint32_t newval);
void runtime_casfrom_Gscanstatus(struct g *gp, uint32_t oldval, uint32_t newval);
uint32_t runtime_readgstatus(struct g *gp);
const char *runtime_waitreasontext(struct g *gp);
bool runtime_preemptpointslow(struct g *gp);

// ---- newproc.c ----
void runtime_newproc(void (*fn)(void *), void *arg, uintptr_t callerpc);
struct g *runtime_newproc1(void (*fn)(void *), void *arg, struct g *callergp, uintptr_t callerpc, size_t stacksize);
void runtime_gfput(struct p *pp, struct g *gp);
void runtime_gfpurge(struct p *pp, int32_t keep);
bool runtime_gfahead(struct p *pp);
int32_t runtime_gcount(void);
int32_t runtime_livecount(void);

// ---- runq.c, and runq.h ----
enum { NEWQDEEP = 128 }; // goroutines started by one and not yet run: then it is made to yield
void runtime_runqput(struct p *pp, struct g *gp, bool next);
struct g *runtime_runqget(struct p *pp, bool *inherittime);
bool runtime_runqempty(struct p *pp);
struct g *runtime_runqsteal(struct p *pp, struct p *p2, bool stealrunnext);
void runtime_globrunqput(struct g *gp);
void runtime_globrunqputbatch(struct gqueue *batch, int32_t n);
struct g *runtime_globrunqget(struct p *pp, int32_t max);
struct g *runtime_boundget(void);
bool runtime_boundput(struct m *mp, struct g *gp);
void runtime_unbind(struct m *mp, struct g *gp, bool bound);
void runtime_runqdrain(struct p *pp);
uint32_t runtime_runqlen(struct p *pp);
void runtime_runq_check(struct p *pp);

// ---- proc_m.c ----
void runtime_mstart(void); // returns when the thread has to end
void runtime_mcommoninit(struct m *mp, int64_t id);
struct m *runtime_allocm(struct p *pp, void (*fn)(void), int64_t id);
void runtime_newm(void (*fn)(void), struct p *pp, int64_t id);
void runtime_startm(struct p *pp, bool spinning);
void runtime_stopm(void);
bool runtime_handhome(void);
void runtime_wakep(void);
void runtime_handoffp(struct p *pp);
bool runtime_unwatched(int64_t when);
void runtime_stoplockedm(void);
void runtime_mparkbound(struct m *mp);
struct m *runtime_mget(void);
bool runtime_sparem(void);
void runtime_needtemplate(void);
void runtime_takebackps(void);
void runtime_startlockedm(struct g *gp);
void runtime_gcstopm(void);
RT0_NORETURN void runtime_mexit(void);
RT0_NORETURN void runtime_quitthread(void);
void runtime_stopms(void);
int64_t runtime_mcount(void); // sched.lock held, or a guess
void runtime_checkmcount(void);
void runtime_incidlelocked(int32_t n);
void runtime_lockOSThread(void); // internal count, for init
void runtime_unlockOSThread(void);

// ---- foreign.c ----
struct g *runtime_callbackdone(struct g *gp);
// callback runs fn(arg) as a goroutine of this foreign thread; -ENOTCONN without a runtime.
int runtime_callback(void (*fn)(void *), void *arg);
void runtime_foreignexit(struct m *mp); // the thread that mp is bound to ends

// ---- proc_p.c ----
// allp: the first sched.gomaxprocs are alive, others keep their dead p or NULL. Changed while the world is
// stopped; who has no p reads it by runtime_pat.
extern struct p **allp;
static inline struct p *
runtime_pat(int32_t i)
{
	return atomic_loadacq(&atomic_loadacq(&allp)[i]);
}
struct p *runtime_procresize(int32_t n);
void runtime_acquirep(struct p *pp);
struct p *runtime_releasep(void);
void runtime_pidleput(struct p *pp);
struct p *runtime_pidleget(void);
bool runtime_goalone(void);
void runtime_exitsyscall(void);
bool runtime_exitsyscallfast(struct m *mp);
struct g *runtime_exitsyscall0(struct g *gp);
struct g *runtime_runagain(struct m *mp, struct g *gp);
void runtime_reentersyscall(uintptr_t pc, uintptr_t sp, uintptr_t bp);
void runtime_entersyscallblock(void);
void runtime_stopTheWorld(void);
void runtime_startTheWorld(void);

// ---- sysmon.c ----
void runtime_startsysmon(void);
void runtime_grow(void); // a goroutine's: the rest of the boot, once
void runtime_growpreempt(void); // the part of it that preemption needs; any thread's with an m
void runtime_wakesysmon(void);

// ---- timer.c ----
// timerstart arms t, which is not armed; timerstop disarms it and tells whether it was armed. Anybody with a p.
void runtime_timerstart(struct timer *t, int64_t when, int64_t period);
bool runtime_timerstop(struct timer *t);
int64_t runtime_timernext(struct p *pp);  // no timer of pp's is due before; INT64_MAX: none is armed. Anybody
int64_t runtime_timersnext(void);         // of all ps
int64_t runtime_timersrest(struct p *pp);
int64_t runtime_checktimers(struct p *pp, int64_t now); // runs what is due of pp's, onto the current p; timernext
void runtime_wakenetpoller(int64_t when);
void runtime_looktimers(struct p *pp);    // the current p's, at its turn
void runtime_movetimers(struct p *from, struct p *to); // world stopped
int32_t runtime_timerslen(struct p *pp);  // how many are armed there
int32_t runtime_timersarmed(void);        // how many, in all

// ---- netpoll.c, and os/linux/netpoll_epoll.c ----
// A descriptor that the poller watches. Never unmapped: late events and timers may look at it.
struct polldesc;
enum { POLLREAD = 'r', POLLWRITE = 'w' };
enum { POLL_OK = 0, POLL_CLOSING = 1, POLL_TIMEOUT = 2, POLL_NOTPOLLABLE = 3 };
// The first timer or descriptor makes the poller; any number of times. init throws if it cannot be made: for timers,
// which have no other way. try is for who can fail or block instead: 0 or -errno, of which EMFILE is the likely one.
void runtime_netpollinit(void);
int runtime_netpolltry(void);
bool runtime_netpollinited(void);
int runtime_netpollopen(int fd, struct polldesc *pd); // to the kernel's list, edge-triggered; 0 or -errno
int runtime_netpollclose(int fd);
void runtime_netpollbreak(void); // ends netpoll(delay) of another thread
// netpoll waits up to delay ns (0: not at all, < 0: for ever) and appends the goroutines that are to run.
int32_t runtime_netpoll(int64_t delay, struct gqueue *q);
// netpollready: pd is ready for mode ('r', 'w', 'r' + 'w'); appends who waits. Returns how many, whom the caller takes
// off sched.npollwait: once for all that it has found.
int32_t runtime_netpollready(struct gqueue *q, struct polldesc *pd, int mode);
// netpolltag is the data of pd's events; netpollevent is netpollready for the polldesc of a tag, and nothing if that
// has been closed since. hup: the event told of an end, of an error or of urgent data.
uint64_t runtime_netpolltag(struct polldesc *pd);
int32_t runtime_netpollevent(struct gqueue *q, uint64_t tag, int mode, bool hup);
// For descriptors (src/net), on a goroutine. mode: POLLREAD or POLLWRITE, in set_deadline also their sum; one
// waiter a mode. Results: POLL_...; poll_open: 0 or -errno (-EPERM: cannot be watched).
int runtime_poll_open(int fd, struct polldesc **out);
void runtime_poll_close(struct polldesc *pd);   // after poll_unblock, and when nobody waits
int64_t runtime_poll_deadline(struct polldesc *pd); // for reading, as it was set, or 0: over
int runtime_poll_reset(struct polldesc *pd, int mode);
int runtime_poll_wait(struct polldesc *pd, int mode);
void runtime_poll_set_deadline(struct polldesc *pd, int64_t d, int mode); // INT64_MAX: never
void runtime_poll_unblock(struct polldesc *pd);
bool runtime_poll_hup(struct polldesc *pd);
void runtime_netpollforked(void); // in the child of a fork
void runtime_pollforked(void);    // its portable half
int runtime_netpollctl(int op, int fd, uint32_t events, uint64_t tag);
// A word that a goroutine waits with: POLLWAIT until it is parked, then the goroutine. See the heads of netpoll.c,
// posix.c and uring_linux.c.
enum { POLLWAIT = 2 };
bool runtime_netpollblockcommit(struct g *gp, void *word);
// For findrunnable.
bool runtime_netpollturn(struct g **gpp);
bool runtime_sleepnetpoll(int64_t until, int64_t notbefore, bool wasspinning, bool *inherittime, struct g **gpp);

// ---- os/linux/uring_linux.c ----
#define URINGTAG (3ull << 62) // of a ring's events, with its address below
long runtime_uringread(int fd, void *buf, size_t n, int64_t off);
int32_t runtime_uringevent(struct gqueue *q, uint64_t tag);
void runtime_uringforked(struct p *pp);

// ---- posix.c: for librt0_posix (posixops.h), and home.c ----
extern const struct posixops runtime_posixops;
int32_t runtime_posixevent(struct gqueue *q, uint64_t tag, uint32_t events);
void runtime_posixforked(void);
void runtime_gohome(struct m *home);
bool runtime_homeput(struct g *gp);
struct g *runtime_takehome(struct m *mp);
void runtime_homelist(struct m *mp);
struct m *runtime_homeunlist(void);
void runtime_starthomes(void);
void runtime_homeclose(struct m *mp);
void runtime_homeopen(struct m *mp);
bool runtime_homecheck(int64_t now, int64_t *next);

// ---- preempt.c ----
struct ucontext;
int64_t runtime_slice(void);
bool runtime_preemptone(struct p *pp, bool async, bool have, const struct sysmontick *pd);
void runtime_preemptall(void);
uint64_t runtime_preemptself(void);
void runtime_preemptinit(void);
struct siginfo;
void runtime_sigurg(struct siginfo *info, struct ucontext *ctx, struct g *gp);
void runtime_asyncPreempt(void); // asm: saves all, calls asyncPreempt2
void runtime_newstack(void);     // from runtime.morestack

// ---- checkdead.c ----
void runtime_checkdead(void); // sched.lock held
bool runtime_lookagain(void); // the same
int64_t runtime_looknext(int64_t last);
void runtime_looksleep(struct note *n);

// ---- fork.c ----
extern uint32_t runtime_forked; // this process is the child of a fork, without its parent's threads
void runtime_forkchild(void);
RT0_NORETURN void runtime_forkedfatal(void); // the child wants another goroutine
RT0_NORETURN void runtime_forkedlock(void);  // the child finds a lock taken

// ---- stack.c ----
enum { STACKMIN = 16 << 10, STACKDEFAULT = 256 << 10, STACKGUARD = 928, STACKSYSTEM_WINDOW = 64 << 10 };
extern size_t runtime_maxstacksize, runtime_maxstackceiling;
void runtime_stackinit(void);
struct g *runtime_malg(size_t size); // a g at the top of its own stack; NULL: no memory. On g0
struct g *runtime_malgslot(void);
void runtime_allgadd(int64_t n);
void runtime_gfree(struct g *gp);    // gives back the stack and the g in it (large ones)
struct stack runtime_stackalloc(size_t size); // lo 0: no memory
void runtime_stackfree(struct stack s);
void runtime_dropsegments(struct g *gp);
void runtime_stackrelease(struct g *gp); // the current goroutine's
bool runtime_stackguardhit(uintptr_t addr, struct g **gpp); // addr is in some stack's guard
void runtime_foreachg(void (*fn)(struct g *gp, void *arg), void *arg);
uint64_t runtime_stackinuse(void); // bytes handed out
int64_t runtime_allgcount(void);   // goroutines ever made and not given back, dead ones too
int32_t runtime_stackscavenge(void); // sysmon: a batch of cold dead stacks gives its pages back

// ---- mem/ ----
void *runtime_mallocgc(size_t size, bool noscan, bool zero); // throws on no memory
void *runtime_mallocgc_try(size_t size, bool noscan, bool zero);
void runtime_free(void *p);
void runtime_mallocinit(void);
struct mcache *runtime_allocmcache(void);
void runtime_freemcache(struct mcache *c); // flushes its spans back; world stopped or owner
void *runtime_persistentalloc(size_t size, size_t align, uint64_t *stat); // never freed; throws
void *runtime_persistentalloc_try(size_t size, size_t align, uint64_t *stat); // NULL instead
size_t runtime_mallocusable(void *p);
struct memstats {
	uint64_t heap_sys, heap_inuse, heap_released, stacks_sys, mspan_sys, mcache_sys, gc_sys, other_sys; // bytes, atomic
	uint64_t nmalloc, nfree, total_alloc; // summed over the mcaches by runtime_readmemstats
};
extern struct memstats memstats;
void runtime_readmemstats(struct memstats *out);
void runtime_mallocstats_p(struct p *pp, uint64_t *bytes, uint64_t *allocs); // this p's, ever

// ---- sync ----
uint64_t runtime_chanwaiters(rt0_chan *c);
size_t runtime_chanelemsize(const rt0_chan *c);
struct g *runtime_chansendtime(rt0_chan *c, int64_t t); // a timer's; returns who is to be readied
bool runtime_chandrain(rt0_chan *c);                    // of a channel with room for one; whether there was any
enum { SEMA_LIFO = 1, SEMA_HANDOFF = 2 };
void runtime_semacquire(uint32_t *addr, bool lifo, enum waitreason reason);
int runtime_semacquire_until(uint32_t *addr, bool lifo, enum waitreason reason, int64_t deadline);
void runtime_semrelease(uint32_t *addr, bool handoff);
// ongoroutine runs fn(arg): at once on a goroutine, as one on a foreign thread; fatal without a runtime.
void runtime_ongoroutine(void (*fn)(void *arg), void *arg);

// ---- panic.c ----
// throw: the runtime's own fault or its limits; fatal: the program's; panic: the goroutine's.
RT0_NORETURN void runtime_throw(const char *s);
RT0_NORETURN void runtime_fatal(const char *s);
RT0_NORETURN void runtime_die(const char *prefix, const char *s, int throwing);
void runtime_startpanic(void);
RT0_NORETURN void runtime_dopanic(struct g *gp, uintptr_t pc, uintptr_t sp, uintptr_t bp, bool trap);
RT0_NORETURN void runtime_badcontext(const char *func, const char *want);
struct sigpanicinfo {
	uint32_t sig;
	int32_t code;
	uintptr_t addr, pc, sp, bp;
};
void runtime_printsignal(const struct sigpanicinfo *si);
// sigpanic reports a fault that nobody can recover from; on gsignal's stack. library: the file whose
// code faulted, NULL: the program's or ours.
RT0_NORETURN void runtime_sigpanic(struct sigpanicinfo *si, struct g *gp, const char *library);
RT0_NORETURN void runtime_stackoverflow(struct sigpanicinfo *si, struct g *gp);
int runtime_mainreturned(int code); // main has returned code; waits for ever while an m is reporting
void runtime_forkpanic(void);      // in the child of a fork: nobody is reporting
extern uint32_t runtime_panicking; // atomic: how many ms are in fatal paths

// ---- defer.c ----
// panicstring panics with a string; panicerror with a runtime error (RT0_ERR_...), whose text s is.
RT0_NORETURN void runtime_panicstring(const char *s);
RT0_NORETURN void runtime_panicerror(int code, const char *s);
int32_t runtime_runningpanics(void); // how many panics run deferred calls
void runtime_sigpanic0(void);        // asm: where a fault enters a goroutine
extern const char runtime_sigpanicret[];
// What lies on the stack of a goroutine that a fault has entered.
struct sigframe {
	uintptr_t pc, sp; // of the fault; where a frame has its return address
	struct sigpanicinfo si;
};
static_assert(sizeof(struct sigframe) % 16 == 8, "sigpanic0 is entered as if by a call");

// ---- fault_linux.c (os/linux) ----
struct ucontext;
// sigfault handles a fault of gp, what its thread ran: it makes ctx go on in runtime_sigpanic0, or
// reports and does not return. On the signal stack.
void runtime_sigfault(struct sigpanicinfo *si, struct g *gp, struct ucontext *ctx);

// ---- sigqueue.c ----
bool runtime_sigsend(int32_t sig);        // the handler's: somebody wants it, and will get it
bool runtime_signal_ignored(int32_t sig); // by rt0_signal_ignore
bool runtime_sigwatching(void);           // some signal is asked for
void runtime_sigforked(void);             // in the child of a fork: nobody is there to receive
// sigprof is called for SIGPROF, in the handler, anywhere; gp and mp NULL on a foreign thread. Atomic;
// NULL: profiling is off, and the signal is like any other.
extern void (*runtime_sigprof)(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp, struct m *mp);

// ---- print.c ----
// print: without allocation, to fd 2, safe in throw and signal handlers. %d %u %x %p %s %c as
// printf with l, ll, z; nothing else.
void runtime_print(const char *fmt, ...) PRINTF(1, 2);
void runtime_vprint(const char *fmt, __builtin_va_list ap);
extern int64_t runtime_stderrwait; // ns, how long a print waits for who reads stderr
void runtime_printlock(void); // recursive for one m
void runtime_printunlock(void);
void runtime_printreset(void); // in the child of a fork: nobody is printing
int runtime_snprintf(char *buf, size_t n, const char *fmt, ...) PRINTF(3, 4);
long runtime_vprintto(long (*write)(void *to, const void *p, size_t n), void *to, const char *fmt, __builtin_va_list ap);
int runtime_vsnprintf(char *buf, size_t n, const char *fmt, __builtin_va_list ap);
size_t runtime_strlen(const char *s);
int runtime_strcmp(const char *a, const char *b);
bool runtime_hasprefix(const char *s, const char *prefix);

// ---- diag ----
struct frame {
	uintptr_t pc, sp, bp; // bp: rbp there; sp 0: not known
};
// traceback prints the stack of gp from (pc, sp, bp) on; frames of the runtime only at level 2.
// pc is where a call returns to (sp 0: not known); tracebacktrap's is where a signal stopped.
void runtime_traceback(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp);
void runtime_tracebacktrap(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp);
void runtime_tracebackg(struct g *gp); // header and stack of a goroutine that is not running
void runtime_tracebackothers(struct g *me);
void runtime_goroutineheader(struct g *gp);
// callers stores f's pc and then what it and its callers return to, at most n. Signal-safe. bounds: memory
// that stays mapped during the call, read directly; all other is read by the kernel's leave.
int runtime_callers(struct frame f, struct stack bounds, uintptr_t *pcs, int n); // unwind.c
struct ucontext;
void runtime_dumpregs(struct ucontext *ctx); // debug.c: as Go prints them after a fatal signal
// goodg: gp may be the current g, as far as memory tells; badg reports one that cannot. For signal handlers.
bool runtime_goodg(struct g *gp);
RT0_NORETURN void runtime_badg(uint32_t sig, struct ucontext *ctx, struct g *gp);
// Registers by DWARF's numbers: rax rdx rcx rbx rsi rdi rbp rsp r8..r15, rip.
struct cfiregs {
	uintptr_t r[17];
};
// What recovery needs (defer.c, runtime_resume); it lies on the stack that is left.
struct jump {
	struct cfiregs regs;
	int64_t result; // of the function that returns
	double fresult;
};
// cfistep goes one frame outwards by the unwind tables: CFI_DONE; CFI_OUTERMOST: there is none;
// CFI_TRAP: done, and a signal stopped the frame that regs are now of, so its rip is exact (the next
// step has isret false). < 0: cannot, no table or damage. Signal-safe; no lock, no allocation.
enum { CFI_DONE = 0, CFI_OUTERMOST = 1, CFI_TRAP = 2 };
int runtime_cfistep(struct cfiregs *regs, bool isret, uintptr_t lo, uintptr_t hi, uintptr_t *cfa);
struct symline {
	const char *name, *file; // NULL: not known. They stay valid
	uintptr_t entry;         // start of the function
	int32_t line;            // 0: not known
};
bool runtime_funcline(uintptr_t pc, struct symline *out); // symtab.c
// saferead copies n bytes from addr, which may be any value. False: not all of it is readable.
bool runtime_saferead(void *to, uintptr_t addr, size_t n);
enum { MAXINLINED = 16 }; // functions at one pc that we tell apart
int runtime_funcframes(uintptr_t pc, struct symline out[MAXINLINED]);
void runtime_schedtrace(bool detailed);
void runtime_bootmark(const char *step); // ends the step before, starts this one; NULL: the last
void runtime_bootmark2(const char *step, const char *name); // step and name make one text; both stay
void runtime_bootdone(void);             // prints or draws what GODEBUG=boottrace asked for
void runtime_inittraceline(const char *name, int64_t t0, int64_t t1, uint64_t bytes, uint64_t allocs);

// ---- rand ----
void runtime_randinit(void);
uint64_t runtime_rand(void);            // this m's generator
uint32_t runtime_cheaprandn(uint32_t n); // [0, n)
void runtime_printseed(void);            // GODEBUG=seed=N in debug builds: says so at a crash

// ---- types/alg.c ----
void runtime_alginit(void); // after cpuinit and randinit
uint64_t runtime_memhash(const void *p, uint64_t seed, size_t n);
uint64_t runtime_memhashfallback(const void *p, uint64_t seed, size_t n);
uint64_t runtime_strhash(const char *s, uint64_t seed);

// ---- lock_futex.c (os/linux) ----
void runtime_lock2(struct mutex *l);
void runtime_unlock2(struct mutex *l);
void runtime_lockinit(struct mutex *l, enum lockrank rank);
void runtime_assertlockheld(struct mutex *l);
void runtime_lockacquired(struct mutex *l);
void runtime_lockreleased(struct mutex *l);
void runtime_noteclear(struct note *n);
void runtime_notewakeup(struct note *n);
void runtime_notesleep(struct note *n);
bool runtime_notetsleep(struct note *n, int64_t ns); // false: timed out

static inline void
runtime_lock(struct mutex *l)
{
	struct g *gp = getg();
	if (likely(gp != NULL))
		gp->m->locks++;
	// Acquire: pairs with the release in unlock.
	if (unlikely(!atomic_casacq(&l->key, 0, 1)))
		runtime_lock2(l);
#if RT0_DEBUG
	runtime_lockacquired(l);
#endif
}

static inline void
runtime_unlock(struct mutex *l)
{
#if RT0_DEBUG
	runtime_lockreleased(l);
#endif
	// Release: pairs with the acquire in lock. 2 says that somebody may sleep.
	if (unlikely(atomic_xchgrel(&l->key, 0) == 2))
		runtime_unlock2(l);
	struct g *gp = getg();
	if (likely(gp != NULL))
		gp->m->locks--;
}

// wakeafterput is called after a goroutine has been put on a queue of the current p: it wakes somebody
// to look for it if nobody does.
static inline void
runtime_wakeafterput(void)
{
	if (sched.solo || !sched.mainstarted)
		return;
	// Dekker with the spinning-to-idle dance (proc.c): the queue store, a fence, the loads.
	atomic_fence();
	if (likely(atomic_loadrlx(&sched.nmspinning) != 0))
		return;
	// No p is idle: word must be left (needspinning) for an m that is about to give its p back and may
	// have looked at our queue before. wakep leaves it, under the lock; once it is left, nothing to do.
	if (atomic_loadrlx(&sched.npidle) != 0 || atomic_loadrlx(&sched.needspinning) == 0)
		runtime_wakep();
}

// casgstatus moves gp from oldval to newval. All transitions are made by who owns gp: the m that runs it, or who has
// taken it off a wait queue. So a plain store will do, but for scanners, who may lock a state with Gscan: they exist
// only while sched.gscan, which changes while the world is stopped. Transitions by ms without a p (out of system
// calls) are not stopped by that: runtime_casgstatus is theirs.
static inline void
casgstatus(struct g *gp, uint32_t oldval, uint32_t newval)
{
	if (likely(!atomic_loadrlx(&sched.gscan) && atomic_loadrlx(&gp->atomicstatus) == oldval))
		atomic_storerel(&gp->atomicstatus, newval); // readers: traceback, schedtrace
	else
		runtime_casgstatus(gp, oldval, newval);
}

// Lists of goroutines, first in, first out, linked by schedlink: the owner's, or under its lock.
static inline void
gqueueput(struct gqueue *q, struct g *gp)
{
	gp->schedlink = NULL;
	if (q->tail != NULL)
		q->tail->schedlink = gp;
	else
		q->head = gp;
	q->tail = gp;
}

// gqueueget takes the oldest; NULL: there is none.
static inline struct g *
gqueueget(struct gqueue *q)
{
	struct g *gp = q->head;
	if (gp == NULL)
		return NULL;
	q->head = gp->schedlink;
	if (q->head == NULL)
		q->tail = NULL;
	return gp;
}

// Goroutines that have been away for long have left all caches, each with a page of its own. Where many are handled one
// after another, what the next ones need is asked for while this one is at work. Hints only: prefetches never fault.

// fetchframe asks for the frame that gp goes on with, and for those above it.
static inline void
fetchframe(const struct g *gp)
{
	for (uintptr_t i = 0; i < 192; i += 64)
		__builtin_prefetch((void *)(gp->sched.sp + i), 1);
}

// fetchstride asks for what a walk through a list will come to: the elements of a crowd mostly lie at even distances.
// *was is the last one.
static inline void
fetchstride(const void *at, uintptr_t *was)
{
	uintptr_t ahead = (uintptr_t)at + 4 * ((uintptr_t)at - *was);
	__builtin_prefetch((void *)ahead, 1);
	__builtin_prefetch((void *)(ahead + 64), 1);
	*was = (uintptr_t)at;
}

// perturb is true one time in n in debug builds with GODEBUG=seed=N: there the scheduler does what it
// may do but seldom does (runnext not used, an early yield, the oldest first).
#if RT0_DEBUG
#define perturb(n) (debug.seed != 0 && runtime_cheaprandn(n) == 0)
#else
#define perturb(n) false
#endif

// preemptpoint gives way if sysmon or stopTheWorld has asked for the processor, and tells whether it did. Called at
// the end of calls that may go on without ever parking.
static inline bool
runtime_preemptpoint(struct g *gp)
{
	if (likely(atomic_loadrlx(&gp->stackguard0) != STACKPREEMPT) && !perturb(8))
		return false;
	return runtime_preemptpointslow(gp);
}

static inline struct m *
acquirem(void)
{
	struct m *mp = getg()->m;
	mp->locks++;
	return mp;
}

static inline void
releasem(struct m *mp)
{
	mp->locks--;
}

#pragma GCC visibility pop
#endif
