// SPDX-License-Identifier: BSD-3-Clause
// calls.c: calls what calls.s declares: every type, in registers and on the stack; several results.
#include "calls_asm.h"
#include <string.h>
#include <stdio.h>
int
main(void)
{
	int32_t q = -5;
	char buf[10];
	if (add(40, 2) != 42)
		return 1;
	go_string s = {"hello", 5}, v = {"abcdefg", 7};
	go_slice p = {buf, 10, 10};
	struct mix_result r = mix(-1, 1.5f, 300, s, 2.25, p, &q, true, 70000, 1000000, v);
	if (r.n != -1 + 300 + 5 + 10 - 5 + 1 + 70000 + 1000000 + 7 || r.sum != 3.75 || r.c2 != 9) {
		printf("%ld %g %d\n", r.n, r.sum, r.c2);
		return 2;
	}
	struct two_result t = two(1.5f, 2.5);
	if (t.r0 != 1.5f || t.r1 != 2.5f || t.r2 != -3)
		return 3;
	go_string u = sub(s, 2);
	if (u.n != 3 || memcmp(u.p, "llo", 3))
		return 4;
	go_slice w = all(p);
	if (w.p != buf || w.n != 10 || w.cap != 10)
		return 5;
	if (neg(5) != -5)
		return 6;
	if (half(3) != 1.5f)
		return 7;
	go_complex128 x = {1, 2};
	go_complex64 y = {3, 4};
	y = cplx(x, y);
	if (y.re != 3 || y.im != 4)
		return 8;
	puts("good");
	return 0;
}
