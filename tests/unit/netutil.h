// SPDX-License-Identifier: BSD-3-Clause
// netutil.h: what the tests of descriptors and sockets share.
#ifndef RT0_NETUTIL_H
#define RT0_NETUTIL_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "../../include/rt0/net.h"
#include "../../include/rt0/time.h"

// netutil_isown: fd is one that the runtime may open at some time for itself: of this process, which older kernels want
// for giving back the memory of many stacks; a ring for reads of files; and what sysmon reads about threads that sleep in
// a system call.
static inline bool
netutil_isown(const char *fd)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/self/fd/%.20s", fd);
	ssize_t len = readlink(path, text, sizeof text);
	if (len == 21 && memcmp(text, "anon_inode:[io_uring]", 21) == 0)
		return true;
	if (len > 8 && memcmp(text, "/proc/", 6) == 0 && memcmp(text + len - 8, "/syscall", 8) == 0)
		return true;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%.20s", fd);
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
	text[n] = 0;
	if (f != NULL)
		fclose(f);
	const char *pid = strstr(text, "\nPid:");
	return pid != NULL && atoi(pid + 5) == getpid();
}

// netutil_fds counts the open descriptors of the process.
static inline int
netutil_fds(void)
{
	int n = -3; // ., .. and the directory itself
	DIR *d = opendir("/proc/self/fd");
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += !netutil_isown(e->d_name);
	closedir(d);
	return n;
}

static int netutil_taken[256], netutil_ntaken;

// netutil_giveback gives a descriptor back that netutil_starve has taken.
static inline void
netutil_giveback(void)
{
	close(netutil_taken[--netutil_ntaken]);
}

// netutil_starve leaves the process n free descriptors.
static inline void
netutil_starve(int n)
{
	struct rlimit l;
	int fd;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &l);
	netutil_ntaken = 0;
	while ((fd = dup(2)) >= 0)
		netutil_taken[netutil_ntaken++] = fd;
	while (n-- > 0)
		netutil_giveback();
}

#endif
