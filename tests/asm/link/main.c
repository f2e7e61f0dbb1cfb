// SPDX-License-Identifier: BSD-3-Clause
// main.c: calls lib.s, or with -DDATA holds what lib.s refers to.
#ifdef DATA
long c_data[4] = {0, 16, 32, 0}, c_counter, c_256 = 256;
long
c_func(void)
{
	return 64;
}
long
c_func2(void)
{
	return 128;
}
static long g = 2048;
__thread long *tlsg __asm__("runtime.tlsg") = &g;
#else
long sum(void);
extern long c_counter, own;
int
main(void)
{
	long s = sum();
	return s == 32767 && c_counter == 1 && own == 40 ? 0 : 1;
}
#endif
