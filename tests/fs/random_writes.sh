#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# limit: 240
# Files of some 20 MB changed at random places, as on a local disk: through one handle and several, through
# mappings, by path, with fsync, rename and unlink in between. A plain copy is changed alike and compared.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o part_size=5M
mkdir "$SCRATCH/local"
/usr/bin/python3 - "$MNT" "$SCRATCH/local" <<'P' || fail "see above"
import mmap, os, random, sys
mnt, local = sys.argv[1:]
SIZE = 20000000
random.seed(5)
blob = random.randbytes(1 << 20)
def some(n):
    at = random.randrange(len(blob) - n)
    return blob[at:at + n]
def same(name, what):
    a, b = open(f"{mnt}/{name}", "rb").read(), open(f"{local}/{name}", "rb").read()
    if a != b:
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        raise AssertionError(f"{name}, {what}: sizes {len(a)}, {len(b)}, differ at {at}")
def new(name):
    for root in (mnt, local):
        with open(f"{root}/{name}", "wb") as f:
            random.seed(name)
            for _ in range(SIZE // 1000000):
                f.write(some(1000000))
def both(name, fn, *a):
    state = random.getstate()
    for root in (local, mnt):
        random.setstate(state)
        fn(f"{root}/{name}", *a)

# One handle, whatever it does.
def one_handle(path, n):
    fd = os.open(path, os.O_RDWR)
    size = SIZE
    for i in range(n):
        what = random.randrange(12)
        at, length = random.randrange(size + 50000), random.choice((1, 100, 4096, 70000, 900000))
        if what < 8:
            os.pwrite(fd, some(length), at)
            size = max(size, at + length)
        elif what == 8:
            size = random.randrange(size // 2, size + 2000000)
            os.ftruncate(fd, size)
        elif what == 9:
            os.fsync(fd)
        else:
            os.pread(fd, length, at)
    os.close(fd)
new("one")
both("one", one_handle, 120)
same("one", "one handle")

# Several handles on one file: each sees at once what the others did.
def handles(path):
    fds = [os.open(path, os.O_RDWR) for _ in range(3)] + [os.open(path, os.O_RDONLY)]
    for i in range(40):
        at, data = random.randrange(SIZE), some(random.choice((10, 5000, 200000)))
        os.pwrite(fds[i % 3], data, at)
        for fd in fds:
            got = os.pread(fd, len(data), at)
            assert got == data, (path, i, at, len(got))
        if i == 20:
            os.close(fds[0])
            fds[0] = os.open(path, os.O_RDWR)
    append = os.open(path, os.O_WRONLY | os.O_APPEND)
    for i in range(5):
        os.write(append, some(1000))
    assert all(os.fstat(fd).st_size == SIZE + max(0, os.fstat(append).st_size - SIZE) for fd in fds)
    for fd in fds + [append]:
        os.close(fd)
new("handles")
both("handles", handles)
same("handles", "several handles")

# Through a mapping, also after the descriptor is closed.
def mapped(path):
    fd = os.open(path, os.O_RDWR)
    m = mmap.mmap(fd, 0)
    for i in range(60):
        at, data = random.randrange(SIZE - 5000), some(random.choice((1, 4096, 5000)))
        m[at:at + len(data)] = data
        if i == 30:
            m.flush()
            os.close(fd)
    m.close()
new("mapped")
both("mapped", mapped)
same("mapped", "a mapping")

# By path, with nobody having it open.
new("path")
for size in (SIZE - 1, SIZE + 7000000, 12000001, 6000000, 100, 9000000, 0, 5):
    both("path", os.truncate, size)
    same("path", f"truncate to {size}")

# Its name changes, and goes, while it is written.
def renamed(path):
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, some(1000), 7000000)
    os.rename(path, path + "2")
    os.pwrite(fd, some(1000), 9000000)
    os.fsync(fd)
    os.pwrite(fd, some(1000), 11000000)
    os.rename(path + "2", path + "3")
    os.pwrite(fd, some(1000000) * 3, SIZE - 5)
    os.close(fd)
new("renamed")
both("renamed", renamed)
same("renamed3", "renamed while open")
def unlinked(path):
    fd, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)
    os.pwrite(fd, some(1000), 7000000)
    os.unlink(path)
    os.pwrite(fd, some(900000) * 10, 9000000)
    os.ftruncate(fd, SIZE + 1000000)
    os.fsync(fd)
    kept.append((os.pread(fd, SIZE + 2000000, 0), os.pread(other, SIZE + 2000000, 0)))
    os.close(fd)
    os.close(other)
    assert not os.path.exists(path)
kept = []
new("unlinked")
both("unlinked", unlinked)
assert kept[0] == kept[1], "a file without a name"
# New, removed at once, and larger than what is kept in memory.
fd = os.open(mnt + "/tmp", os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.unlink(mnt + "/tmp")
for i in range(20):
    os.write(fd, blob)
os.pwrite(fd, b"changed", 5 << 20)
want = bytearray(blob * 20)
want[5 << 20:(5 << 20) + 7] = b"changed"
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
assert os.pread(fd, 21 << 20, 0) == want
os.close(fd)
P
# As shells do it.
for root in "$MNT" "$SCRATCH/local"; do
    dd if=/dev/urandom of="$SCRATCH/block" bs=1M count=1 status=none
    cp "$SCRATCH/local/one" "$root/dd"
done
for seek in 0 7 19 25; do
    for root in "$MNT" "$SCRATCH/local"; do
        dd if="$SCRATCH/block" of="$root/dd" bs=1M seek=$seek conv=notrunc status=none || fail "dd seek=$seek"
    done
done
remount_fs
for f in "$SCRATCH"/local/*; do
    cmp "$f" "$MNT/${f##*/}" || fail "${f##*/} after a remount"
done
equal "names" "$(ls "$SCRATCH/local")" "$(ls "$MNT")"
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
