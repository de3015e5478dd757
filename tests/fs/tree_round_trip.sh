#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 400
# heavy: yes
# A real source tree goes in by cp -r, and comes back equal after a remount; boto3 sees the same.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
tree=$SCRATCH/tree
cp -rL /usr/include/linux "$tree"
mount_fs
check "cp -r" cp -r "$tree" "$MNT/linux"
check "diff right after" diff -r "$tree" "$MNT/linux"
remount_fs
check "diff after a remount" diff -r "$tree" "$MNT/linux"
equal "files by find" "$(find "$tree" -type f | wc -l)" "$(find "$MNT/linux" -type f | wc -l)"
equal "directories by find" "$(find "$tree" -type d | wc -l)" "$(find "$MNT/linux" -type d | wc -l)"
equal "lines of ls -lR with files" "$(ls -lR "$tree" | grep -c '^-')" "$(ls -lR "$MNT/linux" | grep -c '^-')"
check "boto3 compares" s3 tree "$tree" linux/
check "tar reads it" tar -C "$MNT" -cf "$SCRATCH/t.tar" linux
mkdir "$SCRATCH/out" && tar -C "$SCRATCH/out" -xf "$SCRATCH/t.tar"
check "tar's copy is equal" diff -r "$tree" "$SCRATCH/out/linux"
check "mv of the tree" mv "$MNT/linux" "$MNT/moved"
check "diff after mv" diff -r "$tree" "$MNT/moved"
refuse "the old name is gone" test -e "$MNT/linux"
check "rm -r" rm -r "$MNT/moved"
equal "nothing in the mount" "" "$(ls -A "$MNT")"
unmount_fs
equal "nothing in the bucket" "" "$(s3 keys)"
equal "no unfinished uploads" "" "$(s3 uploads)"
