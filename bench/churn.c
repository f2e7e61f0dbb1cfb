// SPDX-License-Identifier: BSD-3-Clause
// churn.c: the part of the load generator that opens and drops connections: what a server must
// survive.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
	maxsend = 4096,      // of a connection in one call
	deaf_send = 1 << 20, // what a peer that does not read sends at most
	patience_ms = 20000, // a connection on which nothing moves for longer is a failure
	tick_ms = 2,         // how often connections that wait for a time are looked at
	leak_ms = 30000,     // how long the server has to close its descriptors: keep-alive ends `vanish`
	portless = 64,       // connections from one source address before the next one
};

// A kind says what a connection does. Where `verified`, all that was sent must come back (or, with
// -H, an HTTP answer must come), and the server must not reset it.
enum { polite, reset, resetmid, half, garbage, loris, deaf, silent, vanish, nkinds };
static const struct {
	const char *name;
	bool verified;
} kinds[nkinds] = {
    [polite] = {"polite", true},      // some requests with answers, then close
    [reset] = {"reset", false},       // connect, reset
    [resetmid] = {"resetmid", false}, // a request, then reset before its answer is read
    [half] = {"half", true},          // a request, half close, the answer, end of file
    [garbage] = {"garbage", false},   // random bytes; to an echo server that is one more request
    [loris] = {"loris", false},       // a request of one byte at a time; some give up in the middle
    [deaf] = {"deaf", false},         // sends and does not read, then resets
    [silent] = {"silent", false},     // connects, waits, closes
    [vanish] = {"vanish", false},     // a request, then is gone without a word; only if -k picks it
};
static const char httpreq[] = "GET / HTTP/1.1\r\nHost: load\r\n\r\n";
static const char httpok[] = "HTTP/1.1 200";

static struct {
	long opened, ended[nkinds], verified, dropped, noport;
} seen;
static int churnep;

// progress: bytes go one way or the other, so the server is not stuck.
static void
progress(struct conn *c)
{
	c->deadline = now() + (int64_t)patience_ms * 1000000;
}

static void
finish(struct conn *c, bool byreset)
{
	struct linger now = {1, 0};

	if (byreset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(c->fd);
	c->fd = -1;
	seen.ended[c->kind]++;
}

// gone: the server ended the connection, by an error or an end of file before its time.
static void
gone(struct conn *c, const char *how)
{
	if (kinds[c->kind].verified)
		die("%s: %s, %u bytes sent, %u received", kinds[c->kind].name, how, c->sent,
		    c->got);
	seen.dropped++;
	finish(c, false);
}

// begin opens a connection. Its source is one of many addresses, or the ports of one would be used
// up by connections that are in TIME_WAIT.
static void
begin(struct conn *c)
{
	struct sockaddr_in src = {.sin_family = AF_INET};
	struct epoll_event ev = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
	uint32_t host = (uint32_t)(seen.opened / portless % 0xfff000);
	int one = 1, k;

	do
		k = between(0, nkinds - 1);
	while (opt.kinds ? !(opt.kinds >> k & 1) : k == vanish);
	*c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	c->kind = k;
	c->start = (uint32_t)rng() % noise_size;
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	src.sin_addr.s_addr = htonl(0x7f000002 + host);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	if ((ntohl(opt.addr.sin_addr.s_addr) >> 24) == 127)
		bind(c->fd, (struct sockaddr *)&src, sizeof src);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (struct sockaddr *)&opt.addr, sizeof opt.addr) != 0 &&
	    errno != EINPROGRESS) {
		close(c->fd);
		c->fd = -1;
		if (errno != EADDRNOTAVAIL)
			die("connect: %s", strerror(errno));
		seen.noport++; // the next tick tries again
		return;
	}
	seen.opened++;
	progress(c);
	switch (k) {
	case polite:
		c->total = (uint32_t)between(1, 8) * msgsize;
		break;
	case resetmid:
	case vanish:
		c->total = (uint32_t)between(1, msgsize);
		break;
	case half:
		c->total = (uint32_t)between(1, 8) * msgsize;
		break;
	case garbage:
		c->total = (uint32_t)between(1, maxsend);
		break;
	case loris:
		c->total = msgsize;
		break;
	case deaf:
		c->total = deaf_send;
		break;
	case silent:
		c->due = now() + (int64_t)between(0, 200) * 1000000;
		break;
	}
	if (opt.http && (k == polite || k == half || k == loris))
		c->total = sizeof httpreq - 1;
	if (epoll_ctl(churnep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

// input reads all there is; false: the connection has ended here or at the server.
static bool
input(struct conn *c)
{
	unsigned char in[maxsend];
	ssize_t n;

	for (;;) {
		n = recv(c->fd, in, sizeof in, 0);
		if (n < 0)
			break;
		if (n == 0) {
			if (opt.http ? c->got > 0 : c->shut && c->got == c->total) {
				seen.verified++;
				finish(c, false);
			} else
				gone(c, "the server closed the connection");
			return false;
		}
		progress(c);
		if (opt.http) {
			// Answers are longer than what they begin with, and come in one piece.
			if (kinds[c->kind].verified && c->got == 0 &&
			    ((size_t)n < sizeof httpok ||
				memcmp(in, httpok, sizeof httpok - 1) != 0))
				die("%s: not an answer of status 200: %.*s", kinds[c->kind].name,
				    (int)n, in);
			c->got += (uint32_t)n;
		} else if (c->got + (uint32_t)n > c->sent)
			die("%s: the server sent more than it received", kinds[c->kind].name);
		else
			compare(c, in, n);
	}
	if (errno == EAGAIN || errno == EINTR)
		return true;
	gone(c, strerror(errno));
	return false;
}

// output sends what the kind wants to send now; false: the connection has ended.
static bool
output(struct conn *c)
{
	bool http = opt.http && (c->kind == polite || c->kind == half || c->kind == loris);
	uint32_t want = c->total - c->sent;
	ssize_t n;

	if (c->kind == polite && !opt.http)
		want = c->sent == c->got && want > 0 ? msgsize : 0;
	if (c->kind == loris && want > 0)
		want = 1;
	if (want > maxsend)
		want = maxsend;
	if (want == 0)
		return true;
	n = send(c->fd, http ? (const void *)(httpreq + c->sent) : bytes(c, c->sent), want,
	    MSG_NOSIGNAL);
	if (n > 0) {
		c->sent += (uint32_t)n;
		progress(c);
		if (c->kind == loris)
			c->due = now() + (int64_t)between(1, 20) * 1000000;
		if (c->kind == deaf && c->sent < c->total)
			return output(c);
		return true;
	}
	if (errno == EAGAIN || errno == EINTR) {
		if (c->kind == deaf) { // the server's answers have filled both buffers
			c->total = c->sent;
			c->due = now() + (int64_t)between(0, 200) * 1000000;
		}
		return true;
	}
	gone(c, strerror(errno));
	return false;
}

// step does what c can do now, after an event or when it is due.
static void
step(struct conn *c, int64_t t)
{
	bool all;

	if (c->fd < 0 || t < c->due)
		return;
	if (!c->up) { // the first event: connected, or refused
		int err = 0;
		socklen_t len = sizeof err;

		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err == ECONNREFUSED)
			die("the server does not listen any more");
		c->up = true;
	}
	if (c->kind == reset || c->kind == silent) {
		finish(c, c->kind == reset);
		return;
	}
	if (c->kind == deaf && c->sent == c->total) {
		finish(c, rng() & 1); // with unread answers, close too is a reset
		return;
	}
	if (c->kind == loris && c->sent < c->total && between(0, 99) == 0) {
		finish(c, rng() & 1);
		return;
	}
	if (c->kind != deaf && c->kind != resetmid && c->kind != vanish && !input(c))
		return;
	if (!output(c))
		return;
	if (c->kind == resetmid && c->sent == c->total) {
		finish(c, true);
		return;
	}
	if (c->kind == vanish && c->sent == c->total) {
		int on = 1;

		if (setsockopt(c->fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0)
			die("vanish: %s (needs CAP_NET_ADMIN)", strerror(errno));
		finish(c, false); // closes without sending anything
		return;
	}
	all = c->sent == c->total;
	if (all && c->kind == half && !c->shut) {
		c->shut = true;
		shutdown(c->fd, SHUT_WR);
	}
	if (opt.http)
		all = all && (c->got > 0 || c->kind == garbage);
	else
		all = all && c->got == c->total;
	if (all && c->kind != half) {
		seen.verified += c->got > 0;
		finish(c, false);
	}
}

int
churn(void)
{
	struct conn *conns = calloc((size_t)opt.conns, sizeof *conns);
	struct epoll_event ev[maxevents];
	int fds = serverfds(), fdsafter, n;
	double rss = serverrss();
	int64_t start = now(), end = start + (int64_t)(opt.secs * 1e9), tick = 0, t;
	bool more;

	churnep = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || churnep < 0)
		die("no epoll or no memory");
	for (int i = 0; i < opt.conns; i++)
		conns[i].fd = -1;
	do {
		n = epoll_wait(churnep, ev, maxevents, tick_ms);
		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		t = now();
		for (int i = 0; i < n; i++)
			step(ev[i].data.ptr, t);
		more = t < end;
		if (t < tick && n != 0) {
			more = true;
			continue;
		}
		tick = t + tick_ms * 1000000;
		for (int i = 0; i < opt.conns; i++) {
			struct conn *c = &conns[i];

			if (c->fd >= 0 && c->due && t >= c->due)
				step(c, t);
			if (c->fd >= 0 && t > c->deadline)
				die("%s: nothing for %d ms, %u bytes sent, %u received",
				    kinds[c->kind].name, patience_ms, c->sent, c->got);
			if (c->fd < 0 && t < end)
				begin(c);
			more |= c->fd >= 0;
		}
	} while (more);

	// The server that survived serves.
	opt.kinds = 1u << polite;
	for (begin(&conns[0]); conns[0].fd >= 0; step(&conns[0], now())) {
		epoll_wait(churnep, ev, maxevents, tick_ms);
		if (now() > conns[0].deadline)
			die("the server does not answer any more");
	}
	fdsafter = serverfds();
	for (t = now(); fdsafter > fds && now() - t < (int64_t)leak_ms * 1000000; sleepms(20))
		fdsafter = serverfds();
	printf("churn_conns %ld conns\n", seen.opened);
	printf("churn_rate %.0f conns/s\n", (double)seen.opened / ((double)(now() - start) / 1e9));
	for (int k = 0; k < nkinds; k++)
		printf("churn_%s %ld conns\n", kinds[k].name, seen.ended[k]);
	printf("churn_answered %ld conns\n", seen.verified);
	printf("churn_dropped %ld conns\n", seen.dropped);
	printf("churn_noport %ld times\n", seen.noport);
	if (opt.pid) {
		printf("churn_fds %d fds\n", fdsafter - fds);
		printf("churn_rss %.0f KiB\n", (serverrss() - rss) / 1024);
		if (fdsafter > fds)
			die("the server had %d descriptors before and has %d now", fds, fdsafter);
	}
	return 0;
}

// pickkinds is the set of the kinds in a list with commas.
unsigned
pickkinds(char *list)
{
	unsigned set = 0;

	for (char *s = strtok(list, ","); s; s = strtok(NULL, ",")) {
		int k = 0;

		while (k < nkinds && strcmp(s, kinds[k].name) != 0)
			k++;
		if (k == nkinds)
			wrong("-k %s: no such kind", s);
		set |= 1u << k;
	}
	if (!set)
		wrong("-k: no kind");
	return set;
}
