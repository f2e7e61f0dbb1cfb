// SPDX-License-Identifier: BSD-3-Clause
// test_fork.c: children of a program with goroutines: what they may do, what they are told, and
// that neither side is the worse for it, while goroutines run and system calls block on other
// threads.

#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../../src/runtime.h"
#include "apiutil.h"
#include "child.h"

static int stop;
static rt0_waitgroup busy;

static void
spins(void *arg)
{
	while (!get(&stop)) {
		rt0_free(rt0_alloc(100, 0));
		rt0_gosched();
	}
	rt0_waitgroup_done(arg);
}

static void
blocks(void *arg)
{
	while (!get(&stop))
		blocking_sleep(50);
	rt0_waitgroup_done(arg);
}

// noise keeps other threads at work in all parts of the runtime.
static void
noise(int procs)
{
	rt0_gomaxprocs(procs);
	set(&stop, 0);
	rt0_waitgroup_add(&busy, 4);
	for (int i = 0; i < 2; i++) {
		rt0_go(spins, &busy);
		rt0_go(blocks, &busy);
	}
}

static void
quiet(void)
{
	set(&stop, 1);
	rt0_waitgroup_wait(&busy);
}

static int
wait_for(pid_t pid)
{
	int status;
	CHECK_EQ(RT0_BLOCKING(waitpid(pid, &status, 0)), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

// ---- what a child may do ----

static void
plain_child(void)
{
	char *p = malloc(100);
	snprintf(p, 100, "pid %d\n", getpid());
	free(p);
	rt0_gosched();
	RT0_BLOCKING(usleep(10));
	rt0_lock_os_thread();
	rt0_unlock_os_thread();
	if (rt0_num_goroutine() < 1 || rt0_nanotime() <= 0 || getg()->m->procid != runtime_gettid())
		_exit(1);
}

static void
many_children(int procs)
{
	noise(procs);
	rt0_chan *c = rt0_chan_make(4, 1);
	for (int i = 0; i < (SANITIZED ? 30 : 150); i++) {
		pid_t pid = i % 3 == 2 ? RT0_BLOCKING(fork()) : fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			int v = 3;
			plain_child();
			if (rt0_chan_try_send(c, &v) != 0 || rt0_chan_try_recv(c, &v) != 0)
				_exit(2);
			if (i % 3 == 0)
				execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
			_exit(7);
		}
		CHECK_EQ(wait_for(pid), 7);
	}
	quiet();
	rt0_chan_free(c);
}

TEST_T(fork_children_run_plain_c_1_proc, 30000)
{
	many_children(1);
}

TEST_T(fork_children_run_plain_c_2_procs, 30000)
{
	many_children(2);
}

static void
farewell(void)
{
	dprintf(2, "farewell\n");
}

static void
leaves_by_exit(void)
{
	atexit(farewell);
	exit(9);
}

TEST(fork_child_may_exit)
{
	char text[4096];
	noise(2);
	CHECK_EQ(child(leaves_by_exit, text, sizeof text), 9);
	CHECK_STREQ(text, "farewell\n");
	quiet();
}

// ---- reports work in a child ----

// ThreadSanitizer has a lock for each atomic variable, and does not take them when the process forks: one that a thread
// held which is gone hangs the child's report at the status of that thread's goroutine, once in 30 runs on a busy
// machine.
static void
needs_reports(void)
{
	if (RT0_TSAN)
		SKIP("ThreadSanitizer's own locks may be held in a child");
}

static void
panics(void)
{
	rt0_panic("in the child");
}

static void
reports_fatal(void)
{
	rt0_fatal("in the child");
}

static void
faults(void)
{
	int *volatile p = (int *)8;
	*p = 1;
}

TEST_T(fork_child_reports, 30000)
{
	needs_reports();
	char text[65536];
	for (int procs = 1; procs <= 2; procs++) {
		noise(procs);
		for (int i = 0; i < 5; i++) {
			CHECK_EQ(child(panics, text, sizeof text), 2);
			CHECK(strstr(text, "panic: in the child") != NULL);
			CHECK(strstr(text, "goroutine 1 [running") != NULL);
			CHECK_EQ(child(reports_fatal, text, sizeof text), 2);
			CHECK(strstr(text, "fatal error: in the child") != NULL);
			if (!SANITIZED) {
				CHECK_EQ(child(faults, text, sizeof text), 2);
				CHECK(strstr(text, "nil pointer dereference") != NULL);
			}
		}
		quiet();
	}
}

// ---- what a child is told ----

static rt0_chan *never;
static rt0_mutex held;

static void
nothing(void *arg)
{
	(void)arg;
}

static void
receives(void)
{
	rt0_chan_recv(never, NULL);
}

static void
receives_nil(void)
{
	rt0_chan_recv(NULL, NULL);
}

static void
locks(void)
{
	rt0_mutex_lock(&held);
}

static void
starts(void)
{
	rt0_go(nothing, NULL);
}

static void
resizes(void)
{
	rt0_gomaxprocs(5);
}

static void
receives_locked(void)
{
	rt0_lock_os_thread();
	rt0_chan_recv(never, NULL);
}

static void
ends(void)
{
	rt0_goexit();
}

TEST_T(fork_child_is_told_that_goroutines_stay_behind, 30000)
{
	needs_reports();
	static void (*const fns[])(void) = {
	    receives, receives_nil, locks, starts, resizes, receives_locked, ends};
	static char text[1 << 18]; // ThreadSanitizer says much in a child, and must find room
	never = rt0_chan_make(0, 0);
	rt0_mutex_lock(&held);
	for (int procs = 1; procs <= 2; procs++) {
		noise(procs);
		for (size_t i = 0; i < sizeof fns / sizeof fns[0]; i++) {
			int status = child(fns[i], text, sizeof text);
			if (status != 2)
				fprintf(stderr, "case %zu, %d procs: %.2000s\n", i, procs, text);
			CHECK_EQ(status, 2);
			CHECK(strstr(text,
				  "fatal error: goroutines stay in the parent of a fork") != NULL);
		}
		quiet();
	}
}

// ---- from a thread that is not rt0's ----

static void *
thread_forks(void *arg)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (rt0_run(nothing, NULL) != -ENOTCONN || rt0_gomaxprocs(0) != -ENOTCONN)
				_exit(1);
			if (i % 2 == 0)
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		CHECK_EQ(wait_for(pid), 0);
		CHECK_EQ(rt0_run(nothing, NULL), 0);
	}
	return arg;
}

static void
callback_forks(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			plain_child();
			_exit(0);
		}
		CHECK_EQ(wait_for(pid), 0);
	}
}

static void *
thread_calls(void *arg)
{
	int n = 20;
	CHECK_EQ(rt0_run(callback_forks, &n), 0);
	return arg;
}

TEST_T(fork_from_foreign_threads, 30000)
{
	noise(2);
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, i % 2 ? thread_forks : thread_calls, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(RT0_BLOCKING(pthread_join(t[i], NULL)), 0);
	quiet();
}

// ---- before the first go statement the child is a runtime like any other ----

static void
reply(void *c)
{
	rt0_chan_send(c, &(int){5});
}

TEST(fork_before_the_first_goroutine_takes_the_runtime_along)
{
	if (SANITIZED)
		SKIP("ThreadSanitizer forgets its fibers at a fork");
	pid_t pid = fork();
	if (pid == 0 && fork() == 0) { // as daemon does
		int v = 0;
		rt0_chan *c = rt0_chan_make(sizeof v, 0);
		CHECK_EQ(getg()->m->procid, getpid());
		for (int i = 0; i < 10; i++)
			rt0_go(reply, c);
		for (int i = 0; i < 10; i++)
			CHECK(rt0_chan_recv(c, &v));
		CHECK_EQ(v, 5);
		_exit(v);
	}
	if (pid == 0) {
		int status;
		wait(&status);
		_exit(WEXITSTATUS(status));
	}
	CHECK_EQ(wait_for(pid), 5);
	rt0_go(nothing, NULL); // and so is the parent
}

// What the parent has asked for by notify acts in the child as if nobody had.
TEST(fork_child_is_ended_by_a_signal_that_the_parent_is_notified_of)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 4);
	int v;
	CHECK_EQ(RT0_NOTIFY(c, SIGTERM), 0);
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			for (;;)
				pause();
		CHECK(pid > 0);
		if (i % 2 != 0)
			usleep(1000);
		CHECK_EQ(kill(pid, SIGTERM), 0);
		CHECK_EQ(RT0_BLOCKING(waitpid(pid, &status, 0)), pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	CHECK_EQ(rt0_chan_try_recv(c, &v), -EAGAIN);
	CHECK_EQ(kill(getpid(), SIGTERM), 0);
	CHECK(rt0_chan_recv(c, &v) && v == SIGTERM);
	CHECK_EQ(rt0_signal_stop(c), 0);
}

// ---- children that fork does not make, with signals about ----

extern char **environ;

// A stranger's SIGURG, at all threads in turn, as preemption sends it.
static void *
urges(void *arg)
{
	DIR *d = opendir("/proc/self/task");
	CHECK(d != NULL);
	while (!get(&stop)) {
		rewinddir(d);
		for (struct dirent *e; (e = readdir(d)) != NULL;)
			if (e->d_name[0] != '.')
				syscall(SYS_tgkill, getpid(), atoi(e->d_name), SIGURG);
		usleep(100);
	}
	closedir(d);
	return arg;
}

static int urged;

static void
count_urge(int sig)
{
	(void)sig;
	CHECK(!runtime_isforkchild());
	inc(&urged);
}

static void
spawn_all_ways(int procs)
{
	// The runtime's own handler stays, when it has one.
	struct sigaction sa = {.sa_handler = count_urge, .sa_flags = SA_RESTART | SA_ONSTACK}, old;
	CHECK_EQ(sigaction(SIGURG, NULL, &old), 0);
	if (old.sa_handler == SIG_DFL)
		CHECK_EQ(sigaction(SIGURG, &sa, NULL), 0);
	noise(procs);
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, urges, NULL), 0);
	for (int i = 0; i < 30; i++) {
		char *argv[] = {"sh", "-c", "exit 3", NULL}, line[16] = "";
		pid_t pid;
		CHECK_EQ(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
		CHECK_EQ(wait_for(pid), 3);
		int status = RT0_BLOCKING(system("exit 4"));
		CHECK_EQ(WEXITSTATUS(status), 4);
		FILE *f = popen("echo out", "r");
		CHECK(f != NULL && fgets(line, sizeof line, f) != NULL);
		CHECK_STREQ(line, "out\n");
		CHECK_EQ(pclose(f), 0);
	}
	quiet();
	CHECK_EQ(RT0_BLOCKING(pthread_join(t, NULL)), 0);
}

TEST_T(fork_posix_spawn_system_popen_1_proc, 30000)
{
	spawn_all_ways(1);
}

TEST_T(fork_posix_spawn_system_popen_2_procs, 30000)
{
	spawn_all_ways(2);
}

// A child that shares our memory is known by its thread.
static int
shares_memory(void *arg)
{
	*(bool *)arg = runtime_isforkchild();
	return 0;
}

TEST(fork_vfork_child_is_recognised)
{
	if (SANITIZED)
		SKIP("the child would run on memory that the sanitizer watches");
	static char stack[64 << 10] __attribute__((aligned(16)));
	bool is = false;
	CHECK(!runtime_isforkchild());
	pid_t pid =
	    clone(shares_memory, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &is);
	CHECK(pid > 0);
	CHECK_EQ(wait_for(pid), 0);
	CHECK(is);
}
