#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# modes: posix
"""What an ordinary user is refused on a mount with allow_other,default_permissions: EACCES and EPERM
of each call, compared with a local folder. Root prepares, the call is another user's."""
import ctypes
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import errnos
import mounted
from errnos import OTHER_GID, OTHER_UID, as_user, expect, get, libc, opens, put, renameat2

if os.geteuid() != 0:
    print("root makes the files that others may not touch")
    sys.exit(77)
RD, WR, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
THIRD = 54323
t = errnos.Table()


def user(what, want, call, setup=None, local=None, groups=(), changes=False):
    """open_to_all: the folder of the case itself is no obstacle."""
    def prepare():
        os.chmod(".", 0o777)
        if setup:
            setup()
    t.case(what, want, lambda: as_user(call, groups=groups), local=local, setup=prepare)
    t.cases[-1].changes = changes


def mine(path="f", mode=0o644, gid=OTHER_GID):
    os.chown(path, OTHER_UID, gid)
    os.chmod(path, mode)


def theirs(path="f", mode=0o644):
    os.chown(path, THIRD, THIRD)
    os.chmod(path, mode)


# ---- a directory that may not be searched: every path through it ----
CALLS = {
    "stat": lambda p: os.stat(p), "open": lambda p: opens(p, RD), "creat": lambda p: put(p + "n"),
    "mkdir": lambda p: os.mkdir(p + "n"), "rmdir": lambda p: os.rmdir(p),
    "unlink": lambda p: os.unlink(p), "rename from": lambda p: os.rename(p, "z"),
    "rename to": lambda p: os.rename("f", p), "link": lambda p: os.link(p, "z"),
    "symlink": lambda p: os.symlink("t", p + "n"), "mkfifo": lambda p: os.mkfifo(p + "n"),
    "mknod": lambda p: os.mknod(p + "n", stat.S_IFREG | 0o644), "chmod": lambda p: os.chmod(p, 0o600),
    "chown": lambda p: os.chown(p, -1, -1), "truncate": lambda p: os.truncate(p, 0),
    "utimensat": lambda p: os.utime(p), "access": lambda p: libc("access", p.encode(), 0),
    "statfs": lambda p: os.statvfs(p), "listxattr": lambda p: os.listxattr(p),
    "getxattr": lambda p: os.getxattr(p, "user.a"),
    "setxattr": lambda p: os.setxattr(p, "user.a", b"1"), "execve": lambda p: run(p),
    "opendir": lambda p: os.listdir(p), "readlink": lambda p: os.readlink(p),
    "chdir": lambda p: os.chdir(p), "EXCHANGE": lambda p: renameat2("f", p, 2),
    "NOREPLACE": lambda p: renameat2("f", p + "n", 1),
}


def run(path, *arguments):
    subprocess.run([path if "/" in path else "./" + path, *arguments], check=True)


for title, call in CALLS.items():
    user(f"{title}: a directory that may not be searched", "EACCES", lambda call=call: call("d/x"),
         setup=lambda: os.chmod("d", 0o666))

# ---- a directory that may not be written to ----
for title, call in {
        "creat": lambda: put("d/n"), "mkdir": lambda: os.mkdir("d/n"),
        "rmdir": lambda: os.rmdir("d/e"), "unlink": lambda: os.unlink("d/x"),
        "rename from": lambda: os.rename("d/x", "z"), "rename to": lambda: os.rename("f", "d/n"),
        "rename onto": lambda: os.rename("f", "d/x"), "rename within": lambda: os.rename("d/x", "d/n"),
        "symlink": lambda: os.symlink("t", "d/n"), "mkfifo": lambda: os.mkfifo("d/n"),
        "mknod": lambda: os.mknod("d/n", stat.S_IFREG | 0o644),
        "NOREPLACE": lambda: renameat2("f", "d/n", 1), "EXCHANGE": lambda: renameat2("f", "d/x", 2),
}.items():
    user(f"{title}: a directory that may not be written to", "EACCES", call,
         setup=lambda: (mine(), os.mkdir("d/e")))
user("open O_CREAT: there, in a directory that may not be written to", "ok",
     lambda: opens("d/x", RD | CREAT))
user("open O_CREAT|O_EXCL: there, in a directory that may not be written to", "EEXIST",
     lambda: opens("d/x", RD | CREAT | os.O_EXCL))
user("mkdir: there, in a directory that may not be written to", "EEXIST", lambda: os.mkdir("d/e"),
     setup=lambda: os.mkdir("d/e"))
user("link: the target's directory may not be written to", ("EACCES", "EPERM"),
     lambda: os.link("f", "d/n"), setup=mine, local="EACCES")
user("rename: a directory of another, which may not be written to, elsewhere", "EACCES",
     lambda: os.rename("w/sub", "v/sub"), setup=lambda: (
         [(os.mkdir(p), os.chmod(p, 0o777)) for p in ("w", "v")], os.mkdir("w/sub"),
         theirs("w/sub", 0o755)))

# ---- the file's own permissions ----
for flags, name in ((RD, "reading"), (WR, "writing"), (RW, "both"), (RD | os.O_TRUNC, "O_TRUNC")):
    user(f"open for {name}: mode 0", "EACCES", lambda flags=flags: opens("f", flags),
         setup=lambda: theirs(mode=0))
user("open for reading: 0444", "ok", lambda: opens("f", RD), setup=lambda: theirs(mode=0o444))
user("open for writing: 0444", "EACCES", lambda: opens("f", WR), setup=lambda: theirs(mode=0o444))
user("open for reading: 0222", "EACCES", lambda: opens("f", RD), setup=lambda: theirs(mode=0o222))
user("open for writing: 0222", "ok", lambda: opens("f", WR), setup=lambda: theirs(mode=0o222))
user("open O_PATH: mode 0", "ok", lambda: opens("f", os.O_PATH), setup=lambda: theirs(mode=0))
user("open O_TRUNC for reading: 0444", "EACCES", lambda: opens("f", RD | os.O_TRUNC),
     setup=lambda: theirs(mode=0o444))
user("open: the owner's class comes first", "EACCES", lambda: opens("f", RD),
     setup=lambda: mine(mode=0o077))
user("open: the group's class comes second", "EACCES", lambda: opens("f", RD),
     setup=lambda: (os.chown("f", THIRD, OTHER_GID), os.chmod("f", 0o707)))
user("open: a supplementary group", "ok", lambda: opens("f", RD), groups=(THIRD,),
     setup=lambda: (os.chown("f", THIRD, THIRD), os.chmod("f", 0o040)))
user("open: made with mode 0, the first handle writes", "ok", lambda: made_closed())
user("truncate: may not be written to", "EACCES", lambda: os.truncate("f", 0), setup=theirs)
user("truncate: by the owner, 0444", "EACCES", lambda: os.truncate("f", 0),
     setup=lambda: mine(mode=0o444))
user("execve: no x", "EACCES", lambda: run("f"), setup=lambda: theirs(mode=0o666))
user("opendir: no r", "EACCES", lambda: os.listdir("d"), setup=lambda: os.chmod("d", 0o711))
user("stat: in a directory without r", "ok", lambda: os.stat("d/x"), setup=lambda: os.chmod("d", 0o711))
user("chdir: no x", "EACCES", lambda: os.chdir("d"), setup=lambda: os.chmod("d", 0o744))
for what, mode, want in (("R_OK", 0o444, "ok"), ("R_OK", 0o333, "EACCES"), ("W_OK", 0o222, "ok"),
                         ("W_OK", 0o555, "EACCES"), ("X_OK", 0o111, "ok"), ("X_OK", 0o666, "EACCES")):
    user(f"access {what}: {mode:04o}", want, lambda what=what: libc("access", b"f", getattr(os, what)),
         setup=lambda mode=mode: theirs(mode=mode))
user("getxattr: may not be read", "EACCES", lambda: os.getxattr("f", "user.a"),
     setup=lambda: (os.setxattr("f", "user.a", b"1"), theirs(mode=0o222)))
user("setxattr: may not be written to", "EACCES", lambda: os.setxattr("f", "user.a", b"1"), setup=theirs)
user("removexattr: may not be written to", "EACCES", lambda: os.removexattr("f", "user.a"),
     setup=lambda: (os.setxattr("f", "user.a", b"1"), theirs()))
user("open O_NOATIME: another's", "EPERM", lambda: opens("f", RD | os.O_NOATIME), setup=theirs)


def made_closed():
    fd = os.open("z", RW | CREAT | os.O_EXCL, 0)
    os.write(fd, b"x")
    os.close(fd)
    expect("mode", 0, stat.S_IMODE(os.stat("z").st_mode))
    try:
        opens("z", RD)
    except PermissionError:
        return
    raise AssertionError("opened again")


# ---- owners ----
user("chmod: another's", "EPERM", lambda: os.chmod("f", 0o777), setup=theirs)
user("chmod: one's own", "ok", lambda: (os.chmod("f", 0o751),
                                        expect("mode", 0o751, stat.S_IMODE(os.stat("f").st_mode))),
     setup=mine)
user("chmod: set-group-ID of a group that one is not in goes", "ok", lambda: (
    os.chmod("f", 0o2755), expect("mode", 0o755, stat.S_IMODE(os.stat("f").st_mode))),
    setup=lambda: mine(gid=THIRD))
user("chmod: set-group-ID of one's own group stays", "ok", lambda: (
    os.chmod("f", 0o2755), expect("mode", 0o2755, stat.S_IMODE(os.stat("f").st_mode))), setup=mine)
user("chmod: sticky of a file", "ok", lambda: (
    os.chmod("f", 0o1644), expect("mode", 0o1644, stat.S_IMODE(os.stat("f").st_mode))), setup=mine)
user("chown: another's", "EPERM", lambda: os.chown("f", OTHER_UID, -1), setup=theirs)
user("chown: one's own to another", "EPERM", lambda: os.chown("f", THIRD, -1), setup=mine)
user("chown: to a group that one is not in", "EPERM", lambda: os.chown("f", -1, THIRD), setup=mine)
user("chown: to a group that one is in", "ok", lambda: (
    os.chown("f", -1, THIRD), expect("group", THIRD, os.stat("f").st_gid)), setup=mine, groups=(THIRD,))
user("chown: to oneself", "ok", lambda: os.chown("f", OTHER_UID, OTHER_GID), setup=mine)
user("chown: nothing of another's", ("ok", "EPERM"), lambda: os.chown("f", -1, -1), setup=theirs)
user("chown: set-user-ID goes", "ok", lambda: (
    os.chown("f", -1, OTHER_GID), expect("mode", 0o755, stat.S_IMODE(os.stat("f").st_mode))),
    setup=lambda: mine(mode=0o6755))
user("write: set-user-ID goes", "ok", lambda: (
    written("f"), expect("mode", 0o777, stat.S_IMODE(os.stat("f").st_mode))),
    setup=lambda: theirs(mode=0o6777))
user("truncate: set-user-ID goes", "ok", lambda: (
    os.truncate("f", 1), expect("mode", 0o777, stat.S_IMODE(os.stat("f").st_mode))),
    setup=lambda: theirs(mode=0o6777))
user("utimensat: times of another's", "EPERM", lambda: os.utime("f", (1, 2)),
     setup=lambda: theirs(mode=0o666))
user("utimensat: now, another's that may be written to", "ok", lambda: os.utime("f"),
     setup=lambda: theirs(mode=0o666))
user("utimensat: now, another's that may not be written to", "EACCES", lambda: os.utime("f"),
     setup=theirs)
user("utimensat: one's own of 0400", "ok", lambda: os.utime("f", (1, 2)), setup=lambda: mine(mode=0o400))
user("utimensat: nothing of another's", "ok", lambda: libc(
    "utimensat", -100, b"f", (ctypes.c_long * 4)(0, (1 << 30) - 2, 0, (1 << 30) - 2), 0), setup=theirs)
user("mknod: a device", "EPERM", lambda: os.mknod("z", stat.S_IFCHR | 0o600, os.makedev(1, 3)))
user("creat: owner and group", "ok", lambda: (
    put("z"), expect("owner", (OTHER_UID, OTHER_GID), (os.stat("z").st_uid, os.stat("z").st_gid))))
user("creat: in a set-group-ID directory", "ok", lambda: (
    put("d/z"), expect("group", THIRD, os.stat("d/z").st_gid)),
    setup=lambda: (os.chown("d", -1, THIRD), os.chmod("d", 0o2777)))
user("mkdir: in a set-group-ID directory", "ok", lambda: (
    os.mkdir("d/z"), expect("group and mode", (THIRD, 0o2755),
                            (os.stat("d/z").st_gid, stat.S_IMODE(os.stat("d/z").st_mode)))),
    setup=lambda: (os.chown("d", -1, THIRD), os.chmod("d", 0o2777)))


def written(path):
    fd = os.open(path, WR)
    os.write(fd, b"x")
    os.close(fd)


# ---- a sticky directory, as /tmp ----
def sticky(owner=0):
    os.chmod("d", 0o1777)
    os.chown("d", owner, owner)
    os.chown("d/x", THIRD, THIRD)
    put("d/m")
    os.chown("d/m", OTHER_UID, OTHER_GID)
    os.mkdir("d/t")
    os.chown("d/t", THIRD, THIRD)


user("unlink: another's in a sticky directory", "EPERM", lambda: os.unlink("d/x"), setup=sticky)
user("unlink: one's own in a sticky directory", "ok", lambda: os.unlink("d/m"), setup=sticky)
user("unlink: another's in one's own sticky directory", "ok", lambda: os.unlink("d/x"),
     setup=lambda: sticky(OTHER_UID))
user("rmdir: another's in a sticky directory", "EPERM", lambda: os.rmdir("d/t"), setup=sticky)
user("rename: another's out of a sticky directory", "EPERM", lambda: os.rename("d/x", "z"), setup=sticky)
user("rename: onto another's in a sticky directory", "EPERM", lambda: os.rename("d/m", "d/x"),
     setup=sticky)
user("rename: one's own in a sticky directory", "ok", lambda: (
    os.rename("d/m", "d/n"), expect("n", b"content", get("d/n"))), setup=sticky)
user("EXCHANGE: with another's in a sticky directory", "EPERM", lambda: renameat2("d/m", "d/x", 2),
     setup=sticky)

bed = mounted.Bed()
try:
    mount = bed.mount("allow_other,default_permissions")
    status = t.run(mount.path)
    mount.unmount()
finally:
    bed.close()
sys.exit(status)
