// SPDX-License-Identifier: BSD-3-Clause
// plugin.c: what the subject dl loads: a constructor that takes its time, and a thread-local.

__attribute__((visibility("default"))) int plugin_loaded;
static __thread long sum;

__attribute__((constructor)) static void
load(void)
{
	for (volatile int i = 0; i < 2000; i++)
		continue;
	plugin_loaded = 42;
}

__attribute__((visibility("default"))) long
plugin_add(long v)
{
	sum += v;
	return sum;
}
