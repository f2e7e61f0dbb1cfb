// SPDX-License-Identifier: BSD-3-Clause
// test.h: how a unit test is written.
//
//	TEST(runq_steal_takes_half) { CHECK_EQ(runtime_runqlen(pp), 16); }
//
// Every test runs as goroutine 1 of a process of its own, and registers itself: it is in the
// binary because it is written down. A check that fails prints where and what, and ends the
// process at once, whatever goroutine or thread it was on. Returning means passed.
#ifndef RT0_TEST_H
#define RT0_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*fn)(void);
	int timeout_ms;
};

enum { TEST_FAILED = 1, TEST_SKIPPED = 77 }; // exit statuses that the runner knows

#define TEST(name) TEST_T(name, 10000)
// TEST_T gives the test ms of wall time. The runner allows more under sanitizers and DEBUG.
#define TEST_T(name, ms)                                                                           \
	static void name(void);                                                                    \
	static const struct test test_##name = {#name, name, ms};                                  \
	__attribute__((used,                                                                       \
	    section("rt0_tests"))) static const struct test *const test_p_##name = &test_##name;   \
	static void name(void)

// test_fail prints a line and ends the process. dprintf: stdio's locks may be held by others.
#define test_fail(...)                                                                             \
	do {                                                                                       \
		dprintf(2, __VA_ARGS__);                                                           \
		_exit(TEST_FAILED);                                                                \
	} while (0)

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			test_fail("%s:%d: not true: %s\n", __FILE__, __LINE__, #x);                \
	} while (0)

// CHECK_EQ compares integers, or pointers cast to integers, of up to 64 bits.
#define CHECK_EQ(got, want)                                                                        \
	do {                                                                                       \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                            \
		if (got_ != want_)                                                                 \
			test_fail("%s:%d: %s is %" PRId64 " (%#" PRIx64 "), want %s = %" PRId64    \
				  " (%#" PRIx64 ")\n",                                             \
			    __FILE__, __LINE__, #got, got_, (uint64_t)got_, #want, want_,          \
			    (uint64_t)want_);                                                      \
	} while (0)

// CHECK_STREQ compares strings; NULL equals NULL only.
#define CHECK_STREQ(got, want)                                                                     \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		if (got_ != want_ && (!got_ || !want_ || strcmp(got_, want_) != 0))                \
			test_fail("%s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got,  \
			    got_ ? got_ : "(null)", want_ ? want_ : "(null)");                     \
	} while (0)

// SKIP ends the test as neither passed nor failed, with the reason why it cannot run here.
#define SKIP(reason)                                                                               \
	do {                                                                                       \
		dprintf(2, "SKIP %s\n", reason);                                                   \
		_exit(TEST_SKIPPED);                                                               \
	} while (0)

#endif
