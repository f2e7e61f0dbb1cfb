// SPDX-License-Identifier: BSD-3-Clause
// test_malloc.c: mallocgc and free against a model; what they say about misuse; their figures.
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../../src/mem/mheap.h"
#include "proc.h"
#include "test.h"

struct obj {
	unsigned char *p;
	size_t n;
	unsigned char tag;
};

static uint64_t
rnd(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (*s >> 29) * 0x9e3779b97f4a7c15u >> 20;
}

// Mostly small, some of each size class, a few large.
static size_t
randomsize(uint64_t *s)
{
	switch (rnd(s) % 8) {
	case 0:
		return rnd(s) % 17;
	case 1:
	case 2:
	case 3:
		return rnd(s) % 129;
	case 4:
	case 5:
		return rnd(s) % 1100;
	case 6:
		return rnd(s) % 8192;
	default:
		return rnd(s) % 64 != 0 ? rnd(s) % 40000 : rnd(s) % 1000000;
	}
}

static bool
filled(const unsigned char *p, size_t n, unsigned char with)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != with)
			return false;
	return true;
}

static struct obj
make(uint64_t *s)
{
	struct obj o = {NULL, randomsize(s), (unsigned char)(1 + rnd(s) % 255)};
	bool zero = rnd(s) & 1;

	o.p = runtime_mallocgc(o.n, rnd(s) & 1, zero);
	CHECK(o.p != NULL);
	CHECK_EQ((uintptr_t)o.p % (o.n < 16 ? 8 : 16), 0);
	if (zero)
		CHECK(filled(o.p, o.n, 0));
	memset(o.p, o.tag, o.n);
	return o;
}

// Objects that overlap would find each other's tags.
static void
drop(struct obj o)
{
	CHECK(filled(o.p, o.n, o.tag));
	runtime_free(o.p);
}

static void
churn(uint64_t seed, int n)
{
	enum { LIVE = 1000 };
	struct obj *live = calloc(LIVE, sizeof *live);

	for (int i = 0; i < n; i++) {
		size_t k = rnd(&seed) % LIVE;
		if (live[k].p != NULL)
			drop(live[k]);
		live[k] = make(&seed);
	}
	for (size_t k = 0; k < LIVE; k++)
		if (live[k].p != NULL)
			drop(live[k]);
	free(live);
}

TEST(malloc_random_sizes_do_not_overlap)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		churn(seed, 20000);
	runtime_mheap_check();
}

TEST(malloc_every_size_is_usable_aligned_and_zero)
{
	for (size_t n = 0; n <= 70000; n += n < 2100 ? 1 : 61) {
		for (int noscan = 0; noscan < 2; noscan++) {
			unsigned char *p = runtime_mallocgc(n, noscan, true);
			CHECK(p != NULL);
			CHECK(filled(p, n, 0));
			CHECK_EQ((uintptr_t)p % (n < 16 ? 8 : 16), 0);
			if (n > 0) {
				size_t usable = runtime_mallocusable(p);
				CHECK(usable >= n);
				// A quarter and a bit is the worst above the smallest classes.
				CHECK(usable <= n + n / 3 + 16 || usable <= n + HEAPPAGE);
				memset(p, 0xff, usable);
			}
			runtime_free(p);
		}
	}
}

TEST(malloc_size_classes_waste_an_eighth_at_most)
{
	for (int c = 1; c < NUMSIZECLASSES; c++) {
		size_t span = class_to_allocnpages[c] * (size_t)HEAPPAGE, size = class_to_size[c];
		CHECK(span % size <= span / 8);
		CHECK(c == 1 || size > class_to_size[c - 1]);
		// The step from the class below; the smallest classes are 8 and 16 apart.
		if (size > 128)
			CHECK(size - class_to_size[c - 1] <= size / 6);
	}
	CHECK_EQ(class_to_size[NUMSIZECLASSES - 1], MAXSMALLSIZE);
}

TEST(malloc_freed_object_is_the_next_one)
{
	void *p = runtime_mallocgc(48, false, true);
	runtime_free(p);
	CHECK(runtime_mallocgc(48, false, true) == p);
}

TEST(malloc_zero_bytes_is_not_null)
{
	void *p = runtime_mallocgc(0, false, true);
	CHECK(p != NULL);
	runtime_free(p);
	runtime_free(p);
	runtime_free(NULL);
	CHECK_EQ(runtime_mallocusable(NULL), 0);
}

TEST(malloc_figures_add_up)
{
	enum { N = 1000 };
	static void *p[N];
	struct memstats a, b;

	runtime_readmemstats(&a);
	for (int i = 0; i < N; i++)
		p[i] = runtime_mallocgc(100, false, true); // class of 112
	runtime_readmemstats(&b);
	CHECK(b.nmalloc - a.nmalloc >= N && b.nmalloc - a.nmalloc < N + 100);
	CHECK(b.total_alloc - a.total_alloc >= N * 112 && b.total_alloc - a.total_alloc < N * 130);
	CHECK(b.heap_inuse <= b.heap_sys);
	for (int i = 0; i < N; i++)
		runtime_free(p[i]);
	runtime_readmemstats(&b);
	CHECK(b.nfree - a.nfree >= N);
}

TEST(malloc_small_frees_come_back)
{
	enum { N = 100000 };
	void **p = malloc(N * sizeof *p);
	struct memstats a, b;

	runtime_readmemstats(&a);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++)
			p[i] = runtime_mallocgc(1 + i % 64, i & 1, true);
		for (int i = 0; i < N; i++)
			runtime_free(p[i]);
	}
	runtime_readmemstats(&b);
	// What stays is in the magazines, of this p and of the ps we ran on before.
	CHECK(b.heap_inuse < a.heap_inuse + (4 << 20));
	CHECK(b.heap_sys < a.heap_sys + (32 << 20));
	runtime_mheap_check();
	free(p);
}

TEST(malloc_large_spans_join_when_free)
{
	enum { N = 32 };
	void *p[N];
	struct memstats a, b;

	for (int i = 0; i < N; i++)
		p[i] = runtime_mallocgc(1 << 20, true, false);
	runtime_readmemstats(&a);
	for (int i = 0; i < N; i += 2)
		runtime_free(p[i]);
	for (int i = 1; i < N; i += 2)
		runtime_free(p[i]);
	// The holes are one now: a block as large as all of them needs no new memory.
	void *big = runtime_mallocgc((N - 1) << 20, true, false);
	runtime_readmemstats(&b);
	CHECK(b.heap_sys - a.heap_sys < (2 << 20));
	runtime_free(big);
	runtime_mheap_check();
}

TEST(malloc_much_free_memory_is_released)
{
	enum { N = 160 };
	void *p[N];
	struct memstats m;

	for (int i = 0; i < N; i++) {
		p[i] = runtime_mallocgc(1 << 20, true, false);
		memset(p[i], 1, 1 << 20);
	}
	for (int i = 0; i < N; i++)
		runtime_free(p[i]);
	runtime_readmemstats(&m);
	CHECK(m.heap_released >= (64 << 20));
	unsigned char *z = runtime_mallocgc(100 << 20, true, true);
	CHECK(filled(z, 100 << 20, 0));
	runtime_free(z);
	runtime_mheap_check();
}

// ---- Many threads ----

enum { NSLOT = 512, NTHREAD = 4 };
static struct obj slot[NSLOT];
static rt0_mutex slotlock[NSLOT];
static rt0_waitgroup wg;

static void
swapper(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 99;

	for (int i = 0; i < 20000; i++) {
		size_t k = rnd(&seed) % NSLOT;
		struct obj o = make(&seed);
		rt0_mutex_lock(&slotlock[k]);
		struct obj old = slot[k];
		slot[k] = o;
		rt0_mutex_unlock(&slotlock[k]);
		if (old.p != NULL)
			drop(old);
		if (i % 64 == 0)
			rt0_gosched();
	}
	rt0_waitgroup_done(&wg);
}

TEST_T(malloc_frees_on_other_processors, 30000)
{
	rt0_gomaxprocs(NTHREAD);
	rt0_waitgroup_add(&wg, NTHREAD);
	for (uintptr_t i = 0; i < NTHREAD; i++)
		rt0_go(swapper, (void *)i);
	rt0_waitgroup_wait(&wg);
	for (int k = 0; k < NSLOT; k++)
		if (slot[k].p != NULL)
			drop(slot[k]);
	runtime_mheap_check();
}

static void *
foreign(void *arg)
{
	(void)arg;
	// No g and no p: the shared cache.
	for (uint64_t seed = 1; seed < 3; seed++)
		churn(seed, 3000);
	return NULL;
}

TEST(malloc_works_on_foreign_threads)
{
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, foreign, NULL), 0);
	churn(7, 3000);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

// ---- Misuse and the end of memory ----

// dies runs fn in a child, which must exit with 2 and write both texts to stderr.
static void
dies(void (*fn)(void), const char *text1, const char *text2)
{
	static char buf[65536];
	int fd[2], status;
	size_t n = 0;

	CHECK_EQ(pipe(fd), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(8);
		dup2(fd[1], 2);
		close(fd[0]);
		close(fd[1]);
		fn();
		_exit(0);
	}
	close(fd[1]);
	for (ssize_t k; (k = read(fd[0], buf + n, sizeof buf - 1 - n)) > 0;)
		n += (size_t)k;
	buf[n] = 0;
	close(fd[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 2 || strstr(buf, text1) == NULL ||
	    strstr(buf, text2) == NULL)
		test_fail("status %#x, stderr: %s\nwant %s and %s\n", status, buf, text1, text2);
}

static void
freetwice(void)
{
	char *p = runtime_mallocgc(100, false, true);
	runtime_free(runtime_mallocgc(100, false, true));
	runtime_free(p);
	runtime_free(p);
}

static void
freetinytwice(void)
{
	void *p = runtime_mallocgc(5, true, true);
	runtime_free(p);
	runtime_free(p);
}

static void
freelargetwice(void)
{
	void *p = runtime_mallocgc(100000, true, true);
	runtime_free(p);
	runtime_free(p);
}

static void
freeinside(void)
{
	char *p = runtime_mallocgc(100, false, true);
	runtime_free(p + 16);
}

static void
freestack(void)
{
	int x;
	runtime_free(&x);
}

static void
freelibc(void)
{
	runtime_free(malloc(10));
}

TEST(malloc_bad_free_is_named)
{
	static void (*const bad[])(void) = {
	    freetwice, freetinytwice, freelargetwice, freeinside, freestack, freelibc};
	for (size_t i = 0; i < NELEM(bad); i++)
		dies(bad[i], "which is not the start of an allocated object",
		    "fatal error: bad free");
}

static void
writeafterfree(void)
{
	char *p = runtime_mallocgc(64, false, true);
	runtime_free(p);
	*(volatile uint64_t *)(p + 8) = 1;
	runtime_mallocgc(64, false, true);
}

TEST(malloc_write_after_free_is_seen)
{
	dies(writeafterfree, "was written to", "fatal error: write after free");
}

static void
hugeblock(void)
{
	runtime_mallocgc(1ul << 45, true, false);
}

TEST(malloc_out_of_memory_says_how_much)
{
	// The kernel promises 32 TiB of address space where it overcommits; it has none with a
	// limit.
	struct rlimit rl = {4ul << 30, 4ul << 30};
	if (RT0_TSAN || RT0_ASAN)
		SKIP("the sanitizer needs its address space");
	CHECK_EQ(setrlimit(RLIMIT_AS, &rl), 0);
	dies(hugeblock, "runtime: out of memory: cannot allocate 35184372088832-byte block (",
	    "fatal error: out of memory");
	CHECK(runtime_mallocgc_try(1ul << 45, true, false) == NULL);
	CHECK(runtime_mallocgc_try(~0ul, true, false) == NULL);
	CHECK(runtime_mallocgc_try(~0ul - 8192, false, true) == NULL);
	churn(1, 1000);
}

TEST(malloc_fills_a_limited_address_space)
{
	struct rlimit rl;
	size_t got = 0;

	if (RT0_TSAN || RT0_ASAN)
		SKIP("the sanitizer needs its address space");
	long vm = proc_pages(false);
	CHECK(vm > 0);
	enum { MORE = 100 << 20 };
	rl.rlim_cur = rl.rlim_max = (size_t)vm * PAGESIZE + MORE;
	CHECK_EQ(setrlimit(RLIMIT_AS, &rl), 0);
	void **list = NULL, **p;
	while ((p = runtime_mallocgc_try(1000, false, true)) != NULL) {
		*p = list;
		list = p;
		got += 1000;
	}
	// Reservations get smaller towards the limit, so little is left over.
	CHECK(got > MORE * 3ul / 4);
	while ((p = list) != NULL) {
		list = *p;
		runtime_free(p);
	}
	runtime_mheap_check();
	churn(2, 5000);
}

// ---- The memory of the runtime itself ----

TEST(persistentalloc_is_aligned_and_zero)
{
	uint64_t stat = 0, sum = 0;

	for (size_t n = 1; n < 100000; n = n * 3 / 2 + 1)
		for (size_t align = 8; align <= 4096; align *= 8) {
			unsigned char *p = runtime_persistentalloc(n, align, &stat);
			CHECK_EQ((uintptr_t)p % align, 0);
			CHECK(filled(p, n, 0));
			memset(p, 0xff, n);
			sum += n;
		}
	CHECK(stat >= sum);
}

TEST(sysguard_batch_faults_where_single_ones_do)
{
	enum { N = 700, STEP = 4 * PAGESIZE };
	static struct iovec_any v[N];
	char *p = runtime_sysAlloc((size_t)N * STEP, NULL);

	CHECK(p != NULL);
	if (!runtime_sysGuard(p, PAGESIZE))
		SKIP("the kernel has no MADV_GUARD_INSTALL");
	for (int i = 0; i < N; i++) {
		v[i].base = p + (size_t)i * STEP;
		v[i].len = PAGESIZE;
		p[(size_t)i * STEP + PAGESIZE] = 1;
	}
	CHECK(runtime_sysGuardBatch(v, N));
	for (int i = 0; i < N; i += 233) {
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			// The kernel's way to ask: EFAULT instead of a signal.
			int fd[2];
			bool bad = pipe(fd) == 0 && write(fd[1], v[i].base, 1) < 0;
			_exit(bad ? 7 : 0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), 7);
	}
	for (int i = 0; i < N; i++) {
		v[i].base = p + (size_t)i * STEP + PAGESIZE;
		v[i].len = PAGESIZE;
	}
	runtime_sysUnusedBatch(v, N);
	for (int i = 0; i < N; i++)
		CHECK_EQ(p[(size_t)i * STEP + PAGESIZE], 0);
	runtime_sysFree(p, (size_t)N * STEP, NULL);
}

// What a stack has told of its frames must not be held against what the kernel puts there next.
TEST(sysalloc_where_a_stack_was_is_whole)
{
#if RT0_ASAN
	enum { N = 3 << 20 };
	char *old[4], *p[4];
	for (int i = 0; i < 4; i++) {
		old[i] = runtime_sysAlloc(N, NULL);
		CHECK(old[i] != NULL);
		__asan_poison_memory_region(old[i], N);
	}
	for (int i = 0; i < 4; i++)
		runtime_sysFree(old[i], N, NULL);
	bool met = false;
	for (int i = 0; i < 4; i++) {
		p[i] = runtime_sysAlloc(N, NULL);
		CHECK(p[i] != NULL);
		for (int j = 0; j < 4; j++)
			met |= p[i] < old[j] + N && old[j] < p[i] + N;
		CHECK(filled((unsigned char *)p[i], N, 0)); // a report ends the program
	}
	CHECK(met);
	for (int i = 0; i < 4; i++)
		runtime_sysFree(p[i], N, NULL);
	p[0] = runtime_sysReserve(NULL, N);
	CHECK(p[0] != NULL);
	__asan_poison_memory_region(p[0], N); // as of a stack that was there before
	CHECK(runtime_sysMap(p[0], N, NULL));
	CHECK(filled((unsigned char *)p[0], N, 0));
	runtime_sysFree(p[0], N, NULL);
	// And that costs no memory: room for stacks is a gigabyte at a time.
	long before = proc_pages(true);
	CHECK((p[0] = runtime_sysAlloc(1 << 30, NULL)) != NULL);
	CHECK(proc_pages(true) - before < (16 << 20) / (long)PAGESIZE);
	runtime_sysFree(p[0], 1 << 30, NULL);
#else
	SKIP("for AddressSanitizer");
#endif
}

TEST(sysreserve_costs_nothing_until_mapped)
{
	uint64_t stat = 0;
	char *p = runtime_sysReserve(NULL, 1 << 20);

	CHECK(p != NULL);
	CHECK(runtime_sysMap(p, 1 << 18, &stat));
	CHECK_EQ(stat, 1 << 18);
	p[0] = 1;
	runtime_sysUnused(p, PAGESIZE);
	CHECK_EQ(p[0], 0);
	runtime_sysFault(p, 1 << 18);
	CHECK(runtime_sysMap(p, PAGESIZE, NULL));
	CHECK_EQ(p[0], 0);
	runtime_sysFree(p, 1 << 20, &stat);
	CHECK_EQ((int64_t)stat, (1 << 18) - (1 << 20));
}
