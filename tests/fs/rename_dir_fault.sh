#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: posix user
# A rename of a directory whose old keys may not be deleted fails, and loses neither bytes nor modes:
# the new names stay, with the marker that says where the modes are. What another host stores under an
# old name when the delete is on its way stays there.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
mkdir "$MNT/d" && echo x >"$MNT/d/f" && chmod 600 "$MNT/d/f" || fail "set up"
s3d_fault "op=DeleteObjects action=status:403:AccessDenied"
refuse "mv" mv "$MNT/d" "$MNT/e"
s3d_faults_clear
contains "the new marker" "e/" "$(s3 keys | paste -sd ' ' -)"
remount_fs
equal "content under the new name" x "$(cat "$MNT/e/f")"
equal "mode under the new name" 600 "$(stat -c %a "$MNT/e/f")"
equal "content under the old name" x "$(cat "$MNT/d/f")"

mkdir "$MNT/from" && echo old >"$MNT/from/f" && echo beside >"$MNT/from/g" || fail "set up"
printf 'of another host' >"$SCRATCH/theirs"
s3d_fault "op=DeleteObjects count=1 action=delay:1500"
s3d_reset
mv "$MNT/from" "$MNT/to" &
pid=$!
poll 20 eval 'curl -sf "$S3_ENDPOINT/_s3d/faults" | grep -q "struck 1"' || fail "no delete was sent"
s3 put from/f "$SCRATCH/theirs"
check "mv" wait $pid
check "get" s3 get from/f "$SCRATCH/got"
equal "what the other host stored" "of another host" "$(cat "$SCRATCH/got")"
equal "under the new name" "old beside" "$(cat "$MNT/to/f" "$MNT/to/g" | paste -sd ' ')"
equal "requests to delete" "1 0" "$(s3d_count DeleteObjects) $(s3d_count DeleteObject)"
equal "the old name" "from/f" "$(s3 keys from)"
unmount_fs
