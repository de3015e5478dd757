#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw rgw20
# modes: user
# Directories as others make them: d/, d_$folder$, none, an object d beside d/. Changing the attributes of a directory,
# listing, renaming beside it and removing from it touches no key but its own marker.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
cat >"$SCRATCH/steps.py" <<'P'
import errno, os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3, objects
others = {"hadoop_$folder$": b"", "hadoop/x": b"1", "slash/": b"", "slash/x": b"2", "none/x": b"3", "both": b"4", "both/x": b"5",
          "full/": b"a marker with bytes in it is somebody's data", "full/x": b"6", "slashes//": b"7"}
directories = ("hadoop", "slash", "none", "both", "full")
step = sys.argv[1]
os.chdir(sys.argv[2])
def has(title):
    """No key of the others is gone, and its bytes are the same."""
    missing = set(others) - {o["Key"] for o in objects()}
    assert not missing, (title, missing)
    for k, v in others.items():
        assert S3.get_object(Bucket=BUCKET, Key=k)["Body"].read() == v, (title, k)
if step == "fill":
    for k, v in others.items():
        S3.put_object(Bucket=BUCKET, Key=k, Body=v, Metadata={"theirs": "kept"})
elif step == "change":
    list(os.walk("."))
    has("after a listing")
    for d in directories:
        os.chmod(d, 0o750); has("chmod " + d)
        os.chown(d, os.getuid(), os.getgid()); has("chown " + d)
        os.utime(d, (1577836800, 1577836800)); has("utime " + d)
        fd = os.open(d, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        assert S3.head_object(Bucket=BUCKET, Key=d + "/")["Metadata"]["mode"], d
    for k in ("slash/", "full/"):
        assert S3.head_object(Bucket=BUCKET, Key=k)["Metadata"].get("theirs") == "kept", k
else:
    for d in directories:
        assert os.stat(d).st_mode & 0o777 == 0o750 and os.stat(d).st_mtime == 1577836800, d
        with open(d + "/new", "w") as f:
            f.write("new")
        os.unlink(d + "/new")
        try:
            os.rmdir(d)
        except OSError as e:
            assert e.errno == errno.ENOTEMPTY, (d, e)
        else:
            raise AssertionError("rmdir of " + d)
        has("files in " + d)
    assert open("%@both%file").read() == "4"
    os.rename("none/x", "slash/y")
    del others["none/x"]
    has("a rename beside them")
P
steps() { check "$1" /usr/bin/python3 "$SCRATCH/steps.py" "$1" "$MNT"; }
steps fill
mount_fs
steps change
remount_fs
steps look
unmount_fs
