// SPDX-License-Identifier: BSD-3-Clause
// redis_async.c: redis by hiredis' asynchronous API, on libev (-DUSE_ev) or libuv (-DUSE_uv): the
// peer of redis.c.
//
//	redis_async -p PORT [-n CONNS] [-d SECONDS]
#define _GNU_SOURCE
#include <signal.h>

#include <hiredis/async.h>
#ifdef USE_ev
#include <hiredis/adapters/libev.h>
#else
#include <hiredis/adapters/libuv.h>
#endif

#include "redis.h"

struct conn {
	redisAsyncContext *ac;
	int id;
	long n; // commands that were sent
};

// The clock starts when each connection has had its first reply, and that many replies before it
// stops are counted.
static int up;
static int64_t start, end, cpu, count;

static void command(struct conn *c);

static void
replied(redisAsyncContext *ac, void *reply, void *arg)
{
	struct conn *c = arg;
	int64_t t;

	if (!reply)
		die("connection", ac->errstr);
	check(reply, c->id, c->n - 1);
	if (c->n == 1 && ++up == opt.conns) {
		start = clockns(CLOCK_MONOTONIC);
		end = start + (int64_t)(opt.secs * 1e9);
		cpu = clockns(CLOCK_PROCESS_CPUTIME_ID);
	} else if (start) {
		count++;
		t = clockns(CLOCK_MONOTONIC);
		if (t >= end) {
			report(count, t - start, clockns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
			exit(0);
		}
	}
	command(c);
}

static void
command(struct conn *c)
{
	long n = c->n++;
	int err;

	if (n % 2 == 0)
		err = redisAsyncCommand(c->ac, replied, c, "SET key:%d %d:%ld", c->id, c->id, n);
	else
		err = redisAsyncCommand(c->ac, replied, c, "GET key:%d", c->id);
	if (err != REDIS_OK)
		die("redisAsyncCommand", c->ac->errstr);
}

int
main(int argc, char **argv)
{
	struct conn *conns;

	options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	conns = calloc((size_t)opt.conns, sizeof *conns);
	if (!conns)
		die("calloc", "no memory");
	for (int i = 0; i < opt.conns; i++) {
		struct conn *c = &conns[i];

		c->id = i;
		c->ac = redisAsyncConnect("127.0.0.1", opt.port);
		if (!c->ac || c->ac->err)
			die("connect", c->ac ? c->ac->errstr : "no memory");
#ifdef USE_ev
		redisLibevAttach(EV_DEFAULT, c->ac);
#else
		redisLibuvAttach(c->ac, uv_default_loop());
#endif
		command(c);
	}
#ifdef USE_ev
	ev_run(EV_DEFAULT, 0);
#else
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
#endif
	die("the loop ended", "");
}
