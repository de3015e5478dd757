#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# A wrong region is found out from the server's answer and corrected once.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o region=eu-central-1
echo hello >"$MNT/file" || fail "write with a corrected region"
equal "content" hello "$(cat "$MNT/file")"
unmount_fs
equal "boto3 sees it" file "$(s3 keys)"
