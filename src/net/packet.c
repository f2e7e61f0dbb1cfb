// SPDX-License-Identifier: BSD-3-Clause
// packet.c: datagrams with addresses, and descriptors that travel over Unix sockets.
#include "sockaddr.h"

enum { MAXFDS = 253 }; // the kernel's SCM_MAX_FD

enum { OPPACKETLISTEN, OPPACKETDIAL, OPRECVFROM, OPSENDTO, OPSENDFDS, OPRECVFDS };
static void packetcall_g(void *arg);

int
rt0_packet_listen_addr(const rt0_addr *addr, int flags, rt0_fd **out)
{
	FOREIGN(packetcall_g, OPPACKETLISTEN, (uintptr_t)addr, (uintptr_t)flags, (uintptr_t)out);
	if (flags & ~(RT0_REUSEPORT | RT0_V4ONLY | RT0_V6ONLY))
		return -EINVAL;
	rt0_addr to;
	struct fd like;
	int s = runtime_socketof(addr, SOCK_DGRAM, flags, true, &like, &to);
	if (s < 0)
		return s;
	long err = sys3(SYS_bind, s, &to.sa, to.len);
	if (err < 0) {
		runtime_close(s);
		return (int)err;
	}
	like.unlinks = like.family == AF_UNIX;
	err = runtime_fdmake(s, true, &like, out);
	if (err < 0) {
		if (like.unlinks)
			runtime_sockunlink(s);
		runtime_close(s);
	}
	return (int)err;
}

int
rt0_packet_listen(const char *text, int flags, rt0_fd **out)
{
	rt0_addr addr;
	int err = rt0_addr_parse(text, &addr, NULL);
	return err < 0 ? err : rt0_packet_listen_addr(&addr, flags, out);
}

int
rt0_packet_dial_addr(const rt0_addr *addr, rt0_fd **out)
{
	FOREIGN(packetcall_g, OPPACKETDIAL, (uintptr_t)addr, (uintptr_t)out);
	rt0_addr to;
	struct fd like;
	int s = runtime_socketof(addr, SOCK_DGRAM, 0, false, &like, &to);
	if (s < 0)
		return s;
	long err = sys3(SYS_connect, s, &to.sa, to.len); // never waits
	if (err < 0) {
		runtime_close(s);
		return (int)err;
	}
	return runtime_sockmake(s, &like, out);
}

int
rt0_packet_dial(const char *text, rt0_fd **out)
{
	rt0_addr addr;
	int err = rt0_addr_parse(text, &addr, NULL);
	return err < 0 ? err : rt0_packet_dial_addr(&addr, out);
}

long
rt0_recvfrom(rt0_fd *h, void *buf, size_t n, rt0_addr *from)
{
	FOREIGN(packetcall_g, OPRECVFROM, (uintptr_t)h, (uintptr_t)buf, n, (uintptr_t)from);
	int err;
	struct fd *fd = runtime_fdrwlock(h, true, &err);
	if (fd == NULL)
		return err;
	long r;
	uint32_t len = 0, *lenp = from != NULL ? &len : NULL;
	void *sa = from != NULL ? &from->sa : NULL;
	// A stream would throw the bytes away.
	int flags = fd->stream ? 0 : MSG_TRUNC;
	if (fd->pd == NULL) {
		do {
			len = sizeof from->sa;
			r = blocking(SYS_recvfrom, fd->sysfd, buf, n, flags, sa, lenp);
		} while (r == -EINTR);
	} else {
		err = fdreset(fd, POLLREAD);
		do {
			len = sizeof from->sa;
			r = sys6(SYS_recvfrom, fd->sysfd, buf, n, flags | MSG_DONTWAIT, sa, lenp);
		} while (fdretry(fd, POLLREAD, &r, &err));
	}
	runtime_fdrwunlock(fd, true);
	if (r >= 0 && from != NULL)
		runtime_addrout(from, len);
	return r;
}

long
rt0_sendto(rt0_fd *h, const void *buf, size_t n, const rt0_addr *addr)
{
	FOREIGN(packetcall_g, OPSENDTO, (uintptr_t)h, (uintptr_t)buf, n, (uintptr_t)addr);
	int err;
	struct fd *fd = runtime_fdrwlock(h, false, &err);
	if (fd == NULL)
		return err;
	long r = -EINVAL;
	rt0_addr to = {.len = 0};
	if (fd->stream || (addr != NULL && !runtime_addrin(fd, addr, &to))) {
		if (addr != NULL && addr->len != 0 && !fd->stream)
			r = -EAFNOSUPPORT;
	} else {
		void *sa = addr != NULL ? &to.sa : NULL;
		if (fd->pd == NULL) {
			do {
				r = blocking(SYS_sendto, fd->sysfd, buf, n, MSG_NOSIGNAL, sa, to.len);
			} while (r == -EINTR);
		} else {
			err = runtime_poll_reset(fd->pd, POLLWRITE);
			do {
				r = sys6(SYS_sendto, fd->sysfd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL, sa, to.len);
			} while (fdretry(fd, POLLWRITE, &r, &err));
		}
	}
	runtime_fdrwunlock(fd, false);
	return r;
}

// ---- passing descriptors ----

struct fdsmsg {
	struct cmsghdr head;
	int32_t fds[MAXFDS + 1];
};

long
rt0_send_fds(rt0_fd *h, const void *buf, size_t n, const int *fds, int nfds)
{
	FOREIGN(packetcall_g, OPSENDFDS, (uintptr_t)h, (uintptr_t)buf, n, (uintptr_t)fds, (uintptr_t)nfds);
	if (n == 0 || nfds < 0 || nfds > MAXFDS)
		return -EINVAL;
	int err;
	struct fd *fd = runtime_fdrwlock(h, false, &err);
	if (fd == NULL)
		return err;
	struct fdsmsg c = {.head = {sizeof c.head + (size_t)nfds * sizeof(int32_t), SOL_SOCKET, SCM_RIGHTS}};
	for (int i = 0; i < nfds; i++)
		c.fds[i] = fds[i];
	struct iovec v = {(void *)buf, n};
	struct msghdr m = {.iov = &v, .iovlen = 1, .control = nfds > 0 ? &c : NULL, .controllen = nfds > 0 ? c.head.len : 0};
	long r;
	if (!fd->sock) {
		r = -ENOTSOCK;
	} else if (fd->family != AF_UNIX) {
		r = -EINVAL;
	} else if (fd->pd == NULL) {
		do {
			r = blocking(SYS_sendmsg, fd->sysfd, &m, MSG_NOSIGNAL);
		} while (r == -EINTR);
	} else {
		err = runtime_poll_reset(fd->pd, POLLWRITE);
		do {
			r = sys3(SYS_sendmsg, fd->sysfd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (fdretry(fd, POLLWRITE, &r, &err));
	}
	size_t done = r > 0 ? (size_t)r : 0;
	while (r > 0 && done < n) {
		r = runtime_fdwriteonce(fd, (const char *)buf + done, n - done, -1, false);
		if (r > 0)
			done += (size_t)r;
	}
	runtime_fdrwunlock(fd, false);
	return r < 0 ? r : (long)done;
}

// takefds stores the descriptors that have come in fds, up to *nfds, and closes the others.
static void
takefds(const struct msghdr *m, const struct fdsmsg *c, int *fds, int *nfds)
{
	int room = *nfds, got = 0, n = 0;
	if (m->controllen >= sizeof c->head && c->head.level == SOL_SOCKET && c->head.type == SCM_RIGHTS && c->head.len >= sizeof c->head)
		n = (int)((c->head.len - sizeof c->head) / sizeof(int32_t));
	for (int i = 0; i < n; i++) {
		if (got < room)
			fds[got++] = c->fds[i];
		else
			runtime_close(c->fds[i]);
	}
	*nfds = got;
}

long
rt0_recv_fds(rt0_fd *h, void *buf, size_t n, int *fds, int *nfds)
{
	FOREIGN(packetcall_g, OPRECVFDS, (uintptr_t)h, (uintptr_t)buf, n, (uintptr_t)fds, (uintptr_t)nfds);
	if (*nfds < 0 || *nfds > MAXFDS)
		return -EINVAL;
	int err;
	struct fd *fd = runtime_fdrwlock(h, true, &err);
	if (fd == NULL)
		return err;
	struct fdsmsg c = {.head = {0, 0, 0}};
	struct iovec v = {buf, n};
	struct msghdr m;
	long r;
	if (fd->pd == NULL) {
		do {
			m = (struct msghdr){.iov = &v, .iovlen = 1, .control = &c, .controllen = sizeof c};
			r = blocking(SYS_recvmsg, fd->sysfd, &m, MSG_CMSG_CLOEXEC);
		} while (r == -EINTR);
	} else {
		err = fdreset(fd, POLLREAD);
		do {
			m = (struct msghdr){.iov = &v, .iovlen = 1, .control = &c, .controllen = sizeof c};
			r = sys3(SYS_recvmsg, fd->sysfd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		} while (fdretry(fd, POLLREAD, &r, &err));
	}
	runtime_fdrwunlock(fd, true);
	if (r >= 0)
		takefds(&m, &c, fds, nfds);
	else
		*nfds = 0;
	return r;
}

static void
packetcall_g(void *arg)
{
	struct fdcall *c = arg;
	uintptr_t *a = c->a;
	rt0_fd *fd = (rt0_fd *)a[0];
	switch (c->op) {
	case OPPACKETLISTEN: c->r = rt0_packet_listen_addr((const rt0_addr *)a[0], (int)a[1], (rt0_fd **)a[2]); break;
	case OPPACKETDIAL: c->r = rt0_packet_dial_addr((const rt0_addr *)a[0], (rt0_fd **)a[1]); break;
	case OPRECVFROM: c->r = rt0_recvfrom(fd, (void *)a[1], a[2], (rt0_addr *)a[3]); break;
	case OPSENDTO: c->r = rt0_sendto(fd, (const void *)a[1], a[2], (const rt0_addr *)a[3]); break;
	case OPSENDFDS: c->r = rt0_send_fds(fd, (const void *)a[1], a[2], (const int *)a[3], (int)a[4]); break;
	case OPRECVFDS: c->r = rt0_recv_fds(fd, (void *)a[1], a[2], (int *)a[3], (int *)a[4]); break;
	}
}
