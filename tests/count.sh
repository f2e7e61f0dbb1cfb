# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# count.sh: what the test scripts share; they source it.
#
# Each test is a command, and a line `ok N - NAME` or `not ok N - NAME`, with what it printed; a
# script ends with `finish`, whose line tests/all.sh adds up.
ok=0 bad=0 skip=0

# count NAME COMMAND...: a test. Status 77: it cannot be run here, and the last line says why.
count() {
	local name=$1 out status
	shift
	out=$("$@" 2>&1)
	status=$?
	if ((status == 77)); then
		skip=$((skip + 1))
		echo "ok $((ok + bad + skip)) - $name # SKIP ${out##*$'\n'}"
	elif ((status == 0)); then
		ok=$((ok + 1))
		echo "ok $((ok + bad + skip)) - $name${out:+ # ${out##*$'\n'}}"
	else
		bad=$((bad + 1))
		echo "not ok $((ok + bad + skip)) - $name"
		printf '%s\n' "$out" | head -n 40 | sed 's/^/    /'
	fi
}

# fails COMMAND...: the opposite.
fails() { ! "$@"; }

# finish prints the sum. Status 0: something passed and nothing failed.
finish() {
	echo "$ok passed, $bad failed$( ((skip == 0)) || echo ", $skip skipped")"
	((bad == 0 && ok > 0))
}
