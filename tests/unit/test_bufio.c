// SPDX-License-Identifier: BSD-3-Clause
// test_bufio.c: buffered readers and writers.
#include <stdlib.h>

#include "../../include/rt0/bufio.h"
#include "apiutil.h"
#include "netutil.h"

static rt0_fd *p[2];
static rt0_reader r;
static rt0_writer w;
static char in[32], out[32];

// setup makes a pipe with a reader and a writer of 32 bytes; what is given is all that will be read.
static void
setup(const char *given, size_t n)
{
	CHECK_EQ(rt0_pipe(p), 0);
	rt0_reader_init(&r, p[0], in, sizeof in);
	rt0_writer_init(&w, p[1], out, sizeof out);
	if (given != NULL) {
		CHECK_EQ(rt0_fd_write(p[1], given, n), (long)n);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
	}
}

static void
wantline(const char *want)
{
	char *line;
	size_t len;
	CHECK_EQ(rt0_reader_read_line(&r, &line, &len), 1);
	CHECK_STREQ(line, want);
	CHECK_EQ(len, strlen(want));
}

static void
wantend(void)
{
	char *line, b[4];
	const char *at;
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), 0);
		CHECK_EQ(rt0_reader_read_until(&r, 'x', &line, NULL), 0);
		CHECK_EQ(rt0_reader_read(&r, b, sizeof b), 0);
		CHECK_EQ(rt0_reader_read_exactly(&r, b, sizeof b), 0);
		CHECK_EQ(rt0_reader_peek(&r, &at, 1), 0);
		CHECK_EQ(rt0_reader_discard(&r, 1), 0);
	}
}

// trickle writes byte by byte, so that every read meets every boundary.
static const char *text;

static void
trickle(void *arg)
{
	(void)arg;
	for (const char *s = text; *s != 0; s++) {
		CHECK_EQ(rt0_fd_write(p[1], s, 1), 1);
		yield(1);
	}
	CHECK_EQ(rt0_fd_close(p[1]), 0);
}

TEST(bufio_lines_lose_their_ends)
{
	static const char t[] = "one\r\ntwo\n\n\r\nthree\r\r\n\rfour";
	setup(t, sizeof t - 1);
	wantline("one");
	wantline("two");
	wantline("");
	wantline("");
	wantline("three\r");
	wantline("\rfour");
	wantend();
}

TEST(bufio_lines_byte_by_byte)
{
	setup(NULL, 0);
	text = "alpha\nbeta\r\n\ngamma gamma gamma gamma gamm\ndelta";
	rt0_go(trickle, NULL);
	wantline("alpha");
	wantline("beta");
	wantline("");
	wantline("gamma gamma gamma gamma gamm");
	wantline("delta");
	wantend();
}

TEST(bufio_last_carriage_return_belongs_to_the_line)
{
	setup("a\r", 2);
	wantline("a\r");
	wantend();
}

TEST(bufio_line_with_zeros_has_its_length)
{
	char *line;
	size_t len;
	setup("a\0b\n", 4);
	CHECK_EQ(rt0_reader_read_line(&r, &line, &len), 1);
	CHECK_EQ(len, 3);
	CHECK(memcmp(line, "a\0b", 4) == 0);
	wantend();
}

// The longest line is the buffer's size less 2: the line end and a 0 must find room, too.
TEST(bufio_long_line_is_emsgsize_and_skipped)
{
	char t[256], *line;
	size_t len;
	for (int extra = -3; extra <= 70; extra++) {
		size_t n = sizeof in + (size_t)(extra < 0 ? 0 : extra) - (size_t)(extra < 0 ? -extra : 0);
		memset(t, 'x', n);
		memcpy(t + n, "\nnext\n", 6);
		setup(t, n + 6);
		int got = rt0_reader_read_line(&r, &line, &len);
		if (n + 1 <= sizeof in - 1) {
			CHECK_EQ(got, 1);
			CHECK_EQ(len, n);
		} else {
			CHECK_EQ(got, -EMSGSIZE);
			CHECK_EQ(len, sizeof in - 1);
			CHECK_EQ(line[len], 0);
		}
		CHECK_EQ(strspn(line, "x"), len);
		wantline("next");
		wantend();
		rt0_fd_close(p[0]);
	}
}

TEST(bufio_long_last_line_is_skipped_to_the_end)
{
	char t[100], *line;
	memset(t, 'x', sizeof t);
	setup(t, sizeof t);
	CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), -EMSGSIZE);
	wantend();
}

TEST(bufio_rest_of_a_long_line_can_be_read)
{
	char t[100], *line;
	memset(t, 'x', sizeof t);
	setup(t, sizeof t);
	CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), -EMSGSIZE);
	CHECK_EQ(rt0_reader_read_exactly(&r, t, 200 - (sizeof in - 1)), (long)(sizeof t - (sizeof in - 1)));
	wantend();
}

TEST(bufio_read_until_any_byte)
{
	char *s;
	size_t len;
	setup("a,bb,\n,c", 8);
	static const char *want[] = {"a", "bb", "\n", "c"};
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(rt0_reader_read_until(&r, ',', &s, &len), 1);
		CHECK_STREQ(s, want[i]);
		CHECK_EQ(len, strlen(want[i]));
	}
	wantend();
}

TEST(bufio_peek_shows_and_discard_skips)
{
	const char *at;
	char t[100], b[8];
	for (size_t i = 0; i < sizeof t; i++)
		t[i] = (char)i;
	setup(t, sizeof t);
	CHECK_EQ(rt0_reader_peek(&r, &at, 0), 0);
	CHECK_EQ(rt0_reader_peek(&r, &at, sizeof in), -EMSGSIZE);
	CHECK_EQ(rt0_reader_discard(&r, 0), 0);
	for (int i = 0; i < 60; i += 3) {
		CHECK(rt0_reader_peek(&r, &at, sizeof in - 1) >= (long)sizeof in - 1);
		CHECK(memcmp(at, t + i, sizeof in - 1) == 0);
		CHECK_EQ(rt0_reader_discard(&r, 2), 2);
		CHECK_EQ(rt0_reader_read_exactly(&r, b, 1), 1);
		CHECK_EQ(b[0], i + 2);
	}
	CHECK_EQ(rt0_reader_discard(&r, 35), 35);
	CHECK_EQ(rt0_reader_peek(&r, &at, 20), 5);
	CHECK(memcmp(at, t + 95, 5) == 0);
	CHECK_EQ(rt0_reader_discard(&r, 20), 5);
	wantend();
}

// Sizes around the buffer's, at all offsets, against the plain bytes.
TEST(bufio_read_exactly_any_size)
{
	static char t[4000], b[4000];
	for (size_t i = 0; i < sizeof t; i++)
		t[i] = (char)(i * 7 + i / 256);
	for (size_t first = 0; first < 3; first++)
		for (size_t n = 1; n < 150; n += n < 36 ? 1 : 17) {
			setup(t, sizeof t);
			size_t at = first;
			CHECK_EQ(rt0_reader_read_exactly(&r, b, first), (long)first);
			for (; at + n <= sizeof t; at += n) {
				CHECK_EQ(rt0_reader_read_exactly(&r, b, n), (long)n);
				CHECK(memcmp(b, t + at, n) == 0);
			}
			CHECK_EQ(rt0_reader_read_exactly(&r, b, n), (long)(sizeof t - at));
			CHECK(memcmp(b, t + at, sizeof t - at) == 0);
			wantend();
			rt0_fd_close(p[0]);
		}
}

TEST(bufio_read_gives_what_is_there)
{
	char b[100];
	setup("0123456789012345678901234567890123456789", 40);
	CHECK_EQ(rt0_reader_read(&r, b, 0), 0);
	CHECK_EQ(rt0_reader_read(&r, b, 5), 5);
	CHECK_EQ(rt0_reader_read(&r, b, 100), 26);
	CHECK_EQ(rt0_reader_read(&r, b, 100), 9);
	CHECK(memcmp(b, "123456789", 9) == 0);
	wantend();
}

TEST(bufio_timeout_loses_nothing)
{
	char b[8], *line;
	setup(NULL, 0);
	CHECK_EQ(rt0_fd_write(p[1], "abc", 3), 3);
	rt0_fd_set_deadline(p[0], rt0_deadline(1000000));
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(rt0_reader_read_exactly(&r, b, 6), -ETIMEDOUT);
		CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), -ETIMEDOUT);
		CHECK_EQ(r.err, 0);
	}
	rt0_fd_set_deadline(p[0], RT0_NEVER);
	CHECK_EQ(rt0_fd_write(p[1], "def\n", 4), 4);
	wantline("abcdef");
}

TEST(bufio_error_comes_after_the_data_and_stays)
{
	char b[8], *line;
	const char *at;
	setup(NULL, 0);
	CHECK_EQ(rt0_fd_write(p[1], "abc\ndef", 7), 7);
	wantline("abc");
	rt0_fd_close(p[0]);
	CHECK_EQ(rt0_reader_read(&r, b, 2), 2);
	CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), -ECANCELED);
	CHECK_EQ(rt0_reader_read(&r, b, 8), 1);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(rt0_reader_read(&r, b, 8), -ECANCELED);
		CHECK_EQ(rt0_reader_read_exactly(&r, b, 8), -ECANCELED);
		CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), -ECANCELED);
		CHECK_EQ(rt0_reader_peek(&r, &at, 1), -ECANCELED);
		CHECK_EQ(rt0_reader_discard(&r, 1), -ECANCELED);
	}
	CHECK_EQ(r.err, -ECANCELED);
}

// ---- writer ----

// The reading end as text.
static const char *
written(void)
{
	static char b[8192];
	size_t n = 0;
	long got;
	CHECK_EQ(rt0_fd_close(p[1]), 0);
	while ((got = rt0_fd_read(p[0], b + n, sizeof b - 1 - n)) > 0)
		n += (size_t)got;
	CHECK_EQ(got, 0);
	b[n] = 0;
	return b;
}

TEST(bufio_writer_keeps_until_flush)
{
	char b[8];
	setup(NULL, 0);
	CHECK_EQ(rt0_writer_flush(&w), 0);
	CHECK_EQ(rt0_writer_puts(&w, "hello"), 5);
	rt0_fd_set_read_deadline(p[0], 0);
	CHECK_EQ(rt0_fd_read(p[0], b, sizeof b), -ETIMEDOUT);
	CHECK_EQ(rt0_writer_flush(&w), 0);
	CHECK_EQ(rt0_fd_read(p[0], b, sizeof b), 5);
	CHECK_EQ(rt0_writer_flush(&w), 0);
	CHECK_EQ(rt0_fd_read(p[0], b, sizeof b), -ETIMEDOUT);
}

TEST(bufio_writer_sizes_in_order)
{
	static char want[8192];
	char b[100];
	for (size_t n = 0; n <= sizeof b; n++) {
		size_t at = 0;
		setup(NULL, 0);
		for (int i = 0; i < 40; i++) {
			size_t k = i % 3 == 0 ? n : (size_t)(i % 7);
			memset(b, 'a' + i % 26, k);
			memcpy(want + at, b, k);
			at += k;
			CHECK_EQ(rt0_writer_write(&w, b, k), (long)k);
		}
		want[at] = 0;
		CHECK_EQ(rt0_writer_flush(&w), 0);
		CHECK_STREQ(written(), want);
		rt0_fd_close(p[0]);
	}
}

// What is in the buffer and a large piece behind it go out in one packet of a socket that keeps them apart.
TEST(bufio_large_write_goes_with_the_buffer)
{
	char b[200], got[400];
	rt0_fd *s[2];
	CHECK_EQ(rt0_socketpair(RT0_SEQPACKET, s), 0);
	rt0_writer_init(&w, s[0], out, sizeof out);
	memset(b, 'b', sizeof b);
	CHECK_EQ(rt0_writer_puts(&w, "head"), 4);
	CHECK_EQ(rt0_writer_write(&w, b, sizeof b), (long)sizeof b);
	CHECK_EQ(rt0_fd_read(s[1], got, sizeof got), 204);
	CHECK(memcmp(got, "headbb", 6) == 0);
	CHECK_EQ(rt0_writer_write(&w, b, sizeof b), (long)sizeof b);
	CHECK_EQ(rt0_fd_read(s[1], got, sizeof got), 200);
}

TEST(bufio_printf_longer_than_the_buffer)
{
	char big[2000], want[2100];
	memset(big, 'y', sizeof big - 1);
	big[sizeof big - 1] = 0;
	setup(NULL, 0);
	CHECK_EQ(rt0_writer_printf(&w, "%d %s|%5.2f|%-4s|%x\n", -7, "seven", 3.14159, "ab", 255u), 23);
	CHECK_EQ(rt0_writer_printf(&w, "<%s>", big), 2001);
	CHECK_EQ(rt0_writer_printf(&w, "%s", ""), 0);
	CHECK_EQ(rt0_writer_flush(&w), 0);
	snprintf(want, sizeof want, "-7 seven| 3.14|ab  |ff\n<%s>", big);
	CHECK_STREQ(written(), want);
}

TEST(bufio_writer_error_stays)
{
	char b[100] = {0};
	setup(NULL, 0);
	rt0_fd_close(p[0]);
	CHECK_EQ(rt0_writer_puts(&w, "abc"), 3);
	CHECK_EQ(rt0_writer_flush(&w), -EPIPE);
	CHECK_EQ(rt0_writer_flush(&w), -EPIPE);
	CHECK_EQ(rt0_writer_puts(&w, "abc"), -EPIPE);
	CHECK_EQ(rt0_writer_write(&w, b, sizeof b), -EPIPE);
	CHECK_EQ(rt0_writer_printf(&w, "%d", 1), -EPIPE);
	rt0_writer_init(&w, p[1], out, sizeof out);
	CHECK_EQ(rt0_writer_write(&w, b, sizeof b), -EPIPE);
	rt0_writer_init(&w, p[1], out, sizeof out);
	CHECK_EQ(rt0_writer_write(&w, b, 31), 31);
	CHECK_EQ(rt0_writer_write(&w, b, 31), -EPIPE);
	rt0_writer_init(&w, p[1], out, sizeof out);
	CHECK_EQ(rt0_writer_printf(&w, "%1000d", 1), -EPIPE);
}

TEST(bufio_writer_timeout_stays)
{
	static char b[1 << 20];
	setup(NULL, 0);
	rt0_fd_set_write_deadline(p[1], rt0_deadline(1000000));
	CHECK_EQ(rt0_writer_write(&w, b, sizeof b), -ETIMEDOUT);
	rt0_fd_set_write_deadline(p[1], RT0_NEVER);
	CHECK_EQ(rt0_writer_flush(&w), -ETIMEDOUT);
}

static void
initsmall(void *arg)
{
	char b[15];
	if (arg == NULL)
		rt0_reader_init(&r, NULL, b, sizeof b);
	else
		rt0_writer_init(&w, NULL, b, sizeof b);
}

static int caught;

static void
catchit(void *arg)
{
	rt0_value v;
	(void)arg;
	if (rt0_recover(&v) && strcmp(v.v.s, "bufio: buffer is too small") == 0)
		caught++;
}

static void
guarded(void *arg)
{
	RT0_DEFER_FRAME;
	rt0_defer(catchit, NULL);
	initsmall(arg);
}

TEST(bufio_small_buffer_panics)
{
	guarded(NULL);
	guarded(&caught);
	CHECK_EQ(caught, 2);
	char b[16];
	rt0_reader_init(&r, NULL, b, sizeof b);
	rt0_writer_init(&w, NULL, b, sizeof b);
	CHECK_EQ(rt0_reader_read(&r, b, 1), -EBADF);
	CHECK_EQ(rt0_writer_puts(&w, "x"), 1);
	CHECK_EQ(rt0_writer_flush(&w), -EBADF);
}

// A conversation of two goroutines over one pair of sockets, both directions buffered.
enum { ROUNDS = 2000 };

static void
answer(void *arg)
{
	rt0_reader rr;
	rt0_writer ww;
	char a[64], b[64], *line;
	rt0_reader_init(&rr, arg, a, sizeof a);
	rt0_writer_init(&ww, arg, b, sizeof b);
	while (rt0_reader_read_line(&rr, &line, NULL) == 1) {
		rt0_writer_printf(&ww, "%ld\n", strtol(line, NULL, 10) * 2);
		if (rr.r == rr.w)
			CHECK_EQ(rt0_writer_flush(&ww), 0);
	}
	CHECK_EQ(rt0_writer_flush(&ww), 0);
	rt0_close_write(arg);
}

static void
ask(void *arg)
{
	rt0_writer ww;
	char b[64];
	rt0_writer_init(&ww, arg, b, sizeof b);
	for (int i = 0; i < ROUNDS; i++)
		rt0_writer_printf(&ww, "%d\r\n", i);
	CHECK_EQ(rt0_writer_flush(&ww), 0);
	rt0_close_write(arg);
}

TEST(bufio_conversation)
{
	rt0_fd *s[2];
	char *line;
	CHECK_EQ(rt0_socketpair(0, s), 0);
	rt0_go(answer, s[1]);
	rt0_go(ask, s[0]);
	rt0_reader_init(&r, s[0], in, sizeof in);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(rt0_reader_read_line(&r, &line, NULL), 1);
		CHECK_EQ(strtol(line, NULL, 10), i * 2);
	}
	wantend();
}
