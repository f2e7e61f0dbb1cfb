// SPDX-License-Identifier: BSD-3-Clause
// hosted.h: between rt0_main.o, which is in the program, and the library.
#ifndef RT0_HOSTED_H
#define RT0_HOSTED_H

#include "../../include/rt0.h"

// rt0_hosted_main boots the runtime on the calling thread, which becomes m0, and runs fn as main.main on
// goroutine 1. exit is called with fn's result.
RT0_NORETURN RT0_API void rt0_hosted_main(int (*fn)(int, char **, char **), int argc, char **argv);

#endif
