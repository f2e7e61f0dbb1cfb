// SPDX-License-Identifier: BSD-3-Clause
// initask.c: init tasks: who registered, in which order they run, and what is wrong with them.
//
// Constructors register tasks, before the runtime has booted and again whenever a shared object is
// loaded: registration is a lock-free push on a list and nothing else. doinit takes that list,
// appends it in registration order to the tasks known so far, checks everything, and only then
// runs what is new: dependencies first, registration order where the dependencies leave a choice
// (a depth-first walk from each task in turn). Faults in the graph are all printed before the
// process ends, and before any task has run.
//
// doinit runs on one goroutine at a time: on goroutine 1 at boot, later on whoever loads a plugin.
// A task may itself load one: then doinit is entered again by the same goroutine. It runs the
// newcomers; if they need a task that is only half done, that is Go's "linker skew".
//
// Known tasks are never forgotten, so an object that has registered tasks must stay loaded
// (rt0_plugin_open sees to that).
#include "../runtime.h"

enum { White = 0, Grey = 1, Black = 2 }; // rt0_inittask.mark during a walk

int64_t runtime_runtimeInitTime; // ns: when doinit first ran; what inittrace counts from

static struct rt0_inittask *registered BOOTDATA; // atomic: newest first; pushed by anybody, taken whole
static rt0_mutex initlock BOOTDATA;              // guards all below; the goroutine may park under it
static uint64_t initowner BOOTDATA;              // atomic: goid of who holds initlock, 0: nobody
static struct rt0_inittask *known BOOTDATA;      // in registration order
static struct rt0_inittask **knowntail BOOTDATA = &known;
static struct rt0_inittask **runfrom BOOTDATA = &known; // the link to the first that doinit has not seen
static size_t nknown BOOTDATA;

// What a check needs, in one block of memory.
struct walk {
	struct rt0_inittask **table; // by name; open addressing, never full
	size_t mask;
	struct rt0_inittask **order; // what is to run, dependencies first
	size_t norder;
	struct rt0_inittask **stack; // the path from the root to here
	uint32_t *nextdep;           // beside stack: the dependency to look at next
	size_t depth;
	int faults;
};

void
rt0_register_init(struct rt0_inittask *task)
{
	// Release: pairs with the acquire in takeregistered, which reads the task.
	do
		task->next = atomic_loadrlx(&registered);
	while (!atomic_casrel(&registered, task->next, task));
}

// takeregistered appends what has registered since last time to known. initlock held.
static void
takeregistered(void)
{
	struct rt0_inittask *t = atomic_xchgacq(&registered, NULL), *first = NULL;
	struct rt0_inittask **end = NULL;
	while (t != NULL) {
		struct rt0_inittask *older = t->next;
		if (first == NULL)
			end = &t->next;
		t->next = first;
		first = t;
		t = older;
		nknown++;
	}
	if (first != NULL) {
		*knowntail = first;
		knowntail = end;
	}
}

void
runtime_forgetinit(void)
{
	atomic_storerlx(&registered, NULL);
}

// ---- the check ----

static uint64_t
hashname(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;
	for (; *s != 0; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3;
	return h ^ h >> 32;
}

// lookup returns the slot of name: the task of that name, or where it would go.
static struct rt0_inittask **
lookup(struct walk *w, const char *name)
{
	size_t i = hashname(name) & w->mask;
	while (w->table[i] != NULL && runtime_strcmp(w->table[i]->name, name) != 0)
		i = (i + 1) & w->mask;
	return &w->table[i];
}

static void
reportcycle(struct walk *w, struct rt0_inittask *t)
{
	size_t start = w->depth;
	while (w->stack[start - 1] != t)
		start--;
	start--;
	w->faults++;
	runtime_printlock();
	runtime_print("rt0: init task cycle: ");
	for (size_t i = start; i < w->depth; i++)
		runtime_print("%s -> ", w->stack[i]->name);
	runtime_print("%s (", t->name);
	for (size_t i = start; i < w->depth; i++)
		runtime_print("%s%s", i > start ? ", " : "", w->stack[i]->file);
	runtime_print(")\n");
	runtime_printunlock();
}

static void
enter(struct walk *w, struct rt0_inittask *t)
{
	t->mark = Grey;
	w->stack[w->depth] = t;
	w->nextdep[w->depth] = 1; // the first entry of deps is not used
	w->depth++;
}

// visit walks from root through all that it needs. Not recursive: a plugin may be loaded on a
// small stack, and the stack kept here is the path that a report shows.
static void
visit(struct walk *w, struct rt0_inittask *root)
{
	enter(w, root);
	while (w->depth > 0) {
		struct rt0_inittask *t = w->stack[w->depth - 1];
		const char *name = t->deps[w->nextdep[w->depth - 1]];
		if (name == NULL) {
			t->mark = Black;
			w->order[w->norder++] = t;
			w->depth--;
			continue;
		}
		w->nextdep[w->depth - 1]++;
		struct rt0_inittask *dep = *lookup(w, name);
		if (dep == NULL) {
			w->faults++;
			runtime_print("rt0: init task %s (%s) needs %s, which does not exist\n",
			    t->name, t->file, name);
		} else if (dep->mark == Grey) {
			reportcycle(w, dep);
		} else if (dep->mark == White) {
			enter(w, dep);
		}
	}
}

// check prepares w->order with what has to run before and with the tasks from first on, and prints
// every fault. The memory it returns is the caller's to free. initlock held.
static void *
check(struct walk *w, struct rt0_inittask *first)
{
	size_t nslot = 16;
	while (nslot < 2 * nknown)
		nslot *= 2;
	size_t bytes = (nslot + 2 * nknown) * sizeof(void *) + nknown * sizeof(uint32_t);
	char *mem = runtime_mallocgc(bytes, false, true);
	w->table = (struct rt0_inittask **)mem;
	w->mask = nslot - 1;
	w->order = w->table + nslot;
	w->stack = w->order + nknown;
	w->nextdep = (uint32_t *)(w->stack + nknown);
	for (struct rt0_inittask *t = known; t != NULL; t = t->next) {
		t->mark = White;
		struct rt0_inittask **slot = lookup(w, t->name);
		if (*slot != NULL) {
			w->faults++;
			runtime_print("rt0: init task %s is defined twice (%s, %s)\n", t->name,
			    (*slot)->file, t->file);
		} else {
			*slot = t;
		}
	}
	for (struct rt0_inittask *t = first; t != NULL; t = t->next) {
		if (t->mark == White)
			visit(w, t);
	}
	return mem;
}

// ---- running them ----

// lockinit takes initlock unless this goroutine has it; true: it has to be given back.
static bool
lockinit(void)
{
	uint64_t goid = getg()->goid;
	// Relaxed: only this goroutine can have stored its own id.
	if (atomic_loadrlx(&initowner) == goid)
		return false;
	rt0_mutex_lock(&initlock);
	atomic_storerlx(&initowner, goid);
	return true;
}

static void
unlockinit(bool mine)
{
	if (mine) {
		atomic_storerlx(&initowner, 0);
		rt0_mutex_unlock(&initlock);
	}
}

// checkinit looks at all registered tasks and runs none. With fatal it does not return when it
// finds a fault.
bool
runtime_checkinit(bool fatal)
{
	bool mine = lockinit();
	takeregistered();
	struct walk w = {.faults = 0};
	if (known != NULL)
		runtime_free(check(&w, known));
	unlockinit(mine);
	if (w.faults > 0 && fatal)
		runtime_fatal("init tasks cannot be ordered");
	return w.faults == 0;
}

// Bytes and allocations so far: by the p we are on, and by all. A task that changes its p is
// charged with everything that all goroutines allocated meanwhile, which is too much but no
// nonsense.
struct allocsnap {
	struct p *p;
	uint64_t bytes, allocs, allbytes, allallocs;
};

static void
snapshot(struct allocsnap *s)
{
	struct g *gp = getg();
	gp->m->locks++; // stay on this p for a moment
	*s = (struct allocsnap){.p = gp->m->p};
	for (int32_t i = 0; i < sched.gomaxprocs; i++) {
		uint64_t bytes = 0, allocs = 0;
		if (allp[i] == NULL)
			continue;
		runtime_mallocstats_p(allp[i], &bytes, &allocs);
		s->allbytes += bytes;
		s->allallocs += allocs;
		if (allp[i] == s->p) {
			s->bytes = bytes;
			s->allocs = allocs;
		}
	}
	gp->m->locks--;
}

static void
doinit1(struct rt0_inittask *t)
{
	if (t->state == 2)
		return;
	if (t->state == 1)
		runtime_throw("recursive call during initialization - linker skew");
	t->state = 1;
	runtime_bootmark2("runtime_main/doinit:", t->name);
	if (debug.inittrace == 0) {
		t->fn();
	} else {
		struct allocsnap s0, s1;
		snapshot(&s0);
		int64_t t0 = runtime_nanotime();
		t->fn();
		int64_t t1 = runtime_nanotime();
		snapshot(&s1);
		if (s0.p == s1.p)
			runtime_inittraceline(
			    t->name, t0, t1, s1.bytes - s0.bytes, s1.allocs - s0.allocs);
		else
			runtime_inittraceline(t->name, t0, t1, s1.allbytes - s0.allbytes,
			    s1.allallocs - s0.allallocs);
	}
	t->state = 2;
}

void
runtime_doinit(void)
{
	// Finding the clock costs two page faults: only who traces asks.
	if (debug.inittrace != 0 && runtime_runtimeInitTime == 0)
		runtime_runtimeInitTime = runtime_nanotime();
	bool mine = lockinit();
	// Again as long as there is something: a task may have loaded a library that registered
	// more.
	for (;;) {
		takeregistered();
		struct rt0_inittask *first = *runfrom;
		if (first == NULL)
			break;
		runfrom = knowntail;
		struct walk w = {.faults = 0};
		void *mem = check(&w, first);
		if (w.faults > 0)
			runtime_fatal("init tasks cannot be ordered");
		for (size_t i = 0; i < w.norder; i++)
			doinit1(w.order[i]);
		runtime_free(mem);
	}
	unlockinit(mine);
}

// ---- inittrace ----

// fmtNSAsMS writes ns as milliseconds: whole from 10 ms on, below that two significant digits and
// at most three decimals.
static void
fmtNSAsMS(char *buf, size_t n, uint64_t ns)
{
	if (ns >= 10 * (uint64_t)MS) {
		runtime_snprintf(buf, n, "%lu", (unsigned long)(ns / (uint64_t)MS));
		return;
	}
	unsigned long x = (unsigned long)(ns / 1000), unit = 1000; // x / unit is the number
	int dec = 3;
	for (; x >= 100; dec--) {
		x /= 10;
		unit /= 10;
	}
	if (x == 0)
		runtime_snprintf(buf, n, "0");
	else
		runtime_snprintf(buf, n, "%lu.%0*lu", x / unit, dec, x % unit);
}

void
runtime_inittraceline(const char *name, int64_t t0, int64_t t1, uint64_t bytes, uint64_t allocs)
{
	char at[32], clock[32];
	fmtNSAsMS(at, sizeof at, (uint64_t)(t0 - runtime_runtimeInitTime));
	fmtNSAsMS(clock, sizeof clock, (uint64_t)(t1 - t0));
	runtime_print("init %s @%s ms, %s ms clock, %lu bytes, %lu allocs\n", name, at, clock,
	    (unsigned long)bytes, (unsigned long)allocs);
}
