// SPDX-License-Identifier: BSD-3-Clause
// signal_library.c: in library mode all signals are the host's, but for those that notify asks for,
// and those only as long.

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../harness/check.h"
#include "rt0.h"

static int hosts;

static void
handler(int sig)
{
	hosts = sig;
}

static void
nothing(void *arg)
{
	(void)arg;
}

static int
changed(struct sigaction *sa)
{
	int n = 0;
	for (int i = 1; i < 65; i++) {
		struct sigaction now;
		if (sigaction(i, NULL, &now) == 0 && now.sa_handler != sa[i].sa_handler)
			n = n * 100 + i;
	}
	return n;
}

int
main(void)
{
	struct sigaction before[65];
	memset(before, 0, sizeof before);
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	for (int i = 1; i < 65; i++)
		sigaction(i, NULL, &before[i]);
	for (int round = 0; round < 3; round++) {
		int s = 0;
		CHECK(rt0_start(0, NULL) == 0);
		rt0_go(nothing, NULL);
		CHECK(changed(before) == 0);
		raise(SIGUSR1);
		CHECK(hosts == SIGUSR1);
		hosts = 0;
		rt0_chan *c = rt0_chan_make(sizeof s, 4);
		CHECK(RT0_NOTIFY(c, SIGSEGV) == -EINVAL); // faults are not to be had
		CHECK(RT0_NOTIFY(c, SIGUSR1) == 0);
		CHECK(changed(before) == SIGUSR1);
		raise(SIGUSR1);
		CHECK(rt0_chan_recv(c, &s) && s == SIGUSR1 && hosts == 0);
		CHECK(rt0_stop() == -EBUSY);
		CHECK(RT0_NOTIFY(c, SIGUSR2, SIGTERM) == 0);
		raise(SIGTERM);
		CHECK(rt0_chan_recv(c, &s) && s == SIGTERM);
		CHECK(RT0_RESET(SIGUSR1, SIGTERM) == 0);
		CHECK(changed(before) == SIGUSR2);
		raise(SIGUSR1);
		CHECK(hosts == SIGUSR1);
		hosts = 0;
		CHECK(rt0_signal_stop(c) == 0);
		CHECK(changed(before) == 0);
		rt0_chan_free(c);
		int err;
		while ((err = rt0_stop()) == -EBUSY)
			usleep(100);
		CHECK(err == 0);
	}
	CHECK(changed(before) == 0);
	CHECK(rt0_signal_reset(NULL, 0) == -ENOTCONN);
	puts("the host's");
	return 0;
}
