// SPDX-License-Identifier: BSD-3-Clause
// test_copy.c: many bytes at a time, and from one descriptor to another.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>

#include "sockutil.h"

TEST_T(net_megabytes_to_a_slow_reader, 20000)
{
	enum { N = 8 << 20 };
	unsigned char *big = malloc(N);
	for (int i = 0; i < N; i++)
		big[i] = (unsigned char)i;
	for (int kind = 0; kind < 2; kind++) {
		connected(kind == 0 ? "127.0.0.1:0" : abstract("megabytes"));
		set(&done, 0);
		rt0_go(slowsink, srv);
		CHECK_EQ(rt0_fd_write(cli, big, N), N);
		CHECK_EQ(rt0_fd_close(cli), 0);
		await(&done, 1);
		CHECK_EQ(get(&result), N);
		CHECK_EQ(rt0_fd_close(srv), 0);
		CHECK_EQ(rt0_fd_close(lis), 0);
	}
	free(big);
}

// ---- copy ----

static void
pattern(void *arg)
{
	unsigned char b[10007];
	unsigned char v = 0;
	for (int left = get(&result); left > 0;) {
		size_t n = left < (int)sizeof b ? (size_t)left : sizeof b;
		for (size_t i = 0; i < n; i++)
			b[i] = v++;
		if (rt0_fd_write(arg, b, n) != (long)n)
			break;
		left -= (int)n;
	}
	rt0_fd_close(arg);
}

TEST_T(net_copy_all_ways, 20000)
{
	enum { N = 3000000 };
	char path[] = "/tmp/rt0-copy-XXXXXX";
	int fd = mkstemp(path);
	unsigned char *big = malloc(N);
	for (int i = 0; i < N; i++)
		big[i] = (unsigned char)i;
	CHECK_EQ(write(fd, big, N), N);
	// Every source into every sink: a file, a pipe, TCP, a Unix socket.
	for (int from = 0; from < 4; from++) {
		for (int to = 1; to < 4; to++) {
			rt0_fd *src, *dst, *in[2], *out[2];
			set(&done, 0);
			set(&result, N);
			if (from == 0) {
				CHECK_EQ(rt0_fd_open(path, O_RDONLY, 0, &src), 0);
			} else {
				if (from == 1)
					CHECK_EQ(rt0_pipe(in), 0);
				else if (from == 2)
					connected("127.0.0.1:0"), in[0] = srv, in[1] = cli, rt0_fd_close(lis);
				else
					CHECK_EQ(rt0_socketpair(0, in), 0);
				src = in[0];
				rt0_go(pattern, in[1]);
			}
			if (to == 1)
				CHECK_EQ(rt0_pipe(out), 0);
			else if (to == 2)
				connected("127.0.0.1:0"), out[0] = srv, out[1] = cli, rt0_fd_close(lis);
			else
				CHECK_EQ(rt0_socketpair(0, out), 0);
			dst = out[1];
			rt0_go(slowsink, out[0]);
			CHECK_EQ(rt0_copy(dst, src, 0), 0);
			CHECK_EQ(rt0_copy(dst, src, 100), 100);
			CHECK_EQ(rt0_copy(dst, src, 1000000), 1000000);
			CHECK_EQ(rt0_copy(dst, src, -1), N - 1000100);
			CHECK_EQ(rt0_copy(dst, src, -1), 0);
			CHECK_EQ(rt0_copy(dst, src, 5), 0);
			CHECK_EQ(rt0_fd_close(dst), 0);
			await(&done, 1);
			CHECK_EQ(get(&result), N);
			CHECK_EQ(rt0_fd_close(src), 0);
			CHECK_EQ(rt0_fd_close(out[0]), 0);
		}
	}
	// Into a file, and into one that only takes bytes at its end.
	for (int i = 0; i < 3; i++) {
		rt0_fd *src, *dst, *in[2];
		CHECK_EQ(rt0_fd_open("/tmp", O_RDWR | O_TMPFILE | (i == 1 ? O_APPEND : 0), 0600, &dst), 0);
		if (i < 2) {
			CHECK_EQ(rt0_fd_open(path, O_RDONLY, 0, &src), 0);
		} else {
			CHECK_EQ(rt0_socketpair(0, in), 0);
			src = in[0];
			set(&result, N);
			rt0_go(pattern, in[1]);
		}
		CHECK_EQ(rt0_copy(dst, src, -1), N);
		unsigned char *back = malloc(N);
		CHECK_EQ(rt0_fd_pread(dst, back, N, 0), N);
		CHECK(memcmp(big, back, N) == 0);
		free(back);
		rt0_fd_close(src);
		rt0_fd_close(dst);
	}
	unlink(path);
	free(big);
}

static void
copier(void *arg)
{
	rt0_fd **f = arg;
	set(&result, (int)rt0_copy(f[0], f[1], -1));
	inc(&done);
}

TEST(net_copy_is_woken)
{
	rt0_fd *in[2], *out[2];
	for (int i = 0; i < 40; i++) {
		CHECK_EQ(i % 2 ? rt0_pipe(in) : rt0_socketpair(0, in), 0);
		CHECK_EQ(i % 3 ? rt0_pipe(out) : rt0_socketpair(0, out), 0);
		rt0_fd *f[2] = {out[1], in[0]};
		set(&done, 0);
		rt0_go(copier, f);
		yield(i % 7);
		if (i % 4 == 0)
			CHECK_EQ(rt0_fd_close(in[0]), 0);
		else if (i % 4 == 1)
			CHECK_EQ(rt0_fd_set_deadline(in[0], 1), 0);
		else if (i % 4 == 2)
			CHECK_EQ(rt0_fd_close(in[1]), 0);
		else if (rt0_fd_close(out[0]) == 0)
			rt0_fd_write(in[1], "x", 1);
		await(&done, 1);
		CHECK_EQ(get(&result), i % 4 == 0 ? -ECANCELED : i % 4 == 1 ? -ETIMEDOUT : i % 4 == 2 ? 0 : -EPIPE);
		for (int k = 0; k < 2; k++) {
			rt0_fd_close(in[k]);
			rt0_fd_close(out[k]);
		}
	}
}
