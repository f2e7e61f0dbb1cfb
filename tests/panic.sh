#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# panic.sh BUILD: recovery with both compilers at every level of optimisation, with and without frame
# pointers (tests/panic/matrix.c), and defer in C++ with exceptions. BUILD is an object directory.
set -u
cd "$(dirname "$0")/.." || exit 1
rt0=$PWD/$1/bin/rt0
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
. tests/count.sh
# works COMPILER FLAGS SOURCE: it builds without a warning, and runs.
works() {
	local cc=$1 src=$2
	shift 2
	RT0_CC=$cc "$rt0" build -Wall -Wextra -Werror "$@" "$src" -o "$d/prog" && timeout 60 "$d/prog"
}
for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	for o in 0 1 2 3; do
		for fp in -fno-omit-frame-pointer -fomit-frame-pointer; do
			count "panic/$cc-O$o$fp" works $cc tests/panic/matrix.c -O$o $fp
		done
	done
done
for cc in g++ clang++; do
	command -v $cc >/dev/null || continue
	for o in 0 2; do
		count "panic/$cc-O$o" works $cc tests/panic/cxx.cc -std=c++17 -pedantic -O$o
	done
done
finish
