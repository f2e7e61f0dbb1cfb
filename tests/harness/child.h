// SPDX-License-Identifier: BSD-3-Clause
// child.h: a part of a unit test that must die, in a process of its own.
#ifndef CHILD_H
#define CHILD_H

#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

// child runs fn in a process of its own and returns its exit status; its stderr goes to text.
static int
child(void (*fn)(void), char *text, size_t size)
{
	int p[2], status;
	size_t n = 0;
	CHECK_EQ(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		close(p[0]);
		fn();
		_exit(0);
	}
	close(p[1]);
	for (ssize_t k; n < size - 1 && (k = read(p[0], text + n, size - 1 - n)) > 0;)
		n += (size_t)k;
	text[n] = 0;
	close(p[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

#endif
