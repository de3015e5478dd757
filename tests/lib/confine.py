# SPDX-License-Identifier: Apache-2.0
"""Random and odd operations must not be able to harm the machine, whatever a mount makes of them:

    confine.enter()     as root: a mount namespace of its own in which all but $SCRATCH is read-only

An ordinary user cannot do that, and can break little. The mounts of tests that run beside this one are
let go of, so that none is kept alive here. Its own mounts end with the namespace."""
import ctypes
import os
import sys

CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 32, 4096, 16384, 1 << 19
MNT_DETACH = 2
DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "f2fs", "zfs", "nfs", "nfs4")


def mount(source, target, kind, flags, must=True):
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.mount(source.encode(), os.fsencode(target), kind and kind.encode(), flags, None)
    if failed and must:
        sys.exit(f"confine: {source} at {target}: {os.strerror(ctypes.get_errno())}")


def mounts():
    """Where and of what type, of this namespace."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as f:
        fields = [line.split()[1:3] for line in f]
    return [(point.encode("utf-8", "surrogateescape").decode("unicode_escape"), kind) for point, kind in fields]


def enter():
    """Before threads, daemons and descriptors below $SCRATCH."""
    if os.geteuid() != 0:
        return
    scratch = os.path.realpath(os.environ["SCRATCH"])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        sys.exit("confine: unshare: " + os.strerror(ctypes.get_errno()))
    mount("none", "/", None, MS_REC | MS_SLAVE)
    for point, kind in mounts():
        if kind == "fuse" or kind.startswith("fuse."):
            libc.umount2(os.fsencode(point), MNT_DETACH)
    mount(scratch, scratch, None, MS_BIND | MS_REC)
    os.chdir(scratch)
    mount("none", "/run", "tmpfs", 0)  # the daemon's control socket
    for point, kind in mounts():
        if kind in DISKS and point != scratch and not point.startswith(scratch + "/"):
            mount("none", point, None, MS_REMOUNT | MS_BIND | MS_RDONLY, must=point == "/")
    for path in ("/etc/passwd", "/etc", "/usr/bin"):
        if os.access(path, os.W_OK):
            sys.exit(f"confine: {path} can still be written to")
