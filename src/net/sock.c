// SPDX-License-Identifier: BSD-3-Clause
// sock.c: connections: listen, accept, dial, and the two ends.
//
// Rules as in Go's net package. A wildcard address listens for both families on one IPv6 socket; any other
// IPv6 address only for IPv6. Listeners have SO_REUSEADDR and the longest backlog that the system
// allows. TCP connections have TCP_NODELAY and keep-alive (15 s, 15 s, 9 probes); those of a listener
// inherit that from it, at no cost for each.
//
// Accept in trouble (EMFILE and its kin): the connection stays in the backlog and makes no further edge, so
// accept itself comes back: after 5 ms, 10 ms... 1 s, with the read lock held, so that only one of many who
// accept does. It waits in the polldesc for writing, which a listener never is, so that close ends it.
#include "lookup.h"
#include "sockaddr.h"

enum { BACKOFFMIN_MS = 5, BACKOFFMAX_MS = 1000, KEEPALIVE_S = 15, KEEPALIVEPROBES = 9 };

enum { OPLISTEN, OPACCEPT, OPDIAL, OPSHUTDOWN, OPLOCAL, OPPEER, OPSETOPT, OPGETOPT, OPPAIR };
static void sockcall_g(void *arg);

static int
setint(int s, int level, int name, int32_t value)
{
	return (int)sys6(SYS_setsockopt, s, level, name, &value, sizeof value, 0);
}

// ---- addresses and sockets ----

static bool
zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void
setipv4(rt0_addr *a, const uint8_t ip[4], uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->sa;
	uint8_t host[4];
	runtime_memmove(host, ip, 4); // ip may lie in a
	runtime_memclr(a, sizeof *a);
	a->len = sizeof *in;
	in->family = AF_INET;
	in->port = port;
	runtime_memmove(in->addr, host, 4);
}

static void
setipv6(rt0_addr *a, const uint8_t ip[16], uint16_t port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->sa;
	uint8_t host[16];
	runtime_memmove(host, ip, 16);
	runtime_memclr(a, sizeof *a);
	a->len = sizeof *in6;
	in6->family = AF_INET6;
	in6->port = port;
	runtime_memmove(in6->addr, host, 16);
}

void
runtime_addrout(rt0_addr *a, uint32_t len)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->sa;
	a->len = (uint16_t)(len < sizeof a->sa ? len : sizeof a->sa);
	a->any = false;
	if (a->len >= sizeof *in6 && in6->family == AF_INET6 && runtime_ismapped(in6->addr))
		setipv4(a, in6->addr + 12, in6->port);
}

bool
runtime_addrin(const struct fd *fd, const rt0_addr *addr, rt0_addr *to)
{
	static const uint8_t loopback4[4] = {127, 0, 0, 1};
	*to = *addr;
	if (addr->len == 0)
		return false;
	uint16_t port = ((const struct sockaddr_in *)&addr->sa)->port;
	if (to->any)
		setipv4(to, loopback4, port);
	if (fd->family == AF_INET6 && to->sa.family == AF_INET) {
		uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
		runtime_memmove(ip + 12, ((const struct sockaddr_in *)&to->sa)->addr, 4);
		setipv6(to, ip, port);
	}
	return to->sa.family == fd->family;
}

int
runtime_socketof(const rt0_addr *addr, int type, int flags, bool listening, struct fd *like, rt0_addr *to)
{
	static const uint8_t any[16], loopback4[4] = {127, 0, 0, 1}, loopback6[16] = {[15] = 1};
	*to = *addr;
	if (addr->len < sizeof addr->sa.family || addr->len > sizeof addr->sa)
		return -EINVAL;
	if ((flags & RT0_V4ONLY) && (flags & RT0_V6ONLY))
		return -EINVAL;
	struct sockaddr_in *in = (struct sockaddr_in *)&to->sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to->sa;
	bool both = false;
	switch (addr->sa.family) {
	case AF_INET6:
		if (!addr->any && runtime_ismapped(in6->addr))
			setipv4(to, in6->addr + 12, in6->port);
		break;
	case AF_INET:
		break;
	case AF_UNIX:
		if (flags & (RT0_REUSEPORT | RT0_V4ONLY | RT0_V6ONLY))
			return -EINVAL;
		break;
	default:
		return -EAFNOSUPPORT;
	}
	int family = to->sa.family;
	if (family != AF_UNIX) {
		uint16_t port = in->port;
		bool wild = family == AF_INET ? zero(in->addr, 4) : zero(in6->addr, 16);
		if (addr->any || (wild && listening && !(flags & (RT0_V4ONLY | RT0_V6ONLY)))) {
			both = !(flags & (RT0_V4ONLY | RT0_V6ONLY));
			family = (flags & RT0_V4ONLY) || (!listening && both) ? AF_INET : AF_INET6;
			wild = true;
		}
		if ((family == AF_INET && (flags & RT0_V6ONLY)) || (family == AF_INET6 && (flags & RT0_V4ONLY)))
			return -EINVAL;
		if (wild && family == AF_INET)
			setipv4(to, listening ? any : loopback4, port);
		else if (wild)
			setipv6(to, listening ? any : loopback6, port);
		both = both && listening;
	}
	int s = (int)sys3(SYS_socket, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (both && (s == -EAFNOSUPPORT || s == -EPROTONOSUPPORT)) { // no IPv6 here
		setipv4(to, any, in->port);
		both = false;
		family = AF_INET;
		s = (int)sys3(SYS_socket, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (s < 0)
		return s;
	int err = 0;
	if (family == AF_INET6)
		err = setint(s, IPPROTO_IPV6, IPV6_V6ONLY, !both);
	if (err == 0 && type == SOCK_DGRAM && family != AF_UNIX)
		err = setint(s, SOL_SOCKET, SO_BROADCAST, 1);
	if (err == 0 && listening && type != SOCK_DGRAM && family != AF_UNIX)
		err = setint(s, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err == 0 && (flags & RT0_REUSEPORT))
		err = setint(s, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err == 0 && type == SOCK_STREAM && family != AF_UNIX) {
		// Not worth failing for.
		setint(s, IPPROTO_TCP, TCP_NODELAY, 1);
		setint(s, SOL_SOCKET, SO_KEEPALIVE, 1);
		setint(s, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
		setint(s, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S);
		setint(s, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVEPROBES);
	}
	if (err < 0) {
		runtime_close(s);
		return err;
	}
	*like = (struct fd){.sock = true, .stream = type == SOCK_STREAM, .family = (uint8_t)family};
	like->hint = type == SOCK_STREAM && family != AF_UNIX;
	return s;
}

void
runtime_sockunlink(int s)
{
	struct sockaddr_un un;
	uint32_t len = sizeof un;
	runtime_memclr(&un, sizeof un);
	if (sys3(SYS_getsockname, s, &un, &len) < 0 || un.family != AF_UNIX || un.path[0] == 0)
		return;
	char path[sizeof un.path + 1];
	runtime_memmove(path, un.path, sizeof un.path);
	path[sizeof un.path] = 0;
	blocking(SYS_unlink, path);
}

int
runtime_sockmake(int s, const struct fd *like, rt0_fd **out)
{
	int err = runtime_fdmake(s, true, like, out);
	if (err < 0)
		runtime_close(s);
	return err;
}

// ---- listen ----

int
rt0_listen_addr(const rt0_addr *addr, int flags, rt0_fd **out)
{
	FOREIGN(sockcall_g, OPLISTEN, (uintptr_t)addr, (uintptr_t)flags, (uintptr_t)out);
	if (flags & ~(RT0_REUSEPORT | RT0_V4ONLY | RT0_V6ONLY | RT0_SEQPACKET))
		return -EINVAL;
	bool packets = (flags & RT0_SEQPACKET) != 0;
	if (packets && (addr->len == 0 || addr->sa.family != AF_UNIX))
		return -EINVAL;
	rt0_addr to;
	struct fd like;
	int s = runtime_socketof(addr, packets ? SOCK_SEQPACKET : SOCK_STREAM, flags, true, &like, &to);
	if (s < 0)
		return s;
	long err = sys3(SYS_bind, s, &to.sa, to.len);
	if (err < 0)
		goto fail;
	like.unlinks = like.family == AF_UNIX;
	like.listener = true;
	err = sys2(SYS_listen, s, INT32_MAX); // the kernel makes somaxconn of it
	if (err < 0)
		goto bound;
	err = runtime_fdmake(s, true, &like, out);
	if (err == 0)
		return 0;
bound:
	if (like.unlinks)
		runtime_sockunlink(s);
fail:
	runtime_close(s);
	return (int)err;
}

// ---- accept ----

static void (*accepttrouble)(rt0_fd *, int, int64_t); // atomic

void
rt0_set_accept_trouble(void (*fn)(rt0_fd *listener, int err, int64_t delay_ns))
{
	atomic_storerel(&accepttrouble, fn);
}

static void
trouble(struct fd *fd, rt0_fd *h, int err, int64_t delay)
{
	void (*fn)(rt0_fd *, int, int64_t) = atomic_loadacq(&accepttrouble);
	if (fn != NULL) {
		fn(h, err, delay);
		return;
	}
	if (fd->told)
		return;
	fd->told = true;
	rt0_addr a;
	char text[RT0_ADDR_TEXT];
	runtime_memclr(&a, sizeof a);
	if (rt0_local_addr(h, &a) < 0)
		return;
	runtime_print("rt0: accept on %s: %s; trying again as long as it takes\n", rt0_addr_format(&a, text, sizeof text),
	    err == -EMFILE ? "too many open files (ulimit -n)" : err == -ENFILE ? "too many open files in the system" : "no memory in the kernel");
}

// backoff waits for delay; -ECANCELED: closed meanwhile; -ETIMEDOUT: the read deadline is over.
//
// It waits for the listener's write deadline, which nobody else uses. Who sets the read deadline makes that
// one be over, after that: so either we see the new one when we look for the second time, or our wait ends.
static int
backoff(struct fd *fd, int64_t delay)
{
	if (fd->pd == NULL) {
		rt0_sleep(delay);
		return 0;
	}
	for (int64_t end = rt0_nanotime() + delay;;) {
		int64_t d = runtime_poll_deadline(fd->pd), now = rt0_nanotime();
		if (d <= now)
			return -ETIMEDOUT;
		if (end <= now)
			return 0;
		runtime_poll_set_deadline(fd->pd, d < end ? d : end, POLLWRITE);
		if (runtime_poll_deadline(fd->pd) == d && runtime_poll_wait(fd->pd, POLLWRITE) == POLL_CLOSING)
			return -ECANCELED;
	}
}

// gone is whether accept's error is that of a connection which has ended while it waited.
static bool
gone(long err)
{
	switch (-err) {
	case ECONNABORTED:
	case ECONNRESET:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return true;
	}
	return false;
}

int
rt0_accept(rt0_fd *h, rt0_fd **out, rt0_addr *peer)
{
	FOREIGN(sockcall_g, OPACCEPT, (uintptr_t)h, (uintptr_t)out, (uintptr_t)peer);
	int err;
	struct fd *fd = runtime_fdrwlock(h, true, &err);
	if (fd == NULL)
		return err;
	long r = fd->sock ? -EINVAL : -ENOTSOCK;
	uint32_t len = 0;
	for (int64_t delay = BACKOFFMIN_MS * MS; fd->listener;) {
		int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
		uint32_t *lenp = peer != NULL ? &len : NULL;
		void *sa = peer != NULL ? &peer->sa : NULL;
		if (fd->pd == NULL) {
			len = sizeof peer->sa;
			r = blocking(SYS_accept4, fd->sysfd, sa, lenp, flags);
			if (r == -EINTR)
				continue;
		} else {
			err = fdreset(fd, POLLREAD);
			do {
				len = sizeof peer->sa;
				r = sys4(SYS_accept4, fd->sysfd, sa, lenp, flags);
			} while (fdretry(fd, POLLREAD, &r, &err));
		}
		if (gone(r))
			continue;
		if (r != -EMFILE && r != -ENFILE && r != -ENOBUFS && r != -ENOMEM)
			break;
		if (err == POLL_TIMEOUT) {
			r = -ETIMEDOUT;
			break;
		}
		trouble(fd, h, (int)r, delay);
		err = backoff(fd, delay);
		if (err < 0) {
			r = err;
			break;
		}
		delay = delay * 2 < BACKOFFMAX_MS * MS ? delay * 2 : BACKOFFMAX_MS * MS;
	}
	if (r >= 0) {
		const struct fd like = {.sock = true, .stream = fd->stream, .family = fd->family, .hint = atomic_loadrlx(&fd->hint)};
		if (peer != NULL)
			runtime_addrout(peer, len);
		r = runtime_sockmake((int)r, &like, out);
	}
	runtime_fdrwunlock(fd, true);
	return (int)r;
}

// ---- dial ----

// selfconnected: a dial of a free local port in the range that the kernel takes ports from may meet itself.
static bool
selfconnected(int s, const rt0_addr *peer)
{
	rt0_addr me;
	uint32_t len = sizeof me.sa;
	if (sys3(SYS_getsockname, s, &me.sa, &len) < 0 || len != peer->len)
		return false;
	return __builtin_memcmp(&me.sa, &peer->sa, len) == 0;
}

// connect connects the socket s, which becomes a handle: then *out is set, also if it fails after that. d: NULL, or
// by which others can end it.
static int
connect(int s, const rt0_addr *to, const struct fd *like, int64_t deadline, struct dialing *d, rt0_fd **out)
{
	long r;
	for (int64_t nap = MS;;) {
		r = sys3(SYS_connect, s, &to->sa, to->len);
		if (r != -EAGAIN)
			break;
		// A Unix socket whose backlog is full; nothing tells when it is not.
		if (rt0_nanotime() >= deadline || (d != NULL && atomic_load(&d->cancelled)))
			return -ETIMEDOUT;
		rt0_sleep_until(rt0_nanotime() + nap < deadline ? rt0_nanotime() + nap : deadline);
		nap = nap < 50 * MS ? nap * 2 : nap;
	}
	if (r < 0 && r != -EINPROGRESS && r != -EALREADY && r != -EINTR && r != -EISCONN)
		return (int)r;
	// Watched only now: a socket that is not connected makes an event of its own.
	rt0_fd *h;
	int err = runtime_fdmake(s, true, like, &h);
	if (err < 0)
		return err;
	*out = h;
	struct fd *fd = runtime_fdincref(h, &err);
	bool wait = r < 0 && r != -EISCONN;
	if (wait)
		runtime_poll_set_deadline(fd->pd, deadline, POLLWRITE);
	if (wait && d != NULL) {
		atomic_store(&d->fd, h); // see struct dialing
		if (atomic_load(&d->cancelled))
			runtime_poll_set_deadline(fd->pd, 1, POLLWRITE);
	}
	while (wait) {
		err = runtime_pollerr(runtime_poll_wait(fd->pd, POLLWRITE));
		if (err < 0)
			break;
		int32_t v = 0;
		uint32_t len = sizeof v;
		r = sys6(SYS_getsockopt, s, SOL_SOCKET, SO_ERROR, &v, &len, 0);
		err = r < 0 ? (int)r : -v;
		if (err == -EINPROGRESS || err == -EALREADY || err == -EINTR)
			continue;
		if (err < 0)
			break;
		rt0_addr peer;
		len = sizeof peer.sa;
		r = sys3(SYS_getpeername, s, &peer.sa, &len);
		if (r == -ENOTCONN)
			continue; // woken for no reason
		if (r < 0)
			err = (int)r;
		break;
	}
	if (wait && err == 0)
		runtime_poll_set_deadline(fd->pd, INT64_MAX, POLLWRITE);
	if (!wait)
		err = 0;
	runtime_fddecref(fd);
	return err;
}

void
runtime_dialcancel(struct dialing *d)
{
	atomic_store(&d->cancelled, 1);
	rt0_fd *fd = atomic_load(&d->fd);
	if (fd != NULL)
		rt0_fd_set_deadline(fd, 0);
}

int
rt0_dial_addr(const rt0_addr *addr, int flags, int64_t deadline, rt0_fd **out)
{
	FOREIGN(sockcall_g, OPDIAL, (uintptr_t)addr, (uintptr_t)flags, (uintptr_t)deadline, (uintptr_t)out);
	return runtime_dialaddr(addr, flags, deadline, NULL, out);
}

int
runtime_dialaddr(const rt0_addr *addr, int flags, int64_t deadline, struct dialing *d, rt0_fd **out)
{
	if (flags & ~(RT0_V4ONLY | RT0_V6ONLY | RT0_SEQPACKET))
		return -EINVAL;
	bool packets = (flags & RT0_SEQPACKET) != 0;
	if (packets && (addr->len == 0 || addr->sa.family != AF_UNIX))
		return -EINVAL;
	int err = -ECONNREFUSED;
	for (int tries = 0; tries < 3; tries++) {
		rt0_addr to;
		struct fd like;
		int s = runtime_socketof(addr, packets ? SOCK_SEQPACKET : SOCK_STREAM, flags, false, &like, &to);
		if (s < 0)
			return s;
		rt0_fd *h = NULL;
		err = connect(s, &to, &like, deadline, d, &h);
		if (err == 0 && (like.family == AF_UNIX || !selfconnected(s, &to))) {
			*out = h;
			return 0;
		}
		if (h != NULL)
			rt0_fd_close(h);
		else
			runtime_close(s);
		if (err < 0)
			break;
		err = -ECONNREFUSED;
	}
	return err;
}

int
rt0_socketpair(int flags, rt0_fd *fds[2])
{
	FOREIGN(sockcall_g, OPPAIR, (uintptr_t)flags, (uintptr_t)fds);
	int32_t s[2];
	if (flags & ~RT0_SEQPACKET)
		return -EINVAL;
	int type = flags & RT0_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
	long err = sys4(SYS_socketpair, AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s);
	if (err < 0)
		return (int)err;
	const struct fd like = {.sock = true, .stream = type == SOCK_STREAM, .family = AF_UNIX};
	rt0_fd *h[2];
	err = runtime_sockmake(s[0], &like, &h[0]);
	if (err < 0) {
		runtime_close(s[1]);
		return (int)err;
	}
	err = runtime_sockmake(s[1], &like, &h[1]);
	if (err < 0) {
		rt0_fd_close(h[0]);
		return (int)err;
	}
	fds[0] = h[0];
	fds[1] = h[1];
	return 0;
}

// ---- both ends, and options ----

static int
shutdown(rt0_fd *h, int how)
{
	FOREIGN(sockcall_g, OPSHUTDOWN, (uintptr_t)h, (uintptr_t)how);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	err = (int)sys2(SYS_shutdown, fd->sysfd, how);
	runtime_fddecref(fd);
	return err;
}

int
rt0_close_read(rt0_fd *fd)
{
	return shutdown(fd, 0);
}

int
rt0_close_write(rt0_fd *fd)
{
	return shutdown(fd, 1);
}

static int
nameof(rt0_fd *h, long nr, rt0_addr *addr)
{
	FOREIGN(sockcall_g, nr == SYS_getsockname ? OPLOCAL : OPPEER, (uintptr_t)h, (uintptr_t)addr);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	uint32_t len = sizeof addr->sa;
	err = (int)sys3(nr, fd->sysfd, &addr->sa, &len);
	runtime_fddecref(fd);
	if (err == 0)
		runtime_addrout(addr, len);
	return err;
}

int
rt0_local_addr(rt0_fd *fd, rt0_addr *addr)
{
	return nameof(fd, SYS_getsockname, addr);
}

int
rt0_peer_addr(rt0_fd *fd, rt0_addr *addr)
{
	return nameof(fd, SYS_getpeername, addr);
}

// setopt: own: one that we know.
static int
setopt(rt0_fd *h, int level, int name, const void *value, unsigned len, bool own)
{
	FOREIGN(sockcall_g, OPSETOPT, (uintptr_t)h, (uintptr_t)level, (uintptr_t)name, (uintptr_t)value, len, own);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	if (!own)
		atomic_storerlx(&fd->hint, false);
	err = (int)sys6(SYS_setsockopt, fd->sysfd, level, name, value, len, 0);
	runtime_fddecref(fd);
	return err;
}

int
rt0_setsockopt(rt0_fd *fd, int level, int name, const void *value, unsigned len)
{
	return setopt(fd, level, name, value, len, false);
}

int
rt0_getsockopt(rt0_fd *h, int level, int name, void *value, unsigned *len)
{
	FOREIGN(sockcall_g, OPGETOPT, (uintptr_t)h, (uintptr_t)level, (uintptr_t)name, (uintptr_t)value, (uintptr_t)len);
	int err;
	struct fd *fd = runtime_fdincref(h, &err);
	if (fd == NULL)
		return err;
	err = (int)sys6(SYS_getsockopt, fd->sysfd, level, name, value, len, 0);
	runtime_fddecref(fd);
	return err;
}

int
rt0_set_nodelay(rt0_fd *fd, bool on)
{
	int32_t v = on;
	return setopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof v, true);
}

int
rt0_set_keepalive(rt0_fd *fd, int idle_s, int interval_s, int probes)
{
	int32_t on = idle_s >= 0, v[3] = {idle_s, interval_s, probes};
	static const int name[3] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT};
	if (interval_s < 0 || probes < 0)
		return -EINVAL;
	int err = setopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on, true);
	for (int i = 0; i < 3 && err == 0 && on; i++)
		if (v[i] > 0)
			err = setopt(fd, IPPROTO_TCP, name[i], &v[i], sizeof v[i], true);
	return err;
}

int
rt0_set_linger(rt0_fd *fd, int seconds)
{
	int32_t v[2] = {seconds >= 0, seconds >= 0 ? seconds : 0};
	return setopt(fd, SOL_SOCKET, SO_LINGER, v, sizeof v, true);
}

static void
sockcall_g(void *arg)
{
	struct fdcall *c = arg;
	uintptr_t *a = c->a;
	rt0_fd *fd = (rt0_fd *)a[0];
	switch (c->op) {
	case OPLISTEN: c->r = rt0_listen_addr((const rt0_addr *)a[0], (int)a[1], (rt0_fd **)a[2]); break;
	case OPACCEPT: c->r = rt0_accept(fd, (rt0_fd **)a[1], (rt0_addr *)a[2]); break;
	case OPDIAL: c->r = rt0_dial_addr((const rt0_addr *)a[0], (int)a[1], (int64_t)a[2], (rt0_fd **)a[3]); break;
	case OPSHUTDOWN: c->r = shutdown(fd, (int)a[1]); break;
	case OPLOCAL: c->r = rt0_local_addr(fd, (rt0_addr *)a[1]); break;
	case OPPEER: c->r = rt0_peer_addr(fd, (rt0_addr *)a[1]); break;
	case OPSETOPT: c->r = setopt(fd, (int)a[1], (int)a[2], (const void *)a[3], (unsigned)a[4], a[5] != 0); break;
	case OPGETOPT: c->r = rt0_getsockopt(fd, (int)a[1], (int)a[2], (void *)a[3], (unsigned *)a[4]); break;
	case OPPAIR: c->r = rt0_socketpair((int)a[0], (rt0_fd **)a[1]); break;
	}
}
