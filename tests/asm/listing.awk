# SPDX-License-Identifier: BSD-3-Clause
# listing.awk: a listing of `rt0 asm -S` or of `go tool asm -S`, in a form in which they can be compared:
#
#	T|D NAME SIZE BYTES           text or data; zeros at the end are left out
#	T NAME rel OFF+SIZE TYPE NAME ADDEND
#
# in no order: sort it. -v pkg=P says what Go writes "". for; -v lines=1 gives `LINE BYTES` of each
# instruction instead. Of Go's symbols those are left out that only its linker and runtime read.

function value(h,    i, v) {
	v = 0
	for (i = 1; i <= length(h); i++)
		v = 16 * v + index("0123456789abcdef", substr(h, i, 1)) - 1
	return v
}

function flush(    b, i, end) {
	if (name == "")
		return
	if (lines) {
		for (i = 1; i <= n; i++) {
			end = i < n ? pc[i + 1] : size
			if (end > pc[i])
				print line[i], substr(bytes, 2 * pc[i] + 1, 2 * (end - pc[i]))
		}
	} else {
		b = bytes
		while (substr(b, length(b) - 1) == "00")
			b = substr(b, 1, length(b) - 2)
		print kind, name, size, b
		for (i = 1; i <= nrel; i++)
			print kind, name, "rel", rel[i]
	}
	name = ""
}

function clean(s) {
	gsub(/<[^>]*>/, "", s)
	gsub(/""/, pkg, s)
	return s
}

BEGIN {
	type["1"] = "R_ADDR"; type["7"] = "R_CALL"; type["14"] = "R_PCREL"; type["15"] = "R_TLS_LE"
}

/^[^ \t].* S[A-Z]+ .*size=/ {
	flush()
	n = nrel = 0
	bytes = ""
	kind = $2 == "STEXT" ? "T" : "D"
	name = clean($1)
	match($0, / size=[0-9]+/)
	size = substr($0, RSTART + 6, RLENGTH - 6) + 0
	if (name ~ /^gclocals|\.arginfo|^go[.:]cuinfo|args_stackmap/ || $2 ~ /^SDWARF/)
		name = ""
	next
}

# rel 5+4 t=7 sym+8
/^\trel / {
	t = substr($3, 3)
	if (t in type)
		t = type[t]
	if (t == "10")
		next # a mark for calls through registers
	s = $4
	add = 0
	if (match(s, /[+]?[+-]-?[0-9a-f]+$/)) {
		add = substr(s, RSTART)
		gsub(/[+]/, "", add)
		s = substr(s, 1, RSTART - 1)
	}
	rel[++nrel] = $2 " " t " " (t == "R_TLS_LE" ? "" : clean(s)) " " add
	next
}

# Go's instruction: 0x0000 00000 (file:line)	TEXT
/^\t0x[0-9a-f]+ [0-9]+ \(/ {
	if ($4 ~ /^(TEXT|FUNCDATA|PCDATA)$/)
		next
	pc[++n] = $2 + 0
	l = $3
	sub(/^.*:/, "", l)
	line[n] = l + 0
	next
}

# Our instruction or data: 0x0000  48 8b ... (file:line) TEXT
/^\t0x[0-9a-f]+  / {
	at = value(substr($1, 3))
	while (length(bytes) < 2 * at)
		bytes = bytes "00"
	for (i = 2; i <= NF && $i ~ /^[0-9a-f][0-9a-f]$/; i++)
		bytes = bytes $i
	if (kind == "T" && $i ~ /^\(/) {
		pc[++n] = at
		l = $i
		sub(/^.*:/, "", l)
		line[n] = l + 0
	}
	next
}

# Go's bytes: 0x0000 48 8b ...  text
/^\t0x[0-9a-f]+ [0-9a-f][0-9a-f] / {
	s = substr($0, index($0, " ") + 1, 48)
	gsub(/ /, "", s)
	bytes = bytes s
	next
}

END { flush() }
