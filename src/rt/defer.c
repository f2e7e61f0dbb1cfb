// SPDX-License-Identifier: BSD-3-Clause
// defer.c: deferred calls, panics, recover, Goexit and try.
//
// Each goroutine has a list of records, g.defer, newest first. A record lies in the frame of the
// function that defers, so the list follows the stack; leaving the block unlinks it and makes the
// call (rt0/panic.h, inline). There are three kinds: one call (RT0_DEFER); a stack of calls that lasts as
// long as its function (RT0_DEFER_FRAME; d.fn is rt0_defer_frame_run); a try (d.fn is trymark).
//
// A panic is a struct panic in gopanic's frame, on the list g.panic, newest first. It takes records off
// the list and calls them, on top of everything. Goexit is a panic that cannot be recovered from.
//   - A deferred call panics: the new panic goes on with the records that are left. When it has used
//     up those that the deferred call made itself (the list is down to floor of the older panic),
//     the older one will never go on: it is aborted.
//   - A deferred call has recovered and returns: the panic and the aborted ones below it are dropped;
//     the other records of the same frame run; the frame is ended as if it returned. If a Goexit was
//     aborted, it goes on instead.
//   - No record is left: the end of the goroutine (Goexit) or of the program.
//
// Which frame a record belongs to, and what the registers of its caller are, is found by the unwind
// tables (diag/cfi.c), from where recovery stands outwards. The record has the frame's own address
// (sp), so it may lie elsewhere (a sanitizer's fake stack). For a try the registers were stored.
// Everything here runs on the goroutine's stack, by the goroutine itself; the last step runs on g0 if it
// has segments of rt0_morestack, which are freed on the way.
#include "../runtime.h"
#include "../diag/cfi.h"

struct panic {
	struct panic *link;         // an older one, in whose deferred call we are
	struct rt0_deferred *floor; // the records that were left when the deferred call began
	uintptr_t callcfa;          // end of the deferred function's frame; 0: none runs
	rt0_value value;
	int64_t result; // what the deferring function will return
	double fresult;
	const struct sigpanicinfo *si; // it came from a signal
	bool recovered, aborted, goexit;
	bool printing; // its value's own function makes the text
};

struct try {
	struct rt0_deferred d;
	struct cfiregs regs; // those of runtime_trycall's caller when that returns
	rt0_value value;
};

enum { CHUNKCALLS = 62, CHUNKOS = 4096, TEXTSIZE = 256, NTEXTS = 16 };

struct rt0_deferchunk {
	struct rt0_deferchunk *prev;
	bool fromos;
	struct rt0_defercall call[CHUNKCALLS];
};
static_assert(sizeof(struct rt0_deferchunk) <= CHUNKOS, "a chunk for a thread is a page");

#pragma GCC visibility push(hidden)
int runtime_trycall(struct cfiregs *regs, void (*fn)(void *), void *arg);
void runtime_getcallregs(struct cfiregs *regs);
void runtime_recovered(void);
RT0_NORETURN void runtime_resume(const struct jump *j);
void runtime_sigpanic1(struct sigframe *f);
#if RT0_ASAN || RT0_TSAN
void runtime_sanunwound(uintptr_t lo, uintptr_t hi, int nframes);
#endif
#pragma GCC visibility pop

// addpanics counts the panics of gp, not Goexits. Atomic, since main's end looks at all goroutines.
static void
addpanics(struct g *gp, int32_t n)
{
	atomic_storerlx(&gp->npanics, gp->npanics + n);
}

static void
countpanics(struct g *gp, void *arg)
{
	*(int32_t *)arg += atomic_loadrlx(&gp->npanics);
}

int32_t
runtime_runningpanics(void)
{
	int32_t n = 0;
	runtime_foreachg(countpanics, &n);
	return n;
}

// ---- Records ----

static void
trymark(void *arg)
{
	(void)arg;
}

// pushcall and popcall work on the calls of a frame; the first few lie in it.
static void
pushcall(struct rt0_deferframe *f, struct rt0_defercall c)
{
	size_t i = f->n;
	if (i < NELEM(f->first)) {
		f->first[i] = c;
	} else {
		i = (i - NELEM(f->first)) % CHUNKCALLS;
		if (i == 0) {
			// A thread that is no goroutine asks the kernel: it may have no runtime at all.
			bool os = getg() == NULL;
			struct rt0_deferchunk *ch = os ? runtime_sysAlloc(CHUNKOS, &memstats.other_sys) : rt0_alloc(sizeof *ch, 0);
			if (ch == NULL)
				runtime_throw("out of memory (deferred call)");
			ch->fromos = os;
			ch->prev = f->chunk;
			f->chunk = ch;
		}
		f->chunk->call[i] = c;
	}
	f->n++;
}

static struct rt0_defercall
popcall(struct rt0_deferframe *f)
{
	size_t i = --f->n;
	if (i < NELEM(f->first))
		return f->first[i];
	i = (i - NELEM(f->first)) % CHUNKCALLS;
	struct rt0_deferchunk *ch = f->chunk;
	struct rt0_defercall c = ch->call[i];
	if (i == 0) {
		f->chunk = ch->prev;
		if (ch->fromos)
			runtime_sysFree(ch, CHUNKOS, &memstats.other_sys);
		else
			rt0_free(ch);
	}
	return c;
}

void
rt0_defer_add(struct rt0_deferframe *f, void (*fn)(void *), void *arg)
{
	pushcall(f, (struct rt0_defercall){fn, arg});
}

// The record stays on the list while its calls run: one that panics leaves the others to the panic.
void
rt0_defer_frame_run(void *frame)
{
	struct rt0_deferframe *f = frame;
	while (f->n > 0) {
		struct rt0_defercall c = popcall(f);
		c.fn(c.arg);
	}
}

void
rt0_defer_frame_end(struct rt0_deferframe *f)
{
	rt0_defer_frame_run(f);
	*f->link.head = f->link.next;
}

// takecall takes the newest call off the list, whose head d is. False: d had none, and is off.
static bool
takecall(struct g *gp, struct rt0_deferred *d, struct rt0_defercall *c)
{
	if (d->fn != rt0_defer_frame_run) {
		gp->defer = d->next;
		*c = (struct rt0_defercall){d->fn, d->arg};
		return true;
	}
	struct rt0_deferframe *f = d->arg;
	if (f->n == 0) {
		gp->defer = d->next;
		return false;
	}
	*c = popcall(f);
	return true;
}

// ---- The end of the program ----

// printpanics prints p and those in whose deferred calls it happened, the oldest first.
static void
printpanics(struct panic *p, char (*texts)[TEXTSIZE])
{
	// Nobody needs the list any more: it is turned round.
	struct panic *oldest = NULL, *next;
	for (struct panic *q = p; q != NULL; q = next) {
		next = q->link;
		q->link = oldest;
		oldest = q;
	}
	int n = 0;
	bool nested = false;
	for (struct panic *q = oldest; q != NULL; q = q->link) {
		char buf[128];
		if (q->goexit) {
			nested = false;
			continue;
		}
		const char *text = buf;
		if (q->value.kind == RT0_STRING || q->value.kind == RT0_ERROR)
			text = q->value.v.s;
		else if (q->printing && n < NTEXTS)
			text = texts[n++];
		else if (q->printing)
			text = "(...)";
		else
			rt0_value_text(&q->value, buf, sizeof buf);
		char first; // a value that is no string must not end the report
		if (text != NULL && !runtime_saferead(&first, (uintptr_t)text, 1))
			text = "(unreadable)";
		runtime_print("%spanic: %s%s\n", nested ? "\t" : "", text != NULL ? text : "", q->recovered ? " [recovered]" : "");
		nested = true;
	}
}

// fatalpanic: nobody has recovered. User values make their texts before anything is locked: their
// functions may do what they like.
static RT0_NORETURN NOINLINE void
fatalpanic(struct g *gp, struct panic *p)
{
	uintptr_t *bp = __builtin_frame_address(0);
	char texts[NTEXTS][TEXTSIZE];
	int n = 0;
	for (struct panic *q = p; q != NULL; q = q->link) {
		if (!q->printing)
			continue;
		char what[TEXTSIZE] = "";
		if (p->value.kind != RT0_USER)
			rt0_value_text(&p->value, what, sizeof what);
		runtime_print("fatal error: panic while printing panic value: ");
		runtime_die("", what, 2);
	}
	int total = 0;
	for (struct panic *q = p; q != NULL; q = q->link)
		total += q->value.kind == RT0_USER && q->value.w.type != NULL && q->value.w.type->text != NULL;
	for (struct panic *q = p; q != NULL; q = q->link) {
		if (q->value.kind != RT0_USER || q->value.w.type == NULL || q->value.w.type->text == NULL)
			continue;
		q->printing = true;
		// The texts are in the order of printing, the oldest first.
		n = --total;
		if (n < NTEXTS)
			rt0_value_text(&q->value, texts[n], TEXTSIZE);
	}
	const struct sigpanicinfo *si = NULL;
	for (struct panic *q = p; q != NULL && si == NULL; q = q->link)
		si = q->si;
	runtime_startpanic();
	addpanics(gp, -gp->npanics);
	printpanics(p, texts);
	if (si != NULL)
		runtime_printsignal(si);
	runtime_dopanic(gp, bp[1], (uintptr_t)(bp + 2), bp[0], false);
}

// cannotrecover: a deferred call has recovered, but the way out is not known.
static RT0_NORETURN void
cannotrecover(struct panic *p, uintptr_t pc)
{
	char text[TEXTSIZE];
	struct symline s;
	rt0_value_text(&p->value, text, sizeof text);
	runtime_funcline(pc - 1, &s);
	runtime_print("panic: %s [recovered]\n", text);
	runtime_print("runtime: no unwind table for pc=0x%lx (%s): compile it with -fasynchronous-unwind-tables, or use rt0_try\n",
	    (unsigned long)pc, s.name != NULL ? s.name : "?");
	runtime_fatal("recover: cannot return to the caller of the deferring function");
}

// ---- Recovery ----

// stackof is the part of gp's memory that sp lies in and that may be read directly.
static struct stack
stackof(const struct g *gp, uintptr_t sp)
{
	if (sp >= gp->stack.lo && sp < gp->stack.hi)
		return gp->stack;
	for (struct stack s = gp->segment; s.lo != 0; s = *(struct stack *)(s.hi - sizeof s))
		if (sp >= s.lo && sp < s.hi)
			return s;
	return (struct stack){0, 0};
}

// recoverjump frees the segments that gp leaves, and makes it return to where the registers say. On g0.
// The last return is gp's own, out of mcall, into runtime_recovered, into the caller.
static struct g *
recoverjump(struct g *gp)
{
	// On a stack that may go.
	const struct jump *j = gp->param;
	struct recoverframe {
		struct switchframe s;
		int64_t result; // what runtime_recovered pops
		double fresult;
		uintptr_t pc;
	};
	const uintptr_t *r = j->regs.r;
	uintptr_t cfa = r[RSP];
	struct recoverframe *f = (struct recoverframe *)(cfa - sizeof *f);
	uintptr_t modes = ((struct switchframe *)gp->sched.sp)->fpmodes;
	f->s = (struct switchframe){modes, r[15], r[14], r[13], r[12], r[3], r[RBP], (uintptr_t)runtime_recovered};
	f->result = j->result;
	f->fresult = j->fresult;
	f->pc = r[RIP];
	while (gp->segment.lo != 0 && (cfa <= gp->segment.lo || cfa > gp->segment.hi)) {
		struct stack s = gp->segment;
		gp->segment = *(struct stack *)(s.hi - sizeof s);
#if RT0_ASAN
		runtime_sanunwound(s.lo, s.hi, 0);
#endif
		runtime_stackfree(s);
	}
	gp->param = NULL;
	gp->sched.sp = (uintptr_t)f;
	return gp;
}

#if RT0_TSAN
extern const char runtime_calldeferredret[], runtime_trycallret[], runtime_callonret[]; // asm: behind their calls

// tsanframe: the function at pc told ThreadSanitizer that it began. Assembly and libraries do not.
static bool
tsanframe(uintptr_t pc)
{
	static const char *const none[] = {runtime_calldeferredret, runtime_trycallret, runtime_callonret, runtime_sigpanicret};
	char name[CFINAME];
	for (size_t i = 0; i < NELEM(none); i++)
		if (pc == (uintptr_t)none[i])
			return false;
	return runtime_pcowner(pc - 1, name) == PC_PROGRAM;
}
#endif

static RT0_NORETURN void gopanic(struct g *gp, struct panic *p);

// unwindto goes from here to the frame that d belongs to. j->regs become those of its caller. lo and
// the result are the ends of the frame.
static NOINLINE uintptr_t
unwindto(struct g *gp, struct panic *p, struct rt0_deferred *d, struct jump *j, uintptr_t *lo)
{
	uintptr_t cfa, bottom = 0;
	int nframes = 0;
	bool isret = true;
	struct stack s = {0, 0};
	runtime_getcallregs(&j->regs);
	do {
		*lo = j->regs.r[RSP];
		uintptr_t pc = j->regs.r[RIP];
		if (*lo < s.lo || *lo >= s.hi) {
			s = stackof(gp, *lo);
			bottom = *lo;
		}
#if RT0_TSAN
		nframes += tsanframe(pc);
#endif
		if (pc == (uintptr_t)runtime_sigpanicret && j->regs.r[RBP] >= s.lo && j->regs.r[RBP] < s.hi) {
			// The table says the same, but is read anew each time.
			const uintptr_t *bp = (const uintptr_t *)j->regs.r[RBP];
			j->regs.r[RBP] = bp[0];
			j->regs.r[RIP] = bp[1];
			j->regs.r[RSP] = cfa = bp[2];
			isret = false;
			continue;
		}
		int err = runtime_cfistep(&j->regs, isret, s.lo, s.hi, &cfa);
		if (unlikely(err != CFI_DONE && err != CFI_TRAP))
			cannotrecover(p, pc);
		isret = err != CFI_TRAP;
		// What leads to another stack (callon) is no frame that defers: what is between the two may be a
		// third one, with d's frame on it.
	} while (d->sp < *lo || d->sp >= cfa || (s.lo != 0 && cfa > s.hi));
#if RT0_ASAN || RT0_TSAN
	// Now, with the frames in between still there, as if they had returned: nothing of theirs is used any
	// more but what we are called through.
	// Our own frame and that of a try end by themselves.
	runtime_sanunwound(bottom, cfa, nframes - 1 - (d->fn == trymark));
#else
	(void)bottom;
	(void)nframes;
#endif
	return cfa;
}

// recovery ends the panic p, which the deferred call of d has recovered.
static RT0_NORETURN NOINLINE void
recovery(struct g *gp, struct panic *p, struct rt0_deferred *d)
{
	struct jump j;
	struct panic *goexit = NULL, *q;
	int32_t n = 1;
	for (q = p->link; q != NULL && q->aborted; q = q->link) {
		if (q->goexit)
			goexit = q;
		else
			n++;
	}
	addpanics(gp, -n);
	if (unlikely(goexit != NULL)) {
		// The frame that would be ended is older than the Goexit: that must not be forgotten.
		struct panic again = {.goexit = true};
		gp->panic = goexit->link;
		gopanic(gp, &again);
	}
	gp->panic = q;
	j.result = p->result;
	j.fresult = p->fresult;
	if (d->fn == trymark) {
		struct try *t = d->arg;
		t->value = p->value;
		j.regs = t->regs;
		j.result = 1;
#if RT0_ASAN || RT0_TSAN
		struct jump unused;
		uintptr_t lo;
		unwindto(gp, p, d, &unused, &lo);
#endif
	} else {
		uintptr_t lo, cfa = unwindto(gp, p, d, &j, &lo), unused;
		struct rt0_deferred *e;
		struct rt0_defercall c;
		// p is no more: what these calls panic is new, and they recover nothing.
		while ((e = gp->defer) != NULL && e->fn != trymark && e->sp >= lo && e->sp < cfa)
			if (takecall(gp, e, &c))
				runtime_calldeferred(c.fn, c.arg, &unused);
	}
	if (likely(gp->segment.lo == 0))
		runtime_resume(&j);
	gp->param = &j;
	runtime_mcall(recoverjump);
	__builtin_unreachable();
}

// ---- Panics ----

// gopanic runs deferred calls until one recovers or none is left. p lies in a frame of the caller's, and its
// value, si and goexit are set.
static RT0_NORETURN void
gopanic(struct g *gp, struct panic *p)
{
	p->link = gp->panic;
	gp->panic = p;
	if (!p->goexit)
		addpanics(gp, 1);
	for (;;) {
		// Down to floor nothing is left that the older one's deferred call has made.
		for (struct panic *q = p->link; q != NULL && gp->defer == q->floor; q = q->link)
			q->aborted = true;
		struct rt0_deferred *d = gp->defer;
		struct rt0_defercall c;
		if (d == NULL)
			break;
		if (d->fn == trymark) {
			gp->defer = d->next;
			if (p->goexit)
				continue;
			p->recovered = true;
			recovery(gp, p, d);
		}
		if (!takecall(gp, d, &c))
			continue;
		p->floor = gp->defer;
		runtime_calldeferred(c.fn, c.arg, &p->callcfa);
		p->callcfa = 0;
		if (gp->panic != p)
			runtime_throw("bad panic stack");
		if (p->recovered)
			recovery(gp, p, d);
	}
	if (!p->goexit)
		fatalpanic(gp, p);
	addpanics(gp, -gp->npanics);
	gp->panic = NULL;
	runtime_mcall(runtime_goexit0);
	__builtin_unreachable();
}

// canpanic ends the program if gp is not in a state to run deferred calls.
static void
canpanic(struct g *gp, const rt0_value *v)
{
	char text[TEXTSIZE];
	const char *why;
	if (gp == NULL)
		why = ""; // nobody could recover
	else if (gp != gp->m->curg)
		why = " [on the system stack]";
	else if (gp->m->locks != 0)
		why = " [while the runtime holds locks]";
	else if (gp->m->p == NULL || runtime_readgstatus(gp) != Grunning)
		why = " [between rt0_entersyscall and rt0_exitsyscall]";
	else
		return;
	if (v->kind == RT0_STRING || v->kind == RT0_ERROR)
		runtime_print("panic: %s", v->v.s);
	else {
		rt0_value_text(v, text, sizeof text);
		runtime_print("panic: %s", text);
	}
	runtime_die(why, "", why[0] == 0 ? 0 : 2);
}

static RT0_NORETURN void
panicvalue(rt0_value v)
{
	struct g *gp = getg();
	canpanic(gp, &v);
	struct panic p = {.value = v};
	gopanic(gp, &p);
}

NOINLINE void
rt0_panic_value(rt0_value v)
{
	panicvalue(v);
}

NOINLINE void
rt0_panic(const char *s)
{
	rt0_value v = rt0_value_string(s);
	if (s == NULL)
		v = (rt0_value){.kind = RT0_RUNTIME_ERROR, .code = RT0_ERR_NILPANIC};
	panicvalue(v);
}

void
rt0_panic_index(int64_t i, size_t n)
{
	panicvalue((rt0_value){.kind = RT0_RUNTIME_ERROR, .code = RT0_ERR_INDEX, .v.i = i, .w.n = n});
}

NOINLINE void
runtime_panicstring(const char *s)
{
	panicvalue(rt0_value_string(s));
}

NOINLINE void
runtime_panicerror(int code, const char *s)
{
	panicvalue((rt0_value){.kind = RT0_RUNTIME_ERROR, .code = code, .w.s = s});
}

// sigpanic1 is where a fault goes on (sigpanic0), on the goroutine's stack.
void
runtime_sigpanic1(struct sigframe *f)
{
	struct sigpanicinfo *si = &f->si;
	int code = RT0_ERR_NIL;
	if (si->sig == 8) // SIGFPE: FPE_INTDIV, FPE_INTOVF
		code = si->code == 1 ? RT0_ERR_DIVIDE : si->code == 2 ? RT0_ERR_OVERFLOW : RT0_ERR_FLOAT;
	else if (si->code == 0x80 || si->addr >= PAGESIZE)
		code = RT0_ERR_FAULT;
	rt0_value v = {.kind = RT0_RUNTIME_ERROR, .code = code, .v.u = code <= RT0_ERR_FAULT ? si->addr : 0};
	struct g *gp = getg();
	canpanic(gp, &v);
	struct panic p = {.value = v, .si = si};
	gopanic(gp, &p);
}

void
rt0_goexit(void)
{
	struct g *gp = getg();
	if (gp == NULL)
		runtime_fatal("rt0_goexit on a thread that is not a goroutine");
	struct panic p = {.goexit = true};
	gopanic(gp, &p);
}

// ---- Recover ----

// calledbydeferred: the function that called us (with this frame address) is the deferred one itself.
static bool
calledbydeferred(struct g *gp, const struct panic *p, const uintptr_t *bp)
{
	// Two registers are enough to find the end of any frame; clearing the others costs 20 ns.
	struct cfiregs regs;
	__asm__("" : "=m"(regs));
	uintptr_t cfa = (uintptr_t)(bp + 2);
	if (cfa == p->callcfa)
		return true; // it ended by jumping to us
	regs.r[RBP] = bp[0];
	regs.r[RSP] = cfa;
	regs.r[RIP] = bp[1];
	struct stack s = stackof(gp, cfa);
	// What has no table counts as the deferred function.
	return runtime_cfistep(&regs, true, s.lo, s.hi, &cfa) != CFI_DONE || cfa == p->callcfa;
}

NOINLINE bool
rt0_recover(rt0_value *value)
{
	struct g *gp = getg();
	struct panic *p = gp != NULL ? gp->panic : NULL;
	if (p == NULL || p->goexit || p->recovered || p->callcfa == 0 ||
	    !calledbydeferred(gp, p, __builtin_frame_address(0)))
		return false;
	p->recovered = true;
	if (value != NULL)
		*value = p->value;
	return true;
}

void
rt0_recover_result(int64_t result)
{
	struct g *gp = getg();
	if (gp != NULL && gp->panic != NULL && gp->panic->recovered)
		gp->panic->result = result;
}

void
rt0_recover_result_float(double result)
{
	struct g *gp = getg();
	if (gp != NULL && gp->panic != NULL && gp->panic->recovered)
		gp->panic->fresult = result;
}

bool
rt0_try(void (*fn)(void *), void *arg, rt0_value *value)
{
	struct try t;
	if (getg() == NULL) {
		fn(arg);
		return true;
	}
	t.d.fn = trymark;
	t.d.arg = &t;
	struct rt0_deferlink link = rt0_defer_push(&t.d);
	if (runtime_trycall(&t.regs, fn, arg) == 0) {
		*link.head = link.next;
		return true;
	}
	if (value != NULL)
		*value = t.value;
	return false;
}

bool
rt0_set_panic_on_fault(bool on)
{
	struct g *gp = getg();
	if (gp == NULL)
		return false;
	bool old = gp->paniconfault;
	gp->paniconfault = on;
	return old;
}
