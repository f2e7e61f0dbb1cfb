// SPDX-License-Identifier: BSD-3-Clause
// test_process.c: child processes: start, wait, kill, output, and that nothing of them stays.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../include/rt0/process.h"
#include "apiutil.h"
#include "netutil.h"
#include "proc.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("sh", "-c", script)

// quiet waits until there are n goroutines: who was to end may need a moment.
static void
quiet(int n)
{
	while (rt0_num_goroutine() > n)
		rt0_sleep(RT0_MILLISECOND);
}

// nochild: no child of ours is left, running or not.
static void
nochild(void)
{
	int status;
	CHECK_EQ(waitpid(-1, &status, WNOHANG), -1);
	CHECK_EQ(errno, ECHILD);
}

static int
run(const char *script)
{
	rt0_process *p;
	int status = 9999;
	rt0_command cmd = {.argv = SH(script)};
	CHECK_EQ(rt0_process_start(&cmd, &p), 0);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	rt0_process_release(p);
	return status;
}

static const char *
outputof(const rt0_command *cmd, const char *in)
{
	static rt0_output res; // stays: the test ends soon
	CHECK_EQ(rt0_process_output(cmd, in, in != NULL ? strlen(in) : 0, 0, &res), 0);
	CHECK_EQ(res.status, 0);
	CHECK_EQ(res.nout, strlen(res.out));
	CHECK(res.err == NULL);
	return res.out;
}

TEST(process_status_is_exit_or_signal)
{
	CHECK_EQ(run("exit 0"), 0);
	CHECK_EQ(run("exit 7"), 7);
	CHECK_EQ(run("exit 255"), 255);
	CHECK_EQ(run("kill -9 $$"), -9);
	CHECK_EQ(run("kill -15 $$"), -15);
	nochild();
}

TEST(process_start_errors)
{
	rt0_process *p = NULL;
	int fds = netutil_fds(), err;
	struct {
		rt0_command cmd;
		int err;
	} bad[] = {
	    {{.argv = ARGV("no-such-program-here")}, -ENOENT},
	    {{.argv = ARGV("/no/such/program")}, -ENOENT},
	    {{.argv = ARGV("")}, -ENOENT},
	    {{.argv = ARGV("/")}, -EACCES},
	    {{.argv = ARGV("/etc/passwd")}, -EACCES},
	    {{.argv = ARGV("/etc/passwd/x")}, -ENOTDIR},
	    {{.argv = ARGV("true"), .path = "/proc/self/mem"}, -EACCES},
	    {{.argv = ARGV("true"), .dir = "/no/such/dir"}, -ENOENT},
	    {{.argv = ARGV("true"), .dir = "/etc/passwd"}, -ENOTDIR},
	    {{.argv = NULL}, -EINVAL},
	    {{.argv = (const char *const[]){NULL}}, -EINVAL},
	    {{.argv = ARGV("true"), .flags = 2}, -EINVAL},
	    {{.argv = ARGV("true"), .in = {(enum rt0_stdio_kind)77, NULL}}, -EINVAL},
	    {{.argv = ARGV("true"), .out = {RT0_STDIO_STDOUT, NULL}}, -EINVAL},
	    {{.argv = ARGV("true"), .in = {RT0_STDIO_STDOUT, NULL}}, -EINVAL},
	    {{.argv = ARGV("true"), .in = {RT0_STDIO_FD, NULL}}, -EBADF},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		for (int pipes = 0; pipes < 2; pipes++) {
			if (pipes)
				bad[i].cmd.err.kind = RT0_STDIO_PIPE;
			err = rt0_process_start(&bad[i].cmd, &p);
			if (err != bad[i].err)
				test_fail("%zu: %d, want %d\n", i, err, bad[i].err);
		}
	CHECK(p == NULL);
	CHECK_EQ(netutil_fds() > fds + 2, 0); // the poller's own, at the first
	nochild();
}

TEST(process_not_a_program)
{
	char name[] = "/tmp/rt0-test-XXXXXX";
	int fd = mkstemp(name);
	rt0_process *p;
	rt0_command cmd = {.argv = ARGV(name)};
	CHECK_EQ(write(fd, "junk", 4), 4);
	CHECK_EQ(fchmod(fd, 0700), 0);
	int busy = rt0_process_start(&cmd, &p);
	close(fd);
	int junk = rt0_process_start(&cmd, &p);
	unlink(name);
	CHECK_EQ(busy, -ETXTBSY);
	CHECK_EQ(junk, -ENOEXEC);
	nochild();
}

TEST(process_path_is_searched)
{
	char dir[] = "/tmp/rt0-test-XXXXXX", prog[64], none[64];
	rt0_process *p;
	CHECK(mkdtemp(dir) != NULL);
	snprintf(prog, sizeof prog, "%s/rt0-prog", dir);
	snprintf(none, sizeof none, "%s/rt0-none", dir);
	CHECK_EQ(symlink("/bin/echo", prog), 0);
	close(creat(none, 0600));
	char path[128];
	snprintf(path, sizeof path, "PATH=/nowhere::%s:/etc/passwd:/bin", dir);
	putenv(path); // the program's own environment, not that of the start
	rt0_command cmd = {.argv = ARGV("rt0-prog", "found", "it")}, not = {.argv = ARGV("rt0-none")};
	CHECK_STREQ(outputof(&cmd, NULL), "found it\n");
	CHECK_EQ(rt0_process_start(&not, &p), -EACCES);
	cmd = (rt0_command){.argv = ARGV("other", "name"), .path = "rt0-prog"};
	CHECK_STREQ(outputof(&cmd, NULL), "name\n");
	// Without PATH the system's.
	unsetenv("PATH");
	cmd = (rt0_command){.argv = ARGV("sh", "-c", "echo yes")};
	CHECK_STREQ(outputof(&cmd, NULL), "yes\n");
	unlink(prog);
	unlink(none);
	rmdir(dir);
}

TEST(process_dir_and_environment)
{
	rt0_command cmd = {.argv = SH("pwd; echo \"$RT0_X\""), .dir = "/usr"};
	setenv("RT0_X", "set later", 1);
	CHECK_STREQ(outputof(&cmd, NULL), "/usr\nset later\n");
	cmd.env = ARGV("RT0_X=own", "PATH=/nowhere");
	CHECK_STREQ(outputof(&cmd, NULL), "/usr\nown\n");
	cmd = (rt0_command){.argv = ARGV("./env"), .dir = "/usr/bin", .env = (const char *const[]){NULL}};
	CHECK_STREQ(outputof(&cmd, NULL), "");
	char here[256];
	CHECK(getcwd(here, sizeof here) != NULL && strcmp(here, "/usr") != 0);
}

TEST(process_clearenv)
{
	clearenv();
	rt0_command cmd = {.argv = ARGV("env")};
	CHECK_STREQ(outputof(&cmd, NULL), "");
}

TEST(process_pipes)
{
	char b[64];
	long n;
	int status;
	rt0_process *p;
	rt0_command cmd = {.argv = SH("read x; echo out $x; echo err $x >&2"), .in = {RT0_STDIO_PIPE, NULL},
	    .out = {RT0_STDIO_PIPE, NULL}, .err = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_start(&cmd, &p), 0);
	CHECK(rt0_process_pid(p) > 1 && rt0_process_pid(p) != getpid());
	CHECK_EQ(rt0_fd_write(rt0_process_stdin(p), "word\n", 5), 5);
	n = rt0_fd_read(rt0_process_stdout(p), b, sizeof b);
	CHECK(n == 9 && memcmp(b, "out word\n", 9) == 0);
	n = rt0_fd_read(rt0_process_stderr(p), b, sizeof b);
	CHECK(n == 9 && memcmp(b, "err word\n", 9) == 0);
	CHECK_EQ(rt0_fd_read(rt0_process_stdout(p), b, sizeof b), 0);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	CHECK_EQ(status, 0);
	rt0_fd *in = rt0_process_stdin(p);
	CHECK_EQ(rt0_fd_write(in, "x", 1), -EPIPE);
	rt0_process_release(p);
	CHECK_EQ(rt0_fd_write(in, "x", 1), -ECANCELED);
	nochild();
}

TEST(process_closed_stdin_is_the_end)
{
	rt0_process *p;
	int status;
	rt0_command cmd = {.argv = ARGV("cat"), .in = {RT0_STDIO_PIPE, NULL}, .out = {RT0_STDIO_NULL, NULL}};
	CHECK_EQ(rt0_process_start(&cmd, &p), 0);
	CHECK(rt0_process_stdout(p) == NULL && rt0_process_stderr(p) == NULL);
	CHECK_EQ(rt0_process_wait(p, rt0_deadline(1000000), &status), -ETIMEDOUT);
	CHECK_EQ(rt0_fd_close(rt0_process_stdin(p)), 0);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	CHECK_EQ(status, 0);
	rt0_process_release(p);
}

// Two children on one pipe, which must be blocking for both: cat does not know EAGAIN.
TEST(process_pipeline)
{
	rt0_fd *mid[2];
	rt0_process *a, *b;
	static char buf[1 << 20];
	int status;
	CHECK_EQ(rt0_pipe(mid), 0);
	rt0_command first = {.argv = SH("head -c 1000000 /dev/zero"), .out = {RT0_STDIO_FD, mid[1]}};
	rt0_command second = {.argv = SH("sleep 0.05; cat"), .in = {RT0_STDIO_FD, mid[0]}, .out = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_start(&first, &a), 0);
	CHECK_EQ(rt0_process_start(&second, &b), 0);
	rt0_fd_close(mid[0]);
	rt0_fd_close(mid[1]);
	size_t n = 0;
	long got;
	while ((got = rt0_fd_read(rt0_process_stdout(b), buf, sizeof buf)) > 0)
		n += (size_t)got;
	CHECK_EQ(n, 1000000);
	CHECK_EQ(rt0_process_wait(a, RT0_NEVER, &status), 0);
	CHECK_EQ(status, 0);
	CHECK_EQ(rt0_process_wait(b, RT0_NEVER, &status), 0);
	CHECK_EQ(status, 0);
	rt0_process_release(a);
	rt0_process_release(b);
}

// Whatever numbers the child's ends have, also those of its 0, 1 and 2, and crosswise.
TEST(process_stdio_among_the_first_numbers)
{
	int keep[3];
	for (int i = 0; i < 3; i++)
		keep[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	for (int closed = 0; closed < 8; closed++) {
		rt0_output res;
		for (int i = 0; i < 3; i++)
			if (closed & 1 << i)
				close(i);
		rt0_command cmd = {.argv = SH("read x; echo out $x; echo err $x >&2"), .err = {RT0_STDIO_PIPE, NULL}};
		int err = rt0_process_output(&cmd, "in", 2, 0, &res);
		for (int i = 0; i < 3; i++)
			dup2(keep[i], i);
		CHECK_EQ(err, 0);
		CHECK_STREQ(res.out, "out in\n");
		CHECK_STREQ(res.err, "err in\n");
		rt0_free(res.out);
		rt0_free(res.err);
	}
	// Its output is our 0, its error our 1.
	int f = open("/tmp", O_TMPFILE | O_RDWR, 0600), g = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (f < 0 || g < 0)
		SKIP("no O_TMPFILE");
	dup2(f, 0);
	dup2(g, 1);
	rt0_fd *h[2];
	rt0_process *p;
	CHECK_EQ(rt0_fd_new(0, RT0_FD_BORROWED | RT0_FD_BLOCKING, &h[0]), 0);
	CHECK_EQ(rt0_fd_new(1, RT0_FD_BORROWED | RT0_FD_BLOCKING, &h[1]), 0);
	rt0_command cmd = {.argv = SH("echo out; echo err >&2"), .out = {RT0_STDIO_FD, h[0]}, .err = {RT0_STDIO_FD, h[1]}};
	int err = rt0_process_start(&cmd, &p);
	dup2(keep[0], 0);
	dup2(keep[1], 1);
	CHECK_EQ(err, 0);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, NULL), 0);
	char b[16];
	CHECK_EQ(pread(f, b, sizeof b, 0), 4);
	CHECK(memcmp(b, "out\n", 4) == 0);
	CHECK_EQ(pread(g, b, sizeof b, 0), 4);
	CHECK(memcmp(b, "err\n", 4) == 0);
}

TEST(process_err_to_out)
{
	rt0_command cmd = {.argv = SH("echo a; echo b >&2; echo c"), .err = {RT0_STDIO_STDOUT, NULL}};
	CHECK_STREQ(outputof(&cmd, NULL), "a\nb\nc\n");
}

TEST(process_child_gets_no_other_descriptor)
{
	rt0_fd *some[2];
	CHECK_EQ(rt0_pipe(some), 0);
	rt0_process *other;
	rt0_command sleeper = {.argv = ARGV("sleep", "100"), .in = {RT0_STDIO_PIPE, NULL}, .out = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_start(&sleeper, &other), 0);
	// The runner may have left us some: as many as the libc's own children get.
	char plain[16] = "";
	FILE *f = RT0_BLOCKING(popen("ls /proc/self/fd | wc -l", "r"));
	CHECK(RT0_BLOCKING(fgets(plain, sizeof plain, f)) != NULL);
	RT0_BLOCKING(pclose(f));
	rt0_command cmd = {.argv = SH("ls /proc/self/fd | wc -l")};
	CHECK_STREQ(outputof(&cmd, NULL), plain);
	CHECK_EQ(rt0_process_kill(other, SIGKILL), 0);
	rt0_process_release(other);
}

static void
nothing(int sig)
{
	(void)sig;
}

// SigBlk, SigIgn and SigCgt of a child: the mask that we were started with, what was ignored, nothing caught.
TEST(process_signals_are_as_at_the_start)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 1);
	sigset_t s;
	rt0_lock_os_thread(); // whose mask is changed
	CHECK_EQ(RT0_NOTIFY(c, SIGHUP, SIGINT), 0);
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	CHECK_EQ(RT0_IGNORE(SIGWINCH), 0);
	sigemptyset(&s);
	sigaddset(&s, SIGTERM); // this thread's own
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	rt0_command cmd = {.argv = ARGV("cat", "/proc/self/status")};
	unsigned long blk, ign, cgt;
	const char *text = strstr(outputof(&cmd, NULL), "SigBlk:");
	CHECK(text != NULL && sscanf(text, "SigBlk: %lx SigIgn: %lx SigCgt: %lx", &blk, &ign, &cgt) == 3);
	CHECK_EQ(blk, 0);
	CHECK_EQ(cgt, 0);
	CHECK((ign & 1ul << (SIGWINCH - 1)) != 0);
	CHECK((ign & (1ul << (SIGPIPE - 1) | 1ul << (SIGINT - 1) | 1ul << (SIGURG - 1))) == 0);
	pthread_sigmask(SIG_SETMASK, NULL, &s);
	CHECK(sigismember(&s, SIGTERM) == 1 && sigismember(&s, SIGUSR2) == 0);
	CHECK_EQ(rt0_signal_stop(c), 0);
}

// ---- kill, deadlines, contexts ----

static rt0_process *
sleeper(int flags, rt0_context *ctx)
{
	rt0_process *p;
	rt0_command cmd = {.argv = ARGV("sleep", "1000"), .flags = flags, .ctx = ctx};
	CHECK_EQ(rt0_process_start(&cmd, &p), 0);
	return p;
}

TEST(process_kill)
{
	int status;
	rt0_process *p = sleeper(0, NULL);
	CHECK_EQ(rt0_process_kill(p, 12345), -EINVAL);
	CHECK_EQ(rt0_process_kill(p, 0), 0);
	CHECK_EQ(rt0_process_wait(p, 0, &status), -ETIMEDOUT);
	CHECK_EQ(rt0_process_kill(p, SIGTERM), 0);
	for (int i = 0; i < 3; i++) {
		status = 0;
		CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
		CHECK_EQ(status, -SIGTERM);
	}
	CHECK_EQ(rt0_process_wait(p, 0, NULL), 0);
	CHECK_EQ(rt0_process_kill(p, SIGTERM), -ESRCH);
	rt0_process_release(p);
	rt0_process_release(NULL);
	nochild();
}

TEST(process_kill_group)
{
	rt0_process *p;
	char b[16];
	rt0_command cmd = {.argv = SH("sleep 1000 & echo started; wait"), .flags = RT0_PROCESS_GROUP, .out = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_start(&cmd, &p), 0);
	CHECK_EQ(rt0_fd_read(rt0_process_stdout(p), b, sizeof b), 8);
	CHECK_EQ(rt0_process_kill(p, SIGKILL), 0);
	// The pipe ends when both are dead.
	CHECK_EQ(rt0_fd_read(rt0_process_stdout(p), b, sizeof b), 0);
	int status;
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	CHECK_EQ(status, -SIGKILL);
	rt0_process_release(p);
}

static int running;

static void
waiter(void *arg)
{
	int status = 0;
	int64_t deadline = get(&running) % 3 == 0 ? rt0_deadline(RT0_MILLISECOND) : RT0_NEVER;
	inc(&running);
	int err = rt0_process_wait(arg, deadline, &status);
	CHECK(err == 0 || (err == -ETIMEDOUT && deadline != RT0_NEVER));
	CHECK(err != 0 || status == -SIGINT);
	dec(&running);
}

TEST(process_many_wait_for_one)
{
	rt0_process *p = sleeper(0, NULL);
	for (int i = 0; i < 30; i++)
		rt0_go(waiter, p);
	rt0_sleep(3 * RT0_MILLISECOND);
	CHECK_EQ(rt0_process_kill(p, SIGINT), 0);
	quiet(1);
	CHECK_EQ(get(&running), 0);
	rt0_process_release(p);
	nochild();
}

TEST(process_context_kills)
{
	int status, n = rt0_num_goroutine();
	rt0_context *ctx = NULL;
	rt0_process *p = NULL, *q;
	rt0_command sleep1000 = {.argv = ARGV("sleep", "1000")};
	for (int64_t ns = 5 * RT0_MILLISECOND; p == NULL; ns *= 2) {
		ctx = sleep1000.ctx = rt0_context_with_timeout(rt0_context_background(), ns);
		int err = rt0_process_start(&sleep1000, &p);
		CHECK(err == 0 || err == -ETIMEDOUT); // this was slower than that
		if (err < 0)
			rt0_context_release(ctx);
	}
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	CHECK_EQ(status, -SIGKILL);
	CHECK_EQ(rt0_context_err(ctx), -ETIMEDOUT);
	rt0_process_release(p);
	rt0_command cmd = {.argv = ARGV("true"), .ctx = ctx};
	CHECK_EQ(rt0_process_start(&cmd, &q), -ETIMEDOUT);
	rt0_context_release(ctx);
	ctx = rt0_context_with_cancel(rt0_context_background());
	p = sleeper(0, ctx);
	rt0_process_release(p); // it goes on, and is still the context's
	rt0_context_cancel(ctx);
	quiet(n);
	nochild();
	// One that ends before its context.
	rt0_context *two = rt0_context_with_cancel(rt0_context_background());
	cmd.ctx = two;
	CHECK_EQ(rt0_process_start(&cmd, &q), 0);
	CHECK_EQ(rt0_process_wait(q, RT0_NEVER, &status), 0);
	CHECK_EQ(status, 0);
	rt0_context_cancel(two);
	rt0_process_release(q);
	rt0_context_release(two);
	rt0_context_release(ctx);
	quiet(n);
}

TEST(process_released_leaves_no_zombie)
{
	int fds, n = rt0_num_goroutine();
	rt0_process *p;
	CHECK_EQ(run("exit 0"), 0);
	fds = netutil_fds();
	rt0_command cmd = {.argv = SH("exit 3")};
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(rt0_process_start(&cmd, &p), 0);
		rt0_process_release(p);
	}
	quiet(n);
	CHECK_EQ(netutil_fds(), fds);
	nochild();
}

TEST(process_stolen_status_is_echild)
{
	rt0_process *p = sleeper(0, NULL);
	int status;
	CHECK_EQ(rt0_process_kill(p, SIGKILL), 0);
	CHECK_EQ(RT0_BLOCKING(waitpid(rt0_process_pid(p), &status, 0)), rt0_process_pid(p));
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), -ECHILD);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), -ECHILD);
	CHECK_EQ(rt0_process_kill(p, SIGKILL), -ESRCH);
	rt0_process_release(p);
}

// ---- output ----

TEST(process_output_both_and_input)
{
	rt0_output res;
	static char big[300000];
	memset(big, 'z', sizeof big);
	rt0_command cmd = {.argv = SH("cat; echo end >&2; exit 5"), .err = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_output(&cmd, big, sizeof big, 0, &res), 0);
	CHECK_EQ(res.status, 5);
	CHECK_EQ(res.nout, sizeof big);
	CHECK(memcmp(res.out, big, sizeof big) == 0 && res.out[sizeof big] == 0);
	CHECK_STREQ(res.err, "end\n");
	CHECK_EQ(res.nerr, 4);
	rt0_free(res.out);
	rt0_free(res.err);
	// Who does not read its input does not hang us.
	cmd = (rt0_command){.argv = ARGV("true")};
	CHECK_EQ(rt0_process_output(&cmd, big, sizeof big, 0, &res), 0);
	CHECK_EQ(res.nout, 0);
	CHECK_STREQ(res.out, "");
	cmd = (rt0_command){.argv = ARGV("cat"), .in = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_output(&cmd, NULL, 0, 0, &res), 0);
	CHECK_EQ(res.nout, 0);
	cmd = (rt0_command){.argv = ARGV("no-such-program-here")};
	CHECK_EQ(rt0_process_output(&cmd, NULL, 0, 0, &res), -ENOENT);
	CHECK(res.out == NULL);
	nochild();
}

TEST(process_output_limit)
{
	rt0_output res;
	int n = rt0_num_goroutine();
	rt0_command cmd = {.argv = ARGV("yes")};
	CHECK_EQ(rt0_process_output(&cmd, NULL, 0, 10000, &res), -EMSGSIZE);
	CHECK_EQ(res.nout, 10000);
	CHECK(res.status == -SIGKILL || res.status == -SIGPIPE);
	rt0_free(res.out);
	cmd = (rt0_command){.argv = SH("yes >&2"), .flags = RT0_PROCESS_GROUP, .err = {RT0_STDIO_PIPE, NULL}};
	CHECK_EQ(rt0_process_output(&cmd, NULL, 0, 100, &res), -EMSGSIZE);
	CHECK_EQ(res.nerr, 100);
	CHECK_EQ(res.nout, 0);
	rt0_free(res.out);
	rt0_free(res.err);
	cmd = (rt0_command){.argv = SH("printf 1234")};
	CHECK_EQ(rt0_process_output(&cmd, NULL, 0, 4, &res), 0);
	CHECK_STREQ(res.out, "1234");
	quiet(n);
	nochild();
}

// The child of the child keeps the pipe; it must not keep us.
TEST(process_output_ends_with_its_context)
{
	rt0_output res;
	int n = rt0_num_goroutine(), fds = -1;
	for (int i = 0; i < 3; i++) {
		rt0_context *ctx = rt0_context_with_timeout(rt0_context_background(), 50 * RT0_MILLISECOND);
		rt0_command cmd = {.argv = SH("echo before; sleep 2 & sleep 2; echo after"), .ctx = ctx};
		CHECK_EQ(rt0_process_output(&cmd, NULL, 0, 0, &res), -ETIMEDOUT);
		CHECK(strcmp(res.out, "before\n") == 0 || res.nout == 0);
		CHECK_EQ(res.status, -SIGKILL);
		rt0_free(res.out);
		rt0_context_release(ctx);
		quiet(n);
		if (fds < 0)
			fds = netutil_fds();
	}
	CHECK_EQ(netutil_fds(), fds);
}

// ---- many ----

static int ended;

static void
child(void *arg)
{
	rt0_process *p;
	int status, want = (int)((intptr_t)arg % 200);
	char script[64], b[16];
	snprintf(script, sizeof script, "read x; exit %d", want);
	rt0_command cmd = {.argv = SH(script), .in = {RT0_STDIO_PIPE, NULL}, .out = {RT0_STDIO_PIPE, NULL}};
	int err;
	while ((err = rt0_process_start(&cmd, &p)) == -EAGAIN)
		rt0_sleep(10 * RT0_MILLISECOND);
	CHECK_EQ(err, 0);
	inc(&running);
	while (get(&running) < 200)
		rt0_sleep(RT0_MILLISECOND);
	CHECK_EQ(rt0_fd_write(rt0_process_stdin(p), "go\n", 3), 3);
	CHECK_EQ(rt0_fd_read(rt0_process_stdout(p), b, sizeof b), 0);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	CHECK_EQ(status, want);
	rt0_process_release(p);
	inc(&ended);
}

TEST_T(process_200_at_one_time, 60000)
{
	CHECK_EQ(run("exit 0"), 0);
	int n = rt0_num_goroutine(), fds = netutil_fds();
	for (intptr_t i = 0; i < 200; i++)
		rt0_go(child, (void *)i);
	while (get(&ended) < 200)
		rt0_sleep(RT0_MILLISECOND);
	quiet(n);
	CHECK_EQ(netutil_fds(), fds);
	CHECK(proc_threads() < 30);
	nochild();
}

static void
stormy(void *arg)
{
	rt0_process *p = arg;
	for (int i = 0; i < 20; i++) {
		int err = rt0_process_kill(p, i % 2 ? SIGTERM : SIGKILL);
		CHECK(err == 0 || err == -ESRCH);
		rt0_gosched();
	}
	inc(&ended);
}

// Kills, waits with deadlines that pass at that moment, the end by itself and the context's, all at once.
TEST_T(process_kill_storm, 60000)
{
	CHECK_EQ(run("exit 0"), 0);
	int n = rt0_num_goroutine(), fds = netutil_fds(), rounds = SANITIZED ? 20 : 60;
	for (int i = 0; i < rounds; i++) {
		rt0_process *p;
		rt0_context *ctx = rt0_context_with_timeout(rt0_context_background(), (i % 7) * RT0_MILLISECOND / 2 + 1);
		rt0_command cmd = {.argv = ARGV("sleep", i % 2 ? "0.001" : "100"), .ctx = i % 3 ? ctx : NULL, .flags = i % 5 == 0 ? RT0_PROCESS_GROUP : 0};
		int status, err = rt0_process_start(&cmd, &p);
		set(&ended, 0);
		if (err == 0) {
			for (int k = 0; k < 3; k++)
				rt0_go(stormy, p);
			while ((err = rt0_process_wait(p, rt0_deadline(50000), &status)) == -ETIMEDOUT)
				;
			CHECK_EQ(err, 0);
			CHECK(status == -SIGKILL || status == -SIGTERM || (status == 0 && i % 2));
			await(&ended, 3);
			rt0_process_release(p);
		} else {
			CHECK_EQ(err, -ETIMEDOUT);
		}
		rt0_context_release(ctx);
	}
	quiet(n);
	CHECK_EQ(netutil_fds(), fds);
	nochild();
}

// Starts that fail beside those that succeed, with goroutines that are preempted all the time.
static void
spin(void *arg)
{
	(void)arg;
	while (get(&running) == 0)
		;
	inc(&ended);
}

TEST_T(process_start_beside_busy_goroutines, 60000)
{
	rt0_process *p;
	rt0_command bad = {.argv = ARGV("no-such-program-here")};
	for (int i = 0; i < 4; i++)
		rt0_go(spin, NULL);
	for (int i = 0; i < (SANITIZED ? 10 : 30); i++) {
		CHECK_EQ(run("exit 4"), 4);
		CHECK_EQ(rt0_process_start(&bad, &p), -ENOENT);
	}
	set(&running, 1);
	await(&ended, 4);
	nochild();
}

TEST(process_no_descriptors_left)
{
	rt0_process *p;
	CHECK_EQ(run("exit 0"), 0);
	for (int left = 0; left < 8; left++) {
		rt0_command cmd = {.argv = ARGV("true"), .in = {RT0_STDIO_PIPE, NULL}, .out = {RT0_STDIO_PIPE, NULL}, .err = {RT0_STDIO_NULL, NULL}};
		netutil_starve(left);
		int err = rt0_process_start(&cmd, &p), status;
		if (left < 6) {
			CHECK_EQ(err, -EMFILE);
		} else {
			CHECK_EQ(err, 0);
			CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
			CHECK_EQ(status, 0);
			rt0_process_release(p);
		}
		// As many are free as before.
		int n = 0, fd[16];
		while (n < 16 && (fd[n] = dup(2)) >= 0)
			n++;
		CHECK_EQ(n, left);
		while (n > 0)
			close(fd[--n]);
		for (int i = 20; i < 256; i++)
			if (fcntl(i, F_GETFD) == 0)
				close(i);
	}
	nochild();
}

static void *
thread(void *arg)
{
	rt0_process *p;
	int status;
	rt0_output res;
	rt0_command cmd = {.argv = SH("exit 6")}, echo = {.argv = ARGV("echo", "x")};
	CHECK_EQ(rt0_process_start(&cmd, &p), 0);
	CHECK_EQ(rt0_process_wait(p, RT0_NEVER, &status), 0);
	CHECK_EQ(status, 6);
	CHECK_EQ(rt0_process_kill(p, 9), -ESRCH);
	rt0_process_release(p);
	CHECK_EQ(rt0_process_output(&echo, NULL, 0, 0, &res), 0);
	CHECK_STREQ(res.out, "x\n");
	rt0_free(res.out);
	return arg;
}

TEST(process_from_a_thread)
{
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
	nochild();
}
