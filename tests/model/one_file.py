#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random reads and writes of one file of some MB, compared with the bytes in memory at every step:
several descriptors, mmap, truncation, holes, copies within it, fsync, reopening, remounts, and with
--kill the end of the daemon at any time.

    one_file.py [--seed N] [--seeds K] [--steps N] [--size MIB] [--kill] [--without KIND,...]
                [-o OPTION]...

The same seed makes the same steps. The environment is that of lib/mounted.py."""
import argparse
import ctypes
import hashlib
import mmap
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]

import mounted  # pylint: disable=wrong-import-position

MIB = 1 << 20
PAGE = mmap.PAGESIZE
PART_SIZE = 5 * MIB
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
HANG_SECONDS = 120
LIBC = ctypes.CDLL(None, use_errno=True)
# kind -> how often
KINDS = {"write": 30, "append": 4, "read": 25, "mmap_read": 6, "mmap_write": 8, "shrink": 6, "grow": 5,
         "empty": 1, "truncate_path": 4, "punch": 6, "zero": 6, "allocate": 3, "copy": 5, "fsync": 5,
         "reopen": 6, "rewrite": 1, "stat": 4, "second": 3, "rename": 2, "touch": 2, "remount": 2,
         "kill": 2}


class Difference(Exception):
    pass


def fallocate(fd, mode, offset, length):
    ctypes.set_errno(0)
    if LIBC.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def where(got, want):
    """The first difference and how far it goes."""
    if len(got) != len(want):
        text = f"{len(got)} bytes in place of {len(want)}; "
    else:
        text = ""
    n = min(len(got), len(want))
    first = next((i for i in range(0, n, 4096) if got[i:i + 4096] != want[i:i + 4096]), None)
    if first is None:
        return text + "equal as far as both go"
    last = max(i for i in range(0, n, 4096) if got[i:i + 4096] != want[i:i + 4096])
    at = next(i for i in range(first, n) if got[i] != want[i])
    end = max(i for i in range(last, min(n, last + 4096)) if got[i] != want[i])
    wrong = sum(got[i:i + 4096] != want[i:i + 4096] for i in range(0, n, 4096))
    return text + (f"from {at} to {end}, in {wrong} pages, {bytes(got[at:at + 16]).hex()} in place of "
                   f"{bytes(want[at:at + 16]).hex()}")


class Run:
    def __init__(self, bed, options, seed):
        self.options, self.rnd, self.bed = options, random.Random(seed), bed
        self.limit = options.size * MIB
        self.mount = bed.mount(f"part_size={PART_SIZE // MIB}M", *options.o, name=f"mnt-{seed}")
        self.name = "file"
        self.want = bytearray()
        self.fd = os.open(self.path(), os.O_RDWR | os.O_CREAT, 0o644)
        self.others = []  # descriptors for reading
        self.since = None  # digests of what may be there after a kill: since the last fsync
        self.log = []
        self.weights = {k: w for k, w in KINDS.items() if k not in options.without.split(",")}
        if not options.kill:
            self.weights.pop("kill", None)
        self.committed()

    def path(self):
        return f"{self.mount.path}/{self.name}"

    def committed(self):
        self.since = [self.digest()]

    def digest(self):
        return hashlib.sha256(self.want).digest() if self.options.kill else None

    # ---- choices ----

    def offset(self, end):
        """Often where parts, pages or the file end."""
        r = self.rnd.random()
        if r < 0.25:
            near = self.rnd.choice([0, PART_SIZE, 2 * PART_SIZE, 3 * PART_SIZE, len(self.want)])
            return min(max(0, near + self.rnd.randrange(-5000, 5000)), end)
        if r < 0.4:
            return self.rnd.randrange(end // PAGE + 1) * PAGE
        return self.rnd.randrange(end + 1)

    def length(self):
        r = self.rnd.random()
        if r < 0.4:
            return self.rnd.randrange(1, 5000)
        if r < 0.6:
            return self.rnd.choice([1, PAGE, 2 * PAGE, 65536, 131072])
        if r < 0.95:
            return self.rnd.randrange(1, 400_000)
        return self.rnd.randrange(1, 7 * MIB)

    def data(self, n):
        return self.rnd.randbytes(n)

    # ---- the model ----

    def put(self, offset, data):
        if offset > len(self.want):
            self.want.extend(bytes(offset - len(self.want)))
        self.want[offset:offset + len(data)] = data

    def resize(self, size):
        if size < len(self.want):
            del self.want[size:]
        else:
            self.want.extend(bytes(size - len(self.want)))

    def compare(self, got, offset, what):
        want = self.want[offset:offset + len(got)]
        if got != want:
            raise Difference(f"{what} at {offset}: {where(got, want)}")

    def check(self):
        with open(self.path(), "rb") as f:
            got = f.read()
        if got != self.want:
            raise Difference(f"the whole file: {where(got, self.want)}")
        self.do_stat()

    # ---- steps ----

    def do_write(self):
        at, data = self.offset(self.limit), self.data(self.length())
        data = data[:self.limit - at + 1]
        self.log.append(f"write {len(data)} at {at} of {len(self.want)}")
        n = os.pwrite(self.fd, data, at)
        if n != len(data):
            raise Difference(f"{n} of {len(data)} bytes written")
        self.put(at, data)

    def do_append(self):
        data = self.data(self.length())
        if len(self.want) + len(data) > self.limit:
            return
        self.log.append(f"append {len(data)} to {len(self.want)}")
        fd = os.open(self.path(), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        self.want += data
        self.committed()

    def do_read(self):
        at, n = self.offset(len(self.want)), self.length()
        self.log.append(f"read {n} at {at} of {len(self.want)}")
        fd = self.rnd.choice([self.fd] + self.others)
        got = os.pread(fd, n, at)
        if len(got) != min(n, max(0, len(self.want) - at)):
            raise Difference(f"{len(got)} bytes read of {n} at {at} of {len(self.want)}")
        self.compare(got, at, "read")

    def mapped(self):
        """A range in whole pages from its beginning; None in an empty file."""
        if not self.want:
            return None
        at = self.rnd.randrange(len(self.want)) // PAGE * PAGE
        return at, min(self.length(), len(self.want) - at)

    def do_mmap_read(self):
        if (r := self.mapped()) is None:
            return
        self.log.append(f"mmap read {r[1]} at {r[0]} of {len(self.want)}")
        with mmap.mmap(self.fd, r[1], mmap.MAP_SHARED, mmap.PROT_READ, offset=r[0]) as m:
            self.compare(m[:], r[0], "mmap read")

    def do_mmap_write(self):
        if (r := self.mapped()) is None:
            return
        data = self.data(r[1])
        sync = self.rnd.random() < 0.5
        self.log.append(f"mmap write {r[1]} at {r[0]} of {len(self.want)}, {'m' if sync else 'no m'}sync")
        with mmap.mmap(self.fd, r[1], mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE,
                       offset=r[0]) as m:
            m[:] = data
            if sync:
                m.flush()
        self.put(r[0], data)

    def do_truncate(self, size):
        self.log.append(f"ftruncate {len(self.want)} to {size}")
        os.ftruncate(self.fd, size)
        self.resize(size)

    def do_shrink(self):
        self.do_truncate(self.offset(len(self.want)))

    def do_grow(self):
        self.do_truncate(min(self.limit, len(self.want) + self.length()))

    def do_empty(self):
        self.do_truncate(0)

    def do_truncate_path(self):
        size = min(self.offset(self.limit), self.limit)
        self.log.append(f"truncate {len(self.want)} to {size}")
        os.truncate(self.path(), size)
        self.resize(size)

    def punched(self, title, mode):
        at, n = self.offset(len(self.want)), self.length()
        if not mode & KEEP_SIZE:
            n = max(1, min(n, self.limit - at))
        self.log.append(f"{title} {n} at {at} of {len(self.want)}")
        fallocate(self.fd, mode, at, n)
        end = at + n if not mode & KEEP_SIZE else min(at + n, len(self.want))
        if end > at:
            self.put(at, bytes(end - at))

    def do_punch(self):
        self.punched("punch", PUNCH_HOLE | KEEP_SIZE)

    def do_zero(self):
        self.punched(*self.rnd.choice([("zero", ZERO_RANGE), ("zero, keep", ZERO_RANGE | KEEP_SIZE)]))

    def do_allocate(self):
        at, n = self.offset(len(self.want)), self.length()
        n = max(1, min(n, self.limit - at))
        mode = self.rnd.choice([0, KEEP_SIZE])
        self.log.append(f"allocate {n} at {at} of {len(self.want)}, mode {mode}")
        fallocate(self.fd, mode, at, n)
        if not mode:
            self.resize(max(len(self.want), at + n))

    def do_copy(self):
        if len(self.want) < 3:
            return
        n = min(self.length(), len(self.want) // 3)
        at = self.rnd.randrange(len(self.want) - 2 * n + 1)
        to = self.rnd.randrange(at + n, min(self.limit, len(self.want) + n) - n + 1)
        if self.rnd.random() < 0.5 and to + n <= len(self.want):
            at, to = to, at
        self.log.append(f"copy {n} from {at} to {to} of {len(self.want)}")
        done = 0
        while done < n:
            k = os.copy_file_range(self.fd, self.fd, n - done, at + done, to + done)
            if k == 0:
                raise Difference(f"copy_file_range ended after {done} of {n}")
            done += k
        self.put(to, bytes(self.want[at:at + n]))

    def do_fsync(self):
        self.log.append("fsync")
        self.rnd.choice([os.fsync, os.fdatasync])(self.fd)
        self.committed()

    def close(self):
        for fd in self.others + [self.fd]:
            os.close(fd)
        self.others = []
        self.fd = None

    def open(self, flags=0):
        self.fd = os.open(self.path(), os.O_RDWR | flags)

    def do_reopen(self):
        self.log.append("close, open")
        self.close()
        self.committed()
        self.open()
        if self.rnd.random() < 0.3:
            self.check()

    def do_rewrite(self):
        """As cp does."""
        self.log.append("close, write anew")
        self.close()
        self.want = bytearray(self.data(self.rnd.choice([0, 1000, PART_SIZE, 2 * PART_SIZE + 5])))
        with open(self.path(), "wb") as f:
            f.write(self.want)
        self.committed()
        self.open()

    def do_stat(self):
        sizes = (os.stat(self.path()).st_size, os.fstat(self.fd).st_size)
        if sizes != (len(self.want),) * 2:
            raise Difference(f"stat and fstat tell {sizes} of {len(self.want)} bytes")

    def do_second(self):
        if len(self.others) < 3:
            self.others.append(os.open(self.path(), os.O_RDONLY))
        else:
            os.close(self.others.pop())
            self.since.append(self.digest())

    def do_rename(self):
        self.log.append("rename")
        before = self.path()
        self.name = "other" if self.name == "file" else "file"
        os.rename(before, self.path())

    def do_touch(self):
        self.log.append("utimens")
        os.utime(self.path(), (1, 2))

    def do_remount(self):
        self.log.append("remount")
        self.close()
        self.mount.unmount()
        self.committed()
        self.mount.mount()
        self.open()
        self.check()

    def do_kill(self):
        """What was acknowledged is there, or what came after it, but never a mix."""
        if self.options.kill == "closed":
            self.close()
            self.committed()
        self.log.append("kill")
        self.mount.kill()
        if self.fd is not None:
            self.close_dead()
        self.mount.mount()
        names = os.listdir(self.mount.path)
        if names != [self.name]:
            raise Difference(f"after a kill there are {names}, not {self.name!r}")
        with open(self.path(), "rb") as f:
            got = f.read()
        if hashlib.sha256(got).digest() not in self.since:
            raise Difference(f"after a kill: {where(got, self.want)}, and nothing of the "
                             f"{len(self.since)} states since the last fsync")
        self.want = bytearray(got)
        self.committed()
        self.open()

    def close_dead(self):
        for fd in self.others + [self.fd]:
            try:
                os.close(fd)
            except OSError:
                pass
        self.others, self.fd = [], None

    # ---- all of them ----

    def steps(self):
        kinds, weights = list(self.weights), list(self.weights.values())
        for n in range(self.options.steps):
            kind = self.rnd.choices(kinds, weights)[0]
            getattr(self, "do_" + kind)()
            if self.options.kill and kind not in ("read", "mmap_read", "stat", "kill"):
                self.since.append(self.digest())
            if n % 25 == 24:
                self.check()
        self.do_remount()
        body = self.bed.s3.get_object(Bucket=self.mount.bucket, Key=self.name)["Body"].read()
        if body != self.want:
            raise Difference(f"boto3: {where(body, self.want)}")
        keys = [o["Key"] for o in self.bed.s3.list_objects_v2(Bucket=self.mount.bucket)["Contents"]]
        if [k for k in keys if k != ".pailfs-root"] != [self.name]:
            raise Difference(f"boto3: the objects are {keys}")
        uploads = self.bed.s3.list_multipart_uploads(Bucket=self.mount.bucket).get("Uploads", [])
        if uploads:
            raise Difference(f"boto3: uploads are left: {[u['Key'] for u in uploads]}")
        self.close()
        self.mount.unmount()


def run_seed(bed, options, seed):
    run = Run(bed, options, seed)

    def hang():
        print(f"one_file: '{run.log[-1]}' takes longer than {HANG_SECONDS} s, the daemon is killed",
              flush=True)
        run.mount.kill()
    found = None
    finished = threading.Event()

    def watch():
        seen, since = None, time.monotonic()
        while not finished.wait(1):
            if seen != len(run.log):
                seen, since = len(run.log), time.monotonic()
            elif time.monotonic() - since > HANG_SECONDS:
                hang()
                return
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        run.steps()
    except (Difference, OSError, AssertionError) as e:
        found = f"{type(e).__name__}: {e}"
    finished.set()
    watcher.join()
    if found:
        print(f"{found}\nafter {len(run.log)} steps, the last ones:\n  " + "\n  ".join(run.log[-25:]))
        print("the end of the mount's log:\n" + mounted.tail(run.mount.log, 15))
        if run.fd is not None:
            run.close_dead()
        run.mount.kill()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--size", type=int, default=18, help="MiB at most")
    parser.add_argument("--kill", nargs="?", const="any", choices=("any", "closed"))
    parser.add_argument("--without", default="", help="kinds of steps: " + " ".join(KINDS))
    parser.add_argument("-o", action="append", default=[], help="options of the mount")
    options = parser.parse_args()
    bed = mounted.Bed()
    status = 0
    try:
        for seed in range(options.seed, options.seed + options.seeds):
            begin = time.monotonic()
            found = run_seed(bed, options, seed)
            status |= bool(found)
            print(f"seed {seed}, {options.steps} steps, {options.size} MiB"
                  f"{', kill ' + options.kill if options.kill else ''}: "
                  f"{'DIFFERS' if found else 'equal'}, {time.monotonic() - begin:.1f} s", flush=True)
    finally:
        bed.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
