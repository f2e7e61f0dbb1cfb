// SPDX-License-Identifier: BSD-3-Clause
// load.c: the client of all network benchmarks and survival tests: one thread, one epoll.
//
//	load echo  -p PORT [-n CONNS] [-d SECONDS] [-w SECONDS] [-P PID]
//	load idle  -p PORT [-n CONNS] [-d SECONDS] [-P PID]
//	load hold  -p PORT [-n CONNS] [-d SECONDS]
//	load churn -p PORT [-n CONNS] [-d SECONDS] [-s SEED] [-P PID] [-H] [-k KIND[,KIND...]]
//
// echo: every connection has one request of 64 bytes in flight; each byte that comes back is
// compared. The connections are up, and have had one echo each, before the clock starts; -w is how
// long the load runs before it counts. Prints requests/s and latencies; with -P also the processor
// time that the server (process PID) took for a request.
// idle: what CONNS connections that do nothing cost the server PID: its memory for each, after one
// echo on each, and its processor time over -d seconds, beside that without connections.
// hold: opens connections, says "ready" on standard output, and holds them for -d seconds or, with
// -d 0, until a signal ends it.
// churn: CONNS connections at once, each does one thing to the server, ends, and is
// followed by another, for -d seconds. At the end the server must still answer; with -P it must
// have no more descriptors than before, within 30 s. -H: the server speaks HTTP. -k picks kinds, whose names are
// in the table `kinds` of churn.c. The same seed makes the same choices, though not the same
// schedule.
//
// All speak TCP over IPv4, to -a ADDRESS (127.0.0.1). Exit status 1: the server did wrong or went
// away; 2: wrong usage. This is a program of plain C: what it measures must not depend on what is
// under test. It wants a processor of its own (taskset): echo_N_load is how busy it was, and at 100
// it was the limit, not the server.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum {
	maxconns = 10000,
	batch = 100,      // connections that are opened before the first is waited for
	stall_ms = 10000, // no answer at all for so long is a failure
	settle_ms = 500,  // idle: between the last echo and the first look
};

static const char usage[] =
    "usage: load echo  -p PORT [-n CONNS] [-d SECONDS] [-w SECONDS] [-P PID]\n"
    "       load idle  -p PORT [-n CONNS] [-d SECONDS] [-P PID]\n"
    "       load hold  -p PORT [-n CONNS] [-d SECONDS]\n"
    "       load churn -p PORT [-n CONNS] [-d SECONDS] [-s SEED] [-P PID] [-H] [-k KIND,...]\n"
    "       each: [-a ADDRESS]\n";

struct options opt = {.conns = 100, .secs = 5, .warm = 0.5, .seed = 1};

// ---- small things ----

_Noreturn void
die(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("load: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

_Noreturn void
wrong(const char *format, ...)
{
	va_list ap;

	fputs("load: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", usage);
	exit(2);
}

static int64_t
clockns(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		return 0;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
now(void)
{
	return clockns(CLOCK_MONOTONIC);
}

void
sleepms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		continue;
}

static uint64_t rngstate;

uint64_t
rng(void)
{
	rngstate ^= rngstate << 13;
	rngstate ^= rngstate >> 7;
	rngstate ^= rngstate << 17;
	return rngstate;
}

// between is a number from lo to hi, both included.
int
between(int lo, int hi)
{
	return lo + (int)(rng() % (uint64_t)(hi - lo + 1));
}

// ---- the server, as /proc shows it; all answer 0 without -P ----

static int64_t
servercpu(void)
{
	clockid_t id;

	if (!opt.pid || clock_getcpuclockid(opt.pid, &id) != 0)
		return 0;
	return clockns(id);
}

// field is the number behind key in /proc/PID/FILE.
static long
field(const char *file, const char *key)
{
	char path[64], buf[8192], *s;
	ssize_t n;
	int fd;

	if (!opt.pid)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/%s", opt.pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("cannot read %s: %s", path, strerror(errno));
	n = read(fd, buf, sizeof buf - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	s = strstr(buf, key);
	return s ? atol(s + strlen(key)) : 0;
}

double
serverrss(void)
{
	return (double)field("smaps_rollup", "Rss:") * 1024;
}

static double
serverpte(void)
{
	return (double)field("status", "VmPTE:") * 1024;
}

int
serverfds(void)
{
	char path[64];
	DIR *d;
	int n = 0;

	if (!opt.pid)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/fd", opt.pid);
	d = opendir(path);
	if (!d)
		die("cannot read %s: %s", path, strerror(errno));
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

// ---- connections ----

// What connections send. Twice the table, so that a piece is never split.
static unsigned char noise[2 * noise_size];

static void
makenoise(void)
{
	rngstate = opt.seed * 0x9E3779B97F4A7C15u + 88172645463325252u;
	if (rngstate == 0)
		rngstate = 1;
	for (int i = 0; i < noise_size; i++)
		noise[i] = noise[i + noise_size] = (unsigned char)(rng() >> 24);
}

const unsigned char *
bytes(const struct conn *c, uint32_t at)
{
	return &noise[(c->start + at) % noise_size];
}

// morefiles raises the limit on descriptors. That of the server is not ours to raise.
static void
morefiles(void)
{
	struct rlimit rl;
	rlim_t want = (rlim_t)opt.conns + 64;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= want)
		return;
	rl.rlim_cur = want;
	if (rl.rlim_max < want)
		rl.rlim_max = want; // only root may
	if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
		die("%d connections need %lu descriptors: %s (see ulimit -Hn)", opt.conns,
		    (unsigned long)want, strerror(errno));
}

// dial connects, with patience for a server that is about to listen.
static int
dial(void)
{
	int64_t end = now() + 5000000000;
	int fd, one = 1;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			die("socket: %s", strerror(errno));
		if (connect(fd, (struct sockaddr *)&opt.addr, sizeof opt.addr) == 0)
			break;
		if (errno != ECONNREFUSED || now() > end)
			die("connect: %s", strerror(errno));
		close(fd);
		sleepms(5);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	// The cheapest there is, if not the system's: this side has to be the faster one.
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	return fd;
}

static void
request(struct conn *c)
{
	ssize_t n = send(c->fd, bytes(c, c->sent), msgsize, MSG_NOSIGNAL);

	if (n != msgsize)
		die("send: %s", n < 0 ? strerror(errno) : "not all of 64 bytes");
	c->sent += msgsize;
}

void
compare(struct conn *c, const unsigned char *in, ssize_t n)
{
	if (memcmp(in, bytes(c, c->got), (size_t)n) != 0)
		die("the answer differs from what was sent, at or behind byte %u", c->got);
	c->got += (uint32_t)n;
}

// answer reads what there is; true: the answer is complete.
static bool
answer(struct conn *c)
{
	unsigned char in[msgsize];
	ssize_t n = recv(c->fd, in, c->sent - c->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		die("recv: %s", n < 0 ? strerror(errno) : "the server closed the connection");
	compare(c, in, n);
	return c->got == c->sent;
}

// openall opens all connections; each has one echo, so the server has accepted it and waits for the
// next request. A batch at a time: one by one, a server that looks at all connections for each
// event would take minutes, and all at once would need a backlog for all.
static struct conn *
openall(void)
{
	struct conn *conns = calloc((size_t)opt.conns, sizeof *conns);
	struct timeval patience = {stall_ms / 1000, 0};

	if (!conns)
		die("no memory");
	for (int first = 0; first < opt.conns; first += batch) {
		int end = first + batch < opt.conns ? first + batch : opt.conns;

		for (int i = first; i < end; i++) {
			conns[i].start = (uint32_t)rng() % noise_size;
			conns[i].fd = dial();
			setsockopt(
			    conns[i].fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
			request(&conns[i]);
		}
		for (int i = first; i < end; i++) {
			errno = 0;
			while (!answer(&conns[i]))
				if (errno == EAGAIN)
					die("connection %d has no answer for %d ms", i + 1,
					    stall_ms);
		}
	}
	return conns;
}

// ---- echo ----

// Latencies in ns, log-linear: 128 buckets an octave, so a percentile is right to 0.8 %.
enum { sub_bits = 7, sub = 1 << sub_bits };
static uint64_t hist[64 * sub];

static unsigned
bucket(uint64_t v)
{
	int shift;

	if (v < sub)
		return (unsigned)v;
	shift = 63 - __builtin_clzll(v) - sub_bits;
	return (unsigned)(shift + 1) * sub + (unsigned)((v >> shift) & (sub - 1));
}

// percentile is the middle of the bucket that holds it, in us.
static double
percentile(uint64_t count, double p)
{
	uint64_t want = (uint64_t)(p * (double)count), seen = 0;

	for (unsigned i = 0; i < sizeof hist / sizeof hist[0]; i++) {
		seen += hist[i];
		if (seen > want && i < sub)
			return (double)i / 1e3;
		if (seen > want)
			return ((double)(sub + i % sub) + 0.5) * (double)(1ull << (i / sub - 1)) /
			    1e3;
	}
	return 0;
}

static int
echo(void)
{
	struct conn *conns = openall();
	struct epoll_event ev[maxevents];
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int64_t t, from, end, mycpu = 0, cpu = 0, real = 0;
	uint64_t count = 0;
	int n;

	if (ep < 0)
		die("epoll_create1: %s", strerror(errno));
	for (int i = 0; i < opt.conns; i++) {
		struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = &conns[i]};

		if (fcntl(conns[i].fd, F_SETFL, O_NONBLOCK) != 0 ||
		    epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e) != 0)
			die("connection %d: %s", i, strerror(errno));
	}
	t = now();
	from = t + (int64_t)(opt.warm * 1e9);
	end = from + (int64_t)(opt.secs * 1e9);
	for (int i = 0; i < opt.conns; i++) {
		conns[i].t0 = now();
		request(&conns[i]);
	}
	while (t < end) {
		if (real == 0 && t >= from) {
			real = t;
			mycpu = clockns(CLOCK_PROCESS_CPUTIME_ID);
			cpu = servercpu();
		}
		n = epoll_wait(ep, ev, maxevents, stall_ms);
		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		if (n == 0)
			die("no answer for %d ms", stall_ms);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (!answer(c))
				continue;
			t = now();
			if (real) {
				hist[bucket((uint64_t)(t - c->t0))]++;
				count++;
			}
			c->t0 = t;
			request(c);
		}
	}
	if (count == 0)
		die("no answer in the time measured");
	cpu = servercpu() - cpu;
	mycpu = clockns(CLOCK_PROCESS_CPUTIME_ID) - mycpu;
	real = t - real;
	printf("echo_%d %.0f req/s\n", opt.conns, (double)count / ((double)real / 1e9));
	printf("echo_%d_p50 %.1f us\n", opt.conns, percentile(count, 0.50));
	printf("echo_%d_p99 %.1f us\n", opt.conns, percentile(count, 0.99));
	if (opt.pid)
		printf("echo_%d_cpu %.2f us\n", opt.conns, (double)cpu / 1e3 / (double)count);
	printf("echo_%d_load %.0f %%\n", opt.conns, 100 * (double)mycpu / (double)real);
	return 0;
}

// ---- idle, hold ----

static double
idlecpu(void)
{
	int64_t cpu = servercpu();

	sleepms((long)(opt.secs * 1e3));
	return (double)(servercpu() - cpu) / 1e6 / opt.secs;
}

// idle is for a server that has just started: one that had connections before has memory left over
// from them.
static int
idle(void)
{
	double rss, pte, cpu;
	char unit[] = "ms/s";

	if (!opt.pid)
		wrong("idle needs -P");
	sleepms(settle_ms);
	cpu = idlecpu();
	rss = serverrss();
	pte = serverpte();
	openall();
	sleepms(settle_ms);
	rss = serverrss() - rss;
	pte = serverpte() - pte;
	printf("idle_conn_mem %.0f B\n", rss / opt.conns);
	printf("idle_conn_mem_pte %.0f B\n", (rss + pte) / opt.conns);
	printf("idle_cpu_0 %.3f %s\n", cpu, unit);
	printf("idle_cpu_%d %.3f %s\n", opt.conns, idlecpu(), unit);
	return 0;
}

static int
hold(void)
{
	openall();
	puts("ready");
	fflush(stdout);
	if (opt.secs > 0)
		sleepms((long)(opt.secs * 1e3));
	else
		pause();
	return 0;
}

// ---- options ----

static double
number(char o, const char *s, double lo, double hi)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= lo && v <= hi))
		wrong("-%c %s: not a number from %.0f to %.0f", o, s, lo, hi);
	return v;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name, *options;
		int (*run)(void);
	} modes[] = {
	    {"echo", "a:p:n:d:w:P:", echo},
	    {"idle", "a:p:n:d:P:", idle},
	    {"hold", "a:p:n:d:", hold},
	    {"churn", "a:p:n:d:s:P:Hk:", churn},
	};
	size_t m = 0, nmodes = sizeof modes / sizeof modes[0];
	int o;

	while (argc > 1 && m < nmodes && strcmp(argv[1], modes[m].name) != 0)
		m++;
	if (argc < 2 || m == nmodes)
		wrong(argc < 2 ? "what?" : "%s: no such mode", argv[1]);
	opt.addr.sin_family = AF_INET;
	opt.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	argc--;
	argv++;
	opterr = 0;
	while ((o = getopt(argc, argv, modes[m].options)) != -1) {
		switch (o) {
		case 'a':
			if (inet_pton(AF_INET, optarg, &opt.addr.sin_addr) != 1)
				wrong("-a %s: not an IPv4 address", optarg);
			break;
		case 'p':
			opt.addr.sin_port = htons((uint16_t)number('p', optarg, 1, 65535));
			break;
		case 'n':
			opt.conns = (int)number('n', optarg, 1, maxconns);
			break;
		case 'd':
			opt.secs = number('d', optarg, 0, 86400);
			break;
		case 'w':
			opt.warm = number('w', optarg, 0, 3600);
			break;
		case 's':
			opt.seed = (uint64_t)number('s', optarg, 0, 1e15);
			break;
		case 'P':
			opt.pid = (pid_t)number('P', optarg, 1, 1 << 30);
			break;
		case 'H':
			opt.http = true;
			break;
		case 'k':
			opt.kinds = pickkinds(optarg);
			break;
		default:
			wrong("-%c: no such option of %s, or its value is missing", optopt,
			    modes[m].name);
		}
	}
	if (optind < argc)
		wrong("%s: unexpected", argv[optind]);
	if (!opt.addr.sin_port)
		wrong("-p PORT is missing");
	if (opt.secs <= 0 && modes[m].run != hold)
		wrong("-d 0: no time to measure");
	if (opt.pid && kill(opt.pid, 0) != 0)
		die("-P %d: %s", opt.pid, strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	makenoise();
	morefiles();
	return modes[m].run();
}
