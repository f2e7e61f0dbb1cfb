// SPDX-License-Identifier: BSD-3-Clause
// select.c: questions to several servers at once, and no longer wait than one has patience for.
//
//     $ rt0 run examples/select.c
//     ...
//     3 answers, 1 too late
//
// select waits for whichever comes first: an answer, or the tick that says that we still wait. The deadline ends
// it. Who answers later finds nobody: quit, once closed, is always ready.

#include <stdio.h>

#include "rt0.h"

struct server {
	rt0_chan *answers, *quit; // of int; of nothing
	int number;
	int64_t slowness; // ns
};

static void
serve(void *arg)
{
	struct server *s = arg;

	rt0_sleep(s->slowness);
	RT0_SELECT(RT0_SEND(s->answers, &s->number), RT0_RECV(s->quit, NULL));
}

int
main(void)
{
	enum { ANSWER, TICK };
	rt0_chan *answers = rt0_chan_make(sizeof(int), 0), *quit = rt0_chan_make(0, 0);
	rt0_timer *tick = rt0_ticker_new(100 * RT0_MILLISECOND);
	int64_t deadline = rt0_deadline(RT0_SECOND);
	static struct server s[4];
	int n, got = 0;

	for (int i = 0; i < 4; i++) {
		s[i] = (struct server){answers, quit, i, i == 3 ? RT0_HOUR : i * 150 * RT0_MILLISECOND};
		rt0_go(serve, &s[i]);
	}
	for (;;) {
		switch (RT0_SELECT_UNTIL(deadline, [ANSWER] = RT0_RECV(answers, &n), [TICK] = RT0_RECV(tick->c, NULL))) {
		case ANSWER:
			printf("server %d answers\n", n);
			got++;
			continue;
		case TICK:
			printf("still waiting\n");
			continue;
		default:
			break;
		}
		break;
	}
	rt0_timer_free(tick);
	rt0_chan_close(quit);
	printf("%d answers, %d too late\n", got, 4 - got);
	return 0;
}
