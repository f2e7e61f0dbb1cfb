// SPDX-License-Identifier: BSD-3-Clause
// rt0/net.h: TCP, UDP and Unix sockets by address or name. Read, write, close and deadlines are rt0/io.h's,
// which this includes; include it yourself; rt0.h does not.
//
// What that file says of results, blocking and context holds here, too.
#ifndef RT0_NET_H
#define RT0_NET_H

#include "context.h"
#include "io.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Addresses ------------------------------------------------------------------------------

// An address. sa is a struct sockaddr of len bytes, as the kernel takes it.
typedef struct rt0_addr {
	uint16_t len;
	bool any; // no host was said: all addresses of both families to listen, the loopback to dial
	union {
		uint16_t family; // AF_INET, AF_INET6, AF_UNIX
		uint64_t align;
		char bytes[112];
	} sa;
} rt0_addr;

enum { RT0_ADDR_TEXT = 128 }; // bytes that any address needs as text, with the 0

// rt0_addr_parse understands these texts, all numeric:
//	"127.0.0.1:80"  "[::1]:80"  "[fe80::1%2]:80" (the number of the interface)  ":80"
//	"unix:/path"  "unix:@name" (abstract: no file)
// Returns  0; -EINVAL, and *why (if why is not NULL) says what is wrong, as "missing port in address". The text stays.
// Context  anywhere.
RT0_API int rt0_addr_parse(const char *text, rt0_addr *addr, const char **why);

// rt0_addr_format writes addr as text that rt0_addr_parse understands. An IPv4 address that IPv6 carries
// is written as IPv4. What does not fit into n bytes is dropped; the text ends with a 0.
// Returns  buf.
// Context  anywhere.
RT0_API char *rt0_addr_format(const rt0_addr *addr, char *buf, size_t n);

// The port in host order; 0 if it has none. rt0_addr_set_port changes it: -EINVAL if it has none.
// Context  anywhere.
RT0_API int rt0_addr_port(const rt0_addr *addr);
RT0_API int rt0_addr_set_port(rt0_addr *addr, int port);

// ---- Names ------------------------------------------------------------------------------------

// rt0_lookup finds the addresses of host, as the libc's getaddrinfo does (names, /etc/hosts, the name servers), in
// the order in which they should be tried, with the port of service: a number, or a name as "http"; NULL: 0. A host
// that is a number is taken as it is; NULL: none (as ":80"). flags: RT0_V4ONLY, RT0_V6ONLY or 0. rt0_lookup_ctx goes on
// until ctx ends. A program without a libc has /etc/hosts and /etc/services only.
//   At most 16 questions are asked at one time, each on a thread that waits; others wait for their turn. A libc's
// resolver cannot be interrupted: at a deadline only the caller is let go.
// Returns  how many are stored, from 1 to n (of 32 at most); -ENXIO: no such host, or it has no such addresses;
//          -EAGAIN: the name servers do not answer, perhaps later; -EREMOTEIO: they refuse; -EINVAL: not a host, no such
//          service, flags, n < 1; -ETIMEDOUT; -ENOTSUP: not in /etc/hosts, and there is no libc; what rt0_context_err says.
//          rt0_lookup_error gives the text of these; NULL: another error.
// Blocks   the goroutine.
RT0_API int rt0_lookup(const char *host, const char *service, int flags, int64_t deadline, rt0_addr *addrs, int n);
RT0_API int rt0_lookup_ctx(const char *host, const char *service, int flags, rt0_context *ctx, rt0_addr *addrs, int n);
RT0_API const char *rt0_lookup_error(int err);

// ---- Connections -----------------------------------------------------------------------------

enum {
	RT0_REUSEPORT = 1,  // several sockets may listen on one port, and share what comes
	RT0_V4ONLY = 2,     // IPv4, or
	RT0_V6ONLY = 4,     // IPv6 only, where the address leaves both open
	RT0_SEQPACKET = 8,  // Unix: a connection of messages
};

// rt0_listen listens on addr, a text as rt0_addr_parse's or with a name ("localhost:http", of whose addresses it
// takes one, of IPv4 if there is one); rt0_listen_addr on an address that was parsed. ":80", "0.0.0.0:80" and "[::]:80" listen
// for IPv4 and IPv6; port 0 is a free one (rt0_local_addr). The backlog is the system's somaxconn. A Unix
// socket's file must not exist; rt0_fd_close removes it.
// Returns  0 with the handle in *out; -EINVAL: the address (rt0_addr_parse tells why) or flags; -EADDRINUSE...; with
//          a name what rt0_lookup says.
// Blocks   the goroutine while it looks up a name; else nobody.
RT0_API int rt0_listen(const char *addr, int flags, rt0_fd **out);
RT0_API int rt0_listen_addr(const rt0_addr *addr, int flags, rt0_fd **out);

// rt0_accept waits for a connection on listener. peer, if not NULL, gets the other side's address. TCP
// connections have no-delay and keep-alive as rt0_dial's have. Connections that are gone before they are
// accepted are skipped. When the process or the system has no descriptors or memory left (EMFILE, ENFILE,
// ENOBUFS, ENOMEM) it tries again after 5 ms, then after twice as long, up to 1 s: who waits to connect waits
// longer. It says so once a listener on stderr, or each time to the function set by rt0_set_accept_trouble,
// which must not wait.
// Returns  0 with the handle in *out; -ETIMEDOUT by the listener's read deadline.
RT0_API int rt0_accept(rt0_fd *listener, rt0_fd **out, rt0_addr *peer);
RT0_API void rt0_set_accept_trouble(void (*fn)(rt0_fd *listener, int err, int64_t delay_ns));

// rt0_dial connects to addr, by the deadline at the latest; rt0_dial_ctx until ctx ends. TCP: no-delay on; keep-alive after
// 15 s, every 15 s, 9 times. addr is a text as rt0_addr_parse's or with a name, "example.org:80", "localhost:http".
// If that has several addresses, they are tried in the order of rt0_lookup, but the families in turn: the next when one
// has failed, and else after 250 ms, beside the others. The first connection is taken (RFC 8305, happy eyeballs).
// Units    deadline: absolute ns of rt0_nanotime(); INT64_MAX: as long as the system tries.
// Returns  0 with the handle in *out; -EINVAL as rt0_listen; -ETIMEDOUT; -ECONNREFUSED; -EADDRNOTAVAIL: no local port is free,
//          and it does not wait for one; others: of several addresses the first error; what rt0_lookup or
//          rt0_context_err says.
RT0_API int rt0_dial(const char *addr, int64_t deadline, rt0_fd **out);
RT0_API int rt0_dial_ctx(const char *addr, rt0_context *ctx, rt0_fd **out);
RT0_API int rt0_dial_addr(const rt0_addr *addr, int flags, int64_t deadline, rt0_fd **out);

// rt0_socketpair makes two Unix sockets that are connected: of bytes, or with RT0_SEQPACKET of messages.
// Returns  0, or a negative errno.
// Blocks   nobody.
RT0_API int rt0_socketpair(int flags, rt0_fd *fds[2]);

// rt0_close_read and rt0_close_write end one direction: the peer reads the end after what was written, and
// reads here return 0. The other direction goes on.
// Returns  0; -ENOTCONN.
// Blocks   nobody.
RT0_API int rt0_close_read(rt0_fd *fd);
RT0_API int rt0_close_write(rt0_fd *fd);

// The addresses of both ends. -ENOTCONN: it has none (rt0_peer_addr of a listener).
// Blocks   nobody.
RT0_API int rt0_local_addr(rt0_fd *fd, rt0_addr *addr);
RT0_API int rt0_peer_addr(rt0_fd *fd, rt0_addr *addr);

// ---- Options ---------------------------------------------------------------------------------
// Blocks   nobody.

RT0_API int rt0_set_nodelay(rt0_fd *fd, bool on); // TCP: small writes go out at once. At first on
// TCP: after idle_s seconds without a word, ask every interval_s seconds, probes times. idle_s < 0: never; 0 leaves
// a value as it is.
RT0_API int rt0_set_keepalive(rt0_fd *fd, int idle_s, int interval_s, int probes);
// What close does with bytes not sent yet: seconds < 0: the kernel goes on sending (so at first); 0: they are
// dropped and the connection is reset; > 0: close waits for them so long, in the thread.
RT0_API int rt0_set_linger(rt0_fd *fd, int seconds);
// setsockopt(2) and getsockopt(2) with the handle held. From then on rt0 assumes less (rt0_fd_sysfd).
RT0_API int rt0_setsockopt(rt0_fd *fd, int level, int name, const void *value, unsigned len);
RT0_API int rt0_getsockopt(rt0_fd *fd, int level, int name, void *value, unsigned *len);

// ---- Messages ---------------------------------------------------------------------------------

// rt0_packet_listen makes a socket for datagrams, UDP or Unix by addr, that is bound to it; rt0_packet_dial
// one that is connected to addr: rt0_fd_read and rt0_fd_write then take one datagram each. A Unix socket's file is
// removed by rt0_fd_close.
// Returns  0 with the handle in *out; -EINVAL as rt0_listen.
// Blocks   nobody.
RT0_API int rt0_packet_listen(const char *addr, int flags, rt0_fd **out);
RT0_API int rt0_packet_listen_addr(const rt0_addr *addr, int flags, rt0_fd **out);
RT0_API int rt0_packet_dial(const char *addr, rt0_fd **out);
RT0_API int rt0_packet_dial_addr(const rt0_addr *addr, rt0_fd **out);

// rt0_recvfrom waits for a datagram. from, if not NULL, gets the sender's address (len 0: it has none).
// Returns  the length of the datagram. More than n: only the first n bytes of it are in buf.
RT0_API long rt0_recvfrom(rt0_fd *fd, void *buf, size_t n, rt0_addr *from);

// rt0_sendto sends a datagram to an address; NULL: to whom fd is connected.
// Returns  n.
RT0_API long rt0_sendto(rt0_fd *fd, const void *buf, size_t n, const rt0_addr *to);

// rt0_send_fds sends n > 0 bytes on a Unix socket, and with them nfds (0 to 253) descriptors, which stay the
// caller's. All n bytes are written; the descriptors go with the first.
// Returns  n; -EINVAL; then as rt0_fd_write.
RT0_API long rt0_send_fds(rt0_fd *fd, const void *buf, size_t n, const int *fds, int nfds);

// rt0_recv_fds reads as rt0_fd_read does, and the descriptors that came along, close-on-exec, into fds. *nfds says how
// many there is room for, and then how many came. What there is no room for is closed.
// Returns  how many bytes; 0: the end; -EINVAL: *nfds is not from 0 to 253.
RT0_API long rt0_recv_fds(rt0_fd *fd, void *buf, size_t n, int *fds, int *nfds);

#ifdef __cplusplus
}
#endif
#endif
