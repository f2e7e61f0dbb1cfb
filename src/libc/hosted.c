// SPDX-License-Identifier: BSD-3-Clause
// hosted.c: the runtime in a process that has a libc: threads, exit, plugins, library mode.
//
// The only file that calls libc. The core reaches it through runtime_hosted, which is NULL in pure
// programs: they do not link this file.
#define _GNU_SOURCE
#include "hosted.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runtime.h"
#include "alone.h"

enum {
	G0STACK = 256 << 10, // bytes: of a stack that the libc maps, beside its static TLS
	// Of a stack of ours, beside the TLS of what is loaded: struct pthread, room for the TLS of what will be (1.7 KiB;
	// more is for the user to ask for, by GLIBC_TUNABLES), frames. All that is 4.6 KiB as a rule.
	THREADUSE = 8 << 10,
	MAXSTACK = 1 << 30, // there is no use in a larger one
};

// Atomic: 1 when a thread has started on a stack of ours; -1 when the libc has more static TLS than we know of, and makes
// the stacks. Either is so for ever. Relaxed: who still reads 0 finds it out by itself.
static int32_t slotsfit;

// The key's destructor sees threads end. A thread of the runtime that ends in pthread_exit takes its
// processor and its goroutine with it, and the program would hang or lose a CPU without a word: when
// a thread ends by itself it has no g any more. A foreign thread gives back the m in the key's value.
static pthread_key_t exitkey;
static pthread_once_t exitonce = PTHREAD_ONCE_INIT;

static void
threadexit(void *arg)
{
	if (arg != &exitkey)
		runtime_foreignexit(arg);
	else if (getg() != NULL)
		runtime_fatal("a goroutine called pthread_exit (use rt0_goexit)");
}

static void
makeexitkey(void)
{
	pthread_key_create(&exitkey, threadexit);
}

static void
watchexit(void)
{
	pthread_once(&exitonce, makeexitkey);
	pthread_setspecific(exitkey, &exitkey);
}

static int
thread_bind(struct m *mp)
{
	pthread_once(&exitonce, makeexitkey);
	return -pthread_setspecific(exitkey, mp);
}

static void *
threadmain(void *arg)
{
	struct m *mp = arg;
	watchexit();
	return mp->startfn(mp);
}

static int
addtls(struct dl_phdr_info *info, size_t size, void *sum)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			*(size_t *)sum += info->dlpi_phdr[i].p_memsz + info->dlpi_phdr[i].p_align;
	return 0;
}

// stackuse: the libcs know it exactly and do not say (glibc: __pthread_get_minstack, which is private). It takes no lock
// that is held while constructors run, as dlsym does.
static size_t
stackuse(void)
{
	size_t sum = THREADUSE;
	dl_iterate_phdr(addtls, &sum);
	return sum;
}

// startthread starts a thread on the stack below hi; hi 0: on one of the libc's. th NULL: nobody will join it.
static int
startthread(pthread_t *th, void *(*fn)(void *), void *arg, uintptr_t hi, size_t size)
{
	pthread_attr_t attr;
	pthread_t detached;
	int err = pthread_attr_init(&attr);
	if (err != 0)
		return err;
	pthread_attr_setdetachstate(&attr, th != NULL ? PTHREAD_CREATE_JOINABLE : PTHREAD_CREATE_DETACHED);
	err = hi != 0 ? pthread_attr_setstack(&attr, (void *)(hi - size), size) : pthread_attr_setstacksize(&attr, size);
	if (err == 0)
		err = pthread_create(th != NULL ? th : &detached, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return err;
}

static void *
nothing(void *arg)
{
	return arg;
}

// startlarge starts a thread on a stack of the libc's of which its TLS, however large, leaves G0STACK. A size that the libc
// agrees to may leave next to nothing: what is found with threads that do nothing is the size for the TLS alone.
static int
startlarge(pthread_t *th, void *(*fn)(void *), void *arg)
{
	static size_t found; // bytes; 0: not known yet. Atomic, relaxed: two that do not know find the same
	if (atomic_loadrlx(&found) == 0) {
		size_t n = G0STACK;
		int err;
		while ((err = startthread(NULL, nothing, NULL, 0, n)) == EINVAL && n < MAXSTACK)
			n *= 4;
		if (err != 0)
			return err;
		atomic_storerlx(&found, n + G0STACK);
	}
	return startthread(th, fn, arg, 0, atomic_loadrlx(&found));
}

// told is how much of our stack the libc hears of. It refuses one that its TLS would not leave 2 KiB of, and is content
// with what is no good to us: as long as nobody knows, the part that is there for its TLS is all it hears of.
static size_t
told(size_t size)
{
	if (atomic_loadrlx(&slotsfit) > 0 || RT0_ASAN || RT0_TSAN) // a sanitizer asks the libc where the stack is
		return size;
	size_t least = PTHREAD_STACK_MIN, its = size - STACKSYSTEM_WINDOW;
	return its > least ? its : least < size ? least : size;
}

static int
thread_start(struct m *mp, void *(*fn)(void *), void *arg)
{
	int saved = errno; // of the goroutine's code, whose thread this may be
	size_t size = mp->thread.hi - mp->thread.lo;
	int err = EINVAL;
	mp->startfn = fn;
	if (atomic_loadrlx(&slotsfit) >= 0) {
		err = startthread(NULL, threadmain, arg, mp->thread.hi, told(size));
		if (err == 0 || err == EINVAL)
			atomic_storerlx(&slotsfit, err == 0 ? 1 : -1);
	}
	if (err == EINVAL)
		err = startlarge(NULL, threadmain, arg);
	errno = saved;
	return -err;
}

// open_plugin keeps the object for ever: its init tasks stay on the list.
static void *
open_plugin(const char *path, const char **err)
{
	void *h = dlopen(path, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
	*err = h == NULL ? dlerror() : NULL;
	return h;
}

extern char **environ;

#ifdef __GLIBC__
enum { SIGCANCEL = 32 };
#else
enum { SIGCANCEL = 33 }; // musl
#endif

static char **
hostenviron(void)
{
	return environ;
}

static const struct hostedops ops = {thread_start, stackuse, open_plugin, thread_bind, SIGCANCEL, hostenviron, runtime_onethread};

int
rt0_plugin_open(const char *path, void **handle)
{
	const char *err;
	int copies = runtime_copies(NULL, 0);
	void *h = ops.dlopen(path, &err);
	if (h == NULL) {
		fprintf(stderr, "rt0_plugin_open: %s\n", err);
		return -ENOENT;
	}
	if (runtime_copies("rt0_plugin_open", copies) > copies) {
		runtime_forgetinit();
		return -EEXIST;
	}
	*handle = h;
	runtime_doinit();
	return 0;
}

// ---- fork (fork.c) ----

static pthread_mutex_t startlock = PTHREAD_MUTEX_INITIALIZER;
static sigset_t hostmask; // library mode: of the thread that called rt0_start

static void
forkchild(void)
{
	startlock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	struct g *gp = getg();
	// Threads of a library have all signals blocked: what the child becomes should not.
	if (sched.islibrary && gp != NULL && !gp->m->isextra)
		pthread_sigmask(SIG_SETMASK, &hostmask, NULL);
	if (runtime_hosted != NULL)
		runtime_forkchild();
}

static void
watchfork(void)
{
	pthread_atfork(NULL, NULL, forkchild);
}

static int (*mainfn)(int, char **, char **);

// main_main is what runtime_main calls: the program's main, then the libc's exit.
static void
main_main(void)
{
	exit(runtime_mainreturned(mainfn(runtime_argc, runtime_argv, environ)));
}

void
rt0_hosted_main(int (*fn)(int, char **, char **), int argc, char **argv)
{
	if (!runtime_alone("rt0"))
		exit(2);
	mainfn = fn;
	runtime_hosted = &ops;
	runtime_main_main = main_main;
	watchexit();
	watchfork();
	runtime_rt0_go(argc, argv);
	abort(); // it returns after rt0_stop only, which refuses here
}

// ---- library mode ----

static struct {
	int argc;
	char **argv;
	pthread_t m0;
	uint32_t ready; // atomic, futex
	bool booted;    // once; after that a start is a restart
} lib;

static void *
bootthread(void *arg)
{
	(void)arg;
	watchexit();
	if (lib.booted)
		runtime_restart();
	else
		runtime_rt0_go(lib.argc, lib.argv);
	return NULL;
}

// libready runs on the runtime's main goroutine when the init tasks have run.
static void
libready(void)
{
	atomic_storerel(&lib.ready, 1);
	runtime_futexwakeup(&lib.ready, 1);
}

int
rt0_start(int argc, char **argv)
{
	static char *none[] = {NULL, NULL};
	static pthread_once_t forkonce = PTHREAD_ONCE_INIT;
	if (runtime_forked)
		return -ENOTSUP;
	pthread_once(&forkonce, watchfork);
	pthread_mutex_lock(&startlock);
	if (runtime_hosted != NULL) {
		pthread_mutex_unlock(&startlock);
		return -EALREADY;
	}
	if (!runtime_alone("rt0_start")) {
		pthread_mutex_unlock(&startlock);
		return -EEXIST;
	}
	runtime_attachposix();
	lib.argc = argv == NULL ? 0 : argc;
	lib.argv = argv == NULL ? none : argv;
	atomic_storerlx(&lib.ready, 0);
	runtime_hosted = &ops;
	runtime_main_main = libready;
	sched.islibrary = true;
	runtime_envp = environ;
	// All signals blocked: they stay on the program's own threads.
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &hostmask);
	memcpy(&runtime_hostmask, &hostmask, sizeof runtime_hostmask); // as the kernel has it, in both libcs
	int err = startthread(&lib.m0, bootthread, NULL, 0, stackuse() + G0STACK);
	if (err == EINVAL)
		err = startlarge(&lib.m0, bootthread, NULL);
	pthread_sigmask(SIG_SETMASK, &hostmask, NULL);
	if (err != 0) {
		runtime_notalone();
		runtime_hosted = NULL;
		sched.islibrary = false;
		pthread_mutex_unlock(&startlock);
		return -EAGAIN;
	}
	while (atomic_loadacq(&lib.ready) == 0)
		runtime_futexsleep(&lib.ready, 0, -1);
	lib.booted = true;
	pthread_mutex_unlock(&startlock);
	return 0;
}

static void
trystop(void *arg)
{
	int *result = arg;
	runtime_stopTheWorld();
	// Ours, for the length of this call, and no other.
	*result = runtime_livecount() > 1 || runtime_sigwatching() ? -EBUSY : 0;
	if (*result == 0)
		atomic_store(&sched.stopping, 1);
	runtime_startTheWorld();
}

int
rt0_stop(void)
{
	pthread_mutex_lock(&startlock);
	int result = -ENOTCONN;
	if (sched.islibrary && getg() == NULL)
		result = runtime_callback(trystop, &result) < 0 ? -ENOTCONN : result;
	if (result == 0) {
		runtime_stopms();
		pthread_join(lib.m0, NULL);
		sched.nmsys = 0;
		sched.havetemplate = false;
		atomic_store(&sched.sysmonstarted, 0);
		atomic_store(&sched.mainstarted, false);
		atomic_store(&sched.stopping, 0);
		atomic_storerlx(&sched.alone, 0);
		runtime_lock(&sched.lock);
		for (int32_t i = 0; i < sched.gomaxprocs; i++)
			runtime_gfpurge(allp[i], 0);
		while (runtime_stackscavenge() > 0)
			;
		runtime_unlock(&sched.lock);
		runtime_hosted = NULL;
		sched.islibrary = false;
		runtime_notalone();
	}
	pthread_mutex_unlock(&startlock);
	return result;
}
