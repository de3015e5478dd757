#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the daemon: what a close or an fsync has acknowledged is in the bucket, what was not is
# not there in part, the dead mount can be taken away and the bucket mounted anew.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o part_size=5M
random_file "$SCRATCH/r" 20000000
cp "$SCRATCH/r" "$MNT/closed" && echo old >"$MNT/rewritten" || fail "write"
mkfifo "$SCRATCH/go" "$SCRATCH/ready"
/usr/bin/python3 - "$MNT" "$SCRATCH" <<'P' &
import os, sys
mnt, scratch = sys.argv[1:]
data = open(scratch + "/r", "rb").read()
synced, unsynced, rewritten = (open(f"{mnt}/{n}", "wb", buffering=0) for n in ("synced", "unsynced", "rewritten"))
synced.write(data[:3000000])
os.fsync(synced.fileno())
synced.write(b"not acknowledged")
unsynced.write(data)
rewritten.write(b"new")
open(scratch + "/ready", "w").write("ready\n")
open(scratch + "/go").read()
for f in (synced, unsynced, rewritten):
    try:
        f.close()
    except OSError:
        continue
    sys.exit("a close succeeded although the daemon is gone")
P
writer=$!
read -r _ <"$SCRATCH/ready" || fail "the writer"
kill_daemon
echo go >"$SCRATCH/go"
wait $writer || fail "the writer's close"
refuse "the dead mount answers" ls "$MNT"
check "the dead mount can be taken away" fusermount3 -u "$MNT"
equal "keys" "closed rewritten synced" "$(s3 keys | paste -sd ' ' -)"
mount_fs
check "closed file" cmp "$SCRATCH/r" "$MNT/closed"
check "synced file" cmp -n 3000000 "$SCRATCH/r" "$MNT/synced"
equal "its size" 3000000 "$(stat -c %s "$MNT/synced")"
equal "a rewrite that was not stored" old "$(cat "$MNT/rewritten")"
# What was under way would stay in the bucket as parts that no listing shows: it is aborted.
no_uploads() {
    local left
    left=$("$PAILCTL" uploads --endpoint-url "$S3_ENDPOINT" --path-style "s3://$BUCKET") || return 1
    [ -z "$left" ]
}
check "the unfinished upload is aborted" poll 60 no_uploads
# Counted when the answer has come.
is_counted() { "$PAILCTL" status "$MNT" | grep -q "uploads_aborted: 1"; }
check "status" poll 60 is_counted
unmount_fs
