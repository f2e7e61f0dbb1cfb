// SPDX-License-Identifier: BSD-3-Clause
// sched.c: the torture of the scheduler: thousands that never yield, short jobs beside them, the
// world stopped while all loops spin, the program's own timer signals, regions without preemption.
#include <signal.h>
#include <sys/time.h>

#include "torture.h"

// procfield is the number behind key in a file of /proc, in KiB as a rule; 0 if it is not there.
static long
procfield(const char *path, const char *key)
{
	char line[256];
	long v = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	while (v == 0 && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0)
			v = atol(line + strlen(key));
	fclose(f);
	return v;
}

// ---- many: CPU-bound goroutines that do not end before the last of them has run. Each one that
// has run holds a thread, so this is also what a stopped goroutine costs ----

enum {
	MANY = TSAN ? 300 : 4096, // in a run of less than 10 s a quarter of that
	THREADS_MORE = 40,        // sysmon, spares, and whoever is about to start
};

struct memory {
	long rss, pte, kernelstack, slab, threads;
};

static struct memory memorybefore;
static int many;    // constant after begin
static int manyran; // atomic

static struct memory
memory(void)
{
	return (struct memory){
	    procfield("/proc/self/smaps_rollup", "Rss:"),
	    procfield("/proc/self/status", "VmPTE:"),
	    procfield("/proc/meminfo", "KernelStack:"),
	    procfield("/proc/meminfo", "SUnreclaim:"),
	    procfield("/proc/self/status", "Threads:"),
	};
}

static void
manybegin(void)
{
	many = deadline - now() < 9000000000 ? MANY / 4 : MANY;
	memorybefore = memory();
}

static void
manyreport(void)
{
	struct memory m = memory(), b = memorybefore;
	double rss = (double)(m.rss - b.rss) / many, pte = (double)(m.pte - b.pte) / many;
	double stack = (double)(m.kernelstack - b.kernelstack) / many;
	double slab = (double)(m.slab - b.slab) / many;
	printf("many: %d goroutines have run on %ld threads; KiB each: resident %.1f, page "
	       "tables %.1f, kernel stack %.1f, slab %.1f, sum %.1f\n",
	    many, m.threads, rss, pte, stack, slab, rss + pte + stack + slab);
	if (preemptive && m.threads > many + THREADS_MORE)
		BAD("many: %ld threads", m.threads);
#if !defined __SANITIZE_ADDRESS__
	// A kernel stack is 16 KiB, some 7 KiB of slab come with a thread; 40 in all. The kernel's
	// two numbers are of the whole machine, so only ours are checked.
	if (!TSAN && rss + pte > 18)
		BAD("many: %.1f KiB each", rss + pte);
#endif
}

static void
manywork(struct worker *w)
{
	w->n = 2; // it has run, if only now
	if (w->id >= many || !preemptive)
		return;
	int ran = __atomic_add_fetch(&manyran, 1, __ATOMIC_SEQ_CST);
	if (ran == many)
		manyreport();
	while (running(w) || __atomic_load_n(&manyran, __ATOMIC_RELAXED) < many)
		spin(1000);
}
SUBJECT(many, .workers = MANY, .flags = ALONE, .begin = manybegin, .work = manywork);

// ---- jobs: short jobs and round trips get through between spinning goroutines ----

static void
job(void *wg)
{
	rt0_waitgroup_done(wg);
}

static void
jobswork(struct worker *w)
{
	if (w->id > 0) {
		while (running(w))
			spin(5000);
		return;
	}
	rt0_chan *c = rt0_chan_make(sizeof(int), 1);
	int v = 0;
	while (running(w)) {
		rt0_waitgroup wg = {0};
		rt0_waitgroup_add(&wg, 10);
		for (int i = 0; i < 10; i++)
			rt0_go(job, &wg);
		rt0_waitgroup_wait(&wg);
		rt0_chan_send(c, &v);
		rt0_chan_recv(c, &v);
	}
	rt0_chan_free(c);
}
SUBJECT(jobs, .workers = 100, .flags = ALONE, .work = jobswork);

// ---- world: GOMAXPROCS changes while all loops spin, and goroutines that start goroutines ----

static int respawned; // atomic: goroutines of this kind that are left

static void
respawn(void *arg)
{
	if (now() < deadline)
		rt0_go(respawn, arg);
	else
		__atomic_sub_fetch(&respawned, 1, __ATOMIC_SEQ_CST);
}

static void
worldwork(struct worker *w)
{
	if (w->id == 1) {
		__atomic_store_n(&respawned, 1, __ATOMIC_SEQ_CST);
		rt0_go(respawn, NULL);
	}
	while (running(w)) {
		if (w->id == 0)
			rt0_gomaxprocs(1 + (int)(rnd(w) % 4));
		else
			spin(100000);
	}
	if (w->id == 0)
		rt0_gomaxprocs(procs);
}

static void
worldend(void)
{
	while (__atomic_load_n(&respawned, __ATOMIC_SEQ_CST) > 0)
		rt0_gosched();
}
SUBJECT(world, .workers = 5, .flags = ALONE, .work = worldwork, .end = worldend);

// ---- alarm: timer signals of the program's own, one on the signal stack and one on the
// goroutine's, whose handlers are themselves stopped now and then ----

static int alarms[2]; // atomic

static void
onalarm(int sig)
{
	int saved = errno;
	volatile unsigned char frame[1500];
	for (int i = 0; i < 1500; i++)
		frame[i] = (unsigned char)(i * sig);
	spin(100000);
	for (int i = 0; i < 1500; i++)
		if (frame[i] != (unsigned char)(i * sig))
			BAD("alarm: the handler's frame changed");
	close(-1);
	if (errno != EBADF)
		BAD("alarm: errno is %d in the handler", errno);
	__atomic_add_fetch(&alarms[sig != SIGALRM], 1, __ATOMIC_SEQ_CST);
	errno = saved;
}

static void
alarmtimers(long us)
{
	struct itimerval real = {{0, us}, {0, us}}, cpu = {{0, 2 * us}, {0, 2 * us}};
	MUST(setitimer(ITIMER_REAL, &real, NULL) == 0);
	MUST(setitimer(ITIMER_VIRTUAL, &cpu, NULL) == 0);
}

static void
alarmbegin(void)
{
	struct sigaction sa = {.sa_handler = onalarm, .sa_flags = SA_RESTART | SA_ONSTACK};
	MUST(sigaction(SIGALRM, &sa, NULL) == 0);
	sa.sa_flags = SA_RESTART;
	MUST(sigaction(SIGVTALRM, &sa, NULL) == 0);
	alarmtimers(2000);
}

static void
alarmwork(struct worker *w)
{
	while (running(w)) {
		uint64_t v = rnd(w);
		size_t n = v % 5000 + 1;
		unsigned char *p = malloc(n);
		MUST(p);
		memset(p, (int)v, n);
		errno = (int)(v % 1000) + 1;
		spin(3000);
		if (errno != (int)(v % 1000) + 1)
			BAD("alarm: errno is %d, not %d", errno, (int)(v % 1000) + 1);
		for (size_t i = 0; i < n; i++)
			if (p[i] != (unsigned char)v)
				BAD("alarm: byte %zu is %d", i, p[i]);
		free(p);
		if (v % 8 == 0)
			rt0_gosched();
	}
}

static void
alarmend(void)
{
	alarmtimers(0);
	if (alarms[0] == 0 || alarms[1] == 0)
		BAD("alarm: %d and %d signals came", alarms[0], alarms[1]);
}
// ThreadSanitizer delays handlers to its own time and takes errno for spoilt.
SUBJECT(alarm, .workers = 4, .flags = ALONE | NOTSAN, .begin = alarmbegin, .work = alarmwork,
    .end = alarmend);

// ---- region: with one processor, who must not be preempted is alone ----

#ifdef RT0_NOPREEMPT
static uint64_t alone, alonewant; // alone: a plain counter of regions; alonewant: atomic
static int regionprocs;

RT0_NOPREEMPT __attribute__((noinline)) static void
aloneinattribute(void)
{
	uint64_t n = alone;
	for (volatile int i = 0; i < 50000; i++)
		continue;
	alone = n + 1;
}

static void
regionbegin(void)
{
	regionprocs = rt0_gomaxprocs(1);
}

static void
regionwork(struct worker *w)
{
	while (running(w)) {
		if (rnd(w) % 2) {
			rt0_preempt_disable();
			rt0_preempt_disable(); // nests
			uint64_t n = alone;
			spin(50000);
			rt0_preempt_enable();
			spin(50000);
			alone = n + 1;
			rt0_preempt_enable();
		} else {
			aloneinattribute();
		}
		__atomic_add_fetch(&alonewant, 1, __ATOMIC_SEQ_CST);
		spin(1000);
	}
}

static void
regionend(void)
{
	rt0_gomaxprocs(regionprocs);
	if (alone != alonewant)
		BAD("region: %lu of %lu regions were alone", alone, alonewant);
}
SUBJECT(region, .workers = 4, .flags = ALONE, .begin = regionbegin, .work = regionwork,
    .end = regionend);
#endif
