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
check "seen at once" cmp "$SCRATCH/want" "$MNT/f"
remount_fs
check "and after a remount" cmp "$SCRATCH/want" "$MNT/f"
unmount_fs
s3 get f "$SCRATCH/got"
check "and by boto3" cmp "$SCRATCH/want" "$SCRATCH/got"
