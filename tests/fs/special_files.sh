#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# FIFOs and sockets: their names and attributes are in the bucket, what goes through them is not.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
cd "$MNT" || exit 1
check "mkfifo" mkfifo -m 640 pipe
(echo through the pipe >pipe) &
equal "the pipe works" "through the pipe" "$(cat pipe)"
wait $!
/usr/bin/python3 - <<'P' || fail "see above"
import errno, os, socket, stat
s = socket.socket(socket.AF_UNIX)
s.bind("socket")
s.listen()
c = socket.socket(socket.AF_UNIX)
c.connect("socket")
p, _ = s.accept()
c.send(b"hello")
assert p.recv(5) == b"hello"
for kind, device in ((stat.S_IFCHR, os.makedev(1, 3)), (stat.S_IFBLK, os.makedev(7, 0))):
    try:
        os.mknod("device", kind | 0o600, device)
        raise AssertionError("a device")
    except OSError as e:
        assert e.errno == errno.EPERM, e
P
cd / && remount_fs && cd "$MNT" || exit 1
equal "types" "pipe fifo,socket socket" "$(stat -c '%n %F' pipe socket | paste -sd , -)"
equal "find -type" "./pipe ./socket" "$(find . -type p -o -type s | sort | paste -sd ' ' -)"
equal "mode" 640 "$(stat -c %a pipe)"
check "chmod" chmod 600 pipe
(echo again >pipe) &
equal "the pipe works again" again "$(cat pipe)"
wait $!
check "mv" mv pipe pipe2
check "cp -a" cp -a pipe2 pipe3
equal "copy" "fifo 600" "$(stat -c '%F %a' pipe3)"
meta=$(s3 head pipe2)
contains "s3fs' mode" "meta mode 4480" "$meta"
contains "no bytes" "size 0" "$meta"
check "rm" rm pipe2 pipe3 socket
equal "nothing left" "" "$(ls -A)"
cd / && unmount_fs
