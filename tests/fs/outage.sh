#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: none
# servers: s3d
# A server that goes away gives EIO within the timeout, and all is well when it is back.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs -o retries=2,timeout=20,connect_timeout=10,metadata_ttl=0,negative_ttl=0
echo before >"$MNT/f"
s3d_stop
begin=$SECONDS
refuse "read without a server" cat "$MNT/f"
contains "errno" "Input/output error" "$(cat "$SCRATCH/refuse.out")"
refuse "write without a server" dd if=/dev/zero of="$MNT/g" bs=1k count=1 status=none
refuse "listing without a server" ls "$MNT"
[ $((SECONDS - begin)) -lt 150 ] || fail "took $((SECONDS - begin)) s"
s3d_start
equal "read after the restart" before "$(cat "$MNT/f")"
echo after >"$MNT/h" || fail "write after the restart"
unmount_fs
equal "keys" "f h" "$(s3 keys | paste -sd ' ' -)"
