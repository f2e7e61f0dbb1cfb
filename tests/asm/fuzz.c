// SPDX-License-Identifier: BSD-3-Clause
// fuzz.c: the libFuzzer targets of the assembler: `tests/asm.sh fuzz SECONDS`.
//
// The macro says which one this is:
//
//   FUZZ_SOURCE   everything that reads source: the assembler, its options, #include, -D, -stub
//                 and -H. The first two bytes pick the options, the rest is up to five parts with
//                 0xff between them: the source, a.h, b.h, the declarations and the -D values. All
//                 files are in memory: open and fopen are wrapped by the linker.
//   FUZZ_STUB     declarations in Go, the header and the trampolines of them. The first byte picks
//                 the options.
//   FUZZ_OFFSETS  the reader of preprocessed C that finds the structs of a header.
//
// What they read is not ended by 0 and fills its allocation, so that reading beyond it is found. An
// answer that makes no sense (an error without a text, a text without an error, a trampoline that
// is no assembly, a question to the compiler that is not one expression) is a crash too, and so is
// a descriptor that stays open.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef FUZZ_OFFSETS
#include "offsets.c"
#else
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#ifdef FUZZ_STUB
#include "stub.c"
#else
#include "asm.h"
#endif
#include "main.h"

static char *said; // what was written to A.diag
static size_t nsaid;

// exact is a copy of a piece of the input, and ends with its allocation.
static char *
exact(const void *p, size_t n)
{
	char *copy = malloc(n + !n);
	memcpy(copy, p, n);
	return copy;
}

// lowest is the lowest free descriptor: the same before an input and after it.
static int
lowest(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}
#endif

#ifdef FUZZ_SOURCE
enum { SOURCE, AH, BH, STUB, DEFINES, NPARTS };
static struct {
	const uint8_t *p;
	size_t n;
} part[NPARTS];
static const char textflag[] =
    "#define NOSPLIT 4\n#define NOPTR 16\n#define RODATA 8\n#define DUPOK 2\n"
    "#define NOFRAME 512\n#define TLSBSS 256\n#define WRAPPER 32\n"
    "#define TOPFRAME 2048\n#define EXPORT 0x100000\n#define SIGFRAME 0x200000\n";

int __wrap_open(const char *path, int flags, ...);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

// The files of this world: fuzz.s, a.h and b.h (both also in inc), textflag.h, and two that are no
// files.
int
__wrap_open(const char *path, int flags, ...)
{
	(void)flags;
	const void *p;
	size_t n;
	if (strcmp(path, "dir") == 0 || strcmp(path, "null") == 0)
		return openat(AT_FDCWD, path[0] == 'd' ? "/" : "/dev/null", O_RDONLY | O_CLOEXEC);
	if (strcmp(path, "inc/textflag.h") == 0) {
		p = textflag;
		n = sizeof textflag - 1;
	} else {
		int i = strcmp(path, "fuzz.s") == 0   ? SOURCE
		    : strcmp(path, "a.h") == 0        ? AH
		    : strcmp(path, "b.h") == 0        ? BH
		    : strcmp(path, "fuzz.go") == 0    ? STUB
		    : strcmp(path, "inc/a.h") == 0    ? AH
		    : strcmp(path, "inc/fuzz.s") == 0 ? SOURCE
						      : -1;
		if (i < 0) {
			errno = ENOENT;
			return -1;
		}
		p = part[i].p;
		n = part[i].n;
	}
	int fd = memfd_create("part", MFD_CLOEXEC);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

FILE *
__wrap_fopen(const char *path, const char *mode)
{
	return __real_fopen(
	    strcmp(path, "fuzz.h") == 0 ? "/dev/null" : path, mode); // libFuzzer's too
}

// command runs the assembler as its command line does.
static int
command(int flags, int more)
{
	static char values[8][256];
	char *argv[64];
	int n = 0, ndefines = 0;
	if (flags & 1)
		argv[n++] = (char *)"-pic";
	if (flags & 2)
		argv[n++] = (char *)"-go122";
	if (flags & 4)
		argv[n++] = (char *)"-c";
	if (flags & 8)
		argv[n++] = (char *)"-e";
	if (flags & 16)
		argv[n++] = (char *)"-p", argv[n++] = (char *)(flags & 64 ? "a.b/c-d" : "pkg");
	if (flags & 64)
		argv[n++] = (char *)"-S";
	if (flags & 128)
		argv[n++] = (char *)"-hidden";
	if (more & 2)
		argv[n++] = (char *)"-H", argv[n++] = (char *)"fuzz.h";
	if (more & 4)
		argv[n++] = (char *)"-stub", argv[n++] = (char *)"fuzz.go";
	if (more & 8)
		argv[n++] = (char *)"-Iinc";
	if (more & 16)
		argv[n++] = (char *)"-g0";
	if (more & 32)
		argv[n++] = (char *)"-tls", argv[n++] = (char *)"tls_g";
	for (size_t i = 0, start = 0; i <= part[DEFINES].n && ndefines < 8; i++) {
		if (i < part[DEFINES].n && part[DEFINES].p[i] != '\n')
			continue;
		if (i > start && i - start < sizeof values[0]) {
			char *v = values[ndefines++];
			memcpy(v, part[DEFINES].p + start, i - start);
			v[i - start] = 0;
			argv[n++] = (char *)"-D";
			argv[n++] = v;
		}
		start = i + 1;
	}
	argv[n++] = (char *)"-o";
	argv[n++] = (char *)"/dev/null";
	argv[n++] = (char *)"fuzz.s";
	return asm_main(n, argv);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static FILE *null;
	if (!null) {
		null = __real_fopen("/dev/null", "w");
		stdout = null; // of -S; libFuzzer writes to the descriptors
	}
	if (n < 2)
		return 0;
	int flags = data[0], more = data[1], fd = lowest();
	memset(part, 0, sizeof part);
	data += 2;
	n -= 2;
	for (int i = 0; i < NPARTS; i++) {
		const uint8_t *stop = memchr(data, 0xff, n);
		part[i].p = data;
		part[i].n = stop ? (size_t)(stop - data) : n;
		if (!stop)
			break;
		n -= part[i].n + 1;
		data = stop + 1;
	}
	FILE *real = stderr;
	stderr = open_memstream(&said, &nsaid);
	asm_main(0, NULL); // forgets the options and -D
	rewind(stderr);
	int status;
	if (more & 1) {
		status = command(flags, more);
	} else {
		A.opt.pic = flags & 1;
		A.opt.go122 = flags & 2;
		A.opt.cnames = flags & 4;
		A.opt.allerrors = flags & 8;
		A.opt.package = flags & 16 ? "pkg" : NULL;
		A.opt.output = flags & 32 ? "/dev/null" : NULL;
		A.opt.header = more & 2 ? "fuzz.h" : NULL;
		A.opt.include[0] = "inc";
		A.opt.nincludes = !!(more & 8);
		A.listing = flags & 64 ? null : NULL;
		A.diag = stderr;
		char *copy = exact(part[SOURCE].p, part[SOURCE].n);
		status = asm_run("fuzz.s", copy, part[SOURCE].n);
		free(copy);
	}
	long length = ftell(stderr);
	fclose(stderr);
	stderr = real;
	if (status != (length > 0))
		abort();
	free(said);
	if (lowest() != fd)
		abort();
	return 0;
}
#endif

#ifdef FUZZ_STUB
// assemble makes functions of some names, and the declarations, the input, may be of them.
static void
assemble(const char *text, size_t n)
{
	static const char source[] =
	    "TEXT ·f(SB), 4, $0\nRET\nTEXT ·g(SB), 4, $0\nRET\nTEXT ·add(SB), 4, $0\nRET\n"
	    "TEXT ·mix(SB), 4, $0\nRET\nTEXT ·sub(SB), 4, $0\nRET\nTEXT ·all(SB), 4, $0\nRET\n";
	names_init();
	lex_open("fuzz.s", -1, source, sizeof source - 1);
	parse();
	if (A.errors)
		abort();
	buf_free(&asmtext);
	buf_free(&header);
	buf_print(&asmtext, "\n");
	for (int lineno = 1; n > 0; lineno++) {
		const char *nl = memchr(text, '\n', n);
		size_t len = nl ? (size_t)(nl - text) : n;
		char *copy = exact(text, len);
		line("fuzz.s", lineno, copy, len, len < 2 || memcmp(copy, "//", 2) != 0);
		free(copy);
		text += len + (nl != NULL);
		n -= len + (nl != NULL);
	}
	if (A.errors)
		return;
	lex_open("trampoline", -1, (char *)asmtext.p, asmtext.n);
	parse();
	if (A.errors || !place_data() || !elf_write("/dev/null") || !stubs_header("/dev/null"))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	int fd = lowest();
	asm_reset();
	memset(&A.opt, 0, sizeof A.opt);
	A.opt.pic = data[0] & 1;
	A.opt.go122 = data[0] & 2;
	A.opt.cnames = data[0] & 4;
	A.opt.package = data[0] & 8 ? "a.b/c" : NULL;
	A.opt.header = "fuzz.h";
	A.opt.allerrors = true; // nothing leaves by longjmp
	A.diag = open_memstream(&said, &nsaid);
	char *copy = exact(data + 1, n - 1);
	if (setjmp(A.fail) == 0)
		assemble(copy, n - 1);
	int errors = A.errors;
	fclose(A.diag);
	if ((errors > 0) != (nsaid > 0))
		abort();
	for (const char *s = said, *nl; *s; s = nl + 1) {
		nl = strchr(s, '\n');
		*(char *)(uintptr_t)nl = 0;
		if (!strstr(s, "cannot be called from C: "))
			abort();
	}
	free(said);
	free(copy);
	A.diag = NULL;
	asm_reset();
	if (lowest() != fd)
		abort();
	return 0;
}
#endif

#ifdef FUZZ_OFFSETS
int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);

static bool scanning; // whatever else asks, libFuzzer, gets the system's answer

// In this world there is one header, fuzz.h.
int
__wrap_stat(const char *path, struct stat *st)
{
	if (!scanning)
		return __real_stat(path, st);
	if (strcmp(path, "fuzz.h") != 0)
		return -1;
	st->st_dev = 1;
	st->st_ino = 1;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	// Ended by 0, as command leaves it; a 0 inside ends it earlier.
	char *text = malloc(n + 1), *asked = NULL;
	size_t nasked = 0;
	memcpy(text, data, n);
	text[n] = 0;
	at = text;
	end = text + strlen(text);
	static const char *const paths[] = {"none.h", "fuzz.h"};
	headers = paths;
	nheaders = 2;
	ours = true;
	questions = open_memstream(&asked, &nasked);
	scanning = true;
	scan();
	scanning = false;
	fclose(questions);
	free(text);
	// Each line is one question, and all it has of the header is words.
	for (char *s = asked, *nl; *s; s = nl + 1) {
		nl = strchr(s, '\n');
		static const char head[] = "\t__asm__ volatile(\"\\n.ascii \\\"->";
		static const char middle[] = " %c0\\\"\" :: \"i\"((long)(";
		if (strncmp(s, head, sizeof head - 1) != 0)
			abort();
		s += sizeof head - 1;
		s += strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789$");
		if (strncmp(s, middle, sizeof middle - 1) != 0)
			abort();
		s += sizeof middle - 1;
		s += strspn(
		    s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789$ (),");
		if (strncmp(s - 3, ")));\n", 5) != 0)
			abort();
	}
	free(asked);
	return 0;
}
#endif
