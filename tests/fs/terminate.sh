#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# SIGTERM and fusermount3 -u finish uploads first: what was written by then is in the bucket.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start --first-byte-delay 300
random_file "$SCRATCH/big" 40000000
mount_fs
cp "$SCRATCH/big" "$MNT/one" || fail "cp"
pid=$(daemon_pids)
# An open file with data: its process is still writing when the daemon is told to go.
exec 7>"$MNT/two"
head -c 20000000 "$SCRATCH/big" >&7
kill -TERM "$pid"
exec 7>&-
closed=$?
check "the daemon ends" poll 60 no_daemon
equal "closed without error" 0 $closed
s3 get one "$SCRATCH/back" && check "first file" cmp "$SCRATCH/big" "$SCRATCH/back"
s3 get two "$SCRATCH/back" && check "file that was open" cmp -n 20000000 "$SCRATCH/big" "$SCRATCH/back"
equal "size of the file that was open" 20000000 "$(stat -c %s "$SCRATCH/back")"
if mountpoint -q "$MNT"; then fail "still mounted after SIGTERM"; fi
equal "no unfinished uploads" "" "$(s3 uploads)"
