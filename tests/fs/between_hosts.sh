#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# Two hosts on one bucket: whatever they do to one file or name at the same time, nothing that was
# acknowledged is lost, nothing is mixed, and exactly one of two that exclude each other succeeds.
# limit: 400
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_two metadata_ttl=1,negative_ttl=0,posix=on,state_dir=@.state
/usr/bin/python3 "$SOURCE_DIR/tests/lib/between_hosts.py" "$A" "$B" || fail "see above"
unmount_fs "$A"
unmount_fs "$B"
equal "no unfinished uploads" "" "$(s3 uploads)"
