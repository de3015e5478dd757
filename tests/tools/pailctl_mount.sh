#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pailctl asks a running mount: status, flush, log-level, and an unmount that waits until everything
# is in S3, or does not happen.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
if [ "$(id -u)" != 0 ]; then
    # A place of this test's own for the socket.
    XDG_RUNTIME_DIR=$SCRATCH/run
    export XDG_RUNTIME_DIR && mkdir -m 700 "$XDG_RUNTIME_DIR"
fi
status() { # status WANTED command...: the exact exit status; the output stays in $out
    local want=$1 rc
    shift
    out=$("$@" 2>&1)
    rc=$?
    [ "$rc" = "$want" ] || fail "exit status $rc instead of $want: $* says: $out"
}
value() { "$PAILCTL" status "$MNT" | sed -n "s/^  $1: //p"; }
is_value() { [ "$(value "$1")" = "$2" ]; }

SOURCE=$BUCKET:/2026 mount_fs
pid=$(daemon_pids)
echo x >"$MNT/file" && mkdir "$MNT/dir"

# ---- status ----
status 0 "$PAILCTL" status "$MNT"
equal "first line" "$MNT" "${out%%$'\n'*}"
equal "pid" "$pid" "$(value pid)"
equal "bucket" "$BUCKET" "$(value bucket)"
equal "prefix" "2026/" "$(value prefix)"
equal "endpoint" "$S3_ENDPOINT" "$(value endpoint)"
equal "nothing dirty" 0 "$(value dirty_bytes)"
case $out in *"$AWS_SECRET_ACCESS_KEY"* | *"$AWS_ACCESS_KEY_ID"*) fail "keys in the status: $out" ;; esac
for path in "$MNT/" "$MNT/dir" "$MNT/file" "$MNT/dir/new"; do
    status 0 "$PAILCTL" status "$path"
    equal "the mount that holds $path" "$MNT" "${out%%$'\n'*}"
done
equal "by a relative path" "$MNT" "$(cd "$SCRATCH" && "$PAILCTL" status mnt | head -n 1)"
equal "from inside" "$MNT" "$(cd "$MNT" && "$PAILCTL" status . | head -n 1)"
status 0 "$PAILCTL" status --json "$MNT"
/usr/bin/python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert len(rows) == 1, rows
r = rows[0]
assert r["mountpoint"] == sys.argv[1] and r["pid"] == int(sys.argv[2]) and r["bucket"] == sys.argv[3], r
for name in ("uptime_seconds", "dirty_bytes", "uploads", "readers", "writers", "memory_used", "memory_limit", "spilled_bytes"):
    assert type(r[name]) is int, (name, r)
assert type(r["version"]) is str and type(r["prefix"]) is str, r
' "$MNT" "$pid" "$BUCKET" <<<"$out" || fail "status --json: $out"
# Others may be mounted on this machine and belong to others: only ours must be among them.
"$PAILCTL" status --json 2>/dev/null >"$SCRATCH/all"
contains "all mounts" "\"$MNT\"" "$(cat "$SCRATCH/all")"
status 2 "$PAILCTL" status "$SCRATCH"
contains "not a mount" "$SCRATCH" "$out"
status 2 "$PAILCTL" flush /
status 1 "$PAILCTL" flush

# ---- flush ----
# A process that keeps the file open and starts no other: every end of one that has inherited the
# descriptor is a close, and stores the file.
mkfifo "$SCRATCH/go" "$SCRATCH/done"
/usr/bin/python3 - "$MNT/open" "$SCRATCH/go" "$SCRATCH/done" <<'P' &
import sys
f = open(sys.argv[1], "wb", buffering=0)
f.write(bytes(1000000)); f.write(bytes(2000000))
open(sys.argv[3], "w").write("written\n")
open(sys.argv[2]).read()
f.write(bytes(1000))
P
writer=$!
read -r word <"$SCRATCH/done" && equal "the writer" written "$word"
equal "dirty bytes of an open file" 3000000 "$(value dirty_bytes)"
equal "writers" 1 "$(value writers)"
status 0 "$PAILCTL" flush "$MNT"
equal "flush is silent" "" "$out"
equal "nothing dirty after a flush" 0 "$(value dirty_bytes)"
contains "in S3 while it is open" "size 3000000" "$(s3 head 2026/open)"
echo go >"$SCRATCH/go"
wait $writer || fail "the writer failed"
contains "what came after the flush" "size 3001000" "$(s3 head 2026/open)"

# ---- log-level ----
status 0 "$PAILCTL" log-level "$MNT" debug
equal "log level" debug "$(value log_level)"
status 2 "$PAILCTL" log-level "$MNT" loud
contains "what is possible" "debug" "$out"
status 0 "$PAILCTL" log-level "$MNT" info

# ---- unmount ----
exec 7<"$MNT/file"
status 2 "$PAILCTL" unmount "$MNT"
contains "an open file hinders" busy "$out"
exec 7<&-
check "still mounted" mountpoint -q "$MNT"
equal "and works" x "$(cat "$MNT/file")"
if [ "$TEST_SERVER" = s3d ]; then
    s3d_fault "op=PutObject action=status:403:AccessDenied"
    exec 7>"$MNT/refused"
    status 2 "$PAILCTL" flush "$MNT"
    contains "what the server said" AccessDenied "$out"
    status 2 "$PAILCTL" unmount "$MNT"
    contains "not unmounted" "not unmounted" "$out"
    check "still mounted" mountpoint -q "$MNT"
    s3d_faults_clear
    exec 7>&-
    contains "it went up once it could" "size 0" "$(s3 head 2026/refused)"
fi
echo last >"$MNT/last"
status 0 "$PAILCTL" unmount "$MNT"
if mountpoint -q "$MNT"; then fail "still mounted"; fi
check "the daemon has ended" poll 60 no_daemon
contains "in the bucket" "size 5" "$(s3 head 2026/last)"
status 2 "$PAILCTL" unmount "$MNT"

# ---- the progress line, on a terminal only ----
mount_fs
mkfifo "$SCRATCH/go2" "$SCRATCH/done2"
/usr/bin/python3 - "$MNT/open2" "$SCRATCH/go2" "$SCRATCH/done2" <<'P' &
import sys
f = open(sys.argv[1], "wb", buffering=0)
f.write(bytes(2000000))
open(sys.argv[3], "w").write("written\n")
open(sys.argv[2]).read()
P
writer=$!
read -r _ <"$SCRATCH/done2"
cat >"$SCRATCH/on_a_terminal.py" <<'P'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
text = b""
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    if not piece:
        break
    text += piece
sys.stdout.write(text.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
# The file is open: it is stored, but what is open cannot be unmounted.
status 2 /usr/bin/python3 "$SCRATCH/on_a_terminal.py" "$PAILCTL" unmount "$MNT"
contains "the progress" "2000000 bytes to go" "$out"
contains "why not" busy "$out"
echo go >"$SCRATCH/go2"
wait $writer || fail "the writer failed"
status 0 /usr/bin/python3 "$SCRATCH/on_a_terminal.py" "$PAILCTL" unmount "$MNT"
contains "the end" "everything is in S3" "$out"
check "the daemon has ended" poll 60 no_daemon

# ---- a daemon that was killed ----
mount_fs
kill_daemon
status 2 "$PAILCTL" status "$MNT"
contains "nobody answers" "$MNT" "$out"
status 2 "$PAILCTL" unmount "$MNT"
fusermount3 -u "$MNT" || fail "the dead mount cannot be removed"
mount_fs
status 0 "$PAILCTL" status "$MNT"
status 0 "$PAILCTL" unmount --wait "$MNT"
