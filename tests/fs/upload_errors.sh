#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# servers: s3d
# An upload that fails is reported by close or fsync, and the old object stays whole.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o retries=2,log_level=debug,hedge=off
echo old >"$MNT/f" || fail "first write"
attempt() { # attempt TITLE BYTES: writes and closes; must fail with an errno, never succeed
    /usr/bin/python3 - "$MNT/f" "$2" <<'P' || fail "$1: the error was not reported"
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
left = int(sys.argv[2])
try:
    while left:
        left -= os.write(fd, b"n" * min(left, 1 << 20))
    os.fsync(fd)
except OSError as e:
    try:
        os.close(fd)
    except OSError:
        pass
    sys.exit(0)
try:
    os.close(fd)
except OSError:
    sys.exit(0)
sys.exit(1)
P
    s3d_faults_clear
    equal "$1: the old object" "old" "$(s3 get f "$SCRATCH/f" && cat "$SCRATCH/f")"
    equal "$1: what the mount shows afterwards" "old" "$(cat "$MNT/f")"
}
s3d_fault "op=PutObject action=status:403:AccessDenied"
attempt "small file refused" 10
s3d_fault "op=PutObject action=status:500:InternalError"
attempt "small file, server broken for good" 10
s3d_fault "op=UploadPart action=status:403:AccessDenied"
attempt "part refused" 30000000
s3d_fault "op=CreateMultipartUpload action=status:403:AccessDenied"
attempt "upload refused" 30000000
s3d_fault "op=CompleteMultipartUpload action=200-error:InternalError"
attempt "200 with an error inside" 30000000
s3d_fault "op=UploadPart action=reset"
attempt "connections reset" 30000000
# A part that the server stores after the abort, because its request was given up and not heard to have failed: the upload is
# there again, and is aborted again. What is refused cannot come late.
aborts() { s3d_count AbortMultipartUpload; }
aborted() { [ "$(aborts)" -ge "$1" ]; }
refuse_parts() { # refuse_parts ABORTS FAULT
    s3d_reset
    s3d_fault "op=UploadPart action=$2" "op=AbortMultipartUpload count=$(($1 - 1)) action=status:204:StaysThere"
    refuse "parts with $2" cp "$SCRATCH/parts" "$MNT/late"
    check "$1 aborts after $2" poll 20 aborted "$1"
    s3d_faults_clear
}
random_file "$SCRATCH/parts" 20000000
refuse_parts 2 lost-answer
equal "uploads after a part that came late" "" "$(s3 uploads)"
# Passing faults are retried and nobody notices.
s3d_fault "op=PutObject count=1 action=status:503:SlowDown" "op=UploadPart count=2 action=reset" \
    "op=CompleteMultipartUpload count=1 action=200-error:InternalError"
random_file "$SCRATCH/big" 20000000
check "retried small file" cp "$SCRATCH/big" "$MNT/big"
echo new >"$MNT/f" || fail "a passing 503 must be retried"
s3d_faults_clear
equal "retried content" new "$(cat "$MNT/f")"
check "retried large content" cmp "$SCRATCH/big" "$MNT/big"
# What the server has put together is not what was sent: told, and sent anew.
# The object from before stays but where the server says so only when it has replaced it.
turn=0
for fault in status:400:BadDigest fewer-parts wrong-checksum; do
    turn=$((turn + 1))
    before=$(sha "$MNT/big")
    random_file "$SCRATCH/big" 20000000 $turn
    s3d_fault "op=CompleteMultipartUpload action=$fault"
    /usr/bin/python3 - "$MNT/big" "$SCRATCH/big" "$SCRATCH/told" <<'P' || fail "a whole that is not what was sent: $fault" &
import errno, os, sys, time
name, source, told = sys.argv[1:]
fd = os.open(name, os.O_WRONLY | os.O_TRUNC)
os.write(fd, open(source, "rb").read())
try:
    os.fsync(fd)
    sys.exit("fsync told nothing")
except OSError as e:
    assert e.errno == errno.EIO, e
os.mkfifo(told)
open(told, "w").close()
os.fsync(fd)
os.close(fd)
P
    pid=$!
    poll 60 test -p "$SCRATCH/told" || fail "$fault: nothing is told"
    s3 get big "$SCRATCH/got"
    [ $fault = wrong-checksum ] || equal "$fault: the object" "$before" "$(sha "$SCRATCH/got")"
    s3d_faults_clear
    cat "$SCRATCH/told"
    check "$fault: the next fsync" wait $pid
    rm "$SCRATCH/told"
    s3 get big "$SCRATCH/got"
    check "$fault: sent anew" cmp "$SCRATCH/big" "$SCRATCH/got"
done
# Who is asked to slow down has fewer requests under way, and sends nothing but what was refused again.
s3d_fault "op=UploadPart key=slow count=2 action=status:503:SlowDown"
s3d_reset
fewer=$(grep -c 'asks for fewer requests' "$LOG")
check "a file that is refused twice" cp "$SCRATCH/big" "$MNT/slow"
equal "UploadPart" 5 "$(s3d_count UploadPart)"
check "fewer requests at a time" test "$(grep -c 'asks for fewer requests' "$LOG")" -gt "$fewer"
check "content" cmp "$SCRATCH/big" "$MNT/slow"
s3d_faults_clear
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
