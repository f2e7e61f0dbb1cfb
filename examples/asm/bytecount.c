// SPDX-License-Identifier: BSD-3-Clause
// bytecount.c: calls count.s, and checks it against a plain loop.
//
//	rt0 run examples/asm/bytecount.c examples/asm/count.s
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "count_asm.h"

static int64_t
plain(const unsigned char *p, int64_t n, unsigned char c)
{
	int64_t sum = 0;
	for (int64_t i = 0; i < n; i++) {
		sum += p[i] == c;
		// A byte at a time, whatever the compiler could do.
		__asm__ volatile("" : : : "memory");
	}
	return sum;
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int
main(void)
{
	enum { SIZE = 1 << 24 };
	unsigned char *p = malloc(SIZE);
	bool avx2 = __builtin_cpu_supports("avx2");
	for (uint32_t i = 0, x = 1; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = x >> 24 & 15;
	}
	for (int64_t n = 0; n < 20000; n = n < 200 ? n + 1 : n * 3 / 2) {
		for (int off = 0; off < 33; off++) {
			go_slice s = {p + off, n, n};
			int64_t want = plain(p + off, n, 7);
			if (count(s, 7) != want || (avx2 && countAVX2(s, 7) != want)) {
				printf("wrong for %ld bytes at %d\n", (long)n, off);
				return 1;
			}
		}
	}
	go_slice all = {p, SIZE, SIZE};
	double t0 = now();
	int64_t a = plain(p, SIZE, 7);
	double t1 = now();
	int64_t b = count(all, 7);
	double t2 = now();
	int64_t c = avx2 ? countAVX2(all, 7) : b;
	double t3 = now();
	printf("%ld sevens in 16 MB: a byte at a time %.1f ms, SSE2 %.1f ms, AVX2 %.1f ms\n",
	    (long)a, (t1 - t0) * 1e3, (t2 - t1) * 1e3, (t3 - t2) * 1e3);
	free(p);
	return a != b || a != c;
}
