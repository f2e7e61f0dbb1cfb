// SPDX-License-Identifier: BSD-3-Clause
// work.c: what tests/faults.sh runs while one system call of the runtime fails. The first argument
// says what it does:
//
//	hello      main prints "done" and returns
//	work       the same after much work of every kind
//	sockets    the same after connections, pipes and files
//	children   the same after other programs have run, and names have been looked up
//	deadlock   main and others wait for ever
//	panic      a goroutine panics
//	nil        a goroutine writes through a null pointer
//	overflow   a goroutine uses up its stack
//
// Hosted and pure: no libc function, only raw system calls of its own, which no fault touches.

#include <stddef.h>

#include "../harness/launch.h"
#include "rt0.h"
#include "rt0/bufio.h"
#include "rt0/io.h"
#include "rt0/net.h"
#include "rt0/process.h"

enum { TALKERS = 60, PARKED = 700, BIG = 100 << 20, FILES = 64 };

static rt0_chan *gate, *results;
static rt0_waitgroup parked, others;

// expect ends the program with a clear text, which is a good end, too.
static void
expect(bool ok, const char *what)
{
	if (!ok)
		rt0_fatal(what);
}

static void
nap(long ns)
{
	long ts[2] = {0, ns};
	RT0_BLOCKING(launch_sys(SYS_nanosleep, (long)ts, 0, 0, 0));
}

static int
openfiles(void)
{
	int n = 0;
	for (int fd = 0; fd < FILES; fd++)
		n += launch_sys(SYS_fcntl, fd, 1 /* F_GETFD */, 0, 0) >= 0;
	return n;
}

// zeroed looks at one byte a page.
static bool
zeroed(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i += 4096)
		if (p[i] != 0)
			return false;
	return true;
}

static void
talk(void *arg)
{
	int i = (int)(intptr_t)arg;
	char *p = rt0_alloc(50000, 0);
	expect(zeroed(p, 50000), "work: memory is not zeroed");
	p[49999] = 1;
	if (i % 3 == 0)
		nap(100000);
	if (i % 8 == 0)
		rt0_lock_os_thread(); // and never unlocks: the thread ends with the goroutine
	int v = p[49999] + i;
	rt0_chan_send(results, &v);
	rt0_free(p);
}

// sleepers wait for timers and for a pipe, so that ms sleep in the poller and are woken out of it.
static void
sleeper(void *arg)
{
	rt0_sleep(200000);
	expect(rt0_fd_write(arg, "x", 1) == 1, "work: cannot write to a pipe");
}

static void
waiting(void)
{
	rt0_fd *p[2];
	char c;
	expect(rt0_pipe(p) == 0, "work: no pipe");
	for (int i = 0; i < 5; i++) {
		rt0_go(sleeper, p[1]);
		expect(rt0_fd_read(p[0], &c, 1) == 1, "work: cannot read from a pipe");
	}
	rt0_fd_close(p[0]);
	rt0_fd_close(p[1]);
	int v;
	expect(rt0_chan_recv_until(results, &v, rt0_deadline(300000)) < 0, "work: something came");
}

static void
park(void *arg)
{
	(void)arg;
	rt0_chan_recv(gate, NULL);
	rt0_waitgroup_done(&parked);
}

static void
deep(void *arg)
{
	volatile char frame[300000];
	frame[0] = frame[299999] = 1;
	*(int *)arg += frame[0] + frame[299999];
}

static void
large(void *arg)
{
	int sum = 0, err = rt0_morestack(deep, &sum, 1 << 20);
	expect(err == 0, "work: rt0_morestack has no memory");
	rt0_stack_trim();
	rt0_chan_send(arg, &sum);
}

static void
work(void)
{
	int sum = 0, v;
	gate = rt0_chan_make(0, 0);
	results = rt0_chan_make(sizeof v, 4);
	rt0_waitgroup_add(&parked, PARKED);
	for (int i = 0; i < PARKED; i++)
		rt0_go(park, NULL);
	for (int i = 0; i < TALKERS; i++)
		rt0_go(talk, (void *)(intptr_t)i);
	int procs = rt0_gomaxprocs(0);
	for (int i = 0; i < 8; i++)
		rt0_gomaxprocs(1 + i % 4);
	for (int i = 0; i < TALKERS; i++) {
		rt0_chan_recv(results, &v);
		sum += v;
	}
	rt0_gomaxprocs(procs);
	rt0_attr attr = {.stack_size = 600000};
	for (int i = 0; i < 3; i++) {
		expect(rt0_go_attr(large, results, &attr) == 0, "work: rt0_go_attr has no memory");
		rt0_chan_recv(results, &v);
		sum += v;
	}
	// Enough to be given back to the kernel, and taken again.
	for (int i = 0; i < 2; i++) {
		char *p = rt0_alloc(BIG, 0);
		expect(zeroed(p, BIG), "work: big memory is not zeroed");
		p[0] = p[BIG / 2] = p[BIG - 1] = 1;
		rt0_free(p);
	}
	rt0_chan_close(gate);
	rt0_waitgroup_wait(&parked);
	waiting();
	expect(sum == TALKERS + TALKERS * (TALKERS - 1) / 2 + 6, "work: wrong sum");
}

static rt0_fd *listener;

static void
echo(void *arg)
{
	char buf[200];
	long n;
	while ((n = rt0_fd_read(arg, buf, sizeof buf)) > 0)
		expect(rt0_fd_write(arg, buf, (size_t)n) == n, "sockets: cannot write an answer");
	expect(n == 0, "sockets: cannot read a request");
	expect(rt0_fd_close(arg) == 0, "sockets: cannot close the server's end");
	rt0_waitgroup_done(&others);
}

static void
accepts(void *arg)
{
	for (intptr_t n = (intptr_t)arg; n > 0; n--) {
		rt0_fd *conn;
		expect(rt0_accept(listener, &conn, NULL) == 0, "sockets: cannot accept");
		rt0_go(echo, conn);
	}
}

static void
sockets(void)
{
	enum { CONNS = 6 };
	char local[40] = "unix:@rt0-faults-";
	const char *const where[] = {"127.0.0.1:0", local};
	for (int i = 0; i < 16; i++) // a name that no run beside this one takes
		local[17 + i] = (char)('a' + ((rt0_nanotime() ^ (int64_t)(uintptr_t)local) >> 4 * i & 15));
	char buf[200] = {1};
	rt0_addr at;
	rt0_fd *c, *p[2];
	for (int kind = 0; kind < 2; kind++) {
		expect(rt0_listen(where[kind], 0, &listener) == 0, "sockets: cannot listen");
		expect(rt0_local_addr(listener, &at) == 0, "sockets: no address");
		rt0_waitgroup_add(&others, CONNS);
		rt0_go(accepts, (void *)(intptr_t)CONNS);
		for (int i = 0; i < CONNS; i++) {
			expect(rt0_dial_addr(&at, 0, INT64_MAX, &c) == 0, "sockets: cannot dial");
			expect(rt0_fd_set_deadline(c, rt0_deadline(5 * RT0_SECOND)) == 0, "sockets: no deadline");
			expect(rt0_fd_write(c, buf, sizeof buf) == sizeof buf, "sockets: cannot write");
			for (long n = 0, r; n < (long)sizeof buf; n += r) {
				r = rt0_fd_read(c, buf, sizeof buf);
				expect(r > 0, "sockets: cannot read");
			}
			expect(rt0_fd_close(c) == 0, "sockets: cannot close");
		}
		rt0_waitgroup_wait(&others);
		expect(rt0_fd_close(listener) == 0, "sockets: cannot close the listener");
	}
	expect(rt0_pipe(p) == 0, "sockets: no pipe");
	expect(rt0_fd_open("/etc/passwd", 0, 0, &c) == 0, "sockets: no file");
	expect(rt0_fd_read(c, buf, sizeof buf) > 0, "sockets: cannot read the file");
	expect(rt0_copy(p[1], c, 20000) >= 0, "sockets: cannot copy");
	expect(rt0_fd_read(p[0], buf, sizeof buf) > 0, "sockets: cannot read the pipe");
	expect(rt0_fd_close(c) == 0 && rt0_fd_close(p[0]) == 0 && rt0_fd_close(p[1]) == 0, "sockets: cannot close a pipe");
	static char block[4096] __attribute__((aligned(4096)));
	if (rt0_fd_open("/etc/passwd", 040000 /* O_DIRECT, which not every file system has */, 0, &c) == 0) {
		expect(rt0_fd_read(c, block, sizeof block) > 0, "sockets: cannot read the disk");
		expect(rt0_fd_close(c) == 0, "sockets: cannot close the file");
	}
	expect(rt0_packet_listen("127.0.0.1:0", 0, &p[0]) == 0, "sockets: no datagrams");
	expect(rt0_local_addr(p[0], &at) == 0, "sockets: no address of datagrams");
	expect(rt0_packet_dial_addr(&at, &p[1]) == 0, "sockets: cannot dial datagrams");
	expect(rt0_fd_write(p[1], buf, 10) == 10, "sockets: cannot send");
	expect(rt0_recvfrom(p[0], buf, sizeof buf, &at) == 10, "sockets: cannot receive");
	expect(rt0_fd_close(p[0]) == 0 && rt0_fd_close(p[1]) == 0, "sockets: cannot close datagrams");
}

static void
children(void)
{
	const char *const argv[] = {"sh", "-c", "read x; echo $x; exit 3", NULL};
	const char *const sleeper[] = {"sleep", "100", NULL};
	char buf[64], *line;
	rt0_command cmd = {.argv = argv, .in = {RT0_STDIO_PIPE, NULL}, .out = {RT0_STDIO_PIPE, NULL}, .err = {RT0_STDIO_NULL, NULL}};
	rt0_process *p;
	rt0_reader r;
	rt0_addr a[2];
	int status = 0;
	expect(rt0_process_start(&cmd, &p) == 0, "children: cannot start");
	rt0_fd_set_deadline(rt0_process_stdout(p), rt0_deadline(5 * RT0_SECOND));
	expect(rt0_fd_write(rt0_process_stdin(p), "word\n", 5) == 5, "children: cannot write");
	rt0_reader_init(&r, rt0_process_stdout(p), buf, sizeof buf);
	expect(rt0_reader_read_line(&r, &line, NULL) == 1 && line[0] == 'w', "children: cannot read");
	expect(rt0_process_wait(p, rt0_deadline(5 * RT0_SECOND), &status) == 0 && status == 3, "children: cannot wait");
	rt0_process_release(p);
	cmd = (rt0_command){.argv = sleeper, .flags = RT0_PROCESS_GROUP};
	for (int i = 0; i < 2; i++, cmd.flags = 0) {
		expect(rt0_process_start(&cmd, &p) == 0, "children: cannot start one to be killed");
		int err = rt0_process_kill(p, 9);
		if (err < 0)
			rt0_process_kill(p, 9); // or it stays after us
		expect(err == 0, "children: cannot kill");
		expect(rt0_process_wait(p, rt0_deadline(5 * RT0_SECOND), &status) == 0 && status == -9, "children: cannot wait for one killed");
		rt0_process_release(p);
	}
	cmd = (rt0_command){.argv = (const char *const[]){"no-such-program-here", NULL}};
	expect(rt0_process_start(&cmd, &p) == -2, "children: started what there is not");
	int n = rt0_lookup("localhost", "80", 0, rt0_deadline(5 * RT0_SECOND), a, 2);
	expect(n > 0, "children: no localhost");
}

static void
forever(void *arg)
{
	rt0_chan_recv(arg, NULL);
}

static void
panics(void *arg)
{
	(void)arg;
	rt0_panic("boom");
}

static void
writesnull(void *arg)
{
	*(volatile int *)arg = 1;
}

static int
recurse(int n)
{
	volatile char frame[1000];
	frame[n % 1000] = (char)n;
	return n < 0 ? 0 : recurse(n + 1) + frame[n % 1000];
}

static void
overflows(void *arg)
{
	(void)arg;
	recurse(1);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void *);
	} ends[] = {
	    {"deadlock", forever}, {"panic", panics}, {"nil", writesnull}, {"overflow", overflows}};
	const char *how = argc > 1 ? argv[1] : "work";
	int files = openfiles();
	if (how[0] == 'w')
		work();
	if (how[0] == 's')
		sockets();
	if (how[0] == 'c')
		children();
	// The poller has two, and where the kernel wants a descriptor of the process, that is kept.
	expect(openfiles() <= files + 3, "work: an open file was left behind");
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (how[0] != ends[i].name[0])
			continue;
		rt0_go(forever, NULL);
		rt0_go(ends[i].fn, NULL);
		rt0_chan_recv(NULL, NULL);
	}
	expect(rt0_printf("done\n") == 5, "work: cannot write");
	return 0;
}
