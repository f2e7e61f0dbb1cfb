// SPDX-License-Identifier: BSD-3-Clause
// sockaddr.h: addresses as the kernel has them, over the public rt0_addr.
#ifndef RT0_SOCKADDR_H
#define RT0_SOCKADDR_H

#include "net.h"

struct sockaddr_in {
	uint16_t family, port; // port: network order
	uint8_t addr[4], zero[8];
};
struct sockaddr_in6 {
	uint16_t family, port;
	uint32_t flowinfo;
	uint8_t addr[16];
	uint32_t scope;
};
struct sockaddr_un {
	uint16_t family;
	char path[108];
};
static_assert(sizeof(struct sockaddr_un) <= sizeof(((rt0_addr *)0)->sa), "rt0_addr");
static_assert(sizeof(struct sockaddr_in6) == 28 && sizeof(struct sockaddr_in) == 16, "the kernel's");

static inline uint16_t
htons(uint16_t v)
{
	return __builtin_bswap16(v);
}
#define ntohs htons

#pragma GCC visibility push(hidden)
bool runtime_ismapped(const uint8_t ip[16]); // an IPv4 address in IPv6
// sock.c
// socketof makes the socket that addr needs, of type SOCK_..., and tells by *like what it is; listening: addr will be
// bound, and a wildcard means both families. flags: RT0_V4ONLY... *to is addr as the socket takes it.
int runtime_socketof(const rt0_addr *addr, int type, int flags, bool listening, struct fd *like, rt0_addr *to);
void runtime_addrout(rt0_addr *addr, uint32_t len); // after the kernel has stored len bytes in sa
bool runtime_addrin(const struct fd *fd, const rt0_addr *addr, rt0_addr *to); // addr for a socket of fd's family
int runtime_sockmake(int s, const struct fd *like, rt0_fd **out); // closes s if it fails
#pragma GCC visibility pop

#endif
