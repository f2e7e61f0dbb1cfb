// SPDX-License-Identifier: BSD-3-Clause
// init/config.h: what config.c offers once the init task "config" has run.
#ifndef CONFIG_H
#define CONFIG_H

extern int config_level;

#endif
