// SPDX-License-Identifier: BSD-3-Clause
// sync_misuse.c: what RWMutex, Cond, contexts and groups say to nonsense. One variant each.

#include <string.h>

#include "rt0.h"

static void
waits(void *ctx)
{
	rt0_context_wait(ctx, INT64_MAX);
}

static void
panics(void *arg)
{
	(void)arg;
	rt0_panic("lazy table");
}

int
main(int argc, char **argv)
{
	static rt0_rwmutex rw;
	static rt0_mutex m;
	static rt0_cond c;
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "runlock") == 0) {
		rt0_rwmutex_runlock(&rw);
	} else if (strcmp(what, "runlock_locked") == 0) {
		rt0_rwmutex_lock(&rw);
		rt0_rwmutex_runlock(&rw);
	} else if (strcmp(what, "unlock") == 0) {
		rt0_rwmutex_unlock(&rw);
	} else if (strcmp(what, "unlock_rlocked") == 0) {
		rt0_rwmutex_rlock(&rw);
		rt0_rwmutex_unlock(&rw);
	} else if (strcmp(what, "cond") == 0) {
		rt0_cond_wait(&c, &m);
	} else if (strcmp(what, "cond_deadlock") == 0) {
		rt0_mutex_lock(&m);
		rt0_cond_wait(&c, &m);
	} else if (strcmp(what, "rwmutex_deadlock") == 0) {
		rt0_rwmutex_rlock(&rw);
		rt0_rwmutex_lock(&rw);
	} else if (strcmp(what, "semaphore_deadlock") == 0) {
		rt0_semaphore s = RT0_SEMAPHORE(1);
		rt0_semaphore_acquire(&s, 1);
		rt0_semaphore_acquire(&s, 1);
	} else if (strcmp(what, "context_waiters") == 0) {
		rt0_context *ctx = rt0_context_with_cancel(rt0_context_background());
		rt0_go(waits, ctx);
		static char text[1 << 16];
		do // until it waits
			rt0_stack(text, sizeof text, true);
		while (strstr(text, "[chan receive") == NULL);
		rt0_context_release(ctx);
	} else if (strcmp(what, "context_deadlock") == 0) {
		rt0_context *ctx = rt0_context_with_cancel(rt0_context_background());
		rt0_chan_recv(rt0_context_done(ctx), NULL);
	} else if (strcmp(what, "waitgroup_go") == 0) {
		static rt0_waitgroup wg;
		rt0_waitgroup_go(&wg, NULL, NULL);
	} else if (strcmp(what, "after_nil") == 0) {
		rt0_context_after_func(rt0_context_background(), NULL, NULL, NULL);
	} else if (strcmp(what, "group_nil") == 0) {
		static rt0_group g;
		rt0_group_go(&g, NULL, NULL);
	} else if (strcmp(what, "oncefunc") == 0) {
		static rt0_oncefunc f = RT0_ONCEFUNC(panics, NULL);
		rt0_oncefunc_call(&f);
	}
	return 0;
}
