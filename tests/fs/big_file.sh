#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# limit: 400
# heavy: yes
# asan: no
# 1 GiB goes out as a multipart upload and comes back with the same digest.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
size=$((1 << 30))
random_file "$SCRATCH/big" $size
want=$(sha "$SCRATCH/big")
mount_fs
check "cp in" cp "$SCRATCH/big" "$MNT/big"
equal "size" $size "$(stat -c %s "$MNT/big")"
remount_fs
equal "digest after a remount" "$want" "$(sha "$MNT/big")"
# Odd offsets into the middle.
dd if="$SCRATCH/big" of="$SCRATCH/p1" bs=12345 skip=4321 count=7 2>/dev/null
dd if="$MNT/big" of="$SCRATCH/p2" bs=12345 skip=4321 count=7 2>/dev/null
check "a piece from the middle" cmp "$SCRATCH/p1" "$SCRATCH/p2"
unmount_fs
equal "no unfinished uploads" "" "$(s3 uploads)"
s3 get big "$SCRATCH/back" && equal "digest by boto3" "$want" "$(sha "$SCRATCH/back")"
