// SPDX-License-Identifier: BSD-3-Clause
// signal_notify.c: two signals to a channel; after Reset the second kills. "deadlock": who waits
// for a signal is not in a deadlock, who waits when none is wanted any more is.

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rt0.h"

int
main(int argc, char **argv)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 1);
	int s;
	RT0_NOTIFY(c, SIGUSR1, SIGINT);
	kill(getpid(), SIGUSR1);
	rt0_chan_recv(c, &s);
	rt0_printf("%d\n", s);
	kill(getpid(), SIGINT);
	rt0_chan_recv(c, &s);
	rt0_printf("%d\n", s);
	if (argc > 1 && strcmp(argv[1], "deadlock") == 0) {
		RT0_NOTIFY(c, SIGALRM);
		alarm(1);
		rt0_chan_recv(c, &s); // all else sleeps meanwhile
		rt0_printf("%d\n", s);
		rt0_signal_stop(c);
		rt0_chan_recv(c, &s);
	}
	RT0_RESET(SIGINT);
	kill(getpid(), SIGINT);
	rt0_chan_recv(NULL, NULL);
	return 0;
}
