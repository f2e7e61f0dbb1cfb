// SPDX-License-Identifier: BSD-3-Clause
// addr.c: addresses as text and as the kernel has them.
//
// IPv6 is written as RFC 5952 wants it. Texts are those of Go's net package where it has one.
#include "sockaddr.h"

static bool
number(const char *s, const char *end, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;
	if (s == end)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint32_t)(*s - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static bool
parseipv4(const char *s, const char *end, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		const char *dot = s;
		while (dot < end && *dot != '.')
			dot++;
		uint32_t v;
		// 010 is eight to some and ten to others.
		if (!number(s, dot, 255, &v) || (dot - s > 1 && *s == '0') || (dot == end) != (i == 3))
			return false;
		ip[i] = (uint8_t)v;
		s = dot + 1;
	}
	return true;
}

static int
hexdigit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
parseipv6(const char *s, const char *end, uint8_t ip[16])
{
	int n = 0, ellipsis = -1; // bytes so far; where :: stands
	runtime_memclr(ip, 16);
	if (end - s >= 2 && s[0] == ':' && s[1] == ':') {
		ellipsis = 0;
		s += 2;
	}
	while (s < end) {
		if (n == 16)
			return false;
		const char *from = s;
		uint32_t v = 0;
		for (int d; s < end && (d = hexdigit(*s)) >= 0; s++)
			v = v << 4 | (uint32_t)d;
		if (s < end && *s == '.') {
			// The last four bytes as IPv4.
			if (n > 12 || (n != 12 && ellipsis < 0) || !parseipv4(from, end, ip + n))
				return false;
			n += 4;
			s = end;
			break;
		}
		if (s == from || s - from > 4)
			return false;
		ip[n++] = (uint8_t)(v >> 8);
		ip[n++] = (uint8_t)v;
		if (s == end)
			break;
		if (*s != ':' || s + 1 == end)
			return false;
		s++;
		if (*s == ':') {
			if (ellipsis >= 0)
				return false;
			ellipsis = n;
			s++;
		}
	}
	if (ellipsis < 0)
		return n == 16;
	if (n == 16)
		return false;
	int tail = n - ellipsis;
	runtime_memmove(ip + 16 - tail, ip + ellipsis, (size_t)tail);
	runtime_memclr(ip + ellipsis, (size_t)(16 - n));
	return true;
}

static const char *
parseunix(const char *s, rt0_addr *a)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
	size_t n = runtime_strlen(s);
	if (n == 0)
		return "missing path in address";
	if (n > sizeof un->path - (s[0] == '@' ? 0 : 1)) // a path ends with a 0
		return "path too long in address";
	un->family = AF_UNIX;
	runtime_memmove(un->path, s, n);
	a->len = (uint16_t)(offsetof(struct sockaddr_un, path) + n);
	if (s[0] == '@')
		un->path[0] = 0;
	else
		a->len++;
	return NULL;
}

static const char *
parsehostport(const char *s, rt0_addr *a)
{
	const char *end = s + runtime_strlen(s), *host = s, *hostend, *colon;
	if (*s == '[') {
		for (hostend = s; hostend < end && *hostend != ']'; hostend++)
			;
		if (hostend == end)
			return "missing ']' in address";
		host++;
		colon = hostend + 1;
		if (colon == end)
			return "missing port in address";
		if (*colon != ':')
			return "unexpected character behind ']' in address";
	} else {
		colon = NULL;
		int colons = 0;
		for (const char *p = s; p < end; p++) {
			if (*p == '[' || *p == ']')
				return *p == '[' ? "unexpected '[' in address" : "unexpected ']' in address";
			if (*p == ':') {
				colon = p;
				colons++;
			}
		}
		if (colons == 0)
			return "missing port in address";
		if (colons > 1)
			return "too many colons in address";
		hostend = colon;
	}
	uint32_t port, zone = 0;
	if (colon + 1 == end)
		return "missing port in address";
	if (!number(colon + 1, end, 65535, &port))
		return "invalid port in address";
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&a->sa;
	if (host == hostend && *s != '[') {
		a->any = true;
		in6->family = AF_INET6;
		in6->port = htons((uint16_t)port);
		a->len = sizeof *in6;
		return NULL;
	}
	if (*s != '[' && parseipv4(host, hostend, in->addr)) {
		in->family = AF_INET;
		in->port = htons((uint16_t)port);
		a->len = sizeof *in;
		return NULL;
	}
	const char *percent = host;
	while (percent < hostend && *percent != '%')
		percent++;
	if (percent < hostend && !number(percent + 1, hostend, UINT32_MAX / 10 - 1, &zone))
		return "interface is not a number in address";
	if (*s == '[' && parseipv6(host, percent, in6->addr)) {
		in6->family = AF_INET6;
		in6->port = htons((uint16_t)port);
		in6->scope = zone;
		a->len = sizeof *in6;
		return NULL;
	}
	return "not a numeric host in address";
}

int
rt0_addr_parse(const char *text, rt0_addr *addr, const char **why)
{
	rt0_addr a;
	const char *wrong;
	runtime_memclr(&a, sizeof a);
	if (text == NULL)
		wrong = "no address";
	else if (runtime_hasprefix(text, "unix:"))
		wrong = parseunix(text + 5, &a);
	else
		wrong = parsehostport(text, &a);
	if (why != NULL)
		*why = wrong;
	if (wrong != NULL)
		return -EINVAL;
	*addr = a;
	return 0;
}

bool
runtime_ismapped(const uint8_t ip[16])
{
	for (int i = 0; i < 10; i++)
		if (ip[i] != 0)
			return false;
	return ip[10] == 0xff && ip[11] == 0xff;
}

// formatipv6 writes the longest row of two or more zero groups, the first of equals, as "::".
static size_t
formatipv6(char *buf, size_t n, const uint8_t ip[16])
{
	int best = -1, bestlen = 1;
	for (int i = 0; i < 8; i++) {
		int k = i;
		while (k < 8 && ip[2 * k] == 0 && ip[2 * k + 1] == 0)
			k++;
		if (k - i > bestlen) {
			best = i;
			bestlen = k - i;
		}
		if (k > i)
			i = k - 1;
	}
	size_t at = 0;
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			at += (size_t)runtime_snprintf(buf + at, n - at, "::");
			i += bestlen - 1;
			continue;
		}
		bool colon = i > 0 && !(best >= 0 && i == best + bestlen);
		at += (size_t)runtime_snprintf(buf + at, n - at, colon ? ":%x" : "%x", (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]));
	}
	return at;
}

static void
formatinto(const rt0_addr *addr, char *buf, size_t n)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->sa;
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->sa;
	const uint8_t *v4 = in->addr;
	size_t at;
	switch (addr->len == 0 ? AF_UNSPEC : addr->sa.family) {
	case AF_INET6:
		if (addr->any) {
			runtime_snprintf(buf, n, ":%u", ntohs(in6->port));
			return;
		}
		if (!runtime_ismapped(in6->addr)) {
			buf[0] = '[';
			at = 1 + formatipv6(buf + 1, n - 1, in6->addr);
			if (in6->scope != 0)
				at += (size_t)runtime_snprintf(buf + at, n - at, "%c%u", '%', in6->scope);
			runtime_snprintf(buf + at, n - at, "]:%u", ntohs(in6->port));
			return;
		}
		v4 = in6->addr + 12;
		// fall through
	case AF_INET:
		runtime_snprintf(buf, n, "%u.%u.%u.%u:%u", v4[0], v4[1], v4[2], v4[3], ntohs(in->port)); // the port lies at one place in both
		return;
	case AF_UNIX: {
		size_t len = addr->len - offsetof(struct sockaddr_un, path);
		at = (size_t)runtime_snprintf(buf, n, "unix:");
		for (size_t i = 0; i < len && at + 1 < n; i++) {
			if (un->path[i] == 0 && i > 0 && un->path[0] != 0)
				break; // the end of a path
			buf[at++] = un->path[i] == 0 ? '@' : un->path[i];
		}
		buf[at] = 0;
		return;
	}
	default:
		runtime_snprintf(buf, n, "?");
	}
}

char *
rt0_addr_format(const rt0_addr *addr, char *buf, size_t n)
{
	char text[RT0_ADDR_TEXT + 8];
	if (n == 0)
		return buf;
	formatinto(addr, text, sizeof text);
	size_t len = runtime_strlen(text);
	if (len > n - 1)
		len = n - 1;
	runtime_memmove(buf, text, len);
	buf[len] = 0;
	return buf;
}

int
rt0_addr_port(const rt0_addr *addr)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&addr->sa;
	return addr->len != 0 && in->family != AF_UNIX ? ntohs(in->port) : 0;
}

int
rt0_addr_set_port(rt0_addr *addr, int port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&addr->sa;
	if (port < 0 || port > 65535 || addr->len == 0 || in->family == AF_UNIX)
		return -EINVAL;
	in->port = htons((uint16_t)port);
	return 0;
}
