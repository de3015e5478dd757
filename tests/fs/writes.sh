#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# New, truncated, appended and overwritten files, odd block sizes, several closes, fsync in between.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
random_file "$SCRATCH/r" 30000000
for bs in 1 7 4096 65537 1048576; do
    n=$((bs < 100 ? 5000 : 30000000))
    head -c $n "$SCRATCH/r" >"$SCRATCH/part"
    check "dd bs=$bs" dd if="$SCRATCH/part" of="$MNT/dd$bs" bs=$bs status=none
    check "content with bs=$bs" cmp "$SCRATCH/part" "$MNT/dd$bs"
done
echo one >"$MNT/f"
echo two >"$MNT/f"
equal "overwrite" two "$(cat "$MNT/f")"
echo three >>"$MNT/f"
equal "append" "two three" "$(paste -sd ' ' "$MNT/f")"
: >"$MNT/f"
equal "truncate to zero" 0 "$(stat -c %s "$MNT/f")"
(echo a; echo b; /bin/echo c) >"$MNT/multi"
equal "one descriptor shared by several processes" "a b c" "$(paste -sd ' ' "$MNT/multi")"
check "fsync in between" /usr/bin/python3 - "$MNT/sync" <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(fd, b"1" * 1000); os.fsync(fd); os.write(fd, b"2" * 1000); os.fsync(fd)
assert os.fstat(fd).st_size == 2000
os.write(fd, b"3" * 12000000); os.fsync(fd); os.write(fd, b"4" * 9000000)
os.close(fd)
data = open(sys.argv[1], "rb").read()
assert data == b"1" * 1000 + b"2" * 1000 + b"3" * 12000000 + b"4" * 9000000, len(data)
P
check "O_EXCL" /usr/bin/python3 - "$MNT/excl" <<'P'
import os, sys
os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
try:
    os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
except FileExistsError:
    pass
else:
    raise SystemExit("a second O_EXCL open succeeded")
P
check "read one's own bytes before close" /usr/bin/python3 - "$MNT/own" <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
os.write(fd, b"0123456789"); assert os.pread(fd, 4, 3) == b"3456"
os.pwrite(fd, b"xx", 2); assert os.pread(fd, 10, 0) == b"01xx456789"
assert os.stat(sys.argv[1]).st_size == 10
os.close(fd)
P
cp "$MNT/dd1048576" "$SCRATCH/before"
remount_fs
equal "own after a remount" 01xx456789 "$(cat "$MNT/own")"
check "large after a remount" cmp "$SCRATCH/before" "$MNT/dd1048576"
equal "sync after a remount" 21002000 "$(stat -c %s "$MNT/sync")"
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
