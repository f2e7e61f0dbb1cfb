// SPDX-License-Identifier: BSD-3-Clause
// echo_uv.c: the echo server on libuv, one loop, as its users write it: a peer of examples/echo.c.
//
// It listens on a free port of 127.0.0.1, which it prints on a line of its own. A connection has
// its buffer for reading; an answer goes by uv_try_write at once, which is the fastest libuv can
// do, and only what the socket does not take is queued.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <uv.h>

enum { bufsize = 4096, backlog = 4096 };

struct conn {
	uv_tcp_t tcp;
	uv_write_t req;
	char buf[bufsize];
};

static void
check(int err, const char *what)
{
	if (err == 0)
		return;
	fprintf(stderr, "echo_uv: %s: %s\n", what, uv_strerror(err));
	exit(1);
}

static void
closed(uv_handle_t *h)
{
	free(h->data);
}

static void
alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
	struct conn *c = h->data;

	(void)want;
	*buf = uv_buf_init(c->buf, sizeof c->buf);
}

static void readable(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

// The buffer is free again.
static void
written(uv_write_t *req, int status)
{
	struct conn *c = req->data;
	uv_stream_t *s = (uv_stream_t *)&c->tcp;

	if (uv_is_closing((uv_handle_t *)s))
		return;
	if (status < 0 || uv_read_start(s, alloc, readable) != 0)
		uv_close((uv_handle_t *)s, closed);
}

static void
readable(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = s->data;
	uv_buf_t out;
	int sent;

	if (n == 0)
		return;
	if (n < 0) {
		uv_close((uv_handle_t *)s, closed);
		return;
	}
	out = uv_buf_init(buf->base, (unsigned)n);
	sent = uv_try_write(s, &out, 1);
	if (sent == n)
		return;
	if (sent < 0 && sent != UV_EAGAIN) {
		uv_close((uv_handle_t *)s, closed);
		return;
	}
	if (sent > 0)
		out = uv_buf_init(buf->base + sent, (unsigned)(n - sent));
	uv_read_stop(s);
	c->req.data = c;
	if (uv_write(&c->req, s, &out, 1, written) != 0)
		uv_close((uv_handle_t *)s, closed);
}

static void
connection(uv_stream_t *server, int status)
{
	struct conn *c;

	if (status < 0)
		return;
	c = malloc(sizeof *c);
	if (!c)
		return;
	check(uv_tcp_init(server->loop, &c->tcp), "uv_tcp_init");
	c->tcp.data = c;
	if (uv_accept(server, (uv_stream_t *)&c->tcp) != 0 || uv_tcp_nodelay(&c->tcp, 1) != 0 ||
	    uv_read_start((uv_stream_t *)&c->tcp, alloc, readable) != 0)
		uv_close((uv_handle_t *)&c->tcp, closed);
}

int
main(void)
{
	struct rlimit rl;
	struct sockaddr_in addr;
	uv_loop_t *loop = uv_default_loop();
	uv_tcp_t server;
	int len = sizeof addr;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	check(uv_tcp_init(loop, &server), "uv_tcp_init");
	check(uv_ip4_addr("127.0.0.1", 0, &addr), "uv_ip4_addr");
	check(uv_tcp_bind(&server, (struct sockaddr *)&addr, 0), "bind");
	check(uv_listen((uv_stream_t *)&server, backlog, connection), "listen");
	check(uv_tcp_getsockname(&server, (struct sockaddr *)&addr, &len), "getsockname");
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	return uv_run(loop, UV_RUN_DEFAULT);
}
