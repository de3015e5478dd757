#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# Signals that arrive during calls: listings, reads, writes and closes of a program with a busy timer come out whole,
# and Ctrl-C ends a program that waits for a server that hangs.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start --first-byte-delay 20
s3 fill 2500 many/
random_file "$SCRATCH/r" 12000000
mount_fs -o part_size=5M,metadata_ttl=0,timeout=60s
/usr/bin/python3 - "$MNT" "$SCRATCH/r" <<'P' || fail "see above"
import os, signal, sys
mnt, source = sys.argv[1:]
data = open(source, "rb").read()
ticks = 0
def tick(*_):
    global ticks
    ticks += 1
signal.signal(signal.SIGALRM, tick)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
for _ in range(3):
    assert len(os.listdir(mnt + "/many")) == 2500
    with open(mnt + "/f", "wb", buffering=0) as f:
        view = memoryview(data)
        while view:
            view = view[f.write(view[:100000]):]
        os.fsync(f.fileno())
    fd = os.open(mnt + "/f", os.O_RDONLY)
    got = b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
    os.close(fd)
    assert got == data, len(got)
    os.rename(mnt + "/f", mnt + "/g")
    os.mkdir(mnt + "/d")
    os.rmdir(mnt + "/d")
    os.unlink(mnt + "/g")
signal.setitimer(signal.ITIMER_REAL, 0)
assert ticks > 50, ticks
P
cp "$SCRATCH/r" "$MNT/f"
s3d_fault "op=GetObject action=hang"
s3d_reset
cat "$MNT/f" >"$SCRATCH/out" 2>&1 &
reader=$!
asked() { [ "$(s3d_count GetObject)" -gt 0 ]; }
poll 60 asked || fail "the reader never asked"
kill -INT $reader || fail "kill"
kill -TERM $reader
gone() { ! kill -0 $reader 2>/dev/null; }
check "a reader of a server that hangs can be ended" poll 60 gone
s3d_faults_clear
check "and the mount works" cmp "$SCRATCH/r" "$MNT/f"
unmount_fs
