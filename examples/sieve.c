// SPDX-License-Identifier: BSD-3-Clause
// sieve.c: the concurrent prime sieve, one goroutine a prime, chained by unbuffered channels.
//
//     $ rt0 run examples/sieve.c 10
//     2 3 5 7 11 13 17 19 23 29
//
// generate -> filter 2 -> filter 3 -> filter 5 -> ... -> main. What comes out at the end of the
// chain is divisible by no prime in it, so it is the next prime and gets a filter of its own.

#include <stdio.h>
#include <stdlib.h>

#include "rt0.h"

struct filter {
	rt0_chan *in, *out; // of int
	int prime;
};

static void
generate(void *out)
{
	for (int i = 2;; i++)
		rt0_chan_send(out, &i);
}

static void
filter(void *arg)
{
	struct filter f = *(struct filter *)arg;
	rt0_free(arg);
	int i;
	RT0_RANGE (f.in, i) {
		if (i % f.prime != 0)
			rt0_chan_send(f.out, &i);
	}
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 100;
	if (n < 1) {
		fprintf(stderr, "usage: sieve [how many primes]\n");
		return 2;
	}
	rt0_chan *end = rt0_chan_make(sizeof(int), 0);
	rt0_go(generate, end);
	for (int i = 0; i < n; i++) {
		int prime;
		rt0_chan_recv(end, &prime);
		printf("%d%c", prime, i + 1 < n ? ' ' : '\n');
		struct filter *f = rt0_alloc(sizeof *f, 0);
		*f = (struct filter){end, rt0_chan_make(sizeof(int), 0), prime};
		end = f->out;
		rt0_go(filter, f);
	}
	// The chain still runs. The return of main ends it, as in Go.
	return 0;
}
