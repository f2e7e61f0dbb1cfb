// SPDX-License-Identifier: BSD-3-Clause
// alone.h: one runtime a process (alone.c).
#ifndef RT0_ALONE_H
#define RT0_ALONE_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)
// alone claims the process for this copy of the runtime. false: another one runs, as stderr now
// says.
bool runtime_alone(const char *who);
bool runtime_onethread(void); // the libc says so: surely no other thread has ever been made
void runtime_notalone(void);
// copies counts the other copies that are loaded, running or not. With who, and more than before of
// them, it complains on stderr.
int runtime_copies(const char *who, int before);
// attachposix tells librt0_posix, if it is loaded, of this copy: it may have been loaded before.
void runtime_attachposix(void);
#pragma GCC visibility pop

#endif
