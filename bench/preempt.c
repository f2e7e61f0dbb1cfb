// SPDX-License-Identifier: BSD-3-Clause
// preempt.c: benchmarks of preemption: how late others come, what a switch costs, what is lost.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rt0.h>

#include "bench.h"

enum {
	nsleeps = 200,
	npreempt = 20000, // by each of two goroutines
	throughput_gs = 4,
	throughput_reps = 3,
	throughput_turns = 150000000, // by each goroutine; some 0.3 s, much more than the last slice, in which a p may idle
};

static int
byvalue(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, byvalue);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static atomic_int stop;

static void
spinner(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		continue;
}

// How late does a sleep of 1 ms end beside a goroutine that only spins? Run with one processor.
static void
preemptlate(const char *name)
{
	static double late[nsleeps];
	char max[40];

	rt0_go(spinner, NULL);
	for (int i = 0; i < nsleeps; i++) {
		int64_t t = rt0_nanotime();

		sleepms(1);
		late[i] = (double)(rt0_nanotime() - t - 1000000) / 1e3;
	}
	stop = 1;
	snprintf(max, sizeof max, "%s_max", name);
	outp(name, median(late, nsleeps), "us");
	outp(max, late[nsleeps - 1], "us");
}

void
preempt(void)
{
	preemptlate("preempt");
}

// bench/run.sh sets GODEBUG=preemptms=1 for this one.
void
preempt_ms1(void)
{
	preemptlate("preempt_ms1");
}

// cpus keeps this thread, and all that it starts from now on, on n CPUs, the one where it is among
// them: the kernel's choice of a CPU for a woken thread is worth more than what is measured.
static void
cpus(int n)
{
	cpu_set_t all, set;
	int first = sched_getcpu();

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof all, &all) != 0)
		return;
	for (int i = 0; n > 0 && i < CPU_SETSIZE; i++) {
		int cpu = (first + i) % CPU_SETSIZE;

		if (CPU_ISSET(cpu, &all)) {
			CPU_SET(cpu, &set);
			n--;
		}
	}
	sched_setaffinity(0, sizeof set, &set);
}

// Hidden in the library, and in reach because this program is linked with the archive: a preempt
// request to the calling goroutine. It returns the thread that the signal must be sent to.
uint64_t runtime_preemptself(void) __attribute__((visibility("hidden")));

// urge sends the signal; it arrives, and is served, in this very function.
static inline void
urge(long pid, uint64_t tid)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGURG)
			 : "rcx", "r11", "memory");
}

static bool inthread;

static void
preemptee(void *wg)
{
	long pid = getpid();

	if (inthread)
		rt0_preempt_inthread_begin();
	for (int i = 0; i < npreempt; i++)
		urge(pid, runtime_preemptself());
	if (inthread)
		rt0_preempt_inthread_end();
	rt0_waitgroup_done(wg);
}

// Two goroutines on one processor, each of which is preempted at every turn: a turn is the signal,
// the switch to the other, and the way back. The processor time is what a busy machine leaves true.
static void
preemptcost(const char *name)
{
	rt0_waitgroup wg = {0};
	char buf[40];
	double cpu;
	int64_t t;

	cpus(1);
	rt0_waitgroup_add(&wg, 2);
	cpu = cpums();
	rt0_go(preemptee, &wg);
	rt0_go(preemptee, &wg);
	t = rt0_nanotime();
	rt0_waitgroup_wait(&wg);
	per(name, rt0_nanotime() - t, 2.0 * npreempt);
	snprintf(buf, sizeof buf, "%s_cpu", name);
	per(buf, (int64_t)((cpums() - cpu) * 1e6), 2.0 * npreempt);
}

void
preempt_klt(void)
{
	preemptcost("preempt_klt");
}

void
preempt_inthread(void)
{
	inthread = true;
	preemptcost("preempt_inthread");
}

enum { table_n = 1 << 16 }; // 256 KiB: what a switch costs the caches shows

struct job {
	rt0_waitgroup *wg;
	bool memory;
	uint64_t sum;
};

static void
compute(struct job *j)
{
	uint32_t *table = j->memory ? calloc(table_n, sizeof *table) : NULL;
	uint64_t x = 88172645463325252u, sum = 0;

	for (int i = 0; i < throughput_turns; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += table ? table[x % table_n]++ : x;
	}
	free(table);
	j->sum = sum;
}

static void
compute_go(void *arg)
{
	struct job *j = arg;

	compute(j);
	rt0_waitgroup_done(j->wg);
}

static void *
compute_thread(void *arg)
{
	compute(arg);
	return NULL;
}

// computeonce is the wall time in ns and, in *cpu, the processor time in ms of all jobs.
static double
computeonce(bool threads, bool memory, double *cpu)
{
	struct job job[throughput_gs];
	pthread_t thread[throughput_gs];
	rt0_waitgroup wg = {0};
	double cpu0 = cpums();
	int64_t t = rt0_nanotime();

	rt0_waitgroup_add(&wg, throughput_gs);
	for (int i = 0; i < throughput_gs; i++) {
		job[i] = (struct job){&wg, memory, 0};
		if (!threads)
			rt0_go(compute_go, &job[i]);
		else if (pthread_create(&thread[i], NULL, compute_thread, &job[i]) != 0)
			rt0_fatal("cputhroughput: no thread");
	}
	if (threads) {
		for (int i = 0; i < throughput_gs; i++)
			pthread_join(thread[i], NULL);
	} else {
		rt0_waitgroup_wait(&wg);
	}
	t = rt0_nanotime() - t;
	*cpu = cpums() - cpu0;
	for (int i = 1; i < throughput_gs; i++) {
		if (job[i].sum != job[0].sum)
			rt0_fatal("cputhroughput: wrong sum");
	}
	return (double)t;
}

// CPU-bound goroutines against the same on as many threads, on as many CPUs as there are
// processors, in turn. What other programs take from the CPUs spoils the wall times more than the
// processor times.
void
cputhroughput(void)
{
	static double wall[throughput_reps], cpu[throughput_reps];

	cpus(rt0_gomaxprocs(0));
	for (int memory = 0; memory < 2; memory++) {
		for (int i = 0; i < throughput_reps; i++) {
			double cpu_go, cpu_threads;
			double go = computeonce(false, memory, &cpu_go);
			double threads = computeonce(true, memory, &cpu_threads);

			wall[i] = threads / go * 100;
			cpu[i] = cpu_threads / cpu_go * 100;
		}
		outp(memory ? "cputhroughput_mem" : "cputhroughput", median(wall, throughput_reps),
		    "%");
		outp(memory ? "cputhroughput_mem_cpu" : "cputhroughput_cpu",
		    median(cpu, throughput_reps), "%");
	}
}
