// SPDX-License-Identifier: BSD-3-Clause
// thread_linux.c: what a thread that is not ours lends the runtime for a call: its signals.
//
// During a call its signal handlers are to run on the extra m's signal stack, since the goroutine's
// stack may be used up, and the signals that the runtime lives by must not be blocked. Afterwards
// the thread has back what it had. Library mode touches nothing: there are no handlers of ours.
#include "../../runtime.h"
#include "linux.h"

#define BIT(sig) (1ul << ((sig)-1))
// Faults, which would end the process without a report if they were blocked, and the request to
// preempt.
static const uint64_t needed =
    BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGSEGV) | BIT(SIGURG);

// sigenter prepares the thread for a call on mp. first: mp has not been this thread's in its last
// call. The mask is looked at then only: a thread that blocks SIGSEGV later wants it so.
void
runtime_sigenter(struct m *mp, bool first)
{
	mp->altflags = -1;
	if (sched.islibrary)
		return;
	if (first || mp->unblocked != 0) {
		uint64_t old = 0;
		if (sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &needed, &old, 8) != 0)
			runtime_throw("rt_sigprocmask failed");
		mp->unblocked = old & needed;
	}
	struct sigaltstack old,
	    st = {mp->gsignal->stack.lo, 0, mp->gsignal->stack.hi - mp->gsignal->stack.lo};
	// EPERM: the thread is in a handler on its own signal stack, and stays there.
	if (sys2(SYS_sigaltstack, &st, &old) != 0)
		return;
	mp->altsp = old.sp;
	mp->altsize = old.size;
	mp->altflags = old.flags & 2; // SS_DISABLE
}

// sigleave undoes sigenter. What the call itself has changed in the mask stays.
void
runtime_sigleave(struct m *mp)
{
	if (mp->altflags >= 0) {
		struct sigaltstack st = {mp->altsp, mp->altflags, mp->altsize};
		sys2(SYS_sigaltstack, &st, NULL);
	}
	if (mp->unblocked != 0)
		sys4(SYS_rt_sigprocmask, SIG_BLOCK, &mp->unblocked, NULL, 8);
}

// In handlers: ThreadSanitizer may be in the middle of making a fiber, and is not to be told of calls.
NOSANITIZE bool
runtime_isforkchild(void)
{
	struct m *mp = runtime_tls_m;
	return mp != NULL && mp->procid != (uint64_t)runtime_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
}
