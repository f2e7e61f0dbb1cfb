// SPDX-License-Identifier: BSD-3-Clause
// cxx.cc: the torture of C++: exceptions, destructors, static locals, strings, thread_local.
//
// Exceptions walk unwind tables under the loader's locks and keep their state in thread-locals.
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "torture.h"

namespace
{

struct counted {
	long *alive;
	explicit counted(long *n) : alive(n)
	{
		++*alive;
	}
	~counted()
	{
		spin(50);
		--*alive;
	}
	counted(const counted &) = delete;
};

struct odd : std::runtime_error {
	uint64_t v;
	odd(uint64_t value) : std::runtime_error("odd " + std::to_string(value)), v(value)
	{
	}
};

__attribute__((noinline)) uint64_t
throwing(long *alive, int depth, uint64_t v)
{
	counted c(alive);
	spin(100);
	if (depth == 0) {
		if (v % 3 == 0)
			throw odd(v);
		if (v % 3 == 1)
			throw v;
		throw std::bad_alloc();
	}
	uint64_t r = throwing(alive, depth - 1, v);
	return r + (uint64_t)depth;
}

// rethrowing catches, throws another meanwhile, and throws the first on.
__attribute__((noinline)) void
rethrowing(long *alive, int depth, uint64_t v)
{
	counted c(alive);
	try {
		throwing(alive, depth, v);
		BAD("exceptions: nothing was thrown");
	} catch (...) {
		try {
			throwing(alive, 1, 3);
		} catch (const odd &e) {
			MUST(e.v == 3 && strcmp(e.what(), "odd 3") == 0);
		}
		spin(200);
		throw;
	}
}

void
exceptions(struct worker *w)
{
	long alive = 0;
	while (running(w)) {
		uint64_t v = rnd(w) % 100000;
		int caught = -1;
		try {
			rethrowing(&alive, (int)(rnd(w) % 10), v);
		} catch (const odd &e) {
			caught = e.v == v && e.what() == "odd " + std::to_string(v) ? 0 : -2;
		} catch (uint64_t e) {
			caught = e == v ? 1 : -2;
		} catch (const std::bad_alloc &) {
			caught = 2;
		}
		if (caught != (int)(v % 3))
			BAD("exceptions: caught %d, threw %d", caught, (int)(v % 3));
		if (alive != 0 || std::uncaught_exceptions() != 0)
			BAD("exceptions: %ld objects are left, %d exceptions", alive,
			    std::uncaught_exceptions());
	}
}

// ---- static locals, containers, a mutex with its guard ----

enum { STATICS = 8 };
std::atomic<int> made[STATICS];

struct slow {
	int at;
	explicit slow(int i) : at(i)
	{
		spin(100000);
		made[i]++;
	}
};

template <int i>
int
once()
{
	static slow s(i);
	return s.at;
}

std::mutex mapmu;
std::map<std::string, uint64_t> map; // mapmu
std::atomic<uint64_t> mapsum;
thread_local std::string name;

__attribute__((noinline)) void
named(uint64_t v)
{
	name = "worker with a long name " + std::to_string(v);
	spin(500);
	if (name != "worker with a long name " + std::to_string(v))
		BAD("containers: the thread_local is %s", name.c_str());
}

void
containers(struct worker *w)
{
	MUST(once<0>() + once<1>() + once<2>() + once<3>() + once<4>() + once<5>() + once<6>() +
		once<7>() ==
	    28);
	for (int i = 0; i < STATICS; i++)
		MUST(made[i] == 1);
	while (running(w)) {
		uint64_t v = rnd(w);
		std::vector<std::string> list;
		for (int i = 0; i < 50; i++)
			list.push_back(std::to_string(v % 100 + (uint64_t)i));
		for (int i = 0; i < 50; i++)
			MUST(list[(size_t)i] == std::to_string(v % 100 + (uint64_t)i));
		named(v);
		std::lock_guard<std::mutex> guard(mapmu);
		map[list[0]] += v;
		mapsum += v;
	}
}

void
containersend()
{
	uint64_t sum = 0;
	for (const auto &e : map)
		sum += e.second;
	if (sum != mapsum)
		BAD("containers: the sums differ");
}

// C++17 has no designated initialisers.
#define SUBJECT_CXX(NAME, WORKERS, FLAGS, WORK, END)                                               \
	const struct subject subject_##NAME = {#NAME, WORKERS, FLAGS, nullptr, WORK, END};         \
	__attribute__((used, section("torture_subjects")))                                         \
	const struct subject *const subject_p_##NAME = &subject_##NAME

SUBJECT_CXX(exceptions, 3, 0, exceptions, nullptr);
SUBJECT_CXX(containers, 3, NOTSAN, containers, containersend);

} // namespace
