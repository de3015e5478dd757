#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Implicit directories and markers are equal, and a directory does not vanish because its last file
# was removed through the mount.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
s3 put implicit/only /etc/passwd
s3 put deep/er/file /etc/passwd
mount_fs
check "unlink the only file" rm "$MNT/implicit/only"
check "the directory is still there" test -d "$MNT/implicit"
check "mv the only file away" mv "$MNT/deep/er/file" "$MNT/file"
check "its directory is still there" test -d "$MNT/deep/er"
check "mkdir -p" mkdir -p "$MNT/a/b/c"
check "rmdir" rmdir "$MNT/a/b/c"
check "the parent stays" test -d "$MNT/a/b"
remount_fs
for d in implicit deep/er deep a/b a; do check "after a remount: $d" test -d "$MNT/$d"; done
refuse "the removed one" test -e "$MNT/a/b/c"
refuse "rmdir of a directory with entries" rmdir "$MNT/deep"
mkdir "$MNT/shared" && ls "$MNT/shared"
s3 put shared/foreign /etc/passwd
refuse "rmdir of a directory in which another program has put something since" rmdir "$MNT/shared"
contains "errno" "not empty" "$(cat "$SCRATCH/refuse.out")"
s3 rm shared/foreign
check "rmdir when that is gone" rmdir "$MNT/shared"
check "rmdir of an emptied implicit directory" rmdir "$MNT/implicit"
refuse "it is gone" test -e "$MNT/implicit"
rm -r "$MNT/deep" "$MNT/a" "$MNT/file" || fail "rm -r"
unmount_fs
equal "nothing left in the bucket" "" "$(s3 keys)"
# The same when nothing is believed for any time.
s3 put short/only /etc/passwd
mount_fs -o metadata_ttl=0,negative_ttl=0
check "unlink the only file without a TTL" rm "$MNT/short/only"
check "the directory is still there" test -d "$MNT/short"
unmount_fs
equal "its marker" "short/" "$(s3 keys)"
