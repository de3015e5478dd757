#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw rgw20
# modes: user
# Sizes at, one below and one above the borders of parts, written in blocks that do and do not divide them, appended
# to and cut there: the object has every byte once.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o part_size=5M
random_file "$SCRATCH/r" 17000000
/usr/bin/python3 - "$MNT" "$SCRATCH/r" <<'P' || fail "see above"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
mnt, source = sys.argv[1:]
data = open(source, "rb").read()
part = 5 << 20
def stored(name):
    return S3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
for size in (0, 1, part - 1, part, part + 1, 2 * part - 1, 2 * part, 2 * part + 1, 3 * part):
    for block in (part, 131072, 999983):
        name = f"s{size}b{block}"
        fd = os.open(f"{mnt}/{name}", os.O_CREAT | os.O_WRONLY)
        at = 0
        while at < size:
            at += os.write(fd, data[at:min(at + block, size)])
        os.close(fd)
        assert stored(name) == data[:size], (size, block)
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_APPEND)   # one byte, across or up to the border
    os.write(fd, b"!")
    os.close(fd)
    assert stored(name) == data[:size] + b"!", ("append", size)
    for cut in (size, max(size - 1, 0)):
        os.truncate(f"{mnt}/{name}", cut)
        assert stored(name) == data[:cut], ("cut", size, cut)
        assert open(f"{mnt}/{name}", "rb").read() == data[:cut], ("cut, read", size, cut)
    os.unlink(f"{mnt}/{name}")
P
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
