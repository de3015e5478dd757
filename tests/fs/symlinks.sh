#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Symbolic links: s3fs' form in the bucket, the right type everywhere, and tools that carry them.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
cd "$MNT" || exit 1
mkdir d && echo content >d/file
check "ln -s" ln -s file d/link
check "dangling" ln -s ../nowhere d/dangling
check "absolute" ln -s "$MNT/d" dir
# What each of these sees must be right at once and after a remount.
look() {
    equal "$1: readlink" file "$(readlink d/link)"
    equal "$1: type" "symbolic link 777 4" "$(stat -c '%F %a %s' d/link)"
    equal "$1: through the link" content "$(cat d/link)"
    equal "$1: through a directory's link" content "$(cat dir/file)"
    equal "$1: find by type" "d/dangling d/link dir" "$(find d dir -type l | sort | paste -sd ' ' -)"
    equal "$1: ls" "dangling@ file link@" "$(ls -F d | paste -sd ' ' -)"
    refuse "$1: dangling" cat d/dangling
    /usr/bin/python3 - <<'P' || fail "$1: see above"
import errno, os
types = {e.name: e.is_symlink() for e in os.scandir("d")}
assert types == {"dangling": True, "file": False, "link": True}, types
try:
    os.readlink("d/file")
    raise AssertionError("readlink of a file")
except OSError as e:
    assert e.errno == errno.EINVAL, e
try:
    os.symlink("x" * 4096, "long")
    raise AssertionError("a target over PATH_MAX")
except OSError as e:
    assert e.errno == errno.ENAMETOOLONG, e
try:
    os.symlink("x", "d/link")
    raise AssertionError("over an old name")
except OSError as e:
    assert e.errno == errno.EEXIST, e
P
}
look "at once"
check "touch -h" touch -h -d '2001-02-03 04:05:06 UTC' d/link
[ "$(id -u)" != 0 ] || check "chown -h" chown -h 1234:2345 d/link
cd / && remount_fs && cd "$MNT" || exit 1
look "after a remount"
equal "time" "$(date -ud '2001-02-03 04:05:06' +%s)" "$(stat -c %Y d/link)"
[ "$(id -u)" != 0 ] || equal "owner" 1234:2345 "$(stat -c %u:%g d/link)"
# The bucket.
s3 get d/link "$SCRATCH/body"
equal "body" file "$(cat "$SCRATCH/body")"
contains "s3fs' mode" "meta mode 41471" "$(s3 head d/link)"
# Tools.
check "cp -a" cp -a d copy
check "tar" tar -cf "$SCRATCH/t.tar" d
mkdir untarred "$SCRATCH/local"
check "untar" tar -C untarred -xf "$SCRATCH/t.tar"
check "untar outside" tar -C "$SCRATCH/local" -xf "$SCRATCH/t.tar"
if command -v rsync >/dev/null; then
    check "rsync" rsync -rlt d/ synced/
    equal "a second rsync" "" "$(rsync -rlti d/ synced/)"
else
    cp -a d synced
fi
check "mv" mv d/dangling moved
check "mv of a directory" mv untarred/d renamed
cd / && remount_fs && cd "$MNT" || exit 1
for at in copy renamed synced "$SCRATCH/local/d"; do
    equal "$at" "file ../nowhere" "$(readlink "$at/link" "$at/dangling" | paste -sd ' ' -)"
    equal "$at: through it" content "$(cat "$at/link")"
done
equal "moved" ../nowhere "$(readlink moved)"
check "replace a link" ln -sfn other d/link
equal "replaced" other "$(readlink d/link)"
check "rm" rm d/link
refuse "removed" readlink d/link
equal "target stays" content "$(cat d/file)"
check "rm -r" rm -r copy renamed synced
cd / && unmount_fs
# Another program's links, where every object's metadata is looked at.
/usr/bin/python3 - <<'P' || fail "boto3"
import os, boto3, botocore.config
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"],
                  config=botocore.config.Config(s3={"addressing_style": "path"}))
for key, meta in (("t/s3fs", {"mode": "41471"}), ("t/sync", {"file-permissions": "0120777"}),
                  ("t/gcs", {"goog-reserved-file-is-symlink": "true"})):
    s3.put_object(Bucket=os.environ["BUCKET"], Key=key, Body=b"there", Metadata=meta)
P
mount_fs -o posix=on
for name in s3fs sync gcs; do equal "$name" there "$(readlink "$MNT/t/$name")"; done
unmount_fs
mount_fs -o posix=off
equal "posix=off shows the bytes" there "$(cat "$MNT/t/s3fs")"
/usr/bin/python3 - "$MNT/no" <<'P' || fail "see above"
import errno, os, sys
try:
    os.symlink("x", sys.argv[1])
    raise AssertionError("a link without metadata")
except OSError as e:
    assert e.errno == errno.EPERM, e
P
unmount_fs
