#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# Nobody's time changes by itself: not when the first attributes in a directory are stored, not by a
# rename, not by a remount. (With write-back the time of a file that was only written is, after a
# remount, when S3 got it.)
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
s3 put d/theirs /etc/passwd
mount_fs
mkdir "$MNT/to" "$MNT/made" "$MNT/made/sub"
for f in a sub/b; do echo "$f" >"$MNT/made/$f"; done
for f in a b c big; do echo "$f" >"$MNT/d/$f"; done
random_file "$MNT/d/big" 20000000
past() { [ "$(date +%s)" -gt $(($(stat -c %Y "$MNT/d/theirs") + 1)) ]; }
check "a second passes" poll 60 past
# Ceph's answer to a PUT does not tell its time, which can be a second from what its listing says.
[ "$TEST_SERVER" = s3d ] || remount_fs
times() { (cd "$MNT/$1" && find . -type f -exec stat -c '%n %.9Y' -- {} + | sort); }
before=$(times d)
made=$(times made)
check "mv of a folder of plain files" mv "$MNT/made" "$MNT/moved"
equal "after that" "$made" "$(times moved)"
check "chmod" chmod 600 "$MNT/d/a"
equal "after the first chmod" "$before" "$(times d)"
sync "$MNT/d/a"
equal "when it is stored" "$before" "$(times d)"
remount_fs
equal "after a remount" "$before" "$(times d)"
equal "of the folder after a remount" "$made" "$(times moved)"
check "mv of each" mv "$MNT"/d/* "$MNT/to"
equal "after mv" "$before" "$(times to)"
remount_fs
equal "after mv and a remount" "$before" "$(times to)"
check "mv of the folder" mv "$MNT/to" "$MNT/renamed"
equal "after mv of the folder" "$before" "$(times renamed)"
remount_fs
equal "after that and a remount" "$before" "$(times renamed)"
unmount_fs
