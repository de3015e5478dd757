#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# servers: s3d
# Attributes that could not be stored yet are shown, tried again, and not lost by kill -9: the next
# mount stores them.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o retries=0
mkdir "$MNT/d" && echo x >"$MNT/d/f" && echo x >"$MNT/d/theirs" && echo x >"$MNT/d/kept" || fail "preparing"
kept=$(stat -c %Y "$MNT/d/kept")
past() { [ "$(date +%s)" -gt "$kept" ]; }
check "a second passes" poll 60 past
s3d_fault "op=CopyObject action=status:503:SlowDown"
check "chmod" chmod 640 "$MNT/d/f" "$MNT/d/theirs" "$MNT/d/kept"
check "touch" touch -d 2001-02-03T04:05:06Z "$MNT/d/f"
check "setfattr" /usr/bin/python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.x", b"y")' "$MNT/d/f"
tried() { [ "$(grep -c 'are tried again' "$LOG")" = 3 ]; }
check "the log tells once of each" poll 60 tried
equal "shown all the same" "640 981173106" "$(stat -c '%a %Y' "$MNT/d/f")"
refuse "fsync tells" sync "$MNT/d/f"
s3 put d/theirs /etc/passwd
kill_daemon
fusermount3 -u "$MNT" || fail "the dead mount stays"
s3d_faults_clear
mount_fs
stored() { case $(s3 head d/f) in *"meta mode 33184"*) ;; *) return 1 ;; esac }
check "the next mount stores them" poll 60 stored
check "of all files" poll 60 grep -q "attributes of 'd/kept'" "$LOG"
check "of all files" poll 60 grep -q "attributes of 'd/theirs'" "$LOG"
equal "mode and time" "640 981173106" "$(stat -c '%a %Y' "$MNT/d/f")"
equal "extended attribute" y "$(/usr/bin/python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.x").decode())' "$MNT/d/f")"
equal "a time that nobody set" "640 $kept" "$(stat -c '%a %Y' "$MNT/d/kept")"
equal "another host's version keeps its own" 644 "$(stat -c %a "$MNT/d/theirs")"
unmount_fs
