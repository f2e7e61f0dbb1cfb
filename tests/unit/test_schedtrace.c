// SPDX-License-Identifier: BSD-3-Clause
// test_schedtrace.c: the lines of schedtrace and scheddetail are Go's, field by field.
#include <regex.h>
#include <stdlib.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

#define SCHED                                                                                      \
	"^SCHED [0-9]+ms: gomaxprocs=[0-9]+ idleprocs=[0-9]+ threads=[0-9]+ "                      \
	"spinningthreads=[0-9]+ "                                                                  \
	"needspinning=[0-9]+ idlethreads=[0-9]+ runqueue=[0-9]+ "
#define ID "([0-9]+|nil)"
#define BOOL "(true|false)"

static bool
matches(const char *line, const char *pattern)
{
	regex_t re;
	CHECK_EQ(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	bool ok = regexec(&re, line, 0, NULL, 0) == 0;
	regfree(&re);
	return ok;
}

// trace returns what one call writes to stderr.
static char *
trace(bool detailed)
{
	static char text[65536];
	int p[2], keep = dup(2);
	CHECK_EQ(pipe(p), 0);
	dup2(p[1], 2);
	runtime_schedtrace(detailed);
	dup2(keep, 2);
	close(p[1]);
	ssize_t n = 0, k;
	while ((k = read(p[0], text + n, sizeof text - 1 - (size_t)n)) > 0)
		n += k;
	text[n] = 0;
	close(p[0]);
	return text;
}

TEST(schedtrace_line_is_gos)
{
	char *text = trace(false);
	if (!matches(text, SCHED "\\[[0-9]+( [0-9]+)*\\]\n$"))
		test_fail("got %s", text);
	CHECK(matches(text, "^SCHED 0ms"));
	// A queue length a processor.
	int spaces = 0;
	for (char *s = strchr(text, '['); *s != 0; s++)
		spaces += *s == ' ';
	CHECK_EQ(spaces, sched.gomaxprocs - 1);
}

TEST(scheddetail_lines_are_gos)
{
	static const struct {
		const char *start, *pattern;
	} kinds[] = {
	    {"SCHED",
		SCHED "gcwaiting=" BOOL " nmidlelocked=[0-9]+ stopwait=[0-9]+ sysmonwait=" BOOL
		      "$"},
	    {"  preempt:", "^  preempt: requests=[0-9]+ stops=[0-9]+ inthread=[0-9]+ retaken=[0-9]+ "
			   "stopped=[0-9]+ maxstopped=[0-9]+ bound=[0-9]+$"},
	    {"  P",
		"^  P[0-9]+: status=[0-4] schedtick=[0-9]+ syscalltick=[0-9]+ m=" ID
		" runqsize=[0-9]+ gfreecnt=[0-9]+ timerslen=[0-9]+$"},
	    {"  M",
		"^  M[0-9]+: p=" ID " curg=" ID " mallocing=[0-9]+ throwing=[0-9]+ preemptoff= "
		"locks=[0-9]+ dying=[0-9]+ spinning=" BOOL " blocked=" BOOL " lockedg=" ID "$"},
	    {"  G", "^  G[0-9]+: status=[0-9]+\\([^)]*(\\([^)]*\\))?\\) m=" ID " lockedm=" ID "$"},
	};
	int count[5] = {0}, last = 0;
	char *save;
	for (char *line = strtok_r(trace(true), "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		int k = 0;
		while (k < 5 && strncmp(line, kinds[k].start, strlen(kinds[k].start)) != 0)
			k++;
		if (k == 5 || !matches(line, kinds[k].pattern))
			test_fail("not a line of Go's: %s\n", line);
		CHECK(k >= last); // SCHED, our own, then all Ps, all Ms, all Gs
		last = k;
		count[k]++;
	}
	CHECK_EQ(count[0], 1);
	CHECK_EQ(count[1], 1);
	CHECK_EQ(count[2], sched.gomaxprocs);
	CHECK(count[3] >= 1);
	CHECK(count[4] >= 1);
}
