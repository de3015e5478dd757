# SPDX-License-Identifier: Apache-2.0
"""Writing: streams, new small files, changes of large ones. What was stored is compared byte by byte, past the mount."""
import botocore.exceptions

import bed
from workload import MIB, PART, Workload


class Write(Workload):
    group, durable, timelines = "stream", True, True

    def __init__(self, streams, name=None, block=MIB, direct=False, rtts=(0, 20)):
        self.streams, self.block, self.direct, self.rtts = streams, block, direct, rtts
        self.name = name or f"write{streams}"
        self.help = f"sequential write, {streams} stream{'s' if streams > 1 else ''}, with close"
        if block != MIB:
            self.help += f", {block // 1024} KiB each"

    def size(self, w):
        if self.block < MIB:
            return w.pick(4, 256, 1024) * MIB
        return (w.pick(32, 512, 4096) if self.streams == 1 else w.pick(16, 128, 1024)) * MIB

    def words(self, w):
        return [x for i in range(self.streams) for x in (f"{self.name}.{i}", self.size(w))]

    def prepare(self, w):
        self.bytes = self.streams * self.size(w)
        self.list = w.lines(self.name, [f"{self.name}.{i}" for i in range(self.streams)])

    def make(self, w):
        w.near("delete", self.list, 8)

    def limit(self, w, n):
        return [[w.limit("-t", w.timeline, "put", max(1, n // self.streams), PART, *self.words(w))]]

    def run(self, w, c):
        return c.load("-b", self.block, "-t", w.timeline, "write", *self.words(w))

    def after(self, w):
        w.near("get", 8, PART, *self.words(w))
        for i in range(self.streams):
            size = w.s3.head_object(Bucket=w.bucket, Key=f"{self.name}.{i}")["ContentLength"]
            assert size == self.size(w), f"{self.name}.{i} has {size} bytes"


class Create(Workload):
    group, durable, size = "create", True, 4096

    def __init__(self, writers, writeback=False):
        self.writers, self.writeback = writers, writeback
        self.name = f"create{writers}{'_writeback' if writeback else ''}"
        self.help = (f"files of 4 KiB made, {writers} writer{'s' if writers > 1 else ''}"
                     + (", with -o writeback" if writeback else ", durable at close"))
        self.connections, self.same_connections = writers, False
        self.rtts = (20,) if writeback else (0, 20)
        if writeback:
            self.alone, self.options, self.durable = True, {"pailfs": ("writeback",)}, False

    def number(self, w):
        n = w.pick(20, 200, 1000)
        return n if self.writers == 1 else max(n, w.pick(64, 1000, 1000))

    def make(self, w):
        self.folder = w.unique()
        w.s3.put_object(Bucket=w.bucket, Key=f"{self.folder}/")
        self.list = w.lines(self.name, w.names(self.folder + "/", self.number(w)))
        self.files = self.number(w) if self.writers == 1 else 0

    def fresh(self, w, c):
        c.sh("ls", self.folder)

    def limit(self, w, n):
        return None if self.writeback else [[w.limit("puts", self.list, self.size, self.writers)]]

    def run(self, w, c):
        return c.load("create", self.folder, self.number(w), self.size, self.writers)

    def check(self, w, c):
        assert len(c.sh("ls", "-U", self.folder).split()) == self.number(w), "files are missing"

    def after(self, w):
        w.near("each", self.list, 32, self.size)


class Huge(Workload):
    """A change of a large object: its bytes stay in the server, which copies them."""
    group, opaque, same_connections, connections = "change", True, False, 8

    def gib(self, w):
        return w.pick(1, 10, 10)

    def prepare(self, w):
        w.big("gib", 1 << 30)
        self.size = self.gib(w) << 30

    def make(self, w):
        self.key = w.unique()
        w.near("repeat", self.key, 1 << 30, "gib", self.gib(w))
        self.before = self.etag(w)

    def fresh(self, w, c):
        c.sh("stat", self.key)

    def stored(self, w, c):
        """Of those whose close does not wait for the server, the time until it has the new version."""
        bed.poll(lambda: c.cut or not c.late or self.etag(w) != self.before, "the new version", 600)

    def etag(self, w):
        return w.s3.head_object(Bucket=w.bucket, Key=self.key)["ETag"]

    def piece(self, w, start, data):
        got = w.s3.get_object(Bucket=w.bucket, Key=self.key, Range=f"bytes={start}-{start + len(data) - 1}")
        assert got["Body"].read() == data, f"wrong bytes at {start}"

    def original(self, w, start, length):
        """Of the object that it is a repetition of."""
        return w.s3.get_object(Bucket=w.bucket, Key="gib", Range=f"bytes={start}-{start + length - 1}")["Body"].read()

    def after(self, w):
        start, data = self.changed(w)
        margin = 64 << 10
        self.piece(w, start, data)
        self.piece(w, start - margin, self.original(w, (start - margin) % (1 << 30), margin))
        self.piece(w, 0, self.original(w, 0, MIB))
        if start < self.size:
            end = start + len(data)
            self.piece(w, end, self.original(w, end % (1 << 30), margin))
            self.piece(w, self.size - MIB, self.original(w, (1 << 30) - MIB, MIB))
        size = w.s3.head_object(Bucket=w.bucket, Key=self.key)["ContentLength"]
        assert size == max(self.size, start + len(data)), f"{size} bytes"
        w.s3.delete_object(Bucket=w.bucket, Key=self.key)


class Patch(Huge):
    name, rtts = "patch4k", (20,)
    help = "4 KiB changed in the middle of 10 GiB, with close"

    def changed(self, w):
        return self.size // 2 + 12345, b"p" * 4096

    def limit(self, w, n):
        return [[w.limit("patch", self.key, self.size, self.size // 2 + 12345)]]

    def run(self, w, c):
        start, data = self.changed(w)
        c.sh("dd", "if=/dev/stdin", f"of={self.key}", "bs=4096", "conv=notrunc", "status=none",
             f"seek={start}", "oflag=seek_bytes", stdin=data)
        self.stored(w, c)


class Append(Huge):
    name, rtts = "append1m", (20,)
    help = "1 MiB appended to 1 GiB, with close"

    def gib(self, w):
        return 1

    def changed(self, w):
        return self.size, b"a" * MIB

    def limit(self, w, n):
        return [[w.limit("append", self.key, self.size, MIB)]]

    def run(self, w, c):
        c.sh("dd", "if=/dev/stdin", f"of={self.key}", "bs=1M", "iflag=fullblock", "conv=notrunc", "oflag=append",
             "status=none", stdin=self.changed(w)[1])
        self.stored(w, c)


class Copy(Huge):
    name, rtts = "cp", (20,)
    help = "cp of 1 GiB inside the mount"

    def gib(self, w):
        return 1

    def limit(self, w, n):
        return [[w.limit("copy", w.lines(self.name, [f"{self.key} {self.key}.copy"]), 1)]]

    def run(self, w, c):
        c.sh("cp", self.key, f"{self.key}.copy")
        bed.poll(lambda: c.cut or not c.late or self.there(w), "the copy", 600)

    def there(self, w):
        try:
            return w.s3.head_object(Bucket=w.bucket, Key=f"{self.key}.copy")["ContentLength"] == self.size
        except botocore.exceptions.ClientError:
            return False

    def after(self, w):
        copy, self.key = self.key, f"{self.key}.copy"
        for start in range(0, 1 << 30, 128 * MIB):
            self.piece(w, start, self.original(w, start, MIB))
        size = w.s3.head_object(Bucket=w.bucket, Key=self.key)["ContentLength"]
        assert size == self.size, f"{size} bytes"
        w.s3.delete_object(Bucket=w.bucket, Key=copy)
        w.s3.delete_object(Bucket=w.bucket, Key=self.key)


ALL = [Write(1), Write(8), Write(1, "write1_4k", 4096, rtts=(0,)), Create(1), Create(64), Create(1, writeback=True),
       Patch(), Append(), Copy()]
