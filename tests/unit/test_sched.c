// SPDX-License-Identifier: BSD-3-Clause
// test_sched.c: goroutines and the scheduler as a program sees them: progress, parallelism,
// blocking calls, counts, GOMAXPROCS at run time, what a goroutine keeps across switches.
//
// Locking to threads and stacks have files of their own: test_lockos.c, test_gostack.c. The cases
// follow Go's proc_test.go as far as they need neither timers nor preemption by signal.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <xmmintrin.h>

#include "apiutil.h"

struct group {
	rt0_waitgroup wg;
	rt0_chan *c;
	int n, stop, token, depth;
};

TEST(version_and_cpus)
{
	CHECK_STREQ(rt0_version(), RT0_VERSION);
	cpu_set_t set;
	CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
	CHECK(rt0_num_cpu() >= 1 && rt0_num_cpu() <= CPU_COUNT(&set));
}

static void
count(void *arg)
{
	struct group *g = arg;
	inc(&g->n);
	rt0_waitgroup_done(&g->wg);
}

TEST(go_runs_every_goroutine_once)
{
	struct group g = {0};
	for (int procs = 1; procs <= 8; procs++) {
		rt0_gomaxprocs(procs);
		rt0_waitgroup_add(&g.wg, 5000);
		for (int i = 0; i < 5000; i++)
			rt0_go(count, &g);
		rt0_waitgroup_wait(&g.wg);
		CHECK_EQ(g.n, 5000 * procs);
	}
}

static void
set_5(void *arg)
{
	*(int *)arg = 5;
}

TEST(gosched_lets_another_run)
{
	rt0_gomaxprocs(1);
	for (int i = 0; i < 1000; i++) {
		int v = 0;
		rt0_go(set_5, &v);
		while (get(&v) != 5)
			rt0_gosched();
	}
}

// ---- Progress (TestYieldProgress, TestPreemption) ---------------------------------------------

static void
poll_until_sent(void *arg)
{
	struct group *g = arg;
	if (g->depth)
		rt0_lock_os_thread();
	while (rt0_chan_try_recv(g->c, NULL) == -EAGAIN)
		rt0_gosched();
	set(&g->n, 1);
	if (g->depth)
		rt0_unlock_os_thread();
}

TEST(yielding_loop_lets_others_send)
{
	rt0_gomaxprocs(1);
	for (int locked = 0; locked < 2; locked++) {
		struct group g = {.c = rt0_chan_make(0, 0), .depth = locked};
		rt0_go(poll_until_sent, &g);
		yield(10);
		rt0_chan_send(g.c, NULL);
		await(&g.n, 1);
	}
}

static void
respawn(void *arg)
{
	struct group *g = arg;
	if (get(&g->stop))
		rt0_waitgroup_done(&g->wg);
	else
		rt0_go(respawn, g);
}

// TestStopTheWorldDeadlock, with GOMAXPROCS as the one who stops the world.
TEST_T(gomaxprocs_changes_while_goroutines_respawn, 30000)
{
	struct group g = {0};
	rt0_waitgroup_add(&g.wg, 2);
	rt0_go(respawn, &g);
	rt0_go(respawn, &g);
	for (int i = 0; i < 1000; i++) {
		rt0_gomaxprocs(3);
		if (i % 10 == 0)
			rt0_gomaxprocs(1 + i / 10 % 8);
	}
	set(&g.stop, 1);
	rt0_waitgroup_wait(&g.wg);
}

// Each sends before it receives, and they are fewer than the channel's places: none waits for ever.
static void
churn(void *arg)
{
	struct group *g = arg;
	for (int i = 0; !get(&g->stop); i++) {
		switch (i % 4) {
		case 0:
			rt0_gosched();
			break;
		case 1:
			rt0_chan_send(g->c, &i);
			break;
		case 2:
			rt0_chan_recv(g->c, NULL);
			break;
		case 3:
			blocking_sleep(1);
			break;
		}
		inc(&g->n);
	}
	rt0_waitgroup_done(&g->wg);
}

TEST_T(gomaxprocs_changes_under_load, 30000)
{
	struct group g = {.c = rt0_chan_make(sizeof(int), 64)};
	rt0_waitgroup_add(&g.wg, 16);
	for (int i = 0; i < 16; i++)
		rt0_go(churn, &g);
	int last = rt0_gomaxprocs(0);
	for (int i = 0; i < 200; i++) {
		int want = 1 + (i * 7) % 9;
		CHECK_EQ(rt0_gomaxprocs(want), last);
		CHECK_EQ(rt0_gomaxprocs(0), want);
		last = want;
		int before = get(&g.n);
		while (get(&g.n) < before + 20) // they go on under every setting
			rt0_gosched();
	}
	set(&g.stop, 1);
	rt0_waitgroup_wait(&g.wg);
}

TEST(gomaxprocs_asks_and_clamps)
{
	int n = rt0_gomaxprocs(0);
	CHECK(n >= 1);
	CHECK_EQ(rt0_gomaxprocs(-5), n);
	CHECK_EQ(rt0_gomaxprocs(1000000), n);
	CHECK_EQ(rt0_gomaxprocs(1), 1024);
	CHECK_EQ(rt0_gomaxprocs(0), 1);
}

// ---- Parallelism (TestGoroutineParallelism, ...2) ------------------------------------------

enum { P = 4, ROUNDS = 10 };

struct spinner {
	int *token, me;
	rt0_chan *done;
};

// The token goes round by spinning without any call of the runtime: the next one must be running
// already, so P goroutines must run at one time.
static void
pass_token(void *arg)
{
	struct spinner *s = arg;
	for (int i = 0; i < 3; i++) {
		while (get(s->token) != P * i + s->me)
			__builtin_ia32_pause();
		set(s->token, P * i + s->me + 1);
	}
	rt0_chan_send(s->done, NULL);
}

static void
spin_round(void)
{
	int token = 0;
	struct spinner s[P];
	rt0_chan *done = rt0_chan_make(0, 0);
	for (int i = 0; i < P; i++) {
		s[i] = (struct spinner){&token, i, done};
		rt0_go(pass_token, &s[i]);
	}
	for (int i = 0; i < P; i++)
		rt0_chan_recv(done, NULL);
	CHECK_EQ(token, 3 * P);
}

TEST_T(parallel_goroutines_really_run_at_once, 60000)
{
	rt0_gomaxprocs(P);
	for (int i = 0; i < ROUNDS; i++)
		spin_round();
}

static void
spin_tree(void *arg)
{
	struct spinner *s = arg;
	if (s->me + 1 < P)
		rt0_go(spin_tree, s + 1); // each is started by the one before
	pass_token(s);
}

// The same when the workers have gone to sleep meanwhile and goroutines start each other: a spawn
// must wake an idle worker.
TEST_T(parallel_spawns_wake_idle_workers, 60000)
{
	rt0_gomaxprocs(P);
	for (int i = 0; i < ROUNDS; i++) {
		blocking_sleep(20000);
		int token = 0;
		struct spinner s[P];
		rt0_chan *done = rt0_chan_make(0, 0);
		for (int k = 0; k < P; k++)
			s[k] = (struct spinner){&token, k, done};
		rt0_go(spin_tree, &s[0]);
		for (int k = 0; k < P; k++)
			rt0_chan_recv(done, NULL);
		CHECK_EQ(token, 3 * P);
	}
}

// ---- Blocking calls --------------------------------------------------------------------------

struct reader {
	int fd[2];
	struct group *g;
};

static void
read_pipe(void *arg)
{
	struct reader *r = arg;
	char byte;
	inc(&r->g->n);
	CHECK_EQ(RT0_BLOCKING(read(r->fd[0], &byte, 1)), 1);
	rt0_waitgroup_done(&r->g->wg);
}

// Forty threads sit in read; what wakes them is done by goroutines on the two processors.
TEST(blocking_calls_do_not_stall_others)
{
	enum { N = 40 };
	rt0_gomaxprocs(2);
	struct group g = {0};
	struct reader r[N];
	rt0_waitgroup_add(&g.wg, N);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(pipe(r[i].fd), 0);
		r[i].g = &g;
		rt0_go(read_pipe, &r[i]);
	}
	await(&g.n, N); // all have come this far, although nobody can have returned
	struct group work = {0};
	rt0_waitgroup_add(&work.wg, 1000);
	for (int i = 0; i < 1000; i++)
		rt0_go(count, &work);
	rt0_waitgroup_wait(&work.wg);
	for (int i = N - 1; i >= 0; i--)
		CHECK_EQ(rt0_write(r[i].fd[1], "x", 1), 1);
	rt0_waitgroup_wait(&g.wg);
}

static void
sleep_then_done(void *arg)
{
	blocking_sleep(2000);
	count(arg);
}

TEST(blocking_sleeps_of_many_finish)
{
	rt0_gomaxprocs(2);
	struct group g = {0};
	rt0_waitgroup_add(&g.wg, 64);
	for (int i = 0; i < 64; i++)
		rt0_go(sleep_then_done, &g);
	rt0_waitgroup_wait(&g.wg);
	CHECK_EQ(g.n, 64);
}

static void
write_for_ever(void *arg)
{
	struct group *g = arg;
	while (!get(&g->stop))
		rt0_write(g->token, "x", 1);
	rt0_waitgroup_done(&g->wg);
}

// TestGCFairness: two that are always in short system calls do not keep a third from coming back
// out of a long one.
TEST(short_system_calls_share_with_a_long_one)
{
	rt0_gomaxprocs(1);
	struct group g = {.token = open("/dev/null", O_WRONLY)};
	CHECK(g.token >= 0);
	rt0_waitgroup_add(&g.wg, 2);
	rt0_go(write_for_ever, &g);
	rt0_go(write_for_ever, &g);
	for (int i = 0; i < 5; i++)
		blocking_sleep(10000);
	set(&g.stop, 1);
	rt0_waitgroup_wait(&g.wg);
}

static void
syscall_loop(void *arg)
{
	struct group *g = arg;
	while (!get(&g->stop)) {
		blocking_sleep(g->depth);
		inc(&g->n);
	}
	rt0_waitgroup_done(&g->wg);
}

// TestPreemptionAfterSyscall: eight in loops of system calls on two workers start and stop.
TEST(loops_of_system_calls_stop_when_told)
{
	static const int us[] = {10, 100, 1000};
	rt0_gomaxprocs(2);
	for (int k = 0; k < 3; k++) {
		struct group g = {.depth = us[k]};
		rt0_waitgroup_add(&g.wg, 8);
		for (int i = 0; i < 8; i++)
			rt0_go(syscall_loop, &g);
		while (get(&g.n) < 40)
			rt0_gosched();
		set(&g.stop, 1);
		rt0_waitgroup_wait(&g.wg);
	}
}

// A syscall that is short comes back to its own processor and thread; RT0_BLOCKING keeps errno.
__attribute__((noinline)) static int
failing_close(int fd)
{
	return RT0_BLOCKING(close(fd)) == 0 ? 0 : errno;
}

__attribute__((noinline)) static int
failing_sleep(long us)
{
	struct timespec ts = {0, us * 1000};
	RT0_BLOCKING((nanosleep(&ts, NULL), open("/does/not/exist", O_RDONLY)));
	return errno;
}

static void
check_errno(void *arg)
{
	struct group *g = arg;
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(failing_close(-1), EBADF);
		if (i % 10 == 0)
			CHECK_EQ(failing_sleep(200), ENOENT);
		rt0_gosched();
	}
	rt0_waitgroup_done(&g->wg);
}

TEST(errno_survives_the_return_from_a_blocking_call)
{
	rt0_gomaxprocs(4);
	struct group g = {0};
	rt0_waitgroup_add(&g.wg, 16);
	for (int i = 0; i < 16; i++)
		rt0_go(check_errno, &g);
	rt0_waitgroup_wait(&g.wg);
}

// ---- Counting and ending ---------------------------------------------------------------------

static void
wait_for_close(void *arg)
{
	struct group *g = arg;
	inc(&g->n);
	rt0_chan_recv(g->c, NULL);
	rt0_waitgroup_done(&g->wg);
}

TEST(num_goroutine_counts)
{
	CHECK_EQ(rt0_num_goroutine(), 1);
	struct group g = {.c = rt0_chan_make(0, 0)};
	rt0_waitgroup_add(&g.wg, 10);
	for (int i = 0; i < 10; i++) {
		rt0_go(wait_for_close, &g);
		CHECK_EQ(rt0_num_goroutine(), i + 2);
	}
	rt0_chan_close(g.c);
	rt0_waitgroup_wait(&g.wg);
	while (rt0_num_goroutine() != 1) // they end a moment after they are done
		rt0_gosched();
}

static void
deep_exit(struct group *g, int depth)
{
	if (depth > 0) {
		deep_exit(g, depth - 1);
	} else if (rt0_num_goroutine() > 0) { // true: gcc must not see that no call ever returns
		inc(&g->n);
		rt0_goexit();
	}
	set(&g->stop, 1);
}

static void
exit_early(void *arg)
{
	deep_exit(arg, 10);
	set(&((struct group *)arg)->stop, 1);
}

TEST(goexit_ends_the_goroutine_from_any_depth)
{
	struct group g = {0};
	for (int i = 0; i < 1000; i++)
		rt0_go(exit_early, &g);
	await(&g.n, 1000);
	while (rt0_num_goroutine() != 1)
		rt0_gosched();
	CHECK_EQ(get(&g.stop), 0);
}

static void
tree(void *arg)
{
	struct group *g = arg;
	if (g->depth > 0) {
		struct group left = {.depth = g->depth - 1}, right = left;
		rt0_waitgroup_add(&left.wg, 1);
		rt0_waitgroup_add(&right.wg, 1);
		rt0_go(tree, &left);
		rt0_go(tree, &right);
		rt0_waitgroup_wait(&left.wg);
		rt0_waitgroup_wait(&right.wg);
		g->n = left.n + right.n;
	} else {
		g->n = 1;
	}
	rt0_waitgroup_done(&g->wg);
}

TEST_T(spawn_tree_of_depth_13, 30000)
{
	enum { DEPTH = SANITIZED ? 9 : 13 };
	struct group g = {.depth = DEPTH};
	rt0_waitgroup_add(&g.wg, 1);
	rt0_go(tree, &g);
	rt0_waitgroup_wait(&g.wg);
	CHECK_EQ(g.n, 1 << DEPTH);
}

static void
spawn_line(void *arg)
{
	struct group *g = arg;
	if (inc(&g->n) < 100000)
		rt0_go(spawn_line, g);
	else
		rt0_chan_close(g->c);
}

TEST_T(spawn_line_of_100000, 30000)
{
	struct group g = {.c = rt0_chan_make(0, 0)};
	rt0_go(spawn_line, &g);
	rt0_chan_recv(g.c, NULL);
	CHECK_EQ(g.n, 100000);
}

TEST_T(hundred_thousand_parked_goroutines, 60000)
{
	enum { N = SANITIZED ? 2000 : 100000 };
	struct group g = {.c = rt0_chan_make(0, 0)};
	rt0_waitgroup_add(&g.wg, N);
	for (int i = 0; i < N; i++)
		rt0_go(wait_for_close, &g);
	CHECK_EQ(rt0_num_goroutine(), N + 1);
	await(&g.n, N);
	rt0_chan_close(g.c);
	rt0_waitgroup_wait(&g.wg);
	while (rt0_num_goroutine() != 1)
		rt0_gosched();
}

// ---- What a goroutine keeps across switches --------------------------------------------------

// Rounding modes: bits 10 and 11 of the x87 control word, 13 and 14 of MXCSR. Set by hand, since
// fesetround is in libm.
static void
set_rounding(int mode)
{
	uint16_t cw;
	__asm__ volatile("fnstcw %0" : "=m"(cw));
	cw = (uint16_t)((cw & ~0xc00) | mode << 10);
	__asm__ volatile("fldcw %0" : : "m"(cw));
	_mm_setcsr((_mm_getcsr() & ~0x6000u) | (unsigned)mode << 13);
}

static void
check_rounding(int mode)
{
	uint16_t cw;
	__asm__ volatile("fnstcw %0" : "=m"(cw));
	CHECK_EQ(cw >> 10 & 3, mode);
	CHECK_EQ(_mm_getcsr() >> 13 & 3, mode);
}

static void
round_own_way(void *arg)
{
	struct group *g = arg;
	volatile double one = 1, three = 3;
	int mode = inc(&g->token) % 4;
	set_rounding(mode);
	double quotient = one / three;
	for (int i = 0; i < 200; i++) {
		rt0_gosched();
		if (i % 20 == 0)
			blocking_sleep(10);
		check_rounding(mode);
		CHECK(one / three == quotient);
	}
	set_rounding(0);
	rt0_waitgroup_done(&g->wg);
}

TEST(floating_point_modes_belong_to_the_goroutine)
{
	for (int procs = 1; procs <= 3; procs++) {
		rt0_gomaxprocs(procs);
		struct group g = {0};
		rt0_waitgroup_add(&g.wg, 16);
		for (int i = 0; i < 16; i++)
			rt0_go(round_own_way, &g);
		rt0_waitgroup_wait(&g.wg);
		check_rounding(0);
	}
}

// Registers that a call must preserve hold values across switches: the compiler keeps the sums in
// them, and every goroutine has others.
static void
sums_in_registers(void *arg)
{
	struct group *g = arg;
	uint64_t seed = (uint64_t)inc(&g->token), a = seed, b = seed * 3, c = seed * 5,
		 d = seed * 7, e = seed * 11;
	for (int i = 0; i < 1000; i++) {
		a++, b += 2, c += 3, d += 4, e += 5;
		rt0_gosched();
	}
	CHECK_EQ(a, seed + 1000);
	CHECK_EQ(b, seed * 3 + 2000);
	CHECK_EQ(c, seed * 5 + 3000);
	CHECK_EQ(d, seed * 7 + 4000);
	CHECK_EQ(e, seed * 11 + 5000);
	rt0_waitgroup_done(&g->wg);
}

TEST(registers_belong_to_the_goroutine)
{
	struct group g = {0};
	rt0_waitgroup_add(&g.wg, 32);
	for (int i = 0; i < 32; i++)
		rt0_go(sums_in_registers, &g);
	rt0_waitgroup_wait(&g.wg);
}

// ---- libc on goroutines -------------------------------------------------------------------------

static int
int_cmp(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void
use_libc(void *arg)
{
	struct group *g = arg;
	char text[64];
	for (int i = 0; i < 200; i++) {
		int *v = malloc(100 * sizeof *v);
		for (int k = 0; k < 100; k++)
			v[k] = (k * 37 + i) % 100;
		qsort(v, 100, sizeof *v, int_cmp);
		for (int k = 0; k < 100; k++)
			CHECK_EQ(v[k], k);
		snprintf(text, sizeof text, "%d %.3f %s", i, i / 8.0, "x");
		CHECK_EQ(atoi(text), i);
		rt0_gosched();
		free(v);
	}
	rt0_waitgroup_done(&g->wg);
}

TEST(libc_works_on_goroutines)
{
	rt0_gomaxprocs(4);
	struct group g = {0};
	rt0_waitgroup_add(&g.wg, 20);
	for (int i = 0; i < 20; i++)
		rt0_go(use_libc, &g);
	rt0_waitgroup_wait(&g.wg);
}

static void
fork_child(void *arg)
{
	struct group *g = arg;
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	CHECK(pid > 0);
	int status;
	CHECK_EQ(RT0_BLOCKING(waitpid(pid, &status, 0)), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	rt0_waitgroup_done(&g->wg);
}

TEST(fork_and_wait_from_goroutines)
{
	struct group g = {0};
	rt0_waitgroup_add(&g.wg, 8);
	for (int i = 0; i < 8; i++)
		rt0_go(fork_child, &g);
	rt0_waitgroup_wait(&g.wg);
}

TEST(clocks_go_forward)
{
	int64_t last = rt0_nanotime(), wall = rt0_walltime();
	for (int i = 0; i < 10000; i++) {
		int64_t now = rt0_nanotime();
		CHECK(now >= last);
		last = now;
		if (i % 1000 == 0)
			rt0_gosched();
	}
	// 2020-01-01 to 2100-01-01
	CHECK(wall > 1577836800ll * 1000000000 && wall < 4102444800ll * 1000000000);
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	CHECK(rt0_nanotime() >= ts.tv_sec * 1000000000ll + ts.tv_nsec);
}

// ---- giving way where a program polls ----

struct poll {
	rt0_mutex m;
	rt0_chan *c, *c2;
	int flag;
	rt0_waitgroup wg;
};

static void
set_under_lock(void *arg)
{
	struct poll *p = arg;
	rt0_mutex_lock(&p->m);
	p->flag = 1;
	rt0_mutex_unlock(&p->m);
}

TEST(polling_under_a_mutex_lets_others_run)
{
	struct poll p = {.flag = 0};
	rt0_gomaxprocs(1);
	rt0_go(set_under_lock, &p);
	for (bool seen = false; !seen;) {
		rt0_mutex_lock(&p.m);
		seen = p.flag != 0;
		rt0_mutex_unlock(&p.m);
	}
}

static void
send_one(void *arg)
{
	struct poll *p = arg;
	int64_t v = 1;
	rt0_chan_send(p->c, &v);
	rt0_mutex_unlock(&p->m);
}

TEST(polling_with_tries_lets_others_run)
{
	struct poll p = {.c = rt0_chan_make(8, 0)};
	int64_t v;
	rt0_gomaxprocs(1);
	rt0_mutex_lock(&p.m);
	rt0_go(send_one, &p);
	while (rt0_chan_try_recv(p.c, &v) != 0)
		;
	while (!rt0_mutex_trylock(&p.m))
		;
}

static void
echo_poll(void *arg)
{
	struct poll *p = arg;
	int64_t v;
	while (rt0_chan_recv(p->c, &v))
		rt0_chan_send(p->c2, &v);
}

static void
ping_poll(void *arg)
{
	struct poll *p = arg;
	int64_t v = 0;
	while (!get(&p->flag)) {
		rt0_chan_send(p->c, &v);
		rt0_chan_recv(p->c2, &v);
	}
	rt0_chan_close(p->c);
}

// Two that hand one slice to each other for ever; who comes back from a system call waits for a slice
// or two, not for 61.
TEST(ping_pong_does_not_starve_the_return_from_a_blocking_call)
{
	struct poll p = {.c = rt0_chan_make(8, 0), .c2 = rt0_chan_make(8, 0)};
	rt0_gomaxprocs(1);
	rt0_go(echo_poll, &p);
	rt0_go(ping_poll, &p);
	clock_t t0 = clock(); // processor time: others use the machine, too
	for (int i = 0; i < 10; i++)
		blocking_sleep(2000);
	CHECK(SANITIZED || clock() - t0 < 3 * CLOCKS_PER_SEC / 2);
	set(&p.flag, 1);
}

// A slice that ends in a system call must not move the goroutine: the caller's errno is the thread's.
static void
call_for_slices(void *arg)
{
	struct poll *p = arg;
	for (int64_t end = rt0_nanotime() + 300000000; rt0_nanotime() < end;) {
		int tid = gettid_();
		rt0_entersyscall();
		for (volatile int i = 0; i < 3000; i++)
			;
		rt0_exitsyscall();
		CHECK_EQ(gettid_(), tid);
	}
	rt0_waitgroup_done(&p->wg);
}

TEST(end_of_a_slice_in_a_system_call_keeps_the_thread)
{
	struct poll p = {.flag = 0};
	rt0_gomaxprocs(3);
	rt0_waitgroup_add(&p.wg, 6);
	for (int i = 0; i < 6; i++)
		rt0_go(call_for_slices, &p);
	rt0_waitgroup_wait(&p.wg);
}
