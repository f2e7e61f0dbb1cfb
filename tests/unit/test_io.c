// SPDX-License-Identifier: BSD-3-Clause
// test_io.c: handles: read, write, close, deadlines, on pipes, eventfds, terminals and files.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "apiutil.h"
#include "netutil.h"

static rt0_fd *p[2];

static void
mkpipe(void)
{
	CHECK_EQ(rt0_pipe(p), 0);
}

// ---- handles ----

TEST(io_pipe_carries_bytes_and_end)
{
	mkpipe();
	char buf[16];
	CHECK_EQ(rt0_fd_write(p[1], "hello", 5), 5);
	CHECK_EQ(rt0_fd_read(p[0], buf, 0), 0);
	CHECK_EQ(rt0_fd_read(p[0], buf, 3), 3);
	CHECK_EQ(rt0_fd_read(p[0], buf + 3, sizeof buf - 3), 2);
	CHECK(memcmp(buf, "hello", 5) == 0);
	CHECK_EQ(rt0_fd_close(p[1]), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(rt0_fd_read(p[0], buf, sizeof buf), 0);
	CHECK_EQ(rt0_fd_close(p[0]), 0);
}

TEST(io_write_without_reader_is_epipe)
{
	mkpipe();
	CHECK_EQ(rt0_fd_close(p[0]), 0);
	CHECK_EQ(rt0_fd_write(p[1], "x", 1), -EPIPE);
	CHECK_EQ(rt0_fd_close(p[1]), 0);
}

TEST(io_closed_handle_is_ecanceled_for_all)
{
	rt0_fd *other[2];
	char b[8];
	struct iovec v = {b, sizeof b};
	mkpipe();
	rt0_fd *old = p[0];
	int num = rt0_fd_sysfd(old);
	CHECK(num > 2);
	CHECK_EQ(rt0_fd_close(old), 0);
	CHECK(fcntl(num, F_GETFD) < 0);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(rt0_fd_read(old, b, 8), -ECANCELED);
		CHECK_EQ(rt0_fd_readv(old, &v, 1), -ECANCELED);
		CHECK_EQ(rt0_fd_write(old, b, 8), -ECANCELED);
		CHECK_EQ(rt0_fd_write_some(old, b, 8), -ECANCELED);
		CHECK_EQ(rt0_fd_writev(old, &v, 1), -ECANCELED);
		CHECK_EQ(rt0_fd_pread(old, b, 8, 0), -ECANCELED);
		CHECK_EQ(rt0_fd_pwrite(old, b, 8, 0), -ECANCELED);
		CHECK_EQ(rt0_fd_seek(old, 0, 0), -ECANCELED);
		CHECK_EQ(rt0_fd_sysfd(old), -ECANCELED);
		CHECK_EQ(rt0_fd_set_deadline(old, 1), -ECANCELED);
		CHECK_EQ(rt0_fd_wait(old, RT0_READABLE), -ECANCELED);
		CHECK_EQ(rt0_fd_close(old), -ECANCELED);
		CHECK_EQ(rt0_copy(old, p[1], 1), -ECANCELED);
		CHECK_EQ(rt0_pipe(other), 0); // takes the slot, and the number: the old handle still fits nothing
	}
	CHECK_EQ(rt0_fd_write(other[1], "ok", 2), 2);
	CHECK_EQ(rt0_fd_read(other[0], b, 8), 2);
}

TEST(io_nonsense_handles_are_ebadf)
{
	char b[8];
	mkpipe();
	rt0_fd *bad[] = {NULL, (rt0_fd *)1, (rt0_fd *)-1, (rt0_fd *)((uintptr_t)p[0] + (100ul << 22)), (rt0_fd *)b};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_EQ(rt0_fd_read(bad[i], b, 8), -EBADF);
		CHECK_EQ(rt0_fd_close(bad[i]), -EBADF);
		CHECK_EQ(rt0_fd_sysfd(bad[i]), -EBADF);
	}
}

TEST(io_nonsense_arguments_are_errors)
{
	rt0_fd *f = NULL;
	char b[8];
	struct iovec v = {b, 8};
	mkpipe();
	CHECK_EQ(rt0_fd_new(-1, 0, &f), -EBADF);
	CHECK_EQ(rt0_fd_new(9999, 0, &f), -EBADF);
	CHECK_EQ(rt0_fd_new(9999, RT0_FD_BLOCKING, &f), -EBADF);
	CHECK_EQ(rt0_fd_new(rt0_fd_sysfd(p[0]), 77, &f), -EINVAL);
	CHECK_EQ(rt0_fd_new(rt0_fd_sysfd(p[0]), 0, &f), -EEXIST);
	CHECK_EQ(rt0_fd_open("/no/such/file", O_RDONLY, 0, &f), -ENOENT);
	CHECK_EQ(rt0_fd_open(NULL, O_RDONLY, 0, &f), -EFAULT);
	CHECK_EQ(rt0_fd_readv(p[0], &v, -1), -EINVAL);
	CHECK_EQ(rt0_fd_readv(p[0], &v, 1025), -EINVAL);
	CHECK_EQ(rt0_fd_writev(p[1], &v, -1), -EINVAL);
	CHECK_EQ(rt0_fd_readv(p[0], &v, 0), 0);
	CHECK_EQ(rt0_fd_writev(p[1], &v, 0), 0);
	CHECK_EQ(rt0_fd_wait(p[0], 0), -EINVAL);
	CHECK_EQ(rt0_fd_wait(p[0], 'r' + 'w'), -EINVAL);
	CHECK_EQ(rt0_fd_write(p[1], (void *)16, 8), -EFAULT);
	CHECK_EQ(rt0_fd_write(p[0], b, 8), -EBADF); // the wrong end
	CHECK_EQ(rt0_fd_read(p[1], b, 8), -EBADF);
	CHECK_EQ(rt0_fd_pread(p[0], b, 8, 0), -ESPIPE);
	CHECK_EQ(rt0_fd_pwrite(p[1], b, 8, 0), -ESPIPE);
	CHECK_EQ(rt0_fd_seek(p[0], 0, SEEK_SET), -ESPIPE);
	CHECK_EQ(rt0_eventfd(0, 12345678, &f), -EINVAL);
	CHECK(f == NULL);
}

TEST(io_borrowed_stays_open_and_blocking)
{
	int q[2];
	rt0_fd *f;
	char c;
	CHECK_EQ(pipe(q), 0);
	CHECK_EQ(rt0_fd_new(q[0], RT0_FD_BORROWED, &f), 0);
	CHECK(fcntl(q[0], F_GETFL) & O_NONBLOCK);
	CHECK_EQ(write(q[1], "x", 1), 1);
	CHECK_EQ(rt0_fd_read(f, &c, 1), 1);
	CHECK_EQ(rt0_fd_close(f), 0);
	CHECK_EQ(fcntl(q[0], F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(rt0_fd_new(q[0], 0, &f), 0);
	CHECK_EQ(rt0_fd_close(f), 0);
	CHECK(fcntl(q[0], F_GETFL) < 0);
}

// ---- waiting ----

static int done, result;

static void
reader(void *arg)
{
	char b[64];
	long r = rt0_fd_read(arg, b, sizeof b);
	set(&result, (int)r);
	inc(&done);
}

TEST(io_read_waits_for_write)
{
	mkpipe();
	for (int i = 1; i <= 50; i++) {
		rt0_go(reader, p[0]);
		yield(i % 5);
		CHECK_EQ(rt0_fd_write(p[1], "abcdefgh", (size_t)(i % 8 + 1)), i % 8 + 1);
		await(&done, i);
		CHECK_EQ(get(&result), i % 8 + 1);
	}
}

TEST(io_close_wakes_readers)
{
	for (int i = 0; i < 100; i++) {
		set(&done, 0);
		mkpipe();
		for (int k = 0; k < 4; k++)
			rt0_go(reader, p[0]); // one waits for bytes, three for the read lock
		yield(i % 10);
		CHECK_EQ(rt0_fd_close(p[0]), 0);
		await(&done, 4);
		CHECK_EQ(get(&result), -ECANCELED);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
	}
}

static void
filler(void *arg)
{
	static char big[1 << 20];
	long r = rt0_fd_write(arg, big, sizeof big);
	set(&result, (int)r);
	inc(&done);
}

TEST(io_close_wakes_writers)
{
	for (int i = 0; i < 50; i++) {
		set(&done, 0);
		mkpipe();
		rt0_go(filler, p[1]);
		rt0_go(filler, p[1]);
		yield(i % 10);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
		await(&done, 2);
		CHECK_EQ(get(&result), -ECANCELED);
		CHECK_EQ(rt0_fd_close(p[0]), 0);
	}
}

TEST(io_reader_closing_gives_the_writer_epipe)
{
	mkpipe();
	rt0_go(filler, p[1]);
	yield(10);
	CHECK_EQ(rt0_fd_close(p[0]), 0);
	await(&done, 1);
	CHECK_EQ(get(&result), -EPIPE);
}

static void
closer(void *arg)
{
	if (rt0_fd_close(arg) == 0)
		inc(&result);
	inc(&done);
}

TEST(io_one_close_wins)
{
	for (int i = 0; i < 100; i++) {
		set(&done, 0);
		set(&result, 0);
		mkpipe();
		for (int k = 0; k < 5; k++)
			rt0_go(closer, p[0]);
		await(&done, 5);
		CHECK_EQ(get(&result), 1);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
	}
}

// ---- deadlines ----

TEST(io_deadline_over_tries_once)
{
	char b[8];
	mkpipe();
	CHECK_EQ(rt0_fd_set_deadline(p[0], 1), 0);
	CHECK_EQ(rt0_fd_read(p[0], b, 8), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_wait(p[0], RT0_READABLE), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_write(p[1], "abc", 3), 3);
	CHECK_EQ(rt0_fd_wait(p[0], RT0_READABLE), 0);
	CHECK_EQ(rt0_fd_read(p[0], b, 8), 3);
	CHECK_EQ(rt0_fd_read(p[0], b, 8), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_set_deadline(p[0], INT64_MIN), 0);
	CHECK_EQ(rt0_fd_read(p[0], b, 8), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_set_deadline(p[0], INT64_MAX), 0);
	rt0_go(reader, p[0]);
	yield(20);
	CHECK_EQ(get(&done), 0);
	CHECK_EQ(rt0_fd_write(p[1], "abc", 3), 3);
	await(&done, 1);
	CHECK_EQ(get(&result), 3);
}

TEST(io_deadlines_from_1ns_fire_and_not_early)
{
	static const int64_t ns[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 5000000, 20000000, 50000000, 150000000};
	char b[8];
	mkpipe();
	for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++) {
		for (int k = 0; k < 3; k++) {
			int64_t d = rt0_nanotime() + ns[i];
			CHECK_EQ(rt0_fd_set_read_deadline(p[0], d), 0);
			CHECK_EQ(rt0_fd_read(p[0], b, 8), -ETIMEDOUT);
			CHECK(rt0_nanotime() >= d);
		}
	}
}

TEST(io_read_and_write_deadlines_are_two)
{
	char b[8];
	static char big[1 << 20];
	int s[2];
	rt0_fd *f;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(rt0_fd_new(s[0], 0, &f), 0);
	CHECK_EQ(rt0_fd_set_write_deadline(f, 1), 0);
	CHECK_EQ(rt0_fd_write(f, big, sizeof big), -ETIMEDOUT);
	CHECK_EQ(write(s[1], "abc", 3), 3);
	CHECK_EQ(rt0_fd_read(f, b, 8), 3);
	rt0_go(reader, f);
	yield(20);
	CHECK_EQ(get(&done), 0); // the write deadline is not the read's
	CHECK_EQ(rt0_fd_set_read_deadline(f, 1), 0);
	await(&done, 1);
	CHECK_EQ(get(&result), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_set_deadline(f, INT64_MAX), 0);
	CHECK_EQ(rt0_fd_set_write_deadline(f, rt0_nanotime() + 2000000), 0);
	CHECK_EQ(rt0_fd_set_read_deadline(f, rt0_nanotime() + 1000000000000), 0);
	CHECK_EQ(rt0_fd_write(f, big, sizeof big), -ETIMEDOUT);
	// The earlier one of the timer's has gone; the later one is brought forward.
	CHECK_EQ(rt0_fd_set_read_deadline(f, rt0_nanotime() + 3000000), 0);
	CHECK_EQ(rt0_fd_read(f, b, 8), -ETIMEDOUT);
}

TEST(io_deadline_moved_while_waiting)
{
	mkpipe();
	for (int i = 0; i < 30; i++) {
		set(&done, 0);
		CHECK_EQ(rt0_fd_set_deadline(p[0], rt0_nanotime() + 1000000), 0);
		rt0_go(reader, p[0]);
		for (int k = 0; k < 100; k++)
			CHECK_EQ(rt0_fd_set_deadline(p[0], rt0_nanotime() + 3600000000000), 0);
		if (get(&done) == 0) { // else it came too late
			yield(50);
			CHECK_EQ(rt0_fd_set_deadline(p[0], i % 2 ? 1 : rt0_nanotime() + 500000), 0);
		}
		await(&done, 1);
		CHECK_EQ(get(&result), -ETIMEDOUT);
	}
}

static int stop;

static void
deadliner(void *arg)
{
	for (int i = 0; !get(&stop); i++) {
		int64_t d = i % 4 == 0 ? 1 : i % 4 == 1 ? INT64_MAX : rt0_nanotime() + i % 1000 * 1000;
		int r = i % 3 == 0 ? rt0_fd_set_deadline(arg, d) : i % 3 == 1 ? rt0_fd_set_read_deadline(arg, d) : rt0_fd_set_write_deadline(arg, d);
		CHECK(r == 0 || r == -ECANCELED);
		rt0_gosched();
	}
	inc(&done);
}

static void
racereader(void *arg)
{
	char b[100];
	for (;;) {
		long r = rt0_fd_read(arg, b, sizeof b);
		CHECK(r > 0 || r == -ETIMEDOUT || r == -ECANCELED);
		if (r == -ECANCELED)
			break;
		if (r > 0)
			__atomic_add_fetch(&result, r, __ATOMIC_SEQ_CST);
		else
			rt0_gosched();
	}
	inc(&done);
}

// Deadlines set from many sides, bytes coming, readers reading, and at last a close: no byte is lost.
TEST_T(io_deadline_races, 20000)
{
	for (int round = 0; round < 20; round++) {
		mkpipe();
		set(&done, 0);
		set(&stop, 0);
		set(&result, 0);
		for (int i = 0; i < 4; i++)
			rt0_go(deadliner, p[0]);
		for (int i = 0; i < 3; i++)
			rt0_go(racereader, p[0]);
		int sent = 0;
		for (int i = 0; i < 300; i++) {
			CHECK_EQ(rt0_fd_write(p[1], "0123456789", 10), 10);
			sent += 10;
			yield(i % 3);
		}
		await(&result, sent);
		CHECK_EQ(rt0_fd_close(p[0]), 0);
		set(&stop, 1);
		await(&done, 7);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
	}
}

// Handles that are closed while others still use them, over and over on the same slots.
static rt0_fd *volatile shared[4];

static void
staleuser(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg;
	char b[4];
	while (!get(&stop)) {
		x = x * 1103515245 + 12345;
		rt0_fd *f = __atomic_load_n(&shared[x >> 16 & 3], __ATOMIC_SEQ_CST);
		long r;
		switch (x >> 20 & 3) {
		case 0: r = rt0_fd_read(f, b, 4); break;
		case 1: r = rt0_fd_set_deadline(f, (x & 64) ? 1 : INT64_MAX); break;
		case 2: r = rt0_fd_close(f); break;
		default: r = rt0_fd_wait(f, RT0_READABLE); break;
		}
		// A byte that is read is the mark of the handle's own pipe.
		if ((x >> 20 & 3) == 0 && r > 0)
			CHECK_EQ(b[0], 'm');
		CHECK(r >= 0 || r == -ECANCELED || r == -ETIMEDOUT);
		rt0_gosched();
	}
	inc(&done);
}

TEST_T(io_stale_handles_touch_nobody_else, 20000)
{
	for (int i = 0; i < 4; i++) {
		mkpipe();
		shared[i] = p[0];
	}
	for (int i = 1; i <= 6; i++)
		rt0_go(staleuser, (void *)(intptr_t)(i * 7919));
	for (int i = 0; i < 3000; i++) {
		rt0_fd *q[2];
		char b[4];
		mkpipe();
		CHECK_EQ(rt0_pipe(q), 0); // nobody knows this one
		rt0_fd *old = __atomic_exchange_n(&shared[i & 3], p[0], __ATOMIC_SEQ_CST);
		long r = rt0_fd_write(p[1], "m", 1);
		CHECK(r == 1 || r == -EPIPE);
		rt0_fd_close(old);
		CHECK_EQ(rt0_fd_write(q[1], "q", 1), 1);
		CHECK_EQ(rt0_fd_read(q[0], b, 4), 1);
		CHECK_EQ(b[0], 'q');
		CHECK_EQ(rt0_fd_close(q[0]), 0);
		CHECK_EQ(rt0_fd_close(q[1]), 0);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
		rt0_gosched();
	}
	set(&stop, 1);
	for (int i = 0; i < 4; i++)
		rt0_fd_close(shared[i]);
	await(&done, 6);
}

// ---- kinds of descriptors ----

TEST(io_eventfd_counts)
{
	rt0_fd *e;
	uint64_t v = 5;
	CHECK_EQ(rt0_eventfd(3, 0, &e), 0);
	CHECK_EQ(rt0_fd_write(e, &v, 8), 8);
	CHECK_EQ(rt0_fd_read(e, &v, 8), 8);
	CHECK_EQ(v, 8);
	rt0_go(reader, e);
	yield(10);
	CHECK_EQ(get(&done), 0);
	CHECK_EQ(rt0_fd_write(e, &v, 8), 8);
	await(&done, 1);
	CHECK_EQ(get(&result), 8);
	CHECK_EQ(rt0_fd_close(e), 0);
	CHECK_EQ(rt0_eventfd(2, EFD_SEMAPHORE, &e), 0);
	CHECK_EQ(rt0_fd_read(e, &v, 8), 8);
	CHECK_EQ(v, 1);
	CHECK_EQ(rt0_fd_read(e, &v, 4), -EINVAL);
}

TEST(io_terminal_lines)
{
	rt0_fd *m, *t;
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char b[64];
	if (master < 0)
		SKIP("no terminals");
	CHECK_EQ(grantpt(master), 0);
	CHECK_EQ(unlockpt(master), 0);
	CHECK_EQ(rt0_fd_open(ptsname(master), O_RDWR | O_NOCTTY, 0, &t), 0);
	CHECK_EQ(rt0_fd_new(master, 0, &m), 0);
	rt0_go(reader, t);
	yield(10);
	CHECK_EQ(get(&done), 0);
	CHECK_EQ(rt0_fd_write(m, "line\nnext\nend", 13), 13);
	await(&done, 1);
	CHECK_EQ(get(&result), 5); // a line at a time, though more is there
	CHECK_EQ(rt0_fd_read(t, b, sizeof b), 5);
	CHECK_EQ(rt0_fd_set_deadline(t, 1), 0);
	CHECK_EQ(rt0_fd_read(t, b, sizeof b), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_set_deadline(t, INT64_MAX), 0);
	rt0_go(reader, t);
	yield(10);
	CHECK_EQ(rt0_fd_close(t), 0);
	await(&done, 2);
	CHECK_EQ(get(&result), -ECANCELED);
	CHECK_EQ(rt0_fd_close(m), 0);
}

TEST(io_files_block_and_seek)
{
	char path[] = "/tmp/rt0-io-XXXXXX", b[64];
	int fd = mkstemp(path);
	rt0_fd *f;
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(rt0_fd_open(path, O_RDWR, 0, &f), 0);
	CHECK(fcntl(rt0_fd_sysfd(f), F_GETFD) & FD_CLOEXEC);
	CHECK_EQ(rt0_fd_write(f, "hello world", 11), 11);
	CHECK_EQ(rt0_fd_seek(f, 6, SEEK_SET), 6);
	CHECK_EQ(rt0_fd_read(f, b, sizeof b), 5);
	CHECK_EQ(rt0_fd_read(f, b, sizeof b), 0);
	CHECK_EQ(rt0_fd_pread(f, b, 5, 0), 5);
	CHECK(memcmp(b, "hello", 5) == 0);
	CHECK_EQ(rt0_fd_pread(f, b, 5, 1000), 0);
	CHECK_EQ(rt0_fd_pwrite(f, "J", 1, 0), 1);
	CHECK_EQ(rt0_fd_pread(f, b, 5, 0), 5);
	CHECK(memcmp(b, "Jello", 5) == 0);
	CHECK_EQ(rt0_fd_pread(f, b, 5, -1), -EINVAL);
	CHECK_EQ(rt0_fd_set_deadline(f, 1), -ENOTSUP);
	CHECK_EQ(rt0_fd_wait(f, RT0_READABLE), 0);
	CHECK_EQ(rt0_fd_write(f, (void *)16, 8), -EFAULT);
	CHECK_EQ(rt0_fd_close(f), 0);
	CHECK_EQ(rt0_fd_open("/dev/full", O_WRONLY, 0, &f), 0);
	CHECK_EQ(rt0_fd_write(f, "x", 1), -ENOSPC);
	CHECK_EQ(rt0_fd_close(f), 0);
	CHECK_EQ(rt0_fd_open("/tmp", O_RDONLY, 0, &f), 0);
	CHECK_EQ(rt0_fd_read(f, b, 8), -EISDIR);
	unlink(path);
}

TEST(io_blocking_pipe_gives_the_processor_away)
{
	int q[2];
	rt0_fd *f;
	for (;;) {
		set(&done, 0);
		CHECK_EQ(pipe(q), 0);
		CHECK_EQ(rt0_fd_new(q[0], RT0_FD_BLOCKING, &f), 0);
		CHECK_EQ(fcntl(q[0], F_GETFL) & O_NONBLOCK, 0);
		rt0_go(reader, f);
		yield(20);
		CHECK_EQ(rt0_fd_close(f), 0);
		bool open = write(q[1], "abc", 3) == 3;
		await(&done, 1);
		// The close came first, or for new calls only: the one that runs keeps the descriptor.
		CHECK_EQ(get(&result), open ? 3 : -ECANCELED);
		close(q[1]);
		if (open)
			break;
	}
	while (fcntl(q[0], F_GETFL) >= 0)
		rt0_gosched(); // the reader closes it when it leaves
	// Non-blocking underneath, as when the other side of a shared terminal has done that.
	set(&done, 0);
	CHECK_EQ(pipe(q), 0);
	CHECK_EQ(fcntl(q[0], F_SETFL, O_NONBLOCK), 0);
	CHECK_EQ(rt0_fd_new(q[0], RT0_FD_BLOCKING, &f), 0);
	rt0_go(reader, f);
	yield(10);
	CHECK_EQ(write(q[1], "abcd", 4), 4);
	await(&done, 1);
	CHECK_EQ(get(&result), 4);
}

static void
sink(void *arg)
{
	static char b[3000];
	unsigned char want = 0;
	long r, sum = 0;
	while ((r = rt0_fd_read(arg, b, sizeof b)) > 0) {
		for (long i = 0; i < r; i++)
			if ((unsigned char)b[i] != want++)
				test_fail("byte %ld is wrong\n", sum + i);
		sum += r;
		if (sum / 1000 % 7 == 0)
			rt0_gosched();
	}
	CHECK_EQ(r, 0);
	set(&result, (int)sum);
	inc(&done);
}

TEST(io_megabytes_to_a_slow_reader)
{
	enum { N = 4 << 20 };
	unsigned char *big = malloc(N);
	for (int i = 0; i < N; i++)
		big[i] = (unsigned char)i;
	mkpipe();
	rt0_go(sink, p[0]);
	CHECK_EQ(rt0_fd_write(p[1], big, N), N);
	CHECK_EQ(rt0_fd_close(p[1]), 0);
	await(&done, 1);
	CHECK_EQ(get(&result), N);
	free(big);
}

TEST(io_writev_beyond_iov_max)
{
	enum { N = 5000 };
	static struct iovec v[N];
	static unsigned char data[N * 200];
	size_t at = 0;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)i;
	for (int i = 0; i < N; i++) {
		v[i].iov_base = data + at;
		v[i].iov_len = i >= 1000 && i < 2500 ? 0 : (size_t)(i * 7 % 200);
		at += v[i].iov_len;
	}
	static struct iovec before[N];
	memcpy(before, v, sizeof v);
	for (int kind = 0; kind < 2; kind++) {
		set(&done, 0);
		if (kind == 0)
			mkpipe();
		else
			CHECK_EQ(rt0_socketpair(0, p), 0);
		rt0_go(sink, p[0]);
		CHECK_EQ(rt0_fd_writev(p[1], v, N), at);
		CHECK_EQ(rt0_fd_close(p[1]), 0);
		await(&done, 1);
		CHECK_EQ(get(&result), at);
		CHECK(memcmp(before, v, sizeof v) == 0);
	}
}

TEST(io_readv_scatters)
{
	char a[4], b[4], c[8];
	struct iovec v[] = {{a, 4}, {b, 0}, {b, 4}, {c, 8}}, none[] = {{a, 0}, {b, 0}};
	mkpipe();
	CHECK_EQ(rt0_fd_write(p[1], "0123456789", 10), 10);
	CHECK_EQ(rt0_fd_readv(p[0], none, 2), 0);
	CHECK_EQ(rt0_fd_readv(p[0], v, 4), 10);
	CHECK(memcmp(a, "0123", 4) == 0 && memcmp(b, "4567", 4) == 0 && memcmp(c, "89", 2) == 0);
}

TEST(io_write_some_stops_short)
{
	static char big[1 << 20];
	mkpipe();
	long r = rt0_fd_write_some(p[1], big, sizeof big);
	CHECK(r > 0 && r < (long)sizeof big);
	CHECK_EQ(rt0_fd_set_write_deadline(p[1], 1), 0);
	CHECK_EQ(rt0_fd_write_some(p[1], big, sizeof big), -ETIMEDOUT);
}

// ---- threads ----

static void *
thread(void *arg)
{
	char b[8];
	rt0_fd *q[2], *e;
	CHECK_EQ(rt0_pipe(q), 0);
	CHECK_EQ(rt0_fd_write(q[1], "abc", 3), 3);
	CHECK_EQ(rt0_fd_read(q[0], b, 8), 3);
	CHECK_EQ(rt0_fd_set_deadline(q[0], rt0_nanotime() + 1000000), 0);
	CHECK_EQ(rt0_fd_read(q[0], b, 8), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_close(q[0]), 0);
	CHECK_EQ(rt0_fd_close(q[1]), 0);
	CHECK_EQ(rt0_eventfd(1, 0, &e), 0);
	CHECK_EQ(rt0_fd_wait(e, RT0_READABLE), 0);
	CHECK_EQ(rt0_fd_close(e), 0);
	CHECK_EQ(rt0_fd_read(p[0], b, 8), 5); // waits for main
	return arg;
}

TEST(io_foreign_thread_waits)
{
	pthread_t t;
	mkpipe();
	CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
	blocking_sleep(2000);
	CHECK_EQ(rt0_fd_write(p[1], "hello", 5), 5);
	RT0_BLOCKING(pthread_join(t, NULL));
}

// ---- nothing is lost ----

TEST(io_opened_and_closed_leaves_nothing)
{
	mkpipe();
	int fds = netutil_fds();
	for (int i = 0; i < 5000; i++) {
		rt0_fd *q[2];
		CHECK_EQ(rt0_pipe(q), 0);
		CHECK_EQ(rt0_fd_set_deadline(q[0], rt0_nanotime() + 3600000000000), 0);
		CHECK_EQ(rt0_fd_close(q[i & 1]), 0);
		CHECK_EQ(rt0_fd_close(q[~i & 1]), 0);
	}
	CHECK_EQ(netutil_fds(), fds);
	CHECK_EQ(rt0_num_goroutine(), 1);
}

TEST(io_without_descriptors_left)
{
	rt0_fd *q[2] = {NULL, NULL}, *e = NULL;
	CHECK_EQ(rt0_eventfd(0, 0, &e), 0); // the poller's own descriptors are made with the first
	CHECK_EQ(rt0_fd_close(e), 0);
	netutil_starve(1);
	CHECK_EQ(rt0_pipe(q), -EMFILE);
	CHECK(q[0] == NULL && q[1] == NULL);
	CHECK_EQ(rt0_eventfd(0, 0, &e), 0);
	CHECK_EQ(rt0_fd_close(e), 0);
}

bool runtime_netpollinited(void); // runtime.h

// Without descriptors left the poller cannot be made: what needs it says so, and nothing is lost. Without one for a ring
// the thread reads.
TEST(io_without_descriptors_for_the_poller)
{
	char name[] = "/tmp/rt0-test-XXXXXX", b[4];
	int q[2], f = mkstemp(name);
	rt0_fd *file, *end;
	CHECK(f >= 0 && unlink(name) == 0 && write(f, "abcd", 4) == 4 && pipe(q) == 0);
	CHECK(!runtime_netpollinited());
	netutil_starve(0);
	for (int left = 0; left < 4; left++) {
		CHECK_EQ(rt0_fd_new(f, RT0_FD_BORROWED, &file), left < 2 ? -EMFILE : 0);
		CHECK_EQ(rt0_fd_new(q[0], RT0_FD_BORROWED, &end), left < 2 ? -EMFILE : 0);
		CHECK_EQ(runtime_netpollinited(), left >= 2);
		if (left >= 2) {
			CHECK_EQ(rt0_fd_pread(file, b, 4, 0), 4);
			CHECK_EQ(rt0_fd_close(file), 0);
			CHECK_EQ(rt0_fd_close(end), 0);
		}
		netutil_giveback();
	}
}
