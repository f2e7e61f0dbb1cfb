// SPDX-License-Identifier: BSD-3-Clause
// env.c: the environment, and the settings that come from it.
//
// GODEBUG, GOTRACEBACK, GOMAXPROCS, GOGC and GOMEMLIMIT follow Go's rules. Where Go ignores
// nonsense silently (GOMAXPROCS, GOGC) rt0 does the same but says so in one line on stderr.
//
// Order at boot: earlydebugvars reads all of GODEBUG, once, as soon as somebody needs a setting;
// goargs and goenvs look at argv and the environment; parsedebugvars adds GOTRACEBACK; gcinit and
// gomaxprocsenv read theirs. All of it runs on one thread before any goroutine; afterwards
// everything here is constant, so readers need no lock.
//
// A program with more rights than its caller (sched.secure) takes no GODEBUG, since that can write
// files, and no GOTRACEBACK, since a traceback shows what the caller may not see.
#include "../runtime.h"

enum { STACKLIMIT = 1000000000 }; // bytes, for GODEBUG=stacksize; goroutine 1 may have as much

struct debugvars debug = {.failsys = -1, .stacksize = STACKDEFAULT};
int32_t runtime_gogc = 100;
int64_t runtime_memlimit = INT64_MAX;
char **runtime_envp BOOTDATA; // set before boot by who knows better; NULL: what lies behind argv

static char *noargs[] = {NULL, NULL};
static bool debugparsed BOOTDATA;

// ---- arguments and environment ----

// environment works before goenvs too: stackinit and randinit ask for settings.
static char **
environment(void)
{
	if (runtime_envp != NULL)
		return runtime_envp;
	// In library mode argv is the caller's own array: nothing is known to lie behind it.
	if (sched.islibrary || runtime_argv == NULL)
		return noargs;
	return runtime_argv + runtime_argc + 1;
}

const char *
runtime_gogetenv(const char *name)
{
	size_t n = runtime_strlen(name);
	for (char **e = environment(); *e != NULL; e++) {
		if (runtime_hasprefix(*e, name) && (*e)[n] == '=')
			return *e + n + 1;
	}
	return NULL;
}

void
runtime_goargs(void)
{
	if (runtime_argv == NULL || runtime_argc < 0) {
		runtime_argv = noargs;
		runtime_argc = 0;
	}
}

void
runtime_goenvs(void)
{
	runtime_envp = environment();
	if (!sched.secure)
		return;
	// The program, and what it starts, see a clean environment.
	char **to = runtime_envp;
	for (char **e = runtime_envp; *e != NULL; e++) {
		if (!runtime_hasprefix(*e, "GODEBUG=") && !runtime_hasprefix(*e, "GOTRACEBACK="))
			*to++ = *e;
	}
	*to = NULL;
}

// ---- numbers ----

// gogetenvor is gogetenv with none for a variable that is not set.
const char *
runtime_gogetenvor(const char *name, const char *none)
{
	const char *s = runtime_gogetenv(name);
	return s != NULL ? s : none;
}

// atoi reads a decimal number with an optional minus, all of s[0..n); false: it is not one, or it
// does not fit.
bool
runtime_atoi(const char *s, size_t n, int64_t *out)
{
	bool neg = n > 0 && s[0] == '-';
	uint64_t max = neg ? 1ull << 63 : (1ull << 63) - 1, v = 0;
	size_t i = neg ? 1 : 0;
	if (i == n)
		return false;
	for (; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(s[i] - '0');
		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = neg ? (int64_t)-v : (int64_t)v;
	return true;
}

static bool
atoi32(const char *s, size_t n, int32_t *out)
{
	int64_t v;
	if (!runtime_atoi(s, n, &v) || v != (int32_t)v)
		return false;
	*out = (int32_t)v;
	return true;
}

// parsebytecount reads GOMEMLIMIT: a number, then nothing, B, KiB, MiB, GiB or TiB.
bool
runtime_parsebytecount(const char *s, int64_t *out)
{
	static const char units[] = "KMGT";
	size_t n = runtime_strlen(s);
	int shift = 0;
	if (n > 0 && s[n - 1] == 'B') {
		n--;
		if (n > 1 && s[n - 1] == 'i') {
			int u = 0;
			while (u < 4 && units[u] != s[n - 2])
				u++;
			if (u == 4)
				return false;
			shift = 10 * (u + 1);
			n -= 2;
		}
	}
	int64_t v;
	if (!runtime_atoi(s, n, &v) || v < 0 || v > INT64_MAX >> shift)
		return false;
	*out = v << shift;
	return true;
}

// ---- GODEBUG ----

static const struct {
	const char *name;
	int32_t *value;
} dbgvars[] = {
    {"asyncpreemptoff", &debug.asyncpreemptoff},
    {"boottrace", &debug.boottrace},
    {"gctrace", &debug.gctrace},
    {"guardoff", &debug.guardoff},
    {"inittrace", &debug.inittrace},
    {"iouringoff", &debug.iouringoff},
    {"preemptms", &debug.preemptms},
    {"preemptus", &debug.preemptus},
    {"scheddetail", &debug.scheddetail},
    {"schedtrace", &debug.schedtrace},
    {"seed", &debug.seed},
    {"stacksize", &debug.stacksize},
    {"tracebackancestors", &debug.tracebackancestors},
};

#if RT0_DEBUG
// The system calls that the runtime makes, for failsys.
static const struct {
	const char *name;
	int32_t nr;
} sysnames[] = {
    {"read", 0},
    {"write", 1},
    {"open", 2},
    {"close", 3},
    {"stat", 4},
    {"fstat", 5},
    {"poll", 7},
    {"lseek", 8},
    {"mmap", 9},
    {"mprotect", 10},
    {"munmap", 11},
    {"rt_sigaction", 13},
    {"rt_sigprocmask", 14},
    {"rt_sigreturn", 15},
    {"pread64", 17},
    {"pwrite64", 18},
    {"readv", 19},
    {"writev", 20},
    {"sched_yield", 24},
    {"mremap", 25},
    {"mincore", 27},
    {"madvise", 28},
    {"nanosleep", 35},
    {"getpid", 39},
    {"sendfile", 40},
    {"socket", 41},
    {"connect", 42},
    {"sendto", 44},
    {"recvfrom", 45},
    {"sendmsg", 46},
    {"recvmsg", 47},
    {"shutdown", 48},
    {"bind", 49},
    {"listen", 50},
    {"getsockname", 51},
    {"getpeername", 52},
    {"socketpair", 53},
    {"setsockopt", 54},
    {"getsockopt", 55},
    {"clone", 56},
    {"exit", 60},
    {"kill", 62},
    {"fcntl", 72},
    {"unlink", 87},
    {"getrlimit", 97},
    {"sigaltstack", 131},
    {"prctl", 157},
    {"arch_prctl", 158},
    {"gettid", 186},
    {"futex", 202},
    {"sched_setaffinity", 203},
    {"sched_getaffinity", 204},
    {"getdents64", 217},
    {"set_tid_address", 218},
    {"timer_create", 222},
    {"timer_settime", 223},
    {"timer_delete", 226},
    {"clock_gettime", 228},
    {"clock_nanosleep", 230},
    {"exit_group", 231},
    {"epoll_wait", 232},
    {"epoll_ctl", 233},
    {"tgkill", 234},
    {"openat", 257},
    {"splice", 275},
    {"waitid", 247},
    {"accept4", 288},
    {"eventfd2", 290},
    {"epoll_create1", 291},
    {"pipe2", 293},
    {"prlimit64", 302},
    {"process_vm_readv", 310},
    {"getrandom", 318},
    {"membarrier", 324},
    {"preadv2", 327},
    {"io_uring_setup", 425},
    {"io_uring_enter", 426},
    {"rseq", 334},
    {"pidfd_send_signal", 424},
    {"pidfd_open", 434},
    {"clone3", 435},
    {"process_madvise", 440},
    {"epoll_pwait2", 441},
};

// parsefailsys reads NAME:n, a call by name or number: the n-th one from now on fails.
static void
parsefailsys(const char *s, size_t n)
{
	size_t colon = 0;
	while (colon < n && s[colon] != ':')
		colon++;
	int32_t nr = -1, count;
	if (colon == n || !atoi32(s + colon + 1, n - colon - 1, &count) || count < 1)
		return;
	for (size_t i = 0; i < NELEM(sysnames); i++) {
		const char *name = sysnames[i].name;
		if (runtime_strlen(name) == colon && __builtin_memcmp(name, s, colon) == 0)
			nr = sysnames[i].nr;
	}
	if (nr < 0 && (!atoi32(s, colon, &nr) || nr < 0)) {
		runtime_print(
		    "rt0: GODEBUG=failsys=%.*s: no such system call is made\n", (int)n, s);
		return;
	}
	debug.failsys = nr;
	debug.failcount = count;
}
#endif

// setdebug sets one variable; what Go would skip in silence is skipped.
static void
setdebug(const char *key, size_t nkey, const char *value, size_t nvalue)
{
#if RT0_DEBUG
	if (nkey == 7 && __builtin_memcmp(key, "failsys", 7) == 0) {
		parsefailsys(value, nvalue);
		return;
	}
#endif
	for (size_t i = 0; i < NELEM(dbgvars); i++) {
		const char *name = dbgvars[i].name;
		if (runtime_strlen(name) == nkey && __builtin_memcmp(name, key, nkey) == 0) {
			atoi32(value, nvalue, dbgvars[i].value);
			return;
		}
	}
}

// parsegodebug reads a comma list of name=int from left to right: the last of a name wins.
void
runtime_parsegodebug(const char *s)
{
	while (*s != 0) {
		size_t n = 0, eq = SIZE_MAX;
		for (; s[n] != 0 && s[n] != ','; n++) {
			if (s[n] == '=' && eq == SIZE_MAX)
				eq = n;
		}
		if (eq != SIZE_MAX)
			setdebug(s, eq, s + eq + 1, n - eq - 1);
		s += n;
		if (*s == ',')
			s++;
	}
	int32_t size = debug.stacksize;
	if (size < STACKMIN || size > STACKLIMIT) {
		runtime_print("rt0: GODEBUG=stacksize=%d: not from %d to %d bytes; using %d\n",
		    size, STACKMIN, STACKLIMIT, STACKDEFAULT);
		debug.stacksize = STACKDEFAULT;
	}
}

// earlydebugvars may be called by any step of the boot that needs a setting; the first call does
// the work. Once only: failcount runs down while the program runs.
void
runtime_earlydebugvars(void)
{
	if (debugparsed)
		return;
	debugparsed = true;
	const char *s = runtime_gogetenv("GODEBUG");
	if (s != NULL && !sched.secure)
		runtime_parsegodebug(s);
}

// ---- GOTRACEBACK ----

enum { tracebackCrash = 1, tracebackAll = 2, tracebackShift = 2 };

// What crashes before GOTRACEBACK is known is the runtime's own fault: show everything.
static uint32_t tracebackcache = 2 << tracebackShift;
static uint32_t tracebackenv BOOTDATA; // what the environment asked for: rt0_set_traceback keeps it

void
runtime_settraceback(const char *level)
{
	uint32_t t;
	int64_t n;
	if (level == NULL || *level == 0 || runtime_strcmp(level, "single") == 0) {
		t = 1 << tracebackShift;
	} else if (runtime_strcmp(level, "none") == 0) {
		t = 0;
	} else if (runtime_strcmp(level, "all") == 0) {
		t = 1 << tracebackShift | tracebackAll;
	} else if (runtime_strcmp(level, "system") == 0) {
		t = 2 << tracebackShift | tracebackAll;
	} else if (runtime_strcmp(level, "crash") == 0) {
		t = 2 << tracebackShift | tracebackAll | tracebackCrash;
	} else {
		t = tracebackAll;
		if (runtime_atoi(level, runtime_strlen(level), &n) && n >= 0 && n <= UINT32_MAX)
			t |= (uint32_t)n << tracebackShift;
	}
	// When somebody else's main owns the process a quiet exit would surprise: abort, as Go
	// does.
	if (sched.islibrary && !sched.secure)
		t |= tracebackCrash;
	tracebackcache = t;
}

int
runtime_gotraceback(bool *all, bool *crash)
{
	struct g *gp = getg();
	uint32_t t = tracebackcache;
	int32_t throwing = gp != NULL ? gp->m->throwing : 0;
	*crash = (t & tracebackCrash) != 0;
	*all = throwing >= 1 || (t & tracebackAll) != 0;
	if (throwing >= 2)
		return 2;
	t >>= tracebackShift;
	return t > INT32_MAX ? INT32_MAX : (int)t;
}

void
runtime_parsedebugvars(void)
{
	runtime_earlydebugvars();
	runtime_settraceback(sched.secure ? "none" : runtime_gogetenv("GOTRACEBACK"));
	tracebackenv = tracebackcache;
}

void
rt0_set_traceback(const char *level)
{
	uint32_t env = tracebackenv, flags = tracebackCrash | tracebackAll;
	runtime_settraceback(level);
	uint32_t t = tracebackcache, high = t > env ? t : env;
	tracebackcache = (high & ~flags) | ((t | env) & flags);
}

// ---- GOMAXPROCS, GOGC, GOMEMLIMIT ----

int32_t
runtime_gomaxprocsenv(int32_t ncpu)
{
	int32_t n = ncpu < 1 ? 1 : ncpu > MAXPROCS ? MAXPROCS : ncpu;
	const char *s = runtime_gogetenv("GOMAXPROCS");
	if (s == NULL || *s == 0)
		return n;
	int64_t v;
	if (!runtime_atoi(s, runtime_strlen(s), &v) || v < 1) {
		runtime_print(
		    "rt0: GOMAXPROCS=%s: not a number from 1 to %d; using %d\n", s, MAXPROCS, n);
		return n;
	}
	if (v > MAXPROCS) {
		runtime_print(
		    "rt0: GOMAXPROCS=%s: more than %d; using %d\n", s, MAXPROCS, MAXPROCS);
		return MAXPROCS;
	}
	return (int32_t)v;
}

static int32_t
readGOGC(void)
{
	const char *s = runtime_gogetenv("GOGC");
	int32_t n;
	if (s == NULL || *s == 0)
		return 100;
	if (runtime_strcmp(s, "off") == 0)
		return -1;
	if (!atoi32(s, runtime_strlen(s), &n)) {
		runtime_print("rt0: GOGC=%s: neither off nor a number of percent; using 100\n", s);
		return 100;
	}
	return n < 0 ? -1 : n;
}

static int64_t
readGOMEMLIMIT(void)
{
	const char *s = runtime_gogetenv("GOMEMLIMIT");
	int64_t n;
	if (s == NULL || *s == 0 || runtime_strcmp(s, "off") == 0)
		return INT64_MAX;
	if (!runtime_parsebytecount(s, &n)) {
		runtime_print("GOMEMLIMIT=%s\n", s);
		runtime_throw("malformed GOMEMLIMIT; see `go doc runtime/debug.SetMemoryLimit`");
	}
	return n;
}

void
runtime_gcinit(void)
{
	runtime_gogc = readGOGC();
	runtime_memlimit = readGOMEMLIMIT();
}
