// SPDX-License-Identifier: BSD-3-Clause
// os.h: what every operating system must provide. Nothing portable repeats it.
//
// No function here touches errno, allocates from the heap or takes a lock of the runtime, unless
// it says so. All may be called without a p.
#ifndef RT0_OS_H
#define RT0_OS_H

struct siginfo_any;
struct iovec_any {
	void *base;
	size_t len;
};

// ---- raw system calls (arch/amd64/sys_linux_amd64.s; every one passes the fault counter of debug
// builds: GODEBUG=failsys=NAME:n in env.c). Results are the kernel's: negative errno on error. ----
long runtime_syscall6(long nr, long a, long b, long c, long d, long e, long f);
long runtime_sys(long nr, long a, long b, long c, long d, long e, long f); // with the fault counter
bool runtime_failsys(long nr); // counts a use of nr that is made elsewhere; true: it is to fail

// AddressSanitizer learns which bytes are nobody's: all of a free object but its two words. And that new memory is whole
// (sanfresh): our system calls pass it by, and where a stack was unmapped with a dead thread, the child of a fork for
// example, it would take what comes next for the redzones of that stack's last frames.
#if RT0_ASAN
void __asan_poison_memory_region(const volatile void *p, size_t n) __attribute__((visibility("default")));
void __asan_unpoison_memory_region(const volatile void *p, size_t n) __attribute__((visibility("default")));
void runtime_sanfresh(void *p, size_t n);
#else
#define __asan_poison_memory_region(p, n) ((void)0)
#define __asan_unpoison_memory_region(p, n) ((void)0)
#define runtime_sanfresh(p, n) ((void)0)
#endif

// ---- memory (mem_linux.c). stat: the memstats field the bytes are added to, or NULL. ----
// States of a range: reserved (address space only) -> prepared (sysMap) -> ready.
void *runtime_sysAlloc(size_t n, uint64_t *stat);          // ready, zeroed; NULL: no memory
void *runtime_sysReserve(void *hint, size_t n);            // PROT_NONE; NULL: none to be had
bool runtime_sysMap(void *p, size_t n, uint64_t *stat);    // reserved to ready; false: no memory
void runtime_sysUsed(void *p, size_t n);                   // after sysUnused, before use
void runtime_sysUnused(void *p, size_t n);                 // contents may go; reads give zeros
void runtime_sysFree(void *p, size_t n, uint64_t *stat);   // unmapped
void runtime_sysFault(void *p, size_t n);                  // any access faults from now on
void runtime_sysNoHugePage(void *p, size_t n);
// sysGuard makes [p, p+n) fault on access without a mapping of its own; false: the kernel cannot.
bool runtime_sysGuard(void *p, size_t n);
// sysGuardBatch: the same for many ranges, all or (false) perhaps some.
bool runtime_sysGuardBatch(struct iovec_any *v, int n);
void runtime_sysUnusedBatch(struct iovec_any *v, int n);
extern size_t runtime_physPageSize;
size_t runtime_hugepagesize(void); // of transparent huge pages, bytes; 0: none. Reads a file, once

// ---- where ms live (mslot_linux.c) ----
struct m *runtime_mnew(void); // with gsignal and g0, and the stacks for them. Throws when there is no memory
void runtime_mpreinit(struct m *mp);   // gsignal of m0
bool runtime_threadgone(struct m *mp); // mp has ended, and its thread: both may be used again

// ---- threads and time (os_linux.c) ----
void runtime_sysargs(int32_t argc, char **argv); // envp and auxv behind argv, with both fallbacks
void runtime_osinit(void);                       // sched.ncpu, the clock's place
int32_t runtime_oscpulimit(int32_t ncpu); // ncpu, or less if the cgroup allows less; reads files
// newosproc starts a thread that runs mstart on mp->g0. Throws "newosproc" when it cannot.
void runtime_newosproc(struct m *mp);
RT0_NORETURN void runtime_exitthread(struct m *mp);
size_t runtime_tlssize(void);           // pure: what newosproc takes of each thread's stack
RT0_NORETURN void runtime_exitprocess(int code);
RT0_NORETURN void runtime_dieFromSignal(uint32_t sig);
uint64_t runtime_gettid(void);
int32_t runtime_getproccount(void); // threads this process has, by the kernel's count; -1 unknown
void runtime_usleep(uint32_t us);
int64_t runtime_threadcputime(uint64_t tid);
long runtime_tgkill(uint64_t tid, int sig); // a thread of this process
bool runtime_threadblocked(uint64_t tid, struct blockedcall *out);
uint64_t runtime_threadsleeps(uint64_t tid); // how often it has given up its CPU by itself; 0: not known
bool runtime_cantimeout(int32_t nr); // a system call that ends after a relative time
void runtime_osyield(void);
bool runtime_canbarrier(void);
void runtime_barrierall(void);
int64_t runtime_nanotime(void);
// futexsleep returns on wake-up, when *addr != val, after ns (< 0: never), or for no reason.
void runtime_futexsleep(uint32_t *addr, uint32_t val, int64_t ns);
void runtime_futexwakeup(uint32_t *addr, uint32_t cnt);
long runtime_write(int fd, const void *p, size_t n); // one write(2)
long runtime_read(int fd, void *p, size_t n);
int runtime_open(const char *path, int flags, int mode);
void runtime_close(int fd);
void runtime_checkfds(void);
extern uint8_t runtime_startupRand[16];

// ---- signals (signal_linux.c) ----
struct siginfo;
struct ucontext;
void runtime_initsig(void); // handlers of the process: what the boot needs
void runtime_growsig(void); // the others, once
void runtime_sighandler(int32_t sig, struct siginfo *info, struct ucontext *ctx); // the one handler
void runtime_setsig(int32_t sig, uintptr_t handler); // throws when it cannot
enum { SIGNO, SIGSENT, SIGANY };
int runtime_sigcan(int32_t sig); // what notify may be asked for; any number
// By notify and its kin alone, one at a time. 0 or a negative errno.
long runtime_sigenable(int32_t sig);  // deliver it to sighandler
long runtime_sigignore(int32_t sig);
void runtime_sigdisable(int32_t sig); // what was there before either
bool runtime_sigisignored(int32_t sig);
uint64_t runtime_sigunblock(uint64_t set); // this thread, those of set that new threads block; them
void runtime_minit(void);    // this thread: signal stack, mask
void runtime_unminit(void);
void runtime_initsigmask(bool hasit); // this thread gets the mask of sigsave; hasit: it has, at boot
void runtime_sigsave(void);  // the mask at start, for threads we make
void runtime_sigenter(struct m *mp, bool first); // thread_linux.c: a foreign thread comes in
void runtime_sigleave(struct m *mp);             // and leaves
// isforkchild: this thread is not the one that its m was made for: it is the child of a vfork (which
// shares the parent's memory), or of a clone that atfork does not see. For signal handlers.
bool runtime_isforkchild(void);
uint64_t runtime_sigblock(void); // blocks all that the libc does not reserve; the old mask
void runtime_sigrestore(uint64_t mask);

uint64_t runtime_startmask(void); // the mask that the program was started with (library mode: rt0_start's caller)
extern uint64_t runtime_hostmask; // library mode: that of rt0_start's caller

// ---- child processes (spawn_linux.c) ----
struct spawn {
	char *const *paths; // what to try, ends with NULL
	char *const *argv, *const *envp;
	const char *dir;    // NULL: ours
	int32_t fd[3];      // what its 0, 1 and 2 are; < 0: ours
	bool errtoout, group;
	// spawn's own:
	uint64_t mask;
	long err; // written by the child
};
// spawn starts a child and returns, when it runs its program, its pid, and in *pidfd a descriptor of it, close on exec.
// A negative errno: there is no child. On a goroutine; blocks the thread, with the processor given to others.
long runtime_spawn(struct spawn *s, int32_t *pidfd);
// waitpidfd waits for the child's end, in the thread. 0 and the status (< 0: minus a signal), or -errno.
int runtime_waitpidfd(int32_t pidfd, int *status);
// killprocess: to the process, or to the group pid, which is one while the process pid has not been waited for.
int runtime_killprocess(int32_t pidfd, int32_t pid, bool group, int sig);

// ---- what a libc provides when there is one; the core asks for it by weak reference ----
// (libc/hosted.c). All are NULL or absent in a pure program.
struct hostedops {
	int (*thread_start)(struct m *mp, void *(*fn)(void *), void *arg); // on mp->thread, if the libc agrees; 0 or -errno
	size_t (*stackuse)(void); // bytes of a thread's stack that the libc takes; about
	void *(*dlopen)(const char *path, const char **err);
	int (*thread_bind)(struct m *mp); // foreignexit(mp) when this thread ends; 0 or -errno
	int32_t sigcancel; // the signal by which the libc cancels a thread
	char **(*environ)(void); // the environment as the program has it now
	bool (*onethread)(void); // true: surely no other thread has ever been made
};
extern const struct hostedops *runtime_hosted; // NULL: pure
#endif
