// SPDX-License-Identifier: BSD-3-Clause
// process.c: child processes: start, wait, kill, output. What happens between clone and exec is spawn_linux.c's.
//
// A process is watched by its pidfd, which the poller tells readable when it has ended: who waits is parked. Nobody
// waits for a process whose owner does not; when he gives up one that runs (release), a goroutine waits, so that
// no zombie stays.
//
//   waiting  who waits in the poller: one, and the others for this mutex, until their deadline
//   lock     held to take the status and to signal: as long as the status has not been taken the pid (and the group
//            of that number) is the child's, so a signal cannot meet another's
//
// References: the owner's, which release gives up or hands to the goroutine that waits; one of the function that the
// end of the context starts, given up by it, or by whoever stops it in time: reap does so.
#include "../../include/rt0/process.h"
#include "net.h"

enum { OUTPUTMIN = 4096, SPAWNS = 4 };

// A thread sleeps while the child is on its way to exec: so many at one time, however many are started.
static rt0_semaphore spawns = RT0_SEMAPHORE(SPAWNS);

struct rt0_process {
	uint32_t refs; // atomic
	// constant:
	int32_t pid, sysfd;
	bool group;
	rt0_fd *pidfd, *pipe[3]; // our ends; NULL: none
	rt0_mutex waiting, lock;
	// lock writes, waiting reads:
	bool reaped;
	int err, status;
	// waiting, and start:
	rt0_context_after *after; // NULL: no context, or stopped
	bool closes;              // constant: at the end of the context the pipes are closed, too
};

static void
unref(rt0_process *p)
{
	if (atomic_xadd(&p->refs, -1) == 0)
		rt0_free(p);
}

// ---- start ----

// candidates makes the list of files that name may be, with the texts behind it, in one block.
static char **
candidates(const char *name, char *const *envp)
{
	const char *path = "/bin:/usr/bin";
	size_t len = runtime_strlen(name), n = 1, bytes;
	bool search = true;
	for (size_t i = 0; i < len; i++)
		search = search && name[i] != '/';
	if (!search || len == 0)
		path = "";
	else
		for (; *envp != NULL; envp++)
			if (runtime_hasprefix(*envp, "PATH="))
				path = *envp + 5;
	for (const char *s = path; *s != 0; s++)
		n += *s == ':';
	// Of each: its folder, a slash (or the dot of an empty one), the name, a 0.
	bytes = (n + 1) * sizeof(char *) + runtime_strlen(path) + n * (len + 3);
	char **list = rt0_alloc(bytes, 0), *to = (char *)(list + n + 1);
	for (size_t i = 0; i < n; i++) {
		list[i] = to;
		if (path[0] != 0 || (search && len != 0)) {
			char *from = to;
			while (*path != 0 && *path != ':')
				*to++ = *path++;
			if (to == from)
				*to++ = '.';
			*to++ = '/';
			path += *path == ':';
		}
		runtime_memmove(to, name, len + 1);
		to += len + 1;
	}
	list[n] = NULL;
	return list;
}

// The descriptors that start opens or holds until the child runs.
struct stdio {
	struct fd *held[3]; // RT0_STDIO_FD
	int32_t theirs[3];  // to be closed; -1: none
	int32_t ours[3];
	int32_t fd[3];      // what the child gets; -1: inherits
};

static int
openstdio(struct stdio *s, int i, const rt0_stdio *from)
{
	int32_t ends[2];
	int err;
	long r;
	switch (from->kind) {
	case RT0_STDIO_INHERIT:
		return 0;
	case RT0_STDIO_NULL:
		do {
			r = blocking(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
		} while (r == -EINTR);
		if (r < 0)
			return (int)r;
		s->fd[i] = s->theirs[i] = (int32_t)r;
		return 0;
	case RT0_STDIO_PIPE:
		r = sys2(SYS_pipe2, ends, O_CLOEXEC);
		if (r < 0)
			return (int)r;
		s->fd[i] = s->theirs[i] = ends[i != 0];
		s->ours[i] = ends[i == 0];
		err = runtime_nonblock(s->ours[i], true);
		return err < 0 ? err : 0;
	case RT0_STDIO_FD:
		s->held[i] = runtime_fdincref(from->fd, &err);
		if (s->held[i] == NULL)
			return err;
		s->fd[i] = s->held[i]->sysfd;
		err = runtime_nonblock(s->fd[i], false);
		return err < 0 ? err : 0;
	case RT0_STDIO_STDOUT:
		return i == 2 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static void
closestdio(struct stdio *s)
{
	for (int i = 0; i < 3; i++) {
		if (s->held[i] != NULL)
			runtime_fddecref(s->held[i]);
		if (s->theirs[i] >= 0)
			runtime_close(s->theirs[i]);
		if (s->ours[i] >= 0)
			runtime_close(s->ours[i]);
	}
}

static void ctxkill(void *arg);

// handles makes those of the pidfd and of our pipe ends, which are then closed with them.
static int
handles(rt0_process *p, struct stdio *s)
{
	const struct fd like = {.stream = true};
	int err = runtime_fdmake(p->sysfd, true, &like, &p->pidfd);
	for (int i = 0; i < 3 && err == 0; i++) {
		if (s->ours[i] < 0)
			continue;
		err = runtime_fdmake(s->ours[i], true, &like, &p->pipe[i]);
		if (err == 0)
			s->ours[i] = -1;
	}
	return err;
}

static int
start(const rt0_command *cmd, bool closes, rt0_process **out)
{
	if (cmd->argv == NULL || cmd->argv[0] == NULL || (cmd->flags & ~RT0_PROCESS_GROUP))
		return -EINVAL;
	int err = cmd->ctx != NULL ? rt0_context_err(cmd->ctx) : 0;
	if (err < 0)
		return err;
	char **own = runtime_hosted != NULL ? runtime_hosted->environ() : runtime_envp;
	static char *none[1];
	if (own == NULL)
		own = none; // clearenv
	struct stdio s = {.theirs = {-1, -1, -1}, .ours = {-1, -1, -1}, .fd = {-1, -1, -1}};
	const rt0_stdio *from[3] = {&cmd->in, &cmd->out, &cmd->err};
	for (int i = 0; i < 3 && err == 0; i++)
		err = openstdio(&s, i, from[i]);
	if (err < 0) {
		closestdio(&s);
		return err;
	}
	char **paths = candidates(cmd->path != NULL ? cmd->path : cmd->argv[0], own);
	rt0_process *p = rt0_alloc(sizeof *p, 0);
	struct spawn sp = {
	    .paths = paths,
	    .argv = (char *const *)cmd->argv,
	    .envp = cmd->env != NULL ? (char *const *)cmd->env : own,
	    .dir = cmd->dir,
	    .fd = {s.fd[0], s.fd[1], s.fd[2]},
	    .errtoout = cmd->err.kind == RT0_STDIO_STDOUT,
	    .group = (cmd->flags & RT0_PROCESS_GROUP) != 0,
	};
	rt0_semaphore_acquire(&spawns, 1);
	long pid = runtime_spawn(&sp, &p->sysfd);
	rt0_semaphore_release(&spawns, 1);
	err = pid < 0 ? (int)pid : 0;
	if (err == 0) {
		*p = (rt0_process){.refs = 1, .pid = (int32_t)pid, .sysfd = p->sysfd, .group = sp.group, .closes = closes};
		err = handles(p, &s);
		if (err < 0) {
			// It runs already, but nobody could wait for it.
			int status;
			runtime_killprocess(p->sysfd, p->pid, p->group, SIGKILL);
			runtime_waitpidfd(p->sysfd, &status);
			for (int i = 0; i < 3; i++)
				if (p->pipe[i] != NULL)
					rt0_fd_close(p->pipe[i]);
			if (p->pidfd != NULL)
				rt0_fd_close(p->pidfd);
			else
				runtime_close(p->sysfd);
		}
	}
	closestdio(&s);
	rt0_free(paths);
	if (err < 0) {
		rt0_free(p);
		return err;
	}
	if (cmd->ctx != NULL) {
		p->refs = 2;
		rt0_context_after_func(cmd->ctx, ctxkill, p, &p->after);
	}
	*out = p;
	return 0;
}

// ---- wait, kill, release ----

static int
killprocess(rt0_process *p, int sig)
{
	rt0_mutex_lock(&p->lock);
	int err = p->reaped ? -ESRCH : runtime_killprocess(p->sysfd, p->pid, p->group, sig);
	rt0_mutex_unlock(&p->lock);
	return err;
}

static void
closepipes(rt0_process *p)
{
	for (int i = 0; i < 3; i++)
		if (p->pipe[i] != NULL)
			rt0_fd_close(p->pipe[i]);
}

static void
ctxkill(void *arg)
{
	rt0_process *p = arg;
	killprocess(p, SIGKILL);
	if (p->closes)
		closepipes(p);
	unref(p);
}

// reap takes the status of p, which has ended. p->waiting is held.
static void
reap(rt0_process *p)
{
	rt0_mutex_lock(&p->lock);
	p->err = runtime_waitpidfd(p->sysfd, &p->status);
	p->reaped = true;
	rt0_mutex_unlock(&p->lock);
	rt0_fd_close(p->pidfd);
	// Where the pipes are to be closed, too, that may come yet: others can have their ends.
	if (p->after != NULL && !p->closes && rt0_context_stop(p->after))
		unref(p);
	if (!p->closes)
		p->after = NULL;
}

static int
wait(rt0_process *p, int64_t deadline, int *status)
{
	int err = rt0_mutex_lock_until(&p->waiting, deadline);
	if (err < 0)
		return err;
	if (!p->reaped) {
		rt0_fd_set_read_deadline(p->pidfd, deadline);
		err = rt0_fd_wait(p->pidfd, RT0_READABLE);
		if (err == 0)
			reap(p);
	}
	if (err == 0)
		err = p->err;
	if (err == 0 && status != NULL)
		*status = p->status;
	rt0_mutex_unlock(&p->waiting);
	return err;
}

static void
waitout(void *arg)
{
	wait(arg, INT64_MAX, NULL);
	unref(arg);
}

static void
release(rt0_process *p)
{
	closepipes(p);
	if (p->reaped)
		unref(p);
	else
		runtime_newproc(waitout, p, (uintptr_t)rt0_process_release);
}

// ---- output ----

// What one goroutine reads or writes, while another does something else.
struct collect {
	rt0_process *p;
	rt0_fd *fd;
	char *buf; // what has been read; or what is to be written
	size_t n, max;
	int err;
	rt0_waitgroup *wg;
};

static void
readall(struct collect *c)
{
	size_t cap = OUTPUTMIN;
	c->buf = rt0_alloc(cap, RT0_NOSCAN);
	for (;;) {
		if (c->n + 1 == cap) {
			char *more = runtime_mallocgc_try(cap * 2, true, false);
			if (more == NULL) {
				c->err = -ENOMEM;
				break;
			}
			runtime_memmove(more, c->buf, c->n);
			rt0_free(c->buf);
			c->buf = more;
			cap *= 2;
		}
		long r = rt0_fd_read(c->fd, c->buf + c->n, cap - 1 - c->n);
		if (r <= 0) {
			c->err = (int)r;
			break;
		}
		c->n += (size_t)r;
		if (c->n > c->max) {
			c->n = c->max;
			c->err = -EMSGSIZE;
			break;
		}
	}
	c->buf[c->n] = 0;
	if (c->err < 0 && c->err != -ECANCELED) {
		killprocess(c->p, SIGKILL);
		closepipes(c->p);
	}
}

static void
readall_g(void *arg)
{
	struct collect *c = arg;
	readall(c);
	rt0_waitgroup_done(c->wg);
}

static void
writeall_g(void *arg)
{
	struct collect *c = arg;
	// -EPIPE: it did not want all of it, which is its own affair.
	rt0_fd_write(c->fd, c->buf, c->n);
	rt0_fd_close(c->fd);
	rt0_waitgroup_done(c->wg);
}

static int
output(const rt0_command *given, const void *in, size_t n, size_t max, rt0_output *res)
{
	rt0_command cmd = *given;
	rt0_process *p;
	rt0_waitgroup wg = {0, 0};
	runtime_memclr(res, sizeof *res);
	cmd.out.kind = RT0_STDIO_PIPE;
	if (in != NULL)
		cmd.in.kind = RT0_STDIO_PIPE;
	else if (cmd.in.kind == RT0_STDIO_PIPE)
		n = 0;
	int err = start(&cmd, true, &p);
	if (err < 0)
		return err;
	max = max == 0 ? SIZE_MAX : max;
	struct collect c[3] = {
	    {.p = p, .fd = p->pipe[0], .buf = (char *)(uintptr_t)in, .n = n, .wg = &wg},
	    {.p = p, .fd = p->pipe[1], .max = max},
	    {.p = p, .fd = p->pipe[2], .max = max, .wg = &wg},
	};
	for (int i = 0; i < 3; i += 2) {
		if (c[i].fd == NULL)
			continue;
		rt0_waitgroup_add(&wg, 1);
		runtime_newproc(i == 0 ? writeall_g : readall_g, &c[i], (uintptr_t)rt0_process_output);
	}
	readall(&c[1]);
	err = wait(p, INT64_MAX, &res->status);
	// It has ended; who else reads our input will not have it all.
	if (c[0].fd != NULL)
		rt0_fd_close(c[0].fd);
	rt0_waitgroup_wait(&wg);
	rt0_mutex_lock(&p->waiting);
	if (p->after != NULL && rt0_context_stop(p->after))
		unref(p);
	p->after = NULL;
	rt0_mutex_unlock(&p->waiting);
	*res = (rt0_output){c[1].buf, c[2].fd != NULL ? c[2].buf : NULL, c[1].n, c[2].n, res->status};
	for (int i = 1; i < 3; i++)
		if (c[i].err < 0 && (err == 0 || err == -ECANCELED) && c[i].fd != NULL)
			err = c[i].err;
	// A pipe that was closed under a reader: by the context's end, or by the other reader's error.
	if (cmd.ctx != NULL && rt0_context_err(cmd.ctx) < 0 && (err == -ECANCELED || res->status == -SIGKILL))
		err = rt0_context_err(cmd.ctx);
	release(p);
	return err;
}

// ---- the public functions ----

enum { OPSTART, OPWAIT, OPKILL, OPRELEASE, OPOUTPUT };
static void processcall_g(void *arg);

int
rt0_process_start(const rt0_command *cmd, rt0_process **out)
{
	FOREIGN(processcall_g, OPSTART, (uintptr_t)cmd, (uintptr_t)out);
	return start(cmd, false, out);
}

int
rt0_process_wait(rt0_process *p, int64_t deadline, int *status)
{
	FOREIGN(processcall_g, OPWAIT, (uintptr_t)p, (uintptr_t)deadline, (uintptr_t)status);
	return wait(p, deadline, status);
}

int
rt0_process_kill(rt0_process *p, int sig)
{
	FOREIGN(processcall_g, OPKILL, (uintptr_t)p, (uintptr_t)sig);
	return killprocess(p, sig);
}

static int
releasecall(rt0_process *p)
{
	FOREIGN(processcall_g, OPRELEASE, (uintptr_t)p);
	release(p);
	return 0;
}

void
rt0_process_release(rt0_process *p)
{
	if (p != NULL)
		releasecall(p);
}

int
rt0_process_output(const rt0_command *cmd, const void *in, size_t n, size_t max, rt0_output *res)
{
	FOREIGN(processcall_g, OPOUTPUT, (uintptr_t)cmd, (uintptr_t)in, n, max, (uintptr_t)res);
	return output(cmd, in, n, max, res);
}

rt0_fd *
rt0_process_stdin(rt0_process *p)
{
	return p->pipe[0];
}

rt0_fd *
rt0_process_stdout(rt0_process *p)
{
	return p->pipe[1];
}

rt0_fd *
rt0_process_stderr(rt0_process *p)
{
	return p->pipe[2];
}

int
rt0_process_pid(const rt0_process *p)
{
	return p->pid;
}

static void
processcall_g(void *arg)
{
	struct fdcall *c = arg;
	uintptr_t *a = c->a;
	rt0_process *p = (rt0_process *)a[0];
	switch (c->op) {
	case OPSTART: c->r = start((const rt0_command *)a[0], false, (rt0_process **)a[1]); break;
	case OPWAIT: c->r = wait(p, (int64_t)a[1], (int *)a[2]); break;
	case OPKILL: c->r = killprocess(p, (int)a[1]); break;
	case OPRELEASE: release(p); break;
	case OPOUTPUT: c->r = output((const rt0_command *)a[0], (const void *)a[1], a[2], a[3], (rt0_output *)a[4]); break;
	}
}
