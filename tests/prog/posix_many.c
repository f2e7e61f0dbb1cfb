// 1,000 goroutines block in read, on pipes and sockets, on a handful of threads; and in everything else that parks.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rt0.h>

#include "../harness/proc.h"

enum { N = 1000, MAXTHREADS = 16 };

static int fds[N][2], ready, done;
static rt0_waitgroup wg;

static void
reader(void *arg)
{
	int i = (int)(long)arg, fd = fds[i][0], ok = 1;
	char c = 0;
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	switch (i % 5) {
	case 0: case 1: break;
	case 2: {
		struct pollfd p = {fd, POLLIN, 0};
		ok = poll(&p, 1, -1) == 1;
		break;
	}
	case 3: {
		int ep = epoll_create1(0);
		struct epoll_event ev = {EPOLLIN, {0}};
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
		ok = epoll_wait(ep, &ev, 1, -1) == 1;
		close(ep);
		break;
	}
	case 4: {
		// A set that is longer than FD_SETSIZE.
		unsigned long set[64] = {0};
		set[fd / 64] |= 1ul << fd % 64;
		ok = select(fd + 1, (void *)set, NULL, NULL, NULL) == 1 && (set[fd / 64] >> fd % 64 & 1);
	}
	}
	if (!ok || read(fd, &c, 1) != 1 || c != 'a' + i % 26) {
		fprintf(stderr, "goroutine %d: '%c', errno %d\n", i, c, errno);
		_exit(1);
	}
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
	rt0_waitgroup_done(&wg);
}

int
main(void)
{
	rt0_waitgroup_add(&wg, N);
	for (int i = 0; i < N; i++) {
		if ((i % 2 ? pipe(fds[i]) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i])) < 0) {
			fprintf(stderr, "%s\n", strerror(errno));
			return 77;
		}
		rt0_go(reader, (void *)(long)i);
	}
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < N)
		usleep(1000);
	usleep(50000);
	int n = proc_threads();
	if (__atomic_load_n(&done, __ATOMIC_SEQ_CST) != 0)
		return 1;
	for (int i = 0; i < N; i++) {
		char c = (char)('a' + i % 26);
		if (write(fds[i][1], &c, 1) != 1)
			return 1;
	}
	rt0_waitgroup_wait(&wg);
	int m = proc_threads();
	printf("%d threads or less: %s\n", MAXTHREADS, n <= MAXTHREADS && m <= MAXTHREADS ? "yes" : "no");
	if (n > MAXTHREADS || m > MAXTHREADS)
		fprintf(stderr, "%d, then %d threads\n", n, m);
	return n > MAXTHREADS || m > MAXTHREADS;
}
