// SPDX-License-Identifier: BSD-3-Clause
// pgpool.c: a pool of PostgreSQL connections on libpq's ordinary, blocking interface.
//
//	rt0 build -posix -I/usr/include/postgresql pgpool.c -lpq -o pgpool
//	pgpool [-c CONNECTIONS] [-n QUERIES] CONNINFO
//
// QUERIES (200) goroutines share CONNECTIONS (8): the pool is a channel. A connection that has broken is opened
// anew by who finds it so. libpq's poll and recv are librt0_posix's: they park the goroutine.
#include <libpq-fe.h>
#include <rt0.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rt0_chan *pool; // of PGconn *
static const char *conninfo;

// get takes a connection that works, or NULL before the deadline. put gives it back.
static PGconn *
get(int64_t deadline)
{
	PGconn *c;
	if (rt0_chan_recv_until(pool, &c, deadline) != 0)
		return NULL;
	if (c == NULL)
		c = PQconnectdb(conninfo);
	else if (PQstatus(c) != CONNECTION_OK)
		PQreset(c);
	return c;
}

static void
put(PGconn *c)
{
	rt0_chan_send(pool, &c);
}

struct query {
	int n;
	long long answer; // -1: none
};

static int
ask(void *arg)
{
	struct query *q = arg;
	char text[100];
	PGconn *c = get(rt0_deadline(30 * RT0_SECOND));
	if (c == NULL) {
		fprintf(stderr, "query %d: no connection within 30 s\n", q->n);
		return -1;
	}
	// Some take their time, in the server: the others go on.
	snprintf(text, sizeof text, "select sum(i) from generate_series(1, %d) i, pg_sleep(0.0%d)", q->n, q->n % 3);
	PGresult *r = PQexec(c, text);
	if (PQresultStatus(r) == PGRES_TUPLES_OK)
		q->answer = atoll(PQgetvalue(r, 0, 0));
	else
		fprintf(stderr, "query %d: %s", q->n, PQerrorMessage(c));
	PQclear(r);
	put(c);
	return q->answer < 0 ? -1 : 0;
}

static int
number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);
	return *s == 0 || *end != 0 || n < 1 || n > 100000 ? -1 : (int)n;
}

int
main(int argc, char **argv)
{
	int i = 1, connections = 8, queries = 200, wrong = 0;
	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		int n = number(argv[i + 1]);
		if (n > 0 && strcmp(argv[i], "-c") == 0)
			connections = n;
		else if (n > 0 && strcmp(argv[i], "-n") == 0)
			queries = n;
		else
			break;
	}
	if (i != argc - 1 || argv[i][0] == '-') {
		fprintf(stderr, "usage: pgpool [-c CONNECTIONS] [-n QUERIES] CONNINFO\n");
		return 2;
	}
	conninfo = argv[i];
	PGconn *c = PQconnectdb(conninfo), *none = NULL;
	if (PQstatus(c) != CONNECTION_OK) {
		fprintf(stderr, "pgpool: %s", PQerrorMessage(c));
		PQfinish(c);
		return 1;
	}
	pool = rt0_chan_make(sizeof c, (size_t)connections);
	put(c);
	for (i = 1; i < connections; i++)
		put(none); // opened when it is needed
	struct query *q = calloc((size_t)queries, sizeof *q);
	if (q == NULL)
		return 1;
	rt0_group g;
	rt0_group_init(&g, NULL);
	int64_t t0 = rt0_nanotime();
	for (i = 0; i < queries; i++) {
		q[i] = (struct query){i + 1, -1};
		rt0_group_go(&g, ask, &q[i]);
	}
	int err = rt0_group_wait(&g);
	for (i = 0; i < queries; i++)
		wrong += q[i].answer != (i + 1) * (i + 2ll) / 2;
	int open = 0;
	while (rt0_chan_try_recv(pool, &c) == 0) {
		open += c != NULL;
		PQfinish(c);
	}
	printf("%d queries over %d connections, %d wrong, %.0f ms\n", queries, open, wrong, (double)(rt0_nanotime() - t0) / 1e6);
	rt0_chan_free(pool);
	free(q);
	return err != 0 || wrong != 0;
}
