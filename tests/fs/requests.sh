#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# servers: s3d
# Round trips are the currency: what each common step may cost, to the request.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
random_file "$SCRATCH/5k" 5000
mkdir "$SCRATCH/in" && for i in 1 2 3; do cp "$SCRATCH/5k" "$SCRATCH/in/$i"; done
for i in 1 2 3; do s3 put "read/$i" "$SCRATCH/5k"; done
mount_fs -o metadata_ttl=600,hedge=off
ls "$MNT" >/dev/null
cost() { # cost TITLE EXPECTED command...
    local title=$1 want=$2
    shift 2
    s3d_reset
    check "$title" "$@"
    equal_requests "$title" "$want"
}
cost "mkdir in a listed directory" "PutObject=1" mkdir "$MNT/new"
cost "create a small file in a directory of our own" "PutObject=1" cp "$SCRATCH/5k" "$MNT/new/a"
cost "read back what this mount wrote" "GetObject=1" cmp "$SCRATCH/5k" "$MNT/new/a"
cost "stat of it" "" stat "$MNT/new/a"
cost "an empty file" "PutObject=1" touch "$MNT/new/empty"
s3d_reset
ls "$MNT/read" >/dev/null
equal_requests "first listing of a directory" "ListObjectsV2=1"
cost "cold read of a listed small file" "GetObject=1" cmp "$SCRATCH/5k" "$MNT/read/1"
cost "stat of the others" "" stat "$MNT/read/2" "$MNT/read/3"
s3d_reset
refuse "absent in a listed directory" stat "$MNT/read/absent"
equal "requests for an absent name" "" "$(s3d_requests)"
cost "unlink" "DeleteObject=1" rm "$MNT/read/1"
rename() { /usr/bin/python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"; }
# The copy has another Last-Modified, so the time goes into the metadata, which must be known for
# that, and the directory is marked, once.
is_past() { [ "$(date +%s)" -gt "$(stat -c %Y "$1")" ]; }
poll 60 is_past "$MNT/read/2"
cost "first rename of another host's file" "CopyObject=1 DeleteObject=1 HeadObject=1 PutObject=1" \
    rename "$MNT/read/2" "$MNT/read/8"
cost "rename of a file" "CopyObject=1 DeleteObject=1" rename "$MNT/read/8" "$MNT/read/9"
# mv asks for RENAME_NOREPLACE: that is a condition on the copy.
cost "mv of a file" "CopyObject=1 DeleteObject=1" mv "$MNT/read/9" "$MNT/read/10"
random_file "$SCRATCH/20m" $((20 << 20))
s3d_reset
cp "$SCRATCH/20m" "$MNT/new/20m"
equal_requests "20 MiB in parts of 8 MiB" "CompleteMultipartUpload=1 CreateMultipartUpload=1 UploadPart=3"
unmount_fs
