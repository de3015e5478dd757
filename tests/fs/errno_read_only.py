#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# modes: user
"""A mount with -o ro: everything that would alter something is EROFS, everything else works."""
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted
from errnos import error_name, libc, opens, put, renameat2, snapshot

RD, WR, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
REFUSED = {
    "open for writing": lambda: opens("f", WR), "open for both": lambda: opens("f", RW),
    "open O_TRUNC": lambda: opens("f", RD | os.O_TRUNC), "creat": lambda: put("n"),
    "open O_CREAT|O_EXCL": lambda: opens("n", RD | CREAT | os.O_EXCL),
    "mkdir": lambda: os.mkdir("n"), "rmdir": lambda: os.rmdir("e"), "unlink": lambda: os.unlink("f"),
    "rename": lambda: os.rename("f", "n"), "rename onto": lambda: os.rename("f", "d/x"),
    "rename a directory": lambda: os.rename("d", "n"), "EXCHANGE": lambda: renameat2("f", "d/x", 2),
    "NOREPLACE": lambda: renameat2("f", "n", 1), "link": lambda: os.link("f", "n"),
    "symlink": lambda: os.symlink("t", "n"), "mkfifo": lambda: os.mkfifo("n"),
    "mknod": lambda: os.mknod("n", stat.S_IFREG | 0o644), "chmod": lambda: os.chmod("f", 0o600),
    "chmod of a directory": lambda: os.chmod("d", 0o700), "chown": lambda: os.chown("f", 1, 1),
    "truncate": lambda: os.truncate("f", 0), "utimensat": lambda: os.utime("f", (1, 2)),
    "touch": lambda: os.utime("f"), "unlink: absent": lambda: os.unlink("absent"), "setxattr": lambda: os.setxattr("f", "user.a", b"1"),
    "removexattr": lambda: os.removexattr("f", "user.kept"),
    "access W_OK": lambda: libc("access", b"f", os.W_OK), "mkdir of what is there, below": lambda:
        os.mkdir("d/n"), "fchmod": lambda: with_fd(lambda fd: os.fchmod(fd, 0o600)),
    "futimens": lambda: with_fd(lambda fd: os.utime(fd, (1, 2))),
}
OTHER = {
    "mkdir: there": ("EEXIST", lambda: os.mkdir("d")),
    "open O_CREAT|O_EXCL: there": ("EEXIST", lambda: opens("f", RD | CREAT | os.O_EXCL)),
    "open O_CREAT: there": ("ok", lambda: opens("f", RD | CREAT)),
    "access R_OK": ("ok", lambda: libc("access", b"f", os.R_OK)),
    "getxattr": ("ok", lambda: os.getxattr("f", "user.kept")),
    "fsync": ("ok", lambda: with_fd(os.fsync)),
}


def with_fd(fn):
    fd = os.open("f", RD)
    try:
        fn(fd)
    finally:
        os.close(fd)


def outcome(call):
    try:
        call()
        return "ok"
    except OSError as e:
        return error_name(e.errno)


problems = []
bed = mounted.Bed()
try:
    mount = bed.mount()
    os.chdir(mount.path)
    put("f")
    os.setxattr("f", "user.kept", b"1")
    os.mkdir("d")
    put("d/x", b"x")
    os.mkdir("e")
    before = snapshot()
    os.chdir("/")
    mount.unmount()
    mount.options.append("ro")
    mount.mount()
    os.chdir(mount.path)
    for what, fn in REFUSED.items():
        got = outcome(fn)
        if got != "EROFS":
            problems.append(f"{what}: expected EROFS, got {got}")
    for what, (want, fn) in OTHER.items():
        got = outcome(fn)
        if got != want:
            problems.append(f"{what}: expected {want}, got {got}")
    if snapshot() != before:
        problems.append(f"changed: {before} is now {snapshot()}")
    os.chdir("/")
    mount.unmount()
finally:
    bed.close()
for p in problems:
    print(p)
sys.exit(1 if problems else 0)
