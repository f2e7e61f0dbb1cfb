// SPDX-License-Identifier: BSD-3-Clause
// test_rwmutex.c: readers and writers. Misuse: tests/prog/sync_misuse.c.

#include <pthread.h>

#include "apiutil.h"

struct shared {
	rt0_rwmutex rw;
	rt0_waitgroup wg;
	int readers, writers, iterations; // readers and writers: inside now
	int in, out, flag;
	int order[8], n;
};

// ---- readers share ----

static void
reader_meets(void *arg)
{
	struct shared *s = arg;
	rt0_rwmutex_rlock(&s->rw);
	inc(&s->in);
	await(&s->flag, 1); // until all are inside at one time
	rt0_rwmutex_runlock(&s->rw);
	rt0_waitgroup_done(&s->wg);
}

TEST(rwmutex_readers_are_inside_together)
{
	static const int readers[] = {1, 3, 4, 60};
	for (int procs = 1; procs <= 4; procs++) {
		rt0_gomaxprocs(procs);
		for (int k = 0; k < 4; k++) {
			struct shared s = {0};
			rt0_waitgroup_add(&s.wg, readers[k]);
			for (int i = 0; i < readers[k]; i++)
				rt0_go(reader_meets, &s);
			await(&s.in, readers[k]);
			CHECK(!rt0_rwmutex_trylock(&s.rw));
			set(&s.flag, 1);
			rt0_waitgroup_wait(&s.wg);
			CHECK(rt0_rwmutex_trylock(&s.rw));
		}
	}
}

// ---- readers and writers, hammered ----

static void
check_inside(struct shared *s, int readers, int writers)
{
	CHECK(get(&s->writers) == writers);
	CHECK(writers == 0 || get(&s->readers) == readers);
}

static void
hammer_reader(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < s->iterations; i++) {
		if (i % 5 == 0) {
			while (!rt0_rwmutex_tryrlock(&s->rw))
				rt0_gosched();
		} else {
			rt0_rwmutex_rlock(&s->rw);
		}
		inc(&s->readers);
		check_inside(s, 0, 0);
		if (i % 16 == 0)
			rt0_gosched();
		dec(&s->readers);
		rt0_rwmutex_runlock(&s->rw);
	}
	rt0_waitgroup_done(&s->wg);
}

static void
hammer_writer(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < s->iterations; i++) {
		if (i % 5 == 0) {
			while (!rt0_rwmutex_trylock(&s->rw))
				rt0_gosched();
		} else {
			rt0_rwmutex_lock(&s->rw);
		}
		inc(&s->writers);
		check_inside(s, 0, 1);
		if (i % 16 == 0)
			rt0_gosched();
		dec(&s->writers);
		rt0_rwmutex_unlock(&s->rw);
	}
	rt0_waitgroup_done(&s->wg);
}

static void
hammer(int procs, int readers, int iterations)
{
	struct shared s = {.iterations = iterations};
	rt0_gomaxprocs(procs);
	rt0_waitgroup_add(&s.wg, readers + 2);
	rt0_go(hammer_writer, &s);
	int i = 0;
	for (; i < readers / 2; i++)
		rt0_go(hammer_reader, &s);
	rt0_go(hammer_writer, &s);
	for (; i < readers; i++)
		rt0_go(hammer_reader, &s);
	rt0_waitgroup_wait(&s.wg);
	CHECK(s.rw.readercount == 0 && s.rw.readerwait == 0 && s.rw.w.state == 0);
	CHECK(s.rw.readersem == 0 && s.rw.writersem == 0);
}

TEST_T(rwmutex_keeps_writers_alone, 60000)
{
	int n = SANITIZED ? 200 : 1000;
	static const int procs[] = {1, 2, 3, 4, 8}, readers[] = {1, 3, 5, 10, 100};
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 5; k++)
			hammer(procs[i], readers[k], readers[k] == 100 ? n / 10 : n);
}

// ---- who waits for whom ----

TEST(rwmutex_try_tells)
{
	rt0_rwmutex rw = {0};
	CHECK(rt0_rwmutex_tryrlock(&rw));
	CHECK(rt0_rwmutex_tryrlock(&rw));
	CHECK(!rt0_rwmutex_trylock(&rw));
	rt0_rwmutex_runlock(&rw);
	CHECK(!rt0_rwmutex_trylock(&rw));
	rt0_rwmutex_runlock(&rw);
	CHECK(rt0_rwmutex_trylock(&rw));
	CHECK(!rt0_rwmutex_tryrlock(&rw));
	CHECK(!rt0_rwmutex_trylock(&rw));
	rt0_rwmutex_unlock(&rw);
	CHECK(rt0_rwmutex_tryrlock(&rw));
	rt0_rwmutex_runlock(&rw);
}

static void
writer_notes(void *arg)
{
	struct shared *s = arg;
	rt0_rwmutex_lock(&s->rw);
	s->order[s->n++] = 'w';
	set(&s->out, get(&s->out) + 1);
	rt0_rwmutex_unlock(&s->rw);
}

static void
reader_notes(void *arg)
{
	struct shared *s = arg;
	inc(&s->in);
	rt0_rwmutex_rlock(&s->rw);
	s->order[__atomic_fetch_add(&s->n, 1, __ATOMIC_SEQ_CST)] = 'r';
	inc(&s->out);
	rt0_rwmutex_runlock(&s->rw);
}

// A waiting writer keeps readers out; when it has finished, they go before the next writer.
TEST(rwmutex_writers_and_readers_take_turns)
{
	rt0_gomaxprocs(2);
	struct shared s = {0};
	rt0_rwmutex_rlock(&s.rw);
	rt0_go(writer_notes, &s);
	while (rt0_rwmutex_tryrlock(&s.rw)) { // until the writer waits
		rt0_rwmutex_runlock(&s.rw);
		rt0_gosched();
	}
	for (int i = 0; i < 3; i++)
		rt0_go(reader_notes, &s);
	await(&s.in, 3);
	while (__atomic_load_n(&s.rw.readercount, __ATOMIC_SEQ_CST) != 4 - (1 << 30))
		rt0_gosched(); // until all three wait
	rt0_go(writer_notes, &s);
	yield(50);
	CHECK_EQ(get(&s.out), 0);
	rt0_rwmutex_runlock(&s.rw);
	await(&s.out, 5);
	CHECK_EQ(s.order[0], 'w');
	CHECK_EQ(s.order[4], 'w');
}

// ---- foreign threads ----

static void *
foreign_hammer(void *arg)
{
	struct shared *s = arg;
	for (int i = 0; i < s->iterations; i++) {
		rt0_rwmutex_lock(&s->rw);
		s->n++;
		rt0_rwmutex_unlock(&s->rw);
		rt0_rwmutex_rlock(&s->rw);
		inc(&s->in);
		rt0_rwmutex_runlock(&s->rw);
		if (rt0_rwmutex_tryrlock(&s->rw))
			rt0_rwmutex_runlock(&s->rw);
		if (rt0_rwmutex_trylock(&s->rw))
			rt0_rwmutex_unlock(&s->rw);
	}
	return NULL;
}

static void
foreign_partner(void *arg)
{
	foreign_hammer(arg);
	rt0_waitgroup_done(&((struct shared *)arg)->wg);
}

TEST_T(rwmutex_foreign_threads, 30000)
{
	rt0_gomaxprocs(2);
	struct shared s = {.iterations = 300};
	pthread_t t[4];
	rt0_waitgroup_add(&s.wg, 4);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pthread_create(&t[i], NULL, foreign_hammer, &s), 0);
		rt0_go(foreign_partner, &s);
	}
	rt0_waitgroup_wait(&s.wg);
	for (int i = 0; i < 4; i++)
		RT0_BLOCKING(pthread_join(t[i], NULL));
	CHECK_EQ(s.n, 8 * 300);
	CHECK_EQ(s.in, 8 * 300);
}
