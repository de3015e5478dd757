#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix writeback
# servers: s3d rgw rgw20
# S3's order of keys is not that of names: a- comes before a/ and after a. Every name is there once, whatever stands
# on the border of a page, in readdir, in lookups and for programs that walk.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
: >"$SCRATCH/empty"
want=()
for n in a a- a.b a0 'a b' b- 'b!' 'b"' c c-; do
    s3 put "$n" "$SCRATCH/empty"
    want+=("$n")
done
for d in b b0 d d- 'd!' d.e; do
    s3 put "$d/x" "$SCRATCH/empty"
    want+=("$d")
done
s3 put e/ "$SCRATCH/empty"
s3 put e- "$SCRATCH/empty"
want+=(e e-)
expected=$(printf '%s\n' "${want[@]}" | sort)
mount_fs
equal "readdir" "$expected" "$(find "$MNT" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)"
equal "directories" "b b0 d d! d- d.e e" "$(find "$MNT" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | paste -sd ' ' -)"
remount_fs
for n in "${want[@]}"; do check "lookup of $n" test -e "$MNT/$n"; done
refuse "a name between two others" test -e "$MNT/d+"
# A directory's keys over the border of a page, with names of files on both sides.
mkdir "$SCRATCH/k" && s3 fill 998 p/ && s3 put p/f000997-/x "$SCRATCH/empty" && s3 put p/f000997- "$SCRATCH/empty" && s3 fill 40 p/f000997/
remount_fs
equal "names of a directory beside a page's border" 999 "$(find "$MNT/p" -mindepth 1 -maxdepth 1 -printf '%f\n' | sed 's/^%@\(.*\)%file$/\1 the file/' | grep -cv ' the file')"
equal "none twice" "" "$(find "$MNT/p" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | uniq -d)"
equal "what is below it" 41 "$(find "$MNT/p/f000997" "$MNT/p/f000997-" -type f | wc -l)"
unmount_fs
