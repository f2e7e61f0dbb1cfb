// SPDX-License-Identifier: BSD-3-Clause
// file_replaced.c: the program's file has been deleted, or another one is in its place, when it
// crashes. The kernel still has the one that runs.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt0.h"

__attribute__((noinline)) static void
fail(const char *why)
{
	rt0_panic(why); // fail
	__asm__ volatile("");
}

// Runs a copy of this program, which does with its file as how says.
static void
copy(char *how)
{
	char name[] = "/tmp/rt0-test-replaced-XXXXXX";
	int to = mkstemp(name), from = open("/proc/self/exe", O_RDONLY);
	struct stat st;
	if (fstat(from, &st) != 0)
		exit(1);
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);
		if (n <= 0)
			exit(1);
		left -= n;
	}
	fchmod(to, 0700);
	close(to);
	int status;
	if (fork() == 0) {
		execl(name, name, how, name, (char *)NULL);
		_exit(1);
	}
	wait(&status);
	unlink(name);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		copy(argv[1]);
	unlink(argv[2]);
	if (strcmp(argv[1], "replaced") == 0) {
		int fd = open(argv[2], O_WRONLY | O_CREAT, 0700);
		if (write(fd, "\177ELF\2\1\1garbage", 14) != 14)
			return 1;
		close(fd);
		unlink(argv[2]);
		fd = open(argv[2], O_WRONLY | O_CREAT, 0700);
		if (ftruncate(fd, 1 << 20) != 0)
			return 1;
	}
	fail(argv[1]);
	return 0;
}
