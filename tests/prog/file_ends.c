// SPDX-License-Identifier: BSD-3-Clause
// Threads end, and GOMAXPROCS changes, while files are read by io_uring: the kernel gives up the reads that the thread has
// begun for others. Each gets what is there all the same. Some who read have a thread of their own.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <rt0.h>
#include <rt0/net.h>

#ifdef __SANITIZE_THREAD__
enum { READERS = 20, READS = 30 };
#else
enum { READERS = 40, READS = 100 };
#endif
enum { SIZE = 8 << 20, MOST = 60000, LINE = 97 };

static rt0_fd *file;
static int sysfd, left = READERS;
static rt0_waitgroup wg;

static unsigned char
at(long off)
{
	return (unsigned char)(off * 2654435761u >> 24);
}

// ender ends its thread.
static void
ender(void *arg)
{
	(void)arg;
	rt0_lock_os_thread();
	rt0_waitgroup_done(&wg);
}

static void
reader(void *arg)
{
	uint64_t x = (uintptr_t)arg * 2 + 1;
	unsigned char *buf = malloc(MOST);
	if ((uintptr_t)arg % 5 == 0)
		rt0_lock_os_thread();
	for (int i = 0; i < READS; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		long off = (long)((x >> 33) % (SIZE - MOST)), n = 1 + (long)((x >> 20) % MOST), r;
		if (i % 4 == 0)
			posix_fadvise(sysfd, 0, 0, POSIX_FADV_DONTNEED);
		if ((r = rt0_fd_pread(file, buf, (size_t)n, off)) != n) {
			rt0_printf("read of %ld at %ld: %ld\n", n, off, r);
			rt0_fatal("wrong length");
		}
		for (long k = 0; k < n; k += LINE)
			if (buf[k] != at(off + k))
				rt0_fatal("wrong bytes");
		if (i % 8 == 0) {
			rt0_waitgroup_add(&wg, 1);
			rt0_go(ender, NULL);
		}
	}
	free(buf);
	__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED);
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	char path[] = "/var/tmp/rt0-ends-XXXXXX";
	sysfd = mkstemp(path);
	unsigned char *all = malloc(SIZE);
	for (long i = 0; i < SIZE; i++)
		all[i] = at(i);
	if (write(sysfd, all, SIZE) != SIZE || fsync(sysfd) < 0 || rt0_fd_open(path, O_RDONLY, 0, &file) < 0)
		rt0_fatal("file");
	free(all);
	unlink(path);
	int procs = rt0_gomaxprocs(0);
	rt0_waitgroup_add(&wg, READERS);
	for (long i = 0; i < READERS; i++)
		rt0_go(reader, (void *)i);
	for (int n = 1; __atomic_load_n(&left, __ATOMIC_RELAXED) > 0; n = n % 4 + 1) {
		rt0_gomaxprocs(n);
		rt0_sleep(1000000);
	}
	rt0_gomaxprocs(procs);
	rt0_waitgroup_wait(&wg);
	rt0_fd_close(file);
	rt0_printf("done\n");
	return 0;
}
