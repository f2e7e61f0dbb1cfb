// SPDX-License-Identifier: BSD-3-Clause
// test_select_random.c: random programs of sends, receives, selects and closes, checked against what any
// execution of them may do.
//
// The same seed gives the same program. It runs until nothing moves any more: each goroutine has ended or waits for
// ever. Then, from what each has noted:
//   - what was received was sent, and only once; what was sent and not received is in the buffer, which is not
//     larger than its capacity;
//   - in each channel the elements of one sender have stayed in their order;
//   - "closed" was told of closed channels that were empty, and only sends on closed channels panicked;
//   - who gave up at a deadline did so after it, with nothing done;
//   - who waits, waits rightly: no channel in its select is closed, has room or elements, or a partner that waits too.
// A failure prints the seed; RT0_TEST_SEED=N runs that one program, RT0_TEST_PROGRAMS=N so many.
#include <stdlib.h>

#include "../../src/runtime.h"
#include "apiutil.h"

enum { MAXG = 8, MAXC = 5, MAXOPS = 30, MAXCASES = 20 };
enum kind { PLAIN, SELECT, CLOSE, YIELD };
enum mode { BLOCK, TRY, UNTIL };

struct acase {
	int c; // channel, or -1
	bool send;
};

struct op {
	enum kind kind;
	enum mode mode;
	int n, us; // cases; of UNTIL: µs
	struct acase cs[MAXCASES];
};

// What came of an operation.
struct note_ {
	int c; // -1: nothing
	bool send, ok, panicked;
	uint64_t v;
};

struct gor {
	struct program *prog;
	int id, nops, nsent; // nsent: numbers the elements
	int at;              // atomic: the operation that it is in; nops: has ended
	int64_t deadline;    // of that
	struct op ops[MAXOPS];
	struct note_ notes[MAXOPS];
	rt0_case cs[MAXCASES];
	struct elem {
		uint64_t v, not_v, twice;
	} e[MAXCASES];
	int chosen;
};

struct program {
	uint64_t seed, rnd;
	int ng, nc, stop; // stop, atomic: end after this operation
	rt0_chan *c[MAXC];
	size_t cap[MAXC], size[MAXC];
	bool closed[MAXC]; // read when all is quiet
	unsigned char sent[MAXC][MAXG][MAXOPS * MAXCASES + 1]; // 1 sent, 2 received too
	uint32_t newest[MAXC][MAXG]; // received, by sender
	struct gor g[MAXG];
};

#define FAIL(p, ...)                                                                              \
	do {                                                                                      \
		dprintf(2, "seed %llu: ", (unsigned long long)(p)->seed);                         \
		test_fail(__VA_ARGS__);                                                           \
	} while (0)

// ---- the program of a seed ----

static uint32_t
below(struct program *p, uint32_t n)
{
	p->rnd = p->rnd * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((p->rnd >> 32) * n >> 32);
}

static struct program *
generate(uint64_t seed)
{
	struct program *p = calloc(1, sizeof *p);
	bool willclose[MAXC] = {false};
	p->seed = seed;
	p->rnd = seed * 0x9e3779b97f4a7c15ull + 1;
	p->ng = 2 + (int)below(p, MAXG - 1);
	p->nc = 1 + (int)below(p, MAXC);
	bool deadlines = below(p, 3) == 0;
	for (int i = 0; i < p->nc; i++) {
		p->cap[i] = below(p, 2) ? 0 : below(p, 4);
		p->size[i] = below(p, 4) ? 8 : sizeof(struct elem);
	}
	for (int i = 0; i < p->ng; i++) {
		struct gor *g = &p->g[i];
		g->prog = p;
		g->id = i;
		g->nops = 1 + (int)below(p, MAXOPS);
		uint32_t sends = 1 + below(p, 9); // of ten: some mostly send, some mostly receive
		for (int k = 0; k < g->nops; k++) {
			struct op *o = &g->ops[k];
			uint32_t r = below(p, 100);
			o->kind = r < 35 ? PLAIN : r < 92 ? SELECT : r < 94 ? CLOSE : YIELD;
			if (o->kind == CLOSE) {
				o->cs[0].c = (int)below(p, (uint32_t)p->nc);
				if (willclose[o->cs[0].c] || below(p, 2))
					o->kind = YIELD;
				else
					willclose[o->cs[0].c] = true;
			}
			r = below(p, 10);
			o->mode = r < 6 ? BLOCK : r < 8 || !deadlines ? TRY : UNTIL;
			o->us = (int)below(p, 60);
			o->n = o->kind == PLAIN ? 1 : o->kind == SELECT ? 1 + (int)below(p, 4) : 0;
			if (o->kind == SELECT && below(p, 15) == 0)
				o->n = 1 + (int)below(p, MAXCASES);
			for (int j = 0; j < o->n; j++) {
				bool none = o->n > 1 && below(p, 10) == 0;
				o->cs[j] = (struct acase){none ? -1 : (int)below(p, (uint32_t)p->nc), below(p, 10) < sends};
			}
		}
	}
	return p;
}

// ---- running it ----

static struct elem
element(uint64_t v)
{
	return (struct elem){v, ~v, 2 * v};
}

// make makes the operation; it may panic.
static void
make(void *arg)
{
	struct gor *g = arg;
	struct program *p = g->prog;
	struct op *o = &g->ops[g->at];
	struct note_ *n = &g->notes[g->at];
	bool ok = true;
	g->chosen = -1;
	g->deadline = o->mode == BLOCK ? RT0_NEVER : o->mode == TRY ? 0 : rt0_nanotime() + o->us * 1000;
	for (int j = 0; j < o->n; j++) {
		int c = o->cs[j].c;
		g->e[j] = o->cs[j].send ? element((uint64_t)(g->id + 1) << 32 | (uint32_t)++g->nsent) : element(77);
		g->cs[j] = (rt0_case){c < 0 ? NULL : p->c[c], &g->e[j], &ok, c < 0 ? 0 : (uint32_t)p->size[c],
		    o->cs[j].send ? RT0_CASE_SEND : RT0_CASE_RECV};
	}
	if (o->kind == SELECT) {
		g->chosen = rt0_select(g->cs, (size_t)o->n, g->deadline);
	} else {
		rt0_chan *c = g->cs[0].chan;
		int err;
		if (o->cs[0].send)
			err = o->mode == TRY ? rt0_chan_try_send(c, &g->e[0]) : rt0_chan_send_until(c, &g->e[0], g->deadline);
		else
			err = o->mode == TRY ? rt0_chan_try_recv(c, &g->e[0]) : rt0_chan_recv_until(c, &g->e[0], g->deadline);
		ok = err == 0;
		g->chosen = err == 0 || err == -EPIPE ? 0 : err == -EAGAIN || err == -ETIMEDOUT ? -ETIMEDOUT : -1;
	}
	if (g->chosen == -ETIMEDOUT) {
		if (rt0_nanotime() < g->deadline)
			FAIL(p, "goroutine %d gave up before its deadline\n", g->id);
	} else if (g->chosen < 0 || g->chosen >= o->n || o->cs[g->chosen].c < 0) {
		FAIL(p, "goroutine %d: select returned %d of %d\n", g->id, g->chosen, o->n);
	}
	for (int j = 0; j < o->n; j++) {
		if (o->cs[j].send || j == g->chosen)
			continue;
		if (g->e[j].v != 77 || g->e[j].not_v != ~77ull || g->e[j].twice != 154)
			FAIL(p, "goroutine %d: a case that was not made has received\n", g->id);
	}
	if (g->chosen < 0)
		return;
	struct acase *cs = &o->cs[g->chosen];
	struct elem *e = &g->e[g->chosen];
	if (p->size[cs->c] == 8) {
		if (!cs->send && (e->not_v != ~77ull || e->twice != 154))
			FAIL(p, "goroutine %d: received more than the element\n", g->id);
	} else if (ok ? e->not_v != ~e->v || e->twice != 2 * e->v : e->not_v != 0 || e->twice != 0) {
		FAIL(p, "goroutine %d: a torn element\n", g->id);
	}
	*n = (struct note_){cs->c, cs->send, ok, false, e->v};
	if (!cs->send && !ok && e->v != 0)
		FAIL(p, "goroutine %d: closed, and not zero\n", g->id);
}

static void
run_gor(void *arg)
{
	struct gor *g = arg;
	struct program *p = g->prog;
	for (int i = 0; i < g->nops && !get(&p->stop); i++) {
		struct op *o = &g->ops[i];
		g->notes[i].c = -1;
		set(&g->at, i);
		if (o->kind == YIELD) {
			rt0_gosched();
		} else if (o->kind == CLOSE) {
			p->closed[o->cs[0].c] = true; // nobody else closes it
			rt0_chan_close(p->c[o->cs[0].c]);
		} else if (!rt0_try(make, g, NULL)) {
			g->notes[i].panicked = true;
		}
	}
	set(&g->at, g->nops);
}

static void
countmoving(struct g *gp, void *n)
{
	uint32_t s = runtime_readgstatus(gp) & ~(uint32_t)Gscan;
	if (gp != getg() && !gp->issystem && s != Gwaiting && s != Gdead && s != Gidle)
		++*(int *)n;
}

// quiet waits until no goroutine runs or is about to, nor will when a deadline comes.
static void
quiet(struct program *p)
{
	for (;;) {
		int n = 0;
		yield(20);
		runtime_stopTheWorld();
		runtime_foreachg(countmoving, &n);
		for (int i = 0; i < p->ng; i++) {
			struct gor *g = &p->g[i];
			if (g->at < g->nops && g->ops[g->at].kind <= SELECT && g->ops[g->at].mode == UNTIL)
				n++;
		}
		runtime_startTheWorld();
		if (n == 0)
			return;
	}
}

// ---- checking ----

static int
sender(uint64_t v)
{
	return (int)(v >> 32) - 1;
}

// waits tells whether g waits in a case on channel c.
static bool
waits(struct gor *g, int c, bool send)
{
	struct op *o = &g->ops[g->at < g->nops ? g->at : 0];
	for (int j = 0; g->at < g->nops && j < o->n; j++)
		if (o->cs[j].c == c && o->cs[j].send == send)
			return true;
	return false;
}

static void
checkchan(struct program *p, int c)
{
	size_t nsent = 0, nreceived = 0, len = rt0_chan_len(p->c[c]);
	for (int i = 0; i < p->ng; i++) {
		struct gor *g = &p->g[i];
		for (int k = 0; k < g->at; k++) {
			struct note_ *n = &g->notes[k];
			if (n->c == c && n->send) {
				p->sent[c][i][(uint32_t)n->v] = 1;
				nsent++;
			}
			if (n->c == c && !n->ok && (!p->closed[c] || len != 0))
				FAIL(p, "channel %d: told closed\n", c);
		}
	}
	for (int i = 0; i < p->ng; i++) {
		struct gor *g = &p->g[i];
		uint32_t last[MAXG] = {0};
		for (int k = 0; k < g->at; k++) {
			struct note_ *n = &g->notes[k];
			if (n->c != c || n->send || !n->ok)
				continue;
			int s = sender(n->v);
			uint32_t seq = (uint32_t)n->v;
			nreceived++;
			if (s < 0 || s >= p->ng || p->sent[c][s][seq]++ != 1)
				FAIL(p, "channel %d: %d of %d received, not sent, or twice\n", c, seq, s);
			if (seq <= last[s])
				FAIL(p, "channel %d: %d of %d out of order\n", c, seq, s);
			last[s] = seq;
			if (seq > p->newest[c][s])
				p->newest[c][s] = seq;
		}
	}
	if (len > p->cap[c] || nsent != nreceived + len)
		FAIL(p, "channel %d: %zu sent, %zu received, %zu in the buffer of %zu\n", c, nsent, nreceived, len, p->cap[c]);
	for (int i = 0; i < p->ng; i++) {
		bool sends = waits(&p->g[i], c, true), receives = waits(&p->g[i], c, false);
		if ((sends || receives) && p->closed[c])
			FAIL(p, "goroutine %d waits on channel %d, which is closed\n", i, c);
		if ((sends && len < p->cap[c]) || (receives && len > 0))
			FAIL(p, "goroutine %d waits on channel %d with %zu of %zu elements\n", i, c, len, p->cap[c]);
		for (int k = 0; k < p->ng; k++)
			if (sends && k != i && waits(&p->g[k], c, false))
				FAIL(p, "goroutines %d and %d wait for each other on channel %d\n", i, k, c);
	}
}

// drain takes out what is in the buffer: newer than what was received, and in order. Who waits to send
// puts its element behind, so this is the last look at c.
static void
drain(struct program *p, int c)
{
	struct elem e;
	for (size_t n = p->closed[c] ? 0 : rt0_chan_len(p->c[c]); n > 0; n--) {
		int s;
		uint32_t seq;
		if (rt0_chan_try_recv(p->c[c], &e) != 0)
			FAIL(p, "channel %d: its elements cannot be received\n", c);
		s = sender(e.v);
		seq = (uint32_t)e.v;
		if (s < 0 || s >= p->ng || p->sent[c][s][seq]++ != 1 || seq <= p->newest[c][s])
			FAIL(p, "channel %d: %d of %d left in the buffer\n", c, seq, s);
		p->newest[c][s] = seq;
	}
}

static void
runprogram(uint64_t seed)
{
	struct program *p = generate(seed);
	for (int i = 0; i < p->nc; i++)
		p->c[i] = rt0_chan_make(p->size[i], p->cap[i]);
	for (int i = 0; i < p->ng; i++)
		rt0_go(run_gor, &p->g[i]);
	quiet(p);
	for (int i = 0; i < p->ng; i++) {
		struct gor *g = &p->g[i];
		for (int k = 0; k < g->at; k++) {
			struct op *o = &g->ops[k];
			bool may = false;
			for (int j = 0; j < o->n; j++)
				may |= o->cs[j].send && o->cs[j].c >= 0 && p->closed[o->cs[j].c];
			if (g->notes[k].panicked && !may)
				FAIL(p, "goroutine %d panicked at %d, and no channel was closed\n", i, k);
		}
	}
	for (int i = 0; i < p->nc; i++)
		checkchan(p, i);
	set(&p->stop, 1);
	for (int i = 0; i < p->nc; i++)
		drain(p, i);
	// Those that wait are woken, and end; who waits for nobody stays.
	for (int i = 0; i < p->nc; i++)
		if (!p->closed[i])
			rt0_chan_close(p->c[i]);
	bool all = true;
	for (int i = 0; i < p->ng; i++) {
		struct gor *g = &p->g[i];
		int at = get(&g->at);
		bool stays = at < g->nops && g->ops[at].n > 0 && g->ops[at].mode == BLOCK;
		for (int j = 0; stays && j < g->ops[at].n; j++)
			stays = g->ops[at].cs[j].c < 0;
		all &= !stays;
		while (!stays && get(&g->at) < g->nops)
			rt0_gosched();
	}
	if (!all)
		return;
	quiet(p); // out of their channels
	for (int i = 0; i < p->nc; i++)
		rt0_chan_free(p->c[i]);
	free(p);
}

TEST_T(select_random_programs, 60000)
{
	const char *one = getenv("RT0_TEST_SEED"), *many = getenv("RT0_TEST_PROGRAMS");
	if (one != NULL) {
		runprogram(strtoull(one, NULL, 0));
		return;
	}
	int n = many != NULL ? atoi(many) : SANITIZED ? 300 : 2000;
	// Another part of the seeds each time.
	uint64_t first = (uint64_t)rt0_walltime() / 1000 % 1000000000;
	for (int i = 0; i < n; i++)
		runprogram(first + (uint64_t)i);
}
