// SPDX-License-Identifier: BSD-3-Clause
// traceback.c: prints goroutines and their stacks, in the layout of Go 1.22.
//
// Frames are found by frame pointers: all of rt0, and what `rt0 build` compiles, keeps rbp. A frame
// is at bp: [bp] is the caller's bp, [bp+8] the address to return to. Code without frame pointers
// (most of a libc) costs the frames that it is in, or ends the stack there.
//
// A stack may be damaged, so nothing on it is believed: bp must be aligned and grow. Inside the
// goroutine's stack we load directly; elsewhere (a thread's own stack, a morestack segment that
// is not on top) through the kernel, which says EFAULT where we would crash. Moves to another
// stack are counted, growing ones are bounded by the address space: every walk ends.
//
// Callers are in fatal paths: no allocation, no lock but symlock, little stack (arrays here stay
// below 2 KiB: the crash stack is 16 KiB).
#include "symtab.h"

enum {
	INNERFRAMES = 50, // Go's tracebackInnerFrames
	OUTERFRAMES = 50,
	NMEMO = 32, // power of two
	NJUMPS = 16,
	LOWESTPC = 4096,
};

enum frameclass { FRAME_NONE, FRAME_USER, FRAME_RUNTIME, FRAME_NOTCODE };

struct unwinder {
	struct frame f;
	bool isret;            // f.pc is where a call returns to, so its call is at f.pc - 1
	bool first;            // f is the innermost frame
	int jumps;             // moves to another stack that are left
	uintptr_t low;         // the next bp must not be below this, unless it is on another stack
	struct g *gp;          // NULL: none
	struct stack known[2]; // memory that we may load from directly
	struct {
		uintptr_t pc;
		enum frameclass class;
	} memo[NMEMO]; // of frames deep in a recursion, which may have millions
};

// ---- Which functions are the runtime's ----

// srcprefix is the folder of the runtime's sources as this file's debug information spells it,
// or NULL. Wherever rt0 was built, the rest of it is beside symtab.c.
static const char *
srcprefix(size_t *n)
{
	static const char self[] = "diag/symtab.c";
	struct symline s;
	if (!runtime_funcline((uintptr_t)runtime_funcline, &s) || s.file == NULL)
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
	if (s->name == NULL) {
		// A stripped runtime cannot name itself. Then what has no name beside it is hidden
		// too; if that leaves nothing, all is printed.
		struct symline self;
		const char *path, *selfpath;
		uintptr_t off;
		runtime_funcline((uintptr_t)runtime_funcline, &self);
		runtime_pcmodule(pc, &path, &off);
		runtime_pcmodule((uintptr_t)runtime_funcline, &selfpath, &off);
		return self.name == NULL && path != NULL && path == selfpath;
	}
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

static enum frameclass
classify(uintptr_t pc)
{
	struct symline s;
	const char *path;
	uintptr_t off;
	if (runtime_pcmodule(pc, &path, &off) == PC_NOTCODE)
		return FRAME_NOTCODE;
	runtime_funcline(pc, &s);
	return isruntime(&s, pc) ? FRAME_RUNTIME : FRAME_USER;
}

static enum frameclass
frameclass(struct unwinder *u)
{
	uintptr_t pc = u->f.pc - u->isret;
	unsigned i = (unsigned)(pc ^ pc >> 5) & (NMEMO - 1);
	if (u->memo[i].class == FRAME_NONE || u->memo[i].pc != pc) {
		u->memo[i].pc = pc;
		u->memo[i].class = classify(pc);
	}
	return u->memo[i].class;
}

// ---- Unwinding ----

static int
knownstack(const struct unwinder *u, uintptr_t p)
{
	for (int i = 0; i < (int)NELEM(u->known); i++)
		if (p >= u->known[i].lo && p < u->known[i].hi && u->known[i].hi - p >= 16)
			return i;
	return -1;
}

// loadpair reads the two words at p. The sanitizers must not look: it is somebody else's frame.
__attribute__((no_sanitize_address, no_sanitize_thread)) static bool
loadpair(const struct unwinder *u, uintptr_t p, uintptr_t w[2])
{
	if (p == 0 || (p & 7) != 0)
		return false;
	if (knownstack(u, p) < 0)
		return runtime_saferead(w, p, 16);
	w[0] = ((const uintptr_t *)p)[0];
	w[1] = ((const uintptr_t *)p)[1];
	return true;
}

// iscallreturn: the code in front of pc is a call instruction.
static bool
iscallreturn(uintptr_t pc)
{
	uint8_t b[7];
	const char *path;
	uintptr_t off;
	if (pc < LOWESTPC || runtime_pcmodule(pc - 1, &path, &off) == PC_NOTCODE ||
	    !runtime_saferead(b, pc - sizeof(b), sizeof(b)))
		return false;
	if (b[2] == 0xe8)
		return true;
	static const uint8_t len[] = {2, 3, 4, 6, 7}; // call through register or memory: ff /2
	for (size_t i = 0; i < sizeof(len); i++)
		if (b[7 - len[i]] == 0xff && (b[8 - len[i]] & 0x38) == 0x10)
			return true;
	return false;
}

static void
unwindinit(struct unwinder *u, struct g *gp, struct frame f, bool isret)
{
	*u = (struct unwinder){.f = f, .isret = isret, .first = true, .jumps = NJUMPS, .gp = gp};
	// The bounds of g0 and gsignal may be a guess (the stack of a thread that we did not make).
	if (gp != NULL && (gp->m == NULL || (gp != gp->m->g0 && gp != gp->m->gsignal))) {
		u->known[0] = gp->stack;
		u->known[1] = gp->segment;
	}
	// A call of a function pointer that leads nowhere: the caller is the one to show.
	uintptr_t w[2];
	const char *path;
	uintptr_t off;
	if (!isret && runtime_pcmodule(f.pc, &path, &off) == PC_NOTCODE && loadpair(u, f.sp, w) &&
	    iscallreturn(w[0])) {
		u->f.pc = w[0];
		u->f.sp += 8;
		u->isret = true;
	}
}

// trapcaller finds the caller of a function that a signal stopped where it has no frame yet, no
// longer, or never. False: it has one, as far as we can tell.
static bool
trapcaller(struct unwinder *u, struct frame *caller)
{
	uintptr_t w[2];
	struct symline s;
	uint8_t code[8], insn;
	if (!loadpair(u, u->f.sp, w) || !runtime_saferead(&insn, u->f.pc, 1))
		return false;
	*caller = (struct frame){w[0], u->f.sp + 8, u->f.bp};
	if (insn == 0xc3) // ret
		return iscallreturn(w[0]);
	if (!runtime_funcline(u->f.pc, &s) || s.name == NULL ||
	    !runtime_saferead(code, s.entry, sizeof(code)))
		return false;
	uintptr_t at = u->f.pc - s.entry,
		  push = code[0] == 0xf3 && code[1] == 0x0f ? 4 : 0; // endbr64
	if (at <= push)
		return iscallreturn(w[0]);
	if (code[push] != 0x55) // not push %rbp: perhaps a function without a frame
		return iscallreturn(w[0]);
	if (at == push + 1) {
		*caller = (struct frame){w[1], u->f.sp + 16, w[0]};
		return iscallreturn(w[1]);
	}
	return false;
}

// unwindnext moves u to the caller's frame. False: there is none, or the stack is damaged.
static bool
unwindnext(struct unwinder *u)
{
	uintptr_t w[2], bp = u->f.bp;
	struct frame caller;
	bool first = u->first;
	u->first = false;
	if (first && !u->isret && u->f.sp != 0 && trapcaller(u, &caller)) {
		u->f = caller;
		u->isret = true;
		return true;
	}
	if (bp < u->low || (first && u->f.sp != 0 && bp < u->f.sp)) {
		// Down is where another stack may be: the one that called morestack.
		if (u->jumps-- <= 0 || knownstack(u, bp) == knownstack(u, u->low))
			return false;
	}
	// The stacks of the scheduler and of signals end where they left the goroutine's, which has
	// its own dump.
	struct m *mp = u->gp != NULL ? u->gp->m : NULL;
	if (mp != NULL && (u->gp == mp->g0 || u->gp == mp->gsignal) && mp->curg != NULL &&
	    bp >= mp->curg->stack.lo && bp < mp->curg->stack.hi)
		return false;
	if (!loadpair(u, bp, w) || w[1] < LOWESTPC)
		return false;
	// A fault has entered its goroutine here (defer.c): above is what it stopped, not a call.
	u->first = u->f.pc == (uintptr_t)runtime_sigpanicret;
	u->f = (struct frame){w[1], bp + 16, w[0]};
	u->isret = !u->first;
	u->low = bp + 16;
	if (u->first && loadpair(u, bp + 16, w))
		u->f.sp = w[0];
	return frameclass(u) != FRAME_NOTCODE;
}

// callers stores pc and then the addresses that it and its callers return to, at most n. With
// empty bounds any memory may hold the stack. Signal-safe: it asks nobody about symbols.
int
runtime_callers(uintptr_t pc, uintptr_t bp, struct stack bounds, uintptr_t *pcs, int n)
{
	struct unwinder u = {.known = {bounds}};
	uintptr_t w[2];
	int i = 0;
	if (n > 0)
		pcs[i++] = pc;
	while (i < n) {
		if (bp < u.low || (bounds.hi != 0 && knownstack(&u, bp) < 0) ||
		    !loadpair(&u, bp, w))
			break;
		if (w[1] < LOWESTPC)
			break;
		pcs[i++] = w[1];
		u.low = bp + 16;
		bp = w[0];
	}
	return i;
}

// ---- Printing ----

// verbose: this goroutine is to be shown with all that we know.
static bool
verbose(struct g *gp)
{
	bool all, crash;
	if (runtime_gotraceback(&all, &crash) >= 2)
		return true;
	return gp != NULL && gp->m != NULL && gp->m->throwing >= 2 && gp == gp->m->curg;
}

static const char *
printname(const struct symline *s)
{
	return runtime_strcmp(s->name, "main") == 0 ? "main.main" : s->name;
}

// printpos prints where pc is: tab, file and line, or what the file that holds it is called, and
// the offset from the function, or else from the start of that file.
static void
printpos(const struct symline *s, uintptr_t pc, uintptr_t lookup)
{
	const char *path;
	uintptr_t off;
	int kind = runtime_pcmodule(lookup, &path, &off);
	if (s->file != NULL && s->line != 0)
		runtime_print("\t%s:%d", s->file, s->line);
	else if (kind == PC_CODE && path != NULL)
		runtime_print("\t%s", path);
	else
		runtime_print("\t?:0");
	if (s->name != NULL)
		off = pc - s->entry;
	else if (kind == PC_CODE)
		off += pc - lookup;
	if (off != 0)
		runtime_print(" +0x%lx", (unsigned long)off);
}

static void
printframe(const struct frame *f, bool isret, bool detail)
{
	struct symline s;
	// The kernel makes a signal handler return to the first byte of a function.
	if (isret && runtime_funcline(f->pc, &s) && s.entry == f->pc && !iscallreturn(f->pc))
		isret = false;
	runtime_funcline(f->pc - isret, &s);
	if (s.name != NULL)
		runtime_print("%s(...)\n", printname(&s));
	else
		runtime_print("0x%lx\n", (unsigned long)f->pc);
	printpos(&s, f->pc, f->pc - isret);
	if (detail)
		runtime_print(" fp=0x%lx sp=0x%lx pc=0x%lx",
		    (unsigned long)(f->bp != 0 ? f->bp + 16 : f->sp), (unsigned long)f->sp,
		    (unsigned long)f->pc);
	runtime_print("\n");
}

static void
printcreatedby(struct g *gp)
{
	struct symline s;
	if (gp == NULL || gp->gopc == 0 || gp->goid == 1)
		return;
	uintptr_t pc = gp->gopc;
	runtime_funcline(pc - 1, &s);
	if (!verbose(gp) && s.name != NULL && isruntime(&s, pc - 1))
		return;
	if (s.name != NULL)
		runtime_print("created by %s", printname(&s));
	else
		runtime_print("created by 0x%lx", (unsigned long)pc);
	if (gp->parentgoid != 0)
		runtime_print(" in goroutine %llu", (unsigned long long)gp->parentgoid);
	runtime_print("\n");
	printpos(&s, pc, pc - 1);
	runtime_print("\n");
}

// printstack prints the frames from f on and returns how many. The walk is made once: a stack
// may be a gigabyte deep, and which frames are the outermost shows only at its end.
static uint64_t
printstack(struct g *gp, struct frame f, bool isret, bool all, bool detail)
{
	struct unwinder u;
	struct frame tail[OUTERFRAMES];
	uint64_t n = 0;
	unwindinit(&u, gp, f, isret);
	do {
		if (!all && frameclass(&u) == FRAME_RUNTIME)
			continue;
		if (n < INNERFRAMES)
			printframe(&u.f, u.isret, detail);
		else
			tail[(n - INNERFRAMES) % OUTERFRAMES] = u.f;
		n++;
	} while (unwindnext(&u));
	uint64_t i = INNERFRAMES;
	if (n > INNERFRAMES + OUTERFRAMES) {
		i = n - OUTERFRAMES;
		runtime_print("...%llu frames elided...\n", (unsigned long long)(i - INNERFRAMES));
	}
	for (; i < n; i++)
		printframe(&tail[(i - INNERFRAMES) % OUTERFRAMES], true, detail);
	return n;
}

static void
traceback1(struct g *gp, struct frame f, bool isret)
{
	bool detail = verbose(gp);
	// If nothing but the runtime is on the stack, that is what the reader needs to see.
	if (printstack(gp, f, isret, detail, detail) == 0)
		printstack(gp, f, isret, true, detail);
	printcreatedby(gp);
}

void
runtime_tracebacktrap(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp)
{
	traceback1(gp, (struct frame){pc, sp, bp}, false);
}

void
runtime_traceback(uintptr_t pc, uintptr_t sp, uintptr_t bp, struct g *gp)
{
	// What a call has returned to is still below sp. If it is not there, pc comes from a trap.
	uintptr_t below = pc;
	if (sp != 0 && (!runtime_saferead(&below, sp - 8, 8) || below != pc) && !iscallreturn(pc))
		runtime_tracebacktrap(pc, sp, bp, gp);
	else
		traceback1(gp, (struct frame){pc, sp, bp}, true);
}

void
runtime_goroutineheader(struct g *gp)
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
	uint32_t status = runtime_readgstatus(gp);
	bool scan = (status & Gscan) != 0;
	status &= ~(uint32_t)Gscan;
	const char *text = status < NELEM(names) ? names[status] : "???";
	if (status == Gwaiting && gp->waitreason != waitReasonZero)
		text = runtime_waitreasontext(gp);
	int64_t minutes = 0;
	if ((status == Gwaiting || status == Gsyscall) && gp->waitsince != 0)
		minutes = (runtime_nanotime() - gp->waitsince) / (60 * SEC);
	runtime_print("goroutine %llu", (unsigned long long)gp->goid);
	if (verbose(gp)) {
		struct m *mp = gp->m;
		runtime_print(" gp=0x%lx", (unsigned long)gp);
		if (mp != NULL)
			runtime_print(" m=%lld mp=0x%lx", (long long)mp->id, (unsigned long)mp);
		else
			runtime_print(" m=nil");
	}
	runtime_print(" [%s%s", text, scan ? " (scan)" : "");
	if (minutes >= 1)
		runtime_print(", %lld minutes", (long long)minutes);
	runtime_print("%s]:\n", gp->lockedm != NULL ? ", locked to thread" : "");
}

// ownstack finds where gp, which is running on this thread, was left for the stack that we are
// on: the first frame of our own chain that lies on gp's stack.
static bool
ownstack(struct g *gp, struct frame *f)
{
	struct unwinder u = {.gp = NULL};
	uintptr_t bp = (uintptr_t)__builtin_frame_address(0), w[2];
	for (int i = 0; i < 200 && loadpair(&u, bp, w); i++) {
		if (w[0] >= gp->stack.lo && w[0] < gp->stack.hi) {
			if (w[1] < LOWESTPC)
				return false;
			*f = (struct frame){w[1], 0, w[0]};
			return true;
		}
		bp = w[0];
	}
	return false;
}

// tracebackg prints a goroutine that is not running, or runs on this thread while we are on g0.
// The others' stacks may change under us; we read no more than memory that stays theirs.
void
runtime_tracebackg(struct g *gp)
{
	struct frame f = {0, 0, 0};
	uint32_t status = runtime_readgstatus(gp) & ~(uint32_t)Gscan;
	struct g *me = getg();
	runtime_goroutineheader(gp);
	// On g0, sched is where mcall or systemstack left gp. In a signal handler it is stale.
	bool mine = me != NULL && gp->m == me->m;
	if (status == Grunning && !(mine && (ownstack(gp, &f) || me == me->m->g0))) {
		runtime_print("\tgoroutine running on other thread; stack unavailable\n");
		printcreatedby(gp);
		return;
	}
	if (status == Gsyscall && gp->syscallpc != 0) {
		f = (struct frame){gp->syscallpc, gp->syscallsp, gp->syscallbp};
	} else if (f.pc == 0) {
		struct unwinder u;
		uintptr_t sp = gp->sched.sp, w[2];
		unwindinit(&u, gp, f, true);
		if (!loadpair(&u, sp + FRAME_RBP, w)) {
			runtime_print("\tstack unavailable: sp=0x%lx stack=[0x%lx, 0x%lx]\n",
			    (unsigned long)sp, (unsigned long)gp->stack.lo,
			    (unsigned long)gp->stack.hi);
			printcreatedby(gp);
			return;
		}
		f = (struct frame){w[1], sp + FRAME_SIZE, w[0]};
	}
	// One that has not run yet is shown at the start of its function, not of ours.
	if (f.pc == (uintptr_t)runtime_gostart && gp->startpc != 0 && !verbose(gp)) {
		printframe(&(struct frame){gp->startpc, f.sp, 0}, false, false);
		printcreatedby(gp);
		return;
	}
	traceback1(gp, f, true);
}

struct others {
	struct g *me, *curg;
};

static void
tracebackother(struct g *gp, void *arg)
{
	struct others *o = arg;
	if (gp == o->me || gp == o->curg || (runtime_readgstatus(gp) & ~(uint32_t)Gscan) == Gdead)
		return;
	if (gp->issystem && !verbose(gp))
		return;
	runtime_print("\n");
	runtime_tracebackg(gp);
}

// tracebackothers prints every goroutine but me, first the one that this thread runs.
void
runtime_tracebackothers(struct g *me)
{
	struct g *self = getg();
	struct others o = {me, NULL};
	if (self != NULL && self->m->curg != NULL && self->m->curg != me) {
		tracebackother(self->m->curg, &o);
		o.curg = self->m->curg;
	}
	runtime_foreachg(tracebackother, &o);
}
