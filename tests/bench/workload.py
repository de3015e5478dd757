# SPDX-License-Identifier: Apache-2.0
"""What every workload has: sizes, the bucket as it is filled, and the steps of a trial.

Steps, in this order (near: the server is not at its distance, and nothing is timed):
  prepare(w)      near, once for a server: the objects
  make(w)         near, before each trial, the limit's too: what the trial consumes
  fresh(w, c)     in the mount c at its distance, untimed
  (remount        the mount is ended and begun anew, with its local state, where `remount` says so)
  run(w, c)       timed; returns seconds where a program has measured them itself
  check(w, c)     near, in the mount, untimed: is what it did right?
  after(w)        near, the mount is gone: is it right in the bucket?
limit(w, n) gives the limit program's commands for n connections: a list of stages, each a list of commands that run at
the same time; None where nothing needs to be sent.
"""
import os
import subprocess

MIB = 1 << 20
PART = 8 * MIB
QUICK, DEFAULT, FULL = range(3)


class World:
    """One server: where its bucket is, and what has been put there already."""

    def __init__(self, level, folder, build, server, bucket, s3):
        self.level, self.folder, self.server, self.bucket, self.s3 = level, folder, server, bucket, s3
        self.program = f"{build}/tests/bench/limit"
        self.sizes, self.lists, self.serial = {}, {}, 0
        self.timeline = os.path.join(folder, "timeline")

    def pick(self, quick, default, full):
        return (quick, default, full)[self.level]

    def limit(self, *args):
        return [self.program, *map(str, args)]

    def near(self, *args):
        """The limit program without distance: fills, looks, compares."""
        r = subprocess.run(self.limit(*args), env=self.server.environment(self.bucket, near=True), check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if r.returncode:
            raise AssertionError(f"limit {args[0]}: {r.stderr.decode(errors='replace')[-300:].strip()}")

    def big(self, name, size):
        if self.sizes.get(name) != size:
            self.near("put", 8, PART, name, size)
            self.sizes[name] = size
        return name, size

    def names(self, prefix, n):
        return [f"{prefix}{i:06}" for i in range(n)]

    def many(self, prefix, n, size):
        """The keys prefix000000 ... , of that size each."""
        if prefix not in self.lists:
            self.put_all(self.names(prefix, n), size)
            self.lists[prefix] = self.names(prefix, n)
        return self.lists[prefix]

    def put_all(self, keys, size):
        self.near("puts", self.lines("fill", keys), size, 32)

    def lines(self, name, lines):
        path = os.path.join(self.folder, f"{name}.list")
        with open(path, "w") as f:
            f.write("".join(f"{line}\n" for line in lines))
        return path

    def unique(self):
        self.serial += 1
        return f"u{self.serial:05}"

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [(o["Key"], o["Size"]) for p in pages for o in p.get("Contents", ())]


class Workload:
    name, help, group = "", "", ""
    rtts = (0, 20)       # where it is run unless --rtt says it
    options = {}         # by contender: what it is mounted with
    needs = None         # an option of pailfs without which there is nothing to measure
    alone = False        # pailfs and the limit only
    durable = False      # what was written is in the server at the end
    near_fresh = False   # `fresh` is done near: a lot to set up
    remount = False
    warm = False         # the page cache is not dropped
    faults = ()          # rules for s3d while it runs
    opaque = False       # s3d gives ETags that are no MD5: its copies then cost no reading
    connections = 32     # of the limit, unless those of pailfs are known
    same_connections = True
    bytes = 0            # moved, for s/GB
    files = 0            # for RTTs per file
    pages = 0            # of a listing of it all
    timelines = False

    def prepare(self, w):
        pass

    def make(self, w):
        pass

    def fresh(self, w, c):
        pass

    def limit(self, w, n):
        return None

    def run(self, w, c):
        raise NotImplementedError

    def check(self, w, c):
        pass

    def after(self, w):
        pass
