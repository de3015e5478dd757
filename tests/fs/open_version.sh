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
unmount_fs
# The same where attributes are believed for long: who has met the new version asks for it.
head -c 17000001 "$SCRATCH/two" >"$SCRATCH/three"
for name in one two three; do s3 put "g-$name" "$SCRATCH/$name"; done
mount_fs -o read_part_size=1M,metadata_ttl=600s
/usr/bin/python3 - "$MNT" "$SCRATCH" <<'P' || fail "with a long metadata_ttl, see above"
import errno, os, subprocess, sys
mnt, scratch = sys.argv[1:]
def content(name):
    return open(f"{scratch}/{name}", "rb").read()
for before, after in (("one", "two"), ("two", "three"), ("three", "one")):
    key = f"g-{before}"
    path = f"{mnt}/{key}"
    fd = os.open(path, os.O_RDONLY)
    assert os.pread(fd, 100, 0) == content(before)[:100], before
    subprocess.check_call(["/usr/bin/python3", os.environ["SOURCE_DIR"] + "/tests/lib/s3.py", "put", key, f"{scratch}/{after}"])
    try:
        os.pread(fd, 100, 16000000)
        raise SystemExit(f"{before}: nothing was refused although it was replaced")
    except OSError as e:
        assert e.errno == errno.ESTALE, e
    os.close(fd)
    with open(path, "rb") as f:
        assert f.read() == content(after), f"{after} after {before}"
P
check "and whole again" cmp "$SCRATCH/one" "$MNT/f"
unmount_fs
