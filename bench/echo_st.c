// SPDX-License-Identifier: BSD-3-Clause
// echo_st.c: the echo server on State Threads, a thread of its own kind for each connection: a peer
// of examples/echo.c.
//
// It listens on a free port of 127.0.0.1, which it prints on a line of its own. Stacks are 16 KiB
// and not touched further than they are used; they are mapped one by one, so the kernel's limit on
// mappings (vm.max_map_count) is what limits the number of connections.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <st.h>

enum { bufsize = 4096, backlog = 4096, stacksize = 16384 };

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void *
serve(void *arg)
{
	st_netfd_t fd = arg;
	char buf[bufsize];
	ssize_t n;

	while ((n = st_read(fd, buf, sizeof buf, ST_UTIME_NO_TIMEOUT)) > 0)
		if (st_write(fd, buf, (size_t)n, ST_UTIME_NO_TIMEOUT) != n)
			break;
	st_netfd_close(fd);
	return NULL;
}

int
main(void)
{
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	struct rlimit rl;
	int fd, one = 1;
	st_netfd_t server;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) { // before st_init, which looks at it
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	st_set_eventsys(
	    ST_EVENTSYS_POLL); // Debian builds it without epoll, and select ends at 1,024
	if (st_init() != 0)
		die("st_init");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
	    listen(fd, backlog) != 0 || getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		die("listen");
	server = st_netfd_open_socket(fd);
	if (!server)
		die("st_netfd_open_socket");
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	for (;;) {
		st_netfd_t c = st_accept(server, NULL, NULL, ST_UTIME_NO_TIMEOUT);

		if (!c) {
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			die("st_accept");
		}
		setsockopt(st_netfd_fileno(c), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (!st_thread_create(serve, c, 0, stacksize))
			st_netfd_close(c);
	}
}
