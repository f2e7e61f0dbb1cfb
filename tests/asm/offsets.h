// offsets.h: structs whose fields tests/asm.sh wants by name.
#ifndef OFFSETS_H
#define OFFSETS_H
#include <stdint.h>
#include <stddef.h>

#define NCTX 3
enum state { Idle, Running = 5, Dead };
enum { FLAG_A = 1 << 4, FLAG_B = FLAG_A * 2 };

struct inner {
	char c;
	struct {
		int x, y;
	} deep;
	union {
		long l;
		double d;
	};
} __attribute__((aligned(16)));

struct outer {
	uint8_t tag;
	struct inner in[NCTX];
	void (*fn)(struct outer *, int), *p;
	int bits : 3, more : 5;
	_Alignas(64) uint16_t w;
	int (*table[4])(void);
	const char *names[NCTX], *last;
};
typedef struct {
	float x, y;
} point;
typedef struct node {
	struct node *next;
	point at;
} node_t;
static inline int
use(struct outer *o)
{
	struct local { int q; } l = {0};
	return o->tag + l.q;
}
#endif
