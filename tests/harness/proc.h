// SPDX-License-Identifier: BSD-3-Clause
// proc.h: what /proc/self tells a test: how many threads, open files and pages the process has.
#ifndef RT0_PROC_H
#define RT0_PROC_H
#include <dirent.h>
#include <stddef.h>
#include <stdio.h>

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

// proc_pages counts the pages of the process: of its address space, or resident: those in memory. -1: nobody says.
static inline long
proc_pages(int resident)
{
	long n[2] = {-1, -1};
	FILE *f = fopen("/proc/self/statm", "r");
	if (f != NULL) {
		if (fscanf(f, "%ld %ld", &n[0], &n[1]) != 2)
			n[0] = n[1] = -1;
		fclose(f);
	}
	return n[resident];
}

#endif
