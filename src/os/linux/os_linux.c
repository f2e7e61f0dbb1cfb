// SPDX-License-Identifier: BSD-3-Clause
// os_linux.c: what the kernel tells at start (auxv, CPUs, cgroup limits), threads, futexes.
#include "../../runtime.h"
#include "linux.h"

size_t runtime_physPageSize BOOTDATA;           // bytes; constant after init
uint8_t runtime_startupRand[16] BOOTDATA;                       // the kernel's AT_RANDOM, or the clock's
uintptr_t runtime_auxphdr BOOTDATA, runtime_auxphnum BOOTDATA, runtime_auxvdso BOOTDATA;
static uint64_t initsigmask BOOTDATA; // of the thread that booted: new threads get it

// runtime_failsys is whether this use of system call nr is the one that GODEBUG=failsys=NAME:n lets fail. It
// says so when it is: a test that counts n up sees when there was no n-th use.
bool
runtime_failsys(long nr)
{
#if RT0_DEBUG
	static const char text[] = "failsys: this use fails\n";
	static int32_t uses; // atomic
	if (likely(debug.failcount <= 0 || debug.failsys != nr) || atomic_xadd(&uses, 1) != debug.failcount)
		return false;
	runtime_syscall6(SYS_write, 2, (long)text, sizeof text - 1, 0, 0, 0);
	return true;
#else
	(void)nr;
	return false;
#endif
}

// sys is every system call but those of clone, exit and the two in vdso_linux.c.
long
runtime_sys(long nr, long a, long b, long c, long d, long e, long f)
{
	if (runtime_failsys(nr))
		return nr == SYS_futex ? -EAGAIN : nr == SYS_mmap ? -ENOMEM : -EPERM;
	return runtime_syscall6(nr, a, b, c, d, e, f);
}

// ---- start ----

// sysauxv walks pairs of (tag, value); the last is AT_NULL.
static int
sysauxv(const uintptr_t *auxv)
{
	int n = 0;
	for (; auxv[0] != AT_NULL; auxv += 2, n++) {
		uintptr_t v = auxv[1];
		switch (auxv[0]) {
		case AT_PAGESZ: runtime_physPageSize = v; break;
		case AT_RANDOM: runtime_memmove(runtime_startupRand, (void *)v, 16); break;
		case AT_SECURE: sched.secure = v == 1; break;
		case AT_PHDR: runtime_auxphdr = v; break;
		case AT_PHNUM: runtime_auxphnum = v; break;
		case AT_SYSINFO_EHDR: runtime_auxvdso = v; break;
		}
	}
	return n;
}

// sysargs finds auxv behind argv and envp; when it is not there (a loader that does not pass it, a
// library that was not given the real argv), in /proc/self/auxv; and when that cannot be read,
// it finds the page size by probing a mapping with mincore.
void
runtime_sysargs(int32_t argc, char **argv)
{
	if (argv != NULL && !sched.islibrary) {
		int32_t n = argc + 1;
		while (argv[n] != NULL)
			n++;
		if (sysauxv((const uintptr_t *)(argv + n + 1)) > 0)
			return;
	}
	int fd = runtime_open("/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		uintptr_t buf[128];
		long n = runtime_read(fd, buf, sizeof buf - 2 * sizeof buf[0]);
		runtime_close(fd);
		if (n > 0) {
			// Longer than the buffer: the end is made here.
			buf[(size_t)n / sizeof buf[0] & ~1ul] = AT_NULL;
			sysauxv(buf);
			return;
		}
	}
	const size_t size = 256 << 10;
	long p = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_ANON | MAP_PRIVATE, -1, 0);
	if (p < 0 && p > -4096)
		return;
	for (size_t n = 4 << 10; n < size; n <<= 1) {
		uint8_t vec;
		if (sys3(SYS_mincore, p + (long)n, 1, &vec) == 0) {
			runtime_physPageSize = n;
			break;
		}
	}
	if (runtime_physPageSize == 0)
		runtime_physPageSize = size;
	sys2(SYS_munmap, p, size);
}

static long
readfile(const char *path, char *buf, size_t n)
{
	int fd = runtime_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	long r = runtime_read(fd, buf, n - 1);
	runtime_close(fd);
	if (r >= 0)
		buf[r] = 0;
	return r;
}

// quota reads "QUOTA PERIOD" (v2's cpu.max) or, with period NULL, one number. -1: none or "max".
static int64_t
quota(const char *path, int64_t *period)
{
	char buf[64];
	if (readfile(path, buf, sizeof buf) <= 0)
		return -1;
	const char *s = buf;
	int64_t v[2] = {-1, -1};
	for (int i = 0; i < 2; i++) {
		size_t n = 0;
		while (s[n] != 0 && s[n] != ' ' && s[n] != '\n')
			n++;
		if (!runtime_atoi(s, n, &v[i]))
			v[i] = -1;
		s += n;
		while (*s == ' ' || *s == '\n')
			s++;
	}
	if (period != NULL)
		*period = v[1];
	return v[0];
}

// cgroupcpus lowers ncpu to what the cgroup's CPU quota allows, rounded up, at least 1. procfile is
// /proc/self/cgroup, root /sys/fs/cgroup, where both versions are mounted by convention. The
// tightest limit from the process's group up to the root counts.
int32_t
runtime_cgroupcpus(const char *procfile, const char *root, int32_t ncpu)
{
	char buf[2048], path[1024];
	long n = readfile(procfile, buf, sizeof buf);
	if (n <= 0)
		return ncpu;
	for (char *line = buf; *line != 0;) {
		char *end = line;
		while (*end != 0 && *end != '\n')
			end++;
		char next = *end;
		*end = 0;
		// "ID:controllers:/path"; v2 is "0::/path".
		char *ctl = line;
		while (*ctl != 0 && *ctl != ':')
			ctl++;
		char *dir = ctl + (*ctl != 0);
		char *ctl0 = dir;
		while (*dir != 0 && *dir != ':')
			dir++;
		if (*dir == ':') {
			*dir++ = 0;
			bool v2 = *ctl0 == 0, cpu = false;
			for (char *c = ctl0; *c != 0 && !v2; c++)
				cpu |= (c == ctl0 || c[-1] == ',') && c[0] == 'c' && c[1] == 'p' && c[2] == 'u' && (c[3] == 0 || c[3] == ',');
			for (size_t len = runtime_strlen(dir); (v2 || cpu) && len < 700;) {
				int64_t q, period = 0;
				if (v2) {
					runtime_snprintf(path, sizeof path, "%s%.*s/cpu.max", root, (int)len, dir);
					q = quota(path, &period);
				} else {
					runtime_snprintf(path, sizeof path, "%s/cpu%.*s/cpu.cfs_quota_us", root, (int)len, dir);
					q = quota(path, NULL);
					runtime_snprintf(path, sizeof path, "%s/cpu%.*s/cpu.cfs_period_us", root, (int)len, dir);
					if (q > 0)
						period = quota(path, NULL);
				}
				if (q > 0 && period > 0) {
					int64_t cpus = (q + period - 1) / period;
					if (cpus < ncpu)
						ncpu = cpus < 1 ? 1 : (int32_t)cpus;
				}
				// "/" is the root, and was that.
				if (len <= 1)
					break;
				while (len > 0 && dir[--len] != '/')
					;
			}
		}
		line = next == 0 ? end : end + 1;
	}
	return ncpu;
}

// oscpulimit is not part of osinit: opening the files takes 20 to 80 µs, more than the rest of the boot.
int32_t
runtime_oscpulimit(int32_t ncpu)
{
	// One CPU cannot be limited further.
	return ncpu > 1 ? runtime_cgroupcpus("/proc/self/cgroup", "/sys/fs/cgroup", ncpu) : ncpu;
}

size_t
runtime_hugepagesize(void)
{
	static size_t size; // atomic: 1 + the size, 0: not read yet
	if (atomic_loadrlx(&size) == 0) {
		int64_t n = quota("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", NULL);
		atomic_storerlx(&size, n > 0 ? (size_t)n + 1 : 1);
	}
	return atomic_loadrlx(&size) - 1;
}

typedef void constructor(int, char **, char **);
extern constructor *const __init_array_start[] WEAK HIDDEN, *const __init_array_end[] WEAK HIDDEN;

// constructors calls what a libc would have called before main: RT0_INIT registers its tasks so. They
// run on g0; the runtime is not there yet for them.
static void
constructors(void)
{
	char **envp = runtime_argv + runtime_argc + 1;
	for (constructor *const *fn = __init_array_start; fn < __init_array_end; fn++)
		(*fn)(runtime_argc, runtime_argv, envp);
}

void
runtime_osinit(void)
{
	runtime_bootmark("osinit");
	if (runtime_physPageSize == 0)
		runtime_physPageSize = PAGESIZE;
	uint64_t mask[128] = {0}; // 8192 CPUs
	long n = sys3(SYS_sched_getaffinity, 0, sizeof mask, mask);
	int32_t ncpu = 0;
	for (long i = 0; i < n / 8; i++)
		for (uint64_t w = mask[i]; w != 0; w &= w - 1)
			ncpu++;
	if (ncpu < 1)
		ncpu = 1;
	sched.ncpu = ncpu;
	if (runtime_hosted == NULL)
		constructors();
}

// checkfds opens /dev/null on those of 0, 1, 2 that are closed, so that no file of the program
// becomes its standard error.
void
runtime_checkfds(void)
{
	for (int fd = 0; fd < 3; fd++) {
		if (sys2(SYS_fcntl, fd, 1 /* F_GETFD */) != -EBADF)
			continue;
		int got = runtime_open("/dev/null", O_RDWR, 0);
		if (got < 0)
			runtime_throw("cannot open /dev/null for a closed standard descriptor");
		if (got != fd)
			runtime_throw("opening /dev/null for a closed standard descriptor gave another one");
	}
}

// ---- files ----

long
runtime_write(int fd, const void *p, size_t n)
{
	return sys3(SYS_write, fd, p, n);
}

long
runtime_read(int fd, void *p, size_t n)
{
	return sys3(SYS_read, fd, p, n);
}

int
runtime_open(const char *path, int flags, int mode)
{
	return (int)sys3(SYS_open, path, flags, mode);
}

void
runtime_close(int fd)
{
	sys1(SYS_close, fd);
}

// ---- threads ----

uint64_t
runtime_gettid(void)
{
	return (uint64_t)sys0(SYS_gettid);
}

// getproccount reads the link count of /proc/self/task, which is the number of threads and two. Unlike
// a walk through the directory it is of one moment.
int32_t
runtime_getproccount(void)
{
	struct {
		uint64_t dev, ino, nlink, rest[15];
	} st;
	if (sys2(SYS_stat, "/proc/self/task", &st) != 0 || st.nlink < 3)
		return -1;
	return (int32_t)st.nlink - 2;
}

void
runtime_usleep(uint32_t us)
{
	struct timespec ts = {us / 1000000, us % 1000000 * 1000l};
	sys2(SYS_nanosleep, &ts, 0);
}

long
runtime_tgkill(uint64_t tid, int sig)
{
	// Not kept: a child of fork has another.
	return sys3(SYS_tgkill, sys0(SYS_getpid), tid, sig);
}

void
runtime_osyield(void)
{
	sys0(SYS_sched_yield);
}

void
runtime_futexsleep(uint32_t *addr, uint32_t val, int64_t ns)
{
	struct timespec ts = {ns / SEC, ns % SEC};
	sys4(SYS_futex, addr, FUTEX_WAIT_PRIVATE, val, ns < 0 ? NULL : &ts);
}

void
runtime_futexwakeup(uint32_t *addr, uint32_t cnt)
{
	// An error here would lose a wake-up. The kernel has none to give for a good address; a
	// fault hook or a filter may, and then trying again is the only right thing.
	for (int i = 0; i < 1000; i++) {
		if (sys3(SYS_futex, addr, FUTEX_WAKE_PRIVATE, cnt) >= 0)
			return;
	}
	runtime_print("runtime: futexwakeup addr=%p failed\n", (void *)addr);
	runtime_throw("futexwakeup");
}

// Thread-local storage of pure programs: the ELF image's block, and behind it a control block whose
// first word is its own address (%fs:0), with 0x28 for a stack protector's canary and 0x70 for
// split stacks.
struct tcb {
	struct tcb *self;
	uint64_t words[15];
};
struct tlsimage {
	const void *data;
	size_t filesz, memsz, align;
};
static struct tlsimage tlsimage BOOTDATA; // constant after settls0

// tlssize is what tlsmake takes below any top.
size_t
runtime_tlssize(void)
{
	return alignup(tlsimage.memsz, tlsimage.align) + sizeof(struct tcb) + tlsimage.align;
}

// tlsmake lays out a block that ends at top, where another thread's may have been, and returns the thread pointer.
static struct tcb *
tlsmake(uintptr_t top)
{
	struct tcb *t = (struct tcb *)((top - sizeof(struct tcb)) & ~(tlsimage.align - 1));
	runtime_memclr(t, sizeof *t);
	t->self = t;
	__builtin_memcpy(&t->words[4], runtime_startupRand, 8); // 0x28
	t->words[4] &= ~0xfful;
	char *block = (char *)t - alignup(tlsimage.memsz, tlsimage.align);
	runtime_memmove(block, tlsimage.data, tlsimage.filesz);
	runtime_memclr(block + tlsimage.filesz, tlsimage.memsz - tlsimage.filesz);
	return t;
}

extern const char __ehdr_start[] WEAK HIDDEN;
void HIDDEN runtime_settls0(void);

// settls0 gives m0 its thread-local storage, before anything can read getg. Aborts: there is
// nowhere to report to yet.
void
runtime_settls0(void)
{
	static char block[512] __attribute__((aligned(64))) BOOTDATA;
	struct phdr {
		uint32_t type, flags;
		uint64_t offset, vaddr, paddr, filesz, memsz, align;
	};
	tlsimage.align = 16;
	if (__ehdr_start != NULL) {
		uint64_t phoff;
		uint16_t phnum;
		__builtin_memcpy(&phoff, __ehdr_start + 32, 8);
		__builtin_memcpy(&phnum, __ehdr_start + 56, 2);
		const struct phdr *ph = (const struct phdr *)(__ehdr_start + phoff);
		for (int i = 0; i < phnum; i++) {
			if (ph[i].type != 7)
				continue;
			tlsimage = (struct tlsimage){(const void *)ph[i].vaddr, ph[i].filesz, ph[i].memsz,
			    ph[i].align < 16 ? 16 : ph[i].align};
		}
	}
	uintptr_t top = (uintptr_t)block + sizeof block;
	size_t size = runtime_tlssize();
	if (size > sizeof block) {
		long p = runtime_syscall6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_ANON | MAP_PRIVATE, -1, 0);
		if (p < 0 && p > -4096)
			runtime_abort();
		top = (uintptr_t)p + size;
	}
	if (runtime_syscall6(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, (long)tlsmake(top), 0, 0, 0, 0) != 0)
		runtime_abort();
}

void HIDDEN runtime_mstartpure(struct m *mp);

// mstartpure is where a thread made by clone begins; its thread pointer is set.
void
runtime_mstartpure(struct m *mp)
{
	struct g *gp = mp->g0;
	setg(gp);
	mp->tls = (uintptr_t *)&runtime_tls_g;
	runtime_mstart();
}

static void *
mstarthosted(void *arg)
{
	struct m *mp = arg;
	// What the libc has left of the stack; or of its own, if ours was too small for it.
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0), lo = sp - STACKSYSTEM_WINDOW + 104;
	if (sp > mp->thread.lo && sp < mp->thread.hi && lo < mp->thread.lo)
		lo = mp->thread.lo;
	mp->g0->stack = (struct stack){lo, sp};
	mp->g0->stackguard0 = mp->g0->stackguard1 = mp->g0->stack.lo;
	runtime_mstartpure(mp);
	return NULL;
}

static RT0_NORETURN void
newosprocfailed(long err)
{
	runtime_print("runtime: failed to create new OS thread (have %d already; errno=%d)\n", (int)runtime_mcount(), (int)-err);
	if (err == -EAGAIN)
		runtime_print("runtime: may need to increase max user processes (ulimit -u)\n");
	runtime_throw("newosproc");
}

void
runtime_newosproc(struct m *mp)
{
	long r;
	// Signals stay blocked until minit: a handler must not run on a thread without a g.
	uint64_t old = runtime_sigblock();
	if (runtime_failsys(SYS_clone)) { // the libc's use of it cannot be counted where it happens
		r = -EAGAIN;
	} else if (runtime_hosted != NULL) {
		r = runtime_hosted->thread_start(mp, mstarthosted, mp);
	} else {
		struct tcb *tp = tlsmake(mp->thread.hi);
		uintptr_t hi = ((uintptr_t)tp - alignup(tlsimage.memsz, tlsimage.align)) & ~63ul;
		mp->g0->stack = (struct stack){mp->thread.lo, hi};
		mp->g0->stackguard0 = mp->g0->stackguard1 = mp->g0->stack.lo + STACKGUARD;
		mp->cleartid = 1;
		// VM FS FILES SIGHAND THREAD SYSVSEM SETTLS CHILD_CLEARTID CHILD_SETTID-less
		r = runtime_clone(0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 | 0x200000,
		    (void *)hi, mp, tp, &mp->cleartid);
	}
	runtime_sigrestore(old);
	if (r < 0)
		newosprocfailed(r);
}

void runtime_exitthreadpure(void);

// exitthread ends a pure program's thread. Its stack is in use until the kernel has cleared
// cleartid, which threadgone looks at.
RT0_NORETURN void
runtime_exitthread(struct m *mp)
{
	atomic_storerel(&mp->freewait, 0); // pairs with the acquire in threadgone
	runtime_exitthreadpure();
	__builtin_unreachable();
}

RT0_NORETURN void
runtime_exitprocess(int code)
{
	for (;;)
		runtime_syscall6(SYS_exit_group, code, 0, 0, 0, 0, 0);
}

RT0_NORETURN void
runtime_dieFromSignal(uint32_t sig)
{
	struct sigaction sa = {0, SA_RESTORER, (uintptr_t)runtime_sigreturn, 0};
	runtime_syscall6(SYS_rt_sigaction, sig, (long)&sa, 0, 8, 0, 0);
	uint64_t mask = ~(1ul << (sig - 1));
	runtime_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, 8, 0, 0);
	long pid = runtime_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0), tid = runtime_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
	runtime_syscall6(SYS_tgkill, pid, tid, sig, 0, 0, 0);
	runtime_osyield();
	runtime_exitprocess(2);
}

// ---- signal masks ----
// Signals 32, 33 and 34 are the libc's (cancellation, setuid on all threads): never blocked.
#define ALLSIGS (~(7ul << 31))

// setmask throws when it cannot: with the wrong mask a fault would end the process without a word, or
// a handler run on a thread that has no g.
static uint64_t
setmask(const uint64_t *mask)
{
	uint64_t old = 0;
	if (sys4(SYS_rt_sigprocmask, SIG_SETMASK, mask, &old, 8) != 0)
		runtime_throw("rt_sigprocmask failed");
	return old;
}

uint64_t
runtime_sigblock(void)
{
	uint64_t all = ALLSIGS;
	return setmask(&all);
}

void
runtime_sigrestore(uint64_t mask)
{
	setmask(&mask);
}

void
runtime_sigsave(void)
{
	initsigmask = setmask(NULL);
}

uint64_t runtime_hostmask;

uint64_t
runtime_startmask(void)
{
	return sched.islibrary ? runtime_hostmask : initsigmask;
}

// UNBLOCKED are never blocked on a thread of ours: a fault that is blocked ends the process without a
// word, and preemption and profiling must reach every thread. In library mode the last two are the host's.
#define SIGBIT(sig) (1ul << ((sig) - 1))
#define UNBLOCKED                                                                                 \
	(SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGBUS) | SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) | SIGBIT(SIGSYS) | \
	    (sched.islibrary ? 0 : SIGBIT(SIGURG) | SIGBIT(SIGPROF)))

// initsigmask gives this thread the mask that the boot found, but for UNBLOCKED. hasit: it has
// that mask, and most often there is nothing to do.
void
runtime_initsigmask(bool hasit)
{
	if (!hasit || (initsigmask & UNBLOCKED) != 0)
		runtime_sigrestore(initsigmask & ~UNBLOCKED);
}

// sigunblock lets this thread take those of set that were blocked when the runtime booted, so that there is
// one thread that does. It returns them.
uint64_t
runtime_sigunblock(uint64_t set)
{
	set &= initsigmask & ~UNBLOCKED;
	if (set != 0 && sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8) != 0)
		runtime_throw("rt_sigprocmask failed");
	return set;
}

// ---- a fence for everybody ----

enum { MEMBARRIER_PRIVATE_EXPEDITED = 8, MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 16 };

// canbarrier is for who calls barrierall later. The first call waits for the kernel's RCU, some 10 ms, if the process
// has more than one thread.
bool
runtime_canbarrier(void)
{
	return sys2(SYS_membarrier, MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0) == 0;
}

// barrierall makes a full fence on every CPU that runs a thread of ours; the others have made one since. 10 us.
void
runtime_barrierall(void)
{
	// Refused: by a filter that has come since canbarrier, or without memory. A store leaves its buffer long
	// before this sleep ends.
	if (sys2(SYS_membarrier, MEMBARRIER_PRIVATE_EXPEDITED, 0) < 0)
		runtime_usleep(1000);
}
