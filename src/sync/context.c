// SPDX-License-Identifier: BSD-3-Clause
// context.c: contexts: a tree of which every part can be cancelled, with everything below it.
//
// Kinds. ROOT: background. CANCEL: with_cancel and with_deadline; it has a lock, a done channel once somebody asks for it,
// and a list of those to be told (watches): child contexts, functions, waiters. VALUE and DETACHED (without_cancel) have none
// of that: ctx->ends is the nearest context, from ctx up, whose end is ctx's; NULL: nobody's.
//
// References go up: a context holds one of its parent, which is so alive as long as it. Down the tree there
// are only the links of the watches, taken off before a context goes. Who finds a child in its list under
// its lock finds its memory there, since the child must take that lock to unlink itself before it goes; but its
// references may be 0 already, and then it is left alone (tryretain).
//
// cancel goes through the tree with a list, not by recursion, as stacks do not grow, and holds one lock at a time: a child is
// unlinked and referred to under its parent's lock, and cancelled later. The link in the list is the child's own
// field; only who has unlinked it uses it.
//
// err is set before done is closed, since who is woken by done must see it. Who sees err without done closed yet waits
// for the lock (rt0_context_err), so that nobody who has seen err finds done open. cause is written before err
// (release), and never again.
//
// Deadline. The timer refers to the context without counting. Its call starts a goroutine (expire) with the context as
// argument, which may have lost its last reference by then. When one frees a context whose timer it could not stop, that
// goroutine is coming: of the two, who is the second to exchange late frees it.
#include "waitlist.h"
#include "../os/linux/linux.h"

enum kind { ROOT, CANCEL, VALUE, DETACHED };

struct rt0_context {
	uint32_t refs; // atomic
	enum kind kind;
	rt0_context *parent, *ends; // constant, and so are deadline, key, value, drop
	int64_t deadline;           // ns; INT64_MAX: none
	const void *key;
	void *value;
	void (*drop)(void *);
	// CANCEL only; the others are allocated up to here
	rt0_mutex lock;
	int err;        // atomic; lock writes
	bool closed;    // atomic: done is closed, if there is one
	rt0_chan *done; // atomic; lock writes
	rt0_value cause;
	struct ctxwatch *watches; // lock
	struct ctxwatch link;     // in parent->ends; cancelled is NULL
	rt0_context *next;        // the list of who cancels
	struct timer timer;
	bool timed;          // lock: the timer was armed, and not stopped in time
	uint32_t late;       // atomic
	rt0_value timecause; // constant
};

static rt0_context background = {.kind = ROOT, .deadline = INT64_MAX};

static const char canceltext[] = "context canceled", deadlinetext[] = "context deadline exceeded";

// ---- references ----

static bool
tryretain(rt0_context *ctx)
{
	for (uint32_t n = atomic_loadrlx(&ctx->refs); n != 0; n = atomic_loadrlx(&ctx->refs))
		if (atomic_cas_acqrel(&ctx->refs, n, n + 1))
			return true;
	return false;
}

static void
unlink(struct ctxwatch *w)
{
	*w->pprev = w->next;
	if (w->next != NULL)
		w->next->pprev = w->pprev;
	w->pprev = NULL;
}

static void aftercancelled(struct ctxwatch *w);
static void afterfree(struct ctxwatch *w);

// quiet takes a context without references off its parent's list, and stops its timer. False: expire is coming, and frees it.
static bool
quiet(rt0_context *ctx)
{
	if (ctx->kind != CANCEL)
		return true;
	runtime_ctxunwatch(ctx->parent, &ctx->link);
	return !ctx->timed || runtime_timerstop(&ctx->timer) || atomic_xchg(&ctx->late, 1) == 1;
}

// destroy frees ctx and returns its parent, whose reference becomes the caller's.
static rt0_context *
destroy(rt0_context *ctx)
{
	rt0_context *parent = ctx->parent;
	if (ctx->kind == CANCEL) {
		for (struct ctxwatch *w; (w = ctx->watches) != NULL;) {
			if (w->cancelled != aftercancelled)
				runtime_fatal("release of a context with waiters");
			unlink(w);
			afterfree(w);
		}
		rt0_chan_free(ctx->done);
	} else if (ctx->drop != NULL) {
		ctx->drop(ctx->value);
	}
	rt0_free(ctx);
	return parent;
}

// unref gives a reference back, and frees up the tree what that was the last of.
static void
unref(rt0_context *ctx)
{
	while (ctx != &background && atomic_xadd(&ctx->refs, -1) == 0) {
		if (!quiet(ctx))
			return;
		ctx = destroy(ctx);
	}
}

rt0_context *
rt0_context_background(void)
{
	return &background;
}

rt0_context *
rt0_context_retain(rt0_context *ctx)
{
	if (ctx != NULL && ctx != &background && unlikely(atomic_xadd(&ctx->refs, 1) == 1))
		runtime_fatal("retain of a context that nobody has");
	return ctx;
}

// ---- cancel ----

bool
runtime_ctxwatch(rt0_context *ctx, struct ctxwatch *w)
{
	rt0_context *e = ctx->ends;
	w->pprev = NULL;
	if (e == NULL)
		return true;
	rt0_mutex_lock(&e->lock);
	bool ok = e->err == 0;
	if (ok) {
		w->next = e->watches;
		w->pprev = &e->watches;
		if (w->next != NULL)
			w->next->pprev = &w->next;
		e->watches = w;
	}
	rt0_mutex_unlock(&e->lock);
	return ok;
}

void
runtime_ctxunwatch(rt0_context *ctx, struct ctxwatch *w)
{
	rt0_context *e = ctx->ends;
	if (e == NULL)
		return;
	rt0_mutex_lock(&e->lock);
	if (w->pprev != NULL)
		unlink(w);
	rt0_mutex_unlock(&e->lock);
}

// cancel1 cancels c alone, and puts its children on the list *work.
static void
cancel1(rt0_context *c, int err, const rt0_value *cause, rt0_context **work)
{
	rt0_mutex_lock(&c->lock);
	if (c->err == 0) {
		c->cause = *cause;
		atomic_storerel(&c->err, err); // pairs with the acquire in rt0_context_err
		if (c->done != NULL)
			rt0_chan_close(c->done);
		atomic_storerel(&c->closed, true);
		if (c->timed && runtime_timerstop(&c->timer))
			c->timed = false;
		for (struct ctxwatch *w; (w = c->watches) != NULL;) {
			unlink(w);
			if (w->cancelled != NULL) {
				w->cancelled(w);
				continue;
			}
			rt0_context *child = (rt0_context *)((char *)w - offsetof(rt0_context, link));
			if (tryretain(child)) {
				child->next = *work;
				*work = child;
			}
		}
	}
	rt0_mutex_unlock(&c->lock);
}

// cancel cancels ctx, of which the caller has a reference, and what is below.
static void
cancel(rt0_context *ctx, int err, rt0_value cause)
{
	if (cause.kind == RT0_NIL)
		cause = rt0_value_error(err == -ETIMEDOUT ? deadlinetext : canceltext, err);
	rt0_context *work = NULL;
	cancel1(ctx, err, &cause, &work);
	while (work != NULL) {
		rt0_context *c = work;
		work = c->next;
		cancel1(c, err, &cause, &work);
		unref(c);
	}
	runtime_ctxunwatch(ctx->parent, &ctx->link);
}

static void
expire(void *arg)
{
	rt0_context *ctx = arg;
	bool alive = tryretain(ctx);
	if (alive)
		cancel(ctx, -ETIMEDOUT, ctx->timecause);
	if (atomic_xchg(&ctx->late, 1) == 1)
		unref(destroy(ctx)); // without a reference since before we came
	else if (alive)
		unref(ctx);
}

// deadlinecall is the timer's, on g0.
static void
deadlinecall(void *arg, uint64_t seq)
{
	(void)seq;
	runtime_newproc(expire, arg, (uintptr_t)rt0_context_with_deadline);
}

// ---- making ----

static rt0_context *
newcontext(rt0_context *parent, enum kind kind)
{
	rt0_context *c = rt0_alloc(kind == CANCEL ? sizeof *c : offsetof(rt0_context, lock), 0);
	c->refs = 1;
	c->kind = kind;
	c->parent = rt0_context_retain(parent);
	c->ends = kind == CANCEL ? c : kind == VALUE ? parent->ends : NULL;
	c->deadline = kind == DETACHED ? INT64_MAX : parent->deadline;
	return c;
}

static rt0_context *
newcancel(rt0_context *parent, int64_t deadline, rt0_value timecause)
{
	rt0_context *c = newcontext(parent, CANCEL);
	bool own = deadline < c->deadline; // the parent's deadline, if it is earlier, comes by the parent
	if (own) {
		c->deadline = deadline;
		c->timecause = timecause;
	}
	if (!runtime_ctxwatch(parent, &c->link)) {
		cancel(c, parent->ends->err, parent->ends->cause); // under whose lock we have seen err
		return c;
	}
	if (!own)
		return c;
	if (deadline <= runtime_nanotime()) {
		cancel(c, -ETIMEDOUT, timecause);
		return c;
	}
	runtime_grow(); // a goroutine will be started on g0, where that cannot be done
	c->timer.call = deadlinecall;
	c->timer.arg = c;
	rt0_mutex_lock(&c->lock);
	if (c->err == 0) {
		c->timed = true;
		runtime_timerstart(&c->timer, deadline, 0);
	}
	rt0_mutex_unlock(&c->lock);
	return c;
}

// ---- functions to be called ----

struct rt0_context_after {
	struct ctxwatch watch;
	rt0_context *ctx; // a reference; NULL: nobody will stop it
	void (*fn)(void *);
	void *arg;
	bool started; // the lock of ctx->ends
};

static void
afterfree(struct ctxwatch *w)
{
	rt0_free((char *)w - offsetof(rt0_context_after, watch));
}

static void
afterstart(rt0_context_after *a)
{
	a->started = true;
	runtime_newproc(a->fn, a->arg, (uintptr_t)rt0_context_after_func);
	if (a->ctx == NULL)
		rt0_free(a);
}

static void
aftercancelled(struct ctxwatch *w)
{
	afterstart((rt0_context_after *)((char *)w - offsetof(rt0_context_after, watch)));
}

static rt0_context_after *
after(rt0_context *ctx, void (*fn)(void *), void *arg, bool keep)
{
	if (fn == NULL)
		runtime_fatal("go of nil func value");
	if (ctx->ends == NULL && !keep)
		return NULL; // it never comes
	rt0_context_after *a = rt0_alloc(sizeof *a, 0);
	*a = (rt0_context_after){.watch = {.cancelled = aftercancelled}, .fn = fn, .arg = arg};
	if (keep)
		a->ctx = rt0_context_retain(ctx);
	if (!runtime_ctxwatch(ctx, &a->watch))
		afterstart(a);
	return a; // gone, if nobody keeps it
}

static bool
stopafter(rt0_context_after *a)
{
	runtime_ctxunwatch(a->ctx, &a->watch);
	bool stopped = !a->started;
	unref(a->ctx);
	rt0_free(a);
	return stopped;
}

// ---- the public calls; on a foreign thread they run as a goroutine ----

enum ctxop { OPNEW, OPCANCEL, OPRELEASE, OPDONE, OPAFTER, OPSTOP, OPWAIT };
struct ctxcall {
	enum ctxop op;
	rt0_context *ctx;
	int64_t deadline;
	rt0_value cause;
	void (*fn)(void *);
	void *arg;
	rt0_context_after *after;
	bool keep;
	rt0_chan *done;
	int result;
};

static rt0_chan *
makedone(rt0_context *e)
{
	rt0_mutex_lock(&e->lock);
	rt0_chan *c = e->done;
	if (c == NULL) {
		c = rt0_chan_make(0, 0);
		if (e->err != 0)
			rt0_chan_close(c);
		atomic_storerel(&e->done, c); // pairs with the acquire in rt0_context_done
	}
	rt0_mutex_unlock(&e->lock);
	return c;
}

static int
contextwait(rt0_context *ctx, int64_t deadline)
{
	struct rt0_waitlist q = {{0, 0}, NULL, NULL};
	struct waiter w;
	runtime_waitlist_add(&q, &w);
	return runtime_waitlist_wait(&w, deadline, ctx, waitReasonChanReceive) == CANCELLED ? rt0_context_err(ctx) : 0;
}

static void
ctxcall_g(void *arg)
{
	struct ctxcall *a = arg;
	switch (a->op) {
	case OPNEW: a->ctx = newcancel(a->ctx, a->deadline, a->cause); break;
	case OPCANCEL: cancel(a->ctx, -ECANCELED, a->cause); break;
	case OPRELEASE: unref(a->ctx); break;
	case OPDONE: a->done = makedone(a->ctx); break;
	case OPAFTER: a->after = after(a->ctx, a->fn, a->arg, a->keep); break;
	case OPSTOP: a->result = stopafter(a->after); break;
	case OPWAIT: a->result = contextwait(a->ctx, a->deadline); break;
	}
}

static void
checkparent(const rt0_context *parent)
{
	if (unlikely(parent == NULL))
		runtime_panicstring("cannot create context from nil parent");
}

void
rt0_context_release(rt0_context *ctx)
{
	struct ctxcall a = {.op = OPRELEASE, .ctx = ctx};
	if (ctx != NULL && ctx != &background)
		runtime_ongoroutine(ctxcall_g, &a);
}

rt0_context *
rt0_context_with_deadline_cause(rt0_context *parent, int64_t deadline, rt0_value cause)
{
	struct ctxcall a = {.op = OPNEW, .ctx = parent, .deadline = deadline, .cause = cause};
	checkparent(parent);
	runtime_ongoroutine(ctxcall_g, &a);
	return a.ctx;
}

rt0_context *
rt0_context_with_deadline(rt0_context *parent, int64_t deadline)
{
	return rt0_context_with_deadline_cause(parent, deadline, (rt0_value){.kind = RT0_NIL});
}

rt0_context *
rt0_context_with_timeout(rt0_context *parent, int64_t timeout)
{
	return rt0_context_with_deadline(parent, rt0_deadline(timeout));
}

rt0_context *
rt0_context_with_cancel(rt0_context *parent)
{
	return rt0_context_with_deadline(parent, INT64_MAX);
}

rt0_context *
rt0_context_with_value(rt0_context *parent, const void *key, void *value, void (*drop)(void *))
{
	checkparent(parent);
	if (key == NULL)
		runtime_panicstring("nil key");
	rt0_context *c = newcontext(parent, VALUE);
	c->key = key;
	c->value = value;
	c->drop = drop;
	return c;
}

void *
rt0_context_value(const rt0_context *ctx, const void *key)
{
	for (; ctx != NULL; ctx = ctx->parent)
		if (ctx->kind == VALUE && ctx->key == key)
			return ctx->value;
	return NULL;
}

rt0_context *
rt0_context_without_cancel(rt0_context *parent)
{
	checkparent(parent);
	return newcontext(parent, DETACHED);
}

void
rt0_context_cancel_cause(rt0_context *ctx, rt0_value cause)
{
	if (ctx == NULL || ctx->kind != CANCEL)
		runtime_panicstring("context: cancel of a context that is not cancellable");
	struct ctxcall a = {.op = OPCANCEL, .ctx = ctx, .cause = cause};
	runtime_ongoroutine(ctxcall_g, &a);
}

void
rt0_context_cancel(rt0_context *ctx)
{
	rt0_context_cancel_cause(ctx, (rt0_value){.kind = RT0_NIL});
}

rt0_chan *
rt0_context_done(rt0_context *ctx)
{
	struct ctxcall a = {.op = OPDONE, .ctx = ctx->ends};
	if (a.ctx == NULL)
		return NULL;
	a.done = atomic_loadacq(&a.ctx->done);
	if (unlikely(a.done == NULL))
		runtime_ongoroutine(ctxcall_g, &a);
	return a.done;
}

int
rt0_context_err(rt0_context *ctx)
{
	rt0_context *e = ctx->ends;
	int err = e != NULL ? atomic_loadacq(&e->err) : 0;
	if (unlikely(err != 0) && !atomic_loadacq(&e->closed)) {
		// In the middle of it: done is being closed, under the lock.
		rt0_mutex_lock(&e->lock);
		rt0_mutex_unlock(&e->lock);
	}
	return err;
}

rt0_value
rt0_context_cause(rt0_context *ctx)
{
	return rt0_context_err(ctx) != 0 ? ctx->ends->cause : (rt0_value){.kind = RT0_NIL};
}

int64_t
rt0_context_deadline(const rt0_context *ctx)
{
	return ctx->deadline;
}

int
rt0_context_wait(rt0_context *ctx, int64_t deadline)
{
	struct ctxcall a = {.op = OPWAIT, .ctx = ctx, .deadline = deadline};
	runtime_ongoroutine(ctxcall_g, &a);
	return a.result;
}

void
rt0_context_after_func(rt0_context *ctx, void (*fn)(void *), void *arg, rt0_context_after **stop)
{
	struct ctxcall a = {.op = OPAFTER, .ctx = ctx, .fn = fn, .arg = arg, .keep = stop != NULL};
	runtime_ongoroutine(ctxcall_g, &a);
	if (stop != NULL)
		*stop = a.after;
}

bool
rt0_context_stop(rt0_context_after *stop)
{
	struct ctxcall a = {.op = OPSTOP, .after = stop};
	runtime_ongoroutine(ctxcall_g, &a);
	return a.result;
}
