# SPDX-License-Identifier: Apache-2.0
"""The body of tests/fs/between_hosts.sh: between_hosts.py MOUNT MOUNT. Lost+found is beside each mount,
in MOUNT.state/lost+found. Where the server does not hold a condition, and a HEAD just before stands in for it, the two try it one
after the other and not at the same moment."""
import ctypes
import errno
import glob
import os
import sys
import threading
import time

sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3 as bucket  # noqa: E402

A, B = sys.argv[1:3]
ATOMIC = os.environ["TEST_SERVER"] != "rgw"
COPIES = os.environ["TEST_SERVER"] == "s3d"  # no Ceph holds conditions on where a copy goes
libc = ctypes.CDLL(None, use_errno=True)


def put(key, body):
    bucket.S3.put_object(Bucket=bucket.BUCKET, Key=key, Body=body)


def get(key):
    return bucket.S3.get_object(Bucket=bucket.BUCKET, Key=key)["Body"].read()


def write(path, data, flags=os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
    finally:
        os.close(fd)


def code(fn, *args):
    """0 or the errno's name."""
    try:
        fn(*args)
        return 0
    except OSError as e:
        return errno.errorcode[e.errno]


def lost(mount, name):
    return [open(p, "rb").read() for p in sorted(glob.glob(f"{mount}.state/lost+found/*-{name}"))]


def fresh(path, want):
    """What the other host has stored shows after the TTL, or when it is opened anew."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if open(path, "rb").read() == want:
                return True
        except OSError as e:
            assert e.errno in (errno.ESTALE, errno.ENOENT), e
        time.sleep(0.05)
    return False


def rename_noreplace(old, new):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), 1):
        n = ctypes.get_errno()
        raise OSError(n, os.strerror(n))


def both(fn_a, fn_b):
    """At the same moment; the results."""
    results, barrier = [None, None], threading.Barrier(2)

    def run(i, fn):
        barrier.wait()
        results[i] = code(fn)

    threads = [threading.Thread(target=run, args=(i, f)) for i, f in enumerate((fn_a, fn_b))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


# ---- a lost update, both ways ----

for mine, theirs in ((A, B), (B, A)):
    name = "update-" + os.path.basename(mine)
    write(f"{mine}/{name}", b"base")
    assert fresh(f"{theirs}/{name}", b"base")
    fd = os.open(f"{mine}/{name}", os.O_RDWR)
    os.write(fd, b"LOSER")
    write(f"{theirs}/{name}", b"winner")
    assert code(os.fsync, fd) == "ESTALE"
    assert lost(mine, name) == [b"LOSER"], lost(mine, name)
    # What is written after the refusal is kept in place of it, not beside it.
    os.write(fd, b"!")
    assert code(os.close, fd) == "ESTALE"
    assert lost(mine, name) == [b"LOSER!"], lost(mine, name)
    assert get(name) == b"winner" and lost(theirs, name) == []

# ---- both append ----

write(f"{A}/log", b"0\n")
assert fresh(f"{B}/log", b"0\n")
fds = [os.open(f"{m}/log", os.O_WRONLY | os.O_APPEND) for m in (A, B)]
os.write(fds[0], b"from a\n")
os.write(fds[1], b"from b\n")
assert code(os.close, fds[1]) == 0
assert code(os.close, fds[0]) == "ESTALE"
assert get("log") == b"0\nfrom b\n"
assert lost(A, "log") == [b"0\nfrom a\n"]

# ---- a change of attributes never brings old content back ----

for i in range(10):
    name = f"mode{i}"
    write(f"{A}/{name}", b"old")
    assert fresh(f"{B}/{name}", b"old")
    new = b"new content %d" % i

    def chmod():
        os.chmod(f"{A}/{name}", 0o600)
        fd = os.open(f"{A}/{name}", os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    results = both(chmod, lambda: write(f"{B}/{name}", new))
    # Either may lose; what was acknowledged is there.
    got = get(name)
    if results[1] == 0:
        assert got == new, (name, results, got)
    else:
        assert results[1] == "ESTALE" and got == b"old" and lost(B, name) == [new], (name, results, got)

# ---- exactly one makes a name ----

def race(what, make, rounds):
    wins = 0
    for i in range(rounds):
        r = both(lambda: make(A, f"{what}{i}", b"a"), lambda: make(B, f"{what}{i}", b"b"))
        assert sorted(map(str, r)) == ["0", "EEXIST"], (what, i, r)
        wins += r.index(0)
    return wins


def exclusive(mount, name, data):
    write(f"{mount}/{name}", data, os.O_CREAT | os.O_EXCL)


def noreplace(mount, name, data):
    source = f"{mount}/source-{name}-{data.decode()}"
    write(source, data)
    rename_noreplace(source, f"{mount}/{name}")


race("dir", lambda m, n, d: os.mkdir(f"{m}/{n}"), 20)
race("excl", exclusive, 20)
race("lock", lambda m, n, d: exclusive(m, n + ".lock", d), 20)
if COPIES:
    race("noreplace", noreplace, 20)
for i in range(20):  # and it has the winner's content
    data = get(f"excl{i}")
    assert data in (b"a", b"b"), data

# ---- removed while it is rewritten ----

write(f"{A}/gone", b"base")
assert fresh(f"{B}/gone", b"base")
fd = os.open(f"{A}/gone", os.O_RDWR)
os.write(fd, b"still here")
os.unlink(f"{B}/gone")
result = code(os.close, fd)
keys = [o["Key"] for o in bucket.objects("gone")]
assert result == "ESTALE" and keys == [] and lost(A, "gone") == [b"still here"], (result, keys)

# ---- replaced while it is read: one version or ESTALE, never a mix ----

one, two = b"1" * (20 << 20), b"2" * (20 << 20)
write(f"{A}/read", one)
assert fresh(f"{B}/read", one)
fd = os.open(f"{B}/read", os.O_RDONLY)
assert os.pread(fd, 4096, 0) == one[:4096]
write(f"{A}/read", two)
for at in range(0, len(one), 1 << 20):
    try:
        piece = os.pread(fd, 4096, at)
    except OSError as e:
        assert e.errno == errno.ESTALE, e
    else:
        assert piece == one[:4096], (at, piece[:10])
os.close(fd)
assert fresh(f"{B}/read", two)

# ---- renamed while it is rewritten ----

for i in range(10):
    old, new = f"old{i}", f"new{i}"
    write(f"{A}/{old}", b"base")
    assert fresh(f"{B}/{old}", b"base")
    data = b"rewritten %d" % i
    if ATOMIC:
        r = both(lambda: os.rename(f"{A}/{old}", f"{A}/{new}"), lambda: write(f"{B}/{old}", data))
    else:
        r = [code(os.rename, f"{A}/{old}", f"{A}/{new}"), code(write, f"{B}/{old}", data)]
    there = {o["Key"]: get(o["Key"]) for o in bucket.objects() if o["Key"] in (old, new)}
    if r[1] == 0:
        assert data in there.values(), (i, r, there)
    else:
        assert r[1] in ("ESTALE", "ENOENT"), r
        assert lost(B, old) == [data] or r[1] == "ENOENT", (i, r, there)
    assert r[0] == 0 and (there.get(new) in (b"base", data)), (i, r, there)

# ---- a directory is renamed while another host makes a file in it ----

os.mkdir(f"{A}/dir")
for i in range(30):
    write(f"{A}/dir/{i}", b"%d" % i)
r = both(lambda: os.rename(f"{A}/dir", f"{A}/moved"),
         lambda: [write(f"{B}/dir/b{i}", b"b%d" % i) for i in range(10)])
assert r[0] in (0, "ENOTEMPTY"), r
all_keys = {o["Key"] for o in bucket.objects()}
for i in range(30):
    assert (f"dir/{i}" in all_keys) != (f"moved/{i}" in all_keys), (i, r)
if r[1] == 0:
    for i in range(10):
        assert f"dir/b{i}" in all_keys or f"moved/b{i}" in all_keys, (i, r)
