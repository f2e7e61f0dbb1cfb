// SPDX-License-Identifier: BSD-3-Clause
// netpoll_epoll.c: the kernel's side of the poller: one epoll instance, edge-triggered, and an eventfd that
// ends another thread's wait.
//
// It is made by the first timer or descriptor: m without work sleep in it until the next timer, even
// where no descriptor is watched. epoll_pwait2 takes ns; kernels before 5.11 have epoll_wait, in ms.
#include "../../runtime.h"
#include "linux.h"

enum { NEVENTS = 128 };

static struct mutex initlock; // a leaf
static int32_t epfd = -1, eventfd = -1;
static uint32_t inited;   // atomic: release after epfd and eventfd
static uint32_t breaking; // atomic: the eventfd has been written and not been read
static uint32_t nopwait2; // atomic: this kernel has no epoll_pwait2

bool
runtime_netpollinited(void)
{
	return atomic_loadacq(&inited) != 0;
}

// makepoller is called with initlock. 0, or a negative errno: *call has failed, and nothing is left of it.
static long
makepoller(const char **call)
{
	*call = "epollcreate";
	long ep = sys1(SYS_epoll_create1, EPOLL_CLOEXEC);
	if (ep < 0)
		return ep;
	*call = "eventfd";
	long ev = sys2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK), err = ev;
	struct epoll_event e = {EPOLLIN, (uintptr_t)&eventfd};
	if (ev >= 0) {
		*call = "epollctl";
		err = sys4(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, ev, &e);
	}
	if (err < 0) {
		if (ev >= 0)
			runtime_close((int)ev);
		runtime_close((int)ep);
		return err;
	}
	epfd = (int32_t)ep;
	eventfd = (int32_t)ev;
	atomic_storerlx(&sched.lastpoll, runtime_nanotime());
	atomic_storerel(&inited, 1);
	return 0;
}

static long
tryinit(const char **call)
{
	if (runtime_netpollinited())
		return 0;
	runtime_lock(&initlock);
	long err = inited ? 0 : makepoller(call);
	runtime_unlock(&initlock);
	return err;
}

int
runtime_netpolltry(void)
{
	const char *call;
	return (int)tryinit(&call);
}

void
runtime_netpollinit(void)
{
	const char *call;
	long err = tryinit(&call);
	if (err < 0) {
		runtime_print("runtime: %s failed with %ld\n", call, -err);
		runtime_throw("runtime: netpollinit failed");
	}
}

// netpollforked: the child of a fork shares its parent's instance, and must not take its events. It gets one of
// its own if it is a runtime like its parent: at once for what is watched, otherwise when it comes to sleep, by
// when a daemon has closed all descriptors that it does not know. One thread.
void
runtime_netpollforked(void)
{
	if (!inited)
		return;
	runtime_close(epfd);
	runtime_close(eventfd);
	runtime_posixforked();
	inited = breaking = 0;
	initlock.key = 0;
	if (sched.grown == 0 && !runtime_forked) {
		runtime_uringforked(getg()->m->p);
		runtime_pollforked();
	}
}

int
runtime_netpollopen(int fd, struct polldesc *pd)
{
	int err = runtime_netpolltry();
	if (err < 0)
		return err;
	struct epoll_event e = {EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, runtime_netpolltag(pd)};
	return (int)sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, fd, &e);
}

// netpollctl is for posix.c, whose tags have their highest bit set, and for uring_linux.c: the two highest.
int
runtime_netpollctl(int op, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event e = {events, tag};
	return (int)sys4(SYS_epoll_ctl, epfd, op, fd, &e);
}

int
runtime_netpollclose(int fd)
{
	struct epoll_event e = {0, 0};
	return (int)sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_DEL, fd, &e);
}

void
runtime_netpollbreak(void)
{
	if (!runtime_netpollinited() || !atomic_cas(&breaking, 0, 1))
		return; // it is on its way
	uint64_t one = 1;
	for (;;) {
		long n = runtime_write(eventfd, &one, sizeof one);
		if (n == sizeof one || n == -EAGAIN)
			return;
		if (n != -EINTR) {
			runtime_print("runtime: netpollBreak write failed with %ld\n", -n);
			runtime_throw("runtime: netpollBreak write failed");
		}
	}
}

static long
epollwait(struct epoll_event *ev, int64_t delay)
{
	if (delay <= 0 || atomic_loadrlx(&nopwait2))
		goto ms;
	struct timespec ts = {delay / SEC, delay % SEC};
	long n = sys6(SYS_epoll_pwait2, epfd, ev, NEVENTS, &ts, NULL, 0);
	if (n != -ENOSYS && n != -EPERM)
		return n;
	atomic_storerlx(&nopwait2, 1);
ms:;
	int64_t ms = delay < 0 ? -1 : delay / MS + (delay % MS != 0); // not early
	if (ms > INT32_MAX)
		ms = INT32_MAX;
	return sys4(SYS_epoll_wait, epfd, ev, NEVENTS, ms);
}

int32_t
runtime_netpoll(int64_t delay, struct gqueue *q)
{
	struct epoll_event ev[NEVENTS];
	if (!runtime_netpollinited())
		return 0;
	long n = epollwait(ev, delay);
	if (n < 0) {
		if (n == -EINTR)
			return 0; // who waits looks at the time again
		runtime_print("runtime: epollwait on fd %d failed with %ld\n", epfd, -n);
		runtime_throw("runtime: netpoll failed");
	}
	int32_t ready = 0;
	for (long i = 0; i < n; i++) {
		uint32_t e = ev[i].events;
		if (ev[i].data == (uintptr_t)&eventfd) {
			// A look in passing (delay 0) leaves it to who sleeps.
			if (delay != 0) {
				uint64_t count;
				runtime_read(eventfd, &count, sizeof count);
				atomic_store(&breaking, 0);
			}
			continue;
		}
		if (unlikely(ev[i].data >> 63)) { // not the address of a polldesc
			ready += ev[i].data >= URINGTAG ? runtime_uringevent(q, ev[i].data) : runtime_posixevent(q, ev[i].data, e);
			continue;
		}
		int mode = 0;
		if (e & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			mode += POLLREAD;
		if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			mode += POLLWRITE;
		bool hup = (e & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
		if (mode != 0)
			ready += runtime_netpollevent(q, ev[i].data, mode, hup);
	}
	if (ready > 0)
		atomic_xadd(&sched.npollwait, -ready);
	return ready;
}
