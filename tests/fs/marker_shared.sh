#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# A directory's marker that two hosts write: neither takes away what the other put into it.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_two metadata_ttl=1,negative_ttl=0
mode_is() { [ "$(stat -c %a "$1" 2>/dev/null)" = "$2" ]; }
mkdir "$A/d"
check "B sees the directory" poll 60 test -d "$B/d"
echo s >"$B/d/s" && chmod 4711 "$B/d/s" || fail "chmod on B"
sync "$B/d/s"
contains "the marker says that attributes are kept below" "pailfs-posix" "$(s3 head d/)"
check "A touches the directory" touch -d 2020-01-01 "$A/d"
sync "$A/d"
contains "the marker still says so" "pailfs-posix" "$(s3 head d/)"
check "A shows the mode" poll 60 mode_is "$A/d/s" 4711
unmount_fs "$A"
unmount_fs "$B"
mount_fs
equal "mode on a fresh mount" 4711 "$(stat -c %a "$MNT/d/s")"
equal "time of the directory" 2020 "$(date -d "@$(stat -c %Y "$MNT/d")" +%Y)"
unmount_fs
