// SPDX-License-Identifier: BSD-3-Clause
// resolve.c: names to addresses and back, by the libc's resolver.
//
// Its own system calls do not come by us: calls inside a libc are bound when the libc is linked. So it blocks a
// thread, declared, and MAXLOOKUPS bounds how many: more wait as goroutines for their turn. Its answers,
// h_errno with them, are on the thread that asked, and so is the goroutine when it returns.
#include "posix.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <string.h>
#include <sys/socket.h>

enum { MAXLOOKUPS = 16 };
static uint32_t room = MAXLOOKUPS;

static void
leave(const int *declared)
{
	(void)declared;
	rt->exit();
	rt->semrelease(&room);
}

// RESOLVE returns what call returns. The turn may make the goroutine change threads, before the call.
#define RESOLVE(call)                                                                             \
	do {                                                                                      \
		enum posixcontext c_ = context();                                                 \
		if (c_ == POSIX_PLAIN)                                                            \
			return (call);                                                            \
		if (c_ == POSIX_BLOCK)                                                            \
			return DECLAREDBLOCK(call);                                               \
		uint64_t thread_ = rt->thread();                                                 \
		rt->semacquire(&room);                                                           \
		posix_home(thread_);                                                              \
		rt->enterblock();                                                                \
		int declared_ __attribute__((unused, cleanup(leave))) = 0;                                \
		return (call);                                                                    \
	} while (0)

// numeric: node is an address and service a port, so nobody is asked, and no file read. (Without a node there are two
// addresses, and the libc reads how to order them.)
static bool
numeric(const char *node, const char *service)
{
	unsigned char addr[sizeof(struct in6_addr)];
	if (node == NULL || (inet_pton(AF_INET, node, addr) != 1 && inet_pton(AF_INET6, node, addr) != 1))
		return false;
	return service == NULL || service[strspn(service, "0123456789")] == 0;
}

EXPORT int
getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
    struct addrinfo **restrict result)
{
	if (numeric(node, service))
		return next(getaddrinfo)(node, service, hints, result);
	RESOLVE(next(getaddrinfo)(node, service, hints, result));
}

EXPORT int
getnameinfo(const struct sockaddr *restrict addr, socklen_t len, char *restrict host, socklen_t hostlen,
    char *restrict serv, socklen_t servlen, int flags)
{
	RESOLVE(next(getnameinfo)(addr, len, host, hostlen, serv, servlen, flags));
}

EXPORT struct hostent *
gethostbyname(const char *name)
{
	RESOLVE(next(gethostbyname)(name));
}

EXPORT struct hostent *
gethostbyname2(const char *name, int family)
{
	RESOLVE(next(gethostbyname2)(name, family));
}

EXPORT struct hostent *
gethostbyaddr(const void *addr, socklen_t len, int family)
{
	RESOLVE(next(gethostbyaddr)(addr, len, family));
}

EXPORT int
gethostbyname_r(const char *restrict name, struct hostent *restrict h, char *restrict buf, size_t n,
    struct hostent **restrict result, int *restrict err)
{
	RESOLVE(next(gethostbyname_r)(name, h, buf, n, result, err));
}

EXPORT int
gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict h, char *restrict buf, size_t n,
    struct hostent **restrict result, int *restrict err)
{
	RESOLVE(next(gethostbyname2_r)(name, family, h, buf, n, result, err));
}

EXPORT int
gethostbyaddr_r(const void *restrict addr, socklen_t len, int family, struct hostent *restrict h, char *restrict buf,
    size_t n, struct hostent **restrict result, int *restrict err)
{
	RESOLVE(next(gethostbyaddr_r)(addr, len, family, h, buf, n, result, err));
}

// Old programs know these as __res_query and so on.
#define RESOLVER(name, params, args)                                                              \
	EXPORT int name params                                                                    \
	{                                                                                         \
		RESOLVE(next(name) args);                                                         \
	}                                                                                         \
	EXPORT extern __typeof__(name) __##name __attribute__((alias(#name), leaf, nothrow))

RESOLVER(res_query, (const char *name, int class, int type, unsigned char *buf, int n), (name, class, type, buf, n));
RESOLVER(res_search, (const char *name, int class, int type, unsigned char *buf, int n), (name, class, type, buf, n));
RESOLVER(res_querydomain, (const char *name, const char *domain, int class, int type, unsigned char *buf, int n),
    (name, domain, class, type, buf, n));
RESOLVER(res_send, (const unsigned char *msg, int len, unsigned char *buf, int n), (msg, len, buf, n));
RESOLVER(res_nquery, (res_state state, const char *name, int class, int type, unsigned char *buf, int n),
    (state, name, class, type, buf, n));
RESOLVER(res_nsearch, (res_state state, const char *name, int class, int type, unsigned char *buf, int n),
    (state, name, class, type, buf, n));
RESOLVER(res_nquerydomain,
    (res_state state, const char *name, const char *domain, int class, int type, unsigned char *buf, int n),
    (state, name, domain, class, type, buf, n));
RESOLVER(res_nsend, (res_state state, const unsigned char *msg, int len, unsigned char *buf, int n),
    (state, msg, len, buf, n));
