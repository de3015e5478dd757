#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# modes: user
"""open, creat, read, write, lseek, truncate, fallocate, copy_file_range, fsync, mmap, flock, fcntl,
execve: the errno of each, and what the successful ones leave; as root and as an ordinary user."""
import ctypes
import fcntl
import mmap
import os
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import errnos
import mounted
from errnos import NAME, expect, get, libc, opens, put, with_fd

ROOT = os.geteuid() == 0
RD, WR, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
MAX = 2**63 - 1

# What this version does not do yet. A row that goes makes its cases count.
LATER = {}
t = errnos.Table(LATER)


def fallocate(fd, mode, offset, length):
    libc("fallocate", fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


def lseek(fd, offset, whence):
    """Python's own refuses some values before the kernel sees them."""
    LSEEK.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = LSEEK(fd, ctypes.c_long(offset), whence)
    if r < 0:
        raise OSError(ctypes.get_errno(), "lseek")
    return r


LSEEK = errnos.LIBC.lseek


def on(path, flags, fn):
    return lambda: with_fd(path, flags, fn)


# ---- open ----
t.paths("open", lambda p: opens(p, RD), last="x")
t.paths("open O_CREAT", lambda p: opens(p, RW | CREAT))
t.paths("open O_PATH", lambda p: opens(p, os.O_PATH), last="x")
t.case("open: absent", "ENOENT", lambda: opens("absent", RD))
t.case("open: below an absent folder", "ENOENT", lambda: opens("absent/x", WR | CREAT))
t.case("open: O_TRUNC without O_CREAT, absent", "ENOENT", lambda: opens("absent", WR | os.O_TRUNC))
t.case("open: a trailing slash at a file", "ENOTDIR", lambda: opens("f/", RD))
t.case("open: O_CREAT with a trailing slash", "EISDIR", lambda: opens("z/", RW | CREAT))
t.case("open: O_CREAT|O_EXCL", "ok", lambda: (opens("z", WR | CREAT | os.O_EXCL),
                                              expect("size", 0, os.stat("z").st_size)))
t.case("open: O_CREAT|O_EXCL, a file", "EEXIST", lambda: opens("f", WR | CREAT | os.O_EXCL))
t.case("open: O_CREAT|O_EXCL, a directory", "EEXIST", lambda: opens("d", WR | CREAT | os.O_EXCL))
t.case("open: O_CREAT|O_EXCL, a dangling link", "EEXIST",
       lambda: opens("z", WR | CREAT | os.O_EXCL), setup=lambda: os.symlink("absent", "z"))
t.case("open: O_CREAT through a dangling link", "ok",
       lambda: (opens("z", WR | CREAT), expect("made", 0, os.stat("new").st_size)),
       setup=lambda: os.symlink("new", "z"))
t.case("open: O_CREAT|O_EXCL with O_TRUNC, a file", "EEXIST",
       lambda: opens("f", WR | CREAT | os.O_EXCL | os.O_TRUNC))
for name, flags in (("O_WRONLY", WR), ("O_RDWR", RW), ("O_RDONLY|O_TRUNC", RD | os.O_TRUNC),
                    ("O_CREAT", RD | CREAT), ("O_WRONLY|O_APPEND", WR | os.O_APPEND)):
    t.case(f"open: a directory {name}", "EISDIR", lambda flags=flags: opens("d", flags))
t.case("open: a directory O_RDONLY", "ok", lambda: opens("d", RD))
t.case("open: O_DIRECTORY, a directory", "ok", lambda: opens("d", RD | os.O_DIRECTORY))
t.case("open: O_DIRECTORY, a file", "ENOTDIR", lambda: opens("f", RD | os.O_DIRECTORY))
t.case("open: O_DIRECTORY, absent", "ENOENT", lambda: opens("absent", RD | os.O_DIRECTORY))
t.case("open: O_DIRECTORY|O_CREAT, absent", None,
       lambda: opens("absent", RD | CREAT | os.O_DIRECTORY))
t.case("open: O_NOFOLLOW, a link", "ELOOP", lambda: opens("z", RD | os.O_NOFOLLOW),
       setup=lambda: os.symlink("f", "z"))
t.case("open: O_NOFOLLOW|O_DIRECTORY, a link to a directory", "ENOTDIR",
       lambda: opens("z", RD | os.O_NOFOLLOW | os.O_DIRECTORY), setup=lambda: os.symlink("d", "z"))
t.case("open: O_NOFOLLOW, a link in the middle", "ok", lambda: opens("z/x", RD | os.O_NOFOLLOW),
       setup=lambda: os.symlink("d", "z"))
t.case("open: O_NOFOLLOW|O_PATH, a link", "ok", lambda: with_fd(
    "z", os.O_PATH | os.O_NOFOLLOW, lambda fd: expect("kind", True, stat.S_ISLNK(os.fstat(fd).st_mode))),
    setup=lambda: os.symlink("f", "z"))


def chain(n):
    """z0 -> f, z1 -> z0, ..."""
    os.symlink("f", "z0")
    for i in range(1, n):
        os.symlink(f"z{i - 1}", f"z{i}")


t.case("open: 40 links one after another", "ok", lambda: expect("content", b"content", get("z39")),
       setup=lambda: chain(40))
t.case("open: 41 links one after another", "ELOOP", lambda: opens("z40", RD), setup=lambda: chain(41))
t.case("open: a link to itself with O_CREAT", "ELOOP", lambda: opens("z", RW | CREAT),
       setup=lambda: os.symlink("z", "z"))
t.case("open: O_TRUNC", "ok", lambda: (opens("f", WR | os.O_TRUNC), expect("f", b"", get("f"))))
t.case("open: O_RDONLY|O_TRUNC", "ok", lambda: (opens("f", RD | os.O_TRUNC), expect("f", b"", get("f"))))
t.case("open: O_APPEND", "ok", lambda: (
    with_fd("f", WR | os.O_APPEND, lambda fd: (os.lseek(fd, 0, os.SEEK_SET), os.write(fd, b"+"))),
    expect("f", b"content+", get("f"))))
t.case("pwrite: O_APPEND goes to the end", "ok", lambda: (
    with_fd("f", WR | os.O_APPEND, lambda fd: os.pwrite(fd, b"+", 0)),
    expect("f", b"content+", get("f"))))
t.case("open: O_CREAT, mode and umask", "ok", lambda: (
    opens("z", WR | CREAT, 0o777), expect("mode", 0o755, stat.S_IMODE(os.stat("z").st_mode))))
t.case("open: O_CREAT, set-user-ID and sticky", "ok", lambda: (
    opens("z", WR | CREAT, 0o5755), expect("mode", 0o5755, stat.S_IMODE(os.stat("z").st_mode))))
t.case("open: O_CREAT with mode 0 can be written to", "ok", lambda: (
    os.close(with_mode_0()), expect("size", 3, os.stat("z").st_size)))
t.case("open: O_CREAT of a file that is there keeps its mode", "ok", lambda: (
    opens("f", WR | CREAT, 0o600), expect("mode", 0o644, stat.S_IMODE(os.stat("f").st_mode))))


def with_mode_0():
    fd = os.open("z", RW | CREAT, 0)
    expect("written", 3, os.write(fd, b"abc"))
    return fd


t.case("open: O_TMPFILE", "EOPNOTSUPP", lambda: opens("d", RW | os.O_TMPFILE), local="ok")
t.case("open: O_TMPFILE|O_RDONLY", "EINVAL", lambda: opens("d", os.O_TMPFILE | RD))
t.case("open: O_TMPFILE in a file", "ENOTDIR", lambda: opens("f", RW | os.O_TMPFILE))
t.case("open: O_SYNC", "ok", lambda: (
    with_fd("z", WR | CREAT | os.O_SYNC, lambda fd: os.write(fd, b"sync")),
    expect("z", b"sync", get("z"))))
t.case("open: O_NOATIME by the owner", "ok", lambda: opens("f", RD | os.O_NOATIME))
t.case("open: O_CLOEXEC", "ok", lambda: opens("f", RD | os.O_CLOEXEC))
t.case("open: a socket", "ENXIO", lambda: opens("z", RD),
       setup=lambda: os.mknod("z", stat.S_IFSOCK | 0o644))
t.case("open: 255 bytes", "ok", lambda: opens(NAME, WR | CREAT))
t.case("creat: a file is emptied", "ok", lambda: (
    os.close(libc("creat", b"f", 0o600)), expect("f", b"", get("f"))))
t.case("creat: a directory", "EISDIR", lambda: libc("creat", b"d", 0o600))
t.case("openat: the descriptor is a file", "ENOTDIR", on("f", RD, lambda fd: os.open(
    "x", RD, dir_fd=fd)))
t.case("openat: no descriptor", "EBADF", lambda: os.open("x", RD, dir_fd=999))
t.case("openat: a directory that is gone", "ENOENT", on("e", RD, lambda fd: (
    os.rmdir("e"), os.open("x", WR | CREAT, dir_fd=fd))), setup=None)
t.cases[-1].changes = True

# ---- O_PATH ----
t.case("O_PATH: read", "EBADF", on("f", os.O_PATH, lambda fd: os.read(fd, 1)))
t.case("O_PATH: write", "EBADF", on("f", os.O_PATH, lambda fd: os.write(fd, b"x")))
t.case("O_PATH: fchmod", "EBADF", on("f", os.O_PATH, lambda fd: os.fchmod(fd, 0o600)))
t.case("O_PATH: ftruncate", "EBADF", on("f", os.O_PATH, lambda fd: libc("ftruncate", fd, 0)))
t.case("O_PATH: fsync", "EBADF", on("f", os.O_PATH, os.fsync))
t.case("O_PATH: fstat", "ok", on("f", os.O_PATH, lambda fd: expect("size", 7, os.fstat(fd).st_size)))

# ---- read and write ----
t.case("read: a directory", "EISDIR", on("d", RD, lambda fd: os.read(fd, 1)))
t.case("read: a descriptor for writing", "EBADF", on("f", WR, lambda fd: os.read(fd, 1)))
t.case("read: no descriptor", "EBADF", lambda: os.read(999, 1))
t.case("read: at the end", "ok", on("f", RD, lambda fd: (
    os.read(fd, 100), expect("more", b"", os.read(fd, 1)))))
t.case("pread: beyond the end", "ok", on("f", RD, lambda fd: expect("more", b"", os.pread(
    fd, 10, 10**12))))
t.case("pread: a negative offset", "EINVAL", on("f", RD, lambda fd: os.pread(fd, 1, -1)))
t.case("write: a descriptor for reading", "EBADF", on("f", RD, lambda fd: os.write(fd, b"x")))
t.case("write: nothing", "ok", on("f", WR, lambda fd: (
    expect("written", 0, os.write(fd, b"")), expect("f", b"content", get("f")))))
t.case("pwrite: a negative offset", "EINVAL", on("f", WR, lambda fd: os.pwrite(fd, b"x", -1)))
t.case("pwrite: beyond the largest offset", None, on("f", WR, lambda fd: os.pwrite(fd, b"x", MAX)))
t.case("pwrite: beyond the largest object", "EFBIG", on("f", WR, lambda fd: os.pwrite(
    fd, b"x", 2**60)))
t.case("pwrite: a gap is zero", "ok", lambda: (
    with_fd("f", WR, lambda fd: os.pwrite(fd, b"x", 10)),
    expect("f", b"content\0\0\0x", get("f"))))
t.case("preadv and pwritev", "ok", lambda: (
    with_fd("f", WR, lambda fd: expect("written", 4, os.pwritev(fd, [b"AB", b"CD"], 1))),
    expect("f", b"cABCDnt", get("f"))))


def limited(fn):
    """With RLIMIT_FSIZE at 5 bytes."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, old[1]))
        fn()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


t.case("pwrite: beyond RLIMIT_FSIZE", "EFBIG", on("f", WR, lambda fd: limited(
    lambda: os.pwrite(fd, b"x", 5))))
t.case("write: cut by RLIMIT_FSIZE", "ok", on("z", WR | CREAT, lambda fd: limited(
    lambda: expect("written", 5, os.write(fd, b"0123456789")))))
t.case("truncate: beyond RLIMIT_FSIZE", "EFBIG", lambda: limited(lambda: os.truncate("f", 10)))
t.case("fallocate: beyond RLIMIT_FSIZE", "EFBIG", on("f", WR, lambda fd: limited(
    lambda: fallocate(fd, 0, 0, 10))), needs="fallocate")

# ---- lseek ----
t.case("lseek: before the beginning", "EINVAL", on("f", RD, lambda fd: lseek(fd, -1, os.SEEK_SET)))
t.case("lseek: before the beginning from the end", "EINVAL",
       on("f", RD, lambda fd: lseek(fd, -8, os.SEEK_END)))
t.case("lseek: beyond the end", "ok", on("f", RD, lambda fd: expect("at", 1000, lseek(fd, 1000, 0))))
t.case("lseek: an unknown whence", "EINVAL", on("f", RD, lambda fd: lseek(fd, 0, 99)))
t.case("lseek: no descriptor", "EBADF", lambda: lseek(999, 0, 0))
t.case("lseek: SEEK_END", "ok", on("f", RD, lambda fd: expect("at", 5, lseek(fd, -2, os.SEEK_END))))
t.case("lseek: SEEK_DATA", "ok", on("f", RD, lambda fd: expect("at", 2, lseek(fd, 2, os.SEEK_DATA))))
t.case("lseek: SEEK_HOLE", "ok", on("f", RD, lambda fd: expect("at", 7, lseek(fd, 2, os.SEEK_HOLE))))
t.case("lseek: SEEK_DATA at the end", "ENXIO", on("f", RD, lambda fd: lseek(fd, 7, os.SEEK_DATA)))
t.case("lseek: SEEK_HOLE beyond the end", "ENXIO", on("f", RD, lambda fd: lseek(fd, 8, os.SEEK_HOLE)))
t.case("lseek: SEEK_DATA before the beginning", ("ENXIO", "EINVAL"),
       on("f", RD, lambda fd: lseek(fd, -1, os.SEEK_DATA)))

# ---- truncate, ftruncate ----
t.paths("truncate", lambda p: os.truncate(p, 0), last="x")
t.case("truncate: shorter", "ok", lambda: (os.truncate("f", 3), expect("f", b"con", get("f"))))
t.case("truncate: longer", "ok", lambda: (os.truncate("f", 9), expect("f", b"content\0\0", get("f"))))
t.case("truncate: absent", "ENOENT", lambda: os.truncate("absent", 0))
t.case("truncate: a directory", "EISDIR", lambda: os.truncate("d", 0))
t.case("truncate: negative", "EINVAL", lambda: libc("truncate", b"f", ctypes.c_long(-1)))
t.case("truncate: beyond the largest object", "EFBIG", lambda: os.truncate("f", 2**60))
t.case("truncate: the largest number", "EFBIG", lambda: os.truncate("f", MAX))
t.case("truncate: a FIFO", "EINVAL", lambda: os.truncate("z", 0), setup=lambda: os.mkfifo("z"))
t.case("truncate: through a link", "ok", lambda: (os.truncate("z", 2), expect("f", b"co", get("f"))),
       setup=lambda: os.symlink("f", "z"))
t.case("ftruncate: a descriptor for reading", "EINVAL", on("f", RD, lambda fd: os.ftruncate(fd, 0)))
t.case("ftruncate: a directory", "EINVAL", on("d", RD, lambda fd: os.ftruncate(fd, 0)))
t.case("ftruncate: negative", "EINVAL", on("f", WR, lambda fd: libc("ftruncate", fd,
                                                                    ctypes.c_long(-1))))
t.case("ftruncate: beyond the largest object", "EFBIG", on("f", WR, lambda fd: os.ftruncate(fd, 2**60)))
t.case("ftruncate: no descriptor", "EBADF", lambda: os.ftruncate(999, 0))
t.case("ftruncate: an unlinked file", "ok", on("f", RW, lambda fd: (
    os.unlink("f"), os.ftruncate(fd, 3), expect("left", b"con", os.pread(fd, 10, 0)))), needs="writing after unlink")

# ---- fallocate ----
t.case("fallocate: longer", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, 0, 0, 9)), expect("f", b"content\0\0", get("f"))), needs="fallocate")
t.case("fallocate: within", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, 0, 2, 3)), expect("f", b"content", get("f"))), needs="fallocate")
t.case("fallocate: KEEP_SIZE", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, KEEP_SIZE, 0, 100)), expect("f", b"content", get("f"))), needs="fallocate")
t.case("fallocate: PUNCH_HOLE", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 2, 3)),
    expect("f", b"co\0\0\0nt", get("f"))), needs="fallocate")
t.case("fallocate: PUNCH_HOLE over the end", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 2, 300)),
    expect("f", b"co\0\0\0\0\0", get("f"))), needs="fallocate")
t.case("fallocate: ZERO_RANGE", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, ZERO, 5, 4)), expect("f", b"conte\0\0\0\0", get("f"))), needs="fallocate")
t.case("fallocate: ZERO_RANGE|KEEP_SIZE", "ok", lambda: (
    with_fd("f", RW, lambda fd: fallocate(fd, ZERO | KEEP_SIZE, 5, 4)),
    expect("f", b"conte\0\0", get("f"))), needs="fallocate")
t.case("fallocate: PUNCH_HOLE alone", "EOPNOTSUPP", on("f", RW, lambda fd: fallocate(
    fd, PUNCH_HOLE, 0, 1)))
# Bytes would move by 16: S3 has nothing for it, and ext4 wants whole blocks.
t.case("fallocate: COLLAPSE_RANGE", "EOPNOTSUPP", on("f", RW, lambda fd: fallocate(
    fd, COLLAPSE, 0, 3)), local=("EINVAL", "EOPNOTSUPP"))
t.case("fallocate: INSERT_RANGE", "EOPNOTSUPP", on("f", RW, lambda fd: fallocate(
    fd, INSERT, 0, 3)), local=("EINVAL", "EOPNOTSUPP"))
t.case("fallocate: an unknown mode", "EOPNOTSUPP", on("f", RW, lambda fd: fallocate(fd, 1 << 10, 0, 1)))
t.case("fallocate: no length", "EINVAL", on("f", RW, lambda fd: fallocate(fd, 0, 0, 0)))
t.case("fallocate: a negative length", "EINVAL", on("f", RW, lambda fd: fallocate(fd, 0, 0, -1)))
t.case("fallocate: a negative offset", "EINVAL", on("f", RW, lambda fd: fallocate(fd, 0, -1, 1)))
t.case("fallocate: a descriptor for reading", "EBADF", on("f", RD, lambda fd: fallocate(fd, 0, 0, 1)))
t.case("fallocate: a directory", ("EBADF", "EISDIR"), on("d", RD, lambda fd: fallocate(fd, 0, 0, 1)))
t.case("fallocate: beyond the largest object", "EFBIG", on("f", RW, lambda fd: fallocate(
    fd, 0, 2**60, 1)), needs="fallocate")
t.case("fallocate: over the largest number", "EFBIG", on("f", RW, lambda fd: fallocate(fd, 0, MAX, MAX)))
t.case("fallocate: a FIFO", "ESPIPE", lambda: with_fd("z", RW, lambda fd: fallocate(fd, 0, 0, 1)),
       setup=lambda: os.mkfifo("z"))


# ---- copy_file_range ----
def copy(src, src_flags, dst, dst_flags, length=100, src_at=0, dst_at=0, flags=None):
    def call(a, b):
        if flags is None:
            return os.copy_file_range(a, b, length, src_at, dst_at)
        return libc("copy_file_range", a, None, b, None, ctypes.c_size_t(length), flags)
    return lambda: with_fd(src, src_flags, lambda a: with_fd(dst, dst_flags, lambda b: call(a, b)))


t.case("copy_file_range", "ok", lambda: (
    expect("copied", 7, copy("f", RD, "z", WR | CREAT)()), expect("z", b"content", get("z"))))
t.case("copy_file_range: into the middle", "ok", lambda: (
    expect("copied", 3, copy("f", RD, "d/x", RW, 3, 2, 4)()), expect("x", b"x\0\0\0nte", get("d/x"))))
t.case("copy_file_range: from beyond the end", "ok", lambda: expect(
    "copied", 0, copy("f", RD, "d/x", WR, 3, 7)()))
t.case("copy_file_range: in one file", "ok", lambda: (
    expect("copied", 3, copy("f", RD, "f", RW, 3, 0, 4)()), expect("f", b"contcon", get("f"))))
t.case("copy_file_range: overlapping", "EINVAL", copy("f", RD, "f", RW, 3, 0, 2))
t.case("copy_file_range: the source is for writing", "EBADF", copy("f", WR, "d/x", WR))
t.case("copy_file_range: the target is for reading", "EBADF", copy("f", RD, "d/x", RD))
t.case("copy_file_range: the target is for appending", "EBADF", copy("f", RD, "d/x", WR | os.O_APPEND))
t.case("copy_file_range: from a directory", "EISDIR", copy("d", RD, "f", WR))
t.case("copy_file_range: to a directory", ("EISDIR", "EBADF"), copy("f", RD, "d", RD))
t.case("copy_file_range: flags", "EINVAL", copy("f", RD, "d/x", WR, flags=1))
t.case("copy_file_range: from a FIFO", "EINVAL", lambda: with_fd("z", RW, lambda a: with_fd(
    "f", WR, lambda b: libc("copy_file_range", a, None, b, None, ctypes.c_size_t(1), 0))),
    setup=lambda: os.mkfifo("z"))
t.case("sendfile from", "ok", lambda: with_fd("f", RD, lambda a: with_fd(
    "z", WR | CREAT, lambda b: (expect("sent", 7, os.sendfile(b, a, 0, 100))))))

# ---- fsync and their like ----
t.case("fsync: no descriptor", "EBADF", lambda: os.fsync(999))
t.case("fdatasync: no descriptor", "EBADF", lambda: os.fdatasync(999))
t.case("fsync: a descriptor for reading", "ok", on("f", RD, os.fsync))
t.case("fsync: a directory", "ok", on("d", RD, os.fsync))
t.case("fdatasync: a directory", "ok", on("d", RD, os.fdatasync))
t.case("syncfs", "ok", on("d", RD, lambda fd: libc("syncfs", fd)))
t.case("fsync: a FIFO", "EINVAL", lambda: with_fd("z", RW, os.fsync), setup=lambda: os.mkfifo("z"))
t.case("fsync: an unlinked file", "ok", on("f", WR, lambda fd: (
    os.unlink("f"), os.write(fd, b"x"), os.fsync(fd))), needs="writing after unlink")
t.case("close: twice", "EBADF", lambda: closed_twice())
t.case("sync_file_range", "ok", on("f", WR, lambda fd: libc(
    "sync_file_range", fd, ctypes.c_long(0), ctypes.c_long(0), 7)))
t.case("posix_fadvise", "ok", on("f", RD, lambda fd: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)))


def closed_twice():
    fd = os.open("f", RD)
    os.close(fd)
    os.close(fd)


# ---- mmap ----
def mapped(flags, sharing, protection, length=7):
    return on("f", flags, lambda fd: mmap.mmap(fd, length, sharing, protection).close())


t.case("mmap: shared and written, opened for reading", "EACCES",
       mapped(RD, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
t.case("mmap: private and written, opened for reading", "ok",
       mapped(RD, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE))
t.case("mmap: opened for writing only", "EACCES", mapped(WR, mmap.MAP_SHARED, mmap.PROT_WRITE))
t.case("mmap: shared, executed", "ok", mapped(RD, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_EXEC))


def map_written():
    with open("f", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[0:3] = b"CON"
        m.flush()
    expect("f", b"CONtent", get("f"))


t.case("mmap: written and flushed", "ok", map_written)


# ---- locks ----
def second_flock(kind):
    with open("f", "rb") as a, open("f", "rb") as b:
        fcntl.flock(a, fcntl.LOCK_EX)
        fcntl.flock(b, kind | fcntl.LOCK_NB)


t.case("flock: exclusive beside exclusive", "EAGAIN", lambda: second_flock(fcntl.LOCK_EX))
t.case("flock: shared beside exclusive", "EAGAIN", lambda: second_flock(fcntl.LOCK_SH))
t.case("flock: shared beside shared", "ok", lambda: with_fd("f", RD, lambda a: with_fd(
    "f", RD, lambda b: (fcntl.flock(a, fcntl.LOCK_SH), fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)))))
t.case("flock: an unknown operation", "EINVAL", on("f", RD, lambda fd: libc("flock", fd, 64)))
t.case("flock: no descriptor", "EBADF", lambda: libc("flock", 999, 1))
t.case("flock: a directory", "ok", on("d", RD, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX)))
t.case("fcntl: a write lock on a descriptor for reading", "EBADF",
       on("f", RD, lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)))
t.case("fcntl: a read lock on a descriptor for writing", "EBADF",
       on("f", WR, lambda fd: fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)))


def child_locks():
    """fcntl locks belong to processes."""
    with open("f", "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        r = subprocess.run([sys.executable, "-c", "import fcntl\nf=open('f','r+b')\n"
                            "fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"], check=False,
                           stderr=subprocess.PIPE)
        expect("refused in the child", True, b"BlockingIOError" in r.stderr)
    r = subprocess.run([sys.executable, "-c", "import fcntl\nf=open('f','r+b')\n"
                        "fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"], check=False)
    expect("taken in the child after the close", 0, r.returncode)


t.case("fcntl: between processes", "ok", child_locks)
F_OFD_SETLK = 37


def ofd_locks():
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with open("f", "r+b") as a, open("f", "r+b") as b:
        fcntl.fcntl(a, F_OFD_SETLK, lock)
        fcntl.fcntl(b, F_OFD_SETLK, lock)


t.case("fcntl: OFD locks of two descriptors", "EAGAIN", ofd_locks)
t.case("fcntl: F_SETFL O_APPEND", "ok", lambda: (
    with_fd("f", WR, lambda fd: (fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND), os.write(fd, b"+"))),
    expect("f", b"content+", get("f"))))
t.case("ioctl: an unknown one", "ENOTTY", on("f", RD, lambda fd: fcntl.ioctl(fd, 0x5401, b"\0" * 64)))
t.case("ioctl: FICLONE", ("EOPNOTSUPP", "ENOTTY"), lambda: with_fd("f", RD, lambda a: with_fd(
    "z", WR | CREAT, lambda b: fcntl.ioctl(b, 0x40049409, a))))
t.cases[-1].changes = True


# ---- execve ----
def program(path="z", mode=0o755):
    shutil.copyfile("/bin/sleep", path)
    os.chmod(path, mode)


def run(path, *arguments):
    subprocess.run([path, *arguments], check=True)


def while_running(fn):
    p = subprocess.Popen(["./z", "600"])
    try:
        fn()
    finally:
        p.kill()
        p.wait()


t.case("execve", "ok", lambda: run("./z", "0"), setup=program)
t.case("execve: no permission", "EACCES", lambda: run("./z", "0"), setup=lambda: program(mode=0o644))
t.case("execve: a directory", "EACCES", lambda: run("./d"))
t.case("execve: absent", "ENOENT", lambda: run("./absent"))
t.case("execve: no program", "ENOEXEC", lambda: os_exec("./f"), setup=lambda: os.chmod("f", 0o755))
t.case("open: a running program for writing", "ETXTBSY", lambda: while_running(lambda: opens("z", WR)),
       setup=program)
t.case("truncate: a running program", "ETXTBSY", lambda: while_running(lambda: os.truncate("z", 0)),
       setup=program)
t.case("execve: open for writing", "ETXTBSY", on("z", WR, lambda fd: run("./z", "0")), setup=program)
t.case("unlink: a running program", "ok", lambda: while_running(lambda: os.unlink("z")), setup=program)


def os_exec(path):
    """Without the shell that subprocess.run falls back to; Popen passes the errno on."""
    subprocess.Popen([path]).wait()


bed = mounted.Bed()
try:
    status = 0
    mount = bed.mount(*(["allow_other,default_permissions"] if ROOT else []))
    status |= t.run(mount.path)
    if ROOT:
        status |= t.run_as(65534, mount.path)
    mount.unmount()
finally:
    bed.close()
sys.exit(status)
