// SPDX-License-Identifier: BSD-3-Clause
// test_packet.c: datagrams, packets and descriptors that travel.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>

#include "sockutil.h"

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
	CHECK_EQ(get(&result), -ECANCELED);
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
