// SPDX-License-Identifier: BSD-3-Clause
// Children of goroutines in library mode have the mask that rt0_start's caller had then, not that of the runtime's threads.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "rt0.h"
#include "rt0/process.h"

static void
spawn(void *arg)
{
	const char *argv[] = {"cat", "/proc/self/status", NULL};
	rt0_command cmd = {.argv = argv};
	rt0_output res;
	int err = rt0_process_output(&cmd, NULL, 0, 0, &res);
	unsigned long blk = 0, ign = 0, cgt = 0;
	const char *at = err == 0 ? strstr(res.out, "SigBlk:") : NULL;
	if (at != NULL)
		sscanf(at, "SigBlk: %lx SigIgn: %lx SigCgt: %lx", &blk, &ign, &cgt);
	printf("%s: err %d, status %d, blocked %lx, caught %lx\n", (const char *)arg, err, res.status, blk, cgt);
}

static void
go(void *done)
{
	spawn("goroutine");
	rt0_chan_close(done);
}

static void
wait(void *arg)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	(void)arg;
	rt0_go(go, c);
	rt0_chan_recv(c, NULL);
}

int
main(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1); // 10
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	printf("start: %d\n", rt0_start(0, NULL));
	sigaddset(&s, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	rt0_run(wait, NULL);
	spawn("thread");
	int err;
	while ((err = rt0_stop()) == -EBUSY) // the goroutine has closed the channel, and is about to end
		sched_yield();
	printf("stop: %d\n", err);
	return 0;
}
