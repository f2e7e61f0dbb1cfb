// SPDX-License-Identifier: BSD-3-Clause
// test_callback.c: what a foreign thread finds after a call as it was before, calls in calls,
// threads that end inside, and crowds of threads.

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../../src/runtime.h"
#include "apiutil.h"

static void
nothing(void *arg)
{
	(void)arg;
}

static void
in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
	CHECK_EQ(RT0_BLOCKING(pthread_join(t, NULL)), 0);
}

// ---- what is the thread's stays the thread's ----

static bool
same_mask(const sigset_t *a, const sigset_t *b)
{
	for (int s = 1; s < 65; s++)
		if (sigismember(a, s) != sigismember(b, s))
			return false;
	return true;
}

static void
faults_are_unblocked(void *arg)
{
	sigset_t now;
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	CHECK(!sigismember(&now, SIGSEGV));
	CHECK(!sigismember(&now, SIGURG));
	CHECK_EQ(sigismember(&now, SIGUSR1), (long)arg);
}

static void *
masks(void *arg)
{
	(void)arg;
	sigset_t set, now;
	sigfillset(&set);
	sigdelset(&set, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &set); // without those that the libc keeps
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(rt0_run(faults_are_unblocked, (void *)1), 0);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		CHECK(same_mask(&set, &now));
	}
	return NULL;
}

static void *
no_masks(void *arg)
{
	(void)arg;
	sigset_t set, now;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(rt0_run(faults_are_unblocked, (void *)0), 0);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		CHECK(same_mask(&set, &now));
	}
	return NULL;
}

TEST(callback_leaves_the_signal_mask)
{
	in_thread(masks, NULL);
	in_thread(no_masks, NULL);
}

static void
on_other_stack(void *arg)
{
	stack_t now;
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK(now.ss_sp != arg && !(now.ss_flags & SS_DISABLE));
}

static void *
altstacks(void *arg)
{
	stack_t before, now, own = {.ss_sp = arg, .ss_size = 64 << 10};
	CHECK_EQ(sigaltstack(arg == NULL ? NULL : &own, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &before), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(rt0_run(on_other_stack, arg), 0);
		CHECK_EQ(sigaltstack(NULL, &now), 0);
		CHECK_EQ(now.ss_sp, before.ss_sp);
		CHECK_EQ(now.ss_size, before.ss_size);
		CHECK_EQ(now.ss_flags, before.ss_flags);
	}
	if (arg != NULL) {
		own.ss_flags = SS_DISABLE;
		CHECK_EQ(sigaltstack(&own, NULL), 0);
	}
	return NULL;
}

TEST(callback_leaves_the_signal_stack)
{
	static char stack[64 << 10];
	in_thread(altstacks, NULL);
	if (!SANITIZED) // has one of its own, and frees what it finds
		in_thread(altstacks, stack);
}

static void
changes_all(void *arg)
{
	(void)arg;
	errno = 4711; // the thread is the same: so is errno
	fesetround(FE_UPWARD);
	rt0_go(nothing, NULL);
	rt0_gosched();
}

static __thread int local;
static pthread_key_t key;

static void *
modes(void *arg)
{
	local = 5;
	pthread_setspecific(key, &local);
	for (int i = 0; i < 100; i++) {
		errno = 42;
		fesetround(FE_DOWNWARD);
		int v = i;
		rt0_chan_send(arg, &v);
		CHECK_EQ(errno, 42);
		CHECK_EQ(fegetround(), FE_DOWNWARD);
		CHECK_EQ(rt0_run(changes_all, NULL), 0);
		CHECK_EQ(errno, 4711);
		CHECK_EQ(fegetround(), FE_DOWNWARD);
		CHECK_EQ(local, 5);
		CHECK_EQ(pthread_getspecific(key), &local);
	}
	rt0_chan_close(arg);
	return NULL;
}

TEST(callback_leaves_errno_modes_and_locals)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 0);
	pthread_t t;
	int v;
	pthread_key_create(&key, NULL);
	CHECK_EQ(pthread_create(&t, NULL, modes, c), 0);
	RT0_RANGE (c, v)
		rt0_gosched();
	CHECK_EQ(RT0_BLOCKING(pthread_join(t, NULL)), 0);
}

// ---- calls in calls ----

static int
lib_call(int (*fn)(void *), void *arg) // a C library that calls back
{
	return fn(arg);
}

static int depth_reached;

static void nest(void *arg);

static int
nest_c(void *arg)
{
	return rt0_run(nest, arg);
}

static void
nest(void *arg)
{
	long n = (long)arg;
	uint64_t goid = getg()->goid;
	set(&depth_reached, (int)n);
	rt0_gosched();
	if (n < 50)
		CHECK_EQ(lib_call(nest_c, (void *)(n + 1)), 0);
	CHECK_EQ(getg()->goid, goid); // the goroutine of the first call is that of all
}

static void *
nests(void *arg)
{
	CHECK_EQ(nest_c(arg), 0);
	CHECK(getg() == NULL);
	return NULL;
}

TEST(callback_nests)
{
	in_thread(nests, (void *)1);
	CHECK_EQ(depth_reached, 50);
	CHECK_EQ(nest_c((void *)40), 0); // from a goroutine
}

// A goroutine calls a C library, which makes a thread, which calls back, and so on.
static void library_with_thread(void *arg);

static void *
calls_back(void *arg)
{
	CHECK_EQ(rt0_run(library_with_thread, arg), 0);
	return NULL;
}

static void
library_with_thread(void *arg)
{
	long n = (long)arg;
	if (n > 0)
		in_thread(calls_back, (void *)(n - 1));
	inc(&depth_reached);
}

TEST(callback_of_threads_of_a_library_that_a_goroutine_calls)
{
	for (int procs = 1; procs <= 2; procs++) {
		rt0_gomaxprocs(procs);
		depth_reached = 0;
		library_with_thread((void *)20);
		CHECK_EQ(depth_reached, 21);
	}
}

// ---- threads that end inside a call ----

struct end {
	rt0_chan *c;
	int cleaned, how;
};

static void
cleanup(void *arg)
{
	inc(&((struct end *)arg)->cleaned);
}

static void
exit_in_morestack(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

static void
ends_the_thread(void *arg)
{
	struct end *e = arg;
	pthread_cleanup_push(cleanup, e);
	int v = 1;
	rt0_chan_send(e->c, &v); // waits
	switch (e->how % 4) {
	case 0:
		pthread_exit(NULL);
	case 1:
		pthread_cancel(pthread_self());
		pthread_testcancel();
		break;
	case 2:
		rt0_entersyscall(); // and the p may be gone
		if (e->how % 8 == 2)
			usleep(100);
		pthread_exit(NULL);
	case 3:
		rt0_lock_os_thread();
		rt0_morestack(exit_in_morestack, NULL, 64 << 10);
	}
	CHECK(false);
	pthread_cleanup_pop(0);
}

static void *
end_thread(void *arg)
{
	rt0_run(ends_the_thread, arg);
	return NULL;
}

TEST(callback_may_end_its_thread)
{
	if (SANITIZED)
		SKIP("a sanitizer refuses pthread_exit on a fiber");
	for (int procs = 1; procs <= 2; procs++) {
		rt0_gomaxprocs(procs);
		struct end e = {.c = rt0_chan_make(sizeof(int), 0)};
		int extras = 0;
		for (e.how = 0; e.how < 400; e.how++) {
			pthread_t t;
			CHECK_EQ(pthread_create(&t, NULL, end_thread, &e), 0);
			CHECK(rt0_chan_recv(e.c, NULL));
			CHECK_EQ(RT0_BLOCKING(pthread_join(t, NULL)), 0);
			if (e.how == 10)
				extras = atomic_loadrlx(&sched.nmextra);
		}
		CHECK_EQ(e.cleaned, 400);
		CHECK_EQ(atomic_loadrlx(&sched.nmextra), extras); // each m came back
		CHECK_EQ(atomic_loadrlx(&sched.nextrain), 0);
		CHECK_EQ(rt0_num_goroutine(), 1);
	}
}

// ---- many ----

enum { CROWD = SANITIZED ? 100 : 1000 };

struct crowd {
	rt0_waitgroup in, done;
	rt0_mutex m;
	rt0_chan *gate;
	int64_t sum;
};

static void
meets(void *arg)
{
	struct crowd *w = arg;
	rt0_waitgroup_done(&w->in);
	rt0_chan_recv(w->gate, NULL); // all of them are inside at once
	rt0_mutex_lock(&w->m);
	w->sum++;
	rt0_mutex_unlock(&w->m);
}

static void *
one_of_many(void *arg)
{
	struct crowd *w = arg;
	rt0_run(meets, w);
	for (int i = 0; i < 3; i++) {
		rt0_mutex_lock(&w->m); // directly from the thread
		w->sum++;
		rt0_mutex_unlock(&w->m);
	}
	rt0_waitgroup_done(&w->done);
	return NULL;
}

TEST_T(callback_from_a_thousand_threads_at_once, 30000)
{
	static pthread_t t[CROWD];
	struct crowd w = {.gate = rt0_chan_make(0, 0)};
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	rt0_waitgroup_add(&w.in, CROWD);
	rt0_waitgroup_add(&w.done, CROWD);
	for (int i = 0; i < CROWD; i++)
		if (pthread_create(&t[i], &attr, one_of_many, &w) != 0)
			SKIP("too few threads to be had");
	rt0_waitgroup_wait(&w.in);
	CHECK_EQ(atomic_loadrlx(&sched.nextrain), CROWD);
	rt0_chan_close(w.gate);
	rt0_waitgroup_wait(&w.done);
	CHECK_EQ(w.sum, 4 * CROWD);
	for (int i = 0; i < CROWD; i++)
		CHECK_EQ(RT0_BLOCKING(pthread_join(t[i], NULL)), 0);
	CHECK_EQ(rt0_num_goroutine(), 1);
	CHECK(atomic_loadrlx(&sched.nmextra) <= CROWD);
}

// The m of a thread stays with it from call to call, and is the next thread's when it has ended.
static void
which_m(void *arg)
{
	*(struct m **)arg = getg()->m;
}

static void *
calls_twice(void *arg)
{
	struct m **mp = arg;
	rt0_run(which_m, &mp[0]);
	CHECK(getg() == NULL);
	rt0_run(which_m, &mp[1]);
	return NULL;
}

TEST(callback_keeps_the_m_until_the_thread_ends)
{
	struct m *mp[4];
	in_thread(calls_twice, mp);
	in_thread(calls_twice, mp + 2);
	CHECK(mp[0] == mp[1] && mp[2] == mp[3]);
	CHECK(mp[0] == mp[2]);
}
