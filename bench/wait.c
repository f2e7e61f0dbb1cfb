// SPDX-License-Identifier: BSD-3-Clause
// wait.c: benchmarks of waiting: a million sleepers, how soon one who waits runs, and for a disk.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rt0.h>
#include <rt0/net.h>

#include "bench.h"

enum {
	ntimers = 1000000,
	timers_us = 1000000, // the longest sleep, in us
	timers_runs = 5,
	nwake = 2000,
	filesize = 64 << 20,
	filereads = 32768,
	fileblock = 4096,
};

static int
byvalue(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

// percentile of n values in ns, in us; it sorts them.
static double
percentile(int64_t *v, int n, int p)
{
	qsort(v, (size_t)n, sizeof *v, byvalue);
	return (double)v[(int64_t)n * p / 100] / 1e3;
}

static int
bydouble(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

// ---- a million sleepers ----

// Before, ns is how long it sleeps; after, how late it was.
struct sleeper {
	rt0_waitgroup *wg;
	int64_t ns;
};

static void
sleeper(void *arg)
{
	struct sleeper *s = arg;
	int64_t t = rt0_nanotime();

	rt0_sleep(s->ns);
	s->ns = rt0_nanotime() - t - s->ns;
	rt0_waitgroup_done(s->wg);
}

// timersonce measures the wall and the processor time in ms and how late 99 of 100 at most were, in
// us.
static void
timersonce(struct sleeper *s, int64_t *late, double *wall, double *cpu, double *p99)
{
	rt0_waitgroup wg = {0};
	uint64_t x = 88172645463325252u;
	int64_t t;

	for (int i = 0; i < ntimers; i++) { // not timed
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		s[i] = (struct sleeper){&wg, (int64_t)(x % timers_us) * 1000};
	}
	*cpu = cpums();
	t = rt0_nanotime();
	rt0_waitgroup_add(&wg, ntimers);
	for (int i = 0; i < ntimers; i++)
		rt0_go(sleeper, &s[i]);
	rt0_waitgroup_wait(&wg);
	*wall = (double)(rt0_nanotime() - t) / 1e6;
	*cpu = cpums() - *cpu;
	for (int i = 0; i < ntimers; i++) {
		late[i] = s[i].ns;
		if (late[i] < 0)
			rt0_fatal("timers: a sleeper woke early");
	}
	*p99 = percentile(late, ntimers, 99);
}

// The first run finds a process without stacks and timers; the others use again what it left.
void
timers(void)
{
	struct sleeper *s = calloc(ntimers, sizeof *s);
	int64_t *late = calloc(ntimers, sizeof *late);
	double v[3][timers_runs];
	static const char *const name[3] = {"wall", "cpu", "late_p99"},
				 *const unit[3] = {"ms", "ms", "us"};
	char buf[48];

	if (!s || !late)
		rt0_fatal("timers: no memory");
	for (int i = 0; i < timers_runs; i++)
		timersonce(s, late, &v[0][i], &v[1][i], &v[2][i]);
	for (int k = 0; k < 3; k++) {
		snprintf(buf, sizeof buf, "timers_%s", name[k]);
		outp(buf, v[k][0], unit[k]);
	}
	for (int k = 0; k < 3; k++) {
		qsort(&v[k][1], timers_runs - 1, sizeof v[k][0], bydouble);
		snprintf(buf, sizeof buf, "timers_warm_%s", name[k]);
		outp(buf, (v[k][2] + v[k][3]) / 2, unit[k]);
	}
	free(s);
	free(late);
}

// ---- how soon one who waits runs ----

// A waker tells the time at which it wakes another who has waited for a millisecond, so that
// everything has gone to sleep; the other looks when it is.
static void
report(const char *name, int64_t *late)
{
	char buf[48];

	for (int i = 0; i < nwake; i++)
		if (late[i] < 0)
			rt0_fatal("wake: before its time");
	snprintf(buf, sizeof buf, "wake_%s_p50", name);
	outp(buf, percentile(late, nwake, 50), "us");
	snprintf(buf, sizeof buf, "wake_%s_p99", name);
	outp(buf, percentile(late, nwake, 99), "us");
}

static void
wakesender(void *c)
{
	for (int i = 0; i < nwake; i++) {
		rt0_sleep(RT0_MILLISECOND);
		int64_t t = rt0_nanotime();
		rt0_chan_send(c, &t);
	}
}

static void
wakewriter(void *fd)
{
	for (int i = 0; i < nwake; i++) {
		rt0_sleep(RT0_MILLISECOND);
		int64_t t = rt0_nanotime();
		if (rt0_fd_write(fd, &t, sizeof t) != sizeof t)
			rt0_fatal("wake: write failed");
	}
}

// sockpair is a TCP connection on loopback.
static void
sockpair(rt0_fd **a, rt0_fd **b)
{
	rt0_fd *l;
	rt0_addr addr;

	if (rt0_listen("127.0.0.1:0", 0, &l) != 0 || rt0_local_addr(l, &addr) != 0 ||
	    rt0_dial_addr(&addr, 0, INT64_MAX, a) != 0 || rt0_accept(l, b, NULL) != 0)
		rt0_fatal("wake: no connection");
	rt0_fd_close(l);
}

void
wake(void)
{
	static int64_t late[nwake];
	rt0_chan *c = rt0_chan_make(sizeof(int64_t), 0);
	rt0_fd *a, *b;
	int64_t t;

	rt0_go(wakesender, c);
	for (int i = 0; i < nwake; i++) {
		rt0_chan_recv(c, &t);
		late[i] = rt0_nanotime() - t;
	}
	report("chan", late);

	for (int i = 0; i < nwake; i++) {
		t = rt0_nanotime() + RT0_MILLISECOND;
		rt0_sleep_until(t);
		late[i] = rt0_nanotime() - t;
	}
	report("sleep", late);

	sockpair(&a, &b);
	rt0_go(wakewriter, a);
	for (int i = 0; i < nwake; i++) {
		if (rt0_fd_read(b, &t, sizeof t) != sizeof t)
			rt0_fatal("wake: read failed");
		late[i] = rt0_nanotime() - t;
	}
	report("sock", late);
}

// ---- reads from a disk ----

static rt0_fd *disk;
static rt0_waitgroup diskreaders;

struct diskreader {
	uint64_t seed;
	int n;
};

static void
diskreader(void *arg)
{
	struct diskreader *r = arg;
	uint64_t x = r->seed;
	char *block = aligned_alloc(fileblock, fileblock);

	for (int i = 0; i < r->n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		if (rt0_fd_pread(disk, block, fileblock, (int64_t)((x >> 33) % (filesize / fileblock)) * fileblock) != fileblock)
			rt0_fatal("fileread: a read failed");
	}
	free(block);
	rt0_waitgroup_done(&diskreaders);
}

// Blocks of 4 KiB at random places, past the page cache, by 1 and by 64 goroutines.
void
fileread(void)
{
	static const int counts[] = {1, 64};
	char path[] = "/var/tmp/rt0-bench-XXXXXX", name[64];
	char *buf = malloc(1 << 20);
	int fd = mkstemp(path);

	memset(buf, 1, 1 << 20);
	for (int i = 0; i < filesize >> 20; i++)
		if (write(fd, buf, 1 << 20) != 1 << 20)
			rt0_fatal("fileread: no room in /var/tmp");
	fsync(fd);
	int err = rt0_fd_open(path, O_RDONLY | O_DIRECT, 0, &disk);
	unlink(path);
	close(fd);
	free(buf);
	if (err < 0)
		rt0_fatal("fileread: the file system of /var/tmp has no O_DIRECT");
	for (int k = 0; k < 2; k++) {
		int n = counts[k], reads = n == 1 ? filereads / 8 : filereads;
		struct diskreader r[64];
		double cpu = cpums();
		int64_t t = rt0_nanotime();

		rt0_waitgroup_add(&diskreaders, n);
		for (int i = 0; i < n; i++) {
			r[i] = (struct diskreader){(uint64_t)i + 1, reads / n};
			rt0_go(diskreader, &r[i]);
		}
		rt0_waitgroup_wait(&diskreaders);
		t = rt0_nanotime() - t;
		snprintf(name, sizeof name, "fileread_%d", n);
		outp(name, reads / ((double)t / 1e9), "reads/s");
		snprintf(name, sizeof name, "fileread_%d_cpu", n);
		outp(name, (cpums() - cpu) * 1e3 / reads, "us");
	}
	rt0_fd_close(disk);
}
