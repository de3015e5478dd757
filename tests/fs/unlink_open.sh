#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# The name of a removed file goes at once, for everybody; who writes it goes on to work with it, and
# nothing of that is ever stored.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
echo other >"$MNT/other"
/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import errno, os, subprocess, sys
os.chdir(sys.argv[1])
def keys():
    return subprocess.check_output(["/usr/bin/python3", os.environ["SOURCE_DIR"] + "/tests/lib/s3.py", "keys"]).split()
# As programs use temporary files: made, removed, then written and read.
fd = os.open("tmp", os.O_CREAT | os.O_EXCL | os.O_RDWR)
os.unlink("tmp")
assert not os.path.exists("tmp") and os.listdir(".") == ["other"]
os.write(fd, b"0123456789")
assert os.pread(fd, 4, 3) == b"3456" and os.fstat(fd).st_size == 10 and os.fstat(fd).st_nlink == 0
os.ftruncate(fd, 5)
assert os.fstat(fd).st_size == 5
os.fsync(fd)
assert keys() == [b"other"], keys()
os.close(fd)
# One that is in the bucket already, being rewritten.
with open("f", "w") as f:
    f.write("stored")
fd = os.open("f", os.O_RDWR)
os.write(fd, b"STORED, and more")
os.unlink("f")
assert keys() == [b"other"], keys()
assert os.pread(fd, 100, 0) == b"STORED, and more"
# The name is free for another file, which has nothing to do with the old one.
with open("f", "w") as f:
    f.write("second")
os.write(fd, b"!")
os.close(fd)
assert open("f").read() == "second"
# For reading: all of it comes, also what was never read before, small or large.
BIG = b"0123456789abcdef" * (20 << 16)
with open("g", "wb") as f:
    f.write(BIG)
small, big = os.open("f", os.O_RDONLY), os.open("g", os.O_RDONLY)
again = os.open("g", os.O_RDONLY)
os.unlink("f")
os.unlink("g")
hidden = [k for k in keys() if k.startswith(b".pailfs-unlinked/")]
assert len(hidden) == 1 and sorted(keys()) == sorted(hidden + [b"other"]), keys()
assert os.listdir(".") == ["other"], os.listdir(".")
for refused in (".pailfs-unlinked", ".pailfs-unlinked/x"):
    try:
        open(refused, "w")
    except OSError:
        pass
    else:
        raise AssertionError(refused)
assert os.pread(small, 100, 0) == b"second"
assert os.pread(big, 100, len(BIG) - 50) == BIG[-50:]
assert b"".join(iter(lambda: os.read(again, 1 << 20), b"")) == BIG
os.close(small)
os.close(big)
assert os.pread(again, 10, 5) == BIG[5:15]
os.close(again)
# The same for one that another file takes the name of.
for content in (b"old", BIG):
    with open("h", "wb") as f:
        f.write(content)
    with open("new", "w") as f:
        f.write("new")
    fd = os.open("h", os.O_RDONLY)
    os.rename("new", "h")
    assert open("h").read() == "new"
    assert os.pread(fd, 10, len(content) - 2) == content[-2:] and os.fstat(fd).st_nlink == 0
    os.close(fd)
os.unlink("h")
P
unmount_fs
equal "keys" other "$(s3 keys)"
equal "no unfinished uploads" "" "$(s3 uploads)"
