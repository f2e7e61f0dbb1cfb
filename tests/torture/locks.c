// SPDX-License-Identifier: BSD-3-Clause
// locks.c: the torture of locks that rt0 knows nothing of, from pthreads to spinning on a word.
//
// With one processor, who is stopped often holds what the next one wants. The next one then blocks
// its thread, or spins until its slice is over, and the holder must get the processor back. Every
// lock here guards a plain counter that is read, held for a while, and written.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "torture.h"

// guarded is what one lock guards. hold is called with the lock held.
struct guarded {
	long owner, count;
	long want; // atomic: how often hold was called
};

static void
hold(struct worker *w, struct guarded *g, const char *what)
{
	long me = w->id + 1, count;
	if (g->owner != 0)
		BAD("%s: worker %ld and %ld have it at once", what, me, g->owner);
	g->owner = me;
	count = g->count;
	spin((long)(rnd(w) % (rnd(w) % 8 ? 2000 : 200000)));
	g->count = count + 1;
	if (g->owner != me)
		BAD("%s: worker %ld took it from %ld", what, g->owner, me);
	g->owner = 0;
	__atomic_add_fetch(&g->want, 1, __ATOMIC_SEQ_CST);
}

// rest leaves a lock free for about as long as it is held: the next one only comes to it by chance
// when the holder's slice ends. Locks that are never free starve somebody, here and elsewhere.
static void
rest(struct worker *w)
{
	spin((long)(rnd(w) % 20000));
}

static void
checkcount(const struct guarded *g, const char *what)
{
	if (g->count != g->want)
		BAD("%s: held %ld times, counted %ld", what, g->want, g->count);
}

// ---- mutex: normal, error-checking, recursive, and adaptive ----

enum { KINDS = 4 };

static pthread_mutex_t mutex[KINDS];
static struct guarded mutexed[KINDS];

static void
mutexbegin(void)
{
	static const int kind[KINDS] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK,
	    PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ADAPTIVE_NP};
	for (int i = 0; i < KINDS; i++) {
		pthread_mutexattr_t a;
		pthread_mutexattr_init(&a);
		pthread_mutexattr_settype(&a, kind[i]);
		MUST(pthread_mutex_init(&mutex[i], &a) == 0);
	}
}

static void
mutexwork(struct worker *w)
{
	int k = w->id % KINDS, err;
	struct timespec ts;
	while (running(w)) {
		if (rnd(w) % 4 == 0) {
			do {
				clock_gettime(CLOCK_REALTIME, &ts);
				ts.tv_nsec += 500000;
				ts.tv_sec += ts.tv_nsec / 1000000000;
				ts.tv_nsec %= 1000000000;
				err = pthread_mutex_timedlock(&mutex[k], &ts);
			} while (err == ETIMEDOUT);
		} else {
			err = pthread_mutex_lock(&mutex[k]);
		}
		if (err)
			BAD("pthread_mutex_lock of kind %d: %d", k, err);
		if (k == 2)
			MUST(pthread_mutex_lock(&mutex[k]) == 0);
		hold(w, &mutexed[k], "mutex");
		if (k == 2)
			MUST(pthread_mutex_unlock(&mutex[k]) == 0);
		err = pthread_mutex_unlock(&mutex[k]);
		if (err)
			BAD("pthread_mutex_unlock of kind %d: %d", k, err);
		rest(w);
	}
}

static void
mutexend(void)
{
	for (int i = 0; i < KINDS; i++)
		checkcount(&mutexed[i], "mutex");
}
SUBJECT(mutex, .workers = 2 * KINDS, .flags = NOTSAN, .begin = mutexbegin, .work = mutexwork,
    .end = mutexend);

// ---- cond: a bounded queue; worker 0 fills it, the others empty it. Closed at the end ----

static pthread_mutex_t queuemu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t notempty = PTHREAD_COND_INITIALIZER, notfull = PTHREAD_COND_INITIALIZER;
static int queued; // queuemu, like all below
static bool queueclosed;
static uint64_t ring[8], put, got, putsum, gotsum;

static void
produce(struct worker *w)
{
	while (running(w)) {
		pthread_mutex_lock(&queuemu);
		while (queued == 8)
			pthread_cond_wait(&notfull, &queuemu);
		putsum += ring[put++ % 8] = rnd(w);
		queued++;
		pthread_cond_signal(&notempty);
		pthread_mutex_unlock(&queuemu);
	}
	pthread_mutex_lock(&queuemu);
	queueclosed = true;
	pthread_cond_broadcast(&notempty);
	pthread_mutex_unlock(&queuemu);
}

static void
condwork(struct worker *w)
{
	if (w->id == 0) {
		produce(w);
		return;
	}
	for (;;) {
		w->n++;
		pthread_mutex_lock(&queuemu);
		while (queued == 0 && !queueclosed)
			pthread_cond_wait(&notempty, &queuemu);
		if (queued == 0)
			break;
		gotsum += ring[got++ % 8];
		queued--;
		pthread_cond_signal(&notfull);
		pthread_mutex_unlock(&queuemu);
	}
	pthread_mutex_unlock(&queuemu);
}

static void
condend(void)
{
	if (put != got || putsum != gotsum)
		BAD("cond: %lu went in with sum %lx, %lu came out with %lx", put, putsum, got,
		    gotsum);
}
SUBJECT(cond, .workers = 3, .flags = NOTSAN, .work = condwork, .end = condend);

// ---- sem: two workers hand a turn to and fro. Who ends leaves the other a last turn ----

static sem_t turn[2];
static struct guarded turns;

static void
sembegin(void)
{
	sem_init(&turn[0], 0, 1);
	sem_init(&turn[1], 0, 0);
}

static void
semwork(struct worker *w)
{
	while (running(w)) {
		if (sem_wait(&turn[w->id]) != 0)
			BAD("sem_wait: errno %d", errno);
		if (now() < deadline)
			hold(w, &turns, "sem");
		sem_post(&turn[!w->id]);
	}
	sem_post(&turn[!w->id]);
}

static void
semend(void)
{
	checkcount(&turns, "sem");
}
SUBJECT(sem, .workers = 2, .flags = NOTSAN, .begin = sembegin, .work = semwork, .end = semend);

// ---- rwlock: writers change two words together, readers must see them equal ----

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static struct guarded rwlocked;
static volatile long pairs[2];

static void
rwlockwork(struct worker *w)
{
	while (running(w)) {
		if (w->id == 0) {
			MUST(pthread_rwlock_wrlock(&rwlock) == 0);
			pairs[0]++;
			hold(w, &rwlocked, "rwlock");
			pairs[1]++;
		} else {
			MUST(pthread_rwlock_rdlock(&rwlock) == 0);
			long a = pairs[0];
			spin((long)(rnd(w) % 2000));
			if (a != pairs[0] || a != pairs[1] || rwlocked.owner != 0)
				BAD("rwlock: a reader saw a writer at work");
		}
		MUST(pthread_rwlock_unlock(&rwlock) == 0);
		rest(w); // readers without a pause between them can keep a writer out for ever
	}
}

static void
rwlockend(void)
{
	checkcount(&rwlocked, "rwlock");
}
SUBJECT(rwlock, .workers = 4, .flags = NOTSAN, .work = rwlockwork, .end = rwlockend);

// ---- flock: the lock of a stream, held over many calls. The stream's own write looks at what it
// gets: whole lines in the right order of letters ----

static FILE *letters;
static struct guarded flocked;
static int expected; // the lock of letters

static ssize_t
lettersin(void *cookie, const char *buf, size_t n)
{
	(void)cookie;
	for (size_t i = 0; i < n; i++) {
		int want = expected == 26 ? '\n' : 'a' + expected;
		if (buf[i] != want)
			BAD("flock: %d came, not %d", buf[i], want);
		expected = (expected + 1) % 27;
	}
	return (ssize_t)n;
}

static void
flockbegin(void)
{
	letters = fopencookie(NULL, "w", (cookie_io_functions_t){.write = lettersin});
	MUST(letters);
	setvbuf(letters, NULL, _IOFBF, 200);
}

static void
flockwork(struct worker *w)
{
	while (running(w)) {
		flockfile(letters);
		hold(w, &flocked, "flock");
		for (int c = 'a'; c <= 'z'; c++) {
			putc_unlocked(c, letters);
			if (c % 8 == 0)
				spin(500);
		}
		putc('\n', letters); // the lock is recursive
		funlockfile(letters);
		fputs("abcdefghijklmnopqrstuvwxyz\n", letters);
		rest(w);
	}
}

static void
flockend(void)
{
	MUST(fclose(letters) == 0);
	MUST(expected == 0);
	checkcount(&flocked, "flock");
}
SUBJECT(
    flock, .workers = 3, .flags = NOTSAN, .begin = flockbegin, .work = flockwork, .end = flockend);

// ---- once: all workers go along the same row of pthread_onces ----

enum { ONCES = 1 << 16, ONCERS = 4 };

static pthread_once_t onces[ONCES];
static int oncedone[ONCES];
static __thread int onceindex, oncelong;

static void
init(void)
{
	int i = onceindex;
	spin(oncelong);
	oncedone[i]++;
}

static void
oncework(struct worker *w)
{
	for (int i = 0; running(w); i += i < ONCES - 1) {
		onceindex = i;
		oncelong = (int)(rnd(w) % 300000);
		MUST(pthread_once(&onces[i], init) == 0);
		if (oncedone[i] != 1)
			BAD("once %d ran %d times", i, oncedone[i]);
	}
}
SUBJECT(once, .workers = ONCERS, .flags = NOTSAN, .work = oncework);

// ---- spinlock: yields the thread, which helps nobody here. userspin: does not even yield ----

static int spinword, userword;
static pthread_spinlock_t pspin;
static struct guarded spinned, userspinned, pspinned;

static void
spinlockwork(struct worker *w)
{
	while (running(w)) {
		while (__atomic_exchange_n(&spinword, 1, __ATOMIC_ACQUIRE))
			sched_yield();
		hold(w, &spinned, "spinlock");
		__atomic_store_n(&spinword, 0, __ATOMIC_RELEASE);
		rest(w);
	}
}

static void
spinlockend(void)
{
	checkcount(&spinned, "spinlock");
}
SUBJECT(spinlock, .workers = 3, .work = spinlockwork, .end = spinlockend);

static void
userspinbegin(void)
{
	pthread_spin_init(&pspin, PTHREAD_PROCESS_PRIVATE);
}

static void
userspinwork(struct worker *w)
{
	while (running(w)) {
		while (__atomic_exchange_n(&userword, 1, __ATOMIC_ACQUIRE))
			__builtin_ia32_pause();
		hold(w, &userspinned, "userspin");
		__atomic_store_n(&userword, 0, __ATOMIC_RELEASE);
		MUST(pthread_spin_lock(&pspin) == 0);
		hold(w, &pspinned, "pthread_spin");
		MUST(pthread_spin_unlock(&pspin) == 0);
		rest(w);
	}
}

static void
userspinend(void)
{
	checkcount(&userspinned, "userspin");
	checkcount(&pspinned, "pthread_spin");
}
SUBJECT(userspin, .workers = 3, .flags = NOTSAN, .begin = userspinbegin, .work = userspinwork,
    .end = userspinend);

// ---- rt0: the runtime's own locks and channels, among goroutines that are stopped anywhere ----

static rt0_mutex ownmu;
static struct guarded owned;
static rt0_chan *ownchan;
static uint64_t sent, received;

static void
ownbegin(void)
{
	ownchan = rt0_chan_make(sizeof(uint64_t), 3);
}

static void
ownwork(struct worker *w)
{
	uint64_t v;
	if (w->id == 0) {
		while (running(w)) {
			v = rnd(w);
			sent += v;
			rt0_chan_send(ownchan, &v);
		}
		rt0_chan_close(ownchan);
		return;
	}
	if (w->id == 1) {
		RT0_RANGE (ownchan, v) {
			w->n++;
			received += v;
		}
		return;
	}
	while (running(w)) {
		rt0_mutex_lock(&ownmu);
		hold(w, &owned, "rt0_mutex");
		rt0_mutex_unlock(&ownmu);
		void *p = rt0_alloc(rnd(w) % 5000 + 16, 0);
		*(uint64_t *)p = v = rnd(w);
		spin(100);
		MUST(*(uint64_t *)p == v);
		rt0_free(p);
		if (rnd(w) % 16 == 0)
			rt0_gosched();
	}
}

static void
ownend(void)
{
	checkcount(&owned, "rt0_mutex");
	if (sent != received)
		BAD("rt0_chan: the sums differ");
}
SUBJECT(own, .workers = 5, .begin = ownbegin, .work = ownwork, .end = ownend);
