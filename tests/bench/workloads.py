# SPDX-License-Identifier: Apache-2.0
"""The workloads. Each says what it needs in the bucket, what the limit program is asked for, and what
is done in a mount. `size` of a Scale shrinks them for a quick run.

A class: prepare(w) makes the objects (once a server); limit(w) -> command or None; run(w, mnt) is
timed; fresh(w, mnt) is done before, untimed, in the same mount; check(w, mnt) afterwards, untimed.
"""
import concurrent.futures
import hashlib
import os
import random
import shutil
import subprocess

MIB = 1 << 20
PART = 8 * MIB


class Scale:
    def __init__(self, quick):
        self.big = (128 if quick else 1024) * MIB
        self.files = 50 if quick else 200
        self.creates = 50 if quick else 200
        self.names = 2000 if quick else 10000
        self.dirs = 100 if quick else 1000
        self.removes = 100 if quick else 1000


class World:
    """One server: where its bucket is, and what has been put there already."""

    def __init__(self, scale, folder, limit, env, s3):
        self.scale, self.folder, self.limit_program, self.env, self.s3 = scale, folder, limit, env, s3
        self.bucket = env["BUCKET"]
        self.made = set()
        self.serial = 0

    def limit(self, *args):
        return [self.limit_program, *map(str, args)]

    def big(self, name="big", size=None):
        size = size or self.scale.big
        if name not in self.made:
            subprocess.run(self.limit("put", name, size, PART, 8), env=self.env, check=True)
            self.made.add(name)
        return name, size

    def many(self, prefix, n, size):
        if prefix not in self.made:
            subprocess.run(self.limit("puts", prefix, n, size, 32), env=self.env, check=True)
            self.made.add(prefix)
        return [f"{prefix}{i:06}" for i in range(n)]

    def lines(self, name, lines):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write("".join(f"{line}\n" for line in lines))
        return path

    def unique(self):
        self.serial += 1
        return f"u{self.serial:05}"


def read_all(path, block=MIB):
    total = 0
    fd = os.open(path, os.O_RDONLY)
    try:
        while data := os.read(fd, block):
            total += len(data)
    finally:
        os.close(fd)
    return total


def in_threads(n, do, items):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(do, items))


class Workload:
    name, help, unit_bytes, options = "", "", 0, ()

    def prepare(self, w):
        pass

    def fresh(self, w, mnt):
        pass

    def limit(self, w):
        return None

    def check(self, w, mnt):
        pass


class Read(Workload):
    def __init__(self, streams, options=(), name=None):
        self.streams, self.options = streams, options
        self.name = name or f"read{streams}"
        self.help = f"sequential read, {streams} stream(s)"

    def files(self, w):
        size = w.scale.big // (1 if self.streams == 1 else 4)
        return [w.big(f"big{self.streams}.{i}", size) for i in range(self.streams)]

    def prepare(self, w):
        self.unit_bytes = sum(size for _, size in self.files(w))

    def limit(self, w):
        return [w.limit("get", name, size, PART, 8) for name, size in self.files(w)]

    def run(self, w, mnt):
        def one(file):
            name, size = file
            assert read_all(os.path.join(mnt, name)) == size, "short"
        in_threads(self.streams, one, self.files(w))


class Ramp(Read):
    def __init__(self):
        super().__init__(1, name="ramp64m")
        self.help = "sequential read of 64 MiB, cold"

    def files(self, w):
        return [w.big("ramp", 64 * MIB)]


class SmallFiles(Workload):
    def __init__(self, size, readers, shuffled):
        self.size, self.readers, self.shuffled = size, readers, shuffled
        text = f"{size // 1024}k" if size < MIB else f"{size // MIB}m"
        self.name = f"small{text}_{readers}{'_shuffled' if shuffled else ''}"
        self.help = (f"cold read of files of {text}, {readers} reader(s), "
                     f"{'shuffled' if shuffled else 'in listing order'}; their directory was listed")

    def keys(self, w):
        n = w.scale.files if self.size < MIB else w.scale.files // 5
        return w.many(f"small{self.size}/", n, self.size)

    def prepare(self, w):
        self.unit_bytes = len(self.keys(w)) * self.size

    def fresh(self, w, mnt):
        os.listdir(os.path.join(mnt, f"small{self.size}"))

    def limit(self, w):
        return [w.limit("each", w.lines(self.name, self.keys(w)), self.readers)]

    def run(self, w, mnt):
        keys = list(self.keys(w))
        if self.shuffled:
            random.Random(7).shuffle(keys)

        def one(key):
            assert read_all(os.path.join(mnt, key)) == self.size, key
        in_threads(self.readers, one, keys)


class RandomRead(Workload):
    def __init__(self, size, depth):
        self.size, self.depth = size, depth
        self.name = f"random{size // 1024}k_qd{depth}"
        self.help = f"random reads of {size // 1024} KiB, {depth} at a time"

    def places(self, w):
        name, size = w.big("big1.0")
        r = random.Random(11)
        n = 40 if self.depth == 1 else 400
        return name, [r.randrange(0, size - self.size, 4096) for _ in range(n)]

    def prepare(self, w):
        self.unit_bytes = len(self.places(w)[1]) * self.size

    def limit(self, w):
        name, places = self.places(w)
        lines = [f"{name} {p} {self.size}" for p in places]
        return [w.limit("range", w.lines(self.name, lines), self.depth)]

    def run(self, w, mnt):
        name, places = self.places(w)
        fd = os.open(os.path.join(mnt, name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)

        def one(place):
            assert len(os.pread(fd, self.size, place)) == self.size
        in_threads(self.depth, one, places)
        os.close(fd)


class Write(Workload):
    def __init__(self, streams):
        self.streams = streams
        self.name, self.help = f"write{streams}", f"sequential write, {streams} stream(s), with close"

    def size(self, w):
        return w.scale.big // (1 if self.streams == 1 else 4)

    def prepare(self, w):
        self.unit_bytes = self.streams * self.size(w)

    def limit(self, w):
        return [w.limit("put", f"limit.w{i}", self.size(w), PART, 8) for i in range(self.streams)]

    def run(self, w, mnt):
        block = bytes(MIB)
        self.last = w.unique()

        def one(i):
            fd = os.open(os.path.join(mnt, f"{self.last}.{i}"), os.O_WRONLY | os.O_CREAT, 0o644)
            for _ in range(self.size(w) // MIB):
                os.write(fd, block)
            os.close(fd)
        in_threads(self.streams, one, range(self.streams))

    def check(self, w, mnt):
        for i in range(self.streams):
            name = os.path.join(mnt, f"{self.last}.{i}")
            assert os.path.getsize(name) == self.size(w), name
            os.unlink(name)


class Create(Workload):
    def __init__(self, writers, options=(), name=None):
        self.writers, self.options = writers, options
        self.name = name or f"create{writers}"
        self.help = f"files of 4 KiB made, {writers} writer(s)"

    def limit(self, w):
        return None if self.options else [
            w.limit("puts", f"limit.{w.unique()}/", w.scale.creates, 4096, self.writers)]

    def fresh(self, w, mnt):
        self.dir = os.path.join(mnt, w.unique())
        os.mkdir(self.dir)

    def run(self, w, mnt):
        body = os.urandom(4096)

        def one(i):
            fd = os.open(os.path.join(self.dir, f"f{i}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(fd, body)
            os.close(fd)
        in_threads(self.writers, one, range(w.scale.creates))

    def check(self, w, mnt):
        assert len(os.listdir(self.dir)) == w.scale.creates


class Listing(Workload):
    def __init__(self, command, name, help):
        self.command, self.name, self.help = command, name, help

    def prepare(self, w):
        w.many("names/", w.scale.names, 1)

    def limit(self, w):
        return [w.limit("list", "names/")]

    def run(self, w, mnt):
        out = subprocess.run([*self.command, os.path.join(mnt, "names")], stdout=subprocess.PIPE, check=True)
        n = out.stdout.count(b"\n")
        assert n >= w.scale.names, f"{n} lines"


class Find(Workload):
    name, help = "find", "find over a tree, one file in each directory"

    def prepare(self, w):
        if "tree" not in w.made:
            in_threads(16, lambda i: w.s3.put_object(Bucket=w.bucket, Key=f"tree/d{i:05}/f", Body=b"x"),
                       range(w.scale.dirs))
            w.made.add("tree")

    def limit(self, w):
        return [w.limit("list", "tree/")]

    def run(self, w, mnt):
        out = subprocess.run(["find", os.path.join(mnt, "tree"), "-type", "f"], stdout=subprocess.PIPE, check=True)
        assert out.stdout.count(b"\n") == w.scale.dirs


class Absent(Workload):
    name, help = "absent", "stat of names that are not there, in a listed directory"

    def prepare(self, w):
        w.many("names/", w.scale.names, 1)

    def fresh(self, w, mnt):
        os.listdir(os.path.join(mnt, "names"))

    def run(self, w, mnt):
        for i in range(500):
            assert not os.path.exists(os.path.join(mnt, "names", f"no{i}"))


class Remove(Workload):
    name, help, options = "rm", "rm -r of a flat directory", ()

    def fresh(self, w, mnt):
        prefix = w.unique() + "/"
        w.many(prefix, w.scale.removes, 10)
        self.dir = os.path.join(mnt, prefix)
        poll_listed(self.dir)

    def limit(self, w):
        prefix = w.unique() + "/"
        return [w.limit("delete", w.lines(self.name, w.many(prefix, w.scale.removes, 10)), 1)]

    def run(self, w, mnt):
        subprocess.run(["rm", "-r", self.dir], check=True)

    def check(self, w, mnt):
        assert not os.path.exists(self.dir)


class Move(Remove):
    name, help = "mv", "mv of a flat directory"

    def limit(self, w):
        return None

    def run(self, w, mnt):
        os.rename(self.dir.rstrip("/"), self.dir.rstrip("/") + ".moved")

    def check(self, w, mnt):
        assert len(os.listdir(self.dir.rstrip("/") + ".moved")) == w.scale.removes


def poll_listed(path):
    """Contenders that cached the root's listing see a new directory by asking for its name."""
    os.stat(path)


class Patch(Workload):
    name, help = "patch4k", "4 KiB changed in the middle of the big file, with close"

    def fresh(self, w, mnt):
        key = w.unique()
        w.big(key)
        self.path = os.path.join(mnt, key)
        os.stat(self.path)

    def run(self, w, mnt):
        fd = os.open(self.path, os.O_WRONLY)
        os.pwrite(fd, b"p" * 4096, w.scale.big // 2 + 12345)
        os.close(fd)

    def check(self, w, mnt):
        with open(self.path, "rb") as f:
            f.seek(w.scale.big // 2 + 12345 - 1)
            assert f.read(4098) == b"\0" + b"p" * 4096 + b"\0"
        os.unlink(self.path)


class Append(Patch):
    name, help = "append1m", "1 MiB appended to the big file, with close"

    def run(self, w, mnt):
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, b"a" * MIB)
        os.close(fd)

    def check(self, w, mnt):
        assert os.path.getsize(self.path) == w.scale.big + MIB
        os.unlink(self.path)


class Copy(Patch):
    name, help = "cp", "cp of the big file inside the mount"

    def run(self, w, mnt):
        subprocess.run(["cp", self.path, self.path + ".copy"], check=True)

    def check(self, w, mnt):
        assert os.path.getsize(self.path + ".copy") == w.scale.big
        os.unlink(self.path)
        os.unlink(self.path + ".copy")


class Untar(Workload):
    name, help = "untar", "tar x of a source tree"
    source = "/usr/include/linux"

    def prepare(self, w):
        self.tar = os.path.join(w.folder, "tree.tar")
        if not os.path.exists(self.tar):
            subprocess.run(["tar", "-cf", self.tar, "-C", os.path.dirname(self.source),
                            os.path.basename(self.source)], check=True)

    def fresh(self, w, mnt):
        self.dir = os.path.join(mnt, w.unique())
        os.mkdir(self.dir)

    def run(self, w, mnt):
        subprocess.run(["tar", "-xf", self.tar, "-C", self.dir], check=True)

    def check(self, w, mnt):
        subprocess.run(["diff", "-r", self.source, os.path.join(self.dir, "linux")], check=True)


class RsyncAgain(Untar):
    name, help = "rsync2", "a second rsync -a of a tree, nothing to do, new mount"

    def prepare(self, w):
        self.local = os.path.join(w.folder, "local")
        if not os.path.exists(self.local):
            shutil.copytree(self.source, self.local, symlinks=True)

    def fresh(self, w, mnt):
        self.dir = os.path.join(mnt, w.unique())
        subprocess.run(["rsync", "-a", self.local + "/", self.dir], check=True)

    remount = True

    def run(self, w, mnt):
        out = subprocess.run(["rsync", "-ai", self.local + "/", self.dir], check=True, stdout=subprocess.PIPE)
        assert b">f" not in out.stdout, "files were sent again"

    def check(self, w, mnt):
        pass


class Reread(Read):
    def __init__(self):
        super().__init__(1, name="reread")
        self.help = "the big file once more, from the page cache where there is one"

    def fresh(self, w, mnt):
        self.run(w, mnt)

    def limit(self, w):
        return None


ALL = [Read(1), Read(8), Read(1, ("memory_limit=512M",), "read1_512m"), Ramp(), Reread(),
       SmallFiles(4096, 1, False), SmallFiles(4096, 1, True), SmallFiles(4096, 64, False),
       SmallFiles(100 << 10, 1, False), SmallFiles(5 * MIB, 1, False), RandomRead(4096, 1),
       RandomRead(1 << 20, 1), RandomRead(4096, 64), Write(1), Write(8), Create(1), Create(64),
       Create(1, ("writeback",), "create1_writeback"), Untar(),
       Listing(["ls", "-U"], "ls", "ls -U of a large directory"),
       Listing(["ls", "-l"], "ls-l", "ls -l of a large directory"), Find(), Absent(), Remove(), Move(),
       Patch(), Append(), Copy(), RsyncAgain()]


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(MIB):
            h.update(block)
    return h.hexdigest()
