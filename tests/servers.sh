#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# servers.sh: runs a command beside real servers on loopback, which live as long as it does.
#
# usage: tests/servers.sh [redis] [postgres] [nginx] -- COMMAND [ARG...]
#
# Each server gets a free port of 127.0.0.1 and a directory of its own under a temporary one, answers
# before the command starts, and is told to it by the environment:
#   RT0_REDIS=127.0.0.1:PORT
#   RT0_POSTGRES="host=127.0.0.1 port=PORT user=postgres dbname=postgres"     (trust, no password;
#   RT0_POSTGRES_SOCKET="host=DIRECTORY port=PORT ..."                         400 connections)
#   RT0_NGINX=http://127.0.0.1:PORT    /hello.txt   "hello, world\n"
#                                      /big.bin     1 MiB, byte i is i % 251
#                                      /slow/       the same files, 64 KiB/s
#                                      /moved       302 to /hello.txt
# Exit status: the command's; 77 and "servers.sh: not installed: PACKAGE..." when a server is missing;
# 1 when one does not start; 128 + n when signal n came, which the command then gets too.
# However it ends, the servers are stopped and the directory is removed; after kill -9 too the
# servers end, by the kernel's death signal. PostgreSQL does not run as root: as root it gets the
# user postgres.
set -u

usage() {
	echo 'usage: tests/servers.sh [redis] [postgres] [nginx] -- COMMAND [ARG...]' >&2
	exit 2
}

servers=()
while (($# > 0)) && [[ $1 != -- ]]; do
	case $1 in
	redis | postgres | nginx) servers+=("$1") ;;
	*) usage ;;
	esac
	shift
done
(($# >= 2)) || usage
shift # --

# Debian keeps servers out of the path of ordinary users, and PostgreSQL's out of every path.
PATH=$PATH:/usr/sbin:/usr/local/sbin
pgbin=
for d in /usr/lib/postgresql/*/bin; do # the newest is the last
	[[ -x $d/postgres && -x $d/initdb ]] && pgbin=$d
done
missing=()
for s in "${servers[@]}"; do
	case $s in
	redis) command -v redis-server >/dev/null || missing+=(redis-server) ;;
	postgres) [[ -n $pgbin ]] || missing+=(postgresql) ;;
	nginx) command -v nginx >/dev/null || missing+=(nginx-light) ;;
	esac
done
if ((${#missing[@]} > 0)); then
	echo "servers.sh: not installed: ${missing[*]}"
	exit 77
fi

tmp=
pids=()
child=

# stop ends what was started, in any state, and waits for its end: a port that is free again and a
# directory that nobody writes to.
stop() {
	local p i
	trap '' HUP INT TERM
	[[ -z $child ]] || kill -TERM "$child" 2>/dev/null
	for p in "${pids[@]}"; do
		kill -INT "$p" 2>/dev/null # which does not let PostgreSQL wait for its clients
	done
	for ((i = 0; i < 100; i++)); do
		for p in $child "${pids[@]}"; do
			kill -0 "$p" 2>/dev/null && sleep 0.05 && continue 2
		done
		break
	done
	for p in $child "${pids[@]}"; do
		kill -KILL "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	[[ -z $tmp ]] || rm -rf "$tmp"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d "${TMPDIR:-/tmp}/rt0-servers.XXXXXX") || exit 1
chmod 755 "$tmp"

# answers PORT: does anybody listen there?
answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# freeport sets $port to one where nobody listens, below those that the kernel gives to clients.
# Another process may take it before the server does; then the server ends and is tried again.
freeport() {
	port=$((20000 + RANDOM % 12000))
	while answers $port; do
		port=$((20000 + RANDOM % 12000))
	done
}

# start NAME READY COMMAND...: starts a server and waits until READY succeeds; 1: it ended before.
# Servers run in sessions of their own, out of reach of the terminal's signals, which are for the
# command; they end with this script, whatever ends it.
start() {
	local name=$1 ready=$2 i
	shift 2
	setsid setpriv --pdeathsig INT "$@" >>"$tmp/$name.log" 2>&1 </dev/null &
	pid=$!
	pids+=("$pid")
	for ((i = 0; i < 600; i++)); do
		kill -0 $pid 2>/dev/null || break
		$ready && return 0
		sleep 0.05
	done
	kill -TERM $pid 2>/dev/null
	wait $pid 2>/dev/null
	unset "pids[-1]"
	return 1
}

redis_ready() {
	local line
	{ printf 'PING\r\n' >&3 && read -r -t 5 line <&3; } 3<>"/dev/tcp/127.0.0.1/$port" &&
		[[ $line == +PONG* ]] && kill -0 "$pid" 2>/dev/null
} 2>/dev/null

redis() {
	mkdir -p "$tmp/redis"
	start redis redis_ready redis-server --bind 127.0.0.1 --port $port --save '' --appendonly no \
		--dir "$tmp/redis" --maxclients 20000 --tcp-backlog 4096 || return
	export RT0_REDIS=127.0.0.1:$port
}

nginx_ready() {
	local line
	{ printf 'GET /hello.txt HTTP/1.0\r\n\r\n' >&3 && read -r -t 5 line <&3; } 3<>"/dev/tcp/127.0.0.1/$port" &&
		[[ $line == *' 200 '* ]] && kill -0 "$pid" 2>/dev/null
} 2>/dev/null

nginx_server() {
	local d=$tmp/nginx block i
	mkdir -p "$d/www"
	echo 'hello, world' >"$d/www/hello.txt"
	if [[ ! -s $d/www/big.bin ]]; then
		block=$(for ((i = 0; i < 251; i++)); do printf '\\%03o' $i; done)
		# shellcheck disable=SC2059 # the escapes are the point
		for ((i = 0; i < 4178; i++)); do printf "$block"; done | head -c 1048576 >"$d/www/big.bin"
	fi
	cat >"$d/nginx.conf" <<-END
		daemon off;
		$( ((EUID == 0)) && echo 'user www-data;')
		worker_processes 1;
		worker_rlimit_nofile 8192;
		pid $d/pid;
		error_log stderr;
		events { worker_connections 4096; }
		http {
			access_log off;
			client_body_temp_path $d/body;
			proxy_temp_path $d/proxy;
			fastcgi_temp_path $d/fastcgi;
			uwsgi_temp_path $d/uwsgi;
			scgi_temp_path $d/scgi;
			keepalive_requests 1000000;
			server {
				listen 127.0.0.1:$port backlog=4096;
				root $d/www;
				location /moved { return 302 /hello.txt; }
				location /slow/ { alias $d/www/; limit_rate 64k; }
			}
		}
	END
	start nginx nginx_ready nginx -e stderr -c "$d/nginx.conf" -p "$d" || return
	export RT0_NGINX=http://127.0.0.1:$port
}

postgres_ready() {
	"$pgbin/pg_isready" -q -h 127.0.0.1 -p $port && kill -0 "$pid" 2>/dev/null
}

postgres() {
	local d=$tmp/postgres as=()
	# A change of the user forgets the death signal.
	((EUID != 0)) || as=(setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig INT)
	if [[ ! -d $d ]]; then
		mkdir "$d"
		((EUID != 0)) || chown postgres:postgres "$d" || return
		# Durability is not what is tested; it would cost most of the time.
		(cd / && exec "${as[@]}" "$pgbin/initdb" -D "$d/data" -U postgres -A trust -E UTF8 \
			--locale=C --no-sync) >>"$tmp/postgres.log" 2>&1 || return
	fi
	start postgres postgres_ready "${as[@]}" env -C "$d" "$pgbin/postgres" -D "$d/data" -p $port \
		-c listen_addresses=127.0.0.1 -c unix_socket_directories="$d" -c max_connections=400 \
		-c shared_buffers=32MB -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
		-c autovacuum=off || return
	export RT0_POSTGRES="host=127.0.0.1 port=$port user=postgres dbname=postgres"
	export RT0_POSTGRES_SOCKET="host=$d port=$port user=postgres dbname=postgres"
}

for s in "${servers[@]}"; do
	for try in 1 2 3 4 5; do
		freeport
		case $s in
		redis) redis && break ;;
		postgres) postgres && break ;;
		nginx) nginx_server && break ;;
		esac
		if ((try == 5)); then
			echo "servers.sh: $s does not start:" >&2
			tail -n 20 "$tmp/$s.log" >&2
			exit 1
		fi
	done
done

# In the background, because bash runs traps at once only while it waits; with this standard input,
# which a command in the background would not have by itself.
"$@" <&0 &
child=$!
wait $child
status=$?
child=
exit $status
