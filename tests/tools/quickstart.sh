#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# limit: 600
# heavy: yes
# The README's first command: from sources to files in a mounted bucket, a second run that builds
# nothing, its way back from what a crash leaves, and stop.sh.
. "$SOURCE_DIR/tests/lib/common.sh"
dir="$SCRATCH/try it"
MNT="$dir/mnt"
run() {
    "$SOURCE_DIR/packaging/quickstart.sh" "$dir" >"$SCRATCH/out" 2>&1 || fail "$1: exit status $?: $(cat "$SCRATCH/out")"
    contains "$1: comparison" "no difference" "$(cat "$SCRATCH/out")"
    check "$1: mounted" mountpoint -q "$MNT"
    check "$1: files" cmp "$SOURCE_DIR/packaging/man/pailfs.1.scd" "$MNT/manuals/pailfs.1.scd"
    contains "$1: how to mount one's own" "BUCKET MOUNTPOINT" "$(tail -n 12 "$SCRATCH/out")"
}
pid_of() { cat "$dir/s3d.pid"; }

"$SOURCE_DIR/packaging/quickstart.sh" >"$SCRATCH/out" 2>&1
equal "without a folder" 2 $?
contains "it says how" "quickstart.sh DIR" "$(cat "$SCRATCH/out")"

run "first run"
contains "it builds" "Linking target src/pailfs" "$(cat "$dir/build.log")"
secret=$(sed -n 's/^aws_secret_access_key = //p' "$dir/aws/credentials")
equal "mode of the keys" 600 "$(stat -c %a "$dir/aws/credentials")"
for p in $(pid_of) $(daemon_pids); do
    if tr '\0' ' ' <"/proc/$p/cmdline" | grep -F "$secret"; then fail "the secret key is in a command line"; fi
done
echo mine >"$MNT/mine" || fail "write"
server=$(pid_of) daemon=$(daemon_pids)

run "second run"
contains "nothing to build" "no work to do" "$(cat "$dir/build.log")"
equal "the server is the same" "$server" "$(pid_of)"
equal "the mount is the same" "$daemon" "$(daemon_pids)"
equal "what was written is there" mine "$(cat "$MNT/mine")"

kill_daemon
run "after the daemon was killed"
kill -9 "$server"
check "the server is gone" poll 60 has_ended "$server"
run "after the server was killed"
equal "what was written is there" mine "$(cat "$MNT/mine")"
server=$(pid_of)

"$dir/stop.sh" >"$SCRATCH/out" 2>&1 || fail "stop.sh: $(cat "$SCRATCH/out")"
if mountpoint -q "$MNT"; then fail "still mounted after stop.sh"; fi
check "the daemon has ended" poll 60 no_daemon
check "the server has ended" poll 60 has_ended "$server"
check "stop.sh again" "$dir/stop.sh"
equal "the mount point is empty" "" "$(ls -A "$MNT")"
run "after stop.sh"
equal "what was written is there" mine "$(cat "$MNT/mine")"
"$dir/stop.sh" >/dev/null 2>&1 || fail "stop.sh"
