// SPDX-License-Identifier: BSD-3-Clause
// startup.c: the wall time of programs from exec to exit, measured in turn.
//
//	startup [-n RUNS] NAME=PROGRAM ...
//
// Every round runs each program once, A B C A B C ..., so that a change of the machine's mood hits
// all alike; every other round goes backwards, so that none always runs behind the same neighbour.
// The first rounds only warm the page cache. Standard output of the programs goes to /dev/null; a
// program that fails ends the run. Prints "NAME MEDIAN us" and "NAME_min MIN us" for each.
//
// This is a program of plain C: what it measures must not depend on what is under test.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
	warmup_rounds = 20,
	maxprogs = 16,
	default_rounds = 300,
};

struct prog {
	const char *name;
	char *argv[2];
	double *us; // one entry a round
};

static double
nowus(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
die(const char *name, const char *what, int n)
{
	fprintf(stderr, "startup: %s: %s (%d)\n", name, what, n);
	exit(1);
}

// run starts p, waits for its end, and returns the time between in us. posix_spawn uses vfork, so
// the size of this process is not copied and not measured.
static double
run(const struct prog *p, const posix_spawn_file_actions_t *fa)
{
	int status, err;
	double t;
	pid_t pid;

	t = nowus();
	err = posix_spawn(&pid, p->argv[0], fa, NULL, p->argv, environ);
	if (err != 0)
		die(p->name, strerror(err), err);
	if (waitpid(pid, &status, 0) != pid)
		die(p->name, "waitpid failed", 0);
	t = nowus() - t;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die(p->name, "did not exit with 0; status", status);
	return t;
}

static int
lessus(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	posix_spawn_file_actions_t fa;
	int rounds = default_rounds, n = 0, c;
	struct prog progs[maxprogs];

	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n' || (rounds = atoi(optarg)) < 1) {
			fprintf(stderr, "usage: startup [-n RUNS] NAME=PROGRAM ...\n");
			return 2;
		}
	}
	for (int i = optind; i < argc && n < maxprogs; i++, n++) {
		char *eq = strchr(argv[i], '=');

		if (eq == NULL)
			die(argv[i], "not NAME=PROGRAM", 0);
		*eq = 0;
		progs[n] =
		    (struct prog){argv[i], {eq + 1, NULL}, calloc((size_t)rounds, sizeof(double))};
		if (progs[n].us == NULL)
			die(argv[i], "out of memory", rounds);
	}
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	for (int r = -warmup_rounds; r < rounds; r++) {
		for (int i = 0; i < n; i++) {
			struct prog *p = &progs[r & 1 ? n - 1 - i : i];
			double us = run(p, &fa);

			if (r >= 0)
				p->us[r] = us;
		}
	}
	for (int i = 0; i < n; i++) {
		qsort(progs[i].us, (size_t)rounds, sizeof(double), lessus);
		printf("%s %.1f us\n", progs[i].name, progs[i].us[rounds / 2]);
		printf("%s_min %.1f us\n", progs[i].name, progs[i].us[0]);
	}
	return 0;
}
