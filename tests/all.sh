#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# all.sh: `make test`: check with both compilers, release and debug, and three sanitizers; symbols; the header in
# C and C++; the rt0 command, examples, panics at every -O, the assembler, installation, gdb; peers that
# misbehave, servers, and benchmarks of servers; failing system calls, preemption everywhere, and the models.
#
# Each step logs to build/test/STEP.log. A step that says `N passed, N failed[, N skipped]` counts
# with these numbers, any other as one test. Only what failed is shown. The last line here is
# the sum over everything, and the exit status is not 0 if anything failed.
# ONLY="step step" runs these steps alone.
set -u
cd "$(dirname "$0")/.." || exit 1
# What nohup and the like have ignored would stay ignored in all tests, those of signals too.
[[ -n ${RT0_SIGNALS:-} ]] || RT0_SIGNALS=reset exec env --default-signal=HUP,INT,QUIT,PIPE "$BASH" tests/all.sh "$@"
log=$PWD/build/test
mkdir -p "$log"
passed=0 failed=0 skipped=0
. tests/count.sh
unset MAKEFLAGS MFLAGS MAKELEVEL
make=(make --no-print-directory -j2)

# step NAME COMMAND...
step() {
	local name=$1 out=$log/$1.log start=$SECONDS status sum p=0 f=0 s=0
	shift
	[[ -z ${ONLY:-} || " $ONLY " == *" $name "* ]] || return 0
	ok=0 bad=0 skip=0
	"$@" >"$out" 2>&1 </dev/null
	status=$?
	sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1) # make may say more behind it
	if [[ $sum =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
		p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]} s=${BASH_REMATCH[4]:-0}
		((status != 0 && f == 0)) && f=1
	elif ((status == 77)); then
		s=1
	elif ((status == 0)); then
		p=1
	else
		f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%-6s %-20s %4d passed, %d failed, %d skipped  %4d s\n' \
		"$( ((f == 0)) && echo ok || echo FAILED)" "$name" "$p" "$f" "$s" $((SECONDS - start))
	if ((f > 0)); then
		if grep -q '^not ok' "$out"; then
			awk '/^not ok/ { show = 25 } /^ok/ { show = 0 } show-- > 0' "$out" | head -n 300
		else
			tail -n 40 "$out"
		fi
		echo "    (all of it: ${out#"$PWD"/})"
	elif ((status == 77)); then
		tail -n 1 "$out" | sed "s/^/    /"
	fi
	return 0
}

config() { "${make[@]}" check WERROR=1 "$@"; }

# The header must be clean for users with more warnings than ours, in C and C++.
cxx() {
	local c src=$log/cxx.cc
	cat >"$src" <<-'END'
		#include <rt0.h>
		#include <rt0/go.h>
		#include <rt0/net.h>
		RT0_INIT(first)
		{
		}
		RT0_INIT(second, "first")
		{
		}
		static void
		worker(void *arg)
		{
			rt0_chan *c = static_cast<rt0_chan *>(arg);
			for (int i = 0; i < 10; i++)
				chan_send(c, &i);
			chan_close(c);
		}
		int
		selects(rt0_chan *c, bool *ok)
		{
			long v = 0;
			switch (RT0_SELECT(RT0_RECV(c, &v, ok), RT0_SEND(c, &v), RT0_RECV(c, NULL))) {
			case 0:
				return chan_try_select(case_recv(c, (void *)&v));
			default:
				return chan_select_until(RT0_NEVER, case_send(c, &v));
			}
		}
		static void
		catches(void *v)
		{
			if (recovered(static_cast<rt0_value *>(v)))
				rt0_recover_result(1);
		}
		static int
		deferring(rt0_value *v, int n)
		{
			RT0_DEFER_FRAME;
			rt0_defer(catches, v);
			defer(catches, v);
			if (RT0_INDEX(n, 3) == 2)
				panic(n);
			return RT0_RESULT(n);
		}
		int
		main()
		{
			rt0_value value = RT0_VALUE(1.5);
			if (deferring(&value, 2) != 1 || rt0_is_runtime_error(&value))
				return 1;
			chan *c = chan_make(int, 2);
			go(worker, c);
			int v, sum = 0;
			range(c, v)
				sum += v;
			return RT0_BLOCKING(sum) == 45 ? 0 : 1;
		}
	END
	sed 's/static_cast<rt0_chan \*>(arg)/arg/; s/static_cast<rt0_value \*>(v)/v/; s/main()/main(void)/' "$src" >"$log/c11.c"
	for c in g++ clang++; do
		count "header/c++17_$c" $c -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude -c -o /dev/null "$src"
	done
	for c in gcc clang; do
		count "header/c11_$c" $c -std=c11 -Wall -Wextra -pedantic -Werror -Iinclude -c -o /dev/null "$log/c11.c"
	done
	count header/c++_program_builds env RT0_CC=g++ build/gcc-d0/bin/rt0 build -o "$log/cxx" "$src"
	count header/c++_program_runs "$log/cxx"
	finish
}

# The rt0 command, as a user meets it.
command_rt0() {
	local rt0=$PWD/build/gcc-d0/bin/rt0 d
	d=$(mktemp -d)
	printf '#include <rt0.h>\n#include <signal.h>\n#include <stdlib.h>\nint main(int c, char **v) { for (int i = 1; i < c; i++) rt0_printf("%%s\\n", v[i]); if (c == 2) return atoi(v[1]); if (c == 3) { signal(SIGTERM, SIG_DFL); raise(SIGTERM); } return 0; }\n' >"$d/prog.c"
	echo 'int main(void) { return x; }' >"$d/bad.c"
	# expect STATUS TEXT COMMAND...: exit status, and a text in stdout or stderr.
	expect() {
		local status=$1 text=$2 out got
		shift 2
		out=$(cd "$d" && TMPDIR=$d "$@" 2>&1)
		got=$?
		[[ $got == "$status" && $out == *"$text"* ]] && return
		echo "exit $got, want $status with: $text"
		echo "$out"
		return 1
	}
	count rt0/no_command expect 2 'usage: rt0 COMMAND' "$rt0"
	count rt0/unknown_command expect 2 $'rt0 frob: unknown command\nRun \'rt0 help\' for usage.' "$rt0" frob
	count rt0/help expect 0 'usage: rt0 COMMAND' "$rt0" help
	for c in run build asm env version help; do
		count "rt0/help_$c" expect 0 "usage: rt0 $c" "$rt0" help $c
	done
	count rt0/help_unknown expect 2 'unknown command' "$rt0" help frob
	count rt0/version expect 0 'rt0 version rt0-' "$rt0" version
	count rt0/env expect 0 'RT0_CFLAGS="' "$rt0" env
	count rt0/env_can_be_evaluated sh -c 'eval "$('"$rt0"' env)" && test -f "$RT0_LIB" && test -f "$RT0_INCLUDE/rt0.h"'
	count rt0/env_flags_build sh -c 'eval "$('"$rt0"' env)" && $RT0_CC $RT0_CFLAGS -o '"$d/envprog $d/prog.c"' $RT0_LDFLAGS && '"$d/envprog"
	count rt0/no_sources expect 2 'no source files' "$rt0" run
	count rt0/missing_file expect 1 'nofile.c: No such file' "$rt0" run nofile.c
	count rt0/directory expect 1 'is a directory' "$rt0" build .
	count rt0/missing_compiler expect 1 'no C compiler: nocc' env RT0_CC=nocc "$rt0" run prog.c
	count rt0/compile_error expect 1 "undeclared" "$rt0" run bad.c
	count rt0/o_needs_value expect 2 '-o needs a value' "$rt0" build prog.c -o
	count rt0/run_has_no_o expect 2 '-o is for rt0 build' "$rt0" run -o x prog.c
	count rt0/run_passes_arguments expect 0 $'-j\n4\nb.c\nd' "$rt0" run -O0 prog.c -- -j 4 b.c d
	count rt0/run_passes_flags expect 0 $'-j\n4\n-x\nd' "$rt0" run prog.c -j 4 -x d
	count rt0/run_exit_status expect 42 42 "$rt0" run prog.c 42
	count rt0/run_signal expect 143 a "$rt0" run prog.c a b
	count rt0/build_default_name expect 0 '' sh -c "'$rt0' build prog.c && ./prog"
	count rt0/build_o expect 0 '' sh -c "'$rt0' build -O3 -Wall prog.c -o app && ./app"
	count rt0/build_c expect 0 '' sh -c "'$rt0' build -c prog.c && '$rt0' build prog.o -o fromobj && ./fromobj"
	count rt0/build_show expect 0 '--wrap=main' "$rt0" build -show prog.c -o app
	count rt0/build_pure_and_lib expect 2 'exclude each other' "$rt0" build -pure -lib prog.c
	count rt0/build_pure_static_pie expect 2 'no -static-pie' "$rt0" build -static-pie -pure prog.c
	count rt0/build_pure_shared expect 2 'no -shared' "$rt0" build -pure -shared prog.c
	count rt0/build_m32 expect 2 'amd64 only' "$rt0" build -m32 prog.c
	count rt0/help_two expect 2 'unexpected argument build' "$rt0" help run build
	count rt0/build_over_source expect 1 'names a source file' "$rt0" build prog.c -o prog.c
	printf '// func seven() int\nTEXT ·seven(SB), 4, $0-8\n\tMOVQ\t$7, ret+0(FP)\n\tRET\n' >"$d/seven.s"
	printf '#include "seven_asm.h"\nint main(void) { return seven(); }\n' >"$d/useseven.c"
	printf 'TEXT f(SB), 4, $0\n\tFROB\n' >"$d/bad.s"
	count rt0/run_assembly expect 7 '' "$rt0" run useseven.c seven.s
	count rt0/run_assembly_pure expect 7 '' "$rt0" run -pure useseven.c seven.s
	count rt0/build_c_assembly expect 7 '' sh -c "'$rt0' asm -H seven_asm.h seven.s && '$rt0' build useseven.c seven.o -I. -o seven && ./seven"
	count rt0/assembly_error expect 1 'bad.s:2: unrecognized instruction "FROB"' "$rt0" run useseven.c bad.s
	count rt0/asm_no_file expect 2 'no source file' "$rt0" asm
	count rt0/asm_unknown_flag expect 2 'unknown flag -frob' "$rt0" asm -frob x.s
	sleep 0.2
	count rt0/run_leaves_nothing sh -c "! ls -d '$d'/rt0-* 2>/dev/null"
	rm -rf "$d"
	finish
}

# The examples: they must build without a warning and print what their heads promise.
examples() {
	local rt0=build/gcc-d0/bin/rt0 d w='-Wall -Wextra -Werror'
	d=$(mktemp -d)
	# says TEXT COMMAND...
	says() {
		local text=$1 out
		shift
		out=$("$@" 2>&1) && [[ $out == *"$text"* ]] && return
		echo "$out"
		echo "want: $text"
		return 1
	}
	count examples/hello says 'hello, world' $rt0 run $w examples/hello.c
	count examples/hello_pure says 'hello, world' $rt0 run -pure $w examples/hello.c
	count examples/sieve says '' $rt0 run $w examples/sieve.c
	count examples/recover says 'failed: runtime error: invalid memory address' $rt0 run $w examples/recover.c
	count examples/select says '3 answers, 1 too late' $rt0 run $w examples/select.c
	count examples/skynet says '499999500000' $rt0 run $w examples/skynet.c
	count examples/init says 'main: everything is ready' $rt0 run $w examples/init/main.c examples/init/config.c
	count examples/plugin_builds $rt0 build -shared -fPIC $w examples/plugin/plugin.c -o "$d/plugin.so"
	count examples/plugin_host_builds $rt0 build $w examples/plugin/host.c -o "$d/host"
	count examples/plugin says 'plugin: greets host' "$d/host" "$d/plugin.so"
	count examples/library_builds $rt0 build -lib $w examples/library/library.c -o "$d/library"
	count examples/library says 'goroutines summed 499500' "$d/library"
	count examples/wordfreq_builds $rt0 build $w examples/wordfreq.c -o "$d/wordfreq"
	count examples/wordfreq says the "$d/wordfreq" /usr/share/common-licenses
	# served EXAMPLE COMMAND...: the command, with $at where the server listens.
	served() {
		local example=$1 out status
		shift
		"$d/$example" 127.0.0.1:0 >"$d/$example.out" &
		out=$!
		for _ in $(seq 200); do
			at=$(sed -n 's/^listening on //p' "$d/$example.out")
			[ -n "$at" ] && break
			sleep 0.05
		done
		at=$at "$@"
		status=$?
		kill $out
		wait $out 2>/dev/null
		return $status
	}
	export d
	count examples/echo_builds $rt0 build $w examples/echo.c -o "$d/echo"
	count examples/echo served echo bash -c '"$d/echo" -client -n 50 -t 1 "$at" | grep " 0 failed"'
	count examples/echo_nonsense bash -c '"$d/echo" 127.0.0.1:99999 2>&1 | grep "invalid port in address"'
	count examples/httpd_builds $rt0 build $w examples/httpd.c -o "$d/httpd"
	count examples/httpd served httpd bash -c '[[ $(curl -s "http://$at/" "http://$at/") == $(printf "hello, world\nhello, world") ]]'
	count examples/httpd_bad_request served httpd bash -c 'exec 3<>"/dev/tcp/${at/://}"; printf "GET /\r\n\r\n" >&3; grep -q "400 Bad Request" <&3'
	count examples/chat_builds $rt0 build $w examples/chat.c -o "$d/chat"
	count examples/chat served chat bash -c 'exec 3<>"/dev/tcp/${at/://}"; printf "ann\nhello\n/quit\n" >&3; [[ $(cat <&3) == *"ann: hello"* ]]'
	count examples/chat_garbage served chat bash -c 'for i in 1 2 3; do
			{ head -c 100000 /dev/urandom; sleep 0.1; } >"/dev/tcp/${at/://}"; done 2>/dev/null
		exec 3<>"/dev/tcp/${at/://}"; printf "ann\n/who\n/quit\n" >&3; grep -q "ann is in lobby" <&3'
	count examples/chat_closes bash -c '"$d/chat" localhost:0 >"$d/bye" & p=$!
		until at=$(sed -n "s/^listening on //p" "$d/bye"); [ -n "$at" ]; do sleep 0.05; done
		exec 3<>"/dev/tcp/${at/://}" 4<>"/dev/tcp/${at/://}"; printf "ann\n" >&3; read -r a <&3; read -r a <&3
		kill -TERM $p; wait $p && tail -n 1 "$d/bye" | grep -x bye && grep "the server closes" <&3'
	count examples/chat_nonsense bash -c '! "$d/chat" nonsense && ! "$d/chat" name.invalid:1 && ! "$d/chat" && ! "$d/chat" -x && ! "$d/chat" 127.0.0.1:99999'
	count examples/ratelimit_builds $rt0 build $w examples/ratelimit.c -o "$d/ratelimit"
	count examples/ratelimit says '30 requests by 4 workers: 30 served, 0 turned away' "$d/ratelimit" -r 200 -b 5 -n 30 -w 4
	count examples/ratelimit_turns_away says '30 requests by 30 workers: 3 served, 27 turned away' "$d/ratelimit" -r 1 -b 3 -n 30 -w 30 -t 20
	count examples/ratelimit_nonsense bash -c '! "$d/ratelimit" -r 0 && ! "$d/ratelimit" -n && ! "$d/ratelimit" -w 1x && ! "$d/ratelimit" x'
	count examples/wordfreq_missing_file bash -c "! $d/wordfreq $d/nofile"
	rm -rf "$d"
	finish
}

# Installs into a DESTDIR and builds from there as others would: pkg-config, cmake, rt0 itself.
installation() {
	local d p
	d=$(mktemp -d)
	p=$d/root/opt/rt0
	printf '#include <rt0.h>\nstatic void f(void *c) { rt0_chan_close((rt0_chan *)c); }\nint main(void) { rt0_chan *c = rt0_chan_make(1, 0); rt0_go(f, c); rt0_chan_recv(c, NULL); return rt0_num_goroutine() > 2; }\n' >"$d/prog.c"
	printf '#include <rt0.h>\nstatic void f(void *n) { ++*(int *)n; }\nint main(void) { int n = 0; return rt0_start(0, NULL) || rt0_run(f, &n) || rt0_stop() || n != 1; }\n' >"$d/lib.c"
	count install/install "${make[@]}" install DESTDIR="$d/root" PREFIX=/opt/rt0
	count install/rt0_run "$p/bin/rt0" run "$d/prog.c"
	count install/rt0_run_pure "$p/bin/rt0" run -pure "$d/prog.c"
	printf '#include <poll.h>\n#include <rt0.h>\nstatic int n;\nstatic void f(void *a) { (void)a; poll(0, 0, 50); n++; }\nint main(void) { rt0_gomaxprocs(1); for (int i = 0; i < 100; i++) rt0_go(f, 0); poll(0, 0, 3000); return n != 100; }\n' >"$d/posix.c"
	count install/rt0_run_posix "$p/bin/rt0" run -posix "$d/posix.c"
	count install/pkg_config_posix sh -c "cc -o '$d/pp' '$d/posix.c' \$(PKG_CONFIG_PATH='$p/lib/pkgconfig' pkg-config --define-prefix --cflags --libs rt0-posix rt0) && LD_LIBRARY_PATH='$p/lib' '$d/pp'"
	export PKG_CONFIG_PATH=$p/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR='' LD_LIBRARY_PATH=$p/lib
	count install/pkg_config sh -c "cc -o '$d/pc' '$d/prog.c' \$(pkg-config --define-prefix --cflags --libs rt0) && '$d/pc'"
	count install/pkg_config_static sh -c "cc -static -o '$d/pcs' '$d/prog.c' \$(pkg-config --define-prefix --static --cflags --libs rt0) && '$d/pcs'"
	count install/pkg_config_lib sh -c "cc -o '$d/pcl' '$d/lib.c' \$(pkg-config --define-prefix --cflags --libs rt0-lib) && '$d/pcl'"
	unset LD_LIBRARY_PATH
	mkdir "$d/cm"
	cat >"$d/cm/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.13)
		project(t C)
		find_package(rt0 $(sed -n 's/^.define RT0_VERSION "\(.*\)"/\1/p' include/rt0.h) REQUIRED)
		add_executable(hosted $d/prog.c)
		target_link_libraries(hosted rt0::rt0)
		add_executable(pure $d/prog.c)
		target_link_libraries(pure rt0::pure)
		add_executable(lib $d/lib.c)
		target_link_libraries(lib rt0::lib)
	END
	count install/cmake sh -c "cmake -S '$d/cm' -B '$d/cm/b' -DCMAKE_PREFIX_PATH='$p' && cmake --build '$d/cm/b'"
	for c in hosted pure lib; do
		count "install/cmake_$c" "$d/cm/b/$c"
	done
	count install/uninstall "${make[@]}" uninstall DESTDIR="$d/root" PREFIX=/opt/rt0
	count install/uninstall_leaves_no_file sh -c "! find '$d/root' ! -type d | grep ."
	rm -rf "$d"
	finish
}

# tests/servers.sh: the servers answer, and nothing of them is left, however it ends.
servers() {
	local d
	d=$(mktemp -d)
	chmod 755 "$d"
	local -x TMPDIR=$d
	tests/servers.sh redis postgres nginx -- true
	[[ $? != 77 ]] || return 77
	# with STATUS SERVER SCRIPT
	with() {
		tests/servers.sh $2 -- bash -c "$3"
		[[ $? == "$1" ]]
	}
	# ended SIGNAL: by a signal, while the command has a query open.
	ended() {
		local pid left
		env --default-signal=INT tests/servers.sh redis postgres nginx -- bash -c 'trap "" INT
			env | grep ^RT0_ >"$0/ready.new"; mv "$0/ready.new" "$0/ready"
			exec psql "$RT0_POSTGRES" -c "select pg_sleep(1000)"' "$d" &
		pid=$!
		until [[ -e $d/ready ]]; do
			kill -0 $pid || return 1
			sleep 0.05
		done
		rm "$d/ready"
		kill -"$1" $pid
		wait $pid
		[[ $? == $((128 + $(kill -l "$1"))) ]] || return 1
		left=$(ls "$d"; ps -e -o args= | grep -F "$d/" | grep -v grep)
		[[ -z $left ]] || { echo "left: $left"; return 1; }
	}
	count servers/usage bash -c '! tests/servers.sh redis && ! tests/servers.sh frob -- true'
	count servers/status with 42 redis 'exit 42'
	count servers/redis with 0 redis '[[ $(redis-cli -u "redis://$RT0_REDIS" ping) == PONG ]]'
	count servers/postgres with 0 postgres '[[ $(psql "$RT0_POSTGRES" -Atc "select 6 * 7") == 42 ]]'
	count servers/postgres_socket with 0 postgres '[[ $(psql "$RT0_POSTGRES_SOCKET" -Atc "select 6 * 7") == 42 ]]'
	count servers/nginx with 0 nginx 'a=${RT0_NGINX#http://}; exec 3<>"/dev/tcp/${a/://}"
		printf "GET /big.bin HTTP/1.0\r\n\r\n" >&3; [[ $(tail -c 1048576 <&3 | od -An -v -tu1 -w251 | sort -u | wc -l) == 2 ]]'
	# Other people's libraries, on goroutines.
	for s in redis:hiredis postgres:pq curl:curl; do
		"$PWD/build/gcc-d0/bin/rt0" build -posix -I/usr/include/postgresql -o "$d/client" "tests/servers/${s%:*}.c" "-l${s#*:}"
		c=${s%:*}
		count "servers/$c-goroutines" tests/servers.sh "${c/curl/nginx}" -- "$d/client"
	done
	for s in crawler:curl pgpool:pq; do
		count "examples/${s%:*}_builds" "$PWD/build/gcc-d0/bin/rt0" build -posix -Wall -Wextra -Werror -I/usr/include/postgresql -o "$d/${s%:*}" "examples/${s%:*}.c" "-l${s#*:}"
	done
	count examples/crawler with 0 nginx "\"$d/crawler\" \"\$RT0_NGINX/hello.txt\" | grep '1 pages, 0 failed'"
	count examples/crawler_nonsense bash -c '! "$0" nonsense && ! "$0" && ! "$0" -j 0 http://x/ && ! "$0" http://127.0.0.1:1/' "$d/crawler"
	count examples/pgpool with 0 postgres "\"$d/pgpool\" -c 4 -n 50 \"\$RT0_POSTGRES\" | grep '50 queries over 4 connections, 0 wrong'"
	count examples/pgpool_nonsense bash -c '! "$0" "host=127.0.0.1 port=1" && ! "$0" && ! "$0" -c x y' "$d/pgpool"
	rm -f "$d"/*
	for s in TERM INT HUP; do
		count servers/nothing_left_after_$s ended $s
	done
	rm -rf "$d"
	finish
}

model() {
	command -v spin >/dev/null || { echo 'spin is not installed'; return 77; }
	"${make[@]}" model
}

step gcc config CC=gcc
step symbols "${make[@]}" lint-symbols
step header cxx
step rt0 command_rt0
step examples examples
step panic tests/panic.sh build/gcc-d0
step asm tests/asm.sh build/gcc-d0
step install installation
step gdb tests/gdb.sh build/gcc-d0 gcc
step churn tests/churn.sh build/gcc-d0 gcc
step servers servers
step bench-net env GO= RUNS=1 SECS=1 IDLE_CONNS=1000 bench/run.sh echo_1 echo_100 idle_conn http_hello redis
step clang config CC=clang
step clang-symbols "${make[@]}" lint-symbols CC=clang
step gcc-debug3 config CC=gcc DEBUG=3
step clang-debug3 config CC=clang DEBUG=3
step asan config CC=gcc SAN=address
step ubsan config CC=gcc SAN=undefined
step tsan config CC=gcc SAN=thread
step faults "${make[@]}" faults
step torture env QUICK=1 S=1 "${make[@]}" torture
step model model
printf '%d passed, %d failed' $passed $failed
((skipped > 0)) && printf ', %d skipped' $skipped
echo
((failed == 0))
