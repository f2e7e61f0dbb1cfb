// SPDX-License-Identifier: BSD-3-Clause
// Reads of a file that is not in the page cache, from the disk (O_DIRECT) or wherever it comes from, by many goroutines:
// each gets what is there, by io_uring if there is one. "off": without. "child": the child of a fork reads as well.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rt0.h>
#include <rt0/net.h>

enum { SIZE = (4 << 20) + 1234, READERS = 200, READS = 20, MANY = 1000, MOVERS = 8, BIG = 64 << 10, ALIGN = 4096 };

static rt0_fd *plain, *direct;
static rt0_waitgroup wg;

static unsigned char
at(long off)
{
	return (unsigned char)(off * 2654435761u >> 24);
}

// rings counts the io_urings of this process.
static int
rings(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char path[300], to[64] = {0};
		snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
		if (readlink(path, to, sizeof to - 1) > 0)
			n += strcmp(to, "anon_inode:[io_uring]") == 0;
	}
	closedir(d);
	return n;
}

// check reads n bytes at off and compares.
static void
check(rt0_fd *fd, unsigned char *buf, long n, long off)
{
	long want = off >= SIZE ? 0 : off + n > SIZE ? SIZE - off : n;
	memset(buf, 0, (size_t)n);
	long r = rt0_fd_pread(fd, buf, (size_t)n, off);
	if (r != want) {
		rt0_printf("read of %ld at %ld: %ld, want %ld\n", n, off, r, want);
		rt0_fatal("wrong length");
	}
	for (long i = 0; i < r; i++)
		if (buf[i] != at(off + i))
			rt0_fatal("wrong bytes");
}

static void
reader(void *arg)
{
	uint64_t x = (uintptr_t)arg * 2 + 1;
	unsigned char *buf = aligned_alloc(ALIGN, 64 << 10);
	for (int i = 0; i < READS; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		long off = (long)(x >> 33) % (SIZE + 10000), n = 1 + (long)(x >> 20) % 60000;
		if (direct != NULL && i % 2 == 0)
			check(direct, buf, (n + ALIGN - 1) & -ALIGN, off & -ALIGN);
		else
			check(plain, buf, n, off);
	}
	free(buf);
	rt0_waitgroup_done(&wg);
}

static void
bigreader(void *arg)
{
	unsigned char *buf = aligned_alloc(ALIGN, BIG);
	check(direct, buf, BIG, (long)(uintptr_t)arg % 4 * BIG);
	free(buf);
	rt0_waitgroup_done(&wg);
}

static void
inorder(const char *path)
{
	static unsigned char buf[70000];
	rt0_fd *fd;
	long off = 0, r;
	if (rt0_fd_open(path, O_RDONLY, 0, &fd) < 0)
		rt0_fatal("open");
	while ((r = rt0_fd_read(fd, buf, 1 + (size_t)(off % 69999))) > 0) {
		for (long i = 0; i < r; i++)
			if (buf[i] != at(off + i))
				rt0_fatal("wrong bytes in order");
		off += r;
	}
	if (r != 0 || off != SIZE || rt0_fd_read(fd, buf, 10) != 0)
		rt0_fatal("wrong end");
	// Reads and the position go together, whatever the way.
	if (rt0_fd_seek(fd, 100, SEEK_SET) != 100 || rt0_fd_read(fd, buf, 7) != 7 || buf[0] != at(100) || rt0_fd_seek(fd, 0, SEEK_CUR) != 107)
		rt0_fatal("wrong position");
	if (rt0_fd_pread(fd, buf, 1, -5) != -EINVAL || rt0_fd_pread(fd, (void *)16, 5, 0) != -EFAULT)
		rt0_fatal("wrong error");
	rt0_fd_close(fd);
}

// directinorder reads from the disk at the file's position, which each read moves.
static void
directinorder(void)
{
	unsigned char *buf = aligned_alloc(ALIGN, BIG);
	long off = 0, r;
	while ((r = rt0_fd_read(direct, buf, BIG)) > 0) {
		for (long i = 0; i < r; i++)
			if (off + i >= SIZE || buf[i] != at(off + i))
				rt0_fatal("wrong bytes in order from the disk");
		off += r;
		if (rt0_fd_seek(direct, 0, SEEK_CUR) != off)
			rt0_fatal("wrong position after a read from the disk");
		if (off % ALIGN != 0)
			break; // the end: O_DIRECT reads from multiples only
	}
	if (off != SIZE)
		rt0_fatal("wrong end from the disk");
	free(buf);
}

// inchild has the child of a fork, which has no goroutines, read what is not in the page cache.
static void
inchild(void)
{
	unsigned char *buf = aligned_alloc(ALIGN, BIG);
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		check(direct, buf, BIG, BIG);
		_exit(7);
	}
	if (waitpid(pid, &status, 0) != pid || status != 7 << 8)
		rt0_fatal("the child without goroutines");
	free(buf);
}

// Reads, writes and seeks at the position of one handle: each write and each read moves it by its own length.
static rt0_fd *both;

static void
mover(void *arg)
{
	static unsigned char block[MOVERS][ALIGN] __attribute__((aligned(ALIGN)));
	for (int i = 0; i < 50; i++) {
		bool write = ((uintptr_t)arg + (uintptr_t)i) % 2 == 0;
		unsigned char *b = block[(uintptr_t)arg];
		if ((write ? rt0_fd_write(both, b, ALIGN) : rt0_fd_read(both, b, ALIGN)) != ALIGN)
			rt0_fatal("a mover");
	}
	rt0_waitgroup_done(&wg);
}

static void
position(void)
{
	char path[] = "/var/tmp/rt0-read-XXXXXX";
	close(mkstemp(path));
	if (rt0_fd_open(path, O_RDWR | (direct != NULL ? O_DIRECT : 0), 0, &both) < 0)
		rt0_fatal("open");
	unlink(path);
	if (ftruncate(rt0_fd_sysfd(both), (MOVERS * 50 + 1) * ALIGN) < 0)
		rt0_fatal("truncate");
	rt0_waitgroup_add(&wg, MOVERS);
	for (long i = 0; i < MOVERS; i++)
		rt0_go(mover, (void *)i);
	rt0_waitgroup_wait(&wg);
	if (rt0_fd_seek(both, 0, SEEK_CUR) != MOVERS * 50 * ALIGN)
		rt0_fatal("the position is wrong");
	rt0_fd_close(both);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char path[] = "/var/tmp/rt0-read-XXXXXX";
	int fd = mkstemp(path);
	unsigned char *all = malloc(SIZE);
	for (long i = 0; i < SIZE; i++)
		all[i] = at(i);
	if (write(fd, all, SIZE) != SIZE || fsync(fd) < 0)
		rt0_fatal("write");
	free(all);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	int err = rt0_fd_open(path, O_RDONLY | O_DIRECT, 0, &direct);
	if (err < 0)
		direct = NULL; // not every file system has it
	if (rt0_fd_open(path, O_RDONLY, 0, &plain) < 0)
		rt0_fatal("open");
	if (strcmp(what, "child") == 0) {
		unsigned char *buf = aligned_alloc(ALIGN, BIG);
		check(direct != NULL ? direct : plain, buf, BIG, 0);
		pid_t pid = fork();
		if (pid == 0) {
			check(direct != NULL ? direct : plain, buf, BIG, BIG);
			for (long i = 0; i < 50; i++) {
				rt0_waitgroup_add(&wg, 1);
				rt0_go(direct != NULL ? bigreader : reader, (void *)i);
			}
			rt0_waitgroup_wait(&wg);
			_exit(7);
		}
		int status;
		check(plain, buf, BIG, 2 * BIG);
		if (waitpid(pid, &status, 0) != pid || status != 7 << 8)
			rt0_fatal("the child");
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	inorder(path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	rt0_waitgroup_add(&wg, READERS);
	for (long i = 0; i < READERS; i++)
		rt0_go(reader, (void *)i);
	rt0_waitgroup_wait(&wg);
	if (direct != NULL) {
		directinorder();
		inchild();
		// More than the rings hold.
		rt0_waitgroup_add(&wg, MANY);
		for (long i = 0; i < MANY; i++)
			rt0_go(bigreader, (void *)i);
		rt0_waitgroup_wait(&wg);
	}
	position();
	char params[120] = {0};
	int n = rings();
	bool have = syscall(SYS_io_uring_setup, 1, params) >= 0;
	if (strcmp(what, "off") == 0 ? n != 0 : have && direct != NULL && n == 0)
		rt0_printf("%d rings\n", n);
	unlink(path);
	rt0_fd_close(plain);
	if (direct != NULL)
		rt0_fd_close(direct);
	rt0_printf("done\n");
	return 0;
}
