#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# asan: no
# modes: posix
# Which times and mode bits each call changes, of what it changes and of the directory it is in: on a
# local folder first, which proves the table, and then on the mount.
. "$SOURCE_DIR/tests/lib/common.sh"
[ "$(id -u)" = 0 ] || skip "only root can act for another user"
server_start
chmod 711 "$SCRATCH"
mount_fs -o allow_other
cat >"$SCRATCH/table.py" <<'P'
import os, stat, subprocess, sys, time
top = sys.argv[1]
os.chmod(top, 0o777)
os.chdir(top)
failed = []
def past():
    """Into the next second: times may have that grain."""
    end = int(time.time()) + 1
    while time.time() < end + 0.02:
        time.sleep(0.02)
def make(path):
    with open(path, "w") as f:
        f.write("x")
def look(path):
    st = os.lstat(path)
    return st.st_mtime_ns, st.st_ctime_ns
os.mkdir("d"); os.mkdir("e")
for n in ("chmod", "chown", "utime", "write", "truncate", "rename", "gone", "over", "xattr", "same", "link"):
    make("d/" + n)
for n in ("chmod", "rename", "gone", "utime", "inside"):
    os.mkdir("d/dir-" + n)
os.symlink("t", "d/sym")
ops = [
    ("chmod", lambda: os.chmod("d/chmod", 0o600), "d/chmod", "d/chmod", "c"),
    ("chmod of a directory", lambda: os.chmod("d/dir-chmod", 0o700), "d/dir-chmod", "d/dir-chmod", "c"),
    ("chown", lambda: os.chown("d/chown", 1, 1), "d/chown", "d/chown", "c"),
    ("lchown of a link", lambda: os.lchown("d/sym", 1, 1), "d/sym", "d/sym", "c"),
    ("utimensat now", lambda: os.utime("d/utime"), "d/utime", "d/utime", "mc"),
    ("utimensat of a directory", lambda: os.utime("d/dir-utime"), "d/dir-utime", "d/dir-utime", "mc"),
    ("write", lambda: make("d/write"), "d/write", "d/write", "mc"),
    ("truncate", lambda: os.truncate("d/truncate", 0), "d/truncate", "d/truncate", "mc"),
    ("setxattr", lambda: os.setxattr("d/xattr", "user.a", b"1"), "d/xattr", "d/xattr", "c"),
    ("rename", lambda: os.rename("d/rename", "d/renamed"), "d/rename", "d/renamed", "c"),
    ("rename of a directory", lambda: os.rename("d/dir-rename", "d/dir-renamed"), "d/dir-rename", "d/dir-renamed", "c"),
    ("read", lambda: open("d/same").read(), "d/same", "d/same", ""),
    ("stat", lambda: os.stat("d/same"), "d/same", "d/same", ""),
]
before = {}
past()
for title, call, a, b, want in ops:
    before[title] = look(a)
past()
for title, call, a, b, want in ops:
    call()
for title, call, a, b, want in ops:
    was, now = before[title], look(b)
    got = ("m" if now[0] > was[0] else "") + ("c" if now[1] > was[1] else "")
    if got != want:
        failed.append(f"{title}: moved '{got}', not '{want}'")
# The directory of what comes and goes.
for title, call in (("creat", lambda: make("d/new")), ("mkdir", lambda: os.mkdir("d/newdir")),
                    ("symlink", lambda: os.symlink("t", "d/newlink")), ("mkfifo", lambda: os.mkfifo("d/fifo")),
                    ("unlink", lambda: os.unlink("d/gone")), ("rmdir", lambda: os.rmdir("d/dir-gone")),
                    ("rename within", lambda: os.rename("d/over", "d/over2"))):
    was = look("d")
    past()
    call()
    now = look("d")
    if now[0] <= was[0] or now[1] <= was[1]:
        failed.append(f"{title}: the directory's times did not move")
was = look("d"), look("e")
past()
os.rename("d/over2", "e/over2")
now = look("d"), look("e")
if any(now[i][k] <= was[i][k] for i in (0, 1) for k in (0, 1)):
    failed.append("rename between directories: the times of both must move")
was = look("d")
past()
os.chmod("d/new", 0o600)
with open("d/new", "a") as f:
    f.write("y")
if look("d") != was:
    failed.append("chmod and write moved the directory's times")
# Mode bits.
UID = 1234
def as_other(code, *groups):
    r = subprocess.run(["setpriv", "--reuid", str(UID), "--regid", str(UID), "--groups" if groups else "--clear-groups", *groups,
                        "/usr/bin/python3", "-c", "import os\n" + code], capture_output=True, text=True)
    return r.stderr.strip().splitlines()[-1] if r.returncode else ""
def bits(title, mode, uid, gid, code, want, groups=()):
    path = "bits"
    make(path)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    error = code() if callable(code) else as_other(code, *groups)
    got = oct(stat.S_IMODE(os.stat(path).st_mode))
    if got != want:
        failed.append(f"{title}: {got} and not {want} {error or ''}")
    os.unlink(path)
bits("write by another: set-user-ID goes", 0o4777, 0, 0, "open('bits','w').write('y')", "0o777")
bits("write by another: set-group-ID goes", 0o2777, 0, 0, "open('bits','w').write('y')", "0o777")
bits("chown by its owner to a group of his: both go", 0o6777, UID, UID, "os.chown('bits', -1, 77)", "0o777", ("77",))
bits("chmod by its owner outside of its group: set-group-ID goes", 0o644, UID, 77, "os.chmod('bits', 0o2755)", "0o755")
bits("chmod by its owner in its group: set-group-ID stays", 0o644, UID, 77, "os.chmod('bits', 0o2755)", "0o2755", ("77",))
bits("chown by root: set-user-ID of a program goes", 0o6755, 0, 0, lambda: os.chown("bits", 5, 5), "0o755")
bits("truncate by another: set-user-ID goes", 0o4777, 0, 0, "os.truncate('bits', 0)", "0o777")
# A new file belongs to the group of a set-group-ID directory, and a new directory is one too.
os.mkdir("group"); os.chown("group", 0, 77); os.chmod("group", 0o2777)
as_other("open('group/f','w').close(); os.mkdir('group/d')")
for n in ("group/f", "group/d"):
    if os.stat(n).st_gid != 77:
        failed.append(f"{n} is not of the directory's group")
if not os.stat("group/d").st_mode & stat.S_ISGID:
    failed.append("a directory in a set-group-ID directory is none")
if os.stat("group/f").st_uid != UID:
    failed.append("a file is not of who made it")
print("\n".join(failed))
sys.exit(bool(failed))
P
mkdir "$SCRATCH/local" "$MNT/top"
check "a local folder" /usr/bin/python3 "$SCRATCH/table.py" "$SCRATCH/local"
check "the mount" /usr/bin/python3 "$SCRATCH/table.py" "$MNT/top"
before=$(cd "$MNT/top" && find . -type f -exec stat -c '%n %a %u:%g %Y' {} + | sort)
remount_fs -o allow_other
equal "after a remount" "$before" "$(cd "$MNT/top" && find . -type f -exec stat -c '%n %a %u:%g %Y' {} + | sort)"
unmount_fs
