// SPDX-License-Identifier: BSD-3-Clause
// test_boottrace.c: the marks are cheap, and the drawing is well-formed XML whatever the names.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>

#include "../../src/diag/boottrace.h"
#include "../harness/test.h"

TEST(boottrace_marks_after_boot_cost_nothing_and_do_nothing)
{
	enum { N = 1000000 };
	int64_t t0 = runtime_threadcputime(runtime_gettid()); // others use the machine, too
	for (int i = 0; i < N; i++)
		runtime_bootmark("late");
	CHECK((runtime_threadcputime(runtime_gettid()) - t0) / N < (RT0_TSAN || RT0_ASAN || RT0_DEBUG ? 1000 : 20));
	runtime_bootdone();
}

// wellformed checks that tags nest, that attributes are quoted and that nothing stands raw.
static void
wellformed(const char *s)
{
	char stack[16][16];
	int depth = 0, roots = 0;
	while (*s != 0) {
		if (*s == '&') {
			CHECK(strncmp(s, "&lt;", 4) == 0 || strncmp(s, "&gt;", 4) == 0 ||
			    strncmp(s, "&amp;", 5) == 0 || strncmp(s, "&quot;", 6) == 0);
		}
		CHECK(*s != '>');
		if (*s++ != '<')
			continue;
		bool end = *s == '/';
		char name[16];
		int n = 0;
		for (s += end; *s >= 'a' && *s <= 'z' && n < 15; s++)
			name[n++] = *s;
		name[n] = 0;
		CHECK(n > 0);
		bool quoted = false;
		while (*s != 0 && (*s != '>' || quoted)) {
			if (*s == '"')
				quoted = !quoted;
			CHECK(*s != '<');
			s++;
		}
		CHECK(*s == '>');
		if (end) {
			CHECK(depth > 0);
			CHECK_STREQ(name, stack[--depth]);
		} else if (s[-1] != '/') {
			roots += depth == 0;
			CHECK(depth < 16);
			strcpy(stack[depth++], name);
		}
		s++;
	}
	CHECK_EQ(depth, 0);
	CHECK_EQ(roots, 1);
}

static char *
draw(const struct boottrace *t)
{
	static char text[1 << 20];
	char path[] = "/tmp/rt0-boot-test.XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	runtime_bootsvg(t, path);
	ssize_t n = read(fd, text, sizeof text - 1);
	CHECK(n >= 0);
	text[n] = 0;
	close(fd);
	unlink(path);
	return text;
}

TEST(boottrace_svg_is_well_formed)
{
	static struct boottrace t;
	static const char *const names[] = {"<a&b>\"'", "", "x",
	    "a_name_of_more_than_thirty_letters_so_cut", "\x01\xff\xc3", "%s%n%d"};
	for (int round = 0; round < 60; round++) {
		t.n = 1 + round;
		t.total = 0;
		t.dropped = (uint32_t)round / 50;
		memset(t.phase, 0, sizeof t.phase);
		for (int i = 0; i < t.n; i++) {
			struct bootstep *s = &t.step[i];
			s->step = i % 3 == 0 ? "schedinit/step" : names[(size_t)i % NELEM(names)];
			s->name = names[(size_t)(i + round) % NELEM(names)];
			s->phase = (enum bootphase)(i * NPHASE / t.n);
			s->start = t.total;
			s->took = (double)runtime_cheaprandn(1000) / (1 << round % 12);
			t.total += s->took;
			t.phase[s->phase] += s->took;
		}
		t.phase[PhaseMain] += t.phase[PhaseInit];
		if (t.total > 0)
			wellformed(draw(&t));
	}
}

TEST(boottrace_svg_of_nothing_writes_nothing)
{
	static const struct boottrace t;
	CHECK_STREQ(draw(&t), "");
}
