#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# servers: s3d
# A failure is one line that names the object as it is called in the bucket; a handle that goes on
# writing after it adds none; and a request is tried as often as --help says.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o hedge=off
mkdir "$MNT/d" && echo x >"$MNT/d/f" || fail "preparing"
s3d_fault "op=DeleteObject action=status:403:AccessDenied"
refuse "rm without permission" rm "$MNT/d/f"
contains "the key of the object" "unlink 'd/f':" "$(cat "$LOG")"
s3d_faults_clear
s3d_fault "op=UploadPart action=status:403:AccessDenied"
/usr/bin/python3 - "$MNT/d/big" <<'P' || fail "writes after the failure"
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
failed = 0
for _ in range(1600): # each of them one request: of a longer one the first half would be taken
    try:
        os.write(fd, b"n" * (128 << 10))
    except PermissionError:
        failed += 1
try:
    os.close(fd)
except PermissionError:
    pass
sys.exit(0 if failed else 1)
P
equal "lines about writes that were refused" 1 "$(grep -c "write 'd/big'" "$LOG")"
s3d_faults_clear
s3d_fault "op=GetObject action=status:503:SlowDown"
refuse "reading from a server that is busy for good" cat "$MNT/d/f"
resends=$("$PAILFS" --help | grep -A2 retries | grep -o 'default [0-9]*' | cut -d' ' -f2)
contains "tries" ", $((resends + 1)) tries:" "$(grep "read 'd/f'" "$LOG")"
s3d_faults_clear
unmount_fs
