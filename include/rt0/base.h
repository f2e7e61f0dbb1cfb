// SPDX-License-Identifier: BSD-3-Clause
// rt0/base.h: what every header of rt0 needs; rt0.h includes it.
#ifndef RT0_BASE_H
#define RT0_BASE_H

#if !defined __linux__ || !defined __x86_64__ || defined __ILP32__
#error "rt0 is for 64-bit programs on linux/amd64 only"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define RT0_NORETURN [[noreturn]]
#define RT0_PANICS_ // see rt0_recover
#else
#define RT0_NORETURN _Noreturn
#define RT0_PANICS_ _Noreturn
#endif
#define RT0_API __attribute__((visibility("default")))

// Deadlines are absolute, in ns of rt0_nanotime(). One that has passed (0) lets a call only try.
#define RT0_NEVER INT64_MAX

#endif
