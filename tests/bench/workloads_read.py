# SPDX-License-Identifier: Apache-2.0
"""Reading: streams, ramp-up, small files, random places, what is cached, what is stalled."""
import random

from workload import MIB, PART, Workload


class Read(Workload):
    group, timelines = "stream", True

    def __init__(self, streams, name=None, direct=False, options=None, what="", alone=False):
        self.streams, self.direct, self.options, self.alone = streams, direct, options or {}, alone
        self.name = name or f"read{streams}{'_direct' if direct else ''}"
        self.help = (f"sequential read, {streams} stream{'s' if streams > 1 else ''}"
                     + (", O_DIRECT" if direct else "") + what)

    def objects(self, w):
        size = w.pick(64, 1024, 4096) * MIB
        if self.streams > 1:
            size = w.pick(16, 128, 1024) * MIB
        return [w.big(f"big{self.streams}.{i}", size) for i in range(self.streams)]

    def words(self, w):
        return [x for name, size in self.objects(w) for x in (name, size)]

    def prepare(self, w):
        self.bytes = sum(size for _, size in self.objects(w))

    def limit(self, w, n):
        return [[w.limit("-t", w.timeline, "get", n, PART, *self.words(w))]]

    def run(self, w, c):
        return c.load(*(["-d"] if self.direct else []), "-t", w.timeline, "read", *self.words(w))


class Ramp(Read):
    def __init__(self):
        super().__init__(1, name="ramp64m")
        self.help = "sequential read of one file of 64 MiB, cold"

    def objects(self, w):
        return [w.big("ramp", w.pick(16, 64, 64) * MIB)]


class Reread(Read):
    """From the page cache, as long as the object is the same."""
    warm = True

    def __init__(self):
        super().__init__(1, name="reread")
        self.help, self.timelines, self.rtts = "the same file read again (page cache)", False, (20,)

    def fresh(self, w, c):
        self.run(w, c)

    def limit(self, w, n):
        return None


class RereadDisk(Read):
    """From the cache on disk, by a new mount."""
    remount = True

    def __init__(self):
        super().__init__(1, name="reread_disk", options={
            "pailfs": ("cache_size=8G",), "s3fs": ("use_cache={folder}/cache",),
            "rclone": ("--vfs-cache-mode", "full")})
        self.help, self.timelines, self.rtts = "the same file read again by a new mount (cache on disk)", False, (20,)
        self.needs = "cache_size"

    def objects(self, w):
        return [w.big("ramp4", w.pick(16, 256, 4096) * MIB)]

    def fresh(self, w, c):
        self.run(w, c)

    def limit(self, w, n):
        return None


class Small(Workload):
    group = "small"

    def __init__(self, size, readers, shuffled):
        self.size, self.readers, self.shuffled = size, readers, shuffled
        text = f"{size // 1024}k" if size < MIB else f"{size // MIB}m"
        self.name = f"small{text}_{readers}{'_shuffled' if shuffled else ''}"
        self.help = (f"cold files of {text.upper().replace('K', ' KiB').replace('M', ' MiB')}, {readers} "
                     f"reader{'s' if readers > 1 else ''}, {'shuffled' if shuffled else 'in listing order'}")
        self.rtts = (20,) if shuffled else (0, 20)
        if readers == 1:
            self.connections, self.same_connections = 1, False

    def keys(self, w):
        n = w.pick(30, 200, 1000)
        if self.size >= MIB:
            n = w.pick(6, 40, 200)
        keys = list(w.many(f"small{self.size}/", n, self.size))
        if self.shuffled:
            random.Random(7).shuffle(keys)
        return keys

    def prepare(self, w):
        keys = self.keys(w)
        self.list = w.lines(self.name, keys)
        self.files = len(keys)
        self.bytes = len(keys) * self.size
        if self.readers > 1:
            self.files = 0

    def fresh(self, w, c):
        c.sh("ls", "-U", f"small{self.size}")

    def limit(self, w, n):
        return [[w.limit("each", self.list, self.readers, self.size)]]

    def run(self, w, c):
        return c.load("each", self.list, self.readers, self.size)


class RandomRead(Workload):
    group, same_connections = "random", False

    def __init__(self, size, depth):
        self.size, self.depth = size, depth
        text = f"{size // 1024}k" if size < MIB else "1m"
        self.name = f"random{text}_qd{depth}"
        self.help = f"random reads of {size // 1024} KiB, {depth} at a time"
        self.rtts = (20,) if size > 4096 else (0, 20)

    def prepare(self, w):
        name, size = w.big("big1.0", w.pick(64, 1024, 4096) * MIB)
        r = random.Random(11)
        n = w.pick(10, 60, 200) if self.depth == 1 else w.pick(128, 640 if self.size < MIB else 256, 4000)
        places = [r.randrange(0, size - self.size, 4096) for _ in range(n)]
        self.list = w.lines(self.name, [f"{name} {p} {self.size}" for p in places])
        self.bytes = n * self.size
        self.files = n if self.depth == 1 else 0

    def limit(self, w, n):
        return [[w.limit("range", self.list, self.depth)]]

    def run(self, w, c):
        return c.load("range", self.list, self.depth)


class Stalled(Read):
    """Of the requests, one in 100 waits 5 s: the limit shows what it costs who only waits."""

    def __init__(self):
        super().__init__(1, name="read1_stall", what="; 1 % of the requests stalled for 5 s")
        self.rtts = (20,)
        self.faults = ("op=GetObject after=20 every=100 action=delay:5000",)


class StalledSmall(Small):
    def __init__(self):
        super().__init__(4096, 64, False)
        self.name = "small4k_64_stall"
        self.help += "; 1 % of the requests stalled for 5 s"
        self.rtts = (20,)
        self.faults = ("op=GetObject after=20 every=100 action=delay:5000",)


class Mixed(Workload):
    name, help, group = "mixed64", "64 readers and 64 writers at the same time, a file each", "stream"
    rtts, durable = (20,), True

    def size(self, w):
        return w.pick(1, 16, 64) * MIB

    def prepare(self, w):
        w.many("mixed/r", 64, self.size(w))
        self.bytes = 128 * self.size(w)
        self.written = w.lines("mixed.w", [f"mixed/w{i:06}" for i in range(64)])
        self.read = w.lines("mixed.r", [f"mixed/r{i:06}" for i in range(64)])

    def limit(self, w, n):
        return [[w.limit("each", self.read, 64, self.size(w)), w.limit("puts", self.written, self.size(w), 64)]]

    def make(self, w):
        w.near("delete", self.written, 32)

    def run(self, w, c):
        return c.load("mixed", "mixed", 64, self.size(w))

    def after(self, w):
        w.near("each", self.written, 8, self.size(w))


SMALL = [Small(size, readers, shuffled) for size in (4096, 100 << 10, 5 * MIB)
         for readers in (1, 64) for shuffled in (False, True)]
# Peers have no such limit.
LIMITED = {"pailfs": ("memory_limit=512M",)}
ALL = [Read(1), Read(8), Read(1, direct=True), Read(8, direct=True),
       Read(1, "read1_512m", options=LIMITED, what=", memory_limit=512M", alone=True),
       Read(8, "read8_512m", options=LIMITED, what=", memory_limit=512M", alone=True), Ramp(), *SMALL,
       *[RandomRead(size, depth) for depth in (1, 64) for size in (4096, 64 << 10, MIB)],
       Stalled(), StalledSmall(), Mixed(), Reread(), RereadDisk()]
