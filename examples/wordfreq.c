// SPDX-License-Identifier: BSD-3-Clause
// wordfreq.c: counts the words of many files at a time and prints the most frequent ones.
//
//     $ rt0 run examples/wordfreq.c -n 3 /usr/share/common-licenses
//
// main walks the paths and starts one goroutine a file. A buffered channel is the semaphore that
// bounds how many files are in flight: to send a token is to enter, to receive one is to leave.
// Each goroutine counts into a table of its own, so that no word takes a lock, and sends the
// table over a channel to the one goroutine that merges. A goroutine leaves the semaphore only
// when its table has been taken, so at most -j tables exist besides the total.
//
// -s counts the same files one after the other without goroutines; the output is the same, since
// the order is total: by count, then by word.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt0.h"

enum {
	CHUNK = 64 << 10,   // bytes a read
	SNIFF = 8 << 10,    // a NUL within so many bytes makes a file binary
	WORD_MAX = 4 << 10, // bytes of a word that are kept
	JOBS_MAX = 10000,
	EXIT_SOME = 1, // some file could not be read, or the output could not be written
	EXIT_USAGE = 2,
	EXIT_MEMORY = 3,
};

static const char default_path[] = "/usr/share/common-licenses";

static const char help[] =
    "usage: wordfreq [-j N] [-n N] [-s] [path...]\n"
    "Counts words in files and, recursively, in directories; without a path in\n"
    "/usr/share/common-licenses. A word is a run of ASCII letters and of bytes from 0x80 up;\n"
    "ASCII letters count as lower case; of a word only the first 4096 bytes matter.\n"
    "  -j N    files in flight (default: twice GOMAXPROCS)\n"
    "  -n N    print the N most frequent words (default 20; 0: all)\n"
    "  -s      sequential: one file after the other, no goroutines\n"
    "  --help  print this text\n"
    "Symbolic links, devices, pipes and sockets inside directories are passed over. A file with\n"
    "a NUL in its first 8 KiB is binary: it is reported and skipped, as is one that cannot be\n"
    "read. The summary goes to stderr.\n"
    "Exit status: 0 all counted; 1 something could not be read or written (binary files do not\n"
    "matter); 2 wrong usage; 3 out of memory.\n";

static void *
must(void *p)
{
	if (p == NULL) {
		fputs("wordfreq: out of memory\n", stderr);
		_exit(EXIT_MEMORY);
	}
	return p;
}

// ---- The table: open addressing over words that lie in an arena --------------------------------

struct entry {
	char *word; // NULL: free
	uint64_t count;
	uint32_t hash, len;
};

struct arena {
	struct arena *next;
	size_t used, size; // bytes of data
	char data[];
};

struct table {
	struct entry *slots;
	size_t n, mask; // words; slots - 1, slots are a power of two and at most 3/4 in use
	struct arena *arena;
};

static void
table_init(struct table *t, size_t slots)
{
	*t = (struct table){must(calloc(slots, sizeof *t->slots)), 0, slots - 1, NULL};
}

static void
table_free(struct table *t)
{
	for (struct arena *a = t->arena, *next; a != NULL; a = next) {
		next = a->next;
		free(a);
	}
	free(t->slots);
}

static char *
arena_copy(struct table *t, const char *word, uint32_t len)
{
	struct arena *a = t->arena;
	if (a == NULL || a->size - a->used < len) {
		size_t size = a == NULL ? 8 << 10 : a->size < 1 << 20 ? 2 * a->size : a->size;
		a = must(malloc(sizeof *a + size)); // never less than WORD_MAX
		*a = (struct arena){t->arena, 0, size};
		t->arena = a;
	}
	char *p = a->data + a->used;
	memcpy(p, word, len);
	a->used += len;
	return p;
}

static void
table_grow(struct table *t)
{
	struct table old = *t;
	size_t slots = 2 * (old.mask + 1);
	t->slots = must(calloc(slots, sizeof *t->slots));
	t->mask = slots - 1;
	for (size_t i = 0; i <= old.mask; i++) {
		if (old.slots[i].word == NULL)
			continue;
		size_t k = old.slots[i].hash & t->mask;
		while (t->slots[k].word != NULL)
			k = (k + 1) & t->mask;
		t->slots[k] = old.slots[i];
	}
	free(old.slots);
}

static void
table_add(struct table *t, const char *word, uint32_t len, uint32_t hash, uint64_t count)
{
	size_t k = hash & t->mask;
	for (; t->slots[k].word != NULL; k = (k + 1) & t->mask) {
		struct entry *e = &t->slots[k];
		if (e->hash == hash && e->len == len && memcmp(e->word, word, len) == 0) {
			e->count += count;
			return;
		}
	}
	t->slots[k] = (struct entry){arena_copy(t, word, len), count, hash, len};
	if (++t->n > (t->mask + 1) / 4 * 3)
		table_grow(t);
}

static void
table_merge(struct table *to, const struct table *from)
{
	for (size_t i = 0; i <= from->mask; i++) {
		const struct entry *e = &from->slots[i];
		if (e->word != NULL)
			table_add(to, e->word, e->len, e->hash, e->count);
	}
}

// By count, most first, then by word: a total order, so that the output is one.
static int
entry_cmp(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	int c = memcmp(x->word, y->word, x->len < y->len ? x->len : y->len);
	return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

// ---- One file ------------------------------------------------------------------------------

enum { COUNTED, BINARY, FAILED };

struct file {
	char *path;
	struct table words;
	uint64_t nwords, nbytes;
	int what; // COUNTED...
	int err;  // errno value of FAILED
};

// The word that is being read; it may go on in the next chunk.
struct scan {
	uint32_t len, hash;
	char word[WORD_MAX];
};

// fold maps a byte to its lower case, and to 0 if it is in no word.
static unsigned char fold[256];

static void
fold_init(void)
{
	for (int c = 0; c < 256; c++)
		fold[c] = c >= 0x80 || (c >= 'a' && c <= 'z') ? c
		    : c >= 'A' && c <= 'Z'                    ? c + 32
							      : 0;
}

static void
end_word(struct file *f, struct scan *s)
{
	if (s->len == 0)
		return;
	// The table masks the low bits, which the multiplications alone do not mix well.
	table_add(&f->words, s->word, s->len, s->hash ^ s->hash >> 15, 1);
	f->nwords++;
	s->len = 0;
}

static void
scan_chunk(struct file *f, struct scan *s, const unsigned char *p, size_t n)
{
	for (const unsigned char *end = p + n; p < end; p++) {
		unsigned char c = fold[*p];
		if (c == 0) {
			end_word(f, s);
			continue;
		}
		if (s->len == 0)
			s->hash = 2166136261u;
		if (s->len == WORD_MAX)
			continue;
		s->hash = (s->hash ^ c) * 16777619u; // FNV-1a
		s->word[s->len++] = (char)c;
	}
}

// sys_open and sys_read return a negative errno value. They stay functions of their own: errno is
// the thread's, and its address must not be carried from one call to another, between which the
// goroutine may have changed threads.
__attribute__((noinline)) static int
sys_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

__attribute__((noinline)) static ssize_t
sys_read(int fd, void *buf, size_t len)
{
	ssize_t n;
	while ((n = read(fd, buf, len)) < 0 && errno == EINTR)
		;
	return n < 0 ? -errno : n;
}

static void
file_scan(struct file *f, int fd, unsigned char *buf, struct scan *s)
{
	bool sniffed = false;
	for (size_t have = 0;;) {
		ssize_t n = RT0_BLOCKING(sys_read(fd, buf + have, CHUNK - have));
		if (n < 0) {
			f->what = FAILED;
			f->err = (int)-n;
			return;
		}
		have += (size_t)n;
		// A pipe gives little at a time; what is binary is decided on the whole 8 KiB.
		if (!sniffed && n > 0 && have < SNIFF)
			continue;
		if (!sniffed && memchr(buf, 0, have < SNIFF ? have : SNIFF) != NULL) {
			f->what = BINARY;
			return;
		}
		sniffed = true;
		scan_chunk(f, s, buf, have);
		f->nbytes += have;
		have = 0;
		if (n == 0) {
			end_word(f, s);
			return;
		}
	}
}

static void
file_count(struct file *f)
{
	struct work {
		struct scan scan;
		unsigned char buf[CHUNK];
	} *w = must(malloc(sizeof *w));
	w->scan.len = 0;
	table_init(&f->words, 256);
	int fd = RT0_BLOCKING(sys_open(f->path));
	if (fd >= 0) {
		file_scan(f, fd, w->buf, &w->scan);
		close(fd);
	} else {
		f->what = FAILED;
		f->err = -fd;
	}
	free(w);
}

// ---- The whole run: what the files come to ----------------------------------------------------

static struct {
	// Constant once the options are read:
	bool sequential;
	long jobs, top;
	rt0_chan *flight;  // the semaphore; holds a token for each file in flight
	rt0_chan *results; // of struct file *
	rt0_waitgroup files;
	// Only of the goroutine that merges, until it is done:
	struct table total;
	uint64_t nwords, nbytes, nfiles, nbinary;
	// Only of main: directories that could not be read.
	uint64_t nfailed_dirs;
	// Of the goroutine that merges:
	uint64_t nfailed;
} run;

__attribute__((format(printf, 2, 3))) static void
report(const char *path, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	flockfile(stderr);
	fprintf(stderr, "wordfreq: %s: ", path);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	funlockfile(stderr);
	va_end(ap);
}

static void
merge(struct file *f)
{
	switch (f->what) {
	case COUNTED:
		run.nfiles++;
		run.nwords += f->nwords;
		run.nbytes += f->nbytes;
		table_merge(&run.total, &f->words);
		break;
	case BINARY:
		run.nbinary++;
		report(f->path, "binary file, skipped");
		break;
	case FAILED:
		run.nfailed++;
		report(f->path, "%s", strerrordesc_np(f->err));
		break;
	}
	table_free(&f->words);
	free(f->path);
	free(f);
}

static void
merger(void *done)
{
	struct file *f;
	RT0_RANGE (run.results, f)
		merge(f);
	rt0_chan_close(done);
}

static void
count_one(void *arg)
{
	struct file *f = arg;
	file_count(f);
	rt0_chan_send(run.results, &f);
	rt0_chan_recv(run.flight, NULL);
	rt0_waitgroup_done(&run.files);
}

static void
submit(const char *path)
{
	struct file *f = must(calloc(1, sizeof *f));
	f->path = must(strdup(path));
	if (run.sequential) {
		file_count(f);
		merge(f);
		return;
	}
	rt0_chan_send(run.flight, &(char){0});
	rt0_waitgroup_add(&run.files, 1);
	rt0_go(count_one, f);
}

// ---- Directories -----------------------------------------------------------------------------

struct name {
	char *name;
	bool dir;
};

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

// dir_read reads all names of path that are directories or plain files, sorted. The directory is
// closed before anything below it is opened, so that depth costs no file descriptors.
// It makes system calls only and nothing of rt0's, see sys_open. Returns how many, or a negative
// errno value.
__attribute__((noinline)) static ssize_t
dir_read(const char *path, struct name **out)
{
	DIR *d = opendir(path);
	if (d == NULL)
		return -errno;
	struct name *names = NULL;
	size_t n = 0, room = 0;
	int err;
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(d);
		if (e == NULL) {
			err = errno;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int type = e->d_type;
		struct stat st;
		if (type == DT_UNKNOWN &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			type = IFTODT(st.st_mode);
		if (type != DT_REG && type != DT_DIR)
			continue;
		if (n == room) {
			room = room == 0 ? 64 : 2 * room;
			names = must(realloc(names, room * sizeof *names));
		}
		names[n++] = (struct name){must(strdup(e->d_name)), type == DT_DIR};
	}
	closedir(d);
	if (err != 0) {
		report(path, "%s; some names may be missing", strerrordesc_np(err));
		run.nfailed_dirs++;
	}
	if (n > 0)
		qsort(names, n, sizeof *names, name_cmp);
	*out = names;
	return (ssize_t)n;
}

// walk does not follow links, so the tree below path is finite; the kernel's limit on the length
// of a path bounds the recursion.
static void
walk(const char *path)
{
	struct name *names;
	ssize_t n = RT0_BLOCKING(dir_read(path, &names));
	if (n < 0) {
		run.nfailed_dirs++;
		report(path, "%s", strerrordesc_np((int)-n));
		return;
	}
	size_t len = strlen(path);
	const char *slash = len > 0 && path[len - 1] == '/' ? "" : "/";
	for (ssize_t i = 0; i < n; i++) {
		char *sub;
		if (asprintf(&sub, "%s%s%s", path, slash, names[i].name) < 0)
			must(NULL);
		if (names[i].dir)
			walk(sub);
		else
			submit(sub);
		free(sub);
		free(names[i].name);
	}
	free(names);
}

// A path that the user names is followed if it is a link, and read whatever it is: a pipe or
// /dev/stdin will do.
static void
visit(const char *path)
{
	struct stat st;
	if (RT0_BLOCKING(stat(path, &st)) == 0 && S_ISDIR(st.st_mode))
		walk(path);
	else
		submit(path);
}

// ---- Options and output ------------------------------------------------------------------------

static long
number(const char *s, char option, long min, long max)
{
	char *end;
	errno = 0;
	long n = strtol(s, &end, 10);
	if (end == s || *end != '\0' || errno != 0 || n < min || n > max) {
		fprintf(stderr, "wordfreq: -%c wants a number from %ld to %ld, not \"%s\"\n",
		    option, min, max, s);
		exit(EXIT_USAGE);
	}
	return n;
}

static void
options(int argc, char **argv)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
	run.jobs = 2L * rt0_gomaxprocs(0);
	run.top = 20;
	for (int c; (c = getopt_long(argc, argv, "hj:n:s", longs, NULL)) != -1;) {
		switch (c) {
		case 'h':
			fputs(help, stdout);
			exit(fflush(stdout) == 0 ? 0 : EXIT_SOME);
		case 'j':
			run.jobs = number(optarg, 'j', 1, JOBS_MAX);
			break;
		case 'n':
			run.top = number(optarg, 'n', 0, INT32_MAX);
			break;
		case 's':
			run.sequential = true;
			break;
		default:
			fputs("wordfreq: see wordfreq --help\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	// A file in flight is an open file; some are needed for other things.
	struct rlimit lim;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY &&
	    run.jobs + 16 > (long)lim.rlim_cur)
		run.jobs = lim.rlim_cur > 17 ? (long)lim.rlim_cur - 16 : 1;
}

static void
print_top(void)
{
	struct table *t = &run.total;
	struct entry *all = must(malloc((t->n + 1) * sizeof *all));
	size_t n = 0;
	for (size_t i = 0; i <= t->mask; i++)
		if (t->slots[i].word != NULL)
			all[n++] = t->slots[i];
	qsort(all, n, sizeof *all, entry_cmp);
	size_t top = run.top == 0 || (size_t)run.top > n ? n : (size_t)run.top;
	for (size_t i = 0; i < top; i++) {
		printf("%9llu ", (unsigned long long)all[i].count);
		fwrite(all[i].word, 1, all[i].len, stdout);
		putchar('\n');
	}
	free(all);
}

int
main(int argc, char **argv)
{
	options(argc, argv);
	fold_init();
	table_init(&run.total, 4096);

	rt0_chan *merged = NULL;
	if (!run.sequential) {
		run.flight = rt0_chan_make(1, (size_t)run.jobs);
		run.results = rt0_chan_make(sizeof(struct file *), 0);
		merged = rt0_chan_make(0, 0);
		rt0_go(merger, merged);
	}
	if (optind >= argc)
		visit(default_path);
	for (int i = optind; i < argc; i++)
		visit(argv[i]);
	if (!run.sequential) {
		rt0_waitgroup_wait(&run.files);
		rt0_chan_close(run.results);
		rt0_chan_recv(merged, NULL);
	}

	print_top();
	run.nfailed += run.nfailed_dirs;
	bool written = fflush(stdout) == 0 && !ferror(stdout);
	if (!written)
		perror("wordfreq: standard output");
	fprintf(stderr,
	    "%llu files, %llu bytes, %llu words, %zu different; %llu unreadable, %llu binary\n",
	    (unsigned long long)run.nfiles, (unsigned long long)run.nbytes,
	    (unsigned long long)run.nwords, run.total.n, (unsigned long long)run.nfailed,
	    (unsigned long long)run.nbinary);
	return run.nfailed > 0 || !written ? EXIT_SOME : 0;
}
