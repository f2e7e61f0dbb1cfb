// SPDX-License-Identifier: BSD-3-Clause
// deadlock_counters.c: a timer that is set and a goroutine in the poller each keep a deadlock from being
// reported, until they are gone.

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../src/runtime.h"

// Runs on the thread that sleeps, as the poller's last goroutine would end.
static void
gone(int sig)
{
	(void)sig;
	(void)!write(1, "alive\n", 6);
	runtime_lock(&sched.lock);
	sched.npollwait = 0;
	runtime_checkdead();
	runtime_unlock(&sched.lock);
}

static void
late(void *arg)
{
	(void)arg;
	(void)!write(1, "alive\n", 6);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "timers") == 0) {
		rt0_timer_stop(rt0_after_func(RT0_HOUR, late, NULL)); // stopped: no reason to wait
		rt0_after_func(50 * RT0_MILLISECOND, late, NULL);
		rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	}
	runtime_netpollinit();
	sched.npollwait = 1;
	struct sigaction sa = {.sa_handler = gone, .sa_flags = SA_ONSTACK};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {.it_value = {0, 50000}};
	setitimer(ITIMER_REAL, &it, NULL);
	rt0_chan_recv(rt0_chan_make(0, 0), NULL);
	return 0;
}
