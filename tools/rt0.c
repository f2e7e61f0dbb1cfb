// SPDX-License-Identifier: BSD-3-Clause
// rt0.c: the rt0 command: compiles C programs against the runtime, and runs them.
//
// It is a plain program of the libc and drives the system's C compiler. Header and libraries are
// found from where the command itself is: beside it in a build directory (bin/rt0, librt0.a,
// include/), or below the same prefix when installed (bin/rt0, lib/librt0.a, include/).
//
// Exit status: 2 for a command line that makes no sense, 1 when something did not work, else the
// compiler's (build) or the program's (run).
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asm/main.h"
#include "rt0.h"

#ifndef RT0_BUILDFLAGS
#define RT0_BUILDFLAGS "" // what programs need when the runtime was built with a sanitizer
#endif

// A goroutine's stack ends in a guard of a few pages: the compiler must touch every page of a big
// frame, in order. Frame pointers are how tracebacks walk, unwind tables how recover finds the caller
// (clang makes none for freestanding code on its own).
#define CFLAGS_ALL "-O2 -g -fno-omit-frame-pointer -fasynchronous-unwind-tables -fstack-clash-protection"
// Freestanding, main returns no 0 by itself: the warning tells who relied on it.
#define CFLAGS_PURE "-ffreestanding -fno-stack-protector -Wreturn-type"
// One segment for headers, text and constants: fewer mappings and page faults at exec.
#define LDFLAGS_PURE "-nostdlib -static -Wl,-e,_rt0_amd64_linux -Wl,-z,noseparate-code -Wl,--eh-frame-hdr"
// Plugins use the runtime of their host: all of the public API, whatever the host itself calls.
// Linking the archive whole adds 10 KB and no time at start that could be measured.
#define LDFLAGS_HOSTED "-Wl,--wrap=main -Wl,--eh-frame-hdr -Wl,--export-dynamic-symbol=rt0_*"
#define WHOLE "-Wl,--whole-archive"
#define NOT_WHOLE "-Wl,--no-whole-archive"
#define LIBS_HOSTED "-lpthread -ldl"

enum mode { HOSTED, PURE, LIBRARY };

// A growing list of arguments, always ended by NULL.
struct args {
	char **v;
	int n, cap;
};

struct job {
	enum mode mode;
	bool posix;       // librt0_posix, too
	bool show;        // print the compiler's command line
	bool nolink;      // -c, -S, -E
	bool shared;      // -shared: a plugin
	char *out;        // NULL: not given
	const char *name; // the first source
	struct args flags, inputs;
};

static char *include, *lib, *posixlib, *mainobj, *pureobj;

static _Noreturn void die(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static _Noreturn void misused(const char *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static char *strf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void __attribute__((format(printf, 2, 3))) die(int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("rt0: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(code);
}

static _Noreturn void
misused(const char *command, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "rt0 %s: ", command);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\nRun 'rt0 help %s' for usage.\n", command);
	exit(2);
}

static char *
strf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *s;
	if (vasprintf(&s, fmt, ap) < 0)
		die(1, "out of memory");
	va_end(ap);
	return s;
}

static void
push(struct args *a, char *s)
{
	if (a->n + 1 >= a->cap) {
		a->cap = a->cap ? 2 * a->cap : 32;
		a->v = realloc(a->v, (size_t)a->cap * sizeof a->v[0]);
		if (!a->v)
			die(1, "out of memory");
	}
	a->v[a->n++] = s;
	a->v[a->n] = NULL;
}

static void
pushall(struct args *a, const struct args *b)
{
	for (int i = 0; i < b->n; i++)
		push(a, b->v[i]);
}

// pushwords splits s at blanks. CC and our own flags are lists; paths never come this way.
static void
pushwords(struct args *a, const char *s)
{
	char *save = NULL, *copy = strf("%s", s); // kept: the list points into it
	for (char *w = strtok_r(copy, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save))
		push(a, w);
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool
hassuffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && strcmp(s + n - m, suffix) == 0;
}

static bool cplusplus; // there is a source in C++

static bool
issource(const char *s)
{
	static const char *const suffixes[] = {
	    ".cc", ".cpp", ".cxx", ".c", ".S", ".s", ".i", ".o", ".a", ".so", ".go"};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		if (hassuffix(s, suffixes[i])) {
			cplusplus |= i < 3;
			return true;
		}
	}
	return false;
}

static const char *
basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

// compiler is RT0_CC, else CC (CXX if there is C++ to compile), else cc (c++).
static const char *
compiler(void)
{
	const char *cc = getenv("RT0_CC");
	if (!cc || !cc[0])
		cc = getenv(cplusplus ? "CXX" : "CC");
	return cc && cc[strspn(cc, " \t\n")] ? cc : cplusplus ? "c++" : "cc";
}

// asmdir is where the assembler's own headers are, textflag.h and others: beside the command.
static char *
asmdir(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	exe[n < 0 ? 0 : n] = 0;
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(exe, '/');
		if (slash)
			*slash = 0;
	}
	return strf("%s/include/rt0/asm", exe);
}

// offsets is rt0 asm -offsets HEADER [-offsets HEADER] -o FILE [-I DIR] [-D NAME].
static int
offsets(int argc, char **argv)
{
	const char *out = NULL;
	struct args flags = {0}, headers = {0};
	for (int i = 0; i < argc; i++) {
		bool value = strcmp(argv[i], "-offsets") == 0 || strcmp(argv[i], "-o") == 0;
		if (value && i + 1 == argc)
			misused("asm", "%s needs a value", argv[i]);
		if (!value)
			push(&flags, argv[i]);
		else if (argv[i][2] == 'f')
			push(&headers, argv[++i]);
		else
			out = argv[++i];
	}
	if (!out)
		misused("asm", "-offsets needs -o FILE");
	return asm_offsets((const char *const *)headers.v, headers.n, out, (const char *const *)flags.v, flags.n);
}

// assembler is rt0 asm: what the user says, then our headers.
static int
assembler(int argc, char **argv)
{
	struct args a = {0};
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-offsets") == 0)
			return offsets(argc, argv);
		push(&a, argv[i]);
	}
	push(&a, strf("-I%s", asmdir()));
	return asm_main(a.n, a.v);
}

// Sources in Go's assembly language are assembled before the compiler runs. The objects, and the headers
// with which C calls what is in them, are in a directory of their own until the compiler is done.
static char *asmtemp;
static struct args asmfiles; // in it

static void
asmclean(void)
{
	for (int i = 0; i < asmfiles.n; i++)
		unlink(asmfiles.v[i]);
	if (asmtemp)
		rmdir(asmtemp);
	asmfiles.n = 0;
	asmtemp = NULL;
}

static void
assemble(struct job *j)
{
	struct args stubs = {0}, inputs = {0};
	bool any = false;
	for (int i = 0; i < j->inputs.n; i++) {
		any |= hassuffix(j->inputs.v[i], ".s");
		if (hassuffix(j->inputs.v[i], ".go"))
			push(&stubs, j->inputs.v[i]);
		else
			push(&inputs, j->inputs.v[i]);
	}
	if (!any) {
		if (stubs.n)
			die(1, "%s: declarations for assembly, and no .s file", stubs.v[0]);
		return;
	}
	const char *tmp = getenv("TMPDIR");
	asmtemp = strf("%s/rt0-asm-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	if (!mkdtemp(asmtemp))
		die(1, "%s: %s", asmtemp, strerror(errno));
	atexit(asmclean);
	for (int i = 0; i < inputs.n; i++) {
		char *src = inputs.v[i];
		if (!hassuffix(src, ".s"))
			continue;
		char *base = strf("%s", basename_of(src));
		base[strlen(base) - 2] = 0;
		char *object = j->nolink ? strf("%s.o", base) : strf("%s/%d-%s.o", asmtemp, i, base);
		char *header = strf("%s/%s_asm.h", asmtemp, base);
		struct args a = {0};
		push(&a, "-o");
		push(&a, object);
		push(&a, "-H");
		push(&a, header);
		for (int k = 0; k < stubs.n; k++) {
			push(&a, "-stub");
			push(&a, stubs.v[k]);
		}
		if (j->mode != LIBRARY)
			pushwords(&a, "-tls runtime_tls_g");
		if (j->shared)
			push(&a, "-pic");
		for (int k = 0; k < j->flags.n; k++) {
			if (strncmp(j->flags.v[k], "-I", 2) == 0 || strncmp(j->flags.v[k], "-D", 2) == 0) {
				push(&a, j->flags.v[k]);
				if (!j->flags.v[k][2] && k + 1 < j->flags.n)
					push(&a, j->flags.v[++k]);
			}
		}
		push(&a, src);
		if (!j->nolink)
			push(&asmfiles, object);
		push(&asmfiles, header);
		if (assembler(a.n, a.v) != 0)
			exit(1);
		inputs.v[i] = j->nolink ? NULL : object;
	}
	j->inputs = (struct args){0};
	for (int i = 0; i < inputs.n; i++)
		if (inputs.v[i])
			push(&j->inputs, inputs.v[i]);
	push(&j->flags, strf("-I%s", asmtemp));
}

// locate sets include, lib, mainobj and pureobj.
static void
locate(void)
{
	static const char *const libdirs[] = {"", "lib/", "lib/x86_64-linux-gnu/", "lib64/"};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (n < 0)
		die(1, "/proc/self/exe: %s", strerror(errno));
	exe[n] = 0;
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(exe, '/');
		if (slash)
			*slash = 0;
	}
	for (size_t i = 0; i < sizeof libdirs / sizeof libdirs[0]; i++) {
		char *archive = strf("%s/%slibrt0.a", exe, libdirs[i]);
		if (exists(archive)) {
			lib = archive;
			posixlib = strf("%s/%slibrt0_posix.a", exe, libdirs[i]);
			const char *sub = i == 0 ? "" : "rt0/";
			mainobj = strf("%s/%s%srt0_main.o", exe, libdirs[i], sub);
			pureobj = strf("%s/%s%srt0_pure.o", exe, libdirs[i], sub);
			break;
		}
		free(archive);
	}
	include = strf("%s/include", exe);
	char *header = strf("%s/rt0.h", include);
	if (!lib || !exists(mainobj) || !exists(pureobj) || !exists(header))
		die(1, "the runtime is not where it should be: %s has no %s", exe,
		    !lib                  ? "librt0.a"
			: !exists(header) ? "include/rt0.h"
					  : "rt0_main.o, rt0_pure.o");
	free(header);
}

// parse reads flags and sources up to the end, or for run up to the first argument of the program.
// Returns the index behind them.
static int
parse(struct job *j, const char *command, int argc, char **argv)
{
	bool run = strcmp(command, "run") == 0;
	struct args linkflags = {0};
	const char *notpure = NULL; // a flag that does not go with -pure
	int i = 0;
	for (; i < argc; i++) {
		char *a = argv[i];
		if (run && strcmp(a, "--") == 0) {
			i++;
			break;
		}
		if (a[0] != '-' || a[1] == 0) {
			bool source = issource(a);
			if (run && !source && j->name)
				break;
			struct stat st;
			if (stat(a, &st) < 0)
				die(1, "%s: %s", a, strerror(errno));
			if (S_ISDIR(st.st_mode))
				die(1, "%s: is a directory; name its source files", a);
			if (!j->name)
				j->name = a;
			push(&j->inputs, a);
			continue;
		}
		// A program's own flags follow its sources.
		if (run && j->name)
			break;
		static const char *const withvalue[] = {"-I", "-L", "-l", "-D", "-U", "-x",
		    "-include", "-isystem", "-iquote", "-Xlinker", "-Xassembler", "-MF", "-MT",
		    "-MQ", "-T", "-u", "-z"};
		bool value = false;
		for (size_t k = 0; k < sizeof withvalue / sizeof withvalue[0]; k++)
			value |= strcmp(a, withvalue[k]) == 0;
		if ((value || strcmp(a, "-o") == 0) && i + 1 == argc)
			misused(command, "%s needs a value", a);
		if (strcmp(a, "-o") == 0) {
			if (run)
				misused(command, "-o is for rt0 build; run keeps no program");
			j->out = argv[++i];
			continue;
		}
		if (strcmp(a, "-pure") == 0 || strcmp(a, "-lib") == 0) {
			if (j->mode != HOSTED)
				misused(command, "-pure and -lib exclude each other");
			j->mode = a[1] == 'p' ? PURE : LIBRARY;
			continue;
		}
		if (strcmp(a, "-posix") == 0) {
			j->posix = true;
			continue;
		}
		if (strcmp(a, "-show") == 0) {
			j->show = true;
			continue;
		}
		j->nolink |= strcmp(a, "-c") == 0 || strcmp(a, "-S") == 0 || strcmp(a, "-E") == 0;
		j->shared |= strcmp(a, "-shared") == 0;
		if (run && (j->nolink || j->shared))
			misused(command, "%s makes no program that could run", a);
		if (strcmp(a, "-m32") == 0 || strcmp(a, "-mx32") == 0 || strcmp(a, "-m16") == 0)
			misused(command, "%s: rt0 is for 64-bit programs of amd64 only", a);
		// The pure entry relocates nothing, and a plugin needs a libc to load it.
		if (strcmp(a, "-shared") == 0 || strcmp(a, "-pie") == 0 ||
		    strcmp(a, "-static-pie") == 0)
			notpure = a;
		// What the linker reads in order stays in order, behind the sources in run.
		struct args *to = strncmp(a, "-l", 2) == 0 || strncmp(a, "-Wl,", 4) == 0
		    ? (run ? &linkflags : &j->inputs)
		    : &j->flags;
		push(to, a);
		if (value)
			push(to, argv[++i]);
	}
	pushall(&j->inputs, &linkflags);
	if (j->mode == PURE && notpure)
		misused(command, "-pure makes a static program at a fixed address: no %s", notpure);
	if (j->posix && (j->mode == PURE || j->shared))
		misused(command, "-posix is for programs with a libc; a plugin has its host's");
	if (!j->name)
		misused(command, "no source files");
	return i;
}

// commandline is the compiler's, for everything that j says.
static struct args
commandline(const struct job *j)
{
	struct args a = {0};
	pushwords(&a, compiler());
	pushwords(&a, CFLAGS_ALL);
	if (j->mode == PURE)
		pushwords(&a, CFLAGS_PURE);
	else
		pushwords(&a, RT0_BUILDFLAGS);
	push(&a, strf("-I%s", include));
	pushall(&a, &j->flags);
	if (j->out) {
		push(&a, "-o");
		push(&a, j->out);
	}
	pushall(&a, &j->inputs);
	if (j->nolink || j->shared)
		return a;
	if (j->mode == PURE) {
		pushwords(&a, LDFLAGS_PURE);
		push(&a, pureobj);
	}
	if (j->mode == HOSTED) {
		pushwords(&a, LDFLAGS_HOSTED);
		push(&a, mainobj);
	}
	// All of librt0_posix: libraries call what the program itself does not.
	bool whole = j->mode == HOSTED || j->posix;
	if (whole)
		push(&a, WHOLE);
	if (j->posix)
		push(&a, posixlib);
	if (whole && j->mode != HOSTED)
		push(&a, NOT_WHOLE);
	push(&a, lib);
	if (j->mode == HOSTED)
		push(&a, NOT_WHOLE);
	if (j->mode != PURE)
		pushwords(&a, LIBS_HOSTED);
	return a;
}

static void
showargs(const struct args *a)
{
	for (int i = 0; i < a->n; i++) {
		bool plain = a->v[i][0] &&
		    strspn(a->v[i],
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			"0123456789_-+=./,:@%") == strlen(a->v[i]);
		fprintf(
		    stderr, "%s%s%s%s", i ? " " : "", plain ? "" : "'", a->v[i], plain ? "" : "'");
	}
	fputc('\n', stderr);
}

// compile runs the compiler and returns its exit status.
static int
compile(const struct job *j)
{
	if (j->inputs.n == 0)
		return 0; // all of it was assembled
	struct args a = commandline(j);
	if (j->show)
		showargs(&a);
	pid_t pid = fork();
	if (pid < 0)
		die(1, "fork: %s", strerror(errno));
	if (pid == 0) {
		execvp(a.v[0], a.v);
		if (errno == ENOENT)
			fprintf(stderr,
			    "rt0: no C compiler: %s is not to be found; install one, or name it in "
			    "RT0_CC\n",
			    a.v[0]);
		else
			fprintf(stderr, "rt0: %s: %s\n", a.v[0], strerror(errno));
		_exit(1);
	}
	int st;
	while (waitpid(pid, &st, 0) < 0)
		if (errno != EINTR)
			die(1, "wait: %s", strerror(errno));
	if (WIFSIGNALED(st))
		die(1, "%s: %s", a.v[0], strsignal(WTERMSIG(st)));
	return WEXITSTATUS(st);
}

// defaultout is the first source's name without its suffix, in the current directory.
static char *
defaultout(const struct job *j)
{
	char *s = strf("%s", basename_of(j->name));
	char *dot = strrchr(s, '.');
	if (dot && dot != s)
		*dot = 0;
	return s;
}

static int
build(int argc, char **argv)
{
	struct job j = {0};
	parse(&j, "build", argc, argv);
	locate();
	if (!j.out && !j.nolink)
		j.out = j.shared ? strf("%s.so", defaultout(&j)) : defaultout(&j);
	for (int i = 0; j.out && i < j.inputs.n; i++)
		if (strcmp(j.out, j.inputs.v[i]) == 0)
			die(1, "%s: -o names a source file", j.out);
	assemble(&j);
	return compile(&j);
}

// sweep removes dir and the program in it as soon as the program has been started: a process of
// its own, a grandchild, waits until exec closes our end of the pipe. So run can become the
// program, whose exit status and signals are then its own, and yet leaves nothing behind.
static void
sweep(const char *dir, const char *program)
{
	int fd[2];
	if (pipe2(fd, O_CLOEXEC) < 0)
		die(1, "pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		die(1, "fork: %s", strerror(errno));
	if (pid == 0) {
		if (fork() == 0) {
			// The program's output may be a pipe whose reader waits for its end.
			close(fd[1]);
			for (int i = 0; i < 3; i++)
				close(i);
			setsid();
			char c;
			while (read(fd[0], &c, 1) < 0 && errno == EINTR)
				;
			unlink(program);
			rmdir(dir);
		}
		_exit(0);
	}
	close(fd[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int
run(int argc, char **argv)
{
	struct job j = {0};
	int i = parse(&j, "run", argc, argv);
	if (j.mode == LIBRARY)
		misused("run", "-lib is for rt0 build");
	locate();
	assemble(&j);
	const char *tmp = getenv("TMPDIR");
	char *dir = strf("%s/rt0-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
	if (!mkdtemp(dir))
		die(1, "%s: %s", dir, strerror(errno));
	j.out = strf("%s/%s", dir, defaultout(&j));
	int code = compile(&j);
	asmclean();
	if (code != 0) {
		unlink(j.out);
		rmdir(dir);
		return code;
	}
	sweep(dir, j.out);
	struct args a = {0};
	push(&a, j.out);
	for (; i < argc; i++)
		push(&a, argv[i]);
	execv(j.out, a.v);
	die(1, "%s: %s", j.out, strerror(errno));
}

static int
version(void)
{
	printf("rt0 version rt0-%s linux/amd64\n", RT0_VERSION);
	return 0;
}

// line prints NAME="value" so that a shell can eval it.
static void
line(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value; value++) {
		if (strchr("\"\\$`", *value))
			putchar('\\');
		putchar(*value);
	}
	printf("\"\n");
}

static int
env(void)
{
	locate();
	line("RT0_VERSION", RT0_VERSION);
	line("RT0_OS", "linux");
	line("RT0_ARCH", "amd64");
	line("RT0_CC", compiler());
	line("RT0_INCLUDE", include);
	line("RT0_LIB", lib);
	line("RT0_POSIX", posixlib);
	line("RT0_MAIN", mainobj);
	line("RT0_PURE", pureobj);
	line("RT0_CFLAGS",
	    strf("%s%s-I%s", CFLAGS_ALL " " RT0_BUILDFLAGS, RT0_BUILDFLAGS[0] ? " " : "", include));
	line("RT0_LDFLAGS",
	    strf("%s %s " WHOLE " %s " NOT_WHOLE " %s", LDFLAGS_HOSTED, mainobj, lib, LIBS_HOSTED));
	line("RT0_LIB_LDFLAGS", strf("%s %s", lib, LIBS_HOSTED));
	line("RT0_POSIX_LDFLAGS", strf(WHOLE " %s " NOT_WHOLE, posixlib));
	line("RT0_PURE_CFLAGS", strf("%s -I%s", CFLAGS_ALL " " CFLAGS_PURE, include));
	line("RT0_PURE_LDFLAGS", strf("%s %s %s", LDFLAGS_PURE, pureobj, lib));
	return 0;
}

static const char usage[] =
    "rt0 builds and runs C programs on the rt0 runtime: goroutines and channels for C.\n"
    "\n"
    "usage: rt0 COMMAND [arguments]\n"
    "\n"
    "    run      compile a program and run it\n"
    "    build    compile a program\n"
    "    asm      assemble a file in Go's assembly language\n"
    "    env      print the compiler, flags and paths in use\n"
    "    version  print the version\n"
    "    help     print this, or more about a command: rt0 help COMMAND\n";

static const struct command {
	const char *name, *help;
} commands[] = {
    {"run",
	"usage: rt0 run [-pure] [-posix] [-show] [flags] SOURCE... [--] [arguments]\n"
	"\n"
	"Compiles the sources (.c, .S, .s, .cc, .o, .a, .so) in a temporary directory, which is gone\n"
	"when the program has started, and becomes the program: its exit status and signals are\n"
	"its own. Its arguments begin behind the last source; -- ends the sources where the first\n"
	"argument looks like one.\n"
	"\n"
	"    -pure   no libc: a static program on the runtime alone\n"
	"    -posix  read, poll, connect, sleep... of C libraries wait as goroutines (docs/posix.md)\n"
	"    -show   print the compiler's command line\n"
	"\n"
	"Other flags before the first source go to the compiler: -O0 -DNAME -Wall -lm ...\n"
	"The compiler is $RT0_CC, else $CC, else cc ($CXX, c++ for C++). TMPDIR says where temporary files go.\n"
	"\n"
	"    rt0 run examples/wordfreq.c -j 4 /usr/share/common-licenses\n"},
    {"build",
	"usage: rt0 build [-pure|-lib] [-posix] [-show] [-o FILE] [flags] SOURCE...\n"
	"\n"
	"Compiles the sources (.c, .S, .s, .cc, .o, .a, .so) and links them with the runtime. An\n"
	"ordinary main(int, char **) runs as goroutine 1. NAME.s is Go's assembly language: C calls\n"
	"what is in it by the header NAME_asm.h, which is made (rt0 help asm).\n"
	"\n"
	"    -o FILE   what to write; else the first source's name without its suffix\n"
	"    -pure     no libc: a static program on the runtime alone\n"
	"    -lib      main stays the program's own, which calls rt0_start when it wants to\n"
	"    -posix    read, poll, connect, sleep... of C libraries wait as goroutines (docs/posix.md)\n"
	"    -shared   a plugin, for rt0_plugin_open: the runtime is the host's (add -fPIC)\n"
	"    -show     print the compiler's command line\n"
	"\n"
	"All other flags go to the compiler, behind the default " CFLAGS_ALL ";\n"
	"-c, -S and -E do not link. The compiler is $RT0_CC, else $CC, else cc ($CXX, c++ for C++).\n"
	"\n"
	"    rt0 build -O3 -o app main.c util.c -lm\n"},
    {"asm",
	"usage: rt0 asm [-o FILE] [-I DIR] [-D NAME[=VALUE]] [flags] FILE.s...\n"
	"       rt0 asm @FILE      the arguments of one assembly on each line of FILE\n"
	"\n"
	"Assembles files in Go's assembly language (amd64) to ELF objects: FILE.o, or what -o names.\n"
	"\n"
	"    -I DIR      where #include looks, behind the current directory and the file's\n"
	"    -D NAME     as #define NAME 1; -D NAME=VALUE\n"
	"    -H FILE     write a C header for functions that `// func add(a, b int64) int64` declares\n"
	"                in the source; C calls them by it\n"
	"    -stub FILE  Go declarations of functions, for -H\n"
	"    -S          print each instruction with its bytes\n"
	"    -p PACKAGE  the package that names beginning with a dot belong to\n"
	"    -c          names for C: _ for . and / (and for \302\267 and \342\210\225)\n"
	"    -pic        code for shared objects: what is defined elsewhere goes through the GOT\n"
	"    -hidden     all names belong to one program or shared object, which shows those with\n"
	"                EXPORT only; with -pic nothing but g goes through the GOT\n"
	"    -go119      frames as Go 1.19 makes them: the default\n"
	"    -go122      frames as Go 1.22 makes them\n"
	"    -tls NAME   the thread-local variable that holds g; else runtime.tlsg\n"
	"    -offsets FILE.h  write, to what -o names, fields and enumerators of C headers as constants:\n"
	"                TAG_FIELD, TAG__size, const_NAME; other flags go to the C compiler\n"
	"    -support    write the object that functions without NOSPLIT need where no runtime is\n"
	"    -e          print all errors, not only the first 10\n"
	"    -g0         no lines and functions for a debugger\n"
	"\n"
	"docs/asm.md describes the language and how C calls it.\n"},
    {"env",
	"usage: rt0 env\n"
	"\n"
	"Prints lines NAME=\"value\" that a shell can eval: RT0_VERSION, RT0_OS, RT0_ARCH, "
	"RT0_CC,\n"
	"RT0_INCLUDE, RT0_LIB, RT0_POSIX, RT0_MAIN, RT0_PURE, RT0_CFLAGS, RT0_LDFLAGS (hosted),\n"
	"RT0_LIB_LDFLAGS, RT0_POSIX_LDFLAGS, RT0_PURE_CFLAGS and RT0_PURE_LDFLAGS, for builds that do not use rt0 "
	"build.\n"},
    {"version", "usage: rt0 version\n\nPrints `rt0 version rt0-VERSION OS/ARCH`.\n"},
    {"help", "usage: rt0 help [COMMAND]\n\nPrints the list of commands, or how one is used.\n"},
};

static int
help(int argc, char **argv)
{
	if (argc == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 1)
		misused("help", "unexpected argument %s", argv[1]);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(argv[0], commands[i].name) == 0) {
			fputs(commands[i].help, stdout);
			return 0;
		}
	}
	fprintf(stderr, "rt0 help %s: unknown command\nRun 'rt0 help' for usage.\n", argv[0]);
	return 2;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(usage, stderr);
		return 2;
	}
	const char *c = argv[1];
	argc -= 2;
	argv += 2;
	bool wantshelp =
	    argc == 1 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0);
	if (wantshelp && c[0] != '-')
		return help(1, (char *[]){(char *)c});
	if (strcmp(c, "run") == 0)
		return run(argc, argv);
	if (strcmp(c, "build") == 0)
		return build(argc, argv);
	if (strcmp(c, "asm") == 0)
		return assembler(argc, argv);
	if (strcmp(c, "help") == 0 || strcmp(c, "-h") == 0 || strcmp(c, "--help") == 0)
		return help(argc, argv);
	bool isversion = strcmp(c, "version") == 0 || strcmp(c, "--version") == 0;
	if ((isversion || strcmp(c, "env") == 0) && argc > 0)
		misused(isversion ? "version" : c, "unexpected argument %s", argv[0]);
	if (isversion)
		return version();
	if (strcmp(c, "env") == 0)
		return env();
	fprintf(stderr, "rt0 %s: unknown command\nRun 'rt0 help' for usage.\n", c);
	return 2;
}
