#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
# Log files: several appenders with O_APPEND, tail -f beside them, logrotate by rename and by copytruncate.
. "$SOURCE_DIR/tests/lib/common.sh"
. "$SOURCE_DIR/tests/lib/real.sh"
need logrotate perl tail
server_start
mount_fs
appender() { # appender NAME LINES
    /usr/bin/python3 - "$MNT/log" "$1" "$2" <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
for i in range(int(sys.argv[3])):
    os.write(fd, b"%s %d\n" % (sys.argv[2].encode(), i))
os.close(fd)
P
}
: >"$MNT/log"
tail -n +1 -s 0.05 -f "$MNT/log" >"$SCRATCH/tailed" &
tail=$!
appender a 500 &
a=$!
appender b 500 &
b=$!
perl -e 'open(F, ">>", $ARGV[0]) or die; select(F); $| = 1; print F "p $_\n" for 0..299; close(F) or die' "$MNT/log" || fail "perl"
check "appender a" wait $a
check "appender b" wait $b
equal "lines" 1300 "$(wc -l <"$MNT/log")"
for n in a b p; do
    equal "lines of $n are in order" "" "$(grep "^$n " "$MNT/log" | awk '$2 != NR - 1' | head -n 1)"
done
poll 60 cmp -s "$SCRATCH/tailed" "$MNT/log" || fail "tail -f saw $(wc -l <"$SCRATCH/tailed") lines"
kill $tail
for i in 1 2 3; do echo "one more $i" >>"$MNT/log"; done
equal "the last line" "one more 3" "$(tail -n 1 "$MNT/log")"
before=$(sha "$MNT/log")

rotate() { # rotate OPTIONS...: with the log open for writing elsewhere
    printf '%s\n' "$MNT/log $MNT/other {" "rotate 3" "$@" "}" >"$SCRATCH/rotate.conf"
    chmod 644 "$SCRATCH/rotate.conf"
    check "logrotate $*" logrotate -f -s "$SCRATCH/rotate.state" "$SCRATCH/rotate.conf"
}
echo other >"$MNT/other"
rotate "create 0640" "su $(id -un) $(id -gn)"
equal "rotated" "$before" "$(sha "$MNT/log.1")"
equal "mode of the new one" 640 "$(stat -c %a "$MNT/log")"
exec 7>>"$MNT/log"
echo first >&7
rotate copytruncate
echo second >&7
exec 7>&-
equal "copytruncate: the copy" first "$(cat "$MNT/log.1")"
equal "copytruncate: the log" second "$(cat "$MNT/log")"
exec 7>>"$MNT/log"
rotate create
echo third >&7
exec 7>&-
equal "the open one follows its name" "second third" "$(paste -sd ' ' "$MNT/log.1")"
remount_fs
equal "after a remount: the oldest" "$before" "$(sha "$MNT/log.3")"
equal "after a remount: the open one" "second third" "$(paste -sd ' ' "$MNT/log.1")"
equal "after a remount: the new one" 0 "$(stat -c %s "$MNT/log")"
finish_fs
