// SPDX-License-Identifier: BSD-3-Clause
// recover.c: a server of requests, of which some are broken. Each fails alone.
//
//	rt0 run examples/recover.c
//
// handle runs one request. Whatever goes wrong below it, a null pointer too, comes out as a panic;
// the deferred failed stops it, and handle returns false to its caller.
#include <stdio.h>
#include <string.h>

#include <rt0.h>

struct request {
	const char *text;
	char answer[100];
};

static rt0_mutex mu;
static int served;

static void
failed(void *arg)
{
	struct request *r = arg;
	rt0_value v;
	if (!rt0_recover(&v))
		return;
	int n = snprintf(r->answer, sizeof r->answer, "failed: ");
	rt0_value_text(&v, r->answer + n, sizeof r->answer - (size_t)n);
}

static int
digit(const char *s, size_t i)
{
	char c = s[RT0_INDEX(i, strlen(s))];
	if (c < '0' || c > '9')
		RT0_PANIC(rt0_value_error("not a digit", c));
	return c - '0';
}

static bool
handle(struct request *r)
{
	RT0_DEFER(failed, r);
	rt0_mutex_lock(&mu);
	RT0_DEFER(rt0_mutex_unlock, &mu);
	served++;
	if (r->text[0] == '?')
		r = NULL; // a bug
	snprintf(r->answer, sizeof r->answer, "%d", digit(r->text, 0) / digit(r->text, 1));
	return RT0_RESULT(true);
}

int
main(void)
{
	struct request r[] = {{"82", ""}, {"70", ""}, {"?", ""}, {"5", ""}, {"x1", ""}, {"91", ""}};
	for (size_t i = 0; i < sizeof r / sizeof r[0]; i++) {
		bool ok = handle(&r[i]);
		printf("%-3s %-4s %s\n", r[i].text, ok ? "ok" : "no", r[i].answer);
	}
	printf("%d served, the mutex is %s\n", served, rt0_mutex_trylock(&mu) ? "free" : "locked");
	return 0;
}
