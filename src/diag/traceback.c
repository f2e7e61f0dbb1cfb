// SPDX-License-Identifier: BSD-3-Clause
// traceback.c: prints goroutines and their stacks, in the layout of Go 1.22.
//
// A frame (unwind.c) is printed as the functions that are inlined there, which have no offset, and
// the one that it belongs to. Frames of the runtime show at GOTRACEBACK=system only, or when there
// is nothing else.
//
// We are in a process that may be broken, so a report is bounded and reads with care: a g and its m
// are copied through the kernel before they are looked at; a stack is walked for STACKTIME at most
// (a gigabyte of small frames takes a second); of very many goroutines the first MAXGOROUTINES are
// printed, and for no longer than REPORTTIME. What was left out is counted.
//
// Callers are in fatal paths: no allocation, no lock but symlock and printlock, little stack
// (arrays here stay below 2 KiB). With a sink the text goes into a buffer instead (rt0_stack).
#include "unwind.h"
#include "traceback.h"

enum {
	INNERFRAMES = 50, // Go's tracebackInnerFrames
	OUTERFRAMES = 50,
	NMEMO = 32, // power of two
	MAXGOROUTINES = 10000,
	CLOCKFRAMES = 4096, // frames between two looks at the clock
};
#define STACKTIME (30 * SEC)
#define REPORTTIME (60 * SEC)

enum frameclass { FRAME_NONE, FRAME_USER, FRAME_RUNTIME, FRAME_NOTCODE };

// What is known of the frames at a pc; deep in a recursion there may be millions.
struct memo {
	uintptr_t pc;
	uint8_t class;
	uint8_t n, nuser; // functions there, inlined ones too; of them, those that are the program's
};

// One function of a frame: number i, of those that are shown.
struct shown {
	struct frame f;
	uintptr_t fp; // the end of the frame, as Go prints it
	bool isret;
	uint8_t i;
};

// ---- Output ----

static void emit(struct sink *to, const char *fmt, ...) PRINTF(2, 3);

static void
emit(struct sink *to, const char *fmt, ...)
{
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	if (to == NULL) {
		runtime_vprint(fmt, ap);
	} else {
		// The byte behind what fits is for the 0 that snprintf adds.
		int n = runtime_vsnprintf(to->p, to->left + 1, fmt, ap);
		size_t k = (size_t)n < to->left ? (size_t)n : to->left;
		to->p += k;
		to->left -= k;
	}
	__builtin_va_end(ap);
}

// ---- Goroutines that may be damaged ----

// The part of struct m that we look at.
struct mview {
	bool ok;
	struct g *g0, *gsignal, *curg;
	int64_t id;
	int32_t throwing;
	uint32_t lockedext, lockedint;
};

static struct mview
viewm(const struct m *mp)
{
	struct m m; // the fields before park
	if (mp == NULL || ((uintptr_t)mp & 7) != 0 ||
	    !runtime_saferead(&m, (uintptr_t)mp, offsetof(struct m, park)))
		return (struct mview){.ok = false};
	return (struct mview){
	    true, m.g0, m.gsignal, m.curg, m.id, m.throwing, m.lockedext, m.lockedint};
}

// verbose: this goroutine is to be shown with all that we know.
static bool
verbose(const struct g *gp, const struct mview *m)
{
	bool all, crash;
	if (runtime_gotraceback(&all, &crash) >= 2)
		return true;
	return m->ok && m->throwing >= 2 && gp == m->curg;
}

// ---- Which functions are the runtime's ----
// The core has a section of its own, so it is told by address, in a stripped program too. What it
// has in libc/ is told by the names of functions and files.

extern const char __start_rt0_text[] HIDDEN, __stop_rt0_text[] HIDDEN;

// srcprefix is the folder of the runtime's sources as this file's debug information spells it,
// or NULL. Wherever rt0 was built, the rest of it is beside this file.
static const char *
srcprefix(size_t *n)
{
	static const char self[] = "diag/traceback.c";
	struct symline s;
	if (!runtime_funcline((uintptr_t)runtime_goroutineheader, &s) || s.file == NULL)
		return NULL;
	size_t len = runtime_strlen(s.file);
	if (len < sizeof(self) || runtime_strcmp(s.file + len - (sizeof(self) - 1), self) != 0)
		return NULL;
	*n = len - (sizeof(self) - 1);
	// "src/" alone (a build with relative paths) would fit any program's sources.
	return *n > 4 ? s.file : NULL;
}

static bool
isruntime(const struct symline *s, uintptr_t pc)
{
	static const char *const start[] = {
	    "_start",
	    "__libc_start_call_main",
	    "__libc_start_main",
	    "start_thread",
	    "clone",
	    "clone3",
	};
	size_t n = 0;
	if (pc >= (uintptr_t)__start_rt0_text && pc < (uintptr_t)__stop_rt0_text)
		return true;
	if (s->name == NULL)
		return runtime_issigtramp(pc);
	if (runtime_hasprefix(s->name, "runtime_"))
		return true;
	for (size_t i = 0; i < NELEM(start); i++)
		if (runtime_strcmp(s->name, start[i]) == 0)
			return true;
	if (runtime_hasprefix(s->name, "__libc_start_main"))
		return true;
	const char *prefix = s->file != NULL ? srcprefix(&n) : NULL;
	if (prefix != NULL) {
		for (size_t i = 0; i < n; i++)
			if (s->file[i] != prefix[i])
				return false;
		return true;
	}
	// RT0_INIT makes functions of the program with these names.
	return runtime_hasprefix(s->name, "rt0_") && !runtime_hasprefix(s->name, "rt0_init_") &&
	    !runtime_hasprefix(s->name, "rt0_reg_");
}

// lookuppc is where to ask about a frame: its call. The kernel makes a signal handler return to the
// first byte of a function.
static uintptr_t
lookuppc(const struct frame *f, bool isret)
{
	return f->pc - (isret && !runtime_issigtramp(f->pc));
}

static struct memo
classify(const struct frame *f, bool isret)
{
	struct symline s[MAXINLINED];
	const char *path;
	uintptr_t off, pc = lookuppc(f, isret);
	if (runtime_pcmodule(pc, &path, &off) == PC_NOTCODE)
		return (struct memo){pc, FRAME_NOTCODE, 1, 1};
	int n = runtime_funcframes(pc, s);
	struct memo m = {pc, FRAME_USER, (uint8_t)n, 0};
	if (isruntime(&s[n - 1], pc))
		m.class = FRAME_RUNTIME;
	else
		for (int i = 0; i < n; i++)
			m.nuser = (uint8_t)(m.nuser + (i == n - 1 || !isruntime(&s[i], pc)));
	return m;
}

static struct memo
frameclass(struct memo memo[NMEMO], const struct frame *f, bool isret)
{
	uintptr_t pc = f->pc - isret;
	struct memo *m = &memo[(pc ^ pc >> 5) & (NMEMO - 1)];
	if (m->class == FRAME_NONE || m->pc != pc) {
		*m = classify(f, isret);
		m->pc = pc;
	}
	return *m;
}

// ---- Frames ----

static const char *
printname(const struct symline *s)
{
	return runtime_strcmp(s->name, "main") == 0 ? "main.main" : s->name;
}

// printpos prints where pc is: tab, file and line, or what the file that holds it is called, and
// the offset from the function, or else from the start of that file.
static void
printpos(struct sink *to, const struct symline *s, uintptr_t pc, uintptr_t lookup)
{
	const char *path;
	uintptr_t off;
	int kind = runtime_pcmodule(lookup, &path, &off);
	if (s->file != NULL && s->line != 0)
		emit(to, "\t%s:%d", s->file, s->line);
	else if (kind == PC_CODE && path != NULL)
		emit(to, "\t%s", path);
	else
		emit(to, "\t?:0");
	if (s->name != NULL)
		off = pc - s->entry;
	else if (kind == PC_CODE)
		off += pc - lookup;
	if (off != 0)
		emit(to, " +0x%lx", (unsigned long)off);
}

// printshown prints one function of a frame. all: those of the runtime are counted in x->i, too.
static void
printshown(struct sink *to, const struct shown *x, bool all, bool detail)
{
	struct symline s[MAXINLINED];
	uintptr_t pc = lookuppc(&x->f, x->isret);
	int n = runtime_funcframes(pc, s), k = x->i;
	int i = 0;
	while (i < n - 1 && ((!all && isruntime(&s[i], pc)) || k-- > 0))
		i++;
	if (s[i].name != NULL)
		emit(to, "%s(...)\n", printname(&s[i]));
	else
		emit(to, "0x%lx\n", (unsigned long)x->f.pc);
	if (i < n - 1) { // inlined
		if (s[i].file != NULL && s[i].line != 0)
			emit(to, "\t%s:%d\n", s[i].file, s[i].line);
		else
			emit(to, "\t?:0\n");
		return;
	}
	printpos(to, &s[i], x->f.pc, pc);
	if (detail)
		emit(to, " fp=0x%lx sp=0x%lx pc=0x%lx", (unsigned long)x->fp, (unsigned long)x->f.sp,
		    (unsigned long)x->f.pc);
	emit(to, "\n");
}

static void
printcreatedby(struct sink *to, const struct g *g, bool detail)
{
	struct symline s[MAXINLINED];
	if (g->gopc == 0 || g->goid == 1)
		return;
	uintptr_t pc = g->gopc;
	int n = runtime_funcframes(pc - 1, s);
	if (!detail && s[n - 1].name != NULL && isruntime(&s[n - 1], pc - 1))
		return;
	// As in Go, the innermost function: it is the one with the go statement.
	if (s[0].name != NULL)
		emit(to, "created by %s", printname(&s[0]));
	else
		emit(to, "created by 0x%lx", (unsigned long)pc);
	if (g->parentgoid != 0)
		emit(to, " in goroutine %llu", (unsigned long long)g->parentgoid);
	emit(to, "\n");
	s[0].entry = s[n - 1].entry;
	printpos(to, &s[0], pc, pc - 1);
	emit(to, "\n");
}

// fpof is the address above the frame at cur, if u has moved on to its caller.
static uintptr_t
fpof(const struct frame *cur, const struct unwinder *u, bool more)
{
	if (more && u->isret && u->f.sp > cur->sp)
		return u->f.sp;
	return cur->bp != 0 && cur->bp >= cur->sp ? cur->bp + 16 : cur->sp;
}

// printstack prints the frames from u on and returns how many. The walk is made once: a stack
// may be a gigabyte deep, and which frames are the outermost shows only at its end.
static uint64_t
printstack(struct sink *to, struct unwinder *u, bool all, bool detail)
{
	struct memo memo[NMEMO] = {{.class = FRAME_NONE}};
	struct shown tail[OUTERFRAMES];
	uint64_t n = 0, steps = 0;
	int64_t end = runtime_nanotime() + STACKTIME;
	bool more = true, late = false;
	while (more && !late) {
		struct frame cur = u->f;
		bool isret = u->isret;
		struct memo m = frameclass(memo, &cur, isret);
		if (m.class == FRAME_NOTCODE && steps > 0)
			break;
		more = runtime_unwindstep(u);
		int k = all ? m.n : m.nuser;
		for (int i = 0; i < k; i++, n++) {
			struct shown x = {cur, fpof(&cur, u, more), isret, (uint8_t)i};
			if (n < INNERFRAMES)
				printshown(to, &x, all, detail);
			else
				tail[(n - INNERFRAMES) % OUTERFRAMES] = x;
		}
		late = ++steps % CLOCKFRAMES == 0 && runtime_nanotime() > end;
	}
	if (late) {
		// The outermost frames are not known, and the last ones seen are of no interest.
		emit(to, "...additional frames elided...\n");
		return n;
	}
	uint64_t i = INNERFRAMES;
	if (n > INNERFRAMES + OUTERFRAMES) {
		i = n - OUTERFRAMES;
		emit(to, "...%llu frames elided...\n", (unsigned long long)(i - INNERFRAMES));
	}
	for (; i < n; i++) {
		struct shown *x = &tail[(i - INNERFRAMES) % OUTERFRAMES];
		printshown(to, x, all, detail);
	}
	return n;
}

// ---- Goroutines ----

// stacksof tells u about the stacks of gp; g is what gp holds.
static void
stacksof(struct unwinder *u, const struct g *gp, const struct g *g, const struct mview *m)
{
	struct g curg;
	// The bounds of g0 and gsignal may be a guess (the stack of a thread that we did not make).
	if (!m->ok || (gp != m->g0 && gp != m->gsignal)) {
		u->known[0] = g->stack;
		u->known[1] = g->segment;
	} else if (m->curg != NULL && runtime_saferead(&curg, (uintptr_t)m->curg, sizeof(curg))) {
		// The stacks of the scheduler and of signals end where they left the goroutine's,
		// which has its own dump.
		u->end = curg.stack;
	}
}

static void
traceback1(struct sink *to, const struct g *gp, const struct g *g, const struct mview *m,
    struct frame f, bool isret)
{
	struct unwinder u;
	bool detail = verbose(gp, m);
	// If nothing but the runtime is on the stack, that is what the reader needs to see.
	for (int all = detail; all < 2; all++) {
		runtime_unwindinit(&u, f, isret);
		stacksof(&u, gp, g, m);
		runtime_trapentry(&u);
		if (printstack(to, &u, all != 0, detail) != 0)
			break;
	}
	printcreatedby(to, g, detail);
}

// viewg copies what gp points to. False: it points nowhere.
static bool
viewg(const struct g *gp, struct g *g, struct mview *m)
{
	bool ok = gp != NULL && ((uintptr_t)gp & 7) == 0 &&
	    runtime_saferead(g, (uintptr_t)gp, sizeof(*g));
	if (!ok)
		*g = (struct g){.goid = 0};
	*m = viewm(g->m);
	return ok;
}

void
runtime_tracebackto(struct sink *to, struct g *gp, struct frame f, bool isret)
{
	struct g g;
	struct mview m;
	viewg(gp, &g, &m);
	traceback1(to, gp, &g, &m, f, isret);
}

void
runtime_tracebacktrap(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp)
{
	runtime_tracebackto(NULL, gp, (struct frame){pc, sp, bp}, false);
}

void
runtime_traceback(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp)
{
	// What a call has returned to is still below sp. If it is not there, pc comes from a trap.
	uintptr_t below = pc;
	bool isret = sp == 0 || (runtime_saferead(&below, sp - 8, 8) && below == pc) ||
	    runtime_iscallreturn(pc);
	runtime_tracebackto(NULL, gp, (struct frame){pc, sp, bp}, isret);
}

static void
header(struct sink *to, const struct g *gp, const struct g *g, const struct mview *m)
{
	static const char *const names[] = {
	    "idle",
	    "runnable",
	    "running",
	    "syscall",
	    "waiting",
	    "???",
	    "dead",
	    "???",
	    "copystack",
	    "preempted",
	};
	uint32_t status = g->atomicstatus;
	bool scan = (status & Gscan) != 0;
	status &= ~(uint32_t)Gscan;
	const char *text = status < NELEM(names) ? names[status] : "???";
	if (status == Gwaiting && g->waitreason != waitReasonZero)
		text = runtime_waitreasontext((struct g *)g);
	int64_t minutes = 0;
	if ((status == Gwaiting || status == Gsyscall) && g->waitsince > 0)
		minutes = (runtime_nanotime() - g->waitsince) / (60 * SEC);
	// Bound to a thread for a while by preemption is not locked: the program did not ask for it.
	struct mview locked = viewm(g->lockedm);
	bool islocked = locked.ok && (locked.lockedext | locked.lockedint) != 0;
	emit(to, "goroutine %llu", (unsigned long long)g->goid);
	if (verbose(gp, m)) {
		emit(to, " gp=0x%lx", (unsigned long)gp);
		if (m->ok)
			emit(to, " m=%lld mp=0x%lx", (long long)m->id, (unsigned long)g->m);
		else if (g->m != NULL)
			emit(to, " m=? mp=0x%lx", (unsigned long)g->m);
		else
			emit(to, " m=nil");
	}
	emit(to, " [%s%s", text, scan ? " (scan)" : "");
	if (minutes >= 1)
		emit(to, ", %lld minutes", (long long)minutes);
	emit(to, "%s]:\n", islocked ? ", locked to thread" : "");
}

void
runtime_goroutineheaderto(struct sink *to, struct g *gp)
{
	struct g g;
	struct mview m;
	viewg(gp, &g, &m);
	header(to, gp, &g, &m);
}

void
runtime_goroutineheader(struct g *gp)
{
	runtime_goroutineheaderto(NULL, gp);
}

// ownstack finds where g, which is running on this thread, was left for the stack that we are
// on: the first frame of our own that lies on g's stack.
static bool
ownstack(const struct g *g, struct frame *f, bool *isret)
{
	struct unwinder u;
	uintptr_t *bp = __builtin_frame_address(0);
	runtime_unwindinit(&u, (struct frame){bp[1], (uintptr_t)(bp + 2), bp[0]}, true);
	u.known[0] = g->stack;
	u.known[1] = g->segment;
	for (int i = 0; i < 200 && runtime_unwindstep(&u); i++) {
		if ((u.f.sp > g->stack.lo && u.f.sp <= g->stack.hi) ||
		    (u.f.sp > g->segment.lo && u.f.sp <= g->segment.hi)) {
			*f = u.f;
			*isret = u.isret;
			return true;
		}
	}
	return false;
}

// tracebackgto prints a goroutine that is not running, or runs on this thread while we are on g0.
// The others' stacks may change under us; we read no more than memory that stays theirs.
void
runtime_tracebackgto(struct sink *to, struct g *gp)
{
	struct g g, *me = getg();
	struct mview m;
	struct frame f = {0, 0, 0};
	bool isret = true;
	if (!viewg(gp, &g, &m)) {
		emit(to, "goroutine ? gp=0x%lx [not readable]:\n", (unsigned long)gp);
		return;
	}
	uint32_t status = g.atomicstatus & ~(uint32_t)Gscan;
	bool detail = verbose(gp, &m);
	header(to, gp, &g, &m);
	// On g0, sched is where mcall or systemstack left gp. In a signal handler it is stale.
	bool mine = me != NULL && g.m == me->m;
	if (g.asyncstop != 0) {
		f = (struct frame){g.syscallpc, g.syscallsp, g.syscallbp};
		isret = false;
	} else if (status == Grunning &&
	    !(mine && (ownstack(&g, &f, &isret) || me == me->m->g0))) {
		emit(to, "\tgoroutine running on other thread; stack unavailable\n");
		printcreatedby(to, &g, detail);
		return;
	} else if (status == Gsyscall && g.syscallpc != 0) {
		f = (struct frame){g.syscallpc, g.syscallsp, g.syscallbp};
	} else if (f.pc == 0) {
		uintptr_t sp = g.sched.sp, w[2];
		if ((sp & 7) != 0 || !runtime_saferead(w, sp + offsetof(struct switchframe, rbp), sizeof(w))) {
			emit(to, "\tstack unavailable: sp=0x%lx stack=[0x%lx, 0x%lx]\n",
			    (unsigned long)sp, (unsigned long)g.stack.lo,
			    (unsigned long)g.stack.hi);
			printcreatedby(to, &g, detail);
			return;
		}
		f = (struct frame){w[1], sp + sizeof(struct switchframe), w[0]};
	}
	// One that has not run yet is shown at the start of its function, not of ours.
	if (f.pc == (uintptr_t)runtime_gostart && g.startpc != 0 && !detail) {
		struct symline s;
		runtime_funcline(g.startpc, &s);
		if (s.name != NULL)
			emit(to, "%s(...)\n", printname(&s));
		else
			emit(to, "0x%lx\n", (unsigned long)g.startpc);
		printpos(to, &s, g.startpc, g.startpc);
		emit(to, "\n");
		printcreatedby(to, &g, detail);
		return;
	}
	traceback1(to, gp, &g, &m, f, isret);
}

void
runtime_tracebackg(struct g *gp)
{
	runtime_tracebackgto(NULL, gp);
}

struct others {
	struct sink *to;
	struct g *me, *curg;
	uint64_t n, elided;
	int64_t end; // ns, when no more is printed
};

static void
tracebackother(struct g *gp, void *arg)
{
	struct others *o = arg;
	struct g g;
	struct mview m;
	if (gp == o->me || gp == o->curg)
		return;
	if (o->elided > 0 || o->n >= MAXGOROUTINES || runtime_nanotime() > o->end ||
	    (o->to != NULL && o->to->left == 0)) {
		o->elided++;
		return;
	}
	if (viewg(gp, &g, &m)) {
		if ((g.atomicstatus & ~(uint32_t)Gscan) == Gdead)
			return;
		if (g.issystem && !verbose(gp, &m))
			return;
	}
	o->n++;
	emit(o->to, "\n");
	runtime_tracebackgto(o->to, gp);
}

void
runtime_tracebackothersto(struct sink *to, struct g *me)
{
	struct g *self = getg();
	struct others o = {.to = to, .me = me, .end = runtime_nanotime() + REPORTTIME};
	if (self != NULL && self->m->curg != NULL && self->m->curg != me) {
		tracebackother(self->m->curg, &o);
		o.curg = self->m->curg;
	}
	runtime_foreachg(tracebackother, &o);
	if (o.elided > 0)
		emit(to, "\n...%llu goroutines elided...\n", (unsigned long long)o.elided);
}

// tracebackothers prints every goroutine but me, first the one that this thread runs.
void
runtime_tracebackothers(struct g *me)
{
	runtime_tracebackothersto(NULL, me);
}
