// SPDX-License-Identifier: BSD-3-Clause
// rt0.h: the whole public API of rt0, the Go runtime in C. C11 with GNU extensions, and C++17.
//
// Three ways in (docs/HACKING.md): hosted (an ordinary main runs as goroutine 1), pure (no libc:
// link with -nostdlib -static), library (rt0_start inside a process that already runs).
//
// Each function says, where there is something to say: Units, Returns, Panics, Blocks, Context,
// Memory. "Context goroutine or thread" means that a thread which rt0 did not create may call:
// it becomes a goroutine for the length of the call; without a running runtime that is fatal. No
// function may be called from a signal handler unless it says so. Errors are negative errno values;
// errno itself is never used, since a goroutine may wake on another thread than the one it slept
// on.
#ifndef RT0_H
#define RT0_H

#if !defined __linux__ || !defined __x86_64__ || defined __ILP32__
#error "rt0 is for 64-bit programs on linux/amd64 only"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define RT0_NORETURN [[noreturn]]
#else
#define RT0_NORETURN _Noreturn
#endif
#define RT0_API __attribute__((visibility("default")))

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

// rt0_goexit ends the calling goroutine. When main's does, the others go on; the program ends
// with "no goroutines (main called runtime.Goexit) - deadlock!" once all have ended.
// Context  goroutine.
RT0_NORETURN RT0_API void rt0_goexit(void);

// rt0_num_goroutine counts the goroutines that exist, the caller's included. Never less than 1.
// Context  anywhere, a signal handler too.
RT0_API int rt0_num_goroutine(void);

// rt0_gomaxprocs sets how many threads may run goroutines at one time; n < 1 only asks.
// Returns  the previous setting; -ENOTCONN: the runtime does not run. n is clamped to 1024.
// Blocks   until every running goroutine has reached the scheduler (a runtime call).
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

// A goroutine that runs for 10 ms (GODEBUG=preemptms=N) while others wait loses the processor, wherever
// it is: in a loop that calls nothing, or inside the libc. It stays on its kernel thread meanwhile,
// as if the kernel had run another thread, so locks, errno and thread-locals of the C code stay true.
// A goroutine that sleeps in a system call which nobody has declared (read, sleep, the futex of a
// pthread_mutex) loses it after about 1 ms, and the call is finished: no EINTR, no short sleep.
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

// ---- Channels ------------------------------------------------------------------------------

typedef struct rt0_chan rt0_chan;

// rt0_chan_make makes a channel of elements of elem_size bytes that holds cap of them (0: sender
// and receiver meet). Sizes are checked.
// Panics   "makechan: size out of range", "makechan: invalid channel element type" (> 64 KiB).
// Context  goroutine or thread.
RT0_API rt0_chan *rt0_chan_make(size_t elem_size, size_t cap);

// rt0_chan_free gives c's memory back at once. Nobody may use c any more; a send whose element has been
// received does not, so who has received the last element may free.
// Panics   fatal "free of a channel with waiters" if a goroutine waits on it. NULL is ignored.
RT0_API void rt0_chan_free(rt0_chan *c);

// rt0_chan_send copies the element at elem into c, and waits while c is full.
// Panics   "send on closed channel", also when c is closed while waiting.
// Blocks   the goroutine, not the thread; for ever if c is NULL.
// Context  goroutine or thread.
// Memory   elem is copied before return. The k-th send happens before the k-th receive returns;
//          the k-th receive happens before the (k+cap)-th send returns.
RT0_API void rt0_chan_send(rt0_chan *c, const void *elem);

// rt0_chan_recv takes the next element of c into *elem (NULL: thrown away), waiting while c is
// empty and open.
// Returns  true; false: c is closed and drained, and *elem is zeroed.
// Blocks   the goroutine, not the thread; for ever if c is NULL.
// Context  goroutine or thread.
RT0_API bool rt0_chan_recv(rt0_chan *c, void *elem);

// rt0_chan_try_send and rt0_chan_try_recv never wait.
// Returns  0; -EAGAIN: it would have to wait; -EPIPE (receive only): closed and drained, and
//          *elem is zeroed.
// Panics   "send on closed channel".
// Context  goroutine or thread.
RT0_API int rt0_chan_try_send(rt0_chan *c, const void *elem);
RT0_API int rt0_chan_try_recv(rt0_chan *c, void *elem);

// rt0_chan_close closes c: receivers drain it and then get false; waiting senders panic.
// Panics   "close of nil channel", "close of closed channel".
// Context  goroutine or thread.
RT0_API void rt0_chan_close(rt0_chan *c);

// How many elements c holds and can hold; 0 for NULL. A snapshot: others may change it.
RT0_API size_t rt0_chan_len(const rt0_chan *c);
RT0_API size_t rt0_chan_cap(const rt0_chan *c);

// RT0_RANGE(c, v) { use(v); }: the loop over all elements of c until it is closed and drained. v
// is a variable of the element's type.
#define RT0_RANGE(c, v) while (rt0_chan_recv((c), &(v)))

// ---- Mutex, WaitGroup, Once: zero is the initial value, none needs a call to be destroyed ------

typedef struct rt0_mutex {
	uint32_t state, sema;
} rt0_mutex;

// rt0_mutex_lock waits while another goroutine has m. rt0_mutex_trylock does not wait.
// Returns  rt0_mutex_trylock: whether it got m.
// Panics   rt0_mutex_unlock: fatal "sync: unlock of unlocked mutex".
// Blocks   the goroutine, not the thread. Nobody waits for more than about 1 ms behind newcomers.
// Context  goroutine or thread; any goroutine may unlock.
// Memory   the n-th unlock happens before the (n+1)-th lock returns.
RT0_API void rt0_mutex_lock(rt0_mutex *m);
RT0_API bool rt0_mutex_trylock(rt0_mutex *m);
RT0_API void rt0_mutex_unlock(rt0_mutex *m);

typedef struct rt0_waitgroup {
	uint64_t state; // counter in the high 32 bits, waiters in the low
	uint32_t sema;
} rt0_waitgroup;

// rt0_waitgroup_add adds delta to the counter; at 0 all waiters go on. Add before you start what
// you will wait for.
// Panics   "sync: negative WaitGroup counter", "sync: WaitGroup misuse: Add called concurrently
//          with Wait", "sync: WaitGroup is reused before previous Wait has returned".
// Context  goroutine or thread.
// Memory   a done happens before the return of the wait that it ends.
RT0_API void rt0_waitgroup_add(rt0_waitgroup *wg, int delta);
RT0_API void rt0_waitgroup_done(rt0_waitgroup *wg);
// Blocks   the goroutine, not the thread.
RT0_API void rt0_waitgroup_wait(rt0_waitgroup *wg);

typedef struct rt0_once {
	uint32_t done;
	rt0_mutex m;
} rt0_once;

// rt0_once_do calls fn(arg) if no call with this once has been made before; when it returns, the
// one call has returned.
// Blocks   the goroutine while another makes the call. Called from fn itself: deadlock.
// Context  goroutine or thread.
RT0_API void rt0_once_do(rt0_once *once, void (*fn)(void *arg), void *arg);

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
//          stderr; -ENOSYS: a pure program.
// Context  goroutine.
RT0_API int rt0_plugin_open(const char *path, void **handle);

// ---- Library mode: the runtime inside a process that has its own main -------------------------

// rt0_start boots the runtime on threads of its own and returns when the init tasks have run.
// argv ends with NULL and must stay; argc 0 and argv NULL will do.
// Returns  0; -EALREADY: it runs; -EAGAIN: no thread can be had.
// Context  thread. Signals stay the program's own.
RT0_API int rt0_start(int argc, char **argv);

// rt0_run runs fn(arg) as a goroutine and returns when it has returned.
// Returns  0; -ENOTCONN: the runtime does not run. On a goroutine: calls fn(arg).
// Blocks   the thread.
// Context  thread or goroutine.
RT0_API int rt0_run(void (*fn)(void *arg), void *arg);

// rt0_stop ends the runtime's threads and frees its memory; rt0_start may follow.
// Returns  0; -EBUSY: there are goroutines; -ENOTCONN: it does not run, or main runs on it.
// Context  thread, the only one that uses rt0 at this time.
RT0_API int rt0_stop(void);

// ---- Memory --------------------------------------------------------------------------------

enum { RT0_NOSCAN = 1 }; // the memory will hold no pointers

// rt0_alloc returns size bytes, zeroed and aligned to 16 (8 below 16 bytes). Freeing is optional
// once the collector exists; today what is not freed stays.
// Panics   fatal "out of memory". Size 0: an address that is not NULL and holds nothing.
// Context  goroutine or thread.
RT0_API void *rt0_alloc(size_t size, int flags);
RT0_API void rt0_free(void *p); // p from rt0_alloc, or NULL

// ---- Time, output, environment, exit: what a program without a libc needs ----------------------

RT0_API int64_t rt0_nanotime(void); // monotonic, ns; anywhere
RT0_API int64_t rt0_walltime(void); // since 1970-01-01 UTC, ns; anywhere

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
RT0_NORETURN RT0_API void rt0_panic(const char *value);  // "panic: value", traceback, exit 2
RT0_NORETURN RT0_API void rt0_fatal(const char *text);   // "fatal error: text", exit 2

#ifdef __cplusplus
}
#endif
#endif
