// SPDX-License-Identifier: BSD-3-Clause
// time.c: sleep, timers and tickers of programs, on timer.c.
//
// The channel of a timer never shows a stale time (Go 1.23): stop and reset disarm, then drain, and fire
// sends while it holds the wheel's lock, on which timerstop waits. t->lock keeps two of stop and
// reset apart; it is taken before all locks of that path.
#include "../runtime.h"
#include "../os/linux/linux.h"

// ---- sleep ----

static struct g *
wakesleeper(struct timer *t, int64_t now)
{
	(void)now;
	return t->arg;
}

// sleepcommit arms the timer once the goroutine is off its stack: before, there is nobody to wake.
static bool
sleepcommit(struct g *gp, void *arg)
{
	struct timer *t = arg;
	t->arg = gp;
	runtime_timerstart(t, t->when, 0); // t is gone
	return true;
}

static void
threadsleep(int64_t deadline)
{
	for (int64_t left; (left = deadline - runtime_nanotime()) > 0;) {
		struct timespec ts = {left / SEC, left % SEC};
		sys2(SYS_nanosleep, &ts, NULL);
	}
}

void
rt0_sleep_until(int64_t deadline)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL)) {
		threadsleep(deadline);
		return;
	}
	struct timer t;
	t.ts = NULL;
	t.when = deadline;
	t.fire = wakesleeper;
	t.call = NULL;
	runtime_gopark(sleepcommit, &t, waitReasonSleep);
}

void
rt0_sleep(int64_t ns)
{
	if (ns > 0)
		rt0_sleep_until(rt0_deadline(ns));
	else if (getg() != NULL)
		runtime_preemptpoint(getg());
}

// ---- timers ----

struct timerobj {
	rt0_timer pub;
	struct mutex lock; // see above
	struct timer t;
	bool ticker;
	void (*fn)(void *);
	void *arg;
};

static struct g *
sendtime(struct timer *t, int64_t now)
{
	return runtime_chansendtime(t->arg, now);
}

// startfunc is the call of an AfterFunc: the function is in seq, since the timer may be gone.
static void
startfunc(void *arg, uint64_t seq)
{
	runtime_newproc((void (*)(void *))(uintptr_t)seq, arg, (uintptr_t)rt0_after_func);
}

struct timerargs {
	int64_t ns;
	bool ticker;
	void (*fn)(void *);
	void *arg;
	struct timerobj *o;
	bool result;
};

static void
timernew(void *arg)
{
	struct timerargs *a = arg;
	struct timerobj *o = rt0_alloc(sizeof *o, 0);
	a->o = o;
	runtime_lockinit(&o->lock, LOCKRANK_TIMEROBJ);
	o->ticker = a->ticker;
	o->fn = a->fn;
	if (a->fn != NULL) {
		runtime_grow(); // a goroutine is started on g0, where that cannot be done
		o->t.call = startfunc;
		o->t.arg = a->arg;
		o->t.seq = (uintptr_t)a->fn;
	} else {
		o->pub.c = rt0_chan_make(sizeof(int64_t), 1);
		o->t.fire = sendtime;
		o->t.arg = o->pub.c;
	}
	runtime_timerstart(&o->t, rt0_deadline(a->ns), a->ticker ? a->ns : 0);
}

static rt0_timer *
newtimer(struct timerargs a)
{
	if (getg() != NULL)
		timernew(&a);
	else if (runtime_callback(timernew, &a) < 0)
		runtime_fatal("timer made on a thread, and the runtime does not run");
	return &a.o->pub;
}

rt0_timer *
rt0_timer_new(int64_t ns)
{
	return newtimer((struct timerargs){.ns = ns});
}

rt0_timer *
rt0_ticker_new(int64_t period)
{
	if (period <= 0)
		runtime_panicstring("non-positive interval for NewTicker");
	return newtimer((struct timerargs){.ns = period, .ticker = true});
}

rt0_timer *
rt0_after_func(int64_t ns, void (*fn)(void *), void *arg)
{
	if (fn == NULL)
		runtime_fatal("go of nil func value");
	return newtimer((struct timerargs){.ns = ns, .fn = fn, .arg = arg});
}

enum { STOP = -1 }; // as ns, which is not negative else

static void
timerset(void *arg)
{
	struct timerargs *a = arg;
	struct timerobj *o = a->o;
	runtime_lock(&o->lock);
	a->result = runtime_timerstop(&o->t);
	if (o->pub.c != NULL && runtime_chandrain(o->pub.c))
		a->result = true;
	if (a->ns != STOP)
		runtime_timerstart(&o->t, rt0_deadline(a->ns), o->ticker ? a->ns : 0);
	runtime_unlock(&o->lock);
}

static bool
settimer(rt0_timer *t, int64_t ns)
{
	struct timerargs a = {.ns = ns, .o = (struct timerobj *)t};
	if (getg() != NULL)
		timerset(&a);
	else if (runtime_callback(timerset, &a) < 0)
		runtime_fatal("timer used on a thread, and the runtime does not run");
	return a.result;
}

bool
rt0_timer_stop(rt0_timer *t)
{
	return settimer(t, STOP);
}

bool
rt0_timer_reset(rt0_timer *t, int64_t ns)
{
	if (ns <= 0 && ((struct timerobj *)t)->ticker)
		runtime_panicstring("non-positive interval for Ticker.Reset");
	return settimer(t, ns < 0 ? 0 : ns);
}

void
rt0_timer_free(rt0_timer *t)
{
	if (t == NULL)
		return;
	rt0_timer_stop(t);
	rt0_chan_free(t->c);
	rt0_free(t);
}
