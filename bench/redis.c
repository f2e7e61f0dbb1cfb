// SPDX-License-Identifier: BSD-3-Clause
// redis.c: redis by hiredis' blocking API, a goroutine for each connection. The library knows
// nothing of goroutines: its connect, read and write park them because librt0_posix takes these
// calls.
//
//	redis -p PORT [-n CONNS] [-d SECONDS]
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>

#include <rt0.h>

#include "redis.h"

static rt0_waitgroup up, done;
static atomic_bool stop;
static rt0_chan *begin; // closed when the clock starts
static _Atomic int64_t count;

static void
client(void *arg)
{
	int id = (int)(intptr_t)arg;
	redisContext *c = redisConnect("127.0.0.1", opt.port);
	int64_t mine = 0;
	redisReply *r;

	if (!c || c->err)
		die("connect", c ? c->errstr : "no memory");
	for (long n = 0; !atomic_load_explicit(&stop, memory_order_relaxed); n++) {
		if (n % 2 == 0)
			r = redisCommand(c, "SET key:%d %d:%ld", id, id, n);
		else
			r = redisCommand(c, "GET key:%d", id);
		if (!r)
			die("redisCommand", c->errstr);
		check(r, id, n);
		freeReplyObject(r);
		if (n == 0) {
			rt0_waitgroup_done(&up);
			rt0_chan_recv(begin, NULL);
		} else
			mine++;
	}
	atomic_fetch_add(&count, mine);
	redisFree(c);
	rt0_waitgroup_done(&done);
}

int
main(int argc, char **argv)
{
	struct timespec ts;
	int64_t t, cpu;

	options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	begin = rt0_chan_make(0, 0);
	rt0_waitgroup_add(&up, opt.conns);
	rt0_waitgroup_add(&done, opt.conns);
	for (int i = 0; i < opt.conns; i++)
		rt0_go(client, (void *)(intptr_t)i);
	rt0_waitgroup_wait(&up);
	ts.tv_sec = (time_t)opt.secs;
	ts.tv_nsec = (long)((opt.secs - (double)ts.tv_sec) * 1e9);
	cpu = clockns(CLOCK_PROCESS_CPUTIME_ID);
	t = rt0_nanotime();
	rt0_chan_close(begin);
	nanosleep(&ts, NULL); // parks this goroutine, as the calls of hiredis do
	atomic_store(&stop, true);
	rt0_waitgroup_wait(&done);
	t = rt0_nanotime() - t;
	report(count, t, clockns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	return 0;
}
