// SPDX-License-Identifier: BSD-3-Clause
// test_signal.c: notify, stop, ignore, reset; signals to any thread at any moment; SIGPIPE;
// SIGPROF; what the handler must leave alone. What kills or prints is in tests/prog/signal_*.c.

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "../../src/runtime.h"
#include "apiutil.h"
#include "child.h"

static int
next(rt0_chan *c)
{
	int s = 0;
	CHECK(rt0_chan_recv(c, &s));
	return s;
}

static void
send(int sig)
{
	CHECK_EQ(kill(getpid(), sig), 0);
}

static uintptr_t
action(int sig)
{
	struct sigaction sa;
	CHECK_EQ(sigaction(sig, NULL, &sa), 0);
	return (uintptr_t)sa.sa_handler;
}

// ---- parts that must die ----

// They run in a new process from its start, not in a fork of this one: threads are there in a
// fork by the runtime's books only. An init task is on goroutine 1, before main.
static void stop_then_hup(void), reset_then_int(void), plain_term(void), atomic_stop(void),
    write_broken(void), rt0_write_broken(void), goroutine_writes_broken(void),
    panic_to_broken(void), sigpipe_sent(void), sigpipe_ignored(void);
static void (*const parts[])(void) = {stop_then_hup, reset_then_int, plain_term, atomic_stop,
    write_broken, rt0_write_broken, goroutine_writes_broken, panic_to_broken, sigpipe_sent,
    sigpipe_ignored};
static void (*todo)(void);

RT0_INIT(signal_part)
{
	const char *e = getenv("RT0_SIGNAL_PART");
	if (e != NULL) {
		parts[atoi(e)]();
		_exit(0);
	}
}

static void
execpart(void)
{
	char n[] = "0"; // one digit will do
	while (parts[n[0] - '0'] != todo)
		n[0]++;
	setenv("RT0_SIGNAL_PART", n, 1);
	execl("/proc/self/exe", "unit", "part", NULL);
	_exit(127);
}

// part runs fn and returns its exit status, or 256 and the signal that killed it.
static int
part(void (*fn)(void), char *text, size_t size)
{
	todo = fn;
	return child(execpart, text, size);
}

// ---- Go's os/signal tests ----

TEST(signal_notify_delivers)
{
	rt0_chan *c = ints(1), *all = ints(10);
	CHECK_EQ(RT0_NOTIFY(c, SIGHUP), 0);
	send(SIGHUP);
	CHECK_EQ(next(c), SIGHUP);
	// All signals, on a channel with room, several at once.
	CHECK_EQ(rt0_signal_notify(all, NULL, 0), 0);
	send(SIGWINCH);
	CHECK_EQ(next(all), SIGWINCH);
	send(SIGUSR1);
	CHECK_EQ(next(all), SIGUSR1);
	send(SIGHUP);
	CHECK_EQ(next(c), SIGHUP);
	CHECK_EQ(next(all), SIGHUP);
	// One that only a report would follow, had nobody asked.
	send(SIGQUIT);
	CHECK_EQ(next(all), SIGQUIT);
	send(SIGSEGV);
	CHECK_EQ(next(all), SIGSEGV);
	send(SIGRTMAX);
	CHECK_EQ(next(all), SIGRTMAX);
	CHECK_EQ(rt0_chan_len(c), 0);
	CHECK_EQ(rt0_num_goroutine(), 1); // the receiver is not the user's
	CHECK_EQ(rt0_signal_stop(c), 0);
	CHECK_EQ(rt0_signal_stop(all), 0);
}

TEST(signal_notify_full_channel_drops)
{
	rt0_chan *c = ints(1), *seen = ints(1);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1, SIGUSR2), 0);
	for (int i = 0; i < 10; i++) {
		send(SIGUSR1);
		send(SIGUSR2);
	}
	CHECK_EQ(RT0_NOTIFY(seen, SIGWINCH), 0);
	send(SIGWINCH);
	next(seen);
	CHECK_EQ(rt0_signal_stop(c), 0); // waits for all that is on its way
	CHECK_EQ(rt0_chan_len(c), 1);
	int s = next(c);
	CHECK(s == SIGUSR1 || s == SIGUSR2);
}

static int stressing, received;

static void
drain(void *c)
{
	int s;
	while (rt0_chan_recv(c, &s) && s == SIGUSR1)
		inc(&received);
	set(&stressing, 0);
}

TEST_T(signal_stress, 30000)
{
	rt0_chan *c = ints(1);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1, SIGUSR2), 0);
	set(&stressing, 1);
	rt0_go(drain, c);
	for (int i = 0; i < 20000; i++)
		send(SIGUSR1);
	// A full channel may drop one; a few more come.
	while (get(&stressing)) {
		send(SIGUSR2);
		rt0_gosched();
	}
	CHECK(get(&received) > 0);
	CHECK_EQ(rt0_signal_stop(c), 0);
}

// Stop and Reset give back the default: nothing for SIGWINCH and, in rt0, SIGUSR1; death for
// SIGHUP.
static void
stop_then_hup(void)
{
	rt0_chan *c = ints(1);
	RT0_NOTIFY(c, SIGHUP);
	send(SIGHUP);
	CHECK_EQ(next(c), SIGHUP);
	rt0_signal_stop(c);
	send(SIGHUP);
	for (;;)
		pause();
}

static void
reset_then_int(void)
{
	rt0_chan *c = ints(1);
	RT0_NOTIFY(c, SIGINT, SIGUSR1);
	RT0_RESET(SIGINT);
	send(SIGUSR1);
	CHECK_EQ(next(c), SIGUSR1); // the rest goes on
	send(SIGINT);
	for (;;)
		pause();
}

static void
plain_term(void)
{
	rt0_go(drain, ints(0));
	send(SIGTERM);
	for (;;)
		pause();
}

TEST(signal_stop_restores_default)
{
	char text[4096];
	CHECK_EQ(part(stop_then_hup, text, sizeof text), 256 + SIGHUP);
	CHECK_STREQ(text, "");
	const int sigs[] = {SIGWINCH, SIGUSR1, SIGCHLD, SIGRTMIN + 3};
	for (size_t i = 0; i < sizeof sigs / sizeof sigs[0]; i++) {
		rt0_chan *c = ints(1);
		CHECK_EQ(rt0_signal_notify(c, &sigs[i], 1), 0);
		send(sigs[i]);
		CHECK_EQ(next(c), sigs[i]);
		CHECK_EQ(rt0_signal_stop(c), 0);
		send(sigs[i]);
		yield(100);
		CHECK_EQ(rt0_chan_len(c), 0);
		rt0_chan_free(c);
	}
}

TEST(signal_reset_restores_default)
{
	char text[4096];
	CHECK_EQ(part(reset_then_int, text, sizeof text), 256 + SIGINT);
	CHECK_STREQ(text, "");
	CHECK_EQ(part(plain_term, text, sizeof text), 256 + SIGTERM);
	CHECK_STREQ(text, "");
}

TEST(signal_ignore_and_reset)
{
	rt0_chan *c = ints(4);
	CHECK_EQ(rt0_signal_ignored(SIGHUP), false);
	CHECK_EQ(RT0_NOTIFY(c, SIGHUP, SIGUSR1), 0);
	uintptr_t usr1 = action(SIGUSR1);
	CHECK_EQ(RT0_IGNORE(SIGHUP, SIGUSR1), 0);
	CHECK_EQ(rt0_signal_ignored(SIGHUP), true);
	CHECK_EQ(rt0_signal_ignored(SIGUSR1), true);
	send(SIGHUP);
	send(SIGUSR1);
	yield(100);
	CHECK_EQ(rt0_chan_len(c), 0);
	CHECK_EQ(RT0_RESET(SIGHUP, SIGUSR1), 0);
	CHECK_EQ(rt0_signal_ignored(SIGHUP), false);
	CHECK_EQ(action(SIGHUP), (uintptr_t)SIG_DFL);
	CHECK_EQ(action(SIGUSR1), usr1);
	send(SIGUSR1);
	CHECK_EQ(RT0_NOTIFY(c, SIGHUP), 0); // as new
	send(SIGHUP);
	CHECK_EQ(next(c), SIGHUP);
	CHECK_EQ(RT0_IGNORE(), 0);
	CHECK_EQ(rt0_signal_ignored(SIGTERM), true);
	send(SIGTERM);
	CHECK_EQ(rt0_signal_ignored(SIGSEGV), false); // a fault cannot be
	CHECK_EQ(RT0_RESET(), 0);
	CHECK_EQ(rt0_signal_ignored(SIGTERM), false);
}

// TestAtomicStop: a signal that crosses with Stop is on the channel, or kills. Each round has a
// process of its own; which of the two happens is chance.
static void
stopper(void *c)
{
	rt0_signal_stop(c);
	set(&stressing, 0);
}

static void
atomic_stop(void)
{
	rt0_chan *c = ints(1);
	RT0_NOTIFY(c, SIGINT);
	set(&stressing, 1);
	rt0_go(stopper, c);
	yield(getpid() % 4);
	send(SIGINT);
	await(&stressing, 0);
	if (rt0_chan_try_recv(c, &received) == 0)
		_exit(3);
	// On its way to another thread still; if it is lost, the parent's wait is long.
	for (;;)
		pause();
}

TEST_T(signal_atomic_stop, 60000)
{
	char text[4096];
	int killed = 0, delivered = 0;
	for (int i = 0; i < 100; i++) {
		int r = part(atomic_stop, text, sizeof text);
		CHECK_STREQ(text, "");
		CHECK(r == 3 || r == 256 + SIGINT);
		*(r == 3 ? &delivered : &killed) += 1;
	}
	CHECK_EQ(killed + delivered, 100);
}

// ---- what the calls refuse ----

TEST(signal_notify_bad_arguments)
{
	rt0_chan *c = ints(1), *wide = rt0_chan_make(8, 1);
	CHECK_EQ(RT0_NOTIFY(wide, SIGUSR1), -EINVAL);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1, SIGKILL), -EINVAL);
	CHECK_EQ(RT0_NOTIFY(c, SIGSTOP), -EINVAL);
	CHECK_EQ(RT0_NOTIFY(c, 32), -EINVAL);
	CHECK_EQ(RT0_NOTIFY(c, 65), -EINVAL);
	CHECK_EQ(RT0_NOTIFY(c, -1), -EINVAL);
	CHECK_EQ(rt0_signal_notify(c, NULL, -1), -EINVAL);
	CHECK_EQ(RT0_IGNORE(SIGSEGV), -EINVAL);
	CHECK_EQ(RT0_RESET(SIGKILL), -EINVAL);
	CHECK_EQ(rt0_signal_ignored(0), false);
	CHECK_EQ(rt0_signal_stop(c), 0); // never notified
	// Explicitly, the first one of the C library's real-time signals can be had.
	CHECK_EQ(RT0_NOTIFY(c, SIGRTMIN), 0);
	send(SIGRTMIN);
	CHECK_EQ(next(c), SIGRTMIN);
	CHECK_EQ(rt0_signal_stop(c), 0);
}

// ---- who has the signal ----

static int mine;

static void
my_handler(int sig)
{
	set(&mine, sig);
}

// A handler that the program installs replaces rt0's, and notify gives it back.
TEST(signal_handler_of_the_program_comes_back)
{
	rt0_go(drain, ints(0)); // SIGUSR2 is rt0's now
	CHECK(action(SIGUSR2) != (uintptr_t)SIG_DFL);
	signal(SIGUSR2, my_handler);
	send(SIGUSR2);
	await(&mine, SIGUSR2);
	rt0_chan *c = ints(1);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR2), 0);
	set(&mine, 0);
	send(SIGUSR2);
	CHECK_EQ(next(c), SIGUSR2);
	CHECK_EQ(get(&mine), 0);
	CHECK_EQ(rt0_signal_stop(c), 0);
	CHECK_EQ(action(SIGUSR2), (uintptr_t)my_handler);
	send(SIGUSR2);
	await(&mine, SIGUSR2);
	// One installed while notified stays when that ends.
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1), 0);
	signal(SIGUSR1, my_handler);
	CHECK_EQ(RT0_RESET(SIGUSR1), 0);
	CHECK_EQ(action(SIGUSR1), (uintptr_t)my_handler);
}

// One installed before the first go statement is left alone by it.
TEST(signal_handler_before_grow_stays)
{
	signal(SIGUSR1, my_handler);
	signal(SIGALRM, SIG_IGN);
	rt0_go(drain, ints(0));
	CHECK_EQ(action(SIGUSR1), (uintptr_t)my_handler);
	CHECK_EQ(action(SIGALRM), (uintptr_t)SIG_IGN);
	CHECK(action(SIGUSR2) != (uintptr_t)SIG_DFL);
	CHECK_EQ(action(SIGINT), (uintptr_t)SIG_DFL);
	send(SIGUSR1);
	await(&mine, SIGUSR1);
}

// ---- threads ----

static int tid, quit;

static void *
idle_thread(void *arg)
{
	(void)arg;
	set(&tid, gettid_());
	while (!get(&quit))
		usleep(1000);
	return NULL;
}

// Directed at a thread that rt0 does not know, which is where the kernel may deliver any signal.
TEST(signal_on_foreign_thread_is_queued)
{
	rt0_chan *c = ints(1);
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, idle_thread, NULL), 0);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1, SIGTERM), 0);
	CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
	CHECK_EQ(next(c), SIGUSR1);
	CHECK_EQ(pthread_kill(t, SIGTERM), 0);
	CHECK_EQ(next(c), SIGTERM);
	CHECK_EQ(rt0_signal_stop(c), 0);
	set(&quit, 1);
	pthread_join(t, NULL);
}

struct state {
	stack_t st;
	sigset_t mask;
};

static void
look(void *arg)
{
	struct state *s = arg;
	CHECK_EQ(sigaltstack(NULL, &s->st), 0);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &s->mask), 0);
}

static void *
thread_with_own(void *arg)
{
	static char stack[64 << 10];
	struct state first = {0}, before = {0}, in = {0}, after = {0};
	stack_t st = {.ss_sp = stack, .ss_size = sizeof stack};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGURG);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
	look(&first); // a sanitizer has given the thread one, and wants it back
	if (arg != NULL)
		CHECK_EQ(sigaltstack(&st, NULL), 0);
	look(&before);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(rt0_run(look, &in), 0);
		look(&after);
		// Lent for the call: faults and the preemption signal are open.
		CHECK(sigismember(&in.mask, SIGUSR1) == 1 && sigismember(&in.mask, SIGURG) == 0);
		CHECK_EQ(memcmp(&before.mask, &after.mask, sizeof before.mask), 0);
		CHECK_EQ(after.st.ss_flags, before.st.ss_flags);
		CHECK_EQ(after.st.ss_sp, before.st.ss_sp);
		CHECK_EQ(in.st.ss_flags, 0); // inside there is one
	}
	CHECK_EQ(sigaltstack(&first.st, NULL), 0);
	return NULL;
}

TEST(signal_foreign_thread_keeps_stack_and_mask)
{
	for (uintptr_t own = 0; own < 2; own++) {
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, thread_with_own, (void *)own), 0);
		CHECK_EQ(RT0_BLOCKING(pthread_join(t, NULL)), 0);
	}
}

// A goroutine that is locked to its thread may change the mask; other threads do not get it.
static void
mask_of(void *arg)
{
	rt0_lock_os_thread();
	pthread_sigmask(SIG_SETMASK, NULL, arg);
	rt0_unlock_os_thread();
	set(&quit, 1);
}

TEST(signal_mask_of_locked_goroutine_is_its_own)
{
	rt0_lock_os_thread();
	sigset_t set, other;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigfillset(&other);
	rt0_go(mask_of, &other);
	await(&quit, 1);
	CHECK_EQ(sigismember(&other, SIGUSR1), 0);
	// It is delivered: to another thread.
	rt0_chan *c = ints(1);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1), 0);
	send(SIGUSR1);
	CHECK_EQ(next(c), SIGUSR1);
	rt0_signal_stop(c);
	pthread_sigmask(SIG_SETMASK, NULL, &other);
	CHECK_EQ(sigismember(&other, SIGUSR1), 1);
}

// Nothing runs but the receiver, which waits in the kernel; the signal comes from another process.
static void
parked(int procs)
{
	int gate[2];
	char b = 0;
	CHECK_EQ(pipe(gate), 0);
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 50 && read(gate[0], &b, 1) == 1; i++) {
			usleep((unsigned)(i % 5) * 400);
			kill(parent, SIGUSR1);
		}
		_exit(0);
	}
	rt0_gomaxprocs(procs);
	rt0_chan *c = ints(1);
	CHECK_EQ(RT0_NOTIFY(c, SIGUSR1), 0);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(write(gate[1], &b, 1), 1);
		CHECK_EQ(next(c), SIGUSR1);
	}
	CHECK_EQ(rt0_signal_stop(c), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST_T(signal_wakes_parked_program_1p, 20000)
{
	parked(1);
}

TEST_T(signal_wakes_parked_program_2p, 20000)
{
	parked(2);
}

// ---- SIGPIPE ----

static int
broken(int to)
{
	int p[2];
	CHECK_EQ(pipe(p), 0);
	close(p[0]);
	if (to < 0)
		return p[1];
	CHECK_EQ(dup2(p[1], to), to);
	return to;
}

static void
write_broken(void)
{
	_exit(write(broken(1), "x", 1) < 0 && errno == EPIPE ? 5 : 6);
}

static void
rt0_write_broken(void)
{
	rt0_chan_make(1, 1);
	_exit(rt0_write(broken(1), "x", 1) == -EPIPE ? 5 : 6);
}

static void
writer_thread(void *arg)
{
	(void)arg;
	write_broken();
}

static void
goroutine_writes_broken(void)
{
	rt0_go(writer_thread, NULL);
	rt0_chan_recv(NULL, NULL);
}

// What the runtime prints is not output of the program.
static void
panic_to_broken(void)
{
	broken(2);
	rt0_panic("nobody sees this");
}

static void
sigpipe_sent(void)
{
	send(SIGPIPE);
	_exit(5);
}

static void
sigpipe_ignored(void)
{
	RT0_IGNORE(SIGPIPE);
	write_broken();
}

TEST(signal_pipe_kills_for_stdout_only)
{
	char text[4096];
	CHECK_EQ(write(broken(-1), "x", 1), -1);
	CHECK_EQ(errno, EPIPE);
	CHECK_EQ(rt0_write(broken(-1), "x", 1), -EPIPE);
	CHECK_EQ(part(write_broken, text, sizeof text), 256 + SIGPIPE);
	CHECK_EQ(part(rt0_write_broken, text, sizeof text), 256 + SIGPIPE);
	CHECK_EQ(part(goroutine_writes_broken, text, sizeof text), 256 + SIGPIPE);
	CHECK_EQ(part(panic_to_broken, text, sizeof text), 2);
	CHECK_EQ(part(sigpipe_sent, text, sizeof text), 5);
	CHECK_EQ(part(sigpipe_ignored, text, sizeof text), 5);
}

TEST(signal_pipe_is_notified)
{
	rt0_chan *c = ints(1);
	CHECK_EQ(RT0_NOTIFY(c, SIGPIPE), 0);
	CHECK_EQ(write(broken(-1), "x", 1), -1);
	CHECK_EQ(next(c), SIGPIPE);
	int keep = dup(1);
	CHECK_EQ(write(broken(1), "x", 1), -1); // and lives
	dup2(keep, 1);
	CHECK_EQ(next(c), SIGPIPE);
	CHECK_EQ(rt0_signal_stop(c), 0);
}

// ---- SIGPROF ----

static int ticks, bad;

NOSANITIZE static void
prof(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp, struct m *mp)
{
	(void)bp;
	inc(&ticks);
	if (pc == 0 || sp == 0 || (gp != NULL) != (mp != NULL) ||
	    (gp != NULL && gp != mp->g0 && gp->m != mp))
		set(&bad, 1);
}

static void
pingpong(int procs, bool hook)
{
	rt0_gomaxprocs(procs);
	if (hook)
		__atomic_store_n(&runtime_sigprof, prof, __ATOMIC_RELEASE);
	rt0_chan *c[2] = {ints(0), ints(0)};
	rt0_go(pong, c);
	struct itimerval it = {{0, 1000}, {0, 1000}};
	CHECK_EQ(setitimer(ITIMER_PROF, &it, NULL), 0);
	int v = 0, n = 0;
	for (int64_t until = rt0_nanotime() + 300 * MS;
	     hook ? get(&ticks) < 50 : rt0_nanotime() < until; n++) {
		rt0_chan_send(c[0], &n);
		CHECK(rt0_chan_recv(c[1], &v));
		CHECK_EQ(v, n);
	}
	rt0_chan_close(c[0]);
	CHECK_EQ(rt0_chan_recv(c[1], &v), false);
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_PROF, &it, NULL);
	CHECK_EQ(get(&bad), 0);
}

TEST_T(signal_prof_hook_1p, 20000)
{
	pingpong(1, true);
}

TEST_T(signal_prof_hook_2p, 20000)
{
	pingpong(2, true);
}

TEST_T(signal_prof_without_hook, 20000)
{
	pingpong(2, false);
}
