// SPDX-License-Identifier: BSD-3-Clause
// launch.h: how a test program starts itself again under circumstances that a shell cannot make:
// no arguments, no environment, closed files, little address space.
//
// launch_self and launch_sys are raw system calls, so that pure programs can use them. launch
// forks and needs a libc: define _GNU_SOURCE to have it.
#ifndef RT0_LAUNCH_H
#define RT0_LAUNCH_H

#include <sys/syscall.h>

static inline long
launch_sys(long nr, long a, long b, long c, long d)
{
	long ret;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

// launch_self replaces the process by the same program; it comes back only when that failed.
static inline long
launch_self(char **argv, char **envp)
{
	return launch_sys(SYS_execve, (long)"/proc/self/exe", (long)argv, (long)envp, 0);
}

#ifdef _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct launch_result {
	int status;                // exit status, or 128 + the signal
	char out[2048], err[8192]; // the beginning of what it wrote
};

// launch runs this program again as `name arg` with at most bytes of address space, and waits. A
// child that hangs gets SIGALRM after five seconds.
static inline void
launch(struct launch_result *r, char *name, char *arg, rlim_t bytes)
{
	int out[2], err[2];
	r->status = -1;
	r->out[0] = r->err[0] = 0;
	if (pipe(out) != 0 || pipe(err) != 0)
		return;
	// Both pipes hold more than is looked at, and a child never waits for a reader.
	fcntl(out[1], F_SETFL, O_NONBLOCK);
	fcntl(err[1], F_SETFL, O_NONBLOCK);
	pid_t pid = fork();
	if (pid == 0) {
		char *argv[] = {name, arg, NULL};
		struct rlimit lim = {bytes, bytes};
		dup2(out[1], 1);
		dup2(err[1], 2);
		alarm(5);
		if (bytes == RLIM_INFINITY || setrlimit(RLIMIT_AS, &lim) == 0)
			execv("/proc/self/exe", argv);
		_exit(126);
	}
	close(out[1]);
	close(err[1]);
	int st;
	if (pid > 0 && waitpid(pid, &st, 0) == pid)
		r->status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
	ssize_t n = read(out[0], r->out, sizeof r->out - 1);
	r->out[n > 0 ? n : 0] = 0;
	n = read(err[0], r->err, sizeof r->err - 1);
	r->err[n > 0 ? n : 0] = 0;
	close(out[0]);
	close(err[0]);
}
#endif
#endif
