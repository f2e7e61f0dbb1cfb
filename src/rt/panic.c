// SPDX-License-Identifier: BSD-3-Clause
// panic.c: how a program dies: throw, fatal, panic, faults. Go's texts, exit code 2.
//
// throw   the runtime has found itself broken, or a limit is hit. Frames of the runtime are shown.
// fatal   the program did what cannot be recovered from. Its own frames only.
// panic   the goroutine did something wrong, and no deferred call has recovered (defer.c).
// All print to fd 2 by plain writes, allocate nothing, and end in dopanic. The first m to get there
// reports; others stop where they are. A fault while reporting ends at once, with another code.
#include "../runtime.h"
#include "../os/linux/linux.h"

uint32_t runtime_panicking BOOTDATA;
static struct mutex paniclk = {.rank = LOCKRANK_PANIC}; // held by the m that reports, until the end

// The crash stack (Go's gcrash): for a fault while a fault is being reported, when neither the
// goroutine's stack nor the signal stack can be trusted.
enum { CRASHSTACK = 16 << 10 };
static char gcrashstack[CRASHSTACK] __attribute__((aligned(16)));

static void
panicduringpanic(void *arg)
{
	(void)arg;
	runtime_print("panic during panic\n");
	runtime_exitprocess(3);
}

// startpanic lets one m report. A thread without a g has no m to remember: it reports too.
void
runtime_startpanic(void)
{
	struct g *gp = getg();
	if (gp == NULL) {
		atomic_xadd(&runtime_panicking, 1);
		return;
	}
	struct m *mp = gp->m;
	switch (mp->dying) {
	case 0:
		mp->dying = 1;
		atomic_xadd(&runtime_panicking, 1);
		runtime_lock(&paniclk);
		return;
	case 1:
		// Something failed while we were reporting. Say so, once, without a traceback.
		mp->dying = 2;
		runtime_callon(panicduringpanic, NULL, (uintptr_t)gcrashstack + CRASHSTACK);
		__builtin_unreachable();
	default:
		runtime_exitprocess(5);
	}
}

// dopanic prints the stacks that GOTRACEBACK asks for and ends the process. gp stands at (pc, sp, bp);
// trap: pc is where a signal stopped it, not a return address.
void
runtime_dopanic(struct g *gp, uintptr_t pc, uintptr_t sp, uintptr_t bp, bool trap)
{
	void (*traceback)(uintptr_t, uintptr_t, uintptr_t, struct g *) = trap ? runtime_tracebacktrap : runtime_traceback;
	bool all, crash;
	int level = runtime_gotraceback(&all, &crash);
	if (gp != NULL && level > 0) {
		struct m *mp = gp->m;
		if (gp != mp->curg)
			all = true;
		if (gp != mp->g0 && gp != mp->gsignal) {
			runtime_print("\n");
			runtime_goroutineheader(gp);
			traceback(pc, sp, bp, gp);
		} else if (level >= 2 || mp->throwing >= 2) {
			runtime_print("\nruntime stack:\n");
			traceback(pc, sp, bp, gp);
		}
		if (all)
			runtime_tracebackothers(gp);
	}
	runtime_printseed();
	if (crash)
		runtime_dieFromSignal(SIGABRT);
	runtime_exitprocess(2);
}

// die prints prefix and s, the stacks, and ends the program. throwing: 0 panic, 1 fatal, 2 throw.
void
runtime_die(const char *prefix, const char *s, int throwing)
{
	uintptr_t *bp = __builtin_frame_address(0);
	struct g *gp = getg();
	if (gp != NULL)
		gp->m->throwing = gp->m->throwing > throwing ? gp->m->throwing : throwing;
	runtime_print("%s%s\n", prefix, s);
	runtime_startpanic();
	runtime_dopanic(gp, bp[1], (uintptr_t)(bp + 2), bp[0], false);
}

NOINLINE RT0_NORETURN void
runtime_throw(const char *s)
{
	runtime_die("fatal error: ", s, 2);
}

NOINLINE RT0_NORETURN void
runtime_fatal(const char *s)
{
	runtime_die("fatal error: ", s, 1);
}

void
rt0_fatal(const char *text)
{
	runtime_die("fatal error: ", text, 1);
}

void
runtime_badcontext(const char *func, const char *want)
{
	runtime_print("runtime: %s must run on %s\n", func, want);
	runtime_throw("called in the wrong context");
}

void
runtime_printsignal(const struct sigpanicinfo *si)
{
	static const struct {
		uint32_t sig;
		const char *text;
	} names[] = {
	    {SIGSEGV, "SIGSEGV: segmentation violation"},
	    {SIGBUS, "SIGBUS: bus error"},
	    {SIGFPE, "SIGFPE: floating-point exception"},
	    {SIGILL, "SIGILL: illegal instruction"},
	};
	const char *text = "signal";
	for (size_t i = 0; i < NELEM(names); i++)
		if (names[i].sig == si->sig)
			text = names[i].text;
	runtime_print("[signal %s code=0x%x addr=0x%lx pc=0x%lx]\n", text, si->code, (unsigned long)si->addr, (unsigned long)si->pc);
}

// sigpanic reports a fault that is no panic. We are on the signal stack; gp is what the thread ran.
void
runtime_sigpanic(struct sigpanicinfo *si, struct g *gp, const char *library)
{
	struct m *mp = gp->m;
	// A fault while reporting one: the report's own code is at fault, or memory is broken.
	if (mp->dying)
		runtime_startpanic();
	bool odd = gp != mp->curg || mp->locks > 0 || mp->mallocing || mp->throwing >= 2;
	if (si->sig != SIGILL || odd)
		mp->throwing = 2;
	if (odd) {
		runtime_print("fatal error: unexpected signal during runtime execution\n");
	} else if (si->sig == SIGILL) {
		mp->throwing = 2;
		runtime_print("SIGILL: illegal instruction\nPC=0x%lx m=%d sigcode=%d\n", (unsigned long)si->pc, (int)mp->id, si->code);
	} else if (library != NULL) {
		runtime_print("fatal error: unexpected signal in %s\n", library);
	} else if (si->sig == SIGSEGV || si->sig == SIGBUS) {
		runtime_print("unexpected fault address 0x%lx\nfatal error: fault\n", (unsigned long)si->addr);
	} else {
		runtime_print("fatal error: unexpected signal\n");
	}
	runtime_printsignal(si);
	runtime_startpanic();
	runtime_dopanic(gp, si->pc, si->sp, si->bp, true);
}

// stackoverflow reports that gp has hit its guard. On the signal stack.
void
runtime_stackoverflow(struct sigpanicinfo *si, struct g *gp)
{
	struct m *mp = gp->m;
	if (mp->dying)
		runtime_startpanic();
	struct stack s = gp->segment.lo != 0 ? gp->segment : gp->stack;
	size_t limit = s.hi - s.lo < runtime_maxstacksize ? s.hi - s.lo : runtime_maxstacksize;
	mp->throwing = 2;
	runtime_print("runtime: goroutine stack exceeds %lu-byte limit\n", (unsigned long)limit);
	runtime_print("runtime: sp=0x%lx stack=[0x%lx, 0x%lx]\n", (unsigned long)si->sp, (unsigned long)s.lo, (unsigned long)s.hi);
	runtime_print("fatal error: stack overflow\n");
	runtime_startpanic();
	uintptr_t *bp = __builtin_frame_address(0);
	bool all, crash;
	if (runtime_gotraceback(&all, &crash) > 0) {
		runtime_print("\nruntime stack:\n");
		runtime_traceback(bp[1], (uintptr_t)(bp + 2), bp[0], mp->gsignal);
	}
	runtime_dopanic(gp, si->pc, si->sp, si->bp, true);
}

// forkpanic: a child of fork starts with nobody reporting, whatever its parent did.
void
runtime_forkpanic(void)
{
	paniclk.key = 0;
	runtime_panicking = 0;
	runtime_printreset();
}

// mainreturned returns code, unless a goroutine is reporting its panic: that ends the process then,
// with its own status, and main's end must not cut it short.
int
runtime_mainreturned(int code)
{
	// Panics that run deferred calls may finish, if they soon do. Go yields a thousand times; on a busy
	// machine that is over before the other thread has run at all.
	for (int i = 0; i < 1100 && runtime_runningpanics() != 0; i++) {
		rt0_gosched();
		if (i >= 1000) {
			rt0_entersyscall();
			runtime_usleep(1000);
			rt0_exitsyscall();
		}
	}
	// Acquire: pairs with startpanic, whose m ends the process.
	while (atomic_loadacq(&runtime_panicking) != 0)
		runtime_usleep(1000);
	return code;
}

void
rt0_exit(int code)
{
	runtime_exitprocess(code);
}
