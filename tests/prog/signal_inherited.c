// SPDX-License-Identifier: BSD-3-Clause
// signal_inherited.c: what the program finds at start. It starts itself again with some signals
// ignored and some blocked: the first stay ignored, the second blocked, until somebody asks for
// them.

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../harness/check.h"
#include "../harness/launch.h"
#include "rt0.h"

static bool
blocked(int sig)
{
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, sig) == 1;
}

static int looked;

static void
elsewhere(void *arg)
{
	(void)arg;
	CHECK(blocked(SIGUSR1) && blocked(SIGUSR2));
	CHECK(!blocked(SIGSEGV) && !blocked(SIGURG));
	__atomic_store_n(&looked, 1, __ATOMIC_SEQ_CST);
}

static int
again(void)
{
	int s;
	rt0_chan *c = rt0_chan_make(sizeof s, 1);
	CHECK(blocked(SIGUSR1) && blocked(SIGUSR2));
	CHECK(!blocked(SIGSEGV) && !blocked(SIGURG)); // a fault, and what the runtime needs
	rt0_go(elsewhere, NULL);
	while (!__atomic_load_n(&looked, __ATOMIC_SEQ_CST))
		rt0_gosched();

	CHECK(rt0_signal_ignored(SIGHUP) && rt0_signal_ignored(SIGINT) &&
	    rt0_signal_ignored(SIGPIPE));
	kill(getpid(), SIGHUP);
	kill(getpid(), SIGINT);
	CHECK(RT0_NOTIFY(c, SIGHUP) == 0);
	kill(getpid(), SIGHUP);
	CHECK(rt0_chan_recv(c, &s) && s == SIGHUP);
	rt0_signal_stop(c);
	CHECK(rt0_signal_ignored(SIGHUP));
	kill(getpid(), SIGHUP); // nohup still holds

	// Blocked on every thread there is: the receiver's takes it.
	CHECK(RT0_NOTIFY(c, SIGUSR1) == 0);
	kill(getpid(), SIGUSR1);
	CHECK(rt0_chan_recv(c, &s) && s == SIGUSR1);
	CHECK(blocked(SIGUSR1));
	rt0_signal_stop(c);
	kill(getpid(), SIGUSR2);
	sigset_t pending;
	sigpending(&pending);
	CHECK(sigismember(&pending, SIGUSR2) == 1);
	rt0_printf("as inherited\n");
	return 0;
}

int
main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return again();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	char *args[] = {"signal_inherited", "again", NULL};
	launch_self(args, environ);
	return 1;
}
