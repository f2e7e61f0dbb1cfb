// SPDX-License-Identifier: BSD-3-Clause
// postgres.c: 200 goroutines with libpq's synchronous API, each with a connection of its own, on 2 processors.
//
// usage: postgres [GOROUTINES [ROUNDS]]   RT0_POSTGRES=conninfo (tests/servers.sh)
//
// Each inserts rows of its own, in transactions, reads them back and checks them; sleeps in the server; and gets
// an error, which is an answer too.
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rt0.h>

enum { MAXTHREADS = 32 }; // 16 of them may be at the resolver

static const char *conninfo;
static int rounds = 5, most;
static rt0_waitgroup wg;

static void
fail(const char *what, PGconn *c, int i)
{
	fprintf(stderr, "goroutine %d: %s: %s\n", i, what, PQerrorMessage(c));
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

static PGresult *
query(PGconn *c, int i, ExecStatusType want, const char *sql)
{
	PGresult *r = PQexec(c, sql);
	if (PQresultStatus(r) != want)
		fail(sql, c, i);
	return r;
}

static void
client(void *arg)
{
	int i = (int)(long)arg;
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
	int n = argc > 1 ? atoi(argv[1]) : 200;
	if (argc > 2)
		rounds = atoi(argv[2]);
	conninfo = getenv("RT0_POSTGRES");
	if (conninfo == NULL)
		return fputs("RT0_POSTGRES is not set\n", stderr), 2;
	rt0_gomaxprocs(2);
	PGconn *c = PQconnectdb(conninfo);
	if (PQstatus(c) != CONNECTION_OK)
		fail("connect", c, -1);
	PQclear(query(c, -1, PGRES_COMMAND_OK, "CREATE TABLE IF NOT EXISTS t (i int, k int, x int)"));
	PQclear(query(c, -1, PGRES_COMMAND_OK, "TRUNCATE t"));
	rt0_go(watch, NULL);
	rt0_waitgroup_add(&wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(client, (void *)(long)i);
	rt0_waitgroup_wait(&wg);
	PGresult *r = query(c, -1, PGRES_TUPLES_OK, "SELECT count(*) FROM t");
	if (atoi(PQgetvalue(r, 0, 0)) != 20 * n * rounds)
		fail("wrong sum", c, -1);
	PQclear(r);
	PQfinish(c);
	printf("%d goroutines, %d queries each, %d threads at most\n", n, 6 * rounds, most);
	if (most > MAXTHREADS)
		return fprintf(stderr, "%d threads\n", most), 1;
	return 0;
}
