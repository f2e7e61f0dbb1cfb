// SPDX-License-Identifier: BSD-3-Clause
// redis.h: what both clients of the redis benchmark do alike: options, the work, what is printed.
//
// On each connection, one command in flight, in turn: SET key:I value, which must say OK, and
// GET key:I, which must give the value back. A wrong reply ends the program: a number that was
// printed belongs to work that was done.
#ifndef RT0_BENCH_REDIS_H
#define RT0_BENCH_REDIS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>

#include <hiredis/hiredis.h>

static struct {
	int port, conns;
	double secs;
} opt = {0, 1000, 5};

static inline _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "redis: %s: %s\n", what, why && *why ? why : "failed");
	exit(1);
}

static inline int64_t
clockns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline void
options(int argc, char **argv)
{
	struct rlimit rl;
	int o;

	while ((o = getopt(argc, argv, "p:n:d:")) != -1) {
		switch (o) {
		case 'p':
			opt.port = atoi(optarg);
			break;
		case 'n':
			opt.conns = atoi(optarg);
			break;
		case 'd':
			opt.secs = atof(optarg);
			break;
		default:
			opt.port = 0;
			optind = argc;
		}
	}
	if (optind < argc || opt.port <= 0 || opt.port > 65535 || opt.conns <= 0 || opt.secs <= 0) {
		fprintf(stderr, "usage: redis -p PORT [-n CONNS] [-d SECONDS]\n");
		exit(2);
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

// check: is r the right reply to command n of connection conn?
static inline void
check(const redisReply *r, int conn, long n)
{
	char want[32];

	if (!r)
		die("no reply", "");
	if (r->type == REDIS_REPLY_ERROR)
		die("redis", r->str);
	if (n % 2 == 0) {
		if (r->type != REDIS_REPLY_STATUS || strcmp(r->str, "OK") != 0)
			die("SET", "not OK");
		return;
	}
	snprintf(want, sizeof want, "%d:%ld", conn, n - 1);
	if (r->type != REDIS_REPLY_STRING || strcmp(r->str, want) != 0)
		die("GET", "another value than was set");
}

// report prints the result of count replies in wall ns.
static inline void
report(int64_t count, int64_t wall, int64_t cpu)
{
	if (count == 0)
		die("no reply in the time measured", "");
	printf("redis_%d %.0f req/s\n", opt.conns, (double)count / ((double)wall / 1e9));
	printf("redis_%d_cpu %.2f us\n", opt.conns, (double)cpu / 1e3 / (double)count);
}

#endif
