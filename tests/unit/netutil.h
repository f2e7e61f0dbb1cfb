// SPDX-License-Identifier: BSD-3-Clause
// netutil.h: what the tests of descriptors and sockets share.
#ifndef RT0_NETUTIL_H
#define RT0_NETUTIL_H

#include <dirent.h>
#include <sys/resource.h>

#include "../../include/rt0/net.h"
#include "../../include/rt0/time.h"

// netutil_fds counts the open descriptors of the process.
static inline int
netutil_fds(void)
{
	int n = -3; // ., .. and the directory itself
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

// netutil_starve leaves the process n free descriptors.
static inline void
netutil_starve(int n)
{
	struct rlimit l;
	int last[256], k = 0, fd;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &l);
	while ((fd = dup(2)) >= 0)
		last[k++] = fd;
	while (n-- > 0)
		close(last[--k]);
}

#endif
