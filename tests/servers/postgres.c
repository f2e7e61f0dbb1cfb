// SPDX-License-Identifier: BSD-3-Clause
// postgres.c: 200 goroutines with libpq's synchronous API, each with a connection of its own, on 2 processors.
//
// Each inserts rows of its own, in transactions, reads them back and checks them; sleeps in the server; and gets
// an error, which is an answer too.
#include <libpq-fe.h>

#include "clients.h"

enum { MAXTHREADS = 32 }; // 16 of them may be at the resolver

static const char *conninfo;

static void
fail(const char *what, PGconn *c, int i)
{
	fprintf(stderr, "goroutine %d: %s: %s\n", i, what, PQerrorMessage(c));
	_exit(1);
}

static PGresult *
query(PGconn *c, int i, ExecStatusType want, const char *sql)
{
	PGresult *r = PQexec(c, sql);
	if (PQresultStatus(r) != want)
		fail(sql, c, i);
	return r;
}

static void
client(int i)
{
	char sql[256];
	PGconn *c = PQconnectdb(conninfo);
	if (PQstatus(c) != CONNECTION_OK)
		fail("connect", c, i);
	for (int k = 0; k < rounds; k++) {
		PQclear(query(c, i, PGRES_COMMAND_OK, "BEGIN"));
		snprintf(sql, sizeof sql, "INSERT INTO t SELECT %d, %d, x FROM generate_series(1, 20) x", i, k);
		PQclear(query(c, i, PGRES_COMMAND_OK, sql));
		PQclear(query(c, i, PGRES_COMMAND_OK, "COMMIT"));
		snprintf(sql, sizeof sql, "SELECT count(*), sum(x), repeat('y', 20000) FROM t WHERE i = %d AND k = %d", i, k);
		PGresult *r = query(c, i, PGRES_TUPLES_OK, sql);
		if (atoi(PQgetvalue(r, 0, 0)) != 20 || atoi(PQgetvalue(r, 0, 1)) != 210 || strlen(PQgetvalue(r, 0, 2)) != 20000)
			fail("wrong rows", c, i);
		PQclear(r);
		PQclear(query(c, i, PGRES_TUPLES_OK, "SELECT pg_sleep(0.02)"));
		PQclear(query(c, i, PGRES_FATAL_ERROR, "SELECT 1/0"));
	}
	PQfinish(c);
}

int
main(int argc, char **argv)
{
	conninfo = clients_begin(argc, argv, 200, 5, "RT0_POSTGRES");
	PGconn *c = PQconnectdb(conninfo);
	if (PQstatus(c) != CONNECTION_OK)
		fail("connect", c, -1);
	PQclear(query(c, -1, PGRES_COMMAND_OK, "CREATE TABLE IF NOT EXISTS t (i int, k int, x int)"));
	PQclear(query(c, -1, PGRES_COMMAND_OK, "TRUNCATE t"));
	clients_all(client);
	PGresult *r = query(c, -1, PGRES_TUPLES_OK, "SELECT count(*) FROM t");
	if (atoi(PQgetvalue(r, 0, 0)) != 20 * clients * rounds)
		fail("wrong sum", c, -1);
	PQclear(r);
	PQfinish(c);
	return clients_end(6 * rounds, "queries", MAXTHREADS);
}
