// SPDX-License-Identifier: BSD-3-Clause
// timer.c: timers: hierarchical timing wheels (Varghese and Lauck, SOSP 1987), one set a p.
//
// A wheel has 256 slots. A slot of level 0 is 65.5 µs wide (2^16 ns), one of level l 256 times as wide as
// one of level l-1; six levels hold every int64_t. A timer lies where its time and the wheel's (pos)
// first differ, counted in bytes of time >> 16 from the top: so all of level l lies before all of
// level l+1, and on one level later slots are later. To arm and to disarm is O(1) however many there
// are, and a timer is moved down at most five times (a second: once or twice).
//
// Times are honoured to the ns, not to the slot: each slot knows its earliest time, and the slot that
// pos is in is sorted when it is come to, fired up to now, and left for the rest.
//
//   ts->lock   guards all of a struct timers and the timers on it. Rank TIMERS.
//   ts->next   no timer on it is due before. Exact after checktimers; disarming may leave it too early
//              (who sleeps until then looks once in vain), never too late.
//   t->ts      the wheel that t is on. Cleared under its lock, and after fire has returned: who finds
//              it NULL finds fire done.
//
// Who runs them: a p its own, when its m looks for work and, while it has work, at some of its switches
// (looktimers); who steals, when nothing else is left; sysmon has the p of a goroutine that runs on
// preempted when a timer is due. The m that sleeps in netpoll sleeps until the earliest of all.
// Dekker for the last: who arms stores next, fences, then looks who polls and until when
// (wakenetpoller); who goes to sleep stores polluntil, fences, then looks at all next (findrunnable).
#include "../runtime.h"

enum { SLOTBITS = 8, NSLOTS = 1 << SLOTBITS, UNITBITS = 16, NLEVELS = (64 - UNITBITS) / SLOTBITS };
enum { NCALLS = 32, AHEAD = 4 }; // calls that are made per hold of the lock; timers asked for ahead
enum { NSORT = 128, JUMP = 4 };  // cells sorted as an array; how far ahead of each cell the one is that it knows

// A cell stands for an armed timer. The timer itself lies where its user has put it, mostly on a stack and alone on
// its page: with a million of them each look at one costs a miss in all caches. Cells lie together; the wheel
// moves and sorts cells, and looks at a timer when it is set, stopped and fired.
// The cells of one slot lie anywhere, and to walk them one by one is a miss each: a cell knows the one that was put into
// the slot JUMP places after it, and who comes to it asks for that. A hint: that one may be gone, and be some cell now.
struct cell {
	int64_t when;
	struct timer *t;
	uint32_t next, prev; // of its slot; free cells: next
	uint32_t ahead;
};

enum { CELLBITS = 10, NCELLS = 1 << CELLBITS, MAXCHUNKS = 1 << 16 }; // cell 0 is none

struct slot {
	uint32_t head, last;
	int64_t min;   // the earliest, or a time before
	bool unsorted; // perhaps
	uint8_t nput;  // cells put in, modulo 256
	uint32_t recent[JUMP]; // those put in last
};

struct sortkey {
	int64_t when;
	uint32_t cell;
};

struct timers {
	struct mutex lock;
	int32_t n;    // armed; lock writes, anybody reads
	int64_t next; // atomic; lock writes
	int64_t pos;  // every slot before the one of this time is empty
	uint32_t freecell, ncells; // cells that have been used once; those behind are fresh
	uint64_t used[NLEVELS][NSLOTS / 64]; // slots that are not empty
	struct slot slots[NLEVELS][NSLOTS];
	struct sortkey keys[2][NSORT]; // sortslot's
	struct cell *chunks[MAXCHUNKS];
};

// ---- one wheel; its lock is held ----

static inline struct cell *
cellof(struct timers *ts, uint32_t i)
{
	return &ts->chunks[i >> CELLBITS][i & (NCELLS - 1)];
}

static uint32_t
newcell(struct timers *ts)
{
	uint32_t i = ts->freecell;
	if (i != 0) {
		ts->freecell = cellof(ts, i)->next;
		__builtin_prefetch(cellof(ts, ts->freecell), 1); // the next one's, that lies anywhere
		return i;
	}
	i = ++ts->ncells;
	if (i >> CELLBITS == MAXCHUNKS)
		runtime_throw("too many timers");
	struct cell **chunk = &ts->chunks[i >> CELLBITS];
	if (*chunk == NULL)
		*chunk = runtime_persistentalloc(NCELLS * sizeof **chunk, 64, &memstats.other_sys);
	return i;
}

static void
freecell(struct timers *ts, uint32_t i)
{
	cellof(ts, i)->next = ts->freecell;
	ts->freecell = i;
}

static struct slot *
slotof(struct timers *ts, int64_t when, int *level, int *index)
{
	uint64_t unit = (uint64_t)(when > ts->pos ? when : ts->pos) >> UNITBITS, pos = (uint64_t)ts->pos >> UNITBITS;
	int l = unit == pos ? 0 : (63 - __builtin_clzll(unit ^ pos)) / SLOTBITS;
	*level = l;
	*index = (int)(unit >> (l * SLOTBITS)) & (NSLOTS - 1);
	return &ts->slots[l][*index];
}

static void
insert(struct timers *ts, uint32_t ci)
{
	int l, i;
	struct cell *c = cellof(ts, ci);
	struct slot *s = slotof(ts, c->when, &l, &i);
	c->next = 0;
	c->prev = s->last;
	if (s->head == 0) {
		s->head = ci;
		s->min = c->when;
		s->unsorted = false;
		for (int j = 0; j < JUMP; j++)
			s->recent[j] = ci;
		ts->used[l][i / 64] |= 1ull << (i % 64);
	} else {
		struct cell *last = cellof(ts, s->last);
		last->next = ci;
		if (c->when < last->when)
			s->unsorted = true;
		if (c->when < s->min)
			s->min = c->when;
		uint32_t *recent = &s->recent[s->nput++ % JUMP];
		cellof(ts, *recent)->ahead = ci;
		*recent = ci;
	}
	s->last = ci;
}

// fetchahead asks for the cell that a walk that has come to c will soon need.
static inline void
fetchahead(struct timers *ts, const struct cell *c)
{
	__builtin_prefetch(cellof(ts, c->ahead), 1);
}

static void
emptied(struct timers *ts, struct slot *s)
{
	size_t at = (size_t)(s - &ts->slots[0][0]);
	s->head = s->last = 0;
	ts->used[at / NSLOTS][at % NSLOTS / 64] &= ~(1ull << (at % 64));
}

static void
removecell(struct timers *ts, uint32_t ci)
{
	struct cell *c = cellof(ts, ci);
	if (c->prev == 0 || c->next == 0) {
		// At an end of its list: the slot is the one that it would be put into now, since every move of
		// pos takes along those whose place changes.
		int l, i;
		struct slot *s = slotof(ts, c->when, &l, &i);
		if (s->head == s->last)
			emptied(ts, s);
		else if (c->prev == 0)
			s->head = c->next;
		else
			s->last = c->prev;
	}
	if (c->prev != 0)
		cellof(ts, c->prev)->next = c->next;
	if (c->next != 0)
		cellof(ts, c->next)->prev = c->prev;
	freecell(ts, ci);
}

// firstslot finds the earliest slot that is not empty, and when it begins.
static struct slot *
firstslot(struct timers *ts, int *level, int64_t *start)
{
	for (int l = 0; l < NLEVELS; l++) {
		for (int w = 0; w < NSLOTS / 64; w++) {
			if (ts->used[l][w] == 0)
				continue;
			int i = w * 64 + __builtin_ctzll(ts->used[l][w]), shift = UNITBITS + l * SLOTBITS;
			// The bytes above are those of pos.
			uint64_t above = shift + SLOTBITS >= 64 ? 0 : (uint64_t)ts->pos >> (shift + SLOTBITS) << (shift + SLOTBITS);
			*start = (int64_t)(above | (uint64_t)i << shift);
			*level = l;
			return &ts->slots[l][i];
		}
	}
	return NULL;
}

// sortkeys sorts n keys, n <= NSORT, of ts->keys[0], and returns where they are then: merges runs of 1, 2, 4...
static struct sortkey *
sortkeys(struct timers *ts, size_t n)
{
	struct sortkey *from = ts->keys[0], *to = ts->keys[1];
	for (size_t run = 1; run < n; run *= 2) {
		for (size_t lo = 0; lo < n; lo += 2 * run) {
			size_t a = lo, mid = lo + run < n ? lo + run : n, b = mid, hi = mid + run < n ? mid + run : n, at = lo;
			while (a < mid && b < hi) {
				bool first = from[a].when <= from[b].when;
				to[at++] = from[first ? a : b];
				a += first;
				b += !first;
			}
			while (a < mid)
				to[at++] = from[a++];
			while (b < hi)
				to[at++] = from[b++];
		}
		struct sortkey *t = from;
		from = to;
		to = t;
	}
	return from;
}

// sortruns sorts the first NSORT cells of a list, the next ones, and so on. *total: how many there are.
static uint32_t
sortruns(struct timers *ts, uint32_t list, size_t *total)
{
	uint32_t head = 0, *tail = &head;
	*total = 0;
	while (list != 0) {
		size_t n = 0;
		for (; n < NSORT && list != 0; n++) {
			struct cell *c = cellof(ts, list);
			fetchahead(ts, c);
			ts->keys[0][n] = (struct sortkey){c->when, list};
			list = c->next;
		}
		struct sortkey *k = sortkeys(ts, n);
		for (size_t i = 0; i < n; i++) {
			*tail = k[i].cell;
			tail = &cellof(ts, k[i].cell)->next;
		}
		*total += n;
	}
	*tail = 0;
	return head;
}

// mergeruns makes of sorted runs of that length runs of twice that length.
static uint32_t
mergeruns(struct timers *ts, uint32_t list, size_t run)
{
	uint32_t head = 0, *tail = &head;
	while (list != 0) {
		uint32_t a = list, b = list;
		size_t na = 0, nb = run;
		for (; na < run && b != 0; na++)
			b = cellof(ts, b)->next;
		while (na > 0 || (nb > 0 && b != 0)) {
			struct cell *c;
			if (na > 0 && (nb == 0 || b == 0 || cellof(ts, a)->when <= cellof(ts, b)->when)) {
				c = cellof(ts, a);
				*tail = a;
				a = c->next;
				na--;
			} else {
				c = cellof(ts, b);
				*tail = b;
				b = c->next;
				nb--;
			}
			tail = &c->next;
		}
		list = b;
	}
	*tail = 0;
	return head;
}

// sortslot sorts by time, those of one time in the order of insertion.
static void
sortslot(struct timers *ts, struct slot *s)
{
	size_t total;
	uint32_t list = sortruns(ts, s->head, &total);
	for (size_t run = NSORT; run < total; run *= 2)
		list = mergeruns(ts, list, run);
	s->head = list;
	uint32_t prev = 0;
	for (uint32_t i = list; i != 0; i = cellof(ts, i)->next) {
		cellof(ts, i)->prev = prev;
		prev = i;
	}
	s->last = prev;
	s->min = cellof(ts, list)->when;
	s->unsorted = false;
}

struct timercall {
	void (*call)(void *, uint64_t);
	void *arg;
	uint64_t seq;
};

struct due {
	struct gqueue ready;
	int32_t nready, room, ncalls; // room: how many may be readied
	struct timercall calls[NCALLS];
};

// fire does what t is for; its cell, ci, is in no slot.
static void
fire(struct timers *ts, uint32_t ci, int64_t now, struct due *d)
{
	struct cell *c = cellof(ts, ci);
	struct timer *t = c->t;
	struct g *gp = NULL;
	if (t->call != NULL)
		d->calls[d->ncalls++] = (struct timercall){t->call, t->arg, t->seq};
	else
		gp = t->fire(t, now);
	if (t->period > 0) {
		// The next one after now: who is late skips those that are over.
		int64_t behind = now - t->when;
		if (__builtin_add_overflow(t->when, t->period * (1 + behind / t->period), &t->when))
			t->when = INT64_MAX;
		c->when = t->when;
		insert(ts, ci);
	} else {
		freecell(ts, ci);
		atomic_storerlx(&ts->n, ts->n - 1);
		// Release: whoever sees NULL sees what fire did. t may be gone from here on.
		atomic_storerel(&t->ts, NULL);
	}
	if (gp != NULL) {
		gqueueput(&d->ready, gp);
		d->nready++;
	}
}

// fetch asks for the timer of cell i, or for what that is for, and returns the next cell.
static inline uint32_t
fetch(struct timers *ts, uint32_t i, bool arg)
{
	struct cell *c = cellof(ts, i);
	__builtin_prefetch(arg ? c->t->arg : (void *)c->t);
	return c->next;
}

// runtimers fires what is due, or as much of it as *d takes. It sets next.
static void
runtimers(struct timers *ts, int64_t now, struct due *d)
{
	int64_t next = INT64_MAX, start;
	int l;
	for (struct slot *s; (s = firstslot(ts, &l, &start)) != NULL;) {
		if (start > now) {
			next = s->min;
			break;
		}
		// All before is empty: the wheel moves on, and what is in the slot with it.
		if (ts->pos < start)
			ts->pos = start;
		if (l > 0) {
			uint32_t i = s->head;
			emptied(ts, s);
			for (uint32_t after; i != 0; i = after) {
				struct cell *c = cellof(ts, i);
				fetchahead(ts, c);
				after = c->next;
				insert(ts, i);
			}
			continue;
		}
		if (s->unsorted)
			sortslot(ts, s);
		// Timers, and what they are for, come from far away: ask for them before they are needed.
		uint32_t far = s->head, near = s->head;
		for (int i = 0; i < 2 * AHEAD && far != 0; i++)
			far = fetch(ts, far, false);
		for (int i = 0; i < AHEAD && near != 0; i++)
			near = fetch(ts, near, true);
		uint32_t ci;
		while ((ci = s->head) != 0 && cellof(ts, ci)->when <= now && d->nready < d->room && d->ncalls < NCALLS) {
			if (far != 0)
				far = fetch(ts, far, false);
			if (near != 0)
				near = fetch(ts, near, true);
			s->head = cellof(ts, ci)->next;
			if (s->head != 0)
				cellof(ts, s->head)->prev = 0;
			else
				emptied(ts, s);
			fire(ts, ci, now, d);
		}
		if (s->head != 0) {
			if (s->unsorted)
				sortslot(ts, s); // a periodic timer came back into it
			next = s->min = cellof(ts, s->head)->when;
			break;
		}
	}
	if (next > now && ts->pos < now)
		ts->pos = now;
	atomic_storerel(&ts->next, next);
}

// ---- what others call ----

static struct timers *
newtimers(struct p *pp)
{
	struct timers *ts = runtime_persistentalloc(sizeof *ts, 64, &memstats.other_sys);
	runtime_lockinit(&ts->lock, LOCKRANK_TIMERS);
	ts->next = INT64_MAX;
	ts->pos = runtime_nanotime();
	atomic_storerel(&pp->timers, ts); // pairs with the acquire in timernext
	runtime_netpollinit();
	return ts;
}

// wakenetpoller has somebody look at a timer that is due at when, if nobody will in time.
void
runtime_wakenetpoller(int64_t when)
{
	atomic_fence(); // Dekker: next is stored
	if (atomic_load(&sched.lastpoll) == 0) {
		// Somebody may sleep in netpoll. 0: it does not know yet until when, or for ever.
		int64_t until = atomic_load(&sched.polluntil);
		if (until == 0 || until > when)
			runtime_netpollbreak();
	} else {
		runtime_wakep(); // an idle p, to sleep there
	}
}

// arm puts t on ts, and tells whether it is the earliest there.
static bool
arm(struct timers *ts, struct timer *t)
{
	uint32_t ci = newcell(ts);
	cellof(ts, ci)->when = t->when;
	cellof(ts, ci)->t = t;
	t->cell = ci;
	atomic_storerlx(&t->ts, ts);
	insert(ts, ci);
	atomic_storerlx(&ts->n, ts->n + 1);
	if (t->when >= ts->next)
		return false;
	atomic_storerel(&ts->next, t->when);
	return true;
}

void
runtime_timerstart(struct timer *t, int64_t when, int64_t period)
{
	struct m *mp = acquirem();
	struct p *pp = mp->p;
	if (unlikely(pp == NULL))
		runtime_fatal("timer set between rt0_entersyscall and rt0_exitsyscall");
	struct timers *ts = pp->timers;
	if (unlikely(ts == NULL))
		ts = newtimers(pp);
	t->when = when < 0 ? 0 : when;
	t->period = period;
	when = t->when;
	runtime_lock(&ts->lock);
	if (atomic_loadrlx(&t->ts) != NULL)
		runtime_throw("timerstart: timer is armed");
	bool earliest = arm(ts, t);
	runtime_unlock(&ts->lock);
	// t may have fired on another p, and be gone.
	if (earliest) {
		pp->timerticks = 0;
		runtime_wakenetpoller(when);
	}
	releasem(mp);
}

bool
runtime_timerstop(struct timer *t)
{
	for (;;) {
		// Acquire: pairs with the release in fire.
		struct timers *ts = atomic_loadacq(&t->ts);
		if (ts == NULL)
			return false;
		runtime_lock(&ts->lock);
		if (likely(atomic_loadrlx(&t->ts) == ts)) {
			removecell(ts, t->cell);
			atomic_storerlx(&t->ts, NULL);
			atomic_storerlx(&ts->n, ts->n - 1);
			if (ts->n == 0)
				atomic_storerlx(&ts->next, INT64_MAX);
			runtime_unlock(&ts->lock);
			return true;
		}
		runtime_unlock(&ts->lock); // fired meanwhile, or moved to another p
	}
}

int64_t
runtime_timernext(struct p *pp)
{
	struct timers *ts = atomic_loadacq(&pp->timers);
	return ts == NULL ? INT64_MAX : atomic_loadacq(&ts->next);
}

int64_t
runtime_timersnext(void)
{
	int64_t next = INT64_MAX;
	for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++) {
		struct p *pp = runtime_pat(i);
		int64_t n = pp == NULL ? INT64_MAX : runtime_timernext(pp);
		if (n < next)
			next = n;
	}
	return next;
}

// checktimers fires what is due on pp's wheel and readies it on the current p: as much as that one's ring holds, for what
// goes from there to the global queue has left all caches when it comes back. The rest stays due, and the next look
// or a thief finds it. Those that have slept go before new goroutines (due): they have been waiting for longer, and
// leave their stacks to them. Returns when the next timer is due.
int64_t
runtime_checktimers(struct p *pp, int64_t now)
{
	enum { ROOMMIN = 32 }; // a ring that is always full must not stop the clock
	struct p *mine = getg()->m->p;
	int64_t next;
	// rt0_stop has found no goroutine, and none may be started: what is due waits for the next rt0_start.
	if (unlikely(atomic_loadrlx(&sched.stopping)))
		return INT64_MAX;
	while ((next = runtime_timernext(pp)) <= now) {
		struct timers *ts = pp->timers;
		struct due d;
		d.ready = (struct gqueue){NULL, NULL};
		d.nready = d.ncalls = 0;
		d.room = NRUNQ - (int32_t)(mine->runqtail - atomic_loadrlx(&mine->runqhead));
		if (d.room < ROOMMIN)
			d.room = ROOMMIN;
		runtime_lock(&ts->lock);
		runtimers(ts, now, &d);
		runtime_unlock(&ts->lock);
		for (struct g *gp; (gp = gqueueget(&d.ready)) != NULL;) {
			__builtin_prefetch(d.ready.head);
			fetchframe(gp);
			runtime_ready(gp, false);
		}
		for (int32_t i = 0; i < d.ncalls; i++)
			d.calls[i].call(d.calls[i].arg, d.calls[i].seq);
		if (d.nready == 0 && d.ncalls == 0)
			return runtime_timernext(pp); // somebody else has fired them, or next was too early
		mine->nfired += d.nready + d.ncalls;
		mine->firedat = now;
		if (d.nready > 0)
			mine->due = (int32_t)(mine->runqtail - atomic_loadrlx(&mine->runqhead));
		if (d.nready == d.room)
			return runtime_timernext(pp);
	}
	return next;
}

// looktimers is called when timerticks has come to 0. A switch costs 10 ns, a look at the clock more: how many
// switches pass until the next look follows from how long the last ones took, such that it comes after
// about 5 µs.
void
runtime_looktimers(struct p *pp)
{
	enum { LOOKNS = 5000, TICKSMAX = 128 };
	if (runtime_timernext(pp) == INT64_MAX) {
		pp->timerticks = pp->timerticks0 = INT32_MAX; // timerstart makes it 0
		return;
	}
	int64_t now = runtime_nanotime(), each = (now - pp->timerlook) / (pp->timerticks0 > 0 ? pp->timerticks0 : 1);
	int64_t n = each > 0 ? LOOKNS / each : TICKSMAX;
	pp->timerticks0 = n < 1 ? 1 : n > TICKSMAX ? TICKSMAX : (int32_t)n;
	pp->timerticks = pp->timerticks0;
	pp->timerlook = now;
	runtime_checktimers(pp, now);
}

// timersrest is called when the m of pp is about to sleep, and returns until when it shall, whatever is due. Where timers
// are due all the time, a sleep in the kernel between two of them costs as much as a hundred switches: an m that has fired
// DENSE of them since it woke sleeps for at least DENSENS.
int64_t
runtime_timersrest(struct p *pp)
{
	enum { DENSE = 16, DENSENS = 250 * 1000 };
	bool dense = pp->nfired >= DENSE;
	pp->nfired = 0;
	return dense ? pp->firedat + DENSENS : 0;
}

void
runtime_movetimers(struct p *from, struct p *to)
{
	struct timers *ts = from->timers, *dst = to->timers;
	if (ts == NULL || ts->n == 0)
		return;
	if (dst == NULL)
		dst = newtimers(to);
	// The world is stopped, and who arms, stops or fires a timer has a p: nobody else is here, and nobody sees a
	// timer that is on neither of the two wheels.
	int64_t start;
	int l;
	for (struct slot *s; (s = firstslot(ts, &l, &start)) != NULL;) {
		uint32_t i = s->head;
		emptied(ts, s);
		for (uint32_t after; i != 0; i = after) {
			struct timer *t = cellof(ts, i)->t;
			after = cellof(ts, i)->next;
			freecell(ts, i);
			arm(dst, t);
		}
	}
	ts->n = 0;
	atomic_storerel(&ts->next, INT64_MAX);
	to->timerticks = 0;
}

int32_t
runtime_timerslen(struct p *pp)
{
	struct timers *ts = pp == NULL ? NULL : atomic_loadacq(&pp->timers);
	return ts == NULL ? 0 : atomic_loadrlx(&ts->n);
}

int32_t
runtime_timersarmed(void)
{
	int32_t n = 0;
	for (int32_t i = 0; i < atomic_loadrlx(&sched.gomaxprocs); i++)
		n += runtime_timerslen(runtime_pat(i));
	return n;
}
