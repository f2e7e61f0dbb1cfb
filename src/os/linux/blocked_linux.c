// SPDX-License-Identifier: BSD-3-Clause
// blocked_linux.c: goroutines that block in system calls which nobody has declared.
//
// C code blocks where it likes: in read, in sleep, in the futex of a pthread_mutex. sysmon finds such
// a thread by its CPU clock standing still while others wait for its p, asks the kernel what it
// does (threadblocked), and sends the preemption signal, which ends the call early: the kernel
// backs up to the system call instruction where it can restart it (SA_RESTART), and returns
// -EINTR where it cannot. The handler finishes the call in both cases, without a p, as if it had
// been between entersyscall and exitsyscall (preempt.c). The program sees neither the signal nor a
// short sleep: the kernel goes on with the calls whose end it has kept (restart_syscall); other relative timeouts
// are shortened by what has passed (shorten).
//
// Only calls on the list below are finished here. All can block and do the same when made again.
#include "../../runtime.h"
#include "linux.h"

enum {
	NR_read = 0, NR_write = 1, NR_poll = 7, NR_pread64 = 17, NR_pwrite64 = 18, NR_readv = 19,
	NR_writev = 20, NR_select = 23, NR_pause = 34, NR_nanosleep = 35, NR_connect = 42,
	NR_accept = 43, NR_sendto = 44, NR_recvfrom = 45, NR_sendmsg = 46, NR_recvmsg = 47,
	NR_wait4 = 61, NR_semop = 65, NR_msgsnd = 69, NR_msgrcv = 70, NR_fcntl = 72, NR_flock = 73,
	NR_fsync = 74, NR_fdatasync = 75, NR_rt_sigtimedwait = 128, NR_rt_sigsuspend = 130, NR_futex = 202,
	NR_io_getevents = 208, NR_semtimedop = 220, NR_clock_nanosleep = 230, NR_epoll_wait = 232,
	NR_mq_timedsend = 242, NR_mq_timedreceive = 243, NR_waitid = 247, NR_openat = 257,
	NR_pselect6 = 270, NR_ppoll = 271, NR_splice = 275, NR_tee = 276, NR_epoll_pwait = 281,
	NR_accept4 = 288, NR_preadv = 295, NR_pwritev = 296, NR_recvmmsg = 299, NR_sendmmsg = 307,
	NR_restart_syscall = 219, NR_getrandom = 318, NR_copy_file_range = 326, NR_epoll_pwait2 = 441,
	TIMER_ABSTIME = 1, MSG_WAITALL = 0x100, FUTEX_CMD_MASK = 127,
};

// How a call says for how long it will wait.
enum timeoutkind {
	TO_NONE,    // it does not, or the kernel has written what is left to where the call reads it
	TO_MS,      // milliseconds in a register, negative is for ever
	TO_SPEC,    // a pointer to a relative struct timespec, NULL is for ever
};

static const struct blocking {
	uint16_t nr;
	uint8_t timeout; // enum timeoutkind
	uint8_t arg;     // which argument
} blocking[] = {
    {NR_read, 0, 0}, {NR_write, 0, 0}, {NR_poll, TO_MS, 2}, {NR_pread64, 0, 0}, {NR_pwrite64, 0, 0},
    {NR_readv, 0, 0}, {NR_writev, 0, 0}, {NR_select, 0, 0}, {NR_pause, 0, 0},
    {NR_nanosleep, TO_SPEC, 0}, {NR_connect, 0, 0}, {NR_accept, 0, 0}, {NR_sendto, 0, 0},
    {NR_recvfrom, 0, 0}, {NR_sendmsg, 0, 0}, {NR_recvmsg, 0, 0}, {NR_wait4, 0, 0}, {NR_semop, 0, 0},
    {NR_msgsnd, 0, 0}, {NR_msgrcv, 0, 0}, {NR_fcntl, 0, 0}, {NR_flock, 0, 0}, {NR_fsync, 0, 0},
    {NR_fdatasync, 0, 0}, {NR_rt_sigtimedwait, TO_SPEC, 2}, {NR_rt_sigsuspend, 0, 0},
    {NR_futex, TO_SPEC, 3},
    {NR_io_getevents, TO_SPEC, 4}, {NR_semtimedop, TO_SPEC, 3}, {NR_clock_nanosleep, TO_SPEC, 2},
    {NR_epoll_wait, TO_MS, 3}, {NR_mq_timedsend, 0, 0}, {NR_mq_timedreceive, 0, 0},
    {NR_waitid, 0, 0}, {NR_openat, 0, 0}, {NR_pselect6, 0, 0}, {NR_ppoll, 0, 0}, {NR_splice, 0, 0},
    {NR_tee, 0, 0}, {NR_epoll_pwait, TO_MS, 3}, {NR_accept4, 0, 0}, {NR_preadv, 0, 0},
    {NR_pwritev, 0, 0}, {NR_recvmmsg, 0, 0}, {NR_sendmmsg, 0, 0}, {NR_getrandom, 0, 0},
    {NR_copy_file_range, 0, 0}, {NR_epoll_pwait2, TO_SPEC, 3},
};

static const struct blocking *
findblocking(int64_t nr)
{
	for (size_t i = 0; i < NELEM(blocking); i++)
		if (blocking[i].nr == nr)
			return &blocking[i];
	return NULL;
}

// ---- what sysmon asks ----

// threadcputime is the CPU time in ns that thread tid of ours has used; < 0: it is gone.
int64_t
runtime_threadcputime(uint64_t tid)
{
	// The kernel's CPUCLOCK_SCHED of one thread.
	int32_t clock = (int32_t)(~(uint32_t)tid << 3 | 6);
	struct timespec ts;
	long r = sys2(SYS_clock_gettime, clock, &ts);
	return r < 0 ? r : ts.tv_sec * SEC + ts.tv_nsec;
}

static const char *
scannumber(const char *s, int64_t *out)
{
	bool neg = *s == '-';
	uint64_t v = 0;
	s += neg;
	if (s[0] == '0' && s[1] == 'x') {
		for (s += 2;; s++) {
			uint32_t d = *s >= '0' && *s <= '9' ? (uint32_t)(*s - '0')
				   : *s >= 'a' && *s <= 'f' ? (uint32_t)(*s - 'a' + 10)
							    : 16;
			if (d == 16)
				break;
			v = v << 4 | d;
		}
	} else {
		for (; *s >= '0' && *s <= '9'; s++)
			v = v * 10 + (uint32_t)(*s - '0');
	}
	*out = neg ? -(int64_t)v : (int64_t)v;
	while (*s == ' ')
		s++;
	return s;
}

// threadblocked tells whether thread tid sleeps in a system call now, and in which one. Where the kernel does
// not say, it does not, and the handler decides by what it finds.
bool
runtime_threadblocked(uint64_t tid, struct blockedcall *out)
{
	char path[64], buf[256];
	runtime_snprintf(path, sizeof path, "/proc/self/task/%lu/syscall", (unsigned long)tid);
	int fd = runtime_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	long n = runtime_read(fd, buf, sizeof buf - 1);
	runtime_close(fd);
	if (n <= 0 || buf[0] == 'r') // "running"
		return false;
	buf[n] = 0;
	int64_t v[9]; // number, six arguments, sp, pc
	const char *s = buf;
	for (size_t i = 0; i < NELEM(v); i++) {
		if (*s == 0 || *s == '\n')
			return false; // in a page fault: "-1 sp pc"
		s = scannumber(s, &v[i]);
	}
	if (findblocking(v[0]) == NULL)
		return false;
	*out = (struct blockedcall){(int32_t)v[0], (uintptr_t)v[8], (uintptr_t)v[7], true, 0, 0, 0};
	return true;
}

bool
runtime_cantimeout(int32_t nr)
{
	const struct blocking *b = findblocking(nr);
	return b != NULL && b->timeout != TO_NONE;
}

uint64_t
runtime_threadsleeps(uint64_t tid)
{
	static const char key[] = "\nvoluntary_ctxt_switches:\t";
	char path[64], buf[4096];
	runtime_snprintf(path, sizeof path, "/proc/self/task/%lu/status", (unsigned long)tid);
	int fd = runtime_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	long n = runtime_read(fd, buf, sizeof buf - 1);
	runtime_close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	int64_t v = 0;
	for (const char *s = buf; *s != 0; s++) {
		if (runtime_hasprefix(s, key)) {
			scannumber(s + sizeof key - 1, &v);
			break;
		}
	}
	return (uint64_t)v;
}

// ownsleeps is threadsleeps of the calling thread, exact and cheaper.
static uint64_t
ownsleeps(void)
{
	uint64_t usage[18] = {0}; // struct rusage; ru_nvcsw is the last but one
	runtime_syscall6(SYS_getrusage, 1 /* RUSAGE_THREAD */, (long)usage, 0, 0, 0, 0);
	return usage[16];
}

// ---- what the handler asks ----

enum { NPIECES = 8 };

struct iovec {
	uintptr_t base;
	size_t len;
};

// What a call that was cut short has still to do: the next pieces of its vector, and the message that they are of.
struct rest {
	uint64_t len; // bytes, of these pieces
	size_t n;     // 0: not a vector
	struct iovec piece[NPIECES];
	struct {
		uintptr_t name, namelen, iov;
		size_t iovlen;
		uintptr_t control;
		size_t controllen;
		uint64_t flags;
	} msg;
};

// rest tells whether c, which has moved c->done bytes, is one of those that move all unless a signal comes, and has not
// moved all. The vector was readable when the kernel took it, but other threads have run since.
static bool
rest(const struct kcall *c, struct rest *p)
{
	p->n = p->len = 0;
	switch (c->nr) {
	case NR_recvfrom:
		if ((c->arg[3] & MSG_WAITALL) == 0)
			return false;
		// fallthrough
	case NR_write:
	case NR_sendto:
		p->len = (uint64_t)c->arg[2] - (uint64_t)c->done;
		return (uint64_t)c->done < (uint64_t)c->arg[2]; // more: it was another call than the code looked like
	case NR_writev:
		p->msg.iov = (uintptr_t)c->arg[1];
		p->msg.iovlen = (size_t)c->arg[2];
		break;
	case NR_recvmsg:
		if ((c->arg[2] & MSG_WAITALL) == 0)
			return false;
		// fallthrough
	case NR_sendmsg:
		if (!runtime_saferead(&p->msg, (uintptr_t)c->arg[1], sizeof p->msg))
			return false;
		p->msg.control = p->msg.controllen = 0; // went with the first byte
		break;
	default:
		return false;
	}
	uint64_t skip = (uint64_t)c->done;
	for (size_t i = 0; i < p->msg.iovlen && p->n < NPIECES; i++) {
		struct iovec v;
		if (!runtime_saferead(&v, p->msg.iov + i * sizeof v, sizeof v))
			return false;
		if (skip < v.len) {
			p->piece[p->n++] = (struct iovec){v.base + skip, v.len - skip};
			p->len += v.len - skip;
		}
		skip -= skip < v.len ? skip : v.len;
	}
	p->msg.iov = (uintptr_t)p->piece;
	p->msg.iovlen = p->n;
	return p->n > 0;
}

static bool
issyscall(uintptr_t pc)
{
	const uint8_t *code = (const uint8_t *)pc;
	return code[0] == 0x0f && code[1] == 0x05;
}

// interruptedcall tells whether the signal has interrupted a system call that finishcall can make to
// its end. rec is what threadblocked has found, if anything; ours: the signal was sent by us.
bool
runtime_interruptedcall(const struct sigcontext *r, const struct blockedcall *rec, bool ours, struct kcall *c)
{
	uintptr_t pc = r->rip;
	struct rest left;
	*c = (struct kcall){.arg = {(long)r->rdi, (long)r->rsi, (long)r->rdx, (long)r->r10, (long)r->r8, (long)r->r9}};
	if (pc % PAGESIZE <= PAGESIZE - 2 && issyscall(pc)) {
		// To be restarted: the instruction is about to run, again or for the first time.
		const struct blocking *b = findblocking((int64_t)r->rax);
		if (b == NULL)
			return false;
		c->nr = (int32_t)r->rax;
		c->restart = true;
	} else if (pc % PAGESIZE >= 7 && issyscall(pc - 2)) {
		const uint8_t *code = (const uint8_t *)pc;
		bool known = rec->valid && rec->pc == pc && rec->sp == r->rsp;
		int32_t nr = known ? rec->nr : -1;
		// mov $nr, %eax, and perhaps a load of an argument, before the syscall.
		for (int k = 7; nr < 0 && !known && k <= 20 && (uintptr_t)k <= pc % PAGESIZE; k++) {
			if (code[-k] == 0xb8)
				__builtin_memcpy(&nr, code - k + 1, 4);
			if (nr >= 0 && findblocking(nr) == NULL)
				nr = -1;
		}
		const struct blocking *b = findblocking(nr);
		if (b == NULL)
			return false;
		c->nr = nr;
		if ((int64_t)r->rax == -EINTR) {
			// Interrupted by whom? If sysmon has not seen it sleep and has sent no signal,
			// by one of the program's, whose -EINTR is wanted. Then only what ends by
			// itself goes on.
			if (!known && !ours && (b->timeout == TO_NONE || (b->timeout == TO_MS && (int32_t)r->rdx < 0)))
				return false;
		} else if ((known || ours) && (int64_t)r->rax > 0) {
			// Cut short? By our signal then, which may have been meant for what it did before, and found it in a
			// moment when it did not sleep. Or by itself, and then there is no harm in asking for the rest.
			c->done = (int64_t)r->rax;
			if (!rest(c, &left))
				return false;
		} else {
			return false;
		}
	} else {
		return false;
	}
	// The same sleep that sysmon has seen, and not a later turn of a loop: it would end early.
	// What kernelresumes needs no proof.
	c->since = !c->restart && rec->since != 0 && rec->nr == c->nr && ownsleeps() == rec->nvcsw ? rec->since : 0;
	c->slack = rec->slack;
	return true;
}

// shorten takes what has passed off a relative timeout. The caller's structure stays as it is. The sleep that sysmon
// has seen may have ended by itself just before the signal came, which then ended the next one at once, without a
// switch to count. But the sum of what it had slept when it was first seen, at most slack, and of what has
// passed since is then more than all of it: so much is not taken off.
static void
shorten(struct kcall *c, int64_t passed, struct timespec *ts)
{
	const struct blocking *b = findblocking(c->nr);
	if (b->timeout == TO_MS) {
		int64_t ms = (int32_t)c->arg[b->arg];
		if (ms > 0 && ms * MS - passed > c->slack)
			c->arg[b->arg] = (long)(ms - passed / MS);
		return;
	}
	if (b->timeout != TO_SPEC || c->arg[b->arg] == 0)
		return;
	if (c->nr == NR_futex && (c->arg[1] & FUTEX_CMD_MASK) != 0)
		return; // other commands than FUTEX_WAIT take absolute times, or none
	if (c->nr == NR_clock_nanosleep && (c->arg[1] & TIMER_ABSTIME) != 0)
		return;
	// A sleep that was interrupted has written what is left, if it was told where.
	long rem = c->nr == NR_nanosleep ? c->arg[1] : c->nr == NR_clock_nanosleep ? c->arg[3] : 0;
	if (rem != 0 && !c->restart) {
		c->arg[b->arg] = rem;
		return;
	}
	const struct timespec *want = (const struct timespec *)c->arg[b->arg];
	int64_t left = want->tv_sec * SEC + want->tv_nsec - passed;
	if (want->tv_sec > INT64_MAX / SEC / 2)
		return; // as good as for ever
	if (left <= c->slack)
		return;
	*ts = (struct timespec){left / SEC, left % SEC};
	c->arg[b->arg] = (long)ts;
}

// kernelresumes tells whether the kernel itself knows when the interrupted call is to end, and goes on with it by
// restart_syscall until this handler returns: exact, whichever turn of a loop it was.
static bool
kernelresumes(const struct kcall *c)
{
	if (c->restart)
		return false;
	switch (c->nr) {
	case NR_poll:
	case NR_nanosleep:
		return true;
	case NR_clock_nanosleep:
		return (c->arg[1] & TIMER_ABSTIME) == 0;
	case NR_futex:
		return (c->arg[1] & FUTEX_CMD_MASK) == 0 && c->arg[3] != 0;
	}
	return false;
}

// callrest makes c's call for what is left of it.
static long
callrest(const struct kcall *c, const struct rest *left)
{
	const long *a = c->arg;
	if (c->nr == NR_writev)
		return runtime_syscall6(c->nr, a[0], (long)left->piece, (long)left->n, 0, 0, 0);
	if (left->n != 0)
		return runtime_syscall6(c->nr, a[0], (long)&left->msg, a[2], 0, 0, 0);
	return runtime_syscall6(c->nr, a[0], a[1] + c->done, (long)left->len, a[3], a[4], a[5]);
}

// finishcall makes the call to its end, with the signal mask of the interrupted code, and returns what
// the program shall see. No p is held.
long
runtime_finishcall(struct kcall *c, const uint64_t *mask)
{
	struct timespec ts;
	uint64_t handler, open = *mask | 1ul << (SIGURG - 1);
	long r = -ENOSYS;
	runtime_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&open, (long)&handler, 8, 0, 0);
	if (kernelresumes(c))
		r = runtime_syscall6(NR_restart_syscall, 0, 0, 0, 0, 0, 0);
	bool done = r != -ENOSYS && r != -EPERM; // a filter may forbid it
	if (!done)
		shorten(c, c->since != 0 ? runtime_nanotime() - c->since : 0, &ts);
	if (!done && c->done == 0)
		r = runtime_syscall6(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]);
	for (struct rest left; c->done > 0 && rest(c, &left);) {
		long n = callrest(c, &left);
		c->done += n > 0 ? n : 0;
		if (n < (long)left.len) // it failed, or a signal of the program's has cut it: what is done is done
			break;
	}
	if (c->done > 0)
		r = c->done;
	runtime_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&handler, 0, 8, 0, 0);
	return r;
}
