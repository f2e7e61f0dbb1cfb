// SPDX-License-Identifier: BSD-3-Clause
// test_foreign.c: threads that rt0 did not create call in: they spawn, send, receive, lock, wait,
// end, and come again, many at a time.

#include <pthread.h>
#include <stdlib.h>

#include "../../src/runtime.h"
#include "apiutil.h"
#include "proc.h"

enum { THREADS = 8, EACH = 500 };

struct foreign {
	rt0_waitgroup wg;
	rt0_mutex m;
	rt0_once once;
	rt0_chan *c, *c2;
	int n, flag;
	int64_t plain; // under m
};

static void
start(pthread_t *t, int n, void *(*fn)(void *), void *arg)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fn, arg), 0);
}

static void
join(pthread_t *t, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(RT0_BLOCKING(pthread_join(t[i], NULL)), 0);
}

static void
count(void *arg)
{
	struct foreign *f = arg;
	inc(&f->n);
	rt0_waitgroup_done(&f->wg);
}

static void *
spawner(void *arg)
{
	for (int i = 0; i < EACH; i++)
		rt0_go(count, arg);
	return NULL;
}

TEST(foreign_threads_start_goroutines)
{
	struct foreign f = {0};
	pthread_t t[THREADS];
	rt0_waitgroup_add(&f.wg, THREADS * EACH);
	start(t, THREADS, spawner, &f);
	join(t, THREADS);
	rt0_waitgroup_wait(&f.wg);
	CHECK_EQ(f.n, THREADS * EACH);
}

static void *
sender(void *arg)
{
	struct foreign *f = arg;
	for (int i = 1; i <= EACH; i++)
		rt0_chan_send(f->c, &i);
	return NULL;
}

// Goroutine 1 waits on the channel only; what ends the wait comes from threads: no deadlock.
TEST(foreign_threads_send_to_goroutines)
{
	for (int cap = 0; cap < 3; cap++) {
		struct foreign f = {.c = rt0_chan_make(sizeof(int), cap)};
		pthread_t t[THREADS];
		start(t, THREADS, sender, &f);
		int64_t sum = 0;
		for (int i = 0; i < THREADS * EACH; i++) {
			int v;
			CHECK(rt0_chan_recv(f.c, &v));
			sum += v;
		}
		CHECK_EQ(sum, (int64_t)THREADS * EACH * (EACH + 1) / 2);
		join(t, THREADS);
	}
}

static void *
receiver(void *arg)
{
	struct foreign *f = arg;
	int v;
	RT0_RANGE (f->c, v) {
		rt0_mutex_lock(&f->m);
		f->plain += v;
		rt0_mutex_unlock(&f->m);
	}
	rt0_waitgroup_done(&f->wg);
	return NULL;
}

TEST(foreign_threads_receive_until_close)
{
	for (int cap = 0; cap < 3; cap++) {
		struct foreign f = {.c = rt0_chan_make(sizeof(int), cap)};
		pthread_t t[THREADS];
		rt0_waitgroup_add(&f.wg, THREADS);
		start(t, THREADS, receiver, &f);
		for (int i = 1; i <= 2000; i++)
			rt0_chan_send(f.c, &i);
		rt0_chan_close(f.c);
		rt0_waitgroup_wait(&f.wg);
		CHECK_EQ(f.plain, 2000 * 2001 / 2);
		join(t, THREADS);
	}
}

static void *
thread_sends_all(void *arg)
{
	sender(arg);
	rt0_chan_close(((struct foreign *)arg)->c);
	return NULL;
}

static void *
thread_receives_all(void *arg)
{
	struct foreign *f = arg;
	int v, want = 1;
	RT0_RANGE (f->c, v)
		CHECK_EQ(v, want++);
	CHECK_EQ(want, EACH + 1);
	return NULL;
}

TEST(foreign_threads_talk_to_each_other)
{
	for (int cap = 0; cap < 3; cap++) {
		struct foreign f = {.c = rt0_chan_make(sizeof(int), cap)};
		pthread_t t[2];
		start(t, 1, thread_sends_all, &f);
		start(t + 1, 1, thread_receives_all, &f);
		join(t, 2);
	}
}

static void *
ping(void *arg)
{
	struct foreign *f = arg;
	for (int i = 0; i < EACH; i++) {
		int v;
		rt0_chan_send(f->c, &i);
		CHECK(rt0_chan_recv(f->c2, &v));
		CHECK_EQ(v, -i);
	}
	rt0_chan_close(f->c);
	return NULL;
}

TEST(foreign_thread_ping_pongs_with_a_goroutine)
{
	for (int procs = 1; procs <= 3; procs++) {
		rt0_gomaxprocs(procs);
		struct foreign f = {.c = rt0_chan_make(4, 0), .c2 = rt0_chan_make(4, 0)};
		pthread_t t;
		start(&t, 1, ping, &f);
		int v;
		RT0_RANGE (f.c, v) {
			v = -v;
			rt0_chan_send(f.c2, &v);
		}
		join(&t, 1);
	}
}

static void
once_body(void *arg)
{
	struct foreign *f = arg;
	rt0_gosched();
	f->plain = 1;
	inc(&f->flag);
}

static void
lock_count(struct foreign *f)
{
	rt0_once_do(&f->once, once_body, f);
	for (int i = 0; i < EACH; i++) {
		rt0_mutex_lock(&f->m);
		f->plain++;
		rt0_mutex_unlock(&f->m);
	}
	rt0_waitgroup_done(&f->wg);
}

static void *
thread_locks(void *arg)
{
	lock_count(arg);
	return NULL;
}

static void
goroutine_locks(void *arg)
{
	lock_count(arg);
}

TEST(foreign_threads_share_mutex_waitgroup_once)
{
	rt0_gomaxprocs(3);
	struct foreign f = {0};
	pthread_t t[THREADS];
	rt0_waitgroup_add(&f.wg, 2 * THREADS);
	start(t, THREADS, thread_locks, &f);
	for (int i = 0; i < THREADS; i++)
		rt0_go(goroutine_locks, &f);
	rt0_waitgroup_wait(&f.wg);
	CHECK_EQ(f.flag, 1);
	CHECK_EQ(f.plain, 1 + 2 * THREADS * EACH);
	join(t, THREADS);
}

static void *
thread_waits(void *arg)
{
	struct foreign *f = arg;
	rt0_waitgroup_wait(&f->wg);
	CHECK_EQ(get(&f->flag), 1);
	inc(&f->n);
	return NULL;
}

TEST(foreign_threads_wait_on_a_waitgroup)
{
	struct foreign f = {0};
	pthread_t t[THREADS];
	rt0_waitgroup_add(&f.wg, 1);
	start(t, THREADS, thread_waits, &f);
	yield(50);
	CHECK_EQ(get(&f.n), 0);
	set(&f.flag, 1);
	rt0_waitgroup_done(&f.wg);
	join(t, THREADS);
	CHECK_EQ(f.n, THREADS);
}

static void
add_one(void *arg)
{
	struct foreign *f = arg;
	CHECK(rt0_num_goroutine() >= 1);
	inc(&f->n);
}

static void *
runs_functions(void *arg)
{
	struct foreign *f = arg;
	for (int i = 0; i < 100; i++) {
		int before = get(&f->n);
		CHECK_EQ(rt0_run(add_one, f), 0);
		CHECK(get(&f->n) > before); // it has run when rt0_run is back
	}
	return NULL;
}

TEST(foreign_threads_run_functions_as_goroutines)
{
	struct foreign f = {0};
	pthread_t t[THREADS];
	start(t, THREADS, runs_functions, &f);
	join(t, THREADS);
	CHECK_EQ(f.n, THREADS * 100);
	CHECK_EQ(rt0_run(add_one, &f), 0); // on a goroutine it just calls
	CHECK_EQ(f.n, THREADS * 100 + 1);
}

// Try forms, gosched, and the pair around system calls are allowed anywhere.
static void *
harmless(void *arg)
{
	struct foreign *f = arg;
	rt0_gosched();
	blocking_sleep(10);
	CHECK_EQ(rt0_chan_try_recv(f->c, NULL), -EAGAIN);
	CHECK_EQ(rt0_chan_try_send(f->c2, "x"), -EAGAIN);
	CHECK(rt0_mutex_trylock(&f->m));
	rt0_mutex_unlock(&f->m);
	CHECK(rt0_gomaxprocs(0) >= 1);
	void *p = rt0_alloc(100, 0);
	CHECK(p != NULL);
	rt0_free(p);
	return NULL;
}

TEST(foreign_threads_may_make_the_calls_that_never_wait)
{
	struct foreign f = {.c = rt0_chan_make(4, 2), .c2 = rt0_chan_make(1, 0)};
	pthread_t t;
	start(&t, 1, harmless, &f);
	join(&t, 1);
}

// Threads come and go: what a call in took is given back when the thread ends.
static void *
visitor(void *arg)
{
	struct foreign *f = arg;
	int v = 1;
	rt0_chan_send(f->c, &v);
	rt0_mutex_lock(&f->m);
	f->plain++;
	rt0_mutex_unlock(&f->m);
	rt0_go(count, f);
	return NULL;
}

TEST_T(foreign_threads_come_and_go, 60000)
{
	enum { ROUNDS = SANITIZED ? 20 : 100, N = 16 };
	struct foreign f = {.c = rt0_chan_make(sizeof(int), N)};
	int early = 0;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t t[N];
		rt0_waitgroup_add(&f.wg, N);
		start(t, N, visitor, &f);
		join(t, N);
		rt0_waitgroup_wait(&f.wg);
		for (int i = 0; i < N; i++)
			CHECK(rt0_chan_recv(f.c, NULL));
		if (round == 9)
			early = proc_threads();
	}
	CHECK_EQ(f.plain, ROUNDS * N);
	CHECK_EQ(f.n, ROUNDS * N);
	while (rt0_num_goroutine() != 1)
		rt0_gosched();
	// 1,600 threads were here; the runtime keeps no thread for each.
	CHECK(proc_threads() <= early + 2 * N);
}

// A thread that has called in ends with pthread_exit and with a destructor that calls in again.
static pthread_key_t key;

static void
call_again(void *arg)
{
	struct foreign *f = arg;
	int v = 2;
	rt0_chan_send(f->c, &v);
}

static void *
exits(void *arg)
{
	struct foreign *f = arg;
	int v = 1;
	pthread_setspecific(key, arg);
	rt0_chan_send(f->c, &v);
	pthread_exit(NULL);
}

TEST(foreign_threads_call_in_from_destructors)
{
	CHECK_EQ(pthread_key_create(&key, call_again), 0);
	struct foreign f = {.c = rt0_chan_make(sizeof(int), 0)};
	pthread_t t[THREADS];
	start(t, THREADS, exits, &f);
	int sum = 0;
	for (int i = 0; i < 2 * THREADS; i++) {
		int v;
		CHECK(rt0_chan_recv(f.c, &v));
		sum += v;
	}
	CHECK_EQ(sum, 3 * THREADS);
	join(t, THREADS);
}

// More threads wait inside rt0 than there are processors, some of them for each other.
TEST(foreign_threads_more_than_processors_block)
{
	enum { N = 50 };
	rt0_gomaxprocs(1);
	struct foreign f = {.c = rt0_chan_make(sizeof(int), 0)};
	pthread_t t[N];
	rt0_waitgroup_add(&f.wg, N);
	start(t, N, receiver, &f);
	for (int i = 0; i < N; i++)
		rt0_chan_send(f.c, &(int){1});
	rt0_chan_close(f.c);
	rt0_waitgroup_wait(&f.wg);
	CHECK_EQ(f.plain, N);
	join(t, N);
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
ends_itself(void *arg)
{
	inc(&((struct foreign *)arg)->n);
	rt0_goexit();
}

static void *
calls_in_often(void *arg)
{
	for (int i = 0; i < 5000; i++)
		CHECK_EQ(rt0_run(i % 2 == 0 ? nothing : ends_itself, arg), 0);
	return NULL;
}

// The goroutine of a call is kept for the next one, however it ended: calls cost no stacks.
TEST(foreign_threads_leave_no_goroutines_behind)
{
	struct foreign f = {0};
	pthread_t t[2];
	start(t, 2, calls_in_often, &f);
	join(t, 2);
	int64_t before = runtime_allgcount();
	start(t, 2, calls_in_often, &f);
	join(t, 2);
	CHECK_EQ(f.n, 2 * 2 * 2500);
	CHECK(runtime_allgcount() <= before + 2);
	CHECK_EQ(rt0_num_goroutine(), 1);
}

// ---- the thread of a call stays its own ----

static void
lock_unlock_then_wait(void *arg)
{
	struct foreign *f = arg;
	int tid = gettid_();
	int64_t v = 0;
	rt0_lock_os_thread();
	rt0_unlock_os_thread();
	for (int i = 0; i < 500; i++) {
		rt0_chan_send(f->c, &v);
		rt0_chan_recv(f->c2, &v);
		CHECK_EQ(gettid_(), tid);
	}
}

static void *
lock_unlock_thread(void *arg)
{
	CHECK_EQ(rt0_run(lock_unlock_then_wait, arg), 0);
	return NULL;
}

static void
echo_until_close(void *arg)
{
	struct foreign *f = arg;
	int64_t v;
	while (rt0_chan_recv(f->c, &v))
		rt0_chan_send(f->c2, &v);
}

TEST(foreign_call_that_locks_and_unlocks_keeps_its_thread)
{
	rt0_gomaxprocs(3);
	struct foreign f = {.c = rt0_chan_make(8, 0), .c2 = rt0_chan_make(8, 0)};
	pthread_t t[2];
	rt0_go(echo_until_close, &f);
	start(t, 2, lock_unlock_thread, &f);
	join(t, 2);
	rt0_chan_close(f.c);
}
