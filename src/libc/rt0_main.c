// SPDX-License-Identifier: BSD-3-Clause
// rt0_main.c: the entry of hosted programs. The linker's --wrap=main turns the libc's call of main into
// a call of __wrap_main, and __real_main into the program's main. Not in the archive: a program
// in library mode keeps its main.
#include "hosted.h"

int __real_main(int argc, char **argv, char **envp);
int __wrap_main(int argc, char **argv, char **envp);

// The linker's bounds of the program's RT0_NOPREEMPT functions; NULL if there are none.
extern const char __start_rt0_nopreempt[] __attribute__((weak, visibility("hidden")));
extern const char __stop_rt0_nopreempt[] __attribute__((weak, visibility("hidden")));

int
__wrap_main(int argc, char **argv, char **envp)
{
	(void)envp;
	rt0_set_nopreempt(__start_rt0_nopreempt, __stop_rt0_nopreempt);
	rt0_hosted_main(__real_main, argc, argv);
}
