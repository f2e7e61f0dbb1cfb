// SPDX-License-Identifier: BSD-3-Clause
// main.h: the assembler as the rt0 command calls it.
#ifndef RT0_ASM_MAIN_H
#define RT0_ASM_MAIN_H
int asm_main(int argc, char **argv);
int asm_offsets(
    const char *const *paths, int npaths, const char *output, const char *const *flags, int nflags);
#endif
