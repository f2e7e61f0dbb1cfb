// SPDX-License-Identifier: BSD-3-Clause
// value.c: the text of what a panic carries, by Go's rules for printing panics.
//
// Nothing is allocated, so that it works in a program that is dying. Floating-point numbers have
// seven digits and an exponent of three, as Go's print; not the exact ones of rt0_printf.
#include "../runtime.h"

// floattext writes +d.dddddde+ddd.
static void
floattext(double f, char buf[16])
{
	enum { DIGITS = 7 };
	if (f != f || f + f == f) {
		if (f == 0)
			goto zero;
		runtime_snprintf(buf, 16, "%s", f != f ? "NaN" : f > 0 ? "+Inf" : "-Inf");
		return;
	}
	double a = f < 0 ? -f : f, half = 5;
	int e = 0;
	while (a >= 10) {
		e++;
		a /= 10;
	}
	while (a < 1) {
		e--;
		a *= 10;
	}
	for (int i = 0; i < DIGITS; i++)
		half /= 10;
	a += half;
	if (a >= 10) {
		e++;
		a /= 10;
	}
	int n = 0, abs = e < 0 ? -e : e;
	buf[n++] = f < 0 ? '-' : '+';
	for (int i = 0; i < DIGITS; i++) {
		int digit = (int)a;
		buf[n++] = (char)('0' + digit);
		if (i == 0)
			buf[n++] = '.';
		a = (a - digit) * 10;
	}
	buf[n++] = 'e';
	buf[n++] = e < 0 ? '-' : '+';
	buf[n++] = (char)('0' + abs / 100);
	buf[n++] = (char)('0' + abs / 10 % 10);
	buf[n++] = (char)('0' + abs % 10);
	buf[n] = 0;
	return;
zero:
	runtime_snprintf(buf, 16, "%s0.000000e+000", __builtin_signbit(f) ? "-" : "+");
}

static size_t
errortext(const rt0_value *v, char *buf, size_t n)
{
	static const char nil[] = "invalid memory address or nil pointer dereference";
	const char *s = "error";
	switch (v->code) {
	case RT0_ERR_NIL:
	case RT0_ERR_FAULT: s = nil; break;
	case RT0_ERR_DIVIDE: s = "integer divide by zero"; break;
	case RT0_ERR_OVERFLOW: s = "integer overflow"; break;
	case RT0_ERR_FLOAT: s = "floating point error"; break;
	case RT0_ERR_INDEX:
		if (v->v.i < 0)
			return (size_t)runtime_snprintf(buf, n, "runtime error: index out of range [%lld]", (long long)v->v.i);
		return (size_t)runtime_snprintf(buf, n, "runtime error: index out of range [%lld] with length %llu",
		    (long long)v->v.i, (unsigned long long)v->w.n);
	case RT0_ERR_CHAN:
	case RT0_ERR_TYPE: return (size_t)runtime_snprintf(buf, n, "%s", v->w.s != NULL ? v->w.s : "");
	case RT0_ERR_NILPANIC: return (size_t)runtime_snprintf(buf, n, "panic called with nil argument");
	}
	return (size_t)runtime_snprintf(buf, n, "runtime error: %s", s);
}

size_t
rt0_value_text(const rt0_value *v, char *buf, size_t n)
{
	char num[16];
	switch (v->kind) {
	case RT0_NIL: return (size_t)runtime_snprintf(buf, n, "nil");
	case RT0_BOOL: return (size_t)runtime_snprintf(buf, n, "%s", v->v.b ? "true" : "false");
	case RT0_INT: return (size_t)runtime_snprintf(buf, n, "%lld", (long long)v->v.i);
	case RT0_UINT: return (size_t)runtime_snprintf(buf, n, "%llu", (unsigned long long)v->v.u);
	case RT0_FLOAT: floattext(v->v.f, num); return (size_t)runtime_snprintf(buf, n, "%s", num);
	case RT0_STRING:
	case RT0_ERROR: return (size_t)runtime_snprintf(buf, n, "%s", v->v.s != NULL ? v->v.s : "");
	case RT0_POINTER: return (size_t)runtime_snprintf(buf, n, "(void *) 0x%lx", (unsigned long)v->v.u);
	case RT0_USER:
		if (v->w.type != NULL && v->w.type->text != NULL)
			return v->w.type->text(v->v.p, buf, n);
		return (size_t)runtime_snprintf(buf, n, "(%s) 0x%lx", v->w.type != NULL ? v->w.type->name : "?",
		    (unsigned long)v->v.u);
	case RT0_RUNTIME_ERROR: return errortext(v, buf, n);
	}
	return (size_t)runtime_snprintf(buf, n, "(?) 0x%lx", (unsigned long)v->v.u);
}
