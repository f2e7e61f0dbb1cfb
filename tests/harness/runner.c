// SPDX-License-Identifier: BSD-3-Clause
// runner.c: runs every test in a process of its own, with a time limit.
//
// usage: runner [-j jobs] [-n times] [-p 1,2,3] [-k text] [-b build] [-c cc] [-d debug] [-s san]
// TARGET...
//
// A TARGET is a unit binary (unit.c), or a folder of programs that must do, or die, as their .want
// file says. NAME.want and NAME.VARIANT.want both belong to NAME.c, which `rt0 build` compiles. A
// .want file holds, line by line:
//
//	exit CODE          the exit status; 128+N for death by signal N. First line
//	TEXT               some line of stderr starts so; these lines come in this order
//	~REGEX             the same with a POSIX extended regular expression, anywhere in the line
//	not: REGEX         no line of stderr or stdout matches
//	stdout: TEXT       some line of stdout is this (~REGEX as above); in this order
//	env: K=V   args: A B   cflags: F...   mode: pure|hosted|library
//	timeout: MS        instead of 10000
//	needs: debug       skipped unless built with DEBUG; `needs: nosan` unless built without SAN
//	pre: COMMAND       sh runs it before compiling, with $CC, $SANFLAGS, $B and $OUT
//	# COMMENT
//
// The runner itself uses no runtime: what it tests may be broken. A test that is late gets SIGQUIT
// first, so that its goroutines are printed, and SIGKILL a second later, with its process group.
// -p runs all with each GOMAXPROCS (but those whose .want sets it), -n each so many times in a row.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAXJOBS = 64, MAXLINES = 80, KILL_MS = 1000, SKIPPED = 77, SHOWN_LINES = 60 };

struct list {
	char *line[MAXLINES];
	int n;
};

// A program that prog tests run: one for all that want the same source built the same way.
struct prog {
	char *src, *bin, *cflags, *pre;
	bool pure, library;
	enum { NEW, COMPILING, GOOD, BROKEN } state;
	struct prog *next;
};

struct test {
	char *name;        // as printed
	char *bin;         // what to run
	char *arg;         // unit tests: the test's name
	struct prog *prog; // prog tests: compiled to bin first
	int timeout;       // ms
	int procs;         // GOMAXPROCS; 0: as it comes
	int code;          // wanted exit status
	bool needsdebug, nosan, ownprocs;
	struct list err, out, not, env, args;
	struct test *next;
};

struct slot {
	struct test *t; // NULL: free
	pid_t pid;
	int pidfd, outfd, errfd;
	int runs; // done so far
	bool compiling, late;
	int64_t deadline; // ms
};

static _Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *strf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static struct test *tests, **testsend = &tests;
static struct prog *progs;
static struct slot slots[MAXJOBS];
static int njobs = 2, ntimes = 1, nprocs, procs[16], debug;
static int passed, failed, skipped;
static const char *match = "", *build = "build", *cc = "cc", *san = "";

static _Noreturn void
die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("runner: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(2);
}

static char *
strf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *s;
	if (vasprintf(&s, fmt, ap) < 0)
		die("out of memory");
	va_end(ap);
	return s;
}

static int64_t
now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void
push(struct list *l, const char *s)
{
	if (l->n == MAXLINES)
		die("more than %d lines: %s", MAXLINES, s);
	l->line[l->n++] = strf("%s", s);
}

// words splits s at blanks into l.
static void
words(struct list *l, const char *s)
{
	char *copy = strf("%s", s), *save = NULL;
	for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save))
		push(l, w);
	free(copy);
}

// add queues t once, or once for each GOMAXPROCS asked for.
static void
add(const struct test *t)
{
	if (!strstr(t->name, match))
		return;
	int n = nprocs && !t->ownprocs ? nprocs : 1;
	for (int i = 0; i < n; i++) {
		struct test *copy = malloc(sizeof *copy);
		if (!copy)
			die("out of memory");
		*copy = *t;
		if (nprocs && !t->ownprocs) {
			copy->procs = procs[i];
			copy->name = strf("%s GOMAXPROCS=%d", t->name, procs[i]);
		}
		if (ntimes > 1)
			copy->name = strf("%s x%d", copy->name, ntimes);
		copy->next = NULL;
		*testsend = copy;
		testsend = &copy->next;
	}
}

static void
listunit(const char *bin)
{
	char *cmd = strf("'%s' --list", bin), line[512];
	FILE *f = popen(cmd, "r");
	if (!f)
		die("%s: %s", bin, strerror(errno));
	while (fgets(line, sizeof line, f)) {
		char *sp = strchr(line, ' ');
		if (!sp)
			continue;
		*sp = 0;
		struct test t = {
		    .name = strf("%s", line), .bin = strf("%s", bin), .timeout = atoi(sp + 1)};
		t.arg = t.name;
		add(&t);
	}
	if (pclose(f) != 0)
		die("%s --list failed", bin);
	free(cmd);
}

// directive returns what follows "key: " in line, or NULL.
static const char *
directive(const char *line, const char *key)
{
	size_t n = strlen(key);
	if (strncmp(line, key, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " ");
}

// share returns the program that is p, or a new one with a name of its own.
static struct prog *
share(const struct prog *p, const char *name)
{
	int same = 0;
	for (struct prog *q = progs; q; q = q->next) {
		if (strcmp(q->src, p->src) != 0)
			continue;
		if (strcmp(q->cflags, p->cflags) == 0 && strcmp(q->pre, p->pre) == 0 &&
		    q->pure == p->pure && q->library == p->library)
			return q;
		same++;
	}
	struct prog *q = malloc(sizeof *q);
	if (!q)
		die("out of memory");
	*q = *p;
	q->bin = same ? strf("%s/prog/%s.%d", build, name, same) : strf("%s/prog/%s", build, name);
	q->next = progs;
	return progs = q;
}

static void
readwant(const char *dir, const char *file)
{
	char *path = strf("%s/%s", dir, file), *line = NULL;
	size_t cap = 0, nbase = strcspn(file, ".");
	FILE *f = fopen(path, "r");
	if (!f)
		die("%s: %s", path, strerror(errno));
	const char *base = strrchr(dir, '/') ? strrchr(dir, '/') + 1 : dir;
	int nname = (int)(strlen(file) - strlen(".want"));
	struct test t = {.name = strf("%s/%.*s", base, nname, file), .timeout = 10000, .code = -1};
	char *name = strf("%.*s", (int)nbase, file);
	struct prog p = {.src = strf("%s/%s.c", dir, name), .cflags = "", .pre = ""};
	if (access(p.src, F_OK) != 0)
		p.src = strf("%s/%s.cc", dir, name);
	const char *v;
	for (ssize_t n; (n = getline(&line, &cap, f)) >= 0;) {
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = 0;
		if (line[0] == 0 || line[0] == '#')
			continue;
		if (t.code < 0) {
			if (sscanf(line, "exit %d", &t.code) != 1 || t.code < 0)
				die("%s: the first line must be `exit CODE`", path);
		} else if ((v = directive(line, "stdout"))) {
			push(&t.out, v);
		} else if ((v = directive(line, "not"))) {
			push(&t.not, v);
		} else if ((v = directive(line, "env"))) {
			push(&t.env, v);
			t.ownprocs |= strncmp(v, "GOMAXPROCS=", 11) == 0;
		} else if ((v = directive(line, "args"))) {
			words(&t.args, v);
		} else if ((v = directive(line, "cflags"))) {
			p.cflags = strf("%s", v);
		} else if ((v = directive(line, "pre"))) {
			p.pre = strf("%s", v);
		} else if ((v = directive(line, "timeout"))) {
			t.timeout = atoi(v);
		} else if ((v = directive(line, "needs"))) {
			t.needsdebug |= strstr(v, "debug") != NULL;
			t.nosan |= strstr(v, "nosan") != NULL;
		} else if ((v = directive(line, "mode"))) {
			p.pure = strcmp(v, "pure") == 0;
			p.library = strcmp(v, "library") == 0;
			if (!p.pure && !p.library && strcmp(v, "hosted") != 0)
				die("%s: mode %s is not known", path, v);
		} else {
			push(&t.err, line);
		}
	}
	if (t.code < 0)
		die("%s: empty", path);
	t.nosan |= p.pure; // the sanitizers need a libc
	t.prog = share(&p, name);
	t.bin = t.prog->bin;
	add(&t);
	free(line);
	free(path);
	free(name);
	fclose(f);
}

static int
bysuffix(const struct dirent *d)
{
	size_t n = strlen(d->d_name);
	return n > 5 && strcmp(d->d_name + n - 5, ".want") == 0;
}

static void
listdir(const char *dir)
{
	struct dirent **d;
	int n = scandir(dir, &d, bysuffix, alphasort);
	if (n < 0)
		die("%s: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++)
		readwant(dir, d[i]->d_name);
	char *out = strf("%s/prog", build);
	mkdir(out, 0777);
	free(out);
}

static int
output(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC);
	if (fd < 0)
		die("memfd_create: %s", strerror(errno));
	return fd;
}

// become replaces the child's image by the compiler (through rt0 build) or by the test.
static _Noreturn void
become(struct slot *s)
{
	struct test *t = s->t;
	if (s->compiling) {
		setenv("RT0_CC", cc, 1);
		setenv("CC", cc, 1);
		setenv("B", build, 1);
		setenv("OUT", t->bin, 1);
		setenv("SANFLAGS", san[0] ? strf("-fsanitize=%s", san) : "", 1);
		const struct prog *p = t->prog;
		const char *mode = p->pure ? "-pure" : p->library ? "-lib" : "";
		char *cmd = strf("set -e\n%s\n%s/bin/rt0 build %s -o %s -O1 -Wall -Wextra %s %s",
		    p->pre, build, mode, t->bin, p->src, p->cflags);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	static const char *const ours[] = {
	    "GODEBUG", "GOTRACEBACK", "GOMAXPROCS", "GOGC", "GOMEMLIMIT"};
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		unsetenv(ours[i]);
	// The leak checker looks for pointers in the libc's heap and the threads' stacks; it knows
	// nothing of goroutines' stacks and the runtime's heap, and calls what they point to lost.
	setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
	if (t->procs) {
		char n[16];
		snprintf(n, sizeof n, "%d", t->procs);
		setenv("GOMAXPROCS", n, 1);
	}
	for (int i = 0; i < t->env.n; i++)
		putenv(t->env.line[i]);
	struct rlimit core, size = {256 << 20, 256 << 20};
	getrlimit(RLIMIT_CORE, &core);
	core.rlim_cur = 0; // the hard limit stays: a test of core dumps raises it
	setrlimit(RLIMIT_CORE, &core);
	setrlimit(RLIMIT_FSIZE, &size);
	char *argv[MAXLINES + 3] = {t->bin};
	int n = 1;
	if (t->arg)
		argv[n++] = t->arg;
	for (int i = 0; i < t->args.n; i++)
		argv[n++] = t->args.line[i];
	execv(t->bin, argv);
	dprintf(2, "%s: %s\n", t->bin, strerror(errno));
	_exit(127);
}

static void
start(struct slot *s)
{
	struct test *t = s->t;
	s->outfd = output();
	s->errfd = output();
	s->late = false;
	// Debug checks and sanitizers cost 2 to 20 times; RT0_TEST_SLOW is for slow machines.
	const char *factor = getenv("RT0_TEST_SLOW");
	int slow = strcmp(san, "thread") == 0 ? 8 : san[0] || debug ? 4 : 1;
	slow *= factor && atoi(factor) > 0 ? atoi(factor) : 1;
	s->deadline = now() + (s->compiling ? 120000 : (int64_t)t->timeout * slow);
	s->pid = fork();
	if (s->pid < 0)
		die("fork: %s", strerror(errno));
	if (s->pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_RDONLY);
		dup2(null, 0);
		dup2(s->outfd, 1);
		dup2(s->errfd, 2);
		close(null);
		become(s);
	}
	setpgid(s->pid, s->pid); // both sides: whoever comes first
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0)
		die("pidfd_open: %s", strerror(errno));
}

static char *
contents(int fd)
{
	off_t n = lseek(fd, 0, SEEK_END);
	char *s = malloc((size_t)n + 1);
	if (!s || (n > 0 && pread(fd, s, (size_t)n, 0) != n))
		die("cannot read a test's output");
	for (off_t i = 0; i < n; i++)
		if (s[i] == 0)
			s[i] = '?';
	s[n] = 0;
	return s;
}

static bool
rematch(const char *re, const char *line)
{
	regex_t r;
	if (regcomp(&r, re, REG_EXTENDED | REG_NOSUB) != 0)
		die("bad regular expression: %s", re);
	bool ok = regexec(&r, line, 0, NULL, 0) == 0;
	regfree(&r);
	return ok;
}

// lacks returns the first line of want that text does not have in its place, or NULL.
static const char *
lacks(const struct list *want, const char *text, bool whole)
{
	char *copy = strf("%s", text), *next = copy;
	int i = 0;
	while (i < want->n && next) {
		char *line = strsep(&next, "\n");
		const char *w = want->line[i];
		bool ok = w[0] == '~' ? rematch(w + 1, line)
		    : whole           ? strcmp(w, line) == 0
				      : strncmp(w, line, strlen(w)) == 0;
		if (ok)
			i++;
	}
	free(copy);
	return i < want->n ? want->line[i] : NULL;
}

static const char *
forbidden(const struct list * not, const char *text)
{
	const char *hit = NULL;
	char *copy = strf("%s", text), *next = copy;
	for (char *line; !hit && (line = strsep(&next, "\n"));)
		for (int i = 0; i < not ->n; i++)
			if (rematch(not ->line[i], line))
				hit = not ->line[i];
	free(copy);
	return hit;
}

// judge says why the run was no success; NULL when it was one. st is wait's status.
static char *
judge(struct slot *s, int st, const char *out, const char *err)
{
	struct test *t = s->t;
	int code = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
	const char *line;
	if (s->late)
		return strf("timeout");
	if (s->compiling)
		return code ? strf("does not compile") : NULL;
	if (code != t->code) {
		const char *sig = WIFSIGNALED(st) ? strsignal(WTERMSIG(st)) : NULL;
		return strf("exit %d%s%s%s, want %d", code, sig ? " (" : "", sig ? sig : "",
		    sig ? ")" : "", t->code);
	}
	if ((line = lacks(&t->err, err, false)))
		return strf("stderr lacks, here or at all: %s", line);
	if ((line = lacks(&t->out, out, true)))
		return strf("stdout lacks, here or at all: %s", line);
	if ((line = forbidden(&t->not, err)) || (line = forbidden(&t->not, out)))
		return strf("output has: %s", line);
	return NULL;
}

static void
show(const char *what, const char *text)
{
	char *copy = strf("%s", text), *next = copy, *line;
	for (int i = 0; (line = strsep(&next, "\n")) && (next || *line); i++) {
		if (i == SHOWN_LINES) {
			printf("    %s| ...\n", what);
			break;
		}
		printf("    %s| %s\n", what, line);
	}
	free(copy);
}

static void
skip(struct test *t, const char *reason)
{
	skipped++;
	printf("ok %d - %s # skip %s\n", passed + failed + skipped, t->name, reason);
	fflush(stdout);
}

// finish is called when the process of s has ended; it starts the next one of the same test.
static void
finish(struct slot *s)
{
	struct test *t = s->t;
	int st;
	kill(
	    -s->pid, SIGKILL); // what the test left behind; the leader is a zombie and holds the id
	while (waitpid(s->pid, &st, 0) < 0 && errno == EINTR)
		;
	close(s->pidfd);
	char *out = contents(s->outfd), *err = contents(s->errfd);
	close(s->outfd);
	close(s->errfd);
	bool again = false;
	if (!s->compiling && !s->late && WIFEXITED(st) && WEXITSTATUS(st) == SKIPPED &&
	    t->code != SKIPPED) {
		char *why = strstr(err, "SKIP ");
		if (why)
			why[strcspn(why, "\n")] = 0;
		skip(t, why ? why + 5 : "");
	} else {
		char *reason = judge(s, st, out, err);
		if (reason) {
			if (s->compiling)
				t->prog->state = BROKEN;
			failed++;
			printf("not ok %d - %s # %s", passed + failed + skipped, t->name, reason);
			printf(ntimes > 1 && !s->compiling ? " (run %d)\n" : "\n", s->runs + 1);
			show("err", err);
			show("out", out);
			free(reason);
		} else if (s->compiling) {
			s->compiling = false;
			t->prog->state = GOOD;
			again = true;
		} else if (++s->runs < ntimes) {
			again = true;
		} else {
			passed++;
			printf("ok %d - %s\n", passed + failed + skipped, t->name);
		}
		fflush(stdout);
	}
	free(out);
	free(err);
	if (again)
		start(s);
	else
		s->t = NULL;
}

// next puts a test into s, if one is left that can run in this build. Tests whose program another
// slot compiles wait; they cannot be the only ones, so who finds nothing now will be asked again.
static void
next(struct slot *s)
{
	for (struct test **at = &tests, *t; (t = *at) != NULL;) {
		if (t->prog && t->prog->state == COMPILING) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		if (t->needsdebug && !debug) {
			skip(t, "needs DEBUG");
		} else if (t->nosan && san[0]) {
			skip(t, "not under a sanitizer");
		} else if (t->prog && t->prog->state == BROKEN) {
			failed++;
			printf("not ok %d - %s # does not compile\n", passed + failed + skipped,
			    t->name);
		} else {
			*s = (struct slot){.t = t, .compiling = t->prog && t->prog->state == NEW};
			if (s->compiling)
				t->prog->state = COMPILING;
			start(s);
			return;
		}
	}
}

static void
runall(void)
{
	for (;;) {
		struct pollfd p[MAXJOBS];
		struct slot *of[MAXJOBS];
		int n = 0;
		int64_t first = INT64_MAX;
		for (int i = 0; i < njobs; i++) {
			struct slot *s = &slots[i];
			if (!s->t)
				next(s);
			if (!s->t)
				continue;
			p[n] = (struct pollfd){s->pidfd, POLLIN, 0};
			of[n++] = s;
			first = s->deadline < first ? s->deadline : first;
		}
		if (n == 0)
			return;
		int64_t wait = first - now();
		if (poll(p, (nfds_t)n, wait > 0 ? (int)wait : 0) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			if (p[i].revents) {
				finish(of[i]);
			} else if (now() >= of[i]->deadline) {
				kill(of[i]->late ? -of[i]->pid : of[i]->pid,
				    of[i]->late ? SIGKILL : SIGQUIT);
				of[i]->late = true;
				of[i]->deadline = now() + KILL_MS;
			}
		}
	}
}

int
main(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "j:n:p:k:b:c:d:s:")) >= 0;) {
		switch (c) {
		case 'j':
			njobs = atoi(optarg);
			break;
		case 'n':
			ntimes = atoi(optarg);
			break;
		case 'p':
			for (char *w = strtok(optarg, ","); w && nprocs < 16; w = strtok(NULL, ","))
				procs[nprocs++] = atoi(w);
			break;
		case 'k':
			match = optarg;
			break;
		case 'b':
			build = optarg;
			break;
		case 'c':
			cc = optarg;
			break;
		case 'd':
			debug = atoi(optarg);
			break;
		case 's':
			san = optarg;
			break;
		default:
			return 2;
		}
	}
	if (njobs < 1 || njobs > MAXJOBS || ntimes < 1 || optind == argc)
		die("usage: runner [-j jobs] [-n times] [-p 1,2,3] [-k text] [-b build] [-c cc] "
		    "[-d debug] [-s san] TARGET...");
	for (; optind < argc; optind++) {
		struct stat st;
		if (stat(argv[optind], &st) < 0)
			die("%s: %s", argv[optind], strerror(errno));
		if (S_ISDIR(st.st_mode))
			listdir(argv[optind]);
		else
			listunit(argv[optind]);
	}
	runall();
	printf("%d passed, %d failed", passed, failed);
	printf(skipped ? ", %d skipped\n" : "\n", skipped);
	return failed != 0;
}
