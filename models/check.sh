#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check.sh [MODEL...]: verifies the Promela models of the scheduler's protocols with spin.
#
# A line of the table below is one run: model, what to look for, the expected outcome, the macros.
#   look for   safety  assertions and invalid end states
#              live    the model's ltl formula, under weak fairness
#              end     that every execution ends: no cycle at all
#   outcome    pass    the whole state space was searched and nothing was found
#              assert  an assertion fails      cycle  something never happens
# A run with a BUG macro shows that the model can fail: the right outcome is the failure, and of
# the right kind. The other macros are variants of the protocol, or sizes.
#
# Prints "ok" or "not ok", the run, and what it took; last line "N passed, N failed"; exits with 1
# if one failed. An unexpected error prints the end of its trail (spin -t), the way to the bug.
# JOBS runs go at a time (2). Each has 60 s of processor time and 1 GB. The searches
# are exact (no bit state hashing).
#
# Measured with spin 6.5.2 and gcc 12 -O2, the best of several runs on a busy two-core machine. MB
# counts the hash table (128 MB) and the depth-first stack (11 MB) in. The bugs are found in less
# than 1 s, the last two of spinning in 5 s.
#   run                                      states     s    MB
#   park_ready                              6924464   6.3   414
#   spinning                                6743060   9.8   496
#   spinning -DNMAIN=1 -DNGLOBAL=1          6255112    20   468
#   spinning -DNSUB=0 -DWAKEP_FAST          1468363   1.4   214
#   spinning -DNSUB=0 -DSPINLIMIT=false...  1118181   1.9   194
#   spinning -DNSUB=0, end                  2699875   6.5   303
#   runnext                                  823664   2.9   189
#   runnext -DNM=3 -DNPAIR=1                 100117   1.3   145
#   runnext -DGATED                         1171527   8.6   210
#   netpoll -DNP=1 -DNSTEPS=4               1269976   6.0   187
#   select                                    64874   0.7   141
#   select -DTIMERS -DROUNDS=2               292708   1.2   153
#   sudog                                    306287   0.3   153
#   syscall_retake                           279967   0.2   150
#   syscall_retake -DNM=4                   2026083   2.4   234
set -u

table() {
	cat <<-'END'
	alone      safety  pass
	alone      safety  assert  -DBUG_NO_BARRIER
	alone      safety  assert  -DBUG_NO_WAIT
	alone      safety  assert  -DBUG_NO_RECHECK
	alone      safety  assert  -DBUG_NO_TOKEN
	netpoll    safety  pass    -DNP=1 -DNSTEPS=4
	netpoll    safety  assert  -DBUG_NO_HANDOFF -DNP=1 -DNSTEPS=2
	netpoll    safety  assert  -DBUG_NO_RECHECK
	netpoll    safety  assert  -DBUG_NO_BREAK -DNP=1 -DNSTEPS=3
	park_ready      safety  pass
	park_ready      safety  assert  -DBUG_UNLOCK_EARLY
	park_ready      safety  assert  -DBUG_STATE_LATE
	park_ready      safety  assert  -DBUG_ENQUEUE_LATE
	spinning   safety  pass
	spinning   safety  pass    -DNMAIN=1 -DNGLOBAL=1
	spinning   safety  pass    -DNSUB=0 -DWAKEP_FAST
	spinning   safety  pass    -DNSUB=0 -DSPINLIMIT=false -DBUG_NPIDLE_FIRST -DBUG_NO_NEEDSPINNING
	spinning   end     pass    -DNSUB=0
	spinning   safety  assert  -DBUG_NO_FENCE_SUBMIT
	spinning   safety  assert  -DBUG_NO_FENCE_WORKER
	spinning   safety  assert  -DBUG_NO_RECHECK
	spinning   safety  assert  -DBUG_NO_RESET_WAKE
	spinning   safety  assert  -DBUG_NO_NEEDSPINNING
	spinning   safety  assert  -DBUG_NPIDLE_FIRST
	runnext         live    pass
	runnext         live    pass    -DNM=3 -DNPAIR=1
	runnext         live    assert  -DBUG_SYSMON_SLEEP
	runnext         live    cycle   -DBUG_SYSMON_SLEEP -DNO_ASSERT
	runnext         live    cycle   -DBUG_SLEEP_UNLOCKED -DNO_ASSERT
	runnext         live    cycle   -DBUG_ONLY_STEAL
	runnext         live    pass    -DGATED
	runnext         live    cycle   -DGATED -DBUG_NO_REARM
	runnext         live    cycle   -DGATED -DBUG_NO_FENCE_CLEAR
	runnext         live    cycle   -DGATED -DBUG_NO_LAZYWAKE
	select          safety  pass
	select          safety  pass    -DTIMERS -DROUNDS=2
	select          safety  assert  -DBUG_CLAIM_PARKING
	select          safety  assert  -DBUG_DROP_PARKING
	select          safety  assert  -DBUG_CLAIM_NO_CAS -DTIMERS
	select          safety  assert  -DBUG_KEEP_SUDOGS
	select          safety  assert  -DBUG_UNLINK_UNLOCKED
	select          safety  assert  -DBUG_PARK_LATE
	select          safety  assert  -DTIMERS -DBUG_NO_TIMERSTOP
	select          safety  assert  -DTIMERS -DBUG_FIRE_WAITS
	select          safety  assert  -DTIMERS -DBUG_NO_COMMIT_CAS
	sigqueue        safety  pass
	sigqueue        safety  assert  -DBUG_WAKE_FIRST
	sigqueue        safety  assert  -DBUG_CLEAR_LATE
	sigqueue        safety  assert  -DBUG_NO_DELIVERING
	sigqueue        safety  assert  -DBUG_NO_BUSY
	sigqueue        safety  assert  -DBUG_END_EARLY
	sudog           safety  pass
	sudog           safety  assert  -DBUG_TOUCH_AFTER_READY
	sudog           safety  assert  -DBUG_CLOSE_WALKS_SUDOGS
	sudog           safety  assert  -DBUG_CLOSE_UNLOCKED
	syscall_retake  safety  pass
	syscall_retake  safety  pass    -DNM=4
	syscall_retake  safety  assert  -DBUG_EXIT_NO_CAS
	syscall_retake  safety  assert  -DBUG_RETAKE_NO_CAS
	syscall_retake  safety  assert  -DBUG_EXIT_UNLOCKED
	syscall_retake  safety  assert  -DBUG_NO_HANDOFF
	END
}

# one DIR MODEL LOOKFOR OUTCOME MACRO...: a single run, in a directory of its own. Prints its line.
one() {
	dir=$1 model=$2 lookfor=$3 outcome=$4
	shift 4
	name="$model $lookfor${*:+ $*}: $outcome"
	case $lookfor in
	safety) cflags=-DSAFETY flags= ;;
	live) cflags=-DNFAIR=4 flags='-a -f' ;;
	end) cflags='-DNP -DNOFAIR' flags=-l ;;
	esac
	mkdir -p "$dir"
	cp "$MODELS/$model.pml" "$dir" && cd "$dir" || exit 1
	if ! spin -a "$@" "$model.pml" >log 2>&1 ||
		! ${CC:-gcc} -w -O2 $cflags -DCOLLAPSE -DMEMLIM=1000 -o pan pan.c >>log 2>&1; then
		echo "not ok $name: does not build"
		sed 's/^/# /' log
		return
	fi
	# Processor time, so that a busy machine fails nothing.
	(ulimit -t 60; exec ./pan -w24 -m200000 $flags) >log 2>&1
	status=$?
	found=pass
	grep -q 'errors: 0' log || found=unfinished
	# A search that was cut short has shown nothing.
	grep -Eq 'MEMLIM|out of memory|search depth too small' log && found=unfinished
	grep -q '^pan:1: assertion violated' log && found=assert
	grep -Eq '^pan:1: (acceptance|non-progress) cycle' log && found=cycle
	grep -q '^pan:1: invalid end state' log && found='invalid end state'
	took=$(awk '/states, stored/ {n = $1} /elapsed time/ {t = $4} /total actual memory/ {m = $1}
		END {printf "%d states, %.1f s, %d MB", n, t, m}' log)
	if [ "$found" = "$outcome" ]; then
		echo "ok $name # $took"
		return
	fi
	echo "not ok $name: found $found (exit status $status) # $took"
	[ -f "$model.pml.trail" ] && spin -t -p -g "$@" "$model.pml" >log 2>&1
	tail -n 40 log | sed 's/^/# /'
}

if [ "${1-}" = --one ]; then
	shift
	one "$@"
	exit
fi

MODELS=$(cd "$(dirname "$0")" && pwd)
export MODELS
if ! command -v spin >/dev/null; then
	echo 'not ok spin is not installed (Debian: apt-get install spin)'
	echo '0 passed, 1 failed'
	exit 1
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
for model in "$@"; do
	[ -f "$MODELS/$model.pml" ] || { echo "check.sh: no model $model"; exit 1; }
done
# A model without a run is a mistake too.
for model in "$MODELS"/*.pml; do
	model=$(basename "$model" .pml)
	table | grep -q "^$model .* pass" || echo "not ok $model: has no run in check.sh"
done >"$scratch/results"
cat "$scratch/results"

want=" $* "
table | while read -r model rest; do
	case $want in
	'  ' | *" $model "*) echo "$model $rest" ;;
	esac
done | awk -v s="$scratch" '{print s "/" NR, $0}' |
	xargs -P "${JOBS:-2}" -L 1 sh "$MODELS/check.sh" --one | tee -a "$scratch/results"

passed=$(grep -c '^ok ' "$scratch/results")
failed=$(grep -c '^not ok ' "$scratch/results")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
