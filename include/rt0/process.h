// SPDX-License-Identifier: BSD-3-Clause
// rt0/process.h: other programs: start, wait, kill, what they print. Include it yourself; rt0.h does not.
//
//	const char *argv[] = {"sort", "-n", NULL};
//	rt0_command cmd = {.argv = argv, .in = {RT0_STDIO_PIPE, NULL}, .out = {RT0_STDIO_PIPE, NULL}};
//	rt0_process *p;
//	int status, err = rt0_process_start(&cmd, &p);
//
// A child costs no thread: who waits for it is parked. It starts with the signal mask that this program was started
// with, and with the default action for every signal that this one handles; what is ignored stays so. All
// descriptors that rt0 opens close themselves there.
//
// Children are waited for here: a program that takes them away by wait(2) for any child, or that ignores
// SIGCHLD, gets -ECHILD instead of a status. Linux 5.4 or later.
#ifndef RT0_PROCESS_H
#define RT0_PROCESS_H

#include "context.h"
#include "io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt0_process rt0_process;

// Where a standard descriptor of the child leads.
enum rt0_stdio_kind {
	RT0_STDIO_INHERIT, // where ours does
	RT0_STDIO_NULL,    // /dev/null
	RT0_STDIO_PIPE,    // to us: rt0_process_stdin and its kin
	RT0_STDIO_FD,      // to fd, which stays ours. It becomes blocking, as programs expect it to be: where the
	                   // child shares a pipe or terminal, do no more here than to close it
	RT0_STDIO_STDOUT,  // err only: where out does
};
typedef struct rt0_stdio {
	enum rt0_stdio_kind kind;
	rt0_fd *fd;
} rt0_stdio;

enum { RT0_PROCESS_GROUP = 1 }; // in a process group of its own: kill and the end of ctx are for all of it

// What to start. Zero every field that you do not set.
typedef struct rt0_command {
	const char *path;        // the program; without a slash it is looked for in PATH. NULL: argv[0]
	const char *const *argv; // ends with NULL
	const char *const *env;  // ends with NULL. NULL: the program's own, in this moment
	const char *dir;         // where it starts; a path that is relative is so to this. NULL: where we are
	int flags;               // RT0_PROCESS_GROUP
	rt0_context *ctx;        // at its end the child is killed (SIGKILL). NULL: none
	rt0_stdio in, out, err;
} rt0_command;

// rt0_process_start starts a program and returns when it runs. An error is one of this moment, that of the child's
// exec, too: there is no child then.
// Returns  0 with the process in *out; -ENOENT: no such program, or directory; -EACCES; -ENOEXEC; -ENOTDIR; -E2BIG;
//          -EAGAIN, -ENOMEM: no process to be had; -EMFILE; -EINVAL: cmd; what rt0_context_err says;
//          -ECANCELED, -EBADF: an fd.
// Blocks   the thread, until the child runs its program; the goroutine, while four others are at that.
// Context  goroutine or thread.
RT0_API int rt0_process_start(const rt0_command *cmd, rt0_process **out);

// Our ends of its pipes; NULL: it has none there. They are p's, and closed with it. Close stdin with rt0_fd_close, so
// that the child reads the end; to close any of them twice does no harm.
RT0_API rt0_fd *rt0_process_stdin(rt0_process *p);
RT0_API rt0_fd *rt0_process_stdout(rt0_process *p);
RT0_API rt0_fd *rt0_process_stderr(rt0_process *p);

// rt0_process_pid tells its number, which is another process's once p has been waited for.
RT0_API int rt0_process_pid(const rt0_process *p);

// rt0_process_wait waits until p has ended, by the deadline at the latest. Any number may wait, and again.
// *status, if status is not NULL, is the exit status if it is 0 or more; else the number of the signal that
// ended it, negative.
// Returns  0; -ETIMEDOUT: it runs; -ECHILD: it has ended, and another has taken its status.
// Blocks   the goroutine, not the thread.
// Context  goroutine or thread.
RT0_API int rt0_process_wait(rt0_process *p, int64_t deadline, int *status);

// rt0_process_kill sends a signal to p (or its group). It never meets another process that has got p's number.
// Returns  0; -ESRCH: p has been waited for; -EINVAL: no signal; -EPERM.
// Context  goroutine or thread.
RT0_API int rt0_process_kill(rt0_process *p, int sig);

// rt0_process_release closes the pipes of p and gives p up; nobody may use it any more. If it runs, it goes on
// (and ends with the context that it was started with), and nothing is left of it afterwards.
// Context  goroutine or thread. NULL is ignored.
RT0_API void rt0_process_release(rt0_process *p);

// What a program has printed. Both end with a 0, which is not counted; rt0_free them.
typedef struct rt0_output {
	char *out, *err;   // err NULL: cmd->err was no pipe
	size_t nout, nerr;
	int status;        // as rt0_process_wait's
} rt0_output;

// rt0_process_output runs cmd, gives it the n bytes at in (NULL: as cmd->in says), and collects what it prints on out,
// and on err if that is RT0_STDIO_PIPE, up to max bytes of each (0: no limit). It ends when the program
// has ended and nobody has the other ends of the pipes any more. At the end of cmd->ctx, or beyond max bytes, the
// program is killed, and what others with its pipes still print is not waited for.
// Returns  0 with *res filled, whatever the status is; what rt0_context_err says; -EMSGSIZE: more than max; -ENOMEM; what
//          rt0_process_start says. When there was a process, out, err and status are there also with an error.
// Blocks   as start, then the goroutine.
// Context  goroutine or thread.
RT0_API int rt0_process_output(const rt0_command *cmd, const void *in, size_t n, size_t max, rt0_output *res);

#ifdef __cplusplus
}
#endif
#endif
