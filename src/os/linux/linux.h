// SPDX-License-Identifier: BSD-3-Clause
// linux.h: the kernel's numbers and structures that src/os/linux uses, without a libc's headers.
#ifndef RT0_LINUX_H
#define RT0_LINUX_H

#include <stdint.h>

enum {
	SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_stat = 4, SYS_mmap = 9, SYS_mprotect = 10,
	SYS_munmap = 11, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_sched_yield = 24,
	SYS_mincore = 27, SYS_madvise = 28, SYS_nanosleep = 35, SYS_getpid = 39, SYS_clone = 56,
	SYS_exit = 60, SYS_kill = 62, SYS_fcntl = 72, SYS_sigaltstack = 131, SYS_prctl = 157, SYS_getrusage = 98,
	SYS_arch_prctl = 158, SYS_gettid = 186, SYS_futex = 202, SYS_sched_getaffinity = 204,
	SYS_clock_gettime = 228, SYS_exit_group = 231, SYS_tgkill = 234,
	SYS_epoll_wait = 232, SYS_epoll_ctl = 233, SYS_eventfd2 = 290, SYS_epoll_create1 = 291, SYS_epoll_pwait2 = 441,
	SYS_rt_tgsigqueueinfo = 297, SYS_prlimit64 = 302, SYS_membarrier = 324, SYS_pidfd_open = 434, SYS_process_madvise = 440,
};
enum { EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EAGAIN = 11, ENOMEM = 12, EBUSY = 16, EINVAL = 22, EPIPE = 32, ENOSYS = 38, ETIMEDOUT = 110, EALREADY = 114, ECANCELED = 125, ENOTCONN = 107, EBADF = 9 };
enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2 };
enum { MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANON = 0x20, MAP_GROWSDOWN = 0x100, MAP_NORESERVE = 0x4000, MAP_STACK = 0x20000 };
enum { O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000, O_CLOEXEC = 02000000 };
enum { AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_HWCAP = 16, AT_SECURE = 23, AT_RANDOM = 25, AT_SYSINFO_EHDR = 33 };
enum {
	SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8,
	SIGKILL = 9, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15,
	SIGSTKFLT = 16, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22,
	SIGURG = 23, SIGXCPU = 24, SIGXFSZ = 25, SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29,
	SIGPWR = 30, SIGSYS = 31, NSIG = 65,
};
enum { SIG_DFL = 0, SIG_IGN = 1, SI_TKILL = -6, SS_DISABLE = 2 };
enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };
enum { SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000, SA_RESETHAND = 0x80000000, SA_RESTORER = 0x04000000 };
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };
enum { EPOLLIN = 1, EPOLLPRI = 2, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 0x10, EPOLLRDHUP = 0x2000, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2 };
#define EPOLLET 0x80000000u
enum { EPOLL_CLOEXEC = 02000000, EFD_CLOEXEC = 02000000, EFD_NONBLOCK = 04000 };
enum { PR_SET_TIMERSLACK = 29 };
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1 };

struct timespec {
	int64_t tv_sec, tv_nsec;
};
struct epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));
struct sigaction {
	uintptr_t handler; // 0 default, 1 ignore
	uint64_t flags;
	uintptr_t restorer;
	uint64_t mask;
};
struct sigaltstack {
	uintptr_t sp;
	int32_t flags;
	uint64_t size;
};
struct siginfo {
	int32_t signo, err, code, pad; // code <= 0: sent by a program
	union {
		uintptr_t addr; // of a fault
		int32_t pid;    // who sent it
	};
	uint8_t rest[104];
};
struct sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uintptr_t fpstate;
	uint64_t reserved[8];
};
struct ucontext {
	uint64_t flags;
	struct ucontext *link;
	struct sigaltstack stack;
	struct sigcontext mcontext;
	uint64_t sigmask;
};

// A system call that a signal has interrupted (blocked_linux.c).
struct kcall {
	int32_t nr;
	bool restart;  // the kernel has backed up to the instruction
	int64_t since, slack; // ns: it has slept at least since then, and no longer than slack before; 0: not known
	int64_t done;  // bytes written or read before the signal
	int64_t arg[6];
};

#pragma GCC visibility push(hidden)
bool runtime_interruptedcall(const struct sigcontext *r, const struct blockedcall *rec, bool ours, struct kcall *c);
long runtime_finishcall(struct kcall *c, const uint64_t *mask);
long runtime_clone(uint64_t flags, void *stack, struct m *mp, void *tp, int32_t *cleartid);
void runtime_sigreturn(void);
int32_t runtime_cgroupcpus(const char *procfile, const char *root, int32_t ncpu);
extern uintptr_t runtime_auxphdr, runtime_auxphnum, runtime_auxvdso;
#pragma GCC visibility pop

#define sys0(nr) runtime_sys(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) runtime_sys(nr, (long)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b) runtime_sys(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c) runtime_sys(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d) runtime_sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define sys6(nr, a, b, c, d, e, f) runtime_sys(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
