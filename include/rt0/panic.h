// SPDX-License-Identifier: BSD-3-Clause
// rt0/panic.h: defer, panic and recover; rt0.h includes it.
#ifndef RT0_PANIC_H
#define RT0_PANIC_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

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
