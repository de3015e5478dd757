#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# Extended attributes: user.* in s3fs' form, errnos, other namespaces free, tools that carry them.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
if [ "$TEST_SERVER" = s3d ]; then
    /usr/bin/python3 - <<'P' || fail "boto3"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
S3.put_object(Bucket=BUCKET, Key="theirs/sums", Body=b"x", ChecksumAlgorithm="SHA256")
S3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
S3.put_object(Bucket=BUCKET, Key="theirs/version", Body=b"x")
S3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
P
fi
mount_fs -o metadata_ttl=600,hedge=off
cd "$MNT" || exit 1
mkdir d && echo content >d/f && echo other >d/g
cat >"$SCRATCH/x.py" <<'P'
import errno, os
def get(path, name, **k):
    try:
        return os.getxattr(path, name, **k)
    except OSError as e:
        return errno.errorcode[e.errno]
def set(path, name, value, flags=0):
    try:
        return os.setxattr(path, name, value, flags)
    except OSError as e:
        return errno.errorcode[e.errno]
def remove(path, name):
    try:
        return os.removexattr(path, name)
    except OSError as e:
        return errno.errorcode[e.errno]
def check(want, got):
    assert got == want, (want, got)
P
export PYTHONPATH=$SCRATCH
/usr/bin/python3 - <<'P' || fail "see above"
from x import *
everything = bytes(range(256))
check(None, set("d/f", "user.comment", b"hello"))
check(None, set("d/f", "user.all", everything))
check(None, set("d/f", "user.empty", b""))
check(None, set("d", "user.dir", b"on a directory"))
check(b"hello", get("d/f", "user.comment"))
check("EEXIST", set("d/f", "user.comment", b"x", os.XATTR_CREATE))
check("ENODATA", set("d/f", "user.absent", b"x", os.XATTR_REPLACE))
check("ENODATA", get("d/f", "user.absent"))
check("ENODATA", remove("d/f", "user.absent"))
check("E2BIG", set("d/f", "user.big", b"x" * 4000))
check("ENOSPC", set("d/f", "user.much", b"x" * 1300))
check("ENOTSUP", set("d/f", "system.posix_acl_access", b"\x02\0\0\0"))
check("ENOTSUP", get("d", "system.posix_acl_default"))
check("ENOTSUP", set("d/f", "nonsense", b"x"))
assert set("d/f", "trusted.x", b"x") in ("ENOTSUP", "EPERM")
check(["user.all", "user.comment", "user.empty"], sorted(os.listxattr("d/f")))
# While it is being written: with the upload.
fd = os.open("d/w", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"written")
os.setxattr(fd, "user.w", b"1")
os.setxattr(fd, b'user.gr\xc3\xbcn\xff\n"\\', b"odd")
os.close(fd)
# The store's own.
import hashlib
check(hashlib.md5(b"content\n").hexdigest().encode(), get("d/f", "user.s3.etag"))
check(b"d/f", get("d/f", "user.s3.key"))
check(b"8", get("d/f", "user.s3.size"))
check("EPERM", set("d/f", "user.s3.etag", b"x"))
check("STANDARD", get("d/f", "user.s3.storage-class").decode())
if os.environ["TEST_SERVER"] == "s3d":
    import base64, sys
    sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
    from s3 import BUCKET, S3
    check(base64.b64encode(hashlib.sha256(b"x").digest()), get("theirs/sums", "user.s3.checksum-sha256"))
    check("ENODATA", get("theirs/sums", "user.s3.checksum-sha1"))
    check(None, set("theirs/sums", "user.s3.storage-class", b"STANDARD_IA"))
    check("STANDARD_IA", S3.head_object(Bucket=BUCKET, Key="theirs/sums")["StorageClass"])
    version = S3.head_object(Bucket=BUCKET, Key="theirs/version")["VersionId"]
    check(version.encode(), get("theirs/version", "user.s3.version-id"))
check(None, set("d/g", "user.s3.content-type", b"text/x-mine"))
P
if [ "$TEST_SERVER" = s3d ]; then
    # What the kernel, ls and cp ask of every file.
    find . -print0 | xargs -0 sync && ls -lR . >/dev/null
    s3d_reset
    ls -lR . >/dev/null && ls -l d/f >/dev/null
    /usr/bin/python3 -c 'from x import *
for n in "security.capability", "security.selinux", "system.posix_acl_access":
    for i in range(5): assert get("d/f", n) in ("ENODATA", "ENOTSUP"), n'
    equal_requests "other namespaces" ""
fi
look() {
    /usr/bin/python3 - <<'P' || fail "$1: see above"
from x import *
check(["user.all", "user.comment", "user.empty"], sorted(os.listxattr("d/f")))
check(bytes(range(256)), get("d/f", "user.all"))
check(b"", get("d/f", "user.empty"))
check(b"on a directory", get("d", "user.dir"))
check(b"odd", get("d/w", b'user.gr\xc3\xbcn\xff\n"\\'))
check(b"1", get("d/w", "user.w"))
check(b"text/x-mine", get("d/g", "user.s3.content-type"))
check([], os.listxattr("d/g"))
P
}
look "at once"
cd / && remount_fs && cd "$MNT" || exit 1
look "after a remount"
equal "content" content "$(cat d/f)"
/usr/bin/python3 - <<'P' || fail "boto3: see above"
import base64, json, os, urllib.parse, boto3, botocore.config
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"],
                  config=botocore.config.Config(s3={"addressing_style": "path"}))
bucket = os.environ["BUCKET"]
head = s3.head_object(Bucket=bucket, Key="d/f")
have = {k: base64.b64decode(v)
        for k, v in json.loads(urllib.parse.unquote(head["Metadata"]["xattr"])).items()}
assert have == {"user.comment": b"hello", "user.all": bytes(range(256)), "user.empty": b""}, have
assert s3.head_object(Bucket=bucket, Key="d/g")["ContentType"] == "text/x-mine"
# As s3fs writes it.
s3.put_object(Bucket=bucket, Key="d/theirs", Body=b"x", Metadata={
    "mode": "33188", "xattr": urllib.parse.quote('{"user.s3fs":"aGVsbG8="}')})
P
cp d/f plain && check "cp --preserve=xattr" cp --preserve=xattr d/f copy
check "cp -a" cp -a d d2
check "tar" tar --xattrs -cf "$SCRATCH/t.tar" d
mkdir untarred && check "untar" tar --xattrs -C untarred -xf "$SCRATCH/t.tar"
synced=d2
if command -v rsync >/dev/null; then
    check "rsync -X" rsync -aX d/ synced/
    equal "a second rsync" "" "$(rsync -aXi d/ synced/)"
    synced=synced
fi
check "append" bash -c 'echo more >>d/f'
check "rewrite" bash -c 'echo anew >d/f'
check "mv" mv d/f moved
cd / && remount_fs && cd "$MNT" || exit 1
SYNCED=$synced /usr/bin/python3 - <<'P' || fail "see above"
from x import *
want = ["user.all", "user.comment", "user.empty"]
for path in "copy", "d2/f", "untarred/d/f", os.environ["SYNCED"] + "/f", "moved":
    check((path, want), (path, sorted(os.listxattr(path))))
    check(b"hello", get(path, "user.comment"))
for path in "d2", "untarred/d", os.environ["SYNCED"]:
    check((path, b"on a directory"), (path, get(path, "user.dir")))
check([], os.listxattr("plain"))
check(b"hello", get("d/theirs", "user.s3fs"))
check(None, remove("moved", "user.all"))
check(["user.comment", "user.empty"], sorted(os.listxattr("moved")))
P
equal "content" anew "$(cat moved)"
cd / && unmount_fs
