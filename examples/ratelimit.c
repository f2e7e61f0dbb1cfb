// SPDX-License-Identifier: BSD-3-Clause
// ratelimit.c: a rate limiter made of a ticker and a channel.
//
//     $ rt0 run examples/ratelimit.c -r 100 -b 10 -n 110 -w 8
//     110 requests by 8 workers: 110 served, 0 turned away, 1.00 s
//     $ rt0 run examples/ratelimit.c -r 50 -n 100 -w 20 -t 100
//     100 requests by 20 workers: 34 served, 66 turned away, 0.50 s
//
// The channel is the bucket: it holds as many tokens as may be used at one time (-b, the burst). A goroutine
// puts new ones in at the ticker's pace (-r, a second), and throws away what does not fit. Who wants to do
// something takes one, and waits for it if there is none; with -t not longer than so many ms.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt0.h"

struct limiter {
	rt0_chan *tokens; // of char
	rt0_timer *ticker;
	double rate; // tokens a second
	rt0_context *ctx;
	rt0_waitgroup filler;
};

static void
fill(void *arg)
{
	struct limiter *l = arg;
	int64_t last = rt0_nanotime(), now;
	double due = 0;
	char token = 0;
	while (RT0_SELECT(RT0_RECV(l->ticker->c, &now), RT0_RECV(rt0_context_done(l->ctx), NULL)) == 0) {
		// By the clock, not by the ticks: those that come late are missed, and there are no ticks of 10 us.
		due += (double)(now - last) * l->rate / 1e9;
		last = now;
		for (; due >= 1; due--)
			if (rt0_chan_try_send(l->tokens, &token) < 0)
				due = 1; // the bucket is full
	}
}

static void
limiter_start(struct limiter *l, rt0_context *ctx, int rate, int burst)
{
	char token = 0;
	int64_t period = RT0_SECOND / rate;
	l->rate = rate;
	l->ctx = ctx;
	l->tokens = rt0_chan_make(sizeof token, (size_t)burst);
	while (rt0_chan_try_send(l->tokens, &token) == 0)
		;
	l->ticker = rt0_ticker_new(period > RT0_MILLISECOND ? period : RT0_MILLISECOND);
	rt0_waitgroup_go(&l->filler, fill, l);
}

// limiter_wait waits for a token, until the deadline; false: there was none.
static bool
limiter_wait(struct limiter *l, int64_t deadline)
{
	return rt0_chan_recv_until(l->tokens, NULL, deadline) == 0;
}

static void
limiter_stop(struct limiter *l)
{
	rt0_context_cancel(l->ctx);
	rt0_waitgroup_wait(&l->filler);
	rt0_timer_free(l->ticker);
	rt0_chan_free(l->tokens);
}

// ---- what is limited ----

static struct limiter limiter;
static rt0_chan *requests; // of int
static rt0_waitgroup workers;
static int served, turnedaway, patience = -1; // patience: ms; < 0: without end

static void
worker(void *arg)
{
	int request;
	(void)arg;
	RT0_RANGE(requests, request) {
		int64_t deadline = patience < 0 ? RT0_NEVER : rt0_deadline(patience * RT0_MILLISECOND);
		__atomic_add_fetch(limiter_wait(&limiter, deadline) ? &served : &turnedaway, 1, __ATOMIC_RELAXED);
	}
}

static int
number(const char *option, const char *s, int min)
{
	char *end;
	long v = s != NULL ? strtol(s, &end, 10) : 0;
	if (s == NULL || end == s || *end != 0 || v < min || v > 1000000) {
		fprintf(stderr, "ratelimit: %s wants a number from %d to 1000000, not %s\n", option, min, s != NULL ? s : "nothing");
		exit(2);
	}
	return (int)v;
}

int
main(int argc, char **argv)
{
	int rate = 100, burst = 10, n = 110, nworkers = 8;
	for (int i = 1; i < argc; i += 2) {
		const char *o = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(o, "-r") == 0)
			rate = number(o, v, 1);
		else if (strcmp(o, "-b") == 0)
			burst = number(o, v, 1);
		else if (strcmp(o, "-n") == 0)
			n = number(o, v, 0);
		else if (strcmp(o, "-w") == 0)
			nworkers = number(o, v, 1);
		else if (strcmp(o, "-t") == 0)
			patience = number(o, v, 0);
		else {
			fprintf(stderr, "usage: ratelimit [-r RATE] [-b BURST] [-n REQUESTS] [-w WORKERS] [-t PATIENCE_MS]\n");
			return 2;
		}
	}
	rt0_context *ctx = rt0_context_with_cancel(rt0_context_background());
	requests = rt0_chan_make(sizeof(int), 0);
	int64_t t0 = rt0_nanotime();
	limiter_start(&limiter, ctx, rate, burst);
	for (int i = 0; i < nworkers; i++)
		rt0_waitgroup_go(&workers, worker, NULL);
	for (int i = 0; i < n; i++)
		rt0_chan_send(requests, &i);
	rt0_chan_close(requests);
	rt0_waitgroup_wait(&workers);
	double seconds = (double)(rt0_nanotime() - t0) / 1e9;
	limiter_stop(&limiter);
	rt0_context_release(ctx);
	printf("%d requests by %d workers: %d served, %d turned away, %.2f s\n", n, nworkers, served, turnedaway, seconds);
	return 0;
}
