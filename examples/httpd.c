// SPDX-License-Identifier: BSD-3-Clause
// httpd.c: an HTTP/1.1 server that says hello: one goroutine a connection, keep-alive, pipelining.
//
//     $ rt0 run examples/httpd.c 127.0.0.1:8080
//     listening on 127.0.0.1:8080
//     $ curl http://127.0.0.1:8080/
//     hello, world
//
// The parser is small and strict: what RFC 9112 lets a server refuse it refuses, since a lenient one
// next to another that reads differently is how requests are smuggled. Lines end with CR LF; no white
// space before a colon, no folded lines, one Host, one meaning of Content-Length, no chunked bodies (501).
//
// Nobody can hold a connection for free: a head has 8 KiB and HEAD_S seconds from its first byte, a body 1 MiB
// and BODY_S, an answer WRITE_S to be taken, and a connection that says nothing is closed after IDLE_S.
// What was read at once is answered at once: the answers to pipelined requests go out in one write.
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>

#include "rt0.h"
#include "rt0/net.h"

enum { HEAD = 8 << 10, BODY = 1 << 20, OUT = 4 << 10, ANSWER = 512 }; // bytes
enum { HEAD_S = 10, BODY_S = 30, WRITE_S = 10, IDLE_S = 60, LINGER_S = 1 };

struct request {
	size_t head;      // bytes of the head
	long body;        // bytes that follow it
	bool keep;        // the connection goes on
	bool nobody;      // HEAD: the answer has no body
	bool expects;     // 100-continue
	int status;       // 200, or why not
};

struct conn {
	rt0_fd *fd;
	int64_t second; // of date
	char date[32];
	size_t nout, at, nin; // in[at, nin) is not answered yet
	char out[OUT];
	char in[HEAD];
};

// ---- the parser ----

static bool
tchar(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is(const char *s, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(s, name, n) == 0;
}

// haslist is whether the comma-separated list s has the element name.
static bool
haslist(const char *s, size_t n, const char *name)
{
	const char *end = s + n;
	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s)), *to = comma != NULL ? comma : end;
		const char *from = s, *last = to;
		while (from < last && (*from == ' ' || *from == '\t'))
			from++;
		while (last > from && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		if (is(from, (size_t)(last - from), name))
			return true;
		s = to + 1;
	}
	return false;
}

// requestline parses METHOD SP TARGET SP HTTP/1.x; the status.
static int
requestline(const char *s, const char *end, struct request *r, bool *is11)
{
	const char *method = s;
	while (s < end && tchar((unsigned char)*s))
		s++;
	size_t nmethod = (size_t)(s - method);
	if (nmethod == 0 || s == end || *s++ != ' ')
		return 400;
	const char *target = s;
	while (s < end && (unsigned char)*s > ' ' && *s != 127)
		s++;
	if (s == target || s == end || *s++ != ' ')
		return 400;
	if (end - s != 8 || memcmp(s, "HTTP/", 5) != 0 || s[6] != '.' || s[5] < '0' || s[5] > '9' || s[7] < '0' || s[7] > '9')
		return 400;
	if (s[5] != '1')
		return 505;
	*is11 = s[7] >= '1';
	r->nobody = nmethod == 4 && memcmp(method, "HEAD", 4) == 0;
	bool known = r->nobody || (nmethod == 3 && memcmp(method, "GET", 3) == 0) || (nmethod == 4 && memcmp(method, "POST", 4) == 0);
	if (!known)
		return 501;
	return *target == '/' || memcmp(target, "http://", 7) == 0 ? 200 : 400;
}

// parse looks at n bytes. True: there is a whole head, or what there is is wrong; *r tells.
static bool
parse(const char *buf, size_t n, struct request *r)
{
	const char *s = buf, *end = buf + n;
	bool is11 = false, close = false, keep = false, length = false, first = true;
	int hosts = 0, bad = 0;
	*r = (struct request){.status = 200};
	while (end - s >= 2 && s[0] == '\r' && s[1] == '\n') // empty lines before a request
		s += 2;
	if (s < end && *s != '\r' && !tchar((unsigned char)*s)) {
		r->status = 400; // no need to wait for the end of the line: TLS, or nonsense
		return true;
	}
	for (;;) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		if (nl == NULL) {
			r->status = n == HEAD ? 431 : 200;
			return n == HEAD;
		}
		const char *line = s, *cr = nl - 1;
		s = nl + 1;
		if (cr < line || *cr != '\r' || memchr(line, '\r', (size_t)(cr - line)) != NULL || memchr(line, 0, (size_t)(cr - line)) != NULL) {
			r->status = 400;
			return true;
		}
		if (first) {
			first = false;
			bad = requestline(line, cr, r, &is11);
			if (bad == 400 || bad == 505) {
				r->status = bad;
				return true;
			}
			continue;
		}
		if (cr == line)
			break;
		const char *colon = line;
		while (colon < cr && tchar((unsigned char)*colon))
			colon++;
		if (colon == line || colon == cr || *colon != ':') {
			r->status = 400;
			return true;
		}
		const char *v = colon + 1, *vend = cr;
		while (v < vend && (*v == ' ' || *v == '\t'))
			v++;
		while (vend > v && (vend[-1] == ' ' || vend[-1] == '\t'))
			vend--;
		size_t nname = (size_t)(colon - line), nv = (size_t)(vend - v);
		if (is(line, nname, "host")) {
			hosts++;
		} else if (is(line, nname, "connection")) {
			close = close || haslist(v, nv, "close");
			keep = keep || haslist(v, nv, "keep-alive");
		} else if (is(line, nname, "transfer-encoding")) {
			bad = 501;
			close = true;
		} else if (is(line, nname, "expect")) {
			r->expects = is(v, nv, "100-continue");
			if (!r->expects)
				bad = 417;
		} else if (is(line, nname, "content-length")) {
			long len = 0;
			for (const char *d = v; d < vend && len >= 0; d++)
				len = *d >= '0' && *d <= '9' && len <= BODY ? len * 10 + (*d - '0') : *d >= '0' && *d <= '9' ? len : -1;
			if (nv == 0 || len < 0 || (length && len != r->body)) {
				r->status = 400;
				return true;
			}
			length = true;
			r->body = len;
		}
	}
	r->head = (size_t)(s - buf);
	r->keep = is11 ? !close : keep && !close;
	if (hosts > 1 || (is11 && hosts == 0))
		bad = 400;
	else if (r->body > BODY)
		bad = 413;
	if (bad != 0 && bad != 200) {
		r->status = bad;
		// A body that nobody reads must not be taken for the next request.
		r->keep = r->keep && bad == 501 && r->body == 0;
	}
	return true;
}

// ---- answers ----

static const char *
reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 408: return "Request Timeout";
	case 413: return "Content Too Large";
	case 417: return "Expectation Failed";
	case 431: return "Request Header Fields Too Large";
	case 501: return "Not Implemented";
	default: return "HTTP Version Not Supported";
	}
}

static bool
flush(struct conn *c)
{
	size_t n = c->nout;
	c->nout = 0;
	if (n == 0)
		return true;
	rt0_fd_set_write_deadline(c->fd, rt0_deadline(WRITE_S * RT0_SECOND));
	return rt0_fd_write(c->fd, c->out, n) == (long)n;
}

static const char *
date(struct conn *c)
{
	int64_t second = rt0_walltime() / RT0_SECOND;
	if (second != c->second) {
		time_t t = (time_t)second;
		struct tm tm;
		c->second = second;
		strftime(c->date, sizeof c->date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
	}
	return c->date;
}

// put appends a string to the answer; there is room for ANSWER bytes of them.
static void
put(struct conn *c, const char *s)
{
	size_t n = strlen(s);
	memcpy(c->out + c->nout, s, n);
	c->nout += n;
}

static bool
answer(struct conn *c, const struct request *r)
{
	if (c->nout + ANSWER > OUT && !flush(c))
		return false;
	char line[64], length[64];
	const char *body = "hello, world\n";
	if (r->status == 200) {
		put(c, "HTTP/1.1 200 OK\r\nDate: ");
	} else {
		body = reason(r->status);
		snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\nDate: ", r->status, body);
		put(c, line);
	}
	put(c, date(c));
	put(c, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
	size_t n = strlen(body);
	length[0] = (char)('0' + n / 10);
	length[1] = (char)('0' + n % 10);
	length[2] = 0;
	put(c, n < 10 ? length + 1 : length);
	put(c, r->keep ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
	if (!r->nobody)
		put(c, body);
	return true;
}

// ---- connections ----

// fill reads more behind what is there; false: the end, an error or the time.
static bool
fill(struct conn *c, long *r)
{
	if (c->at > 0) {
		memmove(c->in, c->in + c->at, c->nin - c->at);
		c->nin -= c->at;
		c->at = 0;
	}
	*r = rt0_fd_read(c->fd, c->in + c->nin, HEAD - c->nin);
	if (*r > 0)
		c->nin += (size_t)*r;
	return *r > 0;
}

// skipbody reads over a body of n bytes.
static bool
skipbody(struct conn *c, long n)
{
	long r;
	if (n == 0)
		return true;
	rt0_fd_set_read_deadline(c->fd, rt0_deadline(BODY_S * RT0_SECOND));
	for (;;) {
		size_t have = c->nin - c->at, take = have < (size_t)n ? have : (size_t)n;
		c->at += take;
		n -= (long)take;
		if (n == 0)
			return true;
		if (!flush(c) || !fill(c, &r))
			return false;
	}
}

// nextrequest waits for a whole head.
static bool
nextrequest(struct conn *c, struct request *q)
{
	bool begun = c->nin > c->at;
	if (begun && parse(c->in + c->at, c->nin - c->at, q))
		return true;
	if (!flush(c)) // before we wait
		return false;
	rt0_fd_set_read_deadline(c->fd, rt0_deadline((begun ? HEAD_S : IDLE_S) * RT0_SECOND));
	for (;;) {
		long r;
		if (!fill(c, &r)) {
			*q = (struct request){.status = 408};
			return begun && r == -ETIMEDOUT;
		}
		if (parse(c->in, c->nin, q))
			return true;
		if (!begun) {
			begun = true; // the time runs from the first byte, however slowly they come
			rt0_fd_set_read_deadline(c->fd, rt0_deadline(HEAD_S * RT0_SECOND));
		}
	}
}

static void
serve(void *arg)
{
	struct conn c;
	struct request q;
	c.fd = arg;
	c.second = -1;
	c.nout = c.at = c.nin = 0;
	while (nextrequest(&c, &q)) {
		c.at += q.head;
		if (q.status == 200 && q.expects && q.body > 0) {
			put(&c, "HTTP/1.1 100 Continue\r\n\r\n");
			if (!flush(&c))
				break;
		}
		if (q.status == 200 && !skipbody(&c, q.body))
			break;
		if (!answer(&c, &q))
			break;
		if (q.keep)
			continue;
		// Closing with bytes unread would reset the connection, and the answer might be lost.
		if (flush(&c) && rt0_close_write(c.fd) == 0) {
			rt0_fd_set_read_deadline(c.fd, rt0_deadline(LINGER_S * RT0_SECOND));
			for (long n = 0, r; n < BODY && (r = rt0_fd_read(c.fd, c.in, HEAD)) > 0; n += r)
				;
		}
		break;
	}
	rt0_fd_close(c.fd);
}

int
main(int argc, char **argv)
{
	rt0_fd *listener, *conn;
	rt0_addr at;
	char text[RT0_ADDR_TEXT];
	const char *why;
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: httpd ADDRESS   (127.0.0.1:8080, [::1]:8080, :8080, unix:/path)\n");
		return 2;
	}
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	if (rt0_addr_parse(argv[1], &at, &why) < 0) {
		fprintf(stderr, "httpd: %s: %s\n", argv[1], why);
		return 2;
	}
	int err = rt0_listen_addr(&at, 0, &listener);
	if (err < 0) {
		fprintf(stderr, "httpd: cannot listen on %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	rt0_local_addr(listener, &at);
	printf("listening on %s\n", rt0_addr_format(&at, text, sizeof text));
	fflush(stdout);
	while ((err = rt0_accept(listener, &conn, NULL)) == 0)
		rt0_go(serve, conn);
	fprintf(stderr, "httpd: accept: %s\n", strerror(-err));
	return 1;
}
