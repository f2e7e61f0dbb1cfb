// SPDX-License-Identifier: BSD-3-Clause
// fds_closed.c: started with files 0, 1 and 2 closed, a program finds /dev/null there, so that
// what it opens does not become its standard output. File 9 is the way to tell.

#include "../harness/launch.h"
#include "rt0.h"

int
main(int argc, char **argv)
{
	if (argc < 2) {
		char *args[] = {argv[0], "again", NULL}, *none[] = {NULL};
		launch_sys(SYS_dup2, 1, 9, 0, 0);
		for (int fd = 0; fd < 3; fd++)
			launch_sys(SYS_close, fd, 0, 0, 0);
		launch_self(args, none);
		return 1;
	}
	for (int fd = 0; fd < 3; fd++)
		if (launch_sys(SYS_fcntl, fd, 1, 0, 0) < 0) // F_GETFD
			return 2 + fd;
	if (rt0_printf("into the void\n") < 0)
		return 5;
	char c;
	if (launch_sys(SYS_read, 0, (long)&c, 1, 0) != 0)
		return 6;
	rt0_write(9, "files 0 to 2 are open\n", 22);
	return 0;
}
