#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: none
# 32 files are read and 32 are written at once, and the written ones stay unsent until all have come: memory_limit holds
# for all of them together, the contents are right, and nothing is asked for much more often than with ample memory.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
files() { # files WHAT: "write" r*, or "both": read r* and write w*, or "check" w*
    /usr/bin/python3 - "$MNT" "$1" <<'P' || fail "files $1: see above"
import hashlib, os, sys, threading
mnt, what = sys.argv[1:]
COUNT, PIECES, PIECE = 32, 4, 1 << 20
def piece(name, r):
    return hashlib.sha256(b"%s %d" % (name.encode(), r)).digest() * (PIECE // 32)
bad, all_written = [], threading.Barrier(COUNT)
def write(name, wait):
    fd = os.open(f"{mnt}/{name}", os.O_CREAT | os.O_WRONLY)
    for r in range(PIECES):
        view = memoryview(piece(name, r))
        while view:
            view = view[os.write(fd, view):]
    if wait:
        all_written.wait(100)
    os.close(fd)
def read(name):
    fd = os.open(f"{mnt}/{name}", os.O_RDONLY)
    for r in range(PIECES):
        got = b""
        while len(got) < PIECE and (more := os.pread(fd, PIECE - len(got), r * PIECE + len(got))):
            got += more
        if got != piece(name, r):
            bad.append((name, r, len(got)))
    os.close(fd)
def guarded(f, *args):
    try:
        f(*args)
    except Exception as e:
        bad.append((f.__name__, args, repr(e)))
work = {"write": [(write, f"r{i}", False) for i in range(COUNT)], "check": [(read, f"w{i}") for i in range(COUNT)],
        "both": [w for i in range(COUNT) for w in ((write, f"w{i}", True), (read, f"r{i}"))]}[what]
threads = [threading.Thread(target=guarded, args=w) for w in work]
for t in threads: t.start()
for t in threads: t.join()
assert not bad, bad[:5]
P
}
files write
remount_fs -o memory_limit=64M,part_size=5M,hedge=off
pid=$(daemon_pids)
s3d_reset
files both
equal "PUTs" 32 "$(s3d_count PutObject)"
equal "parts" 0 "$(s3d_count UploadPart)"
gets=$(s3d_count GetObject)
echo "$gets GETs"
[ "$gets" -le $((32 * 8)) ] || fail "$gets GETs for 32 files of 4 MiB"
[ -n "${SANITIZED:-}" ] || {
    peak=$(awk '$1 == "VmHWM:" {print $2}' "/proc/$pid/status")
    echo "the daemon's peak: $((peak >> 10)) MiB"
    # The limit, what the daemon is without files, an eighth for reads, and what of the writes was received after the
    # limit was reached. Without a limit for all of them together it was 168 and 194 MiB.
    [ "$peak" -lt $(((64 + 40 + 8 + 32) << 10)) ] || fail "the daemon took $((peak >> 10)) MiB with memory_limit=64M"
}
files check
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
