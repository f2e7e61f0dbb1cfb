// SPDX-License-Identifier: BSD-3-Clause
// load.h: what the two files of the load generator share.
#ifndef RT0_BENCH_LOAD_H
#define RT0_BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	msgsize = 64,
	maxevents = 256,
	noise_size = 1 << 16,
};

// The options, constant once main has read them.
struct options {
	struct sockaddr_in addr;
	int conns;
	double secs, warm;
	uint64_t seed;
	pid_t pid; // 0: none
	bool http;
	unsigned kinds; // bit set; 0: all
};
extern struct options opt;

// A connection sends byte i of noise[(start + i) % noise_size] and compares the answer with the
// same.
struct conn {
	int fd; // -1: none
	uint32_t start;
	uint32_t sent, got; // bytes
	int64_t t0;         // echo: when the request went
	// churn only:
	int kind;
	uint32_t total;   // bytes to send
	int64_t due;      // do nothing before; 0: as soon as the socket can
	int64_t deadline; // then the server is stuck
	bool shut, up;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));   // status 1
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2))); // usage, 2

int64_t now(void); // ns
void sleepms(long ms);
uint64_t rng(void);
int between(int lo, int hi); // random, both included

// The server, as /proc shows it; 0 without -P.
double serverrss(void); // bytes
int serverfds(void);

const unsigned char *bytes(const struct conn *c, uint32_t at);
void compare(struct conn *c, const unsigned char *in, ssize_t n);

int churn(void);
unsigned pickkinds(char *list); // the kinds of churn that list names, as opt.kinds

#endif
