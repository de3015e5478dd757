#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random operations on a mount and on a local folder in lockstep: each result (value or errno) is
compared, every 40 steps and at the end the whole tree, after a last remount also what boto3 sees.

    model.py [--seed N] [--seeds K] [--steps N] [--profile basic|full] [--faults] [--foreign]
             [--kill [any|synced]] [-o OPTION]... [--shrink SECONDS] [--replay FILE|-]
    model.py --dirs A B ...     two folders in place of a mount: for the test of the test

A difference is printed with the sequence that led to it, made as short as the time given allows;
--replay runs such a list again. The environment is that of lib/mounted.py. Exit status 0: all equal."""
import argparse
import ast
import errno
import os
import random
import shutil
import stat
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import confine  # pylint: disable=wrong-import-position
import generate  # pylint: disable=wrong-import-position
import ops  # pylint: disable=wrong-import-position

MIB = 1 << 20
PART_SIZE = 5 * MIB
CHECK_EVERY = 40
FAULTS_EVERY = 25
# An operation that takes longer hangs: the daemon is killed so that the test can go on.
HANG_SECONDS = 120

# What no version does: the errno that it answers with, and nothing is altered.
UNSUPPORTED = {"basic": {"link": "EPERM"}, "full": {"link": "EPERM"}}


class Difference(Exception):
    pass


def show(op):
    return "    " + repr(op) + ","


class FolderTarget:
    """In place of a mount."""

    def __init__(self, root):
        self.root = root

    def fresh(self):
        shutil.rmtree(self.root, ignore_errors=True)
        os.mkdir(self.root)

    def remount(self):
        pass

    def kill(self):
        pass

    def kill_and_mount(self):
        pass

    def verify_bucket(self, local):
        pass

    def faults(self, rules):
        pass

    def log(self):
        return ""


class MountTarget:
    """A mount of a bucket of its own for each sequence."""

    def __init__(self, options):
        import mounted  # pylint: disable=import-outside-toplevel
        self.mounted = mounted
        self.bed = mounted.Bed()
        self.options = options
        self.mount = None
        self.root = None
        self.shrinking = False

    def fresh(self):
        if self.mount:
            self.mount.kill()
            if self.shrinking:  # hundreds of logs; what they say is in the report
                os.unlink(self.mount.log)
        self.faults([])
        self.mount = self.bed.mount(*self.options, name=f"mnt{self.bed.n_buckets + 1}")
        self.root = self.mount.path

    def remount(self):
        self.unmount()
        try:
            self.mount.mount()
        except AssertionError as e:
            raise Difference(str(e)) from None

    def kill(self):
        self.mount.kill()

    def kill_and_mount(self):
        self.mount.kill()
        try:
            self.mount.mount()
        except AssertionError as e:
            raise Difference(str(e)) from None

    def unmount(self):
        try:
            self.mount.unmount()
        except AssertionError as e:
            raise Difference(str(e)) from None

    def log(self):
        return self.mounted.tail(self.mount.log)

    def faults(self, rules):
        if self.bed.kind == "s3d":
            self.bed.s3d("DELETE", "faults")
            if rules:
                self.bed.s3d("POST", "faults", "\n".join(rules))

    # ---- boto3's view ----

    def put(self, name, data):
        self.bed.s3.put_object(Bucket=self.mount.bucket, Key=key_of(name), Body=data)

    def delete(self, name):
        self.bed.s3.delete_object(Bucket=self.mount.bucket, Key=key_of(name))

    def has_marker(self, folder):
        keys = self.bed.s3.list_objects_v2(Bucket=self.mount.bucket, Prefix=key_of(folder) + "/",
                                           MaxKeys=1).get("Contents", [])
        return bool(keys) and keys[0]["Key"] == key_of(folder) + "/"

    def keys(self):
        pages = self.bed.s3.get_paginator("list_objects_v2").paginate(Bucket=self.mount.bucket)
        return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}

    def verify_bucket(self, local):
        """One object per file with its bytes, nothing but markers beside them, no upload left."""
        keys = self.keys()
        problems = []
        for name, value in local.tree().items():
            key = key_of(name)
            if value["kind"] == "dir":
                if not any(k.startswith(key + "/") for k in keys):
                    problems.append(f"no object stands for the directory {name!r}")
                keys.pop(key + "/", None)
                continue
            size = keys.pop(key, None)
            if size is None:
                problems.append(f"no object {key!r}")
                continue
            if value["kind"] != "file":
                continue
            body = self.bed.s3.get_object(Bucket=self.mount.bucket, Key=key)["Body"].read()
            if ops.digest(body) != value["content"] or size != value["size"]:
                problems.append(f"object {key!r} is {ops.digest(body)}, the file {value['content']}")
        problems += [f"an object too many: {k!r}" for k in keys if k != ".pailfs-root"]
        uploads = self.bed.s3.list_multipart_uploads(Bucket=self.mount.bucket).get("Uploads", [])
        problems += [f"an unfinished upload of {u['Key']!r}" for u in uploads]
        if problems:
            raise Difference("boto3 sees another tree:\n  " + "\n  ".join(problems[:20]))


def key_of(name):
    """The object of a file (src/meta/names.h): only names that are not UTF-8, or that look like
    escaped ones, are spelled otherwise."""
    def component(base):
        raw = os.fsencode(base)
        try:
            raw.decode()
            if not base.startswith("%@"):
                return base
        except UnicodeDecodeError:
            pass
        text = raw.decode("utf-8", "surrogateescape").replace("%", "%25")
        return "%@=" + "".join(f"%{ord(c) & 0xff:02X}" if "\udc80" <= c <= "\udcff" else c
                               for c in text)
    return "/".join(component(base) for base in name.split("/"))


class Run:
    """One sequence, from two empty trees."""

    def __init__(self, target, local_root, options):
        self.target, self.options = target, options
        self.full = options.profile == "full"
        self.unsupported = {} if options.dirs else UNSUPPORTED[options.profile]
        shutil.rmtree(local_root, ignore_errors=True)
        os.mkdir(local_root)
        # As a bucket's root looks without options.
        os.chmod(local_root, 0o755)
        target.fresh()
        self.local = ops.Side(local_root)
        self.mount = ops.BROKEN.get(options.broken, ops.Side)(target.root)
        self.open_paths = {}  # slot -> path
        self.done = []

    # ---- what must not be asked for ----

    def opened(self, name):
        """Whether a descriptor stands for it or for something below."""
        return any(p == name or p.startswith(name + "/") for p in self.open_paths.values())

    def allowed(self, op):
        kind = op[0]
        if kind in ("unlink", "rmdir") and not self.full:
            return not self.opened(op[1])
        if kind in ("rename", "renameat2") and not self.full:
            return not self.opened(op[1]) and not self.opened(op[2])
        # The size of a directory, and what it is good for, is each filesystem's own affair.
        if kind in ("seek", "mmap_read", "mmap_write"):
            return op[1] not in self.open_paths or os.path.isfile(
                f"/proc/self/fd/{self.local.fds[op[1]]}")
        if kind == "copy_range" and op[1] in self.open_paths:  # overlapping ranges of one file
            return self.open_paths[op[1]] != self.open_paths.get(op[3])
        if kind in ("foreign_put", "foreign_delete"):
            return self.foreign_allowed(op)
        return True

    def foreign_allowed(self, op):
        """Somebody else makes or replaces a file, or removes one whose directory stays."""
        name = op[1]
        parent = os.path.dirname(name)
        path = self.local.path(name)
        if self.opened(name) or not os.path.isdir(self.local.path(parent)) or os.path.isdir(path):
            return False
        if op[0] == "foreign_put":
            return True
        return os.path.isfile(path) and (
            not parent or len(os.listdir(self.local.path(parent))) > 1 or
            self.target.has_marker(parent))

    # ---- one step ----

    def timed(self, op):
        def hang():
            print(f"model: {op!r} takes longer than {HANG_SECONDS} s, the daemon is killed",
                  flush=True)
            self.target.kill()
        timer = threading.Timer(HANG_SECONDS, hang)
        timer.start()
        try:
            return self.mount.run(op)
        finally:
            timer.cancel()

    def step(self, op):
        if not self.allowed(op):
            return
        self.done.append(op)
        kind = op[0]
        if hasattr(self, "do_" + kind):
            getattr(self, "do_" + kind)(*op[1:])
            return
        if kind in self.unsupported:
            self.step_unsupported(op, self.unsupported[kind])
            return
        got = self.timed(op)
        want = self.local.run(op)
        if got != want:
            raise Difference(f"{op!r}\n  on the mount: {got}\n  locally:      {want}")
        if got[0] == "ok":
            self.track(op)

    def step_unsupported(self, op, announced):
        """On the mount alone. Whatever the kernel finds wrong with the names comes first."""
        got = self.timed(op)
        if got[0] != "error":
            raise Difference(f"{op!r}\n  on the mount: {got}\n  announced:    {announced}")
        if got[1] == announced:
            return
        want = self.local.run(op)
        if got != want:
            raise Difference(f"{op!r}\n  on the mount: {got}\n  locally:      {want}")

    def track(self, op):
        kind = op[0]
        if kind == "open":
            self.open_paths[op[1]] = op[2]
        elif kind == "close":
            self.open_paths.pop(op[1], None)
        elif kind == "dup":
            self.open_paths[op[2]] = self.open_paths[op[1]]
        elif kind in ("rename", "renameat2"):
            there, back = op[1], op[2]
            exchange = kind == "renameat2" and op[3] == ops.RENAME_EXCHANGE
            for slot, path in self.open_paths.items():
                for a, b in ((there, back), (back, there)) if exchange else ((there, back),):
                    if path == a or path.startswith(a + "/"):
                        self.open_paths[slot] = b + path[len(a):]
                        break

    # ---- steps that are no system call ----

    def do_close_all(self):
        for slot in sorted(self.open_paths):
            got, want = self.timed(("close", slot)), self.local.run(("close", slot))
            if got != want:
                raise Difference(f"close of slot {slot} ({self.open_paths[slot]!r})\n"
                                 f"  on the mount: {got}\n  locally:      {want}")
        self.open_paths.clear()

    def do_remount(self):
        self.do_close_all()
        self.target.remount()

    def do_kill(self):
        """All that was answered is in the store, or will be there after the next mount."""
        self.do_close_all()
        if self.options.kill == "synced":
            for name in self.local.tree():
                self.settle(name)
            self.settle("")
        self.target.kill_and_mount()
        # What was noted is finished beside the first operations of the new mount.
        end = time.monotonic() + 60
        while True:
            try:
                self.do_check()
                if (got := self.mount.run(("stat", ""))) != (want := self.local.run(("stat", ""))):
                    raise Difference(f"the root\n  on the mount: {got}\n  locally:      {want}")
                return
            except Difference:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def do_check(self):
        timer = threading.Timer(HANG_SECONDS, self.target.kill)
        timer.start()
        try:
            got = self.mount.tree()
        except OSError as e:
            raise Difference(f"the tree cannot be listed: {e}") from None
        finally:
            timer.cancel()
        compare_trees(got, self.local.tree())

    def do_bucket(self):
        self.do_close_all()
        self.target.unmount()
        self.target.verify_bucket(self.local)

    def do_faults(self, rules):
        self.target.faults(rules)

    def settle(self, name):
        """Attributes that were changed here a moment ago are stored before somebody else comes."""
        try:
            fd = os.open(self.mount.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            os.fsync(fd)
        except OSError as e:
            if e.errno != errno.EINVAL:  # a FIFO
                raise
        finally:
            os.close(fd)

    def do_foreign_put(self, name, length, seed):
        self.settle(name)
        data = ops.content(length, seed)
        path = self.local.path(name)
        self.target.put(name, data)
        new = self.local.root + ".new"
        with open(new, "wb") as f:
            f.write(data)
        os.chmod(new, 0o644)
        os.rename(new, path)

    def do_foreign_delete(self, name):
        self.settle(name)
        self.target.delete(name)
        os.unlink(self.local.path(name))

    # ---- the end ----

    def finish(self):
        last = [("close_all",), ("faults", []), ("check",), ("remount",), ("check",)]
        if isinstance(self.target, MountTarget):
            last.append(("bucket",))
        for op in last:
            self.step(op)

    def abandon(self):
        self.mount.close_all()
        self.local.close_all()


def compare_trees(got, want):
    problems = [f"only on the mount: {n!r}: {got[n]}" for n in sorted(set(got) - set(want))]
    problems += [f"only in the folder: {n!r}: {want[n]}" for n in sorted(set(want) - set(got))]
    for name in sorted(set(got) & set(want)):
        there = dict(got[name]) if isinstance(got[name], dict) else got[name]
        # A new child moves the time of its directory; in S3 that is not worth a request.
        if isinstance(there, dict) and there["kind"] == "dir" and "mtime" not in want[name]:
            there.pop("mtime", None)
        if there != want[name]:
            problems.append(f"{name!r}\n    on the mount: {there}\n    locally:      {want[name]}")
    if problems:
        raise Difference("the trees differ:\n  " + "\n  ".join(problems[:20]))


def fault_rules(rnd):
    """At most five strikes on an operation: one request, sent six times, gets through."""
    rules = []
    operations = ["GetObject", "PutObject", "HeadObject", "ListObjectsV2", "CopyObject",
                  "DeleteObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy",
                  "CompleteMultipartUpload"]
    for operation in rnd.sample(operations, rnd.randrange(1, 5)):
        actions = ["status:503:SlowDown", "status:500:InternalError", "reset", "lost-answer"]
        if operation == "GetObject":
            actions += ["cut:0", "cut:1000", "cut:100000"]
        elif operation == "ListObjectsV2":
            actions += ["cut:300"]
        elif operation in ("CopyObject", "CompleteMultipartUpload", "UploadPartCopy"):
            actions += ["200-error:InternalError"]
        rules.append(f"op={operation} after={rnd.randrange(4)} every={rnd.randrange(1, 6)} "
                     f"count={rnd.randrange(1, 6)} action={rnd.choice(actions)}")
    return rules


def random_run(target, options, seed):
    """None, or (difference, operations, log)."""
    rnd = random.Random(seed)
    run = Run(target, options.local, options)
    generator = generate.Generator(rnd, options.profile, options.local, options.foreign,
                                   small=MIB, kill=options.kill)
    steps = 0
    try:
        while steps < options.steps:
            batch = generator.next()
            if options.faults and steps % FAULTS_EVERY == 0:
                batch = [("faults", fault_rules(rnd))] + batch
            if steps % CHECK_EVERY == CHECK_EVERY - 1:
                batch.append(("check",))
            for op in batch:
                run.step(op)
            steps += 1
        run.finish()
    except Difference as e:
        return str(e), run.done, target.log()
    except OSError as e:
        return f"model: {e!r}", run.done, target.log()
    finally:
        run.abandon()
    return None


def replay(target, options, sequence):
    run = Run(target, options.local, options)
    try:
        for op in sequence:
            run.step(op)
        run.finish()
    except Difference as e:
        return str(e), run.done, target.log()
    except OSError as e:
        return f"model: {e!r}", run.done, target.log()
    finally:
        run.abandon()
    return None


def shrink(target, options, found):
    """Leaves out halves, quarters, ... and single operations as long as there is a difference."""
    end = time.monotonic() + options.shrink
    best = found
    size = max(1, len(best[1]) // 2)
    while time.monotonic() < end:
        at, shorter = 0, False
        while at < len(best[1]) and time.monotonic() < end:
            attempt = replay(target, options, best[1][:at] + best[1][at + size:])
            if attempt and len(attempt[1]) < len(best[1]):
                best, shorter = attempt, True
            else:
                at += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return best


def report(title, found):
    difference, sequence, log = found
    print(f"{title}\n{difference}\n{len(sequence)} operations:\n[")
    print("\n".join(show(op) for op in sequence))
    print("]")
    if log:
        print("the end of the mount's log:\n" + log)
    print(f"once more, what differed:\n{difference}")
    sys.stdout.flush()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="the first one; default: random")
    parser.add_argument("--seeds", type=int, default=1, help="as many, counting up")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--profile", choices=("basic", "full"), default="basic")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--kill", nargs="?", const="any", choices=("any", "synced"),
                        help="kill -9 in between; synced: after an fsync of everything")
    parser.add_argument("-o", action="append", default=[], help="options of the mount")
    parser.add_argument("--shrink", type=float, default=60, help="seconds")
    parser.add_argument("--replay", metavar="FILE")
    parser.add_argument("--dirs", nargs=2, metavar="FOLDER")
    parser.add_argument("--break", dest="broken", choices=tuple(ops.BROKEN),
                        help="with --dirs: the first folder gets this wrong")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    options.local = options.dirs[1] if options.dirs else os.path.join(
        os.environ.get("SCRATCH", "/tmp"), "local")
    return options


def main():
    options = parse_arguments()
    os.umask(0o022)
    if options.dirs:
        if os.environ.get("SCRATCH"):
            confine.enter()
        target = FolderTarget(options.dirs[0])
    else:
        settings = [f"part_size={PART_SIZE // MIB}M", *options.o]
        if options.foreign:
            settings.append("metadata_ttl=0,negative_ttl=0")
        if options.faults:
            settings.append("retries=5")
        target = MountTarget(settings)
    status = 0
    try:
        if options.replay:
            with open(0 if options.replay == "-" else options.replay) as f:
                text = f.read()
            found = replay(target, options, ast.literal_eval(text))
            if found:
                report("a difference:", found)
                status = 1
            return status
        for seed in range(options.seed, options.seed + options.seeds):
            begin = time.monotonic()
            found = random_run(target, options, seed)
            print(f"seed {seed}, {options.steps} steps, profile {options.profile}"
                  f"{''.join(', ' + k for k in ('faults', 'foreign', 'kill') if vars(options)[k])}: "
                  f"{'DIFFERS' if found else 'equal'}, {time.monotonic() - begin:.1f} s", flush=True)
            if found:
                status = 1
                report("before shortening:", (found[0], found[1][-6:], ""))
                if options.shrink > 0:
                    target.shrinking = True
                    found = shrink(target, options, found)
                    target.shrinking = False
                report("shortened:", found)
    finally:
        if isinstance(target, MountTarget):
            target.bed.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
