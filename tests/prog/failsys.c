// SPDX-License-Identifier: BSD-3-Clause
// failsys.c: every system call that the runtime makes fails at its first, second, third... use.
// The program then works all the same or ends with status 2 and a message; it never hangs,
// crashes or dies in silence.

#define _GNU_SOURCE
#include "../harness/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt0.h"

enum { TIMES = 24 }; // uses tried of each call

static rt0_waitgroup wg;

static void
work(void *c)
{
	char *p = rt0_alloc(50000, 0);
	p[1] = 1;
	RT0_BLOCKING(usleep(100));
	rt0_chan_send(c, &p[1]);
	rt0_free(p);
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	rt0_gomaxprocs(3);
	rt0_chan *c = rt0_chan_make(1, 4);
	int sum = 0;
	char v;
	rt0_waitgroup_add(&wg, 50);
	for (int i = 0; i < 50; i++)
		rt0_go(work, c);
	for (int i = 0; i < 50; i++) {
		rt0_chan_recv(c, &v);
		sum += v;
	}
	rt0_waitgroup_wait(&wg);
	return sum == 50 ? 0 : 1;
}

__attribute__((constructor)) static void
try_all(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "again") == 0)
		return;
	for (int n = 1; n <= TIMES; n++) {
		char setting[100];
		struct launch_result r;
		snprintf(setting, sizeof setting, "failsys=%s:%d", argv[1], n);
		setenv("GODEBUG", setting, 1);
		launch(&r, argv[0], "again", RLIM_INFINITY);
		bool said =
		    strstr(r.err, "fatal error: ") != NULL || strstr(r.err, "rt0: ") != NULL;
		if (r.status != 0 && !(r.status == 2 && said)) {
			printf("%s: status %d\n%s", setting, r.status, r.err);
			exit(1);
		}
	}
	puts("works or says why not");
	exit(0);
}
