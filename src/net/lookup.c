// SPDX-License-Identifier: BSD-3-Clause
// lookup.c: names to addresses.
//
// A libc's resolver blocks its thread and cannot be interrupted. So it runs on goroutines of its own (ask), LOOKUPS
// at most at one time: they hold as many threads while they wait. Who wants an answer waits on a channel and can give up:
// the question then belongs to the goroutine alone, which throws the answer away when it comes. It holds its
// place among the LOOKUPS until then, so that a dead name server cannot make more threads by being asked again.
//
// Programs without a libc have /etc/hosts and /etc/services.
#include "lookup.h"
#include "sockaddr.h"

enum { LOOKUPS = 16, LOOKUPSTACK = 512 << 10, MAXHOST = 253, FILECHUNK = 4096, MAXLINE = 1024 };
enum { ENXIO = 6, EREMOTEIO = 121 };

static rt0_semaphore lookups = RT0_SEMAPHORE(LOOKUPS);

struct question {
	uint32_t refs; // atomic: who asks, and the goroutine
	int flags, n, result;
	char *host, *service; // behind addrs; host NULL: none
	rt0_chan *done;       // closed when result is there
	rt0_addr addrs[];
};

static void
unref(struct question *q)
{
	if (atomic_xadd(&q->refs, -1) == 0) {
		rt0_chan_free(q->done);
		rt0_free(q);
	}
}

static NOINLINE int
asklibc(struct question *q)
{
	rt0_entersyscall();
	int r = runtime_libclookup(q->host, q->service, q->flags, q->addrs, q->n);
	rt0_exitsyscall();
	return r;
}

static void
ask(void *arg)
{
	struct question *q = arg;
	q->result = asklibc(q);
	rt0_semaphore_release(&lookups, 1);
	rt0_chan_close(q->done);
	unref(q);
}

// acquire takes one of the LOOKUPS.
static int
acquire(int64_t deadline, rt0_context *ctx)
{
	// A context has a deadline of its own, so who gives one gives no other.
	return ctx != NULL ? rt0_semaphore_acquire_ctx(&lookups, 1, ctx) : rt0_semaphore_acquire_until(&lookups, 1, deadline);
}

static int
hostedlookup(const char *host, const char *service, int flags, int64_t deadline, rt0_context *ctx, rt0_addr *addrs, int n)
{
	int err = acquire(deadline, ctx);
	if (err < 0)
		return err;
	size_t hostlen = host != NULL ? runtime_strlen(host) + 1 : 0, servicelen = runtime_strlen(service) + 1;
	struct question *q = rt0_alloc(sizeof *q + (size_t)n * sizeof *addrs + hostlen + servicelen, 0);
	q->refs = 2;
	q->flags = flags;
	q->n = n;
	q->service = (char *)(q->addrs + n);
	runtime_memmove(q->service, service, servicelen);
	if (host != NULL) {
		q->host = q->service + servicelen;
		runtime_memmove(q->host, host, hostlen);
	}
	q->done = rt0_chan_make(0, 0);
	const rt0_attr attr = {.stack_size = LOOKUPSTACK};
	err = rt0_go_attr(ask, q, &attr);
	if (err < 0) {
		rt0_semaphore_release(&lookups, 1);
		q->refs = 1;
		unref(q);
		return err;
	}
	rt0_case cases[2] = {
	    {.chan = q->done, .dir = RT0_CASE_RECV},
	    {.chan = ctx != NULL ? rt0_context_done(ctx) : NULL, .dir = RT0_CASE_RECV},
	};
	int which = rt0_select(cases, 2, deadline);
	if (which == 0) {
		err = q->result;
		for (int i = 0; i < err; i++)
			addrs[i] = q->addrs[i];
	} else {
		err = which == 1 ? rt0_context_err(ctx) : -ETIMEDOUT;
	}
	unref(q);
	return err;
}

// ---- without a libc ----

// A file that is read line by line; what is longer than MAXLINE is cut.
struct lines {
	int fd;
	size_t r, w;
	char buf[FILECHUNK], line[MAXLINE + 1];
};

static bool
nextline(struct lines *f)
{
	size_t n = 0;
	for (bool any = false;; any = true) {
		if (f->r == f->w) {
			long got = blocking(SYS_read, f->fd, f->buf, sizeof f->buf);
			if (got <= 0) {
				f->line[n] = 0;
				return any;
			}
			f->r = 0;
			f->w = (size_t)got;
		}
		char c = f->buf[f->r++];
		if (c == '\n')
			break;
		if (n < MAXLINE)
			f->line[n++] = c;
	}
	f->line[n] = 0;
	return true;
}

// word cuts the next word off *s; NULL: there is none, or a comment.
static char *
word(char **s)
{
	char *p = *s;
	while (*p == ' ' || *p == '\t' || *p == '\r')
		p++;
	if (*p == 0 || *p == '#')
		return NULL;
	char *from = p;
	while (*p != 0 && *p != ' ' && *p != '\t' && *p != '\r' && *p != '#')
		p++;
	if (*p == '#')
		*p = 0;
	else if (*p != 0)
		*p++ = 0;
	*s = p;
	return from;
}

static bool
samename(const char *a, const char *b)
{
	for (;; a++, b++) {
		char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a, y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
		if (x != y || x == 0)
			return x == y;
	}
}

static int
serviceof(const char *file, const char *name, struct lines *f)
{
	f->fd = runtime_open(file, O_RDONLY | O_CLOEXEC, 0);
	f->r = f->w = 0;
	int found = -EINVAL;
	if (f->fd < 0)
		return -EINVAL;
	while (found < 0 && nextline(f)) {
		char *s = f->line, *w = word(&s), *port = w != NULL ? word(&s) : NULL;
		if (port == NULL)
			continue;
		int v = 0;
		char *p = port;
		for (; *p >= '0' && *p <= '9' && v <= 65535; p++)
			v = v * 10 + (*p - '0');
		if (p == port || v > 65535 || runtime_strcmp(p, "/tcp") != 0)
			continue;
		for (; w != NULL && found < 0; w = word(&s))
			if (runtime_strcmp(w, name) == 0)
				found = v;
	}
	runtime_close(f->fd);
	return found;
}

// numeric makes an address of a host and a port that are numbers.
static int
numeric(const char *host, const char *port, rt0_addr *a)
{
	char text[MAXHOST + 16];
	bool colon = false;
	for (const char *s = host; *s != 0; s++)
		colon = colon || *s == ':';
	if (runtime_snprintf(text, sizeof text, colon ? "[%s]:%s" : "%s:%s", host, port) >= (int)sizeof text)
		return -EINVAL;
	return rt0_addr_parse(text, a, NULL);
}

static bool
wanted(const rt0_addr *a, int flags)
{
	return !((flags & RT0_V4ONLY) && a->sa.family != AF_INET) && !((flags & RT0_V6ONLY) && a->sa.family != AF_INET6);
}

int
runtime_hostslookup(const char *hosts, const char *services, const char *host, const char *service, int flags, rt0_addr *addrs, int n)
{
	rt0_addr a;
	int found = 0, port = 0;
	struct lines *f = rt0_alloc(sizeof *f, RT0_NOSCAN);
	if (rt0_addr_parse("127.0.0.1:0", &a, NULL) == 0 && numeric("127.0.0.1", service, &a) == 0)
		port = rt0_addr_port(&a);
	else
		port = serviceof(services, service, f);
	if (port < 0) {
		rt0_free(f);
		return port;
	}
	if (host == NULL) {
		rt0_free(f);
		char text[8];
		runtime_snprintf(text, sizeof text, ":%d", port);
		return rt0_addr_parse(text, &addrs[0], NULL) < 0 ? -EINVAL : 1;
	}
	f->fd = runtime_open(hosts, O_RDONLY | O_CLOEXEC, 0);
	f->r = f->w = 0;
	while (f->fd >= 0 && found < n && nextline(f)) {
		char *s = f->line, *ip = word(&s), *name;
		if (ip == NULL || numeric(ip, "0", &a) < 0 || !wanted(&a, flags))
			continue;
		while ((name = word(&s)) != NULL && !samename(name, host))
			;
		if (name == NULL)
			continue;
		rt0_addr_set_port(&a, port);
		addrs[found++] = a;
	}
	if (f->fd >= 0)
		runtime_close(f->fd);
	rt0_free(f);
	return found > 0 ? found : -ENOTSUP;
}

// ---- both ----

// numberlike: the last part of host is a number: an address that is written wrongly, or so that libcs take "127.1" for one.
static bool
numberlike(const char *host, size_t len)
{
	if (len > 0 && host[len - 1] == '.')
		len--;
	size_t from = len;
	while (from > 0 && host[from - 1] != '.')
		from--;
	bool hex = len - from >= 2 && host[from] == '0' && (host[from + 1] | 32) == 'x';
	for (size_t i = from + (hex ? 2 : 0); i < len; i++) {
		char c = host[i];
		if (!(c >= '0' && c <= '9') && !(hex && (c | 32) >= 'a' && (c | 32) <= 'f'))
			return false;
	}
	return len > from;
}

// isservice: a name, or digits. A libc takes "-1" and " 80" for numbers, and cuts 99999.
static bool
isservice(const char *s)
{
	bool letter = false;
	size_t digits = 0;
	for (const char *p = s; *p != 0; p++) {
		bool alpha = ((*p | 32) >= 'a' && (*p | 32) <= 'z') || *p == '_', digit = *p >= '0' && *p <= '9';
		if (!alpha && !digit && (p == s || (*p != '-' && *p != '.' && *p != '+')))
			return false;
		letter = letter || alpha;
		digits += digit;
	}
	uint32_t v = 0;
	for (const char *p = s; !letter && *p != 0 && v <= 65535; p++)
		v = v * 10 + (uint32_t)(*p - '0');
	return letter || (s[digits] == 0 && v <= 65535);
}

int
runtime_lookup(const char *host, const char *service, int flags, int64_t deadline, rt0_context *ctx, rt0_addr *addrs, int n)
{
	rt0_addr a;
	if (n < 1 || (flags & ~(RT0_V4ONLY | RT0_V6ONLY)) || (flags & RT0_V4ONLY && flags & RT0_V6ONLY))
		return -EINVAL;
	int err = ctx != NULL ? rt0_context_err(ctx) : 0;
	if (err < 0)
		return err;
	n = n < MAXADDRS ? n : MAXADDRS;
	if (service == NULL || service[0] == 0)
		service = "0";
	if (host != NULL && host[0] == 0)
		host = NULL;
	size_t len = host != NULL ? runtime_strlen(host) : 0;
	if (len > MAXHOST || runtime_strlen(service) > MAXHOST || !isservice(service))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (host[i] <= ' ' || host[i] == 0x7f || host[i] == '[' || host[i] == ']')
			return -EINVAL;
	// A host that is a number needs nobody, unless the service is a name.
	if (numeric(host != NULL ? host : "", service, &a) == 0) {
		if (host != NULL && !wanted(&a, flags))
			return -ENXIO;
		addrs[0] = a;
		return 1;
	}
	bool isaddr = host != NULL && numeric(host, "0", &a) == 0;
	if (!isaddr && host != NULL && numberlike(host, len))
		return -ENXIO;
	rt0_addr with;
	int asked = 1;
	if (runtime_libclookup == NULL || runtime_hosted == NULL)
		asked = runtime_hostslookup("/etc/hosts", "/etc/services", isaddr ? NULL : host, service, flags, isaddr ? &with : addrs, isaddr ? 1 : n);
	else
		asked = hostedlookup(isaddr ? NULL : host, service, flags, deadline, ctx, isaddr ? &with : addrs, isaddr ? 1 : n);
	if (!isaddr || asked < 0)
		return asked;
	if (!wanted(&a, flags))
		return -ENXIO;
	rt0_addr_set_port(&a, rt0_addr_port(&with));
	addrs[0] = a;
	return 1;
}

int
runtime_addrsof(const char *text, int64_t deadline, rt0_context *ctx, rt0_addr *addrs, int n)
{
	if (rt0_addr_parse(text, &addrs[0], NULL) == 0)
		return 1;
	if (text == NULL || runtime_hasprefix(text, "unix:"))
		return -EINVAL;
	// [host]:service or host:service
	char host[MAXHOST + 1];
	const char *end = text + runtime_strlen(text), *from = text, *colon = end;
	while (colon > text && colon[-1] != ':')
		colon--;
	if (colon == text || colon == end)
		return -EINVAL;
	const char *to = colon - 1;
	if (*from == '[') {
		if (to - from < 3 || to[-1] != ']')
			return -EINVAL;
		from++;
		to--;
	}
	// Brackets are for IPv6; what is not numeric there can only be an interface's name.
	bool zone = false;
	for (const char *s = from; s < to; s++) {
		if (*s == '[' || *s == ']' || (*s == ':' && *text != '['))
			return -EINVAL;
		zone = zone || *s == '%';
	}
	if (*text == '[' && !zone)
		return -EINVAL;
	if (to - from > MAXHOST)
		return -EINVAL;
	runtime_memmove(host, from, (size_t)(to - from));
	host[to - from] = 0;
	return runtime_lookup(host, colon, 0, deadline, ctx, addrs, n);
}

struct lookupcall {
	const char *host, *service;
	int flags, n, result;
	int64_t deadline;
	rt0_context *ctx;
	rt0_addr *addrs;
};

static void
lookupcall_g(void *arg)
{
	struct lookupcall *a = arg;
	a->result = runtime_lookup(a->host, a->service, a->flags, a->deadline, a->ctx, a->addrs, a->n);
}

static int
anywhere(struct lookupcall a)
{
	if (getg() != NULL) {
		lookupcall_g(&a);
	} else {
		int err = runtime_callback(lookupcall_g, &a);
		if (err < 0)
			return err;
	}
	return a.result;
}

int
rt0_lookup(const char *host, const char *service, int flags, int64_t deadline, rt0_addr *addrs, int n)
{
	return anywhere((struct lookupcall){host, service, flags, n, 0, deadline, NULL, addrs});
}

int
rt0_lookup_ctx(const char *host, const char *service, int flags, rt0_context *ctx, rt0_addr *addrs, int n)
{
	return anywhere((struct lookupcall){host, service, flags, n, 0, INT64_MAX, ctx, addrs});
}

const char *
rt0_lookup_error(int err)
{
	switch (-err) {
	case ENXIO: return "no such host";
	case EAGAIN: return "temporary failure in name resolution";
	case EREMOTEIO: return "the name server refuses";
	case ENOTSUP: return "no such host in /etc/hosts, and this program has no resolver";
	case EINVAL: return "not a host or a service";
	case ETIMEDOUT: return "the name server does not answer in time";
	}
	return NULL;
}
