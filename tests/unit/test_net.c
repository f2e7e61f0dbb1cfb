// SPDX-License-Identifier: BSD-3-Clause
// test_net.c: addresses, TCP, Unix sockets, datagrams, accept in trouble, and that nothing is lost.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apiutil.h"
#include "netutil.h"

static rt0_fd *lis, *cli, *srv;
static rt0_addr at; // where lis listens
static int done, result;

static void
listen_on(const char *text)
{
	CHECK_EQ(rt0_listen(text, 0, &lis), 0);
	CHECK_EQ(rt0_local_addr(lis, &at), 0);
}

// connected makes cli and srv the ends of a connection.
static void
connected(const char *text)
{
	listen_on(text);
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
	CHECK_EQ(rt0_accept(lis, &srv, NULL), 0);
}

// abstract makes the address of an abstract socket that no other process uses.
static const char *
abstract(const char *what)
{
	static char buf[100];
	snprintf(buf, sizeof buf, "unix:@rt0-test-%d-%s", getpid(), what);
	return buf;
}

static const char *
text(const rt0_addr *a)
{
	static char buf[RT0_ADDR_TEXT];
	return rt0_addr_format(a, buf, sizeof buf);
}

static bool
noipv6(void)
{
	rt0_fd *l;
	if (rt0_listen("[::1]:0", 0, &l) < 0)
		return true;
	rt0_fd_close(l);
	return false;
}

// ---- addresses ----

TEST(net_addr_texts)
{
	static const char *const same[] = {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::]:1", "[::1]:80", "[1::]:2",
	    "[fe80::1%2]:80", "[2001:db8::1:0:0:1]:443", "[1:2:3:4:5:6:7:8]:9", "[1:0:3:4:5:6:7:8]:9", "[0:0:1::]:9", ":80", "unix:/tmp/x", "unix:@abstract",
	    "unix:rel", "unix:@"};
	static const char *const other[][2] = {{"[0:0:0:0:0:0:0:1]:080", "[::1]:80"}, {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
	    {"[::ABCD]:1", "[::abcd]:1"}, {"[2001:DB8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"}, {"[64:ff9b::1.2.3.4]:1", "[64:ff9b::102:304]:1"},
	    {"[1:2:3:4:5:6:1.2.3.4]:1", "[1:2:3:4:5:6:102:304]:1"}, {"[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"}};
	rt0_addr a;
	char buf[8];
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		CHECK_EQ(rt0_addr_parse(same[i], &a, NULL), 0);
		CHECK_STREQ(text(&a), same[i]);
	}
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		CHECK_EQ(rt0_addr_parse(other[i][0], &a, NULL), 0);
		CHECK_STREQ(text(&a), other[i][1]);
	}
	CHECK_EQ(rt0_addr_port(&a), 1);
	CHECK_EQ(rt0_addr_set_port(&a, 65535), 0);
	CHECK_EQ(rt0_addr_port(&a), 65535);
	CHECK_EQ(rt0_addr_set_port(&a, 65536), -EINVAL);
	CHECK_EQ(rt0_addr_set_port(&a, -1), -EINVAL);
	CHECK_STREQ(rt0_addr_format(&a, buf, sizeof buf), "[1:2:3:");
	CHECK_STREQ(rt0_addr_format(&a, buf, 1), "");
	CHECK_EQ(rt0_addr_parse("unix:/x", &a, NULL), 0);
	CHECK_EQ(rt0_addr_port(&a), 0);
	CHECK_EQ(rt0_addr_set_port(&a, 1), -EINVAL);
	memset(&a, 0, sizeof a);
	CHECK_STREQ(text(&a), "?");
}

TEST(net_addr_nonsense)
{
	static const char *const bad[][2] = {{"", "missing port in address"}, {"127.0.0.1", "missing port in address"},
	    {"127.0.0.1:", "missing port in address"}, {"[::1]", "missing port in address"}, {"[::1]:", "missing port in address"},
	    {"::1:80", "too many colons in address"}, {"[::1:80", "missing ']' in address"}, {"1[::1]:80", "unexpected '[' in address"},
	    {"1]:80", "unexpected ']' in address"}, {"[::1]x:80", "unexpected character behind ']' in address"},
	    {"127.0.0.1:65536", "invalid port in address"}, {"127.0.0.1:-1", "invalid port in address"}, {"127.0.0.1:http", "invalid port in address"},
	    {"127.0.0.1:99999999999999999999", "invalid port in address"}, {"127.0.0.1: 80", "invalid port in address"},
	    {"localhost:80", "not a numeric host in address"}, {"127.0.0:80", "not a numeric host in address"},
	    {"127.0.0.1.2:80", "not a numeric host in address"}, {"127.0.0.256:80", "not a numeric host in address"},
	    {"127.0.0.01:80", "not a numeric host in address"}, {"127..0.1:80", "not a numeric host in address"},
	    {"[127.0.0.1]:80", "not a numeric host in address"}, {"[]:80", "not a numeric host in address"}, {"[:]:80", "not a numeric host in address"},
	    {"[:::]:80", "not a numeric host in address"}, {"[1::2::3]:80", "not a numeric host in address"},
	    {"[12345::]:80", "not a numeric host in address"}, {"[1:2:3:4:5:6:7]:80", "not a numeric host in address"},
	    {"[1:2:3:4:5:6:7:8:9]:80", "not a numeric host in address"}, {"[1:2:3:4::5:6:7:8]:80", "not a numeric host in address"},
	    {"[1:]:80", "not a numeric host in address"}, {"[g::]:80", "not a numeric host in address"},
	    {"[1.2.3.4::]:80", "not a numeric host in address"}, {"[fe80::1%eth0]:80", "interface is not a number in address"},
	    {"[fe80::1%]:80", "interface is not a number in address"}, {"unix:", "missing path in address"}};
	rt0_addr a;
	rt0_fd *f = NULL;
	const char *why;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		why = NULL;
		CHECK_EQ(rt0_addr_parse(bad[i][0], &a, &why), -EINVAL);
		CHECK_STREQ(why, bad[i][1]);
		CHECK_EQ(rt0_listen(bad[i][0], 0, &f), -EINVAL);
		CHECK_EQ(rt0_dial(bad[i][0], INT64_MAX, &f), -EINVAL);
		CHECK_EQ(rt0_packet_listen(bad[i][0], 0, &f), -EINVAL);
		CHECK_EQ(rt0_packet_dial(bad[i][0], &f), -EINVAL);
	}
	CHECK_EQ(rt0_addr_parse(NULL, &a, &why), -EINVAL);
	CHECK_STREQ(why, "no address");
	char path[120] = "unix:";
	memset(path + 5, 'x', 107);
	CHECK_EQ(rt0_addr_parse(path, &a, NULL), 0);
	CHECK_STREQ(text(&a), path);
	path[112] = 'x';
	CHECK_EQ(rt0_addr_parse(path, &a, &why), -EINVAL);
	CHECK_STREQ(why, "path too long in address");
	path[5] = '@';
	CHECK_EQ(rt0_addr_parse(path, &a, NULL), 0);
	CHECK_STREQ(text(&a), path);
	memset(&a, 0, sizeof a);
	CHECK_EQ(rt0_listen_addr(&a, 0, &f), -EINVAL);
	CHECK_EQ(rt0_dial_addr(&a, 0, INT64_MAX, &f), -EINVAL);
	a.len = 16;
	a.sa.family = 77;
	CHECK_EQ(rt0_listen_addr(&a, 0, &f), -EAFNOSUPPORT);
	CHECK_EQ(rt0_listen(":0", 64, &f), -EINVAL);
	CHECK_EQ(rt0_listen(":0", RT0_SEQPACKET, &f), -EINVAL);
	CHECK_EQ(rt0_listen(":0", RT0_V4ONLY | RT0_V6ONLY, &f), -EINVAL);
	CHECK_EQ(rt0_listen("127.0.0.1:0", RT0_V6ONLY, &f), -EINVAL);
	CHECK_EQ(rt0_listen("[::1]:0", RT0_V4ONLY, &f), -EINVAL);
	CHECK_EQ(rt0_listen("unix:@x", RT0_REUSEPORT, &f), -EINVAL);
	rt0_fd *two[2] = {NULL, NULL};
	CHECK_EQ(rt0_socketpair(1, two), -EINVAL);
	CHECK(f == NULL && two[0] == NULL);
}

// ---- TCP ----

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

TEST(net_dual_stack_rules)
{
	rt0_addr a, peer;
	rt0_fd *l, *c, *s, *l6;
	if (noipv6())
		SKIP("no IPv6");
	CHECK_EQ(rt0_listen(":0", 0, &l), 0);
	CHECK_EQ(rt0_local_addr(l, &a), 0);
	int port = rt0_addr_port(&a);
	CHECK_EQ(a.sa.family, AF_INET6);
	char where[64];
	snprintf(where, sizeof where, "127.0.0.1:%d", port);
	CHECK_EQ(rt0_dial(where, INT64_MAX, &c), 0);
	CHECK_EQ(rt0_accept(l, &s, &peer), 0);
	CHECK_EQ(peer.sa.family, AF_INET); // not as IPv6 carries it
	rt0_fd_close(c);
	snprintf(where, sizeof where, "[::1]:%d", port);
	CHECK_EQ(rt0_dial(where, INT64_MAX, &c), 0);
	CHECK_EQ(rt0_accept(l, &s, &peer), 0);
	CHECK_EQ(peer.sa.family, AF_INET6);
	snprintf(where, sizeof where, ":%d", port);
	CHECK_EQ(rt0_dial(where, INT64_MAX, &c), 0); // the loopback
	CHECK_EQ(rt0_fd_close(l), 0);
	// One family alone, and both next to each other on one port.
	CHECK_EQ(rt0_listen(":0", RT0_V4ONLY, &l), 0);
	CHECK_EQ(rt0_local_addr(l, &a), 0);
	CHECK_EQ(a.sa.family, AF_INET);
	snprintf(where, sizeof where, "[::]:%d", rt0_addr_port(&a));
	CHECK_EQ(rt0_listen(where, RT0_V6ONLY, &l6), 0);
	snprintf(where, sizeof where, "[::1]:%d", rt0_addr_port(&a));
	CHECK_EQ(rt0_listen(where, 0, &s), -EADDRINUSE);
	// Several on one port, if all of them say so.
	CHECK_EQ(rt0_listen("127.0.0.1:0", RT0_REUSEPORT, &l), 0);
	CHECK_EQ(rt0_local_addr(l, &a), 0);
	CHECK_EQ(rt0_listen_addr(&a, RT0_REUSEPORT, &s), 0);
	CHECK_EQ(rt0_listen_addr(&a, 0, &l6), -EADDRINUSE);
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

static void
reader(void *arg)
{
	char b[64];
	set(&result, (int)rt0_fd_read(arg, b, sizeof b));
	inc(&done);
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
				CHECK_EQ(result, 0);
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
	CHECK_EQ(result, -ECONNRESET);
	CHECK_EQ(rt0_fd_write(srv, "x", 1), -EPIPE);
	CHECK_EQ(rt0_fd_read(srv, b, 1), 0);
	CHECK_EQ(rt0_fd_close(srv), 0);
}

TEST(net_refused_and_timed_out)
{
	rt0_fd *f = NULL;
	listen_on("127.0.0.1:0");
	CHECK_EQ(rt0_fd_close(lis), 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &f), -ECONNREFUSED);
	CHECK_EQ(rt0_dial("unix:@nobody-is-here", INT64_MAX, &f), -ECONNREFUSED);
	// A listener whose backlog is full answers nobody.
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
			CHECK_EQ(result, -ETIMEDOUT);
			CHECK_EQ(rt0_fd_set_deadline(lis, INT64_MAX), 0);
			CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
			CHECK_EQ(rt0_accept(lis, &srv, NULL), 0);
			CHECK_EQ(rt0_fd_close(cli), 0);
			CHECK_EQ(rt0_fd_close(srv), 0);
			CHECK_EQ(rt0_fd_close(lis), 0);
		} else {
			CHECK_EQ(rt0_fd_close(lis), 0);
			await(&done, 3);
			CHECK_EQ(result, -ECANCELED);
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
	CHECK_EQ(lasterr, -EMFILE);
	CHECK_EQ(get(&done), 0);
	CHECK_EQ(rt0_fd_close(spare), 0); // now there is one
	await(&done, 1);
	CHECK_EQ(result, 0);
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
		CHECK_EQ(result, i == 0 ? -ETIMEDOUT : -ECANCELED);
		if (i == 0)
			CHECK_EQ(rt0_fd_set_deadline(lis, INT64_MAX), 0);
	}
}

static void
slowsink(void *arg)
{
	static unsigned char b[70000];
	unsigned char want = 0;
	long r, sum = 0;
	while ((r = rt0_fd_read(arg, b, 1 + (size_t)(sum % 69999))) > 0) {
		for (long i = 0; i < r; i++)
			if (b[i] != want++)
				test_fail("byte %ld is wrong\n", sum + i);
		sum += r;
		rt0_gosched();
	}
	CHECK_EQ(r, 0);
	set(&result, (int)sum);
	inc(&done);
}

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
		CHECK_EQ(result, N);
		CHECK_EQ(rt0_fd_close(srv), 0);
		CHECK_EQ(rt0_fd_close(lis), 0);
	}
	free(big);
}

// ---- copy ----

static void
pattern(void *arg)
{
	static unsigned char b[10007];
	unsigned char v = 0;
	for (int left = result; left > 0;) {
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
			CHECK_EQ(result, N);
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
		CHECK_EQ(result, i % 4 == 0 ? -ECANCELED : i % 4 == 1 ? -ETIMEDOUT : i % 4 == 2 ? 0 : -EPIPE);
		for (int k = 0; k < 2; k++) {
			rt0_fd_close(in[k]);
			rt0_fd_close(out[k]);
		}
	}
}

// ---- messages ----

TEST(net_udp_datagrams)
{
	rt0_fd *a, *b, *c;
	rt0_addr aa, ba, from;
	char buf[100];
	CHECK_EQ(rt0_packet_listen("127.0.0.1:0", 0, &a), 0);
	CHECK_EQ(rt0_packet_listen("127.0.0.1:0", 0, &b), 0);
	CHECK_EQ(rt0_local_addr(a, &aa), 0);
	CHECK_EQ(rt0_local_addr(b, &ba), 0);
	CHECK_EQ(rt0_sendto(a, "hello", 5, &ba), 5);
	CHECK_EQ(rt0_sendto(a, "", 0, &ba), 0);
	CHECK_EQ(rt0_recvfrom(b, buf, sizeof buf, &from), 5);
	CHECK_EQ(rt0_addr_port(&from), rt0_addr_port(&aa));
	CHECK_EQ(rt0_recvfrom(b, buf, sizeof buf, NULL), 0); // an empty one
	// Cut off: the length tells.
	memset(buf, 'z', sizeof buf);
	CHECK_EQ(rt0_sendto(b, "0123456789", 10, &aa), 10);
	CHECK_EQ(rt0_recvfrom(a, buf, 4, NULL), 10);
	CHECK(memcmp(buf, "0123zz", 6) == 0);
	CHECK_EQ(rt0_fd_set_deadline(a, rt0_nanotime() + 1000000), 0);
	CHECK_EQ(rt0_recvfrom(a, buf, 4, NULL), -ETIMEDOUT); // the rest is gone
	// Connected.
	CHECK_EQ(rt0_packet_dial_addr(&ba, &c), 0);
	CHECK_EQ(rt0_fd_write(c, "one", 3), 3);
	CHECK_EQ(rt0_fd_write(c, "two", 3), 3);
	CHECK_EQ(rt0_recvfrom(b, buf, sizeof buf, &from), 3);
	CHECK_EQ(rt0_sendto(b, "back", 4, &from), 4);
	CHECK_EQ(rt0_fd_read(c, buf, sizeof buf), 4);
	CHECK_EQ(rt0_sendto(c, "x", 1, NULL), 1);
	CHECK_EQ(rt0_fd_read(b, buf, sizeof buf), 3);
	static char huge[70000];
	CHECK_EQ(rt0_fd_write(c, huge, sizeof huge), -EMSGSIZE);
	CHECK_EQ(rt0_sendto(a, "x", 1, NULL), -EDESTADDRREQ);
	rt0_addr u;
	CHECK_EQ(rt0_addr_parse("unix:@x", &u, NULL), 0);
	CHECK_EQ(rt0_sendto(a, "x", 1, &u), -EAFNOSUPPORT);
	// Nobody there: the next call hears of it.
	CHECK_EQ(rt0_fd_close(b), 0);
	CHECK_EQ(rt0_fd_write(c, "x", 1), 1);
	CHECK_EQ(rt0_fd_read(c, buf, 1), -ECONNREFUSED);
	// Close wakes.
	rt0_go(reader, c);
	yield(10);
	CHECK_EQ(rt0_fd_close(c), 0);
	await(&done, 1);
	CHECK_EQ(result, -ECANCELED);
}

TEST(net_udp_both_families)
{
	rt0_fd *a, *b;
	rt0_addr aa, to, from;
	char buf[16], where[40];
	if (noipv6())
		SKIP("no IPv6");
	CHECK_EQ(rt0_packet_listen(":0", 0, &a), 0);
	CHECK_EQ(rt0_local_addr(a, &aa), 0);
	CHECK_EQ(rt0_packet_listen("127.0.0.1:0", 0, &b), 0);
	CHECK_EQ(rt0_local_addr(b, &to), 0);
	CHECK_EQ(rt0_sendto(a, "four", 4, &to), 4); // IPv4 from a socket of both
	CHECK_EQ(rt0_recvfrom(b, buf, sizeof buf, &from), 4);
	snprintf(where, sizeof where, "127.0.0.1:%d", rt0_addr_port(&aa));
	CHECK_STREQ(text(&from), where);
	CHECK_EQ(rt0_sendto(b, "back", 4, &from), 4);
	CHECK_EQ(rt0_recvfrom(a, buf, sizeof buf, &from), 4);
	CHECK_EQ(from.sa.family, AF_INET);
}

TEST(net_unix_packets)
{
	rt0_fd *a, *b, *c, *pair[2];
	rt0_addr from;
	char buf[16];
	CHECK_EQ(rt0_packet_listen(abstract("a"), 0, &a), 0);
	CHECK_EQ(rt0_packet_listen(abstract("b"), 0, &b), 0);
	rt0_addr ba;
	CHECK_EQ(rt0_local_addr(b, &ba), 0);
	CHECK_EQ(rt0_sendto(a, "hello", 5, &ba), 5);
	CHECK_EQ(rt0_recvfrom(b, buf, 2, &from), 5);
	CHECK_STREQ(text(&from), abstract("a"));
	CHECK_EQ(rt0_packet_dial(abstract("b"), &c), 0);
	CHECK_EQ(rt0_fd_write(c, "abc", 3), 3);
	CHECK_EQ(rt0_recvfrom(b, buf, sizeof buf, &from), 3);
	// Connections of messages.
	CHECK_EQ(rt0_listen(abstract("seq"), RT0_SEQPACKET, &lis), 0);
	CHECK_EQ(rt0_local_addr(lis, &at), 0);
	CHECK_EQ(rt0_dial_addr(&at, RT0_SEQPACKET, INT64_MAX, &cli), 0);
	CHECK_EQ(rt0_accept(lis, &srv, &from), 0);
	CHECK_EQ(rt0_fd_write(cli, "one", 3), 3);
	CHECK_EQ(rt0_fd_write(cli, "twotwo", 6), 6);
	CHECK_EQ(rt0_fd_read(srv, buf, sizeof buf), 3);
	CHECK_EQ(rt0_recvfrom(srv, buf, 2, NULL), 6);
	CHECK_EQ(rt0_fd_close(cli), 0);
	CHECK_EQ(rt0_fd_read(srv, buf, sizeof buf), 0);
	CHECK_EQ(rt0_socketpair(RT0_SEQPACKET, pair), 0);
	struct iovec { void *p; size_t n; } v[] = {{"ab", 2}, {"cd", 2}};
	CHECK_EQ(rt0_fd_writev(pair[0], (void *)v, 2), 4);
	CHECK_EQ(rt0_fd_read(pair[1], buf, sizeof buf), 4);
}

TEST(net_descriptors_travel)
{
	rt0_fd *pair[2];
	char buf[16];
	int q[2], got[4], n = 4, before = 0;
	CHECK_EQ(rt0_socketpair(0, pair), 0);
	CHECK_EQ(pipe(q), 0);
	before = netutil_fds();
	CHECK_EQ(rt0_send_fds(pair[0], "fds", 3, q, 2), 3);
	CHECK_EQ(rt0_recv_fds(pair[1], buf, sizeof buf, got, &n), 3);
	CHECK_EQ(n, 2);
	CHECK(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	CHECK_EQ(write(got[1], "via", 3), 3);
	CHECK_EQ(read(q[0], buf, 16), 3);
	close(got[0]);
	close(got[1]);
	// More than there is room for: the rest is closed.
	n = 1;
	CHECK_EQ(rt0_send_fds(pair[0], "x", 1, q, 2), 1);
	CHECK_EQ(rt0_recv_fds(pair[1], buf, sizeof buf, got, &n), 1);
	CHECK_EQ(n, 1);
	close(got[0]);
	n = 0;
	CHECK_EQ(rt0_send_fds(pair[0], "x", 1, q, 2), 1);
	CHECK_EQ(rt0_recv_fds(pair[1], buf, sizeof buf, NULL, &n), 1);
	// By a plain read they are lost, and closed.
	CHECK_EQ(rt0_send_fds(pair[0], "x", 1, q, 2), 1);
	CHECK_EQ(rt0_fd_read(pair[1], buf, sizeof buf), 1);
	CHECK_EQ(netutil_fds(), before);
	// None, nonsense, and the end.
	n = 4;
	CHECK_EQ(rt0_send_fds(pair[0], "none", 4, NULL, 0), 4);
	CHECK_EQ(rt0_recv_fds(pair[1], buf, sizeof buf, got, &n), 4);
	CHECK_EQ(n, 0);
	CHECK_EQ(rt0_send_fds(pair[0], "", 0, q, 1), -EINVAL);
	CHECK_EQ(rt0_send_fds(pair[0], "x", 1, q, 254), -EINVAL);
	CHECK_EQ(rt0_send_fds(pair[0], "x", 1, q, -1), -EINVAL);
	got[0] = 9999;
	CHECK_EQ(rt0_send_fds(pair[0], "x", 1, got, 1), -EBADF);
	n = 254;
	CHECK_EQ(rt0_recv_fds(pair[1], buf, sizeof buf, got, &n), -EINVAL);
	connected("127.0.0.1:0");
	CHECK_EQ(rt0_send_fds(cli, "x", 1, q, 1), -EINVAL);
	n = 4;
	CHECK_EQ(rt0_fd_close(pair[0]), 0);
	CHECK_EQ(rt0_recv_fds(pair[1], buf, sizeof buf, got, &n), 0);
	CHECK_EQ(n, 0);
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
