#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# torture.sh: `make torture`: right C programs stay right when they are stopped anywhere.
#
# usage: tests/torture.sh BUILD [CC]    BUILD: a build directory; CC only names the libraries' compiler
#   S=1               seconds of each run; 60 is the real thing, and takes hours
#   T=TEXT            only those runs whose name (compiler/subject/pN) holds TEXT
#   QUICK=1           each subject once only, on one processor or two; mixes with all compilers
#   CCS="gcc clang"   compilers of the programs; PROCS="1 2"; SEED=1
#   US=100            the time slice in microseconds; 0: no preemption
#   MORE=a=1,b=2      more for GODEBUG
#   LIMIT=SECONDS     when a run hangs; 2 * S + 60
#
# tests/torture is built by each compiler, and by each with -fomit-frame-pointer (gcc-nofp), where it
# is run as `mix` only: all subjects that get along, at once. A run is right when it ends in time
# with status 0 and a last line `ok SUBJECT`; it is skipped with status 77. One that hangs gets
# SIGQUIT, so that its goroutines are printed.
# A line a run; then N passed, N failed, N skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tests/torture.sh BUILD [CC]} libcc=${2:-gcc}
seconds=${S:-1} only=${T:-} quick=${QUICK:-} seed=${SEED:-1} us=${US:-100}
ccs=${CCS:-gcc clang} procs=${PROCS:-1 2}
slice=preemptus=$us
[ "$us" = 0 ] && slice=asyncpreemptoff=1
godebug=$slice${MORE:+,$MORE}
limit=${LIMIT:-$((seconds * 2 + 60))} # what is stopped when time is up wants to end, on a loaded machine too
out=$build/torture
mkdir -p "$out"
passed=0 failed=0 skipped=0
# Libraries with a sanitizer go with programs of the same compiler and sanitizer only.
case $build in
*-address | *-thread | *-undefined) ccs=$libcc limit=$((limit * 4)) ;;
esac
export TSAN_OPTIONS=${TSAN_OPTIONS:-report_signal_unsafe=0} ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0}

# compile NAME CC CXX FLAG...: tests/torture as $out/NAME/torture, and the pure program beside it.
compile() {
	local d=$out/$1 cc=$2 cxx=$3 f objs=()
	shift 3
	mkdir -p "$d"
	for f in tests/torture/*.c; do
		case $f in */pure.c | */plugin.c) continue ;; esac
		RT0_CC=$cc "$build/bin/rt0" build -c -Wall -Wextra "$@" -o "$d/$(basename "$f").o" "$f" || return 1
		objs+=("$d/$(basename "$f").o")
	done
	RT0_CC=$cxx "$build/bin/rt0" build -c -Wall -Wextra -std=c++17 "$@" -o "$d/cxx.o" tests/torture/cxx.cc || return 1
	RT0_CC=$cxx "$build/bin/rt0" build -o "$d/torture" "${objs[@]}" "$d/cxx.o" || return 1
	$cc -shared -fPIC -O2 -o "$d/plugin.so" tests/torture/plugin.c || return 1
	case $build in *-address | *-thread | *-undefined) return 0 ;; esac # a sanitizer needs a libc
	RT0_CC=$cc "$build/bin/rt0" build -pure -Wall -Wextra "$@" -o "$d/pure" tests/torture/pure.c
}

# try NAME BINARY SUBJECT P
try() {
	local run=$1/$3/p$4 text status start=$SECONDS
	case $run in *"$only"*) ;; *) return ;; esac
	if [ "$3" = pure ]; then
		set -- "$1" "$2" "$seconds" "$4"
	else
		set -- "$1" "$2" "$3 $seconds $seed" "$4"
	fi
	# shellcheck disable=SC2086 # the arguments
	text=$(GOMAXPROCS=$4 GODEBUG=$godebug GOTRACEBACK=all timeout -s QUIT -k 10 "$limit" "$2" $3 2>&1 </dev/null)
	status=$?
	if [ $status -eq 77 ]; then
		skipped=$((skipped + 1))
		echo "ok - torture/$run # SKIP"
	elif [ $status -eq 0 ] && [[ $'\n'$text == *$'\n'"ok "* ]]; then
		passed=$((passed + 1))
		echo "ok - torture/$run ($((SECONDS - start)) s)"
		grep -a '^many: ' <<<"$text" | sed 's/^/    /'
	else
		failed=$((failed + 1))
		[ $status -eq 124 ] && status='124: it hangs'
		echo "not ok - torture/$run (status $status, GODEBUG=$godebug, seed $seed)"
		printf '%s\n' "$text" | head -n 40 | sed 's/^/    /'
		printf '%s\n' "$text" >"$out/$(tr / - <<<"$run").log"
	fi
}

ulimit -c 0
unset GODEBUG GOGC GOMEMLIMIT
turn=0
for cc in $ccs; do
	cxx=${cc/gcc/g++}
	cxx=${cxx/clang/clang++}
	for name in "$cc" "$cc-nofp"; do
		flags=()
		[ "$name" = "$cc" ] || flags=(-fomit-frame-pointer -momit-leaf-frame-pointer)
		if ! compile "$name" "$cc" "$cxx" "${flags[@]}"; then
			failed=$((failed + 1))
			echo "not ok - torture/$name does not build"
			continue
		fi
		subjects=$("$out/$name/torture" list)
		[ "$name" = "$cc" ] || subjects=
		[ -n "$quick" ] && [ "$cc" != "${ccs%% *}" ] && subjects=
		for s in $subjects; do
			turn=$((turn + 1))
			for p in $procs; do
				[ -n "$quick" ] && [ $((turn % 2)) -ne $((p % 2)) ] && continue
				try "$name" "$out/$name/torture" "$s" "$p"
			done
		done
		for p in $procs; do
			try "$name" "$out/$name/torture" mix "$p"
			[ -x "$out/$name/pure" ] && try "$name" "$out/$name/pure" pure "$p"
		done
	done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
