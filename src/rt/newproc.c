// SPDX-License-Identifier: BSD-3-Clause
// newproc.c: making goroutines, and the dead ones that wait to be made again.
//
// A dead goroutine keeps its stack, warm: reuse costs tens of ns, a new page more than 1 µs. Each P has a stack of
// them, last in first out; what is too much, and what a P keeps that goes idle, goes to sched.gfree in batches, and comes
// from there in batches: else those who end on one P would lie there while another makes new ones. Of a
// million dead goroutines each is a page that no cache has: they are noted in arrays, so that nobody has to look at
// one to find the next, and who takes a batch asks for all of it at once.
#include "runq.h"

enum {
	GOID_BATCH = 16,
	AHEAD_FROM = 512, // goroutines: fewer are not worth it
	AHEAD = 16,       // are made at once
};

static inline uint64_t
newgoid(struct p *pp)
{
	if (unlikely(pp == NULL))
		return atomic_xadd(&sched.goidgen, 1);
	if (unlikely(pp->goidcache == pp->goidcacheend)) {
		pp->goidcacheend = atomic_xadd(&sched.goidgen, GOID_BATCH) + 1;
		pp->goidcache = pp->goidcacheend - GOID_BATCH;
	}
	return pp->goidcache++;
}

// gfmoving is called, with sched.lock held, before and after what moves dead goroutines between the counts that
// livecount takes together.
static inline void
gfmoving(void)
{
	HELD(&sched.lock);
	// A full fence, with which livecount's loads pair: of counts that it has read between two equal, even values none
	// was half moved.
	atomic_xadd(&sched.gfreeseq, 1);
}

// gfstock puts a batch of n dead goroutines on the scheduler's list. False: there is no memory to note them.
static bool
gfstock(struct g **list, int32_t n)
{
	HELD(&sched.lock);
	struct gbatch *b = sched.gbatches;
	if (b != NULL)
		sched.gbatches = b->next;
	else
		b = runtime_persistentalloc_try(sizeof *b, 64, &memstats.stacks_sys);
	if (b == NULL)
		return false;
	b->n = n;
	for (int32_t i = 0; i < n; i++)
		b->g[i] = list[i];
	b->next = sched.gfree;
	sched.gfree = b;
	atomic_storerlx(&sched.ngfree, sched.ngfree + n);
	return true;
}

// giveback moves a batch of pp's dead goroutines, the newest, to the scheduler. The oldest are as cold: a p that has
// so many has just seen a thousand of them end. False: see gfstock.
static bool
giveback(struct p *pp)
{
	int32_t n = pp->ngfree < GFREE_BATCH ? pp->ngfree : GFREE_BATCH;
	gfmoving();
	bool ok = gfstock(&pp->gfree[pp->ngfree - n], n);
	if (ok)
		atomic_storerlx(&pp->ngfree, pp->ngfree - n);
	gfmoving();
	return ok;
}

// gfput frees gp for reuse by pp. Goroutines with a stack of another size than the default go back
// to their pool at once. On g0.
void
runtime_gfput(struct p *pp, struct g *gp)
{
	if (unlikely(gp->stackorder != 0)) {
		runtime_gfree(gp);
		return;
	}
	gfpush(pp, gp);
	if (unlikely(pp->ngfree > GFREE_MAX)) {
		runtime_lock(&sched.lock);
		if (!giveback(pp))
			runtime_throw("out of memory (dead goroutines)");
		runtime_unlock(&sched.lock);
	}
}

// gfrefill gives pp, which has none, a batch of the scheduler's, and returns how many.
static NOINLINE int32_t
gfrefill(struct p *pp)
{
	runtime_lock(&sched.lock);
	gfmoving();
	struct gbatch **list = sched.gfree != NULL ? &sched.gfree : &sched.gfreecold, *b = *list;
	int32_t n = b != NULL ? b->n : 0;
	if (b != NULL) {
		*list = b->next;
		for (int32_t i = 0; i < n; i++)
			pp->gfree[i] = b->g[i];
		atomic_storerlx(&sched.ngfree, sched.ngfree - n);
		b->next = sched.gbatches;
		sched.gbatches = b;
	}
	atomic_storerlx(&pp->ngfree, n);
	gfmoving();
	runtime_unlock(&sched.lock);
	for (int32_t i = n - 1; i >= 0; i--) {
		// What newproc1 will write: the g, and the frame below it. And what the goroutine writes below that.
		uintptr_t gp = (uintptr_t)pp->gfree[i];
		__builtin_prefetch((void *)(gp + 64), 1);
		for (uintptr_t below = 0; below <= 256; below += 64)
			__builtin_prefetch((void *)(gp - below), 1);
	}
	return n;
}

// gfget takes a dead goroutine of pp's, or of a batch of the scheduler's; NULL: none.
static inline struct g *
gfget(struct p *pp)
{
	int32_t n = pp->ngfree - 1;
	if (unlikely(n < 0) && (atomic_loadrlx(&sched.ngfree) == 0 || (n = gfrefill(pp) - 1) < 0))
		return NULL;
	atomic_storerlx(&pp->ngfree, n);
	return pp->gfree[n];
}

// gfpurge moves pp's dead goroutines to the scheduler, all but keep or a few less. World stopped, or pp is ours.
void
runtime_gfpurge(struct p *pp, int32_t keep)
{
	HELD(&sched.lock);
	while (pp->ngfree > keep && giveback(pp))
		continue;
}

// gfahead is for a P with nothing to do, while another makes one new goroutine after the other: each is a page that
// the kernel has to find and clear, most of what it costs. It gives the scheduler what it has, or makes a few.
// False: nobody needs them. No more are made than others have made meanwhile, and none while some are left.
bool
runtime_gfahead(struct p *pp)
{
	int64_t made = runtime_allgcount();
	if (atomic_loadrlx(&sched.ngfree) != 0 || made < AHEAD_FROM || made - pp->madeseen < AHEAD)
		return false;
	// From the end, as they are taken from the end: who walks many of them later finds them as they lie in memory.
	struct g *g[AHEAD];
	int32_t n = 0;
	while (pp->ngfree == 0 && n < AHEAD && (g[AHEAD - 1 - n] = runtime_malgslot()) != NULL)
		n++;
	runtime_lock(&sched.lock);
	bool given = pp->ngfree != 0 && giveback(pp);
	if (n > 0) {
		gfmoving();
		given = gfstock(&g[AHEAD - n], n); // if not, they are lost, and memory is at an end
		if (given)
			runtime_allgadd(n);
		gfmoving();
	}
	runtime_unlock(&sched.lock);
	pp->madeseen = runtime_allgcount();
	return given;
}

struct malgargs {
	size_t size;
	struct g *gp;
};

static void
malg_m(void *arg)
{
	struct malgargs *a = arg;
	a->gp = runtime_malg(a->size);
}

// newgslow makes a new dead goroutine, or takes the one that a foreign thread's m keeps (pp is NULL). NULL: no memory.
static NOINLINE struct g *
newgslow(struct m *mp, struct p *pp, struct g *callergp, size_t stacksize)
{
	if (pp == NULL) {
		if (callergp != mp->g0)
			runtime_fatal("go statement between rt0_entersyscall and rt0_exitsyscall");
		struct g *gp = mp->callg;
		if (gp != NULL) {
			mp->callg = NULL;
			atomic_xadd(&sched.ncallg, -1);
			return gp;
		}
	}
	mp->locks++; // the p stays ours while we are on g0
	struct malgargs a = {stacksize, NULL};
	runtime_systemstack(malg_m, &a);
	mp->locks--;
	return a.gp;
}

static inline __attribute__((always_inline)) struct g *
newproc1(void (*fn)(void *), void *arg, struct g *callergp, uintptr_t callerpc, size_t stacksize)
{
	struct m *mp = callergp->m;
	struct p *pp = mp->p;
	struct g *newg = likely(pp != NULL) && likely(stacksize == 0) ? gfget(pp) : NULL;
	if (unlikely(newg == NULL)) {
		newg = newgslow(mp, pp, callergp, stacksize);
		if (newg == NULL)
			return NULL;
	}
	if (unlikely(atomic_loadrlx(&newg->atomicstatus) != Gdead))
		runtime_throw("newproc1: new g is not Gdead");
	struct switchframe *frame = (struct switchframe *)newg->stack.hi - 1;
	frame->fpmodes = sched.fpmodes;
	frame->rbx = (uintptr_t)fn;
	frame->r12 = (uintptr_t)arg;
	frame->rbp = 0; // ends the chain of frames
	frame->pc = (uintptr_t)runtime_gostart;
	newg->sched.sp = (uintptr_t)frame;
	// The one before may have left its frames by a longjmp.
	newg->defer = NULL;
	newg->panic = NULL;
	newg->npanics = newg->nopreempt = newg->inthread = newg->nowned = 0;
	newg->paniconfault = false;
	newg->startpc = (uintptr_t)fn;
	newg->gopc = callerpc;
	newg->parentgoid = callergp->goid;
	newg->goid = newgoid(pp);
	if (likely(pp != NULL))
		pp->nspawn++;
	atomic_storerel(&newg->atomicstatus, Grunnable);
	return newg;
}

// newproc1 makes a runnable goroutine of fn(arg) and returns it, on no queue. stacksize 0: the
// default. NULL: no memory for its stack. A caller without a p (callbackstart) is on g0.
struct g *
runtime_newproc1(void (*fn)(void *), void *arg, struct g *callergp, uintptr_t callerpc, size_t stacksize)
{
	return newproc1(fn, arg, callergp, callerpc, stacksize);
}

static NOINLINE RT0_NORETURN void
nostack(void)
{
	runtime_print("runtime: cannot allocate a %d-byte goroutine stack (%lu goroutine stack bytes in use)\n",
	    (int)debug.stacksize, (unsigned long)runtime_stackinuse());
	runtime_throw("out of memory");
}

// newproc is the go statement of gp, the current goroutine. It runs on the caller's stack: C stacks have room for it
// (Go changes to g0). Only making a new stack does.
static inline __attribute__((always_inline)) void
newproc(void (*fn)(void *), void *arg, struct g *gp, uintptr_t callerpc)
{
	if (unlikely(fn == NULL))
		runtime_fatal("go of nil func value");
	if (unlikely(!sched.grown))
		runtime_grow();
	struct g *newg = newproc1(fn, arg, gp, callerpc, 0);
	if (unlikely(newg == NULL))
		nostack();
	int32_t n = newqput(gp->m->p, newg);
	runtime_wakeafterput();
	if (unlikely(n >= NEWQDEEP) && gp == gp->m->curg && (gp->m->locks | gp->nopreempt) == 0 && gp->lockedm == NULL)
		runtime_mcall(runtime_gosched_m);
	else
		runtime_preemptpoint(gp);
}

void
runtime_newproc(void (*fn)(void *), void *arg, uintptr_t callerpc)
{
	newproc(fn, arg, getg(), callerpc);
}

struct goargs {
	void (*fn)(void *);
	void *arg;
	const rt0_attr *attr;
	uintptr_t pc;
	int result;
};

static void
newproc_foreign(void *arg)
{
	struct goargs *a = arg;
	runtime_newproc(a->fn, a->arg, a->pc);
}

static NOINLINE void
goforeign(void (*fn)(void *), void *arg, uintptr_t pc)
{
	struct goargs a = {fn, arg, NULL, pc, 0};
	if (runtime_callback(newproc_foreign, &a) < 0)
		runtime_fatal("rt0_go: the runtime does not run (call rt0_start, or link main with rt0_main.o)");
}

void
rt0_go(void (*fn)(void *), void *arg)
{
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);
	struct g *gp = getg();
	if (unlikely(gp == NULL))
		goforeign(fn, arg, pc);
	else
		newproc(fn, arg, gp, pc);
}

static void
goattr(void *arg)
{
	struct goargs *a = arg;
	if (a->fn == NULL)
		runtime_fatal("go of nil func value");
	size_t size = a->attr == NULL ? 0 : a->attr->stack_size;
	if (size != 0 && (size < STACKMIN || size > runtime_maxstacksize)) {
		a->result = -22; // EINVAL
		return;
	}
	if (size <= (size_t)debug.stacksize && size != 0 && size > (size_t)debug.stacksize / 2)
		size = 0;
	if (size == 0) {
		runtime_newproc(a->fn, a->arg, a->pc);
		return;
	}
	struct g *gp = getg();
	runtime_grow();
	struct g *newg = runtime_newproc1(a->fn, a->arg, gp, a->pc, size);
	if (newg == NULL) {
		a->result = -12; // ENOMEM
		return;
	}
	runtime_runqput(gp->m->p, newg, false);
	runtime_wakeafterput();
}

int
rt0_go_attr(void (*fn)(void *), void *arg, const rt0_attr *attr)
{
	struct goargs a = {fn, arg, attr, (uintptr_t)__builtin_return_address(0), 0};
	if (getg() == NULL) {
		if (runtime_callback(goattr, &a) < 0)
			runtime_fatal("rt0_go_attr: the runtime does not run (call rt0_start, or link main with rt0_main.o)");
	} else {
		goattr(&a);
	}
	return a.result;
}

// newmain makes the main goroutine, whose stack may grow to maxstacksize. Called by rt0_go on g0,
// before there is anything else.
void HIDDEN
runtime_newmain(void (*fn)(void *))
{
	runtime_bootmark("newproc");
	// What every goroutine starts with: reading MXCSR at each go statement would cost a tenth of it.
	uint32_t mxcsr;
	uint16_t fpcw;
	__asm__("stmxcsr %0" : "=m"(mxcsr));
	__asm__("fnstcw %0" : "=m"(fpcw));
	sched.fpmodes = mxcsr | (uintptr_t)fpcw << 32;
	struct g *gp = NULL;
	for (size_t size = runtime_maxstacksize; gp == NULL && size >= STACKMIN; size /= 4)
		gp = runtime_newproc1(fn, NULL, getg(), (uintptr_t)runtime_rt0_go, size);
	if (gp == NULL)
		runtime_throw("out of memory (main goroutine's stack)");
	gp->gopc = 0; // nobody's child: no "created by" line
	runtime_runqput(getg()->m->p, gp, true);
}


// livecount is gcount without the lower bound; exact while no goroutine runs but the caller's.
int32_t
runtime_livecount(void)
{
	// Idle ps move dead goroutines about: once more, if one has. But a crash may have left it odd.
	for (int tries = 0;; tries++) {
		uint32_t seq = atomic_load(&sched.gfreeseq);
		int64_t n = runtime_allgcount() - atomic_loadacq(&sched.ngsys) - atomic_loadacq(&sched.ncallg) - atomic_loadacq(&sched.ngfree);
		for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++) {
			struct p *pp = runtime_pat(i);
			if (pp != NULL)
				n -= atomic_loadacq(&pp->ngfree);
		}
		if ((seq % 2 == 0 && atomic_load(&sched.gfreeseq) == seq) || tries == 1000)
			return (int32_t)n;
		procyield(10);
	}
}

// gcount counts goroutines that are not dead and not the runtime's own. The sum over ps is of no
// single moment while others run.
int32_t
runtime_gcount(void)
{
	int32_t n = runtime_livecount();
	return n < 1 ? 1 : n;
}

int
rt0_num_goroutine(void)
{
	return runtime_gcount();
}
