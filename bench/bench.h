// SPDX-License-Identifier: BSD-3-Clause
// bench.h: what the files of the benchmark program share.
#ifndef RT0_BENCH_H
#define RT0_BENCH_H

#include <stdbool.h>
#include <stdint.h>

void outp(const char *name, double v, const char *unit); // NAME_pN VALUE UNIT
void per(const char *name, int64_t ns, double n);        // ns / n
void sleepms(long ms);
double cpums(void); // processor time of this process

void preempt(void);
void preempt_ms1(void);
void preempt_klt(void);
void preempt_inthread(void);
void cputhroughput(void);

void timers(void);
void wake(void);
void fileread(void);

#endif
