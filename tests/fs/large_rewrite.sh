#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A file larger than part_size is rewritten, cut, grown and appended to at any place, without sending the
# rest again; what was sent of a stream can be read back and rewritten before the close.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o part_size=5M,hedge=off
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
change("at the start", (0, b"start" * 10))
change("in the middle", (20000000, b"middle" * 1000))
change("here and there", (30000000, b"1" * 5000), (100, b"2"), (10485760 - 1, b"33"), (len(data) - 1, b"44"))
# What was sent can be read back, cut and changed before the close.
for size in (20000000, 90000000):
    fd = os.open(mnt + "/sent", os.O_CREAT | os.O_RDWR | os.O_TRUNC)
    sent = bytearray((bytes(data) * 3)[:size])
    view = memoryview(bytes(sent))
    while view:
        view = view[os.write(fd, view):]
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, 100, 5) == sent[5:105]
    os.pwrite(fd, b"changed", 7000000)
    sent[7000000:7000007] = b"changed"
    os.ftruncate(fd, size - 1000001)
    del sent[size - 1000001:]
    os.fsync(fd)
    assert os.pread(fd, 100, 6999950) == sent[6999950:7000050]
    os.pwrite(fd, b"again", 12)
    sent[12:17] = b"again"
    os.close(fd)
    assert open(mnt + "/sent", "rb").read() == sent
os.truncate(path, 7000000)
del data[7000000:]
same("cut to less")
open(path, "wb").close()
del data[:]
same("emptied")
P
if [ "$TEST_SERVER" = s3d ]; then
    cp "$SCRATCH/r" "$MNT/g"
    s3d_reset
    echo more >>"$MNT/g"
    [ "$(curl -sf "$S3_ENDPOINT/_s3d/counters" | awk '$1 == "bytes_in" {print $2}')" -lt 6000000 ] ||
        fail "an append has sent the whole file again: $(s3d_requests)"
fi
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
