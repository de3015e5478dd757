#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Of a file larger than part_size the end can be rewritten, cut and appended to, without sending the
# rest again. A write elsewhere is EOPNOTSUPP with a line in the log, and alters nothing.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o part_size=5M
random_file "$SCRATCH/r" 40000000
/usr/bin/python3 - "$MNT" "$SCRATCH/r" <<'P' || fail "see above"
import errno, os, sys
mnt, source = sys.argv[1:]
data = bytearray(open(source, "rb").read())
path = mnt + "/f"
def same(what):
    got = open(path, "rb").read()
    assert got == data, (what, len(got), len(data))
def change(what, *steps):
    fd = os.open(path, os.O_RDWR)
    for at, b in steps:
        assert os.pwrite(fd, b, at) == len(b)
        if at > len(data):
            data.extend(bytes(at - len(data)))
        data[at:at + len(b)] = b
    os.close(fd)
    same(what)
with open(path, "wb") as f:
    f.write(data)
same("written")
change("append", (len(data), b"tail" * 1000))
change("rewrite of the end", (len(data) - 1000, b"x" * 700))
change("beyond the end", (len(data) + 5000, b"hole"))
os.truncate(path, len(data) - 3000)
del data[-3000:]
same("cut")
os.truncate(path, len(data) + 100000)
data.extend(bytes(100000))
same("grown")
with open(path, "ab") as f:
    f.write(data[:6000000])
data.extend(data[:6000000])
same("a long append")
# In the middle, and at the start: refused, at the write or at the close, and nothing is altered.
for at in (0, 20000000):
    fd = os.open(path, os.O_RDWR)
    try:
        os.pwrite(fd, b"middle", at)
        os.close(fd)
    except OSError as e:
        assert e.errno == errno.EOPNOTSUPP, e
        try:
            os.close(fd)
        except OSError:
            pass
    else:
        raise AssertionError(f"a write at {at} was taken")
    same("after a refused write")
# What was sent is in no object yet: read back it comes from the page cache, or not at all.
fd = os.open(mnt + "/sent", os.O_CREAT | os.O_RDWR)
view = memoryview(bytes(data[:20000000]))
while view:
    view = view[os.write(fd, view):]
try:
    assert os.pread(fd, 100, 0) == data[:100]
except OSError as e:
    assert e.errno == errno.EOPNOTSUPP, e
os.fsync(fd)
assert os.pread(fd, 100, 0) == data[:100]
os.close(fd)
os.truncate(path, 7000000)
del data[7000000:]
same("cut to less")
open(path, "wb").close()
del data[:]
same("emptied")
P
grep -q "not supported\|EOPNOTSUPP" "$LOG" || fail "no line in the log: $(cat "$LOG")"
if [ "$TEST_SERVER" = s3d ]; then
    cp "$SCRATCH/r" "$MNT/g"
    s3d_reset
    echo more >>"$MNT/g"
    [ "$(curl -sf "$S3_ENDPOINT/_s3d/counters" | awk '$1 == "bytes_in" {print $2}')" -lt 6000000 ] ||
        fail "an append has sent the whole file again: $(s3d_requests)"
fi
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
