// SPDX-License-Identifier: BSD-3-Clause
// posix.h: what the files of librt0_posix share. docs/posix.md says what the library does and what it promises.
//
// attach.c finds the runtime and the functions that ours stand in front of, wait.c is the loop around a call on one
// descriptor; the others are the calls: rw.c, sock.c, poll.c, time.c, close.c, lock.c, child.c, resolve.c.
//
// errno. This code parks, and may wake on another thread, so it breaks the rule that it is there to keep if it
// says `errno`: the compiler takes its address once a function. It uses geterr and seterr, which are calls.
#ifndef RT0_POSIX_INTERNAL_H
#define RT0_POSIX_INTERNAL_H

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "../posixops.h"

#define EXPORT __attribute__((visibility("default")))
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa)) // nothing of a call's is known to the caller
#endif
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define SEC 1000000000ll
#define NEVER INT64_MAX

#if defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

// The functions that ours stand in front of.
#define NEXT_FUNCTIONS(X)                                                                         \
	X(read) X(write) X(readv) X(writev) X(pread) X(pwrite) X(preadv) X(pwritev) X(preadv2) X(pwritev2)       \
	X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) X(send) X(sendto) X(sendmsg) X(sendmmsg)                      \
	X(connect) X(accept) X(accept4) X(poll) X(ppoll) X(select) X(pselect)                     \
	X(epoll_wait) X(epoll_pwait) X(epoll_pwait2) X(sleep) X(usleep) X(nanosleep) X(clock_nanosleep)          \
	X(getaddrinfo) X(getnameinfo) X(gethostbyname) X(gethostbyname2) X(gethostbyaddr)         \
	X(gethostbyname_r) X(gethostbyname2_r) X(gethostbyaddr_r)                                 \
	X(res_query) X(res_search) X(res_querydomain) X(res_send)                                \
	X(res_nquery) X(res_nsearch) X(res_nquerydomain) X(res_nsend)                            \
	X(flock) X(fcntl) X(wait) X(waitpid) X(wait3) X(wait4) X(waitid)                          \
	X(sem_wait) X(sem_timedwait) X(sem_clockwait)                                             \
	X(pthread_mutex_lock) X(pthread_mutex_trylock) X(pthread_mutex_timedlock) X(pthread_mutex_clocklock)     \
	X(pthread_mutex_unlock) X(pthread_cond_wait) X(pthread_cond_timedwait) X(pthread_cond_clockwait)         \
	X(pthread_rwlock_rdlock) X(pthread_rwlock_wrlock) X(pthread_rwlock_tryrdlock) X(pthread_rwlock_trywrlock) \
	X(pthread_rwlock_timedrdlock) X(pthread_rwlock_timedwrlock) X(pthread_rwlock_clockrdlock)                \
	X(pthread_rwlock_clockwrlock) X(pthread_rwlock_unlock) X(pthread_join) X(pthread_timedjoin_np)           \
	X(pthread_barrier_wait) X(flockfile) X(ftrylockfile) X(funlockfile)                                      \
	X(close) X(dup2) X(dup3) X(close_range) X(closefrom)
enum {
#define X(f) NEXT_##f,
	NEXT_FUNCTIONS(X)
#undef X
	NNEXT,
};

// attach.c
#pragma GCC visibility push(hidden)
extern void *posix_next[NNEXT];
extern const struct rt0_self *posix_self; // of the runtime that runs, when it was last looked for; NULL: none
extern int posix_nselves;
void *posix_resolve(int i);
enum posixcontext posix_lookagain(void);
int posix_geterr(void);
void posix_seterr(int e);
#pragma GCC visibility pop

// next(read) is the read that would have been called without us.
#define next(f) ((__typeof__(&f))nextfunction(NEXT_##f))
static inline void *
nextfunction(int i)
{
	void *p = __atomic_load_n(&posix_next[i], __ATOMIC_RELAXED);
	return likely(p != NULL) ? p : posix_resolve(i);
}

#define geterr posix_geterr
#define seterr posix_seterr
#define rt (posix_self->ops) // of a goroutine: there is one

// context is what a call is to do here and now.
static inline enum posixcontext
context(void)
{
	const struct rt0_self *s = __atomic_load_n(&posix_self, __ATOMIC_RELAXED);
	if (s == NULL && __atomic_load_n(&posix_nselves, __ATOMIC_ACQUIRE) == 0)
		return POSIX_PLAIN;
	if (unlikely(s == NULL || __atomic_load_n(&s->running, __ATOMIC_RELAXED) == 0))
		return posix_lookagain();
	return s->ops->context();
}

// plain is whether a call is to be made as if we were not here.
#define plain() (context() == POSIX_PLAIN)

// DECLARED makes a call that may block the thread, DECLAREDBLOCK one that will. errno and the thread stay.
#define DECLARED(call) DECLARED_(enter, call)
#define DECLAREDBLOCK(call) DECLARED_(enterblock, call)
#define DECLARED_(in, call)                                                                       \
	__extension__({                                                                           \
		rt->in();                                                                        \
		__typeof__(call) r_ = (call);                                                     \
		rt->exit();                                                                      \
		r_;                                                                               \
	})

// posix_look is the result r of a poll or the like that does not wait. The kernel looks for signals even then, the
// runtime's own too, and says EINTR where nothing is ready: that is nothing, and the program is not told.
static inline int
posix_look(int r)
{
	return r < 0 && geterr() == EINTR ? 0 : r;
}

// wait.c: a call on one descriptor, which is tried without blocking, and again after each wait.
struct io {
	int fd;
	uint32_t events;   // to wait for
	int timeopt;       // SO_RCVTIMEO or SO_SNDTIMEO
	int saved;         // errno at entry
	int fruitless;     // waits that have led to nothing
	bool waited;
	int64_t deadline;  // by timeopt; asked for before the first wait
	uint64_t thread;   // on which we were called
};
enum iowait {
	IO_AGAIN, // try again
	IO_FAIL,  // return -1: errno has been set
	IO_BLOCK, // make the call itself, declared
};
#pragma GCC visibility push(hidden)
struct io posix_begin(int fd, uint32_t events, int timeopt);
// wait is called when a try has failed with EAGAIN. nonblocking: what to do if that is what the program wants.
enum iowait posix_wait(struct io *io, enum iowait nonblocking);
ssize_t posix_end(struct io *io, ssize_t r); // returns r
void posix_home(uint64_t thread);            // after a park, before the return
bool posix_nonblocking(int fd);
bool posix_issocket(int fd); // perhaps
void posix_setsocket(int fd, bool is);
ssize_t posix_readv(int fd, const struct iovec *iov, int cnt);
ssize_t posix_writev(int fd, const struct iovec *iov, int cnt);
// after is when ns from now have passed, from the time in seconds and ns.
int64_t posix_after(int64_t sec, int64_t ns);
bool posix_validtime(const struct timespec *t);
struct timespec posix_left(int64_t deadline); // not negative; deadline is not NEVER
#pragma GCC visibility pop

__attribute__((noreturn)) void __chk_fail(void); // the libc's: a buffer is too small

#endif
