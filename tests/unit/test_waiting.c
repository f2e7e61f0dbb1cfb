// SPDX-License-Identifier: BSD-3-Clause
// test_waiting.c: somebody always sleeps in netpoll for the timers and descriptors that are waited for, whoever
// had the processors last.
//
// What is lost here never comes: the time limit of the test finds it.

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../../include/rt0/io.h"
#include "apiutil.h"

static void
nothing(void *arg)
{
	(void)arg;
}

static void
flag(void *arg)
{
	set((int *)arg, 1);
}

// ---- the only processor was a foreign thread's ----

static void *
sets_a_timer(void *arg)
{
	int *fired = arg;
	for (int i = 0; i < 5; i++) {
		set(fired, 0);
		usleep(i * 2000); // let all processors go idle, and sysmon with them
		rt0_timer *t = rt0_after_func(RT0_MILLISECOND, flag, fired);
		while (!get(fired))
			usleep(500);
		rt0_timer_free(t);
	}
	return NULL;
}

TEST(timer_of_a_foreign_thread_fires_while_all_else_blocks)
{
	int procs = rt0_gomaxprocs(1), fired = 0;
	for (int n = 1; n <= 2; n++) {
		pthread_t t;
		rt0_gomaxprocs(n);
		CHECK_EQ(pthread_create(&t, NULL, sets_a_timer, &fired), 0);
		CHECK_EQ(RT0_BLOCKING(pthread_join(t, NULL)), 0);
	}
	rt0_gomaxprocs(procs);
}

// Calls of foreign threads hold all processors, again and again, when the sleeper in netpoll wakes up.
enum { CALLERS = 4, SLEEPS = 200 };

static void *
calls(void *arg)
{
	for (unsigned i = 0; !get((int *)arg); i++) {
		rt0_run(nothing, NULL);
		if (i % 64 == 0)
			usleep(100);
	}
	return NULL;
}

struct sleepers {
	rt0_waitgroup wg;
	rt0_fd *p[2];
};

static void
sleeps(void *arg)
{
	struct sleepers *s = arg;
	for (int i = 0; i < SLEEPS; i++)
		rt0_sleep(50000 + i % 7 * 30000);
	rt0_waitgroup_done(&s->wg);
}

static void
reads(void *arg)
{
	struct sleepers *s = arg;
	char c;
	for (int i = 0; i < SLEEPS; i++)
		CHECK_EQ(rt0_fd_read(s->p[0], &c, 1), 1);
	rt0_waitgroup_done(&s->wg);
}

static void
writes(void *arg)
{
	struct sleepers *s = arg;
	for (int i = 0; i < SLEEPS; i++) {
		CHECK_EQ(rt0_fd_write(s->p[1], "x", 1), 1);
		blocking_sleep(100);
	}
	rt0_waitgroup_done(&s->wg);
}

TEST_T(sleepers_wake_beside_calls_of_foreign_threads, 30000)
{
	static struct sleepers s;
	pthread_t t[CALLERS];
	int stop = 0;
	CHECK_EQ(rt0_pipe(s.p), 0);
	for (int i = 0; i < CALLERS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, calls, &stop), 0);
	rt0_waitgroup_add(&s.wg, 5);
	for (int i = 0; i < 3; i++)
		rt0_go(sleeps, &s);
	rt0_go(reads, &s);
	rt0_go(writes, &s);
	rt0_waitgroup_wait(&s.wg);
	set(&stop, 1);
	for (int i = 0; i < CALLERS; i++)
		CHECK_EQ(RT0_BLOCKING(pthread_join(t[i], NULL)), 0);
}

// ---- a daemon: what the parent watches and has set goes on in the child ----

static void
writes_late(void *fd)
{
	rt0_sleep(2 * RT0_MILLISECOND);
	CHECK_EQ(rt0_fd_write(fd, "late", 4), 4);
}

static int
status_of(pid_t pid)
{
	int status;
	CHECK_EQ(RT0_BLOCKING(waitpid(pid, &status, 0)), pid);
	return status;
}

TEST(fork_before_the_first_goroutine_takes_descriptors_along)
{
	if (SANITIZED)
		SKIP("ThreadSanitizer forgets its fibers at a fork");
	rt0_fd *p[2];
	char buf[4];
	CHECK_EQ(rt0_pipe(p), 0);
	rt0_sleep(1000);
	pid_t pid = fork();
	if (pid == 0) {
		rt0_go(writes_late, p[1]);
		CHECK_EQ(rt0_fd_read(p[0], buf, 4), 4);
		CHECK_EQ(rt0_fd_set_read_deadline(p[0], rt0_deadline(RT0_MILLISECOND)), 0);
		CHECK_EQ(rt0_fd_read(p[0], buf, 4), -ETIMEDOUT);
		_exit(5);
	}
	CHECK_EQ(WEXITSTATUS(status_of(pid)), 5);
	rt0_go(writes_late, p[1]);
	CHECK_EQ(rt0_fd_read(p[0], buf, 4), 4); // and so is the parent
}

TEST(fork_and_closing_all_descriptors_leaves_timers)
{
	if (SANITIZED)
		SKIP("ThreadSanitizer forgets its fibers at a fork");
	rt0_sleep(1000);
	rt0_timer *t = rt0_timer_new(20 * RT0_MILLISECOND);
	int64_t when = 0;
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 3; fd < 1000; fd++)
			close(fd);
		rt0_sleep(1000);
		rt0_go(nothing, NULL);
		CHECK(rt0_chan_recv(t->c, &when));
		_exit(5);
	}
	CHECK_EQ(WEXITSTATUS(status_of(pid)), 5);
	rt0_timer_free(t);
}
