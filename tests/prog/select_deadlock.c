// SPDX-License-Identifier: BSD-3-Clause
// select_deadlock.c: selects that nobody can end: a deadlock, once the last deadline has passed.

#include "rt0.h"

static void
nil_cases(void *none)
{
	RT0_SELECT(RT0_RECV((rt0_chan *)none, NULL), RT0_SEND((rt0_chan *)none, NULL));
	rt0_printf("no\n");
}

static void
two(void *arg)
{
	rt0_chan **c = arg;
	RT0_SELECT(RT0_RECV(c[0], NULL), RT0_SEND(c[1], "x"));
	rt0_printf("no\n");
}

static void
one(void *c)
{
	RT0_SELECT(RT0_RECV((rt0_chan *)c, NULL));
	rt0_printf("no\n");
}

static void
late(void *c)
{
	rt0_printf("%d\n", rt0_chan_recv_until(c, NULL, rt0_deadline(20 * RT0_MILLISECOND)));
}

int
main(void)
{
	rt0_chan *c[2] = {rt0_chan_make(1, 0), rt0_chan_make(1, 0)};
	rt0_go(nil_cases, NULL);
	rt0_go(two, c);
	rt0_go(two, c);
	rt0_go(one, rt0_chan_make(1, 0));
	rt0_go(late, c[0]);
	rt0_select(NULL, 0, RT0_NEVER); // here
	rt0_printf("no\n");
	return 0;
}
