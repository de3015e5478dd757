#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files can be mapped: for reading, and shared for writing; msync and close store what was changed.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/r" 1000000
cp "$SCRATCH/r" "$SCRATCH/want"
printf 'changed' | dd of="$SCRATCH/want" bs=1 seek=500000 conv=notrunc status=none
mount_fs
cp "$SCRATCH/r" "$MNT/f"
/usr/bin/python3 - "$MNT/f" "$SCRATCH/r" <<'P' || fail "see above"
import mmap, os, sys
want = open(sys.argv[2], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as m:
    assert m[:] == want
os.close(fd)
fd = os.open(sys.argv[1], os.O_RDWR)
with mmap.mmap(fd, 0) as m:
    m[500000:500007] = b"changed"
    m.flush()
os.close(fd)
P
/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import mmap, os, sys, threading
# Mapped before a writer comes: what is written is in the mapping at once.
path = sys.argv[1] + "/mapped"
with open(path, "wb") as f:
    f.write(b"a" * 10000)
reader = os.open(path, os.O_RDONLY)
with mmap.mmap(reader, 0, prot=mmap.PROT_READ) as m:
    assert m[4990:5010] == b"a" * 20
    writer = os.open(path, os.O_WRONLY)
    os.pwrite(writer, b"b" * 10, 5000)
    assert m[4990:5020] == b"a" * 10 + b"b" * 10 + b"a" * 10, m[4990:5020]
    os.close(writer)
os.close(reader)
# A writer alone goes past the page cache: who opens the file beside it sees each write, too.
path = sys.argv[1] + "/growing"
writer = os.open(path, os.O_WRONLY | os.O_CREAT)
os.write(writer, b"1" * 100)
reader = os.open(path, os.O_RDONLY)
for i in range(200):
    size = 100 * (i + 1)
    assert os.fstat(reader).st_size == size
    assert os.pread(reader, 1 << 20, 0) == b"1" * size
    os.write(writer, b"1" * 100)
with mmap.mmap(reader, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as m:
    assert m[:] == b"1" * 20100
# Also through shared mappings, while others read the pages back into the cache all the time.
done = False
def read_on():
    with mmap.mmap(reader, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) as m:
        while not done:
            m.madvise(mmap.MADV_DONTNEED)
            assert len(set(m[:4096])) <= 2
            os.posix_fadvise(reader, 0, 0, os.POSIX_FADV_DONTNEED)
others = [threading.Thread(target=read_on) for _ in range(2)]
for t in others:
    t.start()
with mmap.mmap(reader, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) as m:
    for i in range(500):
        os.pwrite(writer, bytes([i % 256]) * 20100, 0)
        assert m[:] == bytes([i % 256]) * 20100, i
        assert os.pread(reader, 1 << 20, 0) == bytes([i % 256]) * 20100, i
done = True
for t in others:
    t.join()
changer = os.open(path, os.O_RDWR)
with mmap.mmap(changer, 0) as m:
    m[10:20] = b"0123456789"
    m.flush()
os.pwrite(writer, b"ab", 12)
assert os.pread(changer, 10, 10) == b"01ab456789"
for fd in (changer, writer, reader):
    os.close(fd)
P
check "seen at once" cmp "$SCRATCH/want" "$MNT/f"
remount_fs
check "and after a remount" cmp "$SCRATCH/want" "$MNT/f"
unmount_fs
s3 get f "$SCRATCH/got"
check "and by boto3" cmp "$SCRATCH/want" "$SCRATCH/got"
