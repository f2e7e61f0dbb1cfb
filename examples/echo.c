// SPDX-License-Identifier: BSD-3-Clause
// echo.c: an echo server and its client, one goroutine a connection, in straight lines.
//
//     $ rt0 run examples/echo.c 127.0.0.1:7000
//     listening on 127.0.0.1:7000
//     $ rt0 run examples/echo.c -client -n 100 -t 3 127.0.0.1:7000
//     100 connections, 123456 echoes/s, 0 failed
//
// ADDRESS is as rt0/net.h has it: 127.0.0.1:7000, [::1]:7000, :7000 (all), unix:/path, unix:@name; port 0 takes
// a free one. A read that finds nothing parks its goroutine, not its thread, so 10,000 connections
// are 10,000 goroutines on a thread or two. What an idle one costs is its stack's used pages: with a
// buffer of 1 KiB that is one.
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "rt0.h"
#include "rt0/net.h"

enum { BUF = 1024, MESSAGE = 64 };

static void
usage(void)
{
	fprintf(stderr, "usage: echo ADDRESS\n"
			"       echo -client [-n CONNECTIONS] [-t SECONDS] ADDRESS\n");
	exit(2);
}

static void
die(const char *what, const char *addr, int err)
{
	const char *why = NULL;
	rt0_addr a;
	if (err == -EINVAL)
		rt0_addr_parse(addr, &a, &why);
	fprintf(stderr, "echo: %s %s: %s\n", what, addr, why != NULL ? why : strerror(-err));
	exit(1);
}

// ---- server ----

static void
serve(void *arg)
{
	rt0_fd *conn = arg;
	char buf[BUF];
	long n;
	while ((n = rt0_fd_read(conn, buf, sizeof buf)) > 0)
		if (rt0_fd_write(conn, buf, (size_t)n) < 0)
			break;
	rt0_fd_close(conn);
}

static void
server(const char *addr)
{
	rt0_fd *listener, *conn;
	rt0_addr at;
	char text[RT0_ADDR_TEXT];
	int err = rt0_listen(addr, 0, &listener);
	if (err < 0)
		die("cannot listen on", addr, err);
	rt0_local_addr(listener, &at);
	printf("listening on %s\n", rt0_addr_format(&at, text, sizeof text));
	fflush(stdout);
	while ((err = rt0_accept(listener, &conn, NULL)) == 0)
		rt0_go(serve, conn);
	die("accept on", addr, err);
}

// ---- client ----

static rt0_addr target;
static int64_t until;
static long echoes, failed; // atomic
static rt0_waitgroup clients;

static void
client(void *arg)
{
	rt0_fd *conn;
	char out[MESSAGE], in[MESSAGE];
	long n = 0;
	bool ok = false;
	memset(out, 'a' + (int)((intptr_t)arg % 26), sizeof out);
	if (rt0_dial_addr(&target, 0, rt0_deadline(10 * RT0_SECOND), &conn) == 0) {
		ok = true;
		rt0_fd_set_deadline(conn, until + 5 * RT0_SECOND);
		for (; ok && rt0_nanotime() < until; n++) {
			ok = rt0_fd_write(conn, out, sizeof out) == sizeof out;
			for (size_t got = 0; ok && got < sizeof in;) {
				long r = rt0_fd_read(conn, in + got, sizeof in - got);
				ok = r > 0;
				got += ok ? (size_t)r : 0;
			}
			ok = ok && memcmp(in, out, sizeof in) == 0;
		}
		rt0_fd_close(conn);
	}
	__atomic_add_fetch(&echoes, n, __ATOMIC_RELAXED);
	__atomic_add_fetch(&failed, !ok, __ATOMIC_RELAXED);
	rt0_waitgroup_done(&clients);
}

static int
runclients(const char *addr, int n, int seconds)
{
	const char *why;
	if (rt0_addr_parse(addr, &target, &why) < 0)
		die("cannot dial", addr, -EINVAL);
	until = rt0_deadline(seconds * RT0_SECOND);
	rt0_waitgroup_add(&clients, n);
	for (int i = 0; i < n; i++)
		rt0_go(client, (void *)(intptr_t)i);
	rt0_waitgroup_wait(&clients);
	printf("%d connections, %ld echoes/s, %ld failed\n", n, echoes / seconds, failed);
	return failed == 0 ? 0 : 1;
}

static int
number(const char *s)
{
	char *end;
	long v = s != NULL ? strtol(s, &end, 10) : 0;
	if (s == NULL || *end != 0 || v < 1 || v > 1000000) {
		fprintf(stderr, "echo: %s is not a number from 1 to 1000000\n", s != NULL ? s : "nothing");
		usage();
	}
	return (int)v;
}

int
main(int argc, char **argv)
{
	const char *addr = NULL;
	int n = 100, seconds = 3;
	bool isclient = false, options = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-client") == 0)
			isclient = true;
		else if (strcmp(argv[i], "-n") == 0 || strcmp(argv[i], "-t") == 0) {
			*(argv[i][1] == 'n' ? &n : &seconds) = number(i + 1 < argc ? argv[i + 1] : NULL);
			options = true;
			i++;
		} else if (argv[i][0] == '-' || addr != NULL)
			usage();
		else
			addr = argv[i];
	}
	if (addr == NULL || (options && !isclient))
		usage();
	// A descriptor a connection: as many as we may have.
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	if (isclient)
		return runclients(addr, n, seconds);
	server(addr);
	return 0;
}
