#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# servers: s3d
# An upload that fails is reported by close or fsync, and the old object stays whole.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o retries=2,log_level=debug
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
s3d_fault "op=CompleteMultipartUpload action=status:400:BadDigest"
/usr/bin/python3 - "$MNT/big" "$SCRATCH/big" <<'P' || fail "a wrong checksum of the whole"
import errno, os, sys, urllib.request
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
data = open(sys.argv[2], "rb").read()[::-1]
os.write(fd, data)
try:
    os.fsync(fd)
    sys.exit("fsync told nothing")
except OSError as e:
    assert e.errno == errno.EIO, e
urllib.request.urlopen(urllib.request.Request(os.environ["S3_ENDPOINT"] + "/_s3d/faults", method="DELETE"))
os.fsync(fd)
os.close(fd)
P
check "sent anew" cmp <(s3 get big "$SCRATCH/got" && cat "$SCRATCH/got") <(/usr/bin/python3 -c '
import sys
sys.stdout.buffer.write(open(sys.argv[1], "rb").read()[::-1])' "$SCRATCH/big")
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
