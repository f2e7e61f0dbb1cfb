// SPDX-License-Identifier: BSD-3-Clause
// panic_values.c: what an unrecovered panic prints, by the kind of its value.
#include "rt0.h"

struct point {
	int x, y;
};

static size_t
pointtext(const void *p, char *buf, size_t n)
{
	const char *s = ((const struct point *)p)->x == 3 ? "point three" : "point";
	size_t i = 0;
	for (; s[i] != 0; i++)
		if (i + 1 < n)
			buf[i] = s[i];
	buf[i < n ? i : n - 1] = 0;
	return i;
}

static size_t
badtext(const void *p, char *buf, size_t n)
{
	(void)p;
	(void)buf;
	(void)n;
	rt0_panic("from the text function");
}

int
main(int argc, char **argv)
{
	static const struct point pt = {3, 4};
	static const rt0_valuetype plain = {"main.T", NULL}, point = {"main.Point", pointtext}, bad = {"main.Bad", badtext};
	switch (argc > 1 ? argv[1][0] : 0) {
	case 'i': RT0_PANIC(42);
	case 'f': RT0_PANIC(1.5);
	case 'b': RT0_PANIC((bool)true);
	case 's': RT0_PANIC("as it is");
	case 'e': RT0_PANIC(rt0_value_error("no such thing", 2));
	case 't': RT0_PANIC(rt0_value_user(&plain, &pt));
	case 'p': RT0_PANIC(rt0_value_user(&point, &pt));
	case 'w': RT0_PANIC(rt0_value_user(&bad, &pt));
	case 'x': return RT0_INDEX(5, 3);
	case 'n': rt0_panic(NULL);
	}
	return 0;
}
