// SPDX-License-Identifier: BSD-3-Clause
// cxx.cc: defer, panic and recover in C++, beside exceptions.
#include <cstdio>
#include <stdexcept>

#include <rt0.h>
#include <rt0/go.h>

static int trace;
static volatile bool yes = true;

static void
add(void *n)
{
	trace = trace * 10 + static_cast<int>(reinterpret_cast<intptr_t>(n));
}

static void
one(void *)
{
	add(reinterpret_cast<void *>(1));
}

static void
two(int *)
{
	add(reinterpret_cast<void *>(2));
}

static void
catches(rt0_value *v)
{
	if (recovered(v))
		rt0_recover_result(-1);
}

__attribute__((noinline)) static int
panics(rt0_value *v)
{
	int x = 0;
	defer(one, nullptr);
	RT0_DEFER(catches, v);
	RT0_DEFER(two, &x);
	if (yes)
		panic(2.5);
	return RT0_RESULT(1);
}

__attribute__((noinline)) static int
frames(rt0_value *v, int n)
{
	RT0_DEFER_FRAME;
	rt0_defer(catches, v);
	for (int i = 0; i < n; i++)
		rt0_defer(one, nullptr);
	if (yes)
		RT0_PANIC("frames");
	return RT0_RESULT(1);
}

__attribute__((noinline)) static void
throws(void)
{
	RT0_DEFER(one, nullptr);
	RT0_DEFER(two, &trace);
	if (yes)
		throw std::runtime_error("thrown");
}

static bool
is(bool b, const char *what)
{
	if (!b)
		std::printf("wrong: %s\n", what);
	return b;
}

int
main()
{
	enum color { red = 3 };
	rt0_value v = RT0_VALUE(1u);
	bool ok = true;
	for (int i = 0; i < 1000; i++) {
		trace = 0;
		ok = ok && is(panics(&v) == -1 && trace == 21 && v.kind == RT0_FLOAT && v.v.f == 2.5, "panic");
		trace = 0;
		try {
			throws();
			ok = is(false, "no exception");
		} catch (const std::exception &e) {
			ok = ok && is(trace == 21, "exception");
		}
		trace = 0;
		ok = ok && is(frames(&v, 3) == -1 && trace == 111 && v.kind == RT0_STRING, "frame");
	}
	ok = ok && is(RT0_VALUE(true).kind == RT0_BOOL && RT0_VALUE('a').kind == RT0_INT && RT0_VALUE(red).v.i == 3 &&
		       RT0_VALUE(3ul).kind == RT0_UINT && RT0_VALUE(&ok).kind == RT0_POINTER && RT0_VALUE(1.5f).v.f == 1.5 &&
		       RT0_VALUE(v).kind == RT0_STRING,
		       "values");
	return ok ? 0 : 1;
}
