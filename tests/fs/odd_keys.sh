#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Keys that are no path names never hide or damage others: what is shown can be read, and a tree
# with them can be listed to its end.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
printf plain >"$SCRATCH/c"
for key in a a/b x//y x/z ./dot ../dotdot /lead "new
line" "dir/ " "back\\slash" "perc%2Fent"; do s3 put "$key" "$SCRATCH/c" || fail "put $key"; done
mount_fs
find "$MNT" -mindepth 1 >"$SCRATCH/found" || fail "find"
while IFS= read -r -d '' path; do
    check "reads: $path" cmp -s "$SCRATCH/c" "$path"
done < <(find "$MNT" -type f -print0)
n=$(find "$MNT" -type f -printf x | wc -c)
equal "every key is one file" 11 "$n"
check "a/b beside a" cmp "$SCRATCH/c" "$MNT/a/b"
check "x/z beside x//y" cmp "$SCRATCH/c" "$MNT/x/z"
check "newline" cmp "$SCRATCH/c" "$MNT/new
line"
unmount_fs
