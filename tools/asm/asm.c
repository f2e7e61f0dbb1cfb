// SPDX-License-Identifier: BSD-3-Clause
// asm.c: the command line of the assembler, and one assembly from beginning to end.
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asm.h"
#include "main.h"

static const char *defines[256];
static int ndefines;

static void
removed(const char *path)
{
	struct stat st;
	if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		unlink(path);
}

// begin opens the source and defines what -D says.
static void
begin(const char *path, const char *text, size_t n)
{
	names_init();
	for (int i = 0; i < ndefines; i++)
		cpp_define(defines[i]);
	int fd = -1;
	A.file = path;
	A.lineno = 0;
	if (!text) {
		struct stat st;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fatal("%s", strerror(errno));
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
			close(fd);
			fatal("%s", strerror(EISDIR));
		}
	}
	lex_open(path, fd, text, n);
}

// prescan finds what the source defines, which -pic must know before it is used. The names stay
// behind in list, one after the other, each ended by 0.
static void
prescan(const char *path, const char *text, size_t n, struct buf *list)
{
	FILE *diag = A.diag;
	A.diag = NULL; // errors are reported when it is assembled
	A.prescan = true;
	if (setjmp(A.fail) == 0) {
		begin(path, text, n);
		parse();
	}
	for (struct sym *s = A.syms; s; s = s->next)
		if (s->here && s->abi != STATIC)
			buf_put(list, s->name->text, s->name->len + 1);
	asm_reset();
	A.diag = diag;
}

// asm_run assembles one source, which is in the file path, or in text if that is not NULL.
int
asm_run(const char *path, const char *text, size_t n)
{
	struct buf here = {0};
	asm_reset();
	if (A.opt.pic && !A.opt.hidden)
		prescan(path, text, n, &here);
	if (setjmp(A.fail) == 0) {
		begin(path, text, n);
		for (size_t i = 0; i < here.n; i += strlen((char *)here.p + i) + 1)
			sym_named((char *)here.p + i, ABI0)->here = true;
		parse();
		if (A.opt.header && A.errors == 0)
			stubs(path);
		bool ok = A.errors == 0;
		ok = ok && place_data();
		if (ok && A.listing)
			list_data();
		if (ok && elf_write(A.opt.output) && A.opt.header)
			stubs_header(A.opt.header);
	}
	int errors = A.errors;
	buf_free(&here);
	asm_reset();
	if (errors)
		removed(A.opt.output);
	return errors != 0;
}

// What -support assembles: what the prologues of functions without NOSPLIT need in a program that
// has no runtime. Its g has stackguard0 = 0, so that no stack is ever too small.
static const char support[] = "GLOBL g0<>(SB), 16, $64\n"
			      "DATA runtime·tlsg+0(SB)/8, $g0<>(SB)\n"
			      "GLOBL runtime·tlsg(SB), (256|2), $8\n"
			      "TEXT runtime·morestack_noctxt(SB), 4|512|2, $0-0\n"
			      "\tUNDEF\n"
			      "TEXT runtime·morestack(SB), 4|512|2, $0-0\n"
			      "\tUNDEF\n";

static int
usage(const char *fmt, const char *arg)
{
	fprintf(stderr, "rt0 asm: ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(stderr, fmt, arg);
#pragma GCC diagnostic pop
	fprintf(stderr, "\nRun 'rt0 help asm' for usage.\n");
	return 2;
}

static const char *
defaultout(const char *path)
{
	static char out[4096];
	const char *slash = strrchr(path, '/');
	snprintf(out, sizeof out - 2, "%s", slash ? slash + 1 : path);
	char *dot = strrchr(out, '.');
	if (dot && dot != out)
		*dot = 0;
	return strcat(out, ".o");
}

// batch runs the assemblies of a file, the arguments of one on each line: a build's in one process.
static int
batch(const char *path)
{
	// What one assembly has had the next one takes.
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	FILE *f = fopen(path, "r");
	char *text = NULL, *args[1024];
	size_t size = 0;
	int code = 0;
	if (!f)
		return usage("%s: cannot be opened", path);
	while (getline(&text, &size, f) > 0) {
		int n = 0;
		char *save = NULL;
		for (char *w = strtok_r(text, " \t\n", &save); w && n < 1024;
		     w = strtok_r(NULL, " \t\n", &save))
			args[n++] = w;
		if (n > 0)
			code |= asm_main(n, args);
	}
	free(text);
	fclose(f);
	return code;
}

// asm_main is `rt0 asm` with its arguments.
int
asm_main(int argc, char **argv)
{
	const char *files[512];
	int nfiles = 0;
	bool supports = false;
	if (argc > 0 && argv[0][0] == '@')
		return batch(argv[0] + 1);
	memset(&A.opt, 0, sizeof A.opt);
	ndefines = 0;
	A.diag = stderr;
	A.listing = NULL;
	for (int i = 0; i < argc; i++) {
		char *a = argv[i];
		const char **value = NULL;
		if (a[0] != '-' || a[1] == 0) {
			if (nfiles == 512)
				return usage("too many files", "");
			files[nfiles++] = a;
			continue;
		}
		if (strcmp(a, "-S") == 0)
			A.listing = stdout;
		else if (strcmp(a, "-e") == 0)
			A.opt.allerrors = true;
		else if (strcmp(a, "-c") == 0)
			A.opt.cnames = true;
		else if (strcmp(a, "-pic") == 0)
			A.opt.pic = true;
		else if (strcmp(a, "-hidden") == 0)
			A.opt.hidden = true;
		else if (strcmp(a, "-g0") == 0)
			A.opt.nodebug = true;
		else if (strcmp(a, "-support") == 0)
			supports = true;
		else if (strcmp(a, "-go119") == 0)
			A.opt.go122 = false;
		else if (strcmp(a, "-go122") == 0)
			A.opt.go122 = true;
		else if (strcmp(a, "-o") == 0)
			value = &A.opt.output;
		else if (strcmp(a, "-p") == 0)
			value = &A.opt.package;
		else if (strcmp(a, "-tls") == 0)
			value = &A.opt.tlsname;
		else if (strcmp(a, "-stub") == 0) {
			if (A.opt.nstubs == 64)
				return usage("too many %s", "-stub");
			value = &A.opt.stub[A.opt.nstubs++];
		} else if (strcmp(a, "-H") == 0)
			value = &A.opt.header;
		else if (a[1] == 'I') {
			if (A.opt.nincludes == 64)
				return usage("too many %s", "-I");
			value = &A.opt.include[A.opt.nincludes++];
		} else if (a[1] == 'D') {
			if (ndefines == 256)
				return usage("too many %s", "-D");
			value = &defines[ndefines++];
		} else
			return usage("unknown flag %s", a);
		if (!value)
			continue;
		if ((a[1] == 'I' || a[1] == 'D') && a[2]) {
			*value = a + 2;
			continue;
		}
		if (i + 1 == argc)
			return usage("%s needs a value", a);
		*value = argv[++i];
	}
	if (supports) {
		if (nfiles > 0 || !A.opt.output)
			return usage("-support takes -o FILE and no source", "");
		A.opt.nodebug = true;
		return asm_run("support.s", support, sizeof support - 1);
	}
	if (nfiles == 0)
		return usage("no source file", "");
	if (nfiles > 1 && (A.opt.output || A.opt.header))
		return usage("-o and -H are for one source file", "");
	int code = 0;
	bool named = A.opt.output != NULL;
	for (int i = 0; i < nfiles; i++) {
		if (!named)
			A.opt.output = defaultout(files[i]);
		if (strcmp(files[i], A.opt.output) == 0)
			return usage("%s: -o names the source file", files[i]);
		code |= asm_run(files[i], NULL, 0);
	}
	return code;
}
