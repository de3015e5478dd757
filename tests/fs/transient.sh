#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: writeback
# An answer that may be another one tomorrow (404, 403, 409, 5xx) is never a conflict, whatever request
# of a commit it meets: fsync says so, what was written is still there, and the next fsync stores it.
# servers: s3d
# limit: 300
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o "metadata_ttl=0,retries=1,state_dir=$SCRATCH/state"
/usr/bin/python3 - "$MNT" "$S3_ENDPOINT" "$SCRATCH/state/lost+found" <<'P' || fail "see above"
import errno, os, sys, urllib.request
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
mnt, endpoint, lost = sys.argv[1:]
FAULTS = endpoint + "/_s3d/faults"
ANSWERS = ("404:NoSuchKey", "403:AccessDenied", "409:OperationAborted", "500:InternalError",
           "503:SlowDown", "502:")

def control(method, body=None):
    urllib.request.urlopen(urllib.request.Request(FAULTS, method=method, data=body)).read()

def struck():
    return sum(int(n) for line in urllib.request.urlopen(FAULTS).read().decode().splitlines()
               for word, n in [line.rsplit("=", 1)] if word.endswith("struck"))

def code(fn, *args):
    try:
        fn(*args)
        return 0
    except OSError as e:
        return errno.errorcode[e.errno]

def get(key):
    return s3.S3.get_object(Bucket=s3.BUCKET, Key=key)["Body"].read()

def small_new(fd):
    os.write(fd, b"new file")
    return b"new file"

def small_rewrite(fd):
    os.pwrite(fd, b"REWRITTEN", 0)
    return b"REWRITTEN" + SMALL[9:]

def big_new(fd):
    for at in range(0, len(BIG), 1 << 20):
        os.pwrite(fd, BIG[at:at + (1 << 20)], at)
    return BIG

def big_change(fd):
    os.pwrite(fd, b"CHANGED", 11 << 20)
    return BIG[:11 << 20] + b"CHANGED" + BIG[(11 << 20) + 7:]

SMALL = b"small content " * 50
BIG = os.urandom(1 << 20) * 24
CASES = [
    # what, before, change, requests of the commit
    ("new", None, small_new, ["PutObject"]),
    ("excl", None, small_new, ["PutObject"]),
    ("rewrite", SMALL, small_rewrite, ["PutObject", "GetObject"]),
    ("stream", None, big_new, ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]),
    ("change", BIG, big_change, ["CreateMultipartUpload", "UploadPart", "UploadPartCopy",
                                 "CompleteMultipartUpload", "GetObject"]),
]
problems = []
for what, before, change, operations in CASES:
    for op in operations:
        for answer in ANSWERS:
            name = f"{what}-{op}-{answer.replace(':', '-')}"
            where = (what, op, answer)
            if before is not None:
                s3.S3.put_object(Bucket=s3.BUCKET, Key=name, Body=before)
                os.stat(f"{mnt}/{name}")
            flags = os.O_RDWR | (os.O_CREAT if before is None else 0) | (os.O_EXCL if what == "excl" else 0)
            fd = os.open(f"{mnt}/{name}", flags, 0o644)
            control("POST", f"op={op} key={name} action=status:{answer}\n".encode())
            want, refused = None, None
            try:
                want = change(fd)
            except OSError as e:
                refused = errno.errorcode[e.errno]
            result = code(os.fsync, fd)
            control("DELETE")
            if refused in ("ESTALE", "EEXIST") or result in ("ESTALE", "EEXIST"):
                problems.append((where, "a conflict", refused, result))
            if want is None:  # the write was refused with its reason: it may be tried again
                try:
                    want = change(fd)
                except OSError as e:
                    problems.append((where, "cannot be written again", refused, errno.errorcode[e.errno]))
                    code(os.close, fd)
                    continue
            got = os.pread(fd, len(want) + 1, 0)
            if got != want:
                problems.append((where, "reads back as something else", len(got)))
            again = code(os.fsync, fd)
            closed = code(os.close, fd)
            if again or closed:
                problems.append((where, "not stored by the next try", result, again, closed))
            elif get(name) != want:
                problems.append((where, "stored as something else"))
for p in problems:
    print(*p)
if os.listdir(lost):
    print("lost+found:", os.listdir(lost))
sys.exit(1 if problems or os.listdir(lost) else 0)
P
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
