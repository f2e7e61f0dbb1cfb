// SPDX-License-Identifier: BSD-3-Clause
// child.c: the end of child processes.
//
// A wait for one child parks until the child's pidfd is readable. Waits for any child, for a process group, or for
// children that stop have nothing to park on: they are declared, and block a thread each.
#include "posix.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// await parks until process pid may have ended. False: it cannot be waited for like that.
static bool
awaitend(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return false;
	struct posixwait w = {.fd = fd, .events = POLLIN};
	int err = rt->wait(&w, 1, NEVER);
	close(fd);
	return err == 0;
}

EXPORT pid_t
wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (options & WNOHANG))
		return next(wait4)(pid, status, options, usage);
	if (c == POSIX_BLOCK || pid <= 0 || options != 0)
		return DECLAREDBLOCK(next(wait4)(pid, status, options, usage));
	int saved = geterr();
	uint64_t thread = rt->thread();
	for (;;) {
		pid_t r = next(wait4)(pid, status, WNOHANG, usage);
		if (r != 0) { // < 0: somebody else has waited for it
			if (r > 0)
				seterr(saved);
			posix_home(thread);
			return r;
		}
		bool ended = awaitend(pid);
		posix_home(thread);
		if (!ended)
			return DECLAREDBLOCK(next(wait4)(pid, status, options, usage));
	}
}

EXPORT pid_t
waitpid(pid_t pid, int *status, int options)
{
	return plain() ? next(waitpid)(pid, status, options) : wait4(pid, status, options, NULL);
}

EXPORT pid_t
wait(int *status)
{
	return plain() ? next(wait)(status) : wait4(-1, status, 0, NULL);
}

EXPORT pid_t
wait3(int *status, int options, struct rusage *usage)
{
	return plain() ? next(wait3)(status, options, usage) : wait4(-1, status, options, usage);
}

EXPORT int
waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	enum posixcontext c = context();
	if (c == POSIX_PLAIN || (options & WNOHANG))
		return next(waitid)(type, id, info, options);
	if (c == POSIX_BLOCK || type != P_PID || (options & ~WNOWAIT) != WEXITED || info == NULL)
		return DECLAREDBLOCK(next(waitid)(type, id, info, options));
	int saved = geterr();
	uint64_t thread = rt->thread();
	for (;;) {
		info->si_pid = 0;
		int r = next(waitid)(type, id, info, options | WNOHANG);
		if (r == 0 && info->si_pid == 0) {
			bool ended = awaitend((pid_t)id);
			posix_home(thread);
			if (ended)
				continue;
			return DECLAREDBLOCK(next(waitid)(type, id, info, options));
		}
		if (r == 0)
			seterr(saved);
		return r;
	}
}
