// SPDX-License-Identifier: BSD-3-Clause
// redis.c: 500 goroutines with hiredis' synchronous API, each with a connection of its own, on 2 processors and a
// handful of threads.
//
// Each goroutine sets, gets and increments keys of its own and checks the answers. In pairs they wait for each other:
// one in BLPOP, which the server answers when the other has pushed.
#include <hiredis/hiredis.h>

#include "clients.h"

enum { MAXTHREADS = 24 };

static char host[64];
static int port;

static void
fail(const char *what, redisContext *c, int i)
{
	fprintf(stderr, "goroutine %d: %s: %s\n", i, what, c != NULL && c->err ? c->errstr : "wrong answer");
	_exit(1);
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
client(int i)
{
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
}

int
main(int argc, char **argv)
{
	if (sscanf(clients_begin(argc, argv, 500, 20, "RT0_REDIS"), "%63[^:]:%d", host, &port) != 2)
		return fputs("RT0_REDIS is not HOST:PORT\n", stderr), 2;
	redisContext *c = redisConnect(host, port);
	freeReplyObject(redisCommand(c, "FLUSHALL"));
	redisFree(c);
	clients_all(client);
	return clients_end(5 * rounds, "commands", MAXTHREADS);
}
