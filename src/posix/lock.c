// SPDX-License-Identifier: BSD-3-Clause
// lock.c: the locks of the libc: pthread mutexes, conditions, read-write locks, semaphores; file locks.
//
// All of them put the thread to sleep in the kernel, and a goroutine that waits for one keeps its thread: there is
// no way to hear of an unlock, which the libc makes from inside as well (pthread_cond_wait). So the lock is tried,
// which is enough most of the time; and again after some short sleeps, since a lock that many goroutines want for a moment
// each must not make a thread of each; and then waited for as a declared call: the goroutine blocks its thread,
// and the processor goes to others. For locks between goroutines there is rt0/sync.h.
//
// Owners. A plain mutex may be unlocked by any thread: glibc does not look. So a goroutine may hold one, wait in read
// and unlock it on another thread. Recursive, error-checking, robust and priority-inheriting mutexes, the
// write side of a read-write lock and flockfile know the thread that holds them: unlocked on another one they fail,
// and a second goroutine on the first one's thread would get them as its own. So the goroutine counts how many
// of these it holds, and while it holds any, its calls do not park but block the thread (POSIX_BLOCK).
#include "posix.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

// owned adds d to the goroutine's count, if there is a goroutine. It may be between declared calls.
static void
owned(int d)
{
	const struct rt0_self *s = __atomic_load_n(&posix_self, __ATOMIC_RELAXED);
	if (s == NULL || __atomic_load_n(&s->running, __ATOMIC_RELAXED) == 0)
		return;
	int32_t *n = s->ops->owned();
	if (n != NULL && *n + d >= 0)
		*n += d;
}

// ---- mutexes ----

#ifdef __GLIBC__
// knowsowner reads the kind as pthread_mutexattr set it. Bits: 1 and 2 recursive and error-checking (3 adaptive), 16
// robust, 32 priority inheritance, 64 priority ceiling.
static bool
knowsowner(const pthread_mutex_t *m)
{
	int kind = m->__data.__kind;
	return (kind & 3) == 1 || (kind & 3) == 2 || (kind & (16 | 32 | 64)) != 0;
}

static bool
heldforwriting(const pthread_rwlock_t *l)
{
	return __atomic_load_n(&l->__data.__cur_writer, __ATOMIC_RELAXED) != 0;
}
#else
#error "the mutexes of this libc are not known here"
#endif

// got counts a mutex if err is that of a lock which succeeded.
static int
got(const pthread_mutex_t *m, int err)
{
	if ((err == 0 || err == EOWNERDEAD) && unlikely(knowsowner(m)))
		owned(1);
	return err;
}

// patience sleeps before the n-th further trial. False: enough of it.
static bool
patience(int n)
{
	enum { TRIALS = 8, FIRST = 20000 }; // ns; 20 µs to 2.5 ms, 5 ms in all
	if (n == TRIALS || context() != POSIX_PARK)
		return false;
	int saved = geterr();
	uint64_t thread = rt->thread();
	rt->sleep(rt->nanotime() + ((int64_t)FIRST << n));
	posix_home(thread);
	seterr(saved);
	return true;
}

// LOCKING is a call that locks by waiting: call; trial is the same without waiting, and says EBUSY.
// One with a time limit waits at once.
#define LOCKING(trial, call)                                                                      \
	__extension__({                                                                           \
		int err_;                                                                         \
		if (plain())                                                                      \
			err_ = (call);                                                            \
		else {                                                                            \
			for (int n_ = 0; (err_ = (trial)) == EBUSY && patience(n_);)               \
				n_++;                                                             \
			if (err_ == EBUSY)                                                        \
				err_ = DECLAREDBLOCK(call);                                       \
		}                                                                                 \
		err_;                                                                             \
	})

#define LOCKINGTIMED(trial, call)                                                                 \
	__extension__({                                                                           \
		int err_;                                                                         \
		if (plain())                                                                      \
			err_ = (call);                                                            \
		else if ((err_ = (trial)) == EBUSY)                                               \
			err_ = DECLAREDBLOCK(call);                                               \
		err_;                                                                             \
	})

EXPORT int
pthread_mutex_lock(pthread_mutex_t *m)
{
	return got(m, LOCKING(next(pthread_mutex_trylock)(m), next(pthread_mutex_lock)(m)));
}

EXPORT int
pthread_mutex_trylock(pthread_mutex_t *m)
{
	return got(m, next(pthread_mutex_trylock)(m));
}

EXPORT int
pthread_mutex_timedlock(pthread_mutex_t *restrict m, const struct timespec *restrict t)
{
	return got(m, LOCKINGTIMED(next(pthread_mutex_trylock)(m), next(pthread_mutex_timedlock)(m, t)));
}

EXPORT int
pthread_mutex_clocklock(pthread_mutex_t *restrict m, clockid_t clock, const struct timespec *restrict t)
{
	return got(m, LOCKINGTIMED(next(pthread_mutex_trylock)(m), next(pthread_mutex_clocklock)(m, clock, t)));
}

EXPORT int
pthread_mutex_unlock(pthread_mutex_t *m)
{
	bool counted = knowsowner(m); // m may be freed by who locks it next
	int err = next(pthread_mutex_unlock)(m);
	if (unlikely(counted) && err == 0)
		owned(-1);
	return err;
}

// ---- conditions ----

#define WAITING(call) (plain() ? (call) : DECLAREDBLOCK(call))

EXPORT int
pthread_cond_wait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m)
{
	return WAITING(next(pthread_cond_wait)(c, m));
}

EXPORT int
pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, const struct timespec *restrict t)
{
	return WAITING(next(pthread_cond_timedwait)(c, m, t));
}

EXPORT int
pthread_cond_clockwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t clock, const struct timespec *restrict t)
{
	return WAITING(next(pthread_cond_clockwait)(c, m, clock, t));
}

EXPORT int
pthread_join(pthread_t th, void **result)
{
	return WAITING(next(pthread_join)(th, result));
}

EXPORT int
pthread_timedjoin_np(pthread_t th, void **result, const struct timespec *t)
{
	return WAITING(next(pthread_timedjoin_np)(th, result, t));
}

EXPORT int
pthread_barrier_wait(pthread_barrier_t *b)
{
	return WAITING(next(pthread_barrier_wait)(b));
}

// ---- read-write locks ----

static int
gotwrite(int err)
{
	if (err == 0)
		owned(1);
	return err;
}

EXPORT int
pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
	return LOCKING(next(pthread_rwlock_tryrdlock)(l), next(pthread_rwlock_rdlock)(l));
}

EXPORT int
pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict l, const struct timespec *restrict t)
{
	return LOCKINGTIMED(next(pthread_rwlock_tryrdlock)(l), next(pthread_rwlock_timedrdlock)(l, t));
}

EXPORT int
pthread_rwlock_clockrdlock(pthread_rwlock_t *restrict l, clockid_t clock, const struct timespec *restrict t)
{
	return LOCKINGTIMED(next(pthread_rwlock_tryrdlock)(l), next(pthread_rwlock_clockrdlock)(l, clock, t));
}

EXPORT int
pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	return gotwrite(LOCKING(next(pthread_rwlock_trywrlock)(l), next(pthread_rwlock_wrlock)(l)));
}

EXPORT int
pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
	return gotwrite(next(pthread_rwlock_trywrlock)(l));
}

EXPORT int
pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict l, const struct timespec *restrict t)
{
	return gotwrite(LOCKINGTIMED(next(pthread_rwlock_trywrlock)(l), next(pthread_rwlock_timedwrlock)(l, t)));
}

EXPORT int
pthread_rwlock_clockwrlock(pthread_rwlock_t *restrict l, clockid_t clock, const struct timespec *restrict t)
{
	return gotwrite(LOCKINGTIMED(next(pthread_rwlock_trywrlock)(l), next(pthread_rwlock_clockwrlock)(l, clock, t)));
}

EXPORT int
pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	bool counted = heldforwriting(l);
	int err = next(pthread_rwlock_unlock)(l);
	if (counted && err == 0)
		owned(-1);
	return err;
}

// ---- FILEs: recursive locks that know their owner ----

EXPORT void
flockfile(FILE *f)
{
	if (plain())
		next(flockfile)(f);
	else if (next(ftrylockfile)(f) != 0)
		DECLAREDBLOCK((next(flockfile)(f), 0));
	owned(1);
}

EXPORT int
ftrylockfile(FILE *f)
{
	int err = next(ftrylockfile)(f);
	if (err == 0)
		owned(1);
	return err;
}

EXPORT void
funlockfile(FILE *f)
{
	next(funlockfile)(f);
	owned(-1);
}

// ---- semaphores ----

EXPORT int
sem_wait(sem_t *s)
{
	if (plain())
		return next(sem_wait)(s);
	int saved = geterr();
	if (sem_trywait(s) == 0)
		return 0;
	if (geterr() != EAGAIN)
		return -1;
	seterr(saved);
	return DECLAREDBLOCK(next(sem_wait)(s));
}

EXPORT int
sem_timedwait(sem_t *restrict s, const struct timespec *restrict t)
{
	return WAITING(next(sem_timedwait)(s, t));
}

EXPORT int
sem_clockwait(sem_t *restrict s, clockid_t clock, const struct timespec *restrict t)
{
	return WAITING(next(sem_clockwait)(s, clock, t));
}

// ---- locks on files ----

EXPORT int
flock(int fd, int op)
{
	if (plain() || (op & LOCK_NB))
		return next(flock)(fd, op);
	int saved = geterr(), r = next(flock)(fd, op | LOCK_NB);
	if (r == 0 || geterr() != EWOULDBLOCK)
		return r;
	seterr(saved);
	return DECLAREDBLOCK(next(flock)(fd, op));
}

EXPORT int
fcntl(int fd, int cmd, ...)
{
	va_list ap;
	va_start(ap, cmd);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if ((cmd != F_SETLKW && cmd != F_OFD_SETLKW) || plain())
		return next(fcntl)(fd, cmd, arg);
	int saved = geterr(), r = next(fcntl)(fd, cmd == F_SETLKW ? F_SETLK : F_OFD_SETLK, arg);
	if (r == 0 || (geterr() != EAGAIN && geterr() != EACCES))
		return r;
	seterr(saved);
	return DECLAREDBLOCK(next(fcntl)(fd, cmd, arg));
}
EXPORT extern __typeof__(fcntl) fcntl64 __attribute__((alias("fcntl")));
