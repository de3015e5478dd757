#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# modes: user
"""mkdir, rmdir, unlink, rename, renameat2, link, symlink, readlink, mknod, mkfifo: the errno of
each, and that a call that fails alters nothing."""
import os
import socket
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import errnos
import mounted
from errnos import NAME, expect, get, put, renameat2

# What this version does not do, and what it answers. A row that goes makes its cases count.
LATER = {}
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
ROOT = os.geteuid() == 0

t = errnos.Table(LATER)
for feature, call in (("symlink", lambda: os.symlink("f", "z")),
                      ("mkfifo", lambda: os.mkfifo("z")),
                      ("socket", lambda: os.mknod("z", stat.S_IFSOCK | 0o644)),
                      ("exchange with a directory", lambda: renameat2("f", "d", EXCHANGE))):
    t.case(f"not yet: {feature}", LATER.get(feature, "ok"), call, local="ok")

# ---- mkdir ----
t.paths("mkdir", os.mkdir)
t.case("mkdir", "ok", lambda: (os.mkdir("new"), expect("list", [], os.listdir("new"))))
t.case("mkdir: 255 bytes", "ok", lambda: (os.mkdir(NAME), os.rmdir(NAME)))
t.case("mkdir: trailing slash", "ok", lambda: os.mkdir("new/"))
t.case("mkdir: a file is there", "EEXIST", lambda: os.mkdir("f"))
t.case("mkdir: a directory is there", "EEXIST", lambda: os.mkdir("d"))
t.case("mkdir: an empty directory is there", "EEXIST", lambda: os.mkdir("e"))
t.case("mkdir: dot", "EEXIST", lambda: os.mkdir("."))
t.case("mkdir: dot dot", "EEXIST", lambda: os.mkdir("d/.."))
t.case("mkdir: mode and umask", "ok", lambda: (
    os.mkdir("new", 0o777), expect("mode", 0o755, stat.S_IMODE(os.stat("new").st_mode))))


def deep(n):
    """Below n folders, 200 bytes each."""
    for _ in range(n):
        os.mkdir("n" * 200)
        os.chdir("n" * 200)


# A key has 1,024 bytes; the folder of the case takes a few of them.
t.case("mkdir: a key of over 1,024 bytes", "ENAMETOOLONG", lambda: os.mkdir("n" * 250), local="ok",
       setup=lambda: deep(4))
t.case("open: a key of over 1,024 bytes", "ENAMETOOLONG", lambda: put("n" * 250), local="ok",
       setup=lambda: deep(4))

# ---- rmdir ----
t.paths("rmdir", os.rmdir)
t.case("rmdir", "ok", lambda: (os.rmdir("e"), expect("exists", False, os.path.exists("e"))))
t.case("rmdir: trailing slash", "ok", lambda: os.rmdir("e/"))
t.case("rmdir: absent", "ENOENT", lambda: os.rmdir("absent"))
t.case("rmdir: a file", "ENOTDIR", lambda: os.rmdir("f"))
t.case("rmdir: not empty", "ENOTEMPTY", lambda: os.rmdir("d"))
t.case("rmdir: dot", "EINVAL", lambda: os.rmdir("."))
t.case("rmdir: dot dot", "ENOTEMPTY", lambda: os.rmdir("d/.."))
t.case("rmdir: again", "ENOENT", lambda: os.rmdir("e"), setup=lambda: os.rmdir("e"))
t.case("rmdir: emptied", "ok", lambda: os.rmdir("d"), setup=lambda: os.unlink("d/x"))
t.case("rmdir: a new file that is still open inside", "ENOTEMPTY", lambda: os.rmdir("e"),
       setup=lambda: KEPT.append(os.open("e/new", os.O_WRONLY | os.O_CREAT)))
KEPT = []

# ---- unlink ----
t.paths("unlink", os.unlink)
t.case("unlink", "ok", lambda: (os.unlink("f"), expect("exists", False, os.path.exists("f"))))
t.case("unlink: absent", "ENOENT", lambda: os.unlink("absent"))
t.case("unlink: again", "ENOENT", lambda: os.unlink("f"), setup=lambda: os.unlink("f"))
t.case("unlink: a directory", "EISDIR", lambda: os.unlink("d"))
t.case("unlink: an empty directory", "EISDIR", lambda: os.unlink("e"))
t.case("unlink: a file with a trailing slash", "ENOTDIR", lambda: os.unlink("f/"))
t.case("unlink: a directory with a trailing slash", None, lambda: os.unlink("d/"))
t.case("unlink: dot", None, lambda: os.unlink("."))

# ---- rename ----
t.paths("rename from", lambda p: os.rename(p, "z"), last="x")
t.paths("rename to", lambda p: os.rename("f", p))
t.paths("rename of a directory to", lambda p: os.rename("d", p))
t.case("rename: a file", "ok", lambda: (os.rename("f", "z"), expect("content", b"content", get("z")),
                                        expect("old", False, os.path.exists("f"))))
t.case("rename: onto a file", "ok", lambda: (os.rename("f", "d/x"),
                                             expect("content", b"content", get("d/x"))))
t.case("rename: onto itself", "ok", lambda: (os.rename("f", "f"), expect("f", b"content", get("f"))))
t.case("rename: a directory onto itself", "ok", lambda: (os.rename("d", "d"),
                                                         expect("x", b"x", get("d/x"))))
t.case("rename: a directory", "ok", lambda: (os.rename("d", "z"), expect("x", b"x", get("z/x")),
                                             expect("old", False, os.path.exists("d"))))
t.case("rename: a directory onto an empty one", "ok", lambda: (os.rename("d", "e"),
                                                               expect("x", b"x", get("e/x"))))
t.case("rename: a directory into another", "ok", lambda: (os.rename("d", "e/z"),
                                                          expect("x", b"x", get("e/z/x"))))
t.case("rename: an empty directory", "ok", lambda: (os.rename("e", "z"),
                                                    expect("list", [], os.listdir("z"))))
t.case("rename: to 255 bytes and back", "ok", lambda: (os.rename("f", NAME), os.rename(NAME, "f")))
t.case("rename: absent", "ENOENT", lambda: os.rename("absent", "z"))
t.case("rename: absent onto itself", "ENOENT", lambda: os.rename("absent", "absent"))
t.case("rename: absent onto a file", "ENOENT", lambda: os.rename("absent", "f"))
t.case("rename: a file onto a directory", "EISDIR", lambda: os.rename("f", "d"))
t.case("rename: a file onto an empty directory", "EISDIR", lambda: os.rename("f", "e"))
t.case("rename: a directory onto a file", "ENOTDIR", lambda: os.rename("d", "f"))
t.case("rename: an empty directory onto a file", "ENOTDIR", lambda: os.rename("e", "f"))
t.case("rename: onto a directory that is not empty", "ENOTEMPTY", lambda: os.rename("e", "d"))
t.case("rename: into itself", "EINVAL", lambda: os.rename("d", "d/y"))
t.case("rename: into itself, deep", "EINVAL", lambda: os.rename("d", "d/y/z"),
       setup=lambda: os.mkdir("d/y"))
t.case("rename: onto what is inside", "EINVAL", lambda: os.rename("d", "d/x"))
t.case("rename: onto its parent", "ENOTEMPTY", lambda: os.rename("d/x", "d"))
t.case("rename: dot", "EBUSY", lambda: os.rename(".", "z"))
t.case("rename: to dot", "EBUSY", lambda: os.rename("d", "e/."))
t.case("rename: dot dot", "EBUSY", lambda: os.rename("d/..", "z"))
t.case("rename: a file with a trailing slash", "ENOTDIR", lambda: os.rename("f/", "z"))
t.case("rename: a file to a trailing slash", "ENOTDIR", lambda: os.rename("f", "z/"))
t.case("rename: a directory to a trailing slash", "ok", lambda: os.rename("d/", "z/"))
t.case("rename: to another filesystem", "EXDEV", lambda: os.rename("f", "/proc/f"))

t.case("NOREPLACE: a new name", "ok", lambda: (renameat2("f", "z", NOREPLACE),
                                               expect("z", b"content", get("z"))))
t.case("NOREPLACE: a directory to a new name", "ok", lambda: (renameat2("d", "z", NOREPLACE),
                                                              expect("x", b"x", get("z/x"))))
t.case("NOREPLACE: a file is there", "EEXIST", lambda: renameat2("f", "d/x", NOREPLACE))
t.case("NOREPLACE: a directory is there", "EEXIST", lambda: renameat2("f", "d", NOREPLACE))
t.case("NOREPLACE: a directory onto an empty one", "EEXIST", lambda: renameat2("d", "e", NOREPLACE))
t.case("NOREPLACE: itself", "EEXIST", lambda: renameat2("f", "f", NOREPLACE))
t.case("NOREPLACE: absent", "ENOENT", lambda: renameat2("absent", "z", NOREPLACE))
t.case("NOREPLACE and EXCHANGE", "EINVAL", lambda: renameat2("f", "d", NOREPLACE | EXCHANGE))
t.case("renameat2: an unknown flag", "EINVAL", lambda: renameat2("f", "z", 1 << 10))
if ROOT:
    t.case("WHITEOUT", "EINVAL", lambda: renameat2("f", "z", WHITEOUT), local=("ok", "EINVAL"))
t.case("EXCHANGE: absent", "ENOENT", lambda: renameat2("f", "absent", EXCHANGE))
t.case("EXCHANGE: two files", "ok", lambda: (
    renameat2("f", "d/x", EXCHANGE), expect("both", (b"x", b"content"), (get("f"), get("d/x")))))
t.case("EXCHANGE: a file and a directory", "ok", lambda: (
    renameat2("f", "d", EXCHANGE), expect("both", (b"content", b"x"), (get("d"), get("f/x")))))
t.case("EXCHANGE: a directory and a file in another", "ok", lambda: (
    renameat2("e", "d/x", EXCHANGE), expect("both", (b"x", []), (get("e"), os.listdir("d/x")))))
t.case("EXCHANGE: two directories", "ok", lambda: (
    renameat2("d", "e", EXCHANGE), expect("both", ([], b"x"), (os.listdir("d"), get("e/x")))))
t.case("EXCHANGE: one inside the other", "EINVAL", lambda: renameat2("d", "d/x", EXCHANGE))

# ---- link: one object has one key ----
t.paths("link from", lambda p: os.link(p, "z"), last="x")
t.paths("link to", lambda p: os.link("f", p))
t.case("link", "EPERM", lambda: os.link("f", "z"), local="ok")
t.case("link: a directory", "EPERM", lambda: os.link("d", "z"))
t.case("link: the name is taken", "EEXIST", lambda: os.link("f", "d/x"))
t.case("link: absent", "ENOENT", lambda: os.link("absent", "z"))

# ---- symlink, readlink ----
t.paths("symlink", lambda p: os.symlink("f", p))
t.paths("readlink", os.readlink)
t.case("symlink: a file is there", "EEXIST", lambda: os.symlink("d", "f"))
t.case("symlink: a directory is there", "EEXIST", lambda: os.symlink("f", "e"))
t.case("symlink: an empty target", "ENOENT", lambda: os.symlink("", "z"))
t.case("symlink: a target of 4,096 bytes", "ENAMETOOLONG", lambda: os.symlink("t" * 4096, "z"))
t.case("symlink and readlink", "ok", lambda: (
    os.symlink("d/x", "z"), expect("target", "d/x", os.readlink("z")), expect("x", b"x", get("z")),
    expect("size", 3, os.lstat("z").st_size), os.unlink("z"), expect("x", b"x", get("d/x"))),
    needs="symlink")
t.case("symlink: a link is there", "EEXIST", lambda: os.symlink("f", "z"), needs="symlink",
       setup=lambda: os.symlink("absent", "z"))
t.case("rmdir: a link to a directory", "ENOTDIR", lambda: os.rmdir("z"), needs="symlink",
       setup=lambda: os.symlink("e", "z"))
t.case("mkdir: a dangling link is there", "EEXIST", lambda: os.mkdir("z"), needs="symlink",
       setup=lambda: os.symlink("absent", "z"))
t.case("readlink: a file", "EINVAL", lambda: os.readlink("f"))
t.case("readlink: a directory", "EINVAL", lambda: os.readlink("d"))
t.case("readlink: absent", "ENOENT", lambda: os.readlink("absent"))

# ---- mknod, mkfifo, sockets ----
t.paths("mknod", lambda p: os.mknod(p, stat.S_IFREG | 0o644))
t.paths("mkfifo", os.mkfifo)
t.case("mknod: a regular file", "ok", lambda: (
    os.mknod("z", stat.S_IFREG | 0o640), expect("size", 0, os.stat("z").st_size),
    expect("mode", 0o640, stat.S_IMODE(os.stat("z").st_mode)), put("z"), os.unlink("z")))
t.case("mknod: a file is there", "EEXIST", lambda: os.mknod("f", stat.S_IFREG | 0o644))
t.case("mknod: a directory is there", "EEXIST", lambda: os.mknod("d", stat.S_IFREG | 0o644))
t.case("mkfifo: a file is there", "EEXIST", lambda: os.mkfifo("f"))
t.case("mkfifo: kind and use", "ok", lambda: (
    os.mkfifo("z", 0o600), expect("kind", True, stat.S_ISFIFO(os.lstat("z").st_mode)),
    os.unlink("z")), needs="mkfifo")
t.case("open: a FIFO without a reader", "ENXIO", lambda: os.open("z", os.O_WRONLY | os.O_NONBLOCK),
       needs="mkfifo", setup=lambda: os.mkfifo("z"))
if ROOT:
    t.case("mknod: a character device", "EPERM",
           lambda: os.mknod("z", stat.S_IFCHR | 0o600, os.makedev(1, 3)), local="ok")
    t.case("mknod: a block device", "EPERM",
           lambda: os.mknod("z", stat.S_IFBLK | 0o600, os.makedev(7, 200)), local="ok")


def bind():
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("z")


t.case("bind: a socket", "ok", bind, needs="socket")
t.case("bind: a file is there", "EADDRINUSE", bind, setup=lambda: put("z"))

bed = mounted.Bed()
try:
    mount = bed.mount()
    status = t.run(mount.path)
    for kept in KEPT:
        os.close(kept)
    mount.unmount()
finally:
    bed.close()
sys.exit(status)
