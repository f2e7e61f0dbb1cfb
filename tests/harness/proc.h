// SPDX-License-Identifier: BSD-3-Clause
// proc.h: what /proc/self tells a test: how many threads and open files the process has.
#ifndef RT0_PROC_H
#define RT0_PROC_H
#include <dirent.h>
#include <stddef.h>

// proc_entries counts what is in a folder. /proc/self/fd holds the folder itself, too.
static inline int
proc_entries(const char *path)
{
	int n = -2; // . and ..
	DIR *d = opendir(path);
	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static inline int
proc_threads(void)
{
	return proc_entries("/proc/self/task");
}

#endif
