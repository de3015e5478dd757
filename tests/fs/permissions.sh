#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The kernel checks the modes and owners that are stored: for another user of this host, in directories and
# files, also after a remount; allow_other lets others in, its absence keeps them out.
# modes: posix
. "$SOURCE_DIR/tests/lib/common.sh"
[ "$(id -u)" = 0 ] || skip "only root can act for another user"
server_start
chmod 711 "$SCRATCH" # the others have to reach the mount point
mount_fs -o allow_other
other() { setpriv --reuid 1234 --regid 1234 --clear-groups "$@"; }
mkdir "$MNT/open" "$MNT/closed" "$MNT/sticky" && chmod 777 "$MNT/open" && chmod 700 "$MNT/closed" && chmod 1777 "$MNT/sticky" || fail "mkdir"
for d in open closed sticky; do echo root >"$MNT/$d/root"; done
echo secret >"$MNT/open/secret" && chmod 600 "$MNT/open/secret" || fail "chmod"
look() { # look WHEN
    equal "$1: a file for all" root "$(other cat "$MNT/open/root")"
    refuse "$1: a file of its owner" other cat "$MNT/open/secret"
    contains "$1: errno" "Permission denied" "$(cat "$SCRATCH/refuse.out")"
    refuse "$1: a closed directory" other ls "$MNT/closed"
    refuse "$1: a file in it" other cat "$MNT/closed/root"
    refuse "$1: writing another's file" other bash -c "echo x >>'$MNT/open/root'"
    refuse "$1: chmod of another's file" other chmod 666 "$MNT/open/root"
    refuse "$1: another's file in a sticky directory" other rm -f "$MNT/sticky/root"
    refuse "$1: giving a file away" other chown 0 "$MNT/open/root"
}
look "at once"
other bash -c "umask 027; echo mine >'$MNT/open/mine' && mkdir '$MNT/open/dir' && echo x >'$MNT/sticky/mine'" || fail "creating"
equal "owner and mode of a new file" "1234:1234 640" "$(stat -c '%u:%g %a' "$MNT/open/mine")"
equal "owner and mode of a new directory" "1234:1234 750" "$(stat -c '%u:%g %a' "$MNT/open/dir")"
check "removing one's own in a sticky directory" other rm "$MNT/sticky/mine"
remount_fs -o allow_other
look "after a remount"
equal "owner and mode after a remount" "1234:1234 640" "$(stat -c '%u:%g %a' "$MNT/open/mine")"
equal "its owner reads it" mine "$(other cat "$MNT/open/mine")"
check "its owner removes it" other rm "$MNT/open/mine"
remount_fs
refuse "without allow_other" other ls "$MNT"
unmount_fs
