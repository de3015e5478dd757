#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# modes: posix user
# A rename of a directory whose old keys may not be deleted fails, and loses neither bytes nor modes:
# the new names stay, with the marker that says where the modes are.
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
unmount_fs
