// SPDX-License-Identifier: BSD-3-Clause
// group.c: what is made of contexts: groups of goroutines with a first error; a context that a signal cancels.
//
// A group is a WaitGroup, a Semaphore for the limit, and a context that the first error cancels.
#include "../runtime.h"
#include "../os/linux/linux.h"

struct member {
	rt0_group *g;
	int (*fn)(void *);
	void *arg;
};

rt0_context *
rt0_group_init(rt0_group *g, rt0_context *parent)
{
	runtime_memclr(g, sizeof *g);
	if (parent != NULL)
		g->ctx = rt0_context_with_cancel(parent);
	return g->ctx;
}

void
rt0_group_set_limit(rt0_group *g, int n)
{
	if (g->limited && g->limit.used != 0)
		runtime_panicstring("errgroup: modify limit while goroutines in the group are still active");
	g->limited = n >= 0;
	rt0_semaphore_init(&g->limit, n);
}

static void
memberdone(void *arg)
{
	rt0_group *g = arg;
	if (g->limited)
		rt0_semaphore_release(&g->limit, 1);
	rt0_waitgroup_done(&g->wg); // g may be gone
}

static void
member(void *arg)
{
	struct member m = *(struct member *)arg;
	rt0_free(arg);
	RT0_DEFER(memberdone, m.g);
	int err = m.fn(m.arg);
	if (err != 0 && atomic_cas(&m.g->err, 0, err) && m.g->ctx != NULL)
		rt0_context_cancel_cause(m.g->ctx, rt0_value_error("errgroup: a goroutine returned an error", err));
}

struct groupcall {
	rt0_group *g;
	int (*fn)(void *);
	void *arg;
	bool try, ok;
	uintptr_t pc;
};

static void
groupgo(void *arg)
{
	struct groupcall *a = arg;
	rt0_group *g = a->g;
	if (a->fn == NULL)
		runtime_fatal("go of nil func value");
	if (g->limited && a->try && rt0_semaphore_try_acquire(&g->limit, 1) < 0)
		return;
	if (g->limited && !a->try && rt0_semaphore_acquire(&g->limit, 1) < 0)
		rt0_chan_recv(NULL, NULL); // a limit of 0: for ever
	struct member *m = rt0_alloc(sizeof *m, 0);
	*m = (struct member){g, a->fn, a->arg};
	rt0_waitgroup_add(&g->wg, 1);
	runtime_newproc(member, m, a->pc);
	a->ok = true;
}

void
rt0_group_go(rt0_group *g, int (*fn)(void *), void *arg)
{
	struct groupcall a = {g, fn, arg, false, false, (uintptr_t)__builtin_return_address(0)};
	runtime_ongoroutine(groupgo, &a);
}

bool
rt0_group_try_go(rt0_group *g, int (*fn)(void *), void *arg)
{
	struct groupcall a = {g, fn, arg, true, false, (uintptr_t)__builtin_return_address(0)};
	runtime_ongoroutine(groupgo, &a);
	return a.ok;
}

int
rt0_group_wait(rt0_group *g)
{
	rt0_waitgroup_wait(&g->wg);
	if (g->ctx != NULL) {
		rt0_context_cancel(g->ctx);
		rt0_context_release(g->ctx);
		g->ctx = NULL;
	}
	return atomic_loadrlx(&g->err);
}

// ---- a context that a signal cancels ----

struct notify {
	rt0_chan *c; // of int
	rt0_context *ctx;
};

// notifystop runs when the context is cancelled, by whomever.
static void
notifystop(void *arg)
{
	rt0_signal_stop(arg);
	rt0_chan_close(arg); // nothing is sent any more
}

static void
notifywait(void *arg)
{
	struct notify n = *(struct notify *)arg;
	rt0_free(arg);
	for (int sig; rt0_chan_recv(n.c, &sig);)
		rt0_context_cancel_cause(n.ctx, rt0_value_int(sig)); // the first counts
	rt0_chan_free(n.c);
	rt0_context_release(n.ctx);
}

int
rt0_signal_notify_context(rt0_context *parent, const int *sigs, int nsigs, rt0_context **ctx)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 1);
	int r = rt0_signal_notify(c, sigs, nsigs);
	if (r < 0) {
		rt0_chan_free(c);
		return r;
	}
	*ctx = rt0_context_with_cancel(parent);
	struct notify *n = rt0_alloc(sizeof *n, 0);
	*n = (struct notify){c, rt0_context_retain(*ctx)};
	rt0_context_after_func(*ctx, notifystop, c, NULL);
	rt0_go(notifywait, n);
	return 0;
}
