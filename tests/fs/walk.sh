#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user writeback
# A walk of a tree costs requests by its keys, and shows what is in the bucket.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mkdir -p "$SCRATCH/tree"
for d in $(seq -w 80); do
    mkdir -p "$SCRATCH/tree/d$d/sub"
    echo "$d" >"$SCRATCH/tree/d$d/file"
    echo "$d" >"$SCRATCH/tree/d$d/sub/below"
done
/usr/bin/python3 - "$SCRATCH/tree" <<'PY' || fail "upload"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
for base, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(base, name)
        s3.S3.upload_file(path, s3.BUCKET, "tree/" + os.path.relpath(path, sys.argv[1]))
PY
mount_fs -o metadata_ttl=600,hedge=off
[ "$TEST_SERVER" != s3d ] || s3d_reset
(cd "$SCRATCH/tree" && find . -printf '%y %P\n' | sort) >"$SCRATCH/want"
(cd "$MNT/tree" && find . -printf '%y %P\n' | sort) >"$SCRATCH/got"
check "find shows the tree" cmp "$SCRATCH/want" "$SCRATCH/got"
if [ "$TEST_SERVER" = s3d ]; then
    # "tree" as a name; it, its first directory and that one's own; all the rest.
    equal_requests "a find over 161 directories" "ListObjectsV2=5"
fi
check "du" du -s "$MNT/tree"
# What was listed ahead follows what is done here.
rm "$MNT/tree/d50/file" && echo new >"$MNT/tree/d60/new" && mkdir "$MNT/tree/d70/made"
equal "removed" "sub" "$(ls "$MNT/tree/d50")"
equal "written" "file new sub" "$(cd "$MNT/tree/d60" && echo *)"
equal "made" "file made sub" "$(cd "$MNT/tree/d70" && echo *)"
check "rm -r" rm -r "$MNT/tree"
unmount_fs
equal "nothing left in the bucket" "" "$(s3 keys)"
