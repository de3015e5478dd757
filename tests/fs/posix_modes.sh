#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# servers: s3d
# When object metadata is asked for: posix=auto only in directories where something was stored that
# a listing does not tell, on always, off never; and what a change of attributes costs.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
for i in 1 2 3; do s3 put "plain/$i" /etc/passwd; done
heads() { # heads DIR: HEAD requests of a first ls -l; the entries' own, not those of the directory
    s3d_reset
    ls -l "$MNT/$1" >/dev/null || fail "ls -l $1"
    curl -sf "$S3_ENDPOINT/_s3d/log?n=1000" | grep HeadObject | grep -c "$1/[0-9]"
}
mount_fs -o hedge=off
equal "auto: an unmarked directory" 0 "$(heads plain)"
mkdir "$MNT/marked"
for i in 1 2 3; do echo x >"$MNT/marked/$i"; done
chmod 600 "$MNT/marked/2"
remount_fs -o hedge=off
equal "auto: a marked directory" 3 "$(heads marked)"
equal "the mode that was kept" "644 600 644" "$(stat -c %a "$MNT"/marked/? | paste -sd ' ' -)"
equal "in an unmarked one nothing changes" 0 "$(heads plain)"
unmount_fs
mount_fs -o posix=on,hedge=off
equal "on: each entry" 3 "$(heads plain)"
unmount_fs
mount_fs -o posix=off,hedge=off
equal "off: none" 0 "$(heads marked)"
equal "the listing alone" "644 644 644" "$(stat -c %a "$MNT"/marked/? | paste -sd ' ' -)"
refuse "off: a mode that cannot be kept" chmod 600 "$MNT/plain/1"
contains "errno" "not supported" "$(cat "$SCRATCH/refuse.out")"
check "off: the mode that it has" chmod 644 "$MNT/plain/1"
unmount_fs

mount_fs -o hedge=off
# A change of a file that is still open goes with its upload; of a closed one it is one copy.
s3d_reset
/usr/bin/python3 - "$MNT/plain/new" <<'P' || fail "fchmod"
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o644)
os.write(fd, b"x")
os.fchmod(fd, 0o644)
os.utime(fd, (1000000000, 1000000000))
os.close(fd)
P
equal "puts" 1 "$(curl -sf "$S3_ENDPOINT/_s3d/log?n=1000" | grep PutObject | grep -c plain/new)"
equal "copies" 0 "$(s3d_count CopyObject)"
contains "the time went with it" "meta mtime 1000000000.000000000" "$(s3 head plain/new)"
s3d_reset
chmod 640 "$MNT/plain/3"
sync "$MNT/plain/3"
equal "a closed file is copied onto itself" 1 "$(s3d_count CopyObject)"
# The time of a file that was just written is the server's own, and stays it.
echo y >"$MNT/plain/time"
before=$(stat -c %Y "$MNT/plain/time")
remount_fs -o hedge=off
now=$(stat -c %Y "$MNT/plain/time")
[ $((before - now)) -le 60 ] && [ $((now - before)) -le 60 ] || fail "the time went from $before to $now"
# The root's attributes have an object of their own, which the mount does not show.
chmod 750 "$MNT"
remount_fs -o hedge=off
equal "mode of the root" 750 "$(stat -c %a "$MNT")"
equal "entries of the root" "marked plain" "$(ls -A "$MNT" | paste -sd ' ' -)"
equal "its object" .pailfs-root "$(s3 keys .pailfs)"
unmount_fs
