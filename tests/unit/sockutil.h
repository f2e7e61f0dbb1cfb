// SPDX-License-Identifier: BSD-3-Clause
// sockutil.h: what the tests of sockets share: a listener, a connection, and who reads from one.
#ifndef RT0_SOCKUTIL_H
#define RT0_SOCKUTIL_H

#include "apiutil.h"
#include "netutil.h"

#define UNUSED __attribute__((unused))
static rt0_fd *lis, *cli UNUSED, *srv UNUSED;
static rt0_addr at UNUSED; // where lis listens
static int done UNUSED, result UNUSED;

static inline void
listen_on(const char *text)
{
	CHECK_EQ(rt0_listen(text, 0, &lis), 0);
	CHECK_EQ(rt0_local_addr(lis, &at), 0);
}

// connected makes cli and srv the ends of a connection.
static inline void
connected(const char *text)
{
	listen_on(text);
	CHECK_EQ(rt0_dial_addr(&at, 0, INT64_MAX, &cli), 0);
	CHECK_EQ(rt0_accept(lis, &srv, NULL), 0);
}

// abstract makes the address of an abstract socket that no other process uses.
static inline const char *
abstract(const char *what)
{
	static char buf[100];
	snprintf(buf, sizeof buf, "unix:@rt0-test-%d-%s", getpid(), what);
	return buf;
}

static inline const char *
text(const rt0_addr *a)
{
	static char buf[RT0_ADDR_TEXT];
	return rt0_addr_format(a, buf, sizeof buf);
}

static inline bool
noipv6(void)
{
	rt0_fd *l;
	if (rt0_listen("[::1]:0", 0, &l) < 0)
		return true;
	rt0_fd_close(l);
	return false;
}

// reader reads once.
static inline void
reader(void *arg)
{
	char b[64];
	set(&result, (int)rt0_fd_read(arg, b, sizeof b));
	inc(&done);
}

// slowsink reads to the end, in pieces of all sizes, and compares.
static inline void
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

#endif
