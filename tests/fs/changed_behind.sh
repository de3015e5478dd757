#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
# Objects that others make longer, shorter, replace by as many bytes or remove, behind a mount that believes
# its attributes for long, for a second, or not at all: the new content whole, or an errno; never a cut or a mix.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
look() { # look TTL
    /usr/bin/python3 - "$MNT" "$1" <<'P' || fail "metadata_ttl=$1"
import errno, os, sys, time, urllib.request
mnt, ttl = sys.argv[1], float(sys.argv[2])
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
def put(key, data):
    S3.put_object(Bucket=BUCKET, Key=key, Body=data)
def settled(name, want):
    """Content of the file when the new one is seen: at once with ttl 0, else within it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with open(f"{mnt}/{name}", "rb") as f:
                got = f.read()
        except OSError as e:
            assert e.errno in (errno.ESTALE, errno.ENOENT), e
            got = None
        if got == want:
            return
        assert got is None or got == old or (want.startswith(got) and ttl), (name, len(got), got[:20])
        assert ttl != 0 or got is None, (name, "the old content with ttl 0")
        assert time.monotonic() < deadline, (name, got and (len(got), got[:20]))
for name, old, new in (("longer", b"old" * 100, b"new" * 5000), ("shorter", b"old" * 5000, b"new" * 10),
                       ("same", b"old" * 3000, b"new" * 3000), ("large", b"old" * 4000000, b"new" * 4000000)):
    put(name, old)
    deadline = time.monotonic() + 60
    while not os.path.exists(f"{mnt}/{name}"):      # an absent name may be believed for a while
        assert time.monotonic() < deadline, name
    settled(name, old)
    put(name, new)
    if ttl <= 1:
        settled(name, new)
        assert os.stat(f"{mnt}/{name}").st_size == len(new), name
    else:
        # Believed for long: whole in the old or the new version, or an error.
        try:
            got = open(f"{mnt}/{name}", "rb").read()
            assert got in (old, new), (name, len(got))
        except OSError as e:
            assert e.errno == errno.ESTALE, e
# Removed behind it: no long wait, and no other errno.
put("gone", b"x" * 100)
deadline = time.monotonic() + 60
while not os.path.exists(f"{mnt}/gone"):
    assert time.monotonic() < deadline
S3.delete_object(Bucket=BUCKET, Key="gone")
urllib.request.urlopen(os.environ["S3_ENDPOINT"] + "/_s3d/reset", data=b"")
try:
    open(f"{mnt}/gone", "rb").read()
except OSError as e:
    assert e.errno in (errno.ENOENT, errno.ESTALE), e
else:
    raise AssertionError("a removed object was read")
counts = urllib.request.urlopen(os.environ["S3_ENDPOINT"] + "/_s3d/counters").read().decode()
requests = next(int(l.split()[1]) for l in counts.splitlines() if l.startswith("requests "))
assert requests <= 8, counts
P
}
for ttl in 0 1 600; do
    mount_fs -o "metadata_ttl=$ttl,negative_ttl=0"
    look $ttl
    unmount_fs
    s3 empty
done
