// SPDX-License-Identifier: BSD-3-Clause
// unwind.c: single-steps through the functions of frames.s and unwinds at every instruction.
//
// At each step the frames must be: the function's, enter's, then run in C, whose frame address
// is known, with its registers. Prints `N instructions, M bad`.
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

extern char enter_code[] __asm__("enter");
extern char frame_plain[], frame_push[], frame_hand[], frame_align[], frame_calls[], frame_jumps[],
    frame_switch[], frame_signal[];
void enter(void (*f)(void));

static volatile sig_atomic_t steps, bad;
static uintptr_t wantcfa, seencfa, seen_pc;
static char *volatile from;
static volatile int found, lost;

// What C wants back: rbx, rbp, r12 to r15.
enum { NREGS = 6 };
static const int regs[NREGS] = {3, 6, 12, 13, 14, 15};
static uintptr_t wantregs[NREGS];

static _Unwind_Reason_Code
frame(struct _Unwind_Context *c, void *arg)
{
	(void)arg;
	uintptr_t pc = _Unwind_GetIP(c),
		  function = (uintptr_t)_Unwind_FindEnclosingFunction((void *)(pc - 1));
	if (function == seen_pc && !found) {
		found = 1; // run's frame
		seencfa = _Unwind_GetCFA(c);
		for (int i = 0; i < NREGS; i++)
			lost |= _Unwind_GetGR(c, regs[i]) != wantregs[i];
	}
	return _URC_NO_REASON;
}

static void
trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	(void)sig;
	(void)info;
	uintptr_t pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
	if (pc < (uintptr_t)frame_plain || pc >= (uintptr_t)frame_plain + 4096)
		return; // not ours
	found = lost = 0;
	seencfa = 0;
	_Unwind_Backtrace(frame, NULL);
	steps++;
	if (!found || seencfa != wantcfa || lost) {
		if (bad++ < 10)
			printf("pc %#lx: %s\n", (unsigned long)(pc - (uintptr_t)frame_plain),
			    !found     ? "the caller is not found"
				: lost ? "another register"
				       : "another frame address");
	}
}

static void
step(int on)
{
	if (on)
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	else
		__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static _Unwind_Reason_Code
first(struct _Unwind_Context *c, void *arg)
{
	(void)arg;
	uintptr_t function =
	    (uintptr_t)_Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(c) - 1));
	if (function == seen_pc) {
		wantcfa = _Unwind_GetCFA(c);
		for (int i = 0; i < NREGS; i++)
			wantregs[i] = _Unwind_GetGR(c, regs[i]);
		return _URC_END_OF_STACK;
	}
	return _URC_NO_REASON;
}

__attribute__((noinline)) static int
run(void (*f)(void), int steps_on)
{
	seen_pc = (uintptr_t)run;
	_Unwind_Backtrace(first, NULL);
	if (steps_on)
		step(1);
	enter(f);
	step(0);
	return 1;
}

int
main(int argc, char **argv)
{
	(void)argv;
	bool still = argc > 1; // under a debugger, which has the trap flag for itself
	struct sigaction sa = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};
	char *const functions[] = {frame_plain, frame_push, frame_hand, frame_align, frame_calls,
	    frame_jumps, frame_switch, frame_signal};
	sigaction(SIGTRAP, &sa, NULL);
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		int before = steps;
		from = functions[i];
		run((void (*)(void))(uintptr_t)functions[i], !still);
		if (!still && steps - before < 25)
			bad++, printf("function %zu: only %d steps\n", i, (int)(steps - before));
	}
	printf("%d instructions, %d bad\n", (int)steps, (int)bad);
	return bad != 0;
}
