#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# limit: 180
# -o writeback at the end: after an unmount the daemon goes on until all is stored; at a signal it
# leaves the rest to the next mount, which need not have the option; pailctl unmount waits.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
pending() { "$PAILCTL" status "$MNT" | awk '$1 == "writeback_pending:" {print $2}'; }
write_some() { # write_some PREFIX
    local i
    for i in 1 2 3 4 5; do echo "$1$i" >"$MNT/$1$i" || return 1; done
}

mount_fs -o writeback,retries=0,timeout=30,connect_timeout=10
check "files" write_some a
check "pailctl unmount" "$PAILCTL" unmount "$MNT"
check "no daemon" poll 60 no_daemon
equal "stored by pailctl unmount" "a1 a2 a3 a4 a5" "$(s3 keys | paste -sd ' ' -)"

# A mount that comes at once sees all of it.
mount_fs -o writeback
s3d_fault "op=PutObject key=e count=5 action=delay:1500"
check "files" write_some e
fusermount3 -u "$MNT" || fail "unmount"
mount_fs
equal "what the mount before wrote" e4 "$(cat "$MNT/e4")"
equal "stored" 10 "$(s3 keys | wc -l)"
s3 rm e1 e2 e3 e4 e5
unmount_fs

mount_fs -o writeback,retries=0,timeout=30,connect_timeout=10
ls "$MNT" >"$SCRATCH/ls.out" || fail "ls"
s3d_stop
check "files" write_some b
equal "pending" 5 "$(pending)"
fusermount3 -u "$MNT" || fail "unmount"
check "the log" poll 60 grep -q "changes with 15 bytes are still to be stored" "$LOG"
[ -n "$(daemon_pids)" ] || fail "the daemon ended with changes pending"
s3d_start
check "the daemon ends when all is stored" poll 60 no_daemon
equal "stored after the unmount" 10 "$(s3 keys | wc -l)"

mount_fs -o writeback,retries=0,timeout=30,connect_timeout=10
ls "$MNT" >"$SCRATCH/ls.out" || fail "ls"
s3d_stop
check "files" write_some c
: >"$LOG"
kill "$(daemon_pids)"
check "the log" poll 60 grep -q "5 changes with 15 bytes are still to be stored" "$LOG"
kill "$(daemon_pids)"
check "the daemon ends at the second signal" poll 60 no_daemon
check "the log says what happens to them" grep -q "ending with 5 changes not stored yet" "$LOG"
s3d_start
equal "not stored" 10 "$(s3 keys | wc -l)"
mount_fs
equal "seen by a mount without the option" c3 "$(cat "$MNT/c3")"
echo new >"$MNT/c3" || fail "a change of one that is pending"
s3 get c3 "$SCRATCH/c3"
equal "and durable at close" new "$(cat "$SCRATCH/c3")"
check "flush" "$PAILCTL" flush "$MNT"
equal "stored" 15 "$(s3 keys | wc -l)"
unmount_fs
refuse "writeback without a place for the journal" "$PAILFS" "$BUCKET" "$MNT" \
    -o "$(pailfs_options),writeback,cache_dir=/proc/pailfs"
contains "message" "writeback needs a folder" "$(cat "$SCRATCH/refuse.out")"
