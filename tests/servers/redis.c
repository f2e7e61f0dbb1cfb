// SPDX-License-Identifier: BSD-3-Clause
// redis.c: 500 goroutines with hiredis' synchronous API, each with a connection of its own, on 2 processors and a
// handful of threads.
//
// usage: redis [GOROUTINES [ROUNDS]]   RT0_REDIS=HOST:PORT (tests/servers.sh)
//
// Each goroutine sets, gets and increments keys of its own and checks the answers. In pairs they wait for each other:
// one in BLPOP, which the server answers when the other has pushed.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rt0.h>

enum { MAXTHREADS = 24 };

static char host[64];
static int port, rounds = 20, most;
static rt0_waitgroup wg;

static void
fail(const char *what, redisContext *c, int i)
{
	fprintf(stderr, "goroutine %d: %s: %s\n", i, what, c != NULL && c->err ? c->errstr : "wrong answer");
	_exit(1);
}

static int
threads(void)
{
	char line[256];
	int n = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f) != NULL)
		sscanf(line, "Threads: %d", &n);
	fclose(f);
	return n;
}

// ask sends a command and checks the type of the answer.
#define ASK(type_, ...)                                                                           \
	__extension__({                                                                           \
		redisReply *r_ = redisCommand(c, __VA_ARGS__);                                    \
		if (r_ == NULL || r_->type != (type_))                                            \
			fail(#__VA_ARGS__, c, i);                                                 \
		r_;                                                                               \
	})

static void
client(void *arg)
{
	int i = (int)(intptr_t)arg;
	redisContext *c = redisConnect(host, port);
	if (c == NULL || c->err)
		fail("connect", c, i);
	for (int k = 0; k < rounds; k++) {
		redisReply *r = ASK(REDIS_REPLY_STATUS, "SET key%d value%d:%d", i, i, k);
		if (strcmp(r->str, "OK") != 0)
			fail("SET", c, i);
		freeReplyObject(r);
		char want[64];
		snprintf(want, sizeof want, "value%d:%d", i, k);
		r = ASK(REDIS_REPLY_STRING, "GET key%d", i);
		if (strcmp(r->str, want) != 0)
			fail("GET", c, i);
		freeReplyObject(r);
		r = ASK(REDIS_REPLY_INTEGER, "INCR count%d", i);
		if (r->integer != k + 1)
			fail("INCR", c, i);
		freeReplyObject(r);
		// Ping and pong with the neighbour.
		int other = i ^ 1;
		if (i % 2 == 0) {
			freeReplyObject(ASK(REDIS_REPLY_INTEGER, "RPUSH list%d %d", other, k));
			r = ASK(REDIS_REPLY_ARRAY, "BLPOP list%d 0", i);
		} else {
			r = ASK(REDIS_REPLY_ARRAY, "BLPOP list%d 0", i);
			freeReplyObject(ASK(REDIS_REPLY_INTEGER, "RPUSH list%d %d", other, k));
		}
		if (r->elements != 2 || atoi(r->element[1]->str) != k)
			fail("BLPOP", c, i);
		freeReplyObject(r);
	}
	// A wait that times out is an answer, and no error.
	freeReplyObject(ASK(REDIS_REPLY_NIL, "BLPOP empty%d 1", i));
	redisFree(c);
	rt0_waitgroup_done(&wg);
}

static void
watch(void *arg)
{
	for (;;) {
		int n = threads();
		if (n > most)
			most = n;
		usleep(2000);
	}
	(void)arg;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 500;
	if (argc > 2)
		rounds = atoi(argv[2]);
	const char *where = getenv("RT0_REDIS");
	if (where == NULL || sscanf(where, "%63[^:]:%d", host, &port) != 2)
		return fputs("RT0_REDIS is not set\n", stderr), 2;
	rt0_gomaxprocs(2);
	redisContext *c = redisConnect(host, port);
	freeReplyObject(redisCommand(c, "FLUSHALL"));
	redisFree(c);
	rt0_go(watch, NULL);
	int64_t t = rt0_nanotime();
	rt0_waitgroup_add(&wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(client, (void *)(intptr_t)i);
	rt0_waitgroup_wait(&wg);
	double s = (double)(rt0_nanotime() - t) / 1e9;
	printf("%d goroutines, %d commands each, %d threads at most, %.2f s\n", n, 5 * rounds, most, s);
	if (most > MAXTHREADS)
		return fprintf(stderr, "%d threads\n", most), 1;
	return 0;
}
