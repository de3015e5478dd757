#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: none
"""A process that is killed in a write is gone before the server has answered, and the kernel hears that the write is
done. If it fails afterwards, who shares the open file is told by fsync, close and the next write."""
import errno
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import mounted
from mounted import poll

OLD = b"o" * 300000


def is_gone(pid):
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def count_logged(mount, line):
    with open(mount.log, encoding="utf-8", errors="replace") as f:
        return f.read().count(line)


def kill_in_write(mount, name, fd, offset, data):
    """The server is stopped."""
    before = count_logged(mount, f"write '{name}'")
    pid = os.fork()
    if pid == 0:
        os.pwrite(fd, data, offset)
        os._exit(0)
    assert poll(30, lambda: count_logged(mount, f"write '{name}'") > before), "the write does not begin"
    assert not is_gone(pid), "the write does not wait for the server"
    os.kill(pid, signal.SIGKILL)
    assert poll(30, lambda: is_gone(pid)), "it is still there long after SIGKILL"


def fails(what, *arguments):
    try:
        what(*arguments)
    except OSError as e:
        assert e.errno == errno.EACCES, e
        return True
    return False


def lose_a_write(bed, mount):
    """A write into an object asks for what is around it."""
    path = mount.path + "/lost"
    fd = os.open(path, os.O_RDWR)
    bed.s3d("POST", "faults", "op=GetObject key=lost action=status:403:AccessDenied\n")
    bed.server.send_signal(signal.SIGSTOP)
    kill_in_write(mount, "lost", fd, 100000, b"new")
    bed.server.send_signal(signal.SIGCONT)
    for what in ("fsync", "fsync again"):
        assert fails(os.fsync, fd), what + " tells nothing of a write that was lost"
    bed.s3d("DELETE", "faults")
    # Another write is stored, and nothing is wrong with the file any more.
    with open(path, "r+b") as f:
        f.write(b"other")
    assert fails(os.fsync, fd), "fsync tells nothing when the server answers again"
    assert fails(os.close, os.dup(fd)), "close tells nothing of a write that was lost"
    assert fails(os.write, fd, b"more"), "a write behind it is taken"
    assert fails(os.close, fd), "the last close tells nothing of it"
    with open(path, "r+b") as f:
        assert f.read() == b"other" + OLD[5:], "something of it is there"
        f.seek(5)
        f.write(b"anew")
    assert bed.s3.get_object(Bucket=mount.bucket, Key="lost")["Body"].read() == b"otheranew" + OLD[9:]


def main():
    bed = mounted.Bed()
    try:
        bucket = bed.bucket()
        bed.s3.put_object(Bucket=bucket, Key="lost", Body=OLD)
        mount = bed.mount("timeout=600s,metadata_ttl=600s,log_level=debug", bucket=bucket)
        os.listdir(mount.path)
        lose_a_write(bed, mount)
        mount.unmount()
    finally:
        bed.server.send_signal(signal.SIGCONT)
        bed.close()


if __name__ == "__main__":
    main()
