// SPDX-License-Identifier: BSD-3-Clause
// spawn_linux.c: a child process, from clone to exec.
//
// The child shares our memory (CLONE_VM: nothing is copied, however large we are), and the thread that makes it
// sleeps until it has gone on to exec or exit (CLONE_VFORK). So it runs on the same stack below its parent's frame, and
// what it writes into the arguments is seen by the parent: its error needs no pipe. What it must not do:
//
//   signals    A handler of ours that ran in it would change our memory for the wrong process. All signals, the libc's
//              too, are blocked before clone, and in the child until all handlers are gone. exec would remove them, but
//              the mask must be right before it.
//   the libc, sanitizers, thread-locals, locks   It is on its parent's thread-locals, and never returns: nothing but
//              system calls here, no code that a sanitizer has touched, no fault counter.
//   return     It leaves by exec or exit. asm calls spawnchild, with nothing to return to.
//
// Its descriptors are copies (no CLONE_FILES), and so are its directory and its handlers.
#include "../../runtime.h"
#include "linux.h"

enum {
	SYS_dup2 = 33, SYS_execve = 59, SYS_chdir = 80, SYS_setpgid = 109, SYS_waitid = 247, SYS_pidfd_send_signal = 424,
	F_DUPFD_CLOEXEC = 1030, F_SETFD = 2,
	EACCES = 13, ENODEV = 19, ENOTDIR = 20, ESTALE = 116,
	P_PIDFD = 3, WEXITED = 4, CLD_EXITED = 1,
};
#define CLONE_VM 0x100ul
#define CLONE_PIDFD 0x1000ul
#define CLONE_VFORK 0x4000ul

long runtime_vfork(uint64_t flags, void (*fn)(void *arg), void *arg, int32_t *pidfd);

#define child1(nr, a) runtime_syscall6(nr, (long)(a), 0, 0, 0, 0, 0)
#define child2(nr, a, b) runtime_syscall6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define child3(nr, a, b, c) runtime_syscall6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define child4(nr, a, b, c, d) runtime_syscall6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

// childfds puts fd[i] in the place of i. One that lies in a place of the three, and not its own, goes out of
// the way first.
NOSANITIZE static inline long
childfds(struct spawn *s)
{
	long r;
	for (int i = 0; i < 3; i++)
		if (s->fd[i] >= 0 && s->fd[i] < 3 && s->fd[i] != i) {
			r = child3(SYS_fcntl, s->fd[i], F_DUPFD_CLOEXEC, 3);
			if (r < 0)
				return r;
			s->fd[i] = (int32_t)r;
		}
	for (int i = 0; i < 3; i++) {
		if (s->fd[i] < 0)
			continue;
		r = s->fd[i] == i ? child3(SYS_fcntl, i, F_SETFD, 0) : child2(SYS_dup2, s->fd[i], i);
		if (r < 0)
			return r;
	}
	r = s->errtoout ? child2(SYS_dup2, 1, 2) : 0;
	return r < 0 ? r : 0;
}

// childexec tries the candidates in turn; it returns why none will do.
NOSANITIZE static inline long
childexec(struct spawn *s)
{
	long err = -ENOENT;
	for (char *const *path = s->paths; *path != NULL; path++) {
		long r = child3(SYS_execve, *path, s->argv, s->envp);
		if (r == -EACCES)
			err = r; // there was one, so this counts more than that there is none elsewhere
		else if (r != -ENOENT && r != -ENOTDIR && r != -ENODEV && r != -ESTALE && r != -ETIMEDOUT)
			return r;
		else if (s->paths[1] == NULL)
			return r;
	}
	return err;
}

NOSANITIZE static void
spawnchild(void *arg)
{
	struct spawn *s = arg;
	long r = 0;
	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction sa;
		if (child4(SYS_rt_sigaction, sig, 0, &sa, 8) != 0 || sa.handler == SIG_DFL || sa.handler == SIG_IGN)
			continue;
		sa.handler = SIG_DFL;
		child4(SYS_rt_sigaction, sig, &sa, 0, 8);
	}
	if (s->group)
		r = child2(SYS_setpgid, 0, 0);
	if (r == 0 && s->dir != NULL)
		r = child1(SYS_chdir, s->dir);
	if (r == 0)
		r = childfds(s);
	if (r == 0)
		r = child4(SYS_rt_sigprocmask, SIG_SETMASK, &s->mask, 0, 8);
	if (r == 0)
		r = childexec(s);
	s->err = r;
	for (;;)
		child1(SYS_exit_group, 127);
}

long
runtime_spawn(struct spawn *s, int32_t *pidfd)
{
	uint64_t all = ~0ul, old = 0;
	s->err = 0;
	s->mask = runtime_startmask();
	*pidfd = -1;
	rt0_entersyscall();
	if (sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8) != 0)
		runtime_throw("rt_sigprocmask failed");
	long pid = runtime_failsys(SYS_clone) ? -EAGAIN : runtime_vfork(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, spawnchild, s, pidfd);
	if (sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8) != 0)
		runtime_throw("rt_sigprocmask failed");
	int status;
	if (pid > 0 && s->err < 0) {
		runtime_waitpidfd(*pidfd, &status);
		runtime_close(*pidfd);
		pid = s->err;
	}
	rt0_exitsyscall();
	return pid;
}

int
runtime_waitpidfd(int32_t pidfd, int *status)
{
	// As waitid fills it in.
	struct {
		int32_t signo, err, code, pad, pid, uid, status;
		uint8_t rest[100];
	} si;
	long r;
	si.code = si.status = 0;
	do {
		r = sys6(SYS_waitid, P_PIDFD, pidfd, &si, WEXITED, 0, 0);
	} while (r == -EINTR);
	*status = si.code == CLD_EXITED ? si.status : -(si.status & 127);
	return (int)r;
}

int
runtime_killprocess(int32_t pidfd, int32_t pid, bool group, int sig)
{
	return (int)(group ? sys2(SYS_kill, -pid, sig) : sys4(SYS_pidfd_send_signal, pidfd, sig, NULL, 0));
}
