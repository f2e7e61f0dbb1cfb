// SPDX-License-Identifier: BSD-3-Clause
// asm_offsets.h: field offsets for .S files, each pinned by a static_assert in runtime2.h.
#define G_STACK_LO     0
#define G_STACK_HI     8
#define G_STACKGUARD0 16
#define G_STACKGUARD1 24
#define G_M           32
#define G_SCHED_SP    40
#define G_DEFER       48
// struct rt0_deferred, in rt0/panic.h
#define DEFER_NEXT     0
#define DEFER_SP       8
// struct jump, in defer.c
#define JUMP_RESULT  136
#define JUMP_FRESULT 144
#define M_G0           0
#define M_GSIGNAL      8
#define M_CURG        16
#define M_TLS         24
// The frame that mcall pushes and gogo pops, from sched.sp upwards.
#define FRAME_MXCSR    0
#define FRAME_FPCW     4
#define FRAME_R15      8
#define FRAME_R14     16
#define FRAME_R13     24
#define FRAME_R12     32
#define FRAME_RBX     40
#define FRAME_RBP     48
#define FRAME_PC      56
#define FRAME_SIZE    64
