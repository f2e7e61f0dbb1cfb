#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# gdb.sh: the commands of src/diag/gdb.py on a program at a breakpoint, and on a core of it.
#
#	gdb.sh BUILD [CC]
#
# Exit status 77: there is no gdb with Python, or it may not trace.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 cc=${2:-cc}
. tests/count.sh
command -v gdb >/dev/null || { echo 'gdb is not installed'; exit 77; }
gdb -nx -batch -ex 'python import gdb.unwinder' 2>&1 | grep -q . && { echo 'gdb has no Python'; exit 77; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/prog.c" <<'END'
#include <rt0.h>
static rt0_mutex mu;
static rt0_waitgroup wg;
static void receiver(rt0_chan *c)
{
	rt0_chan_recv(c, NULL);
	__asm__ volatile("");
}
static void deep(rt0_chan *c, int n)
{
	if (n > 0)
		deep(c, n - 1);
	else
		receiver(c);
	__asm__ volatile("");
}
static void worker(void *c)
{
	deep(c, 3);
	__asm__ volatile("");
}
static void locker(void *c)
{
	rt0_lock_os_thread();
	rt0_mutex_lock(&mu);
	rt0_chan_send(c, NULL);
}
__attribute__((noinline)) static void stop(rt0_chan *c, rt0_chan *b)
{
	__asm__ volatile("" ::"r"(c), "r"(b));
}
int main(void)
{
	rt0_chan *c = rt0_chan_make(4, 0), *b = rt0_chan_make(4, 8);
	rt0_mutex_lock(&mu);
	rt0_waitgroup_add(&wg, 2);
	for (int v = 42; v < 44; v++)
		rt0_chan_send(b, &v);
	rt0_go(locker, c);
	rt0_go(worker, c);
	rt0_go(worker, c);
	for (int i = 0; i < 1000 || ((volatile rt0_mutex *)&mu)->state != 9; i++)
		rt0_gosched();
	stop(c, b);
	return 0;
}
END
RT0_CC=$cc "$build/bin/rt0" build -O0 -g "$tmp/prog.c" -o "$tmp/prog" || exit 1

commands='info goroutines
echo == one\n
goroutine 1 bt
echo == parked\n
goroutine 3
echo == locals\n
goroutine 3 frame function deep
echo == after\n
bt
echo == all\n
goroutine all bt 3
echo == values\n
up
print *c
print *b
print mu
print wg
down
echo == errors\n'
{
	echo 'set confirm off'
	echo 'set pagination off'
	echo 'source src/diag/gdb.py'
	echo 'break stop'
	echo 'run'
	echo "$commands"
	echo "generate-core-file $tmp/core"
	echo 'goroutine 99 bt'
} >"$tmp/live"
{
	echo 'source src/diag/gdb.py'
	echo "$commands"
} >"$tmp/dead"

# guardoff: gdb writes no memory into a core that lies around a guard of the other kind.
GOMAXPROCS=1 GODEBUG=guardoff=1 gdb -nx -batch -x "$tmp/live" "$tmp/prog" >"$tmp/live.out" 2>&1
if grep -qi 'ptrace.*not permitted\|could not trace' "$tmp/live.out"; then
	echo 'gdb may not trace here'
	exit 77
fi
gdb -nx -batch -x "$tmp/dead" "$tmp/prog" "$tmp/core" >"$tmp/dead.out" 2>&1

# has FILE SECTION REGEX: some line of the section, or of what is before the first one.
has() {
	awk -v s="$2" '/^== / { on = $2; next } on == s' "$tmp/$1.out" | grep -Eq -- "$3" && return
	echo "no $3"
	return 1
}

for f in live dead; do
	count "gdb/list_running_$f" has $f '' '^\* 1 +running +(stop|main) at .*prog\.c:[0-9]+$'
	count "gdb/list_locked_$f" has $f '' '^  2 +sync\.Mutex\.Lock, locked to thread +locker at .*prog\.c:25$'
	count "gdb/list_parked_$f" has $f '' '^  3 +chan receive +receiver at .*prog\.c:6$'
	count "gdb/list_parked2_$f" has $f '' '^  4 +chan receive +receiver at .*prog\.c:6$'
	count "gdb/running_bt_$f" has $f one 'main \(\) at .*prog\.c:'
	count "gdb/parked_bt_$f" has $f parked '^#[0-9]+ .*in worker \(c=0x[0-9a-f]+.*\) at .*prog\.c:19$'
	count "gdb/parked_args_$f" has $f parked '^#[0-9]+ .*in deep \(c=0x[0-9a-f]+.*, n=3\) at .*prog\.c:12$'
	count "gdb/frame_$f" has $f locals '^#[0-9]+ .*in deep \(c=0x[0-9a-f]+.*, n=0\) at .*prog\.c:14$'
	count "gdb/nothing_moved_$f" has $f after '^#0 .*stop \('
	count "gdb/all_$f" has $f all '^goroutine 4 \[chan receive\]:$'
	count "gdb/chan_$f" has $f values '= chan 0/0 of 4 bytes, waiting to receive: 4 3$|waiting to receive: 3 4$'
	count "gdb/buffered_$f" has $f values '= chan 2/8 of 4 bytes = \{42, 43\}$'
	count "gdb/mutex_$f" has $f values '= mutex locked, 1 waiting$'
	count "gdb/waitgroup_$f" has $f values '= waitgroup 2, 0 waiting$'
done
count "gdb/unknown_live" has live errors 'no goroutine 99$'
((bad > 0)) && cat "$tmp/live.out" "$tmp/dead.out"
finish
