// SPDX-License-Identifier: BSD-3-Clause
// signal_chain.c: handlers that were there before the runtime: what is not about a goroutine goes
// to them, as the kernel would have called them.

#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../harness/check.h"
#include "rt0.h"

static sigjmp_buf back;
static void *volatile bad;
static int segv, fpe, usr2, urg;

static bool
blocked(int sig)
{
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, sig) == 1;
}

static void
onsegv(int sig, siginfo_t *info, void *ctx)
{
	segv++;
	CHECK(sig == SIGSEGV && info->si_addr == bad && ctx != NULL);
	// Its own mask, and itself; nothing more.
	CHECK(blocked(SIGUSR1) && blocked(SIGSEGV));
	CHECK(!blocked(SIGTERM) && !blocked(SIGUSR2));
	siglongjmp(back, 1);
}

static void
onfpe(int sig)
{
	fpe++;
	CHECK(sig == SIGFPE && !blocked(SIGFPE)); // SA_NODEFER
	siglongjmp(back, 1);
}

static void
onusr2(int sig)
{
	CHECK(sig == SIGUSR2);
	usr2++;
}

static void
onurg(int sig)
{
	CHECK(sig == SIGURG);
	urg++;
}

__attribute__((constructor)) static void
before(void)
{
	struct sigaction sa = {.sa_sigaction = onsegv, .sa_flags = SA_SIGINFO};
	sigaddset(&sa.sa_mask, SIGUSR1);
	sigaction(SIGSEGV, &sa, NULL);
	sa = (struct sigaction){.sa_handler = onfpe, .sa_flags = SA_NODEFER};
	sigaction(SIGFPE, &sa, NULL);
	signal(SIGUSR2, onusr2);
	signal(SIGURG, onurg);
}

static void *
foreign(void *arg)
{
	volatile int zero = 0, n = 1;
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)bad = 1;
	if (sigsetjmp(back, 1) == 0)
		n = n / zero;
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)bad = 1;
	return arg;
}

static void
nothing(void *arg)
{
	(void)arg;
}

int
main(void)
{
	pthread_t t;
	bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	rt0_go(nothing, NULL);
	CHECK(pthread_create(&t, NULL, foreign, NULL) == 0);
	RT0_BLOCKING(pthread_join(t, NULL));
	CHECK(segv == 2 && fpe == 1);
	rt0_lock_os_thread();
	raise(SIGUSR2);
	CHECK(usr2 == 1);
	// Not one of the runtime's, which sends them to a thread.
	union sigval v = {0};
	sigqueue(getpid(), SIGURG, v);
	while (__atomic_load_n(&urg, __ATOMIC_SEQ_CST) == 0)
		rt0_gosched();
	rt0_printf("chained\n");
	// And a goroutine's fault is rt0's.
	*(volatile int *)NULL = 1;
	return 0;
}
