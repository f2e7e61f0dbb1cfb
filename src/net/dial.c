// SPDX-License-Identifier: BSD-3-Clause
// dial.c: dial and listen by name; the race of a name's addresses (RFC 8305, happy eyeballs).
//
// The addresses are tried in the resolver's order, but the families in turn, the first one's first. The next attempt
// begins when one has failed, or STAGGER_MS after the last has begun. The first that succeeds wins; the others are told
// to end, and are waited for: they do so at once. So when dial returns, nothing of it is left. If all fail, the
// first error is the result.
#include "lookup.h"
#include "sockaddr.h"

enum { STAGGER_MS = 250 };

struct race;
struct attempt {
	struct race *race;
	const rt0_addr *addr;
	struct dialing dialing;
	rt0_fd *fd;
	int err;
};
struct race {
	int64_t deadline;
	rt0_chan *done; // of struct attempt *, with room for all
	struct attempt attempt[MAXADDRS];
};

// dialorder makes the order of n addresses: those of the first one's family and the others in turn, as long as there are
// both.
void
runtime_dialorder(const rt0_addr *addrs, int n, int *order)
{
	int next[2] = {0, 0}, k = 0;
	for (int other = 0; k < n; other = !other) {
		int i = next[other];
		while (i < n && (addrs[i].sa.family != addrs[0].sa.family) != other)
			i++;
		next[other] = i + 1;
		if (i < n)
			order[k++] = i;
	}
}

static void
attempt(void *arg)
{
	struct attempt *a = arg;
	a->err = runtime_dialaddr(a->addr, 0, a->race->deadline, &a->dialing, &a->fd);
	rt0_chan_send(a->race->done, &a);
}

int
runtime_dialaddrs(const rt0_addr *addrs, int n, int64_t deadline, rt0_context *ctx, rt0_fd **out)
{
	if (n == 1 && ctx == NULL)
		return runtime_dialaddr(&addrs[0], 0, deadline, NULL, out);
	int order[MAXADDRS], started = 0, ended = 0, err = 0;
	struct race *race = rt0_alloc(sizeof *race, 0);
	rt0_fd *won = NULL;
	n = n < MAXADDRS ? n : MAXADDRS;
	runtime_dialorder(addrs, n, order);
	race->deadline = deadline;
	race->done = rt0_chan_make(sizeof(struct attempt *), (size_t)n);
	int64_t next = 0; // when the next attempt is to begin
	struct attempt *a = NULL;
	rt0_case cases[2] = {
	    {.chan = race->done, .elem = &a, .dir = RT0_CASE_RECV},
	    {.chan = ctx != NULL ? rt0_context_done(ctx) : NULL, .dir = RT0_CASE_RECV},
	};
	bool over = false;
	while (!over || ended < started) {
		int64_t now = runtime_nanotime();
		if (!over && started < n && (now >= next || ended == started)) {
			a = &race->attempt[started];
			*a = (struct attempt){.race = race, .addr = &addrs[order[started]]};
			started++;
			next = now + STAGGER_MS * MS;
			runtime_newproc(attempt, a, (uintptr_t)rt0_dial);
		}
		int64_t until = over ? INT64_MAX : started < n && next < deadline ? next : deadline;
		int which = rt0_select(cases, over ? 1 : 2, until);
		if (which == 0) {
			ended++;
			if (a->err == 0 && won == NULL && !over)
				won = a->fd;
			else if (a->err == 0)
				rt0_fd_close(a->fd);
			else if (err == 0 && !over)
				err = a->err;
			if (a->err < 0)
				next = 0;
		} else if (which == 1) {
			err = rt0_context_err(ctx);
		} else if (runtime_nanotime() >= deadline) {
			err = -ETIMEDOUT;
		} else {
			continue;
		}
		if (!over && (won != NULL || which != 0 || ended == n)) {
			over = true;
			for (int i = 0; i < started; i++)
				runtime_dialcancel(&race->attempt[i].dialing);
		}
	}
	rt0_chan_free(race->done);
	rt0_free(race);
	if (won == NULL)
		return err;
	*out = won;
	return 0;
}

static int
dial(const char *text, int64_t deadline, rt0_context *ctx, rt0_fd **out)
{
	rt0_addr one, *addrs = &one;
	int n = 1;
	int err = ctx != NULL ? rt0_context_err(ctx) : 0;
	if (err < 0)
		return err;
	if (rt0_addr_parse(text, &one, NULL) < 0) {
		addrs = rt0_alloc(MAXADDRS * sizeof *addrs, RT0_NOSCAN);
		n = runtime_addrsof(text, deadline, ctx, addrs, MAXADDRS);
	}
	err = n < 0 ? n : runtime_dialaddrs(addrs, n, deadline, ctx, out);
	if (addrs != &one)
		rt0_free(addrs);
	return err;
}

static int
listen(const char *text, int flags, rt0_fd **out)
{
	rt0_addr addrs[MAXADDRS];
	int n = runtime_addrsof(text, INT64_MAX, NULL, addrs, MAXADDRS);
	if (n < 0)
		return n;
	// One that the flags do not exclude; IPv4 first, if there are both, as peers that have no IPv6 must reach it.
	int best = 0;
	for (int i = n - 1; n > 1 && i >= 0; i--)
		if (addrs[i].sa.family == (flags & RT0_V6ONLY ? AF_INET6 : AF_INET))
			best = i;
	return rt0_listen_addr(&addrs[best], flags, out);
}

enum { OPDIAL, OPLISTEN };

static void
dialcall_g(void *arg)
{
	struct fdcall *c = arg;
	uintptr_t *a = c->a;
	if (c->op == OPDIAL)
		c->r = dial((const char *)a[0], (int64_t)a[1], (rt0_context *)a[2], (rt0_fd **)a[3]);
	else
		c->r = listen((const char *)a[0], (int)a[1], (rt0_fd **)a[2]);
}

static int
dialanywhere(const char *text, int64_t deadline, rt0_context *ctx, rt0_fd **out)
{
	FOREIGN(dialcall_g, OPDIAL, (uintptr_t)text, (uintptr_t)deadline, (uintptr_t)ctx, (uintptr_t)out);
	return dial(text, deadline, ctx, out);
}

int
rt0_dial(const char *text, int64_t deadline, rt0_fd **out)
{
	return dialanywhere(text, deadline, NULL, out);
}

int
rt0_dial_ctx(const char *text, rt0_context *ctx, rt0_fd **out)
{
	return dialanywhere(text, INT64_MAX, ctx, out);
}

int
rt0_listen(const char *text, int flags, rt0_fd **out)
{
	FOREIGN(dialcall_g, OPLISTEN, (uintptr_t)text, (uintptr_t)flags, (uintptr_t)out);
	return listen(text, flags, out);
}
