// SPDX-License-Identifier: BSD-3-Clause
// test_lookup.c: names, and dial by name. No network: the resolver is one of ours, but for what it must find itself.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "apiutil.h"
#include "netutil.h"
#include "proc.h"

#include "../../src/net/lookup.h"

// ---- a resolver of ours, in the place of the libc's for the whole program ----

// fake answers when it is set; else the libc's own does.
static int (*fake)(const char *host, struct addrinfo **res);
static int nfake, nfreed, ninside, maxinside, hold; // atomic

struct fakeinfo {
	struct addrinfo ai;
	struct sockaddr_in6 sa;
};

static struct addrinfo *
fakeaddr(const char *ip, int port, struct addrinfo *next)
{
	struct fakeinfo *f = calloc(1, sizeof *f);
	f->ai.ai_addr = (struct sockaddr *)&f->sa;
	f->ai.ai_next = next;
	struct sockaddr_in *in = (struct sockaddr_in *)&f->sa;
	if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = __builtin_bswap16((uint16_t)port);
		f->ai.ai_family = AF_INET;
		f->ai.ai_addrlen = sizeof *in;
	} else {
		inet_pton(AF_INET6, ip, &f->sa.sin6_addr);
		f->sa.sin6_family = AF_INET6;
		f->sa.sin6_port = __builtin_bswap16((uint16_t)port);
		f->ai.ai_family = AF_INET6;
		f->ai.ai_addrlen = sizeof f->sa;
	}
	inc(&nfake);
	return &f->ai;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	if (fake != NULL)
		return fake(host, res);
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(host, service, hints, res);
}

void
freeaddrinfo(struct addrinfo *ai)
{
	void (*real)(struct addrinfo *);
	if (fake == NULL) {
		*(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
		real(ai);
		return;
	}
	while (ai != NULL) {
		struct addrinfo *next = ai->ai_next;
		free(ai);
		inc(&nfreed);
		ai = next;
	}
}

static void
quiet(int n)
{
	while (rt0_num_goroutine() > n)
		rt0_sleep(RT0_MILLISECOND);
}

static const char *
text(const rt0_addr *a)
{
	static char b[RT0_ADDR_TEXT];
	return rt0_addr_format(a, b, sizeof b);
}

// ---- lookup ----

TEST(lookup_numbers_need_nobody)
{
	rt0_addr a[4];
	CHECK_EQ(rt0_lookup("127.0.0.1", "80", 0, 0, a, 4), 1);
	CHECK_STREQ(text(a), "127.0.0.1:80");
	CHECK_EQ(rt0_lookup("::1", "443", 0, 0, a, 4), 1);
	CHECK_STREQ(text(a), "[::1]:443");
	CHECK_EQ(rt0_lookup("127.0.0.1", NULL, 0, 0, a, 1), 1);
	CHECK_STREQ(text(a), "127.0.0.1:0");
	CHECK_EQ(rt0_lookup(NULL, "80", 0, 0, a, 1), 1);
	CHECK_STREQ(text(a), ":80");
	CHECK_EQ(rt0_lookup("", "", 0, 0, a, 1), 1);
	CHECK_STREQ(text(a), ":0");
	CHECK_EQ(rt0_lookup("127.0.0.1", "80", RT0_V4ONLY, 0, a, 1), 1);
	CHECK_EQ(rt0_lookup("127.0.0.1", "80", RT0_V6ONLY, 0, a, 1), -ENXIO);
	CHECK_EQ(rt0_lookup("::1", "80", RT0_V4ONLY, 0, a, 1), -ENXIO);
	CHECK_EQ(rt0_num_goroutine(), 1);
}

static int
none(const char *host, struct addrinfo **res)
{
	(void)host;
	(void)res;
	inc(&nfake);
	return EAI_NONAME;
}

TEST(lookup_nonsense)
{
	rt0_addr a[1];
	char longname[300];
	memset(longname, 'a', sizeof longname);
	longname[254] = 0;
	fake = none;
	CHECK_EQ(rt0_lookup(longname, "80", 0, 0, a, 1), -EINVAL);
	CHECK_EQ(rt0_lookup("localhost", longname, 0, 0, a, 1), -EINVAL);
	static const char *const bad[] = {"a b", "a\nb", "[::1]", "a[", "x\x7f", "\t"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_EQ(rt0_lookup(bad[i], "80", 0, RT0_NEVER, a, 1), -EINVAL);
	static const char *const services[] = {"-1", " 80", "65536", "99999999999", "+80", "80 ", "ht tp", "80-", "80.", ".", "http\n", "8é"};
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		CHECK_EQ(rt0_lookup("localhost", services[i], 0, RT0_NEVER, a, 1), -EINVAL);
	CHECK_EQ(rt0_lookup("localhost", "80", 0, 0, a, 0), -EINVAL);
	CHECK_EQ(rt0_lookup("localhost", "80", 0, 0, a, -1), -EINVAL);
	CHECK_EQ(rt0_lookup("localhost", "80", RT0_V4ONLY | RT0_V6ONLY, 0, a, 1), -EINVAL);
	CHECK_EQ(rt0_lookup("localhost", "80", RT0_REUSEPORT, 0, a, 1), -EINVAL);
	// What some libcs take for addresses, and what is one written wrongly.
	static const char *const numbers[] = {"1.2.3", "127.1", "300.1.1.1", "1.2.3.4.5", "0x7f.1", "0x7f000001", "2130706433", "1.2.3.4.", "a.b.7"};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		CHECK_EQ(rt0_lookup(numbers[i], "80", 0, RT0_NEVER, a, 1), -ENXIO);
	CHECK_EQ(get(&nfake), 0);
	static const char *const names[] = {"0xg", "1.2.3.4x", "7.a", "a..b", "0x7f.com", "-"};
	for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
		CHECK_EQ(rt0_lookup(names[i], "80", 0, RT0_NEVER, a, 1), -ENXIO);
		CHECK_EQ(get(&nfake), i + 1);
	}
	int past = rt0_lookup("localhost", "80", 0, 0, a, 1);
	CHECK(past == -ETIMEDOUT || past == -ENXIO);
}

static int eai;

static int
failing(const char *host, struct addrinfo **res)
{
	(void)host;
	(void)res;
	errno = EMFILE;
	return eai;
}

TEST(lookup_errors_and_their_texts)
{
	static const struct {
		int eai, err;
		const char *text;
	} all[] = {
	    {EAI_NONAME, -ENXIO, "no such host"},
	    {EAI_NODATA, -ENXIO, "no such host"},
	    {EAI_ADDRFAMILY, -ENXIO, "no such host"},
	    {EAI_AGAIN, -EAGAIN, "temporary failure in name resolution"},
	    {EAI_FAIL, -EREMOTEIO, "the name server refuses"},
	    {EAI_MEMORY, -ENOMEM, NULL},
	    {EAI_SYSTEM, -EMFILE, NULL},
	    {EAI_SERVICE, -EINVAL, "not a host or a service"},
	    {EAI_FAMILY, -EINVAL, "not a host or a service"},
	    {EAI_BADFLAGS, -EINVAL, "not a host or a service"},
	};
	rt0_addr a[1];
	fake = failing;
	errno = 77;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		eai = all[i].eai;
		CHECK_EQ(rt0_lookup("some.host", "80", 0, RT0_NEVER, a, 1), all[i].err);
		CHECK_STREQ(rt0_lookup_error(all[i].err), all[i].text);
	}
	CHECK_STREQ(rt0_lookup_error(-ETIMEDOUT), "the name server does not answer in time");
	CHECK_STREQ(rt0_lookup_error(-ENOTSUP), "no such host in /etc/hosts, and this program has no resolver");
	CHECK(rt0_lookup_error(0) == NULL && rt0_lookup_error(-ECONNREFUSED) == NULL);
}

static int
three(const char *host, struct addrinfo **res)
{
	CHECK_STREQ(host, "three.test");
	*res = fakeaddr("2001:db8::1", 80, fakeaddr("192.0.2.1", 80, fakeaddr("192.0.2.2", 80, NULL)));
	return 0;
}

TEST(lookup_gives_addresses_in_order)
{
	rt0_addr a[4];
	fake = three;
	for (int n = 1; n <= 4; n++) {
		CHECK_EQ(rt0_lookup("three.test", "http", 0, RT0_NEVER, a, n), n < 3 ? n : 3);
		CHECK_STREQ(text(&a[0]), "[2001:db8::1]:80");
		if (n > 1)
			CHECK_STREQ(text(&a[1]), "192.0.2.1:80");
		if (n > 2)
			CHECK_STREQ(text(&a[2]), "192.0.2.2:80");
	}
	quiet(1);
	CHECK_EQ(get(&nfake), 12);
	CHECK_EQ(get(&nfreed), 12);
}

// The libc's own, on this machine: localhost is in every /etc/hosts, and .invalid is nowhere.
TEST_T(lookup_real_resolver, 60000)
{
	rt0_addr a[8];
	int n = rt0_lookup("localhost", "80", 0, RT0_NEVER, a, 8);
	if (n < 0)
		SKIP("localhost is not known here");
	for (int i = 0; i < n; i++)
		CHECK(strcmp(text(&a[i]), "127.0.0.1:80") == 0 || strcmp(text(&a[i]), "[::1]:80") == 0);
	n = rt0_lookup("name.invalid", "80", 0, rt0_deadline(100 * RT0_MILLISECOND), a, 8);
	CHECK(n == -ENXIO || n == -EAGAIN || n == -ETIMEDOUT || n == -EREMOTEIO);
	n = rt0_lookup("127.0.0.1", "http", 0, RT0_NEVER, a, 8);
	CHECK(n == -EINVAL || (n == 1 && strcmp(text(a), "127.0.0.1:80") == 0)); // without /etc/services
	n = rt0_lookup(NULL, "http", 0, RT0_NEVER, a, 8);
	CHECK(n == -EINVAL || (n == 1 && strcmp(text(a), ":80") == 0));
	CHECK_EQ(rt0_lookup("127.0.0.1", "no-such-service", 0, RT0_NEVER, a, 8), -EINVAL);
}

// ---- threads and deadlines ----

static int
slow(const char *host, struct addrinfo **res)
{
	(void)host;
	int n = inc(&ninside);
	for (int max = get(&maxinside); n > max; max = get(&maxinside))
		__atomic_compare_exchange_n(&maxinside, &max, n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	while (get(&hold))
		usleep(1000);
	dec(&ninside);
	*res = fakeaddr("192.0.2.1", 80, NULL);
	return 0;
}

static int answered, late;

static void
asker(void *arg)
{
	rt0_addr a[1];
	int n = rt0_lookup("slow.test", "80", 0, arg != NULL ? RT0_NEVER : rt0_deadline(20 * RT0_MILLISECOND), a, 1);
	if (n == 1)
		inc(&answered);
	else if (arg == NULL && n == -ETIMEDOUT)
		inc(&late);
	else
		test_fail("lookup: %d\n", n);
}

TEST(lookup_bounded_threads)
{
	fake = slow;
	hold = 1;
	for (int i = 0; i < 300; i++)
		rt0_go(asker, &hold);
	while (get(&ninside) < 16)
		rt0_sleep(RT0_MILLISECOND);
	rt0_sleep(20 * RT0_MILLISECOND);
	CHECK_EQ(get(&ninside), 16);
	CHECK(proc_threads() < 16 + 16);
	// Others run meanwhile, and their numbers need no turn.
	rt0_addr a[1];
	CHECK_EQ(rt0_lookup("127.0.0.1", "80", 0, RT0_NEVER, a, 1), 1);
	set(&hold, 0);
	quiet(1);
	CHECK_EQ(get(&answered), 300);
	CHECK_EQ(get(&maxinside), 16);
	CHECK_EQ(get(&nfreed), 300);
}

// Those that ask and those that wait for their turn are let go; late answers are freed.
TEST(lookup_deadline)
{
	fake = slow;
	hold = 1;
	for (int i = 0; i < 50; i++)
		rt0_go(asker, NULL);
	while (get(&late) < 50)
		rt0_sleep(RT0_MILLISECOND);
	int asked = get(&ninside);
	CHECK(asked > 0 && asked <= 16);
	set(&hold, 0);
	quiet(1);
	CHECK_EQ(get(&nfake), asked);
	CHECK_EQ(get(&nfreed), asked);
	asker(&hold);
	CHECK_EQ(get(&answered), 1);
}

static void
cancelsoon(void *arg)
{
	rt0_sleep(5 * RT0_MILLISECOND);
	rt0_context_cancel(arg);
}

TEST(lookup_context)
{
	rt0_addr a[1];
	fake = slow;
	hold = 1;
	rt0_context *ctx = rt0_context_with_cancel(rt0_context_background());
	rt0_go(cancelsoon, ctx);
	CHECK_EQ(rt0_lookup_ctx("slow.test", "80", 0, ctx, a, 1), -ECANCELED);
	CHECK_EQ(rt0_lookup_ctx("slow.test", "80", 0, ctx, a, 1), -ECANCELED);
	CHECK_EQ(rt0_lookup_ctx("127.0.0.1", "80", 0, ctx, a, 1), -ECANCELED);
	rt0_context *soon = rt0_context_with_timeout(rt0_context_background(), 5 * RT0_MILLISECOND);
	CHECK_EQ(rt0_lookup_ctx("slow.test", "80", 0, soon, a, 1), -ETIMEDOUT);
	rt0_fd *fd;
	CHECK_EQ(rt0_dial_ctx("slow.test:80", soon, &fd), -ETIMEDOUT);
	CHECK_EQ(rt0_dial_ctx("127.0.0.1:80", ctx, &fd), -ECANCELED);
	CHECK_EQ(rt0_dial("slow.test:80", rt0_deadline(5 * RT0_MILLISECOND), &fd), -ETIMEDOUT);
	set(&hold, 0);
	CHECK_EQ(rt0_lookup_ctx("slow.test", "80", 0, rt0_context_background(), a, 1), 1);
	quiet(1);
	CHECK_EQ(get(&nfake), get(&nfreed));
	rt0_context_release(soon);
	rt0_context_release(ctx);
}

// Deadlines that pass when the answer comes.
static void
racer(void *arg)
{
	rt0_addr a[1];
	int n = rt0_lookup("slow.test", "80", 0, rt0_deadline((intptr_t)arg * 20000), a, 1);
	CHECK(n == 1 || n == -ETIMEDOUT);
	inc(n == 1 ? &answered : &late);
}

TEST_T(lookup_deadline_races, 30000)
{
	fake = slow;
	for (int round = 0; round < 10; round++) {
		for (intptr_t i = 0; i < 40; i++)
			rt0_go(racer, (void *)i);
		quiet(1);
	}
	CHECK_EQ(get(&answered) + get(&late), 400);
	CHECK_EQ(get(&nfake), get(&nfreed));
}

// ---- without a libc ----

static char hostsfile[] = "/tmp/rt0-hosts-XXXXXX", servicesfile[] = "/tmp/rt0-services-XXXXXX";

static void
hostsfiles(void)
{
	static const char hosts[] = "# comment\n127.0.0.1 localhost Loop.Example\r\n\t::1  localhost ip6#cut behind\n"
				    "junk name\n300.1.1.1 bad\n10.0.0.1\n10.0.0.2 a b\tc # d\n10.0.0.3 a\nfe80::1%2 zone\n10.0.0.4 last";
	static const char services[] = "# x\nhttp 80/tcp www\nhttp 81/udp\ndomain 53/udp\nbad x/tcp\nhuge 70000/tcp\nlast 9/tcp alias";
	int f = mkstemp(hostsfile), g = mkstemp(servicesfile);
	CHECK_EQ(write(f, hosts, sizeof hosts - 1), (long)sizeof hosts - 1);
	// A line longer than any buffer of ours, before the one that is looked for.
	char big[10000];
	memset(big, 'x', sizeof big);
	big[sizeof big - 1] = '\n';
	CHECK_EQ(write(g, big, sizeof big), (long)sizeof big);
	CHECK_EQ(write(g, services, sizeof services - 1), (long)sizeof services - 1);
	close(f);
	close(g);
}

static int
pure(const char *host, const char *service, int flags, rt0_addr *a, int n)
{
	return runtime_hostslookup(hostsfile, servicesfile, host, service, flags, a, n);
}

TEST(lookup_hosts_file)
{
	rt0_addr a[4];
	hostsfiles();
	CHECK_EQ(pure("localhost", "80", 0, a, 4), 2);
	CHECK_STREQ(text(&a[0]), "127.0.0.1:80");
	CHECK_STREQ(text(&a[1]), "[::1]:80");
	CHECK_EQ(pure("LOCALHOST", "www", RT0_V6ONLY, a, 4), 1);
	CHECK_STREQ(text(&a[0]), "[::1]:80");
	CHECK_EQ(pure("loop.example", "http", RT0_V4ONLY, a, 4), 1);
	CHECK_EQ(pure("localhost", "80", 0, a, 1), 1);
	CHECK_EQ(pure("ip6", "0", 0, a, 4), 1);
	CHECK_EQ(pure("a", "1", 0, a, 4), 2);
	CHECK_STREQ(text(&a[1]), "10.0.0.3:1");
	CHECK_EQ(pure("c", "alias", 0, a, 4), 1);
	CHECK_STREQ(text(&a[0]), "10.0.0.2:9");
	CHECK_EQ(pure("last", "1", 0, a, 4), 1);
	CHECK_EQ(pure("zone", "1", 0, a, 4), 1);
	CHECK_STREQ(text(&a[0]), "[fe80::1%2]:1");
	static const char *const not[] = {"d", "#", "behind", "bad", "name", "junk", "10.0.0.1", "nowhere", "loop", ""};
	for (size_t i = 0; i < sizeof not / sizeof not[0]; i++)
		CHECK_EQ(pure(not[i], "1", 0, a, 4), -ENOTSUP);
	static const char *const noservice[] = {"domain", "bad", "huge", "x", "65536", "-1"};
	for (size_t i = 0; i < sizeof noservice / sizeof noservice[0]; i++)
		CHECK_EQ(pure("localhost", noservice[i], 0, a, 4), -EINVAL);
	CHECK_EQ(pure(NULL, "http", 0, a, 4), 1);
	CHECK_STREQ(text(&a[0]), ":80");
	CHECK_EQ(runtime_hostslookup("/no/file", "/no/file", "localhost", "80", 0, a, 4), -ENOTSUP);
	CHECK_EQ(runtime_hostslookup("/no/file", "/no/file", "localhost", "http", 0, a, 4), -EINVAL);
	unlink(hostsfile);
	unlink(servicesfile);
}

// ---- dial ----

static rt0_addr
addr(const char *s)
{
	rt0_addr a;
	CHECK_EQ(rt0_addr_parse(s, &a, NULL), 0);
	return a;
}

static void
order(const char *families, const char *want)
{
	rt0_addr a[16] = {0};
	int o[16], n = (int)strlen(families);
	char got[17] = "";
	for (int i = 0; i < n; i++)
		a[i] = addr(families[i] == '4' ? "127.0.0.1:1" : "[::1]:1");
	runtime_dialorder(a, n, o);
	for (int i = 0; i < n; i++)
		got[i] = (char)('a' + o[i]);
	CHECK_STREQ(got, want);
}

TEST(dial_families_in_turn)
{
	order("4", "a");
	order("44", "ab");
	order("46", "ab");
	order("664", "acb");
	order("6644", "acbd");
	order("4446", "adbc");
	order("66666444", "afbgchde");
	order("464646", "abcdef");
	order("6446664", "abdcegf");
}

// A listener of family 4 or 6, and its address.
static rt0_fd *
listener(const char *at, rt0_addr *a)
{
	rt0_fd *fd;
	CHECK_EQ(rt0_listen(at, 0, &fd), 0);
	CHECK_EQ(rt0_local_addr(fd, a), 0);
	return fd;
}

// hole makes an address where nobody answers: a listener whose backlog is full drops what comes.
static rt0_addr
hole(void)
{
	rt0_addr a;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = __builtin_bswap32(0x7f000001)};
	socklen_t len = sizeof in;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(l, (struct sockaddr *)&in, sizeof in) == 0 && listen(l, 0) == 0);
	CHECK_EQ(getsockname(l, (struct sockaddr *)&in, &len), 0);
	char s[32];
	snprintf(s, sizeof s, "127.0.0.1:%d", __builtin_bswap16(in.sin_port));
	a = addr(s);
	for (int i = 0; i < 20; i++) {
		rt0_fd *fd;
		int err = rt0_dial_addr(&a, 0, rt0_deadline(50 * RT0_MILLISECOND), &fd);
		if (err == -ETIMEDOUT)
			return a;
		CHECK_EQ(err, 0);
	}
	SKIP("a full backlog takes more connections here");
}

// refused makes an address where nobody listens.
static rt0_addr
refused(void)
{
	rt0_addr a;
	rt0_fd_close(listener("127.0.0.1:0", &a));
	return a;
}

// connected checks that fd leads to what l accepts, and closes both ends.
static void
connected(rt0_fd *fd, rt0_fd *l)
{
	rt0_fd *peer;
	char c = 0;
	CHECK_EQ(rt0_accept(l, &peer, NULL), 0);
	CHECK_EQ(rt0_fd_write(fd, "x", 1), 1);
	CHECK_EQ(rt0_fd_read(peer, &c, 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(rt0_fd_close(fd), 0);
	CHECK_EQ(rt0_fd_read(peer, &c, 1), 0);
	CHECK_EQ(rt0_fd_close(peer), 0);
}

TEST(dial_next_address_after_a_refusal)
{
	rt0_addr a[3];
	rt0_fd *fd, *l = listener("127.0.0.1:0", &a[2]);
	a[0] = refused();
	a[1] = refused();
	int fds = netutil_fds();
	int64_t t0 = rt0_nanotime();
	CHECK_EQ(runtime_dialaddrs(a, 3, RT0_NEVER, NULL, &fd), 0);
	if (!SANITIZED)
		CHECK(rt0_nanotime() - t0 < 240 * RT0_MILLISECOND); // it did not wait for the next one's time
	connected(fd, l);
	CHECK_EQ(netutil_fds(), fds);
	CHECK_EQ(rt0_num_goroutine(), 1);
}

TEST(dial_next_address_while_the_first_is_silent)
{
	rt0_addr a[2];
	a[0] = hole();
	rt0_fd *fd, *l = listener("[::1]:0", &a[1]);
	int fds = netutil_fds();
	int64_t t0 = rt0_nanotime();
	CHECK_EQ(runtime_dialaddrs(a, 2, rt0_deadline(9 * RT0_SECOND), NULL, &fd), 0);
	CHECK(rt0_nanotime() - t0 >= 250 * RT0_MILLISECOND);
	connected(fd, l);
	CHECK_EQ(netutil_fds(), fds); // the loser's is closed
	quiet(1);
}

TEST(dial_all_fail_gives_the_first_error)
{
	rt0_addr a[3] = {refused(), addr("127.0.0.1:0"), refused()};
	rt0_fd *fd = NULL;
	CHECK_EQ(runtime_dialaddrs(a, 3, RT0_NEVER, NULL, &fd), -ECONNREFUSED);
	a[0] = addr("255.255.255.255:1");
	int err = runtime_dialaddrs(a, 3, RT0_NEVER, NULL, &fd);
	CHECK(err == -ENETUNREACH || err == -EACCES || err == -EHOSTUNREACH);
	CHECK(fd == NULL);
	quiet(1);
}

TEST(dial_deadline_and_context_end_the_race)
{
	rt0_addr a[2];
	rt0_fd *fd = NULL;
	a[0] = a[1] = hole();
	int fds = netutil_fds();
	CHECK_EQ(runtime_dialaddrs(a, 2, rt0_deadline(20 * RT0_MILLISECOND), NULL, &fd), -ETIMEDOUT);
	CHECK_EQ(runtime_dialaddrs(a, 2, rt0_deadline(300 * RT0_MILLISECOND), NULL, &fd), -ETIMEDOUT);
	rt0_context *ctx = rt0_context_with_cancel(rt0_context_background());
	rt0_go(cancelsoon, ctx);
	CHECK_EQ(runtime_dialaddrs(a, 1, RT0_NEVER, ctx, &fd), -ECANCELED);
	CHECK_EQ(rt0_dial_ctx(text(&a[0]), ctx, &fd), -ECANCELED);
	rt0_context_release(ctx);
	ctx = rt0_context_with_timeout(rt0_context_background(), 10 * RT0_MILLISECOND);
	CHECK_EQ(rt0_dial_ctx(text(&a[0]), ctx, &fd), -ETIMEDOUT);
	rt0_context_release(ctx);
	CHECK(fd == NULL);
	CHECK_EQ(netutil_fds(), fds);
	quiet(1);
}

// The context ends when the connection is made: one of both, and no descriptor lost; and a connection that was
// returned stays usable.
TEST_T(dial_context_races, 30000)
{
	rt0_addr a;
	rt0_fd *l = listener("127.0.0.1:0", &a), *fd;
	int made = 0, fds = netutil_fds();
	for (int i = 0; i < 300; i++) {
		rt0_context *ctx = rt0_context_with_timeout(rt0_context_background(), 1000 + (i % 30) * 10000);
		int err = rt0_dial_ctx(text(&a), ctx, &fd);
		if (err == 0) {
			made++;
			CHECK_EQ(rt0_fd_write(fd, "y", 1), 1);
			rt0_fd_close(fd);
		} else {
			CHECK_EQ(err, -ETIMEDOUT);
		}
		rt0_context_release(ctx);
		rt0_fd_set_deadline(l, 0);
		while (rt0_accept(l, &fd, NULL) == 0)
			rt0_fd_close(fd);
	}
	quiet(1);
	rt0_fd_set_deadline(l, rt0_deadline(RT0_MILLISECOND));
	while (rt0_accept(l, &fd, NULL) == 0)
		rt0_fd_close(fd);
	CHECK_EQ(netutil_fds(), fds);
}

static int port;

static int
twofamilies(const char *host, struct addrinfo **res)
{
	CHECK_STREQ(host, "two.test");
	*res = fakeaddr("::1", port, fakeaddr("127.0.0.1", port, NULL));
	return 0;
}

TEST(dial_and_listen_by_name)
{
	rt0_addr a;
	rt0_fd *fd, *l = listener("127.0.0.1:0", &a), *l2;
	char name[64];
	fake = twofamilies;
	port = rt0_addr_port(&a);
	snprintf(name, sizeof name, "two.test:%d", port);
	CHECK_EQ(rt0_dial(name, RT0_NEVER, &fd), 0); // ::1 refuses
	connected(fd, l);
	CHECK_EQ(rt0_dial_ctx(name, rt0_context_background(), &fd), 0);
	connected(fd, l);
	port = 0;
	CHECK_EQ(rt0_listen("two.test:0", 0, &l2), 0); // the IPv4 one
	CHECK_EQ(rt0_local_addr(l2, &a), 0);
	CHECK_EQ(a.sa.family, AF_INET);
	CHECK_EQ(rt0_listen("two.test:0", RT0_V6ONLY, &l2), 0);
	CHECK_EQ(rt0_local_addr(l2, &a), 0);
	CHECK_EQ(a.sa.family, AF_INET6);
	fake = none;
	CHECK_EQ(rt0_listen("two.test:0", 0, &l2), -ENXIO);
	CHECK_EQ(rt0_dial("two.test:0", RT0_NEVER, &l2), -ENXIO);
	static const char *const bad[] = {"", "two.test", "two.test:", ":", "two.test:80:90", "[two.test:80", "two.test]:80", "a b:80", "[]:80",
	    "two[x]:80", "unix:", "]:80", "[", "[:80", "]", "[two.test]:80", "[127.0.0.1]:80", "[1::2::3]:80"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (rt0_dial(bad[i], RT0_NEVER, &fd) != -EINVAL || rt0_listen(bad[i], 0, &fd) != -EINVAL)
			test_fail("%s: %d\n", bad[i], rt0_dial(bad[i], RT0_NEVER, &fd));
	CHECK_EQ(rt0_dial(NULL, RT0_NEVER, &fd), -EINVAL);
	CHECK_EQ(rt0_dial("1.2.3:80", RT0_NEVER, &fd), -ENXIO);
	quiet(1);
}

static void *
thread(void *arg)
{
	rt0_addr a[1];
	rt0_fd *fd;
	CHECK_EQ(rt0_lookup("x.test", "80", 0, RT0_NEVER, a, 1), -ENXIO);
	CHECK_EQ(rt0_lookup_ctx("x.test", "80", 0, rt0_context_background(), a, 1), -ENXIO);
	CHECK_EQ(rt0_dial("x.test:80", RT0_NEVER, &fd), -ENXIO);
	CHECK_EQ(rt0_dial_ctx("x.test:80", rt0_context_background(), &fd), -ENXIO);
	CHECK_EQ(rt0_listen("x.test:80", 0, &fd), -ENXIO);
	return arg;
}

TEST(lookup_from_a_thread)
{
	pthread_t t;
	fake = none;
	CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
	RT0_BLOCKING(pthread_join(t, NULL));
}
