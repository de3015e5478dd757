#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# A mount is usable when the command returns, and the daemon is gone after the unmount.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
check "the root can be listed at once" test -z "$(ls -A "$MNT")"
equal "daemons of this mount" 1 "$(daemon_pids | wc -l)"
contains "mount type" "fuse.pailfs" "$(findmnt -no FSTYPE "$MNT")"
equal "source shown by mount" "$BUCKET" "$(findmnt -no SOURCE "$MNT")"
refuse "a second mount on the same point while busy does not harm the first" \
    "$PAILFS" "$BUCKET" "$MNT/absent" -o "$(pailfs_options)"
unmount_fs
check "nothing is mounted any more" test -z "$(findmnt -no FSTYPE "$MNT")"
# In the foreground the process is the daemon itself, and SIGTERM ends it with status 0.
"$PAILFS" "$BUCKET" "$MNT" -f -o "$(pailfs_options)" >"$SCRATCH/fg.out" 2>&1 &
pid=$!
check "-f mounts" poll 60 mountpoint -q "$MNT"
kill -TERM $pid
wait $pid
equal "exit status after SIGTERM" 0 $?
check "nothing is mounted after SIGTERM" test -z "$(findmnt -no FSTYPE "$MNT")"
