// SPDX-License-Identifier: BSD-3-Clause
// libc.c: the torture of the libc: its heap, its streams, its callbacks, its locks, its errno.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>

#include "torture.h"

// ---- malloc: one arena, so that everybody wants the lock that the stopped one may hold ----

enum { SLOTS = 48 };

struct block {
	unsigned char *p, v;
	size_t n;
};

static void
mallocbegin(void)
{
	mallopt(M_ARENA_MAX, 1);
}

static void
holds(const struct block *b, size_t n, const char *what)
{
	for (size_t i = 0; i<n; i += n> 4096 ? 509 : 1)
		if (b->p[i] != b->v)
			BAD("%s: byte %zu of %zu is %d, not %d", what, i, n, b->p[i], b->v);
}

static void
mallocwork(struct worker *w)
{
	struct block slot[SLOTS] = {{0}};
	while (running(w)) {
		for (int k = 0; k < 20; k++) {
			struct block *b = &slot[rnd(w) % SLOTS];
			size_t n = rnd(w) % (rnd(w) % 32 ? 2000 : 300000) + 1, kept = 0;
			if (b->p)
				holds(b, b->n, "malloc");
			switch (rnd(w) % 4) {
			case 0:
				free(b->p);
				b->p = malloc(n);
				break;
			case 1:
				free(b->p);
				b->p = calloc(n, 1);
				b->v = 0;
				MUST(b->p);
				holds(b, n, "calloc");
				break;
			case 2:
				kept = b->n < n ? b->n : n;
				b->p = realloc(b->p, n);
				MUST(b->p);
				holds(b, kept, "realloc");
				break;
			default:
				free(b->p);
				b->p = aligned_alloc(64, (n + 63) & ~(size_t)63);
				MUST(((uintptr_t)b->p & 63) == 0);
			}
			MUST(b->p);
			b->n = n;
			b->v = (unsigned char)rnd(w);
			memset(b->p, b->v, n);
		}
	}
	for (int i = 0; i < SLOTS; i++)
		free(slot[i].p);
}
SUBJECT(malloc, .workers = 4, .begin = mallocbegin, .work = mallocwork);

// ---- printf: one stream into a pipe; worker 0 reads it. A full pipe blocks a writer that has the
// stream's lock, in a system call that nobody declared. The reader has no stream: fflush(NULL) of
// the subject fopen would wait for its lock, with the one in hand that fclose needs ----

enum { WRITERS = 3 };

static FILE *printfto;
static int printffrom;
static int printfleft = WRITERS;
static uint64_t printed[WRITERS + 1];

static void
printfbegin(void)
{
	int p[2];
	MUST(pipe2(p, O_CLOEXEC) == 0);
	printfto = fdopen(p[1], "w");
	printffrom = p[0];
	MUST(printfto);
}

static void
printfline(const char *line, uint64_t want[])
{
	char word[64];
	uint64_t seq;
	double half;
	int id, end = 0;

	if (sscanf(line, "<%d %lu %63s %lf>%n", &id, &seq, word, &half, &end) != 4 ||
	    line[end] != 0 || id < 1 || id > WRITERS || half != (double)seq * 0.5 ||
	    strcmp(word, "abcdefghijklmnopqrstuvwxyz0123456789") != 0)
		BAD("torn line: %s", line);
	if (seq != want[id]++)
		BAD("worker %d: line %lu, want %lu", id, seq, want[id] - 1);
}

static void
printfread(struct worker *w)
{
	uint64_t want[WRITERS + 1] = {0};
	char buf[8192];
	size_t have = 0;
	ssize_t n;

	while ((n = read(printffrom, buf + have, sizeof buf - 1 - have)) > 0) {
		char *line = buf, *end;
		w->n++;
		buf[have += (size_t)n] = 0;
		while ((end = strchr(line, '\n')) != NULL) {
			*end = 0;
			printfline(line, want);
			line = end + 1;
		}
		have = strlen(line);
		memmove(buf, line, have);
	}
	MUST(n == 0 && have == 0);
	for (int i = 1; i <= WRITERS; i++)
		if (want[i] != printed[i])
			BAD("worker %d printed %lu lines, %lu came", i, printed[i], want[i]);
}

static void
printfwork(struct worker *w)
{
	if (w->id == 0) {
		printfread(w);
		return;
	}
	while (running(w)) {
		int n = fprintf(printfto, "<%02d %010lu %s %.6f>\n", w->id, printed[w->id],
		    "abcdefghijklmnopqrstuvwxyz0123456789", (double)printed[w->id] * 0.5);
		if (n < 60)
			BAD("fprintf returned %d, errno %d", n, errno);
		printed[w->id]++;
	}
	if (__atomic_sub_fetch(&printfleft, 1, __ATOMIC_SEQ_CST) == 0)
		MUST(fclose(printfto) == 0);
}
SUBJECT(printf, .workers = WRITERS + 1, .flags = NOTSAN, .begin = printfbegin, .work = printfwork);

// ---- errno: gcc and clang compute its address once a function ----

static void
errnowork(struct worker *w)
{
	int *cached = &errno;
	while (running(w)) {
		int v = 1000 + (int)(rnd(w) % 1000);
		errno = v;
		spin(300);
		if (errno != v || *cached != v)
			BAD("errno is %d and %d, not %d", errno, *cached, v);
		MUST(close(-1) == -1);
		spin(300);
		if (errno != EBADF || *cached != EBADF)
			BAD("errno after close is %d and %d", errno, *cached);
		MUST(open("/nonexistent/x", O_RDONLY) == -1);
		spin(300);
		if (errno != ENOENT)
			BAD("errno after open is %d", errno);
		errno = 0;
		MUST(strtol("99999999999999999999999", NULL, 10) == INT64_MAX);
		spin(300);
		if (errno != ERANGE || *cached != ERANGE)
			BAD("errno after strtol is %d and %d", errno, *cached);
	}
}
SUBJECT(errno, .workers = 3, .work = errnowork);

// ---- qsort and bsearch: the libc calls back ----

enum { SORTED = 3000 };

static int
compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	spin(5);
	return (x > y) - (x < y);
}

static void
qsortwork(struct worker *w)
{
	int *v = malloc(SORTED * sizeof *v);
	MUST(v);
	while (running(w)) {
		uint64_t sum = 0, after = 0;
		for (int i = 0; i < SORTED; i++)
			sum += (uint64_t)(v[i] = (int)(rnd(w) >> 33));
		qsort(v, SORTED, sizeof *v, compare);
		for (int i = 0; i < SORTED; i++) {
			after += (uint64_t)v[i];
			if (i > 0 && v[i - 1] > v[i])
				BAD("qsort: element %d is out of order", i);
		}
		if (sum != after)
			BAD("qsort: the sum was %lu and is %lu", sum, after);
		for (int i = 0; i < 20; i++) {
			int key = v[rnd(w) % SORTED], *found;
			found = bsearch(&key, v, SORTED, sizeof *v, compare);
			if (!found || *found != key)
				BAD("bsearch does not find %d", key);
		}
	}
	free(v);
}
SUBJECT(qsort, .workers = 3, .work = qsortwork);

// ---- time: locks inside localtime and its kin ----

static void
timework(struct worker *w)
{
	while (running(w)) {
		time_t t = (time_t)(rnd(w) % 2000000000);
		struct tm tm, back;
		char text[64];
		MUST(gmtime_r(&t, &tm));
		MUST(strftime(text, sizeof text, "%F %T", &tm) == 19);
		memset(&back, 0, sizeof back);
		MUST(strptime(text, "%F %T", &back));
		if (timegm(&back) != t)
			BAD("timegm(%s) is not %ld", text, (long)t);
		MUST(localtime_r(&t, &tm));
		back = tm;
		if (mktime(&back) != t && tm.tm_isdst <= 0)
			BAD("mktime is not %ld", (long)t);
		tzset();
	}
}
// ThreadSanitizer does not see the lock that the libc has for the time zone.
SUBJECT(time, .workers = 3, .flags = NOTSAN, .work = timework);

// ---- env: each worker sets names of its own. The names are all there before, so that environ does
// not move: getenv beside setenv is not for threads otherwise ----

enum { ENVS = 3, ENVNAMES = 4 };

static void
envname(char name[32], int id, int k)
{
	snprintf(name, 32, "TORTURE_%d_%d", id, k);
}

static void
envbegin(void)
{
	char name[32];
	for (int i = 0; i < ENVS * ENVNAMES; i++) {
		envname(name, i / ENVNAMES, i % ENVNAMES);
		MUST(setenv(name, "0", 1) == 0);
	}
}

static void
envwork(struct worker *w)
{
	char name[32], value[64];
	while (running(w)) {
		envname(name, w->id, (int)(rnd(w) % ENVNAMES));
		// Few different values: the libc keeps each for ever.
		snprintf(value, sizeof value, "%.*s%d", (int)(rnd(w) % 20),
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", w->id);
		MUST(setenv(name, value, 1) == 0);
		spin(100);
		const char *got = getenv(name);
		if (!got || strcmp(got, value) != 0)
			BAD("getenv(%s) is %s, not %s", name, got ? got : "NULL", value);
		envname(name, (w->id + 1) % ENVS, 0);
		MUST(getenv(name));
		MUST(!getenv("TORTURE_"));
	}
}
SUBJECT(env, .workers = ENVS, .flags = NOTSAN, .begin = envbegin, .work = envwork);

// ---- fopen: the list of all streams, and streams that allocate ----

static void
fopenwork(struct worker *w)
{
	char line[400];
	while (running(w)) {
		FILE *f = fopen("/proc/self/stat", "r");
		MUST(f);
		MUST(fgets(line, sizeof line, f));
		if (atoi(line) != getpid())
			BAD("/proc/self/stat begins with %.20s", line);
		MUST(fclose(f) == 0);
		char *text = NULL;
		size_t size = 0;
		int n = (int)(rnd(w) % 500), sum = 0, v;
		f = open_memstream(&text, &size);
		MUST(f);
		for (int i = 0; i < n; i++)
			fprintf(f, "%d ", i);
		MUST(fclose(f) == 0);
		for (char *s = text; sscanf(s, "%d", &v) == 1; s = strchr(s, ' ') + 1)
			sum += v;
		if (sum != n * (n - 1) / 2)
			BAD("memstream: sum of %d numbers is %d", n, sum);
		free(text);
		fflush(NULL); // walks all streams, and waits for each
	}
}
SUBJECT(fopen, .workers = 3, .flags = NOTSAN, .work = fopenwork);

// ---- dl: the loader's lock, constructors, thread-locals of a plugin ----

static int
phdr(struct dl_phdr_info *info, size_t size, void *n)
{
	(void)size;
	spin(200);
	*(int *)n += info->dlpi_name != NULL;
	return 0;
}

static void
dlwork(struct worker *w)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/plugin.so", directory);
	while (running(w)) {
		int n = 0;
		dl_iterate_phdr(phdr, &n);
		if (n < 3)
			BAD("dl_iterate_phdr saw %d objects", n);
		void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!h)
			BAD("dlopen: %s", dlerror());
		long (*add)(long) = (long (*)(long))(uintptr_t)dlsym(h, "plugin_add");
		int *loaded = dlsym(h, "plugin_loaded");
		MUST(add && loaded && *loaded == 42);
		MUST(!dlsym(h, "plugin_none") && dlerror());
		long v = (long)(rnd(w) & 0xffff), before = add(0);
		spin(300);
		if (add(v) != before + v)
			BAD("a thread-local of the plugin changed");
		add(-v);
		MUST(dlclose(h) == 0);
	}
}
SUBJECT(dl, .workers = 2, .flags = NOTSAN, .work = dlwork);
