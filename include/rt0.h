// SPDX-License-Identifier: BSD-3-Clause
// rt0.h: the public API of rt0, the Go runtime in C, with the headers that it includes from rt0/. C11
// with GNU extensions, and C++17.
//
// Three ways in (docs/HACKING.md): hosted (an ordinary main runs as goroutine 1), pure (no libc:
// link with -nostdlib -static), library (rt0_start inside a process that already runs).
//
// Each function says, where there is something to say: Units, Returns, Panics, Blocks, Context,
// Memory. "Context goroutine or thread" means that a thread which rt0 did not create may call:
// it becomes a goroutine for the length of the call; without a running runtime that is fatal. Its
// errno, thread-locals, floating-point modes, signal mask and signal stack are after the call what
// they were. No function may be called from a signal handler unless it says so. Errors are negative
// errno values; errno itself is never used, since a goroutine may wake on another thread than the
// one it slept on.
#ifndef RT0_H
#define RT0_H

#include "rt0/base.h"
#include "rt0/chan.h"
#include "rt0/context.h"
#include "rt0/panic.h"
#include "rt0/sync.h"
#include "rt0/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RT0_VERSION "0.1.0"

// rt0_version returns RT0_VERSION as the library was built with it.
RT0_API const char *rt0_version(void);

// ---- Goroutines ----------------------------------------------------------------------------

// rt0_go starts fn(arg) as a new goroutine. It does not wait for it, but after many calls in a row
// it lets those started run first, as rt0_gosched does. The floating-point modes of a new goroutine
// (rounding, flush to zero) are those that main started with.
// Panics   fatal "go of nil func value"; fatal "out of memory" when no stack can be had.
// Context  goroutine or thread.
// Memory   what happened before the call happens before fn starts.
RT0_API void rt0_go(void (*fn)(void *arg), void *arg);

// What rt0_go_attr may be told. Zero every field that you do not set.
typedef struct rt0_attr {
	// Bytes, 16 KiB to what rt0_set_max_stack says, rounded up; 0: GODEBUG=stacksize or 256 KiB.
	size_t stack_size;
} rt0_attr;

// rt0_go_attr is rt0_go with attributes.
// Returns  0; -EINVAL: a size out of range; -ENOMEM: no stack of that size can be had.
// Panics   fatal "go of nil func value".
// Context  goroutine or thread.
RT0_API int rt0_go_attr(void (*fn)(void *arg), void *arg, const rt0_attr *attr);

// rt0_gosched lets the other goroutines of this processor run first.
// Blocks   the goroutine for a moment; it stays runnable.
// Context  goroutine; does nothing on a thread.
RT0_API void rt0_gosched(void);

// rt0_goexit runs the deferred calls of the calling goroutine and ends it. When main's does, the
// others go on; the program ends with "no goroutines (main called runtime.Goexit) - deadlock!" once
// all have ended. It cannot be recovered from; a panic of one of the deferred calls can.
// Context  goroutine.
RT0_NORETURN RT0_API void rt0_goexit(void);

// rt0_num_goroutine counts the goroutines that exist, the caller's included. Never less than 1.
// Context  anywhere, a signal handler too.
RT0_API int rt0_num_goroutine(void);

// rt0_gomaxprocs sets how many threads may run goroutines at one time; n < 1 only asks.
// Returns  the previous setting; -ENOTCONN: the runtime does not run. n is clamped to 1024.
// Blocks   until every running goroutine has been stopped.
// Context  goroutine or thread.
RT0_API int rt0_gomaxprocs(int n);

// rt0_num_cpu is the number of CPUs that this process could use when the runtime started.
RT0_API int rt0_num_cpu(void);

// rt0_lock_os_thread binds the calling goroutine to its thread until rt0_unlock_os_thread has
// been called as often. A goroutine that ends while locked ends its thread.
// Context  goroutine.
RT0_API void rt0_lock_os_thread(void);
RT0_API void rt0_unlock_os_thread(void);

// rt0_morestack calls fn(arg) on a fresh stack of at least size bytes and returns when fn has.
// Use it before a call that needs far more stack than a goroutine has (parsers, big alloca).
// Units    bytes, 4 KiB to what rt0_set_max_stack says.
// Returns  0; -EINVAL or -ENOMEM: fn was not called.
// Context  goroutine. fn may block, and may call rt0_morestack itself.
RT0_API int rt0_morestack(void (*fn)(void *arg), void *arg, size_t size);

// rt0_stack_trim gives the pages of the calling goroutine's stack that it no longer uses back to
// the kernel: for a goroutine that has been deep once and now waits for long.
// Context  goroutine; does nothing elsewhere.
RT0_API void rt0_stack_trim(void);

// rt0_set_max_stack sets the largest stack that rt0_go_attr and rt0_morestack may ask for.
// Units    bytes; at first 1 000 000 000. What is not from 16 KiB to twice that is clamped.
// Returns  the previous setting.
RT0_API size_t rt0_set_max_stack(size_t bytes);

// rt0_set_max_threads sets how many threads rt0 may have; more is fatal "thread exhaustion".
// Returns  the previous setting (at first 10000); -EINVAL if n < 1.
RT0_API int rt0_set_max_threads(int n);

// ---- Calls that block the thread -----------------------------------------------------------

// Between rt0_entersyscall and rt0_exitsyscall the goroutine may block its thread (a read, a
// flock, a long computation); other goroutines get the processor meanwhile. Between the two call
// nothing else of rt0.
// Context  goroutine; both do nothing on a thread. They do not nest.
// Memory   rt0_exitsyscall may return on the same thread only, with errno untouched.
RT0_API void rt0_entersyscall(void);
RT0_API void rt0_exitsyscall(void);

// RT0_BLOCKING(expr) evaluates expr, which must have a value, between the two:
//     n = RT0_BLOCKING(read(fd, buf, len));
#define RT0_BLOCKING(expr)                                                                        \
	__extension__({                                                                           \
		rt0_entersyscall();                                                               \
		__typeof__(expr) rt0_result_ = (expr);                                            \
		rt0_exitsyscall();                                                                \
		rt0_result_;                                                                      \
	})

// ---- Preemption ----------------------------------------------------------------------------

// A goroutine that runs for 10 ms (GODEBUG=preemptms=N, N > 0) while others wait loses the processor, wherever
// it is: in a loop that calls nothing, or inside the libc. It stays on its kernel thread meanwhile,
// as if the kernel had run another thread, so locks, errno and thread-locals of the C code stay true.
// A goroutine that sleeps in a system call which nobody has declared (read, sleep, the futex of a
// pthread_mutex) loses it after 1 to 5 ms, and the call is finished: no EINTR, no short sleep, no write or
// MSG_WAITALL that ends half-way (but sendmmsg and recvmmsg may return fewer messages).
// A signal handler of the program's must not jump out of such a call (siglongjmp).
// The signal used is SIGURG. GODEBUG=asyncpreemptoff=1 leaves only the calls of rt0 as places to
// give way, and so does library mode, where signals are the host program's.

// Between rt0_preempt_disable and rt0_preempt_enable, which nest, the calling goroutine is not
// preempted. It may still wait, and then others run. Keep it short: stopping the world waits.
// Context  goroutine; both do nothing on a thread.
// Panics   rt0_preempt_enable: fatal if there was no rt0_preempt_disable.
RT0_API void rt0_preempt_disable(void);
RT0_API void rt0_preempt_enable(void);

// RT0_NOPREEMPT before a function of the program's: while its own code runs (not that of functions it
// calls) the goroutine is not preempted. Not for plugins and shared objects: use the pair there.
#define RT0_NOPREEMPT __attribute__((noinline, section("rt0_nopreempt")))
RT0_API void rt0_set_nopreempt(const void *lo, const void *hi); // called by rt0's own entry

// Between rt0_preempt_inthread_begin and _end, which nest, preemption may move the calling goroutine
// to another thread, which is cheaper. The code there must hold no lock of the libc's or of its own
// that knows its owner, and keep no address of a thread-local: pure computation. All of a pure
// program counts as such.
// Context  goroutine; both do nothing on a thread.
RT0_API void rt0_preempt_inthread_begin(void);
RT0_API void rt0_preempt_inthread_end(void);

// ---- Init tasks ----------------------------------------------------------------------------

// RT0_INIT(name, "dep", ...) { body } defines a task that runs once, on goroutine 1, before main
// and after the tasks it names, in whatever file or shared object those are.
//     RT0_INIT(config) { load(); }
//     RT0_INIT(server, "config", "log") { listen(); }
// A name that is missing or defined twice, and a cycle (with its path), are fatal before any task
// has run. GODEBUG=inittrace=1 prints a line a task.
struct rt0_inittask {
	const char *name;
	void (*fn)(void);
	const char *const *deps;   // the first entry is NULL and not used; NULL ends the list
	const char *file;
	struct rt0_inittask *next; // registered earlier
	uint32_t state;            // 0 not yet, 1 running, 2 done
	uint32_t mark;             // of the depth-first search
};
#define RT0_INIT(...) RT0_INIT_(__VA_ARGS__, NULL)
#define RT0_INIT_(task, ...)                                                                      \
	static void rt0_init_##task(void);                                                        \
	static const char *const rt0_deps_##task[] = {NULL, __VA_ARGS__};                         \
	static struct rt0_inittask rt0_task_##task = {                                            \
	    #task, rt0_init_##task, rt0_deps_##task, __FILE__, NULL, 0, 0};                       \
	__attribute__((constructor)) static void rt0_reg_##task(void)                             \
	{                                                                                         \
		rt0_register_init(&rt0_task_##task);                                              \
	}                                                                                         \
	static void rt0_init_##task(void)

RT0_API void rt0_register_init(struct rt0_inittask *task); // what RT0_INIT's constructor calls

// rt0_plugin_open loads the shared object at path and runs its init tasks on the caller.
// Returns  0 with the dlopen handle in *handle; -ENOENT: cannot be loaded, the reason is on
//          stderr; -EEXIST: it brings a runtime of its own (link plugins without librt0), stderr
//          names the files, and none of its tasks has run; -ENOSYS: a pure program.
// Context  goroutine.
RT0_API int rt0_plugin_open(const char *path, void **handle);

// ---- Library mode: the runtime inside a process that has its own main -------------------------
//
// librt0.so may be linked, opened by dlopen, needed by a plugin or preloaded. It is never unloaded.
// One copy of the runtime may run in a process: another one is refused.

// rt0_start boots the runtime on threads of its own and returns when the init tasks have run.
// argv ends with NULL and must stay; argc 0 and argv NULL will do.
// Returns  0; -EALREADY: it runs; -EEXIST: another copy of it runs, and stderr names both files;
//          -EAGAIN: no thread can be had; -ENOTSUP: in the child of a fork of a process in which
//          it ran.
// Context  thread. Signals stay the program's own: no handler is installed, and the runtime's
//          threads have all of them blocked. What goroutines start by posix_spawn or system
//          inherits that (POSIX_SPAWN_SETSIGMASK); a child of fork has the mask of this caller.
RT0_API int rt0_start(int argc, char **argv);

// rt0_run runs fn(arg) as a goroutine and returns when it has returned or called rt0_goexit. fn
// stays on this thread, and may end it (pthread_exit, cancellation at a point in fn: no function
// of rt0 is one): the goroutine ends with it, without its deferred calls. Threads keep what a call
// needs until they end, so that later calls cost less than 1 us.
// Returns  0; -ENOTCONN: the runtime does not run. On a goroutine: calls fn(arg).
// Blocks   the thread.
// Context  thread or goroutine; also in hosted programs.
RT0_API int rt0_run(void (*fn)(void *arg), void *arg);

// rt0_stop ends the runtime's threads and frees its memory; rt0_start may follow. Timers that are set stay
// set: what comes due while the runtime is stopped comes after the next rt0_start.
// Returns  0; -EBUSY: there are goroutines, or signals are notified; -ENOTCONN: it does not run, or main
//          runs on it.
// Context  thread, the only one that uses rt0 at this time. Others that have called in may live on.
RT0_API int rt0_stop(void);

// ---- fork, and deadlocks -----------------------------------------------------------------------
//
// The child of a fork has one thread. Before the first go statement, call of rt0_gomaxprocs and
// call from a thread it is a program like its parent: fork first, as daemon does. After that it is
// a plain C process that goes on with what it was forked in: it may exec, exit, return from main,
// write, panic, use malloc and what else its libc allows, and rt0's functions that neither start a
// goroutine nor wait; those are fatal "goroutines stay in the parent of a fork: the child cannot
// start them or wait". rt0_alloc is fatal if another thread held the heap's lock. On a thread,
// calls return -ENOTCONN as if the runtime did not run. posix_spawn, system and popen have no such
// limits; a child of vfork may call exec and _exit. None of them is made for a goroutine's sake:
// RT0_BLOCKING lets others run meanwhile.
//
// "all goroutines are asleep - deadlock!" is reported when no goroutine can ever run again: none
// runs, is in a system call, or waits for a timer, a file or a signal, and there is no thread
// outside of rt0 that could call in. When such a thread ends, the report comes within two seconds.
// Never in library mode, nor where /proc is not mounted and the program has a libc.

// ---- Signals -------------------------------------------------------------------------------

// Without these calls: SIGHUP, SIGINT and SIGTERM end the program, as ever. SIGQUIT, SIGABRT, SIGILL,
// SIGTRAP, SIGSTKFLT, SIGSYS, and SIGSEGV, SIGBUS, SIGFPE sent by kill, print all goroutines and exit
// with status 2. A write to a broken pipe ends the program by SIGPIPE if it was to descriptor 1 or
// 2; to any other it fails with EPIPE only. SIGTSTP, SIGTTIN, SIGTTOU and SIGCONT stop and go on. All
// others are caught and do nothing. SIGTRAP, SIGSTKFLT, SIGSYS and the last kind: from the first go statement on.
// What was ignored at start stays so, SIGQUIT excepted, and so does a handler that was there; sigaction
// in the program replaces rt0's handlers. Its own must have SA_ONSTACK, or run on goroutines' stacks;
// they keep the processor until they return.
// Signals that were blocked at start stay blocked on all threads of rt0, but for those that notify
// asks for. In library mode signals are the host's, all but those that notify asks for.
//
// rt0_signal_notify lets the n signals in sigs (0: all that can be caught) be sent on c, whose elements are
// int. More calls with the same c add signals; several channels may want one. A signal that c has
// no room for is dropped: give it room for what may come at once.
// Returns  0; -EINVAL: c's elements are not the size of int, or there is a number that cannot be
//          caught; -ENOMEM; -ENOTCONN: the runtime does not run. n = 0 leaves 34 out, which may be the libc's.
// Panics   "os/signal: Notify using nil channel". c must not be closed before rt0_signal_stop(c).
// Context  goroutine or thread.
RT0_API int rt0_signal_notify(rt0_chan *c, const int *sigs, int n);

// rt0_signal_stop ends all that notify began for c. When it returns, c gets no more. A signal that comes
// meanwhile is either sent on c or has its effect as if nobody had asked.
// Returns  0; -ENOTCONN.
// Blocks   the goroutine, until what is on its way has arrived.
// Context  goroutine or thread.
RT0_API int rt0_signal_stop(rt0_chan *c);

// rt0_signal_ignore lets the n signals (0: all that can be ignored) have no effect, and no channel get
// them. rt0_signal_reset undoes notify and ignore of the n signals (0: all): what was there before.
// Returns  0; -EINVAL: a number that cannot be ignored, or caught; -ENOTCONN.
// Context  goroutine or thread.
RT0_API int rt0_signal_ignore(const int *sigs, int n);
RT0_API int rt0_signal_reset(const int *sigs, int n);
RT0_API bool rt0_signal_ignored(int sig); // now; by whomever

// RT0_NOTIFY(c, SIGINT, SIGTERM), RT0_IGNORE(SIGHUP), RT0_RESET(): the same with the signals listed.
#define RT0_NOTIFY(c, ...) RT0_SIGNALS_(rt0_signal_notify((c), rt0_sigs_ + 1, rt0_nsigs_), __VA_ARGS__)
#define RT0_IGNORE(...) RT0_SIGNALS_(rt0_signal_ignore(rt0_sigs_ + 1, rt0_nsigs_), __VA_ARGS__)
#define RT0_RESET(...) RT0_SIGNALS_(rt0_signal_reset(rt0_sigs_ + 1, rt0_nsigs_), __VA_ARGS__)
#define RT0_SIGNALS_(call, ...)                                                                   \
	__extension__({                                                                           \
		const int rt0_sigs_[] = {0, __VA_ARGS__};                                         \
		const int rt0_nsigs_ = (int)(sizeof rt0_sigs_ / sizeof rt0_sigs_[0]) - 1;         \
		call;                                                                             \
	})

// ---- Memory --------------------------------------------------------------------------------

enum { RT0_NOSCAN = 1 }; // the memory will hold no pointers

// rt0_alloc returns size bytes, zeroed and aligned to 16 (8 below 16 bytes). Freeing is optional
// once the collector exists; today what is not freed stays.
// Panics   fatal "out of memory". Size 0: an address that is not NULL and holds nothing.
// Context  goroutine or thread.
RT0_API void *rt0_alloc(size_t size, int flags);
RT0_API void rt0_free(void *p); // p from rt0_alloc, or NULL

// ---- Stacks and symbols ----------------------------------------------------------------------

// rt0_callers stores the addresses that the calling function and its callers return to, innermost
// first, at most n of them; skip 0 begins with the function that calls rt0_callers, 1 with its
// caller. Inlined functions share an address. A frame above that the tables do not know ends it.
// Returns  how many.
// Context  anywhere, a signal handler too.
RT0_API int rt0_callers(int skip, uintptr_t *pcs, int n);

// A function as rt0_pc_symbol tells it.
typedef struct rt0_symbol {
	const char *func; // NULL: not known. The texts stay valid
	const char *file; // NULL: not known
	int line;         // 0: not known
	uintptr_t entry;  // where the function begins; 0: it is inlined there
} rt0_symbol;

// rt0_pc_symbol tells which function pc, as rt0_callers stores it, is in, by the symbols and the
// debug information of the file that it was loaded from: the functions that are inlined there,
// innermost first, and last the one that has a frame. At most n are stored in sym.
// Returns  how many there are, 16 at most; 0: nothing is known.
// Context  anywhere. The first question about an address reads files.
RT0_API int rt0_pc_symbol(uintptr_t pc, rt0_symbol *sym, int n);

// rt0_stack writes the traceback of the calling goroutine, as a panic would print it, into buf; if
// all is set, that of every other goroutine behind it. What does not fit into n bytes is dropped;
// the text ends with a 0.
// Returns  its length; 0 elsewhere than on a goroutine.
// Blocks   all: until every running goroutine has stopped, and the others while it is made.
// Context  goroutine.
RT0_API size_t rt0_stack(char *buf, size_t n, bool all);

// rt0_set_traceback sets what is printed when the program dies, as the variable GOTRACEBACK: "none",
// "single", "all", "system" or "crash". It never shows less than the variable asks for.
// Context  anywhere, a signal handler too.
RT0_API void rt0_set_traceback(const char *level);

// ---- Output, environment, exit: what a program without a libc needs ----------------------------

// rt0_write writes n bytes to fd, all of them unless an error comes.
// Returns  n, or a negative errno.
// Blocks   the thread, with the processor given to others.
RT0_API long rt0_write(int fd, const void *buf, size_t n);

// rt0_printf prints to standard output, at once and unbuffered: %d %i %u %x %X %o %c %s %p %f %%,
// with flags 0 - + # space, width, precision, and h hh l ll z t j. Output of 4096 bytes or less is
// one write.
// Returns  the bytes written or a negative errno.
RT0_API int rt0_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

RT0_API const char *rt0_getenv(const char *name);        // NULL if not set
RT0_NORETURN RT0_API void rt0_exit(int code);            // at once: no atexit, no flush
RT0_NORETURN RT0_API void rt0_fatal(const char *text);   // "fatal error: text", exit 2

#ifdef __cplusplus
}
#endif
#endif
