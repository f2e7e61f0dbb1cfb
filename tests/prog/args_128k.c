// SPDX-License-Identifier: BSD-3-Clause
// args_128k.c: 128 KiB of arguments and as much environment arrive whole.

#include "../harness/launch.h"
#include "rt0.h"

enum { ARGS = 1024, LEN = 127 }; // with its 0 each takes 128 bytes

static char text[ARGS][LEN + 1];
static char *args[ARGS + 3], *env[ARGS + 1];

int
main(int argc, char **argv)
{
	if (argc == 1) {
		for (int i = 0; i < ARGS; i++) {
			for (int k = 0; k < LEN; k++)
				text[i][k] = 'a' + (i + k) % 26;
			text[i][60] = '=';
			env[i] = args[i + 1] = text[i];
		}
		args[0] = argv[0];
		args[ARGS + 1] = "last";
		launch_self(args, env);
		return 1;
	}
	if (argc != ARGS + 2 || argv[argc] != NULL)
		return 1;
	for (int i = 0; i < ARGS; i++)
		for (int k = 0; k <= LEN; k++)
			if (argv[i + 1][k] != (k == LEN ? 0 : k == 60 ? '=' : 'a' + (i + k) % 26))
				return 1;
	argv[1][60] = 0; // the name of the first variable, which is also the first argument
	const char *value = rt0_getenv(argv[1]);
	if (value == NULL || value[0] != 'a' + 61 % 26)
		return 1;
	rt0_printf("all there, %s\n", argv[argc - 1]);
	return 0;
}
