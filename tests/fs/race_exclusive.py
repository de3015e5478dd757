#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# modes: none
"""32 processes, half of them on each of two mounts of one bucket, want the same name at the same time:
one gets it, the others are told EEXIST, and what is there is the winner's.

    race_exclusive.py [--rounds N] [--only KIND]     for long runs; environment: lib/mounted.py"""
import argparse
import errno
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted
from errnos import error_name, renameat2

CONTENDERS = 32
NOREPLACE = 1


# Each takes (folder of the mount, round, number) and raises OSError where it has lost.
def excl(folder, name, number):
    """Nothing is overwritten, but without excl=open the loser learns it as late as at its close."""
    fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(fd, b"%d" % number)
        # A second reader of what was written: close alone is answered to the process.
        os.fsync(fd)
    finally:
        try:
            os.close(fd)
        except OSError:
            pass  # fsync has said it


def lock(folder, name, number):
    """A name of a lock: who has it open has it, and nothing after the open fails."""
    fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(fd, b"%d" % number)
        os.close(fd)
    except OSError as e:
        raise OSError(errno.EIO, f"after the open: {e}") from e


def mkdir(folder, name, _):
    os.mkdir(f"{folder}/{name}")


def rename(folder, name, number):
    renameat2(f"{folder}/source-{number}", f"{folder}/{name}", NOREPLACE)


def rename_dir(folder, name, number):
    renameat2(f"{folder}/tree-{number}", f"{folder}/{name}", NOREPLACE)


class Contender:
    """A process that waits for names on a pipe."""

    def __init__(self, number, folder, start):
        self.number, self.folder = number, folder
        to_child, self.commands = os.pipe()
        self.answers, from_child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.commands)
                os.close(self.answers)
                self.serve(to_child, from_child, start)
            finally:
                os._exit(0)
        os.close(to_child)
        os.close(from_child)

    def serve(self, commands, answers, start):
        with os.fdopen(commands) as lines:
            for line in lines:
                kind, name = line.split()
                os.write(answers, b"ready\n")
                os.read(start, 1)  # all at once: each takes one byte
                try:
                    KINDS[kind][0](self.folder, name, self.number)
                    answer = "ok"
                except OSError as e:
                    answer = error_name(e.errno)
                os.write(answers, answer.encode() + b"\n")

    def say(self, kind, name):
        os.write(self.commands, f"{kind} {name}\n".encode())

    def hear(self):
        text = b""
        while not text.endswith(b"\n"):
            piece = os.read(self.answers, 1)
            if not piece:
                raise AssertionError(f"contender {self.number} ended")
            text += piece
        return text.decode().strip()


# ---- before and after a round ----
def no_preparation(_bed, _mounts):
    pass


def sources(bed, mounts):
    for i in range(CONTENDERS):
        bed.s3.put_object(Bucket=mounts[0].bucket, Key=f"source-{i}", Body=b"%d" % i)


def trees(bed, mounts):
    for i in range(CONTENDERS):
        bed.s3.put_object(Bucket=mounts[0].bucket, Key=f"tree-{i}/x", Body=b"%d" % i)


def keys(bed, bucket):
    return {o["Key"] for o in bed.s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def body(bed, bucket, key):
    return bed.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def check_excl(bed, bucket, name, winner):
    assert body(bed, bucket, name) == str(winner), f"{winner} won, {body(bed, bucket, name)} is there"


def check_mkdir(bed, bucket, name, _):
    assert name + "/" in keys(bed, bucket), keys(bed, bucket)


def check_rename(bed, bucket, name, winner):
    check_excl(bed, bucket, name, winner)
    left = {k for k in keys(bed, bucket) if k.startswith("source-")}
    assert left == {f"source-{i}" for i in range(CONTENDERS) if i != winner}, left


def check_rename_dir(bed, bucket, name, winner):
    check_excl(bed, bucket, name + "/x", winner)
    left = {k for k in keys(bed, bucket) if k.startswith("tree-") and k.endswith("x")}
    assert left == {f"tree-{i}/x" for i in range(CONTENDERS) if i != winner}, left


KINDS = {"excl": (excl, no_preparation, check_excl), "lock": (lock, no_preparation, check_excl),
         "mkdir": (mkdir, no_preparation, check_mkdir), "rename": (rename, sources, check_rename),
         "rename-dir": (rename_dir, trees, check_rename_dir)}


def one_round(bed, mounts, contenders, go, kind, n):
    _, prepare, check = KINDS[kind]
    bucket = mounts[0].bucket
    prepare(bed, mounts)
    name = f"{kind}-{n}" + (".lock" if kind == "lock" else "")
    for c in contenders:
        c.say(kind, name)
    for c in contenders:
        assert c.hear() == "ready"
    os.write(go, b"g" * len(contenders))
    answers = [c.hear() for c in contenders]
    winners = [i for i, a in enumerate(answers) if a == "ok"]
    text = f"{kind}, round {n}: winners {winners}, answers {sorted(set(answers))}"
    assert len(winners) == 1, text
    assert set(answers) == {"ok", "EEXIST"}, text
    check(bed, bucket, name, winners[0])
    for m in mounts:  # each sees the same
        assert os.path.lexists(f"{m.path}/{name}"), text + f": not seen at {m.path}"
    for key in keys(bed, bucket):
        bed.s3.delete_object(Bucket=bucket, Key=key)


def end(contenders):
    while contenders:
        c = contenders.pop()
        os.kill(c.pid, signal.SIGKILL)
        os.waitpid(c.pid, 0)


def announced(mounts):
    """RGW before 20 makes copies whatever the condition says, and the mounts have warned."""
    words = ("does not know conditional copies", "renaming to a new name")
    return all(any(w in mounted.tail(m.log, 1000) for w in words) for m in mounts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--only", choices=tuple(KINDS))
    options = parser.parse_args()
    bed = mounted.Bed()
    contenders = []
    try:
        bucket = bed.bucket()
        mounts = [bed.mount("metadata_ttl=0,negative_ttl=0", bucket=bucket, name=f"mnt{i}")
                  for i in range(2)]
        start, go = os.pipe()
        contenders = [Contender(i, mounts[i % 2].path, start) for i in range(CONTENDERS)]
        for kind in [options.only] if options.only else KINDS:
            for n in range(options.rounds):
                try:
                    one_round(bed, mounts, contenders, go, kind, n)
                except AssertionError:
                    if not kind.startswith("rename") or not announced(mounts):
                        raise
                    print(f"{kind}: not exclusive on this server, as announced")
                    break
            print(f"{kind}: {options.rounds} rounds", flush=True)
        end(contenders)
        for m in mounts:
            m.unmount()
    except AssertionError as e:
        print(e)
        return 1
    finally:
        end(contenders)
        bed.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
