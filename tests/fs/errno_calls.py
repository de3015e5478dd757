#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# modes: user writeback
"""Vectored and spliced input and output, mmap and msync, advice, locks, leases, inotify, ioctls, handles,
names of every kind and O_PATH: the errno of each."""
import ctypes
import fcntl
import mmap
import os
import signal
import stat
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import errnos
import mounted
from errnos import LIBC, expect, get, libc, opens, put, with_fd

RD, WR, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
AT_FDCWD, EMPTY_PATH, FOLLOW = -100, 0x1000, 0x400
LONG = ctypes.c_long
t = errnos.Table()


def on(path, flags, fn):
    return lambda: with_fd(path, flags, fn)


def fifo():
    os.mkfifo("z")


# ---- what no bucket has, each with the errno that programs know ----
# A hard link: EPERM, as on every filesystem without them.
t.case("link: of a descriptor by /proc", "EPERM", on("f", RD, lambda fd: libc(
    "linkat", AT_FDCWD, f"/proc/self/fd/{fd}".encode(), AT_FDCWD, b"z", FOLLOW)), local="ok")
t.case("link: in another directory", "EPERM", lambda: os.link("f", "e/f"), local="ok")
t.case("link: a symbolic link itself", "EPERM", lambda: os.link("z", "y", follow_symlinks=False),
       local="ok", setup=lambda: os.symlink("f", "z"))
t.case("link: a FIFO", "EPERM", lambda: os.link("z", "y"), local="ok", setup=fifo)
t.case("link: to another filesystem", "EXDEV", lambda: os.link("f", "/dev/shm/pailfs-no-such-link"))
t.case("mknod: a directory", "EPERM", lambda: os.mknod("z", stat.S_IFDIR | 0o755))
t.case("mknod: an unknown kind", "EINVAL", lambda: os.mknod("z", 0o030000 | 0o644))
t.case("mknod: a socket", "ok", lambda: (
    os.mknod("z", stat.S_IFSOCK | 0o600), expect("kind", True, stat.S_ISSOCK(os.stat("z").st_mode))))

# ---- open ----
t.case("open: O_TMPFILE|O_EXCL", "EOPNOTSUPP", lambda: opens("d", WR | os.O_TMPFILE | os.O_EXCL),
       local="ok")
t.case("open: O_TMPFILE, absent", "ENOENT", lambda: opens("absent", RW | os.O_TMPFILE))
t.case("open: neither for reading nor for writing", "ok", on("f", 3, lambda fd: None))
t.case("open: neither, read", "EBADF", on("f", 3, lambda fd: os.read(fd, 1)))
t.case("open: neither, write", "EBADF", on("f", 3, lambda fd: os.write(fd, b"x")))
t.case("open: O_EXCL without O_CREAT", "ok", lambda: opens("f", RD | os.O_EXCL))
t.case("open: O_CREAT|O_DIRECTORY, a directory", None, lambda: opens("d", RD | CREAT | os.O_DIRECTORY))
t.case("open: O_CREAT, a directory with a slash", "EISDIR", lambda: opens("d/", RW | CREAT))
t.case("open: O_CREAT, dot", "EISDIR", lambda: opens(".", RW | CREAT))
t.case("open: O_NOFOLLOW|O_CREAT, a link", "ELOOP", lambda: opens("z", WR | CREAT | os.O_NOFOLLOW),
       setup=lambda: os.symlink("absent", "z"))
t.case("open: O_NOFOLLOW|O_TRUNC, a link", "ELOOP", lambda: opens("z", WR | os.O_TRUNC | os.O_NOFOLLOW),
       setup=lambda: os.symlink("f", "z"))
t.case("open: O_NOFOLLOW, a directory", "ok", lambda: opens("d", RD | os.O_NOFOLLOW))
t.case("open: O_NONBLOCK", "ok", on("f", RD | os.O_NONBLOCK, lambda fd: expect(
    "read", b"content", os.read(fd, 9))))
t.case("open: O_DSYNC", "ok", on("z", WR | CREAT | os.O_DSYNC, lambda fd: (
    os.write(fd, b"x"), expect("z", b"x", get("z")))))
t.case("open: by /proc, for writing", "ok", on("f", RD, lambda fd: (
    put(f"/proc/self/fd/{fd}", b"more"), expect("f", b"more", get("f")))))
t.case("open: by /proc, unlinked", "ok", on("f", RD, lambda fd: (
    os.unlink("f"), expect("content", b"content", get(f"/proc/self/fd/{fd}")))))
t.case("F_SETFL: O_NONBLOCK and O_APPEND", "ok", on("f", RW, lambda fd: (
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND), os.pwrite(fd, b"+", 0),
    expect("f", b"content+", get("f")))))


def direct(fn):
    """An aligned buffer: a disk wants one."""
    def call():
        fd = os.open("z", RW | CREAT | os.O_DIRECT, 0o644)
        try:
            with mmap.mmap(-1, 8192) as m:
                fn(fd, m)
        finally:
            os.close(fd)
    return call


t.case("O_DIRECT: write and read", "ok", direct(lambda fd, m: (
    m.write(b"d" * 8192), expect("written", 8192, os.writev(fd, [m])), os.lseek(fd, 4096, 0),
    expect("read", 4096, os.readv(fd, [m])), expect("at the end", 0, os.readv(fd, [m])),
    expect("content", b"d" * 8192, get("z")))))
t.case("O_DIRECT: there is no alignment", "ok", direct(lambda fd, m: (
    expect("written", 5, os.pwrite(fd, b"12345", 3)), expect("content", b"\0\0\0" b"12345", get("z")))),
    local=("ok", "EINVAL"))
t.cases[-1].changes = True

# ---- O_PATH ----
t.case("O_PATH: O_CREAT is not looked at", "ENOENT", lambda: opens("absent", os.O_PATH | CREAT))
t.case("O_PATH: O_DIRECTORY, a file", "ENOTDIR", lambda: opens("f", os.O_PATH | os.O_DIRECTORY))
for what, fn in {
        "fchown": lambda fd: os.fchown(fd, -1, -1), "ioctl": lambda fd: fcntl.ioctl(fd, 0x541B, b"\0" * 8),
        "mmap": lambda fd: mmap.mmap(fd, 1, mmap.MAP_PRIVATE, mmap.PROT_READ),
        "fgetxattr": lambda fd: os.getxattr(fd, "user.a"), "lseek": lambda fd: os.lseek(fd, 0, 0),
        "fallocate": lambda fd: libc("fallocate", fd, 0, LONG(0), LONG(1)),
        "flock": lambda fd: fcntl.flock(fd, fcntl.LOCK_SH), "futimens": lambda fd: os.utime(fd),
}.items():
    t.case(f"O_PATH: {what}", "EBADF", on("f", os.O_PATH, fn))
t.case("O_PATH: fstatfs", "ok", on("f", os.O_PATH, lambda fd: os.fstatvfs(fd)))
t.case("O_PATH: fchdir and openat", "ok", on("d", os.O_PATH, lambda fd: expect(
    "x", b"x", with_at("x", fd))))
t.case("O_PATH: reopened", "ok", on("f", os.O_PATH, lambda fd: expect(
    "content", b"content", get(f"/proc/self/fd/{fd}"))))
t.case("O_PATH: getdents", "EBADF", on("d", os.O_PATH, lambda fd: libc(
    "syscall", LONG(217), fd, ctypes.create_string_buffer(4096), 4096)))


def with_at(name, folder):
    fd = os.open(name, RD, dir_fd=folder)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


# ---- vectors and flags ----
RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND = 1, 2, 4, 8, 16
buf = lambda n=3: [bytearray(n)]


def vector(name, fd, count):
    """Python's own refuses such counts before the kernel sees them."""
    class IO(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    space = ctypes.create_string_buffer(16)
    v = (IO * max(count, 1))(*[(ctypes.addressof(space), 1)] * max(count, 1))
    return libc(name, fd, v, count)


t.case("preadv2: no flags", "ok", on("f", RD, lambda fd: expect("n", 3, os.preadv(fd, buf(), 0, 0))))
t.case("preadv2: RWF_HIPRI", "ok", on("f", RD, lambda fd: os.preadv(fd, buf(), 0, RWF_HIPRI)))
t.case("preadv2: RWF_NOWAIT", "EOPNOTSUPP", on("f", RD, lambda fd: os.preadv(fd, buf(), 0, RWF_NOWAIT)),
       local=("ok", "EAGAIN"))
t.case("preadv2: an unknown flag", "EOPNOTSUPP", on("f", RD, lambda fd: os.preadv(fd, buf(), 0, 1 << 20)))
t.case("pwritev2: RWF_APPEND", "ok", on("f", WR, lambda fd: (
    os.pwritev(fd, [b"+"], 0, RWF_APPEND), expect("f", b"content+", get("f")))))
t.case("pwritev2: RWF_SYNC and RWF_DSYNC", "ok", on("f", WR, lambda fd: (
    os.pwritev(fd, [b"C"], 0, RWF_SYNC), os.pwritev(fd, [b"O"], 1, RWF_DSYNC),
    expect("f", b"COntent", get("f")))))
t.case("pwritev2: an unknown flag", "EOPNOTSUPP", on("f", WR, lambda fd: os.pwritev(
    fd, [b"x"], 0, 1 << 20)))
t.case("preadv: a negative offset", "EINVAL", on("f", RD, lambda fd: os.preadv(fd, buf(), -5)))
t.case("readv: 1,025 vectors", "EINVAL", on("f", RD, lambda fd: vector("readv", fd, 1025)))
t.case("readv: 1,024 vectors", "ok", on("f", RD, lambda fd: expect("n", 7, vector("readv", fd, 1024))))
t.case("readv: no vector", "ok", on("f", RD, lambda fd: expect("n", 0, vector("readv", fd, 0))))
t.case("writev: 1,025 vectors", "EINVAL", on("f", WR, lambda fd: vector("writev", fd, 1025)))
t.case("writev: a negative number of vectors", "EINVAL", on("f", WR, lambda fd: vector("writev", fd, -1)))
t.case("writev: pieces", "ok", on("f", WR, lambda fd: (
    expect("n", 5, os.writev(fd, [b"ab", b"", b"cde"])), expect("f", b"abcdent", get("f")))))
t.case("read: an address out of space", "EFAULT", on("f", RD, lambda fd: libc(
    "read", fd, ctypes.c_void_p(8), 5)))
t.case("write: an address out of space", "EFAULT", on("f", WR, lambda fd: libc(
    "write", fd, ctypes.c_void_p(8), 5)))
t.case("pread: a FIFO", "ESPIPE", lambda: with_fd("z", RW, lambda fd: os.pread(fd, 1, 0)), setup=fifo)


# ---- sendfile, splice, copies between files ----
def pipe(fn):
    def call():
        r, w = os.pipe()
        try:
            return fn(r, w)
        finally:
            os.close(r)
            os.close(w)
    return call


def two(a, a_flags, b, b_flags, fn):
    return lambda: with_fd(a, a_flags, lambda x: with_fd(b, b_flags, lambda y: fn(x, y)))


t.case("sendfile: from an offset", "ok", two("f", RD, "z", WR | CREAT, lambda a, b: (
    expect("sent", 4, os.sendfile(b, a, 3, 100)), expect("z", b"tent", get("z")))))
t.case("sendfile: to what is appended to", "EINVAL", two(
    "f", RD, "d/x", WR | os.O_APPEND, lambda a, b: os.sendfile(b, a, 0, 5)))
t.case("sendfile: from what is open for writing", "EBADF", two(
    "f", WR, "d/x", WR, lambda a, b: os.sendfile(b, a, 0, 5)))
t.case("sendfile: from a directory", ("EINVAL", "EISDIR"), two(
    "d", RD, "f", WR, lambda a, b: os.sendfile(b, a, 0, 5)))
t.case("sendfile: a negative offset", "EINVAL", two(
    "f", RD, "d/x", WR, lambda a, b: os.sendfile(b, a, -5, 5)))
t.case("splice: to a pipe and from it", "ok", pipe(lambda r, w: (
    with_fd("f", RD, lambda fd: expect("out", 7, os.splice(fd, w, 100))),
    with_fd("z", WR | CREAT, lambda fd: expect("in", 7, os.splice(r, fd, 100))),
    expect("z", b"content", get("z")))))
t.case("splice: into the middle", "ok", pipe(lambda r, w: (
    os.write(w, b"NT"), with_fd("f", WR, lambda fd: os.splice(r, fd, 2, offset_dst=2)),
    expect("f", b"coNTent", get("f")))))
t.case("splice: no pipe", "EINVAL", two("f", RD, "d/x", WR, lambda a, b: os.splice(a, b, 5)))
t.case("splice: an offset in a pipe", "ESPIPE", pipe(lambda r, w: with_fd(
    "f", RD, lambda fd: os.splice(fd, w, 5, offset_dst=1))))
t.case("splice: from what is open for writing", "EBADF", pipe(lambda r, w: with_fd(
    "f", WR, lambda fd: os.splice(fd, w, 5))))
t.case("splice: to what is appended to", "EINVAL", pipe(lambda r, w: (os.write(w, b"x"), with_fd(
    "f", WR | os.O_APPEND, lambda fd: os.splice(r, fd, 1)))))
FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940D, 0xC0189436
NO_CLONE = ("EOPNOTSUPP", "ENOTTY", "EINVAL")
t.case("FICLONERANGE", "EOPNOTSUPP", two("f", RD, "d/x", RW, lambda a, b: fcntl.ioctl(
    b, FICLONERANGE, struct.pack("qQQQ", a, 0, 0, 0))), local=NO_CLONE + ("ok",))
t.case("FIDEDUPERANGE", "EOPNOTSUPP", two("f", RD, "f", RW, lambda a, b: fcntl.ioctl(
    a, FIDEDUPERANGE, struct.pack("QQHHI", 0, 1, 0, 0, 0))), local=NO_CLONE + ("ok",))

# ---- ioctls that tools try ----
GETFLAGS, SETFLAGS, FSGETXATTR, FIBMAP, FIEMAP = 0x80086601, 0x40086602, 0x801C581F, 1, 0xC020660B
FIONREAD, FITRIM = 0x541B, 0xC0185879
t.case("FS_IOC_GETFLAGS, as lsattr", "ENOTTY", on("f", RD, lambda fd: fcntl.ioctl(fd, GETFLAGS, b"\0" * 8)),
       local=("ok", "ENOTTY"))
t.case("FS_IOC_SETFLAGS, as chattr", ("ENOTTY", "EOPNOTSUPP", "EPERM"), on("f", RD, lambda fd: fcntl.ioctl(
    fd, SETFLAGS, struct.pack("q", 0x80040))), local=("ok", "EPERM", "ENOTTY", "EOPNOTSUPP"))
t.cases[-1].changes = True
t.case("FS_IOC_FSGETXATTR", ("ENOTTY", "EOPNOTSUPP"), on("f", RD, lambda fd: fcntl.ioctl(
    fd, FSGETXATTR, b"\0" * 28)), local=("ok", "ENOTTY", "EOPNOTSUPP"))
t.case("FIEMAP, as filefrag", "EOPNOTSUPP", on("f", RD, lambda fd: fcntl.ioctl(
    fd, FIEMAP, struct.pack("QQIIII", 0, 2**63, 0, 0, 0, 0))), local=("ok", "EOPNOTSUPP"))
t.case("FIBMAP", ("ok", "EPERM"), on("f", RD, lambda fd: fcntl.ioctl(fd, FIBMAP, b"\0" * 4)),
       local=("ok", "EINVAL", "EPERM"))
t.case("FITRIM, as fstrim", ("ENOTTY", "EPERM"), on("d", RD, lambda fd: fcntl.ioctl(
    fd, FITRIM, struct.pack("QQQ", 0, 0, 2**62))), local=("ok", "EPERM", "EOPNOTSUPP", "ENOTTY", "EINVAL"))
t.case("FIONREAD", "ok", on("f", RD, lambda fd: expect("left", 7, struct.unpack(
    "i", fcntl.ioctl(fd, FIONREAD, b"\0" * 4))[0])))
t.case("ioctl: no descriptor", "EBADF", lambda: libc("ioctl", 999, LONG(FIONREAD), LONG(0)))


# ---- mmap ----
def mapped(flags, sharing, protection, length=7, offset=0):
    return on("f", flags, lambda fd: mmap.mmap(fd, length, sharing, protection, offset=offset).close())


def with_map(fn, size=4096):
    """fn(map, its address, the descriptor) of a file of two pages."""
    def call():
        put("z", b"m" * 8192)
        fd = os.open("z", RW)
        try:
            with mmap.mmap(fd, size) as m:
                keep = ctypes.c_char.from_buffer(m)
                try:
                    fn(m, ctypes.addressof(keep), fd)
                finally:
                    del keep
        finally:
            os.close(fd)
    return call


MS_ASYNC, MS_INVALIDATE, MS_SYNC = 1, 2, 4
msync = lambda at, length, flags: libc("msync", ctypes.c_void_p(at), ctypes.c_size_t(length), flags)
raw_mmap = lambda fd, flags, offset: libc("syscall", LONG(9), LONG(0), LONG(4096), LONG(1), LONG(flags),
                                          LONG(fd), LONG(offset))
t.case("mmap: a directory", "ENODEV", on("d", RD, lambda fd: raw_mmap(fd, 1, 0)))
t.case("mmap: an offset that is no page's", "EINVAL", on("f", RD, lambda fd: raw_mmap(fd, 1, 100)))
t.case("mmap: no descriptor", "EBADF", lambda: raw_mmap(999, 1, 0))
t.case("mmap: MAP_SYNC", "EOPNOTSUPP", on("f", RD, lambda fd: raw_mmap(fd, 0x80003, 0)))
t.case("msync: MS_SYNC stores it", "ok", with_map(lambda m, at, fd: (
    m.__setitem__(slice(0, 3), b"abc"), msync(at, 4096, MS_SYNC), expect("z", b"abcm", get("z")[:4]))))
t.case("msync: MS_ASYNC", "ok", with_map(lambda m, at, fd: msync(at, 4096, MS_ASYNC)))
t.case("msync: MS_SYNC|MS_ASYNC", "EINVAL", with_map(lambda m, at, fd: msync(at, 4096, MS_SYNC | MS_ASYNC)))
t.case("msync: an address that is no page's", "EINVAL", with_map(lambda m, at, fd: msync(at + 1, 1, MS_SYNC)))
t.case("msync: what is not mapped", "ENOMEM", lambda: msync(4096, 4096, MS_SYNC))
t.case("mmap: written through, read by read(2)", "ok", with_map(lambda m, at, fd: (
    m.__setitem__(slice(0, 2), b"xy"), expect("read", b"xym", os.pread(fd, 3, 0)))))
t.case("mmap: sees write(2)", "ok", with_map(lambda m, at, fd: (
    os.pwrite(fd, b"w", 1), expect("map", b"mwm", m[0:3]))))
t.case("mmap: stays after close and unlink", "ok", lambda: unlinked_map())
t.case("mmap: beyond the end after truncate is SIGBUS", "ok", lambda: expect(
    "signal", signal.SIGBUS, killed_by(lambda: with_map(lambda m, at, fd: (
        os.ftruncate(fd, 0), m[5000]), 8192)())))
for case in t.cases[-10:]:
    case.changes = True  # the file is made by the call


def unlinked_map():
    fd = os.open("f", RW)
    with mmap.mmap(fd, 7) as m:
        os.close(fd)
        os.unlink("f")
        m[0:1] = b"C"
        m.flush()
        expect("map", b"Content", m[:])
    expect("exists", False, os.path.exists("f"))


def killed_by(fn):
    pid = os.fork()
    if pid == 0:
        try:
            libc("prctl", 4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no core
            fn()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


# ---- advice ----
t.case("posix_fadvise: an unknown advice", "EINVAL", on("f", RD, lambda fd: fadvise(fd, 99)))
t.case("posix_fadvise: no descriptor", "EBADF", lambda: fadvise(999, 0))
t.case("posix_fadvise: a pipe", "ESPIPE", pipe(lambda r, w: fadvise(r, 0)))
for name in ("NORMAL", "SEQUENTIAL", "RANDOM", "NOREUSE", "WILLNEED", "DONTNEED"):
    t.case(f"posix_fadvise: {name}", "ok", on("f", RD, lambda fd, name=name: (
        fadvise(fd, getattr(os, "POSIX_FADV_" + name)), expect("f", b"content", os.read(fd, 9)))))
t.case("readahead", "ok", on("f", RD, lambda fd: libc("readahead", fd, LONG(0), LONG(4096))))
t.case("readahead: a descriptor for writing", "EBADF", on("f", WR, lambda fd: libc(
    "readahead", fd, LONG(0), LONG(4096))))
t.case("readahead: a directory", "EINVAL", on("d", RD, lambda fd: libc("readahead", fd, LONG(0), LONG(1))))
sync_range = lambda fd, at, n, flags: libc("sync_file_range", fd, LONG(at), LONG(n), flags)
t.case("sync_file_range: an unknown flag", "EINVAL", on("f", WR, lambda fd: sync_range(fd, 0, 1, 99)))
t.case("sync_file_range: a negative offset", "EINVAL", on("f", WR, lambda fd: sync_range(fd, -1, 1, 2)))
t.case("sync_file_range: a FIFO", "ESPIPE", lambda: with_fd(
    "z", RW, lambda fd: sync_range(fd, 0, 1, 2)), setup=fifo)
t.case("sync_file_range: no descriptor", "EBADF", lambda: sync_range(999, 0, 1, 2))


def fadvise(fd, advice):
    r = LIBC.posix_fadvise(fd, LONG(0), LONG(0), advice)
    if r:
        raise OSError(r, "posix_fadvise")


# ---- SEEK_DATA, SEEK_HOLE ----
def seek_new():
    fd = os.open("z", RW | CREAT)
    try:
        os.pwrite(fd, b"x", 100000)
        expect("hole", True, os.lseek(fd, 0, os.SEEK_DATA) <= 100000)
        expect("end", 100001, os.lseek(fd, 100000, os.SEEK_HOLE))
        expect("all", b"\0" * 100000 + b"x", os.pread(fd, 200000, 0))
    finally:
        os.close(fd)


t.case("lseek: data and holes of a new file", "ok", seek_new)
t.case("lseek: SEEK_HOLE of an empty file", "ENXIO", on("z", RW | CREAT, lambda fd: os.lseek(
    fd, 0, os.SEEK_HOLE)))
t.case("lseek: SEEK_DATA of an empty file", "ENXIO", on("z", RW | CREAT, lambda fd: os.lseek(
    fd, 0, os.SEEK_DATA)))
for case in t.cases[-2:]:
    case.changes = True
t.case("lseek: SEEK_DATA, a FIFO", "ESPIPE", lambda: with_fd("z", RW, lambda fd: os.lseek(
    fd, 0, os.SEEK_DATA)), setup=fifo)

# ---- locks and leases ----
lock = lambda kind, start=0, length=0, whence=0, pid=0: struct.pack("hhqqi4x", kind, whence, start, length, pid)
OFD_GETLK, OFD_SETLK = 36, 37
F_SETLEASE, F_GETLEASE = 1024, 1025


def lock_owner():
    """F_GETLK in a child tells who holds the lock."""
    with open("f", "r+b") as f:
        fcntl.fcntl(f, fcntl.F_SETLK, lock(fcntl.F_WRLCK, 2, 3))
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                with open("f", "r+b") as g:
                    os.write(w, fcntl.fcntl(g, fcntl.F_GETLK, lock(fcntl.F_WRLCK)))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        kind, _, start, length, owner = struct.unpack("hhqqi4x", os.read(r, 100))
        os.close(r)
        os.close(w)
        expect("lock", (fcntl.F_WRLCK, 2, 3, os.getpid()), (kind, start, length, owner))


def deadlock():
    """Each waits for what the other holds: the kernel sees the circle and refuses one of them."""
    with open("f", "r+b") as f:
        fcntl.fcntl(f, fcntl.F_SETLK, lock(fcntl.F_WRLCK, 0, 1))
        ready, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 0
            try:
                with open("f", "r+b") as g:
                    fcntl.fcntl(g, fcntl.F_SETLK, lock(fcntl.F_WRLCK, 1, 1))
                    os.write(say, b"x")
                    fcntl.fcntl(g, fcntl.F_SETLKW, lock(fcntl.F_WRLCK, 0, 1))
            except OSError as e:
                status = e.errno
            finally:
                os._exit(status)
        os.read(ready, 1)
        try:
            fcntl.fcntl(f, fcntl.F_SETLKW, lock(fcntl.F_WRLCK, 1, 1))
            own = 0
        except OSError as e:
            own = e.errno
        fcntl.fcntl(f, fcntl.F_SETLK, lock(fcntl.F_UNLCK))
        other = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(ready)
        os.close(say)
        expect("refused", [0, 35], sorted((own, other)))


t.case("fcntl: F_GETLK tells the owner", "ok", lock_owner)
t.case("fcntl: a deadlock", "ok", deadlock)
t.case("fcntl: an unknown kind of lock", "EINVAL", on("f", RW, lambda fd: fcntl.fcntl(
    fd, fcntl.F_SETLK, lock(77))))
t.case("fcntl: a lock before the beginning", "EINVAL", on("f", RW, lambda fd: fcntl.fcntl(
    fd, fcntl.F_SETLK, lock(fcntl.F_WRLCK, -5))))
t.case("fcntl: an unknown whence", "EINVAL", on("f", RW, lambda fd: fcntl.fcntl(
    fd, fcntl.F_SETLK, lock(fcntl.F_WRLCK, whence=9))))
t.case("fcntl: an unknown command", "EINVAL", on("f", RW, lambda fd: fcntl.fcntl(fd, 9999)))
t.case("fcntl: an OFD lock with an owner", "EINVAL", on("f", RW, lambda fd: fcntl.fcntl(
    fd, OFD_SETLK, lock(fcntl.F_WRLCK, pid=1))))
t.case("fcntl: OFD locks of different ranges", "ok", two("f", RW, "f", RW, lambda a, b: (
    fcntl.fcntl(a, OFD_SETLK, lock(fcntl.F_WRLCK, 0, 5)), fcntl.fcntl(b, OFD_SETLK, lock(
        fcntl.F_WRLCK, 5, 5)))))
t.case("fcntl: an OFD lock beside a process's", "EAGAIN", two("f", RW, "f", RW, lambda a, b: (
    fcntl.fcntl(a, fcntl.F_SETLK, lock(fcntl.F_WRLCK)), fcntl.fcntl(b, OFD_SETLK, lock(fcntl.F_WRLCK)))))
t.case("fcntl: F_OFD_GETLK", "ok", two("f", RW, "f", RW, lambda a, b: (
    fcntl.fcntl(a, OFD_SETLK, lock(fcntl.F_RDLCK)), expect("kind", fcntl.F_RDLCK, struct.unpack(
        "h", fcntl.fcntl(b, OFD_GETLK, lock(fcntl.F_WRLCK))[:2])[0]))))
t.case("lockf: F_TEST of another's", "EACCES", lambda: test_others(), local=("EACCES", "EAGAIN"))
t.case("flock: turned into a shared one", "ok", two("f", RD, "f", RD, lambda a, b: (
    fcntl.flock(a, fcntl.LOCK_EX), fcntl.flock(a, fcntl.LOCK_SH), fcntl.flock(b, fcntl.LOCK_SH | 4))))
t.case("F_SETLEASE: a read lease", ("ok", "EINVAL"), on("f", RD, lambda fd: fcntl.fcntl(
    fd, F_SETLEASE, fcntl.F_RDLCK)), local="ok")
t.case("F_SETLEASE: an unknown kind", "EINVAL", on("f", RD, lambda fd: fcntl.fcntl(fd, F_SETLEASE, 77)))
t.case("F_GETLEASE: none", "ok", on("f", RD, lambda fd: expect(
    "kind", fcntl.F_UNLCK, fcntl.fcntl(fd, F_GETLEASE))))


def test_others():
    with open("f", "r+b") as f:
        fcntl.fcntl(f, OFD_SETLK, lock(fcntl.F_WRLCK))
        with open("f", "r+b") as g:
            libc("lockf", g.fileno(), 3, LONG(0))


# ---- inotify ----
IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_ONLYDIR = 2, 8, 0x80, 0x100, 0x200, 1 << 24


def watch(path, mask, fn=None):
    fd = libc("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        libc("inotify_add_watch", fd, os.fsencode(path), ctypes.c_uint32(mask))
        if fn is None:
            return []
        fn()
        data, seen = os.read(fd, 65536), []
        while data:
            _, what, _, n = struct.unpack("iIII", data[:16])
            seen.append((what, data[16:16 + n].rstrip(b"\0").decode()))
            data = data[16 + n:]
        return seen
    finally:
        os.close(fd)


t.case("inotify: what this host does", "ok", lambda: expect(
    "events", [(IN_CREATE, "n"), (IN_CLOSE_WRITE, "n"), (IN_MOVED_TO, "m"), (IN_DELETE, "m")],
    watch("d", IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE, lambda: (
        opens("d/n", WR | CREAT), os.rename("d/n", "d/m"), os.unlink("d/m")))))
t.case("inotify: of a file", "ok", lambda: expect("events", (IN_MODIFY, ""), watch(
    "f", IN_MODIFY, lambda: put("f", b"new"))[0]))
t.case("inotify: absent", "ENOENT", lambda: watch("absent", IN_MODIFY))
t.case("inotify: IN_ONLYDIR, a file", "ENOTDIR", lambda: watch("f", IN_MODIFY | IN_ONLYDIR))
t.case("inotify: no event", "EINVAL", lambda: watch("f", 0))


# ---- handles, statx ----
def handle(path, size=128):
    h = ctypes.create_string_buffer(struct.pack("II", size, 0) + bytes(size))
    mount = ctypes.c_int()
    libc("name_to_handle_at", AT_FDCWD, os.fsencode(path), h, ctypes.byref(mount), 0)
    return h


t.case("name_to_handle_at", "ok", lambda: handle("f"), local=("ok", "EOPNOTSUPP"))
t.case("name_to_handle_at: absent", "ENOENT", lambda: handle("absent"))
t.case("name_to_handle_at: no room", "EOVERFLOW", lambda: handle("f", 0), local=("EOVERFLOW", "EOPNOTSUPP"))


def statx(path, flags=0, mask=0xFFF):
    out = ctypes.create_string_buffer(256)
    libc("statx", AT_FDCWD, os.fsencode(path), flags, ctypes.c_uint(mask), out)
    return struct.unpack_from("I", out)[0]


t.case("statx: there is no time of birth", "ok", lambda: expect("mask", 0x7FF, statx("f") & 0xFFF),
       local=("ok", "but mask: expected 2047, got 4095"))
t.case("stat: a directory has one link, whatever is in it", "ok", lambda: (
    os.mkdir("d/sub"), expect("links", 1, os.stat("d").st_nlink)), local=(
        "ok", "but links: expected 1, got 3"))
t.case("stat: blocks are those of the size, holes too", "ok", lambda: (
    os.truncate("f", 10240), expect("blocks", 20, os.stat("f").st_blocks)), local=(
        "ok", "but blocks: expected 20, got 8"))
t.case("chmod and chown to what is there leave the time of change", "ok", lambda: same_attributes(),
       local="but unchanged: expected True, got False")
t.case("reading leaves the access time", "ok", lambda: read_leaves_atime(), local=(
    "ok", "but access time: expected 1000000000, got more"))
t.case("statvfs: set-user-ID programs and devices are as nobody's", None, lambda: expect(
    "flags", os.ST_NOSUID | os.ST_NODEV, os.statvfs("f").f_flag & (os.ST_NOSUID | os.ST_NODEV)))
t.cases[-1].want = "ok"
t.case("statx: an unknown flag", "EINVAL", lambda: statx("f", 1 << 20))
t.case("statx: FORCE_SYNC|DONT_SYNC", "EINVAL", lambda: statx("f", 0x6000))
t.case("statx: absent", "ENOENT", lambda: statx("absent"))
t.case("statx: an empty path without AT_EMPTY_PATH", "ENOENT", lambda: statx(""))

def same_attributes():
    st = os.stat("f")
    os.utime("f", ns=(st.st_atime_ns, st.st_mtime_ns - 10**10))
    before = os.stat("f").st_ctime_ns
    time.sleep(0.02)  # a tick of the clock that disks use
    os.chmod("f", st.st_mode)
    os.chown("f", st.st_uid, st.st_gid)
    expect("unchanged", True, before == os.stat("f").st_ctime_ns)


def read_leaves_atime():
    os.utime("f", (10**9, 2 * 10**9))
    get("f")
    at = int(os.stat("f").st_atime)
    assert at == 10**9, "access time: expected 1000000000, got more"


# ---- names ----
ODD = {
    "a newline": b"a\nb", "a backslash": b"a\\b", "bytes that are no UTF-8": b"caf\xe9\xff", "a tab": b"\t",
    "a quote": b"a'b\"c", "control characters": b"\x01\x02\x1f\x7f", "blanks at both ends": b" x ",
    "a plus and a percent": b"a+b%2Fc%00", "three dots": b"...", "a mark of the mount": b"%@x",
    "a question mark and an ampersand": b"?a=b&c#d", "a tilde and a star": b"~*[?]", "a dash first": b"-rf",
    "an en space and an emoji": "a\u2002\U0001F4C4".encode(), "composed and not": "\u00e9e\u0301".encode(),
    "a byte order mark": "\ufeffx".encode(), "U+FFFD": "\ufffd".encode(),
    "bytes of a surrogate": b"\xed\xa0\x80", "an overlong form": b"\xc0\xaf", "255 bytes of 3 each": "\u20ac".encode() * 85,
    "254 bytes that are no UTF-8 would not fit escaped": b"\xff" * 80,
}


if os.environ.get("TEST_SERVER", "s3d") == "s3d":
    ODD["U+FFFF"] = "\uffff".encode()  # Ceph repeats it in its XML, which may not hold it


def odd(name):
    """As file, directory and link; listed, renamed, removed."""
    put(name, b"odd")
    expect("content", b"odd", get(name))
    expect("listed", True, name in os.listdir(b"."))
    os.rename(name, b"d/" + name)
    expect("gone", False, os.path.lexists(name))
    expect("listed in d", sorted([b"x", name]), sorted(os.listdir(b"d")))
    os.mkdir(name)
    put(name + b"/" + name, b"2")
    expect("in itself", [name], os.listdir(name))
    os.unlink(name + b"/" + name)
    os.rmdir(name)
    os.symlink(name, b"link")
    expect("target", name, os.readlink(b"link"))
    os.unlink(b"d/" + name)
    expect("at the end", [b"x"], os.listdir(b"d"))


for what, raw in ODD.items():
    t.case(f"names: {what}", "ok", lambda raw=raw: odd(raw))
t.case("paths: 4,095 bytes", "ok", lambda: os.stat("./" * 2047 + "f"))
t.case("paths: 4,095 bytes, made", "ok", lambda: (put("./" * 2047 + "z"), os.unlink("z")))
t.case("paths: 4,095 bytes of names that are not there", "ENOENT", lambda: os.stat("absent/" * 585))
t.case("paths: many slashes", "ok", lambda: expect("x", b"x", get("d" + "/" * 3000 + "x")))
t.case("names: a byte 0 ends them", "ok", lambda: libc("access", b"f\0absent", 0))
t.case("symlink: a target of 4,095 bytes", "ok", lambda: (
    os.symlink("t" * 4095, "z"), expect("length", 4095, len(os.readlink("z")))))
t.case("readlink: a buffer too small cuts", "ok", lambda: expect("n", 2, libc(
    "readlink", b"z", ctypes.create_string_buffer(2), 2)), setup=lambda: os.symlink("absent", "z"))
t.case("readlink: no buffer", "EINVAL", lambda: libc("readlink", b"z", ctypes.create_string_buffer(2), 0),
       setup=lambda: os.symlink("absent", "z"))

bed = mounted.Bed()
try:
    mount = bed.mount()
    status = t.run(mount.path)
    mount.unmount()
finally:
    bed.close()
sys.exit(status)
