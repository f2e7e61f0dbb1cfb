// SPDX-License-Identifier: BSD-3-Clause
// dlopen.c: librt0.so inside a plain C program that was not linked with it (HOST compiles that one;
// the test itself only becomes it): opened by dlopen, needed by a plugin, or preloaded. A hundred
// starts and stops with threads of the host that stay; nothing is left behind; signals stay the
// host's.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HOST
#include "../harness/check.h"
#include "../harness/proc.h"

enum { ROUNDS = 100, THREADS = 4, SIGNALS = 64 };

static int (*start)(int, char **), (*run)(void (*)(void *), void *), (*stop)(void);
static void (*go)(void (*)(void *), void *);
static int (*numgoroutine)(void);
static pthread_barrier_t barrier;
static int calls, over;
static __thread int local = 17; // of the host, beside the runtime's

static void
count(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void
starts_some(void *arg)
{
	for (int i = 0; i < 5; i++)
		go(count, arg);
	count(arg);
}

// A thread of the host, made before the library is opened: it calls in at each round, and its m
// stays bound to it while the runtime is stopped.
static void *
member(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (over)
			return arg;
		for (int i = 0; i < 10; i++)
			CHECK(run(starts_some, NULL) == 0);
		CHECK(local == 17);
		pthread_barrier_wait(&barrier);
	}
}

static int
maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[8192];
	int n = 0;
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		n++;
	if (f != NULL)
		fclose(f);
	return n;
}

static void
nap(void)
{
	nanosleep(&(struct timespec){0, 200000}, NULL);
}

// settle waits until n threads are left: who has been told to end takes a moment to leave the list.
static void
settle(int n)
{
	for (int i = 0; proc_threads() > n; i++) {
		CHECK(i < 20000);
		nap();
	}
}

// ---- signals ----

static sigjmp_buf landing;
static int handled[SIGNALS + 1];
static pthread_t mainthread;

static void
handler(int sig)
{
	// Never on a thread of the runtime: those block everything.
	CHECK(pthread_equal(pthread_self(), mainthread));
	handled[sig]++;
	if (sig == SIGSEGV)
		siglongjmp(landing, 1);
}

static void
own_signal(int sig)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_NODEFER};
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void
remember(struct sigaction *all)
{
	for (int s = 1; s <= SIGNALS; s++)
		sigaction(s, NULL, &all[s]);
}

static void
compare(const struct sigaction *all)
{
	struct sigaction now;
	for (int s = 1; s <= SIGNALS; s++)
		CHECK(sigaction(s, NULL, &now) != 0 ||
		    (now.sa_handler == all[s].sa_handler && now.sa_flags == all[s].sa_flags));
}

static void
signals_are_ours(void)
{
	int *volatile null = (int *)8;
	int before = handled[SIGSEGV];
	if (sigsetjmp(landing, 1) == 0)
		*null = 1;
	CHECK(handled[SIGSEGV] == before + 1);
	static const int sigs[] = {SIGURG, SIGUSR1, SIGTERM};
	for (int i = 0; i < 3; i++) {
		before = handled[sigs[i]];
		kill(getpid(), sigs[i]);
		CHECK(
		    handled[sigs[i]] == before + 1); // this thread is the only one that may have it
	}
}

static void
one_round(struct sigaction *all)
{
	CHECK(start(0, NULL) == 0);
	compare(all);
	signals_are_ours();
	CHECK(run(starts_some, NULL) == 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	own_signal(SIGTERM); // a handler that is installed while the runtime runs
	signals_are_ours();
	compare(all);
	int err;
	while ((err = stop()) == -EBUSY)
		nap();
	CHECK(err == 0);
	CHECK(run(count, NULL) == -ENOTCONN);
	settle(1 + THREADS + EXTRATHREADS);
}

int
main(int argc, char **argv)
{
	pthread_t t[THREADS];
	struct sigaction all[SIGNALS + 1];
	sigset_t blocked, none;
	CHECK(argc == 2);
	mainthread = pthread_self();
	own_signal(SIGSEGV);
	own_signal(SIGURG);
	own_signal(SIGTERM);
	own_signal(SIGUSR1);
	remember(all);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	// Signals to the process are for the main thread.
	sigfillset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &none);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, member, NULL) == 0);
	pthread_sigmask(SIG_SETMASK, &none, NULL);

	void *h = strcmp(argv[1], "-") == 0 ? RTLD_DEFAULT : dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (strcmp(argv[1], "-") != 0 && h == NULL) {
		puts(dlerror());
		return 1;
	}
	*(void **)&start = dlsym(h, "rt0_start");
	*(void **)&run = dlsym(h, "rt0_run");
	*(void **)&go = dlsym(h, "rt0_go");
	*(void **)&stop = dlsym(h, "rt0_stop");
	*(void **)&numgoroutine = dlsym(h, "rt0_num_goroutine");
	CHECK(start && run && go && stop && numgoroutine);

	int files = 0, mappings = 0;
	for (int i = 0; i < ROUNDS; i++) {
		one_round(all);
		if (i == 9) {
			files = proc_entries("/proc/self/fd");
			mappings = maps();
		}
	}
	CHECK(calls == ROUNDS * (THREADS * 10 + 1) * 6);
	CHECK(proc_entries("/proc/self/fd") == files);
	// What is kept for more threads at one time than before grows by steps; a leak, with each
	// round.
#ifdef SANITIZED
	mappings += 10000; // shadow memory
#endif
	CHECK(maps() <= mappings + 40);
	if (h != RTLD_DEFAULT)
		CHECK(dlclose(h) == 0);
	// The threads end, with destructors of the runtime, after it has been closed.
	over = 1;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	puts("100 rounds");
	return 0;
}

#elif defined PLUGIN

// Needs librt0.so; the symbols of that are found through it.
int plugin(void (*fn)(void *), void *arg);
int rt0_run(void (*fn)(void *), void *arg);

int
plugin(void (*fn)(void *), void *arg)
{
	return rt0_run(fn, arg);
}

#else

int
main(int argc, char **argv)
{
	char host[4096], lib[4200];
	snprintf(host, sizeof host, "%s.host", argv[0]);
	snprintf(lib, sizeof lib, "%s.so", host);
	char *arg = LIB;
	if (argc > 1 && strcmp(argv[1], "needed") == 0)
		arg = lib;
	if (argc > 1 && strcmp(argv[1], "preload") == 0) {
		setenv("LD_PRELOAD", LIB, 1);
		arg = "-";
	}
	execl(host, host, arg, (char *)NULL);
	perror(host);
	return 1;
}

#endif
