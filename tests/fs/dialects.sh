#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix
# Mode, owner and times as s3fs, AWS DataSync and FSx, rclone, s3cmd and gcsfuse keep them, in
# directories with the markers that each of them makes; a change through the mount keeps the rest.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
/usr/bin/python3 - <<'P' || fail "boto3"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3
def put(key, body=b"x", **meta):
    S3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={k.replace("_", "-"): v for k, v in meta.items()})
put("s3fs/", b"", mode="16877", uid="0", gid="0", mtime="1600000000", ctime="1600000000", atime="1600000000")
put("s3fs/new", mode="33184", uid="7", gid="8", mtime="1600000000.123456789", ctime="1600000000.5", atime="1600000001.000000001")
put("s3fs/old", mode="33184", uid="7", gid="8", mtime="1600000000")
put("s3fs/older", permissions="33184", owner="7", group="8")
put("s3fs/link", b"new", mode="41471")
put("s3fs/sub/", b"", mode="16832", uid="7", gid="8", mtime="1600000000")
put("fsx/", b"", file_permissions="040755", file_owner="0", file_group="0", file_mtime="1600000000000000000ns", user_agent="aws-fsx-lustre")
put("fsx/f", file_permissions="0100640", file_owner="7", file_group="8", file_mtime="1600000000123456789ns", file_atime="1600000001000000000ns",
    user_agent="aws-fsx-lustre")
put("fsx/datasync", file_permissions="0640", file_owner="7", file_group="8", file_mtime="1600000000123ms", user_agent="aws-datasync")
put("fsx/link", b"f", file_permissions="0120777")
put("mixed/", b"", mode="16877")
put("mixed/rclone", mtime="1600000000.123456789")
put("mixed/rclone-m", mode="0100640", uid="7", gid="8", mtime="2020-09-13T14:26:40.123456789+02:00")
put("mixed/s3cmd", s3cmd_attrs="atime:1600000001/ctime:1600000000/gid:8/gname:g/md5:d41d8cd98f00b204e9800998ecf8427e/mode:33184/mtime:1600000000/uid:7/uname:u")
put("rclone/", b"", mtime="1600000000.5")
put("rclone/f", mtime="1600000000.5")
P
mount_fs
show() { stat -c '%a %u:%g %.9Y' "$MNT/$1"; }
equal "s3fs" "640 7:8 1600000000.123456789" "$(show s3fs/new)"
equal "s3fs, whole seconds" "640 7:8 1600000000.000000000" "$(show s3fs/old)"
equal "s3fs' predecessor" "640 7:8" "$(stat -c '%a %u:%g' "$MNT/s3fs/older")"
equal "s3fs' link" new "$(readlink "$MNT/s3fs/link")"
equal "s3fs' directory" "700 7:8 1600000000.000000000" "$(show s3fs/sub)"
equal "FSx" "640 7:8 1600000000.123456789" "$(show fsx/f)"
equal "DataSync" "640 7:8 1600000000.123000000" "$(show fsx/datasync)"
equal "FSx' link" f "$(readlink "$MNT/fsx/link")"
equal "rclone" 1600000000.123456789 "$(stat -c %.9Y "$MNT/mixed/rclone")"
equal "rclone with metadata" "640 7:8 1600000000.123456789" "$(show mixed/rclone-m)"
equal "s3cmd" "640 7:8 1600000000.000000000" "$(show mixed/s3cmd)"
# A marker with nothing but a time says nothing about modes below it: no HEAD of each file there.
if [ "$TEST_SERVER${TEST_MOUNT_OPTIONS:-}" = s3d ]; then
    s3d_reset
    ls -l "$MNT/rclone" >/dev/null
    equal "an rclone directory" 0 "$(curl -sf "$S3_ENDPOINT/_s3d/log?n=1000" | grep HeadObject | grep -c rclone/f)"
fi
check "chmod" chmod 600 "$MNT/fsx/f" "$MNT/mixed/s3cmd" "$MNT/s3fs/old"
sync "$MNT/fsx/f" "$MNT/mixed/s3cmd" "$MNT/s3fs/old"
remount_fs
equal "FSx after chmod" "600 7:8 1600000000.123456789" "$(show fsx/f)"
equal "s3cmd after chmod" "600 7:8 1600000000.000000000" "$(show mixed/s3cmd)"
equal "s3fs after chmod" "600 7:8 1600000000.000000000" "$(show s3fs/old)"
contains "what is not ours stays" "meta user-agent aws-fsx-lustre" "$(s3 head fsx/f)"
case $(s3 head fsx/f) in *file-permissions*) fail "FSx would read the old mode" ;; esac
unmount_fs
