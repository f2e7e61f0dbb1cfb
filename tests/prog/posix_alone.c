// SPDX-License-Identifier: BSD-3-Clause
// posix_alone.c: goroutine 1 waits again and again for another process, with nobody else in the program: each
// wait is one reason, taken off once, not to report a deadlock.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(void)
{
	int p[2];
	char c;
	if (pipe(p) != 0)
		return 1;
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			usleep(20000);
			_exit(write(p[1], "x", 1) != 1);
		}
		if (read(p[0], &c, 1) != 1 || c != 'x' || waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	puts("ten times");
	return 0;
}
