// SPDX-License-Identifier: BSD-3-Clause
// runtime.h: base types, throw, print, and every runtime_* function, grouped by the file it is in.
//
// Rules that hold everywhere in src/:
//   - No libc: memmove and friends are runtime_memmove...; the compiler may still call memcpy,
//     memset, memmove and memcmp, which memmove_amd64.S defines weakly for pure programs.
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
#define ON_USERG() do { struct g *gp_ = getg(); if (gp_ == gp_->m->g0) runtime_badcontext(__func__, "user g"); } while (0)
#define HELD(l) runtime_assertlockheld(l)
#else
#define ON_G0() ((void)0)
#define ON_USERG() ((void)0)
#define HELD(l) ((void)0)
#endif

// ---- arch/amd64 ----
extern __thread struct g *runtime_tls_g __attribute__((tls_model("initial-exec")));
// runtime_tls_m is this thread's m, for signal handlers: in the middle of a switch getg()->m is not.
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
	int32_t tracebackancestors, seed, guardoff, failsys, failcount, preemptms, preemptus;
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
extern int64_t runtime_runtimeInitTime; // ns, when doinit first ran

// ---- proc.c ----
void runtime_gopark(bool (*unlockf)(struct g *, void *), void *lock, enum waitreason reason);
void runtime_goparkword(uint32_t *word, enum waitreason reason);
void runtime_goready(struct g *gp);
void runtime_ready(struct g *gp, bool next);
void runtime_goyield(void);
struct g *runtime_schedule(void); // on g0: the goroutine to run next, made running
struct g *runtime_gosched_m(struct g *gp);
struct g *runtime_goexit0(struct g *gp);
void runtime_goexit1(void);
void runtime_casgstatus(struct g *gp, uint32_t oldval, uint32_t newval);
bool runtime_castogscanstatus(struct g *gp, uint32_t oldval, uint32_t newval);
void runtime_casfrom_Gscanstatus(struct g *gp, uint32_t oldval, uint32_t newval);
uint32_t runtime_readgstatus(struct g *gp);
const char *runtime_waitreasontext(struct g *gp);
bool runtime_preemptpoint(struct g *gp); // gives way if asked to

// ---- newproc.c ----
void runtime_newproc(void (*fn)(void *), void *arg, uintptr_t callerpc);
struct g *runtime_newproc1(void (*fn)(void *), void *arg, struct g *callergp, uintptr_t callerpc, size_t stacksize);
enum { GFREE_MAX = 1024 }; // dead goroutines that a p keeps
struct g *runtime_gfget(struct p *pp);
void runtime_gfput(struct p *pp, struct g *gp);
void runtime_gfpurge(struct p *pp);
int32_t runtime_gcount(void);
int32_t runtime_livecount(void);

// ---- runq.c ----
void runtime_runqput(struct p *pp, struct g *gp, bool next);
void runtime_newqput(struct p *pp, struct g *gp);
struct g *runtime_runqget(struct p *pp, bool *inherittime);
bool runtime_runqempty(struct p *pp);
struct g *runtime_runqsteal(struct p *pp, struct p *p2, bool stealrunnext);
void runtime_globrunqput(struct g *gp);
void runtime_globrunqputbatch(struct gqueue *batch, int32_t n);
struct g *runtime_globrunqget(struct p *pp, int32_t max);
struct g *runtime_boundget(void);
void runtime_runqdrain(struct p *pp);
uint32_t runtime_runqlen(struct p *pp);
void runtime_runq_check(struct p *pp);

// ---- proc_m.c ----
void runtime_mstart(void); // returns when the thread has to end
void runtime_mcommoninit(struct m *mp, int64_t id);
void runtime_newm(void (*fn)(void), struct p *pp, int64_t id);
void runtime_startm(struct p *pp, bool spinning);
void runtime_stopm(void);
void runtime_wakep(void);
void runtime_handoffp(struct p *pp);
void runtime_stoplockedm(void);
void runtime_mparkbound(struct m *mp);
struct m *runtime_mget(void);
bool runtime_sparem(void);
void runtime_takebackps(void);
void runtime_runbound(struct p *pp, struct g *gp);
void runtime_startlockedm(struct g *gp);
void runtime_gcstopm(void);
RT0_NORETURN void runtime_mexit(void);
RT0_NORETURN void runtime_quitthread(void);
void runtime_stopms(void);
int64_t runtime_mcount(void); // sched.lock held, or a guess
void runtime_checkmcount(void);
struct g *runtime_callbackdone(struct g *gp);
// callback runs fn(arg) as a goroutine of this foreign thread; -ENOTCONN without a runtime.
int runtime_callback(void (*fn)(void *), void *arg);
void runtime_lockOSThread(void); // internal count, for init
void runtime_unlockOSThread(void);

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
void runtime_exitsyscall(void);
bool runtime_exitsyscallfast(struct m *mp);
struct g *runtime_exitsyscall0(struct g *gp);
bool runtime_boundput(struct m *mp, struct g *gp);
struct g *runtime_runagain(struct m *mp, struct g *gp);
void runtime_reentersyscall(uintptr_t pc, uintptr_t sp, uintptr_t bp);
void runtime_stopTheWorld(void);
void runtime_startTheWorld(void);

// ---- sysmon.c ----
void runtime_startsysmon(void);
void runtime_grow(void); // a goroutine's: the rest of the boot, once
void runtime_checkdead(void); // sched.lock held
void runtime_wakesysmon(void);

// ---- preempt.c ----
struct ucontext;
int64_t runtime_slice(void);
bool runtime_preemptone(struct p *pp, bool async);
void runtime_preemptall(void);
uint64_t runtime_preemptself(void);
void runtime_preemptinit(void);
void runtime_doSigPreempt(struct ucontext *ctx, struct g *gp);
void runtime_asyncPreempt(void); // asm: saves all, calls asyncPreempt2

// ---- stack.c ----
enum { STACKMIN = 16 << 10, STACKDEFAULT = 256 << 10, STACKGUARD = 928, STACKSYSTEM_WINDOW = 64 << 10 };
extern size_t runtime_maxstacksize, runtime_maxstackceiling;
void runtime_stackinit(void);
struct g *runtime_malg(size_t size); // a g at the top of its own stack; NULL: no memory. On g0
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
enum { SEMA_LIFO = 1, SEMA_HANDOFF = 2 };
void runtime_semacquire(uint32_t *addr, bool lifo, enum waitreason reason);
void runtime_semrelease(uint32_t *addr, bool handoff);

// ---- panic.c ----
// throw: the runtime's own fault or its limits; fatal: the program's; panic: the goroutine's.
RT0_NORETURN void runtime_throw(const char *s);
RT0_NORETURN void runtime_fatal(const char *s);
RT0_NORETURN void runtime_panicstring(const char *s); // "panic: s" and, when signal info is set, its line
RT0_NORETURN void runtime_badcontext(const char *func, const char *want);
struct sigpanicinfo {
	uint32_t sig;
	int32_t code;
	uintptr_t addr, pc, sp, bp;
};
// sigpanic reports a fault taken by a goroutine or on g0; on gsignal's or the crash stack.
RT0_NORETURN void runtime_sigpanic(struct sigpanicinfo *si, struct g *gp);
RT0_NORETURN void runtime_stackoverflow(struct sigpanicinfo *si, struct g *gp);
int runtime_mainreturned(int code); // main has returned code; waits for ever while an m is reporting
extern uint32_t runtime_panicking; // atomic: how many ms are in fatal paths

// ---- print.c ----
// print: without allocation, to fd 2, safe in throw and signal handlers. %d %u %x %p %s %c as
// printf with l, ll, z; nothing else.
void runtime_print(const char *fmt, ...) PRINTF(1, 2);
void runtime_printlock(void); // recursive for one m
void runtime_printunlock(void);
int runtime_snprintf(char *buf, size_t n, const char *fmt, ...) PRINTF(3, 4);
int runtime_vsnprintf(char *buf, size_t n, const char *fmt, __builtin_va_list ap);
size_t runtime_strlen(const char *s);
int runtime_strcmp(const char *a, const char *b);
bool runtime_hasprefix(const char *s, const char *prefix);

// ---- diag ----
struct frame {
	uintptr_t pc, sp, bp; // bp: the frame's own rbp; sp 0: not known
};
// traceback prints the stack of gp from (pc, sp, bp) on; frames of the runtime only at level 2.
// pc is where a call returns to (sp 0: not known); tracebacktrap's is where a signal stopped.
void runtime_traceback(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp);
void runtime_tracebacktrap(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp);
void runtime_tracebackg(struct g *gp); // header and stack of a goroutine that is not running
void runtime_tracebackothers(struct g *me);
void runtime_goroutineheader(struct g *gp);
int runtime_callers(uintptr_t pc, uintptr_t bp, struct stack bounds, uintptr_t *pcs, int n);
struct symline {
	const char *name, *file; // NULL: not known. They stay valid
	uintptr_t entry;         // start of the function
	int32_t line;            // 0: not known
};
bool runtime_funcline(uintptr_t pc, struct symline *out); // symtab.c
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

// newqdeep tells whether the owner of pp has started n goroutines or more that have not run yet.
enum { NEWQDEEP = 128 };
static inline bool
runtime_newqdeep(struct p *pp, int32_t n)
{
	return (int32_t)(pp->newqbottom - atomic_loadrlx(&pp->newqtop)) >= n;
}

// perturb is true one time in n in debug builds with GODEBUG=seed=N: there the scheduler does what it
// may do but seldom does (runnext not used, an early yield, the oldest first).
#if RT0_DEBUG
#define perturb(n) (debug.seed != 0 && runtime_cheaprandn(n) == 0)
#else
#define perturb(n) false
#endif

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
