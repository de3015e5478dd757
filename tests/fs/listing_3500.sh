#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: user
# heavy: yes
# A directory of 3,500 objects lists completely: four pages, four requests.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
s3 fill 3500 dir/
mount_fs -o metadata_ttl=600,hedge=off
[ "$TEST_SERVER" != s3d ] || s3d_reset
equal "names" 3500 "$(ls -f "$MNT/dir" | grep -c '^f')"
if [ "$TEST_SERVER" = s3d ]; then
    # One lookup of "dir" may cost a request of its own before the pages.
    n=$(s3d_count ListObjectsV2)
    [ "$n" = 4 ] || [ "$n" = 5 ] || fail "ListObjectsV2 requests: $n; all: $(s3d_requests)"
    s3d_reset
    equal "names again from memory" 3500 "$(ls "$MNT/dir" | wc -l)"
    equal "requests for that" "" "$(s3d_requests)"
    equal "names by ls -l" 3500 "$(ls -l "$MNT/dir" | grep -c '^-')"
    equal "requests for that" "" "$(s3d_requests)"
    refuse "an absent name" test -e "$MNT/dir/absent"
    equal "a complete listing answers absence" "" "$(s3d_requests)"
fi
LC_ALL=C ls "$MNT/dir" | LC_ALL=C sort -c || fail "ls order"
equal "each name once" 3500 "$(ls "$MNT/dir" | sort -u | wc -l)"
equal "find" 3500 "$(find "$MNT/dir" -type f -size -2 | wc -l)"
# Names that are asked for in their order, in a mount that has listed nothing: a page for many of them.
(cd "$MNT" && printf '%s\n' dir/* | LC_ALL=C sort) >"$SCRATCH/names"
remount_fs -o metadata_ttl=600,hedge=off
[ "$TEST_SERVER" != s3d ] || s3d_reset
equal "stat of each" 3500 "$(cd "$MNT" && xargs stat -c %s <"$SCRATCH/names" | wc -l)"
if [ "$TEST_SERVER" = s3d ]; then
    n=$(s3d_count ListObjectsV2)
    [ "$n" -le 14 ] || fail "requests of a stat of each in order: $(s3d_requests)"
fi
check "rm -r" rm -r "$MNT/dir"
equal "nothing left" "" "$(ls -A "$MNT")"
unmount_fs
equal "nothing left in the bucket" "" "$(s3 keys)"
