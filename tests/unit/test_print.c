// SPDX-License-Identifier: BSD-3-Clause
// test_print.c: the formatter against the C library's, and print under threads and signals.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

// SAME formats with both and wants the same text and the same length.
#define SAME(...)                                                                                  \
	do {                                                                                       \
		char libc_[4000], ours_[4000];                                                     \
		int nlibc_ = snprintf(libc_, sizeof libc_, __VA_ARGS__);                           \
		int nours_ = runtime_snprintf(ours_, sizeof ours_, __VA_ARGS__);                   \
		CHECK_STREQ(ours_, libc_);                                                         \
		CHECK_EQ(nours_, nlibc_);                                                          \
	} while (0)

static uint64_t state = 12345;

static uint64_t
next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-zero-length"

TEST(print_integers_equal_libc)
{
	static const char *const flags[] = {
	    "", "-", "+", " ", "0", "-0", "+0", " 0", "#", "#0", "+-"};
	static const char *const widths[] = {"", "1", "5", "12", "30"};
	static const char *const precs[] = {"", ".", ".0", ".1", ".4", ".25"};
	static const char *const sizes[] = {"", "hh", "h", "l", "ll", "z", "j", "t"};
	static const uint64_t values[] = {0, 1, 7, 8, 9, 10, 127, 128, 255, 256, 32767, 65535,
	    65536, INT32_MAX, 0x80000000, UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX,
	    (uint64_t)-42};
	for (size_t f = 0; f < NELEM(flags); f++)
		for (size_t w = 0; w < NELEM(widths); w++)
			for (size_t p = 0; p < NELEM(precs); p++)
				for (size_t s = 0; s < NELEM(sizes); s++)
					for (const char *c = "diuxXo"; *c != 0; c++)
						for (size_t v = 0; v < NELEM(values); v++) {
							char fmt[64];
							snprintf(fmt, sizeof fmt, "<%%%s%s%s%s%c>",
							    flags[f], widths[w], precs[p], sizes[s],
							    *c);
							if (s < 3)
								SAME(fmt, (int)values[v]);
							else
								SAME(fmt, (long)values[v]);
						}
}

TEST(print_strings_and_stars_equal_libc)
{
	SAME("%s|%10s|%-10s|%.2s|%.0s|%10.3s|%-10.3s|", "abc", "abc", "abc", "abc", "abc", "abcdef",
	    "abcdef");
	SAME("%s", "");
	SAME("%c%5c%-5c|", 'a', 'b', 'c');
	SAME("%*d|%-*d|%*d|%.*d|%.*d|%*.*f|", 8, 42, 8, 42, -8, 42, 5, 42, -1, 42, 10, 3, 3.14159);
	SAME("%*s|%.*s|%*.*s", 6, "ab", 1, "ab", -6, 1, "ab");
	SAME("100%%|%p|%d", (void *)0x1234abcd, 7);
	SAME("no conversion");
	SAME("");
	const char unterminated[3] = {'a', 'b', 'c'};
	SAME("%.3s", unterminated);
	char got[64];
	char *volatile null = NULL;
	runtime_snprintf(got, sizeof got, "%s", null);
	CHECK_STREQ(got, "(null)");
	runtime_snprintf(got, sizeof got, "%p", NULL);
	CHECK_STREQ(got, "0x0");
	// What is not known is shown, and what breaks off is, too.
	runtime_snprintf(got, sizeof got, "a%kb");
	CHECK_STREQ(got, "a%kb");
	runtime_snprintf(got, sizeof got, "50%");
	CHECK_STREQ(got, "50%");
	runtime_snprintf(got, sizeof got, "%-08");
	CHECK_STREQ(got, "%-08");
}

TEST(print_snprintf_never_writes_past_the_end)
{
	char buf[8];
	memset(buf, 'x', sizeof buf);
	CHECK_EQ(runtime_snprintf(buf, 4, "%s", "abcdef"), 6);
	CHECK_STREQ(buf, "abc");
	CHECK_EQ(buf[4], 'x');
	CHECK_EQ(runtime_snprintf(buf, 1, "abc"), 3);
	CHECK_EQ(buf[0], 0);
	buf[0] = 'x';
	CHECK_EQ(runtime_snprintf(buf, 0, "abc"), 3);
	CHECK_EQ(buf[0], 'x');
	CHECK_EQ(runtime_snprintf(NULL, 0, "%200d", 1), 200);
}

TEST(print_special_doubles_equal_libc)
{
	static const double values[] = {0.0, -0.0, 0.5, 1.5, 2.5, -0.5, 0.25, 0.125, 0.05, 0.15,
	    0.95, 0.995, 9.5, 99.5, 999999999.5, 9.999999999, 0.999999999, 0.9999999995,
	    99999999.9999999999, 1e9, 1e18, 1e15, 1e22, 1e23, 123456789.987654321, 1e-5, 1e-7, 1e-9,
	    1e-10, 1e-18, DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN, DBL_EPSILON,
	    4503599627370496.5, 9007199254740993.0, 18446744073709551616.0, 5e-324,
	    2.2250738585072011e-308, INFINITY, -INFINITY, NAN, M_PI};
	static const char *const fmts[] = {"%f", "%.0f", "%#.0f", "%.1f", "%.2f", "%.3f", "%.8f",
	    "%.9f", "%.10f", "%.17f", "%.18f", "%.27f", "%.1100f", "%30.4f", "%-30.4f|", "%030.4f",
	    "%+.3f", "% .3f", "%+030.2f", "%F"};
	for (size_t v = 0; v < NELEM(values); v++)
		for (size_t f = 0; f < NELEM(fmts); f++)
			SAME(fmts[f], values[v]);
	SAME("%f", -NAN);
}

// A million doubles of every kind: any bits, everyday numbers, exact ties, neighbours of powers of
// ten. Each with a precision from 0 to 20.
TEST_T(print_million_doubles_equal_libc, 120000)
{
	for (int i = 0; i < 1000000; i++) {
		uint64_t bits = next();
		double v;
		switch (i % 4) {
		case 0:
			memcpy(&v, &bits, sizeof v);
			break;
		case 1:
			v = (double)(int64_t)next() / (double)(1ull << (next() % 63));
			break;
		case 2:
			v = (double)(int32_t)next() / (double)(1u << (next() % 12));
			break;
		default:
			v = pow(10, (double)(next() % 40) - 20);
			v = nextafter(v, next() & 1 ? 0 : INFINITY);
		}
		char want[512], got[512];
		int prec = (int)(next() % 21);
		int wn = snprintf(want, sizeof want, "%.*f", prec, v);
		int gn = runtime_snprintf(got, sizeof got, "%.*f", prec, v);
		if (wn != gn || memcmp(want, got, (size_t)wn + 1) != 0)
			test_fail("%%.%df of %a: %s, want %s\n", prec, v, got, want);
	}
}

// packets returns a pipe in which every write stays a packet that one read returns.
static int
packets(int fd)
{
	int p[2];
	CHECK_EQ(pipe2(p, O_DIRECT | O_NONBLOCK), 0);
	CHECK(dup2(p[1], fd) == fd);
	return p[0];
}

TEST(printf_writes_once_up_to_4096_bytes)
{
	int keep = dup(1), r = packets(1);
	char buf[8192];
	CHECK_EQ(rt0_printf("%s %d %5.2f|%-4c|\n", "one", 1, 2.5, 'x'), 18);
	CHECK_EQ(read(r, buf, sizeof buf), 18);
	CHECK_EQ(memcmp(buf, "one 1  2.50|x   |\n", 18), 0);
	CHECK_EQ(rt0_printf("%4096d", 7), 4096);
	CHECK_EQ(read(r, buf, sizeof buf), 4096);
	CHECK_EQ(buf[4095], '7');
	CHECK_EQ(rt0_printf("%5000d", 7), 5000);
	CHECK_EQ(read(r, buf, sizeof buf), 4096);
	CHECK_EQ(read(r, buf, sizeof buf), 904);
	CHECK_EQ(buf[903], '7');
	CHECK_EQ(rt0_printf("%s", ""), 0);
	CHECK_EQ(read(r, buf, sizeof buf), -1);
	close(1);
	CHECK_EQ(rt0_printf("x"), -EBADF);
	dup2(keep, 1);
}

TEST(print_is_one_write)
{
	int keep = dup(2), r = packets(2);
	char buf[1024];
	runtime_print("SCHED %ldms: %s %p\n", 12l, "abc", (void *)0x10);
	dup2(keep, 2);
	ssize_t n = read(r, buf, sizeof buf - 1);
	CHECK(n > 0);
	buf[n] = 0;
	CHECK_STREQ(buf, "SCHED 12ms: abc 0x10\n");
	CHECK_EQ(read(r, buf, sizeof buf), -1);
}

#pragma GCC diagnostic pop

TEST(write_reports_errors_and_finishes_partial_writes)
{
	CHECK_EQ(rt0_write(-1, "x", 1), -EBADF);
	CHECK_EQ(rt0_write(1, "x", 0), 0);
	int fd = memfd_create("write", 0);
	static char data[100000];
	CHECK_EQ(rt0_write(fd, data, sizeof data), (long)sizeof data);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), (long)sizeof data);
}

// Threads and a signal handler print lines of two prints each, under printlock.
enum { NLINE = 2000 };
static uint32_t nsig; // atomic

static void
line(char who)
{
	runtime_printlock();
	runtime_print("%c%c%c%c%c%c%c%c", who, who, who, who, who, who, who, who);
	runtime_print("%c.\n", who);
	runtime_printunlock();
}

static void
handler(int sig)
{
	(void)sig;
	atomic_xadd(&nsig, 1);
	runtime_print("!"); // may fall in the middle of a line of the same thread, as it must
}

static void *
printer(void *arg)
{
	for (int i = 0; i < NLINE; i++)
		line(*(const char *)arg);
	return NULL;
}

TEST_T(print_lines_stay_whole_across_threads_and_signals, 60000)
{
	int fd = memfd_create("lines", MFD_CLOEXEC), keep = dup(2);
	CHECK(fd >= 0 && dup2(fd, 2) == 2);
	// Appending, so that no write lands on another.
	fcntl(fd, F_SETFL, O_APPEND);
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct itimerval it = {.it_interval = {0, 500}, .it_value = {0, 500}};
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, printer, &"bc"[i]), 0);
	printer("a");
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 0}}, NULL);
	dup2(keep, 2);

	int count[3] = {0}, bangs = 0, col = 0;
	char who = 0, c, buf[65536];
	lseek(fd, 0, SEEK_SET);
	for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;) {
		for (ssize_t i = 0; i < n; i++) {
			c = buf[i];
			if (c == '!') {
				bangs++;
				continue;
			}
			if (col == 0)
				who = c;
			CHECK_EQ(c, col < 9 ? who : col == 9 ? '.' : '\n');
			if (++col == 11) {
				CHECK(who >= 'a' && who <= 'c');
				count[who - 'a']++;
				col = 0;
			}
		}
	}
	CHECK_EQ(col, 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(count[i], NLINE);
	CHECK_EQ(bangs, atomic_load(&nsig));
}

TEST(print_string_helpers)
{
	CHECK_EQ(runtime_strlen(""), 0);
	CHECK_EQ(runtime_strlen("abc"), 3);
	CHECK_EQ(runtime_strcmp("a", "a"), 0);
	CHECK(runtime_strcmp("a", "b") < 0);
	CHECK(runtime_strcmp("\xff", "a") > 0);
	CHECK(runtime_strcmp("ab", "a") > 0);
	CHECK(runtime_hasprefix("abc", "ab"));
	CHECK(runtime_hasprefix("abc", ""));
	CHECK(!runtime_hasprefix("ab", "abc"));
	CHECK_STREQ(rt0_version(), RT0_VERSION);
}
