// SPDX-License-Identifier: BSD-3-Clause
// test_gostack.c: the stacks of goroutines as a program sees them: sizes, rt0_morestack, limits.

#include <alloca.h>
#include <stdlib.h>

#include "../../src/runtime.h"
#include "apiutil.h"
#include "proc.h"

struct use {
	rt0_waitgroup wg;
	rt0_chan *c;
	size_t bytes;
	int n, depth;
};

// fill uses bytes of stack in frames of a page and checks on the way back that nobody wrote there.
__attribute__((noinline)) static size_t
fill(size_t bytes)
{
	volatile unsigned char page[4096];
	unsigned char mark = (unsigned char)(bytes >> 12);
	for (size_t i = 0; i < sizeof page; i += 64)
		page[i] = mark;
	size_t below = bytes > sizeof page ? fill(bytes - sizeof page) : 0;
	for (size_t i = 0; i < sizeof page; i += 64)
		CHECK_EQ(page[i], mark);
	return below + sizeof page;
}

static void
fill_and_done(void *arg)
{
	struct use *u = arg;
	CHECK(fill(u->bytes) >= u->bytes);
	inc(&u->n);
	rt0_waitgroup_done(&u->wg);
}

// Sanitizers make frames larger: use a smaller part of the stack then.
static size_t
part(size_t size)
{
	return SANITIZED ? size / 4 : size / 4 * 3;
}

static void
await_alone(void)
{
	while (rt0_num_goroutine() > 1)
		rt0_gosched();
}

TEST(stack_default_takes_192_kib)
{
	struct use u = {.bytes = part(256 << 10)};
	rt0_waitgroup_add(&u.wg, 20);
	for (int i = 0; i < 20; i++)
		rt0_go(fill_and_done, &u);
	rt0_waitgroup_wait(&u.wg);
	CHECK_EQ(u.n, 20);
}

TEST_T(stack_of_main_takes_64_mib, 30000)
{
	CHECK(fill(64 << 20) >= 64 << 20);
}

TEST_T(go_attr_gives_the_size_asked_for, 30000)
{
	static const size_t kib[] = {64, 100, 256, 1024, 3000, 32768};
	for (size_t i = 0; i < sizeof kib / sizeof kib[0]; i++) {
		struct use u = {.bytes = part(kib[i] << 10)};
		rt0_attr attr = {.stack_size = kib[i] << 10};
		rt0_waitgroup_add(&u.wg, 3);
		for (int k = 0; k < 3; k++)
			CHECK_EQ(rt0_go_attr(fill_and_done, &u, &attr), 0);
		rt0_waitgroup_wait(&u.wg);
		CHECK_EQ(u.n, 3);
	}
}

static void
count(void *arg)
{
	struct use *u = arg;
	inc(&u->n);
	rt0_waitgroup_done(&u->wg);
}

TEST(go_attr_smallest_stack_runs)
{
	struct use u = {0};
	rt0_attr attr = {.stack_size = 16 << 10};
	rt0_waitgroup_add(&u.wg, 1000);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(rt0_go_attr(count, &u, &attr), 0);
	rt0_waitgroup_wait(&u.wg);
	CHECK_EQ(u.n, 1000);
}

TEST(go_attr_refuses_sizes_out_of_range)
{
	struct use u = {0};
	static const size_t bad[] = {
	    1, 4096, (16 << 10) - 1, (size_t)2 << 30, (size_t)1 << 40, SIZE_MAX};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rt0_attr attr = {.stack_size = bad[i]};
		CHECK_EQ(rt0_go_attr(count, &u, &attr), -EINVAL);
	}
	CHECK_EQ(rt0_num_goroutine(), 1);
	rt0_waitgroup_add(&u.wg, 2);
	CHECK_EQ(rt0_go_attr(count, &u, NULL), 0);
	rt0_attr zero = {0};
	CHECK_EQ(rt0_go_attr(count, &u, &zero), 0);
	rt0_waitgroup_wait(&u.wg);
}

TEST(set_max_stack_bounds_what_may_be_asked_for)
{
	struct use u = {0};
	rt0_attr attr = {.stack_size = 2 << 20};
	CHECK_EQ(rt0_set_max_stack(1 << 20), 1000000000);
	CHECK_EQ(rt0_go_attr(count, &u, &attr), -EINVAL);
	CHECK_EQ(rt0_morestack(count, &u, 2 << 20), -EINVAL);
	CHECK_EQ(rt0_set_max_stack(4 << 20), 1 << 20);
	rt0_waitgroup_add(&u.wg, 1);
	CHECK_EQ(rt0_go_attr(count, &u, &attr), 0);
	rt0_waitgroup_wait(&u.wg);
	CHECK_EQ(u.n, 1);
}

// ---- rt0_morestack ------------------------------------------------------------------------------

static void
fill_here(void *arg)
{
	struct use *u = arg;
	CHECK(fill(u->bytes) >= u->bytes);
	u->n++;
}

TEST_T(morestack_gives_the_size_asked_for, 30000)
{
	static const size_t kib[] = {16, 512, 1024, 8192, 65536};
	for (size_t i = 0; i < sizeof kib / sizeof kib[0]; i++) {
		struct use u = {.bytes = part(kib[i] << 10)};
		for (int k = 0; k < 2; k++)
			CHECK_EQ(rt0_morestack(fill_here, &u, kib[i] << 10), 0);
		CHECK_EQ(u.n, 2);
	}
	CHECK_EQ(rt0_morestack(fill_here, NULL, SIZE_MAX), -EINVAL);
}

static void
on_goroutine_morestack(void *arg)
{
	struct use *u = arg, own = {.bytes = part(4 << 20)};
	for (int i = 0; i < 10; i++)
		CHECK_EQ(rt0_morestack(fill_here, &own, 4 << 20), 0);
	CHECK_EQ(own.n, 10);
	rt0_waitgroup_done(&u->wg);
}

TEST(morestack_on_many_goroutines)
{
	struct use u = {0};
	rt0_waitgroup_add(&u.wg, 20);
	for (int i = 0; i < 20; i++)
		rt0_go(on_goroutine_morestack, &u);
	rt0_waitgroup_wait(&u.wg);
}

// A computation on a segment may block, move to another thread, and grow again.
static void
nested(void *arg)
{
	struct use *u = arg;
	int depth = u->depth--, v;
	volatile int keep = depth;
	rt0_gosched();
	rt0_chan_send(u->c, &depth);
	if (depth > 0)
		CHECK_EQ(rt0_morestack(nested, u, 64 << 10), 0);
	blocking_sleep(10);
	CHECK(rt0_chan_recv(u->c, &v));
	CHECK_EQ(keep, depth);
	u->n++;
}

static void
nest_on_goroutine(void *arg)
{
	struct use *u = arg, own = {.c = rt0_chan_make(sizeof(int), 100), .depth = 50};
	CHECK_EQ(rt0_morestack(nested, &own, 64 << 10), 0);
	CHECK_EQ(own.n, 51);
	rt0_waitgroup_done(&u->wg);
}

TEST(morestack_nests_and_may_block)
{
	rt0_gomaxprocs(3);
	struct use u = {0};
	rt0_waitgroup_add(&u.wg, 8);
	for (int i = 0; i < 8; i++)
		rt0_go(nest_on_goroutine, &u);
	rt0_waitgroup_wait(&u.wg);
}

static void
exit_on_segment(void *arg)
{
	struct use *u = arg;
	inc(&u->n);
	rt0_goexit();
}

static void
exit_in_morestack(void *arg)
{
	rt0_morestack(exit_on_segment, arg, 1 << 20);
	test_fail("rt0_morestack came back from rt0_goexit\n");
}

TEST(goexit_inside_morestack)
{
	struct use u = {0};
	for (int i = 0; i < 200; i++) {
		rt0_go(exit_in_morestack, &u);
		await(&u.n, i + 1);
	}
	while (rt0_num_goroutine() != 1)
		rt0_gosched();
}

static void
big_alloca(void *arg)
{
	struct use *u = arg;
	char *p = alloca(u->bytes);
	for (size_t i = u->bytes; i > 0; i -= i < 4096 ? i : 4096)
		((volatile char *)p)[i - 1] = 1;
	u->n++;
}

static void
end_two_deep(void *arg)
{
	if (arg == NULL)
		rt0_goexit();
	rt0_morestack(end_two_deep, NULL, 1 << 20);
}

static void
end_inside(void *arg)
{
	rt0_waitgroup_done(arg);
	rt0_morestack(end_two_deep, arg, 1 << 20);
}

// What the two calls that never return had is given back; 2,000 times 2 MiB would show.
TEST(goexit_inside_morestack_leaks_nothing)
{
	// One P: with more, the dead goroutines of the others take address space too.
	rt0_gomaxprocs(1);
	rt0_waitgroup wg = {0};
	uint64_t before = 0;
	for (int i = 0; i < 2000; i++) {
		rt0_waitgroup_add(&wg, 1);
		rt0_go(end_inside, &wg);
		rt0_waitgroup_wait(&wg);
		await_alone();
		if (i == 100)
			before = atomic_loadrlx(&memstats.stacks_sys);
	}
	CHECK(atomic_loadrlx(&memstats.stacks_sys) <= before + (64 << 20));
}

TEST(morestack_for_a_big_alloca)
{
	struct use u = {.bytes = 32 << 20};
	CHECK_EQ(rt0_morestack(big_alloca, &u, 40 << 20), 0);
	CHECK_EQ(u.n, 1);
}

// Stacks are used again by others: what one leaves behind harms nobody, and memory does not grow.
TEST_T(stacks_are_used_again, 30000)
{
	struct use u = {.bytes = part(128 << 10)};
	for (int round = 0; round < 100; round++) {
		rt0_waitgroup_add(&u.wg, 20);
		for (int i = 0; i < 20; i++)
			rt0_go(fill_and_done, &u);
		rt0_waitgroup_wait(&u.wg);
	}
	long pages = proc_pages(true);
	CHECK(pages > 0);
	// 2,000 stacks of 128 KiB would be 250 MiB. Sanitizers have shadow memory to fill.
	CHECK(SANITIZED || pages < 64 << 8);
}

struct crowd {
	rt0_chan *go;
	rt0_waitgroup wg;
};

static void
member(void *arg)
{
	struct crowd *c = arg;
	rt0_chan_recv(c->go, NULL);
	rt0_waitgroup_done(&c->wg);
}

// A P that goes idle keeps few dead goroutines: others are to use them, and the scavenger to find them.
TEST(idle_ps_give_dead_goroutines_back)
{
	struct crowd c = {.go = rt0_chan_make(0, 0)};
	rt0_waitgroup_add(&c.wg, 900);
	for (int i = 0; i < 900; i++)
		rt0_go(member, &c);
	rt0_chan_close(c.go);
	rt0_waitgroup_wait(&c.wg);
	int32_t most = INT32_MAX, ps = atomic_loadrlx(&sched.gomaxprocs);
	for (int ms = 0; ms < 5000 && most > GFREE_BATCH + 8; ms++) {
		rt0_sleep(1000000);
		most = 0;
		for (int32_t i = 0; i < ps; i++) {
			int32_t n = atomic_loadrlx(&runtime_pat(i)->ngfree);
			most = n > most ? n : most;
		}
	}
	CHECK(most <= GFREE_BATCH + 8);
	CHECK(atomic_loadrlx(&sched.ngfree) >= 900 - ps * (GFREE_BATCH + 8));
	rt0_chan_free(c.go);
}

// While one P makes new goroutines others make dead ones for it: few too many, and NumGoroutine knows nothing of them.
TEST(goroutines_made_ahead_are_few_and_not_counted)
{
	enum { N = 5000 };
	struct crowd c = {.go = rt0_chan_make(0, 0)};
	rt0_waitgroup_add(&c.wg, N);
	for (int i = 0; i < N; i++) {
		rt0_go(member, &c);
		if (i % 8 == 7)
			CHECK_EQ(rt0_num_goroutine(), i + 2);
	}
	int32_t ps = atomic_loadrlx(&sched.gomaxprocs);
	CHECK(runtime_allgcount() - rt0_num_goroutine() <= ps * (GFREE_BATCH + 16));
	rt0_chan_close(c.go);
	rt0_waitgroup_wait(&c.wg);
	await_alone();
	rt0_chan_free(c.go);
}
