#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: rgw
# asan: no
# modes: none
# Buckets with versions, and with object lock and a default retention: every change needs a checksum there, and what is
# replaced or deleted stays as a version. Files are made, changed, renamed and deleted as anywhere.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
plain=$BUCKET
python() { PYTHONPATH=$SOURCE_DIR/tests/lib /usr/bin/python3 - "$BUCKET"; }

everything() {
    mount_fs -o part_size=5M
    random_file "$SCRATCH/large" 12000000
    check "create" cp "$SCRATCH/large" "$MNT/large"
    printf 'first' >"$MNT/f" || fail "create f"
    printf 'second' >"$MNT/f" || fail "rewrite f"
    printf ' and more' >>"$MNT/f" || fail "append to f"
    check "change of a large one" dd if=/dev/zero of="$MNT/large" bs=4096 seek=1000 count=1 conv=notrunc status=none
    dd if=/dev/zero of="$SCRATCH/large" bs=4096 seek=1000 count=1 conv=notrunc status=none
    check "chmod" chmod 600 "$MNT/f"
    check "mkdir" mkdir "$MNT/d"
    check "rename" mv "$MNT/f" "$MNT/d/g"
    check "rename over" mv "$MNT/d/g" "$MNT/g"
    check "rename of a directory" mv "$MNT/d" "$MNT/e"
    check "rename of a large one" mv "$MNT/large" "$MNT/e/large"
    remount_fs
    equal "content" "second and more" "$(cat "$MNT/g")"
    check "large content" cmp "$SCRATCH/large" "$MNT/e/large"
    check "rm -r" rm -r "$MNT/e" "$MNT/g"
    equal "names" "" "$(ls "$MNT")"
    unmount_fs
    equal "every version of f is there" "b'first' b'second' b'second and more'" "$(python <<'P'
import sys, s3
b = sys.argv[1]
print(*sorted({s3.S3.get_object(Bucket=b, Key="f", VersionId=v["VersionId"])["Body"].read()
               for v in s3.S3.list_object_versions(Bucket=b, Prefix="f").get("Versions", [])}))
P
    )"
    ! grep " error: " "$SCRATCH/pailfs.log" || fail "the log complains"
}

BUCKET=$plain-versions
python <<'P' || fail "no bucket with versions"
import sys, s3
s3.S3.create_bucket(Bucket=sys.argv[1])
s3.S3.put_bucket_versioning(Bucket=sys.argv[1], VersioningConfiguration={"Status": "Enabled"})
P
everything
BUCKET=$plain-locked
python <<'P' || fail "no bucket with object lock"
import sys, s3
s3.S3.create_bucket(Bucket=sys.argv[1], ObjectLockEnabledForBucket=True)
s3.S3.put_object_lock_configuration(Bucket=sys.argv[1], ObjectLockConfiguration={
    "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
P
everything
