// SPDX-License-Identifier: BSD-3-Clause
// chat.c: a chat server: rooms, names, and nobody who can hold up the others.
//
//     $ rt0 run examples/chat.c 127.0.0.1:7001
//     listening on 127.0.0.1:7001
//     $ nc 127.0.0.1 7001                      (in another terminal)
//     your name?
//     ann
//     * ann is in lobby, with 0 others
//     hello
//     ann: hello
//
// Commands: /join ROOM, /who, /quit. An end of the line by LF or CR LF; all else is text.
//
// Each client has two goroutines. One reads its lines and hands them to the hub; the other writes what the hub has put into
// its queue. The hub, a goroutine too, alone knows who is in which room, so nothing here is locked: it selects
// between what clients say and the end of the server's context. It never waits for a client: one whose queue is
// full is dropped. SIGINT and SIGTERM cancel the context; then everybody is told, gets what is in the
// queue, and the program ends.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt0.h"
#include "rt0/bufio.h"
#include "rt0/net.h"

enum { NAME = 16, LINE = 400, QUEUE = 64 };
#define LOGIN_NS (60 * RT0_SECOND) // to say a name
#define WRITE_NS (10 * RT0_SECOND) // for the network to take what is written
#define CLOSE_NS (3 * RT0_SECOND)  // for everybody to go, at the end

struct line {
	char text[LINE + 2 * NAME + 32]; // a line as a client may send it, with what is put before it
};

struct client {
	rt0_fd *conn;
	rt0_chan *queue;         // of struct line: what is to be written; closed by the hub, last
	rt0_waitgroup writer;
	struct client *next;     // the hub's, as the rest:
	char name[NAME], room[NAME];
};

enum what { HELLO, SAY, JOIN, WHO, LEAVE };
struct event {
	enum what what;
	struct client *from;
	char text[LINE];
};

static rt0_context *server; // ends with the server
static rt0_chan *events;    // of struct event, without room: when a send has returned, the hub has it
static rt0_chan *hubdone;   // closed when the hub has ended
static rt0_waitgroup connections;

// ---- the hub ----

static struct client *clients;

static void
drop(struct client *c)
{
	struct client **pp = &clients;
	while (*pp != c)
		pp = &(*pp)->next;
	*pp = c->next;
	rt0_chan_close(c->queue); // c is gone after this
}

// tell puts a line into the queue of c; false: that is full, and c has been dropped.
static bool
tell(struct client *c, const struct line *l)
{
	if (rt0_chan_try_send(c->queue, l) == 0)
		return true;
	rt0_fd_close(c->conn); // its goroutines find out
	drop(c);
	return false;
}

static void
broadcast(const char *room, const struct line *l)
{
	for (struct client *c = clients, *next; c != NULL; c = next) {
		next = c->next;
		if (strcmp(c->room, room) == 0)
			tell(c, l);
	}
}

static void
announce(struct client *c)
{
	struct line l;
	int others = 0;
	for (struct client *o = clients; o != NULL; o = o->next)
		others += o != c && strcmp(o->room, c->room) == 0;
	char room[NAME];
	strcpy(room, c->room); // telling c may be the end of it
	snprintf(l.text, sizeof l.text, "* %s is in %s, with %d others\n", c->name, c->room, others);
	broadcast(room, &l);
}

static void
leave(struct client *c, const char *how)
{
	struct line l;
	char room[NAME];
	strcpy(room, c->room);
	snprintf(l.text, sizeof l.text, "* %s %s %s\n", c->name, how, room);
	c->room[0] = 0; // it does not hear that itself
	broadcast(room, &l);
}

static void
hello(struct client *c, const char *name)
{
	struct line l;
	bool taken = false;
	for (struct client *o = clients; o != NULL; o = o->next)
		taken = taken || strcmp(o->name, name) == 0;
	c->next = clients;
	clients = c;
	snprintf(c->name, sizeof c->name, "%.*s", NAME - 1, taken ? "" : name);
	if (taken) {
		snprintf(l.text, sizeof l.text, "* that name is taken\n");
		if (tell(c, &l))
			drop(c);
		return;
	}
	strcpy(c->room, "lobby");
	announce(c);
}

static void
who(struct client *c)
{
	struct line l;
	for (struct client *o = clients, *next; o != NULL; o = next) {
		next = o->next;
		snprintf(l.text, sizeof l.text, "* %s is in %s\n", o->name, o->room);
		if (o->room[0] != 0 && !tell(c, &l))
			return;
	}
}

static void
handle(const struct event *e)
{
	struct client *c = clients;
	struct line l;
	if (e->what == HELLO) {
		hello(e->from, e->text);
		return;
	}
	while (c != NULL && c != e->from)
		c = c->next;
	if (c == NULL)
		return; // it has been dropped
	switch (e->what) {
	case SAY:
		snprintf(l.text, sizeof l.text, "%s: %s\n", c->name, e->text);
		broadcast(c->room, &l);
		break;
	case JOIN:
		leave(c, "leaves");
		snprintf(c->room, sizeof c->room, "%.*s", NAME - 1, e->text);
		announce(c);
		break;
	case WHO:
		who(c);
		break;
	case LEAVE:
		leave(c, "has gone from");
		drop(c);
		break;
	case HELLO:
		break;
	}
}

static void
hub(void *arg)
{
	static const struct line bye = {"* the server closes\n"};
	struct event e;
	(void)arg;
	for (;;) {
		enum { EVENT, END };
		switch (RT0_SELECT([EVENT] = RT0_RECV(events, &e), [END] = RT0_RECV(rt0_context_done(server), NULL))) {
		case EVENT:
			handle(&e);
			continue;
		case END:
			while (clients != NULL)
				if (tell(clients, &bye))
					drop(clients);
			rt0_chan_close(hubdone);
			return;
		}
	}
}

// ---- a client ----

static void
writelines(void *arg)
{
	struct client *c = arg;
	struct line l;
	char buf[2048];
	rt0_writer w;
	rt0_writer_init(&w, c->conn, buf, sizeof buf);
	RT0_RANGE(c->queue, l) {
		rt0_fd_set_write_deadline(c->conn, rt0_deadline(WRITE_NS));
		rt0_writer_puts(&w, l.text);
		if (rt0_chan_len(c->queue) == 0 && rt0_writer_flush(&w) < 0)
			rt0_fd_close(c->conn); // so that the reader ends; what is queued still is thrown away
	}
	rt0_writer_flush(&w);
	rt0_fd_close(c->conn);
}

// say hands an event to the hub; false: there is none any more.
static bool
say(struct client *c, enum what what, const char *text)
{
	struct event e = {.what = what, .from = c};
	snprintf(e.text, sizeof e.text, "%s", text);
	return RT0_SELECT(RT0_SEND(events, &e), RT0_RECV(hubdone, NULL)) == 0;
}

// clean makes text of whatever was sent: no zeros, no control characters.
static void
clean(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			s[i] = '?';
}

static bool
isname(const char *s)
{
	return s[0] != 0 && strlen(s) < NAME && strpbrk(s, " :/*?") == NULL;
}

static void
hangup(void *conn)
{
	rt0_fd_close(conn);
}

static void
login(struct client *c, rt0_reader *r, char *name)
{
	static const char ask[] = "your name?\n", again[] = "1 to 15 letters, without blanks. your name?\n";
	char *line;
	size_t n;
	rt0_context_after *stop;
	name[0] = 0;
	rt0_context_after_func(server, hangup, c->conn, &stop); // the hub does not know it yet
	rt0_fd_set_deadline(c->conn, rt0_deadline(LOGIN_NS));
	long err = rt0_fd_write(c->conn, ask, sizeof ask - 1);
	while (err > 0 && name[0] == 0) {
		err = rt0_reader_read_line(r, &line, &n);
		if (err != 1 && err != -EMSGSIZE)
			break;
		clean(line, n);
		if (err == 1 && isname(line))
			strcpy(name, line);
		else
			err = rt0_fd_write(c->conn, again, sizeof again - 1);
	}
	rt0_fd_set_deadline(c->conn, RT0_NEVER);
	rt0_context_stop(stop);
}

static void
chat(struct client *c, rt0_reader *r)
{
	char *line;
	size_t n;
	int err;
	bool on = true;
	while (on && ((err = rt0_reader_read_line(r, &line, &n)) == 1 || err == -EMSGSIZE)) {
		clean(line, n);
		if (err == -EMSGSIZE)
			on = say(c, SAY, "(something very long)");
		else if (strncmp(line, "/join ", 6) == 0 && isname(line + 6))
			on = say(c, JOIN, line + 6);
		else if (strcmp(line, "/who") == 0)
			on = say(c, WHO, "");
		else if (strcmp(line, "/quit") == 0)
			break;
		else if (n > 0)
			on = say(c, SAY, line);
	}
}

static void
serve(void *arg)
{
	struct client c = {.conn = arg};
	char buf[LINE], name[NAME];
	rt0_reader r;
	rt0_reader_init(&r, c.conn, buf, sizeof buf);
	login(&c, &r, name);
	if (name[0] != 0) {
		c.queue = rt0_chan_make(sizeof(struct line), QUEUE);
		rt0_waitgroup_go(&c.writer, writelines, &c);
		// Once the hub knows c, it is the hub that closes the queue, now or when it hears of the end.
		if (say(&c, HELLO, name)) {
			chat(&c, &r);
			say(&c, LEAVE, "");
		} else {
			rt0_chan_close(c.queue);
		}
		rt0_waitgroup_wait(&c.writer);
		rt0_chan_free(c.queue);
	}
	rt0_fd_close(c.conn);
	rt0_waitgroup_done(&connections);
}

// ---- the server ----

static void
acceptall(void *arg)
{
	rt0_fd *listener = arg, *conn;
	int err;
	while ((err = rt0_accept(listener, &conn, NULL)) == 0) {
		rt0_waitgroup_add(&connections, 1);
		rt0_go(serve, conn);
	}
	if (err != -ECANCELED)
		fprintf(stderr, "chat: accept: %s\n", strerror(-err));
	rt0_context_cancel(server);
	rt0_waitgroup_done(&connections);
}

int
main(int argc, char **argv)
{
	rt0_fd *listener;
	rt0_addr at;
	char text[RT0_ADDR_TEXT];
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: chat ADDRESS    (as 127.0.0.1:7001, :7001, localhost:7001, unix:/path)\n");
		return 2;
	}
	int err = rt0_listen(argv[1], 0, &listener);
	if (err < 0) {
		const char *why = rt0_lookup_error(err);
		if (err == -EINVAL)
			rt0_addr_parse(argv[1], &at, &why);
		fprintf(stderr, "chat: cannot listen on %s: %s\n", argv[1], why != NULL ? why : strerror(-err));
		return 1;
	}
	rt0_local_addr(listener, &at);
	printf("listening on %s\n", rt0_addr_format(&at, text, sizeof text));
	fflush(stdout);

	rt0_chan *signals = rt0_chan_make(sizeof(int), 1);
	RT0_NOTIFY(signals, SIGINT, SIGTERM);
	server = rt0_context_with_cancel(rt0_context_background());
	events = rt0_chan_make(sizeof(struct event), 0);
	hubdone = rt0_chan_make(0, 0);
	rt0_go(hub, NULL);
	rt0_waitgroup_add(&connections, 1);
	rt0_go(acceptall, listener);

	int sig = 0;
	if (RT0_SELECT(RT0_RECV(signals, &sig), RT0_RECV(rt0_context_done(server), NULL)) == 0)
		printf("%s: closing\n", sig == SIGINT ? "interrupted" : "terminated");
	rt0_signal_stop(signals); // a second one ends the program at once
	rt0_fd_close(listener);
	rt0_context_cancel(server);
	rt0_chan_recv(hubdone, NULL);
	if (rt0_waitgroup_wait_until(&connections, rt0_deadline(CLOSE_NS)) < 0)
		printf("some do not read what is sent to them: left\n");
	printf("bye\n");
	return sig == 0;
}
