#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
"""ENOSPC: changes in the middle of large files beyond dirty_limit, and a state directory on a full disk.
The call that has no room says so, nothing of it is seen or stored, and all else goes on."""
import ctypes
import errno
import mmap
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted
from errnos import expect, get, libc, put

MIB = 1 << 20
BASE = os.urandom(MIB) * 10
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
problems = []


def refused(what, call):
    try:
        call()
    except OSError as e:
        if e.errno == errno.ENOSPC:
            return
        problems.append(f"{what}: expected ENOSPC, got {e}")
    else:
        problems.append(f"{what}: expected ENOSPC, succeeded")


def fallocate(fd, mode, offset, length):
    libc("fallocate", fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


def opened(name, fn, flags=os.O_RDWR):
    """fn(fd, want) on a large file that is stored; want, changed by fn, is what it must be then."""
    put(name, BASE)
    want = bytearray(BASE)
    fd = os.open(name, flags)
    try:
        fn(fd, want)
        expect(name + ": size", len(want), os.fstat(fd).st_size)
        expect(name + ": content before the close", True, get(name) == want)
    except (OSError, AssertionError) as e:
        problems.append(f"{name}: {e!r}")
    finally:
        os.close(fd)
    if get(name) != want or bed.s3.get_object(Bucket=mount.bucket, Key=name)["Body"].read() != want:
        problems.append(f"{name}: the content is another one after the close")
    os.unlink(name)


def change(fd, want, at, length, byte=b"+"):
    expect("written", length, os.pwrite(fd, byte * length, at))
    want[at:at + length] = byte * length


def pwrite_over(fd, want):
    change(fd, want, 3 * MIB, MIB // 2)
    for _ in range(2):
        refused("pwrite", lambda: os.pwrite(fd, b"-" * MIB, 7 * MIB))
    expect("what was there stays", True, BASE[:MIB] == os.pread(fd, MIB, 7 * MIB))
    change(fd, want, 3 * MIB, MIB // 2, b"*")  # the same place takes no more room
    os.fsync(fd)
    change(fd, want, 7 * MIB, MIB // 2)  # there is room again


def over_in_pieces(write, fd, want):
    """The kernel hands a large write over in pieces: what fitted is a short write, the rest is refused."""
    at, end = 2 * MIB, 4 * MIB
    try:
        while at < end:
            n = write(fd, b"-" * (end - at), at)
            want[at:at + n] = b"-" * n
            at += n
    except OSError as e:
        expect("more than there is room for", errno.ENOSPC, e.errno)
        return
    problems.append("2 MiB: expected ENOSPC, succeeded")


def vectors(fd, want):
    over_in_pieces(lambda fd, data, at: os.pwritev(fd, [data[:5], data[5:]], at), fd, want)


def without_room(fd, want):
    """What takes no room is done although there is none."""
    change(fd, want, 3 * MIB, MIB)
    refused("pwrite", lambda: os.pwrite(fd, b"-" * 4096, 8 * MIB))
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 8 * MIB, MIB)
    want[8 * MIB:9 * MIB] = bytes(MIB)
    fallocate(fd, ZERO_RANGE, 5 * MIB, 4096)
    want[5 * MIB:5 * MIB + 4096] = bytes(4096)
    os.ftruncate(fd, 9 * MIB)
    del want[9 * MIB:]
    os.ftruncate(fd, 10 * MIB + 5)
    want.extend(bytes(MIB + 5))
    os.fchmod(fd, 0o600)


def copied(fd, want):
    put("source", b"c" * (3 * MIB))
    source = os.open("source", os.O_RDONLY)
    try:
        # What fitted is told as a short copy, and the next call has no room.
        at = 0
        while at < 3 * MIB:
            n = os.copy_file_range(source, fd, 3 * MIB - at, at, 2 * MIB + at)
            want[2 * MIB + at:2 * MIB + at + n] = b"c" * n
            at += n
        problems.append("copy_file_range: expected ENOSPC, succeeded")
    except OSError as e:
        expect("copy_file_range", errno.ENOSPC, e.errno)
    finally:
        os.close(source)
        os.unlink("source")


def two_files(fd, want):
    put("other", BASE)
    other = os.open("other", os.O_RDWR)
    os.pwrite(other, b"-" * (MIB * 3 // 4), MIB)
    refused("pwrite beside another file", lambda: os.pwrite(fd, b"-" * (MIB // 2), MIB))
    os.close(other)
    change(fd, want, MIB, MIB // 2)
    os.unlink("other")


def map_over():
    """The kernel writes the pages back: msync says what became of it."""
    put("map", BASE)
    fd = os.open("map", os.O_RDWR)
    try:
        with mmap.mmap(fd, len(BASE)) as m:
            m[2 * MIB:4 * MIB] = b"m" * (2 * MIB)
            refused("msync", m.flush)
    finally:
        os.close(fd)
    # Which pages fitted is the kernel's choice; each is the old or the new one.
    stored = bed.s3.get_object(Bucket=mount.bucket, Key="map")["Body"].read()
    expect("size", len(BASE), len(stored))
    for at in range(0, len(stored), 4096):
        page = stored[at:at + 4096]
        if page != BASE[at:at + 4096]:
            expect(f"the page at {at}", (True, b"m" * 4096), (2 * MIB <= at < 4 * MIB, page))


def unlinked():
    put("u", BASE)
    fd, want = os.open("u", os.O_RDWR), bytearray(BASE)
    os.unlink("u")
    try:
        over_in_pieces(os.pwrite, fd, want)
        expect("read, unlinked", True, want == os.pread(fd, len(want), 0))
    finally:
        os.close(fd)


def in_sequence():
    """Streams and what fits the first part need no disk."""
    put("s", BASE)
    with open("s", "ab", buffering=0) as f:
        f.write(b"a" * (2 * MIB))
    expect("appended", True, get("s") == BASE + b"a" * (2 * MIB))
    put("small", b"1" * (3 * MIB))
    with open("small", "r+b", buffering=0) as f:
        os.pwrite(f.fileno(), b"2" * (2 * MIB), 100)
    expect("small", True, get("small") == b"1" * 100 + b"2" * (2 * MIB) + b"1" * (MIB - 100))


def run(fn, *args):
    try:
        fn(*args)
    except (OSError, AssertionError) as e:
        problems.append(f"{fn.__name__}: {e!r}")


def full_disk():
    """The state directory on a small file system that somebody fills."""
    path = mounted.SCRATCH + "/small-disk"
    os.mkdir(path, 0o700)
    if os.system(f"mount -t tmpfs -o size=8m,mode=700 none {path}") != 0:
        problems.append("no small file system")
        return

    def filled(fd, want):
        with open(path + "/filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(65536))
            except OSError:
                pass
        refused("pwrite, disk full", lambda: os.pwrite(fd, b"-" * MIB, 7 * MIB))
        expect("what was there stays", True, BASE[:MIB] == os.pread(fd, MIB, 7 * MIB))
        put("new", b"n" * 100000)
        os.mkdir("dir")
        os.rename("new", "dir/new")
        os.unlink("dir/new")
        os.rmdir("dir")
        os.unlink(path + "/filler")
        change(fd, want, 7 * MIB, MIB // 2)
    global mount
    for options in ([], ["writeback"]):
        mount = bed.mount("part_size=5M", "state_dir=" + path, *options)
        os.chdir(mount.path)
        run(opened, "full" + "".join(options), filled)
        os.chdir("/")
        mount.unmount()
        for left in os.listdir(path):
            if left.startswith("state.db"):
                os.unlink(path + "/" + left)  # it is that of one bucket
    os.system("umount -l " + path)


bed = mounted.Bed()
try:
    mount = bed.mount("part_size=5M", "dirty_limit=1M")
    os.chdir(mount.path)
    for fn in (pwrite_over, vectors, without_room, copied, two_files):
        run(opened, fn.__name__, fn)
    run(map_over)
    run(unlinked)
    run(in_sequence)
    os.chdir("/")
    mount.unmount()
    with open(mount.log, encoding="utf-8") as f:
        if "write 'copied'" not in f.read():
            problems.append("the log does not name the file")
    if os.geteuid() == 0:
        full_disk()
finally:
    bed.close()
for p in problems:
    print(p)
sys.exit(1 if problems else 0)
