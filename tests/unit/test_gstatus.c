// SPDX-License-Identifier: BSD-3-Clause
// test_gstatus.c: the states of goroutines and the scan bit.
#include <pthread.h>
#include <unistd.h>

#include "apiutil.h"
#include "../../src/runtime.h"

static struct g *parked;

static void
remember(struct g *gp, void *arg)
{
	if (gp->goid != *(uint64_t *)arg)
		parked = gp;
}

static void
wait_on(void *c)
{
	rt0_chan_recv(c, NULL);
}

static void *
scan(void *arg)
{
	// The bit holds a ready back until the scanner is done.
	usleep(20000);
	CHECK_EQ(atomic_loadacq(&parked->atomicstatus), Gwaiting | Gscan);
	atomic_storerel((int *)arg, 1);
	runtime_casfrom_Gscanstatus(parked, Gwaiting | Gscan, Gwaiting);
	return NULL;
}

TEST(gstatus_scan_bit_holds_back_who_readies)
{
	rt0_gomaxprocs(1);
	rt0_chan *c = rt0_chan_make(0, 0);
	rt0_go(wait_on, c);
	rt0_gosched();
	uint64_t me = getg()->goid;
	runtime_foreachg(remember, &me);
	CHECK(parked != NULL);
	// One yield is not enough when the slice has just ended: the yielder may be the next itself.
	while (runtime_readgstatus(parked) != Gwaiting)
		rt0_gosched();
	runtime_stopTheWorld();
	sched.gscan = 1;
	runtime_startTheWorld();
	CHECK(!runtime_castogscanstatus(parked, Grunnable, Grunnable | Gscan));
	CHECK(runtime_castogscanstatus(parked, Gwaiting, Gwaiting | Gscan));
	int released = 0;
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, scan, &released), 0);
	rt0_chan_send(c, NULL); // waits in casgstatus
	CHECK_EQ(atomic_loadacq(&released), 1);
	rt0_gosched();
	CHECK_EQ(runtime_readgstatus(parked), Gdead);
	RT0_BLOCKING(pthread_join(t, NULL));
	runtime_stopTheWorld();
	sched.gscan = 0;
	runtime_startTheWorld();
	rt0_chan_free(c);
}
