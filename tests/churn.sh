#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# churn.sh: what the server examples must survive: peers that come and go at random, send garbage, never read,
# reset, close half, vanish; a server without descriptors; clients that send a byte now and then.
#
# usage: tests/churn.sh BUILD [CC]
#   N=300 S=2    so many connections at one time, for so many seconds; N=10000 S=60 is the whole thing
#
# Each server must answer rightly all the time and at the end. Then it has the descriptors it had before, no goroutine
# but the one that accepts, and about the memory that the first of three rounds left it.
# Last line: N passed, N failed[, N skipped].
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tests/churn.sh BUILD [CC]} cc=${2:-cc}
n=${N:-300} s=${S:-2}
d=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$d"' EXIT
trap 'exit 1' INT TERM
. tests/count.sh

$cc -O2 -g -o "$d/load" bench/load.c bench/churn.c || exit 1

# start NAME DESCRIPTORS COMMAND...: a server; sets $pid and $port.
start() {
	local name=$1 files=$2
	shift 2
	(ulimit -n "$files" && exec "$@" 127.0.0.1:0) >"$d/$name.out" 2>"$d/$name.err" </dev/null &
	pid=$! port=
	pids+=("$pid")
	for _ in $(seq 500); do
		port=$(sed -n 's/^listening on .*://p' "$d/$name.out")
		[[ -n $port ]] && return
		sleep 0.02
	done
	echo "$name does not listen"
	return 1
}

rss() { awk '/^Rss:/ { print $2 }' "/proc/$pid/smaps_rollup"; }

# stop NAME: SIGQUIT, and nothing but goroutine 1 is left; 0 is a thread's own.
stop() {
	local left
	kill -QUIT "$pid"
	wait "$pid" 2>/dev/null
	left=$(grep -E '^goroutine [0-9]+ ' "$d/$1.err" | grep -cvE '^goroutine [01] ')
	grep -qE '^goroutine 1 .*\[IO wait' "$d/$1.err" && ((left == 0)) && return
	echo "$left goroutines left"
	grep '^goroutine' "$d/$1.err"
	return 1
}

# churned NAME COMMAND OPTIONS...: three rounds, with all kinds of peers.
churned() {
	local name=$1 command=$2 round first='' last
	shift 2
	start "$name" "$(ulimit -Hn)" "$command" || return 1
	for round in 1 2 3; do
		"$d/load" churn -p "$port" -P "$pid" -n "$n" -d "$s" -s $round "$@" || return 1
		last=$(rss)
		first=${first:-$last}
	done
	# The most connections at one time decide, and that is chance.
	echo "memory: $first KiB after the first round, $last after the last"
	((last <= first * 2 + 8192)) || return 1
	stop "$name"
}

# starved NAME COMMAND OPTIONS...: more connections than descriptors. All are served in the end, and
# accept has complained once.
starved() {
	local name=$1 command=$2
	shift 2
	start "$name" 100 "$command" || return 1
	"$d/load" churn -p "$port" -P "$pid" -n 300 -d "$s" -k polite,half,silent,reset "$@" || return 1
	[[ $(grep -c 'too many open files' "$d/$name.err") == 1 ]] || { cat "$d/$name.err"; return 1; }
	stop "$name"
}

# vanished NAME COMMAND OPTIONS...: keep-alive or the answer finds out that the peer is not there any more.
vanished() {
	local name=$1 command=$2
	shift 2
	start "$name" "$(ulimit -Hn)" "$command" || return 1
	"$d/load" churn -p "$port" -P "$pid" -n 50 -d 1 -k vanish "$@" || return 1
	stop "$name"
}

# slow NAME COMMAND: a byte a second is not enough for an HTTP server: it says so, and hangs up.
slow() {
	local answer
	start "$1" 100 "$2" || return 1
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	(for _ in $(seq 60); do printf 'G' >&3 && sleep 1; done) 2>/dev/null &
	pids+=($!)
	IFS= read -r -t 60 -u 3 answer
	kill $! 2>/dev/null
	exec 3>&-
	[[ $answer == *' 408 '* ]] || { echo "answer: $answer"; return 1; }
}

# run TEST SERVER OPTIONS...: in the background; its log is TEST_SERVER.
tests=()
run() {
	local name=$1_$2 test=$1 server=$2
	shift 2
	tests+=("$name")
	( (trap 'kill "${pids[@]}" 2>/dev/null' EXIT; $test "$name" "$d/$server" "$@") >"$d/$name.log" 2>&1
		echo $? >"$d/$name.status") &
	jobs+=($!)
}

for e in echo httpd; do
	"$build/bin/rt0" build -O2 -o "$d/$e" examples/$e.c || exit 1
done
jobs=()
run slow httpd
for e in echo httpd; do
	[[ $e == httpd ]] && http=-H || http=
	# shellcheck disable=SC2086 # an option or none
	{
		run vanished $e $http
		run churned $e $http
		wait "${jobs[-1]}"
		run starved $e $http
		wait "${jobs[-1]}"
	}
done
wait "${jobs[@]}"
# ended TEST: what it printed, and its status.
ended() {
	cat "$d/$1.log"
	! grep -q CAP_NET_ADMIN "$d/$1.log" || { echo 'not allowed to make a connection vanish'; return 77; }
	return "$(cat "$d/$1.status")"
}
for t in "${tests[@]}"; do
	count "churn/$t" ended "$t"
done
finish
