#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An open file is one version of the object: what is replaced in the meantime is ESTALE, never a mix
# of two versions; opened anew it is the new one.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/one" 30000000 1
random_file "$SCRATCH/two" 30000000 2
s3 put f "$SCRATCH/one"
mount_fs -o read_part_size=1M,metadata_ttl=0,negative_ttl=0
/usr/bin/python3 - "$MNT/f" "$SCRATCH" <<'P' || fail "see above"
import errno, os, subprocess, sys
path, scratch = sys.argv[1:]
one, two = (open(f"{scratch}/{n}", "rb").read() for n in ("one", "two"))
def put(name):
    subprocess.check_call(["/usr/bin/python3", os.environ["SOURCE_DIR"] + "/tests/lib/s3.py", "put", "f", f"{scratch}/{name}"])
def read_all(fd):
    """Everything that can be read at places all over the file: (bytes by place, whether ESTALE came)"""
    got, stale = {}, False
    for at in list(range(0, len(one), 3000017)) + [len(one) - 5000]:
        try:
            got[at] = os.pread(fd, 5000, at)
        except OSError as e:
            assert e.errno == errno.ESTALE, e
            stale = True
    return got, stale
# Replaced after the first read: the rest is the old version or ESTALE.
fd = os.open(path, os.O_RDONLY)
assert os.pread(fd, 100, 0) == one[:100]
put("two")
got, stale = read_all(fd)
assert stale, "nothing was refused although it was replaced"
for at, data in got.items():
    assert data == one[at:at + 5000], f"bytes of another version at {at}"
os.close(fd)
# Opened anew: the new one, all of it.
fd = os.open(path, os.O_RDONLY)
got, stale = read_all(fd)
assert not stale and all(d == two[at:at + 5000] for at, d in got.items())
os.close(fd)
# Replaced between open and the first read: the new one, not a failure and not a mix.
fd = os.open(path, os.O_RDONLY)
put("one")
got, stale = read_all(fd)
same = [v for v in (one, two) if all(d == v[at:at + 5000] for at, d in got.items())]
assert same, "a mix of two versions"
# Pages of "two" were in the kernel's cache: without them, as without any answer, it is ESTALE too.
assert not stale or two in same, "ESTALE after bytes of the new version"
os.close(fd)
P
check "and whole again" cmp "$SCRATCH/one" "$MNT/f"
unmount_fs
