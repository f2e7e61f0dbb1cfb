# SPDX-License-Identifier: BSD-3-Clause
# net.sh: the benchmarks of a server and a client in two processes; a part of run.sh, which reads it.
#
# echo_N       requests of 64 bytes on N connections, one in flight on each: how many a second, how long
#              they take, and the server's processor time for one. Server and client have a
#              processor of their own. echo_N_load is how busy the client was: where it is near 100
#              for both, the client is the limit, and echo_N_cpu tells the servers apart.
# idle_conn    IDLE_CONNS connections that do nothing: what each adds to the server's resident memory, and
#              with page tables; the server's processor time without and with them.
# http_hello   wrk on 100 connections; server and wrk share two processors.
# redis        1,000 connections to redis-server, one SET or GET in flight on each, by goroutines with
#              hiredis' blocking API, and by hiredis' own asynchronous API on libev or libuv.
#
# The servers of rt0 are examples/echo.c and examples/httpd.c. A server is run with the argument
# 127.0.0.1:0 and prints where it listens; the last number of its first line is taken for the port.
# What is not installed or not there is left out, with a note.
#
# Environment: SECS (5, whole) of each run, SERVER_CPU (0), LOAD_CPU (1), IDLE_CONNS
# (10000), and ECHO_RT0, HTTP_RT0, REDIS_RT0: other command lines than these examples'.
SECS=${SECS:-5}
SERVER_CPU=${SERVER_CPU:-0}
LOAD_CPU=${LOAD_CPU:-1}
ECHO_RT0=${ECHO_RT0:-}
HTTP_RT0=${HTTP_RT0:-}
REDIS_RT0=${REDIS_RT0:-}
IDLE_CONNS=${IDLE_CONNS:-10000}
allnet='echo_1 echo_100 echo_1000 echo_10000 idle_conn http_hello redis'
http_conns=100
redis_conns=1000
pid=

note() {
	echo "run.sh: $*" >&2
}

# have HEADER LIBRARY PACKAGE WHAT: can a program with this header and library be built?
have() {
	# shellcheck disable=SC2086
	echo "#include <$1>
	int main(void) { return 0; }" | $CC -x c -o /dev/null - $2 2>/dev/null && return
	note "$4 left out: $3 is not installed"
	return 1
}

# once NAME COMMAND...: runs it the first time only.
once() {
	[ -e "$tmp/once_$1" ] && return
	: >"$tmp/once_$1"
	shift
	"$@"
}

buildload() {
	cc load -Wall -Wextra "$top/bench/load.c" "$top/bench/churn.c"
}

buildgo() {
	[ -n "$GO" ] || return
	CGO_ENABLED=0 GO111MODULE=off GOFLAGS='' "$GO" build -o "$tmp/net_go" "$top/bench/net.go" || fail 'cannot build net_go'
}

buildecho() {
	once load buildload
	once go buildgo
	if [ -z "$ECHO_RT0" ] && [ -f "$top/examples/echo.c" ]; then
		# shellcheck disable=SC2086
		cc echo_rt0 "$top/examples/echo.c" $HOSTED_LIBS
		[ -x "$tmp/echo_rt0" ] && ECHO_RT0="$tmp/echo_rt0 127.0.0.1:0"
	fi
	[ -n "$ECHO_RT0" ] || note 'rt0 left out: no examples/echo.c and no ECHO_RT0'
	have uv.h -luv libuv1-dev uv && cc echo_uv "$top/bench/echo_uv.c" -luv
	have st.h -lst libst-dev st && cc echo_st "$top/bench/echo_st.c" -lst
	ulimit -n "$(ulimit -Hn)"
}

# server CPUS COMMAND...: starts a server, waits until it listens; sets $pid and $port.
server() {
	server_cpus=$1
	shift
	: >"$tmp/server.out" # here: the next line's own comes when its process runs, and the last port is in there
	taskset -c "$server_cpus" "$@" >"$tmp/server.out" 2>"$tmp/server.err" </dev/null &
	pid=$!
	i=0 port=
	while [ -z "$port" ]; do
		sleep 0.02
		port=$(awk 'NR == 1 && match($0, /[0-9]+[^0-9]*$/) { print substr($0, RSTART) + 0 }' "$tmp/server.out")
		i=$((i + 1))
		if [ $i -gt 1000 ] || ! kill -0 "$pid" 2>/dev/null; then
			fail "$1 does not listen"
			head -n 5 "$tmp/server.err" >&2
			stopserver
			return 1
		fi
	done
}

# stopserver ends the server; one that had died by itself is a failure.
stopserver() {
	[ -n "$pid" ] || return
	kill "$pid" 2>/dev/null || { fail "the server died"; head -n 5 "$tmp/server.err" >&2; }
	wait "$pid" 2>/dev/null
	pid=
}

# one WHO COMMAND...: runs the client, whose lines become those of WHO in $out.
one() {
	who=$1
	shift
	limited "$@" >"$tmp/one" 2>"$tmp/err" || { fail "$who: status $?: $*"; head -n 5 "$tmp/err" >&2; }
	sed "s/^/$who /" "$tmp/one" >>"$out"
}

# eachecho COMMAND...: RUNS times, for each echo server in turn, a new server and the command, with
# -p PORT -P PID behind it, on the other processor; then the table.
eachecho() {
	once echo buildecho
	echopeers=
	[ -x "$tmp/net_go" ] && echopeers=go
	[ -x "$tmp/echo_uv" ] && echopeers="$echopeers uv"
	[ -x "$tmp/echo_st" ] && echopeers="$echopeers st"
	[ -x "$tmp/load" ] || return
	run=0
	: >"$out"
	while [ "$run" -lt "$RUNS" ]; do
		for who in ${ECHO_RT0:+rt0} $echopeers; do
			case $who in
			rt0) command=$ECHO_RT0 ;;
			go) command="$tmp/net_go echo" ;;
			*) command="$tmp/echo_$who" ;;
			esac
			# shellcheck disable=SC2086 # a command line
			server "$SERVER_CPU" $command || continue
			one "$who" taskset -c "$LOAD_CPU" "$tmp/load" "$@" -p "$port" -P "$pid"
			stopserver
		done
		run=$((run + 1))
	done
	# shellcheck disable=SC2086
	table "$out" $echopeers
}

net_echo() {
	out=$tmp/$1.out
	eachecho echo -n "${1#echo_}" -d "$SECS"
}

net_idle_conn() {
	out=$tmp/$1.out
	eachecho idle -n "$IDLE_CONNS" -d "$SECS"
}

# wrkload: what wrk measured, as lines of ours.
wrkload() {
	wrk -t2 -c"$http_conns" -d"${SECS}s" --latency "http://127.0.0.1:$1/" >"$tmp/wrk.out" || return 1
	awk '
	function us(s) {
		return s ~ /us$/ ? s + 0 : s ~ /ms$/ ? s * 1e3 : s * 1e6
	}
	/Socket errors:|Non-2xx/ { print > "/dev/stderr"; bad = 1 }
	/^Requests\/sec:/ { rate = $2 }
	$1 == "50%" { p50 = us($2) }
	$1 == "99%" { p99 = us($2) }
	END {
		print "http_hello", rate, "req/s"
		print "http_hello_p50", p50, "us"
		print "http_hello_p99", p99, "us"
		exit bad || rate <= 0
	}' "$tmp/wrk.out"
}

net_http_hello() {
	command -v wrk >/dev/null || { note 'http_hello left out: wrk is not installed'; return; }
	once go buildgo
	if [ -z "$HTTP_RT0" ] && [ -f "$top/examples/httpd.c" ]; then
		# shellcheck disable=SC2086
		cc httpd_rt0 "$top/examples/httpd.c" $HOSTED_LIBS
		[ -x "$tmp/httpd_rt0" ] && HTTP_RT0="$tmp/httpd_rt0 127.0.0.1:0"
	fi
	[ -n "$HTTP_RT0" ] || note 'rt0 left out: no examples/httpd.c and no HTTP_RT0'
	httppeers=
	[ -x "$tmp/net_go" ] && httppeers=go
	[ -n "$HTTP_RT0$httppeers" ] || return
	out=$tmp/http.out run=0
	: >"$out"
	while [ "$run" -lt "$RUNS" ]; do
		for who in ${HTTP_RT0:+rt0} $httppeers; do
			[ "$who" = rt0 ] && command=$HTTP_RT0 || command="$tmp/net_go http"
			# shellcheck disable=SC2086
			server "$SERVER_CPU,$LOAD_CPU" $command || continue
			wrkload "$port" >"$tmp/one" || fail "$who: wrk failed"
			sed "s/^/$who /" "$tmp/one" >>"$out"
			stopserver
		done
		run=$((run + 1))
	done
	table "$out" $httppeers
}

# net_redis: one redis-server on the server's processor for all runs; rt0 and the peers have the other.
net_redis() {
	command -v redis-server >/dev/null || { note 'redis left out: redis-server is not installed'; return; }
	have hiredis/async.h -lhiredis libhiredis-dev redis || return
	redispeers=
	for l in ev uv; do
		package=lib$l-dev
		[ $l = uv ] && package=libuv1-dev
		have $l.h -l$l "$package" "redis on lib$l" || continue
		cc "redis_$l" -DUSE_$l "$top/bench/redis_async.c" -lhiredis -l$l && redispeers="$redispeers $l"
	done
	if [ -z "$REDIS_RT0" ] && [ -f "$LIB/librt0_posix.a" ]; then
		# All of librt0_posix, as rt0 build -posix has it: of an archive the linker takes what the program calls,
		# and hiredis' read would be the libc's, blocking the thread.
		# shellcheck disable=SC2086
		cc redis_rt0 "$top/bench/redis.c" -Wl,--whole-archive "$LIB/librt0_posix.a" -Wl,--no-whole-archive -lhiredis $HOSTED_LIBS
		[ -x "$tmp/redis_rt0" ] && REDIS_RT0=$tmp/redis_rt0
	fi
	[ -n "$REDIS_RT0" ] || note "rt0 left out: no $LIB/librt0_posix.a and no REDIS_RT0"
	[ -n "$REDIS_RT0$redispeers" ] || return
	# shellcheck disable=SC2016
	server "$SERVER_CPU" "$top/tests/servers.sh" redis -- sh -c 'echo "$RT0_REDIS"; exec sleep 1000000' || return
	out=$tmp/redis.out run=0
	: >"$out"
	while [ "$run" -lt "$RUNS" ]; do
		for who in ${REDIS_RT0:+rt0} $redispeers; do
			[ "$who" = rt0 ] && command=$REDIS_RT0 || command=$tmp/redis_$who
			# shellcheck disable=SC2086
			one "$who" taskset -c "$LOAD_CPU" $command -p "$port" -n "$redis_conns" -d "$SECS"
		done
		run=$((run + 1))
	done
	stopserver
	# shellcheck disable=SC2086
	table "$out" $redispeers
}
