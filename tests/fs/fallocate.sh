#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fallocate(2): allocating, with and without the size, punching holes and zeroing, in small and large
# files, new and stored ones; SEEK_HOLE sees what is not stored yet; what no bucket can do is refused.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o part_size=5M
/usr/bin/python3 - "$MNT" write <<'P' || fail "see above"
import ctypes, ctypes.util, errno, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
KEEP, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")
def refused(code, *a):
    try:
        fallocate(*a)
    except OSError as e:
        assert e.errno == code, (a, e)
    else:
        raise AssertionError((a, "succeeded"))
for size in (1000, 100000, 6000000, 21000000):
    for stored in (False, True):
        name = f"{size}.{stored:d}"
        want = bytearray(os.urandom(size))
        fd = os.open(name, os.O_CREAT | os.O_RDWR)
        os.write(fd, want)
        def same(what):
            assert os.fstat(fd).st_size == len(want), (name, what, os.fstat(fd).st_size, len(want))
            got = os.pread(fd, len(want) + 10, 0)
            assert got == want, (name, what, len(got))
        if stored:
            os.close(fd)
            fd = os.open(name, os.O_RDWR)
        fallocate(fd, 0, 0, size // 2)
        same("allocated within")
        fallocate(fd, KEEP, 0, size * 2)
        same("allocated beyond the size")
        third = size // 3
        fallocate(fd, PUNCH | KEEP, third, third + 5)
        want[third:2 * third + 5] = bytes(third + 5)
        same("punched")
        if not stored and size > 20000000:
            assert os.lseek(fd, 5, os.SEEK_HOLE) == third
            assert os.lseek(fd, third, os.SEEK_DATA) == 2 * third + 5
        fallocate(fd, PUNCH | KEEP, size - 100, 5000)
        want[size - 100:] = bytes(100)
        same("punched over the end")
        fallocate(fd, PUNCH | KEEP, size + 10, 5000)
        same("punched behind the end")
        fallocate(fd, ZERO | KEEP, 100, 500)
        want[100:600] = bytes(500)
        fallocate(fd, ZERO | KEEP, size - 50, 500)
        same("zeroed")
        fallocate(fd, ZERO, size - 50, 500)
        want.extend(bytes(450))
        same("zeroed and grown")
        os.fsync(fd)
        fallocate(fd, 0, size, 100000)
        want.extend(bytes(size + 100000 - len(want)))
        same("allocated and grown")
        os.pwrite(fd, b"in the hole", size + 50000)
        want[size + 50000:size + 50011] = b"in the hole"
        same("written")
        for mode in (COLLAPSE, INSERT):
            refused(errno.EOPNOTSUPP, fd, mode, 0, 4096)
        refused(errno.EOPNOTSUPP, fd, PUNCH, 0, 4096)
        same("after what was refused")
        os.close(fd)
        open(os.environ["SCRATCH"] + "/want." + name, "wb").write(want)
        assert open(name, "rb").read() == want
fd = os.open("1000.0", os.O_RDONLY)
refused(errno.EBADF, fd, 0, 0, 10)
os.close(fd)
# Allocated first and then written in sequence, as downloads are.
fd = os.open("ahead", os.O_CREAT | os.O_RDWR)
fallocate(fd, 0, 0, 20000000)
assert os.fstat(fd).st_size == 20000000
want = os.urandom(20000000)
for at in range(0, len(want), 100000):
    os.pwrite(fd, want[at:at + 100000], at)
os.close(fd)
open(os.environ["SCRATCH"] + "/want.ahead", "wb").write(want)
P
remount_fs
for f in "$SCRATCH"/want.*; do
    cmp "$f" "$MNT/${f##*/want.}" || fail "${f##*/} after a remount"
done
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
