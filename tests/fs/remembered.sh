#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Attributes are kept over mounts: the second walk after a remount sends LISTs only, and what another
# program changed between two mounts is seen.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
export XDG_CACHE_HOME=$SCRATCH/cache
tree() { # what rsync -a and a backup look at
    # A directory that nobody has marked has the time of the mount.
    (cd "$MNT/$posix" && find . -type d -printf '%P %y %m %U %G\n' -o -printf '%P %y %m %U %G %s %T@ %C@\n' | sort)
}
heads() { if [ "$TEST_SERVER" = s3d ]; then s3d_count HeadObject; else echo 0; fi; }
reset() { [ "$TEST_SERVER" != s3d ] || s3d_reset; }
modes="auto on"
[[ ${TEST_MOUNT_OPTIONS:-} != *posix=* ]] || modes=given
for posix in $modes; do
    option=(-o "posix=$posix")
    [ $posix != given ] || option=()
    mount_fs "${option[@]}"
    top=$MNT/$posix
    mkdir "$top"
    for d in a b c d; do
        mkdir "$top/$d" "$top/$d/sub"
        for f in 1 2 3; do echo "$d$f" >"$top/$d/file$f"; done
        echo below >"$top/$d/sub/file"
        chmod 640 "$top/$d/file2" "$top/$d/sub/file"
        chmod 750 "$top/$d/sub"
        touch -d 2020-02-02 "$top/$d/file3"
    done
    ln -s file1 "$top/a/link"
    unmount_fs
done
# What is as young as this is not remembered: it could change without a trace.
young=$((SECONDS + 4))
past() { [ $SECONDS -ge $young ]; }
poll 60 past

for posix in $modes; do
    option=(-o "posix=$posix")
    [ $posix != given ] || option=()
    export TOP=$posix
    reset
    mount_fs "${option[@]}"
    tree >"$SCRATCH/first"
    [ "$TEST_SERVER" != s3d ] || check "$posix: the first walk asks for attributes" test "$(heads)" -gt 8
    unmount_fs
    reset
    mount_fs "${option[@]}"
    tree >"$SCRATCH/second"
    check "$posix: the same attributes" diff "$SCRATCH/first" "$SCRATCH/second"
    if [ "$TEST_SERVER" = s3d ]; then
        [[ $(s3d_requests) =~ ^HeadBucket=1\ ListObjectsV2=[0-9]+$ ]] || fail "$posix: the second walk: $(s3d_requests)"
        lists=$(s3d_count ListObjectsV2)
        check "$posix: $lists LISTs" test "$lists" -le 9
    fi
    unmount_fs

    # Another program changes nothing but metadata: the same ETag and size.
    /usr/bin/python3 - <<'PY' || fail "copy"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
import s3
key = os.environ["TOP"] + "/b/file2"
m = s3.S3.head_object(Bucket=s3.BUCKET, Key=key)["Metadata"]
m["mode"] = str(0o100604)
s3.S3.copy_object(Bucket=s3.BUCKET, Key=key, CopySource={"Bucket": s3.BUCKET, "Key": key}, Metadata=m,
                  MetadataDirective="REPLACE")
PY
    reset
    mount_fs "${option[@]}"
    tree >"$SCRATCH/third"
    equal "$posix: the change is seen" 604 "$(stat -c %a "$MNT/$posix/b/file2")"
    equal "$posix: nothing else has changed" "1" "$(diff "$SCRATCH/second" "$SCRATCH/third" | grep -c '^>')"
    [ "$TEST_SERVER" != s3d ] || equal "$posix: one HEAD" 1 "$(heads)"
    # This mount's own change, too.
    chmod 600 "$MNT/$posix/c/file2"
    rm "$MNT/$posix/d/file1"
    remount_fs "${option[@]}"
    equal "$posix: own change" 600 "$(stat -c %a "$MNT/$posix/c/file2")"
    refuse "$posix: removed" test -e "$MNT/$posix/d/file1"
    unmount_fs

    # Bytes that are wrong cost requests and nothing else.
    db=$(find "$XDG_CACHE_HOME" -name metadata.db)
    check "$posix: the database is there" test -s "$db"
    printf 'this is no database' | dd of="$db" conv=notrunc status=none
    mount_fs "${option[@]}"
    tree | grep -v -e '^c/file2 ' -e '^d ' >"$SCRATCH/fourth"
    grep -v -e '^c/file2 ' -e '^d ' -e '^d/file1 ' "$SCRATCH/third" >"$SCRATCH/want"
    check "$posix: with a damaged database" diff "$SCRATCH/want" "$SCRATCH/fourth"
    contains "$posix: the log" "metadata.db' is damaged" "$(cat "$LOG" "$SCRATCH/mount.out")"
    rm -rf "${MNT:?}/$posix"
    unmount_fs
    rm -rf "$XDG_CACHE_HOME"
done
