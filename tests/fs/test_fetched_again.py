#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: none
"""A large object that was changed on its way, in a part that lies here but that nobody has read yet: it is fetched again, and
the program reads what is stored. If it is wrong still, the program is told, before the last byte, and the log says why."""
import errno
import mmap
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted
from mounted import poll

STEP = 65536
CONTENT = os.urandom(STEP * 40)
BEGINNING = 8 * STEP  # within the first answer


def figures(mount):
    p = subprocess.run([mounted.BUILD + "/src/pailctl", "status", mount.path], check=True, text=True,
                       stdout=subprocess.PIPE)
    words = p.stdout.split()
    return [int(words[words.index(name + ":") + 1]) for name in ("verify_mismatches", "verify_refetched")]


class Program:
    """Its reads go past the page cache, so the mount gives out just what is asked for."""

    def __init__(self, mount, name):
        self.fd = os.open(f"{mount.path}/{name}", os.O_RDONLY | os.O_DIRECT)
        self.memory = mmap.mmap(-1, STEP)

    def read(self, offset):
        n = os.preadv(self.fd, [self.memory], offset)
        assert self.memory[:n] == CONTENT[offset:offset + n], f"wrong bytes at {offset}"
        return n

    def read_to_the_end(self):
        at = 0
        while at < len(CONTENT):
            at += self.read(at)


def read_slowly(bed, mount, name, times):
    """The beginning, until all behind them have come and were found wrong; then the rest."""
    bed.s3.put_object(Bucket=mount.bucket, Key=name, Body=CONTENT)
    program = Program(mount, name)
    before = figures(mount)
    # The first answer is of 1 MiB.
    bed.s3d("POST", "faults", f"op=GetObject key={name} after=1 {times} action=corrupt-body\n")
    bed.s3d("POST", "reset")
    result = 0
    try:
        for offset in range(0, BEGINNING, STEP):
            program.read(offset)
        # A read finds out what has come meanwhile.
        assert poll(60, lambda: program.read(BEGINNING) and figures(mount)[1] > before[1]), "nothing is fetched again"
        program.read_to_the_end()
    except OSError as e:
        result = e.errno
    os.close(program.fd)
    bed.s3d("DELETE", "faults")
    gets = [line for line in bed.s3d("GET", "log?n=100").splitlines() if "GetObject" in line]
    assert 3 <= len(gets), gets
    mismatches, again = (now - then for now, then in zip(figures(mount), before))
    assert again == 1, again
    return result, mismatches


def main():
    bed = mounted.Bed()
    try:
        mount = bed.mount("verify=on,log_level=info")
        assert read_slowly(bed, mount, "once", "count=1") == (0, 1)
        with open(mount.log, encoding="utf-8") as f:
            assert "'once'" not in f.read()
        result, mismatches = read_slowly(bed, mount, "always", "")
        assert (result, mismatches) == (errno.EIO, 2), (result, mismatches)
        told = "also after those from 1048576 on were fetched again: they were changed on the way or where they lie"

        def is_told():
            with open(mount.log, encoding="utf-8") as f:
                return any("'always'" in line and told in line for line in f)
        assert poll(30, is_told), mounted.tail(mount.log)
        anew = Program(mount, "always")
        anew.read_to_the_end()
        os.close(anew.fd)
        mount.unmount()
    finally:
        bed.close()


if __name__ == "__main__":
    main()
