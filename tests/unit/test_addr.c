// SPDX-License-Identifier: BSD-3-Clause
// test_addr.c: addresses as text, and what is to be had at which.
#define _GNU_SOURCE
#include <sys/socket.h>

#include "sockutil.h"

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
		CHECK_EQ(rt0_packet_listen(bad[i][0], 0, &f), -EINVAL);
		CHECK_EQ(rt0_packet_dial(bad[i][0], &f), -EINVAL);
		if (strstr(why, "numeric host") || strstr(bad[i][0], "http") || strchr(bad[i][0], '%'))
			continue; // may be names, which listen and dial look up
		CHECK(rt0_listen(bad[i][0], 0, &f) < 0);
		CHECK(rt0_dial(bad[i][0], INT64_MAX, &f) < 0);
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
