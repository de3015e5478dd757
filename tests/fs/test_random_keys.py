#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 200
# modes: none
"""Keys as other tools may write them, made at random: each is one file of the mount, with its content,
under a name from which the key follows, and no name comes twice.

    test_random_keys.py [--seed N] [--keys N]"""
import argparse
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted

COMPONENTS = ["", "", ".", "..", "a", "b", "a%", "%@", "%@a", "%@=a", "%@a%file", "%41", " ", "\t", "a b",
              "new\nline", "\u00e9", "\u65e5\u672c", "\U0001f5d1", "a" * 255, "a" * 256, "\u00e9" * 128,
              "x" * 300 + "1", "x" * 300 + "2", "a.lock", "-rf", "$HOME", "*", "\\", "~", "a+b", "a&b",
              "lock", "%2F", "%@" + "y" * 260,
              # around '/' in the order of keys, and where servers that sort by UTF-16 differ
              "a-", "a-b", "a.", "a.b", "a0", "a\x7f", "a!", "-", "/", "0", "a\x01", "\x7f", "\ue000", "\ufffd",
              "a\uffee", "\uffff", "a\uffff", "\U0010ff01", "a\U0001f5d1", "\U0010ffff", "a\U00010000", "a\ud7ff", "\u0080", "b\u00ff"]


def random_key(r):
    """Some are markers of directories: '/' at the end."""
    while True:
        n = r.choice((1, 1, 2, 2, 3, 4))
        parts = [r.choice(COMPONENTS) if r.random() < 0.8 else
                 "".join(chr(r.choice((37, 64, 43, 61, 97, 46, 0xE9, 0x4E2D))) for _ in range(r.randint(1, 6)))
                 for _ in range(n)]
        key = "/".join(parts)
        if r.random() < 0.1:
            key += "/"
        if key and len(key.encode()) <= 900:
            return key


def directories(keys):
    """The prefixes that are directories of the mount."""
    return {key[:n + 1] for key in keys for n, c in enumerate(key) if c == "/"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1, help="0: a random one")
    parser.add_argument("--keys", type=int, default=300)
    options = parser.parse_args()
    options.seed = options.seed or random.SystemRandom().randrange(10**6)
    print("seed", options.seed)
    r = random.Random(options.seed)
    bed = mounted.Bed()
    try:
        bucket = bed.bucket()
        # What XML cannot hold is there in any case.
        keys = sorted({random_key(r) for _ in range(options.keys)} | {"d\uffff/\uffff", "d\x01/\x01", "d\uffff/x"})
        want = {}
        for n, key in enumerate(keys):
            body = b"" if key.endswith("/") else b"%d" % n
            bed.s3.put_object(Bucket=bucket, Key=key, Body=body)
            if body:
                want[body] = key
        n_folders = len(directories(keys))
        mount = bed.mount(bucket=bucket)
        found, paths, folders = {}, set(), set()
        for folder, below, names in os.walk(os.fsencode(mount.path)):
            folders.update(os.path.join(folder, name) for name in below)
            for name in names:
                path = os.path.join(folder, name)
                assert path not in paths, f"twice: {path}"
                paths.add(path)
                with open(path, "rb") as f:
                    body = f.read()
                assert body in want, f"{path}: content of no key"
                assert body not in found, f"{want[body]!r}: at {found.get(body)} and {path}"
                found[body] = path
        missing = [want[b] for b in want if b not in found]
        assert not missing, f"not reached: {missing[:5]} ({len(missing)})"
        assert len(folders) == n_folders, f"{len(folders)} directories, not {n_folders}"
        mount.unmount()
        # The same names whatever the pages are, for find (a walk), ls -l and ls of each directory alone.
        for page_keys in (1, r.randint(2, 20)) if bed.kind == "s3d" else ():
            bed.s3d("POST", f"settings?page-keys={page_keys}")
            mount.mount()
            walked = subprocess.run(["find", os.fsencode(mount.path), "-mindepth", "1", "-printf", r"%p\0%y%s\0"],
                                    stdout=subprocess.PIPE, check=True).stdout.split(b"\0")[:-1]
            told = dict(zip(walked[::2], walked[1::2]))
            assert set(told) == paths | folders, f"find, pages of {page_keys}: {set(told) ^ (paths | folders)}"
            assert {path for path in told if told[path][:1] == b"d"} == folders, "types of find"
            assert all(int(told[path][1:]) == len(body) for body, path in found.items()), "sizes of find"
            mount.unmount()
            mount.mount()
            parents = {os.path.dirname(path) for path in paths}
            for folder in r.sample(sorted(parents), min(20, len(parents))):
                names = {os.path.join(folder, e.name) for e in os.scandir(folder) if e.is_file(follow_symlinks=False)}
                assert names == {p for p in paths if os.path.dirname(p) == folder}, f"{folder}, pages of {page_keys}"
            mount.unmount()
        if bed.kind == "s3d":
            bed.s3d("POST", "settings?page-keys=1000")
        # And one by one, without a listing before, in a mount that has seen nothing.
        mount.mount()
        for body, path in r.sample(sorted(found.items()), min(60, len(found))):
            with open(path, "rb") as f:
                assert f.read() == body, f"{path} is not {want[body]!r}"
        # What is removed under its name is that key and no other.
        gone = r.sample(sorted(found), min(40, len(found)))
        for body in gone:
            os.unlink(found[body])
        left = {o["Key"] for page in bed.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
                for o in page.get("Contents", [])}
        left = {k for k in left if not k.endswith("/")}
        assert left == {want[b] for b in want if b not in gone}, "another key was removed, or none"
        mount.unmount()
    except AssertionError as e:
        print(e)
        return 1
    finally:
        bed.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
