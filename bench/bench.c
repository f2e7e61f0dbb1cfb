// SPDX-License-Identifier: BSD-3-Clause
// bench.c: the benchmarks of goroutines and channels on rt0's public API; bench.go is its twin.
//
//	bench NAME    runs one benchmark once and prints lines of "NAME VALUE UNIT"
//
// The work of each is the same as in bench.go: same counts, same channels, same checks. A wrong
// result is fatal, so a number that was printed belongs to work that was done. The processors come
// from GOMAXPROCS in the environment, and the names end in _p1, _p2 after them.
//
// Arguments of goroutines live on the stack of the goroutine that waits for them: it cannot leave
// before they have read them, and no allocation is timed that Go's version does not have.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rt0.h>

#include "bench.h"

enum {
	nspawn = 1000000,
	nspawnjoin = 1000000,
	nyield = 5000000, // by each of two goroutines
	npingpong = 2000000,
	nbufchan = 20000000,
	bufchan_cap = 128,
	nselect4 = 4000000, // items of all four producers
	npool = 1000000, // by each of pool_gs goroutines
	pool_gs = 8,
	nmutex = 1000000, // by each of mutex_gs goroutines
	mutex_gs = 8,
	ndefer = 100000000,
	npanic = 2000000,
	nfault = 200000,
	skynet_leaves = 1000000,
	skynet_fanout = 10,
	sieve_primes = 2000,
	sieve_last = 17389, // the 2000th prime
	ncallback = 1000000,
	nparked = 1000000,
	ntraceback = 200000,
	traceback_depth = 50,
	idle_parked = 100,
	idle_s = 5,
};

// ---- output and /proc ----

static void
out(const char *name, double v, const char *unit)
{
	printf("%s %.2f %s\n", name, v, unit);
}

// outp is out with the number of processors behind the name.
void
outp(const char *name, double v, const char *unit)
{
	char buf[64];

	snprintf(buf, sizeof buf, "%s_p%d", name, rt0_gomaxprocs(0));
	out(buf, v, unit);
}

void
per(const char *name, int64_t ns, double n)
{
	outp(name, (double)ns / n, "ns");
}

// procfield is the number behind key in a file of /proc, 0 if there is none. It reads without
// stdio, whose buffers would show in the resident set that it measures.
static long
procfield(const char *path, const char *key)
{
	static char buf[16384];
	long n;
	char *s;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof buf - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	s = strstr(buf, key);
	return s ? atol(s + strlen(key)) : 0;
}

// rss is the resident set in bytes, exact (the counter in status lags behind by batches).
static double
rss(void)
{
	return (double)procfield("/proc/self/smaps_rollup", "Rss:") * 1024;
}

// pte is what the kernel spends on the page tables of this process, in bytes.
static double
pte(void)
{
	return (double)procfield("/proc/self/status", "VmPTE:") * 1024;
}

void
sleepms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	RT0_BLOCKING(nanosleep(&ts, NULL));
}

// ---- goroutines ----

static void
done1(void *wg)
{
	rt0_waitgroup_done(wg);
}

static int64_t
spawnonce(int n)
{
	rt0_waitgroup wg = {0};
	int64_t t = rt0_nanotime();

	rt0_waitgroup_add(&wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(done1, &wg);
	rt0_waitgroup_wait(&wg);
	return rt0_nanotime() - t;
}

// The first time every stack is new to the kernel; the third time all are free ones.
static void
spawn(void)
{
	per("spawn", spawnonce(nspawn), nspawn);
	spawnonce(nspawn);
	per("spawn_warm", spawnonce(nspawn), nspawn);
}

// A window is created at once and joined before the next one: never more than that many alive.
static void
spawnwindow(const char *name, int window)
{
	int64_t t = rt0_nanotime();

	for (int i = 0; i < nspawn; i += window)
		spawnonce(window);
	per(name, rt0_nanotime() - t, nspawn);
}

static void
spawn_window(void)
{
	spawnwindow("spawn_window1000", 1000);
	spawnwindow("spawn_window100", 100);
}

static void
send0(void *c)
{
	rt0_chan_send(c, NULL);
}

// The latency of one goroutine: create it, wait for it, again.
static void
spawnjoin(void)
{
	rt0_chan *c = rt0_chan_make(0, 0);
	int64_t t = rt0_nanotime();

	for (int i = 0; i < nspawnjoin; i++) {
		rt0_go(send0, c);
		rt0_chan_recv(c, NULL);
	}
	per("spawnjoin", rt0_nanotime() - t, nspawnjoin);
}

static void
yielder(void *wg)
{
	for (int i = 0; i < nyield; i++)
		rt0_gosched();
	rt0_waitgroup_done(wg);
}

static void
yield(void)
{
	rt0_waitgroup wg = {0};
	int64_t t = rt0_nanotime();

	rt0_waitgroup_add(&wg, 2);
	rt0_go(yielder, &wg);
	rt0_go(yielder, &wg);
	rt0_waitgroup_wait(&wg);
	per("yield", rt0_nanotime() - t, 2.0 * nyield);
}

// ---- channels ----

struct pair {
	rt0_chan *a, *b;
};

static void
ponger(void *arg)
{
	struct pair c = *(struct pair *)arg;
	long v;

	RT0_RANGE (c.a, v)
		rt0_chan_send(c.b, &v);
}

static void
pingpong(void)
{
	struct pair c = {rt0_chan_make(sizeof(long), 0), rt0_chan_make(sizeof(long), 0)};
	int64_t t;

	rt0_go(ponger, &c);
	t = rt0_nanotime();
	for (long i = 0; i < npingpong; i++) {
		long v = -1;

		rt0_chan_send(c.a, &i);
		rt0_chan_recv(c.b, &v);
		if (v != i)
			rt0_fatal("pingpong: wrong value");
	}
	per("pingpong", rt0_nanotime() - t, npingpong);
}

static void
producer(void *c)
{
	for (long i = 0; i < nbufchan; i++)
		rt0_chan_send(c, &i);
	rt0_chan_close(c);
}

static void
bufchan(void)
{
	rt0_chan *c = rt0_chan_make(sizeof(long), bufchan_cap);
	int64_t t = rt0_nanotime();
	long v, sum = 0;

	rt0_go(producer, c);
	RT0_RANGE (c, v)
		sum += v;
	t = rt0_nanotime() - t;
	if (sum != (long)nbufchan * (nbufchan - 1) / 2)
		rt0_fatal("bufchan: wrong sum");
	per("bufchan", t, nbufchan);
}

static void
producer4(void *c)
{
	for (long i = 0; i < nselect4 / 4; i++)
		rt0_chan_send(c, &i);
}

static void
select4(void)
{
	rt0_chan *a = rt0_chan_make(sizeof(long), 0), *b = rt0_chan_make(sizeof(long), 0);
	rt0_chan *c = rt0_chan_make(sizeof(long), 0), *d = rt0_chan_make(sizeof(long), 0);
	int64_t t = rt0_nanotime();
	long v, sum = 0;

	rt0_go(producer4, a);
	rt0_go(producer4, b);
	rt0_go(producer4, c);
	rt0_go(producer4, d);
	for (int i = 0; i < nselect4; i++) {
		switch (RT0_SELECT(RT0_RECV(a, &v), RT0_RECV(b, &v), RT0_RECV(c, &v), RT0_RECV(d, &v))) {
		case 0: sum += v; break;
		case 1: sum += 2 * v; break;
		case 2: sum += 3 * v; break;
		case 3: sum += 4 * v; break;
		}
	}
	t = rt0_nanotime() - t;
	if (sum != 10 * ((long)nselect4 / 4 * (nselect4 / 4 - 1) / 2))
		rt0_fatal("select4: wrong sum");
	per("select4", t, nselect4);
}

struct counter {
	rt0_mutex mu;
	long x; // mu
	rt0_waitgroup wg;
};

static void
locker(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < nmutex; i++) {
		rt0_mutex_lock(&c->mu);
		c->x++;
		rt0_mutex_unlock(&c->mu);
	}
	rt0_waitgroup_done(&c->wg);
}

static void
mutex(void)
{
	struct counter c = {0};
	int64_t t = rt0_nanotime();

	rt0_waitgroup_add(&c.wg, mutex_gs);
	for (int i = 0; i < mutex_gs; i++)
		rt0_go(locker, &c);
	rt0_waitgroup_wait(&c.wg);
	t = rt0_nanotime() - t;
	if (c.x != (long)mutex_gs * nmutex)
		rt0_fatal("mutex: wrong count");
	per("mutex", t, (double)mutex_gs * nmutex);
}

static void *
newbuf(void *arg)
{
	(void)arg;
	return calloc(1, 64);
}

static void
freebuf(void *buf, void *arg)
{
	(void)arg;
	free(buf);
}

static rt0_pool bufs = RT0_POOL(newbuf, freebuf, NULL);

static void
pooluser(void *wg)
{
	for (int i = 0; i < npool; i++) {
		long *buf = rt0_pool_get(&bufs);

		++*buf;
		rt0_pool_put(&bufs, buf);
	}
	rt0_waitgroup_done(wg);
}

// Goroutines that each need a buffer for a moment, and find one that was used before.
static void
pool(void)
{
	rt0_waitgroup wg = {0};
	int64_t t = rt0_nanotime();

	rt0_waitgroup_add(&wg, pool_gs);
	for (int i = 0; i < pool_gs; i++)
		rt0_go(pooluser, &wg);
	rt0_waitgroup_wait(&wg);
	per("pool", rt0_nanotime() - t, (double)pool_gs * npool);
}

struct sky {
	rt0_chan *out;
	long num, size;
};

static void
sky(void *arg)
{
	struct sky a = *(struct sky *)arg, kid[skynet_fanout];
	long v, sum = 0;
	rt0_chan *c;

	if (a.size == 1) {
		rt0_chan_send(a.out, &a.num);
		return;
	}
	c = rt0_chan_make(sizeof(long), 0);
	for (int i = 0; i < skynet_fanout; i++) {
		kid[i].out = c;
		kid[i].size = a.size / skynet_fanout;
		kid[i].num = a.num + i * kid[i].size;
		rt0_go(sky, &kid[i]);
	}
	for (int i = 0; i < skynet_fanout; i++) {
		rt0_chan_recv(c, &v);
		sum += v;
	}
	rt0_chan_free(c);
	rt0_chan_send(a.out, &sum);
}

static void
skynet(void)
{
	struct sky root = {rt0_chan_make(sizeof(long), 0), 0, skynet_leaves};
	int64_t t = rt0_nanotime();
	long sum;

	rt0_go(sky, &root);
	rt0_chan_recv(root.out, &sum);
	t = rt0_nanotime() - t;
	if (sum != (long)skynet_leaves * (skynet_leaves - 1) / 2)
		rt0_fatal("skynet: wrong sum");
	outp("skynet", (double)t / 1e6, "ms");
}

static void
generate(void *c)
{
	for (long i = 2;; i++)
		rt0_chan_send(c, &i);
}

struct filter {
	rt0_chan *in, *out;
	long prime;
};

static void
filter(void *arg)
{
	struct filter f = *(struct filter *)arg;
	long v;

	for (;;) {
		rt0_chan_recv(f.in, &v);
		if (v % f.prime != 0)
			rt0_chan_send(f.out, &v);
	}
}

static void
sieve(void)
{
	static struct filter f[sieve_primes]; // a filter may start late: it keeps its own slot
	rt0_chan *c = rt0_chan_make(sizeof(long), 0);
	int64_t t = rt0_nanotime();
	long prime = 0;

	rt0_go(generate, c);
	for (int i = 0; i < sieve_primes; i++) {
		rt0_chan_recv(c, &prime);
		f[i] = (struct filter){c, rt0_chan_make(sizeof(long), 0), prime};
		rt0_go(filter, &f[i]);
		c = f[i].out;
	}
	t = rt0_nanotime() - t;
	if (prime != sieve_last)
		rt0_fatal("sieve: wrong prime");
	outp("sieve", (double)t / 1e6, "ms");
}

// ---- calls from a thread that rt0 did not make ----

static void
nothing(void *arg)
{
	(void)arg;
}

static void *
foreign(void *ns)
{
	int64_t t;

	if (rt0_run(nothing, NULL) != 0) // binds an m to the thread
		rt0_fatal("callback: no runtime");
	t = rt0_nanotime();
	for (long i = 0; i < ncallback; i++)
		rt0_run(nothing, NULL);
	*(int64_t *)ns = rt0_nanotime() - t;
	return NULL;
}

static void
callback(void)
{
	pthread_t th;
	int64_t ns = 0;

	if (pthread_create(&th, NULL, foreign, &ns) != 0)
		rt0_fatal("callback: no thread");
	RT0_BLOCKING(pthread_join(th, NULL));
	per("callback", ns, ncallback);
}

// ---- many goroutines, and none that runs ----

struct crowd {
	rt0_chan *c;
	rt0_waitgroup wg;
	_Atomic long up, woken;
};

static void
parker(void *arg)
{
	struct crowd *w = arg;

	atomic_fetch_add_explicit(&w->up, 1, memory_order_relaxed);
	rt0_chan_recv(w->c, NULL);
	atomic_fetch_add_explicit(&w->woken, 1, memory_order_relaxed);
	rt0_waitgroup_done(&w->wg);
}

// crowd_start parks n goroutines on w->c; 50 ms after the last has started it takes for granted
// that it has reached the channel, which is outside of the time that it returns.
static int64_t
crowd_start(struct crowd *w, int n)
{
	int64_t t = rt0_nanotime();

	rt0_waitgroup_add(&w->wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(parker, w);
	while (atomic_load_explicit(&w->up, memory_order_relaxed) < n)
		rt0_gosched();
	t = rt0_nanotime() - t;
	sleepms(50);
	return t;
}

static void
parked(void)
{
	struct crowd w = {.c = rt0_chan_make(0, 0)};
	double r0 = rss(), p0 = pte(), r, p;
	int64_t t;

	t = crowd_start(&w, nparked);
	r = rss() - r0;
	p = pte() - p0;
	outp("parked_mem", r / nparked, "B");
	outp("parked_mem_pte", (r + p) / nparked, "B");
	per("parked_create", t, nparked);
	t = rt0_nanotime();
	rt0_chan_close(w.c);
	rt0_waitgroup_wait(&w.wg);
	t = rt0_nanotime() - t;
	if (w.woken != nparked)
		rt0_fatal("parked: not all woke up");
	per("parked_wake", t, nparked);
}

// switches sums the voluntary context switches of all threads: each is one wake-up.
static long
switches(int *threads)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	char path[sizeof e->d_name + 64];
	long sum = 0;

	*threads = 0;
	if (!d)
		rt0_fatal("idle: no /proc");
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
		sum += procfield(path, "\nvoluntary_ctxt_switches:");
		++*threads;
	}
	closedir(d);
	return sum;
}

double
cpums(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

// A hundred goroutines are parked and this one is in a long system call: what still wakes up? The
// first look itself starts sysmon's back-off anew; its few dozen wake-ups are counted here and in
// Go alike, and a thread that wakes for ever shows far above them.
static void
idle(void)
{
	struct crowd w = {.c = rt0_chan_make(0, 0)};
	int threads;
	double cpu;
	long n;

	crowd_start(&w, idle_parked);
	sleepms(1000); // sysmon's back-off and idle threads settle
	n = switches(&threads);
	cpu = cpums();
	sleepms(idle_s * 1000);
	cpu = cpums() - cpu;
	n = switches(&threads) - n;
	outp("idle_wakeups", (double)n, "in_5s");
	outp("idle_cpu", cpu, "ms_in_5s");
	outp("idle_threads", threads, "threads");
	rt0_chan_close(w.c);
	rt0_waitgroup_wait(&w.wg);
}

// The addresses of a stack of traceback_depth frames, not their names.
static int (*volatile traceback_deeper)(int);

__attribute__((noinline)) static int
traceback_frame(int n)
{
	uintptr_t pcs[traceback_depth];
	if (n < traceback_depth)
		return traceback_deeper(n + 1) + 1;
	int64_t t = rt0_nanotime();
	for (int i = 0; i < ntraceback; i++)
		if (rt0_callers(0, pcs, traceback_depth) != traceback_depth)
			rt0_fatal("traceback: frames are missing");
	per("traceback", rt0_nanotime() - t, (double)ntraceback * traceback_depth);
	return 0;
}

static void
traceback(void)
{
	traceback_deeper = traceback_frame;
	traceback_frame(0);
}

// ---- defer and panic ----

static void
add1(void *n)
{
	++*(long *)n;
}

__attribute__((noinline)) static void
deferone(long *n)
{
	RT0_DEFER(add1, n);
}

static void
defers(void)
{
	long n = 0;
	int64_t t = rt0_nanotime();

	for (int i = 0; i < ndefer; i++)
		deferone(&n);
	if (n != ndefer)
		rt0_fatal("defer: wrong count");
	per("defer", rt0_nanotime() - t, ndefer);
}

static void
recoverone(void *n)
{
	rt0_value v;

	if (rt0_recover(&v))
		*(long *)n += v.v.i;
}

__attribute__((noinline)) static void
panicone(long *n)
{
	RT0_DEFER(recoverone, n);
	RT0_PANIC(1);
}

__attribute__((noinline)) static void
faultone(long *n)
{
	RT0_DEFER(recoverone, n);
	*(volatile int *volatile)NULL = 1;
}

static void
panicrecover(void)
{
	long n = 0;
	int64_t t = rt0_nanotime();

	for (int i = 0; i < npanic; i++)
		panicone(&n);
	if (n != npanic)
		rt0_fatal("panicrecover: wrong count");
	per("panicrecover", rt0_nanotime() - t, npanic);
	t = rt0_nanotime();
	for (int i = 0; i < nfault; i++)
		faultone(&n);
	per("faultrecover", rt0_nanotime() - t, nfault);
}

static const struct {
	const char *name;
	void (*run)(void);
} benches[] = {
    {"spawn", spawn},
    {"spawn_window", spawn_window},
    {"spawnjoin", spawnjoin},
    {"yield", yield},
    {"pingpong", pingpong},
    {"bufchan", bufchan},
    {"select4", select4},
    {"mutex", mutex},
    {"pool", pool},
    {"defer", defers},
    {"panicrecover", panicrecover},
    {"skynet", skynet},
    {"sieve", sieve},
    {"callback", callback},
    {"parked", parked},
    {"traceback", traceback},
    {"idle", idle},
    {"preempt", preempt},
    {"preempt_ms1", preempt_ms1},
    {"preempt_klt", preempt_klt},
    {"preempt_inthread", preempt_inthread},
    {"cputhroughput", cputhroughput},
    {"timers", timers},
    {"wake", wake},
    {"fileread", fileread},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof benches / sizeof benches[0]; i++) {
		if (strcmp(argv[1], benches[i].name) == 0) {
			benches[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: bench NAME, one of:");
	for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
		fprintf(stderr, " %s", benches[i].name);
	fprintf(stderr, "\n");
	return 2;
}
