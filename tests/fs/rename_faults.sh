#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# servers: s3d
# A rename that S3 refuses is an error at the call, and neither the old file nor the one in its place is harmed;
# copies that fail inside a 200 do so too; what passes is tried again.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o retries=2
rename() { /usr/bin/python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"; }
whole() { # whole TITLE: both as before, here and in the bucket
    equal "$1: the source" source "$(cat "$MNT/source")"
    equal "$1: the target" target "$(cat "$MNT/target")"
    s3 get target "$SCRATCH/got"
    equal "$1: the target's object" target "$(cat "$SCRATCH/got")"
    equal "$1: keys" "source target" "$(s3 keys | paste -sd ' ' -)"
}
echo source >"$MNT/source"
echo target >"$MNT/target"
for action in status:403:AccessDenied status:500:InternalError 200-error:InternalError reset cut; do
    s3d_fault "op=CopyObject action=$action"
    refuse "rename with $action" rename "$MNT/source" "$MNT/target"
    s3d_faults_clear
    whole "$action"
done
remount_fs -o retries=5
s3d_fault "op=CopyObject count=2 action=status:503:SlowDown"
s3d_fault "op=CopyObject count=1 action=lost-answer"
s3d_fault "op=DeleteObject count=1 action=reset"
check "passing faults are tried again" rename "$MNT/source" "$MNT/target"
s3d_faults_clear
equal "the content" source "$(cat "$MNT/target")"
equal "the key" target "$(s3 keys)"
remount_fs -o retries=1
echo again >"$MNT/source"
s3d_fault "op=DeleteObject key=source action=status:403:AccessDenied"
refuse "the old key cannot be removed" rename "$MNT/source" "$MNT/target"
s3d_faults_clear
equal "nothing is lost" again "$(cat "$MNT/source")"
unmount_fs
