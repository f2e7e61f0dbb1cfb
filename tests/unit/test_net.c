// SPDX-License-Identifier: BSD-3-Clause
// test_net.c: TCP, Unix sockets, accept in trouble, and that nothing is lost.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sockutil.h"

static void
echo(void *arg)
{
	char b[1000];
	long r;
	while ((r = rt0_fd_read(arg, b, sizeof b)) > 0)
		if (rt0_fd_write(arg, b, (size_t)r) != r)
			break;
	rt0_fd_close(arg);
	inc(&done);
}

static void
echoserver(void *arg)
{
	rt0_fd *c;
	int err;
	while ((err = rt0_accept(arg, &c, NULL)) == 0)
		rt0_go(echo, c);
	CHECK_EQ(err, -ECANCELED);
	inc(&done);
}

static void
echoclient(void *arg)
{
	rt0_fd *c;
	char out[200], in[200];
	int n = (int)(intptr_t)arg;
	CHECK_EQ(rt0_dial_addr(&at, 0, rt0_nanotime() + 20000000000, &c), 0);
	for (int i = 0; i < 50; i++) {
		size_t len = (size_t)((n * 31 + i * 17) % 200 + 1), got = 0;
		memset(out, n + i, len);
		CHECK_EQ(rt0_fd_write(c, out, len), len);
		while (got < len) {
			long r = rt0_fd_read(c, in + got, len - got + (i % 2 && len - got < 100 ? 100 : 0));
			CHECK(r > 0);
			got += (size_t)r;
		}
		CHECK_EQ(got, len);
		CHECK(memcmp(in, out, len) == 0);
	}
	CHECK_EQ(rt0_fd_close(c), 0);
	inc(&done);
}

static void
manyechoes(const char *where)
{
	enum { N = 60 };
	set(&done, 0);
	listen_on(where);
	rt0_go(echoserver, lis);
	for (int i = 0; i < N; i++)
		rt0_go(echoclient, (void *)(intptr_t)i);
	await(&done, 2 * N);
	CHECK_EQ(rt0_fd_close(lis), 0);
	await(&done, 2 * N + 1);
}

TEST_T(net_tcp_echo_many, 20000)
{
	manyechoes("127.0.0.1:0");
	if (!noipv6()) {
		manyechoes("[::1]:0");
		manyechoes(":0");
	}
}

TEST_T(net_unix_echo_many, 20000)
{
	char path[100];
	struct stat st;
	manyechoes(abstract("echo"));
	snprintf(path, sizeof path, "unix:/tmp/rt0-net-%d", getpid());
	manyechoes(path);
	CHECK(stat(path + 5, &st) < 0); // close has removed it
	CHECK_EQ(rt0_listen(path, 0, &lis), 0);
	CHECK_EQ(stat(path + 5, &st), 0);
	CHECK_EQ(rt0_listen(path, 0, &cli), -EADDRINUSE);
	CHECK_EQ(stat(path + 5, &st), 0);
	CHECK_EQ(rt0_fd_close(lis), 0);
	CHECK_EQ(rt0_listen("unix:/no/such/dir/s", 0, &lis), -ENOENT);
	CHECK_EQ(rt0_dial(path, INT64_MAX, &cli), -ENOENT);
}

TEST(net_tcp_options_and_addresses)
{
	connected("127.0.0.1:0");
	rt0_fd *const ends[] = {cli, srv};
	for (int i = 0; i < 2; i++) {
		int v;
		unsigned len = sizeof v;
		CHECK_EQ(rt0_getsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
		CHECK_EQ(v, 1);
		CHECK_EQ(rt0_getsockopt(ends[i], SOL_SOCKET, SO_KEEPALIVE, &v, &len), 0);
		CHECK_EQ(v, 1);
		CHECK_EQ(rt0_getsockopt(ends[i], IPPROTO_TCP, TCP_KEEPIDLE, &v, &len), 0);
		CHECK_EQ(v, 15);
		CHECK_EQ(rt0_getsockopt(ends[i], IPPROTO_TCP, TCP_KEEPINTVL, &v, &len), 0);
		CHECK_EQ(v, 15);
		CHECK_EQ(rt0_set_nodelay(ends[i], false), 0);
		CHECK_EQ(rt0_getsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
		CHECK_EQ(v, 0);
		CHECK_EQ(rt0_set_keepalive(ends[i], 7, 8, 3), 0);
		CHECK_EQ(rt0_getsockopt(ends[i], IPPROTO_TCP, TCP_KEEPCNT, &v, &len), 0);
		CHECK_EQ(v, 3);
		CHECK_EQ(rt0_set_keepalive(ends[i], -1, 0, 0), 0);
		CHECK_EQ(rt0_getsockopt(ends[i], SOL_SOCKET, SO_KEEPALIVE, &v, &len), 0);
		CHECK_EQ(v, 0);
		CHECK_EQ(rt0_set_keepalive(ends[i], 1, -1, 0), -EINVAL);
		int fl = rt0_fd_sysfd(ends[i]);
		CHECK(fcntl(fl, F_GETFD) & FD_CLOEXEC);
	}
	rt0_addr a, b;
	CHECK_EQ(rt0_peer_addr(cli, &a), 0);
	CHECK_EQ(rt0_addr_port(&a), rt0_addr_port(&at));
	CHECK_EQ(rt0_local_addr(cli, &a), 0);
	CHECK_EQ(rt0_peer_addr(srv, &b), 0);
	CHECK(a.len == b.len && memcmp(&a.sa, &b.sa, a.len) == 0);
	CHECK_EQ(rt0_peer_addr(lis, &a), -ENOTCONN);
	rt0_fd *pipe[2];
	CHECK_EQ(rt0_pipe(pipe), 0);
	CHECK_EQ(rt0_local_addr(pipe[0], &a), -ENOTSOCK);
	CHECK_EQ(rt0_set_nodelay(pipe[0], true), -ENOTSOCK);
	CHECK_EQ(rt0_accept(pipe[0], &cli, NULL), -ENOTSOCK);
	CHECK_EQ(rt0_accept(srv, &cli, NULL), -EINVAL);
	CHECK_EQ(rt0_close_write(pipe[0]), -ENOTSOCK);
	CHECK_EQ(rt0_fd_wait(lis, RT0_WRITABLE), -EINVAL);
	CHECK_EQ(rt0_fd_write(lis, "x", 1), -EPIPE);
}

TEST(net_half_close)
{
	char b[16];
	connected("127.0.0.1:0");
	CHECK_EQ(rt0_fd_write(cli, "question", 8), 8);
	CHECK_EQ(rt0_close_write(cli), 0);
	CHECK_EQ(rt0_fd_write(cli, "x", 1), -EPIPE);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 8); // a short read with the end right behind
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 0);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 0);
	CHECK_EQ(rt0_fd_write(srv, "answer", 6), 6);
	CHECK_EQ(rt0_fd_read(cli, b, sizeof b), 6);
	CHECK_EQ(rt0_close_read(cli), 0);
	CHECK_EQ(rt0_fd_read(cli, b, sizeof b), 0);
}

// After a short read the next one waits for an edge without trying. Everything that can come
// behind data must make it through, however it is timed.
TEST_T(net_drained_loses_nothing, 20000)
{
	char b[100];
	for (int i = 0; i < 300; i++) {
		connected("127.0.0.1:0");
		int extra = i % 6;
		if (extra == 5) { // urgent data, and more behind it
			CHECK_EQ(rt0_fd_write(cli, "ab", 2), 2);
			CHECK_EQ(send(rt0_fd_sysfd(cli), "u", 1, MSG_OOB), 1);
			CHECK_EQ(rt0_fd_write(cli, "cd", 2), 2);
			if (i % 4 < 2)
				rt0_sleep(100000);
			for (int got = 0; got < 4;) {
				long r = rt0_fd_read(srv, b, sizeof b);
				CHECK(r > 0);
				got += (int)r;
			}
		} else {
			CHECK_EQ(rt0_fd_write(cli, "ab", 2), 2);
			if (extra == 1)
				CHECK_EQ(rt0_fd_close(cli), 0);
			// Asleep, the thread takes the events: the end's is there before the data is read.
			if (i % 4 < 2)
				rt0_sleep(100000);
			else if (i % 4 == 2)
				rt0_gosched();
			if (extra == 3)
				CHECK_EQ(rt0_fd_wait(srv, RT0_READABLE), 0);
			CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 2);
			set(&done, 0);
			if (extra == 2) {
				rt0_go(reader, srv);
				yield(i % 4);
			}
			if (extra == 0)
				CHECK_EQ(rt0_close_write(cli), 0);
			if (extra == 2)
				CHECK_EQ(rt0_fd_close(cli), 0);
			if (extra == 3) {
				CHECK_EQ(rt0_fd_write(cli, "xyz", 3), 3);
				if (i % 4 < 2)
					rt0_sleep(100000);
				CHECK_EQ(rt0_fd_wait(srv, RT0_READABLE), 0); // takes the edge; read must not wait for one
				CHECK_EQ(rt0_fd_read(srv, b, 2), 2);
				CHECK_EQ(rt0_fd_read(srv, b, 2), 1);
			}
			if (extra == 4)
				CHECK_EQ(rt0_close_read(srv), 0);
			if (extra == 2)
				await(&done, 1);
			else if (extra != 3)
				CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 0);
			if (extra == 2)
				CHECK_EQ(get(&result), 0);
		}
		rt0_fd_close(cli);
		CHECK_EQ(rt0_fd_close(srv), 0);
		CHECK_EQ(rt0_fd_close(lis), 0);
	}
}

TEST(net_drained_and_deadlines)
{
	char b[100];
	connected("127.0.0.1:0");
	CHECK_EQ(rt0_fd_write(cli, "ab", 2), 2);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 2);
	CHECK_EQ(rt0_fd_set_read_deadline(srv, 1), 0);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_write(cli, "cd", 2), 2);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 2); // tries once, though drained
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_set_read_deadline(srv, rt0_nanotime() + 2000000), 0);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_set_read_deadline(srv, INT64_MAX), 0);
	CHECK_EQ(rt0_fd_write(cli, "e", 1), 1);
	CHECK_EQ(rt0_fd_read(srv, b, sizeof b), 1);
}

TEST(net_reset_connection)
{
	char b[16];
	connected("127.0.0.1:0");
	CHECK_EQ(rt0_set_linger(cli, 0), 0);
	rt0_go(reader, srv);
	yield(10);
	CHECK_EQ(rt0_fd_close(cli), 0);
	await(&done, 1);
	CHECK_EQ(get(&result), -ECONNRESET);
	CHECK_EQ(rt0_fd_write(srv, "x", 1), -EPIPE);
	CHECK_EQ(rt0_fd_read(srv, b, 1), 0);
	CHECK_EQ(rt0_fd_close(srv), 0);
}

TEST(net_refused_and_timed_out)
{
	rt0_fd *f = NULL;
	listen_on("127.9.8.7:0"); // where no other test listens, on this port or any
	CHECK_EQ(rt0_fd_close(lis), 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &f), -ECONNREFUSED);
	CHECK_EQ(rt0_dial("unix:@nobody-is-here", INT64_MAX, &f), -ECONNREFUSED);
	// A listener whose backlog is full answers nobody.
	CHECK_EQ(rt0_addr_parse("127.0.0.1:0", &at, NULL), 0);
	int s = socket(AF_INET, SOCK_STREAM, 0), full = 0;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof in;
	CHECK_EQ(bind(s, (struct sockaddr *)&in, len), 0);
	CHECK_EQ(listen(s, 1), 0);
	CHECK_EQ(getsockname(s, (struct sockaddr *)&in, &len), 0);
	rt0_addr_set_port(&at, ntohs(in.sin_port));
	for (int i = 0; i < 6; i++) {
		int64_t d = rt0_nanotime() + 30000000;
		int err = rt0_dial_addr(&at, 0, d, &f);
		CHECK(err == 0 || err == -ETIMEDOUT);
		CHECK(err == 0 || rt0_nanotime() >= d);
		full += err != 0;
	}
	CHECK(full > 0);
	// The same of a Unix socket, where the kernel says EAGAIN.
	CHECK_EQ(rt0_addr_parse(abstract("full"), &at, NULL), 0);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(s, (struct sockaddr *)&at.sa, at.len), 0);
	CHECK_EQ(listen(s, 0), 0);
	CHECK_EQ(rt0_dial(abstract("full"), INT64_MAX, &f), 0);
	int64_t d = rt0_nanotime() + 20000000;
	CHECK_EQ(rt0_dial(abstract("full"), d, &f), -ETIMEDOUT);
	CHECK(rt0_nanotime() >= d);
}

// A peer that has gone without a word: keep-alive's probe, or what we send, is answered by a reset.
TEST(net_half_open)
{
	enum { REPAIR = 19 };
	int on = 1;
	char b[8];
	for (int i = 0; i < 2; i++) {
		connected("127.0.0.1:0");
		int fd = rt0_fd_sysfd(cli);
		if (setsockopt(fd, IPPROTO_TCP, REPAIR, &on, sizeof on) < 0)
			SKIP("not allowed to make a connection vanish");
		CHECK_EQ(rt0_fd_close(cli), 0); // sends nothing
		CHECK_EQ(rt0_fd_set_deadline(srv, rt0_nanotime() + 1000000), 0);
		CHECK_EQ(rt0_fd_read(srv, b, 8), -ETIMEDOUT);
		CHECK_EQ(rt0_fd_set_deadline(srv, INT64_MAX), 0);
		if (i == 0)
			CHECK_EQ(rt0_fd_write(srv, "x", 1), 1);
		else
			CHECK_EQ(rt0_set_keepalive(srv, 1, 1, 1), 0);
		CHECK_EQ(rt0_fd_read(srv, b, 8), -ECONNRESET);
		CHECK_EQ(rt0_fd_read(srv, b, 8), 0);
		CHECK_EQ(rt0_fd_write(srv, "x", 1), -EPIPE);
		CHECK_EQ(rt0_fd_close(srv), 0);
		CHECK_EQ(rt0_fd_close(lis), 0);
	}
}

// In a network of its own, which has ten ports to dial from.
TEST(net_dial_without_ports)
{
	enum { PORTS = 10 };
	rt0_fd *c[PORTS], *none = NULL;
	rt0_lock_os_thread(); // the network is the thread's
	if (unshare(CLONE_NEWNET) < 0)
		SKIP("not allowed to make a network");
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int s = socket(AF_INET, SOCK_DGRAM, 0), f = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
	CHECK_EQ(ioctl(s, SIOCSIFFLAGS, &lo), 0);
	if (write(f, "40000 40009", 11) != 11)
		SKIP("not allowed to say how many ports");
	listen_on("127.0.0.1:1000");
	int fds = netutil_fds();
	for (int i = 0; i < PORTS; i++)
		CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &c[i]), 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &none), -EADDRNOTAVAIL);
	CHECK(none == NULL);
	// A reset leaves the port free; and nothing is left of the tries.
	CHECK_EQ(rt0_set_linger(c[3], 0), 0);
	CHECK_EQ(rt0_fd_close(c[3]), 0);
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &c[3]), 0);
	CHECK_EQ(netutil_fds(), fds + PORTS);
}

static void
acceptor(void *arg)
{
	rt0_fd *c = NULL;
	set(&result, rt0_accept(arg, &c, NULL));
	inc(&done);
}

TEST(net_accept_is_woken_by_close_and_deadline)
{
	for (int i = 0; i < 50; i++) {
		set(&done, 0);
		listen_on("127.0.0.1:0");
		for (int k = 0; k < 3; k++)
			rt0_go(acceptor, lis);
		yield(i % 8);
		if (i % 2) {
			CHECK_EQ(rt0_fd_set_deadline(lis, i % 4 == 1 ? 1 : rt0_nanotime() + 1000000), 0);
			await(&done, 3);
			CHECK_EQ(get(&result), -ETIMEDOUT);
			CHECK_EQ(rt0_fd_set_deadline(lis, INT64_MAX), 0);
			CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
			CHECK_EQ(rt0_accept(lis, &srv, NULL), 0);
			CHECK_EQ(rt0_fd_close(cli), 0);
			CHECK_EQ(rt0_fd_close(srv), 0);
			CHECK_EQ(rt0_fd_close(lis), 0);
		} else {
			CHECK_EQ(rt0_fd_close(lis), 0);
			await(&done, 3);
			CHECK_EQ(get(&result), -ECANCELED);
			rt0_fd *again; // the port is free
			CHECK_EQ(rt0_listen_addr(&at, 0, &again), 0);
			CHECK_EQ(rt0_fd_close(again), 0);
		}
	}
}

TEST(net_accept_skips_who_has_gone)
{
	listen_on("127.0.0.1:0");
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
		CHECK_EQ(rt0_set_linger(cli, 0), 0);
		CHECK_EQ(rt0_fd_close(cli), 0);
	}
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
	CHECK_EQ(rt0_fd_write(cli, "x", 1), 1);
	// Linux hands out reset ones, too: they read as such.
	for (char c = 0; c != 'x';) {
		CHECK_EQ(rt0_accept(lis, &srv, NULL), 0);
		long r = rt0_fd_read(srv, &c, 1);
		CHECK(r == 1 || r == -ECONNRESET);
		CHECK_EQ(rt0_fd_close(srv), 0);
	}
}

static int troubles, lasterr;
static int64_t lastdelay;

static void
ontrouble(rt0_fd *l, int err, int64_t delay)
{
	CHECK(l == lis);
	CHECK_EQ(delay, get(&troubles) == 0 ? 5000000 : lastdelay * 2);
	lastdelay = delay;
	set(&lasterr, err);
	inc(&troubles);
}

static void
sleeper(void *flag)
{
	rt0_sleep(500000000);
	set((int *)flag, 1);
}

// expirer sets the deadline to be over soon, when accept has begun to back off for 640 ms.
static void
expirer(void *soon)
{
	static int late[2];
	int *flag = &late[soon != NULL];
	while (get(&troubles) < 8)
		rt0_sleep(1000000);
	rt0_go(sleeper, flag);
	CHECK_EQ(rt0_fd_set_deadline(lis, soon != NULL ? rt0_nanotime() + 1000000 : 0), 0);
	await(&done, 1);
	CHECK_EQ(get(flag), 0);
	CHECK_EQ(get(&troubles), 8);
	inc(&done);
}

TEST(net_accept_backs_off_until_a_deadline)
{
	rt0_fd *c;
	rt0_set_accept_trouble(ontrouble);
	listen_on("127.0.0.1:0");
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
	netutil_starve(0);
	// Set while it backs off: it stops there and then.
	for (int i = 0; i < 2; i++) {
		set(&troubles, 0);
		set(&done, 0);
		rt0_go(expirer, i == 0 ? NULL : &c);
		CHECK_EQ(rt0_accept(lis, &c, NULL), -ETIMEDOUT);
		inc(&done);
		await(&done, 2);
		CHECK_EQ(rt0_fd_set_deadline(lis, INT64_MAX), 0);
	}
	set(&done, 0);
	// Set before, to fall while it backs off.
	set(&troubles, 0);
	int64_t d = rt0_nanotime() + 170000000;
	CHECK_EQ(rt0_fd_set_deadline(lis, d), 0);
	CHECK_EQ(rt0_accept(lis, &c, NULL), -ETIMEDOUT);
	CHECK(rt0_nanotime() >= d);
	// One that is moved away meanwhile changes nothing.
	set(&troubles, 0);
	CHECK_EQ(rt0_fd_set_deadline(lis, INT64_MAX), 0);
	rt0_go(acceptor, lis);
	while (get(&troubles) < 4)
		rt0_sleep(1000000);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(rt0_fd_set_deadline(lis, rt0_nanotime() + 60000000000 + i), 0);
	CHECK_EQ(get(&done), 0);
	while (get(&troubles) < 6)
		rt0_sleep(1000000);
	CHECK_EQ(rt0_fd_close(lis), 0);
	await(&done, 1);
	CHECK_EQ(get(&result), -ECANCELED);
}

TEST(net_accept_without_descriptors)
{
	rt0_fd *spare;
	rt0_set_accept_trouble(ontrouble);
	listen_on("127.0.0.1:0");
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
	CHECK_EQ(rt0_eventfd(0, 0, &spare), 0);
	netutil_starve(0);
	rt0_go(acceptor, lis);
	while (get(&troubles) < 4)
		rt0_sleep(1000000);
	CHECK_EQ(get(&lasterr), -EMFILE);
	CHECK_EQ(get(&done), 0);
	CHECK_EQ(rt0_fd_close(spare), 0); // now there is one
	await(&done, 1);
	CHECK_EQ(get(&result), 0);
	// Closed, and out of time, while it backs off.
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &spare), -EMFILE);
	for (int i = 0; i < 2; i++) {
		set(&troubles, 0);
		// A connection by a descriptor of the starved process: the one that cli has.
		CHECK_EQ(rt0_fd_close(cli), 0);
		CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
		rt0_go(acceptor, lis);
		while (get(&troubles) < 3)
			rt0_sleep(1000000);
		CHECK_EQ(i == 0 ? rt0_fd_set_deadline(lis, 1) : rt0_fd_close(lis), 0);
		await(&done, 2 + i);
		CHECK_EQ(get(&result), i == 0 ? -ETIMEDOUT : -ECANCELED);
		if (i == 0)
			CHECK_EQ(rt0_fd_set_deadline(lis, INT64_MAX), 0);
	}
}

// ---- nothing is lost ----

static void
shortlived(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg * 2654435761u;
	rt0_fd *c;
	char b[64];
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &c), 0);
	int rounds = (int)(x >> 8 & 3);
	for (int i = 0; i < rounds; i++) {
		CHECK_EQ(rt0_fd_write(c, b, 1 + (x >> 12 & 31)), 1 + (x >> 12 & 31));
		if (x >> 20 & 1)
			CHECK(rt0_fd_read(c, b, sizeof b) > 0);
	}
	if ((x >> 21 & 7) == 0)
		CHECK_EQ(rt0_set_linger(c, 0), 0);
	if ((x >> 24 & 3) == 0)
		CHECK_EQ(rt0_fd_set_deadline(c, rt0_nanotime() + 1000000000), 0);
	CHECK_EQ(rt0_fd_close(c), 0);
	inc(&result);
}

TEST_T(net_thousands_opened_and_dropped, 30000)
{
	enum { ROUNDS = 6, N = 300 };
	listen_on("127.0.0.1:0");
	rt0_go(echoserver, lis);
	int fds = 0;
	for (int round = 0; round < ROUNDS; round++) {
		set(&done, 0);
		set(&result, 0);
		for (int i = 0; i < N; i++)
			rt0_go(shortlived, (void *)(intptr_t)(round * N + i));
		await(&result, N);
		await(&done, N);
		while (rt0_num_goroutine() > 2)
			rt0_gosched();
		if (round == 0)
			fds = netutil_fds();
	}
	CHECK_EQ(netutil_fds(), fds);
	// Slots of handles are used again: there are no more than there were connections at one time.
	rt0_fd *some[2 * N];
	for (int i = 0; i < 2 * N; i++) {
		CHECK_EQ(rt0_eventfd(0, 0, &some[i]), 0);
		CHECK(((uintptr_t)some[i] & ((1 << 22) - 1)) < 2 * N + 2 * 64);
	}
	for (int i = 0; i < 2 * N; i++)
		CHECK_EQ(rt0_fd_close(some[i]), 0);
	CHECK_EQ(rt0_fd_close(lis), 0);
	await(&done, N + 1);
}

static void *
thread(void *arg)
{
	rt0_fd *l, *c, *s;
	rt0_addr a, peer;
	char b[8];
	CHECK_EQ(rt0_listen("127.0.0.1:0", 0, &l), 0);
	CHECK_EQ(rt0_local_addr(l, &a), 0);
	CHECK_EQ(rt0_dial_addr(&a, 0, INT64_MAX, &c), 0);
	CHECK_EQ(rt0_accept(l, &s, &peer), 0);
	CHECK_EQ(rt0_set_nodelay(c, false), 0);
	CHECK_EQ(rt0_fd_write(c, "abc", 3), 3);
	CHECK_EQ(rt0_fd_read(s, b, 8), 3);
	CHECK_EQ(rt0_close_write(c), 0);
	CHECK_EQ(rt0_fd_read(s, b, 8), 0);
	CHECK_EQ(rt0_peer_addr(s, &peer), 0);
	rt0_fd *p[2];
	CHECK_EQ(rt0_packet_listen("127.0.0.1:0", 0, &p[0]), 0);
	CHECK_EQ(rt0_local_addr(p[0], &a), 0);
	CHECK_EQ(rt0_packet_dial_addr(&a, &p[1]), 0);
	CHECK_EQ(rt0_sendto(p[1], "xy", 2, NULL), 2);
	CHECK_EQ(rt0_recvfrom(p[0], b, 8, NULL), 2);
	rt0_fd_close(p[0]);
	rt0_fd_close(p[1]);
	CHECK_EQ(rt0_socketpair(0, p), 0);
	int n = 0;
	CHECK_EQ(rt0_send_fds(p[0], "x", 1, NULL, 0), 1);
	CHECK_EQ(rt0_recv_fds(p[1], b, 8, NULL, &n), 1);
	CHECK_EQ(rt0_fd_write(p[0], "copy", 4), 4);
	CHECK_EQ(rt0_copy(p[1], p[1], 4), 4);
	CHECK_EQ(rt0_fd_read(p[0], b, 8), 4);
	return arg;
}

TEST(net_foreign_thread)
{
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
}
