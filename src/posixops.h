// SPDX-License-Identifier: BSD-3-Clause
// posixops.h: what the runtime (rt/posix.c) does for librt0_posix (src/posix).
//
// The library is a file of its own, perhaps preloaded, and has to work with the copy of the runtime that runs:
// in the program, stripped or not, or in librt0.so. It finds the copies by their ELF notes, as they find each other
// (libc/alone.c); each note says where the copy's struct rt0_self is, and that has the table of functions below.
// The layout of both is fixed by POSIXVERSION: a library meets a runtime of another one as if there were none.
#ifndef RT0_POSIXOPS_H
#define RT0_POSIXOPS_H

#include <stdbool.h>
#include <stdint.h>

enum { POSIXVERSION = 1 };

// What a call is to do.
enum posixcontext {
	POSIX_PLAIN, // no goroutine, or one that cannot wait: the libc's own call
	POSIX_PARK,  // park the goroutine
	POSIX_BLOCK, // block the thread, and let others have the processor meanwhile
};

// One descriptor of a wait. It lies on the waiter's stack or heap until wait has returned.
struct posixwait {
	int32_t fd;       // < 0: none
	uint32_t events;  // POLLIN...
	// wait's own:
	struct posixwait *next, *prev; // lock of the descriptor
	struct posixcall *call;
	bool linked, closed;
};

struct posixops {
	uint32_t version;
	enum posixcontext (*context)(void);
	// enter and exit declare a call that may block the thread; enterblock one that will.
	void (*enter)(void);
	void (*enterblock)(void);
	void (*exit)(void);
	// wait parks until one of n descriptors may be ready or deadline has come: 0, try again; -ETIMEDOUT; -EBADF:
	// one was closed; -EPERM: one cannot be watched. After a try that made progress, waited tells those who wait
	// for the same descriptor.
	int (*wait)(struct posixwait *w, int n, int64_t deadline);
	void (*waited)(int fd);
	// closing before, closed after the system call that closes the descriptors lo to hi.
	void (*closing)(int lo, int hi);
	void (*closed)(int lo, int hi);
	// Threads: thread is a name of the current one, and begins a call; home goes back to the one that has it, at
	// the call's end. In between wait, sleep and semacquire return on the thread that they were called on, unless
	// it is not to be had (rt/home.c): then all of the call goes on elsewhere.
	uint64_t (*thread)(void);
	void (*home)(uint64_t thread);
	void (*sleep)(int64_t deadline);
	int64_t (*nanotime)(void);
	void (*semacquire)(uint32_t *sema);
	void (*semrelease)(uint32_t *sema);
	int32_t *(*owned)(void); // of the goroutine: how many locks it holds that know their owner; NULL: no goroutine
};

struct rt0_self {
	uint32_t running; // written under the dynamic linker's lock
	uint32_t version; // POSIXVERSION
	const struct posixops *ops;
};

#endif
