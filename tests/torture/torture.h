// SPDX-License-Identifier: BSD-3-Clause
// torture.h: how a subject of the torture set is written.
//
// A subject is a piece of C that is right on plain threads, for as many goroutines as it asks for.
// It must be right here too, with each goroutine stopped in the middle of anything every 100 µs.
// Its workers check themselves as they go; what only shows in sums, its end checks. Nothing here
// looks at wall time but to know when to stop, and to see that a sleep was not too short.
//
//	static void work(struct worker *w) { while (running(w)) { ... } }
//	SUBJECT(name, .workers = 3, .work = work);
//
// Workers run until running says no, once at least however late, and must then end by themselves:
// none may wait for another that has ended. Between two calls of running a worker must not take
// long (a few ms of its own time). Code and data that workers share are not atomic where a lock of
// theirs guards them: that is the point.
#ifndef TORTURE_H
#define TORTURE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rt0.h>

#if defined __SANITIZE_THREAD__
#define TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct worker {
	int id;        // 0 to workers - 1, within the subject
	uint64_t seed; // of rnd; never 0
	uint64_t n;    // calls of running
	const struct subject *subject;
};

enum {
	ALONE = 1, // changes the process (signals, GOMAXPROCS): not a part of mix
	// Not under ThreadSanitizer. There a goroutine is only stopped in the program's own text,
	// so one that waits in the libc keeps its processor, and who has the lock it wants may
	// never get it. Other reasons are at the subjects.
	NOTSAN = 2,
};

struct subject {
	const char *name;
	int workers;
	unsigned flags;
	void (*begin)(void); // may be NULL
	void (*work)(struct worker *w);
	void (*end)(void); // after all workers have ended; may be NULL
};

#define SUBJECT(NAME, ...)                                                                         \
	static const struct subject subject_##NAME = {.name = #NAME, __VA_ARGS__};                 \
	__attribute__((used,                                                                       \
	    section("torture_subjects"))) static const struct subject *const subject_p_##NAME =    \
	    &subject_##NAME

extern int64_t deadline;      // ns of now()
extern const char *directory; // where the program lies
extern bool preemptive;       // goroutines lose the processor without asking
extern int procs;             // GOMAXPROCS at start

// BAD ends the program with status 1. One write: no lock of stdio is wanted.
#define BAD(...)                                                                                   \
	do {                                                                                       \
		char bad_[400];                                                                    \
		int bad_n_ = snprintf(bad_, sizeof bad_ - 1, __VA_ARGS__);                         \
		bad_report(__FILE__, __LINE__, bad_, bad_n_);                                      \
	} while (0)
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			BAD("not true: %s (errno %d)", #x, errno);                                 \
	} while (0)
__attribute__((noreturn)) void bad_report(const char *file, int line, const char *s, int n);

static inline int64_t
now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline bool
running(struct worker *w)
{
	w->n++;
	return now() < deadline || (preemptive && w->n < 2);
}

static inline uint64_t
rnd(struct worker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

// spin keeps the processor busy without a call. Not inlined: the counter must not mix with the
// caller's registers, which may be under test.
void spin(long turns);

// spin_us is spin for a time; it counts the time of others too.
void spin_us(long us);

// nap is a declared sleep: the processor is free meanwhile.
static inline void
nap(long us)
{
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};
	RT0_BLOCKING(nanosleep(&ts, NULL));
}

#ifdef __cplusplus
}
#endif
#endif
