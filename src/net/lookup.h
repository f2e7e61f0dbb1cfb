// SPDX-License-Identifier: BSD-3-Clause
// lookup.h: between lookup.c, dial.c and the resolver of the libc.
#ifndef RT0_LOOKUP_H
#define RT0_LOOKUP_H

#include "../../include/rt0/net.h"

enum { MAXADDRS = 32 }; // of one name that are looked at

#pragma GCC visibility push(hidden)

// The libc's resolver (libc/resolve.c), which blocks the thread; NULL in pure programs (rt0_linux_amd64.s). host NULL: only
// the service is asked for. flags: RT0_V4ONLY, RT0_V6ONLY. How many addresses it has stored, n at most, or a
// negative errno of rt0_lookup's.
extern int (*const runtime_libclookup)(const char *host, const char *service, int flags, rt0_addr *addrs, int n);

// lookup is rt0_lookup with both limits; ctx may be NULL. On a goroutine.
int runtime_lookup(const char *host, const char *service, int flags, int64_t deadline, rt0_context *ctx, rt0_addr *addrs, int n);
// hostslookup asks files that look like /etc/hosts and /etc/services.
int runtime_hostslookup(const char *hosts, const char *services, const char *host, const char *service, int flags, rt0_addr *addrs, int n);
// addrsof makes the addresses of a text as rt0_dial's; a text without a name is not looked up, and gives one.
int runtime_addrsof(const char *text, int64_t deadline, rt0_context *ctx, rt0_addr *addrs, int n);

// A dial that others may end: dialaddr stores the handle in fd once it waits, then looks at cancelled; dialcancel stores
// cancelled, then looks at fd, and sets its deadline. Dekker: one of the two sees the other.
struct dialing {
	uint32_t cancelled; // atomic
	rt0_fd *fd;         // atomic; may be stale
};
int runtime_dialaddr(const rt0_addr *addr, int flags, int64_t deadline, struct dialing *d, rt0_fd **out);
void runtime_dialcancel(struct dialing *d);
// dialaddrs connects to the first that answers, of n addresses as a resolver gives them.
int runtime_dialaddrs(const rt0_addr *addrs, int n, int64_t deadline, rt0_context *ctx, rt0_fd **out);
void runtime_dialorder(const rt0_addr *addrs, int n, int *order);

#pragma GCC visibility pop
#endif
