// SPDX-License-Identifier: BSD-3-Clause
// skynet.c: a tree of goroutines, ten children a node, a million leaves; each leaf sends its
// number, each node the sum of its children's.
//
//     $ rt0 run examples/skynet.c
//     1111111 goroutines, sum 499999500000, 77 ms
//
// Nodes go depth first: a child runs before its parent waits on, so that the stacks that are in
// use at a time stay few and warm.

#include "rt0.h"

struct node {
	rt0_chan *parent; // of int64_t
	int64_t num;      // of the first leaf below
	int64_t size;     // leaves below
};

static void
skynet(void *arg)
{
	struct node *n = arg;
	int64_t sum = n->num;
	if (n->size > 1) {
		rt0_chan *c = rt0_chan_make(sizeof sum, 10);
		struct node child[10]; // on this stack: they are done before it is left
		sum = 0;
		for (int i = 0; i < 10; i++) {
			child[i] = (struct node){c, n->num + i * (n->size / 10), n->size / 10};
			rt0_go(skynet, &child[i]);
		}
		for (int i = 0; i < 10; i++) {
			int64_t v;
			rt0_chan_recv(c, &v);
			sum += v;
		}
		rt0_chan_free(c);
	}
	rt0_chan_send(n->parent, &sum);
}

int
main(void)
{
	int64_t t0 = rt0_nanotime(), sum;
	struct node root = {rt0_chan_make(sizeof sum, 0), 0, 1000000};
	rt0_go(skynet, &root);
	rt0_chan_recv(root.parent, &sum);
	long ms = (long)((rt0_nanotime() - t0) / 1000000);
	rt0_printf("1111111 goroutines, sum %ld, %ld ms\n", (long)sum, ms);
	return sum == 499999500000 ? 0 : 1;
}
