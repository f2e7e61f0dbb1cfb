// SPDX-License-Identifier: BSD-3-Clause
// rt0.h: the whole public API of rt0, the Go runtime in C. C11 with GNU extensions, and C++17.
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
#ifdef __cplusplus
#define RT0_PANICS_ // see rt0_recover
#else
#define RT0_PANICS_ _Noreturn
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
// pthread_mutex) loses it after about 1 ms, and the call is finished: no EINTR, no short sleep.
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

// ---- Panics and defer ----------------------------------------------------------------------

// RT0_DEFER(fn, arg); calls fn(arg) when the block that it stands in is left: at its end, by return,
// break, goto or a C++ exception, and by a panic or rt0_goexit. The last one first. fn takes one
// pointer, of any type:
//     rt0_mutex_lock(&m);
//     RT0_DEFER(rt0_mutex_unlock, &m);
// A longjmp out of the block is not allowed. The function is never inlined, so that there is a frame
// that recovery can end.
// Context  goroutine or thread; on a thread that is no goroutine nothing is there to recover.
#define RT0_DEFER(fn, arg) RT0_DEFER_(fn, arg, __COUNTER__)

// RT0_DEFER_FRAME; at the top of a function lets it call rt0_defer(fn, arg), also in loops: these
// calls run when the function returns, the last one first, after those of RT0_DEFER.
//     RT0_DEFER_FRAME;
//     for (int i = 0; i < n; i++)
//         rt0_defer(close_file, &file[i]);
// Memory   the first four calls lie on the stack, more come from rt0_alloc until they have run.
#define RT0_DEFER_FRAME                                                                           \
	struct rt0_deferframe rt0_deferframe_ __attribute__((cleanup(rt0_defer_frame_end)));      \
	rt0_defer_frame_begin_(&rt0_deferframe_);                                                 \
	RT0_OWN_FRAME_
#define rt0_defer(fn, arg) rt0_defer_add(&rt0_deferframe_, (void (*)(void *))(fn), (void *)(arg))

// What a panic carries, and how it prints.
enum rt0_value_kind {
	RT0_NIL,     // nothing
	RT0_BOOL,    // true
	RT0_INT,     // 42
	RT0_UINT,
	RT0_FLOAT,   // +1.500000e+000
	RT0_STRING,  // as it is
	RT0_POINTER, // (void *) 0xADDR
	RT0_ERROR,   // an error of the program: its text; code is the program's
	RT0_USER,    // as type->text says; without it (NAME) 0xADDR
	RT0_RUNTIME_ERROR,
};

// Which runtime error; rt0_value.code.
enum rt0_runtime_error {
	RT0_ERR_NIL = 1, // nil pointer dereference; v.u is the address
	RT0_ERR_FAULT,   // another address, with rt0_set_panic_on_fault; v.u is it
	RT0_ERR_DIVIDE,  // integer divide by zero (also INT_MIN / -1, which amd64 cannot tell from it)
	RT0_ERR_OVERFLOW,
	RT0_ERR_FLOAT,
	RT0_ERR_INDEX,   // v.i out of range with length w.n
	RT0_ERR_CHAN,    // misuse of a channel: w.s
	RT0_ERR_TYPE,    // a conversion that failed: w.s
	RT0_ERR_NILPANIC, // rt0_panic(NULL)
};

// How a user's value prints. text writes what snprintf would: at most n bytes with the 0, and
// returns the length that all of it has.
typedef struct rt0_valuetype {
	const char *name; // "main.T"
	size_t (*text)(const void *p, char *buf, size_t n);
} rt0_valuetype;

typedef struct rt0_value {
	uint32_t kind; // enum rt0_value_kind
	int32_t code;
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double f;
		const char *s;
		const void *p;
	} v;
	union {
		uint64_t n;
		const char *s;
		const rt0_valuetype *type;
	} w;
} rt0_value;

// RT0_VALUE(x) is x as a value: of an integer, bool, floating-point number, string, pointer or
// rt0_value. rt0_value_error and rt0_value_user make the others. What they point to is not copied.
// rt0_panic panics with a string, rt0_panic_value with any value, RT0_PANIC(x) with x.
//
// A panic runs the deferred calls of its goroutine, the newest first, each on top of the stack. When
// one of them recovers, the panic ends as rt0_recover says. When none does, "panic: VALUE" and a
// traceback are printed, nested panics in order, "[recovered]" behind those that were, and the
// program ends with status 2. A fault (SIGSEGV, SIGBUS, SIGFPE) in the program's code is a panic
// with a runtime error; in a libc, in the runtime or on a thread without a goroutine it is fatal. In
// library mode faults are the host program's.
// Panics   between rt0_entersyscall and rt0_exitsyscall: fatal.
// Context  goroutine. On a thread that is none: prints and ends the program.
RT0_PANICS_ RT0_API void rt0_panic(const char *value);
RT0_PANICS_ RT0_API void rt0_panic_value(rt0_value value);
#define RT0_PANIC(x) rt0_panic_value(RT0_VALUE(x))

// rt0_recover, called by a deferred function itself that a panic runs, stops that panic and stores
// its value in *value (NULL: thrown away). When the deferred function returns, the other deferred
// calls of the same function run, and then that function returns to its caller: with 0, or what
// rt0_recover_result says. The functions in between are left as by longjmp: their locals are gone,
// no C++ destructor of theirs runs, and locks that they held by other means than RT0_DEFER stay
// locked.
// Compilers do not know of this return. A function that can return one value only returns it as
// RT0_RESULT(value), lest its callers know it beforehand. One that never returns by itself has no
// result to set, and in C++ must be given a way to return (there, panics are not declared noreturn).
// gcc may move a division whose result is used behind the block only, as in return a / b, behind the
// deferred calls, where no recovery sees its panic: write return RT0_RESULT(a / b).
// Returns  true; false: there is no panic, it is recovered already, rt0_goexit runs, or the caller
//          is not the deferred function. (If that one has no unwind table it cannot be told.)
// Panics   fatal when a function up to the deferring one has no unwind table (compilers make them
//          unless told -fno-asynchronous-unwind-tables): then use rt0_try.
// Context  anywhere.
RT0_API bool rt0_recover(rt0_value *value);

// After rt0_recover, and in the same deferred function: what the deferring function returns. Not
// for functions that return a struct in memory or a long double: give those a pointer.
RT0_API void rt0_recover_result(int64_t result); // integers and pointers
RT0_API void rt0_recover_result_float(double result); // of a function that returns double, not float

// return RT0_RESULT(true): the value, which the compiler cannot see through. For scalars.
#define RT0_RESULT(x)                                                                             \
	__extension__({                                                                           \
		__typeof__(x) rt0_opaque_ = (x);                                                  \
		__asm__ volatile("" : "+rm"(rt0_opaque_));                                        \
		rt0_opaque_;                                                                      \
	})

// rt0_try calls fn(arg) and recovers every panic in it. It needs no unwind tables.
// Returns  true: fn has returned; false: it panicked, with *value (NULL: thrown away).
// Context  goroutine; on a thread it just calls.
RT0_API bool rt0_try(void (*fn)(void *arg), void *arg, rt0_value *value);

// rt0_value_text writes value as a panic prints it, like snprintf. Returns the length of all of it.
RT0_API size_t rt0_value_text(const rt0_value *value, char *buf, size_t n);

// rt0_set_panic_on_fault says whether a fault at an address of 4096 or above panics (RT0_ERR_FAULT)
// or is fatal "fault", for the calling goroutine. At first it is fatal.
// Returns  the previous setting.
RT0_API bool rt0_set_panic_on_fault(bool on);

// RT0_INDEX(i, n) is i if 0 <= i < n, else it panics: "index out of range [5] with length 3".
#define RT0_INDEX(i, n) rt0_index((int64_t)(i), (n))

static inline bool
rt0_is_runtime_error(const rt0_value *value)
{
	return value->kind == RT0_RUNTIME_ERROR;
}

// What the macros above use. A record lies in the frame of the deferring function.
struct rt0_deferred {
	struct rt0_deferred *next; // the goroutine's next older one
	uintptr_t sp;              // of the frame that defers
	void (*fn)(void *arg);
	void *arg;
};
// How to take a record off the list again: beside it, so that a compiler may keep it in registers.
struct rt0_deferlink {
	struct rt0_deferred *next, **head;
};
struct rt0_deferguard {
	struct rt0_deferlink link;
	void (*fn)(void *arg);
	void *arg;
};
struct rt0_deferchunk;
struct rt0_deferframe {
	struct rt0_deferred d;
	struct rt0_deferlink link;
	size_t n; // calls that have not run
	struct rt0_deferchunk *chunk; // of those beyond the first
	struct rt0_defercall {
		void (*fn)(void *arg);
		void *arg;
	} first[4];
};
RT0_API struct rt0_deferlink rt0_defer_push(struct rt0_deferred *d);
RT0_API void rt0_defer_frame_run(void *frame);
RT0_API void rt0_defer_frame_end(struct rt0_deferframe *frame);
RT0_API void rt0_defer_add(struct rt0_deferframe *frame, void (*fn)(void *arg), void *arg);
RT0_PANICS_ RT0_API void rt0_panic_index(int64_t i, size_t n);

static inline __attribute__((always_inline)) struct rt0_deferguard
rt0_defer_begin_(struct rt0_deferred *d, void (*fn)(void *arg), void *arg)
{
	struct rt0_deferguard g;
	d->fn = g.fn = fn;
	d->arg = g.arg = arg;
	g.link = rt0_defer_push(d);
	return g;
}

static inline __attribute__((always_inline)) void
rt0_defer_end_(struct rt0_deferguard *g)
{
	*g->link.head = g->link.next;
	g->fn(g->arg);
}

static inline __attribute__((always_inline)) void
rt0_defer_frame_begin_(struct rt0_deferframe *frame)
{
	frame->d.fn = rt0_defer_frame_run;
	frame->d.arg = frame;
	frame->n = 0;
	frame->chunk = NULL;
	frame->link = rt0_defer_push(&frame->d);
}

static inline size_t
rt0_index(int64_t i, size_t n)
{
	if (__builtin_expect((uint64_t)i >= n, 0))
		rt0_panic_index(i, n);
	return (size_t)i;
}

// A function whose label's address is kept is neither inlined nor copied, by gcc and clang. The way
// to a return that nobody takes (C only) keeps them from the belief that a function which always
// panics, or loops for ever, has no caller to return to.
#ifdef __cplusplus
#define RT0_A_RETURN_
#else
#if !defined __clang__ && __GNUC__ >= 14
#define RT0_NO_MISMATCH_ _Pragma("GCC diagnostic ignored \"-Wreturn-mismatch\"")
#elif !defined __clang__ // without -Wall "ignored" has no effect until the warning has been chosen
#define RT0_NO_MISMATCH_                                                                          \
	_Pragma("GCC diagnostic warning \"-Wreturn-type\"")                                       \
	_Pragma("GCC diagnostic ignored \"-Wreturn-type\"")
#else
#define RT0_NO_MISMATCH_
#endif
#define RT0_A_RETURN_                                                                             \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wreturn-type\"")        \
	RT0_NO_MISMATCH_                                                                          \
	int rt0_never_ = 0;                                                                       \
	__asm__("" : "+r"(rt0_never_));                                                           \
	if (__builtin_expect(rt0_never_, 0))                                                      \
		return;                                                                           \
	_Pragma("GCC diagnostic pop")
#endif
#define RT0_OWN_FRAME_                                                                            \
	__extension__({                                                                           \
		__label__ rt0_here_;                                                              \
		static const void *const rt0_keep_ __attribute__((used)) = &&rt0_here_;           \
	rt0_here_:;                                                                               \
		RT0_A_RETURN_                                                                     \
	})
#define RT0_DEFER_(fn, arg, n) RT0_DEFER__(fn, arg, n)
#define RT0_DEFER__(f, a, n)                                                                      \
	struct rt0_deferred rt0_deferred_##n;                                                     \
	struct rt0_deferguard rt0_guard_##n __attribute__((cleanup(rt0_defer_end_), unused)) =    \
	    rt0_defer_begin_(&rt0_deferred_##n, (void (*)(void *))(f), (void *)(a));              \
	RT0_OWN_FRAME_

static inline rt0_value
rt0_value_of_(enum rt0_value_kind kind, uint64_t bits)
{
	rt0_value r;
	r.kind = (uint32_t)kind;
	r.code = 0;
	r.v.u = bits;
	r.w.n = 0;
	return r;
}

static inline rt0_value
rt0_value_bool(bool b)
{
	return rt0_value_of_(RT0_BOOL, b);
}

static inline rt0_value
rt0_value_int(int64_t i)
{
	return rt0_value_of_(RT0_INT, (uint64_t)i);
}

static inline rt0_value
rt0_value_uint(uint64_t u)
{
	return rt0_value_of_(RT0_UINT, u);
}

static inline rt0_value
rt0_value_float(double f)
{
	rt0_value r = rt0_value_of_(RT0_FLOAT, 0);
	r.v.f = f;
	return r;
}

static inline rt0_value
rt0_value_string(const char *s)
{
	return rt0_value_of_(s != NULL ? RT0_STRING : RT0_NIL, (uintptr_t)s);
}

static inline rt0_value
rt0_value_pointer(const void *p)
{
	return rt0_value_of_(RT0_POINTER, (uintptr_t)p);
}

static inline rt0_value
rt0_value_error(const char *text, int32_t code)
{
	rt0_value r = rt0_value_of_(RT0_ERROR, (uintptr_t)text);
	r.code = code;
	return r;
}

static inline rt0_value
rt0_value_user(const rt0_valuetype *type, const void *p)
{
	rt0_value r = rt0_value_of_(RT0_USER, (uintptr_t)p);
	r.w.type = type;
	return r;
}

static inline rt0_value
rt0_value_self_(rt0_value v)
{
	return v;
}

#ifndef __cplusplus
#define RT0_VALUE(x)                                                                              \
	_Generic((x),                                                                             \
	    bool: rt0_value_bool,                                                                 \
	    char: rt0_value_int,                                                                  \
	    signed char: rt0_value_int,                                                           \
	    short: rt0_value_int,                                                                 \
	    int: rt0_value_int,                                                                   \
	    long: rt0_value_int,                                                                  \
	    long long: rt0_value_int,                                                             \
	    unsigned char: rt0_value_uint,                                                        \
	    unsigned short: rt0_value_uint,                                                       \
	    unsigned: rt0_value_uint,                                                             \
	    unsigned long: rt0_value_uint,                                                        \
	    unsigned long long: rt0_value_uint,                                                   \
	    float: rt0_value_float,                                                               \
	    double: rt0_value_float,                                                              \
	    long double: rt0_value_float,                                                         \
	    char *: rt0_value_string,                                                             \
	    const char *: rt0_value_string,                                                       \
	    rt0_value: rt0_value_self_,                                                           \
	    default: rt0_value_pointer)(x)
#endif

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

// rt0_stop ends the runtime's threads and frees its memory; rt0_start may follow.
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
// in the program replaces rt0's handlers. Its own must have SA_ONSTACK, or run on goroutines' stacks.
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
RT0_NORETURN RT0_API void rt0_fatal(const char *text);   // "fatal error: text", exit 2

#ifdef __cplusplus
}

// C++ has no _Generic, but overloading.
template <typename T>
static inline rt0_value
rt0_value_any_(T x)
{
	if constexpr (__is_enum(T))
		return rt0_value_int(static_cast<int64_t>(x));
	else if constexpr (static_cast<T>(-1) < static_cast<T>(0))
		return static_cast<T>(1.5) != static_cast<T>(1) ? rt0_value_float(static_cast<double>(x))
								: rt0_value_int(static_cast<int64_t>(x));
	else
		return rt0_value_uint(static_cast<uint64_t>(x));
}

static inline rt0_value
rt0_value_any_(bool x)
{
	return rt0_value_bool(x);
}

static inline rt0_value
rt0_value_any_(const char *x)
{
	return rt0_value_string(x);
}

static inline rt0_value
rt0_value_any_(char *x)
{
	return rt0_value_string(x);
}

template <typename T>
static inline rt0_value
rt0_value_any_(T *x)
{
	return rt0_value_pointer(x);
}

static inline rt0_value
rt0_value_any_(rt0_value x)
{
	return x;
}
#define RT0_VALUE(x) rt0_value_any_(x)
#endif
#endif
