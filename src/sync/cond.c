// SPDX-License-Identifier: BSD-3-Clause
// cond.c: queues of waiters, and what is made of them: Cond and Semaphore.
//
// Cond: who waits queues before it unlocks the mutex, so that a signal which comes after the unlock finds
// it, and the one that has waited longest first: the order that Go's tickets give. It parks later; a signal that comes
// in between is found when it is about to.
//
// Semaphore: at any time, either nobody waits or the first who waits wants more than is free. Whoever changes
// that (release; the first giving up) lets in those whose turn it is, before it drops the lock.
#include "waitlist.h"
#include "../os/linux/linux.h"

// ---- queues of waiters ----

void
runtime_waitlist_add(struct rt0_waitlist *q, struct waiter *w)
{
	w->g = NULL;
	w->q = q;
	w->state = WAITING;
	w->next = NULL;
	w->prev = q->last;
	if (w->prev != NULL)
		w->prev->next = w;
	else
		atomic_storerlx(&q->first, w); // read without the lock by signal
	atomic_storerlx(&q->last, w);          // read by tests
}

struct g *
runtime_waitlist_take(struct waiter *w, enum waitend how)
{
	struct rt0_waitlist *q = w->q;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		atomic_storerlx(&q->first, w->next);
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		atomic_storerlx(&q->last, w->prev);
	w->state = how;
	return w->g;
}

// takeif takes w if it waits.
static struct g *
takeif(struct waiter *w, enum waitend how)
{
	struct rt0_waitlist *q = w->q;
	struct g *gp = NULL;
	waitlist_lock(q);
	if (w->state == WAITING)
		gp = runtime_waitlist_take(w, how);
	waitlist_unlock(q);
	return gp;
}

static struct g *
fire(struct timer *t, int64_t now)
{
	(void)now;
	return takeif(t->arg, TIMEDOUT);
}

static void
cancelled(struct ctxwatch *watch)
{
	struct waiter *w = (struct waiter *)((char *)watch - offsetof(struct waiter, watch));
	struct g *gp = takeif(w, CANCELLED);
	if (gp != NULL)
		runtime_goready(gp);
}

static bool
commit(struct g *gp, void *lock)
{
	(void)gp;
	runtime_unlock(lock);
	return true;
}

enum waitend
runtime_waitlist_wait(struct waiter *w, int64_t deadline, rt0_context *ctx, enum waitreason reason)
{
	struct rt0_waitlist *q = w->q;
	bool timed = false, watched = false;
	if (ctx != NULL) {
		w->watch.pprev = NULL;
		w->watch.cancelled = cancelled;
		watched = runtime_ctxwatch(ctx, &w->watch);
		if (!watched)
			takeif(w, CANCELLED);
	}
	if (deadline != INT64_MAX) {
		if (deadline <= runtime_nanotime()) {
			takeif(w, TIMEDOUT);
		} else {
			runtime_memclr(&w->timer, sizeof w->timer);
			w->timer.fire = fire;
			w->timer.arg = w;
			runtime_timerstart(&w->timer, deadline, 0);
			timed = true;
		}
	}
	waitlist_lock(q);
	if (w->state == WAITING) {
		w->g = getg();
		// Off our stack, then the lock is dropped, then somebody may find us and ready us.
		runtime_gopark(commit, waitlist_mutex(q), reason);
	} else {
		waitlist_unlock(q);
	}
	if (timed)
		runtime_timerstop(&w->timer);
	if (watched)
		runtime_ctxunwatch(ctx, &w->watch);
	return w->state;
}

// A list of goroutines to be readied once the lock is dropped, by schedlink, oldest first.
struct glist {
	struct g *first, **tail;
};

static void
glistadd(struct glist *l, struct g *gp)
{
	if (gp == NULL)
		return;
	gp->schedlink = NULL;
	*l->tail = gp;
	l->tail = &gp->schedlink;
}

static void
readyall(struct glist *l)
{
	while (l->first != NULL) {
		struct g *gp = l->first;
		l->first = gp->schedlink;
		runtime_ready(gp, false);
	}
}

// ---- Cond ----

enum condop { OPWAIT, OPSIGNAL, OPBROADCAST };
struct condcall {
	enum condop op;
	rt0_cond *c;
	rt0_mutex *m;
	int64_t deadline;
	int result;
};

static void
condcall_g(void *arg)
{
	struct condcall *a = arg;
	switch (a->op) {
	case OPWAIT: a->result = rt0_cond_wait_until(a->c, a->m, a->deadline); break;
	case OPSIGNAL: rt0_cond_signal(a->c); break;
	case OPBROADCAST: rt0_cond_broadcast(a->c); break;
	}
}

static NOINLINE int
condforeign(enum condop op, rt0_cond *c, rt0_mutex *m, int64_t deadline)
{
	struct condcall a = {op, c, m, deadline, 0};
	runtime_ongoroutine(condcall_g, &a);
	return a.result;
}

int
rt0_cond_wait_until(rt0_cond *c, rt0_mutex *m, int64_t deadline)
{
	if (unlikely(getg() == NULL))
		return condforeign(OPWAIT, c, m, deadline);
	struct waiter w;
	waitlist_lock(&c->q);
	runtime_waitlist_add(&c->q, &w);
	waitlist_unlock(&c->q);
	rt0_mutex_unlock(m);
	enum waitend how = runtime_waitlist_wait(&w, deadline, NULL, waitReasonSyncCondWait);
	rt0_mutex_lock(m);
	return how == WOKEN ? 0 : -ETIMEDOUT;
}

void
rt0_cond_wait(rt0_cond *c, rt0_mutex *m)
{
	rt0_cond_wait_until(c, m, INT64_MAX);
}

void
rt0_cond_signal(rt0_cond *c)
{
	if (unlikely(getg() == NULL)) {
		condforeign(OPSIGNAL, c, NULL, 0);
		return;
	}
	// Who queued before it unlocked the mutex, under which the caller has changed something, is seen.
	if (atomic_loadacq(&c->q.first) == NULL)
		return;
	struct g *gp = NULL;
	waitlist_lock(&c->q);
	if (c->q.first != NULL)
		gp = runtime_waitlist_take(c->q.first, WOKEN);
	waitlist_unlock(&c->q);
	if (gp != NULL)
		runtime_goready(gp);
}

void
rt0_cond_broadcast(rt0_cond *c)
{
	if (unlikely(getg() == NULL)) {
		condforeign(OPBROADCAST, c, NULL, 0);
		return;
	}
	if (atomic_loadacq(&c->q.first) == NULL)
		return;
	struct glist list = {NULL, &list.first};
	waitlist_lock(&c->q);
	while (c->q.first != NULL)
		glistadd(&list, runtime_waitlist_take(c->q.first, WOKEN));
	waitlist_unlock(&c->q);
	readyall(&list);
}

// ---- Semaphore ----

struct semacall {
	bool release;
	rt0_semaphore *s;
	int64_t n, deadline;
	rt0_context *ctx;
	int result;
};

// letin takes those off the queue whose turn it is. Lock held.
static void
letin(rt0_semaphore *s, struct glist *list)
{
	for (struct waiter *w; (w = s->q.first) != NULL && w->n <= s->size - s->used;) {
		s->used += w->n;
		glistadd(list, runtime_waitlist_take(w, WOKEN));
	}
}

static bool
tryacquire(rt0_semaphore *s, int64_t n)
{
	return s->q.first == NULL && n <= s->size - s->used && (s->used += n, true);
}

static int
acquire(rt0_semaphore *s, int64_t n, int64_t deadline, rt0_context *ctx)
{
	if (n < 0 || n > s->size)
		return -EINVAL;
	if (ctx != NULL && rt0_context_err(ctx) != 0)
		return rt0_context_err(ctx);
	struct waiter w;
	waitlist_lock(&s->q);
	if (likely(tryacquire(s, n))) {
		waitlist_unlock(&s->q);
		runtime_preemptpoint(getg());
		return 0;
	}
	w.n = n;
	runtime_waitlist_add(&s->q, &w);
	waitlist_unlock(&s->q);
	enum waitend how = runtime_waitlist_wait(&w, deadline, ctx, waitReasonSemacquire);
	if (how == WOKEN)
		return 0;
	// We may have been the first, and in the way of some who want less.
	struct glist list = {NULL, &list.first};
	waitlist_lock(&s->q);
	letin(s, &list);
	waitlist_unlock(&s->q);
	readyall(&list);
	return how == TIMEDOUT ? -ETIMEDOUT : rt0_context_err(ctx);
}

static void
release(rt0_semaphore *s, int64_t n)
{
	waitlist_lock(&s->q);
	if (unlikely(n < 0 || n > s->used)) {
		waitlist_unlock(&s->q);
		runtime_panicstring("semaphore: released more than held");
	}
	s->used -= n;
	struct glist list = {NULL, &list.first};
	letin(s, &list);
	waitlist_unlock(&s->q);
	readyall(&list);
	runtime_preemptpoint(getg());
}

static void
semacall_g(void *arg)
{
	struct semacall *a = arg;
	if (a->release)
		release(a->s, a->n);
	else
		a->result = acquire(a->s, a->n, a->deadline, a->ctx);
}

static NOINLINE int
semaforeign(rt0_semaphore *s, int64_t n, int64_t deadline, rt0_context *ctx, bool release)
{
	struct semacall a = {release, s, n, deadline, ctx, 0};
	runtime_ongoroutine(semacall_g, &a);
	return a.result;
}

void
rt0_semaphore_init(rt0_semaphore *s, int64_t size)
{
	*s = (rt0_semaphore)RT0_SEMAPHORE(size);
}

int
rt0_semaphore_acquire_until(rt0_semaphore *s, int64_t n, int64_t deadline)
{
	return likely(getg() != NULL) ? acquire(s, n, deadline, NULL) : semaforeign(s, n, deadline, NULL, false);
}

int
rt0_semaphore_acquire(rt0_semaphore *s, int64_t n)
{
	return rt0_semaphore_acquire_until(s, n, INT64_MAX);
}

int
rt0_semaphore_acquire_ctx(rt0_semaphore *s, int64_t n, rt0_context *ctx)
{
	return likely(getg() != NULL) ? acquire(s, n, INT64_MAX, ctx) : semaforeign(s, n, INT64_MAX, ctx, false);
}

// A try needs no goroutine: it parks nobody.
int
rt0_semaphore_try_acquire(rt0_semaphore *s, int64_t n)
{
	if (n < 0 || n > s->size)
		return -EINVAL;
	waitlist_lock(&s->q);
	bool ok = tryacquire(s, n);
	waitlist_unlock(&s->q);
	struct g *gp = getg();
	if (gp != NULL)
		runtime_preemptpoint(gp); // for who tries in a loop
	return ok ? 0 : -EAGAIN;
}

void
rt0_semaphore_release(rt0_semaphore *s, int64_t n)
{
	if (likely(getg() != NULL))
		release(s, n);
	else
		semaforeign(s, n, 0, NULL, true);
}
