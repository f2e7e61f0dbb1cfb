#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# asm.sh BUILD: the assembler. BUILD is an object directory.
#
#	asm.sh BUILD            all of it
#	asm.sh BUILD fuzz S     libFuzzer, with ASan and UBSan, for S seconds
#	asm.sh BUILD speed      the files of Go's library in one run, ours and go tool asm
#	asm.sh BUILD record     prints the sums of tests/asm/forms.sum anew
#
# The encodings of every form in the table are compared with sums that were taken from go tool asm 1.19.
# With Debian's golang-1.19 (or GOROOT119) there are also: every line of its assembler's test data, its
# error tests, and all files of its library, byte by byte, with relocations.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 rt0=$PWD/$1/bin/rt0 t=$PWD/tests/asm
goroot=${GOROOT119:-/usr/lib/go-1.19} src=/usr/share/go-1.19/src/cmd/asm/internal/asm/testdata
export LC_ALL=C
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
. tests/count.sh

# forms: `MNEMONIC COUNT SUM` of the bytes of the examples of each mnemonic.
forms() {
	"$build/mkoptab" -examples tools/asm/amd64/*.tbl >"$d/forms.s" &&
		"$rt0" asm -e -S -o "$d/forms.o" "$d/forms.s" >"$d/forms.list" &&
		awk -v lines=1 -f "$t/listing.awk" "$d/forms.list" | awk '
			NR == FNR { bytes[$1] = bytes[$1] $2; next }
			$1 ~ /^[A-Z]/ && $1 != "TEXT" { name = $1; sub(/[.].*/, "", name)
				if (name != last) { out(); last = name; n = sum = 0 }
				n++
				b = bytes[FNR]
				for (i = 1; i <= length(b); i++)
					sum = (sum * 17 + index("0123456789abcdef", substr(b, i, 1))) % 2147483629
				sum = (sum * 17) % 2147483629 }
			function out() { if (last != "") print last, n, sum }
			END { out() }' - "$d/forms.s" | sort
}
same_forms() {
	forms >"$d/forms.got" && diff "$1" "$d/forms.got" && awk '{ n += $2 } END { print n " instructions" }' "$d/forms.got"
}
# A wrong expectation must be found, or the comparison is worth nothing.
wrong_form() {
	awk 'NR == 700 { $3 = $3 + 1 } 1' "$t/forms.sum" >"$d/wrong.sum" && fails same_forms "$d/wrong.sum"
}

# listings A B: both in the form of listing.awk.
normal() { awk -v pkg="$2" -f "$t/listing.awk" "$1" | sort; }

# godata: each file of Go's test data, our bytes and those of go tool asm, line by line.
godata() {
	local f rows=0 n
	for f in "$src"/amd64enc.s "$src"/amd64enc_extra.s "$src"/avx512enc/*.s "$src"/amd64.s; do
		(cd "$(dirname "$f")" && "$goroot/bin/go" tool asm -p t -S -o "$d/go.o" "$(basename "$f")") >"$d/go.list" || return 1
		"$rt0" asm -e -p t -S -o "$d/our.o" "$f" >"$d/our.list" 2>"$d/our.err"
		[[ $f == */amd64.s || ! -s $d/our.err ]] || { cat "$d/our.err"; return 1; }
		awk -v lines=1 -f "$t/listing.awk" "$d/go.list" >"$d/go.lines"
		awk -v lines=1 -f "$t/listing.awk" "$d/our.list" >"$d/our.lines"
		[[ ${1:-} != corrupt ]] || sed -i '5s/[0-9a-f]$/x/' "$d/go.lines"
		diff "$d/go.lines" "$d/our.lines" >"$d/diff" || { echo "$f"; head -5 "$d/diff"; return 1; }
		# Rows that expect bytes: `INSTRUCTION // hex [or hex]`, perhaps with another spelling between.
		n=$(grep -cE '^[^/]*[^/[:space:]][^/]*//( [^/]*//)? *([0-9a-f][0-9a-f])+( or ([0-9a-f][0-9a-f])+)*$' "$f")
		rows=$((rows + n))
	done
	echo "$rows rows with bytes, all lines equal"
}

# goerrors FILE [FLAGS]: the texts of // ERROR comments, each at its line.
goerrors() {
	local f=$src/$1
	shift
	"$rt0" asm -e "$@" -o "$d/x.o" "$f" 2>"$d/err" && return 1
	[ ! -e "$d/x.o" ] || return 1
	awk 'NR == FNR { match($0, /:[0-9]+: /); l = substr($0, RSTART + 1, RLENGTH - 3); got[l] = $0; next }
		match($0, /\/\/ ERROR ".*"$/) { want = substr($0, RSTART + 10, RLENGTH - 11); n++
			if (index(got[FNR], want)) hit++; else print FNR ": " want ": " got[FNR]
			delete got[FNR] }
		END { for (l in got) { print "not expected: " got[l]; extra++ }
			print hit " of " n " texts"; exit hit != n || extra }' "$d/err" "$f"
}

# golibrary: what `go build -a -x std` assembles, assembled again by both. Kept below build/ for the next time.
corpus=$PWD/build/asm-corpus
golibrary_make() {
	[ ! -e "$corpus/done" ] || return 0
	rm -rf "$corpus" && mkdir -p "$corpus" || return 1
	GOROOT=$goroot GOFLAGS='' GOCACHE=$d/cache "$goroot/bin/go" build -a -x -work std >"$d/log" 2>&1 || { tail -3 "$d/log"; return 1; }
	local work dir=. line pkg args name n=0
	work=$(sed -n 's/^WORK=//p' "$d/log")
	while IFS= read -r line; do
		case $line in
		'cd '*) dir=${line#cd } ;;
		*/asm\ *-gensymabis*) ;;
		*/tool/linux_amd64/asm\ *)
			line=${line//\$WORK/$work}
			pkg=$(sed 's/.* -p \([^ ]*\) .*/\1/' <<<"$line")
			name=$(printf %03d-%s $n "$(basename "${line##* }")")
			n=$((n + 1))
			args=$(sed 's/^[^ ]* //; s/ -trimpath "[^"]*"//; s/ -o [^ ]*//' <<<"$line")
			mkdir -p "$corpus/$name.inc"
			cp "$(sed 's/.* -I \([^ ]*\) -I .*/\1/' <<<"$line")/go_asm.h" "$corpus/$name.inc/" 2>/dev/null
			(cd "$dir" && "$goroot/bin/go" tool asm -S -I "$corpus/$name.inc" -o "$d/go.o" $args) >"$corpus/$name.list" || return 1
			printf '%s\t%s\t%s\t%s\n' "$name" "$pkg" "$dir" "$args" >>"$corpus/manifest"
			;;
		esac
	done <"$d/log"
	rm -rf "$work"
	touch "$corpus/done"
}
# ours DIR ARGS...: the flags of go tool asm that we do not have are left out.
ours() {
	local dir=$1 a=() x e
	shift
	while [ $# -gt 0 ]; do
		x=$1
		shift
		case $x in
		-I | -D | -p | -o) a+=("$x" "$1"); shift ;;
		-compiling-runtime) for e in RegabiWrappers RegabiArgs PacerRedesign; do a+=(-D "GOEXPERIMENT_$e"); done ;;
		-*) [[ $x != -S ]] || a+=(-S) ;;
		*) a+=("$x") ;;
		esac
	done
	(cd "$dir" && $rt0 asm "${a[@]}")
}
golibrary() {
	local name pkg dir args files=0 stats
	: >"$d/all"
	while IFS=$'\t' read -r name pkg dir args; do
		# shellcheck disable=SC2086 # a list of arguments
		ours "$dir" -S -o "$d/our.o" -I "$corpus/$name.inc" $args >"$d/our.list" || return 1
		normal "$d/our.list" "$pkg" >"$d/our.n"
		normal "$corpus/$name.list" "$pkg" >"$d/go.n"
		cmp -s "$d/our.n" "$d/go.n" || { echo "$name"; diff "$d/our.n" "$d/go.n" | cut -c1-200 | head -8; return 1; }
		cat "$d/go.n" >>"$d/all"
		files=$((files + 1))
	done <"$corpus/manifest"
	stats=$(awk '$3 == "rel" { r++; next } $1 == "T" { f++; b += $3 } $1 == "D" { n++ }
		END { printf "%d functions, %d bytes of text, %d relocations, %d data", f, b, r, n }' "$d/all")
	[ "$files" -ge 49 ] && echo "$files files: $stats"
}

# Malformed source: the text, the exit status, and no object.
malformed() {
	local source text n=0 out status line
	while IFS=$'\t' read -r source text; do
		[[ $source == '#'\ * || -z $text ]] && continue
		printf '%b\n' "$source" >"$d/bad.s"
		echo stale >"$d/bad.o"
		out=$(cd "$d" && "$rt0" asm -o bad.o bad.s 2>&1)
		status=$?
		line=$(tail -n 1 <<<"$out")
		[[ $status == 1 && $line =~ ^bad\.s:[0-9]+:\  && $line == *"$text"* && ! -e $d/bad.o ]] ||
			{ echo "$source: exit $status: $out; want $text"; return 1; }
		n=$((n + 1))
	done <"$t/errors.txt"
	echo "$n errors"
}
# No file, a directory, an object that cannot be written.
nofile() {
	"$rt0" asm -o "$d/n.o" "$d/none.s" 2>&1 | grep -q 'none.s:0: No such file' &&
		"$rt0" asm -o "$d/n.o" "$d" 2>&1 | grep -q 'Is a directory' &&
		fails "$rt0" asm -o "$d/no/dir/x.o" "$t/frames.s" 2>/dev/null &&
		{ ! [ -w /dev/full ] || fails "$rt0" asm -o /dev/full "$t/frames.s" 2>/dev/null; }
}

# unwinding at each instruction, by the C library's unwinder; stepping over lines, by gdb.
unwinding() {
	"$rt0" asm "$@" -o "$d/frames.o" "$t/frames.s" && "$rt0" asm -support -o "$d/support.o" &&
		gcc -g -O1 -fno-omit-frame-pointer -o "$d/unwind" "$t/unwind.c" "$d/frames.o" "$d/support.o" && "$d/unwind"
}
stepping() {
	command -v gdb >/dev/null || return 0
	local call
	call=$(grep -n 'CALL.*frame_hand' "$t/frames.s" | cut -d: -f1)
	gdb -nx -batch -ex 'set confirm off' -ex 'break frame_calls' -ex 'run still' -ex 'info source' \
		-ex 'bt 3' -ex stepi -ex stepi -ex stepi -ex stepi -ex stepi -ex stepi -ex 'bt 3' -ex 'tbreak frame_hand' -ex continue -ex next -ex 'bt 4' "$d/unwind" >"$d/gdb.out" 2>&1
	grep -q 'Current source file is .*frames.s' "$d/gdb.out" && [ "$(grep -c '^#2 .* run (' "$d/gdb.out")" -ge 2 ] &&
		grep -qE "^#1 .* frame_calls \(\) at .*frames.s:$call" "$d/gdb.out" && grep -qE '^#3 .* run \(' "$d/gdb.out" && return
	cat "$d/gdb.out"
	return 1
}

# links LD: static, PIE and shared, no relocation in text.
links() {
	local l="-fuse-ld=$1 -Wl,-z,text -Wl,--fatal-warnings" b=$d/link kind
	mkdir -p "$b"
	"$rt0" asm -o "$b/lib.o" "$t/link/lib.s" && "$rt0" asm -pic -o "$b/pic.o" "$t/link/lib.s" &&
		gcc -O1 -fPIC -ftls-model=initial-exec -DDATA -c -o "$b/data.o" "$t/link/main.c" &&
		gcc -O1 -fPIC -c -o "$b/main.o" "$t/link/main.c" || return 1
	for kind in -static -no-pie -pie -static-pie; do
		for o in lib pic; do
			gcc $l $kind -o "$b/a" "$b/main.o" "$b/data.o" "$b/$o.o" && "$b/a" || { echo "$kind $o"; return 1; }
		done
	done
	gcc $l -shared -o "$b/libdata.so" "$b/data.o" && gcc $l -shared -o "$b/libasm.so" "$b/pic.o" "$b/libdata.so" "-Wl,-rpath,$b" &&
		gcc $l -pie -o "$b/a" "$b/main.o" "$b/libasm.so" "$b/libdata.so" "-Wl,-rpath,$b" && "$b/a" || { echo shared; return 1; }
	gcc $l -shared -o "$b/libboth.so" "$b/pic.o" "$b/data.o" && gcc $l -pie -o "$b/a" "$b/main.o" "$b/libboth.so" "-Wl,-rpath,$b" && "$b/a" &&
		! readelf -dW "$b/libasm.so" "$b/libboth.so" | grep TEXTREL
}

# hidden: of one shared object, only EXPORT is seen; what is elsewhere in it is reached without the GOT.
hidden() {
	printf '%s\n' '#include "textflag.h"' 'TEXT seen(SB), NOSPLIT|EXPORT, $0' '	MOVQ	TLS, CX' '	MOVQ	0(CX)(TLS*1), AX' \
		'	MOVQ	number(SB), R15' '	ADDQ	(R15), AX' '	JMP	rest<>(SB)' 'TEXT unseen(SB), NOSPLIT, $0' '	NOP' 'ENTRY rest<>(SB)' \
		'	CALL	other(SB)' 'ENTRY back(SB)' '	RET' 'GLOBL x(SB), NOPTR, $8' >"$d/hidden.s"
	printf 'extern void seen(void), back(void);\n__thread long tls;\nlong *number;\nvoid other(void) {}\nvoid *p = back;\n' >"$d/hidden.c"
	local so=$d/libhidden.so
	"$rt0" asm -pic -hidden -tls tls -o "$d/hidden.o" "$d/hidden.s" &&
		gcc -fPIC -fvisibility=hidden -shared -Wl,-z,text -o "$so" "$d/hidden.o" -xc "$d/hidden.c" || return 1
	[[ $(nm -D --defined-only "$so" | awk '{ print $NF }') == seen ]] || { nm -D "$so"; return 1; }
	readelf -sW "$d/hidden.o" | awk '$8 ~ /^(unseen|back|x|number|other)$/ { n += $6 == "HIDDEN" } $8 == "rest" { n = 99 } END { exit n != 5 }' ||
		{ readelf -sW "$d/hidden.o"; return 1; }
	[[ $(readelf -rW "$d/hidden.o" | grep -c GOT) == 1 ]] # that of tls
}

# names: with a package, for C, and with a trampoline of the same name.
names() {
	printf '// func f()\nTEXT ·f(SB), 4, $0\n\tCALL x∕y·g(SB)\n\tRET\nTEXT s<>(SB), 4, $0\n\tRET\n' >"$d/names.s"
	local want got flags
	while IFS=: read -r flags want; do
		# shellcheck disable=SC2086
		"$rt0" asm $flags -o "$d/names.o" "$d/names.s" || return 1
		got=$(nm "$d/names.o" | awk '{ print $NF }' | tr '\n' ' ')
		[[ $got == "$want " ]] || { echo "$flags: $got, want $want"; return 1; }
	done <<-END
		:f s x/y.g
		-p pkg:pkg.f s x/y.g
		-p a/b -c:a_b_f s x_y_g
		-H $d/names.h:f f.abi0 s x/y.g
		-p pkg -H $d/names.h:pkg.f pkg_f s x/y.g
		-p pkg -c -H $d/names.h:pkg_f pkg_f.abi0 s x_y_g
	END
	grep -q '^void pkg_f(void);' "$d/names.h" || return 1
	printf 'TEXT a·f(SB), $200\n\tRET\n' >"$d/names.s" # prologues find rt0's function with -c as well
	"$rt0" asm -c -o "$d/names.o" "$d/names.s" && nm "$d/names.o" | grep -q 'U runtime.morestack_noctxt$' || return 1
	# The name of a file is text, whatever it is. That of a function must be a symbol in assembly.
	cp "$d/names.s" "$d/\"\\n.s" && "$rt0" asm -H "$d/names.h" -o "$d/names.o" "$d/\"\\n.s" || return 1
	printf '#define m 1\n// func g(a int)\nTEXT ·g(SB), 4, $0\n\tRET\n// func m()\nTEXT ·m(SB), 4, $0\n\tRET\n// func double(a, b int, 1 bool, this, a string) (x, x int)\nTEXT ·double(SB), 4, $0\n\tRET\n' >"$d/names.s"
	got=$("$rt0" asm -H "$d/none.h" -o "$d/none.o" "$d/names.s" 2>&1) && return 1
	[[ $got == *names.s:2:\ g\ *"a register"*names.s:5:\ m\ *"a macro"*names.s:8:\ double\ * && ! -e $d/none.h && ! -e $d/none.o ]] || { echo "$got"; return 1; }
	"$rt0" asm -p pkg -H "$d/names.h" -o "$d/names.o" "$d/names.s" && gcc -Wall -Wextra -Werror -xc -c -include "$d/names.h" -o "$d/x.o" - </dev/null &&
		g++ -Wall -Wextra -Werror -xc++ -c -include "$d/names.h" -o "$d/x.o" - </dev/null
}
calls() { "$rt0" build "$@" -Wall -Wextra -Werror "$t/calls.c" "$t/calls.s" -o "$d/calls" && "$d/calls"; }
# Functions that check the stack, on goroutines that are asked to give way.
morestack() { "$rt0" build -Wall -Wextra -Werror "$t/preempt.c" "$t/preempt.s" -o "$d/preempt" && GOMAXPROCS=1 timeout 60 "$d/preempt"; }
offsets() {
	local cc
	for cc in gcc clang; do
		RT0_CC=$cc "$rt0" asm -offsets "$t/offsets.h" -o "$d/go_asm.h" && diff "$t/offsets.want" "$d/go_asm.h" || return 1
	done
	# Of two headers, one of which includes the other by another name, neither is missed.
	printf '#include "sub/../b.h"\nstruct a { long x, y; };\n' >"$d/a.h"
	printf '#pragma once\nstruct b { int u, v; };\n' >"$d/b.h"
	mkdir -p "$d/sub"
	(cd "$d" && "$rt0" asm -offsets a.h -offsets b.h -o two.h && [ "$(grep -cE '^#define (a_y 8|b_v 4)$' two.h)" = 2 ])
}
sha256() {
	"$rt0" build -O2 -Wall -Wextra -Werror examples/asm/sha256.c examples/asm/sha256_block.s -o "$d/sha256" || return 1
	head -c 1000003 /dev/urandom >"$d/random"
	local f
	for f in /dev/null "$t/forms.sum" "$rt0" "$d/random"; do
		[ "$("$d/sha256" "$f")" = "$(sha256sum "$f")" ] || { echo "$f"; return 1; }
	done
}
bytecount() {
	"$rt0" build -O2 -Wall -Wextra -Werror examples/asm/bytecount.c examples/asm/count.s -o "$d/count" && "$d/count"
}

# big KIND: 100 MB of source, or what a short one makes, within 1 GB of address space.
big() {
	case $1 in
	functions) awk 'BEGIN { for (i = 0; i < 330000; i++) { printf "TEXT f%d(SB), 4, $0-8\n", i; for (j = 0; j < 13; j++) print "\tADDQ\t$1234, x+0(FP)"; print "\tRET" } }' ;;
	declarations) awk 'BEGIN { for (i = 0; i < 200000; i++) { printf "// func f%d(x int) (int, string)\nTEXT ·f%d(SB), 4, $0-32\n", i, i; for (j = 0; j < 20; j++) print "\tADDQ\t$1234, x+0(FP)"; print "\tRET" } }' ;;
	onefunction) awk 'BEGIN { print "TEXT f(SB), 4, $0"; for (i = 0; i < 3300000; i++) print "\tMOVQ\t16(R8)(R9*8), R10\t//" }' ;;
	line) awk 'BEGIN { printf "BYTE $1"; for (i = 0; i < 25000000; i++) printf ", $1" }' ;;
	name) head -c 100000000 /dev/zero | tr '\0' a ;;
	comment) printf '/*'; head -c 100000000 /dev/zero | tr '\0' ' ' ;;
	type) printf 'TEXT ·f(SB), 4, $0\nRET\n// func f(a '; head -c 100000000 /dev/zero | tr '\0' '*'; echo 'int)' ;;
	types) printf 'TEXT ·f(SB), 4, $0\nRET\n// func f(a '; head -c 60000 /dev/zero | sed 's/\x0/[]/g'; echo 'int)' ;;
	macros) for i in $(seq 1 40); do echo "#define M$i M$((i - 1)) M$((i - 1)) M$((i - 1)) M$((i - 1))"; done; echo '#define M0 NOP;'; echo 'TEXT f(SB), 4, $0'; echo M40 ;;
	includes) for i in $(seq 1 40); do printf '#include "big%d.h"\n#include "big%d.h"\n' $((i - 1)) $((i - 1)) >"$d/big$i.h"; done; : >"$d/big0.h"; echo '#include "big40.h"' ;;
	data) echo 'DATA x+0x1ffffff0(SB)/8, $1'; echo 'GLOBL x(SB), $0x1ffffff8' ;;
	esac >"$d/big.s"
	(ulimit -v 1048576; timeout 120 "$rt0" asm -H "$d/big.h" -o "$d/big.o" "$d/big.s") >"$d/big.err" 2>&1
	local status=$?
	rm -f "$d"/big*.[hos]
	case $1 in
	functions | declarations | onefunction | data) [ $status = 0 ] ;;
	*) [ $status = 1 ] && grep -qE '^[^:]*big[0-9]*\.[sh]:[0-9]+: ' "$d/big.err" && ! grep -q 'out of memory' "$d/big.err" ;;
	esac || { echo "exit $status"; head -3 "$d/big.err" | cut -c1-200; return 1; }
}

# stale: a .S that an older checkout has left beside a .s, and is newer, must not become that .s.
stale() {
	mkdir "$d/tree" && cp -r Makefile src include tools "$d/tree" && touch "$d/tree/src/arch/amd64/asm_amd64.S" &&
		env -u MAKEFLAGS make -n -C "$d/tree" all >"$d/stale" 2>&1 && grep -q asm_amd64.s.o "$d/stale" &&
		fails grep -q 'asm_amd64[.]S' "$d/stale"
}

# fuzz SECONDS: half of them for what reads source, the rest for declarations and for headers. The
# corpora stay below build/ for the next time; what failed lies beside them.
fuzz() {
	local f bad=0
	fuzz_build && fuzz_seeds || return 1
	for f in source:2 stub:4 offsets:4; do
		fuzz_run "${f%:*}" $(($1 / ${f#*:})) || bad=1
	done
	return $bad
}
fuzz_dir=$PWD/build/asm-fuzz
fuzz_build() {
	local f sources=() flags=(-std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined
		-fno-sanitize-recover=undefined -I"$build" -Itools/asm)
	mkdir -p "$fuzz_dir"/{source,stub,offsets}
	for f in tools/asm/*.c; do
		[[ $f == */mkoptab.c || $f == */offsets.c || $f == */stub.c ]] || sources+=("$f")
	done
	clang "${flags[@]}" -DFUZZ_SOURCE -Wl,--wrap=open,--wrap=fopen -o "$fuzz_dir/fuzz_source" "$t/fuzz.c" "${sources[@]}" tools/asm/stub.c &&
		clang "${flags[@]}" -DFUZZ_STUB -o "$fuzz_dir/fuzz_stub" "$t/fuzz.c" "${sources[@]}" &&
		clang "${flags[@]}" -DFUZZ_OFFSETS -Wl,--wrap=stat -o "$fuzz_dir/fuzz_offsets" "$t/fuzz.c"
}
# fuzz_seeds: sources of every kind with other options each, all forms of the table, the wrong lines of
# errors.txt, the declarations in the tests, preprocessed headers; and the words that all of it is made of.
fuzz_seeds() {
	local i=0 f s=$fuzz_dir/source
	options() { printf '%b' "\\x$(printf %02x $((i % 256)))\\x$(printf %02x $((i / 3 % 64)))"; }
	"$build/mkoptab" -examples tools/asm/amd64/*.tbl >"$d/forms.s" || return 1
	split -l 120 "$d/forms.s" "$d/forms-"
	# The runtime's own, with the options and the constants that they are built with.
	for f in src/arch/amd64/*.s; do
		{ printf '\xc5\x29' && sed 's|//.*||; /^[ \t]*$/d; s/"go_asm.h"/"b.h"/' "$f" && printf '\xff\xff' &&
			{ grep -wf <(grep -oE '\w+_\w+' "$f") "$build/go_asm.h"; printf '\xff\xffRT0_DEBUG=3\n'; }; } >"$s/own-${f##*/}"
	done
	for f in "$t"/*.s "$t"/link/*.s examples/asm/*.s "$d"/forms-* "$src"/amd64*.s "$goroot"/src/*/*_amd64.s "$goroot"/src/*/*/*_amd64.s; do
		[[ ! -f $f ]] || { options && head -c 7000 "$f" && printf '\xff#define A 1\n#define M(x, y) x; y\n\xff#include "a.h"\n\xff' && grep -h '^// func' "$f" | cut -c4-; } >"$s/seed$((i++))"
	done
	while IFS=$'\t' read -r f _; do
		{ options && printf '%b\n\xff%b\n' "$f" "$f"; } >"$s/seed$((i++))"
	done <"$t/errors.txt"
	for f in '#include "a.h"\n#include "b.h"\nRET\n\xff#ifdef X\n#undef X\n#include "fuzz.s"\n#else\n#define X\n#endif\n\xff#define F(a,b,c) a+b, c\n' \
		'TEXT ·f(SB), 4, $0-16\nMOVQ $X, AX\nF(MOVQ $(,1), BX))\nRET\n\xff\xff\xfffunc f(a []int, b *[4]byte) (string, error)\nfunc f(a int) int\n\xffX=1+2\nF=Y(\nY\n' \
		'#line 3 "x"\n#include "dir"\n#include "none"\n#ifndef A\n#else\n#endif\n#define A(x) A(x)\nA(A)(1)\n'; do
		for i in 0 1 2 3; do
			{ printf '%b' "\\x2$i\\x$((2 * i))f$f"; } >"$s/more$i-${#f}"
		done
	done
	i=0
	{ grep -hE '^(// )?func ' "$t"/*.s "$t"/errors.txt "$goroot"/src/*/*.go "$goroot"/src/*/*/*.go | grep -v '{' | sort -u | head -n 1500; } 2>/dev/null |
		sed -E 's/^(\/\/ )?func [A-Za-z0-9_]+\(/\1func f(/' | split -l 3 - "$d/stub-"
	for f in "$d"/stub-*; do
		{ printf '%b' "\\x0$((i % 8))" && cat "$f"; } >"$fuzz_dir/stub/seed$((i++))"
	done
	printf '#include <stdio.h>\n#include <signal.h>\n#include <sys/stat.h>\n' | gcc -E - >"$d/system"
	for f in "$t/offsets.h" include/rt0.h "$d/system" src/runtime2.h; do
		gcc -Iinclude -Isrc -E -xc "$f" | sed "s|\"$f\"|\"fuzz.h\"|" >"$fuzz_dir/offsets/whole$((i++))"
	done
	cat "$fuzz_dir"/offsets/whole* | split -l 60 - "$fuzz_dir/offsets/part"
	awk '$1 !~ /^\/\// { print $1 }' "$d/forms.s" | tr -d ';' | sort -u | grep -E '^[A-Z][A-Z0-9.]+$' >"$d/words"
	printf '%s\n' TEXT DATA GLOBL PCDATA FUNCDATA PCALIGN UNWIND ENTRY SIGFRAME EXPORT NOSPLIT NOFRAME ABIInternal '(SB)' '(FP)' '(SP)' '(PC)' '<>' '\xc2\xb7' '\xe2\x88\x95' '$0' R15 X31 Z31 K7 \
		'#include ' '#define ' '#undef ' '#ifdef ' '#ifndef ' '#else' '#endif' '#line ' a.h b.h inc/a.h fuzz.s textflag.h dir null M A '//go:build ' >>"$d/words"
	sed 's/.*/"&"/' "$d/words" >"$fuzz_dir/source.dict"
	printf '%s\n' '"\xff"' '"\\\x0a"' '"\"a.h\""' >>"$fuzz_dir/source.dict"
	sed -n 's/^    {"\([^"]*\)", ".*/"\1"/p' tools/asm/stub.c >"$fuzz_dir/stub.dict"
	printf '"%s"\n' 'func ' '// func ' 'f(' 'g(' 'add(' '[]' '*' '*[16]' ') (' ', ' '\x0a' '\xc2\xb7' '_ ' 'struct{' 'error' '//' >>"$fuzz_dir/stub.dict"
	printf '"%s"\n' struct union enum typedef __attribute__ '((' '))' __extension__ _Alignas _Static_assert __asm__ '{' '}' ';' ':' '(*' '\x0a# 1 \"fuzz.h\"\x0a' '\x0a# 1 \"x.h\"\x0a' const "'" '\"' >"$fuzz_dir/offsets.dict"
}
# fuzz_run TARGET SECONDS. An input has 30 seconds and 2 GB.
fuzz_run() {
	local b=$fuzz_dir/fuzz_$1
	nice -n 19 "$b" -max_len=8192 -timeout=30 -rss_limit_mb=2048 -max_total_time="$2" -detect_leaks=1 -print_final_stats=1 -reload=0 \
		-dict="$fuzz_dir/$1.dict" -artifact_prefix="$b-" "$fuzz_dir/$1" >"$b.log" 2>&1 ||
		{ echo "$1: $(grep -aE 'ERROR|SUMMARY|runtime error|Test unit' "$b.log")"; return 1; }
	echo "$1: $(awk '/number_of_executed_units/ { print $2 }' "$b.log") inputs"
}

# speed: every file of the library: go tool asm, a process each; ours, the same; ours in one process.
record() { # asm ARGS: instead of running it
	shift
	printf '%s ' "cd '$PWD' && '$real' asm" "$@" >>"$d/our.sh"
	echo >>"$d/our.sh"
	printf '%s ' "${@:1:$#-1}" "$PWD/${*: -1}" >>"$d/batch"
	echo >>"$d/batch"
}
speed() {
	local real=$rt0
	golibrary_make || return 1
	local name pkg dir args i
	: >"$d/go.sh"
	: >"$d/our.sh"
	: >"$d/batch"
	while IFS=$'\t' read -r name pkg dir args; do
		echo "cd '$dir' && '$goroot/pkg/tool/linux_amd64/asm' -I '$corpus/$name.inc' -o '$d/go.o' $args" >>"$d/go.sh"
		# shellcheck disable=SC2086
		rt0=record ours "$dir" -o "$d/our.o" -I "$corpus/$name.inc" $args
	done <"$corpus/manifest"
	for i in 1 2 3; do
		for name in "go tool asm:sh $d/go.sh" "rt0 asm, a process each:sh $d/our.sh" "rt0 asm @batch:$rt0 asm @$d/batch"; do
			TIMEFORMAT="${name%%:*}: %R s, %U s user, %S s system"
			# shellcheck disable=SC2086
			time ${name#*:}
		done
	done
}

case ${2:-} in
fuzz | speed) "$2" "${3:-}"; exit ;;
record) forms; exit ;;
esac

count asm/forms same_forms "$t/forms.sum"
count asm/wrong_form_is_found wrong_form
if [ -x "$goroot/bin/go" ] && [ -d "$src" ]; then
	count asm/go_test_data godata
	count asm/go_test_data_wrong_byte_is_found fails godata corrupt
	count asm/go_error_texts goerrors amd64error.s
	count asm/go_error_texts_pic goerrors amd64dynlinkerror.s -pic
	count asm/go_error_texts_build goerrors buildtagerror.s
	count asm/go_library_made golibrary_make
	count asm/go_library golibrary
else
	skip=7
	echo '# skipped: golang-1.19 (Debian: golang-1.19-src, golang-1.19-go) is not installed'
fi
count asm/errors malformed
count asm/no_file nofile
count asm/unwind unwinding
count asm/gdb stepping
count asm/unwind_go122 unwinding -go122
for ld in bfd lld; do
	count asm/links_$ld links $ld
done
for flags in -O0 '-O2 -fPIE' '-O2 -mavx2'; do
	# shellcheck disable=SC2086
	count "asm/calls${flags// /}" calls $flags
done
count asm/hidden hidden
count asm/names names
count asm/preempt morestack
count asm/offsets offsets
count asm/sha256 sha256
count asm/bytecount bytecount
for kind in functions declarations onefunction line name comment type types macros includes data; do
	count asm/big_$kind big $kind
done
count asm/stale_source stale
count asm/fuzz fuzz 4 # what the fuzzers begin with
finish
