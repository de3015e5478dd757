# SPDX-License-Identifier: Apache-2.0
"""The steps of the crash tests: everything that changes something, in every way that sends other
requests."""
import ctypes
import os
import shutil

from crash import ATTRIBUTES_OF, Step, content, sha


LARGE = 11 << 20  # three parts of 5 MiB


def put(name, seed, size, mode="wb"):
    data = content(seed, size)

    def run(mnt):
        with open(f"{mnt}/{name}", mode) as f:
            f.write(data)

    def change(world):
        world[name] = ("file", sha(data))
    return Step(f"write {name} ({seed})", run, change)


def mkdir(name):
    return Step(f"mkdir {name}", lambda mnt: os.mkdir(f"{mnt}/{name}"),
                lambda world: world.update({name: ("dir",)}))


def move(old, new):
    def change(world):
        for name in [n for n in world if n == new or n.startswith(new + "/")]:
            del world[name]
        for name in [n for n in world if n == old or n.startswith(old + "/")]:
            world[new + name[len(old):]] = world.pop(name)
    return Step(f"rename {old} {new}", lambda mnt: os.rename(f"{mnt}/{old}", f"{mnt}/{new}"), change)


def unlink(name):
    return Step(f"unlink {name}", lambda mnt: os.unlink(f"{mnt}/{name}"),
                lambda world: world.pop(name))


def rmdir(name):
    return Step(f"rmdir {name}", lambda mnt: os.rmdir(f"{mnt}/{name}"),
                lambda world: world.pop(name))


def remove_tree(name):
    def change(world):
        for n in [n for n in world if n == name or n.startswith(name + "/")]:
            del world[n]
    return Step(f"rm -r {name}", lambda mnt: shutil.rmtree(f"{mnt}/{name}"), change, loose=True)


def change_bytes(name, seed, size, changes):
    """Writes pieces into a file that is there: {offset: bytes}."""
    data = bytearray(content(seed, size))
    for offset, piece in changes.items():
        data[offset:offset + len(piece)] = piece

    def run(mnt):
        with open(f"{mnt}/{name}", "r+b", buffering=0) as f:
            for offset, piece in changes.items():
                f.seek(offset)
                f.write(piece)
    return Step(f"change {name}", run, lambda world: world.update({name: ("file", sha(bytes(data)))}))


def append(name, seed, size, piece):
    data = content(seed, size) + piece

    def run(mnt):
        with open(f"{mnt}/{name}", "ab", buffering=0) as f:
            f.write(piece)
    return Step(f"append {name}", run, lambda world: world.update({name: ("file", sha(data))}))


def truncate(name, seed, size, to):
    data = content(seed, size)[:to]
    return Step(f"truncate {name}", lambda mnt: os.truncate(f"{mnt}/{name}", to),
                lambda world: world.update({name: ("file", sha(data))}))


class Held:
    """A file that stays open over several steps: what fsync has acknowledged is one state, what
    the close acknowledges the next."""

    def __init__(self, name, seed, size):
        self.name, self.data = name, content(seed, size)
        self.file = None

    def begin(self, n):
        def run(mnt):
            self.file = open(f"{mnt}/{self.name}", "wb", buffering=0)
            self.file.write(self.data[:n])
            os.fsync(self.file.fileno())
        return Step(f"fsync {self.name}", run,
                    lambda world: world.update({self.name: ("file", sha(self.data[:n]))}))

    def end(self):
        def run(mnt):
            f, self.file = self.file, None
            try:
                done = f.tell()
                f.write(self.data[done:])
            finally:
                f.close()
        return Step(f"close {self.name}", run,
                    lambda world: world.update({self.name: ("file", sha(self.data))}))


def symlink(name, target):
    return Step(f"symlink {name}", lambda mnt: os.symlink(target, f"{mnt}/{name}"),
                lambda world: world.update({name: ("link", target)}))


def fsync(mnt, name):
    fd = os.open(f"{mnt}/{name}", os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Either:
    """Equal to each of several values."""

    def __init__(self, *values):
        self.values = values

    def __eq__(self, other):
        return other in self.values

    def __repr__(self):
        return " or ".join(map(repr, self.values))


def attributes(name, mode, mtime_ns, xattr, synced):
    """Three steps, stored together when none is synced. Without an fsync a change may be lost in
    the moment until it is noted."""
    def chmod(mnt):
        os.chmod(f"{mnt}/{name}", mode)
        if synced:
            fsync(mnt, name)

    def utime(mnt):
        os.utime(f"{mnt}/{name}", ns=(mtime_ns, mtime_ns))
        if synced:
            fsync(mnt, name)

    def setxattr(mnt):
        os.setxattr(f"{mnt}/{name}", "user.test", xattr)
        if synced:
            fsync(mnt, name)

    def change(key, value):
        def apply(world):
            old = world.get(f"{name} {key}")
            world[f"{name} {key}"] = value if synced else Either(old, value)
        return apply
    return [Step(f"chmod {name}", chmod, change("mode", mode)),
            Step(f"utime {name}", utime, change("mtime", mtime_ns)),
            Step(f"setxattr {name}", setxattr, change("xattr", xattr))]


def exchange(a, b):
    def run(mnt):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(-100, f"{mnt}/{a}".encode(), -100, f"{mnt}/{b}".encode(), 2):
            raise OSError(ctypes.get_errno(), "renameat2")

    def change(world):
        moved = {}
        for one, other in ((a, b), (b, a)):
            for name in [n for n in world if n == one or n.startswith(one + "/")]:
                moved[other + name[len(one):]] = world.pop(name)
        world.update(moved)
    return Step(f"exchange {a} {b}", run, change)


def unlink_open(name):
    """Its content is kept for who reads it, and goes with the crash or the last close."""
    def run(mnt):
        with open(f"{mnt}/{name}", "rb") as f:
            f.read(100)
            os.unlink(f"{mnt}/{name}")
            f.seek(0, 2)
            size = f.tell()
            f.seek(size // 2)
            f.read(1000)
    return Step(f"unlink {name} while open", run, lambda world: world.pop(name))


def fifo(name):
    return Step(f"mkfifo {name}", lambda mnt: os.mkfifo(f"{mnt}/{name}"),
                lambda world: world.update({name: ("special",)}))


def copy_range(source, target, seed, size):
    data = content(seed, size)

    def run(mnt):
        with open(f"{mnt}/{source}", "rb") as s, open(f"{mnt}/{target}", "wb") as t:
            left = size
            while left:
                left -= os.copy_file_range(s.fileno(), t.fileno(), left) or left
    return Step(f"copy_file_range {target}", run,
                lambda world: world.update({target: ("file", sha(data))}))


def steps():
    held = Held("synced", "held", 6 << 20)
    later = attributes(ATTRIBUTES_OF, 0o600, 11**17, b"value", False)
    many = [put(f"tree/f{i:02}", f"tree{i}", 3000 + i) for i in range(12)]
    return [
        mkdir("d"), mkdir("d/e"),
        put("small", 1, 4096), put("d/other", 2, 5000), put("small", 3, 6000),
        put("large", 4, LARGE), put("large", 5, LARGE + 7),
        held.begin(100000), held.end(),
        append("small", 3, 6000, b"more"),
        change_bytes("d/other", 2, 5000, {100: b"changed", 4990: b"and longer than before"}),
        change_bytes("large", 5, LARGE + 7, {6 << 20: b"one page changed"}),
        put("cut", 6, 70000), truncate("cut", 6, 70000, 1234),
        symlink("link", "d/other"), fifo("fifo"),
        move("small", "moved"), put("victim", 7, 800), move("moved", "victim"),
        put("large2", 8, LARGE), move("large2", "d/large2"),
        copy_range("d/large2", "copied", 8, LARGE),
        mkdir("tree"), mkdir("tree/sub"), *many, put("tree/sub/deep", "deep", 100),
        move("tree", "d/tree"),
        put("d/tree/f03", "new", 50),
        exchange("victim", "d/other"), unlink_open("d/large2"),
        mkdir("empty"), mkdir("full"), put("full/f", "full", 10), move("full", "empty"),
        mkdir("pair"), put("pair/f", "other", 20), put("pair/g", "pair", 30), exchange("pair", "empty"),
        exchange("victim", "pair"),
        put(ATTRIBUTES_OF, "a", 100), *attributes(ATTRIBUTES_OF, 0o640, 10**18, b"first", True), *later,
        unlink("cut"), unlink("large"),
        rmdir("d/e"), remove_tree("d/tree"),
        put("last", 9, 1),
    ]
