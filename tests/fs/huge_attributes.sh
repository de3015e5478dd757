#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: none
# asan: no
# New attributes of a file over 5 GiB, which no single copy takes: a copy in parts, of exactly those bytes, and nothing of
# them comes here. The server makes the file out of two small objects and copies it without reading.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start --opaque-etag
# Every 512 MiB: 39 times the same 13 MiB, and 5 MiB that are nowhere else.
cat >"$SCRATCH/huge.py" <<'P'
import concurrent.futures, os, random, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
MIB = 1 << 20
UNIT, UNITS = 512 * MIB, 12
SAME = random.Random(1).randbytes(13 * MIB)
MARKS = random.Random(2).randbytes(8 * MIB)

def mark(i):
    return i * 250000, 5 * MIB

def make(key, ranges):
    """ranges: (key, offset, length) of each part."""
    up = S3.create_multipart_upload(Bucket=BUCKET, Key=key, ContentType="text/x-huge", Metadata={"whose": "another's"})["UploadId"]
    def part(n):
        source, offset, length = ranges[n]
        out = S3.upload_part_copy(Bucket=BUCKET, Key=key, UploadId=up, PartNumber=n + 1, CopySource={"Bucket": BUCKET, "Key": source},
                                  CopySourceRange=f"bytes={offset}-{offset + length - 1}")["CopyPartResult"]
        return dict(PartNumber=n + 1, **{k: v for k, v in out.items() if k == "ETag" or k.startswith("Checksum")})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(part, range(len(ranges))))
    S3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=up, MultipartUpload={"Parts": parts})

def build():
    S3.put_object(Bucket=BUCKET, Key="parts/same", Body=SAME)
    S3.put_object(Bucket=BUCKET, Key="parts/marks", Body=MARKS)
    make("parts/169", [("parts/same", 0, 13 * MIB)] * 13)
    make("parts/507", [("parts/169", 0, 169 * MIB)] * 3)
    make("huge", [r for i in range(UNITS) for r in [("parts/507", 0, 507 * MIB), ("parts/marks", *mark(i))]])

def check(read, units):
    """What is on both sides of where the units meet."""
    for i in units:
        first, n = mark(i)
        assert read(i * UNIT, 1000) == SAME[:1000], i
        assert read(i * UNIT + 507 * MIB - 1000, 2000) == SAME[-1000:] + MARKS[first:first + 1000], i
        assert read((i + 1) * UNIT - 1000, 1000) == MARKS[first + n - 1000:first + n], i

if sys.argv[1] == "build":
    build()
else:
    with open(sys.argv[1], "rb") as f:
        check(lambda at, n: os.pread(f.fileno(), n, at), (0, 6, UNITS - 1))
    check(lambda at, n: S3.get_object(Bucket=BUCKET, Key="huge", Range=f"bytes={at}-{at + n - 1}")["Body"].read(), range(UNITS))
    head = S3.head_object(Bucket=BUCKET, Key="huge")
    assert head["ContentType"] == "text/x-huge" and head["Metadata"]["whose"] == "another's", head
    assert "Uploads" not in S3.list_multipart_uploads(Bucket=BUCKET)
P
/usr/bin/python3 "$SCRATCH/huge.py" build || fail "the file could not be made"
size=$((12 * 512 << 20))
mount_fs -o metadata_ttl=600,hedge=off
echo x >"$MNT/f" && chmod 600 "$MNT/f" && sync "$MNT/f" # the directory is marked with the first attributes
equal "size" "$size" "$(stat -c %s "$MNT/huge")"
# Metadata of another program is asked for before it is replaced, each time.
copied="CompleteMultipartUpload=1 CreateMultipartUpload=1 HeadObject=1 UploadPartCopy=12"
s3d_reset
chmod 640 "$MNT/huge" && sync "$MNT/huge" || fail "chmod"
equal "requests of chmod" "$copied" "$(s3d_requests)"
s3d_reset
setfattr -n user.note -v "a long film" "$MNT/huge" && sync "$MNT/huge" || fail "setxattr"
equal "requests of setxattr" "$copied" "$(s3d_requests)"
# An odd number of copies: parts that change places twice would be where they were.
chmod 604 "$MNT/huge" && sync "$MNT/huge" || fail "chmod again"
attributes() { echo "$(stat -c '%a %s' "$MNT/huge") $(getfattr --only-values -n user.note "$MNT/huge")"; }
equal "at once" "604 $size a long film" "$(attributes)"
peak=$(awk '$1 == "VmHWM:" {print $2}' "/proc/$(daemon_pids)/status")
[ "${peak:-999999}" -lt 65536 ] || fail "the mount took $peak KiB"
remount_fs
equal "after a remount" "604 $size a long film" "$(attributes)"
check "content, through the mount and from the server" /usr/bin/python3 "$SCRATCH/huge.py" "$MNT/huge"
unmount_fs
