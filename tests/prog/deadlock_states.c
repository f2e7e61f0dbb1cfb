// SPDX-License-Identifier: BSD-3-Clause
// deadlock_states.c: every state that a deadlock can show.

#include "rt0.h"

static rt0_mutex mu;
static rt0_waitgroup wg;
static rt0_chan *c;

static void
receiver(void *arg)
{
	rt0_chan_recv(c, arg);
	rt0_printf("no\n");
}

static void
sender(void *arg)
{
	rt0_chan_send(arg, "x");
	rt0_printf("no\n");
}

static void
nil_receiver(void *arg)
{
	rt0_chan_recv(NULL, arg);
	rt0_printf("no\n");
}

static void
nil_sender(void *arg)
{
	rt0_chan_send(NULL, arg);
	rt0_printf("no\n");
}

static void
locker(void *arg)
{
	(void)arg;
	rt0_mutex_lock(&mu);
	rt0_printf("no\n");
}

int
main(void)
{
	c = rt0_chan_make(0, 0);
	rt0_mutex_lock(&mu);
	rt0_waitgroup_add(&wg, 1);
	rt0_go(receiver, NULL);
	rt0_go(sender, rt0_chan_make(1, 0));
	rt0_go(nil_receiver, NULL);
	rt0_go(nil_sender, NULL);
	rt0_go(locker, NULL);
	rt0_waitgroup_wait(&wg); // here
	return 0;
}
