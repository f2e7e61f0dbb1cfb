// SPDX-License-Identifier: BSD-3-Clause
// Names, child processes and buffers in a program without a libc, and in one with.
#include "rt0.h"
#include "rt0/bufio.h"
#include "rt0/net.h"
#include "rt0/process.h"

static void
serve(void *listener)
{
	rt0_fd *conn;
	char buf[64];
	rt0_writer w;
	if (rt0_accept(listener, &conn, NULL) == 0) {
		rt0_writer_init(&w, conn, buf, sizeof buf);
		rt0_writer_printf(&w, "hello by %s\n", "name");
		rt0_writer_flush(&w);
		rt0_fd_close(conn);
	}
}

static void
firstline(const char *what, rt0_fd *fd)
{
	char buf[256], *line;
	rt0_reader r;
	rt0_reader_init(&r, fd, buf, sizeof buf);
	int err = rt0_reader_read_line(&r, &line, NULL);
	rt0_printf("%s: %d %s\n", what, err, err == 1 ? line : "");
}

int
main(void)
{
	rt0_fd *listener, *conn;
	rt0_addr at;
	char text[64] = "localhost:";
	int err = rt0_listen("127.0.0.1:0", 0, &listener);
	rt0_printf("listen: %d\n", err);
	rt0_local_addr(listener, &at);
	int port = rt0_addr_port(&at), n = 10;
	for (int div = 10000; div > 0; div /= 10)
		text[n++] = (char)('0' + port / div % 10);
	rt0_go(serve, listener);
	err = rt0_dial(text, rt0_deadline(5 * RT0_SECOND), &conn);
	rt0_printf("dial: %d\n", err);
	firstline("read", conn);
	err = rt0_lookup("name.invalid", "80", 0, rt0_deadline(RT0_SECOND / 10), &at, 1);
	rt0_printf("nowhere: %s\n", err < 0 && rt0_lookup_error(err) != NULL ? "an error with a text" : "?");

	const char *argv[] = {"sh", "-c", "echo from a child; exit 9", NULL};
	rt0_command cmd = {.argv = argv, .out = {RT0_STDIO_PIPE, NULL}};
	rt0_process *p;
	int status = 0;
	err = rt0_process_start(&cmd, &p);
	rt0_printf("start: %d\n", err);
	firstline("child", rt0_process_stdout(p));
	err = rt0_process_wait(p, RT0_NEVER, &status);
	rt0_printf("wait: %d %d\n", err, status);
	rt0_process_release(p);
	argv[0] = "no-such-program-here";
	rt0_printf("start: %d\n", rt0_process_start(&cmd, &p));
	return 0;
}
