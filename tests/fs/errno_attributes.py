#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 240
"""stat, statfs, chmod, chown, utimensat, access, xattrs, directory reading, and calls in places that
are gone: the errno of each, and what the successful ones leave; as root and as an ordinary user."""
import ctypes
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import errnos
import mounted
from errnos import expect, libc, put, with_fd

ROOT = os.geteuid() == 0
RD, WR, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
AT_FDCWD, NOFOLLOW, EMPTY_PATH = -100, 0x100, 0x1000
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
NS = 10**9
t = errnos.Table()


def mode(path="f"):
    return oct(stat.S_IMODE(os.lstat(path).st_mode))


def links():
    os.symlink("f", "l")
    os.symlink("absent", "dangling")
    os.symlink("d", "ld")


def utimensat(path, atime, mtime, flags=0, fd=AT_FDCWD):
    times = (ctypes.c_long * 4)(*atime, *mtime)
    if path is None:
        libc("futimens", fd, times)
    else:
        libc("utimensat", fd, os.fsencode(path), times, flags)


# ---- stat and its like ----
t.paths("stat", os.stat, last="x")
t.paths("lstat", os.lstat, last="x")
t.paths("statfs", os.statvfs, last="x")
t.case("stat: absent", "ENOENT", lambda: os.stat("absent"))
t.case("stat: a file with a trailing slash", "ENOTDIR", lambda: os.stat("f/"))
t.case("stat: a directory with a trailing slash", "ok", lambda: os.stat("d/"))
t.case("stat: a dangling link", "ENOENT", lambda: os.stat("dangling"), setup=links)
t.case("lstat: a dangling link", "ok", lambda: expect("size", 6, os.lstat("dangling").st_size),
       setup=links)
t.case("stat: no descriptor", "EBADF", lambda: os.fstat(999))
t.case("fstatat: an unknown flag", "EINVAL", lambda: libc(
    "fstatat", AT_FDCWD, b"f", ctypes.create_string_buffer(256), 0x40000))
t.case("fstatat: the descriptor is a file", "ENOTDIR", lambda: with_fd(
    "f", RD, lambda fd: os.stat("x", dir_fd=fd)))
t.case("stat: an address out of space", "EFAULT", lambda: libc("stat", b"f", ctypes.c_void_p(8)))
t.case("stat: what is told of a file", "ok", lambda: (
    expect("kind", stat.S_IFREG, stat.S_IFMT(os.stat("f").st_mode)),
    expect("links", 1, os.stat("f").st_nlink), expect("blocks", True, os.stat("f").st_blocks >= 1),
    expect("owner", (os.geteuid(), os.getegid()), (os.stat("f").st_uid, os.stat("f").st_gid))))
t.case("stat: the number stays", "ok", lambda: (expect("ino", os.stat("f").st_ino, inode_moved())))
t.case("statfs: names may have 255 bytes", "ok", lambda: expect(
    "namemax", 255, os.statvfs("f").f_namemax))
t.case("fstatfs: no descriptor", "EBADF", lambda: os.fstatvfs(999))


def inode_moved():
    before = os.stat("f").st_ino
    os.rename("f", "g")
    after = os.stat("g").st_ino
    os.rename("g", "f")
    expect("after the rename", before, after)
    return before


# ---- access ----
t.paths("access", lambda p: libc("access", os.fsencode(p), os.F_OK), last="x")
t.case("access: absent", "ENOENT", lambda: libc("access", b"absent", os.F_OK))
t.case("access: an unknown mode", "EINVAL", lambda: libc("access", b"f", 64))
t.case("access: X_OK of what is not executable", "EACCES", lambda: libc("access", b"f", os.X_OK))
t.case("access: X_OK of a directory", "ok", lambda: libc("access", b"d", os.X_OK))
t.case("access: all of a file", "ok", lambda: libc("access", b"f", os.R_OK | os.W_OK))
t.case("access: a dangling link", "ENOENT", lambda: libc("access", b"dangling", os.F_OK), setup=links)

# ---- chmod ----
t.paths("chmod", lambda p: os.chmod(p, 0o600), last="x")
t.case("chmod", "ok", lambda: (os.chmod("f", 0o4751), expect("mode", "0o4751", mode())))
t.case("chmod: a directory", "ok", lambda: (os.chmod("d", 0o1700), expect("mode", "0o1700", mode("d"))))
t.case("chmod: the kind cannot be changed", "ok", lambda: (
    os.chmod("f", stat.S_IFDIR | 0o640), expect("kind", True, stat.S_ISREG(os.stat("f").st_mode)),
    expect("mode", "0o640", mode())))
t.case("chmod: absent", "ENOENT", lambda: os.chmod("absent", 0o600))
t.case("chmod: through a link", "ok", lambda: (os.chmod("l", 0o600), expect("mode", "0o600", mode())),
       setup=links)
t.case("chmod: a dangling link", "ENOENT", lambda: os.chmod("dangling", 0o600), setup=links)
t.case("fchmodat: a link itself", "EOPNOTSUPP",
       lambda: libc("fchmodat", AT_FDCWD, b"l", 0o600, NOFOLLOW), setup=links)
t.case("fchmod: a descriptor for reading", "ok", lambda: with_fd("f", RD, lambda fd: (
    os.fchmod(fd, 0o600), expect("mode", "0o600", mode()))))
t.case("fchmod: no descriptor", "EBADF", lambda: os.fchmod(999, 0o600))
t.case("fchmod: an unlinked file", "ok", lambda: with_fd("f", RD, lambda fd: (
    os.unlink("f"), os.fchmod(fd, 0o600),
    expect("mode", 0o600, stat.S_IMODE(os.fstat(fd).st_mode)))))
t.case("chmod moves the time of change alone", "ok", lambda: times_after(lambda: os.chmod("f", 0o600)))


def times_after(call):
    os.utime("f", ns=(NS, 2 * NS))
    call()
    st = os.stat("f")
    expect("times", (NS, 2 * NS, True), (st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns > 10**18))


# ---- chown ----
t.paths("chown", lambda p: os.chown(p, -1, -1), last="x")
t.paths("lchown", lambda p: os.lchown(p, -1, -1), last="x")
t.case("chown: nothing", "ok", lambda: os.chown("f", -1, -1))
t.case("chown: absent", "ENOENT", lambda: os.chown("absent", -1, -1))
t.case("chown: a dangling link", "ENOENT", lambda: os.chown("dangling", -1, -1), setup=links)
t.case("lchown: a dangling link", "ok", lambda: os.lchown("dangling", -1, -1), setup=links)
t.case("fchown: no descriptor", "EBADF", lambda: os.fchown(999, 1, 1))
t.case("fchownat: an unknown flag", "EINVAL", lambda: libc("fchownat", AT_FDCWD, b"f", 0, 0, 0x40000))
if ROOT:
    def owner(path):
        st = os.lstat(path)
        return st.st_uid, st.st_gid

    # As an ordinary user the same rows are refused, on both sides.
    t.case("chown: owner and group", None, lambda: (os.chown("f", 1234, 2345),
                                                    expect("owner", (1234, 2345), owner("f"))))
    t.case("chown: the owner", None, lambda: (os.chown("f", 1234, -1),
                                              expect("owner", (1234, 0), owner("f"))))
    t.case("chown: large numbers", None, lambda: (os.chown("f", 2**32 - 2, 2**31),
                                                  expect("owner", (2**32 - 2, 2**31), owner("f"))))
    t.case("lchown: a link itself", None, lambda: (
        os.lchown("l", 1234, 2345), expect("owner", (1234, 2345), owner("l")),
        expect("file", 0, os.stat("f").st_uid)), setup=links)
    t.case("chown: a directory", None, lambda: (os.chown("d", 1234, 2345),
                                                expect("owner", (1234, 2345), owner("d"))))
    t.case("chown: set-user-ID of a program goes", None, lambda: (
        os.chown("f", 1234, 2345), expect("mode", "0o755", mode())),
        setup=lambda: os.chmod("f", 0o6755))
    t.case("chown: set-group-ID without x is no program's", None, lambda: (
        os.chown("f", 1234, 2345), expect("mode", "0o2644", mode())),
        setup=lambda: os.chmod("f", 0o2644))

# ---- utimensat ----
t.paths("utimensat", lambda p: utimensat(p, (1, 2), (3, 4)), last="x",
        skip=("an empty path",))
t.case("utimensat", "ok", lambda: (
    utimensat("f", (1, 999_999_999), (3, 1)),
    expect("times", (1_999_999_999, 3_000_000_001), (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))))
t.case("utimensat: before 1970 and after 2038", "ok", lambda: (
    utimensat("f", (-5, 0), (2**32 + 7, 0)),
    expect("times", (-5, 2**32 + 7), (os.stat("f").st_atime_ns // NS, os.stat("f").st_mtime_ns // NS))))
t.case("utimensat: UTIME_OMIT of the access", "ok", lambda: (
    os.utime("f", ns=(NS, 2 * NS)), utimensat("f", (0, UTIME_OMIT), (9, 0)),
    expect("times", (NS, 9 * NS), (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))))
t.case("utimensat: UTIME_OMIT of the change", "ok", lambda: (
    utimensat("f", (9, 0), (0, UTIME_OMIT)),
    expect("times", (9 * NS, 2 * NS), (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))),
    setup=lambda: os.utime("f", ns=(NS, 2 * NS)))
t.case("utimensat: UTIME_OMIT of both", "ok", lambda: (
    os.utime("f", ns=(NS, 2 * NS)), utimensat("f", (0, UTIME_OMIT), (0, UTIME_OMIT)),
    expect("times", (NS, 2 * NS), (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))))
t.case("utimensat: UTIME_OMIT of both, absent", ("ok", "ENOENT"), lambda: utimensat(
    "absent", (0, UTIME_OMIT), (0, UTIME_OMIT)))
t.case("utimensat: UTIME_NOW", "ok", lambda: (
    utimensat("f", (0, UTIME_NOW), (0, UTIME_NOW)),
    expect("now", True, os.stat("f").st_mtime > 10**9 and os.stat("f").st_atime > 10**9)),
    setup=lambda: os.utime("f", ns=(NS, 2 * NS)))
t.case("utimensat: too many nanoseconds", "EINVAL", lambda: utimensat("f", (0, NS), (0, 0)))
t.case("utimensat: an unknown flag", "EINVAL", lambda: utimensat("f", (0, 0), (0, 0), 0x40000))
t.case("utimensat: a link itself", "ok", lambda: (
    utimensat("l", (1, 0), (2, 0), NOFOLLOW), expect("link", 2, int(os.lstat("l").st_mtime)),
    expect("file", True, os.stat("f").st_mtime > 10**9)), setup=links)
t.case("utimensat: a dangling link", "ENOENT", lambda: utimensat("dangling", (1, 0), (2, 0)),
       setup=links)
t.case("utimensat: a directory", "ok", lambda: (
    utimensat("d", (1, 0), (2, 0)), expect("time", 2, int(os.stat("d").st_mtime))))
t.case("futimens", "ok", lambda: with_fd("f", RD, lambda fd: (
    utimensat(None, (1, 0), (2, 0), fd=fd), expect("time", 2, int(os.stat("f").st_mtime)))))
t.case("futimens: no descriptor", "EBADF", lambda: utimensat(None, (1, 0), (2, 0), fd=999))
t.case("writing after futimens makes the time new", "ok", lambda: with_fd("f", WR, lambda fd: (
    utimensat(None, (1, 0), (2, 0), fd=fd), os.write(fd, b"x"),
    expect("new", True, os.fstat(fd).st_mtime > 10**9))))

# ---- extended attributes ----
t.paths("getxattr", lambda p: os.getxattr(p, "user.a"), last="x")
t.paths("setxattr", lambda p: os.setxattr(p, "user.a", b"1"), last="x")
t.paths("listxattr", os.listxattr, last="x")
t.paths("removexattr", lambda p: os.removexattr(p, "user.a"), last="x")


def having():
    os.setxattr("f", "user.a", b"value")


def buffered(size):
    """getxattr with a buffer of its own; 0 asks for the length."""
    return libc("getxattr", b"f", b"user.a", ctypes.create_string_buffer(max(size, 1)),
                ctypes.c_size_t(size))


t.case("xattr: set, get, list, remove", "ok", lambda: (
    os.setxattr("f", "user.b", b"1"), expect("b", b"1", os.getxattr("f", "user.b")),
    expect("a", b"value", os.getxattr("f", "user.a")),
    expect("names", {"user.a", "user.b"}, {n for n in os.listxattr("f") if n in ("user.a", "user.b")}),
    os.removexattr("f", "user.a"),
    expect("left", {"user.b"}, {n for n in os.listxattr("f") if n in ("user.a", "user.b")})),
    setup=having)
t.case("xattr: an empty value", "ok", lambda: (
    os.setxattr("f", "user.e", b""), expect("e", b"", os.getxattr("f", "user.e"))))
t.case("xattr: any bytes", "ok", lambda: (
    os.setxattr("f", "user.e", bytes(range(256))),
    expect("e", bytes(range(256)), os.getxattr("f", "user.e"))))
t.case("xattr: of a directory", "ok", lambda: (
    os.setxattr("d", "user.e", b"d"), expect("e", b"d", os.getxattr("d", "user.e"))))
t.case("getxattr: absent", "ENODATA", lambda: os.getxattr("f", "user.absent"))
t.case("removexattr: absent", "ENODATA", lambda: os.removexattr("f", "user.absent"))
t.case("getxattr: the length", "ok", lambda: expect("length", 5, buffered(0)), setup=having)
t.case("getxattr: a buffer too small", "ERANGE", lambda: buffered(4), setup=having)
t.case("listxattr: a buffer too small", "ERANGE", lambda: libc(
    "listxattr", b"f", ctypes.create_string_buffer(3), ctypes.c_size_t(3)), setup=having)
t.case("setxattr: XATTR_CREATE, there", "EEXIST", lambda: os.setxattr(
    "f", "user.a", b"1", os.XATTR_CREATE), setup=having)
t.case("setxattr: XATTR_REPLACE, absent", "ENODATA", lambda: os.setxattr(
    "f", "user.b", b"1", os.XATTR_REPLACE))
t.case("setxattr: XATTR_REPLACE, there", "ok", lambda: (
    os.setxattr("f", "user.a", b"1", os.XATTR_REPLACE),
    expect("a", b"1", os.getxattr("f", "user.a"))), setup=having)
t.case("setxattr: an unknown flag", "EINVAL", lambda: os.setxattr("f", "user.a", b"1", 64))
t.case("setxattr: a name of 256 bytes", "ERANGE", lambda: os.setxattr("f", "user." + "n" * 251, b"1"))
t.case("setxattr: an empty name", "ERANGE", lambda: os.setxattr("f", "", b"1"))
t.case("setxattr: a value over 64 KiB", "E2BIG", lambda: os.setxattr("f", "user.a", b"x" * 65537))
# All metadata of an object has 2 KiB together; on ext4 a block.
t.case("setxattr: more than an object's metadata has room for", "E2BIG", lambda: os.setxattr(
    "f", "user.a", b"x" * 60000), local="ENOSPC")
t.case("setxattr: an unknown namespace", "EOPNOTSUPP", lambda: os.setxattr("f", "nobody.a", b"1"))
t.case("getxattr: an unknown namespace", "ENODATA", lambda: os.getxattr("f", "nobody.a"),
       local="EOPNOTSUPP")
t.case("setxattr: on a FIFO", "EPERM", lambda: os.setxattr("z", "user.a", b"1"),
       setup=lambda: os.mkfifo("z"))
t.case("lsetxattr: on a link", "EPERM", lambda: os.setxattr("l", "user.a", b"1", follow_symlinks=False),
       setup=links)
t.case("setxattr: through a link", "ok", lambda: (
    os.setxattr("l", "user.a", b"1"), expect("a", b"1", os.getxattr("f", "user.a"))), setup=links)
t.case("fgetxattr: no descriptor", "EBADF", lambda: os.getxattr(999, "user.a"))
t.case("xattr: a rename keeps them", "ok", lambda: (
    os.rename("f", "z"), expect("a", b"value", os.getxattr("z", "user.a"))), setup=having)
t.case("xattr: writing keeps them", "ok", lambda: (
    put("f", b"new"), expect("a", b"value", os.getxattr("f", "user.a"))), setup=having)

# ---- reading directories ----
t.paths("opendir", os.listdir, last="x")
t.case("opendir: a file", "ENOTDIR", lambda: os.listdir("f"))
t.case("opendir: absent", "ENOENT", lambda: os.listdir("absent"))
t.case("getdents: a file", "ENOTDIR", lambda: with_fd("f", RD, lambda fd: dents(fd)))
t.case("getdents: no descriptor", "EBADF", lambda: dents(999))
t.case("getdents: a buffer too small", "EINVAL", lambda: with_fd("d", RD, lambda fd: dents(fd, 8)))
t.case("getdents: dot and dot dot", "ok", lambda: expect("names", [".", "..", "x"], sorted(names("d"))))
t.case("getdents: a directory that is gone", ("ok", "ENOENT"), lambda: with_fd("e", RD, lambda fd: (
    os.rmdir("e"), expect("entries", 0, len(dents(fd))))))
t.cases[-1].changes = True
t.case("readdir: rewinddir sees what is new", "ok", lambda: with_fd("e", RD, lambda fd: (
    dents(fd), put("e/new"), os.lseek(fd, 0, os.SEEK_SET),
    expect("new", True, b"new\0" in dents(fd)))))
t.case("readdir: all of 300, read in small pieces", "ok", lambda: expect(
    "names", 300, len(pieces("e"))), setup=lambda: [put(f"e/{i:03}", b"") for i in range(300)])
t.case("readdir: unlinked while it is read", "ok", lambda: (
    emptied("e"), expect("left", [], os.listdir("e")), os.rmdir("e")),
    setup=lambda: [put(f"e/{i:03}", b"") for i in range(300)])


def dents(fd, size=32768):
    buf = ctypes.create_string_buffer(size)
    n = libc("syscall", ctypes.c_long(217), fd, buf, size) if os.uname().machine == "x86_64" else \
        libc("getdents64", fd, buf, ctypes.c_size_t(size))
    return buf.raw[:n]


def names_in(raw):
    found = []
    while raw:
        length = int.from_bytes(raw[16:18], sys.byteorder)
        found.append(os.fsdecode(raw[19:length].split(b"\0")[0]))
        raw = raw[length:]
    return found


def names(path):
    return with_fd(path, RD, lambda fd: names_in(dents(fd)))


def pieces(path):
    found = []

    def read(fd):
        while raw := dents(fd, 200):
            found.extend(names_in(raw))
    with_fd(path, RD, read)
    expect("none twice", len(found), len(set(found)))
    return set(found) - {".", ".."}


def emptied(path):
    def read(fd):
        while raw := dents(fd, 400):
            for name in names_in(raw):
                if name not in (".", ".."):
                    os.unlink(f"{path}/{name}")
    with_fd(path, RD, read)


# ---- in a directory that is gone ----
def gone():
    os.chdir("e")
    os.rmdir("../e")


for what, call in (("open O_CREAT", lambda: put("x")), ("mkdir", lambda: os.mkdir("x")),
                   ("symlink", lambda: os.symlink("t", "x")), ("mkfifo", lambda: os.mkfifo("x")),
                   ("rename to", lambda: os.rename("../f", "x")), ("stat", lambda: os.stat("x"))):
    t.case(f"{what}: in a directory that is gone", "ENOENT", call, setup=gone)
t.case("stat: a directory that is gone", "ok", lambda: os.stat("."), setup=gone)

# ---- the calls of the *at family ----
t.case("mkdirat: the descriptor is a file", "ENOTDIR", lambda: with_fd(
    "f", RD, lambda fd: os.mkdir("x", dir_fd=fd)))
t.case("mkdirat: no descriptor", "EBADF", lambda: os.mkdir("x", dir_fd=999))
t.case("unlinkat: an unknown flag", "EINVAL", lambda: libc("unlinkat", AT_FDCWD, b"f", 64))
t.case("unlinkat: AT_REMOVEDIR of a file", "ENOTDIR", lambda: libc("unlinkat", AT_FDCWD, b"f", 0x200))
t.case("linkat: by descriptor", "EPERM", lambda: with_fd("f", RD, lambda fd: libc(
    "linkat", AT_FDCWD, f"/proc/self/fd/{fd}".encode(), AT_FDCWD, b"z", 0x400)), local="ok")
t.case("linkat: an unknown flag", "EINVAL", lambda: libc("linkat", AT_FDCWD, b"f", AT_FDCWD, b"z", 64))
t.case("chdir: a file", "ENOTDIR", lambda: os.chdir("f"))
t.case("chdir: absent", "ENOENT", lambda: os.chdir("absent"))
t.case("fchdir: a file", "ENOTDIR", lambda: with_fd("f", RD, os.fchdir))

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
