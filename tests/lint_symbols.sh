#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# lint_symbols.sh: what the objects ask for, read from the symbol tables.
#
#	lint_symbols.sh BUILD CC
#
# The core (all of src but src/libc and src/posix) may need itself and four functions that compilers call without
# being asked: memcpy, memset, memmove and memcmp, which it defines itself, weakly. A pure program has no
# undefined symbol, no dynamic section, no interpreter, and no file of the libc in it. The shared
# library exports rt0_* alone.
set -u
[ $# -eq 2 ] || { echo 'usage: lint_symbols.sh BUILD CC' >&2; exit 2; }
build=$1 cc=$2
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
. "$(dirname "$0")/count.sh"

# empty FILE: or what is in it is wrong.
empty() { cat "$1" && [ ! -s "$1" ]; }

# Lines of nm -A: "file:address T name" and "file: U name".
core=$(find "$build/src" -name '*.o' ! -path '*/libc/*' ! -path '*/posix/*')
# A weak reference may stay open: the hosted part, and a pure program's own main.
# shellcheck disable=SC2086 # a list of files
nm -A $core | awk '
	$2 ~ /^[A-TV-Zui]$/ { defined[$3] = 1 }
	$2 == "U" { undefined[$3] = undefined[$3] " " $1 }
	END {
		n = split("memcpy memset memmove memcmp _GLOBAL_OFFSET_TABLE_ main __start_rt0_text __stop_rt0_text", ok)
		for (i = 1; i <= n; i++)
			defined[ok[i]] = 1
		for (s in undefined)
			if (!(s in defined))
				print s ":" undefined[s]
	}' | sort >"$tmp/core"
count 'lint/core_needs_no_libc' empty "$tmp/core"

cat >"$tmp/pure.c" <<'EOC'
#include <rt0.h>
static void
hello(void *c)
{
	rt0_printf("hello\n");
	rt0_chan_close((rt0_chan *)c);
}
int
main(void)
{
	rt0_chan *c = rt0_chan_make(sizeof(int), 1);
	rt0_go(hello, c);
	rt0_chan_recv(c, NULL);
	return 0;
}
EOC
if RT0_CC=$cc "$build/bin/rt0" build -pure -o "$tmp/pure" "$tmp/pure.c" 2>"$tmp/err"; then
	{
		nm "$tmp/pure" | grep -w U
		readelf -lW "$tmp/pure" | grep -E 'INTERP|DYNAMIC'
		readelf -dW "$tmp/pure" | grep NEEDED
		# Names that every program linked with glibc's or musl's start files has.
		nm "$tmp/pure" | grep -wE '__libc_[a-z_]*|_IO_[a-z_]*|malloc|printf|__errno_location|exit'
	} >"$tmp/libc" 2>&1
	count 'lint/pure_program_has_no_libc' empty "$tmp/libc"
	[ "$("$tmp/pure" 2>&1)" = hello ] || echo 'it does not run' >"$tmp/run"
else
	cp "$tmp/err" "$tmp/run"
fi
touch "$tmp/run"
count 'lint/pure_program_runs' empty "$tmp/run"

nm -D --defined-only "$build/librt0.so" | awk '$(NF - 1) ~ /^[A-Z]$/ && $NF !~ /^rt0_/' >"$tmp/exports"
count 'lint/shared_library_exports_rt0_only' empty "$tmp/exports"
finish
