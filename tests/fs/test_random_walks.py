#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 120
# modes: none
"""Walks of random trees, several side by side, from the top and from the middle, while another host stores and
removes keys between the pages: what is there all the time is seen exactly once by each walk, what comes or goes at
most once, and nothing else. Each key has a size of its own, by which a walk's line is known to be that key.

    test_random_walks.py [--seed N] [--keys N]"""
import argparse
import concurrent.futures
import os
import random
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted

COMPONENTS = ["", ".", "..", "a", "b", "c", "a-", "a.", "a0", "a!", "a b", "%@", "%@a", "%2F", "%", "\t", "x\ny", "-",
              "\u00e9", "\ue000", "\uff21", "\U0001f5d1", "\ud7ff", "n" * 255, "n" * 256, "\u00e9" * 127, "z" * 400]
PASSING = 100000  # sizes from there on: of keys that come and go


def random_key(r, few):
    depth = r.choice((1, 2, 2, 3, 4, 5, 6)) if r.random() < 0.95 else r.randint(10, 40)
    parts = [r.choice(few) if r.random() < 0.7 else r.choice(COMPONENTS) for _ in range(depth)]
    key = "/".join(parts)
    if r.random() < 0.3:
        key += "%d" % r.randrange(60)
    if r.random() < 0.02:  # as long as keys may be
        key += "/" * (r.random() < 0.5) + "k" * 1024
    key = key.encode()[:1024].decode(errors="ignore")
    return key + "/" if r.random() < 0.05 and len(key.encode()) < 1024 else key


def random_keys(r, n):
    few = r.sample(COMPONENTS, 6)
    keys = {random_key(r, few) for _ in range(n)}
    big = "/".join(r.sample(few, 2)) + "/"  # a directory of many pages, and one of many small directories
    keys |= {"%sn%04d" % (big, i) for i in range(n // 4)} | {"many/d%03d/f" % i for i in range(n // 4)}
    return sorted(k for k in keys if k and not k.startswith("/.pailfs") and len(k.encode()) <= 1024)


def find(top):
    """[(path below top, None for a directory or its size)]"""
    p = subprocess.run(["find", os.fsencode(top), "-mindepth", "1", "-printf", r"%P\0%y%s\0"], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, check=False)
    words = p.stdout.split(b"\0")[:-1]
    return [(path, None if t[:1] == b"d" else int(t[1:])) for path, t in zip(words[::2], words[1::2])], p


def directories(keys):
    return {key[:n + 1] for key in keys for n, c in enumerate(key) if c == "/"}


class Check:
    def __init__(self, sizes):
        self.sizes = sizes
        self.stable = {size: key for key, size in sizes.items() if size < PASSING and not key.endswith("/")}
        self.passing = {size for size in sizes.values() if size >= PASSING}
        self.folders = {}  # the path of each prefix, as the first walk shows it

    def walk(self, what, lines, top=b"", prefix=""):
        seen, paths = {}, set()
        for path, size in lines:
            assert path not in paths, f"{what}: twice: {path}"
            paths.add(path)
            if size is None:
                continue
            assert size not in seen, f"{what}: {self.stable.get(size)!r} at {seen[size]} and {path}"
            assert size in self.stable or size in self.passing, f"{what}: {path} of {size} bytes is no key"
            seen[size] = path
        for size, key in self.stable.items():
            if not key.startswith(prefix):
                continue
            assert size in seen, f"{what}: {key!r} is missing"
            full = (top + b"/" if top else b"") + seen[size]
            assert full.count(b"/") == key.count("/"), f"{what}: {key!r} at {full}"
            folder = self.folders.setdefault(key[:key.rfind("/") + 1], os.path.dirname(full))
            assert folder == os.path.dirname(full), f"{what}: {key!r} in {full}, others in {folder}"
        # One directory of the mount is one of the keys, and the other way round.
        assert len(set(self.folders.values())) == len(self.folders), f"{what}: two directories under one name"
        return paths


class Host(threading.Thread):
    """Another host: stores and removes the passing keys until it is told to stop."""

    def __init__(self, bed, bucket, sizes, r):
        super().__init__()
        self.bed, self.bucket, self.r, self.ended = bed, bucket, r, threading.Event()
        self.keys = [(key, size) for key, size in sizes.items() if size >= PASSING]
        self.start()

    def run(self):
        while not self.ended.is_set():
            key, size = self.r.choice(self.keys)
            if self.r.random() < 0.5:
                self.bed.s3.put_object(Bucket=self.bucket, Key=key, Body=b"x" * size)
            else:
                self.bed.s3.delete_object(Bucket=self.bucket, Key=key)

    def end(self):
        self.ended.set()
        self.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keys", type=int, default=240)
    options = parser.parse_args()
    print("seed", options.seed)
    r = random.Random(options.seed)
    bed = mounted.Bed()
    pool = concurrent.futures.ThreadPoolExecutor(8)
    try:
        bucket = bed.bucket()
        keys = random_keys(r, options.keys)
        sizes = {key: (0 if key.endswith("/") else n + 1) + PASSING * (r.random() < 0.15 and not key.endswith("/"))
                 for n, key in enumerate(keys)}
        list(pool.map(lambda key: bed.s3.put_object(Bucket=bucket, Key=key, Body=b"x" * sizes[key]), keys))
        check = Check(sizes)
        mount = bed.mount("ro", bucket=bucket)
        paths = check.walk("find", find(mount.path)[0])
        n_folders = sum(1 for _, size in find(mount.path)[0] if size is None)
        assert n_folders == len(directories(keys)), f"{n_folders} directories, not {len(directories(keys))}"
        mount.unmount()
        # The same names whatever the pages are, and whoever walks beside.
        for page_keys in (r.randint(2, 40), 1000):
            if bed.kind == "s3d":
                bed.s3d("POST", f"settings?page-keys={page_keys}")
            for changes in (False, True):
                mount.mount()
                prefix = r.choice(sorted(check.folders))
                middle = check.folders[prefix]
                other = Host(bed, bucket, sizes, random.Random(options.seed)) if changes else None
                try:
                    tops = [(b"", ""), (b"", ""), (middle, prefix)][:r.randint(1, 3)]
                    r.shuffle(tops)
                    walks = list(pool.map(lambda t: find(os.path.join(os.fsencode(mount.path), t[0])), tops))
                finally:
                    if other:
                        other.end()
                for (lines, p), (top, key) in zip(walks, tops):
                    what = f"find {top}, pages of {page_keys}{', keys come and go' * changes}"
                    got = check.walk(what, lines, top, key)
                    assert changes or p.returncode == 0, f"{what}: {p.stderr}"
                    assert changes or top or got == paths, f"{what}: {sorted(got ^ paths)[:5]}"
                mount.unmount()
                if changes:  # as it was
                    list(pool.map(lambda k: bed.s3.put_object(Bucket=bucket, Key=k[0], Body=b"x" * k[1]),
                                  [k for k in sizes.items() if k[1] >= PASSING]))
            if bed.kind != "s3d":
                break
    except AssertionError as e:
        print(e)
        return 1
    finally:
        bed.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
