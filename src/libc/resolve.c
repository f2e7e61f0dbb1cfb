// SPDX-License-Identifier: BSD-3-Clause
// resolve.c: the libc's resolver for src/net/lookup.c.
//
// A file of its own, which a program that looks nothing up does not link: a static one would get the libc's
// whole resolver with it, and a warning. For pure programs rt0_linux_amd64.s has another runtime_libclookup.
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "../../include/rt0/net.h"

static int
errorof(int eai, int err)
{
	switch (eai) {
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
#endif
		return -ENXIO;
	case EAI_AGAIN: return -EAGAIN;
	case EAI_FAIL: return -EREMOTEIO;
	case EAI_MEMORY: return -ENOMEM;
	case EAI_SYSTEM: return err > 0 ? -err : -EREMOTEIO;
	}
	return -EINVAL; // EAI_SERVICE, EAI_FAMILY, EAI_SOCKTYPE, EAI_BADFLAGS
}

static int
libclookup(const char *host, const char *service, int flags, rt0_addr *addrs, int n)
{
	struct addrinfo hints, *list = NULL;
	int found = 0, saved = errno;
	memset(&hints, 0, sizeof hints);
	hints.ai_family = flags & RT0_V4ONLY ? AF_INET : flags & RT0_V6ONLY ? AF_INET6 : AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM; // one of each address
	if (host == NULL)
		hints.ai_flags = AI_PASSIVE;
	errno = 0;
	int eai = getaddrinfo(host, service, &hints, &list);
	int err = errno;
	errno = saved;
	if (eai != 0)
		return errorof(eai, err);
	for (struct addrinfo *a = list; a != NULL && found < n; a = a->ai_next) {
		if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof addrs->sa)
			continue;
		memset(&addrs[found], 0, sizeof addrs[found]);
		addrs[found].len = (uint16_t)a->ai_addrlen;
		memcpy(&addrs[found].sa, a->ai_addr, a->ai_addrlen);
		if (host == NULL) {
			// Any: as rt0_addr_parse makes of a port alone.
			struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = ((struct sockaddr_in6 *)a->ai_addr)->sin6_port};
			memcpy(&addrs[found].sa, &in6, sizeof in6);
			addrs[found].len = sizeof in6;
			addrs[found].any = true;
		}
		found++;
		if (host == NULL)
			break;
	}
	freeaddrinfo(list);
	return found > 0 ? found : -ENXIO;
}

__attribute__((visibility("hidden"))) extern int (*const runtime_libclookup)(const char *, const char *, int, rt0_addr *, int);
int (*const runtime_libclookup)(const char *, const char *, int, rt0_addr *, int) = libclookup;
