#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
# Only the server's 412 is a conflict. A 404, 403 or 5xx in the middle of things is an error of that call, the old object
# stays, and what was written stays with the file: the next fsync or close stores it.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o retries=0,part_size=5M
/usr/bin/python3 - "$MNT/f" <<'P' || fail "see above"
import errno, os, sys, urllib.request
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
path = sys.argv[1]
url = os.environ["S3_ENDPOINT"] + "/_s3d/faults"
for size, op in ((1000, "PutObject"), (12000000, "CompleteMultipartUpload"), (12000000, "UploadPart")):
    for action in ("status:404:NoSuchBucket", "status:403:AccessDenied", "status:403:RequestTimeTooSkewed",
                   "status:500:InternalError", "status:503:SlowDown", "status:409:OperationAborted", "200-error:InternalError", "reset"):
        what = (op, action)
        with open(path, "w") as f:
            f.write("old")
        data = os.urandom(size)
        urllib.request.urlopen(url, data=f"op={op} action={action}\n".encode())
        fd = os.open(path, os.O_RDWR | os.O_TRUNC)
        failed = False
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(fd, view):]
            os.fsync(fd)
        except OSError as e:
            assert e.errno not in (errno.ESTALE, errno.EEXIST, errno.ENOENT), (what, errno.errorcode[e.errno])
            failed = True
        assert failed, (what, "fsync succeeded")
        assert S3.get_object(Bucket=BUCKET, Key="f")["Body"].read() == b"old", what
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"))
        if op != "UploadPart":
            os.fsync(fd)        # everything was accepted, so it is there to be sent again
            os.close(fd)
            assert open(path, "rb").read() == data, what
            assert S3.get_object(Bucket=BUCKET, Key="f")["Body"].read() == data, what
        else:                   # what has gone in parts is over with the first that failed, and every call says so
            try:
                os.close(fd)
            except OSError as e:
                assert e.errno != errno.ESTALE, (what, e)
P
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
