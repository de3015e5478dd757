#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: user
# What a mount asks at its start may be refused to keys that can do less, or fail for a while: it comes up, soon,
# with a bucket of any size; without a metadata service nothing hangs.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
echo x >"$SCRATCH/x"
s3 put pre/x "$SCRATCH/x"
s3d_reset
mount_fs -o hedge=off
unmount_fs
echo "requests of a mount: $(s3d_requests)"
[ "$(curl -sf "$S3_ENDPOINT/_s3d/counters" | awk '$1 == "requests" {print $2}')" -le 6 ] || fail "a mount costs $(s3d_requests)"
# HEAD of a bucket or an object is refused to some keys that may list.
for op in HeadBucket HeadObject GetBucketLocation; do
    s3d_fault "op=$op action=status:403:AccessDenied"
    SOURCE=$BUCKET:pre mount_fs
    equal "with $op refused" x "$(cat "$MNT/x")"
    unmount_fs
    s3d_faults_clear
done
# Listing may be refused too, below another prefix than one's own.
s3d_fault "count=2 action=status:503:SlowDown"
mount_fs
equal "after a busy start" x "$(cat "$MNT/pre/x")"
unmount_fs
s3d_faults_clear
# Nobody answers where the metadata service would be (TEST-NET-1): keys of the environment need it not.
(
    export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://192.0.2.1/
    unset AWS_EC2_METADATA_DISABLED
    begin=$SECONDS
    mount_fs
    [ $((SECONDS - begin)) -lt 90 ] || fail "a mount took $((SECONDS - begin)) s"
    unmount_fs
) || exit 1
