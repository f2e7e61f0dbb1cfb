// SPDX-License-Identifier: BSD-3-Clause
// rlimit_pure.c: a pure program in little address space, or where no second thread can be had:
// it works, or ends with a clear error. The first argument is the limit, a letter and a number: a,
// KiB of address space; p, processes. RLIMIT_NPROC does not bind root, so root becomes nobody.

#include "../harness/launch.h"
#include "rt0.h"

enum { RLIMIT_NPROC = 6, RLIMIT_AS = 9, NOBODY = 65534, WORKERS = 40 };

static void
work(void *c)
{
	char *p = rt0_alloc(100000, 0);
	p[99999] = 1;
	rt0_chan_send(c, &p[99999]);
	rt0_free(p);
}

static long
number(const char *s)
{
	long n = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (*s - '0');
	return n;
}

int
main(int argc, char **argv)
{
	if (argc == 2) {
		char *args[] = {argv[0], argv[1], "again", NULL}, *none[] = {NULL};
		bool as = argv[1][0] == 'a';
		long n = number(argv[1] + 1) << (as ? 10 : 0), lim[2] = {n, n};
		long err = launch_sys(SYS_prlimit64, 0, as ? RLIMIT_AS : RLIMIT_NPROC, (long)lim, 0);
		if (!as && err == 0 && launch_sys(SYS_getuid, 0, 0, 0, 0) == 0)
			err = launch_sys(SYS_setresuid, NOBODY, NOBODY, NOBODY, 0);
		if (err == 0)
			err = launch_self(args, none);
		rt0_write(2, "SKIP neither limits nor user can be changed\n", 44);
		return 77;
	}
	rt0_printf("main ran\n");
	rt0_chan *c = rt0_chan_make(1, 0);
	int sum = 0;
	for (int i = 0; i < WORKERS; i++)
		rt0_go(work, c);
	for (int i = 0; i < WORKERS; i++) {
		char v;
		rt0_chan_recv(c, &v);
		sum += v;
	}
	rt0_printf("%d workers\n", sum);
	return 0;
}
