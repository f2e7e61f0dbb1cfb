// SPDX-License-Identifier: BSD-3-Clause
// clients.h: many goroutines on 2 processors with a library that blocks, and the threads that they take.
//
// usage of each program: NAME [GOROUTINES [ROUNDS]]   with the server's address in the environment (tests/servers.sh)
#ifndef RT0_CLIENTS_H
#define RT0_CLIENTS_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rt0.h>

#include "../harness/proc.h"

static int clients, rounds;
static int clients_threads; // the most at one time; atomic
static rt0_waitgroup clients_wg;
static void (*clients_run)(int i); // what goroutine i does

// clients_begin reads the arguments and returns the value of the variable that names the server.
static inline const char *
clients_begin(int argc, char **argv, int n, int nrounds, const char *variable)
{
	clients = argc > 1 ? atoi(argv[1]) : n;
	rounds = argc > 2 ? atoi(argv[2]) : nrounds;
	const char *where = getenv(variable);
	if (where == NULL) {
		fprintf(stderr, "%s is not set\n", variable);
		exit(2);
	}
	rt0_gomaxprocs(2);
	return where;
}

static inline void
clients_watch(void *arg)
{
	(void)arg;
	for (;;) {
		int n = proc_threads();
		if (n > __atomic_load_n(&clients_threads, __ATOMIC_SEQ_CST))
			__atomic_store_n(&clients_threads, n, __ATOMIC_SEQ_CST);
		usleep(2000);
	}
}

static inline void
clients_one(void *arg)
{
	clients_run((int)(intptr_t)arg);
	rt0_waitgroup_done(&clients_wg);
}

// clients_all runs all of them to their end.
static inline void
clients_all(void (*run)(int i))
{
	clients_run = run;
	rt0_go(clients_watch, NULL);
	rt0_waitgroup_add(&clients_wg, clients);
	for (int i = 0; i < clients; i++)
		rt0_go(clients_one, (void *)(intptr_t)i);
	rt0_waitgroup_wait(&clients_wg);
}

// clients_end says what happened, and returns main's status.
static inline int
clients_end(int each, const char *what, int maxthreads)
{
	int most = __atomic_load_n(&clients_threads, __ATOMIC_SEQ_CST);
	printf("%d goroutines, %d %s each, %d threads at most\n", clients, each, what, most);
	if (most <= maxthreads)
		return 0;
	fprintf(stderr, "%d threads, and %d were to do\n", most, maxthreads);
	return 1;
}

#endif
