#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
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
# For reading: what comes is the old content or ESTALE.
fd = os.open("f", os.O_RDONLY)
os.unlink("f")
try:
    assert os.read(fd, 100) in (b"second",)
except OSError as e:
    assert e.errno == errno.ESTALE, e
os.close(fd)
P
unmount_fs
equal "keys" other "$(s3 keys)"
equal "no unfinished uploads" "" "$(s3 uploads)"
