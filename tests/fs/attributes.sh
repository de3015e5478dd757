#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# chmod, chown and utimens are kept in the object's metadata and are there after a remount.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
echo x >"$MNT/f"
check "chmod" chmod 640 "$MNT/f"
check "touch -d" touch -d '2001-02-03 04:05:06.789 UTC' "$MNT/f"
show() { stat -c '%a %Y' "$1"; }
want="640 $(date -ud '2001-02-03 04:05:06' +%s)"
equal "at once" "$want" "$(show "$MNT/f")"
if [ "$(id -u)" = 0 ]; then
    check "chown" chown 1234:2345 "$MNT/f"
    equal "owner at once" 1234:2345 "$(stat -c %u:%g "$MNT/f")"
fi
mkdir "$MNT/d" && chmod 750 "$MNT/d"
cp -p /usr/include/stdio.h "$MNT/d/kept"
s3 put plain /usr/include/stdio.h
remount_fs
equal "after a remount" "$want" "$(show "$MNT/f")"
[ "$(id -u)" != 0 ] || equal "owner after a remount" 1234:2345 "$(stat -c %u:%g "$MNT/f")"
equal "directory's mode" 750 "$(stat -c %a "$MNT/d")"
equal "cp -p keeps mode and time" "$(stat -c '%a %Y' /usr/include/stdio.h)" "$(show "$MNT/d/kept")"
equal "content" x "$(cat "$MNT/f")"
ls -l "$MNT" "$MNT/d" >/dev/null
equal "after a listing" "$want" "$(show "$MNT/f")"
meta=$(s3 head f)
contains "s3fs' name for the mode" "meta mode 33184" "$meta"
contains "s3fs' form of the time" "meta mtime 981173106.789000000" "$meta"
equal "an object of another program has the default mode" 644 "$(stat -c %a "$MNT/plain")"
tar -C "$MNT" -cf "$SCRATCH/t.tar" f d && mkdir "$SCRATCH/x" && tar -C "$SCRATCH/x" -xpf "$SCRATCH/t.tar"
equal "tar carries them" "$want" "$(show "$SCRATCH/x/f")"
unmount_fs
