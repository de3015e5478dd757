#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# ETags that are no MD5 (SSE-KMS), a versioned bucket: whoever lost an answer loses no data, and what is
# removed or replaced through the mount is an older version afterwards, never deleted for good.
# servers: s3d
. "$SOURCE_DIR/tests/lib/common.sh"
# It does not say its name, so that what it does is found out, in this bucket too.
server_start --opaque-etag --ignore-conditions CopyObject
if [ "$(id -u)" != 0 ]; then
    XDG_RUNTIME_DIR=$SCRATCH/run
    export XDG_RUNTIME_DIR && mkdir -m 700 "$XDG_RUNTIME_DIR"
fi
/usr/bin/python3 - <<'P' || fail "no versioning"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
s3.S3.put_bucket_versioning(Bucket=s3.BUCKET, VersioningConfiguration={"Status": "Enabled"})
P
mount_fs -o "state_dir=$SCRATCH/state,retries=1,checksum=crc32c"
head -c 20000000 /dev/urandom >"$SCRATCH/big"
/usr/bin/python3 - "$MNT" "$S3_ENDPOINT" "$SCRATCH" <<'P' || fail "see above"
import errno, os, sys, time, urllib.request
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
mnt, endpoint, scratch = sys.argv[1:]
lost = scratch + "/state/lost+found"
big = open(scratch + "/big", "rb").read()

def fault(method, body=None):
    urllib.request.urlopen(urllib.request.Request(endpoint + "/_s3d/faults", method=method, data=body)).read()

def versions(key):
    """Bytes of every version, newest first; None for a delete marker."""
    page = s3.S3.list_object_versions(Bucket=s3.BUCKET, Prefix=key)
    all_of = [(v["LastModified"], i, v["VersionId"]) for i, v in enumerate(page.get("Versions", [])) if v["Key"] == key]
    return [s3.S3.get_object(Bucket=s3.BUCKET, Key=key, VersionId=v)["Body"].read() for _, _, v in all_of], \
           sum(m["Key"] == key for m in page.get("DeleteMarkers", []))

# An answer that was lost: 0 only when it is there; refused, it is there or kept, and never gone.
for name, flags, data, op in (("small", 0, b"mine" * 100, "PutObject"), ("excl", os.O_EXCL, b"mine" * 100, "PutObject"),
                              ("big", 0, big, "CompleteMultipartUpload"), ("bigx", os.O_EXCL, big, "CompleteMultipartUpload")):
    if not flags:
        open(f"{mnt}/{name}", "wb").write(b"base")
    fd = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT | flags, 0o644)
    for at in range(0, len(data), 1 << 20):
        os.pwrite(fd, data[at:at + (1 << 20)], at)
    fault("POST", f"op={op} key={name} count=1 action=lost-answer\n".encode())
    result = 0
    try:
        os.close(fd)
    except OSError as e:
        result = e.errno
    fault("DELETE")
    there = s3.S3.get_object(Bucket=s3.BUCKET, Key=name)["Body"].read()
    assert result in (0, errno.ESTALE, errno.EEXIST), (name, result)
    assert there == data, (name, result, len(there))
    if result:  # it met its own success: told, and kept all the same
        kept = [open(f"{lost}/{n}", "rb").read() for n in os.listdir(lost) if n.endswith("-" + name)]
        assert len(kept) == 1, (name, os.listdir(lost))

# A part that the server keeps by another request than the one that was answered: same bytes, other ETag.
open(f"{mnt}/twice", "wb").close()
fd = os.open(f"{mnt}/twice", os.O_WRONLY | os.O_TRUNC)
for at in range(0, len(big), 1 << 20):
    os.pwrite(fd, big[at:at + (1 << 20)], at)
def parts():
    for u in s3.S3.list_multipart_uploads(Bucket=s3.BUCKET).get("Uploads", []):
        if u["Key"] == "twice":
            got = s3.S3.list_parts(Bucket=s3.BUCKET, Key="twice", UploadId=u["UploadId"]).get("Parts", [])
            return u["UploadId"], got
    return None, []
end = time.monotonic() + 60
while len(parts()[1]) < 2:
    assert time.monotonic() < end, parts()
    time.sleep(0.05)
upload, got = parts()
sums = {k: v for k, v in got[0].items() if k.startswith("Checksum")}
tag = s3.S3.upload_part(Bucket=s3.BUCKET, Key="twice", UploadId=upload, PartNumber=1, Body=big[:got[0]["Size"]], **sums)["ETag"]
assert tag != got[0]["ETag"]
os.close(fd)
assert s3.S3.get_object(Bucket=s3.BUCKET, Key="twice")["Body"].read() == big

# Nothing is deleted for good.
for text in (b"one", b"two"):
    open(f"{mnt}/file", "wb").write(text)
assert versions("file") == ([b"two", b"one"], 0), versions("file")
os.rename(f"{mnt}/file", f"{mnt}/moved")
assert versions("file") == ([b"two", b"one"], 1) and versions("moved")[0] == [b"two"]
os.unlink(f"{mnt}/moved")
assert versions("moved") == ([b"two"], 1)
open(f"{mnt}/file", "wb").write(b"three")
assert versions("file") == ([b"three", b"two", b"one"], 1), versions("file")
os.mkdir(f"{mnt}/dir")
os.rmdir(f"{mnt}/dir")
assert versions("dir/") == ([b""], 1)
P
is_known() { "$PAILCTL" status "$MNT" | grep -q "conditions: put-if-absent=held.*copy-if-match=ignored"; }
check "what the server does is found out" poll 60 is_known
equal "versions and markers that this left" "" "$(/usr/bin/python3 - <<'P'
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
page = s3.S3.list_object_versions(Bucket=s3.BUCKET, Prefix=".pailfs")
print(*[v["Key"] for v in page.get("Versions", []) + page.get("DeleteMarkers", []) if v["Key"] != ".pailfs-root"], sep=" ", end="")
P
)"
unmount_fs
