#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Attributes are kept over mounts: the walk after a remount sends LISTs only, also over what the mount before
# has written itself, and what another program changed between two mounts is seen.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
export XDG_CACHE_HOME=$SCRATCH/cache
tree() { # what rsync -a and a backup look at
    # A directory that nobody has marked has the time of the mount.
    (cd "$MNT" && find . -mindepth 1 -type d -printf '%P %y %m %U %G\n' -o -printf '%P %y %m %U %G %s %T@ %C@\n' | sort)
}
status() { "$PAILCTL" status "$MNT" | awk -v f="$1:" '$1 == f {print $2}'; }
mount_fs -o remember_own=200ms,hedge=off
for d in a b c d; do
    mkdir "$MNT/$d" "$MNT/$d/sub"
    for f in 1 2 3; do echo "$d$f" >"$MNT/$d/file$f"; done
    echo below >"$MNT/$d/sub/file"
    chmod 640 "$MNT/$d/file2" "$MNT/$d/sub/file"
    chmod 750 "$MNT/$d/sub"
    touch -d 2020-02-02 "$MNT/$d/file3"
done
ln -s file1 "$MNT/a/link"
mkdir "$MNT/plain"
echo plain >"$MNT/plain/file"
mv "$MNT/c/file1" "$MNT/c/moved"
"$PAILCTL" flush "$MNT"
# What is as young as this is not remembered: it could change without a trace. The server's clock decides.
if [ "$TEST_SERVER" = s3d ]; then
    s3d_stop
    s3d_start --clock-offset 10
fi
# Own changes are read back in quiet, so the next mount asks for none of them.
all_known() { [ "$(status remembered_waiting)" = 0 ] && [ "$(status remembered_rows)" -ge 26 ]; }
poll 60 all_known || fail "$("$PAILCTL" status "$MNT" | grep remembered)"
unmount_fs
# What a mount shows that knows nothing.
XDG_CACHE_HOME=$SCRATCH/other mount_fs
tree >"$SCRATCH/first"
check "it asks for attributes" test "$(status remembered_asked)" -gt 8
unmount_fs
[ "$TEST_SERVER" != s3d ] || s3d_reset
mount_fs -o hedge=off
tree >"$SCRATCH/second"
check "the same attributes" diff "$SCRATCH/first" "$SCRATCH/second"
equal "the walk after a remount sends no HEAD" 0 "$(status remembered_asked)"
if [ "$TEST_SERVER" = s3d ]; then
    [[ $(s3d_requests) =~ ^HeadBucket=1\ ListObjectsV2=[0-9]+$ ]] || fail "the walk: $(s3d_requests)"
    lists=$(s3d_count ListObjectsV2)
    check "$lists LISTs" test "$lists" -le 9
fi
unmount_fs

# Another program changes nothing but metadata: the same ETag and size.
/usr/bin/python3 - <<'PY' || fail "copy"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
key = "b/file2"
m = s3.S3.head_object(Bucket=s3.BUCKET, Key=key)["Metadata"]
m["mode"] = str(0o100604)
s3.S3.copy_object(Bucket=s3.BUCKET, Key=key, CopySource={"Bucket": s3.BUCKET, "Key": key}, Metadata=m,
                  MetadataDirective="REPLACE")
PY
mount_fs -o hedge=off
tree >"$SCRATCH/third"
equal "the change is seen" 604 "$(stat -c %a "$MNT/b/file2")"
equal "nothing else has changed" "1" "$(diff "$SCRATCH/second" "$SCRATCH/third" | grep -c '^>')"
equal "one HEAD" 1 "$(status remembered_asked)"
# This mount's own change, too.
chmod 600 "$MNT/c/file2"
rm "$MNT/d/file1"
unmount_fs

# Bytes that are wrong cost requests and nothing else.
db=$(find "$XDG_CACHE_HOME" -name metadata.db)
check "the database is there" test -s "$db"
printf 'this is no database' | dd of="$db" conv=notrunc status=none
mount_fs
tree | grep -v -e '^c/file2 ' >"$SCRATCH/fourth"
grep -v -e '^c/file2 ' -e '^d/file1 ' "$SCRATCH/third" >"$SCRATCH/want"
check "with a damaged database" diff "$SCRATCH/want" "$SCRATCH/fourth"
equal "own change" 600 "$(stat -c %a "$MNT/c/file2")"
refuse "removed" test -e "$MNT/d/file1"
contains "the log" "metadata.db' is damaged" "$(cat "$LOG" "$SCRATCH/mount.out")"
unmount_fs
