// SPDX-License-Identifier: BSD-3-Clause
// unwind.c: finds the callers of a frame: by call frame information, else by frame pointers.
//
// A step first asks .eh_frame (cfi.c), which nearly all code has, that without frame pointers too:
// most of a libc. Where there is none, the frame is taken to be at bp: [bp] is the caller's bp and
// [bp+8] the address to return to. Where a signal stopped, a function may have no frame yet: the
// code tells. The frame that the kernel made for a signal handler holds the registers of what it
// interrupted.
//
// Most functions keep a frame pointer in programs that rt0 build compiles, and to follow it costs
// a twentieth of reading the tables. stdpcs remembers return addresses whose table said just that.
//
// A stack may be damaged, so nothing on it is believed: frames must grow upwards, moves to another
// stack are counted, so every walk ends. Memory that may not be there is read through the kernel,
// which says EFAULT where we would crash, a window at a time. A recursion that has overflowed a
// gigabyte would take many seconds so: from a few hundred frames on the kernel is asked whether the next
// pages are there, and they are read directly.
//
// Callers are in fatal paths and in signal handlers: no allocation, no lock but symlock (and that
// only where a signal stopped), little stack.
#include "unwind.h"
#include "../os/linux/linux.h"

enum {
	NJUMPS = 16,
	NSTDPCS = 512,  // power of two
	DEEPSTEPS = 256, // steps after which a stack is read directly
	DEEPPAGES = 16,
	SYS_process_vm_readv_ = 310,
};

// Return addresses of code that keeps a frame pointer. atomic, each word on its own: a stale one is
// replaced, a lost one is found again.
static uintptr_t stdpcs[NSTDPCS];

static inline uintptr_t *
pcslot(uintptr_t pc)
{
	return &stdpcs[(pc ^ pc >> 9) & (NSTDPCS - 1)];
}

// ---- Memory ----

static inline bool
within(const struct stack *s, uintptr_t p)
{
	return p >= s->lo && p < s->hi && s->hi - p >= 16;
}

static int
knownstack(const struct unwinder *u, uintptr_t p)
{
	for (int i = 0; i < (int)NELEM(u->known); i++)
		if (p >= u->known[i].lo && p <= u->known[i].hi && p != 0)
			return i;
	return -1;
}

// The sanitizers must not look: it is somebody else's frame.
__attribute__((no_sanitize_address, no_sanitize_thread)) static inline void
load(uintptr_t p, uintptr_t w[2])
{
	w[0] = ((const uintptr_t *)p)[0];
	w[1] = ((const uintptr_t *)p)[1];
}

static bool
windowword(struct unwinder *u, uintptr_t p, uintptr_t *w)
{
	uintptr_t at = p & ~(uintptr_t)(STACKWINDOW - 1);
	// A window lies in one page, so all of it is there or nothing is.
	if (at != u->winaddr || at == 0) {
		u->winaddr = 0;
		if (at == 0 || !runtime_saferead(u->window, at, STACKWINDOW))
			return false;
		u->winaddr = at;
	}
	*w = *(const uintptr_t *)(u->window + (p - at));
	return true;
}

// trustpages makes u read the pages from p on directly, as many of them as are there.
static void
trustpages(struct unwinder *u, uintptr_t p)
{
	struct iovec_any from[DEEPPAGES];
	uint8_t byte[DEEPPAGES];
	struct iovec_any to = {byte, sizeof(byte)};
	p &= ~(PAGESIZE - 1);
	if (p == 0 || p + DEEPPAGES * PAGESIZE < p)
		return;
	for (size_t i = 0; i < DEEPPAGES; i++)
		from[i] = (struct iovec_any){(void *)(p + i * PAGESIZE), 1};
	long n = sys6(SYS_process_vm_readv_, sys0(SYS_getpid), &to, 1, from, DEEPPAGES, 0);
	if (n > 0)
		u->trusted = (struct stack){p, p + (uintptr_t)n * PAGESIZE};
}

bool
runtime_unwindpair(struct unwinder *u, uintptr_t p, uintptr_t w[2])
{
	if (p == 0 || (p & 7) != 0)
		return false;
	if (within(&u->trusted, p)) {
		load(p, w);
		return true;
	}
	return windowword(u, p, &w[0]) && windowword(u, p + 8, &w[1]);
}

// ---- What the code says ----

bool
runtime_iscallreturn(uintptr_t pc)
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

// All that is asked of a trampoline is the number of rt_sigreturn and a syscall, so it looks the
// same everywhere: mov $15, into %eax or %rax, and syscall.
bool
runtime_issigtramp(uintptr_t pc)
{
	static const uint8_t eax[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t rax[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
	uint8_t b[sizeof(rax)];
	if (pc == (uintptr_t)runtime_sigreturn)
		return true;
	if (!runtime_saferead(b, pc, sizeof(b)))
		return false;
	return __builtin_memcmp(b, eax, sizeof(eax)) == 0 ||
	    __builtin_memcmp(b, rax, sizeof(rax)) == 0;
}

// trapcaller finds the caller of a function that a signal stopped where it has no frame yet, no
// longer, or never. False: it has one, as far as we can tell.
static bool
trapcaller(struct unwinder *u, struct frame *caller)
{
	uintptr_t w[2];
	struct symline s;
	uint8_t code[8], insn;
	if (!runtime_unwindpair(u, u->f.sp, w) || !runtime_saferead(&insn, u->f.pc, 1))
		return false;
	*caller = (struct frame){w[0], u->f.sp + 8, u->f.bp};
	if (insn == 0xc3) // ret
		return runtime_iscallreturn(w[0]);
	if (!runtime_funcline(u->f.pc, &s) || s.name == NULL ||
	    !runtime_saferead(code, s.entry, sizeof(code)))
		return false;
	uintptr_t at = u->f.pc - s.entry,
		  push = code[0] == 0xf3 && code[1] == 0x0f ? 4 : 0; // endbr64
	if (at <= push)
		return runtime_iscallreturn(w[0]);
	if (code[push] != 0x55) // not push %rbp: perhaps a function without a frame
		return runtime_iscallreturn(w[0]);
	if (at == push + 1) {
		*caller = (struct frame){w[1], u->f.sp + 16, w[0]};
		return runtime_iscallreturn(w[1]);
	}
	return false;
}

void
runtime_trapentry(struct unwinder *u)
{
	uintptr_t w[2];
	const char *path;
	uintptr_t off;
	// A call of a function pointer that leads nowhere: the caller is the one to show.
	if (u->isret || runtime_pcmodule(u->f.pc, &path, &off) != PC_NOTCODE ||
	    !runtime_unwindpair(u, u->f.sp, w) || !runtime_iscallreturn(w[0]))
		return;
	u->f.pc = w[0];
	u->f.sp += 8;
	u->isret = true;
}

// ---- Steps ----

void
runtime_unwindinit(struct unwinder *u, struct frame f, bool isret)
{
	u->f = f;
	u->isret = isret;
	u->first = true;
	u->jumps = NJUMPS;
	u->steps = 0;
	u->low = f.sp;
	u->trusted = u->known[0] = u->known[1] = u->end = (struct stack){0, 0};
	u->regs = (struct cfiregs){{0}};
	u->winaddr = 0;
}

// moveto makes f, the caller's frame, the current one, if a frame may be there.
static bool
moveto(struct unwinder *u, struct frame f)
{
	if (f.pc < LOWESTPC || (f.sp & 7) != 0)
		return false;
	if (f.sp <= u->low) {
		// Down is where another stack may be: the one that called morestack.
		if (u->jumps-- <= 0 || knownstack(u, f.sp) == knownstack(u, u->low))
			return false;
	}
	if (f.sp > u->end.lo && f.sp <= u->end.hi)
		return false;
	u->f = f;
	u->low = f.sp;
	u->isret = true;
	u->first = false;
	return true;
}

// interrupted moves u to where a signal stopped the code, with regs.
static bool
interrupted(struct unwinder *u, const struct cfiregs *regs)
{
	uintptr_t sp = regs->r[7];
	// The handler may have a stack of its own, above or below.
	if (u->jumps-- <= 0 || (sp > u->end.lo && sp <= u->end.hi))
		return false;
	u->regs = *regs;
	u->f = (struct frame){regs->r[16], sp, regs->r[6]};
	u->low = sp;
	u->isret = false;
	u->first = true;
	runtime_trapentry(u);
	return true;
}

// sigframe: u stands at a trampoline without a table, above which the kernel has put the registers.
static bool
sigframe(struct unwinder *u)
{
	struct sigcontext r;
	uintptr_t at = u->f.sp + offsetof(struct ucontext, mcontext);
	if (!runtime_saferead(&r, at, offsetof(struct sigcontext, cs)))
		return false;
	struct cfiregs regs = {{r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9,
	    r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip}};
	return interrupted(u, &regs);
}

// fpstep: the frame is at bp.
static bool
fpstep(struct unwinder *u)
{
	uintptr_t w[2], bp = u->f.bp;
	if (bp < u->low && knownstack(u, bp) == knownstack(u, u->low))
		return false;
	return runtime_unwindpair(u, bp, w) && moveto(u, (struct frame){w[1], bp + 16, w[0]});
}

bool
runtime_unwindstep(struct unwinder *u)
{
	uintptr_t pc = u->f.pc, bp = u->f.bp, sp = u->f.sp, cfa;
	if (u->steps < DEEPSTEPS)
		u->steps++;
	else if (sp != 0 && (sp < u->trusted.lo || sp + PAGESIZE / 2 > u->trusted.hi))
		trustpages(u, sp);
	// Relaxed: a word that says all that there is to say.
	if (u->isret && pc != 0 && atomic_loadrlx(pcslot(pc)) == pc) {
		uintptr_t w[2];
		if (bp < u->low || (bp & 7) != 0 || !within(&u->trusted, bp))
			return fpstep(u);
		load(bp, w);
		if (unlikely(w[1] < LOWESTPC || (bp + 16 > u->end.lo && bp + 16 <= u->end.hi)))
			return false;
		u->f = (struct frame){w[1], u->low = bp + 16, w[0]};
		u->first = false;
		return true;
	}
	struct cfiregs regs = u->regs;
	regs.r[6] = u->f.bp;
	regs.r[7] = u->f.sp;
	regs.r[16] = u->f.pc;
	bool wasret = u->isret;
	int r = runtime_cfistep(&regs, wasret, u->trusted.lo, u->trusted.hi, &cfa);
	if (r == CFI_OUTERMOST)
		return false;
	if (r == CFI_TRAP)
		return interrupted(u, &regs);
	if (r == CFI_DONE) {
		if (!moveto(u, (struct frame){regs.r[16], cfa, regs.r[6]}))
			return false;
		u->regs = regs;
		if (wasret && cfa == bp + 16 && regs.r[6] != bp)
			atomic_storerlx(pcslot(pc), pc);
		return true;
	}
	if (wasret && u->f.sp != 0 && runtime_issigtramp(pc))
		return sigframe(u);
	struct frame caller;
	if (u->first && !u->isret && u->f.sp != 0 && trapcaller(u, &caller))
		return moveto(u, caller);
	return fpstep(u);
}

int
runtime_callers(struct frame f, struct stack bounds, uintptr_t *pcs, int n)
{
	struct unwinder u;
	int i = 0;
	runtime_unwindinit(&u, f, true);
	u.trusted = bounds;
	u.known[0] = bounds;
	if (n > 0)
		pcs[i++] = f.pc;
	while (i < n && runtime_unwindstep(&u))
		pcs[i++] = u.f.pc;
	return i;
}
