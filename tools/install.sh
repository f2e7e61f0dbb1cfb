#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# install.sh: what `make install` and `make uninstall` do.
#
#	install.sh install|uninstall BUILD DESTDIR PREFIX LIBDIR VERSION
#
# One list of files serves both, so that uninstall removes exactly what install wrote. Directories
# that others may use too stay; those that are ours alone go when they are empty.
set -eu
[ $# -eq 6 ] || { echo 'usage: install.sh install|uninstall BUILD DESTDIR PREFIX LIBDIR VERSION' >&2; exit 2; }
verb=$1 build=$2 dest=$3 prefix=$4 lib=$5 version=$6
major=${version%%.*}
pkg=$(dirname "$0")/pkg

# The header directory as seen from lib/cmake/rt0: an installed tree may be moved.
include=$(realpath -m --relative-to="$lib/cmake/rt0" "$prefix/include")

# In a .pc file the library directory follows prefix, if it is below it, for pkg-config
# --define-prefix.
# shellcheck disable=SC2016 # ${prefix} is pkg-config's
case $lib in
"$prefix"/*) pclib='${prefix}'${lib#"$prefix"} ;;
*) pclib=$lib ;;
esac

fill() {
	sed -e "s|@PREFIX@|$prefix|g" -e "s|@LIBDIR@|$pclib|g" -e "s|@VERSION@|$version|g" \
		-e "s|@INCLUDE@|$include|g" "$1"
}

# file MODE SOURCE TARGET, template SOURCE TARGET, link TEXT TARGET
if [ "$verb" = install ]; then
	file() { install -D -m "$1" "$2" "$dest$3"; }
	template() {
		install -d "$(dirname "$dest$2")"
		fill "$1" > "$dest$2"
		chmod 644 "$dest$2"
	}
	link() { ln -sfn "$1" "$dest$2"; }
elif [ "$verb" = uninstall ]; then
	file() { rm -f "$dest$3"; }
	template() { rm -f "$dest$2"; }
	link() { rm -f "$dest$2"; }
else
	echo "install.sh: $verb: install or uninstall?" >&2
	exit 2
fi

file 755 "$build/bin/rt0" "$prefix/bin/rt0"
file 644 include/rt0.h "$prefix/include/rt0.h"
for h in base bufio chan context go io net panic process sync time; do
	file 644 include/rt0/$h.h "$prefix/include/rt0/$h.h"
done
for h in funcdata go_tls textflag; do
	file 644 include/rt0/asm/$h.h "$prefix/include/rt0/asm/$h.h"
done
file 644 "$build/librt0.a" "$lib/librt0.a"
file 644 "$build/librt0_posix.a" "$lib/librt0_posix.a"
file 755 "$build/librt0_posix.so.$major" "$lib/librt0_posix.so.$version"
link "librt0_posix.so.$version" "$lib/librt0_posix.so.$major"
link "librt0_posix.so.$major" "$lib/librt0_posix.so"
file 644 "$build/rt0_main.o" "$lib/rt0/rt0_main.o"
file 644 "$build/rt0_pure.o" "$lib/rt0/rt0_pure.o"
file 755 "$build/librt0.so.$major" "$lib/librt0.so.$version"
link "librt0.so.$version" "$lib/librt0.so.$major"
link "librt0.so.$major" "$lib/librt0.so"
template "$pkg/rt0.pc.in" "$lib/pkgconfig/rt0.pc"
template "$pkg/rt0-posix.pc.in" "$lib/pkgconfig/rt0-posix.pc"
template "$pkg/rt0-lib.pc.in" "$lib/pkgconfig/rt0-lib.pc"
template "$pkg/rt0Config.cmake.in" "$lib/cmake/rt0/rt0Config.cmake"
template "$pkg/rt0ConfigVersion.cmake.in" "$lib/cmake/rt0/rt0ConfigVersion.cmake"
file 644 src/diag/gdb.py "$prefix/share/rt0/gdb.py"
file 644 LICENSE "$prefix/share/doc/rt0/LICENSE"

if [ "$verb" = uninstall ]; then
	for d in "$prefix/include/rt0/asm" "$prefix/include/rt0" "$lib/rt0" "$lib/cmake/rt0" "$prefix/share/rt0" \
		"$prefix/share/doc/rt0"; do
		rmdir "$dest$d" 2>/dev/null || :
	done
fi
