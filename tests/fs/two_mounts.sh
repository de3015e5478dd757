#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# modes: posix user
# Two mounts of one bucket: what one has closed the other sees after its TTL; mkdir has one winner.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_two metadata_ttl=1,negative_ttl=0
is() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
gone() { ! test -e "$1"; }
refuse "not there yet" test -e "$B/f"
echo one >"$A/f"
check "B sees a new file" poll 60 is "$B/f" one
echo another >"$B/f"
check "A sees the new content" poll 60 is "$A/f" another
rm "$A/f"
check "B sees the removal" poll 60 gone "$B/f"
mkdir "$A/d" && check "B sees the directory" poll 60 test -d "$B/d"
echo x >"$B/d/x" && check "A sees the file in it" poll 60 is "$A/d/x" x
# Exactly one of two concurrent mkdirs wins.
wins=0
for i in 1 2 3 4 5 6 7 8 9 10; do
    mkdir "$A/race$i" 2>/dev/null & p=$!
    mkdir "$B/race$i" 2>/dev/null && wins=$((wins + 1))
    wait $p && wins=$((wins + 1))
done
equal "winners of ten mkdir races" 10 $wins
unmount_fs "$A"
unmount_fs "$B"
