#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh: builds and runs the benchmarks, with Go's beside them in the same run where go is found.
#
#	bench/run.sh [-s] [NAME...]
#
# Names: those of `all` below and, with a server and a client each, of `allnet` in net.sh (echo_N with any
# N); none means all. A line each: NAME VALUE UNIT, the median of RUNS; for each peer that the line above names, its
# median and the ratio of both follow (above 1: rt0 is faster, or smaller). rt0 and its peers run in
# turn, A B A B, so only their ratio is to be trusted on a machine that does other things too.
# -s also counts the futex calls of one run of each (needs strace).
#
# Environment: CC, CFLAGS, GO, RUNS (5), PROCS ("1 2"), STARTUP_RUNS (300), LIMIT (seconds for one
# run, 120), and LIB, the directory of librt0.a (build/gcc-d0 or what CC's build is called); net.sh
# has more.
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
CC=${CC:-gcc}
LIB=${LIB:-$top/build/${CC##*/}-d0}
CFLAGS=${CFLAGS:--O2 -g}
RUNS=${RUNS:-5}
PROCS=${PROCS:-1 2}
STARTUP_RUNS=${STARTUP_RUNS:-300}
LIMIT=${LIMIT:-120}
if [ -z "${GO+set}" ]; then # GO= in the environment: without Go
	GO=$(command -v go)
	for g in /usr/lib/go-*/bin/go; do # Debian's versioned packages are not on the path
		[ -z "$GO" ] && [ -x "$g" ] && GO=$g
	done
fi
# What hosted and pure programs are linked with; the order matters, librt0.a is before the libc.
HOSTED_LIBS="-Wl,--wrap=main $LIB/rt0_main.o $LIB/librt0.a -lpthread -ldl"
PURE_LIBS="-ffreestanding -nostdlib -static -Wl,-e,_rt0_amd64_linux -Wl,-z,noseparate-code -Wl,--eh-frame-hdr $LIB/rt0_pure.o $LIB/librt0.a"

usage='usage: bench/run.sh [-s] [NAME...]'
futexes=
while getopts s o; do
	case $o in
	s) futexes=yes ;;
	*) echo "$usage" >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
all='startup boot spawn spawn_window spawnjoin yield pingpong bufchan select4 mutex pool defer panicrecover skynet sieve callback
traceback parked idle preempt preempt_ms1 preempt_klt preempt_inthread cputhroughput timers wake fileread'

if [ ! -f "$LIB/librt0.a" ]; then
	echo "run.sh: no $LIB/librt0.a: run make first" >&2
	exit 1
fi
if [ -n "$futexes" ] && ! command -v strace >/dev/null; then
	echo 'run.sh: -s needs strace' >&2
	exit 1
fi
tmp=$(mktemp -d) || exit 1
trap 'stopserver; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
failed=0
. "$top/bench/net.sh"
names=${*:-$all $allnet}
for n in $names; do
	case "$n: $(echo $all $allnet) " in
	echo_[1-9]* | *" $n "*) ;;
	*) echo "$usage
no benchmark $n; there are:" $all $allnet >&2; exit 2 ;;
	esac
done

fail() {
	echo "run.sh: $*" >&2
	failed=1
}

# cc OUTPUT ARGS...: one program. What the linker has to say about dlopen in static programs is
# shown only if it fails.
cc() {
	cc_out=$1
	shift
	# shellcheck disable=SC2086 # CFLAGS is a list
	$CC -std=gnu11 $CFLAGS -I"$top/include" -o "$tmp/$cc_out" "$@" 2>"$tmp/cc.err" ||
		{ cat "$tmp/cc.err" >&2; fail "cannot build $cc_out"; }
}

# limited COMMAND...: a run that hangs is a failure, not the end of the benchmarks.
if command -v timeout >/dev/null; then
	limited() { timeout "$LIMIT" "$@"; }
else
	limited() { "$@"; }
fi

# table FILE PEER... reads "WHO NAME VALUE UNIT" lines and prints a line a name with the medians of
# rt0 and the peers, in the order in which the names came first. Where more is better the ratio is
# rt0's to the peer's, otherwise the peer's to rt0's.
table() {
	table_in=$1
	shift
	head=$(printf '%-24s %12s %-8s' '# name' rt0 unit
		for who in "$@"; do printf ' %12s %7s' "$who" ratio; done)
	[ "$head" = "${header:-}" ] || echo "$head"
	header=$head
	awk -v peers="$*" '
	function median(who, name,    n, i, j, t, v) {
		n = count[who, name]
		for (i = 1; i <= n; i++) {
			t = val[who, name, i]
			for (j = i; j > 1 && v[j - 1] > t; j--)
				v[j] = v[j - 1]
			v[j] = t
		}
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	NF == 4 {
		if (!($2 in unit)) {
			unit[$2] = $4
			order[++names] = $2
		}
		val[$1, $2, ++count[$1, $2]] = $3 + 0
	}
	END {
		peers_n = split(peers, peer, " ")
		for (i = 1; i <= names; i++) {
			name = order[i]
			r = 0
			if (count["rt0", name]) {
				r = median("rt0", name)
				line = sprintf("%-24s %12.2f %-8s", name, r, unit[name])
			} else
				line = sprintf("%-24s %12s %-8s", name, "-", unit[name])
			for (j = 1; j <= peers_n; j++) {
				if (!count[peer[j], name]) {
					line = line sprintf(" %12s %7s", "-", "-")
					continue
				}
				g = median(peer[j], name)
				if (r > 0 && g > 0 && unit[name] != "%")
					line = line sprintf(" %12.2f %7.2f", g, unit[name] ~ /^(req|reads)\/s$/ ? r / g : g / r)
				else
					line = line sprintf(" %12.2f %7s", g, "-")
			}
			sub(/[ -]+$/, "", line)
			print line
		}
	}' "$table_in"
}

# startup: what a hello costs from exec to exit. The ratios are of medians of one interleaved run.
startup() {
	cc hello_asm -nostdlib -static "$top/bench/hello_asm.S"
	# shellcheck disable=SC2086 # lists of libraries
	{
		cc hello_pure -DPURE "$top/bench/hello.c" $PURE_LIBS
		cc hello_plain "$top/bench/hello.c"
		cc hello_hosted "$top/bench/hello.c" $HOSTED_LIBS
		cc hello_plain_static -static "$top/bench/hello.c"
		cc hello_hosted_static -static "$top/bench/hello.c" $HOSTED_LIBS
	}
	cc startup "$top/bench/startup.c"
	set --
	# Copied, as install does: what a linker has written in pieces lies in the page cache in small ones, and starts
	# up to 10 us later.
	for p in asm pure plain hosted plain_static hosted_static go; do
		[ -x "$tmp/hello_$p" ] && cp "$tmp/hello_$p" "$tmp/startup_$p" && set -- "$@" "startup_$p=$tmp/startup_$p"
	done
	"$tmp/startup" -n "$STARTUP_RUNS" "$@" >"$tmp/startup.out" || fail 'startup failed'
	awk '
	function ratio(name, a, b) {
		if (v[a] > 0 && v[b] > 0)
			printf "%-24s %12.2f x\n", name, v[a] / v[b]
	}
	{ v[$1] = $2; if ($1 !~ /_min$/) printf "%-24s %12.2f %s\n", $1, $2, $3 }
	END {
		ratio("startup_pure_ratio", "startup_pure", "startup_asm")
		ratio("startup_hosted_ratio", "startup_hosted", "startup_plain")
		ratio("startup_static_ratio", "startup_hosted_static", "startup_plain_static")
	}' "$tmp/startup.out"
}

# boot: the phase totals of GODEBUG=boottrace=1, the medians of STARTUP_RUNS boots of each hello.
boot() {
	# shellcheck disable=SC2086
	[ -x "$tmp/hello_pure" ] || cc hello_pure -DPURE "$top/bench/hello.c" $PURE_LIBS
	# shellcheck disable=SC2086
	[ -x "$tmp/hello_hosted" ] || cc hello_hosted "$top/bench/hello.c" $HOSTED_LIBS
	for how in pure hosted; do
		[ -x "$tmp/hello_$how" ] || continue
		i=0
		while [ "$i" -lt "$STARTUP_RUNS" ]; do
			GODEBUG=boottrace=1 "$tmp/hello_$how" 2>&3 >/dev/null || fail "boot of hello_$how"
			i=$((i + 1))
		done 3>"$tmp/boot.raw"
		awk -v how="$how" '
			/^rt0 boot trace/ { totals = 0 }
			totals && $1 ~ /^[0-9.]+$/ { print "rt0", "boot_" how "_" $2, $1, "us" }
			/^phase totals/ { totals = 1 }' "$tmp/boot.raw" >"$tmp/boot.out"
		table "$tmp/boot.out"
	done
}

# futexcalls NAME P: one run of each program under strace; its times are of no use.
futexcalls() {
	for who in rt0 go; do
		[ -x "$tmp/bench_$who" ] || continue
		GOMAXPROCS=$2 limited strace -f -c -o "$tmp/strace" "$tmp/bench_$who" "$1" >/dev/null
		awk -v who="$who" -v name="$1_futex_p$2" '
			$NF == "futex" { n = $4 }
			END { print who, name, n + 0, "calls" }' "$tmp/strace"
	done >"$tmp/futex.out"
	table "$tmp/futex.out" $peers
}

# bench NAME: all processor counts, RUNS times, rt0 and Go in turn.
bench() {
	for p in $PROCS; do
		[ "$1 $p" = 'idle 1' ] && [ "$PROCS" != 1 ] && continue
		runs=$RUNS
		who_runs='rt0 go' godebug=${GODEBUG:-}
		case $1 in
		idle) runs=1 ;;
		cputhroughput) who_runs=rt0 ;;
		timers) # the second processor is what they are for
			[ "$p" = 1 ] && [ "$PROCS" != 1 ] && continue
			;;
		preempt*) # one processor is what they are about
			[ "$p" = 1 ] || continue
			[ "$1" = preempt ] || who_runs=rt0
			[ "$1" = preempt_ms1 ] && godebug=preemptms=1
			;;
		esac
		: >"$tmp/$1.out"
		i=0
		while [ "$i" -lt "$runs" ]; do
			for who in $who_runs; do
				[ -x "$tmp/bench_$who" ] || continue
				[ "$who $1" = 'go callback' ] && continue # Go's needs a C compiler
				GODEBUG=$godebug GOMAXPROCS=$p limited "$tmp/bench_$who" "$1" >"$tmp/one" 2>"$tmp/err"
				status=$?
				if [ $status -ne 0 ]; then
					fail "$who $1 with GOMAXPROCS=$p: status $status"
					head -n 5 "$tmp/err" >&2
				fi
				sed "s/^/$who /" "$tmp/one" >>"$tmp/$1.out"
			done
			i=$((i + 1))
		done
		table "$tmp/$1.out" $peers
		[ -n "$futexes" ] && futexcalls "$1" "$p"
	done
}

# shellcheck disable=SC2086
cc bench_rt0 "$top/bench/bench.c" "$top/bench/preempt.c" "$top/bench/wait.c" $HOSTED_LIBS
if [ -n "$GO" ]; then
	for g in bench hello; do
		CGO_ENABLED=0 GO111MODULE=off GOFLAGS='' "$GO" build -o "$tmp/${g}_go" "$top/bench/$g.go" ||
			fail "cannot build ${g}_go"
	done
fi
peers=
[ -x "$tmp/bench_go" ] && peers=go && echo "# $("$GO" version)"
for n in $names; do
	case $n in
	startup) startup ;;
	boot) boot ;;
	echo_* | idle_conn | http_hello | redis) "net_${n%%_[0-9]*}" "$n" ;;
	*) [ -x "$tmp/bench_rt0" ] && bench "$n" ;;
	esac
done
exit $failed
