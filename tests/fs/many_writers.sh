#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
# limit: 240
# More files are written at once, and held open, than the memory limit has room for, some of them idle: nobody
# hangs, nobody gets ENOMEM, all are whole, and the daemon stays within bounds.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o memory_limit=64M,part_size=5M
pid=$(daemon_pids)
/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import hashlib, os, sys
mnt = sys.argv[1]
count, rounds, block = 40, 7, 1000003
fds = [os.open(f"{mnt}/f{i}", os.O_CREAT | os.O_WRONLY) for i in range(count)]
def piece(i, r):
    return hashlib.sha256(b"%d %d" % (i, r)).digest() * (block // 32) + b"x" * (block % 32)
for r in range(rounds):
    for i, fd in enumerate(fds):
        view = memoryview(piece(i, r))
        while view:
            view = view[os.write(fd, view):]
for fd in reversed(fds):
    os.close(fd)
for i in range(count):
    got = open(f"{mnt}/f{i}", "rb").read()
    assert got == b"".join(piece(i, r) for r in range(rounds)), (i, len(got))
P
[ -n "${SANITIZED:-}" ] || {
    peak=$(awk '$1 == "VmHWM:" {print $2}' "/proc/$pid/status")
    echo "the daemon's peak: $((peak >> 10)) MiB"
    # Whatever the number of files: the limit, what the daemon is without any, and as much for a busy machine.
    [ "$peak" -lt $(((64 + 40 + 40) << 10)) ] || fail "the daemon took $((peak >> 10)) MiB with memory_limit=64M"
}
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
