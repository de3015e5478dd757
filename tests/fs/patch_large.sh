#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# asan: no
# modes: none
# servers: s3d
# limit: 300
# What a change of a 10 GiB file costs: some MiB sent, some fetched, the rest is copied inside the store; cutting
# it sends nothing, and a hole of a terabyte takes no disk.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start --opaque-etag
/usr/bin/python3 - <<'P' || fail "the object could not be made"
import boto3, os
c = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"])
b = os.environ["BUCKET"]
piece = b"".join(b"%015d\n" % i for i in range(64 << 16))
c.put_object(Bucket=b, Key="piece", Body=piece)
def join(source, n, key):
    u = c.create_multipart_upload(Bucket=b, Key=key)["UploadId"]
    parts = [{"PartNumber": i, "ETag": c.upload_part_copy(Bucket=b, Key=key, UploadId=u, PartNumber=i,
        CopySource={"Bucket": b, "Key": source})["CopyPartResult"]["ETag"]} for i in range(1, n + 1)]
    c.complete_multipart_upload(Bucket=b, Key=key, UploadId=u, MultipartUpload={"Parts": parts})
join("piece", 16, "gib")
join("gib", 10, "f")
P
mount_fs -o "cache_dir=$SCRATCH/cache,hedge=off"
counter() { curl -sf "$S3_ENDPOINT/_s3d/counters" | awk -v n="$1" '$1 == n {print $2}'; }
cost() { # cost TEXT SENT FETCHED: at most so many MiB since the reset
    [ "$(counter bytes_in)" -le $(($2 << 20)) ] || fail "$1: sent $(counter bytes_in) bytes: $(s3d_requests)"
    [ "$(counter bytes_out)" -le $(($3 << 20)) ] || fail "$1: fetched $(counter bytes_out) bytes: $(s3d_requests)"
}
size=$((10 << 30))
equal "size" $size "$(stat -c %s "$MNT/f")"
for at in $((5 << 30)) 0 $((size - 4096)) $((3 << 30 | 12345 << 12)); do
    s3d_reset
    head -c 4096 /dev/zero | tr '\0' x | dd of="$MNT/f" bs=4096 seek=$((at / 4096)) conv=notrunc status=none || fail "dd at $at"
    cost "4 KiB at $at" 16 16
    equal "bytes at $at" "$(head -c 4096 /dev/zero | tr '\0' x | sha256sum)" \
        "$(dd if="$MNT/f" bs=4096 skip=$((at / 4096)) count=1 status=none | sha256sum)"
done
# All copies are under way at a time, and the data between them does not wait for them.
unmount_fs
mount_fs -o "cache_dir=$SCRATCH/cache,parallel=2,hedge=off"
s3d_fault "op=UploadPartCopy action=hang"
s3d_reset
head -c 4096 /dev/zero | dd of="$MNT/f" bs=4096 seek=$((size / 8192)) conv=notrunc status=none 2>/dev/null &
copying() { [ "$(s3d_count UploadPartCopy) $(s3d_count UploadPart)" = "4 1" ]; }
poll 60 copying || fail "four copies and a part at a time: $(s3d_requests)"
kill_daemon
umount "$MNT" 2>/dev/null || fusermount3 -u "$MNT" || fail "unmount of the dead mount"
wait $!
s3d_faults_clear
mount_fs -o "cache_dir=$SCRATCH/cache,hedge=off"
equal "size" $size "$(stat -c %s "$MNT/f")"
equal "the bytes before" "$(printf '%015d\n' $(((64 << 16) - 1)))" "$(dd if="$MNT/f" bs=16 skip=$(((5 << 26) - 1)) count=1 status=none)"
equal "the bytes behind" "$(printf '%015d\n' 256)" "$(dd if="$MNT/f" bs=16 skip=$(((5 << 26) + 256)) count=1 status=none)"
s3d_reset
check "truncate" truncate -s $((9 << 30 | 1)) "$MNT/f"
cost "a cut" 1 1
equal "size after a cut" $((9 << 30 | 1)) "$(stat -c %s "$MNT/f")"
s3d_reset
echo more >>"$MNT/f"
cost "an append" 1 1
equal "the last bytes" "more" "$(tail -c 5 "$MNT/f")"
# Holes are a size until they are stored.
used() { du -s --block-size=1 "$SCRATCH/cache" | cut -f1; }
before=$(used)
/usr/bin/python3 - "$MNT/f" <<'P' || fail "a hole of a terabyte"
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.ftruncate(fd, 1 << 40)
os.pwrite(fd, b"x" * 4096, 1 << 39)
assert os.pread(fd, 10, (1 << 39) - 5) == b"\0" * 5 + b"x" * 5
assert os.pread(fd, 10, (1 << 40) - 5) == b"\0" * 5
assert os.lseek(fd, 20 << 30, os.SEEK_DATA) == 1 << 39
os.ftruncate(fd, 1 << 30)
os.close(fd)
P
[ $(($(used) - before)) -lt $((16 << 20)) ] || fail "the disk is used: $before, $(used)"
equal "size after all" $((1 << 30)) "$(stat -c %s "$MNT/f")"
remount_fs
equal "bytes after a remount" xxxxxxxx "$(head -c 8 "$MNT/f")"
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
