// SPDX-License-Identifier: BSD-3-Clause
// schedtrace.c: GODEBUG=schedtrace=MS and scheddetail=1: the scheduler's state, in Go's format.
//
// Called by sysmon, on its own thread, without a p. sched.lock is taken here and held throughout,
// so the idle counts and queues of one dump fit together; what ps and ms change without that lock
// (ticks, queue ends, curg) is read as it happens to be, each word once. Nothing may be readied
// and nothing allocated here. Tools parse these lines: they carry Go's fields and no others.
#include "../runtime.h"

// PEEKS: a function that reads what others write plainly and may see it old or new. Words of the
// size of a register do not tear, and ms and ps are never freed while the runtime runs.
#define PEEKS __attribute__((no_sanitize("thread"), noinline))

// Lines are put together in memory: a write for each would hold sched.lock for long.
struct lines {
	size_t n;
	char buf[2048];
};

static int64_t starttime; // ns, of the first trace; sysmon only

static void
flush(struct lines *l)
{
	if (l->n > 0)
		runtime_print("%.*s", (int)l->n, l->buf);
	l->n = 0;
}

PRINTF(2, 3)
static void
emit(struct lines *l, const char *fmt, ...)
{
	if (sizeof l->buf - l->n < 256)
		flush(l);
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	int k = runtime_vsnprintf(l->buf + l->n, sizeof l->buf - l->n, fmt, ap);
	__builtin_va_end(ap);
	size_t room = sizeof l->buf - l->n - 1;
	l->n += (size_t)k < room ? (size_t)k : room;
}

// idornil writes the number of something, or nil when it is not there.
static void
idornil(struct lines *l, const char *label, bool there, int64_t id)
{
	if (there)
		emit(l, "%s%ld", label, (long)id);
	else
		emit(l, "%snil", label);
}

static const char *
boolean(bool b)
{
	return b ? "true" : "false";
}

// runqsize counts what Go counts: the queue without runnext. Its ends move while we look, so the
// difference may be short of what is true at any one moment, but not negative.
static PEEKS uint32_t
runqsize(struct p *pp)
{
	// Acquire: the heads are read first, so that they are not ahead of the tails.
	uint32_t h = atomic_loadacq(&pp->runqhead), top = atomic_loadacq(&pp->newqtop);
	uint32_t n = atomic_loadacq(&pp->runqtail) - h;
	int32_t nnew = (int32_t)(atomic_loadacq(&pp->newqbottom) - top);
	return n + (nnew > 0 ? (uint32_t)nnew : 0);
}

static PEEKS void
tracep(struct lines *l, struct p *pp)
{
	struct m *mp = pp->m;
	compiler_barrier(); // mp is not read again
	emit(l, "  P%d: status=%u schedtick=%u syscalltick=%u", pp->id, atomic_loadrlx(&pp->status),
	    pp->schedtick, pp->syscalltick);
	idornil(l, " m=", mp != NULL, mp != NULL ? mp->id : 0);
	emit(l, " runqsize=%u gfreecnt=%d timerslen=%d\n", runqsize(pp), pp->ngfree, runtime_timerslen(pp));
}

static PEEKS void
tracem(struct lines *l, struct m *mp)
{
	struct p *pp = mp->p;
	struct g *gp = mp->curg, *lockedg = mp->lockedg;
	compiler_barrier(); // none of them is read again
	emit(l, "  M%ld:", (long)mp->id);
	idornil(l, " p=", pp != NULL, pp != NULL ? pp->id : 0);
	idornil(l, " curg=", gp != NULL, gp != NULL ? (int64_t)gp->goid : 0);
	emit(l, " mallocing=%d throwing=%d preemptoff= locks=%d dying=%d spinning=%s blocked=%s",
	    mp->mallocing, mp->throwing, mp->locks, mp->dying, boolean(mp->spinning != 0),
	    boolean(mp->blocked != 0));
	idornil(l, " lockedg=", lockedg != NULL, lockedg != NULL ? (int64_t)lockedg->goid : 0);
	emit(l, "\n");
}

static PEEKS void
traceg(struct g *gp, void *arg)
{
	// The reason of the last wait stays, whatever the goroutine does now.
	static const char *const reasons[] = {
#define X(r, text) text,
	    WAIT_REASONS(X)
#undef X
	};
	struct lines *l = arg;
	struct m *mp = gp->m, *lockedm = gp->lockedm;
	uint8_t why = gp->waitreason;
	compiler_barrier(); // none of them is read again
	emit(l, "  G%lu: status=%u(%s)", (unsigned long)gp->goid, runtime_readgstatus(gp),
	    why < NELEM(reasons) ? reasons[why] : "");
	idornil(l, " m=", mp != NULL, mp != NULL ? mp->id : 0);
	idornil(l, " lockedm=", lockedm != NULL, lockedm != NULL ? lockedm->id : 0);
	emit(l, "\n");
}

void
runtime_schedtrace(bool detailed)
{
	struct lines l;
	l.n = 0;
	int64_t now = runtime_nanotime();
	if (starttime == 0)
		starttime = now;
	runtime_lock(&sched.lock);
	emit(&l,
	    "SCHED %ldms: gomaxprocs=%d idleprocs=%d threads=%ld spinningthreads=%d "
	    "needspinning=%u "
	    "idlethreads=%d runqueue=%d",
	    (long)((now - starttime) / MS), sched.gomaxprocs, atomic_loadrlx(&sched.npidle),
	    (long)runtime_mcount(), atomic_loadrlx(&sched.nmspinning),
	    atomic_loadrlx(&sched.needspinning), sched.nmidle, atomic_loadrlx(&sched.runqsize));
	if (!detailed) {
		for (int32_t i = 0; i < sched.gomaxprocs; i++)
			emit(&l, "%s%u", i == 0 ? " [" : " ", runqsize(allp[i]));
		emit(&l, "]\n");
	} else {
		emit(&l, " gcwaiting=%s nmidlelocked=%d stopwait=%d sysmonwait=%s\n",
		    boolean(atomic_loadrlx(&sched.gcwaiting) != 0), sched.nmidlelocked,
		    sched.stopwait, boolean(atomic_loadrlx(&sched.sysmonwait) != 0));
		// Ours, not Go's: how goroutines lost their p.
		emit(&l, "  preempt: requests=%lu stops=%lu inthread=%lu retaken=%lu stopped=%d maxstopped=%d bound=%d\n",
		    (unsigned long)atomic_loadrlx(&sched.npreemptreq), (unsigned long)sched.nstops, (unsigned long)sched.ninthread,
		    (unsigned long)atomic_loadrlx(&sched.nretaken), sched.nstopped, sched.maxstopped, sched.nbound);
		for (int32_t i = 0; i < sched.gomaxprocs; i++)
			tracep(&l, allp[i]);
		// Acquire: pairs with the release that put a new m at the head of the list.
		for (struct m *mp = atomic_loadacq(&sched.allm); mp != NULL; mp = mp->alllink)
			tracem(&l, mp);
		runtime_foreachg(traceg, &l);
	}
	runtime_unlock(&sched.lock);
	flush(&l);
}
