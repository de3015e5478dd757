#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Objects that another program wrote are files: implicit directories, markers, sizes, bytes.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/a" 100000
: >"$SCRATCH/empty"
s3 put top "$SCRATCH/a"
s3 put dir/implicit/file "$SCRATCH/a"
s3 put marked/ "$SCRATCH/empty"
s3 put empty "$SCRATCH/empty"
s3 put "sp ace/ü%20+&=?#'\"" "$SCRATCH/a"
mount_fs
equal "root" "dir empty marked sp ace top" "$(cd "$MNT" && LC_ALL=C ls -1 | paste -sd ' ' -)"
equal "implicit directory" "directory" "$(stat -c %F "$MNT/dir")"
equal "marker" "directory" "$(stat -c %F "$MNT/marked")"
equal "size" 100000 "$(stat -c %s "$MNT/dir/implicit/file")"
check "bytes" cmp "$SCRATCH/a" "$MNT/dir/implicit/file"
check "bytes under an odd name" cmp "$SCRATCH/a" "$MNT/sp ace/ü%20+&=?#'\""
equal "empty file" 0 "$(stat -c %s "$MNT/empty")"
equal "empty file reads empty" "" "$(cat "$MNT/empty")"
check "an empty directory can be listed" test -z "$(ls -A "$MNT/marked")"
refuse "absent name" test -e "$MNT/absent"
# A lookup that no listing answered before.
remount_fs
check "direct lookup below an implicit directory" cmp "$SCRATCH/a" "$MNT/dir/implicit/file"
refuse "absent below a file" test -e "$MNT/top/x"
unmount_fs
