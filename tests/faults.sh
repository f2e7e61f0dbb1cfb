#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# faults.sh: `make faults`: every system call of the runtime fails at its 1st, 2nd, 3rd... use.
#
# usage: tests/faults.sh BUILD [CC]    BUILD: a directory built with DEBUG=1 or more
#   T=TEXT     only those tests whose name (mode/program/call) holds TEXT
#   MAX=1500   the largest n
#   MORE=seed=7,guardoff=1   more for GODEBUG; GOMAXPROCS is used as it comes
#
# The programs of tests/faults run hosted and pure with GODEBUG=failsys=CALL:n, for every call that
# the table in src/rt/env.c names. n takes every value to 40 and grows by a quarter from there, so
# that calls that are made a thousand times do not take all day, until a run ends without a fault:
# there was no n-th use. A run is right when it
#   - does what it does without faults (status and text), or
#   - ends with status 2 and a line on stderr that begins "fatal error:", "panic:" or "runtime:"
#     (library mode: SIGABRT, with such a line).
# A run of more than 10 seconds hangs. A failed write may eat such a line itself: then the right
# status and any text at all will do.
# One line a program and call: ok, or not ok with the n, the status and what was printed. Last line:
# N passed, N failed.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tests/faults.sh BUILD [CC]} cc=${2:-cc}
max=${MAX:-1500} only=${T:-} more=${MORE:+,$MORE}
out=$build/faults
mkdir -p "$out"
nl='
'
calls=$(sed -n '/sysnames\[\] = {/,/^};/s/^    {"\(.*\)", .*/\1/p' src/rt/env.c)
[ -n "$calls" ] || { echo "faults.sh: no table of system calls in src/rt/env.c"; exit 1; }

# right PROGRAM: what it does without faults.
right() {
	case $1:$status:$nl$text$nl in
	hello:0:*"${nl}done${nl}"*) ;;
	work:0:*"${nl}done${nl}"*) ;;
	sockets:0:*"${nl}done${nl}"* | children:0:*"${nl}done${nl}"*) ;;
	library:0:*"${nl}done${nl}"*) ;;
	deadlock:2:*"${nl}fatal error: all goroutines are asleep - deadlock!"*) ;;
	panic:2:*"${nl}panic: boom"*) ;;
	nil:2:*"${nl}panic: runtime error: invalid memory address or nil pointer dereference"*) ;;
	overflow:2:*"${nl}fatal error: stack overflow"*) ;;
	*) return 1 ;;
	esac
}

# clear PROGRAM CALL: an error that says what was wrong.
clear() {
	case $1:$status in
	*:2 | library:134) ;;
	*) return 1 ;;
	esac
	case $nl$text in
	*"${nl}fatal error: "?* | *"${nl}panic: "?* | *"${nl}runtime: "?*) return 0 ;;
	esac
	[ "$2" = write ] && [ "$text" != "failsys: this use fails" ]
}

# try MODE PROGRAM CALL BINARY ARG...
try() {
	mode=$1 program=$2 call=$3
	shift 3
	n=1 runs=0
	while [ "$n" -le "$max" ]; do
		text=$(GODEBUG=failsys=$call:$n$more timeout -s KILL 10 "$@" 2>&1 </dev/null)
		status=$?
		fired=no
		case $text in *"failsys: this use fails"*) fired=yes ;; esac
		if ! right "$program" && ! { [ $fired = yes ] && clear "$program" "$call"; }; then
			why="status $status"
			[ $status -eq 137 ] && why="hangs"
			echo "not ok - faults/$mode/$program/$call:$n ($why)"
			printf '%s\n' "$text" | head -n 20 | sed 's/^/    /'
			return
		fi
		[ $fired = yes ] || break
		runs=$((runs + 1))
		if [ $n -lt 40 ]; then n=$((n + 1)); else n=$((n + n / 4)); fi
	done
	if [ "$n" -le "$max" ]; then
		echo "ok - faults/$mode/$program/$call ($runs faults, all up to n=$((n < 41 ? n : 40)))"
	else
		echo "ok - faults/$mode/$program/$call ($runs faults up to n=$max)"
	fi
}

# all MODE PROGRAMS: every program, every call.
all() {
	for program in $2; do
		for call in $calls; do
			case $1/$program/$call in *"$only"*) ;; *) continue ;; esac
			if [ "$program" = library ]; then
				try "$1" library "$call" "$out/library"
			else
				try "$1" "$program" "$call" "$out/work.$1" "$program"
			fi
		done
	done
}

export RT0_CC="${RT0_CC:-$cc}" GOTRACEBACK=all
unset GODEBUG GOGC GOMEMLIMIT
"$build/bin/rt0" build -o "$out/work.hosted" tests/faults/work.c || exit 1
"$build/bin/rt0" build -pure -o "$out/work.pure" tests/faults/work.c || exit 1
"$build/bin/rt0" build -lib -o "$out/library" tests/faults/library.c || exit 1

ulimit -c 0 # aborts are part of it
ends="hello work sockets children deadlock panic nil overflow"
all pure "$ends" >"$out/pure.log" 2>&1 &
all hosted "$ends library" >"$out/hosted.log" 2>&1
wait
cat "$out/hosted.log" "$out/pure.log"
passed=$(cat "$out/hosted.log" "$out/pure.log" | grep -c '^ok ')
failed=$(cat "$out/hosted.log" "$out/pure.log" | grep -c '^not ok ')
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
