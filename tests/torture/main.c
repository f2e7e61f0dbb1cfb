// SPDX-License-Identifier: BSD-3-Clause
// main.c: runs one subject of the torture set, or all that get along with each other.
//
//	torture NAME|mix [SECONDS [SEED]]     torture list
//
// Exit status 0 and a last line `ok NAME`; 1 and a line that says what was wrong; 77 if it cannot
// run here. Anything else, a hang too, is a failure of the runtime; the caller sets a time limit.
// GODEBUG=preemptus=100 is what makes it torture. With asyncpreemptoff=1 the subjects still run
// one after the other where they need no preemption to end, and progress is not checked. TURNS in
// the environment shows how the turns were shared.
#include "torture.h"

int64_t deadline;
const char *directory = ".";
bool preemptive;
int procs;

extern const struct subject *const __start_torture_subjects[];
extern const struct subject *const __stop_torture_subjects[];

static rt0_waitgroup ended;
static struct worker *workers;
static int nworkers;

void
bad_report(const char *file, int line, const char *s, int n)
{
	char b[600];
	n = snprintf(b, sizeof b, "torture: %s:%d: %.*s\n", file, line, n, s);
	if (write(2, b, (size_t)n) != n)
		_exit(1);
	_exit(1);
}

__attribute__((noinline)) void
spin(long turns)
{
	for (volatile long i = 0; i < turns; i++)
		continue;
}

__attribute__((noinline)) void
spin_us(long us)
{
	int64_t end = now() + us * 1000;
	while (now() < end)
		spin(100);
}

static void
run(void *arg)
{
	struct worker *w = arg;
	w->subject->work(w);
	rt0_waitgroup_done(&ended);
}

static bool
chosen(const struct subject *s, const char *what)
{
	if (TSAN && (s->flags & NOTSAN))
		return false;
	return strcmp(what, s->name) == 0 || (strcmp(what, "mix") == 0 && !(s->flags & ALONE));
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *godebug = getenv("GODEBUG");
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	const struct subject *const *end = __stop_torture_subjects;
	char *slash = strrchr(argv[0], '/');
	int n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (slash)
		directory = strndup(argv[0], (size_t)(slash - argv[0]));
	preemptive = !godebug || !strstr(godebug, "asyncpreemptoff=1");
	procs = rt0_gomaxprocs(0);
	for (const struct subject *const *s = __start_torture_subjects; s < end; s++) {
		if (strcmp(what, "list") == 0)
			printf("%s\n", (*s)->name);
		else if (chosen(*s, what))
			n += (*s)->workers;
		else if (strcmp(what, (*s)->name) == 0)
			return 77;
	}
	if (strcmp(what, "list") == 0)
		return 0;
	if (n == 0) {
		fprintf(stderr, "usage: torture NAME|mix [SECONDS [SEED]], or torture list\n");
		return 2;
	}
	workers = calloc((size_t)n, sizeof workers[0]);
	deadline = now() + (int64_t)(seconds * 1e9); // begin may want to know how long
	for (const struct subject *const *s = __start_torture_subjects; s < end; s++)
		if (chosen(*s, what) && (*s)->begin)
			(*s)->begin();
	deadline = now() + (int64_t)(seconds * 1e9);
	rt0_waitgroup_add(&ended, n);
	for (const struct subject *const *s = __start_torture_subjects; s < end; s++) {
		for (int i = 0; chosen(*s, what) && i < (*s)->workers; i++) {
			struct worker *w = &workers[nworkers++];
			w->id = i;
			w->subject = *s;
			w->seed = (seed * 0x9e3779b97f4a7c15 + (uint64_t)nworkers) | 1;
			rt0_go(run, w);
		}
	}
	rt0_waitgroup_wait(&ended);
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < nworkers; i++) {
		least = workers[i].n < least ? workers[i].n : least;
		// Whoever runs must be let in. In a short time not everybody is who waits for
		// locks.
		if (preemptive && seconds >= 10 && workers[i].n < 2)
			BAD("%s: worker %d made no progress", workers[i].subject->name,
			    workers[i].id);
		if (getenv("TURNS"))
			printf("%s %d: %llu turns\n", workers[i].subject->name, workers[i].id,
			    (unsigned long long)workers[i].n);
	}
	for (const struct subject *const *s = __start_torture_subjects; s < end; s++)
		if (chosen(*s, what) && (*s)->end)
			(*s)->end();
	printf("%s: %d goroutines, %llu turns at least, %.2f s over time\n", what, nworkers,
	    (unsigned long long)least, (double)(now() - deadline) / 1e9);
	printf("ok %s\n", what);
	return 0;
}
