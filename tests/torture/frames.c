// SPDX-License-Identifier: BSD-3-Clause
// frames.c: the torture of stacks: longjmp, alloca, big and deep frames, leaves in the red zone,
// contexts of the libc, and what belongs to the thread below them.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "torture.h"

// ---- longjmp: out of some frames, with and without the signal mask ----

static uint64_t
dive(jmp_buf *plain, sigjmp_buf *masked, int depth, uint64_t v)
{
	volatile uint64_t mine = v * 3 + (uint64_t)depth;
	spin(200);
	if (depth == 0) {
		if (plain)
			longjmp(*plain, (int)(v % 1000) + 1);
		siglongjmp(*masked, (int)(v % 1000) + 1);
	}
	v = dive(plain, masked, depth - 1, v);
	return mine + v;
}

static void
longjmpwork(struct worker *w)
{
	while (running(w)) {
		const uint64_t v = rnd(w);
		const int depth = (int)(rnd(w) % 20);
		volatile int turns = 0;
		jmp_buf plain;
		sigjmp_buf masked;
		sigset_t before, after;
		int got = setjmp(plain);
		if (got == 0)
			dive(&plain, NULL, depth, v);
		if (got != (int)(v % 1000) + 1)
			BAD("longjmp brought %d", got);
		pthread_sigmask(SIG_SETMASK, NULL, &before);
		got = sigsetjmp(masked, 1);
		turns = turns + 1;
		if (got == 0)
			dive(NULL, &masked, depth, v);
		if (got != (int)(v % 1000) + 1 || turns != 2)
			BAD("siglongjmp brought %d in turn %d", got, turns);
		pthread_sigmask(SIG_SETMASK, NULL, &after);
		for (int sig = 1; sig < 32; sig++)
			if (sigismember(&before, sig) != sigismember(&after, sig))
				BAD("siglongjmp changed the mask of signal %d", sig);
	}
}
SUBJECT(longjmp, .workers = 3, .work = longjmpwork);

// ---- alloca: frames of any size, each filled, and looked at when its callees have returned ----

__attribute__((noinline)) static uint64_t
pile(struct worker *w, int depth)
{
	size_t n = rnd(w) % 6000 + 1;
	unsigned char *p = __builtin_alloca(n), v = (unsigned char)n;
	uint64_t sum = 0;
	memset(p, v, n);
	spin(100);
	if (depth > 0)
		sum = pile(w, depth - 1);
	for (size_t i = 0; i < n; i++)
		if (p[i] != v)
			BAD("alloca: byte %zu of %zu at depth %d is %d", i, n, depth, p[i]);
	return sum + n;
}

static void
allocawork(struct worker *w)
{
	while (running(w))
		MUST(pile(w, (int)(rnd(w) % 20)) > 0);
}
SUBJECT(alloca, .workers = 3, .work = allocawork);

// ---- leaf: leaf functions keep their variables below the stack pointer ----

__attribute__((noinline)) static uint64_t
leaf(uint64_t v)
{
	volatile uint64_t a[12]; // 96 bytes: the red zone, at -O2
	for (int i = 0; i < 12; i++)
		a[i] = v + (uint64_t)i;
	for (int turn = 0; turn < 200; turn++)
		for (int i = 0; i < 12; i++)
			a[i] = a[i] * 5 + a[(i + 1) % 12];
	uint64_t sum = 0;
	for (int i = 0; i < 12; i++)
		sum = sum * 7 + a[i];
	return sum;
}

// bigleaf has a frame of many pages and calls nothing either.
__attribute__((noinline)) static uint64_t
bigleaf(uint64_t v)
{
	volatile uint64_t a[12000];
	uint64_t sum = 0;
	for (int i = 0; i < 12000; i += 37)
		a[i] = v ^ (uint64_t)i;
	for (int i = 0; i < 12000; i += 37)
		sum = sum * 3 + a[i];
	return sum;
}

static void
leafwork(struct worker *w)
{
	while (running(w)) {
		uint64_t v = rnd(w), first = leaf(v), big = bigleaf(v);
		for (int i = 0; i < 10; i++)
			if (leaf(v) != first || bigleaf(v) != big)
				BAD("leaf: the same input gave another result");
	}
}
SUBJECT(leaf, .workers = 3, .work = leafwork);

// ---- deep: recursion almost to the end of the stack, and on a larger one ----

__attribute__((noinline)) static uint64_t
deeper(int depth, uint64_t v)
{
	volatile char frame[200];
	frame[depth % 200] = (char)v;
	if (depth == 0)
		return v;
	uint64_t sum = deeper(depth - 1, v * 5 + 1) + 1;
	if (frame[depth % 200] != (char)v)
		BAD("deep: a frame changed at depth %d", depth);
	return sum;
}

struct deep {
	uint64_t in, out;
};

static void
deepcall(void *arg)
{
	struct deep *d = arg;
	d->out = deeper(2000, d->in);
}

static void
deepwork(struct worker *w)
{
	while (running(w)) {
		uint64_t v = rnd(w);
		struct deep d = {v, 0};
		uint64_t here = deeper(300, v);
		MUST(rt0_morestack(deepcall, &d, 2 << 20) == 0);
		if (here != deeper(300, v))
			BAD("deep: two results");
		uint64_t want = v;
		for (int i = 0; i < 2000; i++)
			want = want * 5 + 1;
		if (d.out != want + 2000)
			BAD("deep: wrong result on the larger stack");
	}
}
SUBJECT(deep, .workers = 3, .work = deepwork);

// ---- context: coroutines of the libc inside a goroutine ----

struct coroutine {
	ucontext_t in, out;
	uint64_t v;
	bool stop;
};

// clang thinks that swapcontext cannot call coroutine, and would store after the call.
static __thread struct coroutine *volatile entered;

static void
coroutine(void)
{
	struct coroutine *c = entered;
	while (!c->stop) {
		c->v = c->v * 5 + 1;
		spin(500);
		swapcontext(&c->in, &c->out);
	}
}

static void
contextwork(struct worker *w)
{
	struct coroutine c = {.v = rnd(w)};
	volatile uint64_t want = c.v; // gcc takes swapcontext for a setjmp
	void *stack = malloc(65536);
	MUST(stack && getcontext(&c.in) == 0);
	c.in.uc_stack.ss_sp = stack;
	c.in.uc_stack.ss_size = 65536;
	c.in.uc_link = &c.out;
	makecontext(&c.in, coroutine, 0);
	while (running(w)) {
		want = want * 5 + 1;
		entered = &c;
		MUST(swapcontext(&c.out, &c.in) == 0);
		if (c.v != want)
			BAD("context: %lx, want %lx", c.v, want);
	}
	c.stop = true;
	MUST(swapcontext(&c.out, &c.in) == 0);
	free(stack);
}
// ThreadSanitizer does not follow swapcontext.
SUBJECT(context, .workers = 2, .flags = NOTSAN, .work = contextwork);

// ---- tls: as long as it calls nothing of rt0, a goroutine has a thread to itself ----

struct cell {
	uint64_t n; // only its thread
	struct cell *next;
};

static struct cell *cells; // atomic
static uint64_t cellsum;   // atomic
static __thread struct cell *cell;
static __thread int64_t mine;

__attribute__((noinline)) static void
addone(void)
{
	if (!cell) {
		struct cell *c = calloc(1, sizeof *c);
		MUST(c);
		cell = c;
		c->next = __atomic_load_n(&cells, __ATOMIC_RELAXED);
		while (!__atomic_compare_exchange_n(
		    &cells, &c->next, c, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			continue;
	}
	uint64_t n = cell->n;
	spin(200);
	cell->n = n + 1; // not atomic: nobody else may be on this thread meanwhile
	__atomic_add_fetch(&cellsum, 1, __ATOMIC_RELAXED);
}

__attribute__((noinline)) static void
keepmine(int64_t v)
{
	pthread_t self = pthread_self();
	mine = v;
	spin(2000);
	if (mine != v)
		BAD("tls: %ld, want %ld", mine, v);
	if (!pthread_equal(self, pthread_self()))
		BAD("tls: the thread changed");
}

static void
tlswork(struct worker *w)
{
	while (running(w)) {
		for (int i = 0; i < 20; i++) {
			addone();
			keepmine((int64_t)rnd(w));
		}
		if (rnd(w) % 4 == 0)
			rt0_gosched();
	}
}

static void
tlsend(void)
{
	uint64_t sum = 0;
	for (struct cell *c = __atomic_load_n(&cells, __ATOMIC_ACQUIRE); c; c = c->next)
		sum += c->n;
	if (sum != cellsum)
		BAD("tls: threads counted %lu of %lu", sum, cellsum);
}
SUBJECT(tls, .workers = 4, .work = tlswork, .end = tlsend);
